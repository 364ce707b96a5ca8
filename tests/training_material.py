"""Small corpora for the tests of splits, data and training: segments, splits, and features that carry a signal."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from pyarrow.parquet import read_table

from models.fit import Run
from models.inference import load_network
from models.items import fitted, frame_items, segment_items
from models.job import Job, load_examples
from models.options import NetworkOptions, TrainingOptions
from models.protocols.labels import usable
from models.protocols.split import assign
from models.task import Task
from models.truth import segment_truth
from pipeline.records import Assignment, Label, Segment, read_fold, write_labels, write_table
from pipeline.store import FeatureStore, Rows, StoreWriter
from tests import warm_jobs

REPOSITORY = Path(__file__).resolve().parent.parent
CLASSES = ("ang", "neu", "sad")
DIMS = {"audio": 12, "video": 10, "text": 8}
HOPS_S = {"audio": 0.02, "video": 0.1, "text": 0.3}
TASKS = {"segment": "classes/segment", "frame": "numbers/frame:valence,arousal"}
NETWORKS = {
    "segment": {"fusion": "self_attention", "width": 12, "heads": 2, "embedding": 8},
    "frame": {"fusion": "rcma", "width": 12, "embedding": 8, "recursions": 2},
}
TRAINING = {
    "segment": {"seeds": [1, 2], "epochs": 3, "learning_rate": 0.01, "batch_size": 16, "max_s": 1.2},
    "frame": {"seeds": [1, 2], "epochs": 3, "learning_rate": 0.01, "batch_size": 6, "window": 20, "window_hop": 15},
}


def segment_examples(*given):
    """Segments as a job has them; the last two of what ``segment_items`` is given are network and training options."""
    return fitted(segment_items(*given), *given[-2:])


def frame_examples(*given):
    """Windows of frames as a job has them; the last two are network and training options."""
    return fitted(frame_items(*given), *given[-2:])


def attributes(modality, corpus="iemocap", demonstration=True, **changes):
    return {
        "corpus": corpus,
        "name": modality,
        "modality": modality,
        "extractor": "synthetic",
        "extractor_version": "1",
        "config": {"columns": ["valence", "arousal"]} if modality == "label" else {},
        "weights": {},
        "software": {},
        "inputs": "0",
        "demonstration": demonstration,
    } | changes


def write_store(path, rows, modality, dtype="float32", **changes) -> Path:
    """A feature store of ``rows``: segment id -> Rows."""
    dim = next(iter(rows.values())).values.shape[1]
    with StoreWriter(path, attributes(modality, **changes), dim, dtype) as writer:
        for segment_id in sorted(rows):
            writer.append(segment_id, rows[segment_id])
    return Path(path)


def emotional_turns(sessions=5, dialogs=4, turns=6, seed=0) -> list[Segment]:
    """Turns in the names and shape of IEMOCAP: two speakers per session who take turns in every dialog."""
    rng = np.random.default_rng(seed)
    found = []
    for session in range(1, sessions + 1):
        for d in range(dialogs):
            unit = f"Ses{session:02d}{'FM'[d % 2]}_impro{d + 1:02d}"
            for k in range(turns):
                who, start_s = "FM"[k % 2], 5.0 * k
                found.append(
                    Segment(
                        segment_id=f"{unit}_{who}{k // 2:03d}",
                        unit_id=unit,
                        speaker=f"Ses{session:02d}{who}",
                        session=str(session),
                        part=None,
                        start_s=start_s,
                        end_s=start_s + float(rng.uniform(1, 4)),
                        picture="left_half",
                        dialog=unit,
                        scenario=f"impro{d + 1:02d}",
                        style="improvised",
                    )
                )
    return found


def labels_of(segments, names=CLASSES, seed=0) -> list[Label]:
    """A label for each segment, which its id alone decides."""
    return [Label(s.segment_id, Random(f"{seed} {s.segment_id}").choice(names)) for s in segments]


def numbers_of(segments, seed=0) -> list[Label]:
    """Valence and arousal from 1 to 5 for each segment, which its label tells."""
    rng = np.random.default_rng(seed)
    centre = {name: rng.uniform(1.5, 4.5, 2) for name in CLASSES}
    drawn = (centre[row.label] + rng.uniform(-0.5, 0.5, 2) for row in labels_of(segments))
    return [Label(s.segment_id, None, {"valence": float(v), "arousal": float(a)}) for s, (v, a) in zip(segments, drawn)]


def class_split(segments, protocol="session", classes=CLASSES, merge=None, labels=None, **options) -> list[Assignment]:
    """The split of segments that are told apart by class; those of ``labels_of`` where no labels are given."""
    labels = labels_of(segments, classes) if labels is None else labels
    label, _ = usable(Task("classes", "segment"), segments, labels, classes, merge)
    return assign(segments, protocol, label, **options)


def frame_split(segments, protocol="official", **options) -> list[Assignment]:
    """The split of videos with labels for each frame."""
    label, _ = usable(Task("numbers", "frame", ("valence", "arousal")), segments, [])
    return assign(segments, protocol, label, by_duration=True, **options)


def turn_rows(segments, modality, signal=0.7, missing=(), seed=0) -> dict[str, Rows]:
    """Noise with a class-dependent mean, 15 % of the rows invalid; nothing at all for the ``missing`` segments."""
    rng = np.random.default_rng([seed, len(modality)])
    dim, hop_s = DIMS[modality], HOPS_S[modality]
    centre = {label: rng.normal(size=dim) * signal for label in CLASSES}
    rows = {}
    for s, row in zip(segments, labels_of(segments)):
        n = 0 if s.segment_id in missing else max(1, int(s.duration_s / hop_s))
        start_s = s.start_s + np.arange(n) * hop_s
        valid = rng.random(n) > 0.15
        values = (centre[row.label] + rng.normal(size=(n, dim)) * 2 + 5).astype(np.float32)
        rows[s.segment_id] = Rows(values, np.stack([start_s, start_s + hop_s], 1), valid)
    return rows


def videos(training=10, validation=4, unlabelled=1, seed=0) -> list[Segment]:
    """Subject tracks in the shape of Aff-Wild2; every third video shows two people."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(training + validation + unlabelled):
        part = "train" if k < training else "validation" if k < training + validation else "test"
        end_s = float(rng.uniform(1, 6))
        for side in ("left", "right") if k % 3 == 0 else ("whole",):
            name = f"video{k:02d}" + ("" if side == "whole" else f"_{side}")
            found.append(Segment(name, f"video{k:02d}", name, None, part, 0.0, end_s, side))
    return found


def frame_labels(segments, fps=10.0, seed=0) -> dict[str, Rows]:
    """Slowly changing valence and arousal per frame; a tenth of the rows invalid, all of them where unlabelled."""
    rng = np.random.default_rng(seed)
    rows = {}
    for s in segments:
        n = int(s.end_s * fps)
        start_s = np.arange(n) / fps
        phase = rng.uniform(0, 6, 2)
        values = 0.7 * np.sin(start_s[:, None] * [1.1, 0.7] + phase)
        valid = (rng.random(n) > 0.1) & (s.part != "test")
        rows[s.segment_id] = Rows(values.astype(np.float32), np.stack([start_s, start_s + 1 / fps], 1), valid)
    return rows


def classes_of_frames(labels) -> dict[str, Rows]:
    """A class for each frame, by its valence."""
    return {k: replace(r, values=np.digitize(r.values[:, :1], [-0.3, 0.2]).astype("f4")) for k, r in labels.items()}


def frame_rows(labels, modality, seed=0) -> dict[str, Rows]:
    """Features at their own rate that show the labels of their time, with noise."""
    rng = np.random.default_rng([seed, len(modality)])
    dim, hop_s = DIMS[modality], HOPS_S[modality]
    mixing = rng.normal(size=(2, dim))
    rows = {}
    for segment_id, truth in labels.items():
        n = int(truth.time_s[-1, 1] / hop_s)
        start_s = np.arange(n) * hop_s
        shown = np.stack([np.interp(start_s, truth.time_s[:, 0], truth.values[:, k]) for k in range(2)], 1)
        values = (shown @ mixing + rng.normal(size=(n, dim)) * 0.3).astype(np.float32)
        rows[segment_id] = Rows(values, np.stack([start_s, start_s + hop_s], 1), rng.random(n) > 0.1)
    return rows


def train_arguments(folder, task, split, features, out, network, training, labels=None, fold=0) -> list[str]:
    """Arguments of ``python -m models train``."""
    letters = "+".join(m for m in "AVT" if {"A": "audio", "V": "video", "T": "text"}[m] in features)
    given = [x for m, path in features.items() for x in ("--feature", f"{m}={path}")]
    return [
        *("--task", TASKS.get(task, task), "--name", network["fusion"], "--modalities", letters, "--split", str(split)),
        *("--fold", str(fold), *given, *(("--labels", str(labels)) if labels else ())),
        *("--network", json.dumps(network), "--training", json.dumps(training), "--out", str(folder / out)),
    ]


def write_material(folder, task) -> tuple[Path, dict[str, Path], Path | None]:
    """Split, feature stores and labels of a small corpus of any task."""
    if task.frames:
        segments = videos()
        truth = numbers = frame_labels(segments)
        rows, assignments = {m: frame_rows(numbers, m) for m in DIMS}, frame_split(segments)
        config = {"columns": list(task.targets)}
        if not task.numbers:
            truth, config = classes_of_frames(numbers), {"columns": ["label"], "classes": CLASSES}
        labels = write_store(folder / "labels.h5", truth, "label", config=config)
    else:
        segments, labels = emotional_turns(), None
        rows, assignments = {m: turn_rows(segments, m) for m in DIMS}, class_split(segments)
        if task.numbers:
            labels = folder / "labels.tsv"
            write_labels(labels, numbers_of(segments))
    write_table(folder / "split.tsv", assignments, Assignment)
    return folder / "split.tsv", {m: write_store(folder / f"{m}.h5", r, m) for m, r in rows.items()}, labels


def task_job(folder, task, split, stores, labels, out, **changes) -> list[str]:
    """Arguments of a small training of any task on what ``write_material`` gave."""
    training = TRAINING[task.level] | changes
    return train_arguments(folder, str(task), split, stores, out, NETWORKS[task.level], training, labels)


def job_of(folder, task, network=None, **changes) -> Job:
    """A small training of any task as ``models.train`` makes it, on material written for it."""
    split, features, labels = write_material(folder, task)
    network = NetworkOptions(**(network or NETWORKS[task.level]))
    write_table(folder / "segments.tsv", videos() if task.frames else emotional_turns(), Segment)
    return Job(
        name="small",
        task=task,
        modalities="A+V+T",
        fold=0,
        split=split,
        features=features,
        labels=labels,
        network=network,
        training=TrainingOptions(**(TRAINING[task.level] | changes)).for_network(network),
        out=folder / "out",
        segments=folder / "segments.tsv" if network.context else None,
    )


def run_of(job, device="cpu", seed=1) -> Run:
    """The training of one seed of a job before its first epoch."""
    return Run(load_examples(job, device), job.network, job.training, seed, job.training.mixed_precision)


def start(arguments) -> str:
    """Train in a process of its own; returns what it said."""
    command = [warm_jobs.python(), "-m", "models", "train", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def check_said_again(folder, split, stores, segments=()) -> None:
    """A seed says of the test segments again what it has written, by what ``load_network`` says of it."""
    network, normalisers, run = load_network(folder)
    options, training = NetworkOptions(**run["network"]), TrainingOptions(seeds=[0], **run["training"])
    task, rows = Task.parse(run["task"]), [row for row in read_fold(split, run["fold"]) if row.part == "test"]
    given = {m: FeatureStore(stores[m]) for m in run["model"]["dims"]}
    truth, pool = segment_truth(task, split, rows, None), run["model"]["rows_per_step"]
    examples = segment_items(given, rows, task, truth, options, training, rows_per_step=pool, segments=segments)
    examples.normalisers = normalisers
    batch = examples.batch(np.arange(len(rows)))
    with torch.inference_mode():
        said = network(*batch.given).double().softmax(-1)
    table = read_table(folder / "predictions.parquet").to_pylist()
    written = {row["segment_id"]: [row[f"p_{name}"] for name in truth.names] for row in table if row["part"] == "test"}
    np.testing.assert_allclose(said, [written[row.segment_id] for row in rows], atol=2e-5)


def contents(folder) -> dict:
    """Every file that must repeat to the byte; run.json holds times, so of it only what decided the result."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            keep = path.read_bytes()
            if path.name == "run.json":
                keep = {k: json.loads(keep)[k] for k in ("digest", "selected", "epochs", "model")}
            found[str(path.relative_to(folder))] = keep
    return found
