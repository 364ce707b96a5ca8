"""The picture of ranks: mean ranks and critical differences as Demsar (2006) gives them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, rankdata

from models.report.runs import RunNames
from models.report.sections.ranks import groups, mean_ranks, picture
from models.settings import Run

Q_05 = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}  # Demsar, table 5a


@pytest.mark.parametrize("k", [3, 5, 10])
def test_ranks_and_critical_difference_equal_the_paper_s(k):
    table = pd.DataFrame(np.random.default_rng(k).normal(size=(14, k)), columns=[f"r{i}" for i in range(k)])
    ranks, p, critical = mean_ranks(table)
    by_hand = np.mean([rankdata(-row) for row in table.to_numpy()], axis=0)
    assert ranks.to_numpy() == pytest.approx(by_hand)
    assert critical == pytest.approx(Q_05[k] * np.sqrt(k * (k + 1) / (6 * 14)), rel=5e-4)
    statistic = 12 * 14 / (k * (k + 1)) * (np.sum(by_hand**2) - k * (k + 1) ** 2 / 4)
    assert p == pytest.approx(chi2.sf(statistic, k - 1))


@pytest.mark.parametrize(
    ("ranks", "critical", "bars"),
    [
        ([1, 2, 3], 0.5, []),
        ([1, 2, 3], 5, [(1, 3)]),
        ([1, 1.5, 3, 3.4], 1, [(1, 1.5), (3, 3.4)]),
        ([1, 2, 3, 4], 1.5, [(1, 2), (2, 3), (3, 4)]),
        ([1, 2, 2.5, 5], 1.6, [(1, 2.5)]),
    ],
)
def test_bars_are_the_longest_stretches(ranks, critical, bars):
    assert groups(ranks, critical) == bars


def scores_of(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        {"run": run, "fold": str(fold), "metric": "accuracy", "value": value}
        for run, by_fold in values.items()
        for fold, value in enumerate(by_fold)
    ]
    return pd.DataFrame([*rows, {"run": "a-A", "fold": "all", "metric": "accuracy", "value": 9.0}])


def names_of(runs: Iterable[str]) -> RunNames:
    known = {run: Run(run, run.removesuffix("-A"), "A", {}) for run in runs}
    return RunNames(known, {}, {run.model: {"title": run.model} for run in known.values()}, {})


def test_the_picture_places_each_run_at_its_rank():
    values = {"a-A": [0.9, 0.8, 0.9], "b-A": [0.8, 0.9, 0.7], "c-A": [0.1, 0.2, 0.3]}
    names = names_of(values)
    found = picture(scores_of(values), pd.DataFrame(), list(values), "accuracy", names, planned=True)
    assert [leg["words"] for leg in found.legs] == ["a A  1.33", "b A  1.67", "3.00  c A"]
    assert [leg["rank"] for leg in found.legs] == pytest.approx([4 / 3, 5 / 3, 3])
    assert [row["mean"] for row in found.table.rows] == pytest.approx([2.6 / 3, 2.4 / 3, 0.2])
    assert (found.x(1), found.x(2), found.x(3)) == (0, 210, 420)
    assert "Folds share training material" in found.text
    videos = pd.DataFrame(
        [{"run": run, "segment_id": f"v{k}", "accuracy": v[k % 3]} for run, v in values.items() for k in range(6)]
    )
    found = picture(scores_of(values), videos, list(values), "accuracy", names, planned=False)
    assert "Within each of 6 videos the 3 runs" in found.text
    assert "No comparison was planned" in found.text


def test_runs_that_tie_everywhere_have_no_friedman():
    values = {run: [0.9, 0.8, 0.7] for run in ("a-A", "b-A", "c-A")}
    found = picture(scores_of(values), pd.DataFrame(), list(values), "accuracy", names_of(values), planned=True)
    assert found.table.note == "Critical difference 1.91 (Nemenyi, level 0.05)."


def test_too_few_runs_or_blocks_have_no_picture():
    values = {"a-A": [0.9, 0.8], "b-A": [0.8, 0.9], "c-A": [0.1, 0.2]}
    names = names_of(values)
    assert picture(scores_of(values), pd.DataFrame(), list(values), "accuracy", names, planned=True) is None
    values = {"a-A": [0.9, 0.8, 0.7, 0.6], "b-A": [0.8, 0.9, 0.7, 0.6]}
    assert picture(scores_of(values), pd.DataFrame(), list(values), "accuracy", names, planned=True) is None
