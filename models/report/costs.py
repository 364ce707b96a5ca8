"""What it cost: time and memory of the workflow's jobs, parameters and epochs of the models."""

import numpy as np
import pandas as pd

from models.report.charts import Axis
from models.report.gather import Results, run_infos
from models.report.names import duration, grouped, missing
from models.report.runs import RunNames
from models.report.tables import Column, Group, Table


def cost(benchmarks: pd.DataFrame) -> dict:
    """Time and memory by stage; rules of a family (train-..., features-...) are joined, then listed one by one."""
    family = benchmarks["rule"].str.replace(r"^(train|features)-.*", r"\1", regex=True)
    stages = [_cost_row(name, rows) for name, rows in benchmarks.groupby(family, sort=False)]
    single = [_cost_row(name, rows) for name, rows in benchmarks.groupby("rule", sort=True)]
    stages.sort(key=lambda row: -row["total_s"])
    for row in stages:
        row["rule"] = row["rule"].replace("_", " ")
    return {
        "stages": Table.of("cost", "Time and memory by stage", _columns("Stage"), stages, plot="Total time as a chart"),
        "rules": Table.of("cost_by_rule", "Time and memory by rule", _columns("Rule"), single)
        if len(single) > len(stages)
        else None,
        "axis": Axis.between(0, max([row["total_s"] for row in stages] + [1e-9])),
        "total_s": sum(row["total_s"] for row in stages),
        "jobs": len(benchmarks),
        "peak_mb": benchmarks["max_rss_mb"].max(),
    }


def _columns(head: str) -> list[Column]:
    times = {"total_s": "Total", "median_s": "Median job", "max_s": "Longest job", "cpu_s": "CPU time"}
    columns = [Column(key, words, duration) for key, words in times.items()]
    columns.insert(1, Column("jobs", "Jobs", grouped))
    columns.append(Column("max_rss_mb", "Peak memory, MiB", _whole))
    return [Column("rule", head, number=False), *columns]


def _whole(value) -> str:
    return "–" if missing(value) else grouped(round(value))


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


def parameters(results: Results, runs: list[str]) -> dict[str, int]:
    """How many numbers each run trains, as far as its trainings say."""
    found = {run: (next(run_infos(results, [run]), {}).get("model") or {}).get("parameters") for run in runs}
    return {run: number for run, number in found.items() if number is not None}


def models_table(results: Results, runs: list[str], names: RunNames) -> Table | None:
    """What was trained: parameters, epochs, seconds of an epoch and the learning rate of each run."""
    rows: dict[str, list[dict]] = {}
    for run in runs:
        infos = list(run_infos(results, [run]))
        if not infos:
            continue
        about = names.about.get(names.get(run).model) or {}
        row = {"model": names.of(run), "run": run, "description": about.get("description"), "trainings": len(infos)}
        row["parameters"] = (infos[0].get("model") or {}).get("parameters")
        row |= _trained_on(infos)
        row |= _spread("epochs", [info.get("epochs") for info in infos])
        row["selected"] = _median([(info.get("selected") or {}).get("epoch") for info in infos])
        per_epoch = [_ratio(info.get("seconds"), info.get("epochs")) for info in infos]
        row |= {"epoch_s": _median(per_epoch), "learning_rates": _rates(infos)}
        rows.setdefault(names.get(run).modalities, []).append(row)
    if not rows:
        return None
    columns = (
        Column("model", "Model", number=False, sub="description"),
        Column("parameters", "Parameters", _whole),
        Column("trainings", "Trainings"),
        Column("items", "Items that train", _whole, sub="rated", explain="median over trainings"),
        Column("epochs", "Epochs", _number, sub="epochs_range", explain="median, and from least to most"),
        Column("selected", "Epoch tested", _number, explain="median over trainings"),
        Column("epoch_s", "Seconds an epoch", lambda x: "–" if missing(x) else f"{x:.2f}"),
        Column("learning_rates", "Learning rate", css="small"),
    )
    groups = tuple(Group(rows[one], one) for one in sorted(rows, key=lambda text: -len(text)))
    return Table("models", "What was trained", columns, groups).without_empty()


def _trained_on(infos: list[dict]) -> dict:
    """How many items train, and what raters' votes have changed of that; only of models that learn these."""
    rated = [info["rated"] for info in infos if info.get("rated")]
    if not rated:
        return {}
    added, left_out = (_median([one[key] for one in rated]) for key in ("added", "left_out"))
    text = f"{_whole(added)} of them without a majority; {_whole(left_out)} more without a vote left out"
    return {"items": _median([info["items"]["training"] for info in infos]), "rated": text}


def _number(value) -> str:
    return "–" if missing(value) else f"{value:g}"


def _median(values: list) -> float | None:
    known = [float(v) for v in values if v is not None]
    return float(np.median(known)) if known else None


def _ratio(above, below) -> float | None:
    return above / below if above is not None and below else None


def _spread(key: str, values: list) -> dict:
    known = [v for v in values if v is not None]
    if not known:
        return {key: None}
    between = f"{min(known)} to {max(known)}" if min(known) < max(known) else None
    return {key: _median(known), f"{key}_range": between}


def _rates(infos: list[dict]) -> str | None:
    """The learning rates of a run's trainings, each with how many there are of it where they differ."""
    rates = [(info.get("chosen") or info.get("training") or {}).get("learning_rate") for info in infos]
    counts = pd.Series([f"{rate:g}" for rate in rates if isinstance(rate, int | float)]).value_counts(sort=False)
    if counts.empty:
        return None
    return ", ".join(f"{rate} ({n})" if len(counts) > 1 else rate for rate, n in counts.items())
