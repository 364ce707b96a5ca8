"""What `make bench` measures can be run: its stages and trainings on a few seconds instead of hours."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import costs, faces, features, gpu, hour
from benchmarks.full_size import make_films, write_film
from benchmarks.stages import Corpus
from benchmarks.training import turns
from pipeline.coverage.command import collect
from workflow.demo import iemocap
from workflow.demo.plan import FILMS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Both films, but of two turns and of four seconds."""
    with pytest.MonkeyPatch.context() as shorter:
        shorter.setattr(iemocap, "DECK", {"neu": 4})
        shorter.setitem(FILMS, "211", replace(FILMS["211"], seconds=4))
        return make_films(tmp_path_factory.mktemp("films"))


def test_the_stages_of_a_dialog(films, tmp_path):
    (dialog,), _ = costs._dialogs(tmp_path / "root", films, 1, turns=3)
    corpus = Corpus("iemocap", tmp_path / "root", tmp_path / "results")
    spent = [corpus.index(), corpus.faces(dialog), corpus.audio(dialog), corpus.words(dialog)]
    spent.append(corpus.features("prosody", [dialog]))
    assert all(cost.processor_s > 0.1 and cost.peak_mb > 20 for cost in spent)
    rows = collect(tmp_path / "results", ["prosody"])
    prepared = [row for row in rows if row.segment and row.modality in ("video", "audio", "text", "features/prosody")]
    assert len(prepared) == 4 * 3
    assert min(row.valid_fraction for row in prepared) > 0.9


def test_the_stages_of_a_long_video(films, monkeypatch):
    monkeypatch.setattr(hour, "make_films", lambda folder: films)
    monkeypatch.setattr(hour, "LONG_S", 3)
    monkeypatch.setattr(hour, "SHORT_S", 2)
    monkeypatch.setattr(hour, "PARTS", {"Train_Set": (hour.LONG, "a"), "Validation_Set": ("c",)})
    found = hour.figures()
    stages = ["index", "frame labels", "faces", "audio", "words", "mfcc", *hour.NETWORKS]
    stages += ["training", "training, features from their files"]
    assert list(found) == [f"MB, 60 minutes, {stage} (under 2000)" for stage in stages]
    assert all(20 < peak_mb < 2000 for peak_mb in found.values())


def test_the_stage_that_is_compared_finds_every_face(films, tmp_path):
    clip = tmp_path / "clip.avi"
    write_film(clip, films / "dialog.avi", 3)
    found = {kind: faces.WORKERS[kind](clip, tmp_path) for kind in ("bare_loop", "checks", "stage")}
    assert found["checks"] == 90  # 3 s of 30 a second
    assert found["stage"] == pytest.approx(found["bare_loop"], abs=1)
    assert found["stage"] > 60


def test_scores_that_are_compared_are_those_of_trained_networks(tmp_path, monkeypatch):
    from benchmarks import epochs

    monkeypatch.setattr(epochs, "SEEDS", range(2))
    monkeypatch.setattr(epochs, "EPOCHS", 2)
    turns(tmp_path, 24)
    (found,) = epochs.scores(tmp_path, "self_attention").values()
    assert len(found) == 2
    assert all(0 <= score <= 1 for score in found)


def test_extractors_and_trainings_that_are_timed(tmp_path):
    spoken = features._turns(np.array([0.8, 1.2]))
    features._write_sound(tmp_path, spoken)
    made, _ = features.build("mfcc", {}, None, "cpu")
    jobs = features.read_pieces(features._segments(spoken), tmp_path, made)
    features.write_store(tmp_path / "mfcc.h5", features.ATTRIBUTES, made, jobs)
    gpu.train(tmp_path, turns(tmp_path, 32), "run", 1, seeds=[0], epochs=1, device="cpu")
    assert (tmp_path / "run" / "seed0" / "run.json").exists()
