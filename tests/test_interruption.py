"""A run that is killed again and again ends in the same tables as one that was left alone."""

import os
import random
import signal
import subprocess
import time

import pytest

from tests.workflow_runs import ROOT, command, small_config, snakemake, tables, write_config

REPORT = "results/iemocap_report.html"
KILLS = 10


def kill_group(process: subprocess.Popen) -> None:
    """Kill the workflow and all its jobs at once, as a power cut would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_ten_kills_change_no_byte_of_the_tables(real_corpora, tmp_path):
    roots = {"iemocap": real_corpora / "IEMOCAP_full_release", "affwild2": real_corpora / "AffWild2"}
    left_alone, killed = tmp_path / "left_alone", tmp_path / "killed"
    for folder in (left_alone, killed):
        write_config(folder, small_config(roots, {"corpora": {"iemocap": {"labels": ["neu", "hap", "sad", "ang"]}}}))
    begin = time.monotonic()
    subprocess.run(command(left_alone, REPORT), cwd=ROOT, check=True)
    duration_s = time.monotonic() - begin

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

    assert tables(killed) == tables(left_alone)
    assert not list(killed.glob("results/**/.*.h5")), "a half-written file was left behind"
