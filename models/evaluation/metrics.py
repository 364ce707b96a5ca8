"""Metrics, each computed from a few sums over items, so that parts, folds and bootstrap replicates are sums of sums.

Classification metrics take confusion matrices (..., K, K) of counts: rows the true class, columns the predicted one.
Metrics of numbers take moments (..., 6): n, sum x, sum y, sum x², sum y², sum xy; x is the truth, y the prediction.
Leading axes are kept, so that thousands of resampled test sets are scored in one call. What the data leave undefined is
NaN: the recall of a class without items, the precision of a class never predicted, a correlation with a constant.
"""

from collections.abc import Callable, Sequence

import numpy as np

from models.task import Task
from pipeline.records import InputError

Metric = Callable[[np.ndarray], np.ndarray]
CONSTANT = 1e-12
"""A variance below this share of the mean square is rounding: the values are constant."""


def confusion_matrix(truth, predicted, classes: int, group=None, groups: int = 1) -> np.ndarray:
    """Count items by true and predicted class; with ``group`` (codes 0 to groups - 1) one matrix for each group.

    Takes class codes (N,); gives integers (K, K), or (groups, K, K).
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    cell = truth.astype(np.int64) * classes + predicted
    if group is not None:
        cell = cell + np.asarray(group).astype(np.int64) * classes * classes
    counts = np.bincount(cell, minlength=groups * classes * classes).reshape(groups, classes, classes)
    return counts if group is not None else counts[0]


def moments(truth, predicted, group=None, groups: int = 1) -> np.ndarray:
    """Sums from which the metrics of numbers follow; with ``group`` one set for each group.

    Takes values (N,); gives float64 (6,), or (groups, 6).
    """
    x, y = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if group is None:
        return np.array([len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y])
    sums = [np.bincount(group, weights, minlength=groups) for weights in (None, x, y, x * x, y * y, x * y)]
    return np.stack(sums, axis=-1).astype(np.float64)


def _ratio(above, below) -> np.ndarray:
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1))


def _hits(confusion) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def accuracy(confusion) -> np.ndarray:
    """Share of items whose class is right (the paper of 2022 calls it UWA; most others WA)."""
    return _ratio(_hits(confusion).sum(-1), confusion.sum((-2, -1)))


def recall(confusion) -> np.ndarray:
    """Of the items of each class, the share that is found; (..., K), NaN for a class without items."""
    return _ratio(_hits(confusion), confusion.sum(-1))


def precision(confusion) -> np.ndarray:
    """Of the items called each class, the share that is; (..., K), NaN for a class never predicted."""
    return _ratio(_hits(confusion), confusion.sum(-2))


def f1(confusion) -> np.ndarray:
    """Harmonic mean of precision and recall; (..., K), NaN for a class neither present nor predicted."""
    return _ratio(2.0 * _hits(confusion), confusion.sum(-1) + confusion.sum(-2))


def balanced_accuracy(confusion) -> np.ndarray:
    """Mean recall over the classes that have items (the paper of 2022 calls it WA; most others UA or UAR)."""
    return _mean_of_defined(recall(confusion))


def macro_f1(confusion) -> np.ndarray:
    """Mean F1 over the classes that are present or predicted."""
    return _mean_of_defined(f1(confusion))


def weighted_f1(confusion) -> np.ndarray:
    """Mean F1 over the classes, each weighted by its share of the items (as papers on MELD report it)."""
    items = np.asarray(confusion).sum(-1)
    return _ratio(np.nansum(f1(confusion) * items, axis=-1), items.sum(-1))


def _population(sums):
    """Means, variances and covariance with denominator n, rounding taken for what it is."""
    n, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    mean_x, mean_y, square_x, square_y = _ratio(x, n), _ratio(y, n), _ratio(xx, n), _ratio(yy, n)
    var_x, var_y = square_x - mean_x**2, square_y - mean_y**2
    constant_x, constant_y = var_x <= CONSTANT * square_x, var_y <= CONSTANT * square_y
    covariance = np.where(constant_x | constant_y, 0.0, _ratio(xy, n) - mean_x * mean_y)
    return mean_x, mean_y, np.where(constant_x, 0.0, var_x), np.where(constant_y, 0.0, var_y), covariance


def ccc(sums) -> np.ndarray:
    """Concordance correlation coefficient with population moments (Lin 1989, Biometrics 45, equation 2).

    A constant prediction of a varying truth scores 0; two equal constants are undefined (NaN).
    """
    mean_x, mean_y, var_x, var_y, covariance = _population(sums)
    return _ratio(2.0 * covariance, var_x + var_y + (mean_x - mean_y) ** 2)


def pearson(sums) -> np.ndarray:
    """Pearson's correlation; NaN where truth or prediction is constant."""
    _, _, var_x, var_y, covariance = _population(sums)
    return _ratio(covariance, np.sqrt(var_x * var_y))


def rmse(sums) -> np.ndarray:
    """Root of the mean squared error, in label units."""
    n, _, _, xx, yy, xy = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    return np.sqrt(np.maximum(_ratio(xx - 2.0 * xy + yy, n), 0.0))


def _of_class(metric: Metric, index: int) -> Metric:
    return lambda confusion: metric(confusion)[..., index]


def _of_target(metric: Metric, index: int) -> Metric:
    return lambda sums: metric(np.asarray(sums)[..., index, :])


def _of_all(metric: Metric) -> Metric:
    return lambda sums: metric(np.asarray(sums)).mean(-1)


def overall(task: Task) -> tuple[str, ...]:
    """Metrics over all items where more is better: what differences are tested on."""
    if task.numbers:
        return tuple(f"{name}_{of}" for name in ("ccc", "pearson") for of in (*task.targets, "mean"))
    return ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")


def main_metric(task: Task) -> str:
    """What differences are tested on by default."""
    return "ccc_mean" if task.numbers else "balanced_accuracy"


def selecting_metric(task: Task) -> str:
    """What, on the development part, selects the epoch of a training."""
    return "ccc_mean" if task.numbers else "accuracy"


def metrics(task: Task, classes: Sequence[str] = ()) -> dict[str, Metric]:
    """Every metric of a task by its full name, in the order of the tables.

    Classes: functions of confusion matrices (..., K, K). Numbers: functions of moments (..., targets, 6) in the order
    of the task's targets; a name ending in ``_mean`` is the mean over targets.
    """
    if not task.numbers:
        table: dict[str, Metric] = {
            "accuracy": accuracy,
            "balanced_accuracy": balanced_accuracy,
            "macro_f1": macro_f1,
            "weighted_f1": weighted_f1,
        }
        for of_class in (recall, precision):
            table |= {f"{of_class.__name__}_{name}": _of_class(of_class, i) for i, name in enumerate(classes)}
        return table
    table = {}
    for metric in (ccc, rmse, pearson):
        table |= {f"{metric.__name__}_{name}": _of_target(metric, i) for i, name in enumerate(task.targets)}
        table[f"{metric.__name__}_mean"] = _of_all(metric)
    return table


def metric(task: Task, name: str, classes: Sequence[str] = ()) -> Metric:
    """One metric by name; raises InputError that lists the names there are."""
    table = metrics(task, classes)
    if name not in table:
        raise InputError(
            f"metric {name!r} is not one of task {task}'s: {', '.join(table)}; correct significance.metric"
        )
    return table[name]


def chance(task: Task, name: str, sums: np.ndarray, classes: Sequence[str] = ()) -> float | None:
    """What the best constant answer scores on the items of ``sums`` (one confusion matrix, or moments of each target).

    Of accuracy the share of the commonest class, of balanced accuracy 1 / classes; of CCC and correlation 0, which is
    what a constant scores or tends to. None for metrics that a constant answers at will, such as one class's recall.
    """
    if name not in overall(task):
        return None
    if task.numbers:
        return 0.0
    constant = np.eye(sums.shape[-1])[:, None, :] * sums.sum(-1)[:, None]  # (answer, truth, predicted)
    scores = metric(task, name, classes)(constant)
    return None if np.isnan(scores).all() else float(np.nanmax(scores))
