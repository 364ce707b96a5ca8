"""Predictions of unlabelled people, in the format in which the Aff-Wild2 challenge (ABAW) takes them.

They are those of fold 0, whose partition is the challenge's own under every protocol; the further folds of ``sixfold``
train on the validation videos and hold others back. They are averaged over seeds and then cut to the scale, -1 to 1.

Layout ``single``, which the challenges since 2023 ask for: one ``predictions.txt`` with image_location, valence and
arousal, a line like ``video60/00001.jpg,0.1,0.2`` for each frame. Layout ``per-video``, which those before asked for: a
``video60.txt`` for each person with valence and arousal, a line for each frame. The frames are all those of the video,
in their order, whether or not a face was found.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click
import numpy as np

from models.evaluation.scores import POOLED, Score
from models.predictions import AGAIN, model_and_modalities, prediction_file
from models.task import Task
from pipeline.log import log
from pipeline.records import InputError, Segment, Unit, read_table, replacing
from pipeline.store import FeatureStore

FOLD = 0
CHOSEN_BY = "development_ccc_mean"
COLUMNS = ("valence", "arousal")
LOCATION = "image_location"


def best_run(scores: str | Path) -> str:
    """The run with the highest mean CCC on the development part of fold 0, averaged over seeds.

    Raises InputError where the table holds no such score.
    """
    values = defaultdict(list)
    for row in read_table(scores, Score):
        if (row.turns, row.fold, row.metric) == (POOLED, str(FOLD), CHOSEN_BY) and row.value is not None:
            values[f"{row.model}-{row.modalities}"].append(row.value)
    if not values:
        raise InputError(f"{scores}: has no {CHOSEN_BY} of fold {FOLD}; name a run with --run MODEL-MODALITIES")
    means = {run: float(np.mean(values[run])) for run in sorted(values)}
    best = max(means, key=means.get)
    log.info("best of %d runs by the development CCC of fold %d: %s, %.4f", len(means), FOLD, best, means[best])
    return best


def unlabelled_people(results: Path) -> dict[str, int]:
    """Number of video frames of each person without annotation; raises InputError where there is nobody.

    A video that could not be read has nobody in it; it is named in the log.
    """
    segments = read_table(results / "segments.tsv", Segment)
    names = sorted(s.segment_id for s in segments if s.part == "test")
    read = {s.unit_id for s in segments}
    for unit in read_table(results / "units.tsv", Unit):
        if unit.part == "test" and unit.unit_id not in read:
            log.warning("%s is not in the submission: findings.tsv says why it could not be read", unit.unit_id)
    if not names:
        raise InputError(
            f"{results / 'segments.tsv'}: nobody is in the part test, everybody is annotated; "
            "put the challenge's test videos under videos/, delete the results of the index stage and run again"
        )
    ranges = map(FeatureStore(results / "labels.h5").row_range, names)
    return {name: end - begin for name, (begin, end) in zip(names, ranges)}


def average_of_seeds(path: str | Path, frames: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Valence and arousal of each person, (frames, 2), averaged over seeds; read in batches, never as a whole.

    Raises InputError where any seed lacks a frame of ``frames``, has one twice, or predicted something not a number.
    """
    from pyarrow import dataset

    sums = {name: np.zeros((n, len(COLUMNS))) for name, n in frames.items()}
    seeds_of = {name: np.zeros(n, np.int64) for name, n in frames.items()}  # by how many seeds, for each frame
    seeds = set()
    columns = ["segment_id", "seed", "frame", *(f"prediction_{name}" for name in COLUMNS)]
    source = dataset.dataset(path)
    for batch in source.to_batches(columns=columns, filter=dataset.field("part") == "unlabelled"):
        names = batch["segment_id"].dictionary_encode()
        code, frame = names.indices.to_numpy(), batch["frame"].to_numpy()
        values = np.stack([batch[name].to_numpy() for name in columns[3:]], axis=1).astype(np.float64)
        seeds |= set(batch["seed"].unique().to_pylist())
        for k in np.unique(code):
            name, own = names.dictionary[k].as_py(), code == k
            if name not in frames or frame[own].max() >= frames[name]:
                raise InputError(f"{path}: {name} has other frames than labels.h5; {AGAIN}")
            np.add.at(sums[name], frame[own], values[own])
            np.add.at(seeds_of[name], frame[own], 1)
    for name, count in seeds_of.items():
        wrong = np.flatnonzero((count != len(seeds)) | (count == 0) | ~np.isfinite(sums[name]).all(axis=1))
        if len(wrong):
            raise InputError(
                f"{path}: frame {wrong[0]} of {name} needs one number from each of its {len(seeds)} seeds and has "
                f"{count[wrong[0]]}, or one that is not finite; {AGAIN}"
            )
    return {name: (total / len(seeds)).clip(-1.0, 1.0) for name, total in sums.items()}


def numbered(predicted: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Place and prediction of every frame, person by person; images count from 1, as the organisers' crops do."""
    for name, values in predicted.items():
        for number, row in enumerate(values, start=1):
            yield f"{name}/{number:05d}.jpg", row


def as_listed(sample: str | Path, predicted: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Place and prediction of every line of the organisers' sample file, in its order.

    Where it counts more frames than the video has, the last prediction is repeated. Raises InputError for a person who
    was not predicted and for a line that is not ``video/00001.jpg,...``.
    """
    beyond: Counter[str] = Counter()
    with open(sample, encoding="utf-8-sig") as stream:
        for line, text in enumerate(stream, start=1):
            place = text.split(",")[0].strip()
            if line == 1 or not place:
                continue
            name, _, image = place.rpartition("/")
            number = image.partition(".")[0]
            if not (number.isdecimal() and int(number)):
                raise InputError(f"{sample}, line {line}: {place!r} is not like video/00001.jpg; give {LOCATION} lines")
            if name not in predicted:
                raise InputError(f"{sample}, line {line}: {name!r} is not predicted; add its video to the corpus")
            last = len(predicted[name])
            beyond[name] += int(number) > last
            yield place, predicted[name][min(int(number), last) - 1]
    for name, count in (+beyond).items():
        log.warning("%s: %d lines past the last frame of the video repeat its last prediction", name, count)


def write_file(path: Path, columns: Iterable[str], rows: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write a header and, for each row, what comes before its numbers and the numbers."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(",".join(columns) + "\n")
        stream.writelines(f"{before}{valence:.6f},{arousal:.6f}\n" for before, (valence, arousal) in rows)


@click.command()
@click.option(
    "--results", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="results/CORPUS"
)
@click.option("--run", help="MODEL-MODALITIES; default: the best by the development CCC in tables/scores.csv")
@click.option("--layout", default="single", show_default=True, type=click.Choice(["single", "per-video"]))
@click.option(
    "--sample", type=click.Path(exists=True, dir_okay=False), help="the organisers' file, which gives the rows"
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="new or empty folder")
def submission(results, run, layout, sample, out):
    """Write the predictions of unlabelled people in the format of the Aff-Wild2 challenge."""
    if sample and layout != "single":
        raise InputError("--sample lists the lines of one file; use it with --layout single")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(
            f"--out {out}: holds files already, which would be mixed with these; delete it or name another"
        )
    run = run or best_run(results / "tables" / "scores.csv")
    model_and_modalities(run)
    path = prediction_file(results, run, FOLD, Task("numbers", "frame", COLUMNS))
    predicted = average_of_seeds(path, unlabelled_people(results))
    if layout == "single":
        rows = as_listed(sample, predicted) if sample else numbered(predicted)
        write_file(out / "predictions.txt", [LOCATION, *COLUMNS], ((f"{place},", row) for place, row in rows))
    else:
        for name, values in predicted.items():
            write_file(out / f"{name}.txt", COLUMNS, (("", row) for row in values))
    frames = sum(map(len, predicted.values()))
    log.info("submission of %s: %d people, %d frames, layout %s", run, len(predicted), frames, layout)
