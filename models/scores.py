"""Every metric of every run, from item-level predictions to tidy tables."""

from collections.abc import Iterator
from dataclasses import dataclass

import click
import numpy as np

from models.metrics import ccc, metrics
from models.predictions import model_and_modalities, prediction_file, read_predictions
from models.tallies import tally
from pipeline.log import progress
from pipeline.records import InputError, write_table

POOLED = "all"


@dataclass(frozen=True, slots=True)
class Score:
    """One value of one metric; None where it is undefined, such as the recall of a class without items."""

    model: str
    modalities: str
    protocol: str
    fold: str  # number, or "all": the items of all folds together
    seed: int
    metric: str  # of the test part, or development_<metric>
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


@dataclass(frozen=True, slots=True)
class VideoScore:
    """CCC of one seed on one test video; None where truth and prediction are the same constant."""

    model: str
    modalities: str
    fold: str
    seed: int
    segment_id: str
    frames: int
    ccc_valence: float | None
    ccc_arousal: float | None
    ccc_mean: float | None


def number(value: float) -> float | None:
    """A value as the tables hold it: ten decimals, so that files are equal byte for byte; None for NaN."""
    return None if np.isnan(value) else round(float(value), 10) + 0.0


@dataclass(frozen=True)
class RunScores:
    """All rows of one run."""

    scores: list[Score]
    confusion: list[Count]
    per_video: list[VideoScore]


def score_run(results, run: str, folds: int, task: str, protocol: str) -> RunScores:
    """Score one run in each fold and over all folds together.

    Raises InputError where a prediction file or its test part is absent, or folds differ in seeds or classes.
    """
    model, modalities = model_and_modalities(run)
    scores: list[Score] = []
    per_video: list[VideoScore] = []
    pooled: dict[str, np.ndarray] = {}
    first = None
    for fold in range(folds):
        path = prediction_file(results, run, fold, task)
        for part, prefix in (("test", ""), ("development", "development_")):
            predictions = read_predictions(path, task, part)
            if predictions is None:
                if part == "test":
                    raise InputError(f"{path}: holds no item of the test part; check the split and train it again")
                continue
            first = first or predictions
            if (predictions.seeds, predictions.classes) != (first.seeds, first.classes):
                raise InputError(f"{path}: its seeds or classes are not those of fold 0; train all folds with the same")
            by_segment = tally(predictions, predictions.segment, len(predictions.segments))
            sums = by_segment.sum(0)
            pooled[prefix] = pooled.get(prefix, 0) + sums
            key = (model, modalities, protocol, str(fold))
            scores += _rows(key, prefix, task, first, sums)
            if task == "frame" and part == "test":
                per_video += _video_rows((model, modalities, str(fold)), predictions, by_segment)
    for prefix, sums in pooled.items():
        scores += _rows((model, modalities, protocol, POOLED), prefix, task, first, sums)
    return RunScores(scores, list(_counts(model, modalities, first.classes, pooled[""])), per_video)


def _rows(key, prefix, task, like, sums) -> Iterator[Score]:
    values = {name: function(sums) for name, function in metrics(task, like.classes).items()}
    for i, seed in enumerate(like.seeds):
        for name, by_seed in values.items():
            yield Score(*(*key, seed, prefix + name, number(by_seed[i])))


def _counts(model, modalities, classes, sums) -> Iterator[Count]:
    for i, label in enumerate(classes):
        for j, predicted in enumerate(classes):
            count = int(sums[:, i, j].sum())
            yield Count(model, modalities, POOLED, POOLED, label, predicted, count)


def _video_rows(key, predictions, by_segment) -> Iterator[VideoScore]:
    both = ccc(by_segment)
    for s, seed in enumerate(predictions.seeds):
        for i, segment_id in enumerate(predictions.segments):
            values = (number(both[i, s, 0]), number(both[i, s, 1]), number(both[i, s].mean()))
            yield VideoScore(*(*key, seed, segment_id, int(by_segment[i, s, 0, 0]), *values))


@click.command()
@click.option("--task", required=True, type=click.Choice(["segment", "frame"]))
@click.option("--results", required=True, type=click.Path(exists=True, file_okay=False), help="results/CORPUS")
@click.option("--protocol", required=True, help="name of the split, written into the table")
@click.option("--run", "runs", required=True, multiple=True, help="MODEL-MODALITIES; once for each run")
@click.option("--folds", required=True, type=click.IntRange(1), help="number of folds, counted from 0")
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="tables/scores.csv")
@click.option("--confusion", type=click.Path(dir_okay=False), help="tables/confusion.csv; empty for task frame")
@click.option("--per-video", type=click.Path(dir_okay=False), help="tables/per_video.csv; empty for task segment")
def score(task, results, protocol, runs, folds, out, confusion, per_video):
    """Compute every metric from item-level predictions."""
    found = [score_run(results, run, folds, task, protocol) for run in progress(runs, "runs scored")]
    write_table(out, [row for one in found for row in one.scores], Score)
    if confusion:
        write_table(confusion, [row for one in found for row in one.confusion], Count)
    if per_video:
        write_table(per_video, [row for one in found for row in one.per_video], VideoScore)
