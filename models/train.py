"""The ``train`` stage: one model on one modality set, some of its folds, all their seeds.

Per seed: checkpoint.safetensors, history.csv, predictions and run.json, written last. A seed whose run.json carries the
digest of this configuration, these inputs and this code is not trained again, and stays, unread, where it is not asked
for; anything else in the folder is discarded.
"""

import json
import platform
import shutil
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import click
import numpy as np
import torch

from models.fusion.registry import FUSIONS, code_of
from models.job import Job, load_examples, make_repeatable
from models.options import (
    MODALITY_SETS,
    NetworkOptions,
    TrainingOptions,
    check_network,
    check_training,
    options_from_json,
    takes_segments,
)
from models.predictions import FILE, join_files, read_run, seed_folder
from models.seeds import train_seeds
from models.task import Task
from pipeline.cli import EXISTING, FOLDER, split_option, task_option
from pipeline.devices import choose_device
from pipeline.files import digest_file
from pipeline.log import log
from pipeline.records import InputError

IRRELEVANT = {"seeds", "device", "memory_budget_gb", "resume_every_s"}  # training options that change no seed's result


def digest_inputs(job: Job) -> dict[Path, str]:
    """The digest of every file that a job reads: of large ones, and of the same for all folds."""
    return {path: digest_file(path) for path in job.inputs.values()}


def facts(job: Job, device: str, digests: dict[Path, str]) -> dict:
    """Configuration, inputs, code and versions: what a seed's digest is taken of.

    Python's version is not among them: it changes no number.
    """
    return {
        "name": job.name,
        "task": str(job.task),
        "modalities": job.modalities,
        "fold": job.fold,
        "device": device,
        "network": job.network.model_dump(exclude={"training": IRRELEVANT}),
        "training": job.training.model_dump(exclude=IRRELEVANT),
        "inputs": {name: digests[path] for name, path in job.inputs.items()},
        "code": code_of(job.network.fusion),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }


def train_job(job: Job, of_inputs: dict[Path, str], cores: int = 1) -> Path:
    """Train every seed that is not yet trained, and write the predictions of all; returns their path.

    ``of_inputs`` is what ``digest_inputs`` gives. Seeds train side by side as far as ``cores`` suffice,
    ``training.threads`` each.
    """
    check_network(job.network, list(job.features), job.task)
    job = replace(job, training=job.training.for_network(job.network))
    check_training(job.training, job.task)
    job = _with_tables(job)
    device = choose_device(job.training.device, "training.device")
    mixed = job.training.mixed_precision and device == "cuda" and not job.network.faithful
    make_repeatable(not mixed, job.training.threads)
    known = facts(job, device, of_inputs)
    out = job.out / FILE
    folders = {seed: seed_folder(job.out, seed) for seed in job.training.seeds}
    _tidy(job, out, known)
    digests = {seed: _digest(known, seed) for seed in folders}
    missing = [seed for seed in folders if not _is_finished(folders[seed], digests[seed])]
    if missing:
        examples = load_examples(job, device)
        known["versions"] |= {"python": platform.python_version()}
        known["fusion_code"] = FUSIONS.code_of(job.network.fusion)  # its own: what predictions compare
        at_once = min(len(missing), max(1, cores // job.training.threads))
        of_seeds = {seed: {"digest": digests[seed], "seed": seed, **known} for seed in missing}
        train_seeds(job, examples, of_seeds, mixed, at_once)
    for seed in sorted(set(folders) - set(missing)):
        log.info("%s-%s fold %d seed %d: trained before", job.name, job.modalities, job.fold, seed)
    join_files([folders[seed] / FILE for seed in sorted(folders)], out)
    return out


def _with_tables(job: Job) -> Job:
    """The job without tables that it does not need; raises InputError where one that it needs is missing."""
    votes, rows = job.training.targets == "raters", takes_segments(job.network, job.training)
    if votes and job.targets is None:
        raise InputError("training.targets is raters: give their votes as --targets targets/PROTOCOL.tsv")
    if rows and job.segments is None:
        raise InputError(
            f"network.context is {job.network.context}, training.normalise {job.training.normalise}: give who speaks, "
            "and in which order, as --segments segments.tsv"
        )
    return replace(job, targets=job.targets if votes else None, segments=job.segments if rows else None)


def _digest(known: dict, seed: int) -> str:
    return sha256(json.dumps({**known, "seed": seed}, sort_keys=True).encode()).hexdigest()


def _tidy(job: Job, out: Path, known: dict) -> None:
    """Remove what earlier runs left: joined predictions, half-written files, seeds neither asked for nor finished."""
    job.out.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    for path in job.out.glob(f".{out.stem}.*"):
        path.unlink()
    asked = {seed_folder(job.out, seed) for seed in job.training.seeds}
    for folder in sorted(set(job.out.glob("seed*")) - asked):
        seed = folder.name.removeprefix("seed")
        if not (seed.isdecimal() and _is_finished(folder, _digest(known, int(seed)))):
            log.info("%s: not among training.seeds, nor finished with these settings: removed", folder)
            shutil.rmtree(folder)


def _is_finished(folder: Path, digest: str) -> bool:
    try:
        run = read_run(folder)
    except (OSError, ValueError):
        return False
    names = ("checkpoint.safetensors", "history.csv", FILE)
    return run.get("digest") == digest and all((folder / name).is_file() for name in names)


def _features(modalities: str, given: tuple[str, ...]) -> dict[str, Path]:
    """Modalities in the order A, V, T with their files; raises InputError where they do not match."""
    if modalities not in MODALITY_SETS:
        raise InputError(f"--modalities {modalities!r}: write one of {', '.join(MODALITY_SETS)}")
    pairs = [text.partition("=") for text in given]
    named = {m: Path(path) for m, sign, path in pairs if sign}
    wanted = MODALITY_SETS[modalities]
    if sorted(named) != sorted(wanted) or len(named) != len(given):
        raise InputError(f"--feature {' '.join(given)}: give MODALITY=FILE once for each of {', '.join(wanted)}")
    return {m: named[m] for m in wanted}


@click.command()
@task_option
@click.option("--name", required=True, help="of the model, for logs and run.json")
@click.option("--modalities", required=True, help="A, V, T in that order, joined by +")
@split_option
@click.option("--fold", "folds", multiple=True, required=True, type=click.IntRange(min=0), help="one or more")
@click.option("--feature", multiple=True, required=True, help="MODALITY=FILE, once for each modality")
@click.option("--labels", type=EXISTING, help="labels.h5 or labels.tsv")
@click.option("--segments", type=EXISTING, help="segments.tsv")
@click.option("--targets", type=EXISTING, help="targets/PROTOCOL.tsv")
@click.option("--network", required=True, help="JSON of models.options.NetworkOptions")
@click.option("--training", required=True, help="JSON of models.options.TrainingOptions")
@click.option("--cores", default=1, type=click.IntRange(min=1), help="seeds train side by side as far as these suffice")
@click.option("--out", "outs", multiple=True, required=True, type=FOLDER, help="runs/RUN/foldK, for each --fold")
def train(task, name, modalities, split, folds, feature, labels, segments, targets, network, training, cores, outs):
    """Train one model on one modality set and some folds, all seeds."""
    wanted = Task.parse(task)
    if (wanted.frames or wanted.numbers) != (labels is not None):
        raise InputError(
            f"--task {task}: give --labels labels.h5 for tasks of frames, --labels labels.tsv for numbers of segments, "
            "and none for classes of segments, which stand in the split"
        )
    if len(folds) != len(outs):
        raise InputError(f"--fold is there {len(folds)} times, --out {len(outs)} times; give one --out for each --fold")
    job = Job(
        name=name,
        task=wanted,
        modalities=modalities,
        fold=folds[0],
        split=split,
        features=_features(modalities, feature),
        labels=labels,
        network=options_from_json(NetworkOptions, network, "--network"),
        training=options_from_json(TrainingOptions, training, "--training"),
        out=outs[0],
        segments=segments,
        targets=targets,
    )
    of_inputs = digest_inputs(job)
    for fold, out in zip(folds, outs):
        begin_s = time.monotonic()
        path = train_job(replace(job, fold=fold, out=out), of_inputs, cores)
        log.info("wrote %s in %.1f s", path, time.monotonic() - begin_s)
