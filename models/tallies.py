"""A run's predictions once they are counted: sums by fold, cluster and seed, from which every metric follows.

A cluster is a source video (an IEMOCAP dialog, an Aff-Wild2 video): its items share people, topic and recording, so
clusters and not items are the independent observations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.metrics import Metric, confusion_matrix, metric, moments
from models.predictions import Predictions, prediction_file, read_predictions
from pipeline.records import InputError


def tally(predictions: Predictions, group=None, groups: int = 1) -> np.ndarray:
    """Sums of each group of items (codes 0 to groups - 1) and seed.

    Gives float64 (groups, S, K, K) of counts for task segment, (groups, S, 2, 6) of moments for task frame.
    """
    group = np.zeros(len(predictions), np.int64) if group is None else np.asarray(group)
    if predictions.classes:
        k = len(predictions.classes)
        by_seed = [confusion_matrix(predictions.truth, p, k, group, groups) for p in predictions.predicted]
    else:
        by_seed = [
            np.stack([moments(predictions.truth[:, d], p[:, d], group, groups) for d in range(2)], axis=1)
            for p in predictions.predicted
        ]
    return np.stack(by_seed, axis=1).astype(np.float64)


@dataclass(frozen=True)
class RunTally:
    """The test part of one run over all folds, counted; a cell is what one cluster contributes to one fold."""

    run: str
    task: str
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    sums: np.ndarray  # (cells, S, ...) as in tally
    fold: np.ndarray  # (cells,) from 0 to folds - 1
    cluster: np.ndarray  # (cells,) index into clusters
    clusters: tuple[str, ...]
    fingerprints: tuple[str, ...]  # per fold: which items and truths were tested
    right: np.ndarray | None  # (items,) task segment: more than half of the seeds were right
    development: np.ndarray | None  # (S, ...) sums of the development parts of all folds; None without any

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.fingerprints)

    @property
    def cluster_items(self) -> np.ndarray:
        """Items of each cluster, (clusters,)."""
        first = self.sums[:, 0]
        items = first.sum((-2, -1)) if self.task == "segment" else first[:, 0, 0]
        return np.bincount(self.cluster, items, minlength=len(self.clusters))

    def score(self, function: Metric) -> float:
        """A metric of the test items of all folds together, mean over seeds."""
        return float(function(self.sums.sum(0)).mean())

    def fold_scores(self, function: Metric) -> np.ndarray:
        """A metric by fold and seed, (folds, S): one number for each training run."""
        return np.stack([function(self.sums[self.fold == k].sum(0)) for k in range(self.folds)])

    def development_score(self, name: str) -> float:
        """A metric of the development items of all folds together, mean over seeds; NaN without a development part."""
        if self.development is None:
            return float("nan")
        return float(metric(self.task, name, self.classes)(self.development).mean())


def tally_run(results: str | Path, run: str, folds: int, task: str, unit_of: Mapping[str, str]) -> RunTally:
    """Read and count the predictions of one run; ``unit_of`` maps a segment to its source video.

    Raises InputError where a file or its test part is absent, seeds or classes differ, or a segment is unknown.
    """
    tests: list[Predictions] = []
    development, right = None, []
    for k in range(folds):
        path = prediction_file(results, run, k, task)
        test = read_predictions(path, task, "test")
        if test is None:
            raise InputError(f"{path}: holds no item of the test part; check the split and train fold {k} again")
        if tests and (test.seeds, test.classes) != (tests[0].seeds, tests[0].classes):
            raise InputError(f"{path}: its seeds or classes are not those of fold 0; train all folds with the same")
        unknown = [name for name in test.segments if name not in unit_of]
        if unknown:
            raise InputError(f"{path}: segment {unknown[0]!r} is not in segments.tsv; index the corpus and train again")
        held_out = read_predictions(path, task, "development")
        if held_out is not None:
            if held_out.seeds != test.seeds:
                raise InputError(f"{path}: the development part lacks seeds of the test part; train fold {k} again")
            sums = tally(held_out)[0]
            development = sums if development is None else development + sums
        tests.append(test)
        if task == "segment":
            right.append((test.predicted == test.truth).mean(0) > 0.5)
    clusters = sorted({unit_of[name] for test in tests for name in test.segments})
    code = {name: i for i, name in enumerate(clusters)}
    sums, fold, cluster = [], [], []
    for k, test in enumerate(tests):
        here, of_segment = np.unique([code[unit_of[name]] for name in test.segments], return_inverse=True)
        sums.append(tally(test, of_segment[test.segment], len(here)))
        fold.append(np.full(len(here), k))
        cluster.append(here)
    return RunTally(
        run=run,
        task=task,
        classes=tests[0].classes,
        seeds=tests[0].seeds,
        sums=np.concatenate(sums),
        fold=np.concatenate(fold),
        cluster=np.concatenate(cluster),
        clusters=tuple(clusters),
        fingerprints=tuple(test.fingerprint for test in tests),
        right=np.concatenate(right) if right else None,
        development=development,
    )
