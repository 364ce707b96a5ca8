"""What the workflow's jobs cost, from the benchmark files that Snakemake writes as ``benchmarks/<rule>/<job>.tsv``."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

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
