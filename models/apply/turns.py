"""When something is said of a recording: speech turns by voice activity, windows, or the times of a file."""

import math
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from pipeline.corpora.readers.table.file import TableFile, number
from pipeline.corpora.transcripts import read_cues
from pipeline.log import log
from pipeline.records import InputError, Picture, Side
from pipeline.sound import read_audio
from pipeline.timebase import SAMPLE_RATE_HZ
from pipeline.words.voice import voiced

STRETCH_S = 600.0  # sound that is looked through for speech at once, which bounds memory
LONGEST_TURN_S = 15.0  # speech without a pause is cut there at its shortest silences, by the library
WINDOW_S = 5.0  # where nobody speaks, and nobody chose
USED = ("start_s", "end_s", "video", "person", "speaker", "side", "picture", "text")  # columns of a table of times


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a recording of which something is to be said, and whose it is."""

    start_s: float
    end_s: float
    person: str | None = None
    side: Side | None = None
    picture: Picture | None = None
    text: str | None = None


def windows(end_s: float, window_s: float, hop_s: float) -> list[Span]:
    """Windows over a recording; the last one ends with it, a little shorter or longer than the others.

    Where windows have gaps between them, the last one may end before the recording does, with its full length.
    """
    little_s = min(window_s, hop_s) / 2
    starts = np.arange(0.0, max(end_s - window_s + little_s, 1e-9), hop_s)
    found = [Span(float(start_s), float(min(start_s + window_s, end_s))) for start_s in starts]
    if end_s - found[-1].end_s <= little_s:
        found[-1] = Span(found[-1].start_s, end_s)
    return found


def speech(path: Path, end_s: float) -> list[Span]:
    """The stretches in which somebody speaks, up to ``end_s``; none in silence, noise and music.

    Silero's network, whose weights come with faster-whisper, looks at ten minutes at once. Raises MediaError where the
    recording has no sound.
    """
    found: list[Span] = []
    for start_s, samples in _stretches(path, end_s):
        for own_s in voiced(samples, SAMPLE_RATE_HZ, LONGEST_TURN_S, shortest_s=0.0).tolist():
            begin_s, stop_s = (max(0.0, start_s + time_s) for time_s in own_s)
            stop_s = min(stop_s, end_s)
            if found and begin_s <= found[-1].end_s and stop_s - found[-1].start_s <= LONGEST_TURN_S:
                begin_s = found.pop().start_s  # one turn over the seam of two stretches
            if stop_s > begin_s:
                found.append(Span(begin_s, stop_s))
    return found


def _stretches(path: Path, end_s: float) -> Iterator[tuple[float, np.ndarray]]:
    """The sound in stretches of at most STRETCH_S, each with the time of its first sample; gaps are zeros."""
    length, begin, end = round(STRETCH_S * SAMPLE_RATE_HZ), 0, round(end_s * SAMPLE_RATE_HZ)
    stretch = np.zeros(length, np.float32)
    for start_s, samples in read_audio(path):
        first = round(start_s * SAMPLE_RATE_HZ)
        samples, first = samples[max(0, -first) : max(0, end - first)], max(0, first)
        while len(samples):
            at = max(0, first - begin)
            if at >= length:
                yield begin / SAMPLE_RATE_HZ, stretch
                stretch, begin = np.zeros(length, np.float32), begin + length
                continue
            part = samples[: length - at]
            stretch[at : at + len(part)] = part
            first, samples = first + len(part), samples[len(part) :]
    yield begin / SAMPLE_RATE_HZ, stretch[: end - begin]


def read_spans(path: Path, recordings: list[Path]) -> dict[Path, list[Span]]:
    """The times that a file gives for each recording: CSV or TSV, SRT or VTT, or RTTM.

    Raises InputError where the file cannot be used, is of another kind, or does not say of which recording it speaks:
    it names none, one of its names fits several, or no name fits any.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".tsv", ".srt", ".vtt", ".rttm"):
        raise InputError(f"--segments {path}: is none of .csv, .tsv, .srt, .vtt and .rttm")
    if not path.is_file():
        raise InputError(f"--segments {path}: there is no such file")
    try:
        if kind == ".rttm":
            pairs = list(_read_rttm(path))
        elif kind in (".srt", ".vtt"):
            cues = read_cues(path, whole=True)
            pairs = [(None, Span(c.start_s, c.end_s, c.speaker, text=c.text)) for c in cues]
        else:
            pairs = list(_read_table(path))
    except UnicodeDecodeError as error:
        raise InputError(f"--segments {path}: cannot be read as text ({error}); save it as UTF-8") from None
    if any(name is None for name, _ in pairs) and len(recordings) > 1:
        raise InputError(
            f"--segments {path}: does not say which of {len(recordings)} recordings it is about; give one recording, "
            "or a CSV with a column video"
        )
    meant = _meant(path, list(dict.fromkeys(name for name, _ in pairs if name is not None)), recordings)
    return {
        recording: [span for name, span in pairs if name is None or meant.get(name) == recording]
        for recording in recordings
    }


def _meant(path: Path, names: Sequence[str], recordings: Sequence[Path]) -> dict[str, Path]:
    """The recording that each name means, as far as it means one."""
    fitting = {name: _fitting(name, recordings) for name in names}
    if several := next((name for name in names if len(fitting[name]) > 1), None):
        raise InputError(
            f"--segments {path}: {several} may be any of {', '.join(map(str, fitting[several]))}; give enough of its "
            "path to tell them apart"
        )
    strange = [name for name in names if not fitting[name]]
    said = ", ".join(strange[:3]) + (f" and {len(strange) - 3} more" if len(strange) > 3 else "")
    if names and len(strange) == len(names):
        raise InputError(
            f"--segments {path}: names {said}, which is none of the recordings given; name them by file, or by the "
            "last parts of their path"
        )
    if strange:
        log.warning("--segments %s: also names %s, for which no recording was given", path, said)
    return {name: fitting[name][0] for name in names if fitting[name]}


def _fitting(name: str, recordings: Sequence[Path]) -> list[Path]:
    """The recordings whose path is the name, or, where none is, ends with it; the suffix may be left out."""
    asked, fitting = _composed(os.path.normpath(name)).parts, dict[int, list[Path]]()
    last = tuple(part for part in asked if part != os.pardir)
    for recording in recordings:
        given, whole = _composed(os.path.normpath(recording)), _composed(os.path.abspath(recording))
        forms = [(*path.parts[:-1], end) for path in (given, whole) for end in (path.name, path.stem)]
        fits = [asked == forms[0], asked == forms[1], *(last == form[-len(last) :] for form in forms[2:])]
        if any(fits):
            fitting.setdefault(fits.index(True), []).append(recording)
    return fitting[min(fitting)] if fitting else []


def _composed(path: str) -> Path:
    """The path with accents as spreadsheets write them (NFC): macOS takes them apart."""
    return Path(unicodedata.normalize("NFC", path))


def _read_rttm(path: Path) -> Iterator[tuple[str | None, Span]]:
    """Speaker turns as NIST's RTTM writes them: SPEAKER, file, channel, onset, duration, two fields, name."""
    for count, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        if len(fields) < 8:
            raise InputError(f"{path}, line {count}: has {len(fields)} fields, expected at least 8; correct the file")
        start_s, lasts_s = _seconds(fields[3], path, count), _seconds(fields[4], path, count)
        yield fields[1], _span(start_s, start_s + lasts_s, path, count, person=fields[7])


def _read_table(path: Path) -> Iterator[tuple[str | None, Span]]:
    """Rows of start_s and end_s, and of other columns of USED where there are such; a table as corpora have them."""
    table = TableFile(path, {}, targets=["person"], missing=())  # somebody may be called Null
    columns = [*table.columns, *table.unused]
    if not {"start_s", "end_s"} <= set(columns):
        raise InputError(f"--segments {path}: has {', '.join(columns) or 'no columns'}; start_s and end_s are needed")
    if unused := [name for name in columns if name not in USED]:
        log.info("--segments %s: columns that mean nothing here: %s", path, ", ".join(unused))
    if table.note:
        log.warning("--segments %s: %s", path, table.note)
    for row in table.rows:
        if isinstance(row, InputError):
            raise row
        cells = row.cells
        start_s, end_s = (_seconds(cells.get(key), path, row.line) for key in ("start_s", "end_s"))
        own: dict[str, Any] = {key: cells.get(key) for key in ("side", "picture", "text")}
        person = cells.get("person", cells.get("speaker"))
        yield cells.get("video"), _span(start_s, end_s, path, row.line, person=person, **own)


def _seconds(text: str | None, path: Path, line: int) -> float:
    try:
        return number(text or "")
    except ValueError:
        raise InputError(f"{path}, line {line}: {text!r} is not a number of seconds; correct the file") from None


def _span(start_s: float, end_s: float, path: Path, line: int, **own: Any) -> Span:
    if not (math.isfinite(end_s) and 0 <= start_s < end_s):
        raise InputError(f"{path}, line {line}: {start_s:g} to {end_s:g} s is no stretch of time; correct the file")
    for key, kind in (("side", Side), ("picture", Picture)):
        given = (own.get(key) or "whole").lower()
        if given not in get_args(kind):
            raise InputError(f"{path}, line {line}: {key} {own[key]!r} is none of {', '.join(get_args(kind))}")
        own[key] = None if given == "whole" else given  # then --side counts, if it is given
    return Span(start_s, end_s, **own)
