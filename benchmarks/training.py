"""Training: epochs on the default features against commit d026491 and against the arithmetic they hold, seeds side by
side against one by one, and memory.

The former code is checked out of this repository for the time, and its epochs alternate with ours.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.measure import ATTRIBUTES, ROOT
from models.task import Task
from pipeline.log import peak_memory_mb
from pipeline.store import FeatureStore, Rows, StoreWriter

FORMER = "d026491"
FRAMES_TASK = Task("numbers", "frame", ("valence", "arousal"))
TURNS, CLASSES = 512, ("ang", "exc", "fru", "hap", "neu", "sad", "sur")
Features = dict[str, tuple[int, float]]  # width and hop in seconds of each modality
TURN_FEATURES: Features = {"audio": (768, 0.02), "video": (768, 0.1), "text": (768, 0.35)}
LEARNED, LEARNED_TURNS, SIGNAL = ("self_attention", "rcma"), 128, 0.02
T_OF_FIVE = 2.776  # Student's t of 97.5 % with four degrees of freedom
PUBLISHED = ("self_attention", "cross_attention")
FUSIONS = ("self_attention", "cross_attention", "concatenation", "late", "rcma")
WINDOWS = 24  # of Aff-Wild2's kind in an epoch
FRAME_S = 1 / 30
FRAME_FEATURES: Features = {"audio": (768, 0.02), "video": (768, FRAME_S), "text": (768, 0.35)}
STREAMED_WIDTH, CORPUS_FRAMES = 1500, 2_900_000


def _attributes(modality: str, corpus: str) -> dict:
    config = {"columns": ["valence", "arousal"]} if modality == "label" else {}
    return {**ATTRIBUTES, "corpus": corpus, "name": modality, "modality": modality, "config": config}


def _noise(rng, seconds: float, dim: int, hop_s: float, shift: np.ndarray | float = 0.0) -> Rows:
    n = max(1, int(seconds / hop_s))
    start_s = np.arange(n) * hop_s
    values = rng.standard_normal((n, dim), np.float32) + np.float32(shift)
    return Rows(values, np.stack([start_s, start_s + hop_s], 1), rng.random(n) > 0.05)


def turns(folder: Path, count: int = TURNS, signal: float = 0.0, features: Features = TURN_FEATURES) -> dict[str, Path]:
    """Write turns as long as IEMOCAP's (0.6 to 34 s, mean 4.5 s) with features of these sizes, and a split.

    ``signal``: how far, in deviations of a feature, the classes lie apart in each.
    """
    from pipeline.records import Assignment, write_table

    rng = np.random.default_rng(0)
    seconds = np.clip(rng.lognormal(1.27, 0.68, count), 0.585, 34.14)
    seconds[0] = 34.14
    names = [f"turn{i:05d}" for i in range(count)]
    files = {}
    for modality, (dim, hop_s) in features.items():
        files[modality] = folder / f"{modality}.h5"
        shifts = signal * rng.standard_normal((len(CLASSES), dim)) if signal else np.zeros(len(CLASSES))
        with StoreWriter(files[modality], _attributes(modality, "iemocap"), dim) as writer:
            for i, (name, s) in enumerate(zip(names, seconds)):
                writer.append(name, _noise(rng, s, dim, hop_s, shifts[i % len(CLASSES)]))
    parts = ["development" if i % 16 == 0 else "test" if i % 16 == 1 else "training" for i in range(count)]
    rows = [Assignment(n, 0, p, CLASSES[i % len(CLASSES)]) for i, (n, p) in enumerate(zip(names, parts))]
    write_table(folder / "split.tsv", rows, Assignment)
    return files


def videos(folder: Path, frames: Sequence[int], features: Features = FRAME_FEATURES) -> tuple[dict[str, Path], Path]:
    """Write videos of so many frames with features of these sizes, and labels of their frames."""
    rng = np.random.default_rng(0)
    durations_s = {f"video{i:02d}": n * FRAME_S for i, n in enumerate(frames)}
    files = {m: folder / f"frames-{m}.h5" for m in features}
    for modality, (dim, hop_s) in features.items():
        with StoreWriter(files[modality], _attributes(modality, "affwild2"), dim) as writer:
            for name, seconds in durations_s.items():
                writer.append(name, _noise(rng, seconds, dim, hop_s))
    with StoreWriter(folder / "labels.h5", _attributes("label", "affwild2"), 2) as writer:
        for name, seconds in durations_s.items():
            rows = _noise(rng, seconds, 2, FRAME_S)
            writer.append(name, Rows(np.tanh(rows.values), rows.time_s, rows.valid))
    return files, folder / "labels.h5"


def job_of_turns(folder: Path, files: dict[str, Path], network=None, **training):
    """A job on ``turns``; what it writes goes to the folder ``run``."""
    from models.job import Job
    from models.options import NetworkOptions, TrainingOptions

    network = network or NetworkOptions(fusion="self_attention")
    options, task = TrainingOptions(**{"seeds": [0], **training}), Task("classes", "segment")
    return Job("bench", task, "A+V+T", 0, folder / "split.tsv", files, None, network, options, folder / "run")


def default_features() -> dict[str, float]:
    """An epoch of each fusion on the default features at true lengths: seconds of a core, of the former code and ours,
    and the share of it that its operations alone would take; and what each code's networks learn of the same data."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary, former_code(Path(temporary) / FORMER) as former:
        folder = Path(temporary)
        turns(folder)
        videos(folder, [200 * WINDOWS + 100, 330, 330])
        for kind in ("turns", "windows"):
            for fusion in FUSIONS:
                ours, *theirs = _of_both(former, folder, kind, fusion)
                name = f"{kind}, epoch, {fusion}"
                found[f"{name}: s of a core"] = ours["seconds"]
                found[f"{name}: share of the arithmetic limit (at least 0.35)"] = ours["model_share"]
                found[f"{name}: the same, of operations that are carried out"] = ours["share"]
                if theirs:
                    found[f"{name}: {FORMER} / ours (at least 4)"] = theirs[0]["seconds"] / ours["seconds"]
        turns(folder, LEARNED_TURNS, SIGNAL)
        for fusion in PUBLISHED if former else ():
            ours, theirs = (one["seconds"] for one in _of_both(former, folder, "published", fusion))
            found[f"turns, epoch, {fusion} as published: {FORMER} / ours"] = theirs / ours
        for fusion in LEARNED if former else ():
            ours, theirs = (np.array(one["scores"]) for one in _of_both(former, folder, "scores", fusion))
            better, name = ours - theirs, f"turns, development accuracy, {fusion}"
            half = T_OF_FIVE * better.std(ddof=1) / len(better) ** 0.5
            found |= {
                f"{name}: ours, mean of {len(ours)} seeds": ours.mean(),
                f"{name}: ours - {FORMER} (not below 0)": better.mean(),
                f"{name}: the 95 % interval of this begins at": better.mean() - half,
                f"{name}: and ends at (above 0)": better.mean() + half,
            }
    return found


@contextmanager
def former_code(folder: Path) -> Iterator[Path | None]:
    """The former code in a folder for a time; None, said aloud, where the repository does not hold it."""
    git = ["git", "-C", ROOT, "worktree"]
    if subprocess.run([*git, "add", "--quiet", "--detach", folder, FORMER], capture_output=True).returncode:
        print(f"\nthe repository does not hold {FORMER}: nothing is compared with it")
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", folder], check=True)


def _of_both(former: Path | None, *arguments) -> list[dict]:
    """What benchmarks/epochs.py says with our code, and with the former where it is there."""
    script = ROOT / "benchmarks" / "epochs.py"
    command = [sys.executable, "-P", script, *arguments]  # -P: not beside our statistics.py
    return [
        json.loads(subprocess.run(command, cwd=code, check=True, capture_output=True).stdout)
        for code in filter(None, (ROOT, former))
    ]


def train(folder: Path, files: dict[str, Path], out: str, cores: int, **training) -> float:
    """Seconds of one training job in a process of its own, start-up included."""
    features = [x for m, path in files.items() for x in ("--feature", f"{m}={path}")]
    command = [
        sys.executable, "-m", "models", "train", "--task", "classes/segment", "--name", "bench",
        "--modalities", "A+V+T", "--network", '{"fusion": "self_attention"}',
        "--split", f"{folder}/split.tsv", "--fold", "0", *features,
        "--training", json.dumps(training), "--cores", str(cores), "--out", f"{folder}/{out}",
    ]  # fmt: skip
    begin_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin_s


def seeds_side_by_side() -> dict[str, float]:
    """Seeds of one job side by side, against one after another with all the cores."""
    cores = len(os.sched_getaffinity(0))
    seeds = list(range(max(2, cores)))
    same = {"seeds": seeds, "epochs": 12, "stop_patience": 12, "device": "cpu"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = turns(folder)
        apart = train(folder, files, "apart", 1, **same, threads=cores)
        together = train(folder, files, "together", cores, **same)
    return {f"{len(seeds)} seeds on {cores} cores: one after another / side by side (at least 1.5)": apart / together}


def _peak_of_streaming(frames: int) -> float:
    """Peak memory in MB of two batches read from a file of so many frames; to be run in a process of its own."""
    from models.items import fitted, frame_items
    from models.options import NetworkOptions, TrainingOptions
    from pipeline.records import Assignment

    with tempfile.TemporaryDirectory() as folder:
        parts = ["development", "test", "training"]  # also the names: in order
        time_s = np.arange(frames // len(parts))[:, None] * FRAME_S + [0, FRAME_S]
        block = np.random.default_rng(0).standard_normal((1000, STREAMED_WIDTH)).astype(np.float16)
        paths = {m: Path(folder) / f"{m}.h5" for m in ("video", "label")}
        for m, path in paths.items():
            dim = STREAMED_WIDTH if m == "video" else 2
            with StoreWriter(path, _attributes(m, "affwild2"), dim, "float16") as writer:
                for part in parts:
                    writer.append(part, Rows.empty(dim))
                    for a in range(0, len(time_s), len(block)):
                        times = time_s[a : a + len(block)]
                        writer.extend(Rows(block[: len(times), :dim], times, np.ones(len(times), bool)))
        stores = {"video": FeatureStore(paths["video"])}
        options = TrainingOptions(seeds=[0], memory_budget_gb=1e-3)
        split = [Assignment(part, 0, part) for part in parts]
        network = NetworkOptions(fusion="self_attention")
        labels = FeatureStore(paths["label"])
        examples = fitted(frame_items(stores, labels, split, FRAMES_TASK, network, options), network, options)
        for batch in examples.batches([examples.items("training")[:12], examples.items("test")[:12]]):
            assert len(batch) == 12
    return peak_memory_mb()


def streaming_memory() -> dict[str, float]:
    """Memory of features of Aff-Wild2's size that are read from their file, which takes 9 GB of disk for the time."""
    command = [sys.executable, "-m", __spec__.name, str(CORPUS_FRAMES)]
    done = subprocess.run(command, check=True, capture_output=True)
    return {f"MB, {CORPUS_FRAMES} frames of {STREAMED_WIDTH} numbers streamed (under 2000)": float(done.stdout)}


def figures() -> dict[str, float]:
    """All ratios, each measured in this one run."""
    return default_features() | seeds_side_by_side() | streaming_memory()


if __name__ == "__main__":
    print(_peak_of_streaming(int(sys.argv[1])))
