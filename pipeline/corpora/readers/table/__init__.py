"""Any corpus that a table describes: a row for each segment, files where the user has them; see docs/corpora.md.

``file`` reads the table, ``rows`` makes units, segments and labels of its rows, ``places`` finds the files that they
name, ``frames`` reads files of frame-wise labels.
"""

import glob
import os
import platform
from collections import Counter
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationInfo, field_validator

from pipeline.corpora.base import WHOLE_CORPUS, Annotation, Corpus, Index
from pipeline.corpora.readers.table.file import COLUMNS, MISSING, NUMBERS, PARTS, TableFile, number
from pipeline.corpora.readers.table.places import Places
from pipeline.corpora.readers.table.rows import read_rows
from pipeline.corpora.tree import HEADER_BYTES, below, read_text
from pipeline.records import Finding, InputError, Segment, check_numbers
from pipeline.registry import options

if TYPE_CHECKING:
    import numpy as np

SOURCES = ("video", "audio", "text")
TASKS = ("classes/segment", "classes/frame", "numbers/segment", "numbers/frame")


@options
class TableOptions:
    """What can be said of a table."""

    segments: str = Field(description="the table, a CSV or TSV file: absolute, or from the root")
    task: str | None = Field(
        None, description="what is predicted for what, such as classes/segment; null: as the columns tell"
    )
    columns: dict[str, str] = Field(
        {}, description="what its columns are called where they are not called as here, {label: emotion, video: file}"
    )
    missing: tuple[str, ...] = Field(MISSING, description="cells that count as empty; [] where one of them is a name")

    @field_validator("task")
    @classmethod
    def _possible(cls, task: str | None) -> str | None:
        if task is None:
            return None
        what, colon, rest = task.partition(":")
        names = [name.strip() for name in rest.split(",")] if colon else []
        if what not in TASKS or (names and what.startswith("classes")) or "" in names:
            raise ValueError(
                f"a task is one of {', '.join(TASKS)}, and numbers may be named, as in numbers/segment:sentiment"
            )
        check_numbers(names)
        return f"{what}:{','.join(names)}" if names else what

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        known = (*COLUMNS, *_targets(info.data.get("task")))
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is not a column that means anything; there are {', '.join(known)}, and the numbers of "
                "segments that task names"
            )
        return columns


class Reader(Corpus):
    """A corpus of any layout, described by a table: its columns tell what other readers know beforehand."""

    Config = TableOptions
    annotations = True

    @property
    def title(self) -> str:  # type: ignore[override]
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
        tried = [self.root / self.config.segments, Path(os.path.expanduser(self.config.segments)).absolute()]
        found = next((path for path in tried if path.is_file()), None)
        if found is None:
            where = " nor ".join(dict.fromkeys(map(str, tried)))
            raise InputError(
                f"corpora.{self.name}.segments: there is no file {where}; give its path from root, or in full"
            )
        return TableFile(found, self.config.columns, _targets(self.config.task), self.config.missing)

    @cached_property
    def task(self) -> str:  # type: ignore[override]
        """What is predicted for what, as the columns tell; raises InputError where they do not."""
        given, columns = self.config.task, self.table.columns
        if given and (":" in given or given.startswith("classes")):
            return given
        if given == "numbers/frame" or (given is None and "annotation" in columns):
            return Counter(filter(None, self._frame_tasks.values())).most_common(1)[0][0]
        if given is None and "label" in columns:
            return "classes/segment"
        if self.table.numbers:
            return f"numbers/segment:{','.join(self.table.numbers)}"
        raise InputError(
            f"{self.table.name} has nothing to predict: no column label, {', '.join(NUMBERS)} or "
            "annotation. Map one of its columns, such as columns: {label: emotion}, name numbers that it has, such as "
            "task: numbers/segment:sentiment, or give task: classes/segment to make features without labels"
        )

    @cached_property
    def _frame_tasks(self) -> dict[str, str]:
        """The task that the header of each file of frame-wise labels tells, by its path; "" where it tells none.

        Raises InputError where none tells any.
        """
        from pipeline.corpora.readers.table.frames import task_of

        found, wrong = {}, []
        for path in self._annotations():
            name = below(self.root, path)
            try:
                found[name] = task_of(read_text(path, HEADER_BYTES)[0], self.config.task)
            except InputError as error:
                found[name] = ""
                wrong.append(f"{name}: {error}")
        if not any(found.values()):
            why = f", of {len(wrong)}: {'; '.join(wrong[:3])}" if wrong else ""
            raise InputError(
                f"{self.table.name} names no file of frame-wise labels that can be read in its column annotation{why}"
            )
        return found

    def _other_headers(self) -> str | None:
        """Which files of frame-wise labels tell another task than most, where that is the task, in a sentence."""
        if self.config.task not in (None, "numbers/frame") or "/frame" not in self.task:
            return None
        tasks = self._frame_tasks
        others = [f"{name} ({task or 'none'})" for name, task in tasks.items() if task != self.task]
        if not others:
            return None
        return (
            f"{self.table.name}: the headers of {len(others)} of {len(tasks)} files of frame-wise labels tell another "
            f"task than {self.task}, which most tell: {', '.join(others[:3])}{' and others' if others[3:] else ''}; "
            "one that lacks a column of the task gives no labels, and what it has beside them is not used. Name the "
            "columns that are meant, as in task: numbers/frame:valence"
        )

    @cached_property
    def frame_classes(self) -> tuple[str, ...]:
        """Every label of the annotation files, sorted."""
        from pipeline.corpora.readers.table.frames import labels_in

        texts = filter(None, map(_text_of, self._annotations()))
        return tuple(sorted(set().union(*(labels_in(text, self.config.missing) for text in texts))))

    @cached_property
    def _places(self) -> Places:
        return Places(self.root)

    def _annotations(self) -> list[Path]:
        """The files that the column annotation names, each once."""
        cells = (row.cells.get("annotation") for row in self.table.rows if not isinstance(row, InputError))
        return [self.root / path for path in dict.fromkeys(map(self._places.file, filter(None, cells))) if path]

    @cached_property
    def protocols(self) -> tuple[str, ...]:  # type: ignore[override]
        """Splits that the columns allow; the first is the default. Parts are none where no row is for training."""
        columns = self.table.columns
        rows = self.table.rows if "part" in columns else ()
        parts = {row.cells.get("part", "").lower() for row in rows if not isinstance(row, InputError)}
        possible = {
            "parts": any(PARTS.get(part) == "train" for part in parts),
            "speaker": "speaker" in columns,
            "group": True,
            "session": "session" in columns,
            "scenario": "scenario" in columns and bool({"session", "speaker"} & columns.keys()),
            "utterance": True,
        }
        return tuple(name for name, is_so in possible.items() if is_so)

    @property
    def text_files(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]
        """The table itself."""
        return {"table of segments": (glob.escape(below(self.root, self.table.path)),)}

    def index(self) -> Index:
        """Read the table; raises InputError where nothing in it can be used, or where it contradicts itself."""
        table = self.table
        columns = table.columns
        there = f"it has {', '.join([*columns, *table.unused])}"
        if not columns.keys() & set(SOURCES):
            raise InputError(
                f"{table.name} has no column {', '.join(SOURCES[:-1])} or {SOURCES[-1]}, of which one is needed; "
                f"{there}. Map one, such as columns: {{video: file}}"
            )
        for name in table.targets:
            if name not in columns:
                raise InputError(
                    f"{table.name} has no column {name!r}, which the task names; {there}. Map the one that is meant, "
                    f"as in columns: {{{name}: score}}"
                )
        of_what = self.task.partition(":")[0]
        found = read_rows(table, self._places, self.key, self.task)
        if of_what == "classes/segment" and not self.config.task:
            _refuse_numbers(table, found)
        notes = [("partial", note) for note in (table.note, table.emptied, self._other_headers()) if note]
        if table.unused:
            notes.append(("ok", f"columns of {table.name} that mean nothing here: {', '.join(table.unused)}"))
        found.findings[:0] = [Finding(WHOLE_CORPUS, None, "corpus", status, text) for status, text in notes]
        return found

    def annotate(self, segment: Segment, frame_time_s: "np.ndarray") -> Annotation:
        """Labels of each frame of a segment's video: the number of its class, or a column for each number."""
        from pipeline.corpora.frame_rows import annotated
        from pipeline.corpora.readers.table.frames import parse_frames, place

        kind, _, numbers = self.task.partition(":")
        classes = kind.startswith("classes")
        names = self.frame_classes if classes else numbers.split(",")
        width = 1 if classes else len(names)
        parse = partial(parse_frames, names=names, classes=classes, missing=self.config.missing)
        return annotated(self.root, segment.annotation, frame_time_s, parse, partial(place, width=width))


def _targets(task: str | None) -> list[str]:
    """The numbers of segments that a task names."""
    what, _, names = (task or "").partition(":")
    return names.split(",") if names and what == "numbers/segment" else []


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
