"""The records that travel between stages as tables, and how tables are read and written.

Every table is UTF-8 with a header; ``.tsv`` is tab-separated, ``.csv`` comma-separated; an empty field is ``None``.
Units and segments hold paths, whose names may be bytes that are not UTF-8: they go out and come back as they are.
"""

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from pipeline.files import replacing

Side = Literal["whole", "left", "right"]
"""Which of the people in a segment's part of the picture is meant: the only one, or the one on that side."""
Modality = Literal["audio", "video", "text"]
PREPARED: dict[Modality, str] = {
    "video": "faces/{shard}.h5", "audio": "audio/{shard}.h5", "text": "words/{shard}.tsv"
}  # fmt: skip
"""What extractors read of a modality, below a corpus's results."""
Picture = Literal["whole", "left_half", "right_half"]
"""Which part of the picture shows a segment's person: of two cameras side by side, a half."""

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LONGEST_CELL = 1 << 24
"""Characters, of days of speech; csv by itself reads 131,072, and a quote that is never closed must end somewhere."""
csv.field_size_limit(LONGEST_CELL)

Record = TypeVar("Record", bound="DataclassInstance")
_ALLOWED = {"side": get_args(Side), "picture": get_args(Picture)}


class InputError(ValueError):
    """Something a user gave cannot be used; the message says what, where, what is allowed and what to do."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One source recording, a video as a rule; its paths are relative to the corpus root."""

    unit_id: str
    video: str | None = None  # None: there is no picture
    audio: str | None = None  # None: the video's own sound, if there is a video
    transcript: str | None = None  # a supplied one: see pipeline.corpora.transcripts
    part: str | None = None  # its part in an official partition
    shard: str = ""  # name of the files that faces, sound and words of the unit are in

    def __post_init__(self):
        if not self.unit_id or "/" in self.unit_id or self.unit_id.startswith("."):
            raise InputError(f"unit_id {self.unit_id!r} cannot name a file; give it letters, digits, '_' and '-'")

    @property
    def file(self) -> str:
        """Name of the files that its faces, sound and words are in."""
        return self.shard or self.unit_id


@dataclass(frozen=True, slots=True)
class Segment:
    """What one person does over ``[start_s, end_s)`` of a unit, with the groups it belongs to and where its data lie.

    ``end_s`` may be infinite where a reader does not know how long the recording is; the index stage fills it in.
    """

    segment_id: str
    unit_id: str
    speaker: str
    session: str | None = None
    part: str | None = None  # its part in an official partition
    start_s: float = 0.0
    end_s: float = math.inf
    side: Side = "whole"
    picture: Picture = "whole"
    dialog: str | None = None  # the conversation that the segment is part of; None: its unit
    scenario: str | None = None  # script or scene, where others act it, too
    style: str | None = None  # such as scripted or improvised
    text: str | None = None
    audio: str | None = None  # a sound file of its own, relative to the corpus root
    alignment: str | None = None  # word times, relative to the corpus root
    crops: str | None = None  # folder of supplied face crops, relative to the corpus root
    annotation: str | None = None  # frame-wise labels, relative to the corpus root
    group: str | None = None  # what a corpus says must not be torn apart, where that is none of the above
    shard: str = ""  # that of its unit
    turn: int | None = None  # its number in a dialog of several recordings, whose times do not tell what came first

    def __post_init__(self):
        if not (self.end_s > self.start_s and math.isfinite(self.start_s)):
            raise InputError(
                f"segment {self.segment_id}: end_s {self.end_s} is not after start_s {self.start_s}; "
                "correct the corpus file or remove the segment"
            )
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"segment {self.segment_id}: {name} {getattr(self, name)!r} is not one of {allowed}")

    @property
    def file(self) -> str:
        """Name of the files that its face, sound and words are in."""
        return self.shard or self.unit_id

    def prepared(self, results: Path, modality: Modality) -> Path:
        """The file that an earlier stage makes of its face, sound or words, in the folder of a corpus's results."""
        return results / PREPARED[modality].format(shard=self.file)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def microphones(segments: Iterable[Segment]) -> set[str]:
    """Sound files that segments of one unit name and that begin with the unit, for these segments start apart."""
    starts_s = defaultdict(set)
    for segment in segments:
        starts_s[segment.audio].add(segment.start_s)
    return {sound for sound, own in starts_s.items() if sound and len(own) > 1}


@dataclass(frozen=True, slots=True)
class Label:
    """What a segment is labelled with as a whole; labels are a table apart, so that a corrected one tracks no face."""

    segment_id: str
    label: str | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)  # by name, those that are known

    def __post_init__(self):
        if not isinstance(self.numbers, Mapping):
            raise InputError(
                f"label of segment {self.segment_id}: numbers {self.numbers!r}; give them by name, {{'valence': 2.5}}"
            )


RESERVED = {f.name for record in (Unit, Segment) for f in fields(record)} | {
    "label", "mean", "time_s", "values", "person", "said", "model", "demonstration", "recording"
}  # fmt: skip
"""What no number can be called: columns of tables, of predictions too, and the mean that metrics have of numbers."""


def check_numbers(names: Sequence[str]) -> None:
    """Raise InputError unless each name of a number is one or more words, there once, and has no other meaning."""
    known = set(RESERVED)
    for name in names:
        if not re.fullmatch(r"\w+( \w+)*", name) or name.lower() in known:
            raise InputError(
                f"{name!r} cannot name a number: names are words of letters, digits and _, each once, and none of "
                f"{', '.join(sorted(RESERVED))}; call it otherwise"
            )
        known.add(name.lower())


OBSERVER, SELF = "observer", "self"


@dataclass(frozen=True, slots=True)
class Rating:
    """What one person said of a segment, before the raters' votes became its label."""

    segment_id: str
    rater: str
    labels: str  # one or several, joined by commas
    perspective: str = OBSERVER  # or SELF: what the speaker says of themselves


@dataclass(frozen=True, slots=True)
class Assignment:
    """One row of a split: the part of a segment in a fold; a segment may have several parts in a fold, or none."""

    segment_id: str
    fold: int
    part: str  # training, development, test, or unlabelled: predicted only
    label: str | None = None  # after merging; None where labels are numbers or of frames


@dataclass(frozen=True, slots=True)
class Word:
    """One word, as it is spoken, over ``[start_s, end_s)``, in seconds from the unit's first video frame."""

    word: str
    start_s: float
    end_s: float
    source: str  # forced_alignment, transcript, transcript_even, recogniser
    segment_id: str | None = None  # None: the word belongs to every segment of its unit that it overlaps
    unit_id: str | None = None  # None: of the only unit of its file
    written: str | None = None  # with its case and punctuation; None: as it is spoken, in lower case

    def belongs_to(self, segment: Segment) -> bool:
        """Whether the word is of a segment: of its unit, and either marked with it or of nobody and said within it."""
        if self.unit_id not in (None, segment.unit_id):
            return False
        if self.segment_id is not None:
            return self.segment_id == segment.segment_id
        return self.start_s < segment.end_s and self.end_s > segment.start_s


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``coverage.csv``: what of a unit or segment is there, and why not where it is not."""

    unit: str
    segment: str | None
    modality: str  # video, audio, text, label, or corpus for what concerns all of them
    status: str  # ok, partial, absent
    reason: str | None = None
    valid_fraction: float | None = None
    cause: str | None = None  # a name of pipeline.causes.Cause


def _value(text: str, kind: str, path: Path, line: int, name: str) -> str | float | None:
    try:
        if text == "" and ("None" in kind):
            return None
        if "float" in kind:
            return float(text)
        return int(text) if "int" in kind else text
    except ValueError:
        expected = kind.removesuffix(" | None")
        raise InputError(f"{path}, line {line}: column {name} holds {text!r}, expected {expected}") from None


def _delimiter(path: Path) -> str:
    return "," if path.suffix == ".csv" else "\t"


class _Lines:
    """Ends lines in a line feed alone; csv quotes a carriage return in a name only where lines end in one."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, line: str) -> None:
        self.stream.write(line.removesuffix("\r\n") + "\n")


def _rows(path: Path, kinds: Mapping[str, str], others: str = "", shard: str | None = None) -> Iterator[dict]:
    """The values of each line, or of a shard's, by column: of known kinds, and of others where these have a kind."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        reader = csv.DictReader(stream, delimiter=_delimiter(path))
        names = list(reader.fieldnames or ())
        missing = set(kinds) - set(names)
        if missing:
            raise InputError(
                f"{path}: lacks the columns {sorted(missing)}; delete it and let the workflow make it again"
            )
        read = {name: kind for name in names if (kind := kinds.get(name, others))}
        for n, row in enumerate(reader, start=2):
            if shard is None or shard == (row["shard"] or row["unit_id"]):
                yield {name: _value(row[name] or "", kind, path, n, name) for name, kind in read.items()}


def read_table(path: str | Path, record_type: type[Record], shard: str | None = None) -> list[Record]:
    """Read a table, or the part of a ``shard``, into records; raises InputError that says where it does not fit."""
    kinds = {f.name: getattr(f.type, "__name__", str(f.type)) for f in fields(record_type)}
    return [record_type(**row) for row in _rows(Path(path), kinds, shard=shard)]


def read_labels(path: str | Path) -> dict[str, Label]:
    """Labels of whole segments by segment id, from labels.tsv; none where there is no such table."""
    path = Path(path)
    rows = _rows(path, {"segment_id": "str", "label": "str | None"}, "float | None") if path.exists() else ()
    found = {}
    for row in rows:
        segment_id, label = row.pop("segment_id"), row.pop("label")
        found[segment_id] = Label(segment_id, label, {name: x for name, x in row.items() if x is not None})
    return found


def read_fold(split: str | Path, fold: int) -> list[Assignment]:
    """Rows of one fold of a split, ordered by segment; raises InputError that names the folds there are."""
    table = read_table(split, Assignment)
    rows = [row for row in table if row.fold == fold]
    if not rows:
        raise InputError(f"{split}: has no fold {fold}, only {sorted({row.fold for row in table})}")
    return sorted(rows, key=lambda row: (row.segment_id, row.part))


def read_shard(tables: str | Path, shard: str) -> list[tuple[Unit, list[Segment]]]:
    """The units of a shard with their segments, from the tables of the index stage; raises InputError for any other."""
    tables = Path(tables)
    units = read_table(tables / "units.tsv", Unit, shard)
    if not units:
        raise InputError(
            f"shard {shard!r} is not in {tables / 'units.tsv'}, which may be of other settings; delete that file and "
            "run again: it is made anew"
        )
    own = by_unit(read_table(tables / "segments.tsv", Segment, shard))
    return [(unit, own[unit.unit_id]) for unit in units]


def by_unit(segments: Iterable[Segment]) -> dict[str, list[Segment]]:
    """Segments by the unit that they are of, in their order; none for any other unit."""
    found = defaultdict(list)
    for segment in segments:
        found[segment.unit_id].append(segment)
    return found


def write_table(path: str | Path, rows: Iterable[Record], record_type: type[Record]) -> None:
    """Write records as a table, moved into place when whole."""
    names = [f.name for f in fields(record_type)]
    errors = "surrogateescape" if record_type in (Unit, Segment) else "backslashreplace"  # the rest is to be read
    _write(Path(path), names, ([getattr(row, name) for name in names] for row in rows), errors)


def number_names(labels: Iterable[Label]) -> list[str]:
    """Names of the numbers that any label has, in the order of the labels that have most of them."""
    fullest = sorted(labels, key=lambda row: -len(row.numbers))
    return list(dict.fromkeys(name for row in fullest for name in row.numbers))


def write_labels(path: str | Path, labels: Sequence[Label]) -> None:
    """Write labels.tsv, with a column for each number; raises InputError where that cannot name a column."""
    names = number_names(labels)
    check_numbers(names)
    rows = ([row.segment_id, row.label, *map(row.numbers.get, names)] for row in labels)
    _write(Path(path), ["segment_id", "label", *names], rows, "backslashreplace")


def _write(path: Path, names: Sequence[str], rows: Iterable[Sequence], errors: str) -> None:
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=errors) as stream,
    ):
        writer = csv.writer(_Lines(stream), delimiter=_delimiter(path), lineterminator="\r\n")
        writer.writerow(names)
        writer.writerows(["" if value is None else value for value in row] for row in rows)
