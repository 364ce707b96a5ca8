"""Supplied transcripts: ``<video>.tsv``, ``.vtt`` (WebVTT) or ``.srt`` beside the video or in ``<root>/transcripts``.

For ``talks/01.mp4``, ``transcripts/talks/01.vtt`` comes before ``transcripts/01.vtt``, which others could claim, too,
and ``01.en.vtt`` is its own only where no recording is called ``01.en``.
Times count from the first video frame. A tab-separated file has the columns word, start, end (seconds) and, for a word
of one person, segment_id; subtitle files time lines, or words where they say so. One that cannot be used is a finding,
and the words of its video come from elsewhere.
"""

import csv
import io
import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import shorten

from pipeline.corpora.captions import Cue, read_captions, with_speakers, without_repeats
from pipeline.corpora.tree import HEADER_BYTES, below, lines, read_text, read_unicode
from pipeline.files import what_lies_at
from pipeline.names import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from pipeline.records import Finding, InputError, Segment, Unit, by_unit

FOLDER = "transcripts"
_LANGUAGE = re.compile(r"\.[a-z]{2,3}([-_][a-z0-9]+)*?(?P<spoken>[-_]orig)?(\.(sdh|cc|hi|forced))?$", re.IGNORECASE)
Found = Mapping[str, Sequence[tuple[int, str]]]
COLUMNS = ("word", "start", "end")


def transcripts_in(folder: str) -> Found:
    """The transcripts of a folder by the name of their video: how surely each is of it, 0 the most, and its own name.

    Its name is the video's, with the suffix in any case, or the video's with a language as ``clip.en.vtt``; of several
    languages the one that is said to be spoken (``en-orig``) comes first.
    """
    names = _names_in(folder)
    recordings, found = recordings_of(names), defaultdict(list)
    for name in filter(is_transcript, names):
        stem = os.path.splitext(name)[0]
        found[stem].append((0, name))
        language = _LANGUAGE.search(stem)
        if language and stem not in recordings:
            found[stem[: language.start()]].append((1 if language["spoken"] else 2, name))
    return found


def _names_in(folder: str) -> list[str]:
    """Names in a folder, sorted; none where it is not there, or nobody may look."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def recordings_of(names: Iterable[str]) -> set[str]:
    """Names of the files that are recordings, without their suffix."""
    parts = map(os.path.splitext, names)
    return {stem for stem, suffix in parts if suffix.lower() in VIDEO_SUFFIXES + AUDIO_SUFFIXES}


def folder_of_own(recordings: str) -> str | None:
    """The folder of transcripts for recordings of one folder below the root alone; None for what lies elsewhere."""
    elsewhere = recordings.startswith("/") or recordings.split("/")[0] == ".."
    return None if elsewhere else os.path.normpath(f"{FOLDER}/{recordings}")


def find_transcript(
    root: Path,
    video: str,
    look: Callable[[str], Found] = transcripts_in,
    recordings: Collection[str] | None = None,
    is_other: Callable[[Path], bool] = lambda path: False,
) -> Path | None:
    """The transcript of a video, given by its path below ``root``; raises InputError where there are several.

    ``look`` is how to look into a folder; whoever asks for many videos passes one that remembers. ``recordings`` are
    the names, without suffix, of all that may have transcripts of their own; None: of all beside the video. What
    ``is_other`` says of a file is known to be something else.
    """
    folder, name = os.path.split(video)
    stem = os.path.splitext(name)[0]
    beside, fuller, general = (os.path.join(root, x) for x in (folder, folder_of_own(folder) or FOLDER, FOLDER))
    supplied = fuller if look(fuller).get(stem) else general
    found = [(rank, Path(x, own)) for x in dict.fromkeys([beside, supplied]) for rank, own in look(x).get(stem, ())]
    if not found:
        return None
    recordings = recordings_of(_names_in(beside)) if recordings is None else recordings
    found = [(rank, path) for rank, path in found if path.is_file() and not (rank and path.stem in recordings)]
    found = [(rank, path) for rank, path in found if not is_other(path)]
    best = [path for rank, path in found if rank == min(found)[0]]
    if len(best) > 1:
        names = ", ".join(below(root, p) for p in best)
        raise InputError(f"{video} has several transcripts: {names}; keep one of them")
    return best[0] if best else None


def read_cues(path: Path, whole: bool = False) -> list[Cue]:
    """What a transcript holds, in order of time, captions ``whole`` or by the times of their words.

    Raises InputError that names file and line where it cannot be used.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: {what_lies_at(path)}, not a file; remove it")
    if not is_transcript(path.name):
        raise InputError(f"{path}: only {', '.join(READERS)} are read; save it as one of these")
    try:
        cues = list(READERS[path.suffix.lower()](path, read_unicode(path), whole))
    except UnicodeDecodeError as error:  # nobody can know what it is instead, and a wrong guess makes other words
        raise InputError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}: not a tab-separated table ({error}); correct the file") from None
    return sorted(cues, key=lambda c: (c.start_s, c.end_s))


def is_other_table(path: Path, root: Path) -> bool:
    """Whether a file is a ``.tsv`` whose first line has not the columns of a transcript.

    Not in ``transcripts``: who laid it there meant one.
    """
    if path.suffix.lower() != ".tsv" or below(root, path).startswith(f"{FOLDER}/"):
        return False
    try:
        text, _ = read_text(path, HEADER_BYTES)
    except InputError:  # said where it is read
        return False
    names = lines(text)[0].split("\t")
    return not set(COLUMNS) <= {name.strip().strip('"').strip().lower() for name in names}


def check_transcripts(root: Path, units: Sequence[Unit], segments: Sequence[Segment]) -> list[Finding]:
    """A finding for each segment that takes its words from a transcript which cannot be used."""
    segments_of = by_unit(segments)
    findings = []
    for unit in (unit for unit in units if unit.transcript):
        known = {segment.segment_id for segment in segments_of[unit.unit_id]}
        try:
            named = {cue.segment_id for cue in read_cues(root / unit.transcript)} - {None, *known}
            reason = f"{unit.transcript} names segments that this recording does not have: {', '.join(sorted(named))}"
            reason += "; their words are nobody's" if named else ""
        except InputError as error:
            named = {unit.transcript}
            reason = f"the transcript supplied was not used: {error}"
        if named:
            findings += unusable(segments_of[unit.unit_id], in_short(reason, root))
    return findings


def unusable(segments: Iterable[Segment], reason: str) -> list[Finding]:
    """A finding for each segment without words of its own, which lacks those of a transcript."""
    without = (segment for segment in segments if not _has_words(segment))
    return [Finding(segment.unit_id, segment.segment_id, "text", "partial", reason) for segment in without]


def _has_words(segment: Segment) -> bool:
    return bool(segment.text or segment.alignment)


def not_used(unit: Unit, segments: Sequence[Segment]) -> str:
    """What is said of a transcript that is not used for segments which have words of their own; empty where it is."""
    own = sum(map(_has_words, segments))
    words = f"{unit.transcript} is not used for {own} of {len(segments)} segments, which have words of their own"
    return words if unit.transcript and own else ""


def in_short(reason: str | InputError, root: Path) -> str:
    """What is said of a file below ``root``, of which it may quote anything, even what is not text at all."""
    return shorten(str(reason).replace(f"{root}{os.sep}", ""), 300, placeholder=" ...")


def _read_tsv(path: Path, text: str, whole: bool) -> Iterator[Cue]:
    quoted = text.startswith('"')  # else words may begin with a quote
    stream = io.StringIO(text, newline="")
    reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    reader.fieldnames = header = [name.strip().lower() for name in reader.fieldnames or ()]
    if not set(COLUMNS) <= set(header) or len(set(header)) < len(header):
        raise InputError(f"{path}: the first line is {header}, expected the columns {', '.join(COLUMNS)} once each")
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        try:
            start_s, end_s = (float(row[name].replace(",", ".")) for name in ("start", "end"))
        except (AttributeError, ValueError):
            raise InputError(f"{where}: start {row['start']!r} and end {row['end']!r} must be seconds") from None
        yield _checked(Cue(row["word"] or "", start_s, end_s, row.get("segment_id") or None), where)


def _read_captions(path: Path, text: str, whole: bool) -> Iterator[Cue]:
    try:
        found = list(read_captions(text))
    except ValueError as error:
        raise InputError(f"{path}, {error}; correct the file") from None
    if not found and text.strip() and not text.startswith("WEBVTT"):
        kind = {".vtt": "WebVTT", ".srt": "SubRip"}[path.suffix.lower()]
        raise InputError(f"{path}: not {kind}: no line such as 00:00:01.000 --> 00:00:02.500; correct the file")
    captions = with_speakers([_checked(cue, f"{path}, line {line}") for line, cue in found])
    return iter(without_repeats(captions, whole))


def _checked(cue: Cue, where: str) -> Cue:
    """The same cue; raises InputError where its times are not a range."""
    if not -math.inf < cue.start_s < cue.end_s < math.inf:
        times = f"ends at {cue.end_s} s, not after its start at {cue.start_s} s"
        raise InputError(f"{where}: {cue.text!r} {times}; correct the file")
    return cue


READERS = {".tsv": _read_tsv, ".vtt": _read_captions, ".srt": _read_captions}


def is_transcript(name: str) -> bool:
    """Whether a file of this name is read as a transcript."""
    return os.path.splitext(name)[1].lower() in READERS
