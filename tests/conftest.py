"""Fixtures that several test files share."""

import gc
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="passive")  # or threads wait busily

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what runs in its background ignore Ctrl-C

hypothesis.settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("unhurried")
LONGEST = (  # files; the cluster mostly waits, so it runs beside others, not after them
    "slurm", "workflow", "apply", "interruption", "faces", "benchmarks", "network", "damaged_corpora", "seeds",
    "fusion_check", "train", "digest", "conditions", "package", "recognisers", "demo", "reruns",
)  # fmt: skip
INSTALLED = {"browser": "chromium", "poppler": "pdftotext", "slurm": "slurmctld"}  # by .ci/run: markers and their tools
REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


def pytest_collection_modifyitems(items):
    """Skip what this machine lacks, visibly, but under REQUIRE_ALL=1 nothing that .ci/run installs; order the files.

    What it does not install is skipped there too: a GPU, LaTeX, the media in shared, a second Python, packages that are
    not locked, and what needs rights over the machine. Long files come first.
    """
    import shutil

    place = {f"test_{name}": k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))

    lacking = {} if shutil.which("pdflatex") else {"latex": "no pdflatex on the PATH"}
    if not os.environ.get("REQUIRE_ALL"):
        lacking |= {mark: f"no {tool} on the PATH" for mark, tool in INSTALLED.items() if not shutil.which(tool)}
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            lacking["gpu"] = "no CUDA device"
    for item in items:
        for name, reason in lacking.items():
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module", autouse=True)
def few_objects_to_collect():
    """Leave what stands before a file's tests out of garbage collections: each looks at half a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real media and reference numbers beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("no folder of real media and reference numbers beside the repository")
    return SHARED


def of_this_run(tmp_path_factory) -> Path:
    """A folder that the workers of one run share, and no other run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def real_corpora(shared, tmp_path_factory) -> Path:
    """Real faces and voices laid out as both corpora (2 sessions, 2 dialogs each), with truth.json beside them."""
    root = of_this_run(tmp_path_factory) / "affectflow-real"
    import filelock

    with filelock.FileLock(f"{root}.lock"):
        if not (root / "truth.json").exists():
            tool = shared / "tools" / "make_real_corpora.py"
            subprocess.run([sys.executable, str(tool), str(root), "--sessions", "2", "--dialogs", "2"], check=True)
    return root


@pytest.fixture(scope="session")
def left_alone(real_corpora, tmp_path_factory) -> Path:
    """A run that nothing disturbed, which those that are killed or go to a cluster must equal."""
    import filelock

    from tests.workflow_runs import REPORT, four_class_run, snakemake

    folder = of_this_run(tmp_path_factory) / "affectflow-left-alone"
    with filelock.FileLock(f"{folder}.lock"):
        if not (folder / REPORT).exists():
            four_class_run(real_corpora, folder)
            snakemake(folder, REPORT)
    return folder


@pytest.fixture(scope="session")
def truth(real_corpora) -> dict:
    """What a correct reader must find in the real corpora."""
    return json.loads((real_corpora / "truth.json").read_text())


@pytest.fixture(scope="session")
def librosa():
    """The library with what numba compiles of it, half a minute of work that one process of all does."""
    import numpy as np

    from pipeline.features.compiled import one_compiler

    with one_compiler():
        import librosa

        librosa.feature.melspectrogram(y=np.zeros(2048, np.float32))
    return librosa


@pytest.fixture(scope="session")
def has():
    """Say whether an optional package is installed."""
    return lambda package: importlib.util.find_spec(package) is not None
