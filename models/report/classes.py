"""Views of what is told apart: recall and precision of each class, who is taken for whom, and what guessing scores."""

import pandas as pd

from models.report.names import METRIC_WORDS, Numbers, grouped, metric_words, sentence
from models.report.runs import RunNames
from models.report.scores import POOLED, Cells
from models.report.settings import Settings
from models.report.tables import Column, Table


def classes_of(scores: pd.DataFrame, configured: list[str]) -> list[str]:
    """Class labels in the order of the configuration, then any further ones."""
    found = [m.removeprefix("recall_") for m in scores["metric"].unique() if m.startswith("recall_")]
    return [c for c in configured if c in found] + sorted(set(found) - set(configured))


def support(confusion: pd.DataFrame | None, runs: list[str], seeds: int) -> dict[str, int]:
    """Test items of each class over all folds, counted in the confusion of a run, which pools its seeds."""
    for run in runs if confusion is not None else ():
        table = _of_run(confusion, run)
        if len(table):
            return {str(k): round(int(v) / max(1, seeds)) for k, v in table.groupby("label")["count"].sum().items()}
    return {}


def chance(metric: str, classes: list[str], counts: dict[str, int]) -> float | None:
    """What guessing scores: always the commonest class for accuracy, any one class for balanced accuracy."""
    if metric == "balanced_accuracy" and classes:
        return 1 / len(classes)
    total = sum(counts.values())
    if metric == "accuracy" and total:
        return max(counts.values()) / total
    return 0.0 if metric.partition("_")[0] in ("ccc", "pearson") else None


def of_classes(
    kind: str, cells: Cells, runs: list[str], classes: list[str], counts: dict[str, int], names: RunNames, settings
) -> Table | None:
    """Recall or precision of each class for the main runs: mean over trainings, with its deviation."""
    numbers = Numbers(kind)
    rows = []
    for label in classes:
        row = {"class": _word(label, settings), "label": label, "items": counts.get(label)}
        for run in runs:
            if cell := cells.get((run, f"{kind}_{label}")):
                row |= {run: cell.mean, f"{run}_sd": cell.sd, f"{run}_class": f"s{round(cell.mean * 10)}"}
        rows.append(row)
    if not any(run in row for run in runs for row in rows):
        return None
    head = Column("class", "Class", number=False, sub="" if all(r["class"] == r["label"] for r in rows) else "label")
    items = Column("items", "Test items", lambda n: "–" if n is None else grouped(n), css="muted")
    columns = [head, items, *(Column(run, names.run(run), numbers.score, sd=f"{run}_sd") for run in runs)]
    title = f"{sentence(METRIC_WORDS[kind])} by class, per cent: mean ± standard deviation over trainings"
    note = {
        "recall": "Of the items of a class, how many are found. Balanced accuracy is the mean of a column.",
        "precision": "Of the items given a class, how many are of it. A dash: never given.",
    }[kind]
    return Table.of(kind, title, columns, rows, note=note).without_empty()


def _word(label: str, settings: Settings) -> str:
    return (settings.words.get("labels") or {}).get(label, label)


def _of_run(confusion: pd.DataFrame, run: str) -> pd.DataFrame:
    table = confusion[confusion["run"] == run]
    for column in ("fold", "seed"):
        if (table[column] == POOLED).any():
            table = table[table[column] == POOLED]
    return table


def confusions(confusion: pd.DataFrame | None, runs: list[str], classes: list[str], names: RunNames) -> list[Table]:
    """One matrix for each run: in each cell the share of the row, and below it the count over all folds and seeds."""
    out, kind = [], "matrix tall" if max(map(len, classes), default=0) > 5 else "matrix"  # names beside or on end
    for number, run in enumerate(runs if confusion is not None else (), start=1):
        table = _of_run(confusion, run)
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
    return "–" if value is None else f"{value * 100:.0f}"


def guessing(metric: str, value: float | None, segment: str, frames: bool) -> str:
    """What guessing scores, as a sentence; empty where nothing is known of it."""
    words = metric_words(metric)
    if value is None:
        return ""
    if not Numbers(metric).percent:
        return f"An answer that has nothing to do with the truth scores a {words} of 0."
    what = "frame" if frames else segment
    which = "the commonest class" if metric == "accuracy" else "one class"
    return f"Guessing {which} for every {what} scores {Numbers(metric).with_unit(value)} {words}."
