"""Training: repeatable to the byte, whole after being killed, right by other libraries, and clear about bad input."""

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pyarrow.parquet import read_table
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss
from torch.utils.data import DataLoader

from models import fit as fitting
from models.__main__ import main
from models.data import SegmentDataset, collate
from models.inference import load_network
from models.items import cut_windows
from models.predictions import read_predictions, seed_folders
from models.task import Task
from pipeline.records import Assignment, InputError, Segment, read_fold, write_table
from pipeline.store import FeatureStore, Rows
from pipeline.timebase import to_grid
from tests import warm_jobs
from tests.network_material import TASKS
from tests.training_material import (
    CLASSES,
    DIMS,
    NETWORKS,
    TRAINING,
    check_said_again,
    class_split,
    contents,
    emotional_turns,
    frame_labels,
    frame_rows,
    frame_split,
    start,
    task_job,
    train_arguments,
    turn_rows,
    videos,
    write_material,
    write_store,
)

CLASSES_TASK = Task("classes", "segment")

ROOT = Path(__file__).resolve().parent.parent
SELF, RCMA = NETWORKS["segment"], NETWORKS["frame"]
SEGMENT, FRAME = TRAINING["segment"], TRAINING["frame"]


@pytest.fixture(scope="module")
def turns(tmp_path_factory):
    """Split and feature stores of the segment task."""
    folder = tmp_path_factory.mktemp("turns")
    segments = emotional_turns()
    write_table(folder / "split.tsv", class_split(segments), Assignment)
    return folder / "split.tsv", {
        m: write_store(folder / f"{m}.h5", turn_rows(segments, m, 0.3, missing=[segments[2].segment_id]), m)
        for m in DIMS
    }


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    """Split, feature stores and labels of the frame task."""
    folder = tmp_path_factory.mktemp("tracks")
    segments = videos()
    labels = frame_labels(segments)
    write_table(folder / "split.tsv", frame_split(segments), Assignment)
    stores = {m: write_store(folder / f"{m}.h5", frame_rows(labels, m), m, corpus="affwild2") for m in DIMS}
    return folder / "split.tsv", stores, write_store(folder / "labels.h5", labels, "label", corpus="affwild2")


def run(arguments):
    done = CliRunner().invoke(main, ["train", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return Path(arguments[-1])


def segment_job(tmp_path, turns, out="run", network=SELF, modalities=("audio", "text"), fold=0, **changes):
    split, stores = turns
    features = {m: stores[m] for m in modalities}
    return train_arguments(tmp_path, "segment", split, features, out, network, SEGMENT | changes, fold=fold)


def frame_job(tmp_path, tracks, out="run", network=RCMA, modalities=("audio", "video"), **changes):
    split, stores, labels = tracks
    features = {m: stores[m] for m in modalities}
    return train_arguments(tmp_path, "frame", split, features, out, network, FRAME | changes, labels)


def rows(path):
    if path.suffix == ".parquet":
        return read_table(path).to_pylist()
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream, delimiter="," if path.suffix == ".csv" else "\t"))


# What comes out


def test_speakers_are_told_by_the_table_of_segments(tmp_path, turns):
    """Normalised by speaker, a test speaker's features are worth the same in another unit; otherwise they are not."""
    split, _ = turns
    segments = emotional_turns()
    write_table(tmp_path / "segments.tsv", segments, Segment)
    tests = {a.segment_id for a in read_fold(split, 0) if a.part == "test"}
    rows_of = turn_rows(segments, "audio", 0.3, missing=[segments[2].segment_id])
    louder = {i: Rows(r.values * (40 if i in tests else 1), r.time_s, r.valid) for i, r in rows_of.items()}
    other = split, {"audio": write_store(tmp_path / "louder.h5", louder, "audio")}
    found = {}
    for normalise in (True, "speaker"):
        for name, given in (("as it was", turns), ("louder", other)):
            changes = {"modalities": ["audio"], "normalise": normalise, "seeds": [1]}
            arguments = segment_job(tmp_path, given, f"{normalise} {name}", **changes)
            with pytest.raises(InputError, match="give who speaks") if normalise == "speaker" else nullcontext():
                run(arguments)
            out = run(["--segments", str(tmp_path / "segments.tsv"), *arguments])
            table = [row for row in rows(out / "predictions.parquet") if row["part"] == "test"]
            found[normalise, name] = np.array([[row[f"p_{c}"] for c in CLASSES] for row in table])
    assert np.abs(found[True, "as it was"] - found[True, "louder"]).max() > 0.1
    np.testing.assert_allclose(found["speaker", "as it was"], found["speaker", "louder"], atol=1e-3)


def test_segment_run_is_complete_and_its_scores_are_sklearns(tmp_path, turns):
    out = run(segment_job(tmp_path, turns, epochs=6))
    split, _ = turns
    fold = {(a.segment_id, a.part): a.label for a in read_fold(split, 0)}
    table = rows(out / "predictions.parquet")
    assert list(table[0]) == ["segment_id", "seed", "part", "label", "predicted", *(f"p_{c}" for c in CLASSES)]
    for seed in (1, 2):
        mine = [r for r in table if r["seed"] == seed]
        found = {(r["segment_id"], r["part"]): r["label"] for r in mine}
        assert found == {key: label for key, label in fold.items() if key[1] != "training"}
        assert len(mine) == len(found)
        for r in mine:
            p = [float(r[f"p_{c}"]) for c in CLASSES]
            assert abs(sum(p) - 1) < 1e-4
            assert r["predicted"] == CLASSES[int(np.argmax(p))]
        folder = out / f"seed{seed}"
        assert sorted(p.name for p in folder.iterdir()) == [
            "checkpoint.safetensors",
            "history.csv",
            "predictions.parquet",
            "run.json",
        ]
        history = [{k: float(v) for k, v in r.items()} for r in rows(folder / "history.csv")]
        facts = json.loads((folder / "run.json").read_text())
        development = [r for r in mine if r["part"] == "development"]
        truth, said = [r["label"] for r in development], [r["predicted"] for r in development]
        selected = max(history, key=lambda r: r["development_accuracy"])  # the first of equals
        assert facts["selected"] == selected
        assert math.isclose(selected["development_accuracy"], accuracy_score(truth, said), rel_tol=1e-6)
        p = np.array([[float(r[f"p_{c}"]) for c in CLASSES] for r in development])
        assert math.isclose(selected["development_loss"], log_loss(truth, p / p.sum(1, keepdims=True)), rel_tol=1e-3)
        assert history[-1]["training_loss"] < history[0]["training_loss"]
        assert facts["epochs"] == len(history) == 6
        assert facts["exact"] is True
        assert facts["segments_without_rows"] == {"audio": 1, "text": 1}
        assert {"torch", "numpy", "python"} <= set(facts["versions"])
        assert set(facts["inputs"]) == {"split", "audio", "text"}
    assert read_predictions(out / "predictions.parquet", CLASSES_TASK, "test").predicted.shape == (2, 24)


def test_signal_is_learned_and_noise_is_not(tmp_path, turns):
    clear = run(segment_job(tmp_path, turns, "clear", seeds=[1], epochs=8))
    found = read_predictions(clear / "predictions.parquet", CLASSES_TASK, "test")
    assert (found.predicted == found.truth).mean() > 0.7
    segments = emotional_turns()
    noise = {"audio": write_store(tmp_path / "noise.h5", turn_rows(segments, "audio", 0.0), "audio")}
    arguments = segment_job(tmp_path, (turns[0], noise), "noise", modalities=["audio"], seeds=[1, 2, 3], epochs=8)
    found = read_predictions(run(arguments) / "predictions.parquet", CLASSES_TASK, "test")
    assert (found.predicted == found.truth).mean() < 0.6


def test_a_checkpoint_predicts_again_what_was_written(tmp_path, turns):
    out = run(segment_job(tmp_path, turns, seeds=[4]))
    network, normalisers, facts = load_network(out / "seed4")
    split, stores = turns
    features = {m: stores[m] for m in facts["model"]["dims"]}
    step_s = facts["training"]["grid_hop_s"]
    data = SegmentDataset.from_split(features, split, 0, "test", max_s=SEGMENT["max_s"], step_s=step_s)
    for m in features:
        assert torch.equal(data.normalisers[m].mean, normalisers[m].mean)
    said = {}
    with torch.inference_mode():
        for batch in DataLoader(data, batch_size=5, collate_fn=collate):
            p = network(batch.values, batch.masks).softmax(-1)
            said.update((data.segment_ids[i], x.numpy()) for i, x in zip(batch.items, p))
    written = {r["segment_id"]: r for r in rows(out / "predictions.parquet") if r["part"] == "test"}
    assert set(written) == set(said)
    for segment_id, r in written.items():
        np.testing.assert_allclose([float(r[f"p_{c}"]) for c in CLASSES], said[segment_id], atol=2e-5)
    check_said_again(out / "seed4", *turns)
    with pytest.raises(InputError, match="no finished training"):
        load_network(tmp_path)


def test_scores_without_a_modality_are_those_of_items_that_lack_it(tmp_path, turns):
    out = run(segment_job(tmp_path, turns, seeds=[4]))
    network, _, facts = load_network(out / "seed4")
    split, stores = turns
    features = {m: stores[m] for m in facts["model"]["dims"]}
    step_s = facts["training"]["grid_hop_s"]
    data = SegmentDataset.from_split(features, split, 0, "test", max_s=SEGMENT["max_s"], step_s=step_s)
    truth, said = [], {"nothing": [], "audio": [], "text": []}
    for i in range(len(data)):
        truth.append(data[i].target)
        for absent, answers in said.items():
            batch = collate([data[i]])
            kept = {m: mask & (m != absent) for m, mask in batch.masks.items()}
            with torch.inference_mode():
                answers.append(int(network({m: v * (m != absent) for m, v in batch.values.items()}, kept).argmax()))
    assert facts["without"].keys() == said.keys()
    for absent, answers in said.items():
        assert math.isclose(facts["without"][absent]["accuracy"], accuracy_score(truth, answers))
        assert math.isclose(facts["without"][absent]["balanced_accuracy"], balanced_accuracy_score(truth, answers))
    assert facts["without"]["nothing"] != facts["without"]["audio"]
    alone = run(segment_job(tmp_path, turns, "alone", modalities=["audio"], seeds=[4], epochs=1))
    assert json.loads((alone / "seed4" / "run.json").read_text())["without"] == {}


def test_a_model_may_train_in_its_own_way(tmp_path, turns):
    network = SELF | {"training": {"modality_dropout": 0.4}}
    out = run(segment_job(tmp_path, turns, network=network, seeds=[4], epochs=1))
    facts = json.loads((out / "seed4" / "run.json").read_text())
    assert facts["training"]["modality_dropout"] == 0.4
    assert facts["training"]["epochs"] == 1


def ccc_by_definition(x, y):
    x, y = np.asarray(x, float), np.asarray(y, float)
    return 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def test_frame_run_averages_windows_per_frame_and_its_ccc_is_lins(tmp_path, tracks):
    import pandas

    out = run(frame_job(tmp_path, tracks, epochs=4))
    split, stores, labels = tracks
    truth = FeatureStore(labels)
    table = pandas.read_parquet(out / "predictions.parquet")
    part = {a.segment_id: a.part for a in read_fold(split, 0)}
    network, normalisers, _ = load_network(out / "seed2")
    for (seed, segment_id), mine in table.groupby(["seed", "segment_id"], observed=True):
        label = truth[segment_id]
        assert set(mine["part"]) == {part[segment_id]}
        assert mine["frame"].tolist() == list(range(len(label)))
        np.testing.assert_array_equal(mine["time_s"], label.time_s[:, 0])
        np.testing.assert_array_equal(mine["valid"], label.valid)
        for k, name in enumerate(("valence", "arousal")):
            np.testing.assert_array_equal(mine[f"truth_{name}"], np.where(label.valid, label.values[:, k], np.nan))
        if seed == 2:
            np.testing.assert_allclose(
                mine[["prediction_valence", "prediction_arousal"]],
                predicted_by_hand(network, normalisers, stores, label, segment_id),
                atol=1e-5,
            )
    assert {p for p in part.values() if p != "training"} == set(table["part"])
    for seed in (1, 2):
        chosen = table[(table["seed"] == seed) & (table["part"] == "development") & table["valid"]]
        selected = json.loads((out / f"seed{seed}" / "run.json").read_text())["selected"]
        each = [ccc_by_definition(chosen[f"truth_{n}"], chosen[f"prediction_{n}"]) for n in ("valence", "arousal")]
        np.testing.assert_allclose(
            [selected[f"development_ccc_{n}"] for n in ("valence", "arousal", "mean")],
            [*each, np.mean(each)],
            atol=1e-5,
        )
        assert math.isclose(selected["development_loss"], 1 - np.mean(each), abs_tol=1e-5)
        history = rows(out / f"seed{seed}" / "history.csv")
        assert max(float(r["development_ccc_mean"]) for r in history) == selected["development_ccc_mean"]
        assert selected["development_ccc_mean"] > 0.3


def predicted_by_hand(network, normalisers, stores, label, segment_id):
    """One window at a time, features brought to the frames of the whole video, sums kept per frame."""
    values, masks = {}, {}
    for m in normalisers:
        store = FeatureStore(stores[m])
        x, seen = to_grid(store[segment_id].values, store[segment_id].time_s, store[segment_id].valid, label.time_s)
        masks[m] = torch.from_numpy(seen)[None]
        values[m] = normalisers[m](torch.from_numpy(x)[None], masks[m])
    said = defaultdict(list)
    for a in cut_windows(len(label), FRAME["window"], FRAME["window_hop"]):
        part = slice(a, a + FRAME["window"])
        with torch.inference_mode():
            y = network({m: v[:, part] for m, v in values.items()}, {m: v[:, part] for m, v in masks.items()})[0]
        for t, one in enumerate(y.numpy(), start=a):
            said[t].append(one)
    return [np.mean(said[t], axis=0) for t in range(len(label))]


@pytest.mark.parametrize("fusion", ["cross_attention", "cross_self_attention", "concatenation", "late", "rjcma"])
def test_every_fusion_trains_on_segments_and_frames(tmp_path, turns, tracks, fusion):
    network, truth = {"fusion": fusion, "width": 12, "embedding": 8}, FeatureStore(tracks[2])
    segments = run(segment_job(tmp_path, turns, "s", network, seeds=[1], epochs=1, class_weights=True))
    check_said_again(segments / "seed1", *turns)
    frames = run(frame_job(tmp_path, tracks, "f", network, seeds=[1], epochs=1))
    for out, split, items in ((segments, turns[0], lambda _: 1), (frames, tracks[0], lambda name: len(truth[name]))):
        (epoch,) = rows(out / "seed1/history.csv")
        assert math.isfinite(float(epoch["training_loss"]))
        table = [row for row in rows(out / "predictions.parquet") if row["part"] == "test"]
        tests = {a.segment_id for a in read_fold(split, 0) if a.part == "test"}
        assert Counter(row["segment_id"] for row in table) == {name: items(name) for name in tests}
        said = [[x for k, x in row.items() if k.startswith(("p_", "prediction_"))] for row in table]
        assert np.isfinite(np.array(said, float)).all()


def test_a_published_model_trains_in_double_precision(tmp_path, turns, tracks):
    published = {**SELF, "fusion": "self_attention", "faithful": True}
    out = run(segment_job(tmp_path, turns, "p", published, modalities=["text"], seeds=[1], epochs=1))
    network, _, facts = load_network(out / "seed1")
    assert {p.dtype for p in network.parameters()} == {torch.float64}
    assert facts["model"]["max_steps"] == {"text": 128}
    check_said_again(out / "seed1", *turns)


def test_training_stops_when_the_development_score_no_longer_rises(tmp_path, turns):
    out = run(segment_job(tmp_path, turns, epochs=60, stop_patience=2))
    for seed in SEGMENT["seeds"]:
        score = [float(r["development_accuracy"]) for r in rows(out / f"seed{seed}" / "history.csv")]
        best = int(np.argmax(score))
        assert len(score) == best + 1 + 2 < 60


@pytest.mark.parametrize("reload_best", [True, False])
def test_after_a_worse_epoch_training_goes_on_from_the_best_weights_if_asked(tmp_path, turns, reload_best, monkeypatch):
    scores = iter([0.5, 0.4, 0.6, 0.6])
    seen = []

    def development(self):
        seen.append({k: v.clone() for k, v in self.network.state_dict().items()})
        return {"loss": 1.0, "accuracy": next(scores)}

    def equal(a, b):
        return all(torch.equal(a[k], b[k]) for k in b)

    monkeypatch.setattr(fitting.Run, "development", development)
    original, starts = fitting.Run.learn, []

    def learn(self, batches):
        starts.append({k: v.clone() for k, v in self.network.state_dict().items()})
        return original(self, batches)

    monkeypatch.setattr(fitting.Run, "learn", learn)
    out = run(segment_job(tmp_path, turns, seeds=[1], epochs=4, reload_best=reload_best))
    assert equal(starts[1], seen[0])  # the first is the best so far
    assert equal(starts[2], seen[0] if reload_best else seen[1])
    assert equal(starts[3], seen[2])
    network, _, facts = load_network(out / "seed1")
    assert facts["selected"]["epoch"] == 3  # the first of equals
    assert equal(network.state_dict(), seen[2])


# The same bytes


@pytest.mark.parametrize("task", ["segment", "frame"])
def test_two_runs_give_the_same_bytes(tmp_path, turns, tracks, task):
    make = segment_job if task == "segment" else frame_job
    corpus = turns if task == "segment" else tracks
    one = contents(run(make(tmp_path, corpus, "one")))
    assert one == contents(run(make(tmp_path, corpus, "two")))
    if task == "segment":  # in another process, from files instead of memory
        command = make(tmp_path, corpus, "three", memory_budget_gb=1e-9, resume_every_s=0)
        start(command)
        three = contents(tmp_path / "three")
        # The digest covers the code that is loaded, and a test loads more of it.
        assert all(three[name] == one[name] for name in one if not name.endswith("run.json"))
    other = contents(run(make(tmp_path, corpus, "four", seeds=[2, 5])))
    assert other["seed2/history.csv"] == one["seed2/history.csv"]  # a seed does not depend on the others
    assert other["seed5/history.csv"] != one["seed1/history.csv"]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_every_task_learns_and_repeats_itself(tmp_path, task):
    material = write_material(tmp_path, task)
    one, two = (run(task_job(tmp_path, task, *material, out, epochs=4)) for out in ("one", "two"))
    assert contents(one) == contents(two)
    for seed in (1, 2):
        history = [{k: float(v) for k, v in r.items()} for r in rows(one / f"seed{seed}" / "history.csv")]
        score = "development_ccc_mean" if task.numbers else "development_accuracy"
        assert history[-1]["training_loss"] < history[0]["training_loss"]
        assert max(r[score] for r in history) > (0.3 if task.numbers else 0.5)


class Killed(BaseException):
    """Stands for a signal: nothing may catch it."""


@pytest.mark.parametrize("task", ["segment", "frame"])
def test_a_job_stopped_after_every_single_step_ends_in_the_same_bytes(tmp_path, turns, tracks, task, monkeypatch):
    make = segment_job if task == "segment" else frame_job
    corpus = turns if task == "segment" else tracks
    expected = contents(run(make(tmp_path, corpus, "whole")))
    arguments = make(tmp_path, corpus, "stopped", resume_every_s=0)
    counter = {"left": 0}

    def step(original):
        def wrapper(*args, **kwargs):
            if counter["left"] == 0:
                raise Killed
            counter["left"] -= 1
            return original(*args, **kwargs)

        return wrapper

    monkeypatch.setattr(fitting.Run, "epoch", step(fitting.Run.epoch))
    monkeypatch.setattr(Path, "replace", step(Path.replace))  # how every file is moved into place
    kills = 0
    while True:
        counter["left"] = kills % 7  # epochs and files that this life may finish
        try:
            run(arguments)
            break
        except Killed:
            kills += 1
            assert kills < 60
            assert not list((tmp_path / "stopped").glob("predictions*"))
    assert kills > 10
    assert contents(tmp_path / "stopped") == expected


def test_a_killed_process_goes_on_and_ends_in_the_same_bytes(tmp_path, turns):
    expected = contents(run(segment_job(tmp_path, turns, "whole", epochs=4)))
    arguments = segment_job(tmp_path, turns, "killed", epochs=4, resume_every_s=0)
    told = ""
    for epochs in (3, 2):  # within the first seed, then soon after the beginning of the second
        command = [warm_jobs.python(), "-m", "models", "train", *arguments]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, process_group=0) as process:
            for line in process.stderr:
                told += line
                epochs -= bool(re.search(r"epoch \d+ of", line))
                if epochs == 0:
                    os.killpg(process.pid, signal.SIGKILL)
                    break
        assert process.returncode == -signal.SIGKILL
    (tmp_path / "killed" / ".predictions.half.tsv").write_text("left behind")
    told += start(arguments)
    assert told.count("goes on after epoch") >= 1
    found = contents(tmp_path / "killed")
    assert set(found) == set(expected)
    assert all(found[name] == expected[name] for name in found if not name.endswith("run.json"))


def test_finished_seeds_are_kept_and_stale_ones_are_not(tmp_path, turns, caplog, monkeypatch):
    caplog.set_level("INFO")
    out = run(segment_job(tmp_path, turns))
    before = {seed: (out / f"seed{seed}" / "run.json").stat().st_mtime_ns for seed in (1, 2)}
    first = contents(out)

    caplog.clear()
    (out / "predictions.parquet").unlink()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("platform.python_version", lambda: "3.99.0")  # changes no number
        run(segment_job(tmp_path, turns))
    assert contents(out) == first
    assert caplog.text.count("trained before") == 2
    assert "epoch" not in caplog.text

    run(segment_job(tmp_path, turns, seeds=[2, 3]))  # one dropped, one new
    assert sorted(p.name for p in out.iterdir()) == ["predictions.parquet", "seed1", "seed2", "seed3"]
    assert (out / "seed2" / "run.json").stat().st_mtime_ns == before[2]
    assert {r["seed"] for r in rows(out / "predictions.parquet")} == {2, 3}
    assert [folder.name for folder in seed_folders(out)] == ["seed2", "seed3"]  # the other is there for who asks again
    run(segment_job(tmp_path, turns))
    assert {seed: (out / f"seed{seed}" / "run.json").stat().st_mtime_ns for seed in (1, 2)} == before
    assert contents(out).items() >= first.items()
    (out / "seed1" / "history.csv").unlink()
    (out / "seed-1").mkdir()
    run(segment_job(tmp_path, turns, seeds=[2, 3]))  # what is not whole, and nobody asks for, goes
    assert sorted(p.name for p in out.iterdir()) == ["predictions.parquet", "seed2", "seed3"]

    (out / "seed3" / "history.csv").unlink()  # a damaged folder counts as not finished
    run(segment_job(tmp_path, turns, seeds=[2, 3]))
    assert (out / "seed3" / "history.csv").exists()

    run(segment_job(tmp_path, turns, seeds=[2], learning_rate=0.02))
    assert not (out / "seed3").exists()  # of other settings
    run(segment_job(tmp_path, turns, seeds=[2, 3], learning_rate=0.02))
    assert (out / "seed2" / "run.json").stat().st_mtime_ns != before[2]
    assert rows(out / "seed2" / "history.csv")[0]["learning_rate"] == "0.02"

    split, stores = turns
    changed = {m: Path(shutil.copy(path, tmp_path / path.name)) for m, path in stores.items()}
    import h5py

    with h5py.File(changed["audio"], "r+") as file:
        file["values"][0] += 1
    digest = json.loads((out / "seed2" / "run.json").read_text())["digest"]
    run(segment_job(tmp_path, (split, changed), seeds=[2], learning_rate=0.02))
    assert json.loads((out / "seed2" / "run.json").read_text())["digest"] != digest


def test_a_state_of_another_training_is_not_gone_on_from(tmp_path, turns):
    expected = contents(run(segment_job(tmp_path, turns, "whole", seeds=[1])))
    folder = tmp_path / "other" / "seed1"
    folder.mkdir(parents=True)
    for text in (b"not a state", b""):
        (folder / "resume0.pt").write_bytes(text)
        assert contents(run(segment_job(tmp_path, turns, "other", seeds=[1]))) == expected
        shutil.rmtree(folder)
        folder.mkdir()
    torch.save({"digest": "of something else"}, folder / "resume0.pt")
    assert contents(run(segment_job(tmp_path, turns, "other", seeds=[1]))) == expected


# Bad input


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--fold": "9"}, r"has no fold 9, only \[0, 1, 2, 3, 4\]"),
        ({"--modalities": "T+A"}, r"write one of A, V, T, A\+V, A\+T, V\+T, A\+V\+T"),
        ({"--modalities": "A+V"}, "give MODALITY=FILE once for each of audio, video"),
        ({"--network": '{"fusion": "cross"}'}, "--network .*there is no fusion 'cross'"),
        ({"--network": '{"fusion": "late", "widht": 3}'}, "unknown option 'widht'.* Its options are: combine"),
        ({"--network": '{"fusion": "rcma", "faithful": true}'}, "faithful is there for"),
        ({"--network": "{"}, "--network .*Invalid JSON.*its keys are fusion, combine"),
        ({"--training": '{"seeds": []}'}, "--training .*seeds: List should have at least 1"),
        ({"--training": '{"seeds": [1], "rate": 1}'}, "rate: Extra inputs.*its keys are seeds, epochs"),
        ({"--training": '{"seeds": [1, 1]}'}, "give each once"),
        ({"--training": '{"seeds": [1], "max_s": 0}'}, "max_s: Input should be greater than 0"),
        ({"--training": '{"seeds": [1], "window": 10, "window_hop": 20}'}, "skips frames"),
        ({"--training": '{"seeds": [1], "learning_rate": 1e30}'}, "lower training.learning_rate"),
        ({"--task": "frame"}, "write classes or numbers, a slash, and segment or frame"),
        ({"--task": "classes/frame"}, "give --labels labels.h5 for tasks of frames, --labels labels.tsv for numbers"),
        ({"--task": "numbers/segment:valence"}, "--labels labels.tsv for numbers of segments, and none for classes"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, turns, change, says):
    arguments = segment_job(tmp_path, turns)
    for flag, value in change.items():
        arguments[arguments.index(flag) + 1] = value
    with pytest.raises(InputError, match=says):
        run(arguments)
    assert not (tmp_path / "run" / "predictions.parquet").exists()


def test_features_that_do_not_belong_together_are_refused(tmp_path, turns, tracks):
    split, stores = turns
    segments = emotional_turns()

    def with_text(modality="text", **changes):
        text = write_store(tmp_path / "text.h5", turn_rows(segments, "text"), modality, **changes)
        return segment_job(tmp_path, (split, {**stores, "text": text}))

    with pytest.raises(InputError, match="synthetic data or weights, the other is real"):
        run(with_text(demonstration=False))
    with pytest.raises(InputError, match=r"of corpus affwild2.*iemocap"):
        run(with_text(corpus="affwild2"))
    with pytest.raises(InputError, match="holds video features, given as --feature text"):
        run(with_text(modality="video"))
    with pytest.raises(InputError, match=r"of corpus affwild2.*of iemocap"):
        run(frame_job(tmp_path, (tracks[0], stores, tracks[2])))


def test_real_labels_may_be_rehearsed_with_demonstration_features(tmp_path, tracks):
    split, stores, _ = tracks
    labels = frame_labels(videos())
    real = write_store(tmp_path / "real.h5", labels, "label", corpus="affwild2", demonstration=False)
    run(frame_job(tmp_path, (split, stores, real), seeds=[1], epochs=1))
    rows_ = {m: frame_rows(labels, m) for m in ("audio", "video")}
    genuine = {
        m: write_store(tmp_path / f"{m}.h5", r, m, corpus="affwild2", demonstration=False) for m, r in rows_.items()
    }
    with pytest.raises(InputError, match="must not mix"):
        run(frame_job(tmp_path, (split, genuine, tracks[2]), "other", seeds=[1], epochs=1))


def test_a_development_part_without_labelled_frames_is_refused(tmp_path, tracks):
    split, stores, _ = tracks
    held = {a.segment_id for a in read_fold(split, 0) if a.part == "development"}
    labels = {i: Rows(r.values, r.time_s, r.valid & (i not in held)) for i, r in frame_labels(videos()).items()}
    path = write_store(tmp_path / "labels.h5", labels, "label", corpus="affwild2")
    with pytest.raises(InputError, match="development part holds no labelled frame"):
        run(frame_job(tmp_path, (split, stores, path), seeds=[1]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_refused_where_there_is_none(tmp_path, turns):
    with pytest.raises(InputError, match=r"training\.device cuda: .*; use auto or cpu"):
        run(segment_job(tmp_path, turns, device="cuda"))


# Start-up


def test_start_up_leaves_out_what_training_does_not_need():
    code = (
        "import sys; import models.train; "
        "print(sorted({'pandas', 'sklearn', 'scipy', 'pyarrow', 'sympy', 'torch._dynamo', 'cv2', 'mediapipe', "
        "'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_a_job_imports_neither_a_compiler_nor_pandas(tmp_path, turns):
    """Both together would take longer than torch, and than a short training."""
    code = (
        "import sys; from models.__main__ import main; main(sys.argv[1:], standalone_mode=False); "
        "print(sorted({'pandas', 'pyarrow.dataset', 'sympy', 'torch._dynamo'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "train", *segment_job(tmp_path, turns)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
