"""A run that is killed again and again ends in the same tables as one that was left alone."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import warm_jobs
from tests.workflow_runs import REPORT, ROOT, command, four_class_run, snakemake, tables
from workflow.run_log import read_run

MOMENTS = (  # the rules at whose jobs the run is killed
    "demo_weights", "faces", "audio", "shard", "shard", "merge", "train_2_folds", "train_2_folds", "scores",
    "html_report",
)  # fmt: skip


def kill_group(process: subprocess.Popen) -> None:
    """Kill the workflow and all its jobs at once, as a power cut would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def reached(events: Path | None, rule: str) -> bool:
    """Whether a job of a rule has begun, or the run has none of it to do."""
    jobs = read_run(events).jobs.values() if events else ()
    own = [job for job in jobs if job.rule == rule]
    return any(job.state != "waiting" for job in own) if own else bool(jobs)


@pytest.mark.slow
def test_ten_kills_change_no_byte_of_the_tables(real_corpora, left_alone, tmp_path):
    killed = tmp_path / "killed"
    four_class_run(real_corpora, killed)
    seed = time.time_ns()
    print("the moments are drawn by the seed", seed)  # shown where the test fails
    random.seed(seed)
    at_work = []
    for rule in MOMENTS:
        before = set(killed.glob(".snakemake/log/*.events.jsonl"))
        process = subprocess.Popen(
            [warm_jobs.python(), *command(killed, REPORT)[1:]], cwd=ROOT, process_group=0,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        events = None
        while process.poll() is None and not reached(events, rule):
            time.sleep(0.02)
            events = next(iter(set(killed.glob(".snakemake/log/*.events.jsonl")) - before), None)
        time.sleep(random.uniform(0, 0.5))
        kill_group(process)
        at_work.append([job.rule for job in read_run(events).jobs.values() if job.state == "under way"])
        snakemake(killed, "--unlock")
    snakemake(killed, REPORT)

    assert {"faces", "shard", "train_2_folds"} <= set().union(*at_work), "nothing was at work when it was killed"
    assert sum(map(bool, at_work)) >= 6, f"most kills came between jobs: {at_work}"
    assert tables(killed) == tables(left_alone)
    assert tables(left_alone)
    assert not list(killed.glob("results/**/.*.h5")), "a half-written file was left behind"
