"""Predictions made elsewhere against a run: the same row as between two runs, and what is refused."""

import csv
import json
from dataclasses import fields

import numpy as np
import pandas
import pytest
from click.testing import CliRunner

from models.evaluation.outside import against, compare_predictions
from models.evaluation.significance import significance
from models.settings import Settings
from pipeline.records import InputError
from tests.prediction_files import write_corpus, write_frames, write_segments

CLASSES = ["ang", "neu", "null"]  # which programs read as nothing
OPTIONS = {"metric": "balanced_accuracy", "bootstrap_samples": 300, "practical_region": 0.01, "alpha": 0.05, "seed": 3}
RUNS = ["self-A", "cross-A"]


def settle(folder, task, folds, **changes):
    known = {field.name: None for field in fields(Settings)} | {"corpus": "mine", "task": task, "folds": folds}
    known |= {"models": {}, "protocol": {"name": "session", "description": "by session"}, "demonstration": True}
    runs = [{"run": run, "model": run[:-2], "modalities": "A", "inputs": {}} for run in RUNS]
    known |= {"runs": runs, "config": {"mine": {"significance": OPTIONS | changes}}}
    (folder / "config.json").write_text(json.dumps(known))


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Two folds of ten dialogs each, tested by two runs from two seeds."""
    folder, rng = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    unit_of = {f"turn{k:03d}": f"dialog{k % 20:02d}" for k in range(400)}
    folds = [{name: "test" if int(name[4:]) % 2 == k else "training" for name in unit_of} for k in range(2)]
    write_corpus(folder, unit_of, folds, dialog=unit_of.get)
    for run, skill in zip(RUNS, (0.8, 0.4)):
        for k, parts in enumerate(folds):
            tested = [name for name, part in parts.items() if part == "test"]
            rows = [(seed, name, CLASSES[int(name[4:]) % 3]) for seed in (1, 2) for name in tested]
            guess = [truth if rng.random() < skill else CLASSES[rng.integers(3)] for *_, truth in rows]
            write_segments(
                folder, run, k, CLASSES, [(name, seed, "test", t, g) for (seed, name, t), g in zip(rows, guess)]
            )
    settle(folder, "classes/segment", 2)
    return folder


def predictions(folder, run, folds=2) -> pandas.DataFrame:
    """What a run predicted, as another program would write it."""
    files = {k: folder / "runs" / run / f"fold{k}" / "predictions.parquet" for k in range(folds)}
    return pandas.concat(pandas.read_parquet(file).assign(fold=k) for k, file in files.items())


def compare(folder, table, name, run="cross-A"):
    path = folder / name
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",", index=False)
    given = [str(path), run, "--results", str(folder), "--out", str(folder / "row.csv")]
    done = CliRunner().invoke(compare_predictions, given)
    if done.exception:
        raise done.exception
    return done.output, next(csv.DictReader((folder / "row.csv").open(newline="")))


def planned(folder, task, folds, **changes):
    """The row that the workflow's own contrast of the two runs has."""
    out = folder / "significance.csv"
    given = {
        "task": task, "results": folder, "protocol": "session", "segments": folder / "segments.tsv",
        "split": folder / "splits" / "session.tsv", "folds": folds, "out": out,
        "contrasts": json.dumps([{"question": "?", "a": "self-A", "b": "cross-A"}]),
        "options": json.dumps(OPTIONS | changes),
    }  # fmt: skip
    done = CliRunner().invoke(significance, [f"--{name}={value}" for name, value in given.items()])
    assert done.exit_code == 0, done.output
    return next(csv.DictReader(out.open(newline="")))


@pytest.mark.parametrize("name", ["theirs.csv", "theirs.tsv", "theirs.parquet"])
def test_a_run_that_is_read_back_from_a_table_gives_the_row_of_the_contrast(classes, name):
    table = predictions(classes, "self-A")[["fold", "seed", "segment_id", "predicted"]].sample(frac=1, random_state=0)
    said, row = compare(classes, table, name)
    own = planned(classes, "classes/segment", 2)
    assert {k for k in row if row[k] != own[k]} == {"question", "a", "role"}
    assert (row["a"], row["role"], row["verdict"]) == (name, "outside", "a better")
    assert f"balanced_accuracy of {name}: {float(own['mean_a']):.3f}" in said
    assert f"95 % interval {float(own['ci_low']):.3f} to {float(own['ci_high']):.3f}, p = " in said
    assert f"400 items in 20 dialogs: {name} is better" in said
    assert "a demonstration, whose numbers mean nothing" in said
    assert "not planned with the contrasts of the run" in said


def test_no_verdict_is_said_with_its_reason_alone(classes):
    table = predictions(classes, "self-A")[["fold", "seed", "segment_id", "predicted"]]
    settle(classes, "classes/segment", 2, alpha=1e-7)  # which twenty dialogs cannot reach
    try:
        said, _ = compare(classes, table, "theirs.csv")
    finally:
        settle(classes, "classes/segment", 2)
    assert "400 items in 20 dialogs: no verdict\n" in said
    assert "not even an exact test of so few dialogs, videos or speakers could reach the level" in said


def test_one_prediction_for_each_item_needs_neither_fold_nor_seed(classes):
    table = predictions(classes, "self-A").query("seed == 1")[["segment_id", "predicted"]]
    said, row = compare(classes, table, "one.csv")
    truth = predictions(classes, "self-A").query("seed == 1")
    recalls = [(part["predicted"] == part["label"]).mean() for _, part in truth.groupby("label")]
    assert float(row["mean_a"]) == pytest.approx(np.mean(recalls), abs=1e-6)
    assert "one_seed" in row["remarks"]
    assert "a single seed" in said
    assert (row["status"], row["verdict"]) == ("one seed", "no verdict"), "another training might predict otherwise"
    assert float(row["ci_low"]) > 0


def test_numbers_of_frames(tmp_path):
    rng, names = np.random.default_rng(1), [f"video{k}" for k in range(8)]
    for run, error in zip(RUNS, (0.1, 0.6)):
        tracks = []
        for k, name in enumerate(names):
            truth = np.sin(np.linspace(0, 6, 90 + k)[:, None] + [0, k]).astype(np.float32)
            guess = truth + error * rng.normal(size=truth.shape)
            tracks.append((name, 0, "test", truth, guess, np.arange(len(truth)) % 9 > 0))
        write_frames(tmp_path, run, 0, tracks)
    write_corpus(tmp_path, {n: n for n in [*names, "t"]}, [dict.fromkeys(names, "test") | {"t": "training"}])
    settle(tmp_path, "numbers/frame:valence,arousal", 1, metric="ccc_mean")
    table = predictions(tmp_path, "self-A", folds=1)
    renamed = {"prediction_valence": "valence", "prediction_arousal": "arousal"}
    table = table.rename(columns=renamed)[["segment_id", "frame", *renamed.values()]]
    _, row = compare(tmp_path, table, "theirs.parquet")
    own = planned(tmp_path, "numbers/frame:valence,arousal", 1, metric="ccc_mean")
    for name in ("items", "clusters", "mean_a", "mean_b", "ci_low", "ci_high", "p_bootstrap", "verdict"):
        assert row[name] == own[name], name
    words = table.astype({"valence": object})
    words.loc[5, "valence"] = "n/a"  # frame 5, which has a label
    with pytest.raises(InputError, match="segment 'video0', frame 5 lacks a number"):
        compare(tmp_path, words, "words.csv")
    table.loc[5, "valence"] = np.nan
    with pytest.raises(InputError, match="segment 'video0', frame 5 lacks a number"):
        compare(tmp_path, table, "holes.parquet")
    with pytest.raises(InputError, match="1 of the 661 test items are not there, such as segment 'video0', frame 5"):
        compare(tmp_path, table.drop(index=5), "holes.csv")


def test_what_cannot_be_compared_is_said(classes):
    table = predictions(classes, "self-A")[["fold", "seed", "segment_id", "predicted"]]
    first = table.iloc[0]["segment_id"]
    with pytest.raises(
        InputError, match="lacks the column predicted; task classes/segment needs segment_id, predicted"
    ):
        compare(classes, table.drop(columns="predicted"), "bad.csv")
    with pytest.raises(InputError, match=f"fold 0, seed 1: segment '{first}' stands twice"):
        compare(classes, pandas.concat([table, table.iloc[:1]]), "bad.csv")
    with pytest.raises(InputError, match=f"fold 0, seed 1: 1 of the 200 test items are not there, such as .*'{first}'"):
        compare(classes, table.iloc[1:], "bad.csv")
    with pytest.raises(InputError, match="is predicted as 'happy'; the classes are ang, neu, null"):
        compare(classes, table.assign(predicted="happy"), "bad.csv")
    with pytest.raises(InputError, match=f"fold 0, seed 1: segment '{first}' has no prediction"):
        compare(classes, table.assign(predicted=[None, *table["predicted"][1:]]), "bad.csv")
    with pytest.raises(InputError, match="column seed holds 's1'; give whole numbers"):
        compare(classes, table.assign(seed="s1"), "bad.csv")
    with pytest.raises(InputError, match="column fold holds"):
        compare(classes, table.assign(fold=0.5), "bad.parquet")
    for text in ("", "segment_id,predicted\na,b,c,d\ne,f\n1,2,3,4,5,6\n"):
        (classes / "bad.csv").write_text(text)
        with pytest.raises(InputError, match=r"bad\.csv"):
            against(classes / "bad.csv", classes, "cross-A", Settings.from_json(classes / "config.json"))
    with pytest.raises(InputError, match=r"no run 'rcma-A' in .*; there are self-A, cross-A"):
        compare(classes, table, "bad.csv", run="rcma-A")
    with pytest.raises(InputError, match=r"predictions are read from \.csv, \.tsv, \.parquet"):
        compare(classes, table, "bad.txt")
