"""Both corpora with real faces and every kind of damage, in one run: both reports are written, and coverage says why.

The models include the published ones, and the runs of both tasks, so that nothing is run here for the first time.
"""

import shutil
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from tests.clips import ffmpeg
from tests.page import Page
from tests.workflow_runs import small_config, snakemake, write_config

pytestmark = pytest.mark.slow
REPORTS = ("results/iemocap_report.html", "results/affwild2_report.html")
RUNS = {
    "iemocap": {"self": ["A+V+T"], "rcma": ["A+V+T"], "rjcma": ["V+T"], "late": ["A+T"], "cross_published": ["A+V+T"]},
    "affwild2": {
        "rcma": ["A+V+T"], "rjcma": ["V+T"], "self_frames": ["A+V"], "cross_frames": ["A+T"],
        "rjcma_published": ["A+V+T"],
    },
}  # fmt: skip
CONTRASTS = {
    "iemocap": [{"question": "published or not", "a": "cross_published-A+V+T", "b": "self-A+V+T"}],
    "affwild2": [{"question": "published or not", "a": "rjcma_published-A+V+T", "b": ["rcma-A+V+T"]}],
}
PUBLISHED = {name: {"width": 24, "embedding": 12} for name in ("cross_published", "rjcma_published")}


def frames_in(path: Path) -> int:
    """How many pictures of a video PyAV decodes."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def shorten(root: Path) -> None:
    """Keep five seconds of every film of Aff-Wild2, and the rows of their frames."""
    for film in [path for path in root.glob("videos/*/*") if path.suffix in (".mp4", ".avi")]:
        short = film.with_stem("short")
        ffmpeg("-i", film, "-t", 5, "-c", "copy", short)
        short.replace(film)
        for rows in root.glob(f"annotations/*/*/{film.stem}*.txt"):
            rows.write_text("".join(rows.read_text().splitlines(keepends=True)[: 1 + frames_in(film)]))


def damage_iemocap(root: Path) -> dict[str, tuple[str, str]]:
    """Damage every dialog; returns the modality and the words that coverage must have of each."""
    dialogs = {path.stem: path for path in root.glob("Session*/dialog/avi/DivX/[!.]*.avi")}
    nothing, cut, mute, untold = (dialogs[name] for name in sorted(dialogs))
    nothing.write_text("This is not a video.")
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    for wave in (mute.parents[3] / "sentences" / "wav" / mute.stem).glob("*.wav"):
        wave.unlink()
    silent = mute.with_name("silent.avi")
    ffmpeg("-i", mute, "-c:v", "copy", "-an", silent)
    silent.rename(mute)
    script = untold.parents[2] / "transcriptions" / f"{untold.stem}.txt"
    script.write_text("".join(script.read_text().splitlines(keepends=True)[1:]))
    shutil.rmtree(untold.parents[3] / "sentences" / "ForcedAlignment" / untold.stem)
    return {
        nothing.stem: ("video", "not a media file"),
        cut.stem: ("video", "after the last frame"),
        mute.stem: ("audio", "sound file missing: cut from the recording; no audio stream"),
        untold.stem: ("text", "no usable forced alignment"),
    }


def damage_affwild2(root: Path) -> dict[str, tuple[str, str]]:
    """Add damaged videos and annotations; returns the modality and the words that coverage must have of each."""
    videos, training = root / "videos" / "batch1", root / "annotations" / "VA_Estimation_Challenge" / "Train_Set"
    rows = "valence,arousal\n" + "0.1,0.2\n" * 50
    (videos / "broken.mp4").write_text("This is not a video.")
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=3", videos / "nobody.mp4")
    ffmpeg("-i", videos / "1-30-1280x720.mp4", "-t", 2, "-c", "copy", videos / "notext.mp4")
    content, frames = (videos / "notext.mp4").read_bytes(), frames_in(videos / "notext.mp4")
    ffmpeg("-i", videos / "1-30-1280x720.mp4", "-c", "copy", "-f", "mpegts", videos / "half.ts")
    half = (videos / "half.ts").read_bytes()
    (videos / "half.ts").unlink()
    (videos / "half.mp4").write_bytes(half[: len(half) // 2])
    (videos / "notext.srt").write_text("this is no subtitle file")
    for name in ("broken", "nobody", "half", "ghost", "notext"):
        (training / f"{name}.txt").write_text(rows)
    (training / "empty.txt").write_text("valence,arousal\n")
    (videos / "empty.mp4").write_bytes(content)
    (training / "words.txt").write_text(rows + "0.1,high\n")
    (videos / "words.mp4").write_bytes(content)
    (training / "many.txt").write_text("valence,arousal\n" + "0.1,0.2\n" * 5000)
    (videos / "many.mp4").write_bytes(content)
    (training / "invalid.txt").write_text("valence,arousal\n" + "-5,-5\n" * frames)
    (videos / "invalid.mp4").write_bytes(content)
    (videos / "unlabelled.mp4").write_bytes(content)
    return {
        "broken": ("video", "not a media file"),
        "nobody": ("video", "no face found in 75 of 75 frames"),
        "half": ("label", "50 rows for"),
        "ghost": ("video", "has no video"),
        "notext": ("text", "not SubRip"),
        "empty": ("label", "none of the 0 rows is valid"),
        "words": ("label", "not two numbers, the first in line 52"),
        "many": ("label", f"5000 rows for {frames} frames"),
        "invalid": ("label", f"none of the {frames} rows is valid"),
        "unlabelled": ("label", "predicted, not scored"),
    }


@pytest.fixture(scope="module")
def damaged(real_corpora, tmp_path_factory):
    """The folder of a finished run, and the damage that was done per corpus."""
    folder = tmp_path_factory.mktemp("damaged")
    roots = {name: folder / name for name in ("IEMOCAP_full_release", "AffWild2")}
    for name, root in roots.items():
        shutil.copytree(real_corpora / name, root)
    shorten(roots["AffWild2"])
    done = {
        "iemocap": damage_iemocap(roots["IEMOCAP_full_release"]),
        "affwild2": damage_affwild2(roots["AffWild2"]),
    }
    config = small_config(dict(zip(done, roots.values())), {"demo": {"models": PUBLISHED}})
    for corpus, level in zip(done, ("segment", "frame")):
        config["defaults"][level].update(runs=RUNS[corpus], contrasts=CONTRASTS[corpus])
        config["demo"]["defaults"][level]["training"].update(seeds=[1], epochs=1)
    deaf = {"recogniser": {"kind": "none", "weights": None}}  # tests/test_words.py and the demonstration hear speech
    config["demo"]["corpora"]["affwild2"] = deaf
    for entry in config["demo"]["corpora"].values():
        entry["media_units"] = 8  # what is damaged shares a job with what is not
    write_config(folder, config)
    snakemake(folder, *REPORTS)
    return folder, done


def test_both_reports_are_written(damaged):
    folder, _ = damaged
    for report in REPORTS:
        (banner,) = Page((folder / report).read_text()).with_class("banner")
        assert "The corpus is your own" in banner.text
    assert "Nothing to be done" in snakemake(folder, *REPORTS)


@pytest.mark.parametrize("corpus", ["iemocap", "affwild2"])
def test_coverage_says_what_is_wrong(damaged, corpus):
    folder, done = damaged
    coverage = pd.read_csv(folder / f"results/{corpus}/tables/coverage.csv", dtype=str).fillna("")
    assert not coverage.reason.str.contains(str(folder), regex=False).any()
    for unit, (modality, words) in done[corpus].items():
        rows = coverage[(coverage.unit == unit) & (coverage.modality == modality) & (coverage.status != "ok")]
        assert rows.reason.str.contains(words, regex=False).any(), f"{unit}: {rows.to_string()}"


def test_every_run_scores_every_part(damaged):
    folder, _ = damaged
    for corpus, runs in RUNS.items():
        scores = pd.read_csv(folder / f"results/{corpus}/tables/scores.csv")
        main = scores.metric[scores.metric.str.startswith("development_")].iloc[0].removeprefix("development_")
        for model, modalities in ((m, x) for m, sets in runs.items() for x in sets):
            own = scores[(scores.model == model) & (scores.modalities == modalities) & (scores.fold == "all")]
            for metric in (main, f"development_{main}"):
                assert own.value[own.metric == metric].notna().any(), (corpus, model, modalities, metric)
        significance = pd.read_csv(folder / f"results/{corpus}/tables/significance.csv")
        styles = {"iemocap": ["all", "improvised", "scripted"], "affwild2": ["all"]}
        assert significance.turns.tolist() == styles[corpus]
        assert significance.role.tolist() == ["planned", *["secondary"] * (len(styles[corpus]) - 1)]
        assert significance.verdict.notna().all()


def concordance(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Lin 1989 with population moments, as the definition says."""
    covariance = np.cov(truth, predicted, bias=True)
    gap = (truth.mean() - predicted.mean()) ** 2
    return 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + gap)


def test_concordance_is_that_of_the_predictions(damaged):
    folder, _ = damaged
    scores = pd.read_csv(folder / "results/affwild2/tables/scores.csv", dtype={"fold": str, "seed": str})
    found = scores.set_index(["model", "modalities", "fold", "seed", "metric"]).value
    for model, modalities in [(model, each) for model, sets in RUNS["affwild2"].items() for each in sets]:
        table = pd.read_parquet(folder / f"results/affwild2/runs/{model}-{modalities}/fold0/predictions.parquet")
        scored = table[(table.part == "test") & table.valid]
        for target in ("valence", "arousal"):
            expected = concordance(*(scored[f"{what}_{target}"].to_numpy(float) for what in ("truth", "prediction")))
            assert found[model, modalities, "0", "1", f"ccc_{target}"] == pytest.approx(expected, abs=1e-6)


def test_unlabelled_videos_are_predicted_and_not_scored(damaged):
    folder, _ = damaged
    frames = frames_in(folder / "AffWild2/videos/batch1/unlabelled.mp4")
    table = pd.read_parquet(folder / "results/affwild2/runs/rcma-A+V+T/fold0/predictions.parquet")
    rows = table[table.segment_id == "unlabelled"]
    assert set(rows.part) == {"unlabelled"}
    assert rows.frame.tolist() == list(range(frames))
    assert not rows.valid.any()
