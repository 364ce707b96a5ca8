"""What the published modules of both papers gave for weights and inputs drawn from seeds: numbers to be met exactly.

Their own code was run on them in evaluation mode in float64, at commits df62166 of smartcameras/SelfCrossAttn and
489f33d of praveena2j/RJCMA; of sequences every 25th step was written down. The names and shapes of their parameters,
and what came out, are in published_numbers.json.
"""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np

EVERY = 25  # of the steps of an output sequence


def draw(kind: str, name: str, shape: list[int]) -> np.ndarray:
    """Draw float32 numbers of a usual size for a parameter or an input: the same on every machine."""
    values = np.random.RandomState(zlib.crc32(f"{kind} {name}".encode())).standard_normal(shape)
    if name.startswith("param/"):
        values *= 0.1 if len(shape) == 1 else np.prod(shape[1:]) ** -0.5
    if name.endswith("weight_g"):
        values = np.abs(values) + 0.5
    return values.astype(np.float32)


@cache
def _known() -> dict:
    return json.loads(Path(__file__).with_suffix(".json").read_text())


def reference(kind: str) -> dict[str, np.ndarray]:
    """Weights (``param/``), inputs (``input/``) and outputs (``output/``) of a published module."""
    known = _known()[kind]
    same = known.get("same", {})  # the published module lists some parameters twice
    drawn = {name: draw(kind, same.get(name, name), shape) for name, shape in known["shapes"].items()}
    return drawn | {f"output/{name}": np.array(values) for name, values in known["outputs"].items()}


def written_down(outputs: dict[str, np.ndarray], time_axis: int) -> dict[str, np.ndarray]:
    """Reduce outputs to what was written down of them."""
    return {
        name: np.asarray(v) if v.ndim < 3 else np.asarray(v).take(range(0, v.shape[time_axis], EVERY), time_axis)
        for name, v in outputs.items()
    }
