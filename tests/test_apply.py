"""From a trained model to any recording: what was trained is what predicts, and what cannot be used is said."""

import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from dataclasses import replace
from itertools import islice
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

import affectflow
from benchmarks.measure import run as run_measured
from models import items, normaliser, sources
from models.apply import batch, command
from models.apply.answer import Answer
from models.apply.answers_folder import begin, names, record
from models.apply.card import OTHER_CROPS
from models.apply.heard import together
from models.apply.model_folder import Model, RecogniserChoice, Weights
from models.apply.outputs.write import write_outputs
from models.apply.pack import _recogniser as packed_recogniser
from models.apply.pack import pack
from models.apply.predict import BY_SPEAKER, VOICE, Predictor
from models.apply.recordings import Wish, find, open_recording
from models.apply.stages import MAX_REMARKS, Stages, _remarks
from models.apply.temperature import fit_temperature, tempered
from models.apply.turns import STRETCH_S, USED, Span, read_spans, speech, windows
from models.evaluation.calibration import calibration_error
from models.fusion.registry import FUSIONS
from pipeline.container import MediaError
from pipeline.crops import FaceFile, FaceWriter
from pipeline.media import Video
from pipeline.records import InputError, Segment, read_table, write_table
from pipeline.weights import digest_files, slug
from pipeline.words.registry import RECOGNISERS
from tests import warm_jobs
from tests.clips import ffmpeg, grid_face, paste, to_and_fro, write_clip
from tests.packed_models import CORPORA, ROOT, equal_test_predictions, make_model, train
from tests.test_weights import SOURCE, serve


@pytest.fixture(scope="module")
def made(real_corpora, tmp_path_factory):
    """Of each corpus its raw folder, its results and its model folder; all models are in one folder of results."""
    folder = tmp_path_factory.mktemp("packed")
    return {name: make_model(folder, real_corpora, name) for name in CORPORA}


@pytest.fixture(scope="module")
def predictors(made):
    return {name: Predictor(model) for name, (_, _, model) in made.items()}


@pytest.mark.parametrize(("fixed", "end"), [({}, "90 s"), ({"audio": 1000}, "1000 rows")])
def test_what_a_model_does_not_read_of_long_stretches_is_told(fixed, end):
    rows = SimpleNamespace(kept=np.array([3, 1000, 999]), stored=np.array([3, 4000, 4000]))
    examples = SimpleNamespace(tables={"audio": SimpleNamespace(rows=rows)}, fixed_steps=fixed)
    training, about = SimpleNamespace(normalise=True, max_s=90.0), SimpleNamespace(supplied_crops=False)
    predictor = SimpleNamespace(model=SimpleNamespace(training=training, about=about))
    nothing = SimpleNamespace(notes=[], sound_used=False)
    (note,) = Predictor._notes(predictor, nothing, nothing, examples, [])
    assert note == f"2 stretches are longer than the model reads; audio ends after {end}."


@pytest.mark.parametrize("name", CORPORA)
def test_raw_video_gives_the_stored_test_predictions(made, name):
    root, results, model = made[name]
    assert equal_test_predictions(root, results, CORPORA[name][1], Predictor(model, folds=[0])) >= 2 * 4 * 7


def test_a_model_that_hears_the_turns_before_hears_them_in_raw_video_too(made, real_corpora, monkeypatch):
    (root, results, _), run = made["iemocap"], "self_context-A+T"
    predictor = Predictor(train(results.parent.parent, real_corpora, "iemocap", run), folds=[0])
    assert equal_test_predictions(root, results, run, predictor) >= 2 * 4 * 7
    monkeypatch.setattr(items, "turns_before", lambda segments, most: {})
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        equal_test_predictions(root, results, run, predictor)


@pytest.mark.parametrize("name", CORPORA)
def test_a_model_by_speaker_takes_each_person_by_what_the_recording_has_of_them(made, shared, monkeypatch, name):
    predictor, path = Predictor(made[name][2], folds=[0]), shared / "media" / "grid" / "swwp2s.mpg"
    before = predictor.answer(path)
    asked = []

    def of_speakers(store, segment_ids, speakers):
        asked.append({speakers[segment_id] for segment_id in segment_ids})
        return normaliser.of_speakers(store, segment_ids, speakers)

    monkeypatch.setattr(sources, "of_speakers", of_speakers)
    monkeypatch.setattr(
        predictor.model, "training", predictor.model.training.model_copy(update={"normalise": "speaker"})
    )
    answer = predictor.answer(path)
    assert asked == [{row.person for row in answer.rows}] * len(predictor.model.about.features)
    assert BY_SPEAKER in answer.notes
    assert BY_SPEAKER not in before.notes
    values, others = (np.array([row.values for row in found.rows]) for found in (answer, before))
    assert np.abs(values - others).max() > 1e-3


def test_an_answer_is_the_calibrated_mean_of_all_networks(predictors, shared, tmp_path):
    predictor, path = predictors["iemocap"], shared / "media" / "grid" / "swwp2s.mpg"
    spans = [Span(0.0, 1.0), Span(1.0, 2.5)]
    answer = predictor.answer(path, Wish(spans=spans))
    recording, prepared = predictor.stages.run(open_recording(path, False, Wish(spans=spans)), tmp_path)
    values, _ = predictor.predictions(predictor.examples(recording, prepared, tmp_path))
    assert len(values) == 4
    each = softmax(np.log(values.astype(float)) / predictor.model.about.temperature, axis=-1)
    np.testing.assert_allclose([row.values for row in answer.rows], each.mean(0), atol=1e-6)
    np.testing.assert_allclose([row.spread for row in answer.rows], each.std(0), atol=1e-6)
    assert all((row.spread**2 <= row.values * (1 - row.values) + 1e-9).all() for row in answer.rows)
    assert [(row.start_s, row.end_s) for row in answer.rows] == [(0.0, 1.0), (1.0, 2.5)]
    assert answer.rows[0].observed["video"] == pytest.approx(1, abs=0.3)  # a face is there all the time
    assert not any(row.observed["text"] for row in answer.rows)
    assert answer.demonstration
    assert any("--recogniser" in note for note in answer.notes)
    assert answer.outputs == tuple(predictor.model.about.outputs)


def test_a_transcript_beside_a_recording_is_read(predictors, shared, tmp_path):
    shutil.copy(shared / "media" / "grid" / "swwp2s.mpg", tmp_path / "talk.mpg")
    (tmp_path / "talk.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:01.300\nSet: White!\n")
    answer = predictors["iemocap"].answer(tmp_path / "talk.mpg", Wish(window_s=1.5))
    assert [word.word for word in answer.words] == ["Set:", "White!"]
    assert [row.observed["text"] > 0 for row in answer.rows] == [True, False]
    assert not any("--recogniser" in note for note in answer.notes)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({"talk.vtt": "WEBVTT\n\n00:00.500 --> 00:01.300\ncaf\xe9\n".encode("cp1252")}, "talk.vtt: not UTF-8"),
        ({"talk.srt": b"set white\n"}, "talk.srt: not SubRip"),
        ({"talk.srt": b"", "talk.vtt": b"WEBVTT\n"}, "talk.mpg has several transcripts: talk.srt, talk.vtt"),
    ],
)
def test_why_a_transcript_beside_a_recording_is_not_used_is_said(predictors, shared, tmp_path, texts, reason):
    shutil.copy(shared / "media" / "grid" / "swwp2s.mpg", tmp_path / "talk.mpg")
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
    answer = predictors["iemocap"].answer(tmp_path / "talk.mpg", Wish(window_s=1.5))
    assert any(note.startswith(f"No transcript beside this recording was used: {reason}") for note in answer.notes)
    assert any("--recogniser" in note for note in answer.notes)
    assert not any("none lies beside" in note for note in answer.notes)
    assert not answer.words


def test_of_people_who_speak_at_once_each_has_the_words_that_the_model_read_of_them(predictors, shared, tmp_path):
    spans = [Span(0.0, 2.0, "ann", text="Set White."), Span(0.5, 1.5, "bob", text="No, white!")]
    rows = predictors["iemocap"].predict(shared / "media" / "grid" / "swwp2s.mpg", spans=spans)
    assert rows["said"].tolist() == ["Set White.", "No, white!"]


def test_words_of_given_times_come_before_captions_beside_a_recording(shared, tmp_path):
    shutil.copy(shared / "media" / "grid" / "swwp2s.mpg", tmp_path / "talk.mpg")
    (tmp_path / "talk.en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:03.000\nnot mine\n")
    wish = Wish(spans=[Span(0.0, 1.0, text="my own"), Span(1.0, 2.0, text="words")])
    recording = open_recording(tmp_path / "talk.mpg", False, wish)
    stages = SimpleNamespace(choice=SimpleNamespace(kind="none"))
    arguments = (recording.root, recording.unit, list(recording.segments), tmp_path / "none.h5", recording.unused)
    words, notes = Stages._words(stages, *arguments)
    assert [word.word for word in words] == ["my", "own", "words"]
    assert notes == ["talk.en.vtt is not used for 2 of 2 segments, which have words of their own."]


@pytest.mark.parametrize(("name", "text"), [
    ("talk.vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nmine\n"), ("talk.tsv", "start_s\tend_s\ttext\n0\t1\tmine\n"),
])  # fmt: skip
def test_a_file_of_given_times_is_no_transcript_besides(shared, tmp_path, monkeypatch, name, text):
    shutil.copy(shared / "media" / "grid" / "swwp2s.mpg", tmp_path / "talk.mpg")
    (tmp_path / name).write_text(text)
    requests = []
    monkeypatch.setattr(command, "predict_all", lambda order, given, *_: requests.extend(given) or {})
    monkeypatch.chdir(tmp_path)
    run("model", "talk.mpg", "--out", "out", "--segments", name)
    recording = open_recording(Path("talk.mpg"), False, requests[0].wish)
    assert [segment.text for segment in recording.segments] == ["mine"]
    assert (recording.unit.transcript, recording.unused) == (None, "")
    (tmp_path / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nother\n")
    assert open_recording(Path("talk.mpg"), False, requests[0].wish).unit.transcript == "talk.srt"


def test_a_table_of_something_else_beside_a_recording_is_no_transcript(shared, tmp_path):
    shutil.copy(shared / "media" / "grid" / "swwp2s.mpg", tmp_path / "talk.mpg")
    (tmp_path / "talk.tsv").write_bytes(b"time_s\tlabel\n0\tm\xfcde\n")  # in Windows-1252
    found = open_recording(tmp_path / "talk.mpg", False, Wish(window_s=1.0))
    assert (found.unit.transcript, found.unused) == (None, "talk.tsv has not the columns word, start, end")
    (tmp_path / "talk.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nmine\n")
    found = open_recording(tmp_path / "talk.mpg", False, Wish(window_s=1.0))
    assert (found.unit.transcript, found.unused) == ("talk.vtt", "")


def test_a_model_folder_is_safe_and_holds_nothing_of_the_corpus(made):
    for _, results, model in made.values():
        files = [path for path in model.rglob("*") if path.is_file() and "weights" not in path.parts]
        assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}
        segments = read_table(results / "segments.tsv", Segment)
        for path in (path for path in files if path.suffix != ".safetensors"):
            text = path.read_text()
            assert not [s for s in segments for name in (s.segment_id, s.speaker) if f'"{name}"' in text]
    card = (made["iemocap"][2] / "README.md").read_text()
    scores = pd.read_parquet(made["iemocap"][1] / "runs" / "self-A+V+T" / "fold0" / "predictions.parquet")
    assert "demonstration" in card
    assert "| recall_ang |" in card
    assert f"Trained on {4} people" in card
    assert set(scores.seed) == {1, 2}


def test_the_card_says_why_scores_are_optimistic(made, tmp_path):
    results = shutil.copytree(made["iemocap"][1], tmp_path / "results" / "iemocap")
    config = json.loads((results / "config.json").read_text())
    given = ["--results", results, "--run", CORPORA["iemocap"][1], "--weights", made["iemocap"][1].parent / "weights"]
    for caveat, said in (("", "out.\n"), ("speakers also train", "out. Speakers also train.\n")):
        config["protocol"]["caveat"] = caveat
        (results / "config.json").write_text(json.dumps(config))
        done = CliRunner().invoke(pack, list(map(str, [*given, "--out", tmp_path / "model"])))
        assert done.exit_code == 0, done.output
        assert f"Protocol: leave one session {said}" in (tmp_path / "model" / "README.md").read_text()


def test_a_model_that_was_copied_alone_says_the_same(made, predictors, shared, tmp_path, monkeypatch):
    shutil.copytree(made["iemocap"][2], tmp_path / "model")
    monkeypatch.chdir(tmp_path)  # where no results are
    path = shared / "media" / "grid" / "bbaf2n.mpg"
    there = affectflow.load_model("model").predict(path, window_s=3.0)
    here = predictors["iemocap"].predict(path, window_s=3.0)
    pd.testing.assert_frame_equal(there, here)
    assert list(there.start_s) == [0.0]


def test_everybody_is_followed_and_one_is_not_made_two(made, predictors, shared, tmp_path):
    faces = [grid_face(shared, name) for name in ("bbaf2n", "brbk7n", "swiz3n")]
    pictures = []
    for k in range(50):
        pictures.append(np.full((288, 960, 3), (60, 120, 140), np.uint8))
        for number, face in enumerate(faces[: 3 if k < 40 else 2]):
            paste(pictures[-1], to_and_fro(face, k), 160 + 320 * number, 0.9)
        if k >= 40:  # somebody who is seen for less than a second
            paste(pictures[-1], to_and_fro(grid_face(shared, "lwbsza"), k), 800, 0.5)
    write_clip(tmp_path / "three.mp4", pictures, np.arange(50) / 25)
    three = predictors["affwild2"].answer(tmp_path / "three.mp4", Wish(people="all"))
    assert [face.person for face in three.faces] == ["person 1", "person 2", "person 3"]
    x = [face.landmarks[face.valid][:, 2, 0].mean() for face in three.faces]
    assert x == pytest.approx([160, 480, 800], abs=30)
    assert [face.valid.tolist() for face in three.faces] == [[True] * 8, [True] * 8, [True] * 7 + [False]]  # 4 Hz
    assert [(row.person, round(row.start_s, 6)) for row in three.rows] == [
        (f"person {n}", k / 25) for n in (1, 2, 3) for k in range(50)
    ]
    notes = " ".join(three.notes)
    assert "3 people are followed" in notes
    assert "less than 1 s at a time, which have no track: 1." in notes
    videos = made["affwild2"][0] / "videos"
    one = predictors["affwild2"].answer(next(videos.rglob("135-24-1920x1080.*")), Wish(people="all"))
    assert {row.person for row in one.rows} == {face.person for face in one.faces} == {"person 1"}


@pytest.fixture
def silent_film(tmp_path):
    """Six seconds of grey with a silent track."""
    pictures = [np.full((96, 160, 3), 90 + k % 9, np.uint8) for k in range(60)]
    path = tmp_path / "silent.mp4"
    write_clip(path, pictures, np.arange(60) / 10, sound=(np.zeros(96_000, np.float32), 16_000, 0.0, "aac"))
    return path


def test_what_is_not_there_is_said_and_the_rest_goes_on(predictors, silent_film, shared, tmp_path):
    answer = predictors["iemocap"].answer(silent_film)
    notes = " ".join(answer.notes)
    said = ("No face", "silent throughout", "No speech was found; predictions are for 5-second windows.")
    assert all(text in notes for text in said)
    assert [(row.start_s, row.end_s) for row in answer.rows] == [(0.0, answer.duration_s)]
    clip = shared / "media" / "grid" / "bbaf2n.mpg"
    ffmpeg("-i", clip, "-vn", tmp_path / "sound.wav")
    ffmpeg("-i", clip, "-an", "-c:v", "libx264", tmp_path / "picture.mp4")
    sound = predictors["affwild2"].answer(tmp_path / "sound.wav")
    picture = predictors["affwild2"].answer(tmp_path / "picture.mp4")
    assert any("no picture" in note for note in sound.notes)
    assert any("no sound" in note for note in picture.notes)
    assert {row.observed["video"] for row in sound.rows} == {0.0} == {row.observed["audio"] for row in picture.rows}
    assert np.mean([row.observed["audio"] for row in sound.rows]) > 0.9
    assert len(picture.rows) == 75
    assert np.isfinite([row.values for row in sound.rows]).all()


def test_a_model_of_the_picture_tells_of_no_face(made, shared, tmp_path, monkeypatch):
    predictor = Predictor(made["affwild2"][2], folds=[0])
    half = predictor.model.about.model_copy(update={"faces": {"picture": "half", "sample_rate_hz": 4}})
    monkeypatch.setattr(predictor.model, "about", half)
    answer = predictor.answer(shared / "media" / "grid" / "swwp2s.mpg")
    assert answer.faces == ()
    assert not [note for note in answer.notes if "face" in note.lower()]
    written = write_outputs(answer, tmp_path / "out", "a", overlay=True)
    assert [path for path in written if path.name == "a.overlay.mp4"]
    assert 'class="row seen"' not in (tmp_path / "out" / "a.html").read_text()


@pytest.mark.parametrize("followed", [True, False])
def test_whose_voice_it_is_is_said_where_faces_are_followed(followed):
    training, about = SimpleNamespace(normalise=True), SimpleNamespace(supplied_crops=False)
    predictor = SimpleNamespace(model=SimpleNamespace(training=training, about=about))
    prepared = SimpleNamespace(notes=[], sound_used=True, faces=["a face"] if followed else None)
    rows, nothing = [SimpleNamespace(observed={"video": 1.0}, values=np.zeros(1))], SimpleNamespace(notes=[], tables={})
    assert Predictor._notes(predictor, nothing, prepared, nothing, rows) == [VOICE] * followed


def test_frames_of_which_nothing_was_observed_are_counted(predictors, shared, tmp_path):
    """Two seconds with a face and two of grey, without sound; and grey alone."""
    grey = np.full((288, 320, 3), (60, 120, 140), np.uint8)
    pictures = [grey.copy() for _ in range(100)]
    for k in range(50):
        paste(pictures[k], to_and_fro(grid_face(shared, "bbaf2n"), k), 160, 0.9)
    for name, shown, end in (("both", pictures, r"; \1 are predicted from those around"), ("grey", pictures[50:],
                             ", so nothing is said of them")):  # fmt: skip
        write_clip(tmp_path / f"{name}.mp4", shown, np.arange(len(shown)) / 25)
        answer = predictors["affwild2"].answer(tmp_path / f"{name}.mp4")
        found = re.search(rf"In (\d+) of {len(shown)} frames nothing was observed{end}\.", "\n".join(answer.notes))
        assert int(found[1]) == pytest.approx(50, abs=8), "four frames a second are looked at"
        assert np.isfinite([row.values for row in answer.rows]).all() == (name == "both")


def test_a_language_that_the_recogniser_does_not_know_costs_the_words_alone(made, shared, tmp_path):
    (tmp_path / "english.py").write_text(
        "from affectflow import Recogniser\n\n\n"
        "class English(Recogniser):\n"
        "    def transcribe(self, samples, sample_rate_hz):\n"
        "        raise ValueError('language tlh is not supported')\n"
    )
    recogniser = RecogniserChoice(kind=f"{tmp_path / 'english.py'}:English")
    predictor = Predictor(made["iemocap"][2], recogniser=recogniser, plugs=True)
    answer = predictor.answer(shared / "media" / "grid" / "swwp2s.mpg", Wish(window_s=3.0))
    assert any("not recognised everywhere" in note and "tlh is not supported" in note for note in answer.notes)
    assert np.isfinite([row.values for row in answer.rows]).all()
    assert not answer.words


def test_windows_that_overlap_are_transcribed_once(made, shared, tmp_path):
    (tmp_path / "once.py").write_text(
        "from affectflow import Recogniser\n\n\n"
        "class Once(Recogniser):\n"
        "    finds_speech = True\n\n"
        "    def transcribe(self, samples, sample_rate_hz):\n"
        "        return [('um', 0.1, 0.4), (f'{len(samples) / sample_rate_hz:.0f}', 1.8, 2.2)]\n"
    )
    recogniser = RecogniserChoice(kind=f"{tmp_path / 'once.py'}:Once")
    predictor = Predictor(made["iemocap"][2], recogniser=recogniser, plugs=True)
    answer = predictor.answer(shared / "media" / "grid" / "swwp2s.mpg", Wish(window_s=2.0, hop_s=0.5))
    assert [(word.word, word.start_s, word.end_s) for word in answer.words] == [("um", 0.1, 0.4), ("3", 1.8, 2.2)]
    said = [[word.word for word in answer.words if row.reads(word)] for row in answer.rows]
    assert said == [["um", "3"], ["3"], ["3"]], "each window has what is said in its time"
    apart = [Segment(f"{k:02}", "u", "", None, None, w.start_s, w.end_s) for k, w in enumerate(windows(5.0, 0.1, 0.1))]
    assert list(together(apart).values()) == apart, "what follows each other does not overlap"
    hours = [Segment(f"{k:05}", "u", "", None, None, w.start_s, w.end_s) for k, w in enumerate(windows(7200, 5.0, 1.0))]
    assert max(stretch.duration_s for stretch in together(hours).values()) == STRETCH_S
    assert all(together(hours)[s.segment_id].end_s >= s.end_s for s in hours)


def test_code_that_has_changed_since_training_is_said(made, predictors, shared, tmp_path):
    (tmp_path / "deaf.py").write_text(
        "from affectflow import Recogniser\n\n\nclass Deaf(Recogniser):\n    def transcribe(self, samples, rate):\n"
        "        return []\n"
    )
    own, fusions = f"{tmp_path / 'deaf.py'}:Deaf", set()

    def of_other_code(model):
        for path in model.glob("members/*/*/run.json"):
            table = json.loads(path.read_text())
            fusions.add(table["network"]["fusion"])
            assert table["fusion_code"] == FUSIONS.code_of(table["network"]["fusion"])
            path.write_text(json.dumps({**table, "fusion_code": "another"}))
        changed(files=digest_files(model / "members"), recogniser={"kind": own, "code": "another"})(model)

    model, path = damaged(made["iemocap"][2], tmp_path, of_other_code), shared / "media" / "grid" / "swwp2s.mpg"
    answers = [one.answer(path, Wish(window_s=3.0)) for one in (Predictor(model, plugs=True), predictors["iemocap"])]
    said = [[note for note in answer.notes if "has changed since training" in note] for answer in answers]
    assert said == [
        [f"The code of {kind} has changed since training: {what} may differ from then."
         for kind, what in ((*fusions, "answers"), (own, "words"))], [],
    ]  # fmt: skip
    assert packed_recogniser({"kind": "pocketsphinx"}, tmp_path).code == RECOGNISERS.code_of("pocketsphinx")


def run(*arguments) -> BaseException | None:
    """What the command ends with."""
    return CliRunner().invoke(command.predict, list(map(str, arguments)), standalone_mode=False).exception


@pytest.fixture
def quick(made, monkeypatch):
    """The model folder, with answers that cost nothing; which recordings were asked for."""
    asked = []

    def answer(self, path, wish):
        asked.append(path.name)
        if path.stat().st_size < 100:
            raise InputError(f"{path}: empty")
        return Answer(path, "self-A of mine", True, False, False, ("a", "b"), 1.0, ())

    monkeypatch.setattr(Predictor, "answer", answer)
    return made["affwild2"][2], asked


def test_bad_recordings_stop_no_others_and_are_listed_last(made, shared, tmp_path, caplog):
    ffmpeg("-i", shared / "media" / "grid" / "swwp2s.mpg", "-c:v", "mpeg4", tmp_path / "whole.avi")
    whole = (tmp_path / "whole.avi").read_bytes()
    contents = {"empty.mp4": b"", "noise.mp4": bytes(range(256)) * 40, "cut.avi": whole[: len(whole) // 3]}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    shutil.copy(shared / "media" / "clips" / "single_face.jpg", tmp_path / "picture.jpg")
    names = ["empty.mp4", "noise.mp4", "picture.jpg", "absent.mp4", "cut.avi"]
    error = run(made["affwild2"][2], *(tmp_path / name for name in names), "--out", tmp_path / "out")
    assert isinstance(error, InputError)
    assert str(error).startswith("4 of 5 recordings failed: ")
    assert f"{tmp_path / 'absent.mp4'} failed: no such file; check its name and the folder it is in" in caplog.messages
    assert [name in str(error) for name in names] == [True] * 4 + [False]
    assert {p.stem for p in (tmp_path / "out").iterdir()} == {"cut", "recordings"}
    assert 0 < len(pd.read_parquet(tmp_path / "out" / "cut.parquet")) < 75
    notes = json.loads((tmp_path / "out" / "cut.json").read_text())["notes"]
    assert any(note.startswith("The file is truncated: ") for note in notes)


def test_which_of_several_streams_is_taken_is_said(shared, tmp_path):
    clip, path = shared / "media" / "grid" / "swwp2s.mpg", tmp_path / "two.mkv"
    ffmpeg("-i", clip, *("-map", "0:v", "-map", "0:a", "-map", "0:a"), "-c", "copy", path)
    assert open_recording(path, True, Wish()).notes == ("It has 2 streams of sound; stream 1 is taken.",)
    ffmpeg("-i", path, "-map", "0:a", "-c", "copy", tmp_path / "two.mka")
    assert "2 streams of sound; stream 0 is taken" in open_recording(tmp_path / "two.mka", True, Wish()).notes[0]


def test_what_stages_say_of_some_stretches_is_said_once(tmp_path):
    remarks = {"0": ["up to 2 faces in view"], "1": ["torn", "up to 2 faces in view"], "2": [], "3": ["truncated: all"]}
    plan = {name: (np.zeros((3, 2)), np.arange(3)) for name in remarks}  # frames, of which the shares are said
    with FaceWriter(tmp_path / "faces.h5", plan) as writer:
        for name, texts in remarks.items():
            writer.remark(name, *texts)
    faces = FaceFile(tmp_path / "faces.h5")
    assert _remarks(faces, "truncated: all") == [
        "2 of 4 stretches: up to 2 faces in view.",
        "1 of 4 stretches: torn.",
    ]
    assert _remarks(faces)[-1] == "1 of 4 stretches: truncated: all."


def test_many_different_remarks_are_counted(tmp_path):
    plan = {str(k): (np.zeros((0, 2)), np.zeros(0, np.int64)) for k in range(9)}
    with FaceWriter(tmp_path / "faces.h5", plan) as writer:
        for k, name in enumerate(plan):
            writer.remark(name, f"ends {k} s after the last frame")
    said = _remarks(FaceFile(tmp_path / "faces.h5"))
    assert (len(said), said[-1]) == (MAX_REMARKS + 1, "4 more such remarks, each on no more stretches than these.")


@pytest.mark.parametrize("people", ["one", "all"])
def test_a_picture_that_breaks_off_and_people_who_are_not_followed_are_said(shared, tmp_path, monkeypatch, people):
    path, pictures = tmp_path / "two.mp4", [np.full((288, 640, 3), (60, 120, 140), np.uint8) for _ in range(10)]
    for picture in pictures:
        paste(picture, grid_face(shared, "bbaf2n")[0], 160, 0.9)
        paste(picture, grid_face(shared, "swiz3n")[0], 480, 0.9)
    write_clip(path, pictures, np.arange(10) / 10)
    whole = Video.pictures

    def broken(self, *arguments, **options):
        yield from islice(whole(self, *arguments, **options), 8)
        raise MediaError(self.path, "torn", "replace it")

    monkeypatch.setattr(Video, "pictures", broken)
    recording = open_recording(path, False, Wish(people, window_s=1.0))
    stages = SimpleNamespace(model=SimpleNamespace(about=SimpleNamespace(faces={})))
    notes = Stages._faces(stages, recording, tmp_path / "faces.h5")[2]
    assert any("stretches: video unreadable from somewhere on: torn." in note for note in notes)
    assert any("up to 2 faces in view" in note for note in notes) == (people == "one")  # until then


def test_that_there_is_no_picture_is_said_once(tmp_path):
    path = tmp_path / "sound.wav"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "2", path)
    recording = open_recording(path, False, Wish("all", window_s=1.0))
    assert [note for note in recording.notes if note.startswith("There is no picture")]
    stages = SimpleNamespace(model=SimpleNamespace(about=SimpleNamespace(faces={})))
    assert Stages._faces(stages, recording, tmp_path / "faces.h5")[2] == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("single_face.jpg", "a picture, not a recording"),
        ("LICENSE", "not a media file"),
        ("absent.mp4", "no such file; check its name and the folder it is in"),
    ],
)
def test_what_is_no_recording_is_said(predictors, shared, name, reason):
    with pytest.raises(InputError, match=reason):
        predictors["affwild2"].answer(shared / "media" / "clips" / name)


def test_a_second_run_does_only_what_is_missing(quick, tmp_path, monkeypatch):
    model, asked = quick
    paths = [tmp_path / f"{name}.wav" for name in "abc"]
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
    written = command_outputs(monkeypatch, stop_at="b")
    arguments = [model, *paths, "--out", tmp_path / "out"]
    assert isinstance(run(*arguments), click.Abort)  # Ctrl-C in the midst of the second
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.csv", "a.json", "recordings.csv"]
    written.clear()
    assert run(*arguments) is None
    assert written == ["b", "c"]
    assert run(*arguments) is None
    assert written == ["b", "c"]
    paths[0].write_bytes(b"another recording" * 100)
    (tmp_path / "out" / "c.csv").unlink()
    assert run(*arguments) is None
    assert written == ["b", "c", "a", "c"]
    run(*arguments, "--side", "left")
    run(*arguments, "--again")
    assert written[4:] == ["a", "b", "c"] * 2
    assert len(asked) == 2 + 2 + 2 + 6


def test_a_record_says_in_plain_values_what_was_asked(quick, tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    (tmp_path / "times.csv").write_text("start_s,end_s\n0.25,1\n")
    written = command_outputs(monkeypatch, stop_at="")
    arguments = [quick[0], tmp_path / "a.wav", "--out", tmp_path / "out"]
    nobody = {"person": None, "side": None, "picture": None, "text": None}
    for options, spans in (
        ([], None),
        (["--segments", tmp_path / "times.csv"], [{"start_s": 0.25, "end_s": 1.0, **nobody}]),
    ):
        assert run(*arguments, *options) is run(*arguments, *options) is None
        known = json.loads((tmp_path / "out" / "a.json").read_text())
        assert known["spans"] == spans
        assert known["how"] == {
            "people": "one", "side": "whole", "window_s": None, "hop_s": None, "folds": [],
            "spans_given": spans is not None, "recogniser": None,
        }  # fmt: skip
    assert written == ["a", "a"], "each once"


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.TextGrid", "a.overlay.mp4", "recordings.csv"])
def test_a_file_that_no_prediction_wrote_is_named_before_any_work_and_stays(quick, tmp_path, monkeypatch, name):
    out, options = tmp_path / "out", ["--overlay"] * ("overlay" in name)
    command_outputs(monkeypatch, stop_at="")
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    out.mkdir()
    (out / name).write_text('{"hours": "of work"}')
    error = run(quick[0], tmp_path / "a.wav", "--out", out, *options)
    assert str(error).startswith(f"{out / name}: would be replaced")
    assert not quick[1]
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [(name, '{"hours": "of work"}')]


@pytest.mark.parametrize("fails", [False, True])
def test_files_of_somebody_else_outlive_what_a_recording_has(quick, tmp_path, monkeypatch, fails):
    path, out = tmp_path / "a.wav", tmp_path / "out"
    command_outputs(monkeypatch, stop_at="a" if fails else "")
    path.write_bytes(b"a" * 200)
    out.mkdir()
    (out / "a.overlay.mp4").write_text("hours of work")  # which a call without --overlay does not write
    for options in ([], ["--again"]):
        run(quick[0], path, "--out", out, *options)
        assert (out / "a.overlay.mp4").read_text() == "hours of work"
    assert sorted(each.name for each in out.iterdir()) == ["a.csv", "a.json", "a.overlay.mp4", "recordings.csv"]


def test_times_in_a_file_that_would_be_written_are_refused(quick, tmp_path, monkeypatch):
    command_outputs(monkeypatch, stop_at="")
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    arguments = [quick[0], tmp_path / "a.wav", "--out", tmp_path / "out"]
    assert run(*arguments) is None
    table, link = tmp_path / "out" / "a.csv", tmp_path / "times.csv"
    table.write_text("start_s,end_s\n0,1\n")
    link.symlink_to(table)
    for times in (table, link):
        assert str(run(*arguments, "--segments", times)).startswith(f"--segments {times}: would be replaced")
    assert table.read_text() == "start_s,end_s\n0,1\n"


def test_what_a_process_wrote_that_was_killed_is_in_nobodys_way(quick, tmp_path, monkeypatch):
    out, written = tmp_path / "out", command_outputs(monkeypatch, stop_at="")
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    out.mkdir()
    begin(out, "a", overlay=True)
    for name in ("a.csv", "a.overlay.mp4", ".a.12345678.html"):
        (out / name).write_text("half")
    assert run(quick[0], tmp_path / "a.wav", "--out", out) is None
    assert written == ["a"]
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "a.json", "recordings.csv"]


def test_weights_in_a_folder_count_by_what_is_in_it(made, quick, tmp_path, monkeypatch):
    written, folder, kept = command_outputs(monkeypatch, stop_at=""), tmp_path / "whisper", tmp_path / "kept"
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    folder.mkdir()
    arguments = [made["iemocap"][2], tmp_path / "a.wav", "--out", tmp_path / "out", "--recogniser", "transformers"]
    for data, done in ((b"one", 1), (b"one", 1), (b"other", 2)):
        (folder / "model.safetensors").write_bytes(data)
        assert run(*arguments, "--recogniser-weights", folder) is None
        assert written == ["a"] * done

    def fetch(source, out, allow_pickle):
        shutil.copytree(source, out, dirs_exist_ok=True)

    monkeypatch.setattr("pipeline.features.fetch.fetch", fetch)
    for data in (b"one", b"other"):
        (folder / "model.safetensors").write_bytes(data)
        found = Model(made["iemocap"][2]).weights(Weights.of(str(folder)), kept)
        assert (found / "model.safetensors").read_bytes() == data, "no copy of before"

    model = Model(damaged(made["iemocap"][2], tmp_path, lambda model: None))
    packed = model.folder / "weights" / slug(str(folder))
    shutil.copytree(folder, packed)
    for data, place in ((b"other", packed), (b"third", kept / packed.name)):
        (folder / "model.safetensors").write_bytes(data)
        sha256 = {name: known["sha256"] for name, known in digest_files(folder).items()}
        assert model.weights(Weights.of(str(folder), sha256=sha256), kept) == place, (
            "that of the model while it is the same"
        )


@pytest.mark.parametrize("lost", [Path.unlink, lambda path: path.write_bytes(b""), None])
def test_what_was_predicted_stays_until_there_is_a_new_answer(quick, tmp_path, monkeypatch, lost):
    """A recording that was deleted or cannot be used any more, and a process that is ended while it predicts."""
    path, out = tmp_path / "a.wav", tmp_path / "out"
    path.write_bytes(b"a" * 200)
    command_outputs(monkeypatch, stop_at="")
    arguments = [quick[0], path, "--out", out]
    assert run(*arguments) is None
    before = {each.name: each.read_bytes() for each in (out / "a.csv", out / "a.json")}
    if lost:
        lost(path)
        assert str(run(*arguments)).startswith("1 of 1 recordings failed")
    else:
        pipe, its = Pipe()
        its.close()
        monkeypatch.setattr(
            batch, "_start", lambda order, workers: workers.setdefault(pipe, SimpleNamespace()) and pipe
        )
        monkeypatch.setattr(pipe, "send", lambda pending: None)
        failures = batch._at_once(batch.Order(out, out, out), [(batch.Request(path, Wish(), "a"), {})], count=1)
        assert failures == {path: batch.Failure()}
    assert {name: (out / name).read_bytes() for name in before} == before


def test_what_was_predicted_by_other_code_is_predicted_again(quick, tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    written, arguments = (
        command_outputs(monkeypatch, stop_at=""),
        [quick[0], tmp_path / "a.wav", "--out", tmp_path / "o"],
    )
    for code, done in ((batch.code, 1), (batch.code, 1), (lambda *targets: f"{targets} do something else", 2)):
        monkeypatch.setattr(batch, "code", code)
        assert run(*arguments) is None
        assert written == ["a"] * done


def test_given_times_that_lie_elsewhere_ask_for_nothing_again(quick, tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    written = command_outputs(monkeypatch, stop_at="")
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("start_s,end_s\n0,1\n")
        assert run(quick[0], tmp_path / "a.wav", "--out", tmp_path / "o", "--segments", tmp_path / name) is None
    assert written == ["a"]


def test_a_recording_that_is_done_stays_so_when_control_c_follows_at_once(quick, tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    command_outputs(monkeypatch, stop_at="")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch.log, "info", stop)  # the first thing said after a recording is done
    assert isinstance(run(quick[0], tmp_path / "a.wav", "--out", tmp_path / "out"), click.Abort)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.csv", "a.json", "recordings.csv"]


def test_the_table_of_all_says_which_files_and_what_was_not_predicted_alike(quick, tmp_path, monkeypatch, caplog):
    paths, out = [tmp_path / "a clip (1).wav", tmp_path / "b.wav", tmp_path / "c.wav"], tmp_path / "out"
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
    command_outputs(monkeypatch, stop_at="c")
    assert run(quick[0], *paths[:2], "--out", out) is None
    assert isinstance(run(quick[0], *paths[::-1], "--out", out, "--fold", 0), click.Abort)
    assert not caplog.messages
    assert run(quick[0], *paths[1:], "--out", out, "--fold", 0) is None
    (said,) = caplog.messages
    joined = pd.read_csv(out / "recordings.csv", dtype=str)
    assert joined.file.tolist() == list(map(str, paths))
    assert list(joined)[:3] == ["recording", "file", "setup"]
    assert joined.setup.nunique() == 2
    assert joined.setup[1] == joined.setup[2]
    assert said.endswith(f"by its column setup: 2 by {joined.setup[1]}, 1 by {joined.setup[0]}")


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("affwild2", ["--window", 2], "--window: this model answers for each frame"),
        ("affwild2", ["--recogniser", "pocketsphinx"], "--recogniser pocketsphinx: the model reads no words"),
        ("iemocap", ["--recogniser-weights", "a/b@0"], "are of a --recogniser; give it, too"),
        ("iemocap", ["--recogniser-options", '{"language": "de"}'], "are of a --recogniser; give it, too"),
        ("iemocap", ["--recogniser", "pocketsphinx", "--recogniser-options", "de"], "'de' is not JSON"),
        ("iemocap", ["--recogniser", "pocketsphinx", "--recogniser-options", '{"language": "de"}'], "'language'"),
        ("iemocap", ["--people", "all", "--side", "left"], "give one of them"),
        ("iemocap", ["--people", "all", "--segments", "turns.rttm"], "such as bob: leave --people all out"),
    ],
)
def test_options_that_would_do_nothing_are_refused(made, tmp_path, monkeypatch, name, options, reason):
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    (tmp_path / "turns.rttm").write_text("SPEAKER a 1 0.25 1.50 <NA> <NA> bob <NA> <NA>\n")
    monkeypatch.chdir(tmp_path)
    error = run(made[name][2], "a.wav", "--out", "out", *options)
    assert isinstance(error, InputError)
    assert reason in str(error)


def test_a_recording_that_is_called_like_the_table_of_all_is_not_lost_to_it(quick, tmp_path, monkeypatch):
    paths = [tmp_path / "recordings.wav", tmp_path / "other.wav"]
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
    written = command_outputs(monkeypatch, stop_at="")
    assert run(quick[0], *paths, "--out", tmp_path / "out") is None
    assert sorted(written) == ["other", "recordings@"]
    assert (tmp_path / "out" / "recordings.csv").is_file()


def test_names_with_spaces_are_short_as_long_as_they_tell_recordings_apart(tmp_path):
    def named(*files):
        return list(names([tmp_path / file for file in files], tmp_path / "out").values())

    assert named("Interview (1).mp4", "Jürgen 2.wav", "b/talk.mp4") == ["Interview_1", "Jürgen_2", "talk"]
    spaced, plain = named("my clip.mp4", "my_clip.mp4")
    assert (spaced[:8], plain) == ("my_clip@", "my_clip")
    record(tmp_path / "out", "my_clip").parent.mkdir()
    known = {"source": str(tmp_path / "my_clip.mp4"), "recording": ["a"], "files": []}
    record(tmp_path / "out", "my_clip").write_text(json.dumps(known))
    (tmp_path / "my_clip.mp4").touch()
    assert named("my clip.mp4") == [spaced], "as an earlier call has named another so"
    assert named("my_clip.mp4") == [plain]


def test_recordings_of_one_name_that_are_predicted_call_by_call_are_all_kept(quick, tmp_path, monkeypatch):
    written, sources = command_outputs(monkeypatch, stop_at=""), [tmp_path / name / "01.wav" for name in ("ann", "bob")]
    for path in sources:
        path.parent.mkdir()
        path.write_bytes(path.parent.name.encode() * 100)
    for path in sources * 2:
        monkeypatch.chdir(path.parent)
        assert run(quick[0], "01.wav", "--out", tmp_path / "out") is None
    assert len(written) == 2, "the second time nothing is missing"
    assert written[0] == "01"
    records = [json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in written]
    assert [record["source"] for record in records] == list(map(str, sources))
    assert sorted(pd.read_csv(tmp_path / "out" / "recordings.csv", dtype=str).recording) == sorted(written)
    assert run(quick[0], *sources, "--out", tmp_path / "out") is None
    (tmp_path / "ann").rename(tmp_path / "eve")
    assert run(quick[0], tmp_path / "eve" / "01.wav", "--out", tmp_path / "out") is None
    assert len(written) == 2, "each has kept its name"


def command_outputs(monkeypatch, stop_at: str) -> list[str]:
    """Outputs that are one small table; the first time, the user stops them at one recording."""
    written, stops = [], [stop_at]

    def write_outputs(answer, folder, name, *, overlay):
        if name in stops:
            stops.remove(name)
            raise KeyboardInterrupt
        written.append(name)
        (folder / f"{name}.csv").write_text("start_s\n0.0\n")
        return [folder / f"{name}.csv"]

    monkeypatch.setattr(batch, "write_outputs", write_outputs)
    return written


@pytest.mark.parametrize(
    ("end", "raised", "said"),
    [
        (KeyboardInterrupt(), click.Abort, True),
        (MemoryError("gone"), MemoryError, True),
        (InputError("no such model"), "no such model", False),
        ({"a.wav": batch.Failure()}, "1 of 1 recordings failed: .*a.wav", True),
        ({}, r"recordings.csv was not written; run the same command again", True),
    ],
)
def test_a_table_of_all_that_cannot_be_written_hides_no_other_reason(tmp_path, monkeypatch, caplog, end, raised, said):
    def predict_all(*_):
        if isinstance(end, BaseException):
            raise end
        return {tmp_path / name: failure for name, failure in end.items()}

    def join(*_):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(command, "predict_all", predict_all)
    monkeypatch.setattr(command, "join", join)
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.csv").touch()
    record = {"source": "b.wav", "recording": ["0"], "files": []}
    (tmp_path / "out" / "b.json").write_text(json.dumps(record))
    error = run(tmp_path / "model", tmp_path / "a.wav", "--out", tmp_path / "out")
    assert isinstance(error, raised) if isinstance(raised, type) else re.search(raised, str(error))
    assert [
        message.endswith("recordings.csv cannot be written (Permission denied)") for message in caplog.messages
    ] == ([True] * said)


def test_the_table_of_all_has_what_was_done_before_the_model_was_refused(tmp_path, monkeypatch):
    """As where one of several processes reads a model that changed meanwhile."""
    out = tmp_path / "out"

    def predict_all(*_):
        (out / "a.csv").write_text("start_s\n0.0\n")
        (out / "a.json").write_text(json.dumps({"source": "a.wav", "recording": ["0"], "files": ["a.csv"]}))
        raise InputError("not as it was packed")

    monkeypatch.setattr(command, "predict_all", predict_all)
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    assert "not as it was packed" in str(run(tmp_path / "model", tmp_path / "a.wav", "--out", out))
    assert pd.read_csv(out / "recordings.csv").recording.tolist() == ["a"]


def test_a_folder_that_cannot_be_written_to_is_said_before_any_work(quick, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "a.wav").write_bytes(b"a" * 200)
    error = run(quick[0], tmp_path / "a.wav", "--out", tmp_path / "file" / "out")
    assert "cannot be written to" in str(error)
    assert not quick[1]


def damaged(model: Path, folder: Path, damage) -> Path:
    shutil.copytree(model, folder / "model")
    damage(folder / "model")
    return folder / "model"


def changed(**values):
    def change(model):
        table = json.loads((model / "model.json").read_text())
        (model / "model.json").write_text(json.dumps({**table, **values}))

    return change


def flip(pattern: str):
    """Another last byte of a file."""

    def change(model):
        path = next(model.glob(pattern))
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    return change


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (changed(format=4), "format 4.*newer affectflow"),
        (changed(format=2), "format 2.*pack it again"),
        (changed(format="new"), "is not what describes a model"),
        (changed(temperature="warm"), "temperature"),
        (lambda model: (model / "model.json").write_text("{"), "is not what describes a model"),
        (lambda model: (model / "model.json").unlink(), "no model folder"),
        (flip("members/fold0/seed1/checkpoint.safetensors"), "fold0/seed1/checkpoint.safetensors changed"),
        (flip("weights/demo--bert/model.safetensors"), "safetensors changed.*; copy the whole model folder again"),
        (lambda model: shutil.rmtree(model / "weights"), "copy the whole model folder"),
        (changed(recogniser={"kind": "/tmp/mine.py:Mine"}), "--plugs"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_with_a_sentence(made, tmp_path, damage, reason):
    with pytest.raises(InputError, match=reason):
        Predictor(damaged(made["iemocap"][2], tmp_path, damage), tmp_path / "weights")


@pytest.mark.parametrize("there", [False, True])
def test_a_model_whose_own_fusion_is_not_there_is_refused_with_a_sentence(made, tmp_path, monkeypatch, there):
    def of_a_plug(model):
        for path in model.glob("members/*/*/run.json"):
            table = json.loads(path.read_text())
            table["network"] |= {"fusion": "mine.py:Mine", **({"no_such_option": 1} if there else {})}
            path.write_text(json.dumps(table))
        changed(files=digest_files(model / "members"))(model)

    model = damaged(made["affwild2"][2], tmp_path, of_a_plug)
    monkeypatch.chdir(tmp_path)
    if there:
        text = "from models.fusion.baselines import Concatenation\n\n\nclass Mine(Concatenation):\n    pass\n"
        (tmp_path / "mine.py").write_text(text)
    (tmp_path / "a.wav").touch()
    error = run(model, "a.wav", "--plugs", "--out", "out")
    assert isinstance(error, InputError)
    assert "'mine.py:Mine': " in str(error)
    reason = "unknown option 'no_such_option'" if there else f"it is expected at {tmp_path.resolve() / 'mine.py'}"
    assert reason in str(error)


def test_weights_of_another_digest_are_refused(made, tmp_path):
    model = damaged(made["iemocap"][2], tmp_path, lambda model: None)
    opened = Model(model)
    wanted = opened.about.features["text"].weights
    shutil.move(model / "weights" / wanted.slug, tmp_path / "kept" / wanted.slug)
    assert opened.weights(wanted, tmp_path / "kept").is_dir()
    other = wanted.model_copy(update={"sha256": wanted.sha256 | {"config.json": "0" * 64}})
    with pytest.raises(InputError, match=r"config\.json changed"):
        opened.weights(other, tmp_path / "kept")


@pytest.mark.parametrize("damage", [None, "model.safetensors"])
def test_weights_are_fetched_where_a_hub_has_them_and_are_those_of_training(made, tmp_path, monkeypatch, damage):
    """From a hub-like server on loopback, which has what the model was trained with, or another file in its place."""
    model = damaged(made["iemocap"][2], tmp_path, lambda model: None)
    about = json.loads((model / "model.json").read_text())
    wanted = about["features"]["text"]["weights"]
    folder = model / "weights" / wanted["slug"]
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name in wanted["sha256"]}
    wanted |= {"source": SOURCE, "slug": slug(SOURCE), "sha256": {n: wanted["sha256"][n] for n in files}}
    (model / "model.json").write_text(json.dumps(about))
    shutil.rmtree(folder)
    if damage:
        files[damage] = files[damage][:-1] + bytes([files[damage][-1] ^ 1])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with serve({"announced": files, "files": files, "cut": None, "requests": []}) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        if damage:
            with pytest.raises(InputError, match=rf"not the weights that .* was trained with: {damage} changed"):
                Predictor(model, tmp_path / "kept")
        else:
            Predictor(model, tmp_path / "kept")
            assert (tmp_path / "kept" / slug(SOURCE) / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_imported_features_are_refused_before_anything_is_copied(made, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(made["affwild2"][1], results)
    config = json.loads((results / "config.json").read_text())
    entry = {"extractor": "import", "path": "mine.csd", "modality": "audio"}
    config["config"]["affwild2"]["extractors"]["log_mel"] = entry
    (results / "config.json").write_text(json.dumps(config))
    given = ["--results", results, "--run", "rcma-A+V", "--out", tmp_path / "model"]
    error = CliRunner().invoke(pack, list(map(str, given)), standalone_mode=False).exception
    assert "features log_mel were imported" in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_model_replaces_a_model_and_nothing_else(made, tmp_path, monkeypatch):
    _, results, model = made["affwild2"]
    given = ["--results", results, "--run", "rcma-A+V", "--weights", results.parent / "weights", "--fold", 0, "--out"]

    def error(out):
        return CliRunner().invoke(pack, list(map(str, [*given, out])), standalone_mode=False).exception

    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "monday.mp4").write_bytes(b"years of work")
    assert "holds other things than a model; give a folder" in str(error(videos))
    assert [path.name for path in tmp_path.rglob("*")] == ["videos", "monday.mp4"]
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "model" / "members" / "of_before").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert error(".") is None
    assert (tmp_path / "here" / "model.json").is_file()
    for out in (tmp_path / "model", tmp_path / "empty", tmp_path / "new"):
        assert error(out) is None
        assert [path.name for path in (out / "members").iterdir()] == ["fold0"]
    assert not list(tmp_path.glob(".*"))


def test_a_model_of_crops_that_came_with_the_corpus_says_so(made, shared, tmp_path):
    results, run = tmp_path / "results", "rcma-A+V"
    shutil.copytree(made["affwild2"][1], results, ignore=shutil.ignore_patterns("models"))
    segments = [
        replace(s, crops=f"cropped_aligned/{s.segment_id}") for s in read_table(results / "segments.tsv", Segment)
    ]
    write_table(results / "segments.tsv", segments, Segment)
    given = ["--results", results, "--run", run, "--weights", made["affwild2"][1].parent / "weights", "--fold", 0]
    assert CliRunner().invoke(pack, list(map(str, [*given, "--out", tmp_path / "model"]))).exit_code == 0
    for model, said in ((tmp_path / "model", True), (made["affwild2"][2], False)):
        assert (OTHER_CROPS in (model / "README.md").read_text()) == said
        answer = Predictor(model, folds=[0]).answer(shared / "media" / "grid" / "swwp2s.mpg")
        assert (OTHER_CROPS in answer.notes) == said
    known = json.loads((results / "config.json").read_text())
    known["config"][known["corpus"]]["faces"]["picture"] = "half"  # of the picture: supplied crops are not looked at
    (results / "config.json").write_text(json.dumps(known))
    assert CliRunner().invoke(pack, list(map(str, [*given, "--out", tmp_path / "half"]))).exit_code == 0
    assert OTHER_CROPS not in (tmp_path / "half" / "README.md").read_text()


def test_times_come_from_tables_subtitles_and_rttm(tmp_path):
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    table, srt, rttm = (tmp_path / f"times.{kind}" for kind in ("csv", "srt", "rttm"))
    table.write_text("video,start_s,end_s,person,side\none.mp4,0.5,2,ann,left\ntwo,1,3,,\n")
    srt.write_text("1\n00:00:01,500 --> 00:00:03,000\nlay blue\n")
    rttm.write_text("SPEAKER two 1 0.25 1.50 <NA> <NA> bob <NA> <NA>\n")
    assert read_spans(table, [one, two]) == {one: [Span(0.5, 2, "ann", "left")], two: [Span(1, 3)]}
    assert read_spans(srt, [one]) == {one: [Span(1.5, 3, text="lay blue")]}
    vtt = tmp_path / "times.vtt"
    vtt.write_text("WEBVTT\n\n00:01.500 --> 00:03.000\n<v Ann Smith>lay <00:02.000>blue</v>\n")
    assert read_spans(vtt, [one]) == {one: [Span(1.5, 3, "Ann Smith", text="lay blue")]}
    assert read_spans(rttm, [one, two]) == {one: [], two: [Span(0.25, 1.75, "bob")]}
    with pytest.raises(InputError, match="does not say which of 2 recordings it is about"):
        read_spans(srt, [one, two])
    table.write_text("start_s,end_s,side,picture\n0,1,Left,whole\n1,2,Whole,LEFT_HALF\n2,3,,\n")
    assert read_spans(table, [one]) == {one: [Span(0, 1, side="left"), Span(1, 2, picture="left_half"), Span(2, 3)]}
    table.write_text("start_s,end_s,side\n0,1,middle\n")
    with pytest.raises(InputError, match="line 2: side 'middle' is none of whole, left, right"):
        read_spans(table, [one])
    table.write_text("start_s,end_s\n3,2\n")
    with pytest.raises(InputError, match=r"line 2: 3 to 2 s is no stretch"):
        read_spans(table, [one])


@pytest.mark.parametrize(
    "text",
    [
        "video,start_s,end_s,speaker,label\none.mp4,0.5,2,ann,happy\none.mp4,2,3.25,,sad\n",
        "Video;Start_s;End_s;Person;label\none.mp4;0,5;2;ann;happy\none.mp4;2;3,25;;sad\n",
        "sep=;\nvideo;start_s;end_s;speaker;label\none.mp4;0,5;2,0;ann;happy\n\none.mp4;2,0;3,25;;sad\n",
        "video\tstart_s\tend_s\tperson\tspeaker\tlabel\none.mp4\t0.5\t2\tann\teve\thappy\none.mp4\t2\t3.25\t\t\tsad\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_tables_of_times_are_those_that_corpora_have(tmp_path, caplog, text, encoding):
    one, table = tmp_path / "one.mp4", tmp_path / "labels.csv"
    table.write_bytes(text.encode(encoding))
    caplog.set_level("INFO")
    assert read_spans(table, [one]) == {one: [Span(0.5, 2, "ann"), Span(2, 3.25)]}
    (said,) = caplog.messages
    assert said.endswith("columns that mean nothing here: label")
    table.write_text("start_s,end_s,person,text\n0,1,NA,nan\n1,2,NULL,\n")
    assert read_spans(table, [one]) == {one: [Span(0, 1, "NA", text="nan"), Span(1, 2, "NULL")]}
    table.write_text("start_s,end_s\n0,5,2\n")
    with pytest.raises(InputError, match=r"labels.csv, line 2: 3 fields under 2 columns"):
        read_spans(table, [one])


def test_the_help_names_every_column_of_a_table_of_times():
    said = next(option.help for option in command.predict.params if option.name == "segments")
    assert set(USED) <= set(re.findall(r"\w+", said))


def test_times_are_of_the_recording_whose_path_ends_as_the_table_says(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    table, here = tmp_path / "times.csv", Path("01.mp4")
    ann, bob, monday = Path("ann/01.mp4"), tmp_path / "bob" / "01.mp4", Path("talks/monday.mp4")

    def write(*names):
        table.write_text("video,start_s,end_s\n" + "".join(f"{name},{k},{k + 1}\n" for k, name in enumerate(names)))

    write("talks/monday.mp4", "./talks/monday", f"{tmp_path}/talks/monday.mp4", "../talks/monday.mp4")
    assert [span.start_s for span in read_spans(table, [monday])[monday]] == [0, 1, 2, 3]
    write("bob/01.mp4", "ann/01", "ann/01.mp4", "eve/01.mp4")
    assert read_spans(table, [ann, bob]) == {ann: [Span(1, 2), Span(2, 3)], bob: [Span(0, 1)]}
    assert "eve/01.mp4" in caplog.text
    write("01.mp4", "ann/01.mp4")  # a path that was given so
    assert read_spans(table, [here, ann]) == {here: [Span(0, 1)], ann: [Span(1, 2)]}
    for name in ("01.mp4", "01"):
        write(name)
        with pytest.raises(InputError, match=rf"{name} may be any of ann/01.mp4, .*bob/01.mp4"):
            read_spans(table, [ann, bob])
    names = [unicodedata.normalize(form, "Jürgen/é.mp4") for form in ("NFC", "NFD")]
    for name, recording in (names, names[::-1]):
        write(name)
        assert read_spans(table, [Path(recording)]) == {Path(recording): [Span(0, 1)]}
    write("eve/01.mp4", *(f"day/{k}.mp4" for k in range(4)))
    with pytest.raises(InputError, match=r"names eve/01.mp4, day/0.mp4, day/1.mp4 and 2 more, which is none"):
        read_spans(table, [ann])


def test_a_recording_of_which_a_table_gives_no_times_is_told_from_one_that_is_too_short(predictors, shared):
    path = shared / "media" / "grid" / "swwp2s.mpg"
    with pytest.raises(InputError, match="--segments gives no times for it; leave it out or give some"):
        predictors["iemocap"].answer(path, Wish(spans=[]))
    with pytest.raises(InputError, match="none of the given times lies in it"):
        predictors["iemocap"].answer(path, Wish(spans=[Span(60, 61)]))


def test_given_times_that_end_after_a_recording_are_cut_and_that_is_said(shared):
    path = shared / "media" / "grid" / "swwp2s.mpg"
    spans = [Span(0, 1), Span(1, 3.01), Span(1, 5), Span(60, 61)]
    found = open_recording(path, False, Wish(spans=spans))
    assert [segment.end_s for segment in found.segments] == [1, found.duration_s, found.duration_s]
    left = "1 of the given times lie after its end at 3.00 s."
    assert found.notes[-2:] == (left, "1 of the given times ends after its end at 3.00 s and is cut.")
    assert open_recording(path, False, Wish(spans=spans[:2])).notes == found.notes[:-2]
    notes = open_recording(path, False, Wish(spans=[Span(2, 4), Span(0, 5)])).notes
    assert notes[-1] == "2 of the given times end after its end at 3.00 s and are cut."


@pytest.mark.parametrize("stretch_s", [600.0, 1.5])  # looked at in one go, or in two whose seam is within speech
def test_speech_is_found_where_it_is(shared, monkeypatch, stretch_s):
    monkeypatch.setattr("models.apply.turns.STRETCH_S", stretch_s)
    words = [line.split() for line in (shared / "media" / "grid" / "swwp2s.align").read_text().splitlines()]
    spoken_s = [float(t) / 25_000 for first, last, word in words if word != "sil" for t in (first, last)]
    (turn,) = speech(shared / "media" / "grid" / "swwp2s.mpg", 3.0)
    assert turn.start_s == pytest.approx(min(spoken_s), abs=0.35)
    assert turn.end_s == pytest.approx(max(spoken_s), abs=0.5)
    assert not speech(shared / "media" / "clips" / "WolfgangLanger_Pexels.mp4", 5.0)


def test_windows_cover_a_recording_to_its_end():
    assert windows(12.0, 5.0, 5.0) == [Span(0, 5), Span(5, 12)]
    assert windows(13.0, 5.0, 5.0) == [Span(0, 5), Span(5, 10), Span(10, 13)]
    assert windows(2.0, 5.0, 2.5) == [Span(0, 2)]
    assert windows(10.0, 5.0, 1.0) == [Span(k, k + 5) for k in range(6)]  # none of what the last one holds
    assert windows(10.3, 5.0, 1.0)[5:] == [Span(5, 10.3)]
    assert windows(10.7, 5.0, 1.0)[5:] == [Span(5, 10), Span(6, 10.7)]
    assert windows(150.0, 2.0, 60.0) == [Span(0, 2), Span(60, 62), Span(120, 122)]
    assert windows(121.5, 2.0, 60.0)[1:] == [Span(60, 62), Span(120, 121.5)]
    assert windows(120.5, 2.0, 60.0) == [Span(0, 2), Span(60, 62)]


@given(st.floats(0.1, 100), st.floats(0.2, 20), st.floats(0.2, 20))
def test_windows_are_a_little_shorter_or_longer_at_most(end_s, window_s, hop_s):
    found = windows(end_s, window_s, hop_s)
    little_s = min(window_s, hop_s) / 2 + 1e-6
    assert [span.start_s for span in found] == pytest.approx([k * hop_s for k in range(len(found))])
    lasting = [span.end_s - span.start_s for span in found]
    assert lasting[:-1] == pytest.approx([window_s] * (len(found) - 1))
    assert abs(lasting[-1] - window_s) <= little_s or end_s < window_s
    assert all(span.end_s <= end_s for span in found)
    assert hop_s > window_s or found[-1].end_s == end_s


def test_folders_and_patterns_are_their_recordings(tmp_path, caplog):
    left = ("c.mp4.part", ".d.mov.Xy12Za")
    for name in ("b.mkv", "a.wav", "notes.txt", "._b.mkv", *left):
        (tmp_path / name).touch()
    assert find([str(tmp_path)]) == [tmp_path / "a.wav", tmp_path / "b.mkv"]
    assert {record.args[0] for record in caplog.records} == {tmp_path / name for name in left}
    assert find([str(tmp_path / "*.mkv"), str(tmp_path / "b.mkv")]) == [tmp_path / "b.mkv"]
    with pytest.raises(InputError, match=r"no recording matches this pattern"):
        find([str(tmp_path / "*.avi")])
    (tmp_path / "below" / "old.mp4").mkdir(parents=True)
    (tmp_path / "below" / "e.MP4").touch()
    assert find([str(tmp_path / "**")]) == [tmp_path / "a.wav", tmp_path / "b.mkv", tmp_path / "below" / "e.MP4"]
    with pytest.raises(InputError, match=r"no recording matches this pattern \(such as \.mp4"):
        find([str(tmp_path / "*.txt")])


def test_a_recording_of_two_spellings_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path)
    assert find(["b.wav", str(tmp_path), "link/a.wav"]) == [Path("b.wav"), tmp_path / "a.wav"]


def test_a_temperature_is_found_again_and_the_error_is_by_its_definition():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 2
    truth = np.array([rng.choice(4, p=p) for p in softmax(logits, axis=1)])
    sure = np.exp(log_softmax(logits * 2.5, axis=1))  # says it 2.5 times as sharply as it is
    assert fit_temperature([(sure[None], truth)]) == pytest.approx(2.5, rel=0.05)
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    right = p.argmax(1) == np.array([0, 1, 1, 1])
    assert calibration_error(p.max(1), right) == pytest.approx((abs(1.8 - 1) + abs(1.2 - 2)) / 4)


def test_what_is_calibrated_is_the_mean_that_is_shown():
    """Truth drawn from means of three tempered networks: the temperature is found again, over folds of unlike sizes."""
    rng = np.random.default_rng(1)
    parts = []
    for count in (9_000, 3_000):
        logits = rng.normal(size=(3, count, 4)) * 2
        shown = softmax(logits, axis=-1).mean(0)
        truth = np.array([rng.choice(4, p=p) for p in shown])
        parts.append((softmax(logits * 1.8, axis=-1), truth))  # what the networks say: 1.8 times as sharp
    found = fit_temperature(parts)
    assert found == pytest.approx(1.8, rel=0.05)
    for p, _ in parts:
        np.testing.assert_allclose(tempered(p, found), softmax(np.log(p) / found, axis=-1), atol=1e-12)


# The command as a process of its own, in bad conditions.


def started(*arguments, python=sys.executable, **options) -> subprocess.Popen:
    command = [python, "-m", "affectflow", "predict", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True, **options)


def wait_for(path: Path, process: subprocess.Popen) -> None:
    end_s = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end_s, f"{path} did not come"
        time.sleep(0.02)


@pytest.fixture
def clips(shared, tmp_path):
    """Five recordings in a folder, and a folder for temporary files."""
    for number, path in enumerate(sorted((shared / "media" / "grid").glob("*.mpg"))[:5]):
        (tmp_path / "talks").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "talks" / f"{number}.mpg")
    (tmp_path / "temporary").mkdir()
    return tmp_path / "talks", {**os.environ, "TMPDIR": str(tmp_path / "temporary")}


@pytest.mark.parametrize("cores", [1, 2])
def test_control_c_leaves_what_is_done_and_nothing_else(made, clips, tmp_path, cores):
    (folder, environment), out = clips, tmp_path / "out"
    process = started(made["affwild2"][2], folder, "--out", out, "--cores", cores, env=environment)
    wait_for(out / "0.json", process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the whole group
    said = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 1
    assert said[-1] == "stopped by the user; run the same command again to go on"
    assert not any("Traceback" in line for line in said)
    done = sorted(path.stem for path in out.glob("*.json"))
    assert 1 <= len(done) < 5
    suffixes = {"csv", "html", "json", "parquet", "png", "TextGrid", "vtt"}
    files = {f"{name}.{suffix}" for name in done for suffix in suffixes}
    assert {path.name for path in out.iterdir()} == files | {"recordings.csv"}
    assert pd.read_csv(out / "recordings.csv", dtype=str).recording.unique().tolist() == done
    assert list((tmp_path / "temporary").iterdir()) == []
    before = {out / name: (out / name).stat().st_mtime_ns for name in files}

    warm = {"python": warm_jobs.python(), "env": environment | {"OMP_NUM_THREADS": "1"}}
    process = started(made["affwild2"][2], folder, "--out", out, "--cores", cores, **warm)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert said.count("predicted before") == len(done)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path.stem for path in out.glob("*.json")} == set("01234")
    assert pd.read_csv(out / "recordings.csv", dtype=str).recording.unique().tolist() == list("01234")


def test_a_process_that_is_ended_from_outside_costs_its_recording_alone(made, clips, tmp_path):
    """As the system does where memory runs out."""
    (folder, environment), out = clips, tmp_path / "out"
    process = started(made["affwild2"][2], folder, "--out", out, "--cores", 2, env=environment)
    while not list((tmp_path / "temporary").glob("*/*")):  # one is at work, and both have been given a recording
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 1
    (lost,) = re.findall(r"(\d)\.mpg failed: its process was ended from outside", said)
    assert re.search(rf"1 of 5 recordings failed: \S+/{lost}\.mpg$", said)
    assert {path.stem for path in out.iterdir()} == {*"01234", "recordings"} - {lost}
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("name", ["1", "4"])  # of five; the fifth is the last
def test_a_full_disk_costs_what_does_not_fit(made, clips, tmp_path, name):
    """Files may grow to 2 MB: features of three seconds fit, the faces of sixty do not."""
    (folder, environment), out = clips, tmp_path / "out"
    ffmpeg("-stream_loop", "19", "-i", folder / f"{name}.mpg", "-c", "copy", tmp_path / "long.mpg")
    shutil.move(tmp_path / "long.mpg", folder / f"{name}.mpg")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    warm = {"python": warm_jobs.python(), "env": environment | {"OMP_NUM_THREADS": "1"}}
    process = started(made["affwild2"][2], folder, "--out", out, preexec_fn=limit, **warm)
    said = process.communicate(timeout=600)[1].splitlines()
    assert process.returncode == 1, "nothing may crash at the end"
    assert re.search(rf"{name}\.mpg failed: File too large: \S+$", "\n".join(said), re.MULTILINE)
    assert re.search(rf"1 of 5 recordings failed: \S+/{name}\.mpg$", said[-2])
    assert re.fullmatch(rf"error: File too large: {tmp_path}/temporary/\S+; make room, .*", said[-1])
    assert {path.stem for path in out.iterdir()} == {*"01234", "recordings"} - {name}
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own that holds the outputs of two or three short recordings."""
    (tmp_path / "out").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=320k", "tmpfs", tmp_path / "out"]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    yield tmp_path / "out"
    subprocess.run(["umount", "--lazy", tmp_path / "out"], check=True)


@pytest.mark.slow
def test_an_output_folder_that_is_full_keeps_whole_recordings_and_takes_the_rest_when_there_is_room(
    made, clips, small_disk, tmp_path
):
    folder, environment = clips
    warm = {"python": warm_jobs.python(), "env": environment | {"OMP_NUM_THREADS": "1"}}
    process = started(made["affwild2"][2], folder, "--out", small_disk, **warm)
    said = process.communicate(timeout=600)[1]
    assert process.returncode == 1
    assert "No space left on device" in said.splitlines()[-1]
    done = {path.stem for path in small_disk.glob("*.json")}
    assert 1 <= len(done) < 5
    assert {path.stem for path in small_disk.iterdir()} - {"recordings"} == done
    (full,) = re.findall(r"(\d)\.mpg failed: No space left on device", said)
    (left,) = re.findall(r"nothing more can be written; not begun: (.*)", said)
    assert {full, *re.findall(r"(\d)\.mpg", left)} == set("01234") - done
    before = {path: path.stat().st_mtime_ns for path in small_disk.glob("[0-9].*")}
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    process = started(made["affwild2"][2], folder, "--out", small_disk, **warm)
    said = process.communicate(timeout=600)[1]
    assert process.returncode == 0, said
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path.stem for path in small_disk.glob("*.json")} == set("01234")


def test_a_process_that_ends_between_two_recordings_costs_neither(monkeypatch, tmp_path):
    seen, wait = [], batch.wait

    def start(order, workers):
        ours, its = Pipe()

        def work():
            seen.append(its.recv()[0].name)
            its.send(None)
            its.close()

        thread = Thread(target=work)
        thread.start()
        workers[ours] = SimpleNamespace(terminate=lambda: None, join=thread.join)
        return ours

    def wait_for_its_end(pipes):
        ready = wait(pipes)
        time.sleep(0.1)
        return ready

    monkeypatch.setattr(batch, "_start", start)
    monkeypatch.setattr(batch, "wait", wait_for_its_end)
    todo = [(batch.Request(tmp_path / name, Wish(), name), {}) for name in ("a", "b", "c")]
    assert batch._at_once(batch.Order(tmp_path, tmp_path, tmp_path), todo, count=1) == {}
    assert seen == ["a", "b", "c"]


@pytest.mark.slow
def test_the_stages_that_make_bench_times_are_most_of_a_prediction(made, shared, tmp_path):
    clip = shared / "media" / "grid" / "swwp2s.mpg"
    timed = [sys.executable, "-m", "benchmarks.predict", made["affwild2"][2], clip, "--out", "out"]
    done = run_measured(timed, tmp_path)
    spent = json.loads(done.text.splitlines()[-1])
    assert 0.3 < spent["stages_s"] / spent["wall_s"] < 1
    assert 200 < done.peak_mb < 2000


def test_cores_limit_the_threads_of_one_recording_too():
    """Libraries read their number of threads when they are loaded, so it must be known before."""
    script = """if True:
        from pathlib import Path
        from models.apply import batch
        from models.apply.recordings import Wish

        def threads(order, model, todo):
            import torch
            print(torch.get_num_threads())

        def model(*_):
            import torch  # as a fusion of one's own does, where the model is opened

        batch.Model, batch._key = model, lambda *_: {}
        batch._one_by_one = threads
        folder = Path("nowhere")
        request = batch.Request(folder / "a.mp4", Wish(), "a")
        batch.predict_all(batch.Order(folder, folder, folder), [request], cores=1)
    """
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
