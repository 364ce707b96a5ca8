"""One video of sixty minutes through every stage of the Aff-Wild2 path: the peak memory of each.

    python -m benchmarks hour

The video is the demonstration's, again and again, and has no transcript, so that its speech is recognised. Networks are
the demonstration's small ones: a large one adds its own size, whatever the length of the video.
"""

import tempfile
from pathlib import Path

from benchmarks.full_size import FRAMES_PER_SECOND, make_films, write_film, write_transcript
from benchmarks.stages import Corpus
from workflow.demo.checkpoints import write_checkpoint

LONG, LONG_S, SHORT_S = "long", 3600, 60
PARTS = {"Train_Set": (LONG, "a", "b"), "Validation_Set": ("c",)}
NETWORKS = {"transformers_audio": "wav2vec2", "transformers_image": "vit", "transformers_text": "bert"}
STORES = {"audio": "transformers_audio", "video": "transformers_image", "text": "transformers_text"}


def write_corpus(root: Path, films: Path) -> list[str]:
    """Write the long video and a few short ones, which training needs beside it; returns their names."""
    for part, names in PARTS.items():
        for name in names:
            seconds = LONG_S if name == LONG else SHORT_S
            film = root / "videos" / f"{name}.mp4"
            write_film(film, films / "video.mp4", seconds)
            if name != LONG:
                write_transcript(film.with_suffix(".tsv"), seconds)
            annotation = root / "annotations" / "VA_Estimation_Challenge" / part / f"{name}.txt"
            annotation.parent.mkdir(parents=True, exist_ok=True)
            rows = (f"{k % 300 / 300:.3f},{k % 70 / 70 - 0.5:.3f}\n" for k in range(seconds * FRAMES_PER_SECOND))
            annotation.write_text("valence,arousal\n" + "".join(rows))
    return [name for names in PARTS.values() for name in names]


def figures() -> dict[str, float]:
    """Peak memory of every stage in MB."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = write_corpus(folder / "AffWild2", make_films(folder / "films"))
        corpus = Corpus("affwild2", folder / "AffWild2", folder / "results")
        peak_mb = {"index": corpus.index().peak_mb, "frame labels": corpus.frame_labels().peak_mb}
        for stage, more in ((corpus.faces, ()), (corpus.audio, ()), (corpus.words, ("pocketsphinx",))):
            peak_mb[stage.__name__] = max(stage(name, *more).peak_mb for name in names)
        peak_mb["mfcc"] = corpus.features("mfcc", names).peak_mb
        for extractor, kind in NETWORKS.items():
            write_checkpoint(kind, folder / kind)
            peak_mb[extractor] = corpus.features(extractor, names, folder / kind).peak_mb
        corpus.split("official")
        training = {"seeds": [1], "epochs": 1, "batch_size": 12}
        for name, budget_gb in {"training": 4.0, "training, features from their files": 0.001}.items():
            given = {**training, "memory_budget_gb": budget_gb}
            peak_mb[name] = corpus.train("A+V+T", STORES, {"fusion": "rcma"}, given).peak_mb
        return {f"MB, 60 minutes, {stage} (under 2000)": value for stage, value in peak_mb.items()}
