"""Where the words of a unit come from: forced alignment, the corpus's text, a supplied transcript, or a recogniser.

A recogniser that fails on a recording costs the words of that recording alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.corpora.transcripts import read_cues
from pipeline.corpora.tree import read_text
from pipeline.log import log
from pipeline.records import Finding, InputError, Segment, Unit, Word
from pipeline.spoken import SpokenWords
from pipeline.words.alignment import parse_alignment
from pipeline.words.base import Recogniser, timed
from pipeline.words.text import as_written, spread

if TYPE_CHECKING:
    from pipeline.audio_file import AudioTrack

SUPPLIED = "transcript"
EVEN = "transcript_even"
RECOGNISED = "recogniser"
SHORTEST_WORD_S = 0.02
NOT_OF_A_RECORDING = (MemoryError, OSError)  # errors of this machine or of our files: another try may succeed
OUT_OF_MEMORY = "out of memory"  # how PyTorch and CTranslate2 say so
Recognise = Callable[[Sequence[Segment]], list[Word]]
"""Recognise the speech of segments that share a stretch of sound; no word where no recogniser is configured."""


def place_words(root: Path, unit: Unit, segments: Sequence[Segment], recognise: Recognise) -> list[Word]:
    """Words of one unit in order of time.

    A segment with an alignment or a text has its own words, marked with the segment. The others have those of the
    supplied transcript, marked where any segment has its own. Without one that can be used they are recognised:
    segments that share one stretch of sound, such as two people of one video, are transcribed once, and their words
    are left unmarked.
    """
    own = {s.segment_id: found for s in segments if (found := _written(root, s)) is not None}
    words = [word for found in own.values() for word in found]
    rest = [segment for segment in segments if segment.segment_id not in own]
    supplied = _supplied(root, unit) if rest or not own else []
    if supplied is None:
        words += [word for group in _by_sound(rest) for word in _recognised(group, segments, recognise)]
    elif own:
        spoken = SpokenWords(supplied)
        words += [replace(w, segment_id=s.segment_id) for s in rest for w in spoken.of(s)]
    else:
        words = supplied
    words = [
        replace(w, unit_id=unit.unit_id, start_s=round(w.start_s, 6), end_s=round(w.end_s, 6))  # no 0.9600000000000001
        for w in words
    ]
    return sorted(words, key=lambda w: (w.start_s, w.end_s))


def read_transcript(path: Path) -> list[Word]:
    """Words of a supplied transcript; those of a line are spread over it. Raises InputError as ``read_cues`` does."""
    return [word for c in read_cues(path) for word in spread(c.text, c.start_s, c.end_s, SUPPLIED, c.segment_id)]


def _supplied(root: Path, unit: Unit) -> list[Word] | None:
    """Words of the supplied transcript; none where there is none that can be used, which the index stage has noted."""
    if not unit.transcript:
        return None
    try:
        return read_transcript(root / unit.transcript)
    except InputError as error:
        log.warning("words: %s: %s; the transcript is not used", unit.unit_id, error)
        return None


def _by_sound(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Segments by the stretch of sound that they share."""
    groups: dict[tuple, list[Segment]] = {}
    for segment in segments:
        groups.setdefault((segment.audio, segment.start_s, segment.end_s), []).append(segment)
    return list(groups.values())


def _recognised(group: Sequence[Segment], segments: Sequence[Segment], recognise: Recognise) -> list[Word]:
    """Words of those of the segments that share a stretch of sound and have none written."""
    words = recognise(group)
    if len(group) == len(segments) > 1:
        return words  # everybody's
    return [replace(word, segment_id=segment.segment_id) for segment in group for word in words]


def _written(root: Path, segment: Segment) -> list[Word] | None:
    """Words of a segment from its alignment or, where that has none, its text; None where it has neither."""
    if segment.alignment:
        try:
            words = parse_alignment(read_text(root / segment.alignment)[0], segment.start_s, segment.segment_id)
            if words or not segment.text:
                return as_written(words, segment.text or "")
        except InputError as error:
            log.warning("words: %s: %s; the transcript is used instead", segment.alignment, error)
    if segment.text:
        return spread(segment.text, segment.start_s, segment.end_s, EVEN, segment.segment_id)
    return None


def recognise(recogniser: Recogniser, track: "AudioTrack") -> Iterator[Word]:
    """Words of one track in order of time, in seconds from the unit's first frame, whose segment is left open."""
    last_s = track.start_s + track.duration_s
    for text, start_s, end_s in timed(recogniser.transcribe_track(track)):
        start_s = max(track.start_s, min(start_s, last_s - SHORTEST_WORD_S))
        end_s = min(max(end_s, start_s + SHORTEST_WORD_S), last_s)
        yield from spread(text, start_s, end_s, RECOGNISED)


def transcriber(
    recogniser: Recogniser, track_of: Callable[[str], "AudioTrack"], failed: list[Finding]
) -> Callable[[Sequence[Segment]], list[Word]]:
    """What transcribes segments that share a stretch of sound; where it fails, it adds why to ``failed``: no words.

    Raises what is not the sound's fault: memory or a file that gives out.
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
