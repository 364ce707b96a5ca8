"""Long sound cut into pieces for a recogniser, and the words of the pieces joined.

Pieces meet where it is quietest, so that few words are cut, and each is transcribed with some of its neighbours, so
that a word at a seam is whole in at least one of them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from pipeline.log import log
from pipeline.registry import options
from pipeline.words.base import Recogniser, TimedWord

if TYPE_CHECKING:
    from pipeline.audio_file import AudioTrack

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
        end = count
        if count - start > most:
            middle = start + most // 2
            end = middle + _quietest(read(middle, start + most), rate_hz)
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


def join(pieces: Iterable[tuple[float, list[TimedWord]]]) -> Iterator[TimedWord]:
    """Join the words of overlapping pieces: (end of the core, words in order of time), times on one axis.

    A piece answers for the words whose middle lies before the end of its core, except those whose middle lies on or
    before the last word that the piece before it answered for: that one it has found again.
    """
    until_s = -np.inf
    for core_end_s, words in pieces:
        answered_s = until_s
        for word, start_s, end_s in words:
            if answered_s <= (start_s + end_s) / 2 < core_end_s:
                yield word, start_s, end_s
                until_s = max(until_s, min(end_s, core_end_s + SLACK_S))


@options
class PieceOptions:
    """How long sound is cut."""

    piece_s: float = Field(26.0, gt=2, description="length of the pieces; Whisper takes 30 s, context included")
    context_s: float = Field(
        1.5, ge=0.5, description="how much of its neighbours each piece holds, so that no word is cut in two"
    )


class PieceRecogniser(Recogniser):
    """A recogniser whose model takes some seconds at a time: long sound is cut, and the words of the pieces joined."""

    Config: ClassVar[type] = PieceOptions

    def transcribe_track(self, track: "AudioTrack") -> Iterator[TimedWord]:
        """Words of a whole track, with times in seconds from the unit's first frame."""
        pieces = cut(track.samples, len(track), track.sample_rate_hz, self.config.piece_s, self.config.context_s)
        return join(self._transcribe(track, piece) for piece in pieces)

    def _transcribe(self, track: "AudioTrack", piece: Piece) -> tuple[float, list[TimedWord]]:
        """End of the piece's core and its words, on the time axis of the unit."""
        rate_hz = track.sample_rate_hz
        begin_s = track.start_s + piece.first / rate_hz
        core_end_s = track.start_s + piece.core_end / rate_hz
        log.info("words: %s: transcribed up to %.0f s", track.segment_id, core_end_s)
        words = self.transcribe_speech(piece.samples, rate_hz)
        if piece.core_end == piece.first + len(piece.samples):  # the last piece answers for all that it found
            core_end_s = np.inf
        return core_end_s, [(word, begin_s + start_s, begin_s + end_s) for word, start_s, end_s in words]
