"""Supplied transcripts: ``<video>.tsv``, ``.vtt`` (WebVTT) or ``.srt`` beside the video or in ``<root>/transcripts``.

Times count from the first video frame. A tab-separated file has the columns word, start, end (seconds) and, for a word
of one person, segment_id; subtitle files time lines, or words where they say so. One that cannot be used is a finding,
and the words of its video come from elsewhere.
"""

import csv
import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from pipeline.corpora.captions import Caption, said
from pipeline.corpora.tree import below
from pipeline.names import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from pipeline.records import Finding, InputError, Segment, Unit

FOLDER = "transcripts"
_LANGUAGE = re.compile(r"\.[a-z]{2,3}([-_][a-z0-9]+)*?(?P<spoken>[-_]orig)?(\.(sdh|cc|hi|forced))?$", re.IGNORECASE)
Found = Mapping[str, Sequence[tuple[int, str]]]
COLUMNS = ("word", "start", "end")


@dataclass(frozen=True, slots=True)
class Cue:
    """Text that is said over ``[start_s, end_s)``: a word or a line."""

    text: str
    start_s: float
    end_s: float
    segment_id: str | None = None  # None: of everybody in the video


def transcripts_in(folder: Path) -> Found:
    """The transcripts of a folder by the name of their video: how surely each is its, 0 the most, and its own name.

    Its name is the video's, with the suffix in any case, or the video's with a language as ``clip.en.vtt``; of several
    languages the one that is said to be spoken (``en-orig``) comes first.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # it is not there, or nobody may look
        return {}
    stems = [os.path.splitext(name) for name in names]
    recordings = {stem for stem, suffix in stems if suffix.lower() in VIDEO_SUFFIXES + AUDIO_SUFFIXES}
    found = defaultdict(list)
    for name, (stem, suffix) in zip(names, stems):
        if suffix.lower() not in READERS:
            continue
        found[stem].append((0, name))
        language = _LANGUAGE.search(stem)
        if language and stem not in recordings:
            found[stem[: language.start()]].append((1 if language["spoken"] else 2, name))
    return found


def find_transcript(root: Path, video: str, look: Callable[[Path], Found] = transcripts_in) -> Path | None:
    """The transcript of a video, given by its path below ``root``; raises InputError where there are several.

    ``look`` is how to look into a folder; who asks for many videos gives one that remembers.
    """
    stem, found = Path(video).stem, []
    for folder in dict.fromkeys([(root / video).parent, root / FOLDER]):
        found += [(rank, folder / name) for rank, name in look(folder).get(stem, ())]
    found = [(rank, path) for rank, path in found if path.is_file()]
    best = [path for rank, path in found if rank == min(found)[0]]
    if len(best) > 1:
        names = ", ".join(below(root, p) for p in best)
        raise InputError(f"{video} has several transcripts: {names}; keep one of them")
    return best[0] if best else None


def read_cues(path: Path) -> list[Cue]:
    """What a transcript holds, in order of time; raises InputError that names file and line where it cannot be used."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: {'a folder' if path.is_dir() else 'a pipe or device'}, not a file; remove it")
    try:
        cues = list(READERS[path.suffix.lower()](path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}: not a tab-separated table ({error}); correct the file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); correct its permissions") from None
    return sorted(cues, key=lambda c: (c.start_s, c.end_s))


def check_transcripts(root: Path, units: Sequence[Unit], segments: Sequence[Segment]) -> list[Finding]:
    """A finding for each segment of a recording whose transcript cannot be used."""
    own = defaultdict(list)
    for segment in segments:
        own[segment.unit_id].append(segment.segment_id)
    findings = []
    for unit in units:
        if not unit.transcript:
            continue
        try:
            named = {cue.segment_id for cue in read_cues(root / unit.transcript)} - {None, *own[unit.unit_id]}
            reason = f"{unit.transcript} names segments that this recording does not have: {', '.join(sorted(named))}"
            reason += "; their words are nobody's" if named else ""
        except InputError as error:
            named = {unit.transcript}
            reason = f"the transcript supplied was not used: {error}".replace(f"{root}{os.sep}", "")
        if named:
            reason = shorten(reason, 300, placeholder=" ...")  # it may quote a file that is no text at all
            findings += [Finding(unit.unit_id, name, "text", "partial", reason) for name in own[unit.unit_id]]
    return findings


def _read_tsv(path: Path) -> Iterator[Cue]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise InputError(
                f"{path}: the first line is {reader.fieldnames}, expected the columns {', '.join(COLUMNS)}"
            )
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            try:
                start_s, end_s = float(row["start"]), float(row["end"])
            except (TypeError, ValueError):
                raise InputError(f"{where}: start {row['start']!r} and end {row['end']!r} must be seconds") from None
            found = _caption(row["word"] or "", start_s, end_s, where)
            yield Cue(found.text, found.start_s, found.end_s, row.get("segment_id") or None)


def _read_vtt(path: Path) -> Iterator[Cue]:
    import webvtt

    try:
        captions = webvtt.WebVTT.read(str(path), strict=True).captions
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError) as error:
        raise InputError(f"{path}: not WebVTT ({error}); correct the file") from None
    shown = []
    for n, caption in enumerate(captions, start=1):
        start_s, end_s = (t.in_seconds() + t.milliseconds / 1000 for t in (caption.start_time, caption.end_time))
        shown.append(_caption(caption.raw_text, start_s, end_s, f"{path}, cue {n}"))
    return (Cue(c.text, c.start_s, c.end_s) for c in said(shown))


def _read_srt(path: Path) -> Iterator[Cue]:
    import pysrt

    try:
        items = pysrt.open(str(path), encoding="utf-8-sig", error_handling=pysrt.SubRipFile.ERROR_RAISE)
    except pysrt.Error as error:
        raise InputError(f"{path}: not SubRip ({type(error).__name__}: {error}); correct the file") from None
    shown = []
    for n, item in enumerate(items, start=1):
        start_s, end_s = item.start.ordinal / 1000, item.end.ordinal / 1000
        shown.append(_caption(item.text, start_s, end_s, f"{path}, subtitle {n}"))
    return (Cue(c.text, c.start_s, c.end_s) for c in said(shown))


def _caption(text: str, start_s: float, end_s: float, where: str) -> Caption:
    """A caption; raises InputError where its times are no range."""
    if not (math.isfinite(start_s) and start_s < end_s < math.inf):
        raise InputError(f"{where}: {text!r} ends at {end_s} s, not after its start at {start_s} s; correct the file")
    return Caption(text, start_s, end_s)


READERS = {".tsv": _read_tsv, ".vtt": _read_vtt, ".srt": _read_srt}
