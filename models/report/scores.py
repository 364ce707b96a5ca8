"""Views of scores.csv and confusion.csv: mean and sd over runs beside the published figures, recall, confusion."""

from dataclasses import dataclass

import pandas as pd

from models.report import published
from models.report.charts import Axis
from models.report.names import MODALITY_WORDS, Numbers, RunNames, combine_of, split_run

SEGMENT_METRICS = ("balanced_accuracy", "accuracy", "macro_f1")
FRAME_METRICS = (
    "ccc_valence", "ccc_arousal", "ccc_mean", "rmse_valence", "rmse_arousal", "pearson_valence", "pearson_arousal",
)  # fmt: skip
POOLED = "all"


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation of one metric over the runs (folds x seeds)."""

    mean: float
    sd: float | None
    runs: int


Cells = dict[tuple[str, str], Cell]  # (run, metric) -> cell


def run_order(scores: pd.DataFrame) -> list[str]:
    """Runs in the order of the table, which is the order of the configuration."""
    pairs = scores[["model", "modalities"]].drop_duplicates()
    return [f"{model}-{modalities}" for model, modalities in pairs.itertuples(index=False)]


def of_protocol(scores: pd.DataFrame, protocol: str | None) -> pd.DataFrame:
    """Rows of the configured protocol on all test items; all rows where the table does not tell these apart."""
    if "turns" in scores:
        scores = scores[scores["turns"] == POOLED]
    if protocol is None or "protocol" not in scores:
        return scores
    return scores[scores["protocol"] == protocol]


def cells(scores: pd.DataFrame) -> Cells:
    """(run, metric) to its cell, from single folds and seeds; pooled rows stand in where there are none."""
    scores = scores.dropna(subset=["value"])
    run = scores["model"] + "-" + scores["modalities"]
    single = (scores["fold"] != POOLED) & (scores["seed"] != POOLED)
    out = {}
    for rows in (scores[~single], scores[single]):
        by_metric = rows["value"].groupby([run.loc[rows.index], rows["metric"]], sort=False)
        for key, mean, sd, count in by_metric.agg(["mean", "std", "count"]).itertuples(name=None):
            out[key] = Cell(mean, None if count < 2 else sd, int(count))
    return out


def main_runs(held: Cells, order: list[str], headline: list[str], metric: str, at_most: int = 4) -> list[str]:
    """The runs shown in detail: those of the main question, then the best by a metric of the development part."""
    chosen = [run for run in headline if run in order]
    score = {run: held[run, metric].mean for run in order if (run, metric) in held}
    ranked = sorted(score, key=lambda run: -score[run]) or order
    return list(dict.fromkeys([*chosen, *ranked]))[: max(at_most, len(chosen))]


def has_published_classes(classes: list[str], merge: dict[str, str]) -> bool:
    """Whether what was told apart are the classes of paper 1, with no other label counted among them."""
    return sorted(classes) == sorted(published.EMOTIONS) and not merge


def score_table(
    held: Cells, order: list[str], names: RunNames, numbers: Numbers, classes: int, comparable: bool
) -> dict:
    """Rows grouped by modality set, most modalities first; each with its cells, published figures and dot chart.

    ``classes`` is 0 for frames; ``comparable`` says that the papers' figures are for these classes or this test part.
    """
    percent = numbers.unit == "points"
    metrics = [m for m in (SEGMENT_METRICS if percent else FRAME_METRICS) if any(key[1] == m for key in held)]
    shown = metrics[0] if percent else "ccc_mean"
    rows = [_score_row(run, held, metrics, names, percent and comparable) for run in order]
    reach = [cell.mean + sign * (cell.sd or 0) for row in rows if (cell := row["cells"].get(shown)) for sign in (1, -1)]
    paper = None if percent or not comparable else published.AFFWILD2_OFFICIAL_VALIDATION
    if paper:
        reach.append(paper.mean)
    if percent:
        reach += [row["published"][shown].mean for row in rows if row["published"]]
    groups: dict[str, list] = {}
    for row in rows:
        groups.setdefault(row["modalities"], []).append(row)
    ordered = sorted(groups, key=lambda letters: -len(letters))
    return {
        "metrics": metrics,
        "shown": shown,
        "axis": Axis.covering(reach, 5),
        "paper": paper,
        "comparable": comparable,
        "chance": 1 / classes if percent and classes else None,
        "groups": [
            {
                "modalities": letters,
                "words": " + ".join(MODALITY_WORDS.get(x, x) for x in letters.split("+")),
                "rows": groups[letters],
            }
            for letters in ordered
        ],
        "runs": max((row["runs"] for row in rows), default=0),
        "runs_differ": len({row["runs"] for row in rows}) > 1,
    }


def _score_row(run: str, held: Cells, metrics: list[str], names: RunNames, beside_paper_1: bool) -> dict:
    model, modalities = split_run(run)
    found = {metric: held[run, metric] for metric in metrics if (run, metric) in held}
    options = names.options.get(model, {})
    key = (options.get("fusion"), combine_of(options), modalities)
    return {
        "run": run,
        "model": model,
        "name": names.model(model),
        "modalities": modalities,
        "cells": found,
        "published": published.IEMOCAP.get(key) if beside_paper_1 else None,
        "runs": max((cell.runs for cell in found.values()), default=0),
    }


def recall_table(held: Cells, runs: list[str], classes: list[str], support: dict[str, int]) -> dict:
    """Per-class recall of the main runs: mean over the runs of each, with its sd."""
    return {
        "runs": runs,
        "rows": [
            {
                "label": label,
                "support": support.get(label),
                "cells": [held.get((run, f"recall_{label}")) for run in runs],
            }
            for label in classes
        ],
    }


def confusion_matrices(confusion: pd.DataFrame, runs: list[str], classes: list[str]) -> list[dict]:
    """Row-normalised matrices of the given runs, counts pooled over folds and seeds."""
    out = []
    for run in runs:
        model, modalities = split_run(run)
        table = confusion[(confusion["model"] == model) & (confusion["modalities"] == modalities)]
        for column in ("fold", "seed"):
            if (table[column] == POOLED).any():
                table = table[table[column] == POOLED]
        if table.empty:
            continue
        counts = table.pivot_table(index="label", columns="predicted", values="count", aggfunc="sum", fill_value=0)
        counts = counts.reindex(index=classes, columns=classes, fill_value=0)
        rows = []
        for label in classes:
            total = float(counts.loc[label].sum())
            shares = [float(counts.loc[label, p]) / total if total else None for p in classes]
            rows.append({"label": label, "total": int(total), "shares": shares})
        out.append({"run": run, "rows": rows})
    return out


def classes_of(scores: pd.DataFrame, configured: list[str]) -> list[str]:
    """Class labels in the order of the configuration, then any further ones."""
    found = [m.removeprefix("recall_") for m in scores["metric"].unique() if m.startswith("recall_")]
    return [c for c in configured if c in found] + sorted(set(found) - set(configured))


def per_video(table: pd.DataFrame, runs: list[str]) -> tuple[str, dict[str, pd.DataFrame]] | None:
    """Mean over seeds of each video's CCC for the given runs: the id column and, per run, a table indexed by video."""
    identifier = next((c for c in ("segment_id", "segment", "video", "unit_id", "unit") if c in table), None)
    if identifier is None:
        return None
    if {"metric", "value"} <= set(table.columns):
        keys = [c for c in table.columns if c not in ("metric", "value")]
        table = table.pivot_table(index=keys, columns="metric", values="value", dropna=False).reset_index()
    columns = [c for c in ("ccc_valence", "ccc_arousal", "ccc_mean") if c in table]
    if "ccc_mean" not in columns and {"ccc_valence", "ccc_arousal"} <= set(columns):
        table = table.assign(ccc_mean=(table["ccc_valence"] + table["ccc_arousal"]) / 2)
        columns.append("ccc_mean")
    out = {}
    for run in runs:
        model, modalities = split_run(run)
        rows = table[(table["model"] == model) & (table["modalities"] == modalities)]
        if len(rows):
            out[run] = rows.groupby(identifier)[columns].mean().dropna(how="all")
    return (identifier, out) if out else None
