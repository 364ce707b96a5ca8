"""A run that is killed again and again ends in the same tables as one that was left alone."""

import os
import random
import signal
import subprocess
import time

import pytest

from tests.workflow_runs import REPORT, ROOT, command, four_class_run, snakemake, tables

KILLS = 10


def kill_group(process: subprocess.Popen) -> None:
    """Kill the workflow and all its jobs at once, as a power cut would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_ten_kills_change_no_byte_of_the_tables(real_corpora, left_alone, tmp_path):
    whole, duration_s = left_alone
    killed = tmp_path / "killed"
    four_class_run(real_corpora, killed)
    random.seed(int(duration_s * 1000))
    for _ in range(KILLS):
        process = subprocess.Popen(
            command(killed, REPORT),
            cwd=ROOT,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(random.uniform(3.0, max(6.0, 2.5 * duration_s / KILLS)))
        kill_group(process)
        snakemake(killed, "--unlock")
    snakemake(killed, REPORT)

    assert tables(killed) == tables(whole)
    assert tables(whole)
    assert not list(killed.glob("results/**/.*.h5")), "a half-written file was left behind"
