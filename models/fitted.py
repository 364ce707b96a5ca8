"""Examples with what is fitted on their training part: normalisers of the features, and the scale of the numbers."""

from collections import Counter
from dataclasses import replace

import numpy as np

from models.data import Normaliser
from models.examples import Examples
from models.options import NetworkOptions, TrainingOptions
from pipeline.log import log
from pipeline.records import InputError


def fitted(examples: Examples, network: NetworkOptions, training: TrainingOptions) -> Examples:
    """Fit normalisers and scale on what trains, and say what is missing."""
    counts = Counter(examples.part.tolist())
    for needed in ("training", "development", "test"):
        if not counts[needed]:
            raise InputError(f"the {needed} part of this fold holds no item; its parts are {dict(counts)}")
    trains = np.zeros(len(examples.segment_ids), bool)
    trains[examples.segment[examples.items("training")]] = True
    normalisers = {}
    for m, table in examples.tables.items():
        if examples.absent[m]:
            log.info("%s: %d of %d segments have no valid row; all masked", m, examples.absent[m], len(trains))
        seen = table.blocks(trains) if training.normalise else ()  # of nothing: features stay as they are
        normalisers[m] = Normaliser.fit(seen, table.dim).to(examples.device, examples.dtype)
    return replace(examples, normalisers=normalisers, scale=_scale(examples, network.faithful))


def _scale(examples: Examples, faithful: bool) -> dict[str, list[float]] | None:
    """Mean and standard deviation of each number where any leaves [-1, 1], which a network's tanh can reach.

    A faithful model has its tanh all the same: the middle of the range, and half of it. Raises InputError for a number
    that is always the same, from which nothing can be learned.
    """
    if not examples.task.numbers:
        return None
    known = examples.known("training").astype(np.float64)
    low, high = known.min(0), known.max(0)
    for name, value, constant in zip(examples.names, low, low == high):
        if constant:
            raise InputError(f"{name} is {value:g} in the whole training part; take it out of the task {examples.task}")
    if low.min() >= -1 and high.max() <= 1:
        return None
    ranges = ", ".join(f"{name} {a:g} to {b:g}" for name, a, b in zip(examples.names, low, high))
    log.info("the training part has %s: the network's numbers are scaled to that", ranges)
    centre, spread = ((low + high) / 2, (high - low) / 2) if faithful else (known.mean(0), known.std(0))
    return {"centre": centre.tolist(), "spread": spread.tolist()}
