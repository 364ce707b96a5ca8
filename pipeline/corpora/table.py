"""Any corpus that a table describes: a row for each segment, files where the user has them; see docs/corpora.md.

``table_file`` reads the table, ``table_rows`` makes units, segments and labels of its rows, ``table_frames`` reads
files of frame-wise labels.
"""

import glob
import platform
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from pipeline.corpora.base import WHOLE_CORPUS, Annotation, Corpus, Index
from pipeline.corpora.table_file import COLUMNS, NUMBERS, TableFile, number
from pipeline.corpora.table_rows import Places, read_rows
from pipeline.corpora.tree import below, read_text
from pipeline.records import Finding, InputError, Segment
from pipeline.registry import options

if TYPE_CHECKING:
    import numpy as np

SOURCES = ("video", "audio", "text")
_TASK = re.compile(r"(classes|numbers)/(segment|frame)(?::\s*(\w[^,]*(?:,[^,]+)*))?")


@options
class TableOptions:
    """What can be said of a table."""

    segments: str = Field(description="the table, a CSV or TSV file: absolute, or from the root")
    columns: dict[str, str] = Field(
        {}, description="what its columns are called where they are not called as here, {label: emotion, video: file}"
    )
    task: str | None = Field(
        None, description="what is predicted for what; null: as the columns tell. classes/segment, classes/frame, ..."
    )

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no column that means something; there are {', '.join(COLUMNS)}")
        return columns

    @field_validator("task")
    @classmethod
    def _possible(cls, task: str | None) -> str | None:
        match = _TASK.fullmatch(task or "classes/segment")
        names = [name.strip() for name in (match[3] or "").split(",")] if match else []
        if not match or (match[1] == "numbers" and match[2] == "segment" and not {*names, ""} <= {*NUMBERS, ""}):
            raise ValueError(
                "a task is classes/segment, classes/frame, numbers/segment or numbers/frame, which may be followed by "
                f"names as in classes/frame:calm,angry or numbers/segment:valence; a segment has {', '.join(NUMBERS)}"
            )
        return task and ":".join([task.split(":")[0], *([",".join(names)] if names[0] else [])])


class Table(Corpus):
    """A corpus of any layout, described by a table of segments."""

    Config = TableOptions

    @property
    def title(self) -> str:
        """The corpus's name in the configuration: no other is known."""
        return self.name

    @cached_property
    def table(self) -> TableFile:
        """The table; raises InputError where there is no such file, or no such root."""
        if not self.root.is_dir():
            state = "is a file" if self.root.exists() else f"does not exist on {platform.node()}"
            raise InputError(
                f"{self.key}: {self.root} {state}; give the folder from which the paths in the table count"
            )
        tried = [self.root / self.config.segments, Path(self.config.segments).expanduser().absolute()]
        found = next((path for path in tried if path.is_file()), None)
        if found is None:
            where = " nor ".join(dict.fromkeys(map(str, tried)))
            raise InputError(f"corpora.{self.name}.segments: there is no file {where}")
        return TableFile(found, self.config.columns)

    @cached_property
    def task(self) -> str:
        """What is predicted for what, as the columns tell; raises InputError where they do not."""
        columns = self.table.columns
        given = _TASK.fullmatch(self.config.task or "")
        if given and given[3]:
            return self.config.task
        what, of_what = given.group(1, 2) if given else (None, "frame" if "annotation" in columns else "segment")
        if of_what == "frame":
            return self._frame_task(what)
        numbers = [name for name in NUMBERS if name in columns]
        if what == "classes" or (what is None and "label" in columns):
            return "classes/segment"
        if numbers:
            return f"numbers/segment:{','.join(numbers)}"
        raise InputError(
            f"{self.table.name} says nothing that could be predicted: it has no column label, {', '.join(NUMBERS)} or "
            "annotation. Map one of its columns, such as columns: {label: emotion}, or give task: classes/segment to "
            "make features without labels"
        )

    def _frame_task(self, what: str | None) -> str:
        """The task of the annotation files: numbers of the first, or the classes of all."""
        from pipeline.corpora.table_frames import LABEL, header_of, labels_in

        texts = [text for path in self._annotations() if (text := _text_of(path))]
        if not texts:
            raise InputError(
                f"{self.table.name} names no file of frame-wise labels that can be read in its column annotation"
            )
        header = header_of(texts[0])
        if what == "classes" or (what is None and LABEL in header):
            return f"classes/frame:{','.join(sorted(set().union(*map(labels_in, texts))))}"
        return f"numbers/frame:{','.join(name for name in NUMBERS if name in header)}"

    def _annotations(self) -> list[Path]:
        """The files that the column annotation names, each once."""
        rows = [row for row in self.table.rows() if not isinstance(row, InputError)]
        places = Places(self.root)
        found = dict.fromkeys(places.file(row.cells["annotation"]) for row in rows if "annotation" in row.cells)
        return [self.root / path for path in found if path]

    @property
    def protocols(self) -> tuple[str, ...]:
        """Splits that the columns allow; the first is the default."""
        columns = self.table.columns
        by_group = ("group",) if {"group", "session"} & columns.keys() else ()
        folds = ("speaker", *by_group) if "speaker" in columns else (*by_group, "speaker")
        return (*(("parts",) if "part" in columns else ()), *folds, "utterance")

    @property
    def text_files(self) -> Mapping[str, tuple[str, ...]]:
        """The table itself."""
        return {"table of segments": (glob.escape(below(self.root, self.table.path)),)}

    def index(self) -> Index:
        """Read the table; raises InputError where nothing in it can be used, or where it contradicts itself."""
        table = self.table
        columns = table.columns
        if not columns.keys() & set(SOURCES):
            raise InputError(
                f"{table.name} has no column {', '.join(SOURCES[:-1])} or {SOURCES[-1]}, of which one is needed; it "
                f"has {', '.join([*columns, *table.unused])}. Map one, such as columns: {{video: file}}"
            )
        of_what = self.task.partition(":")[0]
        found = read_rows(table, self.root, self.key, self.task)
        if of_what == "classes/segment" and not self.config.task:
            _refuse_numbers(table, found)
        notes = [("partial", table.note)] if table.note else []
        if table.unused:
            notes.append(("ok", f"columns of {table.name} that mean nothing here: {', '.join(table.unused)}"))
        if {"group", "session"} <= columns.keys():
            notes.append(("partial", f"{table.name} has a session and a group; the group was not used"))
        found.findings[:0] = [Finding(WHOLE_CORPUS, None, "corpus", status, text) for status, text in notes]
        return found

    def annotate(self, segment: Segment, frame_time_s: "np.ndarray") -> Annotation:
        """Labels of each frame of a segment's video, a column for each name of the task."""
        from pipeline.corpora.table_frames import parse_frames, place

        kind, _, listed = self.task.partition(":")
        names = listed.split(",")
        parsed, absent, notes = None, "no annotation: predicted, not scored", []
        if segment.annotation:
            try:
                text, note = read_text(self.root / segment.annotation)
                parsed = parse_frames(text, names, kind.startswith("classes"))
                notes = [note, *parsed.notes]
                absent = None if parsed.valid.any() else f"none of the {len(parsed)} rows is valid"
            except InputError as error:
                absent = f"{Path(segment.annotation).name}: {error}"
        rows, note = place(parsed, frame_time_s, len(names))
        return Annotation(rows, absent, [text for text in (*notes, note) if text])


def _text_of(path: Path) -> str:
    try:
        return read_text(path)[0]
    except InputError:  # a finding when its frames are labelled
        return ""


def _refuse_numbers(table: TableFile, found: Index) -> None:
    """Raise InputError where every label is a number: they are ratings by mistake, or classes that have no names."""
    labels = {row.label for row in found.labels if row.label}
    try:
        values = [number(label) for label in labels]
    except ValueError:
        return
    if values:
        called = table.names.get("label", "label")
        raise InputError(
            f"{table.name}: every {called} is a number, such as {min(labels)}. If these are ratings, name what they "
            f"rate, such as columns: {{valence: {called}}}; if they are classes, give task: classes/segment"
        )
