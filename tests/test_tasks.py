"""Every task from a table corpus to its report; scores against scikit-learn and scipy on the written predictions."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, root_mean_squared_error

from models.__main__ import main as models
from models.apply import card
from models.apply.predict import Predictor
from models.apply.recordings import Recording
from models.apply.stages import Prepared
from models.evaluation.bootstrap import level
from models.evaluation.comparison import Resampler
from models.evaluation.metrics import main_metric
from models.evaluation.tallies import tally_run
from models.inference import load_network
from models.options import SignificanceOptions
from models.report.writing import metric_words
from models.task import Task
from pipeline.records import Segment, Unit, read_table
from pipeline.store import FeatureStore
from tests.prediction_files import write_corpus, write_segments
from tests.task_corpora import CLASSES, FPS, FRAMES, TURNS, VIDEOS, Corpus, invoke, to_the_report

CASES = [
    ("classes/segment", {}),
    ("classes/frame", {}),
    ("numbers/segment:valence,arousal,dominance", {"low": 0.5, "high": 5.5}),  # IEMOCAP's scale
    ("numbers/segment:Sentiment", {}),
    ("numbers/frame:valence,arousal", {}),
    ("numbers/frame:pain_2", {"low": 1.0, "high": 9.0}),
]


def ccc(truth, predicted):
    """Lin's coefficient, by its definition."""
    (s_xx, s_xy), (_, s_yy) = np.cov(truth, predicted, bias=True)
    return 2 * s_xy / (s_xx + s_yy + (np.mean(truth) - np.mean(predicted)) ** 2)


def expected(rows, task):
    """Every metric of all items, by other libraries."""
    if not task.numbers:
        known = rows[rows["label"] != ""]
        truth, said = known["label"], known["predicted"]
        return {
            "accuracy": accuracy_score(truth, said),
            "balanced_accuracy": balanced_accuracy_score(truth, said),
            "macro_f1": f1_score(truth, said, average="macro"),
            "weighted_f1": f1_score(truth, said, average="weighted"),
        }
    known = rows.dropna(subset=[f"truth_{name}" for name in task.targets])
    pairs = {name: (known[f"truth_{name}"], known[f"prediction_{name}"]) for name in task.targets}
    measures = {"ccc": ccc, "pearson": lambda x, y: pearsonr(x, y).statistic, "rmse": root_mean_squared_error}
    found = {f"{measure}_{name}": of(*pairs[name]) for measure, of in measures.items() for name in pairs}
    return found | {f"{m}_mean": np.mean([found[f"{m}_{name}"] for name in pairs]) for m in measures}


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[0])
def made(request, tmp_path_factory):
    """A corpus, its plan, and the report made of it."""
    task, numbers = request.param
    corpus = Corpus(tmp_path_factory.mktemp("corpus"), task, **numbers)
    plan = corpus.plan()
    corpus.index()
    return corpus, plan, to_the_report(corpus, plan)


def test_a_model_card_has_the_scores_and_ranges_of_other_libraries(made):
    corpus, plan, _ = made
    segments, members = read_table(corpus.results / "segments.tsv", Segment), {k: [1, 2] for k in range(plan.folds)}
    rows = predictions(corpus, plan, "early-A+V")
    tested = rows[rows.part == "test"]
    scores = card.scores(corpus.results, "early-A+V", plan.folds, corpus.task, segments)
    found = {row["metric"]: row["value"] for row in scores}
    wanted = pd.DataFrame([expected(own, corpus.task) for _, own in tested.groupby("seed")]).mean()
    assert {name: found[name] for name in wanted.index} == pytest.approx(wanted.to_dict(), abs=1e-6)
    truth = {name: rows[f"truth_{name}"].dropna() for name in corpus.task.targets}
    limits = {name: (pytest.approx(of.min()), pytest.approx(of.max())) for name, of in truth.items()}
    assert card.ranges(corpus.results, "early-A+V", range(plan.folds), corpus.task) == limits
    calibrated = card.calibration(corpus.results, "early-A+V", members, corpus.task)
    assert (calibrated == {"temperature": 1.0}) == corpus.task.numbers
    assert corpus.task.numbers or 0 <= calibrated["test_error_after"] < 1


def test_the_intervals_of_a_model_card_are_those_of_the_report(tmp_path):
    """What weighs every item alike is no less sure for a class of two items."""
    rng, names = np.random.default_rng(3), [f"turn{k:03d}" for k in range(600)]
    labels = ["merry", "merry", *rng.choice(["calm", "cross"], 598)]
    said = [label if rng.random() < 0.8 else rng.choice(CLASSES) for label in labels]
    rows = [(name, 1, "test", label, answer) for name, label, answer in zip(names, labels, said)]
    write_segments(tmp_path, "self-A", 0, CLASSES, rows)
    path, _ = write_corpus(tmp_path, {name: f"dialog{k % 30}" for k, name in enumerate(names)}, [])
    segments, task = read_table(path, Segment), Task("classes", "segment")
    found = {row["metric"]: row for row in card.scores(tmp_path, "self-A", 1, task, segments)}
    run = tally_run(tmp_path, "self-A", 1, task, segments)
    for name in ("accuracy", "weighted_f1"):
        resampled, low, high = Resampler(SignificanceOptions(metric=name))(run), found[name]["low"], found[name]["high"]
        assert run.items_for(name).tolist() == [600]
        assert (low, high) == pytest.approx(level(resampled, run.cluster_items, np.array([600])).interval(0.95))
        lowest, highest = level(resampled, run.cluster_items, run.class_items).interval(0.95)
        assert lowest + 0.01 < low < high < highest - 0.01


def test_packed_networks_say_of_the_features_what_training_stored(made, tmp_path, monkeypatch):
    """Beside tests/test_apply.py, which starts from raw video: all tasks, from the same features."""
    corpus, plan, _ = made
    results, run = tmp_path / "mine", "early-A+V"
    shutil.copytree(corpus.results, results)
    known = json.loads((results / "config.json").read_text())
    for entry in known["config"]["mine"]["extractors"].values():
        entry["weights"] = None  # the features are made up
    (results / "config.json").write_text(json.dumps(known))
    invoke(models, "pack", "--results", results, "--run", run, "--fold", 0, "--out", tmp_path / "model")
    readme = (tmp_path / "model" / "README.md").read_text()
    other = f" of all {2 * plan.folds} networks of the run" if plan.folds > 1 else ""
    assert f"| test part{other}, mean over seeds | value |" in readme
    monkeypatch.setattr("models.apply.predict.Stages", lambda *_: None)
    predictor = Predictor(tmp_path / "model", plugs=True)
    segments = read_table(results / "segments.tsv", Segment)
    videos = {s.segment_id: s.unit_id for s in segments}
    stored = predictions(corpus, plan, run)
    stored = stored[(stored.part == "test") & (stored.fold == "0")]
    unit = Unit(videos[stored.segment_id.iloc[0]])
    own = tuple(s for s in segments if s.unit_id == unit.unit_id)
    stored = stored[stored.segment_id.map(videos).astype(str) == unit.unit_id]
    recording = Recording(corpus.root, unit, own, own[-1].end_s, np.arange(FRAMES) / FPS)
    stores = {m: FeatureStore(results / "features" / f"{plan.options.inputs[m]}.h5") for m in ("audio", "video")}
    examples = predictor.examples(recording, Prepared(stores, None, [], []), tmp_path)
    values, items = predictor.predictions(examples)
    names = np.array(examples.segment_ids)[items.segment]
    wanted = [name for name in stored if name.startswith(("p_", "prediction_"))]
    for seed, k in ((1, 0), (2, 1)):
        rows = stored[stored.seed == seed]
        np.testing.assert_allclose(values[k][np.isin(names, rows.segment_id)], rows[wanted], atol=1e-5)
    assert len(stored) >= 2 * (TURNS - 1)


def predictions(corpus, plan, run):
    """Everything that a run predicted, with the fold."""
    files = [corpus.results / "runs" / run / f"fold{k}" / "predictions.parquet" for k in range(plan.folds)]
    return pd.concat([pd.read_parquet(path).assign(fold=str(k)) for k, path in enumerate(files)])


def test_scores_are_those_of_other_libraries(made):
    corpus, plan, _ = made
    scores = pd.read_csv(corpus.results / "tables" / "scores.csv", dtype={"fold": str})
    checked = 0
    for run in plan.options.planned_runs:
        model, modalities = run.split("-")
        rows = predictions(corpus, plan, run)
        mine = scores[(scores["model"] == model) & (scores["modalities"] == modalities)]
        for (part, seed), of_seed in rows[rows["part"] != "unlabelled"].groupby(["part", "seed"], observed=True):
            prefix = {"test": "", "development": "development_"}[part]
            for fold, chosen in [*of_seed.groupby("fold"), ("all", of_seed)]:
                found = mine[(mine["seed"] == seed) & (mine["fold"] == fold)].set_index("metric")["value"]
                for name, value in expected(chosen, corpus.task).items():
                    assert found[prefix + name] == pytest.approx(value, abs=2e-6), (run, part, seed, fold, name)
                    checked += 1
    assert checked > 100


def test_everything_is_predicted_and_what_is_known_stands_beside_it(made):
    corpus, plan, _ = made
    rows = predictions(corpus, plan, "early-A")
    tested = rows[(rows["part"] == "test") & (rows["seed"] == 1)]
    recordings = 3 * VIDEOS
    if corpus.task.frames:
        assert len(tested) == recordings * FRAMES
        assert tested["valid"].sum() == recordings * (FRAMES - 1)  # the last of each has no label
    else:
        assert len(tested) == recordings * TURNS - 1
        unlabelled = rows[rows["part"] == "unlabelled"]
        assert len(unlabelled) == 2 * plan.folds
        name = f"truth_{corpus.task.targets[0]}" if corpus.task.numbers else "label"
        assert unlabelled[name].isna().all() or (unlabelled[name] == "").all()
    if corpus.task.numbers:
        said = tested[[f"prediction_{name}" for name in corpus.task.targets]]
        assert np.isfinite(said).all(axis=None)
        middle, half = (corpus.low + corpus.high) / 2, (corpus.high - corpus.low) / 2
        assert (abs(said.mean() - middle) < half / 2).all()
        assert (abs(tested[[f"truth_{name}" for name in corpus.task.targets]].max() - corpus.high) < half / 5).all()
    else:
        p = tested[[f"p_{name}" for name in CLASSES]].to_numpy()
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
        assert tested["predicted"].tolist() == [CLASSES[k] for k in p.argmax(1)]


def test_the_epoch_is_selected_by_the_score_of_the_task(made):
    corpus, plan, _ = made
    rows = predictions(corpus, plan, "late-A+V")
    score = "ccc_mean" if corpus.task.numbers else "accuracy"
    for seed in (1, 2):
        folder = corpus.results / "runs" / "late-A+V" / "fold1" / f"seed{seed}"
        history, facts = pd.read_csv(folder / "history.csv"), json.loads((folder / "run.json").read_text())
        best = history.loc[history[f"development_{score}"].idxmax()]
        assert facts["selected"]["epoch"] == best["epoch"]
        chosen = rows[(rows["part"] == "development") & (rows["fold"] == "1") & (rows["seed"] == seed)]
        assert best[f"development_{score}"] == pytest.approx(expected(chosen, corpus.task)[score], abs=2e-6)
        assert facts["task"] == str(corpus.task)
        network, _, _ = load_network(folder)
        beyond = corpus.task.numbers and corpus.high > 1
        assert hasattr(network, "spread") == (facts["model"]["scale"] is not None) == beyond


def test_contrasts_are_tested_on_what_the_task_is_measured_by(made):
    corpus, plan, _ = made
    table = pd.read_csv(corpus.results / "tables" / "significance.csv")
    metric = main_metric(corpus.task)
    assert set(table["metric"]) == {metric}
    for row in table.to_dict("records"):
        for side in "ab":
            rows = predictions(corpus, plan, row[side])
            rows = rows[rows["part"] == "test"]
            means = [expected(rows[rows["seed"] == seed], corpus.task)[metric] for seed in (1, 2)]
            assert row[f"mean_{side}"] == pytest.approx(np.mean(means), abs=2e-5)
    if not corpus.task.numbers:
        counts = pd.read_csv(corpus.results / "tables" / "confusion.csv").query("model == 'late'")["count"]
        rows = predictions(corpus, plan, "late-A+V").query("part == 'test' and label != ''")
        assert counts.tolist() == confusion_matrix(rows["label"], rows["predicted"]).ravel().tolist()


def test_the_report_speaks_of_the_task(made):
    corpus, _, page = made
    text = page.read_text()
    assert metric_words(main_metric(corpus.task)) in text
    for name in corpus.task.targets or CLASSES:
        assert name.replace("_", " ") in text
    scores = pd.read_csv(corpus.results / "tables" / "scores.csv", dtype={"fold": str})
    pooled = scores[(scores["fold"] == "all") & (scores["metric"] == main_metric(corpus.task))]
    best = pooled.groupby(["model", "modalities"])["value"].mean().max()
    shown = f"{best:.3f}" if corpus.task.numbers else f"{100 * best:.1f}"
    assert shown in text
