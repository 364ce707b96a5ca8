"""Make .venv, on a machine that has nothing but a Python: what ``make .venv/installed`` runs.

    python3 affectflow/install.py

It uses the standard library alone, of any Python 3. uv comes from its own wheel, with its hash, and installs the rest.
"""

import importlib.util
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SUPPORTED = ((3, 11), (3, 12))
PYTHON = ">=3.11,<3.13"
SIZE = "about 3 GB to fetch, 6.5 GB on disk, one to five minutes"
CONFLICT = re.compile(r"^(<<<<<<<|=======|>>>>>>>)", re.MULTILINE)
NETWORK = (
    "is there a network? Behind a proxy set HTTPS_PROXY, for a mirror PIP_INDEX_URL, then run the same command again"
)
WORKS = (
    "it works on Linux on x86_64 processors with glibc 2.28 or newer (Debian 10, Ubuntu 20.04, RHEL 8; WSL 2), and all "
    "its packages are there for macOS 14 or newer on Apple processors, where nobody has tried it; elsewhere build "
    "Dockerfile for linux/amd64"
)


class Impossible(Exception):
    """Why it cannot be installed here, and what to do."""


def install(folder: Path, lock: Path) -> None:
    """Make the environment in ``folder`` from ``lock``; raises Impossible with a sentence."""
    check_lock(lock)
    library, release = platform.libc_ver()
    release = release if library == "glibc" else platform.mac_ver()[0]
    check_machine(platform.system(), platform.machine(), release)
    print(f"Installing affectflow into {folder}: {SIZE}.", flush=True)
    with tempfile.TemporaryDirectory(prefix="affectflow-") as scratch:
        if sys.version_info[:2] in SUPPORTED or works(folder / "bin" / "python"):
            uv = bring_uv(folder, lock)
        else:
            uv = bring_python(folder, lock, Path(scratch))
        pip = [uv, "pip", "install", "--python", str(folder / "bin" / "python"), "--no-deps"]
        # --no-deps: the lock is complete, and it holds the headless cv2 in place of the one that mediapipe asks for.
        exact = ["--require-hashes", "--build-constraints", str(lock), "--requirement", str(lock)]
        run(*pip, *exact, otherwise=f"not all packages came; {NETWORK}")
        run(*pip, "--no-build-isolation", "--quiet", "--editable", ".", otherwise="see what stands above")


def check_lock(lock: Path) -> None:
    """Raise Impossible where the lock file is not one."""
    text = lock.read_text(encoding="utf-8")
    found = CONFLICT.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise Impossible(
            f"{lock}, line {line}: marks of a merge conflict; take one side (git checkout --theirs {lock}), "
            "then run `make lock`, which brings it in line with pyproject.toml"
        )


def check_machine(system: str, machine: str, release: str) -> None:
    """Raise Impossible where a package has no wheel; ``release`` is that of glibc or macOS, empty for another libc."""
    needed = {("Linux", "x86_64"): (2, 28), ("Darwin", "arm64"): (14, 0)}.get((system, machine))
    if needed is None or tuple(map(int, release.split(".")[:2] if release else (0, 0))) < needed:
        library = " with another C library than glibc" if system == "Linux" and not release else ""
        raise Impossible(f"affectflow cannot be installed on {system} {release} on {machine}{library}: {WORKS}")


def bring_uv(folder: Path, lock: Path) -> str:
    """Make an environment of this Python with uv in it, unless there is one, and return the path of uv."""
    python, uv, needed = folder / "bin" / "python", folder / "bin" / "uv", folder / "uv.txt"
    if not works(python):
        if importlib.util.find_spec("ensurepip") is None:
            raise Impossible(
                f"{sys.executable} cannot make environments; on Debian and Ubuntu: apt install python3-venv, "
                "then run the same command again"
            )
        run(sys.executable, "-m", "venv", "--clear", str(folder), otherwise="see what stands above")
    if not uv.exists():
        needed.write_text(pin(lock.read_text(encoding="utf-8"), "uv"), encoding="utf-8")
        if not (folder / "bin" / "pip").exists():
            run(str(python), "-m", "ensurepip", otherwise=f"remove {folder} and run the same command again")
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        strict = ["--retries", "2", "--require-hashes", "--requirement", str(needed)]
        run(*pip, *strict, otherwise=f"uv could not be fetched; {NETWORK}")
        needed.unlink()
    return str(uv)


def bring_python(folder: Path, lock: Path, scratch: Path) -> str:
    """Make the environment with a Python that will do, one that uv finds here or fetches; return the path of uv."""
    here = f"{sys.executable} is Python {'.'.join(map(str, sys.version_info[:3]))}"
    print(f"{here}; looking for {PYTHON}.", flush=True)
    try:
        uv = bring_uv(scratch, lock)
        run(uv, "venv", "--quiet", "--clear", "--seed", "--python", PYTHON, str(folder), otherwise="")
    except Impossible:
        raise Impossible(
            f"{here}, affectflow needs 3.11 or 3.12, and none was found or could be fetched: install one and run "
            "`make .venv/installed PYTHON=/path/to/python3.12`, or `make .venv/installed` where there is internet"
        ) from None
    return uv


def works(python: Path) -> bool:
    """Whether an environment is there already, made to its end, of a Python that will do."""
    ask = f"import sys; sys.exit(sys.version_info[:2] not in {SUPPORTED})"
    return (
        python.exists()
        and python.with_name("activate").exists()
        and subprocess.run([str(python), "-c", ask]).returncode == 0
    )


def pin(lock: str, package: str) -> str:
    """The lines of a lock file about one package: its version and its hashes."""
    return re.search(rf"^{package}==.*(?:\n .*)*", lock, re.MULTILINE)[0] + "\n"


def run(*command: str, otherwise: str) -> None:
    """Run a command that says what it does; raises Impossible with ``otherwise`` where it fails."""
    if subprocess.run(command, env={**mirror(command[0]), **os.environ}).returncode:
        raise Impossible(otherwise)


def mirror(program: str) -> dict:
    """What sends uv to the package index that pip is told to use."""
    if Path(program).name != "uv":
        return {}
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = os.environ.get("PIP_INDEX_URL") or subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if index else {}


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent)
    try:
        install(Path(".venv"), Path("requirements.lock"))
    except Impossible as reason:
        sys.exit(f"error: {reason}")
    except KeyboardInterrupt:
        sys.exit("stopped; run the same command again to go on")
