"""Seeds side by side: the same bytes as one after another, no process left behind, and clear about what went wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.records import Assignment, write_table
from tests import warm_jobs
from tests.training_material import (
    REPOSITORY,
    class_split,
    contents,
    emotional_turns,
    start,
    train_arguments,
    turn_rows,
    write_store,
)

NETWORK = {"fusion": "self_attention", "width": 12, "heads": 2, "embedding": 8}
TRAINING = {"seeds": [1, 2, 3], "epochs": 2, "batch_size": 16, "max_s": 0.8}
LONG = {"epochs": 8, "stop_patience": 8, "max_s": 170}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("seeds")


@pytest.fixture(scope="module")
def job(folder):
    """Arguments of a training of three seeds."""
    segments = emotional_turns()
    write_table(folder / "split.tsv", class_split(segments), Assignment)
    stores = {m: write_store(folder / f"{m}.h5", turn_rows(segments, m), m) for m in ("audio", "text")}

    def make(out, cores, **changes):
        arguments = train_arguments(folder, "segment", folder / "split.tsv", stores, out, NETWORK, TRAINING | changes)
        return ["--cores", str(cores), *arguments]

    return make


@pytest.fixture(scope="module")
def one_after_another(folder, job):
    start(job("one", 1))
    return contents(folder / "one")


@pytest.mark.parametrize("budget_gb", [4.0, 1e-6], ids=["in memory", "from files"])
def test_side_by_side_is_one_after_another(folder, job, one_after_another, budget_gb):
    out = f"three-{budget_gb}"
    said = start(job(out, 3, memory_budget_gb=budget_gb))
    assert contents(folder / out) == one_after_another
    assert all(f"seed {seed}: epoch 2 of 2" in said for seed in TRAINING["seeds"])
    assert "trained before" in start(job(out, 3))


def test_cores_go_to_threads_first(folder, job):
    start(job("few", 2, threads=2, seeds=[1]))
    start(job("many", 4, threads=2, seeds=[1, 2]))
    few, many = (json.loads((folder / name / "seed1" / "run.json").read_text()) for name in ("few", "many"))
    assert few["digest"] == many["digest"]
    assert few["hardware"]["threads"] == many["hardware"]["threads"] == 2


def test_what_one_seed_cannot_do_ends_the_job_in_words(job):
    arguments = [warm_jobs.python(), "-m", "models", "train", *job("bad", 3, learning_rate=1e30)]
    done = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1
    assert "lower training.learning_rate" in done.stderr
    assert "error: self_attention-A+T fold 0: the process of seeds [" in done.stderr
    assert "Traceback" not in done.stderr


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that these have."""
    with open(f"/proc/{pid}/task/{pid}/children") as stream:
        return [one for child in map(int, stream.read().split()) for one in (child, *descendants(child))]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def begun(folder: Path) -> set[Path]:
    """Seeds that have trained an epoch; those that have ended keep no state."""
    return {file.parent for name in ("resume0.pt", "run.json") for file in folder.glob(f"seed*/{name}")}


def test_a_killed_job_leaves_no_process_and_goes_on(folder, job):
    start(job("whole", 1, **LONG))
    arguments = job("killed", 3, **LONG, resume_every_s=0)
    process = subprocess.Popen([sys.executable, "-m", "models", "train", *arguments], cwd=REPOSITORY)
    deadline_s = time.monotonic() + 300
    while len(begun(folder / "killed")) < 3 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    workers = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(workers) >= 5  # three seeds, the process that forks them, and one that looks after shared memory
    while any(map(alive, workers)) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    said = start(arguments)
    assert "goes on after epoch" in said
    assert contents(folder / "killed") == contents(folder / "whole")
