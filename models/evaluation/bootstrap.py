"""Paired cluster bootstrap of the difference of two runs, with the randomness of training beside that of the test set.

Two things would come out otherwise if the experiment were done again: which dialogs or videos are in the test set, and
which seeds the networks start from.

- Clusters are drawn with replacement, the same ones for both runs and all seeds, and the metric is computed anew from
  the sums of the drawn clusters (Davison & Hinkley 1997, Bootstrap Methods and their Application, section 3.8).
- Seeds: the spread of the scores over seeds is partly noise of a finite test set, which the clusters account for
  already; resampling raw seeds would count it twice (rejecting 1 % where 5 % are due). That part is estimated from the
  same draws and taken off; what is left is the variance of training.

The interval uses the bootstrap's standard error with quantiles of Student's t: percentiles of few clusters are too
narrow (10 % rejections at 10 dialogs). Degrees of freedom follow Satterthwaite, with Kish's effective number of
clusters, because few long videos can outweigh many short ones (Carter, Schnepel & Steigerwald 2017).

Of classes an interval is never 0 wide: where two models happen to be right alike on few items, the bootstrap finds no
variance. One disagreement each way is added to its variance, 2 / (n + 2)² (Bonett & Price 2012, Journal of Educational
and Behavioral Statistics 37, adjusted Wald interval), n the number of independent items that the test set is worth.
"""

from dataclasses import dataclass

import numpy as np

from models.evaluation.metrics import Metric
from models.evaluation.tallies import RunTally

BLOCK = 1000
"""Replicates computed at once: bounds memory."""


@dataclass(frozen=True)
class Resampled:
    """A run's score in the observed and in every resampled test set."""

    observed: float  # mean over seeds
    replicates: np.ndarray  # (R,)
    seed_spread: float  # variance between seeds of one run's score, summed over folds
    seed_noise: float  # how much of it is noise of the test set
    seeds: int
    folds: int


@dataclass(frozen=True)
class Estimate:
    """A difference or a score, how precisely it is known, and what follows from that."""

    observed: float
    standard_error: float
    degrees_of_freedom: float

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided confidence interval."""
        from scipy import stats

        if self.standard_error == 0:
            return self.observed, self.observed
        half = stats.t.ppf((1 + level) / 2, self.degrees_of_freedom) * self.standard_error
        return self.observed - half, self.observed + half

    @property
    def p(self) -> float:
        """Two-sided p of no difference: below 1 - level exactly where the interval excludes 0."""
        return 2 * self._tail(abs(self.observed))

    def p_equivalence(self, region: float) -> float:
        """Two one-sided tests (Schuirmann 1987): p of a difference of at least ``region`` in either direction.

        Below alpha exactly where the interval of level 1 - 2 alpha lies within the region.
        """
        return self._tail(region - abs(self.observed))

    def p_at_most(self, value: float) -> float:
        """One-sided p of a true score of at most ``value``."""
        return self._tail(self.observed - value)

    def _tail(self, distance: float) -> float:
        from scipy import stats

        if self.standard_error == 0:
            return 0.0 if distance > 0 else 0.5 if distance == 0 else 1.0
        return float(stats.t.sf(distance / self.standard_error, self.degrees_of_freedom))


def draw_weights(clusters: int, samples: int, seed: int) -> np.ndarray:
    """How often each cluster is drawn in each replicate, (samples, clusters)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=samples).astype(np.float64)


def resample(run: RunTally, metric: Metric, weights: np.ndarray) -> Resampled:
    """Score a run in the observed test set and in each of the resampled ones."""
    weights = np.concatenate([np.ones((1, weights.shape[1])), weights])
    blocks = np.array_split(weights, -(-len(weights) // BLOCK))
    scores, deviations = (np.concatenate(parts) for parts in zip(*(_score(run, metric, block) for block in blocks)))
    spread = noise = 0.0
    if len(run.seeds) > 1:
        free = len(run.seeds) - 1
        spread = float((deviations[0] ** 2).sum() / free)
        noise = float(np.nanvar(deviations[1:], axis=0, ddof=1).sum() / free)
    folds = len(np.unique(run.fold))
    return Resampled(float(scores[0]), scores[1:], spread, noise, len(run.seeds), folds)


def _score(run: RunTally, metric: Metric, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores (R,), and what each fold's seeds do to them apart from the folds' mean, (R, folds, S)."""
    by_fold = []
    for k in np.unique(run.fold):
        cells = run.fold == k
        by_fold.append(np.tensordot(weights[:, run.cluster[cells]], run.sums[cells], 1))
    total = np.sum(by_fold, axis=0)
    scores = metric(total).mean(-1)
    if len(run.seeds) == 1:
        return scores, np.zeros((len(weights), len(by_fold), 1))
    typical = total.mean(1, keepdims=True)
    deviations = []
    for sums in by_fold:  # one fold's training exchanged for another seed's, the other folds held at their mean
        changed = metric(typical - sums.mean(1, keepdims=True) + sums)
        deviations.append(changed - changed.mean(-1, keepdims=True))
    return scores, np.stack(deviations, axis=1)


def effective_clusters(items: np.ndarray) -> float:
    """Kish's effective number of clusters: their number where all are of one size, fewer where some outweigh others."""
    return float(items.sum() ** 2 / (items**2).sum())


def difference(
    a: Resampled, b: Resampled, cluster_items: np.ndarray, class_items: np.ndarray | None = None
) -> Estimate | None:
    """Compare two runs that were resampled with the same weights; ``cluster_items`` are the items of each cluster.

    Needs at least two clusters. ``class_items`` holds the items of each class that the metric averages over; it is left
    out where the metric is of numbers. Then None comes back where the runs differ by the same amount in every resampled
    test set, so that nothing can be said of precision. Replicates in which a metric is undefined are left out.
    """
    added = 0.0
    if class_items is not None:
        worth = min(worth_items(run, cluster_items, class_items) for run in (a, b))
        added = 2 / (worth + 2) ** 2
    return _estimate(a.observed - b.observed, a.replicates - b.replicates, (a, b), cluster_items, added)


def level(run: Resampled, cluster_items: np.ndarray, class_items: np.ndarray | None = None) -> Estimate | None:
    """How precisely one run's score is known; see ``difference``."""
    added = 0.0 if class_items is None else 1 / (worth_items(run, cluster_items, class_items) + 2) ** 2
    return _estimate(run.observed, run.replicates, (run,), cluster_items, added)


def worth_items(run: Resampled, cluster_items: np.ndarray, class_items: np.ndarray) -> float:
    """How many independent items a test set is worth to a score between 0 and 1.

    At most the items whose mean recall would vary as little (the harmonic mean of the classes' items, times classes),
    and fewer where the score varies more from cluster to cluster than that many independent items would let it (Kish's
    design effect); never less than the clusters.
    """
    present = class_items[class_items > 0]
    most = len(present) ** 2 / (1 / present).sum()
    clusters = effective_clusters(cluster_items)
    variance, spread = _variance(run.replicates, clusters), run.observed * (1 - run.observed)
    if variance > 0 and spread > 0:
        most = min(most, spread / variance)
    return max(most, clusters)


def _variance(replicates: np.ndarray, clusters: float) -> float:
    """Variance over test sets; that of a bootstrap of n clusters is too small by (n - 1) / n."""
    return float(np.nanvar(replicates, ddof=1)) * clusters / (clusters - 1)


def _estimate(observed, replicates, runs, cluster_items, added) -> Estimate | None:
    clusters = effective_clusters(cluster_items)
    stretch = clusters / (clusters - 1)
    parts = [(_variance(replicates, clusters) + added, clusters - 1)]
    for run in runs:
        if run.seeds > 1:
            training = max(0.0, run.seed_spread - run.seed_noise * stretch) / run.seeds
            parts.append((training, run.folds * (run.seeds - 1)))
    variance = sum(part for part, _ in parts)
    if variance < 1e-24:  # what rounding leaves of two identical runs
        return Estimate(0.0, 0.0, clusters - 1) if abs(observed) < 1e-12 else None
    satterthwaite = variance**2 / sum(part**2 / free for part, free in parts)
    return Estimate(observed, float(np.sqrt(variance)), satterthwaite)
