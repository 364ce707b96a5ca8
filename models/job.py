"""A training job: one model on one modality set and fold, what it reads, and the machine it runs on."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from models.examples import Examples
from models.items import fitted, frame_items, segment_items
from models.options import NetworkOptions, TrainingOptions
from models.protocols.targets import Target
from models.task import Task
from models.truth import rated, segment_truth
from pipeline.records import Assignment, InputError, Segment, read_fold, read_table
from pipeline.store import FeatureStore


@dataclass(frozen=True)
class Job:
    """All that decides what comes out of a training job."""

    name: str
    task: Task
    modalities: str  # letters joined by +
    fold: int
    split: Path
    features: dict[str, Path]
    labels: Path | None  # labels.h5 of frames, labels.tsv of numbers of segments
    network: NetworkOptions
    training: TrainingOptions
    out: Path
    segments: Path | None = None  # segments.tsv, where it counts who speaks or which turns come before
    targets: Path | None = None  # targets/PROTOCOL.tsv, where raters' votes are what is learned

    @property
    def inputs(self) -> dict[str, Path]:
        """Every file the job reads."""
        also = {"labels": self.labels, "segments": self.segments, "targets": self.targets}
        return {"split": self.split, **self.features, **{name: path for name, path in also.items() if path}}


def open_stores(job: Job) -> tuple[dict[str, FeatureStore], FeatureStore | None]:
    """Open features and frame-wise labels; raises InputError where they are not of one corpus and kind."""
    stores = {m: FeatureStore(path) for m, path in job.features.items()}
    for m, store in stores.items():
        if store.attributes["modality"] != m:
            raise InputError(f"{store.path}: holds {store.attributes['modality']} features, given as --feature {m}")
    labels = FeatureStore(job.labels) if job.task.frames else None
    first = next(iter(stores.values()))
    for store in [*stores.values(), *([labels] if labels else [])]:
        if store.attributes["corpus"] != first.attributes["corpus"]:
            raise InputError(
                f"{store.path} is of corpus {store.attributes['corpus']}, {first.path} of "
                f"{first.attributes['corpus']}; give features of one corpus"
            )
        # Real labels may meet demonstration features (a rehearsal on one's own corpus); nothing else mixes.
        rehearsal = store is labels and first.attributes["demonstration"]
        if store.attributes["demonstration"] != first.attributes["demonstration"] and not rehearsal:
            raise InputError(
                f"{store.path} and {first.path}: one is made from synthetic data or weights, the other is real; "
                "they must not mix: delete both, and let the workflow make them again"
            )
    return stores, labels


def load_examples(job: Job, device: str) -> Examples:
    """Read what the job trains and predicts on."""
    stores, labels = open_stores(job)
    rows = read_fold(job.split, job.fold)
    segments = read_table(job.segments, Segment) if job.segments else []
    if job.task.frames:
        items = frame_items(stores, labels, rows, job.task, job.network, job.training, device, segments)
    else:
        rows, targets, counts = _rated(job, rows)
        truth = segment_truth(job.task, job.split, rows, job.labels, targets)
        items = segment_items(stores, rows, job.task, truth, job.network, job.training, device, segments=segments)
        if items.dialogs is not None and not (items.dialogs.turn >= 0).any():
            raise InputError(
                f"network.context {job.network.context}: {job.segments} has no turn before another in its dialog or "
                "recording; set it to 0, or number the turns of dialogs that are of several recordings (turn)"
            )
        items = replace(items, rated=counts)
    return fitted(items, job.network, job.training)


def _rated(job: Job, rows: list[Assignment]) -> tuple[list[Assignment], list[Target] | None, dict[str, int]]:
    """The rows with raters' votes as targets, where the job has these; otherwise the rows as they are."""
    if job.targets is None:
        return rows, None, {}
    targets = [row for row in read_table(job.targets, Target) if row.fold == job.fold]
    if not targets:
        raise InputError(f"{job.targets}: has no fold {job.fold}; delete it and let the workflow make it again")
    rows, counts = rated(rows, targets)
    return rows, targets, counts


def make_repeatable(exact: bool, threads: int) -> None:
    """Let torch give the same numbers in every run on one machine; with ``exact`` off, let CUDA be fast instead."""
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Not use_deterministic_algorithms, which also tells torch.compile and imports it: a second for nothing.
    torch.set_deterministic_debug_mode("error" if exact else "default")
    torch.utils.deterministic.fill_uninitialized_memory = False  # which would write NaN, to find bugs
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact
