"""What is known of a packed model: scores with intervals, recalls, calibration, and who trained it; and its page."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from models.apply.temperature import fit_temperature, tempered
from models.evaluation.bootstrap import draw_weights, level, resample
from models.evaluation.calibration import calibration_error
from models.evaluation.metrics import metrics, overall
from models.evaluation.scores import number
from models.evaluation.tallies import tally_run
from models.predictions import prediction_file, truth_columns
from models.protocols.groups import speakers_known
from models.report.writing import listing, sentence
from models.task import Task
from pipeline.records import Assignment, Segment

SAMPLES, LEVEL, MIN_CLUSTERS = 2000, 0.95, 3


def scores(results: Path, run: str, folds: int, task: Task, segments: Sequence[Segment]) -> list[dict]:
    """Metrics of the test parts of all folds together, mean over seeds, with intervals where there are enough clusters.

    Intervals are those of the report at its defaults: from a bootstrap over clusters (dialogs, videos or speakers) and
    seeds.
    """
    found = tally_run(results, run, folds, task, segments)
    drawn = draw_weights(len(found.clusters), SAMPLES, seed=0)
    rows = []
    for name, function in metrics(task, found.classes).items():
        row = {"metric": name, "value": number(found.score(function))}
        if name in overall(task) and row["value"] is not None and len(found.clusters) >= MIN_CLUSTERS:
            estimate = level(resample(found, function, drawn), found.cluster_items, found.items_for(name))
            if estimate is not None:
                row["low"], row["high"] = map(number, estimate.interval(LEVEL))
        rows.append(row)
    return rows


def calibration(results: Path, run: str, members: dict[int, list[int]], task: Task) -> dict:
    """The temperature that fits the development parts, and the error of calibration of the test parts with and without.

    ``members`` lists the seeds of each fold, an ensemble on the parts of that fold. Numbers have none, nor has a split
    without development parts: the temperature is then 1.
    """
    if task.numbers:
        return {"temperature": 1.0}
    development, test = (
        [_probabilities(prediction_file(results, run, fold), part, seeds) for fold, seeds in members.items()]
        for part in ("development", "test")
    )
    temperature = fit_temperature(development) if any(len(truth) for _, truth in development) else 1.0
    truth = np.concatenate([truth for _, truth in test])
    errors = []
    for each in (1.0, temperature):
        p = np.concatenate([tempered(networks, each).mean(0) for networks, _ in test])
        errors.append(calibration_error(p.max(1), p.argmax(1) == truth))
    return {"temperature": temperature, "test_error_before": errors[0], "test_error_after": errors[1]}


def _probabilities(path: Path, part: str, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (seeds, N, classes) of the items of one part whose class is known, and that class (N,)."""
    from pyarrow import parquet

    names = [name for name in parquet.read_schema(path).names if name.startswith("p_")]
    table = parquet.read_table(path, columns=["seed", "label", *names], filters=[("part", "=", part)])
    p = np.stack([table[name].to_numpy() for name in names], 1).astype(np.float64)
    number_of = {name[2:]: k for k, name in enumerate(names)}
    label, seed = np.array(table["label"].to_pylist(), object), table["seed"].to_numpy()
    truth = np.array([number_of.get(name, -1) for name in label[seed == seeds[0]]], np.int64)
    each = np.stack([p[seed == one] for one in seeds])
    return each[:, truth >= 0], truth[truth >= 0]


def ranges(results: Path, run: str, folds: Sequence[int], task: Task) -> dict[str, tuple[float, float]]:
    """Lowest and highest of each number among the items of development and test parts."""
    from pyarrow import parquet

    found = {}
    for name, column in zip(task.targets, truth_columns(task)):
        paths = [prediction_file(results, run, fold) for fold in folds]
        known = [parquet.read_table(path, columns=[column])[0].to_numpy() for path in paths]
        found[name] = (float(min(map(np.nanmin, known))), float(max(map(np.nanmax, known))))
    return found


def people(segments: Sequence[Segment], assignments: Sequence[Assignment]) -> dict[str, int]:
    """How many people, or recordings where nobody has said who speaks, and segments trained any of the networks."""
    trained = {a.segment_id for a in assignments if a.part == "training"}
    name, what = ("speaker", "people") if speakers_known(segments) else ("unit_id", "recordings")
    return {what: len({getattr(s, name) for s in segments if s.segment_id in trained}), "segments": len(trained)}


def page(about) -> str:
    """README.md of a model folder, from what its model.json says."""
    card, demonstration = about.card, "**A demonstration: trained on synthetic data or random encoders.**"
    caveat = f" {sentence(card['caveat'])}." if card["caveat"] else ""
    who = next(f"{card[what]} {what}" for what in ("people", "recordings") if what in card)
    lines = [f"# {about.run} of {about.title}", ""]
    if about.demonstration:
        lines += [f"{demonstration} What it says of a recording means nothing.", ""]
    lines += [
        f"It predicts {_listed(about.outputs)} (task `{about.task}`) from {_listed(list(about.features))}.",
        "",
        f"    affectflow predict {about.run} VIDEO --out DIR",
        "",
        f"- {card['networks']} networks: folds {_listed(card['folds'])} with seeds {_listed(card['seeds'])}. An answer "
        "is their mean, its spread the standard deviation between them.",
        f"- Trained on {who}, {card['segments']} segments. Protocol: {card['protocol']}.{caveat}",
    ]
    if "test_error_after" in card:
        lines.append(
            f"- Each network speaks at temperature {about.temperature:.3f}, at which the mean of those of a fold fits "
            "its development part best, over all folds. The expected calibration error of the test parts is "
            f"{card['test_error_before']:.3f} without it and {card['test_error_after']:.3f} with it."
        )
    if about.supplied_crops:
        lines.append(f"- {OTHER_CROPS}")
    of = "" if card["scored"] == card["networks"] else f" of all {card['scored']} networks of the run"
    lines += ["", f"| test part{of}, mean over seeds | value | 95 % interval |", "|---|---|---|"]
    for row in (row for row in card["scores"] if not row["metric"].startswith("precision_")):
        interval = f"{row['low']:.3f} to {row['high']:.3f}" if "low" in row else ""
        value = "undefined" if row["value"] is None else f"{row['value']:.3f}"
        lines.append(f"| {row['metric']} | {value} | {interval} |")
    lines += ["", "| modality | extractor | weights |", "|---|---|---|"]
    for modality, feature in about.features.items():
        for part in feature.made:
            lines.append(f"| {modality} | {part.extractor} | {part.weights.source if part.weights else ''} |")
    return "\n".join([*lines, "", *_LIMITS, ""])


def _listed(words: Iterable) -> str:
    return listing([str(word) for word in words])


OTHER_CROPS = (
    "It was trained on face crops that came with its corpus. Here faces are tracked and cut by affectflow, in another "
    "way: what it says of them may be worse than its scores."
)
_LIMITS = (
    "The scores are those of the test parts of that protocol, in recordings of the same corpus. Other people, cameras, "
    "rooms and languages lower them, by how much nobody has measured.",
    "",
    "What was trained on a corpus is bound by its licence, and encoders are by theirs: read both before you pass this "
    "folder on, or use it for anything but research.",
)
