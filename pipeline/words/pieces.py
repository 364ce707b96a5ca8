"""Long sound cut into pieces for a recogniser, and the words of the pieces joined.

Pieces meet where it is quietest, so that few words are cut, and each is heard with some sound of its neighbours, so
that a word at a seam is whole in at least one of them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

HOP_S = 0.02
QUIET_S = 0.2
SLACK_S = 0.25  # a word said to reach further over a seam is a wrong time, not a long word


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch ``[core_start, core_end)`` of sound with its neighbourhood; all three numbers count samples."""

    first: int  # sample where the neighbourhood begins
    core_start: int
    core_end: int
    samples: np.ndarray


def cut(
    read: Callable[[int, int], np.ndarray], count: int, rate_hz: int, most_s: float, context_s: float
) -> Iterator[Piece]:
    """Cut ``count`` samples, of which ``read(first, last)`` gives a block, into cores of at most ``most_s`` seconds.

    The cores follow each other without gap; each ends at the quietest place of its second half. No more than one
    piece and ``context_s`` on both sides is held at a time.
    """
    most, context = round(most_s * rate_hz), round(context_s * rate_hz)
    start = 0
    while start < count:
        end = (
            count
            if count - start <= most
            else start + most // 2 + _quietest(read(start + most // 2, start + most), rate_hz)
        )
        first, last = max(0, start - context), min(count, end + context)
        yield Piece(first, start, end, read(first, last))
        start = end


def _quietest(samples: np.ndarray, rate_hz: int) -> int:
    """Middle of the quietest stretch, in samples; the latest of equally quiet ones."""
    hop = round(HOP_S * rate_hz)
    width = round(QUIET_S / HOP_S)
    hops = len(samples) // hop
    power = np.square(samples[: hops * hop], dtype=np.float64).reshape(hops, hop).mean(axis=1)
    if hops <= width:
        return len(samples)
    stretch = np.convolve(power, np.ones(width), "valid")
    return (len(stretch) - 1 - int(np.argmin(stretch[::-1])) + width // 2) * hop


Heard = tuple[str, float, float]
"""A word with its start and end in seconds."""


def join(pieces: Iterable[tuple[float, list[Heard]]]) -> Iterator[Heard]:
    """Join what was heard in overlapping pieces: (end of the core, words in order of time), times on one axis.

    A piece answers for the words whose middle lies before the end of its core, except those whose middle lies on or
    before the last word that the piece before it answered for: that one it heard again.
    """
    until_s = -np.inf
    for core_end_s, words in pieces:
        answered_s = until_s
        for word, start_s, end_s in words:
            if answered_s <= (start_s + end_s) / 2 < core_end_s:
                yield word, start_s, end_s
                until_s = max(until_s, min(end_s, core_end_s + SLACK_S))
