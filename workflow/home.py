"""Where the workflow lies: the Snakefile with its rules, config.yaml and the profiles, in a checkout or installed."""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.records import InputError

_PACKAGES = Path(__file__).resolve().parent.parent
HOME = _PACKAGES if (_PACKAGES / "Snakefile").is_file() else _PACKAGES / "affectflow" / "home"


def installed_home() -> Path | None:
    """Folder of the workflow whose code this Python's jobs run, wherever they run; None where it is not installed."""
    try:
        found = distribution("affectflow")
    except PackageNotFoundError:
        return None
    origin = json.loads(found.read_text("direct_url.json") or "{}")  # PEP 610
    if origin.get("dir_info", {}).get("editable"):
        return Path(url2pathname(urlsplit(origin["url"]).path))
    return Path(str(found.locate_file("affectflow/home")))


def check_installed(home: Path | str) -> None:
    """Raise InputError where jobs of the workflow in ``home`` would run none or other code than lies beside it."""
    installed = installed_home()
    if installed is None:
        raise InputError(
            f"{sys.executable} has no affectflow, which jobs of {home} need: run `make .venv/installed` there and "
            "start snakemake from its .venv/bin"
        )
    if installed.resolve() != Path(home).resolve():
        raise InputError(
            f"the workflow is {home}, but jobs of {sys.executable} run the code in {installed}: "
            "start snakemake from the environment of the first, or take the Snakefile of the second"
        )


def revision() -> str:
    """The commit of the checkout, marked where files differ from it; the version where this is an installed package."""
    described = [f"--git-dir={HOME / '.git'}", f"--work-tree={HOME}", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        git = subprocess.run(["git", *described, "--exclude=*"], capture_output=True, text=True)
    except FileNotFoundError:
        git = None
    if git and git.returncode == 0:
        return git.stdout.strip()
    return f"version {version('affectflow')}" if installed_home() else ""
