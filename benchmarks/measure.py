"""What a command or a process costs: seconds on the wall, seconds of the processor, peak memory.

The kernel counts towards a process's peak what its parent held when it was started (getrusage(2), ru_maxrss), so peaks
are asked of a small process in between.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ATTRIBUTES = {  # of feature stores that are measured
    "corpus": "iemocap", "name": "bench", "modality": "audio", "extractor": "bench", "extractor_version": "1",
    "config": {}, "weights": {}, "software": {}, "inputs": "", "demonstration": True,
}  # fmt: skip
BETWEEN = """
import json, resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as out:
    json.dump([status, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], out)
"""


class Cost(NamedTuple):
    """What one command cost, and what it said."""

    wall_s: float
    processor_s: float
    peak_mb: float
    text: str


def run(command: list, folder: Path) -> Cost:
    """Run a command to its end; raises RuntimeError with what it said where it fails."""
    with tempfile.TemporaryFile("w+") as said, tempfile.NamedTemporaryFile("r", suffix=".json") as used:
        begin_s = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or every command compiles its libraries anew
        between = [sys.executable, "-I", "-S", "-c", BETWEEN, used.name, *map(str, command)]
        subprocess.run(between, cwd=folder, stdout=said, stderr=subprocess.STDOUT, env=environment, check=True)
        wall_s = time.perf_counter() - begin_s
        said.seek(0)
        text = said.read()
        status, processor_s, peak_mb = json.load(used)
    if status:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{text[-3000:]}")
    return Cost(wall_s, processor_s, peak_mb, text)
