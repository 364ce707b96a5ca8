"""A table of segments as a user has it: CSV or TSV of any separator, columns of any name, one row a segment."""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.corpora.tree import read_text
from pipeline.records import InputError

NUMBERS = ("valence", "arousal", "dominance")
"""Numbers that a table may have without a task that names them."""
FILES = ("video", "audio", "transcript", "alignment", "crops", "annotation")
COLUMNS = (
    *FILES, "start_s", "end_s", "segment_id", "speaker", "session", "group", "dialog", "turn", "scenario", "style",
    "part", "picture", "side", "text", "label", *NUMBERS,
)  # fmt: skip
"""Every column that means something of itself; docs/corpora.md says what, and what it means that one is not there."""
# In front of a header: empty lines, and how Excel names separators.
BEFORE = re.compile(r"(?:[ \t]*\n)*(?:\"?sep=.\"?\n)?(?:[ \t]*\n)*", re.IGNORECASE)
KEPT_AS_TEXT = re.compile(r'="(.*)"')  # written by Excel, so that 007 stays 007
MISSING = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL")
"""How R, Excel, SQL and pandas write that there is nothing; what people say and name has other letters or capitals."""
SEPARATORS = (",", "\t", ";")
PARTS = {
    "train": "train", "training": "train", "dev": "validation", "devel": "validation", "development": "validation",
    "val": "validation", "valid": "validation", "validation": "validation", "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: its cells by our names of the columns, without empty ones, and those that count as empty."""

    line: int
    cells: Mapping[str, str]
    emptied: Mapping[str, str]


class TableFile:
    """A table at ``path``; ``names`` says what some of its columns are called, ``{"label": "emotion"}``.

    ``targets`` are the numbers of segments that a task names, which are columns, too; ``missing`` are cells that count
    as empty. Every property raises InputError that names file and line where the table cannot be read.
    """

    def __init__(
        self,
        path: Path,
        names: Mapping[str, str],
        targets: Sequence[str] = (),
        missing: Collection[str] = MISSING,
    ):
        self.path, self.names, self.targets, self.missing = path, names, targets, frozenset(missing)
        self._ours = {name.lower(): name for name in (*COLUMNS, *targets)}

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path.name

    @cached_property
    def _text(self) -> tuple[str, int, str | None]:
        """Its text from the header on, how many lines stand in front of that, and what was odd about the file."""
        if self.path.suffix.lower() in (".xlsx", ".xls", ".ods"):
            raise InputError(f"{self.name} is a spreadsheet; save it as CSV (UTF-8) and name that file")
        try:
            text, note = read_text(self.path)
        except InputError as error:
            raise InputError(f"{error}; a table is saved as CSV or TSV in UTF-8") from None
        return *from_header(text), note

    @property
    def note(self) -> str | None:
        """What was odd about its text."""
        return self._text[2]

    @cached_property
    def columns(self) -> dict[str, int]:
        """Number of each column that means something, by our name of it."""
        header = self._header
        if not any(header):
            raise InputError(f"{self.name} is empty; give it a line of column names and a row for each segment")
        twice = [name for name, count in Counter(header).items() if count > 1 and name]
        if twice:
            raise InputError(f"{self.name}: two columns are called {twice[0]!r}; rename one")
        lacking = [name for name in self.names.values() if _plain(name) not in header]
        if lacking:
            raise InputError(
                f"{self.name} has no column {lacking[0]!r}, which the option columns names; it has {', '.join(header)}"
            )
        columns = {self._ours[_plain(ours)]: header.index(_plain(theirs)) for ours, theirs in self.names.items()}
        taken, left = set(columns.values()), {low: name for low, name in self._ours.items() if name not in columns}
        return columns | {left[name]: k for k, name in enumerate(header) if name in left and k not in taken}

    @property
    def numbers(self) -> list[str]:
        """The columns of numbers: those that the task names, then others that are known without one."""
        return [*self.targets, *(name for name in NUMBERS if name in self.columns and name not in self.targets)]

    @property
    def unused(self) -> list[str]:
        """Names of the columns that mean nothing."""
        return [name for k, name in enumerate(self._header) if name and k not in self.columns.values()]

    @cached_property
    def separator(self) -> str:
        """What stands between its cells."""
        return sniff(self._text[0], {*self._ours, *map(_plain, self.names.values())})[0]

    @cached_property
    def _header(self) -> list[str]:
        return [_plain(name) for name in next(self._records(), (0, []))[1]]

    @cached_property
    def rows(self) -> list[Row | InputError]:
        """Each row in order, or why it cannot be used; empty lines are left out."""
        columns, width = self.columns, len(self._header)
        found: list[Row | InputError] = []
        records = self._records()
        next(records, None)
        for line, record in records:
            if len(record) > width and any(record[width:]):
                why = f"{self.name}, line {line}: {len(record)} fields under {width} columns; put text that holds "
                found.append(InputError(f"{why}{self.separator!r} in double quotes"))
            elif any(map(str.strip, record)):
                cells = {name: cell for name, k in columns.items() if k < len(record) and (cell := _cell(record[k]))}
                emptied = {name: cells.pop(name) for name in [*cells] if cells[name] in self.missing}
                found.append(Row(line, cells, emptied))
        return found

    @property
    def emptied(self) -> str | None:
        """Which cells count as empty by what they hold, in a sentence; where a number lacks, its row says so."""
        numbers, rows = self.numbers, (row for row in self.rows if isinstance(row, Row))
        found = [(name, cell) for row in rows for name, cell in row.emptied.items() if name not in numbers]
        if not found:
            return None
        counts = Counter(name for name, _ in found)
        words, listed = sorted({cell for _, cell in found}), ", ".join(f"{n} of {name}" for name, n in counts.items())
        return (
            f"{self.name}: {len(found)} cells hold {', '.join(words)} and count as empty ({listed}); where one of "
            "these is a name or a word, give missing: []"
        )

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Each record with the number of the line on which it begins."""
        text, before, _ = self._text
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.separator, strict=True)
        line = first = before + 1
        try:
            for record in reader:
                yield line, record
                line = first + reader.line_num
        except csv.Error as error:
            raise InputError(
                f"{self.name}, line {line}: {error}; close every double quote, and write one within a text twice"
            ) from None


def from_header(text: str) -> tuple[str, int]:
    """A text from the header of its table on, line ends made alike, and how many lines stand in front of that."""
    text = re.sub(r"\r\n?", "\n", text)
    begin = BEFORE.match(text).end()
    return text[begin:], text.count("\n", 0, begin)


def sniff(text: str, known: set[str]) -> tuple[str, list[str]]:
    """The separator that makes the most known columns of a text's first line, and the columns that it makes."""
    first = text.split("\n", 1)[0]
    readers = {s: csv.reader([first], delimiter=s, skipinitialspace=True) for s in SEPARATORS}
    splits = {s: [_plain(name) for name in next(reader, [])] for s, reader in readers.items()}
    return max(splits.items(), key=lambda split: (len(known.intersection(split[1])), len(split[1])))


def _cell(text: str) -> str:
    text = text.strip()
    kept = KEPT_AS_TEXT.fullmatch(text)
    return kept[1] if kept else text


def is_label(text: str) -> bool:
    """Whether a cell names a class: ``nan`` is how programs write that there is none, while ``none`` may be a class."""
    return text.lower() not in ("", "nan")


def number(text: str) -> float:
    """A number as people write it, with a point or a comma; NaN where it says that there is none."""
    if text.lower() in ("nan", "na", "n/a", "#n/a", "<na>", "none", "null", "-"):
        return float("nan")
    return float(text if "." in text else text.replace(",", "."))


def _plain(name: str) -> str:
    return name.strip().lower()
