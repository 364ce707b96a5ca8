"""Run the workflow from tests: in a folder of its own, with a configuration small enough for minutes."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import yaml

from tests import warm_snakemake
from workflow.overlay import patch

ROOT = Path(__file__).resolve().parent.parent
REPORT = "results/iemocap_report.html"
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
FEW_RUNS = {
    "segment": {"self": ["A", "A+V+T"], "cross": ["A+V+T"], "rcma": ["A+V+T"]},
    "frame": {"rcma": ["A+V", "A+V+T"], "self_frames": ["A+V+T"]},
}
FEW_CONTRASTS = {
    "segment": [{"question": "cross or self", "a": "cross-A+V+T", "b": "self-A+V+T"}],
    "frame": [{"question": "with text or without", "a": "rcma-A+V+T", "b": ["rcma-A+V"]}],
}


def small_config(roots: dict[str, Path] | None = None, changes: dict | None = None) -> dict:
    """The repository's configuration at demo scale with few runs, seeds and epochs, and a job for each recording."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["scale"] = "demo"
    for corpus, root in (roots or {}).items():
        config["corpora"][corpus]["root"] = str(root)
    for level, runs in FEW_RUNS.items():
        config["defaults"][level].update(runs=runs, contrasts=FEW_CONTRASTS[level])
        demo = config["demo"]["defaults"][level]
        for key in ("runs", "contrasts"):
            demo.pop(key, None)
        demo["training"].update(seeds=[1, 2], epochs=3)
        demo["significance"]["bootstrap_samples"] = 200
    for entry in config["demo"]["corpora"].values():
        entry.pop("media_units", None)
    return patch(config, changes or {})


def four_class_run(real_corpora: Path, folder: Path) -> None:
    """Settle a folder in which models of four classes are to be trained on real faces and voices, two dialogs a job."""
    roots = {"iemocap": real_corpora / "IEMOCAP_full_release", "affwild2": real_corpora / "AffWild2"}
    own = {"labels": ["neu", "hap", "sad", "ang"], "media_units": 2, "runs": {"self": ["A"], "cross": ["A+V+T"]}}
    own["contrasts"] = [{"question": "all or sound", "a": "cross-A+V+T", "b": "self-A"}]
    write_config(folder, small_config(roots, {"corpora": {"iemocap": own}}))


def write_config(folder: Path, config: dict) -> None:
    """Put a configuration where the workflow looks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def _arguments(folder: Path, *arguments: str, checkout: Path = ROOT) -> list[str]:
    return ["--snakefile", str(checkout / "Snakefile"), "--directory", str(folder), "--cores", "2", *arguments]


def command(folder: Path, *arguments: str) -> list[str]:
    """The command line that runs the workflow in a folder."""
    return [*SNAKEMAKE, *_arguments(folder, *arguments)]


def snakemake(
    folder: Path, *arguments: str, checkout: Path = ROOT, fails: bool = False, python: str | None = None
) -> str:
    """Run the workflow and return what it said; raises where it ends otherwise than expected."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / ".cache")}
    with tempfile.NamedTemporaryFile("r") as out:
        command_line = _arguments(folder, *arguments, checkout=checkout)
        code = warm_snakemake.run(command_line, checkout, environment, out.name, python)
        said = out.read()
    if bool(code) != fails:
        raise AssertionError(said[-6000:])
    return said


def planned(folder: Path, *arguments: str, checkout: Path = ROOT) -> Counter:
    """How many jobs of each rule a dry run lists."""
    said = snakemake(folder, "--dry-run", *arguments, checkout=checkout)
    table = said.partition("Job stats:")[2].partition("total")[0]
    return Counter({m[1]: int(m[2]) for m in re.finditer(r"^(\w+) +(\d+)$", table, re.M)})


def copy_checkout(target: Path) -> Path:
    """A copy of the sources, to be edited by a test."""
    for name in ("Snakefile", "config.yaml"):
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    for name in ("workflow", "pipeline", "models", "profiles", "affectflow"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def tables(folder: Path) -> dict[str, bytes]:
    """The bytes of every table of a finished run."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.glob("results/*/tables/*.csv"))}


def outside(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in a folder with no environment activated."""
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache"), **environment}
    return subprocess.run(command, cwd=folder, env=bare, capture_output=True, text=True)
