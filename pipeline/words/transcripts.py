"""Supplied transcripts: ``<video>.tsv``, ``.vtt`` (WebVTT) or ``.srt`` beside the video or in ``<root>/transcripts``.

Times count from the first video frame. A tab-separated file has the columns word, start, end (seconds) and, for a word
of one person, segment_id; subtitle files time whole lines, over which the words are spread by their length.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from pipeline.records import InputError, Word
from pipeline.words.text import spread

SOURCE = "transcript"
FOLDER = "transcripts"
COLUMNS = ("word", "start", "end")


def find_transcript(root: Path, video: str) -> Path | None:
    """The transcript of a video, given by its path below ``root``; raises InputError where there are several."""
    video_path = root / video
    folders = (video_path.parent, root / FOLDER)
    # not with_suffix: names of videos may hold dots
    found = [f / f"{video_path.stem}{suffix}" for f in folders for suffix in READERS]
    found = [path for path in found if path.is_file()]
    if len(found) > 1:
        names = ", ".join(str(p.relative_to(root)) for p in found)
        raise InputError(f"{video} has several transcripts: {names}; keep one of them")
    return found[0] if found else None


def read_transcript(path: Path) -> list[Word]:
    """Words in order of time; raises InputError that names file and line where the file cannot be used."""
    try:
        words = list(READERS[path.suffix](path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    return sorted(words, key=lambda w: (w.start_s, w.end_s))


def _read_tsv(path: Path) -> Iterator[Word]:
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
            yield from _words(row["word"], start_s, end_s, where, row.get("segment_id") or None)


def _read_vtt(path: Path) -> Iterator[Word]:
    import webvtt

    try:
        captions = webvtt.WebVTT.read(str(path), strict=True).captions
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError) as error:
        raise InputError(f"{path}: not WebVTT ({error}); correct the file") from None
    for n, caption in enumerate(captions, start=1):
        start_s, end_s = (t.in_seconds() + t.milliseconds / 1000 for t in (caption.start_time, caption.end_time))
        yield from _words(caption.text, start_s, end_s, f"{path}, cue {n}")


def _read_srt(path: Path) -> Iterator[Word]:
    import pysrt

    try:
        items = pysrt.open(str(path), encoding="utf-8-sig", error_handling=pysrt.SubRipFile.ERROR_RAISE)
    except pysrt.Error as error:
        raise InputError(f"{path}: not SubRip ({type(error).__name__}: {error}); correct the file") from None
    for n, item in enumerate(items, start=1):
        start_s, end_s = item.start.ordinal / 1000, item.end.ordinal / 1000
        yield from _words(item.text_without_tags, start_s, end_s, f"{path}, subtitle {n}")


def _words(text: str, start_s: float, end_s: float, where: str, segment_id: str | None = None) -> list[Word]:
    if not (math.isfinite(start_s) and start_s < end_s < math.inf):
        raise InputError(f"{where}: {text!r} ends at {end_s} s, not after its start at {start_s} s; correct the file")
    return spread(text, start_s, end_s, SOURCE, segment_id)


READERS = {".tsv": _read_tsv, ".vtt": _read_vtt, ".srt": _read_srt}
