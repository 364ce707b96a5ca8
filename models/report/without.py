"""What is left of each run's score where sound, face or words are taken away at test."""

from typing import Any

import pandas as pd

from models.options import MODALITIES, NOTHING
from models.report.names import Numbers, metric_words
from models.report.runs import RunNames
from models.report.settings import Settings
from models.report.tables import Column, Table


def without_table(scores: pd.DataFrame | None, order: list[str], names: RunNames, settings: Settings) -> Table | None:
    """Mean and deviation over trainings of each run of several modalities, with all and without each of them."""
    if scores is None:
        return None
    metric, numbers = settings.metric, Numbers(settings.metric)
    own = scores[(scores["metric"] == metric) & scores["run"].isin(order)]
    found = own.groupby(["run", "without"])["value"].agg(["mean", "std"])
    rows = []
    for run in (run for run in order if (run, NOTHING) in found.index):
        row: dict[str, Any] = {"run": names.run(run)}
        for absent in (NOTHING, *MODALITIES.values()):
            if (run, absent) in found.index:
                row |= {absent: found.loc[(run, absent), "mean"], f"{absent}_sd": found.loc[(run, absent), "std"]}
        rows.append(row)
    if not rows:
        return None
    columns = [Column("run", "Run", number=False), Column(NOTHING, "With all", numbers.score, sd=f"{NOTHING}_sd")]
    columns += [Column(m, f"Without {m}", numbers.score, sd=f"{m}_sd") for m in MODALITIES.values()]
    per_cent = ", per cent" if numbers.percent else ""
    return Table.of(
        "missing_modalities",
        f"With a modality taken away at test: {metric_words(metric)}{per_cent}",
        columns,
        rows,
        note="Mean ± standard deviation over trainings. What is taken away counts as not observed in any test item; "
        "nothing is trained anew.",
    ).without_empty()
