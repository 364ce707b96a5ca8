"""From what a recogniser finds in a track to words of the unit, and what becomes of a recording on which it fails."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.log import log
from pipeline.records import Finding, Segment, Word
from pipeline.words.base import Recogniser
from pipeline.words.text import spread

if TYPE_CHECKING:
    from pipeline.audio_file import AudioTrack

SOURCE = "recogniser"
SHORTEST_WORD_S = 0.02
NOT_OF_A_RECORDING = (MemoryError, OSError)  # of this machine or of our files: another try may go well
OUT_OF_MEMORY = "out of memory"  # how PyTorch and CTranslate2 say so


def recognise(recogniser: Recogniser, track: "AudioTrack") -> Iterator[Word]:
    """Words of one track in order of time, in seconds from the unit's first frame, whose segment is left open."""
    last_s = track.start_s + track.duration_s
    for text, start_s, end_s in recogniser.transcribe_track(track):
        start_s = max(track.start_s, min(start_s, last_s - SHORTEST_WORD_S))
        end_s = min(max(end_s, start_s + SHORTEST_WORD_S), last_s)
        yield from spread(text, start_s, end_s, SOURCE)


def transcriber(
    recogniser: Recogniser, track_of: Callable[[str], "AudioTrack"], failed: list[Finding]
) -> Callable[[Sequence[Segment]], list[Word]]:
    """What transcribes segments that share a stretch of sound; where it fails, it adds why to ``failed``: no words.

    Raises what is no fault of the sound: memory or a file that gives out.
    """

    def transcribe(group: Sequence[Segment]) -> list[Word]:
        track = track_of(group[0].segment_id)
        try:
            return list(recognise(recogniser, track))
        except Exception as error:  # a plug is anybody's code
            if isinstance(error, NOT_OF_A_RECORDING) or OUT_OF_MEMORY in str(error).lower():
                raise
            reason = f"{recogniser.called()} failed: {' '.join(f'{type(error).__name__}: {error}'.split())[:200]}"
        log.warning("words: %s: %s; it has no words", group[0].segment_id, reason)
        failed.extend(Finding(s.unit_id, s.segment_id, "text", "absent", reason, 0.0) for s in group)
        return []

    return transcribe
