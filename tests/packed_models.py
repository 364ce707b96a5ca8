"""Small models trained on real faces and voices, from raw media to a model folder, by the stages in this process."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from models.__main__ import main as models
from models.apply.predict import Predictor
from models.apply.recordings import Recording
from pipeline.__main__ import main as pipeline
from pipeline.corpora.prepare import read
from pipeline.media import Video
from pipeline.records import Segment, Unit, read_table
from tests.task_corpora import ROOT, invoke
from workflow.demo.checkpoints import write_checkpoint
from workflow.overlay import patch
from workflow.planned import Planned
from workflow.settings import check, resolve

SMALL = {"width": 12, "embedding": 8, "encoder_steps": 16}
TRAINING = {"seeds": [1, 2], "epochs": 2, "learning_rate": 0.01}
CORPORA = {  # by name: folder of the real corpus, run, settings
    "iemocap": (
        "IEMOCAP_full_release",
        "self-A+V+T",
        {
            "protocol": "session",
            "runs": {"self": ["A+V+T"], "self_context": ["A+T"]},
            "extractors": {
                "face": {"extractor": "face_geometry"},
                "log_mel": {"extractor": "log_mel"},
                "joined": {"extractor": "join", "stores": ["mfcc", "log_mel"], "modality": "audio"},
            },
            "inputs": {"audio": "joined", "video": "face", "text": "bert"},
            "faces": {"sample_rate_hz": 4},
        },
    ),
    "affwild2": (
        "AffWild2",
        "rcma-A+V",
        {
            "runs": {"rcma": ["A+V"]},
            "extractors": {"face": {"extractor": "face_geometry"}},
            "inputs": {"audio": "log_mel", "video": "face"},
            "faces": {"sample_rate_hz": 4},
        },
    ),
}


def make_model(folder: Path, corpora: Path, name: str) -> tuple[Path, Path, Path]:
    """Prepare, train and pack; returns the raw corpus, its results, and the model folder."""
    tree, run, _ = CORPORA[name]
    prepare(folder, corpora, name)
    return corpora / tree, folder / "results" / name, train(folder, corpora, name, run)


def planned(corpora: Path, name: str) -> Planned:
    """What the workflow would make of a corpus."""
    tree, _, own = CORPORA[name]
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    entry = {"root": str(corpora / tree), "contrasts": [], "training": TRAINING, **own}
    models = dict.fromkeys(("self", "self_context", "rcma"), SMALL)
    config = patch(config, {"scale": "demo", "corpora": {name: entry}, "models": models})
    config["demo"] = {"models": {}}  # nothing but small weights
    return Planned(resolve(check(config), name, read))


def prepare(folder: Path, corpora: Path, name: str) -> None:
    """From raw media to the features that a corpus's runs read, and the split."""
    plan, results, root = planned(corpora, name), folder / "results" / name, ["--root", corpora / CORPORA[name][0]]
    known = ["--corpus", name, "--reader", plan.options.reader, *root]
    known += ["--options", json.dumps(plan.options.reader_options)]
    invoke(pipeline, "index", *known, "--media-units", 1, "--out", results)
    task, tables = plan.settings.task, ["--tables", results]
    labels = results / ("labels.h5" if task.frames else "labels.tsv")
    if task.frames:
        columns = ["--columns", ",".join(task.targets), "--findings", results / "label_findings.tsv"]
        invoke(pipeline, "frame-labels", *known, *tables, *columns, "--out", labels)
    reads = plan.options.planned_runs[CORPORA[name][1]].inputs
    for shard in plan.shards:
        which = [*root, *tables, "--shard", shard]
        rate = ["--sample-rate-hz", plan.options.faces.sample_rate_hz]
        invoke(pipeline, "faces", *which, *rate, "--out", results / "faces" / f"{shard}.h5")
        invoke(pipeline, "audio", *which, "--out", results / "audio" / f"{shard}.h5")
        if "text" in reads:
            invoke(pipeline, "words", *which, "--out", results / "words" / f"{shard}.tsv")
    weights = folder / "results" / "weights"
    if "text" in reads:
        write_checkpoint("bert", weights / "demo--bert")

    def extract(store: str) -> Path:
        one, out = plan.options.extractors[store], results / "features" / f"{store}.h5"
        if one.joined:
            invoke(pipeline, "join", *map(extract, one.joined), "--name", store, "--out", out)
            return out
        given = ["--extractor", one.extractor, "--options", json.dumps(one.options), "--results", results]
        given += [part for shard in plan.shards for part in ("--shard", shard)]
        if one.weights:
            given += ["--weights", weights / one.weights.replace(":", "--")]
        invoke(pipeline, "features", "--corpus", name, "--name", store, *given, "--demonstration", "--out", out)
        return out

    for store in reads.values():
        extract(store)
    protocol = plan.settings.protocol
    given = ["--task", task, "--segments", results / "segments.tsv", "--labels-table", results / "labels.tsv"]
    given += ["--labels-store", labels] if task.frames else ["--classes", ",".join(plan.settings.labels)]
    invoke(models, "split", *given, "--protocol", protocol, "--out", results / "splits" / f"{protocol}.tsv")


def train(folder: Path, corpora: Path, name: str, run: str) -> Path:
    """Train a run of a prepared corpus and pack it; returns the model folder."""
    plan, results = planned(corpora, name), folder / "results" / name
    (model, letters), settings, weights = run.split("-"), plan.settings, folder / "results" / "weights"
    network = settings.models[model]
    given = ["--task", settings.task, "--name", model, "--modalities", letters]
    given += ["--split", results / "splits" / f"{settings.protocol}.tsv"]
    for modality, store in plan.options.planned_runs[run].inputs.items():
        given += ["--feature", f"{modality}={results / 'features' / f'{store}.h5'}"]
    given += ["--network", network.model_dump_json(), "--training", plan.options.training.model_dump_json()]
    given += ["--labels", results / "labels.h5"] if settings.task.frames else []
    given += ["--segments", results / "segments.tsv"] if network.context else []
    for fold in range(plan.folds):
        invoke(models, "train", *given, "--fold", fold, "--out", results / "runs" / run / f"fold{fold}")
    (results / "config.json").write_text(json.dumps(plan.configuration))
    out = results / "models" / run
    invoke(models, "pack", "--results", results, "--run", run, "--weights", weights, "--out", out)
    return out


def equal_test_predictions(root: Path, results: Path, run: str, predictor: Predictor, fold: int = 0) -> int:
    """Predict a recording of the test part from its raw video; assert that this is what training stored, count numbers.

    The predictor has the networks of that fold alone.
    """
    table = pd.read_parquet(results / "runs" / run / f"fold{fold}" / "predictions.parquet")
    table = table[table.part == "test"]
    outputs = [name for name in table if name.startswith(("p_", "prediction_"))]
    segments = read_table(results / "segments.tsv", Segment)
    tested = set(table.segment_id)
    unit_id = next(s.unit_id for s in segments if s.segment_id in tested)
    own = tuple(replace(s, shard="") for s in segments if s.unit_id == unit_id)
    (unit,) = (replace(u, shard="") for u in read_table(results / "units.tsv", Unit) if u.unit_id == unit_id)
    recording = Recording(root, unit, own, own[-1].end_s, Video(root / unit.video).time_s)
    with tempfile.TemporaryDirectory() as folder:
        recording, prepared = predictor.stages.run(recording, Path(folder))
        examples = predictor.examples(recording, prepared, Path(folder))
        values, items = predictor.predictions(examples)
    compared = 0
    for number, segment_id in enumerate(examples.segment_ids):
        stored = [rows[outputs].to_numpy() for _, rows in table[table.segment_id == segment_id].groupby("seed")]
        if stored:
            np.testing.assert_allclose(values[:, items.segment == number], np.stack(stored), atol=1e-4)
            compared += np.stack(stored).size
    return compared
