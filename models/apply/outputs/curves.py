"""Predictions as curves over time: the steps of each person, and their paths in an SVG whose units are seconds.

A row is drawn as a step from its start to its end, so that a curve changes exactly where a prediction does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.apply.answer import Answer, Face, Row
from models.apply.outputs.stretches import TOUCHING_S, shown
from models.apply.outputs.wording import winner
from models.report.charts import finite_means

MAX_POINTS = 3000  # points of a curve without gaps; an hour of frames has more than anybody sees
# Colours of outputs in their order, on white and on dark paper, at 4.5 : 1 or better against it.
LIGHT = ("#1c5c97", "#b3400f", "#1f6b4f", "#7d3c98", "#8a6100", "#0b6b78", "#b01e64", "#565d68")
DARK = ("#7fb6ec", "#f0996b", "#7cc7a5", "#cf9fe6", "#e0bd5a", "#63cbd8", "#f28fb8", "#a9b1bd")


@dataclass(frozen=True)
class Track:
    """One person: steps that neither overlap nor are too many to be seen, and where the face is.

    ``time_s`` (N, 2), ``values`` and ``spread`` (N, outputs); a step is the mean of up to ``rows_per_step`` rows, none
    over a gap; ``best_s``, of each class, but of no number, the (n, 2) stretches in which it is the most probable;
    ``seen_s`` (n, 2) stretches with a face, None where nobody looked for one.
    """

    person: str
    time_s: np.ndarray
    values: np.ndarray
    spread: np.ndarray
    rows_per_step: int
    best_s: list[np.ndarray]
    seen_s: np.ndarray | None

    def at(self, time_s: float) -> int | None:
        """The step at a time, None between steps."""
        step = int(np.searchsorted(self.time_s[:, 0], time_s, side="right")) - 1
        return step if step >= 0 and time_s < self.time_s[step, 1] else None


def tracks(answer: Answer, most: int = MAX_POINTS) -> list[Track]:
    """Everybody who is predicted or seen, in the order of the rows."""
    rows, faces = dict(shown(answer.rows)), {face.person: face for face in answer.faces}
    return [
        _track(answer, person, rows.get(person, []), faces.get(person), most)
        for person in dict.fromkeys([*rows, *faces])
    ]


def _track(answer: Answer, person: str, rows: Sequence[Row], face: Face | None, most: int) -> Track:
    time_s = np.array([(row.start_s, row.end_s) for row in rows], np.float64).reshape(-1, 2)
    values, spread = (
        np.array([getattr(row, name) for row in rows], np.float64).reshape(-1, len(answer.outputs))
        for name in ("values", "spread")
    )
    each = max(1, -(-len(rows) // most))
    if each > 1:
        runs = [0, *(np.flatnonzero(_gaps(time_s)) + 1), len(rows)]
        first = np.concatenate([np.arange(a, b, each) for a, b in pairwise(runs)])
        values, spread = finite_means(values, first), finite_means(spread, first)
        time_s = np.stack([time_s[first, 0], time_s[np.append(first[1:], len(rows)) - 1, 1]], axis=1)
    best = np.array([-1 if (k := winner(each_of)) is None else k for each_of in values])
    best_s = [] if answer.numbers else [joined(time_s[best == k]) for k in range(len(answer.outputs))]
    seen_s = None if face is None else joined(face.time_s[face.valid])
    return Track(person, time_s, values, spread, each, best_s, seen_s)


def _gaps(time_s: np.ndarray) -> np.ndarray:
    """(N - 1,) whether there is a gap between a stretch and the next."""
    return time_s[1:, 0] > time_s[:-1, 1] + TOUCHING_S


def joined(time_s: np.ndarray) -> np.ndarray:
    """(N, 2) stretches by start; those that touch become one."""
    if len(time_s) == 0:
        return np.zeros((0, 2))
    first = np.append(0, np.flatnonzero(_gaps(time_s)) + 1)
    return np.stack([time_s[first, 0], time_s[np.append(first[1:], len(time_s)) - 1, 1]], axis=1)


def pieces(track: Track, output: int) -> list[slice]:
    """The steps of a curve that follow each other without a gap."""
    finite = np.isfinite(track.values[:, output])
    cut = np.flatnonzero(_gaps(track.time_s) | (np.diff(finite.astype(int)) != 0)) + 1
    edges = [0, *cut.tolist(), len(finite)]
    return [slice(a, b) for a, b in pairwise(edges) if b > a and finite[a]]


def line_path(track: Track, output: int, high: float) -> str:
    """SVG path of a curve: x in seconds, y down from ``high``."""
    return "".join(
        f"M{_x(track.time_s[part.start, 0])} {_steps(track.time_s[part, 1], high - track.values[part, output])}"
        for part in pieces(track, output)
    )


def band_path(track: Track, output: int, low: float, high: float) -> str:
    """SVG path of the area one spread above and below a curve, within the limits."""
    upper = high - np.clip(track.values + track.spread, low, high)[:, output]
    lower = high - np.clip(track.values - track.spread, low, high)[:, output]
    return "".join(
        f"M{_x(track.time_s[part.start, 0])} {_steps(track.time_s[part, 1], upper[part])}"
        f"V{_steps(track.time_s[part, 0][::-1], lower[part][::-1])}Z"
        for part in pieces(track, output)
        if np.nanmax(track.spread[part, output]) > 0
    )


def _steps(to_s: np.ndarray, heights: np.ndarray) -> str:
    return "V".join(f"{_x(height)}H{_x(end_s)}" for end_s, height in zip(to_s, heights))


def blocks_path(time_s: np.ndarray) -> str:
    """SVG path of stretches of time as blocks of height 1."""
    return "".join(f"M{_x(a)} 0H{_x(b)}V1H{_x(a)}Z" for a, b in time_s)


def _x(number: float) -> str:
    return f"{number:.4f}".rstrip("0").rstrip(".")
