"""Metrics against scikit-learn, scipy and formulas written another way."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as truth

from models.evaluation import metrics
from models.task import Task
from pipeline.records import InputError

CLASSES, NUMBERS = Task("classes", "segment"), Task("numbers", "frame", ("valence", "arousal"))


def items(seed, n=400, classes=7, absent=(), never=()):
    rng = np.random.default_rng(seed)
    labels = rng.choice([c for c in range(classes) if c not in absent], n)
    guesses = rng.choice([c for c in range(classes) if c not in never], n)
    keep = rng.random(n) < 0.5
    return labels, np.where(keep & ~np.isin(labels, never), labels, guesses)


@pytest.mark.parametrize("seed", range(5))
def test_class_metrics_equal_scikit_learn(seed):
    labels, guesses = items(seed)
    confusion = metrics.confusion_matrix(labels, guesses, 7)
    np.testing.assert_array_equal(confusion, truth.confusion_matrix(labels, guesses, labels=range(7)))
    assert metrics.accuracy(confusion) == pytest.approx(truth.accuracy_score(labels, guesses))
    assert metrics.balanced_accuracy(confusion) == pytest.approx(truth.balanced_accuracy_score(labels, guesses))
    assert metrics.macro_f1(confusion) == pytest.approx(truth.f1_score(labels, guesses, average="macro"))
    assert metrics.weighted_f1(confusion) == pytest.approx(truth.f1_score(labels, guesses, average="weighted"))
    np.testing.assert_allclose(metrics.recall(confusion), truth.recall_score(labels, guesses, average=None))
    np.testing.assert_allclose(metrics.precision(confusion), truth.precision_score(labels, guesses, average=None))


def test_absent_and_never_predicted_classes_are_undefined_and_left_out_of_means():
    labels, guesses = items(1, absent=(2, 6), never=(2, 4))
    confusion = metrics.confusion_matrix(labels, guesses, 7)
    nan = {"labels": range(7), "average": None, "zero_division": np.nan}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_allclose(metrics.recall(confusion), truth.recall_score(labels, guesses, **nan))
        np.testing.assert_allclose(metrics.precision(confusion), truth.precision_score(labels, guesses, **nan))
        expected = truth.balanced_accuracy_score(labels, guesses)  # over the classes with items
    assert np.isnan(metrics.recall(confusion)[[2, 6]]).all()
    assert np.isnan(metrics.precision(confusion)[[2, 4]]).all()
    assert metrics.balanced_accuracy(confusion) == pytest.approx(expected)
    assert metrics.macro_f1(confusion) == pytest.approx(truth.f1_score(labels, guesses, average="macro"))
    assert metrics.weighted_f1(confusion) == pytest.approx(truth.f1_score(labels, guesses, average="weighted"))
    assert np.isnan(metrics.accuracy(np.zeros((3, 3))))
    assert np.isnan(metrics.weighted_f1(np.zeros((3, 3))))


def lin(x, y):
    """Lin 1989 from numpy's own covariance, denominator n."""
    (xx, xy), (_, yy) = np.cov(x, y, ddof=0)
    return 2 * xy / (xx + yy + (x.mean() - y.mean()) ** 2)


@pytest.mark.parametrize("seed", range(5))
def test_frame_metrics_equal_scipy_and_lins_formula(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, 3000).astype(np.float32)
    y = (0.5 * x + rng.normal(0.1, 0.3, 3000)).astype(np.float32)
    sums = metrics.moments(x, y)
    x, y = x.astype(float), y.astype(float)
    r = stats.pearsonr(x, y).statistic
    assert metrics.pearson(sums) == pytest.approx(r, abs=1e-12)
    assert metrics.ccc(sums) == pytest.approx(lin(x, y), abs=1e-12)
    scale, shift = x.std() / y.std(), (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    bias = 2 / (scale + 1 / scale + shift**2)  # Lin's other form: precision times accuracy
    assert metrics.ccc(sums) == pytest.approx(r * bias, abs=1e-12)
    assert metrics.rmse(sums) == pytest.approx(truth.root_mean_squared_error(x, y), abs=1e-12)


def test_constants_and_nothing_at_all():
    x = np.linspace(-1, 1, 1001)
    constant = np.full(1001, 0.1)
    assert metrics.ccc(metrics.moments(x, constant)) == 0 == pytest.approx(lin(x, constant))
    assert metrics.ccc(metrics.moments(constant, constant + 0.2)) == 0
    assert np.isnan(metrics.ccc(metrics.moments(constant, constant)))
    assert np.isnan(metrics.pearson(metrics.moments(x, constant)))
    assert metrics.rmse(metrics.moments(constant, constant)) == pytest.approx(0, abs=1e-8)
    for metric in (metrics.ccc, metrics.pearson, metrics.rmse):
        assert np.isnan(metric(metrics.moments([], [])))
    assert metrics.ccc(metrics.moments(x, x)) == pytest.approx(1)
    assert metrics.ccc(metrics.moments(x, -x)) == pytest.approx(-1)


def test_population_moments_not_sample_moments():
    x, y = np.array([0.0, 1.0, 0.5]), np.array([0.2, 0.7, 0.9])
    sample = 2 * np.cov(x, y)[0, 1] / (x.var(ddof=1) + y.var(ddof=1) + (x.mean() - y.mean()) ** 2)
    assert metrics.ccc(metrics.moments(x, y)) == pytest.approx(lin(x, y))
    assert abs(metrics.ccc(metrics.moments(x, y)) - sample) > 1e-3


def test_sums_of_groups_are_the_sums_of_all():
    labels, guesses = items(3)
    group = np.random.default_rng(0).integers(0, 9, len(labels))
    by_group = metrics.confusion_matrix(labels, guesses, 7, group, 10)
    assert by_group.shape == (10, 7, 7)
    assert by_group[9].sum() == 0
    np.testing.assert_array_equal(by_group.sum(0), truth.confusion_matrix(labels, guesses))
    for g in range(9):
        np.testing.assert_array_equal(
            by_group[g], truth.confusion_matrix(labels[group == g], guesses[group == g], labels=range(7))
        )
    x, y = np.random.default_rng(1).normal(size=(2, len(labels)))
    sums = metrics.moments(x, y, group, 10)
    np.testing.assert_allclose(sums.sum(0), metrics.moments(x, y))
    np.testing.assert_allclose(metrics.ccc(sums)[:9], [lin(x[group == g], y[group == g]) for g in range(9)])


def test_leading_axes_are_kept():
    labels, guesses = items(5)
    stack = np.stack([metrics.confusion_matrix(labels, np.roll(guesses, i), 7) for i in range(6)]).reshape(2, 3, 7, 7)
    expected = [truth.balanced_accuracy_score(labels, np.roll(guesses, i)) for i in range(6)]
    np.testing.assert_allclose(metrics.balanced_accuracy(stack).ravel(), expected)
    expected = [truth.f1_score(labels, np.roll(guesses, i), average="weighted") for i in range(6)]
    np.testing.assert_allclose(metrics.weighted_f1(stack).ravel(), expected)


def test_tables_of_metrics_use_full_names_and_say_what_there_is():
    names = list(metrics.metrics(CLASSES, ["ang", "sad"]))
    assert names == [
        *("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1"),
        *("recall_ang", "recall_sad", "precision_ang", "precision_sad"),
    ]
    assert {"ccc_valence", "ccc_arousal", "ccc_mean", "rmse_valence", "pearson_arousal"} <= set(
        metrics.metrics(NUMBERS)
    )
    confusion = metrics.confusion_matrix([0, 0, 1], [0, 1, 1], 2)
    table = metrics.metrics(CLASSES, ["ang", "sad"])
    assert table["recall_ang"](confusion) == 0.5
    assert table["precision_sad"](confusion) == 0.5
    both = np.stack([metrics.moments([0, 1, 2], [0, 1, 2]), metrics.moments([0, 1, 2], [2, 1, 0])])
    assert metrics.metric(NUMBERS, "ccc_valence")(both) == pytest.approx(1)
    assert metrics.metric(NUMBERS, "ccc_arousal")(both) == pytest.approx(-1)
    assert metrics.metric(NUMBERS, "ccc_mean")(both) == pytest.approx(0)
    with pytest.raises(InputError, match="balanced_accuracy"):
        metrics.metric(CLASSES, "UAR", ["ang", "sad"])
    for task in (CLASSES, NUMBERS, Task("numbers", "segment", ("dominance",))):
        assert set(metrics.overall(task)) <= set(metrics.metrics(task))
    assert metrics.overall(Task("numbers", "segment", ("dominance",)))[:2] == ("ccc_dominance", "ccc_mean")


@pytest.mark.parametrize("seed", range(3))
def test_chance_is_the_best_constant_answer(seed):
    labels, guesses = items(seed, absent=(3,))
    sums = metrics.confusion_matrix(labels, guesses, 7)
    constant = [np.full(len(labels), c) for c in range(7)]
    expected = {
        "accuracy": max(truth.accuracy_score(labels, x) for x in constant),
        "balanced_accuracy": 1 / 6,
        "macro_f1": max(truth.f1_score(labels, x, average="macro", zero_division=0) for x in constant),
        "weighted_f1": max(truth.f1_score(labels, x, average="weighted", zero_division=0) for x in constant),
    }
    for name, value in expected.items():
        assert metrics.chance(CLASSES, name, sums, list("abcdefg")) == pytest.approx(value)
    assert metrics.chance(CLASSES, "recall_a", sums, list("abcdefg")) is None
    both = np.stack([metrics.moments(labels, guesses)] * 2)
    assert metrics.chance(NUMBERS, "ccc_mean", both) == 0
    assert metrics.chance(NUMBERS, "rmse_mean", both) is None
