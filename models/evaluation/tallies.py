"""A run's predictions once they are counted: sums by fold, cluster, style and seed, from which every metric follows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.evaluation.clusters import clusters_of
from models.evaluation.metrics import Metric, confusion_matrix, metric, moments
from models.predictions import Predictions, read_folds
from models.task import POOLED, Task
from pipeline.records import InputError, Segment

NOBODY = -1


def tally(predictions: Predictions, group=None, groups: int = 1) -> np.ndarray:
    """Sums of each group of items (codes 0 to groups - 1) and seed.

    Gives float64 (groups, S, K, K) of counts of classes, or (groups, S, targets, 6) of moments of numbers.
    """
    group = np.zeros(len(predictions), np.int64) if group is None else np.asarray(group)
    if predictions.classes:
        k = len(predictions.classes)
        by_seed = [confusion_matrix(predictions.truth, p, k, group, groups) for p in predictions.predicted]
    else:
        targets = range(predictions.truth.shape[1])
        by_seed = [
            np.stack([moments(predictions.truth[:, d], p[:, d], group, groups) for d in targets], axis=1)
            for p in predictions.predicted
        ]
    return np.stack(by_seed, axis=1).astype(np.float64)


@dataclass(frozen=True)
class RunTally:
    """The test part of one run over all folds, counted; a cell is what one cluster adds to one fold in one style."""

    run: str
    task: Task
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    sums: np.ndarray  # (cells, S, ...) as in tally
    fold: np.ndarray  # (cells,) from 0 to folds - 1
    cluster: np.ndarray  # (cells,) index into clusters
    style: np.ndarray  # (cells,) "" where the corpus knows no styles
    clusters: tuple[str, ...]
    cluster_kind: str
    group: np.ndarray | None  # (clusters,) number of the wider group of each cluster; None: there are none
    group_kind: str | None
    fingerprints: tuple[str, ...]  # per fold: which items and truths were tested
    right: np.ndarray | None  # (items,) classes of segments: more than half of the seeds were right
    right_style: np.ndarray | None  # (items,)
    development: np.ndarray | None  # (folds, S, ...) sums of each fold's development part; None without any
    turns: str = POOLED  # the style that the test items are restricted to

    @property
    def styles(self) -> list[str]:
        """The styles of the test items, sorted; fewer than two tell nothing apart."""
        return sorted(set(self.style.tolist()) - {""})

    def of_style(self, style: str) -> "RunTally":
        """The same run on its test items of one style; the development part stays what it is."""
        keep = self.style == style
        left, cluster = np.unique(self.cluster[keep], return_inverse=True)
        return replace(
            self,
            turns=style,
            sums=self.sums[keep],
            fold=self.fold[keep],
            cluster=cluster,
            style=self.style[keep],
            clusters=tuple(self.clusters[i] for i in left),
            group=None if self.group is None else np.unique(self.group[left], return_inverse=True)[1],
            right=None if self.right is None else self.right[self.right_style == style],
            right_style=None if self.right is None else self.right_style[self.right_style == style],
        )

    @property
    def class_items(self) -> np.ndarray:
        """Items of each true class, (K,)."""
        return self.sums[:, 0].sum((0, -1))

    def items_for(self, metric: str) -> np.ndarray | None:
        """Items of each class that a metric weighs alike: one class of all where it weighs items; None of numbers."""
        if not self.classes:
            return None
        return self.class_items.sum(keepdims=True) if metric in ("accuracy", "weighted_f1") else self.class_items

    @property
    def cluster_items(self) -> np.ndarray:
        """Items of each cluster, (clusters,)."""
        first = self.sums[:, 0]
        items = first.sum((-2, -1)) if self.classes else first[:, 0, 0]
        return np.bincount(self.cluster, items, minlength=len(self.clusters))

    def score(self, function: Metric) -> float:
        """A metric of the test items of all folds together, mean over seeds."""
        return float(function(self.sums.sum(0)).mean())

    def fold_scores(self, function: Metric) -> np.ndarray:
        """A metric by fold and seed, (folds, S): one number for each training run; folds without items have none."""
        return np.stack([function(self.sums[self.fold == k].sum(0)) for k in np.unique(self.fold)])

    def development_scores(self, name: str) -> np.ndarray:
        """A metric of the development part of each fold, mean over seeds, (folds,); NaN where it is undefined."""
        if self.development is None:
            return np.full(len(self.fingerprints), np.nan)
        return metric(self.task, name, self.classes)(self.development).mean(-1)


def joined_by_fold(name: str, runs: Sequence[RunTally], which: np.ndarray) -> RunTally:
    """One tally of several runs that were tested on the same items: in fold k it is the run numbered ``which[k]``.

    Where that is NOBODY, the sums are NaN, and with them every metric of all folds together.
    """
    first = runs[0]
    sums = np.stack([run.sums for run in runs])[which[first.fold], np.arange(len(first.fold))]
    sums[which[first.fold] == NOBODY] = np.nan
    right = None
    if first.right is not None:
        items = np.bincount(first.fold, first.sums[:, 0].sum((-2, -1)), len(which)).astype(int)
        fold = np.repeat(np.arange(len(which)), items)
        right = np.stack([run.right for run in runs])[which[fold], np.arange(len(fold))]
    return replace(first, run=name, sums=sums, right=right, development=None)


def tally_run(results: str | Path, run: str, folds: int, task: Task, segments: Sequence[Segment]) -> RunTally:
    """Read and count the predictions of one run.

    Raises InputError as ``read_folds`` and ``tally_tests`` do.
    """
    tests: list[Predictions] = []
    counted: list[np.ndarray | None] = []
    for test, held_out in read_folds(results, run, folds, task):
        counted.append(None if held_out is None else tally(held_out)[0])
        tests.append(test)
    nothing = next((np.zeros_like(sums) for sums in counted if sums is not None), None)
    development = None if nothing is None else np.stack([nothing if sums is None else sums for sums in counted])
    return tally_tests(run, tests, development, segments, task)


def tally_tests(
    run: str, tests: list[Predictions], development: np.ndarray | None, segments: Sequence[Segment], task: Task
) -> RunTally:
    """Count the predictions of one run for the test part of each fold; ``development`` is counted already.

    ``segments`` are those of the corpus; the clusters are found among those that were tested. Raises InputError where a
    tested one is unknown.
    """
    by_id = {segment.segment_id: segment for segment in segments}
    for k, test in enumerate(tests):
        if unknown := [name for name in test.segments if name not in by_id]:
            raise InputError(
                f"{run}, fold {k}: segment {unknown[0]!r} is not in segments.tsv; index the corpus and train again"
            )
    tested = dict.fromkeys(name for test in tests for name in test.segments)
    clusters = clusters_of([by_id[name] for name in tested], task)
    names = sorted({clusters.of[name] for test in tests for name in test.segments})
    number = {name: i for i, name in enumerate(names)}
    sums, fold, cluster, style, right, right_style = [], [], [], [], [], []
    for k, test in enumerate(tests):
        keys = [(number[clusters.of[name]], by_id[name].style or "") for name in test.segments]
        cells = {key: i for i, key in enumerate(sorted(set(keys)))}
        of_item = np.array([cells[key] for key in keys])[test.segment]
        sums.append(tally(test, of_item, len(cells)))
        fold.append(np.full(len(cells), k))
        cluster += [key[0] for key in cells]
        style += [key[1] for key in cells]
        if not (task.numbers or task.frames):
            right.append((test.predicted == test.truth).mean(0) > 0.5)
            right_style.append(np.array([key[1] for key in keys])[test.segment])
    groups = [clusters.group_of[name] for name in names] if clusters.group_kind else []
    return RunTally(
        run=run,
        task=task,
        classes=tests[0].classes,
        seeds=tests[0].seeds,
        sums=np.concatenate(sums),
        fold=np.concatenate(fold),
        cluster=np.array(cluster),
        style=np.array(style),
        clusters=tuple(names),
        cluster_kind=clusters.kind,
        group=np.unique(groups, return_inverse=True)[1] if groups else None,
        group_kind=clusters.group_kind,
        fingerprints=tuple(test.fingerprint for test in tests),
        right=np.concatenate(right) if right else None,
        right_style=np.concatenate(right_style) if right else None,
        development=development,
    )
