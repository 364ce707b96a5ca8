"""The workflow on a real Slurm cluster where a node vanishes and jobs are killed gives the tables of a local run."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests import slurm_cluster, warm_jobs
from tests.workflow_runs import REPORT, ROOT, four_class_run, tables
from workflow.run_log import read_run

PROFILE = [
    "--workflow-profile", str(ROOT / "profiles" / "slurm"), "--slurm-status-command", "squeue", "--slurm-no-account",
    "--slurm-init-seconds-before-status-checks", "1", "--max-status-checks-per-second", "10", "--latency-wait", "10",
    "--set-resources", "words:mem_mb=100*10**(attempt-1)", "--retries", "4",
]  # fmt: skip

SNAKEFILE = ["--snakefile", str(ROOT / "Snakefile")]
COLD = ("faces", "shard", "words")  # the rules whose jobs are killed


def python(folder: Path) -> Path:
    """A program to call in place of Python; jobs of the rules that are killed are Slurm's own from start to end."""
    first, rest = Path(warm_jobs.python()).read_text().split("\n", 1)
    cold = "|".join(f"*'--target-jobs {rule}:'*" for rule in COLD)
    script = folder / "python"
    script.write_text(f'{first}\ncase "$*" in {cold}) exec {sys.executable} "$@";; esac\n{rest}')
    script.chmod(0o755)
    return script


def running(rule: str, node: str = "node1,node2") -> list[str]:
    """Ids of the running jobs of a rule on some nodes."""
    done = subprocess.run(["squeue", "-h", "-t", "R", "-w", node, "-o", "%i %k"], capture_output=True, text=True)
    return [line.split()[0] for line in done.stdout.splitlines() if f"rule_{rule}" in line]


def wait_for(condition, process, what: str, seconds: float = 300):
    """Wait until a condition holds and return what it gave."""
    end_s = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None, f"the workflow ended before {what}"
        assert time.monotonic() < end_s, f"{what} did not happen within {seconds} s"
        time.sleep(0.3)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="starting a Slurm cluster needs root")
@pytest.mark.slurm
@pytest.mark.slow
def test_a_cluster_run_with_failures_equals_a_local_run(real_corpora, left_alone, tmp_path):
    local, remote = left_alone, tmp_path / "remote"
    four_class_run(real_corpora, remote)
    shutil.copytree(local / "results/weights", remote / "results/weights")  # fetched on the login node, as it were

    said = tmp_path / "said.log"
    # A short path of its own: the sockets that Slurm makes there may have names of at most 108 characters.
    with (
        tempfile.TemporaryDirectory(prefix="slurm-") as short,
        slurm_cluster.cluster(Path(short)) as cluster,
        said.open("w") as stream,
    ):
        process = subprocess.Popen(
            [python(Path(short)), "-m", "snakemake", *SNAKEFILE, "--directory", str(remote), *PROFILE, REPORT],
            cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip
        try:
            busy = lambda: [node for node in slurm_cluster.NODES if running("faces", node)]  # noqa: E731
            node = wait_for(busy, process, "a faces job")[-1]
            slurm_cluster.kill_node(cluster, node)
            job = wait_for(lambda: running("shard"), process, "a shard job")[0]
            subprocess.run(["scancel", "--signal=KILL", "--full", job], check=True)
            slurm_cluster.start_node(cluster, node)
            code = process.wait(timeout=900)
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            raise

    assert code == 0, said.read_text()[-6000:]
    assert tables(remote)
    assert tables(remote) == tables(local)
    state = read_run(max((remote / ".snakemake/log").glob("*.events.jsonl")))
    assert {job.state for job in state.jobs.values()} == {"finished"}
    for rule, what in (("faces", "on the node that vanished"), ("shard", "killed"), ("words", "short of memory")):
        assert max(job.attempts for job in state.select("finished", rule)) > 1, f"no {rule} job was {what}"
    # At 100 MB the step of a words job runs out of memory: snakemake, which starts there first, or the words after it.
    killed = [path for path in remote.glob("results/logs/slurm/rule_words/**/*.log") if "memory" in path.read_text()]
    assert killed, "no step of a words job ran out of memory"
