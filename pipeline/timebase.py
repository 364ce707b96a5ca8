"""The only place that converts between seconds and frames, samples or rows.

Everything is in seconds from the first video frame of its unit; ranges are half open; names carry their units.
"""

from fractions import Fraction
from math import isclose

import numpy as np

SAMPLE_RATE_HZ = 16_000  # rate of all sound, whatever its file has
ALIGNMENT_FRAME_S = 0.01  # one frame of a .wdseg file
HOLE_S, HOLE_STEPS = 0.5, 10.0  # frames further apart than both, the latter in usual steps, have a hole between them


def seconds(ticks: int, time_base: Fraction, first_ticks: int = 0) -> float:
    """Time of a presentation time stamp, counted from the stamp of the first video frame."""
    return float((ticks - first_ticks) * time_base)


def sample_index(time_s: float, sample_rate_hz: int) -> int:
    """The sample nearest to a time."""
    return int(np.floor(time_s * sample_rate_hz + 0.5))


def sample_count(duration_s: float, sample_rate_hz: int) -> int:
    """The whole number of samples nearest to a duration, at least one."""
    return max(1, sample_index(duration_s, sample_rate_hz))


def whole_samples_s(duration_s: float, sample_rate_hz: int) -> float:
    """A duration as it is or, where that is no whole number of samples, the nearest one that is."""
    nearest_s = sample_count(duration_s, sample_rate_hz) / sample_rate_hz
    return duration_s if isclose(duration_s, nearest_s) else nearest_s


def alignment_range_s(first_frame: int, last_frame: int) -> tuple[float, float]:
    """Seconds covered by the 10 ms frames ``first_frame`` to ``last_frame``, both included."""
    return first_frame * ALIGNMENT_FRAME_S, (last_frame + 1) * ALIGNMENT_FRAME_S


def longest_step_s(frame_time_s: np.ndarray) -> float:
    """By how much two neighbouring frames of a film can be apart without a hole between them."""
    steps_s = np.diff(frame_time_s)
    return max(HOLE_S, HOLE_STEPS * float(np.median(steps_s))) if len(steps_s) else HOLE_S


def frame_ranges_s(frame_time_s: np.ndarray) -> np.ndarray:
    """(N,) starts to (N, 2) half-open ranges: a frame lasts until the next, before a hole and at the end the median."""
    start_s = np.asarray(frame_time_s, np.float64)
    if len(start_s) == 0:
        return np.zeros((0, 2))
    steps_s = np.diff(start_s)
    usual_s = float(np.median(steps_s)) if len(steps_s) else 0.04
    end_s = np.append(start_s[1:], start_s[-1] + usual_s)
    before_hole = np.flatnonzero(steps_s > longest_step_s(start_s))
    end_s[before_hole] = start_s[before_hole] + usual_s
    return np.stack([start_s, end_s], axis=1)


def window_ranges_s(count: int, window_s: float, hop_s: float, start_s: float = 0.0) -> np.ndarray:
    """(count, 2) ranges of analysis windows that begin every ``hop_s`` from ``start_s``."""
    begin_s = start_s + np.arange(count) * hop_s
    return np.stack([begin_s, begin_s + window_s], axis=1)


def uniform_grid_s(start_s: float, end_s: float, hop_s: float) -> np.ndarray:
    """(N, 2) cells of width ``hop_s`` covering ``[start_s, end_s)``; at least one, the last may reach past the end."""
    count = max(1, int(np.ceil((end_s - start_s) / hop_s - 1e-6)))
    return window_ranges_s(count, hop_s, hop_s, start_s)


def select_frames(frame_time_s: np.ndarray, start_s: float, end_s: float, sample_rate_hz: float | None) -> np.ndarray:
    """Indices of the frames in ``[start_s, end_s)``, thinned to about ``sample_rate_hz`` by their own time stamps.

    ``None`` keeps every frame. Otherwise the first frame in each cell of the grid ``start_s + k / rate`` is kept.
    """
    inside = np.arange(*np.searchsorted(frame_time_s, (start_s - 1e-9, end_s - 1e-9)))
    if sample_rate_hz is None or len(inside) == 0:
        return inside
    cell = np.floor((frame_time_s[inside] - start_s) * sample_rate_hz + 1e-6).astype(np.int64)
    return inside[np.flatnonzero(np.diff(cell, prepend=-1) > 0)]


def pool_rows(
    values: np.ndarray, time_s: np.ndarray, valid: np.ndarray, hop_s: float, start_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the valid rows whose centre lies in each cell ``[start_s + k * hop_s, start_s + (k + 1) * hop_s)``.

    ``values`` (N, D), ``time_s`` (N, 2), ``valid`` (N,) in order of time become the same of the G cells that hold any
    row; a cell is valid where any of its rows is.
    """
    cell = np.floor((time_s.mean(axis=1) - start_s) / hop_s + 1e-6)
    cells, first = np.unique(cell, return_index=True)
    if not len(cells):
        return values, time_s, valid
    count = np.add.reduceat(valid.astype(np.int64), first)
    total = np.add.reduceat(np.where(valid[:, None], values, 0), first, axis=0, dtype=np.float64)
    begin_s = start_s + cells * hop_s
    mean = (total / np.maximum(count, 1)[:, None]).astype(np.float32)
    return mean, np.stack([begin_s, begin_s + hop_s], axis=1), count > 0


def to_grid(
    values: np.ndarray, time_s: np.ndarray, valid: np.ndarray, grid_s: np.ndarray, nearest: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Bring rows to grid cells by time: the overlap-weighted mean of the valid rows that a cell overlaps.

    Args:
        values: (N, D) rows.
        time_s: (N, 2) start and end of each row.
        valid: (N,) bool.
        grid_s: (G, 2) start and end of each cell, by start; they may overlap, as words of several speakers do.
        nearest: take of these rows the one whose centre is nearest to the cell's, the earlier of two, instead of their
            mean; right for rows much longer than a cell, which a mean would smear over all that they overlap.

    Returns:
        (G, D) float32 values, zero where nothing valid overlaps, and (G,) bool.
    """
    out = np.zeros((len(grid_s), values.shape[1]), np.float32)
    weight = np.zeros(len(grid_s))
    keep = np.flatnonzero(valid)
    if len(keep) == 0 or len(grid_s) == 0:
        return out, weight > 0
    start_s, end_s = time_s[keep, 0], time_s[keep, 1]
    # A row meets cells of [first, last) alone: starts ascend, and so does what the ends have reached.
    first = np.searchsorted(np.maximum.accumulate(grid_s[:, 1]), start_s + 1e-9, side="right")
    last = np.searchsorted(grid_s[:, 0], end_s - 1e-9, side="left")
    span = np.maximum(last - first, 0)
    row = np.repeat(np.arange(len(keep)), span)
    cell = np.arange(span.sum()) - np.repeat(np.cumsum(span) - span, span) + np.repeat(first, span)
    overlap_s = np.minimum(end_s[row], grid_s[cell, 1]) - np.maximum(start_s[row], grid_s[cell, 0])
    met = overlap_s > 1e-9  # a cell within another may have ended before
    row, cell, overlap_s = row[met], cell[met], overlap_s[met]
    if nearest:
        away_s = np.abs(time_s[keep[row]].mean(1) - grid_s[cell].mean(1)).round(9)
        chosen = np.lexsort((row, away_s, cell))
        cells, first_of = np.unique(cell[chosen], return_index=True)
        out[cells], weight[cells] = values[keep[row[chosen[first_of]]]], 1
        return out, weight > 0
    from scipy.sparse import csr_array

    share = csr_array((overlap_s, (cell, row)), shape=(len(grid_s), len(keep)))
    weight = share.sum(axis=1)
    seen = weight > 0
    out[seen] = (share @ values[keep].astype(np.float64))[seen] / weight[seen, None]
    return out, seen
