"""Feature sets compared like models: runs that name their inputs, and the strong setting, from sounds to the report."""

import csv
import json

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner

from pipeline.__main__ import main as pipeline
from pipeline.features.join import join_stores
from pipeline.records import InputError
from pipeline.store import FeatureStore, Rows
from tests.training_material import write_store
from tests.workflow_runs import ROOT, planned, snakemake

FEATURES = {"mfcc": {"extractor": "mfcc"}, "bands": {"extractor": "log_mel", "mel_bands": 20}}
MINE = {
    "reader": "table", "segments": "labels.csv", "media_units": 24, "shard_units": 24, "protocol": "parts",
    "extractors": FEATURES, "inputs": {"audio": "mfcc"},
    "runs": {"self": ["A"], "self_bands": {"model": "self", "modalities": ["A"], "inputs": {"audio": "bands"}}},
    "contrasts": [{"question": "MFCC or bands", "a": "self-A", "b": "self_bands-A"}],
    "training": {"seeds": [1], "epochs": 2}, "significance": {"bootstrap_samples": 200},
}  # fmt: skip
PARTS = ("training", "training", "development", "test")
BASE = {"models": {"self": {"width": 12, "encoder_steps": 24}}}
THIRD = {
    "extractors": {
        **FEATURES, "spectra": {"extractor": "log_mel", "mel_bands": 10},
        "both": {"extractor": "join", "stores": ["mfcc", "bands"], "modality": "audio"},
    },
    "runs": {
        **MINE["runs"], "self_spectra": {"model": "self", "modalities": ["A"], "inputs": {"audio": "spectra"}},
        "self_both": {"model": "self", "modalities": ["A"], "inputs": {"audio": "both"}},
    },
    "contrasts": [*MINE["contrasts"], {"question": "or fewer bands", "a": "self-A", "b": "self_spectra-A"}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    rng, rows = np.random.default_rng(0), ["audio,speaker,label,part,text"]
    for k in range(24):
        pitch_hz, label = ((200, "low"), (900, "high"))[k % 2]
        tone = 0.3 * np.sin(2 * np.pi * (pitch_hz + 7 * k) * np.arange(8_000) / 16_000)
        soundfile.write(tmp_path / f"{k}.wav", tone + 0.01 * rng.standard_normal(8_000), 16_000)
        rows.append(f"{k}.wav,s{k // 6},{label},{PARTS[k // 6]},Clip {k} is {label}.")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def arguments(folder, **changes):
    corpora = {"iemocap": None, "affwild2": None, "mine": {**MINE, "root": str(folder), **changes}}
    (folder / "mine.yaml").write_text(yaml.safe_dump({**BASE, "corpora": corpora}))
    return ["results/mine_report.html", "--configfile", str(folder / "mine.yaml")]


@pytest.mark.slow
def test_two_feature_sets_have_a_verdict_and_a_third_plans_its_own_jobs(folder):
    said = snakemake(folder, *arguments(folder))
    assert "no run reads" not in said
    with (folder / "results/mine/tables/significance.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["a"], row["b"]) == ("self-A", "self_bands-A")
    page = (folder / "results/mine_report.html").read_text()
    assert "on bands" in page
    assert dict(planned(folder, *arguments(folder))) == {}
    jobs = planned(folder, *arguments(folder, **THIRD))
    assert {rule: jobs[rule] for rule in ("shard", "merge", "joined", "train")} == {
        "shard": 1, "merge": 1, "joined": 1, "train": 2,
    }  # fmt: skip
    assert not set(jobs) & {"index", "audio", "split", "faces", "words"}
    spare = {"extractors": THIRD["extractors"]}
    said = snakemake(folder, "--dry-run", *arguments(folder, **spare))
    assert "mine: features that no run reads: both, spectra" in said


def test_stores_are_joined_on_the_time_of_the_first(tmp_path):
    """Rows of a second beside rows of half seconds from a quarter before: each weighs by its share of the second."""
    valid = np.array([True, True, False])
    one = Rows(np.array([[1.0], [2.0], [0.0]]), np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]), valid)
    begin_s = 0.5 * np.arange(5) - 0.25
    other = Rows(np.array([[4.0], [8.0], [2.0], [6.0], [0.0]]), np.stack([begin_s, begin_s + 0.5], 1), np.arange(5) < 4)
    paths = [write_store(tmp_path / f"{k}.h5", {"a": rows}, "audio") for k, rows in enumerate((one, other))]
    arguments = ["join", *map(str, paths), "--name", "both", "--out", str(tmp_path / "both.h5")]
    assert CliRunner().invoke(pipeline, arguments, catch_exceptions=False).exit_code == 0
    both = FeatureStore(tmp_path / "both.h5")
    np.testing.assert_allclose(
        both["a"].values[:2], [[1, 0.25 * 4 + 0.5 * 8 + 0.25 * 2], [2, (0.25 * 2 + 0.5 * 6) / 0.75]]
    )
    assert both["a"].valid.tolist() == [True, True, False]
    assert np.array_equal(both["a"].time_s, one.time_s)
    assert (both.attributes["name"], both.attributes["config"]) == (
        "both",
        {"stores": ["audio"] * 2, "modality": "audio"},
    )
    layered = write_store(tmp_path / "layered.h5", {"a": one}, "audio", layers=[1, 2])
    for wrong in (layered, write_store(tmp_path / "words.h5", {"a": one}, "text")):
        with pytest.raises(InputError, match=f"{wrong.name}: (keeps layers apart|of another modality)"):
            join_stores([FeatureStore(path) for path in (paths[0], wrong)], "both", tmp_path / "wrong.h5")


def test_words_that_overlap_keep_their_own_rows(tmp_path):
    """A word within another, as where two people speak, ends before it."""
    time_s = np.array([[0.0, 2.0], [0.5, 0.8], [0.5, 1.5]])
    rows = [Rows(np.arange(3.0)[:, None] + 10 * k, time_s, np.array([True, True, k < 1])) for k in range(2)]
    stores = [FeatureStore(write_store(tmp_path / f"{k}.h5", {"a": r}, "text")) for k, r in enumerate(rows)]
    join_stores(stores, "both", tmp_path / "both.h5")
    both = FeatureStore(tmp_path / "both.h5")["a"]
    assert both.values[:2].tolist() == [[0, 10], [1, 11]]
    assert both.valid.tolist() == [True, True, False]


@pytest.mark.slow
def test_the_strong_setting_plans_its_report_and_learns_its_mixes(folder):
    preset = ROOT / "configs" / "strong.yaml"
    jobs = planned(folder, "results/iemocap_report.html", "--configfile", str(preset))
    assert (jobs["train_5_folds"], jobs["merge"]) == (8, 5)
    strong = yaml.safe_load(preset.read_text())["corpora"]["iemocap"]
    given = {key: strong[key] for key in ("extractors", "inputs")}
    _, *configured = arguments(folder, **given, runs={"self": ["A", "T"]}, contrasts=[])
    paths = [f"results/mine/runs/self-{letter}/fold0/predictions.parquet" for letter in "AT"]
    snakemake(folder, *paths, *configured, "--config", "scale=demo")
    kept = {"audio": ("wavlm", [0, 1, 2]), "text": ("roberta", [0, 1, 2, 3, 4])}  # of the small networks all
    for path, (modality, (store, layers)) in zip(paths, kept.items()):
        (told,) = (json.loads(p.read_text()) for p in (folder / path).parent.glob("seed*/run.json"))
        assert told["model"]["layers"] == {modality: layers}
        assert sum(told["layer_weights"][modality]) == pytest.approx(1)
        found = FeatureStore(folder / f"results/mine/features/{store}.h5")
        assert (found.layers, str(found.dtype)) == (layers, "float16")
