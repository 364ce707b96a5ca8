"""Jobs of the workflow by a process that has imported what they import, most of a short job, and forks for each.

Run as ``python warm_jobs.py SOCKET PYTHON -m MODULE ARGUMENTS``, it stands in for ``python`` and asks that process,
from which a job has the libraries alone: the code of this repository, arguments, environment and files are its own. A
job is of the group of processes that asked for it, and ends where who asked is killed.
"""

import atexit
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

LIBRARIES = (
    "av", "cv2", "click", "h5py", "librosa", "matplotlib.pyplot", "mediapipe", "numpy", "onnxruntime", "pandas",
    "platformdirs", "pyarrow", "pydantic", "scipy.signal", "scipy.stats", "sklearn.metrics", "smart_open",
    "snakemake.api", "snakemake.cli", "snakemake.workflow", "soundfile", "torch", "torch._dynamo", "torchaudio",
    "transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto", "yaml",
)  # fmt: skip


@cache
def python() -> str:
    """A program to call in place of Python, for as long as this process lives."""
    python.folder = tempfile.TemporaryDirectory(prefix="warm-")  # with a short name, as sockets need one
    python.server = _start(python.folder.name)
    return f"{python.folder.name}/python"


@contextmanager
def another_python(**own: str) -> Iterator[str]:
    """The same, with a process behind it that starts with variables of its own and ends with the block."""
    with tempfile.TemporaryDirectory(prefix="warm-") as folder, _start(folder, **own):
        yield f"{folder}/python"


def _start(folder: str, **own: str) -> subprocess.Popen:
    script, path = Path(folder, "python"), f"{folder}/socket"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {__file__} {path} "$0" "$@"\n')
    script.chmod(0o755)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HDF5_USE_FILE_LOCKING": "FALSE", **own}  # as jobs
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)  # who asks before the libraries are there waits
        command, given = [sys.executable, "-P", __file__, str(listener.fileno())], (listener.fileno(),)
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, pass_fds=given)


def become(module: str, arguments: list[str], cwd: str, environment: dict[str, str]) -> int:
    """What ``python -m MODULE ARGUMENTS`` does, in this process, of which little is left to itself afterwards."""
    import runpy
    import traceback

    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # the environment says where it is
    os.chdir(cwd)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _ask(path: str, python: str, arguments: list[str]) -> int:
    """Have a job of one thread done by the server, and any other by Python itself."""
    if arguments[0] != "-m" or os.environ.get("OMP_NUM_THREADS") != "1":
        os.execv(sys.executable, [sys.executable, *arguments])
    work = [arguments[1], arguments[2:], os.getcwd(), dict(os.environ)]
    file_bytes = resource.getrlimit(resource.RLIMIT_FSIZE)
    order = json.dumps([os.getsid(0), os.getpgrp(), file_bytes, python, work]).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [len(order).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(order)
        return int(connection.recv(8) or 1)


def _answer(connection: socket.socket) -> None:
    size, streams, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        session, group, file_bytes, python, work = json.loads(stream.read(int.from_bytes(size, "big")))
    job = os.fork()
    if not job:
        connection.close()
        if session == os.getsid(0):
            os.setpgid(0, group)  # where it fails, all of the group have been killed
        resource.setrlimit(resource.RLIMIT_FSIZE, tuple(file_bytes))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.executable = python if work[0] == "snakemake" else sys.executable  # for its jobs
        code = become(*work)
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # libraries would wait for threads that they have in the server alone
    if connection in select.select([os.pidfd_open(job), connection], [], [])[0]:  # who asked has been killed
        os.kill(job, signal.SIGKILL)
    _, status = os.waitpid(job, 0)
    with suppress(BrokenPipeError):
        connection.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())


def _serve(number: int) -> None:
    import importlib

    with socket.socket(fileno=number) as listener:
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            for name in LIBRARIES:  # at the first job: dry runs have none
                importlib.import_module(name)
            ours = {"affectflow", "models", "pipeline", "workflow"} & set(sys.modules)
            assert not ours, f"{ours} would be older than the files that a job runs"
            gc.freeze()  # a collection in a job would copy the pages of all that it shares
            if not os.fork():
                listener.close()
                try:
                    _answer(connection)
                finally:
                    os._exit(0)  # where nobody listens any more, too
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(_ask(sys.argv[1], sys.argv[2], sys.argv[3:]))
    _serve(int(sys.argv[1]))
