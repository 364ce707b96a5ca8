"""Views of what is not a score: coverage, cost, splits and learning curves."""

import re

import numpy as np
import pandas as pd

from models.report.charts import Axis, path
from models.report.gather import Results, histories, run_infos
from pipeline.records import Segment

STATUSES = ("ok", "partial", "absent")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
DETAILS_AT_MOST = 60


def coverage(table: pd.DataFrame) -> dict:
    """Counts of segments by modality and status; reasons with their number and examples; findings on whole units.

    ``used`` counts the segments that the protocol uses in some fold, None where the table does not say.
    """
    empty = table["segment"].isna()
    segments, others = table[~empty], table[empty]
    modalities = []
    for modality, rows in segments.groupby("modality", sort=False):
        counts = rows["status"].value_counts()
        known = {status: int(counts.get(status, 0)) for status in STATUSES}
        modalities.append({"modality": modality, "counts": known, "total": int(counts.sum())})
    split = next((row for row in modalities if row["modality"] == "split"), None)
    return {
        "modalities": modalities,
        "used": split["total"] - split["counts"]["absent"] if split else None,
        "reasons": _reasons(segments[(segments["status"] != "ok") | segments["reason"].notna()]),
        "findings": others.fillna("").head(DETAILS_AT_MOST).to_dict("records"),
        "more_findings": max(0, len(others) - DETAILS_AT_MOST),
        "segments": int(segments["segment"].nunique()),
    }


def _reasons(rows: pd.DataFrame) -> list[dict]:
    """Reasons that differ only in their numbers are one; the words shown are those of the first."""
    reason = rows["reason"].fillna("no reason given")
    pattern = reason.map(lambda text: NUMBER.sub("#", text))
    out = []
    for (modality, status, _), group in rows.assign(reason=reason).groupby(["modality", "status", pattern], sort=False):
        out.append(
            {
                "modality": modality,
                "status": status,
                "reason": group["reason"].iloc[0],
                "alike": int(group["reason"].nunique()) - 1,
                "count": len(group),
                "examples": group["segment"].head(3).tolist(),
            }
        )
    return sorted(out, key=lambda x: (-x["count"], x["modality"], x["reason"]))


def cost(benchmarks: pd.DataFrame) -> dict:
    """Time and memory by stage; rules of a family (train-..., features-...) are joined, then listed one by one."""
    family = benchmarks["rule"].str.replace(r"^(train|features)-.*", r"\1", regex=True)
    stages = [_cost_row(name, rows) for name, rows in benchmarks.groupby(family, sort=False)]
    single = [_cost_row(name, rows) for name, rows in benchmarks.groupby("rule", sort=True)]
    stages.sort(key=lambda row: -row["total_s"])
    axis = Axis.between(0, max([row["total_s"] for row in stages] + [1e-9]))
    return {
        "stages": stages,
        "rules": single if len(single) > len(stages) else [],
        "axis": axis,
        "total_s": sum(row["total_s"] for row in stages),
        "jobs": len(benchmarks),
        "peak_mb": benchmarks["max_rss_mb"].max(),
    }


def _cost_row(name: str, rows: pd.DataFrame) -> dict:
    return {
        "rule": name,
        "jobs": len(rows),
        "total_s": float(rows["s"].sum()),
        "median_s": rows["s"].median(),
        "max_s": rows["s"].max(),
        "cpu_s": rows["cpu_s"].sum() if rows["cpu_s"].notna().any() else None,
        "max_rss_mb": rows["max_rss_mb"].max(),
    }


def split_table(split: pd.DataFrame, segments: list[Segment]) -> dict:
    """Segments by fold and part, and which speakers and videos of the test part also train."""
    by_id = {segment.segment_id: segment for segment in segments}
    parts = [p for p in ("training", "development", "test", "unlabelled") if (split["part"] == p).any()]
    parts += sorted(set(split["part"]) - set(parts))
    rows = []
    for fold, group in split.groupby("fold", sort=False):
        counts = group["part"].value_counts()
        row = {"fold": fold, "counts": [int(counts.get(part, 0)) for part in parts]}
        for key, attribute in (("speakers", "speaker"), ("videos", "unit_id")):
            row[key] = _shared(group, by_id, attribute)
        rows.append(row)
    return {"parts": parts, "rows": rows, "leaks": any(row["speakers"]["shared"] for row in rows)}


def _shared(group: pd.DataFrame, by_id: dict[str, Segment], attribute: str) -> dict:
    def members(parts):
        ids = group.loc[group["part"].isin(parts), "segment_id"]
        return {getattr(by_id[i], attribute) for i in ids if i in by_id}

    test = members(["test"])
    return {"shared": len(test & members(["training"])), "test": len(test)}


def learning_curves(results: Results, runs: list[str]) -> dict | None:
    """Development score and losses by epoch for each run: thin lines for single trainings, the median over them."""
    found = {run: list(histories(results, run)) for run in runs}
    found = {run: items for run, items in found.items() if items}
    if not found:
        return None
    columns = next(iter(found.values()))[0][2].columns
    score = _score_column(list(columns))
    losses = [c for c in ("training_loss", "development_loss") if c in columns]
    tables = [table for items in found.values() for _, _, table in items]
    x_axis = Axis.between(0, max(int(t["epoch"].max()) for t in tables), 4)
    panels = []
    for column in [*losses, score] if score else losses:
        values = np.concatenate([t[column].to_numpy(float) for t in tables if column in t])
        panels.append((column, Axis.covering(values, 3)))
    if losses:  # training and development loss share one scale
        shared = Axis.covering([v for c, a in panels if c in losses for v in (a.low, a.high)], 3, pad=0)
        panels = [(c, shared if c in losses else a) for c, a in panels]
    axes = dict(panels)
    return {
        "x_axis": x_axis,
        "score": score,
        "losses": losses,
        "axes": axes,
        "runs": [
            {
                "run": run,
                "trainings": len(items),
                "stopped": sorted(int(t["epoch"].max()) for _, _, t in items),
                "parameters": (next(run_infos(results, [run]), {}).get("model") or {}).get("parameters"),
                "lines": {c: _lines(items, c, x_axis, axes[c]) for c in axes},
            }
            for run, items in found.items()
        ],
    }


def _score_column(columns: list[str]) -> str | None:
    wanted = ("development_accuracy", "development_ccc_mean", "development_balanced_accuracy")
    return next((c for c in wanted if c in columns), None)


def _lines(items: list, column: str, x_axis: Axis, y_axis: Axis) -> dict:
    series = [(t["epoch"].to_numpy(float), t[column].to_numpy(float)) for _, _, t in items if column in t]
    longest = max(series, key=lambda xy: len(xy[0]))[0]
    # The median needs most trainings to be running still: beyond that it would follow the few that took longest.
    table = np.full((len(series), len(longest)), np.nan)
    for k, (_, y) in enumerate(series):
        table[k, : len(y)] = y
    enough = np.isfinite(table).sum(0) * 2 >= len(series)
    median = np.full(len(longest), np.nan)
    median[enough] = np.nanmedian(table[:, enough], axis=0)
    thin = "".join(path(x, y, x_axis, y_axis) for x, y in series[:60])
    return {"thin": thin, "median": path(longest, median, x_axis, y_axis)}
