"""The records that travel between stages as tables, and how tables are read and written.

Every table is UTF-8 with a header; ``.tsv`` is tab-separated, ``.csv`` comma-separated; an empty field is ``None``.
"""

import csv
import glob
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, TypeVar, get_args

Side = Literal["whole", "left", "right"]
"""Which of the people in a segment's part of the picture is meant: the only one, or the one on that side."""
Picture = Literal["whole", "left_half", "right_half"]
"""Which part of the picture shows a segment's person: of two cameras side by side, a half."""

Record = TypeVar("Record")


class InputError(ValueError):
    """Something a user gave cannot be used; the message says what, where, what is allowed and what to do."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One source video: an IEMOCAP dialog or an Aff-Wild2 video."""

    unit_id: str
    video: str  # path relative to the corpus root
    session: int | None = None  # IEMOCAP: 1 to 5
    part: str | None = None  # Aff-Wild2: train, validation or test

    def __post_init__(self):
        if not self.unit_id or "/" in self.unit_id or self.unit_id.startswith("."):
            raise InputError(f"unit_id {self.unit_id!r} cannot name a file; give it letters, digits, '_' and '-'")


@dataclass(frozen=True, slots=True)
class Segment:
    """What one person does over ``[start_s, end_s)`` of a unit: an IEMOCAP turn or an Aff-Wild2 subject track."""

    segment_id: str
    unit_id: str
    speaker: str
    session: int | None
    part: str | None
    start_s: float
    end_s: float
    side: Side
    label: str | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    text: str | None = None
    picture: Picture = "whole"
    dialog: str | None = None  # the conversation that the segment is part of
    scenario: str | None = None  # script or scene, where it is acted more than once by others
    style: str | None = None  # such as scripted or improvised
    audio: str | None = None  # a sound file of its own, relative to the corpus root
    alignment: str | None = None  # word times, relative to the corpus root
    crops: str | None = None  # folder of supplied face crops, relative to the corpus root

    def __post_init__(self):
        if not self.end_s > self.start_s:
            raise InputError(
                f"segment {self.segment_id}: end_s {self.end_s} is not after start_s {self.start_s}; "
                "correct the corpus file or remove the segment"
            )
        if self.side not in get_args(Side):
            raise InputError(f"segment {self.segment_id}: side {self.side!r} is not one of {get_args(Side)}")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Label:
    """What a segment is labelled with as a whole; labels are a table apart, so that a corrected one tracks no face."""

    segment_id: str
    label: str | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """One word over ``[start_s, end_s)``, in seconds from the unit's first video frame."""

    word: str
    start_s: float
    end_s: float
    source: str  # forced_alignment, transcript, transcript_even, recogniser
    segment_id: str | None = None  # None: the word belongs to every segment of its unit that it overlaps


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


def _convert(record_type, row: dict[str, str], where: str):
    values: dict[str, object] = {}
    for field in fields(record_type):
        text = row.get(field.name) or ""
        kind = str(field.type)
        try:
            if text == "" and ("None" in kind):
                values[field.name] = None
            elif "float" in kind:
                values[field.name] = float(text)
            elif "int" in kind:
                values[field.name] = int(text)
            else:
                values[field.name] = text
        except ValueError:
            raise InputError(f"{where}: column {field.name} holds {text!r}, expected {kind}") from None
    return record_type(**values)


def _dialect(path: Path) -> dict:
    return {"delimiter": "," if path.suffix == ".csv" else "\t", "lineterminator": "\n"}


def read_table(path: str | Path, record_type: type[Record]) -> list[Record]:
    """Read a table into records; raises InputError that names file, line and column where it does not fit."""
    path = Path(path)
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream, **_dialect(path))
        missing = {f.name for f in fields(record_type)} - set(reader.fieldnames or ())
        if missing:
            raise InputError(
                f"{path}: lacks the columns {sorted(missing)}; delete it and let the workflow make it again"
            )
        return [_convert(record_type, row, f"{path}, line {n}") for n, row in enumerate(reader, start=2)]


def write_table(path: str | Path, rows: Iterable[Record], record_type: type[Record]) -> None:
    """Write records as a table, moved into place when whole."""
    path = Path(path)
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, [f.name for f in fields(record_type)], **_dialect(path))
        writer.writeheader()
        writer.writerows({k: "" if v is None else v for k, v in asdict(row).items()} for row in rows)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path``; move it there when the block ends well, else remove it.

    What a killed writer of the same file has left is removed first: every file has one writer at a time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.stem)}.????????{glob.escape(path.suffix)}"):
        left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        if temporary.exists():
            os.truncate(temporary, 0)  # makes room on a full disk for the log, even while a library holds the file open
            temporary.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
