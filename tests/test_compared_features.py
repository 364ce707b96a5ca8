"""Feature sets compared like models: runs that name their inputs, and the strong setting, from sounds to the report."""

import csv
import json

import numpy as np
import pytest
import soundfile
import yaml

from pipeline.store import FeatureStore
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
    "extractors": {**FEATURES, "spectra": {"extractor": "log_mel", "mel_bands": 10}},
    "runs": {
        **MINE["runs"], "self_spectra": {"model": "self", "modalities": ["A"], "inputs": {"audio": "spectra"}},
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
    assert {rule: jobs[rule] for rule in ("shard", "merge", "train")} == {"shard": 1, "merge": 1, "train": 1}
    assert not set(jobs) & {"index", "audio", "split", "faces", "words"}
    spare = {"extractors": THIRD["extractors"]}
    said = snakemake(folder, "--dry-run", *arguments(folder, **spare))
    assert "mine: features that no run reads: spectra" in said


@pytest.mark.slow
def test_the_strong_setting_plans_its_report_and_learns_its_mixes(folder):
    preset = ROOT / "configs" / "strong.yaml"
    jobs = planned(folder, "results/iemocap_report.html", "--configfile", str(preset))
    assert (jobs["train"], jobs["merge"]) == (6 * 5, 5)
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
