"""What each stage costs per video: whether it grows in proportion, and what follows for the full corpora.

    python -m benchmarks.costs

Stages run as the workflow runs them, one process a video or a shard, on generated media of a real dialog's size. Cost
is time of the processor. Networks run on the GPU if there is one, else on one core; their weights are random.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.full_size import FRAMES_PER_SECOND, FRAMES_PER_VIDEO, make_films, write_dialog, write_film
from benchmarks.gpu import SECONDS, seconds_per_hour, train
from benchmarks.stages import Corpus
from benchmarks.training import turns

CORES = 8
COUNTS = (1, 4, 16)
"""Numbers of short dialogs that are compared."""
DIALOGS, TURNS_PER_DIALOG, SPEECH_HOURS = 151, 66, 12.4  # all of IEMOCAP
VIDEOS, VIDEO_HOURS = 594, 26.0  # all of Aff-Wild2
PICTURES = {"IEMOCAP": 10 / 25, "Aff-Wild2": 30 / 25}  # faces a second, relative to the clips of benchmarks/gpu.py


def _dialogs(root: Path, films: Path, count: int, turns: int) -> tuple[list[str], float]:
    """Write dialogs of the same turns into session 1; returns their names, and the seconds of each."""
    names = [f"Ses01F_impro{k:02d}" for k in range(1, count + 1)]
    for name in names:
        folder = root / "Session1" / "dialog"
        end_s = write_dialog(folder, name, turns, np.random.default_rng(turns))
        write_film(folder / "avi" / "DivX" / f"{name}.avi", films / "dialog.avi", end_s + 1)
    return names, end_s + 1


def proportion(folder: Path, films: Path) -> dict[str, float]:
    """What an hour of media costs where there is one dialog, and where there are four and sixteen."""
    units, unit_s = _dialogs(folder / "root", films, max(COUNTS), turns=6)
    corpus = Corpus("iemocap", folder / "root", folder / "results")
    corpus.index()
    found = {}
    for stage in (corpus.faces, corpus.audio, corpus.words):
        costs = [min(stage(unit).processor_s, stage(unit).processor_s) for unit in units]
        rates = {count: sum(costs[:count]) / count * 3600 / unit_s for count in COUNTS}
        for count, rate in rates.items():
            found[f"{stage.__name__}: s of a core for an hour of media, {count} dialogs"] = rate
        spread = max(rates.values()) / min(rates.values())
        found[f"{stage.__name__}: the most of these / the least (at most 1.1)"] = spread
    # In a shard all dialogs share one start, which is most of what so few cost: the best of four runs each.
    start, half, whole = (min(corpus.features("prosody", units[:n]).processor_s for _ in range(4)) for n in (1, 8, 16))
    found["prosody: cost of a further dialog among 16 / among 8 (0.9 to 1.1)"] = (whole - half) / 8 * 7 / (half - start)
    return found


def estimate(folder: Path, films: Path) -> dict[str, float]:
    """Hours for the full corpora, from one dialog and one video of mean length."""
    (dialog,), _ = _dialogs(folder / "IEMOCAP", films, 1, TURNS_PER_DIALOG)
    iemocap = Corpus("iemocap", folder / "IEMOCAP", folder / "iemocap")
    root, video = folder / "AffWild2", "video1"
    write_film(root / "videos" / "batch1" / f"{video}.mp4", films / "video.mp4", FRAMES_PER_VIDEO / FRAMES_PER_SECOND)
    annotation = root / "annotations" / "VA_Estimation_Challenge" / "Train_Set" / f"{video}.txt"
    annotation.parent.mkdir(parents=True)
    annotation.write_text("valence,arousal\n" + "0.1,-0.2\n" * FRAMES_PER_VIDEO)
    affwild2 = Corpus("affwild2", root, folder / "affwild2")
    hours = {}
    for corpus, unit, count, name in (
        (iemocap, dialog, DIALOGS, "IEMOCAP"),
        (affwild2, video, VIDEOS, "Aff-Wild2"),
    ):
        corpus.index()
        stages = [corpus.faces, corpus.audio, *([corpus.words] if corpus is iemocap else [])]
        for stage in stages:
            hours[f"hours on {CORES} cores, all of {name}, {stage.__name__}"] = (
                stage(unit).processor_s * count / CORES / 3600
            )
    return hours | network_hours() | epoch_seconds()


def network_hours() -> dict[str, float]:
    """Hours for the networks of both corpora: on the GPU, or on all cores where there is none."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    where, workers = ("1 GPU", 1) if device == "cuda" else (f"{CORES} cores, no GPU", CORES)
    hours, threads = {}, torch.get_num_threads()
    torch.set_num_threads(1)
    for kind, media_s in SECONDS[device].items():
        cost_s = seconds_per_hour(kind, device, media_s)
        for corpus, speech_hours in (("IEMOCAP", SPEECH_HOURS), ("Aff-Wild2", VIDEO_HOURS)):
            share = PICTURES[corpus] if kind == "transformers_image" else 1
            name = f"hours on {where}, all of {corpus}, {kind} of base size"
            hours[name] = cost_s * share * speech_hours / workers / 3600
    torch.set_num_threads(threads)
    return hours


def epoch_seconds(turns_measured: int = 384) -> dict[str, float]:
    """Seconds of one epoch of paper 1's model on all of IEMOCAP's turns, in float32."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        train(folder, turns(folder, turns_measured), "run", 1, seeds=[0], epochs=2, device=device)
        run = json.loads((folder / "run" / "seed0" / "run.json").read_text())
    cost_s = run["seconds"] / run["epochs"] * DIALOGS * TURNS_PER_DIALOG / turns_measured
    return {f"s on {'1 GPU' if device == 'cuda' else '1 core'}, an epoch of self-attention on all of IEMOCAP": cost_s}


def figures() -> dict[str, float]:
    """All figures of one run."""
    with tempfile.TemporaryDirectory() as temporary:
        films = make_films(Path(temporary) / "films")
        return proportion(Path(temporary) / "many", films) | estimate(Path(temporary), films)


if __name__ == "__main__":
    for name, value in figures().items():
        print(f"{value:8.2f}  {name}")
