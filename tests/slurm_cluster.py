"""A real Slurm cluster on this machine, for tests: munge, one controller and two node daemons on loopback, as root."""

import os
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock

NODES = ("node1", "node2")
CONF = Path("/etc/slurm/slurm.conf")  # the only place that commands inside a job look at
MARK = "# written by the tests of affectflow, which remove it\n"


def start_node(folder: Path, node: str) -> None:
    """Start one node daemon; it stays in the background."""
    (folder / f"spool-{node}").mkdir(exist_ok=True)
    _run("slurmd", "-N", node, "-f", CONF)


def kill_node(folder: Path, node: str) -> None:
    """Kill a node daemon and all its jobs the hard way, as a machine that vanishes would."""
    _kill(folder / f"slurmd-{node}.pid")
    log = str(folder / f"slurmd-{node}.log")
    for process in psutil.process_iter(["name"]):  # what runs the node's jobs has left its parent, but keeps its log
        if process.info["name"] == "slurmstepd" and log in {file.path for file in process.open_files()}:
            _kill_tree(process)


def node_states() -> dict[str, str]:
    """State of every node as sinfo tells it."""
    done = subprocess.run(["sinfo", "-h", "-N", "-o", "%N %T"], capture_output=True, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


@contextmanager
def cluster(folder: Path):
    """Run a cluster of two nodes whose files lie in ``folder``; everything is stopped and removed afterwards.

    Raises RuntimeError where this machine belongs to a cluster already. Two tests never run clusters at the same time.
    """
    with FileLock(Path(tempfile.gettempdir()) / "affectflow-slurm.lock"), ExitStack() as cleaning:
        if CONF.exists() and not CONF.read_text().startswith(MARK):
            raise RuntimeError(f"{CONF} is not of these tests: this machine belongs to a Slurm cluster")
        (folder / "state").mkdir(parents=True, exist_ok=True)
        CONF.parent.mkdir(exist_ok=True)
        cleaning.callback(CONF.unlink)
        CONF.write_text(_conf(folder))
        for name in ("munged", "slurmctld"):
            cleaning.callback(_kill, folder / f"{name}.pid")
        _start_munge(folder)
        _run("slurmctld", "-c", "-f", CONF)
        for node in NODES:
            cleaning.callback(kill_node, folder, node)
            start_node(folder, node)
        _wait(lambda: set(node_states().values()) == {"idle"}, "the nodes did not become idle", folder)
        yield folder


def _conf(folder: Path) -> str:
    host = socket.gethostname()
    controller, *ports = _free_ports(1 + len(NODES))
    lines = [
        "ClusterName=loopback", f"SlurmctldHost={host}(127.0.0.1)", f"SlurmctldPort={controller}",
        "SlurmUser=root", "SlurmdUser=root", "AuthType=auth/munge", f"AuthInfo=socket={folder}/munge.socket",
        f"StateSaveLocation={folder}/state", f"SlurmdSpoolDir={folder}/spool-%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid", f"SlurmdPidFile={folder}/slurmd-%n.pid",
        f"SlurmctldLogFile={folder}/slurmctld.log", f"SlurmdLogFile={folder}/slurmd-%n.log",
        "ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none", "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory", "AccountingStorageType=accounting_storage/none", "MpiDefault=none",
        # A job that needs more memory than it asked for is killed, as cgroups do it on larger machines.
        "JobAcctGatherType=jobacct_gather/linux", "JobAcctGatherFrequency=task=1",
        "JobAcctGatherParams=OverMemoryKill,UsePss",
        "ReturnToService=2", "SlurmdTimeout=5", "InactiveLimit=0", "KillWait=2", "BatchStartTimeout=5",
        "JobRequeue=0", "MinJobAge=600",
        "SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0",
    ]  # fmt: skip
    for node, port in zip(NODES, ports):
        lines.append(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=16000")
    lines.append(f"PartitionName=main Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO")
    return MARK + "\n".join(lines) + "\n"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _start_munge(folder: Path) -> None:
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    _run(
        "munged", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}", f"--pid-file={folder}/munged.pid",
        f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed",
    )  # fmt: skip
    _wait((folder / "munge.socket").exists, "munge did not answer", folder)


def _run(*command) -> None:
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")


def _wait(condition, what: str, folder: Path, seconds: float = 60) -> None:
    end_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end_s:
            logs = "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in folder.glob("*.log"))
            raise RuntimeError(f"Slurm: {what} within {seconds} s\n{logs}")
        time.sleep(0.2)


def _kill(pid_file: Path) -> None:
    try:
        _kill_tree(psutil.Process(int(pid_file.read_text())))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return  # it runs no longer
    pid_file.unlink(missing_ok=True)


def _kill_tree(process: psutil.Process) -> None:
    tree = [process, *process.children(recursive=True)]
    for each in tree:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(tree, timeout=10)
