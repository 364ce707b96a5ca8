"""Supplied transcripts: ``<video>.tsv``, ``.vtt`` (WebVTT) or ``.srt`` beside the video or in ``<root>/transcripts``.

Times count from the first video frame. A tab-separated file has the columns word, start, end (seconds) and, for a word
of one person, segment_id; subtitle files time whole lines. One that cannot be used is a finding, and the words of its
video come from elsewhere.
"""

import csv
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from pipeline.corpora.tree import Folders, below
from pipeline.records import Finding, InputError, Segment, Unit

FOLDER = "transcripts"
COLUMNS = ("word", "start", "end")


@dataclass(frozen=True, slots=True)
class Cue:
    """Text that is said over ``[start_s, end_s)``: a word or a line."""

    text: str
    start_s: float
    end_s: float
    segment_id: str | None = None  # None: of everybody in the video


def find_transcript(root: Path, video: str, folders: Folders | None = None) -> Path | None:
    """The transcript of a video, given by its path below ``root``; raises InputError where there are several."""
    folders = folders or Folders()
    path = os.path.join(root, video)
    stem = os.path.splitext(os.path.basename(path))[0]
    found = []
    for place in dict.fromkeys((os.path.dirname(path), os.path.join(root, FOLDER))):
        names = folders.names(place)
        found += [Path(place, names[stem + suffix]) for suffix in READERS if stem + suffix in names]
    if len(found) > 1:
        several = ", ".join(below(root, p) for p in found)
        raise InputError(f"{video} has several transcripts: {several}; keep one of them")
    return found[0] if found else None


def read_cues(path: Path) -> list[Cue]:
    """What a transcript holds, in order of time; raises InputError that names file and line where it cannot be used."""
    try:
        cues = list(READERS[path.suffix](path))
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
            read_cues(root / unit.transcript)
        except InputError as error:
            reason = f"the transcript supplied was not used: {error}".replace(f"{root}{os.sep}", "")
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
            yield _cue(row["word"] or "", start_s, end_s, where, row.get("segment_id") or None)


def _read_vtt(path: Path) -> Iterator[Cue]:
    import webvtt

    try:
        captions = webvtt.WebVTT.read(str(path), strict=True).captions
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError) as error:
        raise InputError(f"{path}: not WebVTT ({error}); correct the file") from None
    for n, caption in enumerate(captions, start=1):
        start_s, end_s = (t.in_seconds() + t.milliseconds / 1000 for t in (caption.start_time, caption.end_time))
        yield _cue(caption.text, start_s, end_s, f"{path}, cue {n}")


def _read_srt(path: Path) -> Iterator[Cue]:
    import pysrt

    try:
        items = pysrt.open(str(path), encoding="utf-8-sig", error_handling=pysrt.SubRipFile.ERROR_RAISE)
    except pysrt.Error as error:
        raise InputError(f"{path}: not SubRip ({type(error).__name__}: {error}); correct the file") from None
    for n, item in enumerate(items, start=1):
        start_s, end_s = item.start.ordinal / 1000, item.end.ordinal / 1000
        yield _cue(item.text_without_tags, start_s, end_s, f"{path}, subtitle {n}")


def _cue(text: str, start_s: float, end_s: float, where: str, segment_id: str | None = None) -> Cue:
    if not (math.isfinite(start_s) and start_s < end_s < math.inf):
        raise InputError(f"{where}: {text!r} ends at {end_s} s, not after its start at {start_s} s; correct the file")
    return Cue(text, start_s, end_s, segment_id)


READERS = {".tsv": _read_tsv, ".vtt": _read_vtt, ".srt": _read_srt}
