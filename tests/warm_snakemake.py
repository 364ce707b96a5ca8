"""Runs of Snakemake by a process that has imported it, half of what a dry run takes, and forks for each."""

import json
import os
import subprocess
import sys
import traceback
from functools import cache
from pathlib import Path


@cache
def _server() -> subprocess.Popen:
    """One for this process; it ends with it."""
    command = [sys.executable, "-P", __file__]
    return subprocess.Popen(
        command, cwd=Path(__file__).parent.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def run(arguments: list[str], cwd: Path, environment: dict[str, str], out: Path) -> int:
    """As ``python -m snakemake ARGUMENTS`` in a folder; what it says goes to a file."""
    server = _server()
    server.stdin.write(json.dumps([arguments, str(cwd), environment, str(out)]) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


def _run(arguments: list[str], cwd: str, environment: dict[str, str], out: str) -> int:
    """The same in this process, of which little is left to itself afterwards."""
    import runpy

    said = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(number, target)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path.insert(0, cwd)
    sys.argv = ["snakemake", *arguments]
    try:
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _serve() -> None:
    import snakemake.api
    import snakemake.cli
    import snakemake.workflow  # noqa: F401

    ours = {"affectflow", "models", "pipeline", "workflow"} & set(sys.modules)
    assert not ours, f"{ours} may be of another checkout"
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.exit(_run(*json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
