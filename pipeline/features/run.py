"""The driver: runs an extractor over pieces in batches of similar length and writes the rows in order."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from pipeline.features.base import Extractor
from pipeline.features.pieces import Job, own_rows
from pipeline.log import progress
from pipeline.records import InputError
from pipeline.store import Rows, StoreWriter
from pipeline.timebase import SAMPLE_RATE_HZ, sample_count, whole_samples_s

# How much is held at once to find pieces of similar length: seconds of sound, frames of faces (40 kB each), words.
GROUP = {"audio": 600.0, "video": 2048, "text": 40_000}
GROUP_JOBS = 4096


def write_store(
    path: str | Path, attributes: dict, extractor: Extractor, jobs: Iterable[Job], segments: int | None = None
) -> None:
    """Extract every job, segments sorted by id, and write their feature store; ``segments`` says how many there are.

    Raises InputError, naming extractor and segment, for rows of another width, NaN, or times that do not ascend.
    """
    dtype = getattr(extractor.config, "dtype", "float32")
    with StoreWriter(path, attributes, extractor.dim, dtype) as writer:
        by_segment = groupby(extract_all(extractor, jobs), key=itemgetter(0))
        for segment_id, parts in progress(by_segment, attributes["name"], segments):
            write: Callable[[Rows], None] = partial(writer.append, segment_id)
            last_start_s = -np.inf
            for _, rows in parts:
                if len(rows) and rows.time_s[0, 0] < last_start_s:
                    raise InputError(
                        f"{_who(extractor)}: segment {segment_id}: rows of two neighbouring pieces overlap; "
                        "its rows must lie on one grid, see Extractor.cut.grid"
                    )
                write(rows)
                write = writer.extend
                last_start_s = rows.time_s[-1, 0] if len(rows) else last_start_s


def extract_all(extractor: Extractor, jobs: Iterable[Job]) -> Iterator[tuple[str, Rows]]:
    """Yield (segment id, rows) of each job, in the order of the jobs."""
    check_pool(extractor)
    for group in _ahead(_groups(jobs, GROUP[extractor.modality])):
        results: dict[int, Rows] = {}
        for batch in length_batches([job.length for job in group], extractor.cut.batch):
            pieces = [group[i].piece for i in batch]
            for i, rows in zip(batch, rows_of(extractor, pieces), strict=True):
                results[i] = own_rows(rows, group[i], extractor.pool_s)
        for i, job in enumerate(group):
            yield job.segment_id, results.pop(i, None) or Rows.empty(extractor.dim)


def length_batches(lengths: list[float], batch: float) -> list[list[int]]:
    """Indices of pieces in batches: longest first, each at most ``batch`` with padding; empty pieces are left out."""
    batches: list[list[int]] = []
    longest = 0.0
    for i in sorted((i for i, n in enumerate(lengths) if n > 0), key=lambda i: -lengths[i]):
        if not batches or (len(batches[-1]) + 1) * longest > batch:
            batches.append([])
            longest = lengths[i]
        batches[-1].append(i)
    return batches


def check_pool(extractor: Extractor) -> None:
    """Raise InputError where rows would be averaged over stretches that the end of a piece can cut in two."""
    pool_s, grid_s = extractor.pool_s, extractor.cut.grid
    pool, grid = (sample_count(s, SAMPLE_RATE_HZ) for s in (pool_s, grid_s))
    whole = extractor.modality == "audio" and whole_samples_s(pool_s, SAMPLE_RATE_HZ) == pool_s
    if pool_s and (not whole or grid % pool):
        raise InputError(
            f"{_who(extractor)}: pool_s is {pool_s:g} and cut.grid {grid_s:g}; only rows of sound are averaged, over "
            f"whole samples of which cut.grid is a multiple: set both to {pool / SAMPLE_RATE_HZ:.10g}, or pool_s to 0"
        )


def rows_of(extractor: Extractor, pieces: list) -> list[Rows]:
    """Rows of each piece as float32; raises InputError where they do not fit the pieces or each other."""
    found = extractor.extract(pieces)
    if len(found) != len(pieces):
        raise InputError(
            f"{_who(extractor)}: gave rows of {len(found)} pieces for a batch of {len(pieces)}; give one Rows for each "
            "piece"
        )
    return [check_rows(extractor, piece, rows) for piece, rows in zip(pieces, found, strict=True)]


def check_rows(extractor: Extractor, piece, rows: Rows) -> Rows:
    """The rows as float32; raises InputError where they do not fit the piece or each other."""
    where = f"{_who(extractor)}: segment {piece.segment_id}"
    if not isinstance(rows, Rows):
        raise InputError(f"{where}: extract gave {type(rows).__name__} for a piece; give Rows, see piece.rows(values)")
    values = np.asarray(rows.values)
    if values.shape[1] != extractor.dim:
        raise InputError(f"{where}: rows of width {values.shape[1]}, but {extractor.dim} elsewhere")
    if rows.valid.dtype != bool:
        raise InputError(f"{where}: valid holds {rows.valid.dtype}; it is a mask of bool")
    bad = ~np.isfinite(values).all(axis=1) & rows.valid
    if bad.any():
        at_s = rows.time_s[np.flatnonzero(bad)[0], 0]
        raise InputError(f"{where}: NaN or infinity in {bad.sum()} of {len(rows)} rows, the first at {at_s:.2f} s")
    time_s = np.asarray(rows.time_s, np.float64)
    if not np.isfinite(time_s).all() or (time_s[:, 1] < time_s[:, 0]).any() or (np.diff(time_s[:, 0]) < 0).any():
        raise InputError(f"{where}: row times must be finite, end after they begin, and ascend")
    values = np.where(rows.valid[:, None], values, 0).astype(np.float32)
    return Rows(values, time_s, rows.valid)


def _who(extractor: Extractor) -> str:
    return f"extractor {type(extractor).__name__}"


def _groups(jobs: Iterable[Job], limit: float) -> Iterator[list[Job]]:
    group: list[Job] = []
    length = 0.0
    for job in jobs:
        if group and (length + job.length > limit or len(group) >= GROUP_JOBS):
            yield group
            group, length = [], 0.0
        group.append(job)
        length += job.length
    if group:
        yield group


def _ahead(items: Iterable) -> Iterator:
    """Yield the items, reading the next one while the last one is worked on."""
    items = iter(items)
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(next, items, None)
        while (item := following.result()) is not None:
            following = reader.submit(next, items, None)
            yield item
