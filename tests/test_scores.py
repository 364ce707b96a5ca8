"""Score tables against scikit-learn on the very rows of the prediction files."""

import csv
import json
from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner
from pyarrow import parquet
from sklearn import metrics as truth

from models.evaluation.scores import score, score_run
from models.evaluation.tallies import tally_run
from models.predictions import model_and_modalities, read_predictions
from models.task import Task
from pipeline.records import InputError, Segment
from tests.prediction_files import write_corpus, write_frame_classes, write_frames, write_numbers, write_segments

CLASSES = ["ang", "hap", "neu", "sad"]
FRAMES = Task("numbers", "frame", ("valence", "arousal"))


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


def style_of(segment_id):
    """Of every three one is scripted."""
    return "scripted" if int(segment_id[-3:]) % 3 == 0 else "improvised"


def styles_of(folder, rows):
    """segments.tsv of everything in the prediction files."""
    names = sorted({row[0] for fold in rows.values() for row in fold})
    return write_corpus(folder, {name: name[:4] for name in names}, [], style=style_of)[0]


@pytest.fixture
def segment_tables(tmp_path):
    rows = make_run(tmp_path, "self-A+V+T")
    out = tmp_path / "tables"
    call(
        score,
        *("--task", "classes/segment", "--results", tmp_path, "--segments", styles_of(tmp_path, rows)),
        *("--protocol", "session", "--run", "self-A+V+T", "--folds", 2),
        *("--out", out / "scores.csv", "--confusion", out / "confusion.csv", "--per-video", out / "per_video.csv"),
    )
    return rows, out


@pytest.mark.parametrize("part", ["test", "development"])
def test_scores_equal_scikit_learn_on_the_rows(segment_tables, part):
    rows, out = segment_tables
    prefix = "" if part == "test" else "development_"
    everything = read(out / "scores.csv")
    table = {(r["turns"], r["fold"], r["seed"], r["metric"]): r["value"] for r in everything}
    kinds = ("all", "improvised", "scripted") if part == "test" else ("all",)
    assert {r["turns"] for r in everything if r["metric"] == f"{prefix}accuracy"} == set(kinds)
    for turns, fold in product(kinds, ("0", "1", "all")):
        chosen = [r for k in rows if fold in (str(k), "all") for r in rows[k] if r[2] == part]
        chosen = [r for r in chosen if turns in ("all", style_of(r[0]))]
        for seed in (1, 2, 10):
            labels, guesses = zip(*[(r[3], r[4]) for r in chosen if r[1] == seed])
            expected = {
                "accuracy": truth.accuracy_score(labels, guesses),
                "balanced_accuracy": np.mean(truth.recall_score(labels, guesses, average=None, labels=CLASSES[:3])),
                "macro_f1": truth.f1_score(labels, guesses, average="macro"),
                "weighted_f1": truth.f1_score(labels, guesses, average="weighted"),
            }
            for name, value in zip(CLASSES[:3], truth.recall_score(labels, guesses, average=None, labels=CLASSES[:3])):
                expected[f"recall_{name}"] = value
            for name, value in zip(CLASSES, truth.precision_score(labels, guesses, average=None, labels=CLASSES)):
                expected[f"precision_{name}"] = value
            for name, value in expected.items():
                assert float(table[turns, fold, str(seed), prefix + name]) == pytest.approx(value, abs=1e-9), name
            assert table[turns, fold, str(seed), f"{prefix}recall_sad"] == ""  # nobody is sad: undefined, not 0


def test_scores_without_a_modality_are_gathered_from_the_trainings(tmp_path):
    rows = make_run(tmp_path, "self-A+V+T")
    for fold, seed in product((0, 1), (1, 2, 5)):  # of seed 5 there are no predictions: it was asked for once
        folder = tmp_path / f"runs/self-A+V+T/fold{fold}/seed{seed}"
        folder.mkdir()
        without = {"nothing": {"accuracy": 0.5 + fold / 10}, "text": {"accuracy": None}}
        (folder / "run.json").write_text(json.dumps({"seed": seed, "without": without}))
    call(
        score,
        *("--task", "classes/segment", "--results", tmp_path, "--segments", styles_of(tmp_path, rows)),
        *("--protocol", "session", "--run", "self-A+V+T", "--folds", 2),
        *("--out", tmp_path / "scores.csv", "--missing", tmp_path / "missing_modalities.csv"),
    )
    table = read(tmp_path / "missing_modalities.csv")
    assert len(table) == 8
    found = {(r["fold"], r["seed"], r["without"]): r["value"] for r in table if r["model"] == "self"}
    assert (found["0", "2", "nothing"], found["1", "1", "nothing"], found["1", "1", "text"]) == ("0.5", "0.6", "")


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
    rows = make_run(other, "self-A+V+T", shuffle=3)
    call(
        score,
        *("--task", "classes/segment", "--results", other, "--segments", styles_of(other, rows)),
        *("--protocol", "session", "--run", "self-A+V+T", "--folds", 2),
        *("--out", other / "scores.csv", "--confusion", other / "confusion.csv"),
    )
    assert (other / "scores.csv").read_bytes() == (out / "scores.csv").read_bytes()
    assert (other / "confusion.csv").read_bytes() == (out / "confusion.csv").read_bytes()
    keys = [(r["fold"], r["turns"], int(r["seed"])) for r in read(out / "scores.csv") if r["metric"] == "accuracy"]
    kinds = ("all", "improvised", "scripted")
    assert keys == [(fold, turns, seed) for fold in ("0", "1", "all") for turns in kinds for seed in (1, 2, 10)]


def test_a_score_stands_beside_that_of_the_best_constant_answer(segment_tables):
    rows, out = segment_tables
    labels = [r[3] for fold in rows.values() for r in fold if r[2] == "test" and r[1] == 1]
    commonest = max(labels.count(c) for c in CLASSES) / len(labels)
    found = {(r["metric"], r["seed"]): r for r in read(out / "scores.csv") if (r["turns"], r["fold"]) == ("all", "all")}
    for seed in ("1", "2", "10"):
        assert float(found["accuracy", seed]["chance"]) == pytest.approx(commonest)
        assert float(found["balanced_accuracy", seed]["chance"]) == pytest.approx(1 / 3)
        assert found["accuracy", seed]["above_chance"] == "yes"
        assert found["recall_ang", seed]["chance"] == found["recall_ang", seed]["above_chance"] == ""


def test_a_run_that_always_says_the_same_is_not_above_chance(tmp_path):
    write_segments(tmp_path, "self-A", 0, CLASSES, [(*row[:4], "neu") for row in answers(1, 0)])
    call(
        score,
        *("--task", "classes/segment", "--results", tmp_path, "--segments", styles_of(tmp_path, {0: answers(1, 0)})),
        *("--protocol", "p", "--run", "self-A", "--folds", 1, "--out", tmp_path / "scores.csv"),
    )
    rows = read(tmp_path / "scores.csv")
    assert {r["above_chance"] for r in rows if r["metric"] == "balanced_accuracy"} == {"no"}


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
        *("--task", str(FRAMES), "--results", tmp_path, "--segments", styles_of(tmp_path, {})),
        *("--protocol", "sixfold", "--run", "rcma-A+V", "--folds", 2),
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


def test_numbers_of_segments_are_scored_over_all_of_them(tmp_path):
    targets, rng = ("valence", "dominance"), np.random.default_rng(3)
    truths = {f"s{i:03d}": rng.uniform(1, 5, 2).round(2) for i in range(80)}
    rows = [
        (name, seed, "test", *x, *(0.6 * x + rng.normal(1, 0.7, 2)).round(4))
        for seed in (1, 2)
        for name, x in truths.items()
    ]
    rows += [("unknown", seed, "unlabelled", None, None, 3.0, 3.0) for seed in (1, 2)]
    path = write_numbers(tmp_path, "self-A", 0, targets, rows)
    segments, _ = write_corpus(tmp_path, {**dict.fromkeys(truths, "u"), "unknown": "u"}, [])
    call(
        score,
        *("--task", "numbers/segment:valence,dominance", "--results", tmp_path, "--segments", segments),
        *("--protocol", "p", "--run", "self-A", "--folds", 1),
        *("--out", tmp_path / "scores.csv", "--confusion", tmp_path / "c.csv", "--per-video", tmp_path / "v.csv"),
    )
    table = {(r["seed"], r["metric"]): r for r in read(tmp_path / "scores.csv") if r["fold"] == "all"}
    for seed in (1, 2):
        mine = np.array([row[3:] for row in rows if row[1] == seed and row[2] == "test"], float)
        for d, name in enumerate(targets):
            x, y = mine[:, d], mine[:, 2 + d]
            assert float(table[str(seed), f"ccc_{name}"]["value"]) == pytest.approx(lin(x, y), abs=1e-9)
            r = np.corrcoef(x, y)[0, 1]
            assert float(table[str(seed), f"pearson_{name}"]["value"]) == pytest.approx(r, abs=1e-9)
            rmse = truth.root_mean_squared_error(x, y)
            assert float(table[str(seed), f"rmse_{name}"]["value"]) == pytest.approx(rmse, abs=1e-9)
            assert table[str(seed), f"ccc_{name}"]["chance"] == "0.0"
            assert table[str(seed), f"rmse_{name}"]["above_chance"] == ""
    assert read(tmp_path / "c.csv") == read(tmp_path / "v.csv") == []
    task = Task.parse("numbers/segment:valence,dominance")
    assert read_predictions(path, task, "unlabelled") is None
    everything = read_predictions(path, task, "unlabelled", valid_only=False)
    assert len(everything) == 1
    assert np.isnan(everything.truth).all()


def test_classes_of_frames_are_scored_over_all_that_are_labelled(tmp_path):
    classes, rng = ["anger", "neutral", "surprise"], np.random.default_rng(4)
    labels = {name: rng.choice([*classes, ""], n, p=[0.2, 0.5, 0.2, 0.1]) for name, n in (("v1", 90), ("v2", 40))}
    rows = [
        (name, seed, "test", label, np.where(rng.random(len(label)) < 0.6, label, "neutral"))
        for seed in (0, 1)
        for name, label in labels.items()
    ]
    rows = [(*row[:4], np.where(row[4] == "", "anger", row[4])) for row in rows]
    write_frame_classes(tmp_path, "self-V", 0, classes, rows)
    segments, _ = write_corpus(tmp_path, {"v1": "v1", "v2": "v2"}, [])
    call(
        score,
        *("--task", "classes/frame", "--results", tmp_path, "--segments", segments, "--protocol", "p"),
        *("--run", "self-V", "--folds", 1, "--out", tmp_path / "scores.csv", "--confusion", tmp_path / "c.csv"),
        *("--per-video", tmp_path / "v.csv"),
    )
    table = {(r["fold"], r["seed"], r["metric"]): float(r["value"]) for r in read(tmp_path / "scores.csv")}
    counts = np.zeros((3, 3), int)
    for seed in (0, 1):
        x, y = (np.concatenate([row[k][row[3] != ""] for row in rows if row[1] == seed]) for k in (3, 4))
        assert table["all", str(seed), "macro_f1"] == pytest.approx(truth.f1_score(x, y, average="macro"))
        assert table["0", str(seed), "balanced_accuracy"] == pytest.approx(truth.balanced_accuracy_score(x, y))
        counts += truth.confusion_matrix(x, y, labels=classes)
    np.testing.assert_array_equal(np.array([int(r["count"]) for r in read(tmp_path / "c.csv")]).reshape(3, 3), counts)
    videos = {(r["segment_id"], r["seed"]): r for r in read(tmp_path / "v.csv")}
    assert len(videos) == 4
    name, seed, _, x, y = rows[3]
    known = x != ""
    assert int(videos[name, str(seed)]["frames"]) == known.sum()
    assert float(videos[name, str(seed)]["accuracy"]) == pytest.approx(truth.accuracy_score(x[known], y[known]))


def test_frames_keep_their_order_and_their_mask(tmp_path):
    given = tracks(0, 0)
    path = write_frames(tmp_path, "rcma-A", 0, given, shuffle=1)
    found, known = (read_predictions(path, FRAMES, "test", valid_only) for valid_only in (False, True))
    assert len(found) == 1050
    assert len(known) == sum(t[5].sum() for t in given)
    for read, frames in ((found, np.arange(700)), (known, np.flatnonzero(given[2][5]))):
        one = read.segment == read.segments.index("video02_left")
        np.testing.assert_array_equal(read.frame[one], frames)
        np.testing.assert_array_equal(read.predicted[0, one], given[2][4][frames])
    assert read_predictions(path, FRAMES, "development") is None


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
    arguments = ("--task", "classes/segment", "--results", tmp_path, "--segments", styles_of(tmp_path, {0: rows}))
    arguments += ("--protocol", "p", "--run", "self-A", "--folds", 1)
    with pytest.raises(InputError, match=message):
        call(score, *arguments, "--out", tmp_path / "scores.csv")
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize(
    ("part", "lacking", "classes"),
    [("test", 2, CLASSES), ("development", 2, CLASSES), ("test", None, ["sur", *CLASSES])],
)
def test_parts_of_other_seeds_or_classes_are_refused_alike(tmp_path, part, lacking, classes):
    """What is scored and what is tested for significance are the same predictions, held to the same."""
    rows = make_run(tmp_path, "self-A")
    write_segments(tmp_path, "self-A", 1, classes, [row for row in rows[1] if row[1:3] != (lacking, part)])
    task, said = Task.parse("classes/segment"), f"fold1.*seeds or classes of the {part} part are not those of the test"
    with pytest.raises(InputError, match=said):
        score_run(tmp_path, "self-A", 2, task, "p", {})
    with pytest.raises(InputError, match=said):
        tally_run(tmp_path, "self-A", 2, task, [Segment(row[0], row[0], row[0]) for row in rows[0] + rows[1]])


def test_a_prediction_that_is_no_number_is_refused(tmp_path):
    given = tracks(0, 0)
    given[1][4][np.flatnonzero(given[1][5])[3], 1] = np.nan
    path = write_frames(tmp_path, "rcma-A", 0, given)
    with pytest.raises(InputError, match="prediction of the test part is not a number"):
        read_predictions(path, FRAMES, "test")


def test_missing_runs_columns_and_odd_names_are_refused(tmp_path):
    arguments = ("--task", "classes/segment", "--results", tmp_path, "--segments", styles_of(tmp_path, {}))
    arguments += ("--protocol", "p", "--folds", 1, "--out", tmp_path / "s.csv")
    with pytest.raises(InputError, match="train run 'self-A' on fold 0"):
        call(score, *arguments, "--run", "self-A")
    with pytest.raises(InputError, match="MODEL-MODALITIES"):
        call(score, *arguments, "--run", "self")
    path = write_segments(tmp_path, "self-A", 0, CLASSES, answers(1, 0))
    table = parquet.read_table(path)
    parquet.write_table(table.rename_columns([name.replace("predicted", "guess") for name in table.column_names]), path)
    with pytest.raises(InputError, match="lacks the columns predicted"):
        call(score, *arguments, "--run", "self-A")
    assert model_and_modalities("my-own-A+T") == ("my-own", "A+T")
    for name in ("x-T+A", "x-", "-A", "x-A+A"):
        with pytest.raises(InputError, match="MODEL-MODALITIES"):
            model_and_modalities(name)
