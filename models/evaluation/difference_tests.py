"""Tests of a difference beside the bootstrap: each gives p and an effect size, or the reason why there is none."""

from dataclasses import dataclass

import numpy as np

from models.evaluation.statuses import Remark

MIN_PAIRS = 6
"""With 5 pairs the two-sided Wilcoxon test cannot reach p < .0625, however large the difference."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one test; ``p`` and ``effect`` are None where ``reason`` says why it cannot be done."""

    p: float | None = None
    effect: float | None = None
    reason: Remark | None = None


@dataclass(frozen=True)
class Posterior:
    """Probabilities that a is better, that the two are practically equivalent, that b is better."""

    a_better: float | None = None
    equivalent: float | None = None
    b_better: float | None = None
    reason: Remark | None = None


def paper_t_test(a: np.ndarray, b: np.ndarray) -> Outcome:
    """The paper's test: Student's t over all training runs (folds x seeds) as if they were independent samples.

    Rajan, Brutti & Cavallaro 2022, two-sided, equal variances. Runs that share a test set are not independent: its p is
    too small. Effect: Cohen's d with the pooled standard deviation.
    """
    from scipy import stats

    a, b = np.ravel(a), np.ravel(b)
    if len(a) < 2 or len(b) < 2:
        return Outcome(reason=Remark.FEW_RUNS)
    if not np.isfinite([*a, *b]).all():
        return Outcome(reason=Remark.UNDEFINED_FOLD)
    pooled = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (len(a) + len(b) - 2)
    if pooled < 1e-24:
        return Outcome(reason=Remark.ALL_RUNS_ALIKE)
    return Outcome(float(stats.ttest_ind(a, b).pvalue), float((a.mean() - b.mean()) / np.sqrt(pooled)))


def corrected_t_test(differences: np.ndarray, test_train_ratio: float) -> Outcome:
    """Corrected resampled t-test over folds (Nadeau & Bengio 2003, Machine Learning 52, section 3.2).

    ``differences`` (folds,) are means over seeds; ``test_train_ratio`` is test / training items of a fold, by which the
    variance grows because training parts of folds overlap. Effect: mean / standard deviation over folds.
    """
    from scipy import stats

    reason = _unfit(differences)
    if reason:
        return Outcome(reason=reason)
    n, mean, variance = len(differences), differences.mean(), differences.var(ddof=1)
    t = mean / np.sqrt((1 / n + test_train_ratio) * variance)
    return Outcome(float(2 * stats.t.sf(abs(t), n - 1)), float(mean / np.sqrt(variance)))


def bayesian_t_test(differences: np.ndarray, test_train_ratio: float, region: float) -> Posterior:
    """Bayesian correlated t-test over folds (Corani & Benavoli 2015, Machine Learning 100, equation 8).

    The posterior of the mean difference is a Student t with n - 1 degrees of freedom and the variance of
    ``corrected_t_test``: correlation rho = test / (test + training) gives 1/n + rho / (1 - rho) = 1/n + test/training.
    ``region`` is half the region of practical equivalence.
    """
    from scipy import stats

    reason = _unfit(differences)
    if reason:
        return Posterior(reason=reason)
    n = len(differences)
    scale = np.sqrt((1 / n + test_train_ratio) * differences.var(ddof=1))
    posterior = stats.t(n - 1, differences.mean(), scale)
    a_better, b_better = float(posterior.sf(region)), float(posterior.cdf(-region))
    return Posterior(a_better, 1.0 - a_better - b_better, b_better)


def _unfit(differences: np.ndarray) -> Remark | None:
    if len(differences) < 2:
        return Remark.ONE_FOLD
    if not np.isfinite(differences).all():
        return Remark.UNDEFINED_FOLD
    return Remark.FOLDS_ALIKE if differences.var(ddof=1) < 1e-24 else None


def wilcoxon_test(differences: np.ndarray) -> Outcome:
    """Wilcoxon's signed-rank test over folds, two-sided, only with at least 6 folds that differ.

    Effect: matched-pairs rank-biserial correlation, from -1 (b ahead in all folds) to 1 (a ahead in all).
    """
    from scipy import stats

    if not np.isfinite(differences).all():
        return Outcome(reason=Remark.UNDEFINED_FOLD)
    unequal = differences[np.abs(differences) > 1e-12]
    if len(unequal) < MIN_PAIRS:
        return Outcome(reason=Remark.FEW_PAIRS)
    ranks = stats.rankdata(np.abs(unequal))
    return Outcome(float(stats.wilcoxon(unequal).pvalue), float((ranks * np.sign(unequal)).sum() / ranks.sum()))


def mcnemar_test(right_a: np.ndarray | None, right_b: np.ndarray | None) -> Outcome:
    """McNemar's exact test on the items that one model has right and the other wrong.

    A model has an item right where more than half of its seeds do. Items of a dialog are not independent, which this
    test does not know: its p is too small. Effect: Cohen's g, the share of discordant items that a has right, less 1/2.
    """
    from scipy import stats

    if right_a is None or right_b is None:
        return Outcome(reason=Remark.NOT_CLASSES)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    if only_a + only_b == 0:
        return Outcome(reason=Remark.SAME_RIGHT)
    exact = stats.binomtest(only_a, only_a + only_b)
    return Outcome(float(exact.pvalue), only_a / (only_a + only_b) - 0.5)


def holm(p_values: list[float | None]) -> list[float | None]:
    """Adjust for the number of planned contrasts (Holm 1979); those without p were planned, too, and count as p = 1."""
    known = np.array([1.0 if p is None else p for p in p_values])
    order = np.argsort(known, kind="stable")
    times = np.arange(len(known), 0, -1)  # the smallest p counts for all of them, the next for all but one
    adjusted = np.empty_like(known)
    adjusted[order] = np.maximum.accumulate(known[order] * times).clip(max=1)
    return [None if p is None else each for p, each in zip(p_values, adjusted.tolist(), strict=True)]
