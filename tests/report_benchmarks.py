"""Benchmark files as Snakemake writes them for each job, with made-up numbers."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

FEATURE_JOBS = 6
HEADER = ("s", "h:m:s", "max_rss", "max_vms", "max_uss", "max_pss", "io_in", "io_out", "mean_load", "cpu_time")


def jobs_of(units: list[str], extractors: Iterable[str]) -> dict[str, Iterable]:
    """The jobs of each rule up to the features, and of the tables."""
    single = {rule: ["all"] for rule in ("index", "scores", "significance")}
    of_units = dict.fromkeys(("faces", "audio", "words"), units)
    return single | of_units | {f"features-{name}": range(FEATURE_JOBS) for name in extractors}


def write_benchmarks(folder: Path, rules: dict[str, Iterable]) -> None:
    """One file for each job; a job too short to be looked at has no memory."""
    rng = np.random.default_rng(7)
    for rule, jobs in rules.items():
        (folder / rule).mkdir(parents=True, exist_ok=True)
        for job in jobs:
            s = float(rng.gamma(3, {"faces": 4, "index": 0.4}.get(rule, 2)))
            memory = "-" if rule == "index" else round(300 + s * 40, 2)
            row = [round(s, 4), "0:00:05", memory, 2000, 300, 310, 1, 1, 95, round(s * 0.95, 2)]
            lines = ["\t".join(map(str, line)) for line in (HEADER, row)]
            (folder / rule / f"{job}.tsv").write_text("\n".join(lines) + "\n")
