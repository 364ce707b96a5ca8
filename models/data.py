"""Feature stores as PyTorch data: a dataset of segments, padding with masks, and normalisation.

>>> from torch.utils.data import DataLoader                                                   # doctest: +SKIP
>>> from models.data import SegmentDataset, collate                                           # doctest: +SKIP
>>> features = {"audio": "features/wav2vec2.h5", "text": "features/bert.h5"}                  # doctest: +SKIP
>>> data = SegmentDataset.from_split(features, "splits/scenario.tsv", fold=0, part="training") # doctest: +SKIP
>>> for batch in DataLoader(data, batch_size=32, collate_fn=collate): ...                     # doctest: +SKIP

``batch.values["audio"]`` is (B, T, D), ``batch.masks["audio"]`` (B, T) bool, ``batch.target`` (B,) class indices; with
``task="numbers/segment:valence,arousal"`` and ``labels="labels.tsv"`` it is (B, 2) numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from models.dialog import Before
from models.normaliser import Normaliser
from models.sources import PooledRows, StoredRows, rows_within
from models.task import Task
from models.truth import Truth, is_known, segment_truth
from pipeline.records import InputError, read_fold
from pipeline.store import FeatureStore


@dataclass
class Batch:
    """Padded sequences of B items: what a network takes, and what it should say.

    ``values`` (B, T, D) and ``masks`` (B, T) per modality, True = observed; values are 0 elsewhere. ``target``: numbers
    of classes (B,), for tasks of frames (B, T), UNKNOWN where none is known; shares of votes (B, classes), zeros where
    there is none; or numbers (B, K), of frames (B, T, K). ``target_mask`` (B,) or (B, T): True where it is known.
    ``items``: which items of the data these are. With ``before``, rows beyond the items are turns before them.
    """

    values: dict[str, Tensor]
    masks: dict[str, Tensor]
    target: Tensor | None
    target_mask: Tensor | None
    items: np.ndarray
    before: Before | None = None

    @property
    def given(self) -> tuple:
        """What a network takes."""
        return self.values, self.masks, *(() if self.before is None else (self.before,))

    def __len__(self) -> int:
        return len(self.items)

    def without(self, modality: str) -> "Batch":
        """The same items as if nothing of a modality had been observed."""
        values = {**self.values, modality: torch.zeros_like(self.values[modality])}
        masks = {**self.masks, modality: torch.zeros_like(self.masks[modality])}
        return replace(self, values=values, masks=masks)


@dataclass(frozen=True)
class Example:
    """One segment: ``values`` (T, D) and ``masks`` (T,) per modality, and the index of its class or its numbers."""

    segment_id: str
    values: dict[str, Tensor]
    masks: dict[str, Tensor]
    target: int | Tensor | None
    item: int


class SegmentDataset(Dataset):
    """Segments of one or more feature stores, read when asked for; works with the workers of a DataLoader.

    A modality of which a segment has no row is a sequence of one absent row, so that no segment is dropped.

    Args:
        features: feature store, or its path, per modality.
        segment_ids: which segments, in which order.
        truth: what is known of each; None: nothing.
        max_s: rows are kept that begin within this time of the first one of any modality, as ``max_s`` of a training
            has it; None: all.
        normalisers: applied per modality where given.
        step_s: rows that follow each other faster are averaged to steps of this length, as ``grid_hop_s`` of a training
            has it; None: rows as they are. For a trained network see ``models.inference.load_network``.
        speakers: who speaks in every segment of the stores; each is first normalised by all rows of its speaker, as in
            a training with ``normalise: speaker``. None: they are not.

    Raises InputError for a segment that a store does not know.
    """

    def __init__(
        self,
        features: Mapping[str, str | Path | FeatureStore],
        segment_ids: Sequence[str],
        truth: Truth | None = None,
        max_s: float | None = None,
        normalisers: Mapping[str, Normaliser] | None = None,
        step_s: float | None = None,
        speakers: Mapping[str, str] | None = None,
    ):
        stores = {m: f if isinstance(f, FeatureStore) else FeatureStore(f) for m, f in features.items()}
        self.rows = _rows(stores, segment_ids, max_s, step_s, speakers)
        self.segment_ids, self.truth = list(segment_ids), truth
        self.classes = truth.names if truth else []
        self.normalisers = dict(normalisers or {})

    @classmethod
    def from_split(
        cls,
        features: Mapping[str, str | Path | FeatureStore],
        split: str | Path,
        fold: int,
        part: str,
        normalise: bool = True,
        max_s: float | None = None,
        task: str = "classes/segment",
        labels: str | Path | None = None,
        step_s: float | None = None,
        speakers: Mapping[str, str] | None = None,
    ) -> "SegmentDataset":
        """Take one part of one fold of a split; with ``normalise``, by the moments of that fold's training part.

        Numbers are read from ``labels``, which is labels.tsv. Raises InputError for a task of frames.
        """
        wanted = Task.parse(task)
        if wanted.frames:
            raise InputError(f"task {task}: a data set of segments has labels of segments; take labels.h5 for frames")
        rows = read_fold(split, fold)
        chosen = [row for row in rows if row.part == part]
        if not chosen:
            raise InputError(f"{split}: fold {fold} has no part {part!r}; it has {sorted({r.part for r in rows})}")
        truth = segment_truth(wanted, split, chosen, labels)
        data = cls(features, [r.segment_id for r in chosen], truth, max_s, step_s=step_s, speakers=speakers)
        if normalise:
            training = [row.segment_id for row in rows if row.part == "training"]
            of_training = _rows({m: r.store for m, r in data.rows.items()}, training, max_s, step_s, speakers)
            data.normalisers = {m: _fit(rows) for m, rows in of_training.items()}
        return data

    def __len__(self) -> int:
        return len(self.segment_ids)

    def __getitem__(self, item: int) -> Example:
        values, masks = {}, {}
        for modality, rows in self.rows.items():
            read, valid = rows.read(item, 0, rows.count[item])
            x, mask = torch.from_numpy(read).float(), torch.from_numpy(valid)
            if modality in self.normalisers:
                x = self.normalisers[modality](x, mask)
            values[modality], masks[modality] = (x, mask) if len(x) else (x.new_zeros(1, x.shape[1]), mask.new_zeros(1))
        return Example(self.segment_ids[item], values, masks, self._target(item), item)

    def _target(self, item: int) -> int | Tensor | None:
        if self.truth is None:
            return None
        value = self.truth.values[item]
        return torch.from_numpy(value).float() if value.ndim else int(value)


def _rows(
    stores: Mapping[str, FeatureStore],
    segment_ids: Sequence[str],
    max_s: float | None,
    step_s: float | None,
    speakers: Mapping[str, str] | None,
) -> dict[str, StoredRows]:
    most, rows = {} if max_s is None else rows_within(stores, segment_ids, max_s), dict[str, StoredRows]()
    for m, store in stores.items():
        if step_s is None:
            rows[m] = StoredRows(store, segment_ids, most.get(m), speakers)
        else:
            rows[m] = PooledRows(store, segment_ids, step_s, most=most.get(m), speakers=speakers)
        store.close()  # the workers of a DataLoader are forked, and must not share an open file; it opens when read
    return rows


def _fit(of: StoredRows) -> Normaliser:
    rows = (
        (torch.from_numpy(values), torch.from_numpy(valid))
        for _, _, values, valid in of.blocks(np.ones(len(of.segment_ids), bool))
    )
    found = Normaliser.fit(rows, of.store.dim)
    of.store.close()  # as above
    return found


def collate(examples: Sequence[Example]) -> Batch:
    """Pad examples to the longest of each modality."""

    def pad(sequences: list[Tensor]) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)

    first = examples[0]
    target = known = None
    if first.target is not None:
        target = torch.stack([torch.as_tensor(e.target) for e in examples])
        known = is_known(target)
    return Batch(
        values={m: pad([e.values[m] for e in examples]) for m in first.values},
        masks={m: pad([e.masks[m] for e in examples]) for m in first.masks},
        target=target,
        target_mask=known,
        items=np.array([e.item for e in examples]),
    )
