"""Seconds of the processor that an epoch takes, with the code of the folder that it is called in.

    python -P benchmarks/epochs.py FOLDER turns|windows|published|scores FUSION...

prints one JSON line per fusion; ``scores`` are the best development accuracies of SEEDS, each trained for EPOCHS. It
also runs on commit d026491, which training is compared with, so it imports nothing of this package and knows the calls
of both. The features of FOLDER are made by :mod:`benchmarks.training`.
"""

import json
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

sys.path.insert(0, "")
from models.examples import training_batches
from models.fit import Run
from models.network import build
from models.options import NetworkOptions, TrainingOptions
from pipeline.store import FeatureStore

try:
    from models.items import fitted, frame_items, segment_items
    from models.task import Task
    from models.truth import Truth
    from pipeline.records import Assignment

    FORMER = False
except ImportError:
    from models.splits import Assignment

    from models.examples import frame_examples, segment_examples

    FORMER = True

MODALITIES = ("audio", "video", "text")
MAX_STEPS = {"audio": 1700, "video": 350, "text": 128}  # of the former config.yaml
CLASSES = ("ang", "exc", "fru", "hap", "neu", "sad", "sur")
ONE_GRID = {"encoder": "tcn", "combine": "concatenation"}  # what compares with rcma on frames: self_frames and others


SEEDS, EPOCHS = range(5), 6


def turns(folder: Path, fusion: str, seed: int = 0, half: bool = False, faithful: bool = False) -> Run:
    """All turns but two train, or every other one, and the rest is the development part; classes of segments."""
    stores = {m: FeatureStore(folder / f"{m}.h5") for m in MODALITIES}
    ids = list(stores["text"])
    parts = {ids[-1]: "test", ids[-2]: "development"}
    if half:
        parts |= dict.fromkeys(ids[:-1:2], "development")
    rows = [Assignment(s, 0, parts.get(s, "training"), CLASSES[k % len(CLASSES)]) for k, s in enumerate(ids)]
    training = TrainingOptions(seeds=[0], **({"max_steps": MAX_STEPS} if FORMER else {}))
    network = NetworkOptions(fusion=fusion, faithful=faithful)
    if FORMER:
        return _run(segment_examples(stores, rows, list(CLASSES), network, training), network, training, seed)
    truth = Truth(list(CLASSES), np.array([CLASSES.index(row.label) for row in rows]))
    task = Task("classes", "segment")
    items = segment_items(stores, rows, task, truth, network, training)
    return _run(fitted(items, network, training), network, training, seed)


def published(folder: Path, fusion: str) -> Run:
    """The same, and a published model."""
    return turns(folder, fusion, faithful=True)


def windows(folder: Path, fusion: str) -> Run:
    """Windows of 300 frames of the longest video train, valence and arousal of frames."""
    stores = {m: FeatureStore(folder / f"frames-{m}.h5") for m in MODALITIES}
    labels = FeatureStore(folder / "labels.h5")
    names = sorted(labels, key=lambda name: len(labels[name]), reverse=True)
    split = [Assignment(name, 0, part) for name, part in zip(names, ("training", "development", "test"))]
    training = TrainingOptions(seeds=[0], batch_size=12)
    own = {} if fusion == "rcma" else ONE_GRID if FORMER or fusion == "late" else ONE_GRID | {"one_grid": True}
    network = NetworkOptions(fusion=fusion, **own)
    if FORMER:
        return _run(frame_examples(stores, labels, split, network, training), network, training)
    task = Task("numbers", "frame", ("valence", "arousal"))
    items = frame_items(stores, labels, split, task, network, training)
    return _run(fitted(items, network, training), network, training)


def _run(examples, network: NetworkOptions, training: TrainingOptions, seed: int = 0) -> Run:
    if not FORMER:
        return Run(examples, network, training, seed)
    torch.manual_seed(seed)
    made = build(network, examples.dims, examples.task, len(examples.classes) or 2, examples.max_steps)
    return Run(made, examples, training, seed, False)


def epoch_s(run: Run) -> float:
    """Seconds of the processor of one epoch without development scores."""
    length = run.examples.length
    groups = training_batches(run.items, length, run.options.batch_size, np.random.default_rng(0))
    begin_s = time.process_time()
    run.learn(run.examples.batches(groups), *((1e-3,) if FORMER else ()))
    return time.process_time() - begin_s


def scores(folder: Path, fusion: str) -> dict[str, list[float]]:
    """The best development accuracy of each seed."""
    found = []
    for seed in SEEDS:
        run = turns(folder, fusion, seed, half=True)
        for _ in range(EPOCHS):
            epoch = run.epoch()
            list(() if FORMER else epoch)  # ours is a generator, which does nothing by itself
        found.append(run.progress.best_score)
    return {"scores": found}


def rate() -> float:
    """Operations a second of a matrix product, the best of five."""
    a, best_s = torch.randn(2048, 2048), float("inf")
    for _ in range(5):
        begin_s = time.process_time()
        a @ a
        best_s = min(best_s, time.process_time() - begin_s)
    return 2 * 2048**3 / best_s


def measure(folder: Path, kind: str, fusion: str) -> dict[str, float]:
    """Seconds of an epoch, the better of two; of our code also the share that its operations alone would take.

    ``share`` counts those that are carried out, ``model_share`` those of the network as it is written down, with an
    attention for every step ("model FLOPs", Chowdhery et al. 2022), which does not fall where fewer lead to the same.
    """
    run = {"turns": turns, "windows": windows, "published": published}[kind](folder, fusion)
    best_s = min(epoch_s(run) for _ in range(2))
    if FORMER:
        return {"seconds": best_s}
    from models.attention import MaskedAttention, MeanAttention

    limit, carried_out = rate() * best_s, operations(run)
    with patch.object(MeanAttention, "forward", MaskedAttention.forward):
        return {"seconds": best_s, "share": carried_out / limit, "model_share": operations(run) / limit}


def operations(run: Run) -> int:
    """Floating-point operations of matrix products and convolutions in an epoch."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counted:
        epoch_s(run)
    return counted.get_total_flops()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[3:]:
        given = Path(sys.argv[1])
        found = scores(given, name) if sys.argv[2] == "scores" else measure(given, sys.argv[2], name)
        print(json.dumps(found), flush=True)
