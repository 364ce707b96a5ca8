"""The seeds of a training job, one after another or side by side; a seed's numbers are the same either way."""

import csv
import os
import platform
import shutil
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict

import torch
from torch import multiprocessing

from models import inference
from models.encoders import learned_weights
from models.examples import Examples
from models.fit import Pausing, Run, fit_best
from models.job import Job, make_repeatable
from models.predictions import FILE, RUN, seed_folder, write_columns
from pipeline.files import replacing, write_json
from pipeline.log import log, log_to_stderr, peak_memory_mb
from pipeline.records import InputError


def train_seeds(job: Job, examples: Examples, known: dict[int, dict], mixed: bool, at_once: int) -> None:
    """Train each seed of ``known`` (what goes into its run.json), ``at_once`` of them in processes side by side.

    The processes share the features. On a GPU all seeds take turns in one process, step by step, since one small
    network leaves it idle most of the time. Raises InputError where a process ends early; the finished seeds and the
    states of the others stay.
    """
    gpu = examples.device.type == "cuda"
    if gpu or at_once == 1:
        trainings = (train_seed(job, examples, seed, mixed, facts) for seed, facts in known.items())
        alternate(trainings, room_on_gpu if gpu else lambda: False)
        return
    try:
        multiprocessing.set_forkserver_preload(["models.seeds"])  # imported once, not by each process anew
        given = at_once, job, examples, known, mixed
        multiprocessing.start_processes(_train_share, given, nprocs=at_once, start_method="forkserver")
    except multiprocessing.ProcessExitedException as error:
        share = list(known)[error.error_index :: at_once]
        raise InputError(
            f"{job.name}-{job.modalities} fold {job.fold}: the process of seeds {share} ended early ({error}); what it "
            "said last stands above; run the same command again to go on"
        ) from None


def _train_share(index: int, at_once: int, job: Job, examples: Examples, known: dict[int, dict], mixed: bool) -> None:
    """Train every ``at_once``-th seed in a process of its own, which ends when the job's own process does."""
    threading.Thread(target=_end_with_job, daemon=True).start()
    log_to_stderr()
    make_repeatable(not mixed, job.training.threads)
    try:
        share = list(known)[index::at_once]
        alternate((train_seed(job, examples, seed, mixed, known[seed]) for seed in share), lambda: False)
    except InputError as error:
        sys.exit(f"error: {error}")


def _end_with_job() -> None:
    """End this process once that of the job has ended, however it did."""
    multiprocessing.parent_process().join()
    os._exit(1)


def alternate(trainings: Iterable[Pausing], room: Callable[[], bool]) -> None:
    """Let trainings take a step in turn; while there is ``room`` another one begins, else when one has ended."""
    waiting, running = iter(trainings), deque[Pausing]()
    while True:
        if (not running or room()) and (begun := next(waiting, None)) is not None:
            running.append(begun)
        if not running:
            return
        for _ in range(len(running)):
            training = running.popleft()
            with suppress(StopIteration):
                next(training)
                running.append(training)


def room_on_gpu() -> bool:
    """Whether a third of the GPU's memory is free, so that the seeds that run leave room for another."""
    free, total = torch.cuda.mem_get_info()
    return free > total / 3


def train_seed(job: Job, examples: Examples, seed: int, mixed: bool, known: dict) -> Pausing:
    """Train one seed and write its folder, run.json last."""
    from safetensors.torch import save_file

    folder = seed_folder(job.out, seed)
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if not path.name.startswith("resume"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def make(learning_rate: float) -> Run:
        return Run(examples, job.network, job.training, seed, mixed, learning_rate, job.fold)

    def say(text: str) -> None:
        log.info("%s-%s fold %d seed %d: %s", job.name, job.modalities, job.fold, seed, text)

    run, tried = yield from fit_best(make, job.training, folder, known["digest"], say)
    network = run.network
    items = examples.items("development", "test", "unlabelled")
    output = inference.outputs(network, examples, items, job.training.batch_size, mixed)
    found = inference.answers(examples, items, output)
    write_columns(folder / FILE, inference.columns(examples, found, seed))
    without = inference.scores_without(network, examples, found, job.training.batch_size, mixed)
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
        "model": {
            "dims": examples.dims,
            "outputs": examples.names,
            "max_steps": examples.max_steps,
            "scale": examples.scale,
            "layers": examples.layers,
            "rows_per_step": examples.rows_per_step,
            "parameters": sum(p.numel() for p in network.parameters()),
        },
        "items": {part: len(examples.items(part)) for part in ("training", "development", "test", "unlabelled")},
        "rated": examples.rated,
        "segments_without_rows": examples.absent,
        "tried": [asdict(one) for one in tried],
        "chosen": {"learning_rate": run.learning_rate},
        "without": without,
        "layer_weights": learned_weights(network),
        "selected": history[run.progress.best_epoch - 1],
        "epochs": run.progress.epoch,
        "seconds": round(sum(one.seconds for one in tried), 3),
        "peak_memory_mb": round(peak_memory_mb()),
        "hardware": _hardware(examples.device),
    }
    write_json(folder / RUN, done)
    for path in folder.glob("resume*"):
        path.unlink()


def _hardware(device: torch.device) -> dict:
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            cpu = next((line.split(":")[1].strip() for line in stream if line.startswith("model name")), cpu)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}
