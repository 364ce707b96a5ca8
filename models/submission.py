"""Predictions of unlabelled people, in the format in which the Aff-Wild2 challenge (ABAW) takes them.

They are those of fold 0, whose partition is the challenge's own under every protocol; the further folds of ``sixfold``
train on the validation videos and hold others back. They are averaged over seeds and then cut to the scale, -1 to 1.

One ``predictions.txt`` with image_location, valence and arousal, a line like ``video60/00001.jpg,0.1,0.2`` for each
frame, as the challenges since 2023 ask for it. The frames are all those of the video, in their order, whether or not a
face was found.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from models.evaluation.metrics import selecting_metric
from models.evaluation.scores import Score
from models.predictions import AGAIN, model_and_modalities, prediction_file, read_predictions
from models.task import POOLED, Task
from pipeline.cli import EXISTING, FOLDER, results_option
from pipeline.files import replacing
from pipeline.log import log
from pipeline.records import InputError, Segment, Unit, read_table
from pipeline.store import FeatureStore

FOLD = 0
TASK = Task("numbers", "frame", ("valence", "arousal"))
CHOSEN_BY = f"development_{selecting_metric(TASK)}"
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


def asked_people(results: Path, labels: FeatureStore) -> list[str]:
    """The people of the test part, for whom the challenge wants predictions; raises InputError where there is nobody.

    A video of which no frame could be read has nobody in it; it is named in the log.
    """
    people = [s for s in read_table(results / "segments.tsv", Segment) if s.part == "test"]
    seen = {
        s.segment_id: s.unit_id for s in people if s.segment_id in labels and np.ptp(labels.row_range(s.segment_id))
    }
    for unit in read_table(results / "units.tsv", Unit):
        if unit.part == "test" and unit.unit_id not in seen.values():
            log.warning("%s is not in the submission: findings.tsv says why it could not be read", unit.unit_id)
    if not people:
        raise InputError(
            f"{results / 'segments.tsv'}: nobody is in the part test, everybody is annotated; "
            "put the challenge's test videos under videos/, delete the results of the index stage and run again"
        )
    if not seen:
        raise InputError(
            f"{results / 'labels.h5'}: no video of the part test has a frame; findings.tsv says why they could not be "
            "read: replace them and run again"
        )
    return sorted(seen)


def average_of_seeds(path: Path, labels: FeatureStore, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Valence and arousal of each person of ``names``, (frames, 2), averaged over seeds.

    Raises InputError where these, or those of others without annotation, are not the frames of ``labels``, each once
    from each seed.
    """
    found = read_predictions(path, TASK, "unlabelled", valid_only=False)
    people = {} if found is None else {name: found.segment == k for k, name in enumerate(found.segments)}
    for name in sorted({*people, *names}):
        begin, end = labels.row_range(name) if name in labels else (0, 0)
        own = found.frame[people[name]] if name in people else ()
        if not np.array_equal(own, np.arange(end - begin)):
            raise InputError(f"{path}: {name} has other frames than labels.h5; {AGAIN}")
    return {name: found.predicted[:, people[name]].mean(0).clip(-1.0, 1.0) for name in names}


def numbered(predicted: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Place and prediction of every frame, person by person; images count from 1, as the organisers' crops do."""
    for name, values in predicted.items():
        for number, row in enumerate(values, start=1):
            yield f"{name}/{number:05d}.jpg", row


def as_listed(sample: str | Path, predicted: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Place and prediction of every line of the organisers' sample file, in its order.

    Its first line may be the header. Where it counts more frames than the video has, the last prediction is repeated.
    Raises InputError for a person who was not predicted and for a line that is not ``video/00001.jpg,...``.
    """
    beyond: Counter[str] = Counter()
    with open(sample, encoding="utf-8-sig") as stream:
        for line, text in enumerate(stream, start=1):
            place = text.split(",")[0].strip()
            if not place or (line, place) == (1, LOCATION):
                continue
            name, _, image = place.rpartition("/")
            number = image.partition(".")[0]
            if not (number.isdecimal() and int(number)):
                raise InputError(f"{sample}, line {line}: {place!r} is not like video/00001.jpg; give {LOCATION} lines")
            if name not in predicted:
                raise InputError(
                    f"{sample}, line {line}: {name!r} is not predicted; add its video to the corpus, or where that is "
                    "there and shows two people, the organisers' list of them, *test_set_release*.txt, to annotations/"
                )
            last = len(predicted[name])
            beyond[name] += int(number) > last
            yield place, predicted[name][min(int(number), last) - 1]
    for name, count in (+beyond).items():
        log.warning("%s: %d lines past the last frame of the video repeat its last prediction", name, count)


@click.command()
@results_option
@click.option("--run", help="MODEL-MODALITIES; default: the best by the development CCC in tables/scores.csv")
@click.option("--sample", type=EXISTING, help="the organisers' file, which gives the rows")
@click.option("--out", required=True, type=FOLDER, help="new or empty folder")
def submission(results, run, sample, out):
    """Write the predictions of the test part's people in the format of the Aff-Wild2 challenge."""
    if out.is_dir() and any(out.iterdir()):
        raise InputError(
            f"--out {out}: holds files already, which would be mixed with these; delete it or name another"
        )
    run = run or best_run(results / "tables" / "scores.csv")
    model_and_modalities(run)
    path = prediction_file(results, run, FOLD)
    labels = FeatureStore(results / "labels.h5")
    predicted = average_of_seeds(path, labels, asked_people(results, labels))
    rows = as_listed(sample, predicted) if sample else numbered(predicted)
    written: Counter[str] = Counter()
    with replacing(out / "predictions.txt") as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(",".join([LOCATION, *TASK.targets]) + "\n")
        for place, (valence, arousal) in rows:
            stream.write(f"{place},{valence:.6f},{arousal:.6f}\n")
            written[place.rpartition("/")[0]] += 1
    if left_out := sorted(predicted.keys() - written):
        log.warning("--sample %s does not list %s: not in the submission", sample, ", ".join(left_out))
    log.info("submission of %s: %d people, %d frames", run, len(written), written.total())
