"""Runs of Snakemake by a process that has imported it and read our sources, most of a dry run, and forks for each."""

import gc
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests import warm_jobs

ROOT = Path(__file__).parent.parent


@cache
def _server(own: bool) -> subprocess.Popen:
    """One for this process, with which it ends; or another, for checkouts that a test has edited."""
    command = [sys.executable, "-P", "-m", "tests.warm_snakemake", *["own"] * own]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(arguments: list[str], cwd: Path, environment: dict[str, str], out: Path, python: str | None = None) -> int:
    """As ``python -m snakemake ARGUMENTS`` in a folder, its jobs by a warm Python; what it says goes to a file."""
    server = _server(Path(cwd) == ROOT)
    server.stdin.write(json.dumps([arguments, str(cwd), environment, str(out), python or warm_jobs.python()]) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


def _run(arguments: list[str], cwd: str, environment: dict[str, str], out: str, python_of_jobs: str) -> int:
    """The same in this process."""
    said = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(number, target)
    sys.path.insert(0, cwd)
    sys.executable = python_of_jobs
    return warm_jobs.become("snakemake", arguments, cwd, environment)


def _serve(own: bool) -> None:
    import numpy  # noqa: F401
    import platformdirs  # noqa: F401
    import pydantic  # noqa: F401
    import smart_open  # noqa: F401
    import snakemake.api
    import snakemake.cli
    import snakemake.report.html_reporter
    import snakemake.workflow

    snakemake.cli.get_argument_parser()  # which looks for plugins and imports them
    ours = {"affectflow", "models", "pipeline", "workflow"}
    assert not ours & set(sys.modules), "they may be of another checkout"
    if own:
        import workflow.corpora
        import workflow.demo.plan
        import workflow.progress  # noqa: F401
        from pipeline import definitions

        for path in (path for package in ours for path in ROOT.glob(f"{package}/**/*.py")):
            definitions.read(path.read_bytes())  # which keeps what it made of them
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.exit(_run(*json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve("own" in sys.argv)
