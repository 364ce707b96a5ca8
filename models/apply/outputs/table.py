"""Predictions as a table: a row for each turn, window or frame of each person; and one table of all recordings."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.apply.answer import Answer
from models.apply.outputs.stretches import Said
from models.apply.outputs.wording import winner
from pipeline.files import replacing

if TYPE_CHECKING:
    from pandas import DataFrame

MODALITIES = ("audio", "video", "text")
TIME_DECIMALS, DECIMALS = 3, 4  # decimals in the CSV; the Parquet file has all


def table(answer: Answer) -> "DataFrame":
    """One line for each row of an answer, by person and start.

    Columns: ``person``, ``start_s``, ``end_s``; of classes ``predicted`` and ``p_<class>``, else each number under its
    name in the unit of the corpus; ``spread_<output>``, the standard deviation between the members of the ensemble;
    ``observed_audio``, ``observed_video``, ``observed_text``, the share of the time that was observed, missing where
    the model does not use it; ``said``, its words; ``model`` and ``demonstration``.
    """
    import pandas as pd

    rows, spoken = answer.rows, Said(answer.words)
    best = [winner(row.values) for row in rows]
    predicted = [None if k is None else answer.outputs[k] for k in best]
    columns: dict[str, Any] = {
        "person": [row.person for row in rows],
        "start_s": [row.start_s for row in rows],
        "end_s": [row.end_s for row in rows],
        **({} if answer.numbers else {"predicted": predicted}),
    }
    for prefix, kind in (("" if answer.numbers else "p_", "values"), ("spread_", "spread")):
        for k, name in enumerate(answer.outputs):
            columns[f"{prefix}{name}"] = [getattr(row, kind)[k] for row in rows]
    for name in MODALITIES:
        columns[f"observed_{name}"] = [row.observed.get(name) for row in rows]
    columns["said"] = [spoken.within(row) for row in rows]
    columns["model"], columns["demonstration"] = [answer.model] * len(rows), [answer.demonstration] * len(rows)
    types = {"person": object, "predicted": object, "said": object, "model": object, "demonstration": bool}
    return pd.DataFrame({name: pd.Series(each, dtype=types.get(name, float)) for name, each in columns.items()})


def write_csv(rows: "DataFrame", path: Path) -> None:
    """Write a table for people: times to the millisecond, everything else to four decimals."""
    numbers = rows.select_dtypes("float").columns
    decimals = {name: TIME_DECIMALS if name in ("start_s", "end_s") else DECIMALS for name in numbers}
    with replacing(path) as temporary:
        rows.round(decimals).to_csv(temporary, index=False, encoding="utf-8", errors="backslashreplace")


def write_parquet(rows: "DataFrame", path: Path) -> None:
    """Write a table for programs."""
    with replacing(path) as temporary:
        rows.to_parquet(temporary, index=False)


def join(tables: Mapping[Path, Mapping[str, str]], out: Path) -> None:
    """Write the rows of all these CSV tables as one, behind what is given of each, such as its recording and file."""

    def rows(path: Path) -> Iterator[list[str]]:
        with path.open(newline="", encoding="utf-8") as stream:
            yield from csv.reader(stream)

    columns = dict.fromkeys(name for about in tables.values() for name in about)
    columns |= dict.fromkeys(name for path in tables for name in next(rows(path)))
    with (
        replacing(out) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        for path, about in tables.items():
            header, *body = rows(path)
            writer.writerows({**about, **dict(zip(header, row))} for row in body)
