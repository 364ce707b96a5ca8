"""Installing, on machines that lack something."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from affectflow import install
from tests.conftest import REPOSITORY
from tests.workflow_runs import outside


def test_one_build_of_cv2_is_installed_and_it_needs_no_display():
    owners = [d.name for d in distributions() if any(f.parts[0] == "cv2" for f in d.files or ())]
    assert owners == ["opencv-contrib-python-headless"]


def test_uv_is_pinned_with_its_hashes():
    lines = install.pin((REPOSITORY / "requirements.lock").read_text(), "uv").splitlines()
    assert re.fullmatch(r"uv==[\d.]+ \\", lines[0])
    assert len(lines) > 5
    assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines[1:])


def test_a_lock_file_in_conflict_is_named_with_its_line(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("a==1 \\\n<<<<<<< HEAD\n    --hash=sha256:0\n=======\n    --hash=sha256:1\n>>>>>>> theirs\n")
    with pytest.raises(install.Impossible, match=r"requirements.lock, line 2: marks of a merge conflict.*make lock"):
        install.check_lock(lock)
    install.check_lock(REPOSITORY / "requirements.lock")


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (("Linux", "x86_64", "2.28"), None),
        (("Darwin", "arm64", "14.5"), None),
        (("Linux", "x86_64", "2.17"), "on Linux 2.17 on x86_64: it works on .*glibc 2.28"),
        (("Linux", "x86_64", ""), "another C library than glibc"),
        (("Linux", "aarch64", "2.36"), "on Linux 2.36 on aarch64: .*linux/amd64"),
        (("Darwin", "arm64", "13.6"), "macOS 14"),
        (("Darwin", "x86_64", "14.5"), "Apple processors"),
        (("Windows", "AMD64", ""), "WSL 2"),
    ],
)
def test_a_machine_without_wheels_is_told_what_works(machine, said):
    if said is None:
        install.check_machine(*machine)
        return
    with pytest.raises(install.Impossible, match=said):
        install.check_machine(*machine)


@pytest.fixture
def checkout(tmp_path):
    """What `make .venv/installed` reads, in a folder of its own, and a machine that has no network."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(REPOSITORY / name, tmp_path)
    (tmp_path / "affectflow").mkdir()
    shutil.copy(REPOSITORY / "affectflow" / "install.py", tmp_path / "affectflow")
    return tmp_path


def make(checkout: Path, python: Path) -> subprocess.CompletedProcess:
    """Run `make .venv/installed` without a network."""
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "UV_OFFLINE": "1"}
    return outside(checkout, "make", ".venv/installed", f"PYTHON={python}", **offline)


def test_a_newer_python_without_a_network_gets_one_sentence(checkout):
    """A stand-in: this Python, which says that it is 3.13."""
    python = checkout / "python3"
    site = checkout / "site"
    site.mkdir()
    (site / "newer.py").write_text(
        "import runpy, sys\n"
        "sys.version_info = (3, 13, 1, 'final', 0)\n"
        "sys.argv = sys.argv[2:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {site}/newer.py "$@"\n')
    python.chmod(0o755)
    done = make(checkout, python)
    assert done.returncode
    last = [line for line in done.stderr.splitlines() if line.startswith("error:")][-1]
    assert "is Python 3.13.1, affectflow needs 3.11 or 3.12" in last
    assert "`make .venv/installed PYTHON=/path/to/python3.12`" in last
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv" / "installed").exists()


def test_without_a_network_the_sentence_names_proxy_and_mirror(checkout):
    done = make(checkout, Path(sys.executable))
    assert "Installing affectflow into .venv" in done.stdout
    assert "GB on disk" in done.stdout
    assert re.search(r"^error: uv could not be fetched; .*HTTPS_PROXY.*PIP_INDEX_URL", done.stderr, re.M)


def test_a_machine_without_python_or_nproc_is_told(checkout):
    done = outside(checkout, "make", ".venv/installed", "PYTHON=")
    assert "python3 is not installed; affectflow needs Python 3.11 or 3.12" in done.stdout
    tools = checkout / "tools"
    tools.mkdir()
    for tool in ("make", "sh", "getconf"):
        (tools / tool).symlink_to(shutil.which(tool))
    done = outside(checkout, "make", "--dry-run", "--old-file=.venv/installed", "report", PATH=str(tools))
    assert re.search(r"snakemake --cores \d+ results/iemocap_report.html", done.stdout), done.stderr
