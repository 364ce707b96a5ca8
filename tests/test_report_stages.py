"""The report on tables as the stages before it write them, and on the configuration as the workflow writes it."""

import json
import re

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from models.__main__ import main
from models.evaluation.statuses import Verdict
from models.report.sections import published
from models.settings import Settings
from tests.page import Page
from tests.report_fixture import Fixture, page_of
from tests.workflow_runs import ROOT
from workflow.corpora import Corpora


def stage(*arguments) -> None:
    done = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def tables_of(made: Fixture, task: str) -> Page:
    """The page after scores, significance and leaks were worked out from the predictions."""
    folder, tables = made.folder, made.folder / "tables"
    segments, split = folder / "segments.tsv", folder / "splits" / f"{made.protocol['name']}.tsv"
    common = ["--task", task, "--results", folder, "--segments", segments, "--protocol", made.protocol["name"]]
    folds = ["--folds", made.setup.folds]
    runs = [text for run in made.setup.levels for text in ("--run", run)]
    outputs = [f"--confusion={tables / 'confusion.csv'}", f"--per-video={tables / 'per_video.csv'}"]
    stage("score", *common, *runs, *folds, "--out", tables / "scores.csv", *outputs)
    contrasts = json.dumps([{"question": q, "a": a, "b": b} for q, a, b, _ in made.setup.contrasts])
    options = json.dumps({"metric": made.setup.metric, "bootstrap_samples": 200})
    given = ["--contrasts", contrasts, "--options", options, "--split", split, "--out", tables / "significance.csv"]
    stage("significance", *common, *folds, *given)
    stage("leaks", "--segments", segments, "--split", split, "--out", tables / "leaks.csv")
    return page_of(made)


def test_tables_as_the_stages_write_them(tmp_path):
    made = Fixture(tmp_path, "no videos", size=120)
    page = tables_of(made, "classes/segment")
    scores = pd.read_csv(made.folder / "tables" / "scores.csv")
    row = pd.read_csv(made.folder / "tables" / "significance.csv").iloc[0]
    assert Verdict(row["verdict"])
    lead = page.with_class("lead")[0].text
    assert f"{abs(row['difference']) * 100:.1f}".removesuffix(".0") in lead
    own = scores.query("model == 'self' and modalities == 'A+T' and metric == 'balanced_accuracy' and fold != 'all'")
    assert f"{own['value'].mean() * 100:.1f} ± {own['value'].std() * 100:.1f}" in page.table("Test scores").text
    chance = float(own["chance"].iloc[0])
    assert f"Guessing one class for every segment scores {chance * 100:.1f} % balanced accuracy" in page.root.text
    assert "interval and p are rough" not in lead
    # Speakers and dialogs are kept apart by session; nothing else is known of the groups.
    assert "No session, speaker or recording of the test part trains." in page.by_id("methods").text


def test_what_leaks_stands_on_the_first_page(tmp_path):
    made = Fixture(tmp_path, "no videos", size=120)
    segments = pd.read_csv(made.folder / "segments.tsv", sep="\t", dtype=str, keep_default_na=False)
    segments["scenario"] = [f"scene{k % 3}" for k in range(len(segments))]
    segments.to_csv(made.folder / "segments.tsv", sep="\t", index=False)
    warned = " ".join(w.text for w in tables_of(made, "classes/segment").all("header")[0].with_class("warn"))
    assert "the script or scene of 100 % of the test items also trains" in warned


def test_no_verdict_on_two_clusters(tmp_path):
    made = Fixture(tmp_path, "no videos", size=120)
    for name, sep in (("segments.tsv", "\t"), ("units.tsv", "\t")):
        table = pd.read_csv(made.folder / name, sep=sep, dtype=str, keep_default_na=False)
        table["unit_id"] = [f"unit{k % 2}" for k in range(len(table))]
        table.drop_duplicates("unit_id" if name == "units.tsv" else "segment_id").to_csv(
            made.folder / name, sep=sep, index=False
        )
    page = tables_of(made, "classes/segment")
    assert page.with_class("answer")[0].text == "No verdict: these data cannot carry one."
    assert "but there is no verdict: not even an exact test of so few dialogs" in page.with_class("lead")[0].text
    # What was not made is not told of: no interval, no bootstrap; and the corpus's word for a recording is used.
    tested = f"{page.by_id('significance').text} {page.by_id('methods').text} {page.by_id('paper').text}"
    assert "These data carry no interval, so nothing is decided" in tested
    for untrue in ("thick part", "bootstrap", "interval and p are rough"):
        assert untrue not in tested, untrue
    assert re.search(r"\d+ test items of 2 recordings", page.with_class("facts")[0].text)


def test_numbers_of_segments_as_the_stages_write_them(tmp_path):
    made = Fixture(tmp_path, "numbers", size=120)
    page = tables_of(made, made.setup.task)
    scores = pd.read_csv(made.folder / "tables" / "scores.csv")
    own = scores.query("model == 'self' and metric == 'ccc_dominance' and fold != 'all'")["value"]
    assert f"{own.mean():.3f} ± {own.std():.3f}" in page.table("Test scores").text
    assert "classes" not in [s.attributes["id"] for s in page.all("section")]


@pytest.mark.parametrize("corpus", ["iemocap", "affwild2"])
def test_the_workflow_s_configuration_says_all_that_the_report_asks(corpus, tmp_path):
    planned = Corpora(yaml.safe_load((ROOT / "config.yaml").read_text()))[corpus]
    (tmp_path / "config.json").write_text(json.dumps(planned.configuration))
    settings = Settings.from_json(tmp_path / "config.json")
    assert settings.title == planned.settings.corpus.title
    assert settings.task == planned.settings.task
    assert list(settings.runs) == list(planned.options.planned_runs)
    assert set(settings.stores_read) <= set(settings.extractors)
    assert settings.modalities == ["audio", "video", "text"]
    assert settings.protocol.description
    assert settings.published
    assert settings.departures
    for model in settings.models:
        about = settings.about_models[model]
        assert about["title"]
        assert about["description"].endswith(".")
    assert {about["citation"] for about in settings.about_models.values()} >= {"rajan2022", "praveen2024"}
    assert all(re.match(r"@\w+\{\w+,", text) for text in settings.citations)


def test_published_figures_stand_beside_the_models_of_the_paper_and_no_others(tmp_path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    runs = {name: ["A+V+T"] for name in config["models"] if name != "rjcma_published"}  # which is for frames
    config["corpora"]["iemocap"] |= {"runs": runs, "contrasts": []}
    config["demo"] = {"models": {}}
    (tmp_path / "config.json").write_text(json.dumps(Corpora(config)["iemocap"].configuration))
    settings = Settings.from_json(tmp_path / "config.json")
    found = published.papers(settings)
    beside = {run.model: published.beside(found, run, settings.models[run.model]) for run in settings.runs.values()}
    means = {model: figures["balanced_accuracy"].mean for model, figures in beside.items() if figures}
    assert means == {  # of the paper's table
        "self": 0.587, "cross": 0.578, "self_published": 0.587, "cross_published": 0.578,
        "self_concat": 0.584, "cross_concat": 0.570, "cross_self": 0.585,
    }  # fmt: skip
    assert {"self_context", "self_raters", "self_dropout", "self_prenorm", "self_frames"} < set(beside) - set(means)


def test_published_figures_may_also_name_their_runs(tmp_path):
    made = Fixture(tmp_path, "no videos", size=40)
    row = {"run": "self-A", "metric": "balanced_accuracy", "mean": 0.651, "sd": 0.012, "source": "somewhere"}
    rows = [row, {**row, "run": "nobody-A", "what": "another system", "part": "test"}]
    made.tell(published=[{"paper": "Somebody 2020", "rows": rows}])
    page = page_of(made)
    shown = [[cell.text for cell in tr.all("th", "td")] for tr in page.table("Test scores").all("tr") if tr.all("td")]
    assert [cells[3] for cells in shown] == ["–", "65.1 ± 1.2"]
    assert "another system" in page.table("Published figures").text
