"""The ``train`` stage: one model on one modality set and fold, all its seeds.

Per seed: checkpoint.safetensors, history.csv, predictions and run.json, written last. A seed whose run.json carries the
digest of this configuration, these inputs and this code is not trained again; anything else in the folder is discarded.
"""

import csv
import json
import os
import platform
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from functools import cache
from hashlib import file_digest, sha256
from pathlib import Path

import click
import numpy as np
import torch
from pydantic import ValidationError

from models import network as networks
from models import predict
from models.data import read_fold
from models.examples import Examples, frame_examples, segment_examples
from models.fit import Run, fit
from models.options import MODALITIES, NetworkOptions, Options, TrainingOptions, check_network
from models.predictions import FILE
from pipeline.cli import log
from pipeline.records import InputError, read_table, replacing
from pipeline.store import FeatureStore

IRRELEVANT = {"seeds", "device", "memory_budget_gb", "resume_every_s"}  # training options that change no seed's result


@dataclass(frozen=True)
class Job:
    """All that decides what comes out of a training job."""

    name: str
    task: str  # segment or frame
    modalities: str  # letters joined by +
    fold: int
    split: Path
    features: dict[str, Path]
    labels: Path | None
    network: NetworkOptions
    training: TrainingOptions
    out: Path

    @property
    def inputs(self) -> dict[str, Path]:
        """Every file the job reads."""
        return {"split": self.split, **self.features, **({"labels": self.labels} if self.labels else {})}


def open_stores(job: Job) -> tuple[dict[str, FeatureStore], FeatureStore | None]:
    """Open features and labels; raises InputError where they are not of one corpus and kind."""
    stores = {m: FeatureStore(path) for m, path in job.features.items()}
    for m, store in stores.items():
        if store.attributes["modality"] != m:
            raise InputError(f"{store.path}: holds {store.attributes['modality']} features, given as --feature {m}")
    labels = FeatureStore(job.labels) if job.labels else None
    if labels and labels.dim != len(predict.TARGETS):
        raise InputError(f"{labels.path}: labels are {labels.dim} wide, expected {len(predict.TARGETS)}")
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
                "they must not mix: delete the results and run again"
            )
    return stores, labels


def load_examples(job: Job, device: str) -> Examples:
    """Read what the job trains and predicts on."""
    stores, labels = open_stores(job)
    rows = read_fold(job.split, job.fold)
    if job.task == "frame":
        return frame_examples(stores, labels, rows, job.network, job.training, device)
    return segment_examples(stores, rows, _classes(job.split), job.network, job.training, device)


def _classes(split: Path) -> list[str]:
    """All labels of a split, whichever of them a fold holds: the outputs are the same in every fold."""
    from models.splits import Assignment

    rows = read_table(split, Assignment)
    unlabelled = [row.segment_id for row in rows if row.label is None]
    if unlabelled:
        raise InputError(f"{split}: {unlabelled[0]} has no label, but task segment needs one; use task frame")
    classes = sorted({row.label for row in rows})
    if len(classes) < 2:
        raise InputError(f"{split}: holds only the label {classes}; there is nothing to tell apart")
    return classes


def choose_device(wanted: str) -> str:
    """Resolve "auto"; raises InputError where CUDA is asked for and absent."""
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise InputError("training.device is cuda, but torch sees no CUDA device; set it to auto or cpu")
    return "cuda" if available and wanted != "cpu" else "cpu"


def make_repeatable(exact: bool, threads: int) -> None:
    """Let torch give the same numbers in every run on one machine; with ``exact`` off, let CUDA be fast instead."""
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Not use_deterministic_algorithms, which also tells torch.compile and imports it: a second for nothing.
    torch.set_deterministic_debug_mode("error" if exact else "default")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact


@cache
def code_digest() -> str:
    """Digest of the sources of ours that are loaded, which are those a training runs through."""
    sources = sha256()
    for name in sorted(sys.modules):
        path = getattr(sys.modules[name], "__file__", None)
        if name.split(".")[0] in ("models", "pipeline") and name != "pipeline.cli" and path:
            sources.update(name.encode() + Path(path).read_bytes())
    return sources.hexdigest()


def facts(job: Job, device: str) -> dict:
    """Configuration, inputs, code and versions: what a seed's digest is taken of."""

    def digest(path: Path) -> str:
        with path.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()

    return {
        "name": job.name,
        "task": job.task,
        "modalities": job.modalities,
        "fold": job.fold,
        "device": device,
        "network": job.network.model_dump(),
        "training": job.training.model_dump(exclude=IRRELEVANT),
        "inputs": {name: digest(path) for name, path in job.inputs.items()},
        "code": code_digest(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
    }


def train_job(job: Job) -> Path:
    """Train every seed that is not yet trained, and write the predictions of all; returns their path."""
    begin_s = time.monotonic()
    check_network(job.network, list(job.features), job.task)
    device = choose_device(job.training.device)
    mixed = job.training.mixed_precision and device == "cuda" and not job.network.faithful
    make_repeatable(not mixed, job.training.threads)
    known = facts(job, device)
    out = job.out / FILE[job.task]
    _tidy(job, out)
    folders = {seed: job.out / f"seed{seed}" for seed in job.training.seeds}
    digests = {
        seed: sha256(json.dumps({**known, "seed": seed}, sort_keys=True).encode()).hexdigest() for seed in folders
    }
    missing = [seed for seed in folders if not _is_finished(folders[seed], digests[seed], out.name)]
    if missing:
        examples = load_examples(job, device)
        known["loading_s"] = round(time.monotonic() - begin_s, 3)
    for seed in missing:
        train_seed(job, examples, seed, mixed, {"digest": digests[seed], "seed": seed, **known})
    for seed in sorted(set(folders) - set(missing)):
        log.info("%s-%s fold %d seed %d: trained before", job.name, job.modalities, job.fold, seed)
    predict.join_files([folders[seed] / out.name for seed in sorted(folders)], out)
    return out


def _tidy(job: Job, out: Path) -> None:
    """Remove what earlier runs left: the joined predictions, half-written files, seeds no longer asked for."""
    job.out.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    for path in job.out.glob(f".{out.stem}.*"):
        path.unlink()
    for folder in job.out.glob("seed*"):
        if folder.name not in {f"seed{seed}" for seed in job.training.seeds}:
            log.info("%s: not among training.seeds, removed", folder)
            shutil.rmtree(folder)


def _is_finished(folder: Path, digest: str, predictions: str) -> bool:
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    names = ("checkpoint.safetensors", "history.csv", predictions)
    return run.get("digest") == digest and all((folder / name).is_file() for name in names)


def train_seed(job: Job, examples: Examples, seed: int, mixed: bool, known: dict) -> None:
    """Train one seed and write its folder, run.json last."""
    from safetensors.torch import save_file

    folder = job.out / f"seed{seed}"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name != "resume.pt":
            path.unlink()
    torch.manual_seed(seed)
    names = list(predict.TARGETS) if job.task == "frame" else examples.classes
    model = {"dims": examples.dims, "outputs": names, "max_steps": examples.max_steps}
    network = networks.build(job.network, model["dims"], job.task, len(names), model["max_steps"]).to(examples.device)
    run = Run(network, examples, job.training, seed, mixed)
    fit(
        run,
        folder / "resume.pt",
        known["digest"],
        lambda text: log.info("%s-%s fold %d seed %d: %s", job.name, job.modalities, job.fold, seed, text),
    )
    items = examples.items("development", "test", "unlabelled")
    said = predict.outputs(network, examples, items, job.training.batch_size, mixed)
    file = folder / FILE[job.task]
    if job.task == "segment":
        predict.write_segment_rows(file, examples.classes, predict.segment_rows(examples, items, said, seed))
    else:
        averaged = predict.frame_outputs(examples, items, said)
        predict.write_frame_columns(file, predict.frame_columns(examples, averaged, seed))
    with replacing(folder / "checkpoint.safetensors") as temporary:
        tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        for m, normaliser in examples.normalisers.items():
            tensors |= {f"normaliser.{m}.mean": normaliser.mean, f"normaliser.{m}.std": normaliser.std}
        save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, temporary)
    history = run.progress.history
    with (
        replacing(folder / "history.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    done = {
        **known,
        "exact": not mixed,
        "model": {**model, "parameters": sum(p.numel() for p in network.parameters())},
        "items": {part: len(examples.items(part)) for part in ("training", "development", "test", "unlabelled")},
        "segments_without_rows": examples.absent,
        "selected": history[run.progress.best_epoch - 1],
        "epochs": run.progress.epoch,
        "seconds": round(run.progress.seconds, 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "hardware": _hardware(examples.device),
    }
    with replacing(folder / "run.json") as temporary:
        temporary.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
    (folder / "resume.pt").unlink(missing_ok=True)


def _hardware(device: torch.device) -> dict:
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            cpu = next((line.split(":")[1].strip() for line in stream if line.startswith("model name")), cpu)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}


def _options(kind: type[Options], text: str, flag: str):
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the whole'}: {e['msg']}" for e in error.errors())
        raise InputError(f"{flag}: {found}; allowed keys: {', '.join(kind.model_fields)}") from None


def _features(modalities: str, given: tuple[str, ...]) -> dict[str, Path]:
    """Modalities in the order A, V, T with their files; raises InputError where they do not match."""
    letters = modalities.split("+")
    if letters != [letter for letter in MODALITIES if letter in letters]:
        raise InputError(f"--modalities {modalities!r}: write letters of A, V, T in that order, joined by +: A+V+T")
    pairs = [text.partition("=") for text in given]
    named = {m: Path(path) for m, sign, path in pairs if sign}
    wanted = [MODALITIES[letter] for letter in letters]
    if sorted(named) != sorted(wanted) or len(named) != len(given):
        raise InputError(f"--feature {' '.join(given)}: give MODALITY=FILE once for each of {', '.join(wanted)}")
    return {m: named[m] for m in wanted}


@click.command()
@click.option(
    "--task", required=True, type=click.Choice(["segment", "frame"]), help="a label per segment, or per frame"
)
@click.option("--name", required=True, help="of the model, for logs and run.json")
@click.option("--modalities", required=True, help="A, V, T in that order, joined by +")
@click.option("--split", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--fold", required=True, type=click.IntRange(min=0))
@click.option("--feature", multiple=True, required=True, help="MODALITY=FILE, once for each modality")
@click.option("--labels", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="frame: labels.h5")
@click.option("--network", required=True, help="JSON of models.options.NetworkOptions")
@click.option("--training", required=True, help="JSON of models.options.TrainingOptions")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="runs/RUN/foldK")
def train(task, name, modalities, split, fold, feature, labels, network, training, out):
    """Train one model on one modality set and fold, all seeds."""
    if (task == "frame") != (labels is not None):
        raise InputError("--labels is needed for task frame, and for that only")
    begin_s = time.monotonic()
    job = Job(
        name=name,
        task=task,
        modalities=modalities,
        fold=fold,
        split=split,
        features=_features(modalities, feature),
        labels=labels,
        network=_options(NetworkOptions, network, "--network"),
        training=_options(TrainingOptions, training, "--training"),
        out=out,
    )
    log.info("wrote %s in %.1f s", train_job(job), time.monotonic() - begin_s)
