"""The workflow as a person runs it, on the generated corpora: once to the end, then what reruns what."""

import ast
import json
import re
import shutil
import subprocess
import time
from base64 import b64encode

import pandas as pd
import pytest
import yaml
from sklearn import metrics

from models.apply.predict import Predictor
from pipeline.crops import FaceFile
from tests import warm_jobs
from tests.digest_table import Changed, Reworded, edited
from tests.packed_models import equal_test_predictions
from tests.page import Page
from tests.workflow_runs import ROOT, copy_checkout, planned, small_config, snakemake, tables, write_config
from workflow.overlay import patch

REPORT = "results/iemocap_report.html"
FEW_EPOCHS = {"demo": {"defaults": {"segment": {"training": {"epochs": 2}}}}}
ONE_EPOCH = {"demo": {"defaults": {"segment": {"training": {"epochs": 1, "seeds": [1]}}}}}


def demonstration(changes: dict | None = None) -> dict:
    """The configuration as it stands, and so the demonstration of a fresh clone."""
    return patch(yaml.safe_load((ROOT / "config.yaml").read_text()), changes or {})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the IEMOCAP demonstration has run to its report."""
    folder = tmp_path_factory.mktemp("demo")
    write_config(folder, demonstration())
    snakemake(folder, REPORT)
    return folder


@pytest.mark.slow
def test_the_demonstration_reaches_its_report(finished):
    html = (finished / REPORT).read_text()
    assert "The corpus is synthetic" in Page(html).with_class("banner")[0].text
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*"]
    revision = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    assert f'digest">{revision or "not known"}' in html
    for table in ("scores", "significance", "coverage", "confusion"):
        assert len(pd.read_csv(finished / f"results/iemocap/tables/{table}.csv")), table
    segments = pd.read_csv(finished / "results/iemocap/segments.tsv", sep="\t")
    assert len(segments) >= 140
    assert segments.speaker.nunique() == 10
    assert segments.session.nunique() == 5


@pytest.mark.slow
def test_scores_equal_scikit_learn_on_the_predictions(finished):
    scores = pd.read_csv(finished / "results/iemocap/tables/scores.csv", dtype={"fold": str, "seed": str})
    scores = scores[scores.turns == "all"]
    found = scores.set_index(["model", "modalities", "fold", "seed", "metric"]).value
    truth = {
        "accuracy": metrics.accuracy_score,
        "balanced_accuracy": metrics.recall_score,
        "macro_f1": metrics.f1_score,
        "weighted_f1": metrics.f1_score,
    }
    compared = 0
    for path in sorted(finished.glob("results/iemocap/runs/*/fold*/predictions.parquet")):
        model, modalities = path.parent.parent.name.split("-")
        fold = path.parent.name.removeprefix("fold")
        table = pd.read_parquet(path).astype({"label": str, "predicted": str})
        for seed, rows in table[table.part == "test"].groupby("seed"):
            labels = sorted(rows.label.unique())
            for name, function in truth.items():
                average = {"weighted_f1": "weighted"}.get(name, "macro")
                options = {} if name == "accuracy" else {"average": average, "labels": labels, "zero_division": 0}
                if name == "macro_f1":
                    options["labels"] = sorted({*rows.label, *rows.predicted})
                expected = function(rows.label, rows.predicted, **options)
                assert found[model, modalities, fold, str(seed), name] == pytest.approx(expected, abs=1e-6), (
                    path,
                    name,
                )
                compared += 1
    assert compared == 14 * 5 * 2 * 4


@pytest.mark.slow
def test_a_newcomer_sees_each_kind_of_verdict(finished):
    """The words that are generated tell the emotion: a model without them is worse, two of words alone are alike."""
    rows = pd.read_csv(finished / "results/iemocap/tables/significance.csv")
    verdicts = rows[rows.role == "planned"].set_index("question").verdict
    assert verdicts["with or without words"] == "a better"
    assert verdicts["with or without statistical pooling, words alone"] == "equivalent"
    assert "undecided" in set(verdicts)


@pytest.mark.slow
def test_on_aff_wild2_the_voice_alone_is_worse(finished, tmp_path):
    """Valence is generated in the face: the one difference that the demonstration's few videos can show."""
    contrasts = demonstration()["demo"]["defaults"]["frame"]["contrasts"]
    (one,) = (c for c in contrasts if c["question"] == "three modalities or the voice alone")
    own = {"runs": {"self_frames": ["A", "A+V+T"]}, "contrasts": [one]}
    folder, table = tmp_path / "run", "results/affwild2/tables/significance.csv"
    shutil.copytree(finished, folder)
    write_config(folder, demonstration({"corpora": {"affwild2": own}}))
    snakemake(folder, table)
    (row,) = pd.read_csv(folder / table).itertuples()
    assert (row.verdict, row.standing_a) == ("a better", "above")


@pytest.mark.slow
def test_a_packed_run_makes_of_raw_video_what_training_stored(finished):
    results, run = finished / "results" / "iemocap", "self-A+V+T"
    snakemake(finished, f"results/iemocap/models/{run}")
    predictor = Predictor(results / "models" / run, finished / "nowhere", folds=[0])  # its encoders come with it
    compared = equal_test_predictions(finished / "results" / "demo" / "IEMOCAP_full_release", results, run, predictor)
    assert compared >= 2 * 10 * 4  # seeds, turns of a dialog, classes
    assert "demonstration" in (results / "models" / run / "README.md").read_text()


@pytest.mark.slow
def test_a_second_run_does_nothing(finished):
    begin = time.monotonic()
    assert "Nothing to be done" in snakemake(finished, REPORT)
    assert time.monotonic() - begin < 60  # a broken trigger would redo minutes of work; the figure is in `make bench`


@pytest.mark.slow
def test_errors_to_look_at_come_into_the_next_report_and_go_from_it(finished):
    chosen, cut = (finished / f"results/iemocap/tables/examples.{suffix}" for suffix in ("tsv", "jsonl"))
    here = ["examples", "--results", finished / "results/iemocap"]
    choose = [warm_jobs.python(), "-m", "models", *here, "--run", "self-A", "--out", chosen]  # it errs
    subprocess.run(choose, check=True, cwd=ROOT)
    assert planned(finished, REPORT) == {}, "one file of two shows nothing"
    cut_them = [warm_jobs.python(), "-m", "pipeline", *here, "--segments", chosen, "--out", cut]
    subprocess.run(cut_them, check=True, cwd=ROOT)
    try:
        assert planned(finished, REPORT) == {"html_report": 1}
        snakemake(finished, REPORT)
        assert 'id="examples"' in (finished / REPORT).read_text()
        assert planned(finished, REPORT) == {}
    finally:
        chosen.unlink()
        cut.unlink()
    assert planned(finished, REPORT) == {"html_report": 1}
    snakemake(finished, REPORT)
    assert 'id="examples"' not in (finished / REPORT).read_text()
    assert planned(finished, REPORT) == {}


ALWAYS = {"configuration", "html_report"}


class OtherWords(Reworded):
    """Other words in code that still runs: not every module has a log."""

    opening = "'Other words.'"


class OtherFunctions(Changed):
    """Functions and classes that do something else and still run: constants keep their types."""

    visit_Assign = visit_AnnAssign = ast.NodeTransformer.generic_visit


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extractor", "options", "expected"),
    [
        ("mfcc", {"coefficients": 30}, None),  # which no run reads
        ("bert", {"layers": [-1]}, {"shard", "merge", "coverage", "train_5_folds", "scores", "significance"}),
    ],
)
def test_changed_options_rerun_one_extractor_and_what_needs_it(finished, extractor, options, expected):
    write_config(finished, demonstration({"corpora": {"iemocap": {"extractors": {extractor: options}}}}))
    try:
        jobs = planned(finished, REPORT)
        assert set(jobs) == (expected or set()) | ALWAYS
        assert jobs["shard"] == jobs["merge"] == (1 if expected else 0)
    finally:
        write_config(finished, demonstration())


EDITED = {
    "pipeline/features/mfcc.py": set(),
    "pipeline/features/transformers_text.py": {
        "shard", "merge", "coverage", "train_5_folds", "scores", "significance", "html_report",
    },
    "models/report/command.py": {"html_report"},
    "models/evaluation/metrics.py": {"train_5_folds", "scores", "significance", "html_report"},
    "pipeline/cli.py": set(),
}  # fmt: skip


@pytest.mark.slow
def test_other_words_rerun_nothing(finished, tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    for path in (checkout / source for source in EDITED):
        path.write_text(edited(path.read_text(), OtherWords))
    assert not planned(finished, REPORT, checkout=checkout)


@pytest.mark.slow
@pytest.mark.parametrize("source", EDITED)
def test_edited_code_reruns_its_stage_and_what_needs_it(finished, tmp_path, source):
    checkout = copy_checkout(tmp_path / "checkout")
    path = checkout / source
    path.write_text(edited(path.read_text(), OtherFunctions))
    jobs = planned(finished, REPORT, checkout=checkout)
    assert set(jobs) == EDITED[source]
    if "shard" in jobs:
        assert jobs["shard"] == 1


@pytest.mark.slow
def test_a_new_extractor_is_exactly_one_new_file(finished):
    before = set(finished.glob("results/*/features/*.h5"))
    entry = {"extractor": "mfcc", "coefficients": 13}
    changes = {"corpora": {"iemocap": {"extractors": {"mfcc13": entry}}}}
    write_config(finished, demonstration(changes))
    try:
        stores = "results/iemocap/features/mfcc13.h5"
        assert planned(finished, *sorted(str(p.relative_to(finished)) for p in before), stores) == {
            "shard": 1,
            "merge": 1,
        }
        snakemake(finished, stores)
        assert set(finished.glob("results/*/features/*.h5")) - before == {finished / stores}
    finally:
        write_config(finished, demonstration())
    assert "mfcc13.h5 is read by no run, nor named by corpora.iemocap" in snakemake(finished, "--dry-run", REPORT)
    (finished / stores).unlink()


def comparison(page: str, corpus: str) -> dict:
    """The settings in which a page of the docs compares two extractors on a corpus."""
    found = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return next(yaml.safe_load(text) for text in found if f"  {corpus}:" in text and "self_" in text)


@pytest.mark.slow
def test_the_extractor_that_the_readme_compares_plans_its_own_jobs(finished):
    """What the question is about is extracted and trained; the run that it is compared with is there already."""
    write_config(finished, demonstration(comparison("README.md", "iemocap")))
    try:
        assert planned(finished, REPORT) == {
            **dict.fromkeys(("shard", "merge", "train_5_folds"), 1),
            **dict.fromkeys(("coverage", "scores", "significance", "configuration", "html_report"), 1),
        }
    finally:
        write_config(finished, demonstration())


@pytest.mark.slow
def test_a_third_extractor_on_affwild2_adds_its_own_jobs_to_a_plan(tmp_path):
    two = comparison("docs/extractors.md", "affwild2")
    third = {
        "extractors": {"bands": {"extractor": "log_mel", "mel_bands": 20}},
        "runs": {"self_bands": {"model": "self_frames", "modalities": ["A"], "inputs": {"audio": "bands"}}},
    }
    plans = []
    for changes in (two, patch(two, {"corpora": {"affwild2": third}})):
        write_config(tmp_path, demonstration(changes))
        plans.append(planned(tmp_path, "results/affwild2_report.html"))
    assert plans[1] - plans[0] == {"shard": plans[0]["shard"] // 2, "merge": 1, "train": 1}


PLANNED = {  # of each preset at demo scale: jobs that train, and feature stores that are made
    "rajan2022": ({"train": 5 * 2}, 3),
    "praveen2024": ({"train": 2}, 3),
    "strong": ({"train_5_folds": 8, "targets": 1}, 5),
    "quick": ({"train_5_folds": 2, "train": 2}, 6),
    "four_class": ({"train_5_folds": 14}, 3),
    "six_class": ({"train_5_folds": 14}, 3),
}


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs").glob("*.yaml")))
def test_every_preset_plans_its_report_at_demo_scale(tmp_path, name):
    own = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
    write_config(tmp_path, demonstration(own))
    jobs = planned(tmp_path, *(f"results/{corpus}_report.html" for corpus in own["corpora"]))
    training, stores = PLANNED[name]
    assert {rule: n for rule, n in jobs.items() if rule.startswith(("train", "targets"))} == training
    assert (jobs["merge"], jobs["html_report"]) == (stores, len(own["corpora"]))


@pytest.mark.slow
def test_turns_before_speakers_and_votes_of_raters_go_through_the_workflow(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    runs = {"self_context": ["A+T"], "self_raters": ["A+T"], "self_speaker": ["A+T"]}
    by_speaker = {"self_speaker": {"fusion": "self_attention", "training": {"normalise": "speaker"}}}
    own = {"models": by_speaker, "corpora": {"iemocap": {"runs": runs, "contrasts": []}}}
    write_config(tmp_path / "run", demonstration(patch(own, FEW_EPOCHS)))
    files = [f"results/iemocap/runs/{model}-A+T/fold0/predictions.parquet" for model in runs]
    snakemake(tmp_path / "run", *files)
    context, raters, speaker = (
        json.loads((tmp_path / "run" / f).with_name("seed1").joinpath("run.json").read_text()) for f in files
    )
    assert set(context["inputs"]) - set(raters["inputs"]) == {"segments"}
    assert set(raters["inputs"]) - set(context["inputs"]) == {"targets"}
    assert raters["rated"]["added"] > 0
    assert set(speaker["inputs"]) == set(context["inputs"])
    assert speaker["training"]["normalise"] == "speaker"
    assert raters["items"]["test"] == context["items"]["test"]


@pytest.mark.slow
def test_the_whole_table_goes_on_from_the_quick_one(finished, tmp_path):
    """With one seed more than ``configs/quick.yaml`` has: those that it trained are not trained again."""
    folder, run = tmp_path / "run", "results/iemocap/runs/cross-A+V+T"
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "results/iemocap/runs")
    quick = yaml.safe_load((ROOT / "configs/quick.yaml").read_text())
    seeds = quick["corpora"]["iemocap"]["training"]["seeds"]
    trained = []
    for own in (quick, {"corpora": {"iemocap": {"training": {"seeds": [*seeds, 4]}}}}):
        write_config(folder, demonstration(patch(own, FEW_EPOCHS)))
        target = f"{run}/fold0/predictions.parquet"
        assert planned(folder, target) == {"train_5_folds": 1}
        snakemake(folder, target)
        trained.append({path: path.stat().st_mtime_ns for path in folder.glob(f"{run}/fold*/seed*/run.json")})
        of_seeds = set(pd.read_parquet(folder / target).seed)
    first, second = trained
    assert len(first) == 5 * len(seeds)
    assert first == {path: when for path, when in second.items() if path in first}
    assert {path.parent.name for path in second.keys() - first.keys()} == {"seed4"}
    assert of_seeds == {*seeds, 4}


@pytest.mark.slow
def test_paper_1_s_settings_train_its_published_model(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    own = yaml.safe_load((ROOT / "configs/rajan2022.yaml").read_text())
    write_config(tmp_path / "run", demonstration(patch(own, ONE_EPOCH)))
    target = "results/iemocap/runs/self_published-A+V+T/fold0/predictions.parquet"
    snakemake(tmp_path / "run", target)
    facts = json.loads((tmp_path / "run" / target).with_name("seed1").joinpath("run.json").read_text())
    assert facts["model"]["dims"] == {"audio": 120, "video": 96, "text": 64}  # of demo:vit and demo:glove
    assert facts["model"]["max_steps"] == {"audio": 1000, "video": 32, "text": 128}
    assert (facts["training"]["normalise"], facts["network"]["faithful"]) == (False, True)
    faces = FaceFile(next((tmp_path / "run/results/iemocap/faces").glob("*.h5")))
    assert (faces.picture, faces.attributes["sample_rate_hz"]) == ("half", 3)


@pytest.mark.slow
def test_snakemake_s_own_report_works(finished, tmp_path):
    snakemake(finished, REPORT, "--report", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "<p>The report on <strong>iemocap</strong>: the verdict in words" in page, "the caption of our report"
    for path in (REPORT, "results/iemocap/tables/scores.csv"):
        assert f'"{path}": {{"name": ' in page
        assert b64encode((finished / path).read_bytes()).decode() in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpora": {"iemocap": {"root": "/nowhere/IEMOCAP"}}}, "/nowhere/IEMOCAP"),
        ({"corpora": {"iemocap": {"extractors": {"x": {"extractor": "nothing"}}}}}, "there is no extractor 'nothing'"),
        ({"corpora": {"iemocap": {"protocl": "session"}}}, "did you mean protocol"),
        ({"corpora": {"iemocap": {"shard_units": "many"}}}, "shard_units"),
    ],
)
def test_a_mistake_is_a_sentence_before_any_work_starts(tmp_path, changes, message):
    write_config(tmp_path, small_config(changes=changes))
    said = snakemake(tmp_path, REPORT, fails=True)
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_tables_are_the_same_bytes_when_made_again(finished):
    """One fold of each model is trained again: the others differ from it in what they are given alone."""
    before = tables(finished)
    runs = sorted((finished / "results/iemocap/runs").iterdir(), key=lambda run: len(run.name))
    again = {run.name.partition("-")[0]: run for run in runs}
    assert len(again) == 5
    for run in again.values():
        shutil.rmtree(run / "fold0")
    shutil.rmtree(finished / "results/iemocap/tables")
    with warm_jobs.another_python(PYTHONHASHSEED="1") as python:  # the hashes of the first run had a random seed
        snakemake(finished, *before, REPORT, python=python)
    assert tables(finished) == before
