"""What the workflow's jobs cost, from the benchmark files that Snakemake writes as ``benchmarks/<rule>/<job>.tsv``."""

import pandas as pd

from models.report.charts import Axis
from models.report.tables import Column, Table
from models.report.writing import duration, grouped


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
