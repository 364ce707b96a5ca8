"""Score tables against scikit-learn on the very rows of the prediction files."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn import metrics as truth

from models.predictions import model_and_modalities, read_predictions
from models.scores import score
from pipeline.records import InputError
from tests.prediction_files import write_frames, write_segments

CLASSES = ["ang", "hap", "neu", "sad"]


def answers(seed, fold, n=60, part="test"):
    """Rows of one seed; the labels and ids do not depend on the seed."""
    labels = np.random.default_rng([fold, len(part)]).choice(CLASSES[:3], n)  # nobody is sad
    rng = np.random.default_rng([seed, fold, len(part)])
    guesses = np.where(rng.random(n) < 0.5, labels, rng.choice(CLASSES, n))
    return [(f"Ses{fold}_{part}_{i:03d}", seed, part, a, b) for i, (a, b) in enumerate(zip(labels, guesses))]


def make_run(folder, run, shuffle=None, folds=2, seeds=(1, 2, 10)):
    rows = {}
    for fold in range(folds):
        rows[fold] = [row for part in ("test", "development") for s in seeds for row in answers(s, fold, part=part)]
        write_segments(folder, run, fold, CLASSES, rows[fold], shuffle)
    return rows


def call(command, *arguments, ok=True):
    done = CliRunner().invoke(command, [str(a) for a in arguments])
    if ok and done.exception:
        raise done.exception
    return done


def read(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def segment_tables(tmp_path):
    rows = make_run(tmp_path, "self-A+V+T")
    out = tmp_path / "tables"
    call(
        score,
        *("--task", "segment", "--results", tmp_path, "--protocol", "session", "--run", "self-A+V+T", "--folds", 2),
        *("--out", out / "scores.csv", "--confusion", out / "confusion.csv", "--per-video", out / "per_video.csv"),
    )
    return rows, out


@pytest.mark.parametrize("part", ["test", "development"])
def test_scores_equal_scikit_learn_on_the_rows(segment_tables, part):
    rows, out = segment_tables
    prefix = "" if part == "test" else "development_"
    table = {(r["fold"], r["seed"], r["metric"]): r["value"] for r in read(out / "scores.csv")}
    for fold in ("0", "1", "all"):
        chosen = [r for k in rows if fold in (str(k), "all") for r in rows[k] if r[2] == part]
        for seed in (1, 2, 10):
            labels, guesses = zip(*[(r[3], r[4]) for r in chosen if r[1] == seed])
            expected = {
                "accuracy": truth.accuracy_score(labels, guesses),
                "balanced_accuracy": np.mean(truth.recall_score(labels, guesses, average=None, labels=CLASSES[:3])),
                "macro_f1": truth.f1_score(labels, guesses, average="macro"),
            }
            for name, value in zip(CLASSES[:3], truth.recall_score(labels, guesses, average=None, labels=CLASSES[:3])):
                expected[f"recall_{name}"] = value
            for name, value in zip(CLASSES, truth.precision_score(labels, guesses, average=None, labels=CLASSES)):
                expected[f"precision_{name}"] = value
            for name, value in expected.items():
                assert float(table[fold, str(seed), prefix + name]) == pytest.approx(value, abs=1e-9), name
            assert table[fold, str(seed), f"{prefix}recall_sad"] == ""  # nobody is sad: undefined, not 0


def test_confusion_is_pooled_and_complete(segment_tables):
    rows, out = segment_tables
    table = read(out / "confusion.csv")
    counts = np.array([int(r["count"]) for r in table]).reshape(4, 4)
    tested = [r for fold in rows.values() for r in fold if r[2] == "test"]
    np.testing.assert_array_equal(
        counts, truth.confusion_matrix([r[3] for r in tested], [r[4] for r in tested], labels=CLASSES)
    )
    assert {(r["model"], r["modalities"], r["fold"], r["seed"]) for r in table} == {("self", "A+V+T", "all", "all")}
    assert read(out / "per_video.csv") == []


def test_rows_are_ordered_and_tables_identical_whatever_the_order_of_the_predictions(segment_tables, tmp_path):
    _, out = segment_tables
    other = tmp_path / "other"
    make_run(other, "self-A+V+T", shuffle=3)
    call(
        score,
        *("--task", "segment", "--results", other, "--protocol", "session", "--run", "self-A+V+T", "--folds", 2),
        *("--out", other / "scores.csv", "--confusion", other / "confusion.csv"),
    )
    assert (other / "scores.csv").read_bytes() == (out / "scores.csv").read_bytes()
    assert (other / "confusion.csv").read_bytes() == (out / "confusion.csv").read_bytes()
    keys = [(r["fold"], int(r["seed"])) for r in read(out / "scores.csv") if r["metric"] == "accuracy"]
    assert keys == [(fold, seed) for fold in ("0", "1", "all") for seed in (1, 2, 10)]


def tracks(fold, seed, part="test", lengths=(300, 50, 700)):
    out = []
    for i, n in enumerate(lengths):
        rng = np.random.default_rng([fold, i, len(part)])
        labels = np.clip(np.cumsum(rng.normal(0, 0.05, (n, 2)), axis=0), -1, 1).astype(np.float32)
        valid = rng.random(n) < 0.9
        labels[~valid] = -5
        noise = np.random.default_rng([fold, i, seed]).normal(0, 0.2, (n, 2))
        predicted = (0.5 * np.where(valid[:, None], labels, 0) + noise).astype(np.float32)
        out.append((f"video{fold}{i}_left", seed, part, labels, predicted, valid))
    return out


def lin(x, y):
    (xx, xy), (_, yy) = np.cov(x.astype(float), y.astype(float), ddof=0)
    return 2 * xy / (xx + yy + (x.mean(dtype=float) - y.mean(dtype=float)) ** 2)


def test_frame_scores_concatenate_all_valid_frames(tmp_path):
    every = {}
    for fold in range(2):
        every[fold] = [t for seed in (0, 1) for part in ("test", "development") for t in tracks(fold, seed, part)]
        hidden = [("unseen", seed, "unlabelled", *tracks(fold, seed)[0][3:]) for seed in (0, 1)]
        write_frames(tmp_path, "rcma-A+V", fold, every[fold] + hidden, shuffle=fold)
    out = tmp_path / "tables"
    call(
        score,
        *("--task", "frame", "--results", tmp_path, "--protocol", "sixfold", "--run", "rcma-A+V", "--folds", 2),
        *("--out", out / "scores.csv", "--confusion", out / "confusion.csv", "--per-video", out / "per_video.csv"),
    )
    table = {(r["fold"], r["seed"], r["metric"]): float(r["value"]) for r in read(out / "scores.csv")}
    for fold in ("0", "1", "all"):
        for part, prefix in (("test", ""), ("development", "development_")):
            chosen = [t for k in every if fold in (str(k), "all") for t in every[k] if t[2] == part and t[1] == 1]
            labels, predicted = (np.concatenate([t[i][t[5]] for t in chosen]) for i in (3, 4))
            both = [lin(labels[:, d], predicted[:, d]) for d in range(2)]
            assert table[fold, "1", f"{prefix}ccc_valence"] == pytest.approx(both[0], abs=1e-9)
            assert table[fold, "1", f"{prefix}ccc_arousal"] == pytest.approx(both[1], abs=1e-9)
            assert table[fold, "1", f"{prefix}ccc_mean"] == pytest.approx(np.mean(both), abs=1e-9)
            rmse = truth.root_mean_squared_error(labels[:, 1], predicted[:, 1])
            assert table[fold, "1", f"{prefix}rmse_arousal"] == pytest.approx(rmse, abs=1e-7)
    videos = {(r["segment_id"], r["seed"]): r for r in read(out / "per_video.csv")}
    assert len(videos) == 2 * 3 * 2
    for segment_id, seed, part, labels, predicted, valid in every[0]:
        if part == "test":
            row = videos[segment_id, str(seed)]
            assert int(row["frames"]) == valid.sum()
            expected = lin(labels[valid][:, 0], predicted[valid][:, 0])
            assert float(row["ccc_valence"]) == pytest.approx(expected, abs=1e-9)
    assert read(out / "confusion.csv") == []


def test_frames_keep_their_times_and_their_mask(tmp_path):
    given = tracks(0, 0)
    path = write_frames(tmp_path, "rcma-A", 0, given, shuffle=1)
    found = read_predictions(path, "frame", "test", valid_only=False)
    assert len(found) == 1050
    assert len(read_predictions(path, "frame", "test")) == sum(t[5].sum() for t in given)
    one = found.segment == found.segments.index("video02_left")
    np.testing.assert_array_equal(found.frame[one], np.arange(700))
    np.testing.assert_allclose(found.time_s[one], np.arange(700) / 30)
    np.testing.assert_array_equal(found.valid[one], given[2][5])
    np.testing.assert_array_equal(found.predicted[0, one], given[2][4])
    assert read_predictions(path, "frame", "development") is None


def broken(rows, kind):
    if kind == "item lacks":
        return rows[:-1]
    if kind == "twice":
        return [*rows, rows[0], (rows[1][0], 2, "test", *rows[1][3:])]
    if kind == "other truth":
        return [*rows[:-1], (*rows[-1][:3], "hap" if rows[-1][3] != "hap" else "neu", rows[-1][4])]
    if kind == "unknown class":
        return [*rows[:-1], (*rows[-1][:4], "bored")]
    return [(*row[:2], "development", *row[3:]) for row in rows]  # no test part


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("item lacks", "have .* items"),
        ("twice", "not tested on the same items|twice"),
        ("other truth", "same truth"),
        ("unknown class", "bored.*ang, hap"),
        ("no test part", "no item of the test part"),
    ],
)
def test_broken_predictions_are_refused_with_a_reason(tmp_path, kind, message):
    rows = answers(1, 0) + answers(2, 0)
    write_segments(tmp_path, "self-A", 0, CLASSES, broken(rows, kind))
    arguments = ("--task", "segment", "--results", tmp_path, "--protocol", "p", "--run", "self-A", "--folds", 1)
    with pytest.raises(InputError, match=message):
        call(score, *arguments, "--out", tmp_path / "scores.csv")
    assert not (tmp_path / "scores.csv").exists()


def test_a_prediction_that_is_no_number_is_refused(tmp_path):
    given = tracks(0, 0)
    given[1][4][np.flatnonzero(given[1][5])[3], 1] = np.nan
    path = write_frames(tmp_path, "rcma-A", 0, given)
    with pytest.raises(InputError, match="prediction of the test part is not a number"):
        read_predictions(path, "frame", "test")


def test_missing_runs_columns_and_odd_names_are_refused(tmp_path):
    arguments = (
        "--task",
        "segment",
        "--results",
        tmp_path,
        "--protocol",
        "p",
        "--folds",
        1,
        "--out",
        tmp_path / "s.csv",
    )
    with pytest.raises(InputError, match="train run 'self-A' on fold 0"):
        call(score, *arguments, "--run", "self-A")
    with pytest.raises(InputError, match="MODEL-MODALITIES"):
        call(score, *arguments, "--run", "self")
    path = write_segments(tmp_path, "self-A", 0, CLASSES, answers(1, 0))
    path.write_text(path.read_text().replace("predicted", "guess"))
    with pytest.raises(InputError, match="lacks the columns predicted"):
        call(score, *arguments, "--run", "self-A")
    assert model_and_modalities("my-own-A+T") == ("my-own", "A+T")
    for name in ("x-T+A", "x-", "-A", "x-A+A"):
        with pytest.raises(InputError):
            model_and_modalities(name)
