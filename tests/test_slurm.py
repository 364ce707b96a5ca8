"""The workflow on a real Slurm cluster, with a node and a job killed in the middle, gives the tables of a local run."""

import os
import subprocess
import time

import pytest

from tests import slurm_cluster
from tests.workflow_runs import ROOT, SNAKEMAKE, small_config, snakemake, tables, write_config

REPORT = "results/iemocap_report.html"
PROFILE = [
    "--workflow-profile", str(ROOT / "profiles" / "slurm"), "--slurm-status-command", "squeue", "--slurm-no-account",
    "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "15", "--retries", "5", "--set-resources",
    "faces:mem_mb=1500", "audio:mem_mb=800", "words:mem_mb=800", "shard:mem_mb=2500", "train:mem_mb=1500",
]  # fmt: skip


def running(rule: str) -> list[str]:
    """Ids of the running jobs of a rule."""
    done = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%i %k"], capture_output=True, text=True)
    return [line.split()[0] for line in done.stdout.splitlines() if f"rule_{rule}" in line]


def wait_for(condition, what: str, seconds: float = 300):
    """Wait until a condition holds and return what it gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.3)
    return found


@pytest.mark.slurm
@pytest.mark.slow
def test_a_cluster_run_with_failures_equals_a_local_run(real_corpora, tmp_path):
    roots = {"iemocap": real_corpora / "IEMOCAP_full_release", "affwild2": real_corpora / "AffWild2"}
    config = small_config(roots, {"corpora": {"iemocap": {"labels": ["neu", "hap", "sad", "ang"]}}})
    local, remote = tmp_path / "local", tmp_path / "remote"
    for folder in (local, remote):
        write_config(folder, config)
    snakemake(local, REPORT)

    with slurm_cluster.cluster(tmp_path / "slurm"):
        with (tmp_path / "said.log").open("w") as said:
            process = subprocess.Popen(
                [*SNAKEMAKE, "--snakefile", str(ROOT / "Snakefile"), "--directory", str(remote), *PROFILE, REPORT],
                cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, env={**os.environ, "COLUMNS": "200"},
            )  # fmt: skip
        wait_for(lambda: running("faces"), "a faces job")
        slurm_cluster.kill_node(tmp_path / "slurm", "node2")
        job = wait_for(lambda: running("shard") or running("train"), "a shard or train job")[0]
        subprocess.run(["scancel", "--signal=KILL", "--full", job], check=True)
        slurm_cluster.start_node("node2")
        code = process.wait(timeout=900)
    assert code == 0, (tmp_path / "said.log").read_text()[-6000:]
    assert tables(remote) == tables(local)
