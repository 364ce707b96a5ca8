"""Tests of a difference against other implementations, verdicts, degenerate cases, and from files to table."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pyarrow.parquet import read_table as read_parquet
from scipy import integrate, special, stats

from models.evaluation import difference_tests
from models.evaluation.comparison import Comparison, Resampler, _fold_means, compare, decide
from models.evaluation.metrics import accuracy, confusion_matrix, metric, metrics
from models.evaluation.significance import choose_b, run_contrasts, significance, size_ratio
from models.evaluation.statuses import Remark, Role, Standing, Status
from models.options import Contrast, SignificanceOptions
from models.predictions import FILE
from models.task import Task
from pipeline.records import Assignment, InputError, read_table, write_table
from tests.experiments import Affect, Emotions, _run
from tests.prediction_files import write_corpus, write_frames, write_segments

CLASSES = ["ang", "neu", "sad"]


def options(**changes):
    return SignificanceOptions(**{"metric": "balanced_accuracy", "bootstrap_samples": 300, **changes})


# ---- single tests against other implementations ------------------------------------------------------------------


def test_paper_t_test_is_students_over_all_runs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.58, 0.02, (5, 10)), rng.normal(0.57, 0.02, (5, 10))
    found = difference_tests.paper_t_test(a, b)
    pooled = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    d = (a.mean() - b.mean()) / pooled
    assert found.effect == pytest.approx(d)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(d) * np.sqrt(50 / 2), 98))


def test_corrected_t_test_widens_by_the_published_factor():
    d = np.array([0.02, 0.01, 0.03, -0.01, 0.015])
    found = difference_tests.corrected_t_test(d, 0.25)
    naive = stats.ttest_1samp(d, 0).statistic
    corrected = naive * np.sqrt((1 / 5) / (1 / 5 + 1 / 4))  # Nadeau and Bengio's correction of the plain t
    assert found.p == pytest.approx(2 * stats.t.sf(abs(corrected), 4))
    assert found.effect == pytest.approx(naive / np.sqrt(5))


def test_bayesian_t_test_integrates_its_posterior():
    d, rho, region = np.array([0.004, 0.011, -0.002, 0.006, 0.009]), 0.2, 0.01
    found = difference_tests.bayesian_t_test(d, rho / (1 - rho), region)
    n, scale = 5, np.sqrt((1 / 5 + rho / (1 - rho)) * np.sum((d - d.mean()) ** 2) / 4)

    def density(x):  # Student's density written out
        z = (x - d.mean()) / scale
        norm = special.gamma(n / 2) / (special.gamma((n - 1) / 2) * np.sqrt((n - 1) * np.pi) * scale)
        return norm * (1 + z**2 / (n - 1)) ** (-n / 2)

    assert found.equivalent == pytest.approx(integrate.quad(density, -region, region)[0], abs=1e-8)
    assert found.a_better == pytest.approx(integrate.quad(density, region, np.inf)[0], abs=1e-8)
    assert found.a_better + found.equivalent + found.b_better == pytest.approx(1)
    mirrored = difference_tests.bayesian_t_test(-d, rho / (1 - rho), region)
    assert mirrored.b_better == pytest.approx(found.a_better)


def test_wilcoxon_needs_six_folds_that_differ():
    rng = np.random.default_rng(1)
    d = rng.normal(0.01, 0.02, 10)
    found = difference_tests.wilcoxon_test(d)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 10)).reshape(10, -1)  # the exact distribution, by enumeration
    ranks = stats.rankdata(np.abs(d))
    null, seen = np.abs(ranks @ signs), abs(ranks @ np.sign(d))
    assert found.p == pytest.approx((null >= seen - 1e-9).mean())
    assert found.effect == pytest.approx(ranks @ np.sign(d) / ranks.sum())
    five = difference_tests.wilcoxon_test(np.append(d[:5], 0.0))
    assert five.p is None
    assert five.reason == Remark.FEW_PAIRS


def test_mcnemar_is_the_exact_binomial_test_of_discordant_items():
    rng = np.random.default_rng(2)
    a, b = rng.random(300) < 0.6, rng.random(300) < 0.5
    found = difference_tests.mcnemar_test(a, b)
    ahead, discordant = int((a & ~b).sum()), int((a != b).sum())
    tail = sum(math.comb(discordant, k) for k in range(min(ahead, discordant - ahead) + 1))
    assert found.p == pytest.approx(2 * tail / 2**discordant)
    assert found.effect == pytest.approx(ahead / discordant - 0.5)
    assert difference_tests.mcnemar_test(a, a).p is None


def test_holm_by_hand_and_with_planned_contrasts_that_cannot_be_tested():
    assert difference_tests.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert difference_tests.holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.04, None, 0.09, 0.09])
    assert difference_tests.holm([None]) == [None]
    assert difference_tests.holm([]) == []


@given(st.lists(st.floats(0, 1) | st.none(), max_size=8))
def test_a_contrast_that_cannot_be_tested_counts_as_one_that_shows_nothing(p_values):
    as_one = difference_tests.holm([1.0 if p is None else p for p in p_values])
    expected = [None if p is None else adjusted for p, adjusted in zip(p_values, as_one)]
    assert difference_tests.holm(p_values) == expected


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_as_its_procedure_does(p_values):
    """Step down from the smallest p, until one is too large for those that are left (Holm 1979)."""
    for alpha in (0.01, 0.05, 0.3):
        rejected, left = set(), len(p_values)
        for k in sorted(range(left), key=p_values.__getitem__):
            if p_values[k] * left > alpha:
                break
            rejected.add(k)
            left -= 1
        assert rejected == {k for k, p in enumerate(difference_tests.holm(p_values)) if p <= alpha}


# ---- verdicts and degenerate cases -----------------------------------------------------------------------------


def row(p, equivalence, difference, above=(True, True), turns="all", **further):
    standing = [Standing.ABOVE if x else Standing.AT_CHANCE for x in above]
    return Comparison(
        question="?",
        role=Role.PLANNED,
        turns=turns,
        a="a-A",
        b="b-A",
        metric="accuracy",
        items=900,
        clusters=90,
        effective_clusters=90.0,
        cluster_kind="dialog",
        mean_a=0.5,
        mean_b=0.5,
        difference=difference,
        standing_a=standing[0],
        standing_b=standing[1],
        p_bootstrap=p,
        p_equivalence=equivalence,
        status=Status.TESTED if p is not None else Status.FEW_CLUSTERS,
        **further,
    )


def test_verdicts_follow_their_rule():
    rows = decide(
        [
            row(0.001, 0.9, 0.05),
            row(0.001, 0.9, -0.05),
            row(0.03, 0.6, 0.02),
            row(0.5, 0.001, 0.001),
            row(None, None, 0.1),
            row(0.0001, 0.001, 0.005),
        ],
        options(),
    )
    assert [r.verdict for r in rows] == ["a better", "b better", "undecided", "equivalent", "no verdict", "a better"]
    assert rows[2].p_holm == pytest.approx(0.09)  # significant alone, not among six
    assert rows[4].note == Status.FEW_CLUSTERS.text
    assert rows[5].remarks == Remark.SMALL
    assert rows[5].note == "the difference is real but within the practical region"


def test_equivalence_is_corrected_for_the_number_of_contrasts_as_a_difference_is():
    alone = decide([row(0.5, 0.02, 0.001)], options())[0]
    assert (alone.verdict, alone.p_equivalence_holm) == ("equivalent", 0.02)
    of_three = decide([row(0.5, 0.02, 0.001), row(None, None, 0.1), row(0.9, 0.001, 0.0)], options())
    assert [r.p_equivalence_holm for r in of_three] == [pytest.approx(0.04), None, pytest.approx(0.003)]
    of_four = decide([row(0.5, 0.02, 0.001), row(0.5, 0.6, 0.1), row(0.02, 0.02, 0.0)], options())
    assert [r.p_equivalence_holm for r in of_four] == [pytest.approx(0.06), 0.6, pytest.approx(0.06)]
    assert [r.verdict for r in of_four] == ["undecided", "undecided", "undecided"]
    small = decide([row(0.0001, 0.02, 0.005), *[row(0.5, 0.6, 0.1)] * 2], options())[0]
    assert (small.verdict, small.remarks) == ("a better", ""), "that it is small is no sure thing"


def test_a_verdict_that_the_test_by_sessions_does_not_share_says_so_itself():
    by_group = [
        {"p_by_group": 0.04, "p_equivalence_by_group": 0.9},
        {"p_by_group": 0.06, "p_equivalence_by_group": 0.9},
        {"p_by_group": None},
    ]
    better = decide([row(0.0001, 0.9, 0.05, **groups) for groups in by_group], options())
    assert [r.verdict for r in better] == ["a better", "a better here", "a better"]
    assert decide([row(0.0001, 0.9, -0.05, p_by_group=0.06)], options())[0].verdict == "b better here"
    alike = [row(0.9, 0.0001, 0.0, p_by_group=0.01, p_equivalence_by_group=p) for p in (0.04, 0.06)]
    assert [r.verdict for r in decide(alike, options())] == ["equivalent", "equivalent here"]
    assert decide([row(0.4, 0.6, 0.0, p_by_group=0.5)], options())[0].verdict == "undecided"


def test_of_one_training_each_nothing_is_called_better_or_equivalent():
    """Interval and p are those of these two networks; other trainings of the same models might stand otherwise."""
    rows = [(0.0001, 0.9, 0.05), (0.5, 0.0001, 0.001), (0.5, 0.6, 0.01)]
    found = decide([row(*given, remarks=Remark.ONE_SEED) for given in rows], options())
    assert [(r.status, r.verdict) for r in found] == [
        ("one seed", "no verdict"), ("one seed", "no verdict"), ("tested", "undecided"),
    ]  # fmt: skip
    assert found[0].p_holm == pytest.approx(0.0003)
    assert found[0].note.startswith("there is a single training of one or both, which may be what differs")
    a, b = Emotions(dialogs=60, turns=30, seeds=1, advantage=1.0).draw(np.random.default_rng(0))
    whole = outcome(a, b)
    assert (whole.status, whole.verdict) == ("one seed", "no verdict")
    assert whole.ci_low > 0
    assert whole.p_holm < 0.001


def test_what_is_not_above_chance_gets_no_verdict():
    rows = decide(
        [
            row(0.001, 0.9, 0.05, (True, False)),  # better than a model that is at chance: a verdict
            row(0.001, 0.9, 0.05, (False, True)),  # less bad than the other
            row(0.5, 0.001, 0.001, (False, False)),
            row(0.5, 0.001, 0.001, (False, True)),
            row(0.5, 0.5, 0.001, (False, False)),
        ],
        options(),
    )
    assert [r.verdict for r in rows] == ["a better", "no verdict", "no verdict", "equivalent", "undecided"]
    assert [r.status for r in rows] == ["tested", "at chance", "at chance", "tested", "tested"]


def test_holm_counts_the_contrasts_of_the_same_turns():
    rows = decide([row(0.02, 0.5, 0.1), row(0.02, 0.5, 0.1, turns="scripted")], options())
    assert [r.p_holm for r in rows] == [0.02, 0.02]


@pytest.mark.parametrize("status", [Status.UNDEFINED, Status.NO_SPREAD, Status.NOT_CHOSEN])
def test_a_planned_contrast_that_has_no_verdict_makes_no_other_easier_to_decide(status):
    """Two of three have a small p, one of them without the right to a verdict: the other is one of three."""
    untested = replace(row(None, 0.9, 0.1), status=status)
    rows = decide([untested, row(0.02, 0.9, 0.1), row(0.4, 0.9, 0.01)], options())
    assert [r.p_holm for r in rows] == [None, pytest.approx(0.06), pytest.approx(0.8)]
    assert [r.verdict for r in rows] == ["no verdict", "undecided", "undecided"]


def outcome(a, b, **changes):
    given = options(**changes)
    return decide([compare("?", a, b, given, 0.25, Resampler(given))], given)[0]


def test_identical_predictions_on_few_items_are_no_proof_of_equality():
    rng = np.random.default_rng(10)
    a, _ = Emotions(dialogs=12, turns=10, seeds=2).draw(rng)
    found = outcome(a, a, metric="accuracy")
    assert (found.difference, found.p_bootstrap, found.verdict) == (0, 1, "undecided")
    # Bonett and Price 2012 with no disagreement at all: one each way is added to the counts, two to the items.
    p, items = 1 / (found.items + 2), found.items + 2
    independent = np.sqrt((2 * p - (p - p) ** 2) / items)
    assert independent * 0.99 < found.standard_error < 6 * independent  # dialogs make items worth less
    assert found.ci_low < 0 < found.ci_high
    assert {Remark.ALIKE, Remark.FOLDS_ALIKE} <= set(found.remarks.split())
    assert found.p_t_corrected is None
    steady = {"sd_dialog_model": 0.05, "sd_seed": 0.02, "sd_seed_item": 0.25, "sd_item_model": 0.05}
    many, _ = Emotions(dialogs=151, turns=50, seeds=2, **steady).draw(rng)
    assert outcome(many, many, metric="accuracy").verdict == "equivalent"


def hits(right_a, right_b, dialogs, classes=4):
    """Two runs of one seed on as many items as there are flags, in ``dialogs`` dialogs, true class by turns."""
    n = len(right_a)
    truth, dialog = np.arange(n) % classes, np.arange(n) * dialogs // n
    runs = []
    for name, right in (("a-A", right_a), ("b-A", right_b)):
        predicted = np.where(right, truth, (truth + 1) % classes)
        sums = confusion_matrix(truth, predicted, classes, dialog, dialogs)[:, None].astype(float)
        template = Emotions(dialogs=dialogs, turns=3, seeds=1, folds=1).draw(np.random.default_rng(0))[0]
        cells = {"fold": np.zeros(dialogs, int), "cluster": np.arange(dialogs), "style": np.full(dialogs, "")}
        changes = {"classes": tuple("abcd"), "right": np.asarray(right, bool), "right_style": np.full(n, "")}
        runs.append(replace(template, run=name, sums=sums, **cells, **changes))
    return runs


def test_forty_items_with_one_right_each_are_not_equivalent():
    """One of 40 right, another one of 40 right: every resampled test set has the same difference or nearly so."""
    one = np.arange(40) == 7
    for dialogs in (4, 10):
        found = outcome(*hits(one, one, dialogs), metric="accuracy")
        assert found.verdict == ("no verdict" if dialogs == 4 else "undecided")
        assert found.difference == 0
        if dialogs == 10:
            assert found.equivalence_low < -0.01
            assert (found.standing_a, found.standing_b) == ("at chance", "at chance")


def test_seven_against_none_of_forty_on_four_dialogs_is_no_verdict():
    found = outcome(*hits(np.arange(40) % 6 == 0, np.zeros(40), 4), metric="accuracy")
    assert (found.verdict, found.status) == ("no verdict", "few clusters")
    assert (found.p_bootstrap, found.p_holm, found.ci_low) == (None, None, None)
    assert 2 * 0.5**4 > 0.05  # flipping the signs of four dialogs, the exact test, cannot reach .05
    assert outcome(*hits(np.arange(24) % 6 == 0, np.zeros(24), 8), metric="accuracy").status == "few items"


def test_one_fold_one_seed_one_dialog_leave_cells_empty_with_a_reason():
    rng = np.random.default_rng(11)
    a, b = Emotions(dialogs=7, turns=20, seeds=1, folds=1).draw(rng)
    found = outcome(a, b)
    assert found.p_bootstrap is not None
    for name in ("p_t_paper", "effect_size", "p_t_corrected", "p_wilcoxon", "p_a_better", "p_equivalent"):
        assert getattr(found, name) is None, name
    assert set(found.remarks.split()) == {
        *(Remark.ROUGH, Remark.ONE_SEED, Remark.FEW_RUNS, Remark.ONE_FOLD, Remark.FEW_PAIRS),
    }
    for words in ("few clusters", "single seed", "needs 2 runs", "need 2 folds", "needs 6 folds"):
        assert words in found.note, words
    a, b = Emotions(dialogs=1, turns=50, seeds=3, folds=1).draw(rng)
    found = outcome(a, b)
    assert (found.p_bootstrap, found.p_holm, found.verdict) == (None, None, "no verdict")
    assert found.status == "few clusters"
    a, b = Affect(videos=30, frames=30, seeds=2).draw(rng)
    found = outcome(a, b, metric="ccc_mean")
    assert found.cluster_kind == "video"
    assert found.p_mcnemar is None
    assert Remark.NOT_CLASSES in found.remarks.split()


def test_an_undefined_metric_is_a_status_and_no_crash():
    a, b = Affect(videos=3, frames=30, seeds=2).draw(np.random.default_rng(12))
    a.sums[..., 4] = a.sums[..., 2] = a.sums[..., 5] = 0  # a predicts 0 everywhere: no correlation
    found = outcome(a, b, metric="pearson_mean")
    assert (found.mean_a, found.status, found.verdict) == (None, "undefined", "no verdict")
    assert found.mean_b is not None
    assert "undefined" in found.note


def test_two_models_that_always_say_the_same_number_are_not_equivalent():
    a, b = Affect(videos=30, frames=30, seeds=2).draw(np.random.default_rng(14))
    for run in (a, b):
        n = run.sums[..., 0]
        run.sums[..., 2], run.sums[..., 4], run.sums[..., 5] = 0.2 * n, 0.04 * n, 0.2 * run.sums[..., 1]
    found = outcome(a, b, metric="ccc_mean")
    assert (found.mean_a, found.mean_b, found.chance) == (0, 0, 0)
    assert (found.status, found.verdict) == ("at chance", "no verdict")


def test_the_error_by_session_is_that_of_drawing_sessions():
    """Against the jackknife over five sessions, an estimate of the same thing by another road."""
    setting = Emotions(dialogs=100, turns=30, seeds=1, sd_session_model=0.3)
    ratio = []
    for number in range(12):
        a, b = setting.draw(np.random.default_rng(number))
        found = outcome(a, b, metric="accuracy", bootstrap_samples=1000)
        assert (found.group_kind, found.groups) == ("session", 5)
        left_out = []
        for session in range(5):
            keep = a.group[a.cluster] != session
            left_out.append(np.diff([accuracy(run.sums[keep].sum(0)).mean() for run in (b, a)])[0])
        jackknife = np.sqrt(4 / 5 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
        ratio.append(found.standard_error_by_group / jackknife)
        assert (found.p_by_group < 0.05) <= (abs(found.difference) > 2 * found.standard_error_by_group)
        within = (
            SignificanceOptions.model_fields["practical_region"].default - abs(found.difference)
        ) / found.standard_error_by_group
        assert (found.p_equivalence_by_group < 0.5) == (within > 0)
        assert abs(found.p_equivalence_by_group - 0.5) <= stats.norm.cdf(abs(within)) - 0.5  # t has more in its tails
    assert np.mean(ratio) == pytest.approx(1, abs=0.05)
    assert np.std(ratio) < 0.1
    a, b = Affect(videos=30, frames=30, seeds=2).draw(np.random.default_rng(1))
    assert outcome(a, b, metric="ccc_mean").standard_error_by_group is None


def test_a_fold_that_tests_no_turn_of_a_style_does_not_count_for_it():
    """Fold 0 tests scripted dialogs alone: for improvised turns it is as if there were no fold 0."""
    pair = Emotions(dialogs=60, turns=15, seeds=2).draw(np.random.default_rng(15))
    styled, without = [], []
    for run in pair:
        style = np.where(run.fold == 0, "scripted", run.style)
        items = np.full(len(run.right), "improvised")  # whose right ones are not looked at here
        styled.append(replace(run, style=style, right_style=items).of_style("improvised"))
        keep = (run.fold > 0) & (run.style == "improvised")
        left, cluster = np.unique(run.cluster[keep], return_inverse=True)
        cells = {"sums": run.sums[keep], "fold": run.fold[keep] - 1, "cluster": cluster, "style": run.style[keep]}
        clusters = {"clusters": tuple(run.clusters[i] for i in left), "group": run.group[left] - 1}
        without.append(replace(run, **cells, **clusters, fingerprints=("same",) * 4))
    found, expected = outcome(*styled), outcome(*without)
    assert found.p_t_corrected == pytest.approx(expected.p_t_corrected)
    for name in ("clusters", "mean_a", "ci_low", "ci_high", "p_bootstrap", "p_t_paper", "standard_error_by_group"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name


def test_the_mean_over_folds_leaves_out_a_fold_in_which_no_run_has_a_score():
    a, b = np.array([[0.2, 0.4], [0.6, 0.8], [np.nan, np.nan]]), np.array([[0.1, 0.1], [0.1, 0.1], [np.nan, np.nan]])
    assert _fold_means(a, b) == [pytest.approx(0.5), pytest.approx(0.1)]
    assert _fold_means(a, np.where(np.isnan(b), 0.1, b)) == [None, pytest.approx(0.1)]
    assert _fold_means(a[2:], b[2:]) == [None, None]


def test_size_ratio_is_a_mean_over_folds():
    split = [Assignment(f"s{i}", 0, "test" if i < 2 else "training") for i in range(10)]
    split += [Assignment(f"s{i}", 1, "test" if i < 5 else "training") for i in range(10)]
    assert size_ratio(split, 2) == pytest.approx((2 / 8 + 5 / 5) / 2)
    with pytest.raises(InputError, match="fold 2"):
        size_ratio(split, 3)


def test_a_rare_class_widens_no_interval_of_what_weighs_classes_by_their_items():
    """Two items of one class in two thousand: the standard error is that of the score over other test sets."""
    rng, found = np.random.default_rng(21), []
    for _ in range(40):
        label = np.array([3, 3, *rng.choice(3, 2000, p=[0.07, 0.53, 0.4])])
        cluster, runs = np.arange(len(label)) % 30, []
        for skill in (0.8, 0.7):
            guess = np.where(rng.random(len(label)) < skill, label, rng.integers(0, 3, len(label)))
            sums = confusion_matrix(label, guess, 7, cluster, 30)[:, None]
            cells = {"fold": np.zeros(30, int), "right": None, "right_style": None}
            runs.append(_run(runs, Task("classes", "segment"), np.repeat(sums, 2, axis=1), 30, 2, **cells))
        found.append(outcome(*runs, metric="weighted_f1"))
    spread = np.std([row.difference for row in found], ddof=1)
    assert np.mean([row.standard_error for row in found]) == pytest.approx(spread, rel=0.4)
    assert all(row.verdict == "a better" for row in found)


# ---- b, chosen in each fold -------------------------------------------------------------------------------------


def candidates(scores):
    """Runs on the same items, with the development score of each in each fold, in per cent."""
    a, b = Emotions(dialogs=40, turns=20, seeds=2).draw(np.random.default_rng(3))
    found = {"a-A": replace(a, run="a-A")}
    for number, by_fold in enumerate(scores):
        hits = np.zeros((len(by_fold), 2, 7, 7))
        hits[..., 0, 0], hits[..., 0, 1] = np.array(by_fold)[:, None], 100 - np.array(by_fold)[:, None]
        order = np.random.default_rng(number).permutation(7)  # of what is predicted: another score on the same items
        name = f"{'xyz'[number]}-A"
        found[name] = replace(b, run=name, sums=b.sums[..., order], development=hits)
    return found


def chosen(runs, names):
    found = choose_b(Contrast(question="q", a="a-A", b=names), "accuracy", runs.__getitem__)
    return found.tally, " ".join(found.runs), " ".join(map(str, found.candidates))


def test_b_is_in_each_fold_the_run_that_is_best_on_its_development_part():
    runs = candidates([[50, 60, 70, 40, 50], [60, 50, 60, 50, 60], [10, 10, 10, 10, 95]])
    tallied, b, among = chosen(runs, ["x-A", "y-A", "z-A"])
    assert (b, among) == ("x-A y-A z-A", "x-A=0.5400:2 y-A=0.5600:2 z-A=0.2700:1")
    for fold, name in enumerate(["y-A", "x-A", "x-A", "y-A", "z-A"]):
        cells = tallied.fold == fold
        assert np.array_equal(tallied.sums[cells], runs[name].sums[cells]), fold
    found = run_contrasts(
        [Contrast(question="q", a="a-A", b=["x-A", "y-A", "z-A"]), Contrast(question="q2", a="a-A", b=["y-A", "x-A"])],
        options(metric="accuracy"),
        runs.__getitem__,
        0.25,
    )
    assert [row.b for row in found[:2]] == ["x-A y-A z-A", "y-A x-A"]
    assert found[0].mean_b == pytest.approx(accuracy(tallied.sums.sum(0)).mean())
    assert found[0].p_bootstrap != found[1].p_bootstrap, "each choice is resampled for itself"
    assert all("b is in each fold the best of several by its development score" in row.note for row in found)
    assert chosen(candidates([[50] * 5, [60] * 5]), ["x-A", "y-A"])[1:] == ("y-A", "x-A=0.5000:0 y-A=0.6000:5")
    assert chosen(runs, ["x-A"])[1:] == ("x-A", "")


def test_what_several_runs_have_right_is_put_together_by_fold():
    runs = candidates([[50, 60, 50, 60, 50], [60, 50, 60, 50, 60]])
    fold = np.repeat(np.arange(5), np.bincount(runs["x-A"].fold, runs["x-A"].sums[:, 0].sum((-2, -1))).astype(int))
    runs["x-A"] = replace(runs["x-A"], right=np.zeros(len(fold), bool))
    runs["y-A"] = replace(runs["y-A"], right=np.ones(len(fold), bool))
    assert np.array_equal(chosen(runs, ["x-A", "y-A"])[0].right, fold % 2 == 0)


def test_a_fold_in_which_no_candidate_has_a_development_score_leaves_that_contrast_without_a_verdict():
    runs = candidates([[50, 60, 50, 60, 50], [60, 50, 60, 50, 60]])
    everywhere = replace(runs["x-A"], development=np.zeros_like(runs["x-A"].development))
    assert chosen({**runs, "x-A": everywhere}, ["x-A", "y-A"])[1:] == ("y-A", "x-A=undefined:0 y-A=0.5600:5")
    lacking = {}
    for name in ("x-A", "y-A"):
        development = runs[name].development.copy()
        development[4] = 0
        lacking[name] = replace(runs[name], development=development)
    planned = [Contrast(question="q", a="a-A", b=["x-A", "y-A"]), Contrast(question="q2", a="a-A", b="x-A")]
    given = [options(metric="accuracy"), {**runs, **lacking}.__getitem__, 0.25]
    found, other = run_contrasts(planned, *given)[:2]
    assert (found.b, found.b_chosen_from) == ("x-A y-A", "x-A=undefined:2 y-A=undefined:2")
    assert (found.status, found.verdict, found.mean_b) == ("not chosen", "no verdict", None)
    assert found.difference is None
    assert found.note == "in some fold none of several has a defined development score: name one run as b"
    assert other.status == "tested"
    nowhere = {name: replace(runs[name], development=everywhere.development) for name in ("x-A", "y-A")}
    assert chosen(nowhere, ["x-A", "y-A"])[1:] == ("x-A y-A", "x-A=undefined:0 y-A=undefined:0")
    every = ["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1"]
    sums = chosen(nowhere, ["x-A", "y-A"])[0].sums.sum(0)
    assert all(np.isnan(metric(Task("classes", "segment"), name, "abcdefg")(sums)).all() for name in every)
    numbers = np.full((2, 1, 6), np.nan)
    known = metrics(Task("numbers", "segment", ("valence",)))
    assert all(np.isnan(function(numbers)).all() for function in known.values())


def test_choosing_among_equal_runs_favours_none_of_them():
    """Four runs of one skill, whose development part in a fold is what they are tested on in the next one."""
    rng, gains, fold = np.random.default_rng(5), [], np.arange(40) % 5
    for _ in range(60):
        runs = {}
        for name in ("a-A", "w-A", "x-A", "y-A", "z-A"):
            hits = rng.binomial(20, 0.6, (40, 1))
            sums = np.zeros((40, 1, 7, 7))
            sums[..., 0, 0], sums[..., 0, 1] = hits, 20 - hits
            held_out = np.stack([sums[fold == (k + 1) % 5].sum(0) for k in range(5)])
            run = _run([], Task("classes", "segment"), sums, 40, 5, fold=fold)
            runs[name] = replace(run, run=name, development=held_out)
        planned = Contrast(question="q", a="a-A", b=["w-A", "x-A", "y-A", "z-A"])
        (row,) = run_contrasts([planned], options(metric="accuracy", bootstrap_samples=100), runs.__getitem__, 0.25)
        gains.append(row.mean_b - np.mean([run.score(accuracy) for name, run in runs.items() if name != "a-A"]))
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert abs(np.mean(gains)) < 3 * error, (np.mean(gains), error)


# ---- from files to the table -----------------------------------------------------------------------------------


def write_run(folder, run, unit_of, parts, skill, seeds=(1, 2, 3)):
    names = sorted(unit_of)
    truth = {name: CLASSES[i % 3] for i, name in enumerate(names)}
    key = [ord(c) for c in run]
    for fold, of_segment in enumerate(parts):
        rows = []
        for seed in seeds:
            rng = np.random.default_rng([seed, fold, *key])
            for name in names:
                guess = truth[name] if rng.random() < skill else CLASSES[rng.integers(3)]
                if of_segment[name] != "training":
                    rows.append((name, seed, of_segment[name], truth[name], guess))
        write_segments(folder, run, fold, CLASSES, rows)


@pytest.fixture
def corpus(tmp_path):
    unit_of = {f"Ses{i % 5}_{i // 5 % 4}_{i:04d}": f"Ses{i % 5}_{i // 5 % 4}" for i in range(1000)}
    parts = [
        {
            n: "test" if n[3] == str(k) else "development" if n[3:6] == f"{(k + 1) % 5}_0" else "training"
            for n in unit_of
        }
        for k in range(5)
    ]
    groups = {"dialog": lambda n: unit_of[n], "session": lambda n: int(n[3])}
    groups["style"] = lambda n: "scripted" if n[5] in "13" else "improvised"
    segments, split = write_corpus(tmp_path, unit_of, parts, **groups)
    skills = {"self-A+V+T": 0.60, "cross-A+V+T": 0.45, "self-A+V": 0.40, "self-A+T": 0.46, "self-V+T": 0.30}
    for run, skill in skills.items():
        write_run(tmp_path, run, unit_of, parts, skill)
    return tmp_path, segments, split, unit_of, parts


TASKS = {"segment": "classes/segment", "frame": "numbers/frame:valence,arousal"}


def call(corpus, contrasts, out="significance.csv", folds=5, task="segment", **changes):
    folder, segments, split = corpus[:3]
    given = {"metric": "balanced_accuracy", "bootstrap_samples": 500, "practical_region": 0.01, "seed": 3, **changes}
    arguments = [
        *(
            "--task",
            TASKS[task],
            "--results",
            folder,
            "--protocol",
            "session",
            "--segments",
            segments,
            "--split",
            split,
        ),
        *("--folds", folds, "--contrasts", json.dumps(contrasts), "--options", json.dumps(given)),
        *("--out", folder / "tables" / out),
    ]
    done = CliRunner().invoke(significance, [str(a) for a in arguments])
    if done.exception:
        raise done.exception
    with open(folder / "tables" / out, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


CONTRASTS = [
    {"question": "self or cross, A+V+T", "a": "self-A+V+T", "b": "cross-A+V+T"},
    {"question": "three or two", "a": "cross-A+V+T", "b": ["self-A+V", "self-A+T", "self-V+T"]},
]
CONTRACT = (
    "question role turns a b metric items clusters cluster_kind mean_a mean_b chance standing_a difference ci_low "
    "fold_mean_a fold_mean_b "
    "ci_high p_bootstrap p_holm p_equivalence p_equivalence_holm "
    "standard_error_by_group p_t_paper effect_size p_t_corrected p_wilcoxon p_mcnemar "
    "p_a_better p_equivalent p_b_better verdict status remarks b_chosen_from note"
)


def test_from_files_to_table(corpus):
    rows = call(corpus, CONTRASTS)
    assert set(CONTRACT.split()) <= set(rows[0])
    assert [(r["role"], r["turns"]) for r in rows] == [
        *[("planned", "all")] * 2, *[("secondary", "improvised")] * 2, *[("secondary", "scripted")] * 2,
    ]  # fmt: skip
    first, second = rows[:2]
    assert (first["items"], first["clusters"], first["cluster_kind"]) == ("1000", "20", "dialog")
    assert first["verdict"] == "a better"
    assert float(first["difference"]) == pytest.approx(float(first["mean_a"]) - float(first["mean_b"]), abs=2e-6)
    assert float(first["ci_low"]) < float(first["difference"]) < float(first["ci_high"])
    assert float(first["p_holm"]) == pytest.approx(2 * float(first["p_bootstrap"]), rel=1e-4)
    assert first["p_wilcoxon"] == ""
    assert "needs 6 folds" in first["note"]
    assert float(first["p_a_better"]) > 0.9
    assert second["b"] == "self-A+T self-A+V", "as folds chose, the most frequent first"
    assert "best of several by its development score" in second["note"]
    of_candidate = dict(x.split("=") for x in second["b_chosen_from"].split())
    assert list(of_candidate) == CONTRASTS[1]["b"]
    assert sum(int(x.partition(":")[2]) for x in of_candidate.values()) == 5
    assert "chosen" in second["remarks"].split()
    assert float(first["chance"]) == pytest.approx(1 / 3, abs=1e-6)
    assert (first["standing_a"], first["status"]) == ("above", "tested")
    assert (first["group_kind"], first["groups"]) == ("session", "5")
    assert second["verdict"] == "undecided"
    assert not any("nan" in value.lower().split() for row in rows for value in row.values())


def test_a_row_that_is_not_tested_changes_no_cluster(tmp_path):
    """Ten speakers with files of one utterance, one of which holds a second that nobody labelled."""
    unit_of = {f"{i % 10}_{i:03d}": f"file{i:03d}" for i in range(200)}
    part = {name: "test" if i % 2 else "training" for i, name in enumerate(unit_of)}
    for run, skill in (("self-A", 0.6), ("cross-A", 0.5)):
        write_run(tmp_path, run, unit_of, [part], skill)
    split = [part | {"1_second": "unlabelled"}]
    paths = write_corpus(tmp_path, unit_of | {"1_second": "file001"}, split, speaker=lambda name: name[0])
    (row,) = call((tmp_path, *paths), [{"question": "?", "a": "self-A", "b": "cross-A"}], folds=1)
    assert (row["cluster_kind"], row["clusters"], row["items"]) == ("speaker", "5", "100")


def test_what_was_selected_on_the_test_part_gets_no_verdict(corpus):
    """As where a protocol chooses epochs, and with them the best of several runs, on its test part: the papers' do."""
    rows = [row for row in read_table(corpus[2], Assignment) if row.part != "development"]
    write_table(corpus[2], [*rows, *(replace(r, part="development") for r in rows if r.part == "test")], Assignment)
    first, second = call(corpus, CONTRASTS)[:2]
    for row in (first, second):
        assert (row["status"], row["verdict"]) == ("selected on test", "no verdict")
        assert row["note"].startswith("epochs were chosen by the scores of the test items themselves")
        assert all(row[name] for name in ("difference", "ci_low", "p_bootstrap", "p_holm")), "to look at"


def test_means_and_t_tests_follow_from_the_score_table(corpus):
    """The same numbers from scores.csv, which is tested against scikit-learn."""
    from models.evaluation.scores import score_run

    row = call(corpus, CONTRASTS[:1])[0]
    table = {}
    for name in ("self-A+V+T", "cross-A+V+T"):
        scores = score_run(corpus[0], name, 5, Task("classes", "segment"), "session", {}).scores
        table[name] = {(s.fold, s.seed): s.value for s in scores if s.metric == "balanced_accuracy"}
    a, b = table.values()
    assert float(row["mean_a"]) == pytest.approx(np.mean([a["all", s] for s in (1, 2, 3)]), abs=1e-6)
    runs_a, runs_b = ([t[str(k), s] for k in range(5) for s in (1, 2, 3)] for t in (a, b))
    assert float(row["fold_mean_a"]) == pytest.approx(np.mean(runs_a), abs=1e-6)
    assert float(row["fold_mean_b"]) == pytest.approx(np.mean(runs_b), abs=1e-6)
    assert float(row["p_t_paper"]) == pytest.approx(stats.ttest_ind(runs_a, runs_b).pvalue, rel=1e-4)
    by_fold = (np.array(runs_a) - np.array(runs_b)).reshape(5, 3).mean(1)
    ratio = 200 / (1000 - 200 - 50)
    t = by_fold.mean() / np.sqrt((1 / 5 + ratio) * by_fold.var(ddof=1))
    assert float(row["p_t_corrected"]) == pytest.approx(2 * stats.t.sf(abs(t), 4), rel=1e-4)


def test_rows_of_one_style_are_those_of_its_items_alone(corpus, tmp_path):
    """The same contrast on a corpus that has only the scripted dialogs."""
    folder, _, _, unit_of, parts = corpus
    row = next(r for r in call(corpus, CONTRASTS[:1]) if r["turns"] == "scripted")
    alone = {n: unit for n, unit in unit_of.items() if n[5] in "13"}
    fewer = [{n: part for n, part in of.items() if n in alone} for of in parts]
    groups = {"dialog": lambda n: unit_of[n], "session": lambda n: int(n[3])}
    other = (tmp_path / "scripted", *write_corpus(tmp_path / "scripted", alone, fewer, **groups))
    for run in ("self-A+V+T", "cross-A+V+T"):
        for fold in range(5):
            rows = read_parquet(folder / "runs" / run / f"fold{fold}" / FILE).to_pylist()
            rows = [list(row.values())[:5] for row in rows if row["segment_id"] in alone]
            write_segments(other[0], run, fold, CLASSES, rows)
    only = call(other, CONTRASTS[:1])[0]
    assert int(row["items"]) == int(only["items"]) == 500
    same = ["clusters", "mean_a", "mean_b", "ci_low", "p_bootstrap", "p_holm", "p_mcnemar", "standard_error_by_group"]
    for name in [*same, "verdict"]:
        assert row[name] == only[name], name


def test_the_table_is_the_same_every_time_and_each_row_whatever_stands_beside_it(corpus):
    folder = corpus[0]
    whole = call(corpus, CONTRASTS)
    call(corpus, CONTRASTS, out="again.csv")
    assert (folder / "tables" / "again.csv").read_bytes() == (folder / "tables" / "significance.csv").read_bytes()
    alone = call(corpus, CONTRASTS[1:], out="alone.csv")[0]
    for name in ("ci_low", "ci_high", "p_bootstrap", "mean_b"):
        assert alone[name] == whole[1][name]


def test_swapping_a_and_b_mirrors_the_row(corpus):
    forward = call(corpus, CONTRASTS[:1])[0]
    back = call(corpus, [{"question": "?", "a": "cross-A+V+T", "b": "self-A+V+T"}], out="back.csv")[0]
    assert float(back["ci_low"]) == -float(forward["ci_high"])
    assert back["p_bootstrap"] == forward["p_bootstrap"]
    assert back["p_b_better"] == forward["p_a_better"]
    assert back["verdict"] == "b better"


def test_frame_task_has_videos_as_clusters(tmp_path):
    rng = np.random.default_rng(13)
    names = {f"{v}{side}": v for v in ("1-2", "3-4", "5-6") for side in ("", "_left")}
    for run, error in (("rcma-A+V", 0.1), ("self-A+V", 0.5)):
        tracks = []
        for seed in (0, 1):
            for i, name in enumerate(names):
                truth = np.sin(np.linspace(0, 6, 200 + i)[:, None] + [0, i]).astype(np.float32)
                valid = np.arange(len(truth)) % 10 > 0
                tracks.append((name, seed, "test", truth, truth + error * rng.normal(size=truth.shape), valid))
        write_frames(tmp_path, run, 0, tracks)
    segments, split = write_corpus(tmp_path, {**names, "t": "7-8"}, [dict.fromkeys(names, "test") | {"t": "training"}])
    contrasts = [{"question": "?", "a": "rcma-A+V", "b": "self-A+V"}]
    row = call((tmp_path, segments, split), contrasts, folds=1, task="frame", metric="ccc_mean")[0]
    assert (row["clusters"], row["cluster_kind"]) == ("3", "video")
    assert int(row["items"]) == sum((np.arange(200 + i) % 10 > 0).sum() for i in range(6))
    assert float(row["mean_a"]) > float(row["mean_b"])
    assert (row["status"], row["verdict"]) == ("few clusters", "no verdict")


def test_errors_say_what_is_wrong(corpus):
    folder, _, _, unit_of, parts = corpus
    with pytest.raises(InputError, match=r"significance.metric: 'UAR'.*balanced_accuracy"):
        call(corpus, CONTRASTS, metric="UAR")
    with pytest.raises(InputError, match="bootstrap_samples"):
        call(corpus, CONTRASTS, bootstrap_samples=3)
    with pytest.raises(InputError, match="other than a"):
        call(corpus, [{"question": "?", "a": "self-A+V", "b": "self-A+V"}])
    with pytest.raises(InputError, match="train run 'rcma-A' on fold 0"):
        call(corpus, [{"question": "?", "a": "self-A+V", "b": "rcma-A"}])
    fewer = {name: unit for name, unit in unit_of.items() if not name.endswith("0999")}
    write_run(folder, "late-A+V", fewer, parts, 0.5)
    with pytest.raises(InputError, match="fold 4: self-A\\+V and late-A\\+V were not tested on the same items"):
        call(corpus, [{"question": "?", "a": "self-A+V", "b": "late-A+V"}])
    only_test = [{n: p if p == "test" else "training" for n, p in of.items()} for of in parts]
    write_run(folder, "late-A+T", unit_of, only_test, 0.5)
    with pytest.raises(InputError, match=r"late-A\+T has no development score"):
        call(corpus, [{"question": "?", "a": "self-A+V", "b": ["late-A+T", "self-A+T"]}])
