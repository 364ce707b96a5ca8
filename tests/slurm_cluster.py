"""A real Slurm cluster on this machine: munge, one controller and node daemons on loopback, as root, for tests."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

NODES = ("node1", "node2")
CONF = Path("/etc/slurm/slurm.conf")  # jobs of the executor plugin do not inherit SLURM_CONF


def _conf(folder: Path, memory_mb: int) -> str:
    host = socket.gethostname()
    lines = [
        "ClusterName=loopback", f"SlurmctldHost={host}(127.0.0.1)", "SlurmUser=root", "SlurmdUser=root",
        "AuthType=auth/munge", f"StateSaveLocation={folder}/state", f"SlurmdSpoolDir={folder}/spool-%n",
        f"SlurmctldPidFile={folder}/ctld.pid", f"SlurmdPidFile={folder}/slurmd-%n.pid",
        f"SlurmctldLogFile={folder}/ctld.log", f"SlurmdLogFile={folder}/slurmd-%n.log",
        "ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none", "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core", "AccountingStorageType=accounting_storage/none",
        "JobAcctGatherType=jobacct_gather/none", "MpiDefault=none", "ReturnToService=2", "SlurmdTimeout=20",
        "InactiveLimit=0", "KillWait=5", "MinJobAge=600", "SchedulerParameters=sched_interval=2,bf_interval=2",
    ]  # fmt: skip
    for port, node in enumerate(NODES, start=17101):
        lines.append(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory={memory_mb}"
        )
    lines.append(f"PartitionName=main Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO")
    return "\n".join(lines) + "\n"


def start_node(node: str) -> None:
    """Start one node daemon; it stays in the background."""
    subprocess.run(["slurmd", "-N", node], check=True, capture_output=True)


def kill_node(folder: Path, node: str) -> None:
    """Kill a node daemon the hard way, as a machine that vanishes would."""
    pid = (folder / f"slurmd-{node}.pid").read_text().strip()
    subprocess.run(["kill", "-9", pid], check=True)


def node_states() -> dict[str, str]:
    """State of every node as sinfo tells it."""
    done = subprocess.run(["sinfo", "-h", "-N", "-o", "%N %T"], capture_output=True, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


def _wait(condition, what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"Slurm: {what} within {seconds} s")
        time.sleep(0.5)


@contextmanager
def cluster(folder: Path):
    """Run a cluster of two nodes whose files lie in ``folder``; everything is stopped and removed afterwards."""
    for name in ("state", "spool-node1", "spool-node2"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    before = CONF.read_bytes() if CONF.exists() else None
    CONF.parent.mkdir(exist_ok=True)
    CONF.write_text(_conf(folder, memory_mb=16_000))
    try:
        if subprocess.run(["munge", "-n"], capture_output=True).returncode:
            _start_munge()
        subprocess.run(["slurmctld", "-c"], check=True)
        for node in NODES:
            start_node(node)
        _wait(lambda: set(node_states().values()) == {"idle"}, f"nodes did not become idle ({node_states()})")
        yield folder
    finally:
        for pid_file in folder.glob("*.pid"):
            subprocess.run(["kill", "-9", pid_file.read_text().strip()], capture_output=True)
        subprocess.run(["pkill", "-9", "slurmstepd"], capture_output=True)
        if before is None:
            CONF.unlink()
        else:
            CONF.write_bytes(before)


def _start_munge() -> None:
    if not Path("/etc/munge/munge.key").exists():
        subprocess.run(["mungekey", "--create"], check=True)
    Path("/run/munge").mkdir(mode=0o755, exist_ok=True)
    shutil.chown("/run/munge", "munge", "munge")
    shutil.chown("/etc/munge/munge.key", "munge", "munge")
    os.chmod("/etc/munge/munge.key", 0o400)
    subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
    _wait(lambda: subprocess.run(["munge", "-n"], capture_output=True).returncode == 0, "munge did not answer", 15)
