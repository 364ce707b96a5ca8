"""What the workflow's jobs cost, from the benchmark files that Snakemake writes as ``benchmarks/<rule>/<job>.tsv``."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from models.report.charts import Axis
from models.report.names import duration, grouped
from models.report.tables import Column, Table

COLUMNS = ("rule", "job", "s", "max_rss_mb", "cpu_s")


def read_benchmarks(folders: Iterable[Path], jobs: Mapping[str, set[str]]) -> pd.DataFrame | None:
    """One row per job: rule, job, s, max_rss_mb, cpu_s (None where Snakemake could not look); None without any.

    Of a rule in ``jobs`` only the jobs named there, and no extractor or run that is not in it; of other rules, which
    have one job for the whole corpus, everything.
    """
    rows = []
    for path in (path for folder in folders for path in sorted(folder.glob("*/*.tsv"))):
        rule, job = path.parent.name, path.stem
        allowed = jobs.get(rule, set() if rule.startswith(("features-", "train-")) else {job})
        if job not in allowed:
            continue
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                rows.append((rule, job, *(_number(row.get(name)) for name in ("s", "max_rss", "cpu_time"))))
    return pd.DataFrame(rows, columns=COLUMNS) if rows else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:  # Snakemake writes "-" or NA where a job was too short to be looked at
        return None
    return value if value == value else None


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
    columns.append(Column("max_rss_mb", "Peak memory, MiB", lambda mb: grouped(round(mb))))
    return [Column("rule", head, number=False), *columns]


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
