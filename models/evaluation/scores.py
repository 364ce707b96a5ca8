"""Every metric of every run, from item-level predictions to tidy tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, make_dataclass

import click
import numpy as np

from models.evaluation.metrics import chance, metrics
from models.evaluation.tallies import tally
from models.predictions import (
    Predictions,
    fold_folder,
    model_and_modalities,
    read_folds,
    read_run,
    seed_folders,
)
from models.task import POOLED, Task
from pipeline.cli import FILE, folds_option, results_option, segments_option, task_option
from pipeline.log import progress
from pipeline.records import Segment, read_table, write_table


@dataclass(frozen=True, slots=True)
class Score:
    """One value of one metric; None where it is undefined, such as the recall of a class without items."""

    model: str
    modalities: str
    protocol: str
    turns: str  # style of the test items, or "all"
    fold: str  # number, or "all": the items of all folds together
    seed: int
    metric: str  # its name, on the test part; development_<metric>: on the development part
    value: float | None
    chance: float | None  # what the best constant answer scores on these items, where that means anything
    above_chance: str | None  # yes or no


@dataclass(frozen=True, slots=True)
class Without:
    """One value of one metric of the test part, with all modalities (``nothing`` taken away) or without one."""

    model: str
    modalities: str
    fold: str
    seed: int
    without: str
    metric: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many test items of one class were given another; pooled over folds and seeds."""

    model: str
    modalities: str
    fold: str
    seed: str
    label: str
    predicted: str
    count: int


def video_metrics(task: Task) -> list[str]:
    """The metrics that mean something on a single video."""
    return [f"ccc_{of}" for of in (*task.targets, "mean")] if task.numbers else ["accuracy", "balanced_accuracy"]


def video_record(task: Task) -> type:
    """The record of one seed's scores on one test video; None where truth and prediction are the same constant."""
    key = [("model", str), ("modalities", str), ("fold", str), ("seed", int), ("segment_id", str), ("frames", int)]
    scores = [(name, float | None) for name in video_metrics(task)]
    return make_dataclass("VideoScore", [*key, *scores], frozen=True, slots=True)


def number(value: float) -> float | None:
    """A value as the tables hold it: ten decimals, so that files are equal byte for byte; None for NaN."""
    return None if np.isnan(value) else round(float(value), 10) + 0.0


@dataclass(frozen=True)
class RunScores:
    """All rows of one run."""

    scores: list[Score]
    confusion: list[Count]
    per_video: list


def score_run(results, run: str, folds: int, task: Task, protocol: str, styles: dict[str, str]) -> RunScores:
    """Score one run in each fold and over all folds together, on all test items and on those of each style.

    ``styles`` gives the style of a segment. Raises InputError as ``read_folds`` does.
    """
    model, modalities = model_and_modalities(run)
    scores: list[Score] = []
    per_video: list = []
    pooled: dict[tuple[str, str], np.ndarray] = {}
    for fold, (test, development) in enumerate(read_folds(results, run, folds, task)):
        for predictions, prefix in ((test, ""), (development, "development_")):
            if predictions is None:
                continue
            by_segment = tally(predictions, predictions.segment, len(predictions.segments))
            for turns, sums in _by_turns(by_segment, predictions.segments, {} if prefix else styles):
                pooled[turns, prefix] = pooled.get((turns, prefix), 0) + sums
                scores += _rows((model, modalities, protocol, turns, str(fold)), prefix, task, test, sums)
            if task.frames and not prefix:
                per_video += _video_rows((model, modalities, str(fold)), task, predictions, by_segment)
    for (turns, prefix), sums in sorted(pooled.items(), key=lambda item: (item[0][0] != POOLED, item[0][0])):
        scores += _rows((model, modalities, protocol, turns, POOLED), prefix, task, test, sums)
    if len({row.turns for row in scores}) == 2:  # one style alone is what all items are
        scores = [row for row in scores if row.turns == POOLED]
    return RunScores(scores, list(_counts(model, modalities, test.classes, pooled[POOLED, ""])), per_video)


def _by_turns(by_segment: np.ndarray, segments: Sequence[str], styles) -> Iterator[tuple[str, np.ndarray]]:
    """Sums over all segments, and over those of each style."""
    yield POOLED, by_segment.sum(0)
    style = np.array([styles.get(name, "") for name in segments])
    for one in sorted(set(style.tolist()) - {""}):
        yield one, by_segment[style == one].sum(0)


def _rows(key, prefix, task, like: Predictions, sums) -> Iterator[Score]:
    values = {name: function(sums) for name, function in metrics(task, like.classes).items()}
    constant = {name: chance(task, name, sums[0], like.classes) for name in values}
    for i, seed in enumerate(like.seeds):
        for name, by_seed in values.items():
            value, least = number(by_seed[i]), constant[name]
            known = value is not None and least is not None
            least = None if least is None else number(least)
            above = ("yes" if value > least else "no") if known else None
            yield Score(*(*key, seed, prefix + name, value, least, above))


def _counts(model, modalities, classes, sums) -> Iterator[Count]:
    for i, label in enumerate(classes):
        for j, predicted in enumerate(classes):
            count = int(sums[:, i, j].sum())
            yield Count(model, modalities, POOLED, POOLED, label, predicted, count)


def _video_rows(key, task: Task, predictions: Predictions, by_segment: np.ndarray) -> Iterator:
    record, table = video_record(task), metrics(task, predictions.classes)
    values = [table[name](by_segment) for name in video_metrics(task)]  # (segments, S) each
    items = by_segment[:, 0, 0, 0] if task.numbers else by_segment[:, 0].sum((-2, -1))
    for s, seed in enumerate(predictions.seeds):
        for i, segment_id in enumerate(predictions.segments):
            yield record(*key, seed, segment_id, int(items[i]), *(number(value[i, s]) for value in values))


def without_rows(results, run: str, folds: int) -> list[Without]:
    """What each training of a run scores on its test part with a modality taken away; nothing for a single modality."""
    model, modalities = model_and_modalities(run)
    rows = []
    for fold in range(folds):
        for info in map(read_run, seed_folders(fold_folder(results, run, fold))):
            for absent, values in (info.get("without") or {}).items():
                for name, value in values.items():
                    rows.append(Without(model, modalities, str(fold), info["seed"], absent, name, value))
    return rows


@click.command()
@task_option
@results_option
@segments_option
@click.option("--protocol", required=True, help="name of the split, written into the table")
@click.option("--run", "runs", required=True, multiple=True, help="MODEL-MODALITIES; once for each run")
@folds_option
@click.option("--out", required=True, type=FILE, help="tables/scores.csv")
@click.option("--confusion", type=FILE, help="tables/confusion.csv; empty for numbers")
@click.option("--per-video", type=FILE, help="tables/per_video.csv; empty for tasks of segments")
@click.option("--missing", type=FILE, help="tables/missing_modalities.csv")
def score(task, results, segments, protocol, runs, folds, out, confusion, per_video, missing):
    """Compute every metric from item-level predictions."""
    task = Task.parse(task)
    styles = {s.segment_id: s.style for s in read_table(segments, Segment) if s.style is not None}
    found = [score_run(results, run, folds, task, protocol, styles) for run in progress(runs, "runs scored")]
    write_table(out, [row for one in found for row in one.scores], Score)
    if confusion:
        write_table(confusion, [row for one in found for row in one.confusion], Count)
    if per_video:
        write_table(per_video, [row for one in found for row in one.per_video], video_record(task))
    if missing:
        write_table(missing, [row for run in runs for row in without_rows(results, run, folds)], Without)
