"""Rates of this machine, of one core or of its GPU where it has one: what ``affectflow check`` estimates with.

    python -m benchmarks.rates        measure, and write workflow/rates.json; then: python -m benchmarks.costs
    python -m benchmarks.rates training|features|stages ...        some of it

What cannot be measured here (a GPU, a library) keeps the rate it had. Networks have random weights; sizes and options
are those of config.yaml, and so are width and hop of the features that are trained on. Seconds of a core are the
processor's, so that other work on the machine does not count.
"""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.__main__ import machine
from benchmarks.gpu import SECONDS, seconds_per_hour
from benchmarks.measure import ROOT
from benchmarks.training import FRAME_S, FRAMES_TASK, WINDOWS, job_of_turns, turns, videos
from benchmarks.words import of_faster_whisper, whisper
from models.job import Job
from models.options import NetworkOptions, TrainingOptions
from models.train import digest_inputs, train_job
from pipeline.features.command import build
from pipeline.features.synthetic import clip
from pipeline.records import Assignment, InputError, Segment, read_table, write_table
from pipeline.store import FeatureStore
from pipeline.words.faster_whisper import FasterWhisperOptions

RATES = ROOT / "workflow" / "rates.json"
AMOUNT = {  # in an hour
    "transformers_audio": 3600, "transformers_image": 3600 * 25, "transformers_text": 3600 * 5, "onnx_image": 3600 * 25,
}  # fmt: skip
ROW_BYTES = {
    "transformers_audio": 50 * 768 * 4, "transformers_image": 768 * 4, "transformers_text": 768 * 4,
    "onnx_image": 1280 * 4,
}  # fmt: skip
BY_RULE = ("mfcc", "log_mel", "vggish_log_mel", "prosody", "opensmile", "face_geometry")
# The most that jobs of the full corpora took (docs/cluster.md): a shard beside a network of base size, and a training.
NETWORK_MB, TRAINING_MB = 1700, 2200
FUSIONS = ("self_attention", "cross_attention", "cross_self_attention", "concatenation", "late", "rcma", "rjcma")
ON_FRAMES = {"encoder": "tcn", "combine": "concatenation"}
PUBLISHED = {
    "segment": {"self_attention": {}, "cross_attention": {}},
    "frame": {"rjcma": {"width": 128, "embedding": 256, "recursions": 2}},
}
OF_TURNS = {"audio": (768, 0.1), "video": (1280, 0.1), "text": (768, 0.35)}  # width and hop of what is read by default
OF_FRAMES = {**OF_TURNS, "video": (1280, FRAME_S)}
SIZES = {"cpu": {"turns": 192, "seeds": 1, "epochs": 2}, "cuda": {"turns": 600, "seeds": 10, "epochs": 4}}
"""What is trained: a GPU trains many seeds at once."""


def stages(folder: Path) -> dict[str, dict[str, float]]:
    """Faces and sound of one dialog, as the workflow runs them."""
    from benchmarks.full_size import make_films, write_dialog, write_film
    from benchmarks.stages import Corpus
    from pipeline.crops import FaceFile

    films, dialog, root = make_films(folder / "films"), "Ses01F_impro01", folder / "IEMOCAP"
    end_s = write_dialog(root / "Session1" / "dialog", dialog, 24, np.random.default_rng(0))
    write_film(root / "Session1" / "dialog" / "avi" / "DivX" / f"{dialog}.avi", films / "dialog.avi", end_s + 1)
    corpus = Corpus("iemocap", root, folder / "results")
    corpus.index()
    segments = read_table(corpus.results / "segments.tsv", Segment)
    sound_s, looked_at, spent_s = sum(s.duration_s for s in segments), [], []
    for rate_hz in (2, 10):
        cost = corpus.faces(dialog, rate_hz)
        faces = FaceFile(corpus.results / "faces" / f"{dialog}.h5")
        looked_at.append(sum(len(faces[s.segment_id].valid) for s in segments))
        spent_s.append(cost.processor_s)
    face_s = (spent_s[1] - spent_s[0]) / (looked_at[1] - looked_at[0])
    audio = corpus.audio(dialog)
    files = {stage: (corpus.results / stage / f"{dialog}.h5").stat().st_size for stage in ("faces", "audio")}
    return {
        "seconds": {
            "decoding": (spent_s[0] - looked_at[0] * face_s) / end_s,
            "faces": face_s,
            "audio": audio.processor_s / sound_s,
        },
        "bytes": {"faces": files["faces"] / looked_at[1], "audio": files["audio"] / sound_s},
        "memory_mb": {"faces": cost.peak_mb, "audio": audio.peak_mb},
    }


def features(device: str) -> dict[str, dict[str, float]]:
    """Networks of base size; on a processor also EfficientNet-B0, Whisper, and what needs none."""
    seconds, size = {}, dict(ROW_BYTES)
    for kind, media_s in SECONDS[device].items():
        try:
            seconds[kind] = seconds_per_hour(kind, device, media_s) / AMOUNT[kind]
        except ImportError as error:
            print(f"{kind} keeps its rate: {' '.join(str(error).split())}")
    for kind in BY_RULE if device == "cpu" else ():
        try:
            extractor, _ = build(kind, {}, None, "cpu")
        except InputError as error:  # openSMILE, whose licence allows research alone
            print(error)
            continue
        piece = clip(extractor.modality, 30.0)
        amount = len(piece) if extractor.modality == "video" else 30.0
        extractor.extract([piece])
        begin_s = time.process_time()
        rows = extractor.extract([piece])[0]
        seconds[kind], size[kind] = (time.process_time() - begin_s) / amount, rows.values.nbytes / amount
    if device == "cpu":
        options = FasterWhisperOptions()
        with whisper() as checkpoint:
            seconds["faster_whisper"] = 1 / of_faster_whisper(checkpoint, options.compute_type, options.beams)
    memory_mb = dict.fromkeys(AMOUNT, NETWORK_MB)
    return {"seconds": seconds, "bytes": size, "memory_mb": memory_mb}


def training(folder: Path, device: str) -> dict[str, dict[str, float]]:
    """An epoch of each fusion on three modalities, its development part included: for each second of both parts."""
    seconds, size, checkpoint_b = {}, SIZES[device], 0
    jobs = {"segment": _of_turns(folder, size["turns"]), "frame": _of_windows(folder)}
    for level, (job, lasts_s) in jobs.items():
        _spent_s(job, device, 1 + size["epochs"])  # start-up, of later epochs too
        for fusion in FUSIONS:
            own = ON_FRAMES if level == "frame" and fusion not in ("rcma", "rjcma") else {}
            network = NetworkOptions(fusion=fusion, **own, one_grid=True if own and fusion != "late" else None)
            seconds[f"{level}, {fusion}"] = _epoch_s(replace(job, network=network), device, size["epochs"]) / lasts_s
            checkpoint_b = max(checkpoint_b, sum(file.stat().st_size for file in (job.out / "seed0").iterdir()))
    for level, own in PUBLISHED.items():
        job, lasts_s = jobs[level]
        for fusion, options in own.items():
            network = NetworkOptions(fusion=fusion, faithful=True, **options)
            seconds[f"{level}, {fusion}, as published"] = _epoch_s(replace(job, network=network), device, 1) / lasts_s
    return {"seconds": seconds, "bytes": {"training": checkpoint_b}, "memory_mb": {"training": TRAINING_MB}}


def _epoch_s(job: Job, device: str, epochs: int) -> float:
    """Seconds of one epoch of one seed: what more epochs take more."""
    few, more = _spent_s(job, device, 1), _spent_s(job, device, 1 + epochs)
    found = (more - few) / epochs / SIZES[device]["seeds"]
    print(f"{found:10.3f}  s on {device}, an epoch of {job.network.fusion} on {job.task}", flush=True)
    return found


def _of_turns(folder: Path, count: int) -> tuple[Job, float]:
    """A job on turns, and how long they are."""
    files = turns(folder, count, features=OF_TURNS)
    store = FeatureStore(files["text"])
    lasts_s = sum(float(store[name].time_s[-1, 1]) for name in store) * 15 / 16  # one of sixteen is tested
    return job_of_turns(folder, files), lasts_s


def _of_windows(folder: Path) -> tuple[Job, float]:
    """A job on windows of frames, and how long the videos are, overlaps of windows counted."""
    files, labels = videos(folder, [200 * WINDOWS + 100, 400, 330], OF_FRAMES)
    split = folder / "frames.tsv"
    parts = zip(sorted(FeatureStore(labels)), ("training", "development", "test"))
    write_table(split, [Assignment(name, 0, part) for name, part in parts], Assignment)
    options, network = TrainingOptions(seeds=[0], batch_size=12), NetworkOptions(fusion="rcma")
    job = Job("bench", FRAMES_TASK, "A+V+T", 0, split, files, labels, network, options, folder / "frames")
    return job, (WINDOWS + 2) * options.window * FRAME_S


def _spent_s(job: Job, device: str, epochs: int) -> float:
    """What a whole training job takes for so many epochs."""
    seeds = list(range(SIZES[device]["seeds"]))
    own = {"seeds": seeds, "epochs": epochs, "stop_patience": epochs, "device": device}
    clock = time.perf_counter if device == "cuda" else time.process_time
    begin_s = clock()
    train_job(replace(job, training=job.training.model_copy(update=own)), digest_inputs(job))
    return clock() - begin_s


def add(found: dict, where: str, part: dict[str, dict[str, float]]) -> None:
    """Put what was measured in place of what was there; three digits are more than a rate is good for."""
    own = found.setdefault(where, {"machine": "", "seconds": {}})
    own["machine"] = str(machine()["gpu" if where == "gpu" else "cpu"])
    own["seconds"] |= {name: float(f"{value:.3g}") for name, value in part["seconds"].items()}
    for kind in ("bytes", "memory_mb"):
        found.setdefault(kind, {}).update({name: round(value) for name, value in part.get(kind, {}).items()})


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(["training", "features", "stages"]))
def main(parts):
    """Measure PARTS (all, if none is named; stages on a processor alone) and write workflow/rates.json after each."""
    torch.set_num_threads(1)
    device, where = ("cuda", "gpu") if torch.cuda.is_available() else ("cpu", "core")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        measure = {"training": lambda: training(folder, device), "features": lambda: features(device)}
        if device == "cpu":
            measure["stages"] = lambda: stages(folder)
        for name in parts or measure:
            part = measure[name]()
            found = json.loads(RATES.read_text()) if RATES.exists() else {}
            add(found, where, part)
            RATES.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
