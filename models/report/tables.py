"""The tables of the report: one definition each, from which the page, the CSV and the LaTeX file are made."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from models.report.writing import Numbers, grouped, missing


@dataclass(frozen=True)
class Column:
    """One column: which value of a row it shows, under which heading, and how the value is written."""

    key: str
    head: str
    write: Callable[[Any], str] = str
    number: bool = True  # set to the right, and may not be broken
    sd: str = ""  # key of the standard deviation shown after the value
    sub: str = ""  # key of what is set below, small
    over: str = ""  # a heading that neighbours share
    css: str = ""  # paper, muted, small, code, prose, verdict
    explain: str = ""  # what an abbreviated heading stands for

    @classmethod
    def score(cls, key: str, head: str, numbers: Numbers, **more) -> "Column":
        """A mean with its standard deviation, which a row holds under ``key`` and ``key_sd``."""
        return cls(key, head, numbers.score, sd=f"{key}_sd", **more)

    def text(self, row: dict) -> str:
        """The cell as a reader sees it, a dash where it is empty, without what is set behind or below."""
        value = row.get(self.key)
        return "–" if missing(value) else self.write(value)

    def spread(self, row: dict) -> str:
        """The standard deviation as a reader sees it; empty where there is none."""
        value = row.get(self.sd) if self.sd else None
        return "" if missing(value) else self.write(value)

    def below(self, row: dict) -> str:
        """What is set below the value; empty where nothing is."""
        value = row.get(self.sub) if self.sub else None
        if missing(value):
            return ""
        return grouped(value) if isinstance(value, int) else str(value)

    @property
    def keys(self) -> list[str]:
        """All values of a row that the column shows."""
        return [self.key, *([self.sd] if self.sd else []), *([self.sub] if self.sub else [])]


@dataclass(frozen=True)
class Group:
    """Rows under one heading of their own, or under none."""

    rows: list[dict]
    title: str = ""
    sub: str = ""


@dataclass(frozen=True)
class Table:
    """A table: its first column heads the rows. ``kind`` is a class of the page: wide, dense, contrasts, matrix.

    A row may hold ``row_class`` and, for the column ``key``, ``key_class``: what the cell looks like.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    note: str = ""
    kind: str = ""
    plot: str = ""  # heading of a chart behind the first column; empty without one
    remarks: tuple[str, ...] = ()  # numbered below the table, for cells that name a number

    @classmethod
    def of(cls, name: str, title: str, columns, rows: list[dict], **more) -> "Table":
        """A table whose rows stand in one group."""
        return cls(name, title, tuple(columns), (Group(rows),), **more)

    @property
    def rows(self) -> list[dict]:
        """All rows in order."""
        return [row for group in self.groups for row in group.rows]

    @property
    def spans(self) -> list[tuple[str, int]]:
        """Headings that neighbouring columns share, each with how many; an empty heading stands for one column."""
        out: list[tuple[str, int]] = []
        for column in self.columns:
            if column.over and out and out[-1][0] == column.over:
                out[-1] = (column.over, out[-1][1] + 1)
            else:
                out.append((column.over, 1))
        return out

    def without_empty(self) -> "Table":
        """Without columns that are empty in every row, the first excepted."""
        first, *others = self.columns
        kept = [c for c in others if any(not missing(row.get(c.key)) or c.below(row) for row in self.rows)]
        return replace(self, columns=(first, *kept))


def as_csv(table: Table) -> str:
    """The values behind a table, unrounded; the group of each row first where there are several."""
    titled = any(group.title for group in table.groups)
    keys = list(dict.fromkeys(key for column in table.columns for key in column.keys))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*(["group"] if titled else []), *keys])
    for group in table.groups:
        for row in group.rows:
            cells = ["" if missing(row.get(key)) else row[key] for key in keys]
            writer.writerow([*([group.title] if titled else []), *cells])
    return stream.getvalue()


@dataclass
class Numbering:
    """Count tables and figures in the order in which they stand on the page, and remember the tables."""

    tables: list[Table] = field(default_factory=list)
    figures: int = 0

    def table(self, table: Table) -> str:
        """Give the next table its number."""
        self.tables.append(table)
        return f"Table {len(self.tables)}"

    def figure(self) -> str:
        """Give the next figure its number."""
        self.figures += 1
        return f"Figure {self.figures}"
