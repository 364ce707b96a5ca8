"""Where the words of a unit come from: a supplied transcript, forced alignment, the corpus's text, or a recogniser."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.corpora.iemocap_files import alignment_path
from pipeline.corpora.transcripts import find_transcript, read_cues
from pipeline.corpora.tree import read_text
from pipeline.log import log
from pipeline.records import InputError, Segment, Unit, Word
from pipeline.words.alignment import parse_alignment
from pipeline.words.text import spread

SUPPLIED = "transcript"
EVEN = "transcript_even"
Listen = Callable[[Segment], list[Word]]
"""Recognise the speech of a segment; gives no word where no recogniser is configured."""


def place_words(corpus: str, root: Path, unit: Unit, segments: Sequence[Segment], listen: Listen) -> list[Word]:
    """Words of one unit in order of time.

    A supplied transcript that can be used wins over everything. IEMOCAP turns have their own words, marked with the
    segment; the people of an Aff-Wild2 video share what is said in it, so its sound is heard once and the words are
    left unmarked.
    """
    words = _supplied(root, unit)
    if words is None and corpus == "iemocap":
        words = [word for segment in segments for word in _words_of_turn(root, segment, listen)]
    elif words is None:
        words = listen(max(segments, key=lambda s: s.duration_s)) if segments else []
    words = [replace(w, start_s=round(w.start_s, 6), end_s=round(w.end_s, 6)) for w in words]  # no 0.9600000000000001
    return sorted(words, key=lambda w: (w.start_s, w.end_s))


def read_transcript(path: Path) -> list[Word]:
    """Words of a supplied transcript; those of a line are spread over it. Raises InputError as ``read_cues`` does."""
    return [word for c in read_cues(path) for word in spread(c.text, c.start_s, c.end_s, SUPPLIED, c.segment_id)]


def _supplied(root: Path, unit: Unit) -> list[Word] | None:
    """Words of the supplied transcript; none where there is none that can be used, which the index stage has noted."""
    try:
        path = find_transcript(root, unit.video)
        return read_transcript(path) if path else None
    except InputError as error:
        log.warning("words: %s: %s; the transcript is not used", unit.unit_id, error)
        return None


def _words_of_turn(root: Path, segment: Segment, listen: Listen) -> list[Word]:
    path = alignment_path(root, segment.session, segment.segment_id)
    if path.is_file():
        try:
            return parse_alignment(read_text(path)[0], segment.start_s, segment.segment_id)
        except InputError as error:
            log.warning("words: %s: %s; the transcript is used instead", path.name, error)
    if segment.text:
        return spread(segment.text, segment.start_s, segment.end_s, EVEN, segment.segment_id)
    return [replace(word, segment_id=segment.segment_id) for word in listen(segment)]
