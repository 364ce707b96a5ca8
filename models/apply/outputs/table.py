"""Predictions as a table: a row for each turn, window or frame of each person; and one table of all recordings."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from models.apply.answer import Answer, Row
from models.apply.outputs.stretches import Said
from models.apply.outputs.wording import winner
from pipeline.records import replacing

if TYPE_CHECKING:
    from pandas import DataFrame

MODALITIES = ("audio", "video", "text")
TIME_DECIMALS, DECIMALS = 3, 4  # of the CSV; the Parquet file has all


def table(answer: Answer) -> "DataFrame":
    """One line for each row of an answer, by person and start.

    Columns: ``person``, ``start_s``, ``end_s``; of classes ``predicted`` and ``p_<class>``, else each number under its
    name in the unit of the corpus; ``spread_<output>``, the standard deviation between the members of the ensemble;
    ``observed_audio``, ``observed_video``, ``observed_text``, the share of the time that was observed, missing where
    the model does not use it; ``said``, the words within; ``model`` and ``demonstration``.
    """
    import pandas as pd

    spoken = Said(answer.words)
    lines = [_line(answer, row, spoken.within(row.start_s, row.end_s)) for row in answer.rows]
    return pd.DataFrame(lines, columns=_columns(answer)).astype(_types(answer))


def _names(answer: Answer) -> list[str]:
    return [name if answer.numbers else f"p_{name}" for name in answer.outputs]


def _columns(answer: Answer) -> list[str]:
    predicted = [] if answer.numbers else ["predicted"]
    spread = [f"spread_{name}" for name in answer.outputs]
    observed = [f"observed_{name}" for name in MODALITIES]
    head = ["person", "start_s", "end_s", *predicted]
    return [*head, *_names(answer), *spread, *observed, "said", "model", "demonstration"]


def _types(answer: Answer) -> dict[str, str]:
    text = {"person", "predicted", "said", "model"}
    return {
        name: "bool" if name == "demonstration" else "object" if name in text else "float64"
        for name in _columns(answer)
    }


def _line(answer: Answer, row: Row, words: str) -> list:
    best = winner(row.values)
    predicted = [] if answer.numbers else [None if best is None else answer.outputs[best]]
    observed = [row.observed.get(name) for name in MODALITIES]
    head = [row.person, row.start_s, row.end_s, *predicted]
    return [*head, *row.values, *row.spread, *observed, words, answer.model, answer.demonstration]


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


def join(tables: Iterable[Path]) -> "DataFrame":
    """One table of the Parquet tables of all recordings, with ``recording``, the name of each file, as first column."""
    import pandas as pd

    parts = [(path, pd.read_parquet(path)) for path in tables]
    for path, rows in parts:
        rows.insert(0, "recording", path.stem)
    return pd.concat([rows for _, rows in parts], ignore_index=True) if parts else pd.DataFrame({"recording": []})
