"""Views of what is told apart: recall and precision of each class, who is taken for whom, and what guessing scores."""

from statistics import fmean
from typing import Any

import pandas as pd

from models.report.runs import RunNames
from models.report.sections.scores import Cells, defined_below
from models.report.tables import Column, Table
from models.report.writing import Numbers, grouped, sentence
from models.settings import Settings

ROUNDING = 5e-4  # half of the last digit of per cent with one decimal


def classes_of(scores: pd.DataFrame, configured: list[str]) -> list[str]:
    """Class labels in the order of the configuration, then any further ones."""
    found = [m.removeprefix("recall_") for m in scores["metric"].unique() if m.startswith("recall_")]
    return [c for c in configured if c in found] + sorted(set(found) - set(configured))


def support(confusion: pd.DataFrame, seeds: int) -> dict[str, int]:
    """Test items of each class over all folds, counted in the confusion of the first run, which pools its seeds."""
    if confusion.empty:
        return {}
    counts = confusion[confusion["run"] == confusion["run"].iloc[0]].groupby("label")["count"].sum()
    return {label: round(count / seeds) for label, count in counts.items()}


def of_classes(
    kind: str, cells: Cells, runs: list[str], classes: list[str], counts: dict[str, int], names: RunNames, settings
) -> Table | None:
    """Recall or precision of each class for the main runs: mean over trainings, with its deviation."""
    numbers = Numbers(kind)
    rows = []
    for label in classes:
        row: dict[str, Any] = {"class": _word(label, settings), "label": label, "items": counts.get(label)}
        for run in runs:
            row |= cells.under(run, f"{kind}_{label}", run)
            row |= {f"{run}_class": f"s{round(row[run] * 10)}"} if run in row else {}
        rows.append(row)
    if not any(run in row or defined_below(run, rows) for run in runs for row in rows):
        return None
    head = Column("class", "Class", number=False, sub="" if all(r["class"] == r["label"] for r in rows) else "label")
    items = Column("items", "Test items", grouped, css="muted")
    columns = [head, items, *(Column.score(run, names.run(run), numbers, sub=defined_below(run, rows)) for run in runs)]
    title = f"{sentence(numbers.words)} by class{numbers.per_cent}: mean ± standard deviation over trainings"
    note = "Of the items given a class, how many are of it. A dash: not defined in every training, as some give no "
    note += "item the class."
    if kind == "recall":
        note = f"Of the items of a class, how many are found. {_mean_of_a_column(rows, runs, cells)}"
    return Table.of(kind, title, columns, rows, note=note).without_empty()


def _mean_of_a_column(rows: list[dict], runs: list[str], cells: Cells) -> str:
    """What recalls have to do with balanced accuracy, which is their mean in each fold over the classes in it."""
    scored = [run for run in runs if (run, "balanced_accuracy") in cells]
    gaps = [abs(fmean(row[run] for row in rows if run in row) - cells[run, "balanced_accuracy"].mean) for run in scored]
    if max(gaps, default=0) < ROUNDING:
        return "Balanced accuracy is the mean of a column."
    return (
        "Balanced accuracy is their mean within each fold; some folds lack a class, so it is not the mean of a column."
    )


def _word(label: str, settings: Settings) -> str:
    return settings.words["labels"].get(label, label)


def confusions(confusion: pd.DataFrame, runs: list[str], classes: list[str], names: RunNames) -> list[Table]:
    """One matrix for each run: in each cell the share of the row, and below it the count over all folds and seeds."""
    out, kind = [], "matrix tall" if max(map(len, classes), default=0) > 5 else "matrix"  # names beside or on end
    for number, run in enumerate(runs, start=1):
        table = confusion[confusion["run"] == run]
        if table.empty:
            continue
        counts = table.pivot_table(index="label", columns="predicted", values="count", aggfunc="sum", fill_value=0)
        counts = counts.reindex(index=classes, columns=classes, fill_value=0)
        rows = []
        for label in classes:
            total = int(counts.loc[label].sum())
            row = {"label": label, "total": total}
            for other in classes:
                count = int(counts.loc[label, other])
                share = count / total if total else None
                shade = "" if share is None else f"s{round(share * 10)}"
                row |= {f"share_{other}": share, f"count_{other}": count}
                row[f"share_{other}_class"] = f"{shade} diagonal" if other == label else shade
            rows.append(row)
        columns = [Column("label", "true", number=False)]
        columns += [Column(f"share_{c}", c, _share, sub=f"count_{c}", over="predicted") for c in classes]
        name = f"confusion_{number}" if len(runs) > 1 else "confusion"
        title = f"Confusion matrix of {names.run(run)}"
        out.append(Table.of(name, title, columns, rows, kind=kind))
    return out


def _share(value) -> str:
    return f"{value * 100:.0f}"


def guessing(metric: str, value: float | None, segment: str, frames: bool) -> str:
    """What guessing scores, as a sentence; empty where nothing is known of it."""
    if value is None:
        return ""
    numbers = Numbers(metric)
    if not numbers.percent:
        return f"An answer that has nothing to do with the truth scores a {numbers.words} of 0."
    what = "frame" if frames else segment
    known = {"accuracy": "the commonest class", "balanced_accuracy": "one class"}
    which = known.get(metric, "the class that scores most")
    return f"Guessing {which} for every {what} scores {numbers.with_unit(value)} {numbers.words}."
