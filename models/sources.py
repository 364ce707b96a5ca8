"""Rows of one modality for the segments of a run: kept in memory, on the GPU, or read from the file batch by batch.

Segment i owns rows ``offset[i]:offset[i + 1]`` of a flat table. What the rows are is decided by ``StoredRows`` (as they
lie in the feature store), ``PooledRows`` (no finer than a step) or ``GridRows`` (brought to a time grid); where they
are kept is decided by ``Table``. All placements give the same numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.normaliser import BLOCK_ROWS, of_speakers
from pipeline.log import log
from pipeline.records import InputError
from pipeline.store import FeatureStore
from pipeline.timebase import to_grid

MAX_AVERAGED = 5  # rows in a step: a mean over more of MFCC and the like leaves little of how the sound changes


def ranges(store: FeatureStore, segment_ids: Sequence[str]) -> np.ndarray:
    """First and one-past-last row of each segment, (S, 2); raises InputError for one that the store does not know."""
    unknown = [s for s in segment_ids if s not in store]
    if unknown:
        raise InputError(
            f"{store.path}: lacks {len(unknown)} of {len(segment_ids)} segments, the first {unknown[0]}; "
            "features and split come from different corpora: delete one of them and let the workflow make it again"
        )
    return np.array([store.row_range(s) for s in segment_ids], np.int64).reshape(-1, 2)


def rows_within(stores: Mapping[str, FeatureStore], segment_ids: Sequence[str], max_s: float) -> dict[str, np.ndarray]:
    """How many rows of each segment begin within ``max_s`` of the first row of any modality: (S,) per modality."""
    starts_s = {}
    for m, store in stores.items():
        start_s = store.array("time_s")[:, 0]
        starts_s[m] = [start_s[a:b] for a, b in ranges(store, segment_ids)]
    ends_s = [max_s + min((s[0] for s in each if len(s)), default=0.0) - 1e-6 for each in zip(*starts_s.values())]
    return {m: np.array([(s < end_s).sum() for s, end_s in zip(each, ends_s)]) for m, each in starts_s.items()}


class StoredRows:
    """Rows as they lie in a feature store, of each segment the first ``most``: one number for all, or (S,) numbers.

    With ``speakers``, by segment, each is normalised by the moments of all rows that the store has of its speaker.
    Raises InputError for a segment that the store does not know.
    """

    def __init__(
        self,
        store: FeatureStore,
        segment_ids: Sequence[str],
        most: int | np.ndarray | None = None,
        speakers: Mapping[str, str] | None = None,
    ):
        self.store, self.segment_ids = store, list(segment_ids)
        self.begin, end = ranges(store, segment_ids).T
        self.stored = end - self.begin
        self.kept = self.stored if most is None else np.minimum(self.stored, most)
        self.count = self.kept  # rows of what comes out
        self.normalisers = None if speakers is None else of_speakers(store, segment_ids, speakers)
        cut = int((self.kept < self.stored).sum())
        if cut:
            modality, longest = store.attributes["modality"], int(self.kept.max())
            log.info("%s: %d of %d segments are cut, to %d rows at most", modality, cut, len(self.kept), longest)

    @cached_property
    def observed(self) -> np.ndarray:
        """(S,) whether any row that is kept of a segment is valid."""
        before = np.concatenate([[0], np.cumsum(self.store.array("valid"))])
        return before[self.begin + self.kept] > before[self.begin]

    def read(self, segment: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and validity of some rows of a segment."""
        a, b = self.begin[segment] + first, self.begin[segment] + last
        return self._normalised(segment, self.store.array("values", a, b), self.store.array("valid", a, b))

    def blocks(self, wanted: np.ndarray) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """Yield (segment, first row, values, validity) of the wanted segments, in few large reads."""
        segments = np.flatnonzero(wanted)
        position = {self.segment_ids[i]: i for i in segments}
        for segment_id, rows in self.store.read([self.segment_ids[i] for i in segments], BLOCK_ROWS):
            i = position[segment_id]
            yield i, 0, *self._normalised(i, rows.values[: self.kept[i]], rows.valid[: self.kept[i]])

    def _normalised(self, segment: int, values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.normalisers is None:
            return values, valid
        normalised = self.normalisers[segment](torch.from_numpy(values), torch.from_numpy(valid))
        return normalised.numpy().astype(values.dtype), valid


class PooledRows(StoredRows):
    """Neighbours averaged to steps of ``step_s``, as far as they are valid, ``MAX_AVERAGED`` of them at most.

    ``pool`` says how many; without it they follow from the store.
    """

    def __init__(
        self,
        store: FeatureStore,
        segment_ids: Sequence[str],
        step_s: float,
        pool: int | None = None,
        most: int | np.ndarray | None = None,
        speakers: Mapping[str, str] | None = None,
    ):
        super().__init__(store, segment_ids, most, speakers)
        self.pool = pool or max(1, min(MAX_AVERAGED, int(step_s / _hop_s(store) + 0.01)))
        self.count = -(-self.kept // self.pool)

    def read(self, segment: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and validity of some steps of a segment."""
        rows = super().read(segment, first * self.pool, min(last * self.pool, int(self.kept[segment])))
        return self._averaged(*rows)

    def blocks(self, wanted: np.ndarray) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """Yield (segment, first step, values, validity) of the wanted segments, in few large reads."""
        for i, first, values, valid in super().blocks(wanted):
            yield i, first, *self._averaged(values, valid)

    def _averaged(self, values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.pool == 1 or not len(values):
            return values, valid
        begin = np.arange(0, len(values), self.pool)
        seen = np.add.reduceat(valid, begin, dtype=np.float32)[:, None]
        total = np.add.reduceat(np.where(valid[:, None], values, 0), begin, dtype=np.float32)
        return (total / seen.clip(1)).astype(values.dtype), seen[:, 0] > 0


def _hop_s(store: FeatureStore) -> float:
    """Median time from a row to the next of its segment; infinite where no segment has two."""
    start_s = store.array("time_s")[:, 0]
    apart = np.ones(max(0, len(start_s) - 1), bool)
    between = store.offset[1:-1]
    apart[between[(between > 0) & (between < len(start_s))] - 1] = False
    hops_s = np.diff(start_s)[apart]
    return float(np.median(hops_s)) if len(hops_s) and np.median(hops_s) > 0 else np.inf


class GridRows(StoredRows):
    """Rows brought to the cells of a time grid per segment: (cells, 2) start and end in seconds."""

    def __init__(
        self,
        store: FeatureStore,
        segment_ids: Sequence[str],
        grids: Sequence[np.ndarray],
        nearest: bool = False,
        most: int | np.ndarray | None = None,
        speakers: Mapping[str, str] | None = None,
    ):
        super().__init__(store, segment_ids, most, speakers)
        self.time_s = store.array("time_s")
        self.grids, self.nearest = grids, nearest
        self.count = np.array([len(grid) for grid in grids], np.int64)

    def read(self, segment: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and validity of some cells of a segment, from the valid rows that they overlap: ``to_grid``."""
        cells = self.grids[segment][first:last]
        begin = self.begin[segment]
        time_s = self.time_s[begin : begin + self.kept[segment]]
        met = np.empty(0, int)
        if len(cells):
            met = np.flatnonzero((time_s[:, 1] > cells[0, 0]) & (time_s[:, 0] < cells[-1, 1]))
        a, b = (met[0], met[-1] + 1) if len(met) else (0, 0)
        values, valid = super().read(segment, a, b)
        values, valid = to_grid(values, time_s[a:b], valid, cells, self.nearest)
        return values.astype(self.store.dtype), valid

    def blocks(self, wanted: np.ndarray) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """Yield (segment, first cell, values, validity) of the wanted segments."""
        for i in np.flatnonzero(wanted):
            for first in range(0, self.count[i], BLOCK_ROWS):
                yield i, first, *self.read(i, first, min(first + BLOCK_ROWS, self.count[i]))


def sent(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """The same on a device; on a GPU without waiting for what the current stream has to do before."""
    tensor = torch.as_tensor(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


class Table:
    """Rows of all segments end to end, from which padded batches are gathered on ``device``.

    ``keep`` says where the rows are: the device ("device"), this machine's memory ("host") or the file ("file").
    """

    def __init__(self, rows: StoredRows, keep: str = "host", device: str = "cpu"):
        self.rows, self.keep, self.device = rows, keep, torch.device(device)
        self.dim, self.count = rows.store.dim, rows.count
        self.dtype = torch.float16 if rows.store.dtype == np.float16 else torch.float32
        self.offset = np.concatenate([[0], np.cumsum(self.count)])
        if keep != "file":
            self._load(torch.device("cpu") if keep == "host" else self.device)

    def range(self, segment: int) -> slice:
        """The rows of a segment."""
        return slice(int(self.offset[segment]), int(self.offset[segment + 1]))

    @property
    def immediate(self) -> bool:
        """Whether rows are where they are computed with, so that there is nothing to prepare."""
        return self.keep == "device" or (self.keep == "host" and self.device.type == "cpu")

    def _load(self, place: torch.device) -> None:
        total = int(self.offset[-1])
        self.values = torch.zeros((total + 1, self.dim), dtype=self.dtype, device=place)  # the last row is padding
        self.valid = torch.zeros(total + 1, dtype=torch.bool, device=place)
        for segment, first, values, valid in self.rows.blocks(np.ones(len(self.count), bool)):
            a = self.offset[segment] + first
            self.values[a : a + len(values)] = torch.from_numpy(values).to(place)
            self.valid[a : a + len(values)] = torch.from_numpy(valid).to(place)
        self.rows.store.close()

    def gather(self, segment: np.ndarray, first: np.ndarray, count: np.ndarray, steps: int) -> tuple[Tensor, Tensor]:
        """Rows ``first`` to ``first + count`` of each of B segments, padded to ``steps``: (B, steps, D), (B, steps)."""
        if self.keep == "file":
            values, valid = self._read(segment, first, count, steps)
        else:
            place = self.values.device
            begin = sent(self.offset[segment] + first, place)[:, None]
            step = torch.arange(steps, device=place)
            inside = step < sent(count, place)[:, None]
            index = torch.where(inside, begin + step, len(self.values) - 1)
            values, valid = self.values[index], self.valid[index]
        if values.device.type == self.device.type:  # "cuda" is whichever GPU is current
            return values, valid
        return sent(values, self.device), sent(valid, self.device)

    def _read(self, segment, first, count, steps) -> tuple[Tensor, Tensor]:
        values = torch.zeros((len(segment), steps, self.dim), dtype=self.dtype)
        valid = torch.zeros((len(segment), steps), dtype=torch.bool)
        for b, (i, a, n) in enumerate(zip(segment, first, count)):
            if n:
                read_values, read_valid = self.rows.read(i, a, a + n)
                values[b, :n] = torch.from_numpy(read_values)
                valid[b, :n] = torch.from_numpy(read_valid)
        return values, valid

    def blocks(self, wanted: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield values and validity of all rows of the wanted segments, in bounded blocks."""
        if self.keep == "file":
            for _, _, values, valid in self.rows.blocks(wanted):
                yield torch.from_numpy(values).to(self.device), torch.from_numpy(valid).to(self.device)
            return
        edges = np.flatnonzero(np.diff(np.concatenate([[0], wanted.astype(np.int8), [0]])))
        for begin, end in edges.reshape(-1, 2):
            for a in range(self.offset[begin], self.offset[end], BLOCK_ROWS):
                b = min(a + BLOCK_ROWS, self.offset[end])
                yield self.values[a:b], self.valid[a:b]


def size_bytes(rows: StoredRows) -> int:
    """Memory that a table of these rows takes."""
    return int(rows.count.sum()) * (rows.store.dim * rows.store.dtype.itemsize + 1)


def place_tables(rows: Mapping[str, StoredRows], device: str, budget_gb: float) -> dict[str, Table]:
    """Keep rows on the device while they fill at most half of what is free there, in memory within the budget, else in
    their files; the choice is logged."""
    total = sum(map(size_bytes, rows.values()))
    keep = "host" if total <= budget_gb * 1e9 else "file"
    if device != "cpu" and total <= torch.cuda.mem_get_info(device)[0] // 2:
        keep = "device"
    where = {"device": "on the GPU", "host": "in memory", "file": "in their files, more than memory_budget_gb"}[keep]
    log.info("%.2f GB of features kept %s", total / 1e9, where)
    return {modality: Table(r, keep, device) for modality, r in rows.items()}
