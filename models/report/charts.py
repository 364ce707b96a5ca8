"""Geometry of the charts: scales, ticks and paths. The templates draw them as SVG.

Positions along x are per cent of the width, so that a chart fills whatever room it has and its text keeps its size.
Lines live in a stretched box of ``BOX`` by ``BOX`` units; strokes do not stretch (vector-effect).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

import numpy as np

BOX = 1000
DOT_WIDTH, DOT_ROWS = 1.8, (0, 1, -1, 2, -2, 3, -3, 4, -4)  # dots of a swarm: per cent of the width; the middle first
Numbers = Sequence[float] | np.ndarray
Step = tuple[str, *tuple[float, ...]]
"""A command of SVG path data and where it leads: shares of the box from the left and from the top."""


def nice_step(span: float, count: int) -> float:
    """The step 1, 2 or 5 times a power of ten that cuts ``span`` into about ``count`` parts."""
    rough = span / max(1, count)
    power = 10.0 ** floor(log10(rough))
    return min((m * power for m in (1, 2, 5, 10)), key=lambda step: abs(log10(step / rough)))


@dataclass(frozen=True)
class Axis:
    """A linear scale from ``low`` to ``high`` with ticks on round numbers."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def covering(cls, values: Sequence[float], count: int = 5, pad: float = 0.04) -> "Axis":
        """An axis that holds all finite ``values`` with a little room beyond them."""
        found = [float(v) for v in values if v is not None and isfinite(v)] or [0.0, 1.0]
        low, high = min(found), max(found)
        span = (high - low) or abs(high) or 1.0
        low, high = low - pad * span, high + pad * span
        return cls.between(low, high, count)

    @classmethod
    def between(cls, low: float, high: float, count: int = 5) -> "Axis":
        """An axis with these very ends."""
        step = nice_step(high - low, count)
        first = int(np.ceil(low / step - 1e-9))
        last = int(np.floor(high / step + 1e-9))
        return cls(low, high, tuple(round(k * step, 10) + 0.0 for k in range(first, last + 1)))

    @property
    def step(self) -> float:
        """Distance of two ticks."""
        return self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else self.high - self.low

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high end; clipped to the axis."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def x(self, value: float) -> str:
        """Position from the left, in per cent."""
        return f"{self.share(value) * 100:.2f}%"

    def y(self, value: float) -> str:
        """Position from the top, in per cent: high values are up."""
        return f"{(1 - self.share(value)) * 100:.2f}%"

    def width(self, low: float, high: float) -> str:
        """Distance of two values along x, in per cent."""
        return f"{(self.share(high) - self.share(low)) * 100:.2f}%"

    def tick_text(self, value: float, factor: float = 1.0) -> str:
        """A tick's label with as many decimals as the step needs."""
        step = self.step * factor
        decimals = max(0, -floor(log10(step) + 1e-9)) if step > 0 else 0
        return f"{value * factor:.{decimals}f}".replace("-", "\u2212")


def path(x: Numbers, y: Numbers, x_axis: Axis, y_axis: Axis) -> list[Step]:
    """A line through points, with a gap where y is not finite."""
    steps: list[Step] = []
    pen_down = False
    for a, b in zip(x, y):
        if isfinite(b):
            steps.append(("L" if pen_down else "M", x_axis.share(a), 1 - y_axis.share(b)))
        pen_down = isfinite(b)
    return steps


def path_data(steps: Sequence[Step], box: tuple[float, float] = (BOX, BOX), decimals: int = 0) -> str:
    """SVG path data in a box, of the page unless said."""
    return "".join(
        command + " ".join(f"{share * size:.{decimals}f}" for share, size in zip(at, box)) for command, *at in steps
    )


def band(x: Numbers, low: Numbers, high: Numbers, x_axis: Axis, y_axis: Axis) -> list[Step]:
    """The area between two lines, cut where either is not finite."""
    out: list[Step] = []
    ok = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ok.view(np.int8), [0]])))
    for first, last in zip(edges[::2], edges[1::2]):
        there = path(x[first:last], high[first:last], x_axis, y_axis)
        (_, *low_end), *back = path(x[first:last][::-1], low[first:last][::-1], x_axis, y_axis)
        out += [*there, ("L", *low_end), *back, ("Z",)]
    return out


def block_means(values: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` means of consecutive values; NaN where a block holds none."""
    values = np.asarray(values, np.float64)
    if len(values) <= count:
        return values
    return finite_means(values, np.linspace(0, len(values), count, endpoint=False).round().astype(int))


def finite_means(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Means of the finite rows from each of ``first`` to the next; NaN where there is none."""
    finite = np.isfinite(values)
    sums = np.add.reduceat(np.where(finite, values, 0.0), first)
    counts = np.add.reduceat(finite.astype(np.float64), first)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def spread(count: int, at_most: int) -> np.ndarray:
    """Places of at most so many of ``count`` things, evenly over all of them."""
    return np.linspace(0, count - 1, min(count, at_most)).astype(int)


def swarm(values: Sequence[float], axis: Axis) -> list[tuple[str, int]]:
    """Place dots along an axis so that they do not cover each other: (x, row), rows counted from the middle.

    Where all rows are full at a place, dots overlap in the middle.
    """
    last: dict[int, float] = {}
    out = []
    for value in sorted(v for v in values if isfinite(v)):
        x = axis.share(value) * 100
        row = next((r for r in DOT_ROWS if x - last.get(r, -1e9) >= DOT_WIDTH), 0)
        last[row] = x
        out.append((f"{x:.2f}%", row))
    return out
