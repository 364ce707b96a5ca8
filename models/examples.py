"""The items of one training job, segments or windows of frames, and the batches made of them."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.data import Batch
from models.dialog import Dialogs
from models.normaliser import Normaliser
from models.sources import PooledRows, Table, sent
from models.task import Task
from models.truth import UNKNOWN, is_known

BUCKET = 16  # batches whose items are sorted by length together


@dataclass
class Examples:
    """Items over tables of features: item i covers rows ``first[i]`` to ``first[i] + count[m][i]`` of its segment.

    Where segments are predicted each is one item, where frames are each window of a segment. ``fixed_steps``: the
    lengths that a model itself pads its modalities to. ``scale``: centre and spread of each number, where those of the
    training part do not all lie in [-1, 1].
    """

    task: Task
    names: list[str]  # names of the classes or of the numbers

    segment_ids: list[str]  # segments of the tables, sorted
    tables: dict[str, Table]
    normalisers: dict[str, Normaliser]
    part: np.ndarray  # (I,) of each item
    segment: np.ndarray  # (I,) index into segment_ids
    first: np.ndarray  # (I,)
    count: dict[str, np.ndarray]  # (I,) per modality
    fixed_steps: dict[str, int]
    dtype: torch.dtype
    target: np.ndarray | None = None  # targets of segments, as in Truth
    labels: Table | None = None  # labels of frames: numbers, or the number of a class
    scale: dict[str, list[float]] | None = None
    shares: np.ndarray | None = None  # shares of segments, as in Truth
    dialogs: Dialogs | None = None  # the turns before each segment, for networks that take them
    rated: dict[str, int] = field(default_factory=dict)  # training segments that votes have added and left out

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return next(iter(self.tables.values())).device

    @property
    def dims(self) -> dict[str, int]:
        """Feature width per modality."""
        return {m: table.dim for m, table in self.tables.items()}

    @property
    def layers(self) -> dict[str, list[int]]:
        """Numbers of the layers that stand side by side in a row, of the modalities where several do."""
        found = {m: table.rows.store.layers for m, table in self.tables.items()}
        return {m: numbers for m, numbers in found.items() if len(numbers) > 1}

    @property
    def rows_per_step(self) -> dict[str, int]:
        """How many rows became a step, of the modalities whose rows are averaged."""
        return {m: table.rows.pool for m, table in self.tables.items() if isinstance(table.rows, PooledRows)}

    @property
    def shape(self) -> dict[str, Any]:
        """What a network is built for, besides its options: the arguments of ``models.network.build``."""
        counts = {m: len(numbers) for m, numbers in self.layers.items()}
        sizes = {"dims": self.dims, "outputs": len(self.names), "max_steps": self.max_steps, "layers": counts}
        return {"task": self.task, "scale": self.scale, **sizes}

    @property
    def absent(self) -> dict[str, int]:
        """How many segments have no valid row, per modality."""
        return {m: int((~table.rows.observed).sum()) for m, table in self.tables.items()}

    @cached_property
    def max_steps(self) -> dict[str, int]:
        """The longest sequence per modality of those that train: no other may decide what a network is."""
        trains = self.items("training")
        return {m: self.fixed_steps.get(m) or int(count[trains].max(initial=1)) for m, count in self.count.items()}

    def items(self, *parts: str) -> np.ndarray:
        """Indices of the items of some parts."""
        return np.flatnonzero(np.isin(self.part, parts))

    def batch(self, items: np.ndarray, rounded: bool = False) -> Batch:
        """Gather, normalise and pad some items: to the longest of them, or with ``rounded`` to ``rounded_steps``."""
        segment, first, before = self.segment[items], self.first[items], None
        count = {m: n[items] for m, n in self.count.items()}
        if self.dialogs is not None:
            segment, before = self.dialogs.gather(segment, self.device, each_once=not rounded)
            first = np.zeros(len(segment), np.int64)
            count = {m: table.count[segment] for m, table in self.tables.items()}
        steps = self.rounded_steps(items) if rounded else {m: max(1, int(n.max())) for m, n in count.items()}
        values, masks = {}, {}
        for m, table in self.tables.items():
            raw, mask = table.gather(segment, first, count[m], steps[m])
            values[m], masks[m] = self.normalisers[m](raw, mask), mask
        if self.shares is None:
            target, target_mask = self._target(items, segment, first, masks)
        else:
            target = sent(self.shares[items], self.device).to(self.dtype)
            target_mask = target.any(-1)
        return Batch(values, masks, target, target_mask, items, before)

    def rounded_steps(self, items: np.ndarray) -> dict[str, int]:
        """Steps of each modality: as many eighths of its longest item that trains as the longest of ``items`` needs.

        They are alike for all modalities, so that few shapes serve all batches.
        """
        eighths = int(self.eighths[items].max())
        return {m: -(-longest * eighths // 8) for m, longest in self.max_steps.items()}

    @cached_property
    def eighths(self) -> np.ndarray:
        """(I,) length of each item in eighths of the longest that trains, at least 1; of modalities the largest share.

        With dialog context, of the longest turn that is given with it.
        """
        longest, before = self.max_steps, self.dialogs
        count = self.count if before is None else {m: table.count for m, table in self.tables.items()}
        found = np.max([-(-n * 8 // longest[m]) for m, n in count.items()], axis=0).clip(1)
        if before is None:
            return found
        context = np.where(before.turn >= 0, found[before.turn], 1)
        return np.max([found, *context.T], axis=0)[self.segment]

    def of_each_shape(self, sizes: Iterable[int], items: np.ndarray) -> list[np.ndarray]:
        """A group of ``items`` for each ``rounded`` shape that batches of these sizes can have, the largest first."""
        ordered = items[np.argsort(self.eighths[items], kind="stable")]
        last = np.searchsorted(self.eighths[ordered], np.unique(self.eighths[ordered]), side="right")
        ends = last[::-1].tolist()
        return [ordered[end - n : end] for end in ends for n in sorted(set(sizes), reverse=True) if n <= end]

    def _target(self, items, segment, first, masks) -> tuple[Tensor, Tensor]:
        if self.labels is not None:
            count = next(iter(self.count.values()))[items]
            target, known = self.labels.gather(segment, first, count, next(iter(masks.values())).shape[1])
        else:
            target = sent(self.target[items], self.device)
            known = is_known(target)
        if self.task.numbers:
            return target.to(self.dtype), known
        return (target[..., 0].long().where(known, UNKNOWN) if self.task.frames else target), known

    def known(self, part: str) -> np.ndarray:
        """What is known of a part, each segment or frame once: (N,) numbers of classes, or (N, numbers)."""
        if self.labels is None:
            target = self.target[self.items(part)]
            return target[is_known(target)]
        ranges = [self.labels.range(i) for i in np.unique(self.segment[self.items(part)])]
        values = [self.labels.values[r][self.labels.valid[r]].cpu().numpy() for r in ranges]
        found = np.concatenate([np.zeros((0, self.labels.dim), np.float32), *values])
        return found if self.task.numbers else found[:, 0].astype(np.int64)

    def batches(self, groups: Sequence[np.ndarray], rounded: bool = False) -> Iterator[Batch]:
        """Yield the batch of each group of items; what must be read or copied is read while the last batch is used."""
        if all(table.immediate for table in self.tables.values()):
            yield from (self.batch(group, rounded) for group in groups)
            return
        stream = torch.cuda.current_stream(self.device) if self.device.type == "cuda" else None

        def read(group: np.ndarray) -> Batch:
            with torch.cuda.stream(stream) if stream else nullcontext():  # a thread has a current stream of its own
                return self.batch(group, rounded)

        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(read, groups[0]) if len(groups) else None
            for k in range(len(groups)):
                ready = coming.result()
                coming = reader.submit(read, groups[k + 1]) if k + 1 < len(groups) else None
                yield ready

    @property
    def length(self) -> np.ndarray:
        """(I,) size of each item relative to the longest, all modalities together."""
        return sum(count / max(1, count.max()) for count in self.count.values())


def training_batches(items: np.ndarray, length: np.ndarray, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Cut shuffled items into batches of about equal length, in shuffled order; every item is in one batch.

    Lengths are blurred by a random factor, so that batches differ from epoch to epoch and items of one length are
    shuffled freely. A last batch of a single item joins another: batch statistics need two.
    """
    order = rng.permutation(items)
    blurred = length[order] * rng.uniform(0.9, 1.11, len(order))
    batches = []
    for a in range(0, len(order), BUCKET * size):
        bucket = order[a : a + BUCKET * size][np.argsort(blurred[a : a + BUCKET * size], kind="stable")]
        batches += [bucket[b : b + size] for b in range(0, len(bucket), size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [np.concatenate(batches[-2:])]
    return [batches[k] for k in rng.permutation(len(batches))]


def evaluation_batches(items: np.ndarray, length: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut items into batches of about equal length, always the same."""
    order = items[np.argsort(length[items], kind="stable")]
    return [order[a : a + size] for a in range(0, len(order), size)]
