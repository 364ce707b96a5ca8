"""The numbers in the report equal those of the tables; the published ones equal what the papers say."""

import csv
import json
import re
import statistics
from itertools import pairwise

import pandas as pd
import pytest

from models.options import SignificanceOptions
from models.report import writing
from models.report.charts import Axis, block_means, path, path_data, swarm
from models.report.compare import Side, material
from models.report.gather import read
from models.report.sections import items, training
from models.report.sections.classes import guessing
from models.report.sections.provenance import provenance
from models.report.sections.ranks import compared_blocks
from models.report.sections.scores import Cell, chance_of, collect, guessed, ranking
from models.report.tables import Column
from models.settings import Settings
from pipeline.corpora.readers.affwild2 import figures as figures_affwild2
from pipeline.corpora.readers.iemocap import figures as figures_iemocap
from tests.page import Page, rows_of
from tests.report_fixture import CORPORA, Fixture, page_of
from tests.report_material import RUNS, TITLES
from tests.report_setups import SEVEN, WHISPER


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory) -> dict[str, Fixture]:
    folder = tmp_path_factory.mktemp("results")
    return {corpus: Fixture(folder, corpus) for corpus in CORPORA}


@pytest.fixture(scope="module")
def pages(fixtures) -> dict[str, Page]:
    return {corpus: page_of(made) for corpus, made in fixtures.items()}


def of(fixture: Fixture, name: str) -> list[dict]:
    with (fixture.folder / "tables" / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def expected(rows: list[dict], model: str, modalities: str, metric: str, factor: float, decimals: int) -> str:
    values = [
        float(r["value"])
        for r in rows
        if (r["model"], r["modalities"], r["metric"]) == (model, modalities, metric)
        and r["fold"] != "all"
        and r["turns"] == "all"
    ]
    mean, sd = statistics.fmean(values) * factor, statistics.stdev(values) * factor
    return f"{mean:.{decimals}f} ± {sd:.{decimals}f}"


def test_iemocap_scores_equal_the_table(pages, fixtures):
    rows = of(fixtures["iemocap"], "scores.csv")
    bodies = pages["iemocap"].table("Test scores").all("tbody")
    models, seen = {title: model for model, title in TITLES.items()}, 0
    for body in bodies:
        modalities = body.all("th")[0].text.split()[0]
        for head, cells in rows_of(body).items():
            seen += 1
            here = [cells[1], cells[3], cells[5], cells[6]]
            metrics = ("balanced_accuracy", "accuracy", "macro_f1", "weighted_f1")
            assert here == [expected(rows, models[head], modalities, m, 100, 1) for m in metrics]
    assert seen == len(RUNS["iemocap"])


def test_affwild2_scores_equal_the_table(pages, fixtures):
    rows = of(fixtures["affwild2"], "scores.csv")
    body = pages["affwild2"].table("Test scores").all("tbody")[0]
    cells = rows_of(body)["RJCMA (3 recursions, GRU)"]
    wanted = [expected(rows, "rjcma", "A+V+T", f"ccc_{d}", 1, 3) for d in ("mean", "valence", "arousal")]
    assert cells[1:4] == wanted


def test_published_figures_stand_beside_under_their_right_names(pages):
    table = pages["iemocap"].table("Test scores")
    heads = [th.text for th in table.all("thead")[0].all("th")]
    at = heads.index("Balanced accuracy")
    assert heads[at : at + 2] == ["Balanced accuracy", "Accuracy"]
    assert heads[-4:] == ["here", "published (“WA”)", "here", "published (“UWA”)"]
    cells = rows_of(table.all("tbody")[0])["self-attention"]
    assert (cells[2], cells[4]) == ("58.7 ± 2.2", "64.2 ± 1.9")  # paper 1: balanced accuracy / accuracy
    text = pages["iemocap"].by_id("scores").text
    assert "No published figure stands beside" not in text
    assert "they do not compare directly with the protocol here" in text
    prior = rows_of(pages["iemocap"].table("Published figures"))
    assert prior["MDRE"][1:3] == ["49.0 ± 5.6", "56.4 ± 4.3"]
    table = rows_of(pages["affwild2"].table("Published figures"))
    assert any("official training part" in head for head in table)
    assert table["RJCMA, 4 recursions"][:2] == ["cross-validation fold 1", "0.615"]
    paper = rows_of(pages["affwild2"].table("Test scores"))["published: RJCMA, official split"]
    assert paper[1:4] == ["0.553", "0.455", "0.652"]


@pytest.mark.parametrize(
    ("classes", "merge", "said"),
    [
        (("ang", "hap", "sad", "neu"), {"exc": "hap"}, "told apart here: ang, hap, sad, neu, with exc counted as hap."),
        (SEVEN, {"dis": "ang"}, "told apart here: ang, exc, hap, sad, fru, sur, neu, with dis counted as ang."),
    ],
)
def test_published_figures_are_for_the_published_classes_alone(tmp_path, classes, merge, said):
    made = Fixture(tmp_path, "iemocap", size=20)
    file = made.folder / "tables" / "scores.csv"
    scores = pd.read_csv(file)
    gone = {f"recall_{c}" for c in SEVEN} - {f"recall_{c}" for c in classes}
    scores[~scores["metric"].isin(gone)].to_csv(file, index=False)
    made.configure(labels=list(classes), merge=merge)
    page = page_of(made)
    assert "published" not in page.table("Test scores").text.lower()
    assert not page.by_id("scores").with_class("diamond")
    text = page.by_id("scores").text
    assert "attentive modality hopping" not in text
    assert "swapped" not in text
    assert "are for labels ang, exc, hap, sad, fru, sur and neu; no merge; turns all; told apart here" in text
    assert said in text


def test_published_figures_of_all_turns_do_not_stand_beside_those_of_one_style(tmp_path):
    made = Fixture(tmp_path, "iemocap", size=20)
    made.configure(turns="improvised")
    page = page_of(made)
    assert "published" not in page.table("Test scores").text.lower()
    assert "no merge; turns all" in page.by_id("scores").text


def test_a_constant_answer_is_no_better_than_guessing_where_folds_lack_classes():
    """Of two folds one has two of four classes: the mean of what a constant answer scores is not that of all items."""
    rows = [("0", 0.25, 0.25), ("1", 0.5, 0.5), ("all", 0.25, 0.25)]
    about = {"run": "self-A", "metric": "balanced_accuracy"}
    table = pd.DataFrame([about | {"fold": fold, "value": value, "chance": chance} for fold, value, chance in rows])
    cells, chance = collect(table), chance_of(table, "balanced_accuracy")
    assert chance == 0.375
    assert guessed(cells["self-A", "balanced_accuracy"].mean, chance)
    assert not guessed(0.38, chance)


def test_a_score_that_some_training_leaves_undefined_has_no_mean():
    """Two of three trainings that collapse to a constant do not leave the third to speak for all."""
    values = {"x-A": [None, None, 0.5], "y-A": [0.40, 0.42, 0.41]}
    rows = [
        {"run": run, "fold": "0", "metric": f"{part}pearson_mean", "value": value}
        for run, of in values.items()
        for value in of
        for part in ("", "development_")
    ]
    calls = {"precision_sur": [None, None, None, None, 1.0], "recall_sur": [0.0, 0.0, 0.0, None, 0.1]}
    for metric, of in calls.items():
        rows += [{"run": "x-A", "fold": str(fold), "metric": metric, "value": value} for fold, value in enumerate(of)]
    cells = collect(pd.DataFrame(rows).astype({"value": float}))
    assert ("x-A", "pearson_mean") not in cells
    assert cells["y-A", "pearson_mean"].mean == pytest.approx(0.41)
    assert ranking(cells, ["x-A", "y-A"], "pearson_mean") == ["y-A"]
    assert cells.undefined == {
        ("x-A", "pearson_mean"): "defined in 1 of 3 trainings",
        ("x-A", "development_pearson_mean"): "defined in 1 of 3 trainings",
        ("x-A", "precision_sur"): "defined in 1 of 4 trainings",
    }
    assert cells["x-A", "recall_sur"].mean == pytest.approx(0.025), "a fold without the class is without it for all"


def test_a_fold_whose_truth_leaves_a_score_undefined_counts_for_nobody():
    """The last of five folds has one segment, so no correlation, and nobody in it is surprised."""
    values = {
        ("x-A", "pearson_mean"): [0.4, 0.5, 0.4, 0.5, None],
        ("y-A", "pearson_mean"): [0.4, 0.5, None, 0.5, None],
        ("x-A", "pearson_anger"): [None] * 5,
        ("y-A", "pearson_anger"): [None] * 5,
    }
    for part in ("", "development_"):
        values |= {
            ("x-A", f"{part}recall_sur"): [0.2, 0.4, 0.2, 0.4, None],
            ("y-A", f"{part}recall_sur"): [0.2, 0.4, 0.2, 0.0, None],
            ("x-A", f"{part}precision_sur"): [0.6, 0.4, 0.6, 0.4, None],
            ("y-A", f"{part}precision_sur"): [0.6, 0.4, 0.6, None, 0.0],
            ("z-A", f"{part}precision_sur"): [0.6, 0.4, 0.6, 0.4, 0.0],
        }
    rows = [
        {"run": run, "metric": metric, "fold": str(fold), "value": value}
        for (run, metric), of in values.items()
        for fold, value in enumerate(of)
    ]
    cells = collect(pd.DataFrame(rows).astype({"value": float}))
    assert cells["x-A", "pearson_mean"] == (Cell(pytest.approx(0.45), pytest.approx(0.0577, abs=1e-4), 4))
    for part in ("", "development_"):
        assert cells["x-A", f"{part}precision_sur"].mean == pytest.approx(0.5)
        assert cells["z-A", f"{part}precision_sur"].mean == pytest.approx(0.5), "over the same folds as the others"
    assert cells.undefined == {
        ("y-A", "pearson_mean"): "defined in 3 of 4 trainings",
        ("x-A", "pearson_anger"): "defined in 0 of 5 trainings",
        ("y-A", "pearson_anger"): "defined in 0 of 5 trainings",
        ("y-A", "precision_sur"): "defined in 3 of 4 trainings",
        ("y-A", "development_precision_sur"): "defined in 3 of 4 trainings",
    }


def test_a_missing_modality_is_judged_without_a_fold_whose_truth_leaves_the_score_undefined(tmp_path):
    made = Fixture(tmp_path, "iemocap", size=20)
    file = made.folder / "tables" / "missing_modalities.csv"
    table = pd.read_csv(file)
    table.loc[table["fold"] == 4, "value"] = None
    table.to_csv(file, index=False)
    assert "defined in" not in page_of(made).table("With a modality taken away").text


def test_undefined_scores_are_said_in_the_tables_and_on_the_first_page(tmp_path):
    made = Fixture(tmp_path, "iemocap", size=20)
    file = made.folder / "tables" / "scores.csv"
    scores = pd.read_csv(file, dtype={"fold": str})
    single, seed = scores["fold"] == "0", scores["seed"] == 1
    of_self = (scores["model"] == "self") & (scores["modalities"] == "A+V+T") & single & seed
    scores.loc[of_self & scores["metric"].isin(["precision_ang", "macro_f1"]), "value"] = None
    worst = (scores["model"] == "self") & (scores["modalities"] == "A") & single & seed
    scores.loc[worst & (scores["metric"] == "development_balanced_accuracy"), "value"] = None
    scores.to_csv(file, index=False)
    page = page_of(made)
    assert "– defined in 9 of 10 trainings" in page.table("Test scores").text
    (precision,) = [t for t in page.all("table") if t.attributes["data-name"] == "precision"]
    assert "– defined in 9 of 10 trainings" in precision.text
    assert "A dash: not defined in every training, as some give no item the class." in precision.text
    assert "Not ranked: 1 run, of which that score is undefined in some training." in page.all("header")[0].text


def test_a_block_in_which_some_seed_is_undefined_ranks_nobody():
    rows = [("0", 1, 0.5), ("0", 2, 0.6), ("1", 1, None), ("1", 2, 0.9)]
    about = {"run": "self-A", "metric": "pearson_mean"}
    table = pd.DataFrame([about | dict(zip(("fold", "seed", "value"), row)) for row in rows])
    _, blocks = compared_blocks(table, pd.DataFrame(), ["self-A"], "pearson_mean", "video")
    assert blocks["self-A"].to_dict() == {"0": pytest.approx(0.55)}


def test_curves_show_the_score_that_selects(tmp_path):
    made = Fixture(tmp_path, "affwild2", size=24)
    made.configure(significance=SignificanceOptions(metric="ccc_valence").model_dump())
    figure = next(h3.text for h3 in page_of(made).all("h3") if "on the development part, by epoch" in h3.text)
    assert "Mean CCC" in figure


def test_lines_are_drawn_of_all_folds_and_their_number_is_said(tmp_path, monkeypatch):
    """Twenty folds of five seeds, each with a loss of its own: the lines reach the last."""
    axis = Axis.between(0, 99)
    losses = [pd.DataFrame({"epoch": [1, 2], "loss": [k, k]}) for k in range(100)]
    drawn = path_data(training._lines(losses, "loss", axis, axis)["thin"])
    heights = [int(y) for y in re.findall(r"M\d+ (\d+)", drawn)]
    assert len(heights) == 60
    assert (heights[0], heights[-1]) == (1000, 0)
    assert max(before - after for before, after in pairwise(heights)) <= 21, "of every fold some"
    monkeypatch.setattr(training, "LINES_AT_MOST", 4)
    section = page_of(Fixture(tmp_path, "text", size=20)).by_id("curves")
    assert section.text.count("4 of 10 are drawn") == 2 * 2  # score and loss of two runs
    assert all(e.attributes["d"].count("M") == 4 for e in section.with_class("thin"))


@pytest.mark.parametrize("at_most", [300, 7])
def test_how_many_dots_are_drawn_is_said(tmp_path, monkeypatch, at_most):
    monkeypatch.setattr(items, "DOTS_AT_MOST", at_most)
    section = page_of(Fixture(tmp_path, "numbers", size=40)).by_id("truth")
    assert ("7 of 40 are drawn" in section.text) == (at_most == 7)
    assert {len(svg.with_class("dot")) for svg in section.with_class("square")} == {min(40, at_most)}


def test_the_official_split_s_figure_stands_only_beside_the_official_split(tmp_path):
    protocol = {"name": "sixfold", "description": "official partition and five rotations"}
    page = page_of(Fixture(tmp_path, "affwild2", size=24, about={"protocol": protocol}))
    assert "published" not in page.table("Test scores").text
    assert "RJCMA, official split The paper selected its model" in page.table("Published figures").text


def test_published_figures_equal_the_facts(shared):
    facts = (shared / "facts" / "papers.md").read_text(encoding="utf-8")
    table = facts.partition("### Results, % [slides]")[2].partition("Prior work")[0]
    rows = [row for row in figures_iemocap.PUBLISHED[0]["rows"] if "model" in row]
    held = {
        (row["model"]["fusion"], row["model"]["combine"], row["modalities"], row["metric"]): (row["mean"], row["sd"])
        for row in rows
    }
    kinds = {"without statistical pooling": ("concatenation", None), "cross+self together": ("statistics", "both")}
    seen = 0
    for line in table.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if not re.match(r"[AVT](\+|$| )", cells[0]):
            continue
        modalities, _, extra = cells[0].partition(" ")
        combine, both = kinds.get(extra, ("statistics", None))
        for text, fusion in zip(cells[1:], ("self_attention", "cross_attention")):
            if text:
                fusion = "cross_self_attention" if both else fusion
                balanced, accuracy = (half.split("±") for half in text.split("/"))
                for value, metric in ((balanced, "balanced_accuracy"), (accuracy, "accuracy")):
                    figure = [x for x in held.pop((fusion, combine, modalities, metric)) if x is not None]
                    assert [round(x * 100, 4) for x in figure] == [float(x) for x in value]
                    seen += 1
    assert (seen, held) == (28, {})
    rows = {(row["what"], row["part"], row["metric"]): row["mean"] for row in figures_affwild2.PUBLISHED[0]["rows"]}

    def both(what, part):
        return [rows[what, part, f"ccc_{d}"] for d in ("valence", "arousal")]

    line = next(x for x in facts.splitlines() if x.startswith("| paper, headline"))
    numbers = [float(x) for x in re.findall(r"\.\d+", line)]
    headline = "RJCMA, headline"
    assert [*both(headline, "cross-validation fold 1"), *both(headline, "official test")] == numbers
    line = next(x for x in facts.splitlines() if x.startswith("| paper, official validation"))
    assert both("RJCMA, official split", "official validation") == [float(x) for x in re.findall(r"\.\d+", line)]
    line = next(x for x in facts.splitlines() if x.startswith("| challenge baseline"))
    baseline = [both("challenge baseline", part) for part in ("official validation", "official test")]
    assert [x for pair in baseline for x in pair] == [float(x) for x in re.findall(r"\.\d+", line)]
    recursion = re.search(r"l=1 (\.\d+), l=2 (\.\d+), l=3 (\.\d+), l=4 (\.\d+)", facts)
    said = [v for (what, _, metric), v in rows.items() if re.fullmatch(r"RJCMA, \d recursions?", what)]
    assert said == [float(x) for x in recursion.groups()]


def test_contrasts_equal_the_table_and_lie_where_they_belong(pages, fixtures):
    rows = [row for row in of(fixtures["iemocap"], "significance.csv") if row["role"] == "planned"]
    table = pages["iemocap"].table("Planned contrasts")
    shown = table.all("tbody")[0].all("tr")
    assert len(shown) == len(rows)
    place = {}
    for tr, row in zip(shown, rows):
        cells = [td.text for td in tr.all("td")]
        low, high = (f"{float(row[k]) * 100:+.1f}".replace("-", "−") for k in ("ci_low", "ci_high"))
        assert cells[2] == f"{low} to {high}".replace("+0.0", "0.0").replace("−0.0", "0.0")
        assert cells[5] == row["verdict"].replace("a better", "first better").replace("b better", "second better")
        for circle in tr.all("circle"):
            place[float(row["difference"])] = float(circle.attributes["cx"].rstrip("%"))
    ordered = sorted(place)
    assert [place[d] for d in ordered] == sorted(place.values())
    # A linear scale: equal steps in value are equal steps on paper.
    a, b, c = ordered[0], ordered[len(ordered) // 2], ordered[-1]
    assert (place[b] - place[a]) / (place[c] - place[a]) == pytest.approx((b - a) / (c - a), abs=0.002)


def test_confusion_rows_add_up_and_equal_the_counts(pages, fixtures):
    counts = {}
    for row in of(fixtures["iemocap"], "confusion.csv"):
        if (row["model"], row["modalities"]) == ("self", "A+V+T"):
            counts.setdefault(row["label"], {})[row["predicted"]] = int(row["count"])
    shown = rows_of(pages["iemocap"].table("Confusion matrix of self-attention A+V+T"))
    assert list(shown) == list(counts) != []
    for label, predicted in counts.items():
        total = sum(predicted.values())
        assert shown[label] == [f"{100 * n / total:.0f} {n}" for n in predicted.values()]


def test_coverage_counts_equal_the_table(pages, fixtures):
    wanted: dict[str, dict] = {}
    for row in of(fixtures["iemocap"], "coverage.csv"):
        if row["segment"]:
            wanted.setdefault(row["modality"], {}).setdefault(row["status"], []).append(row)
    shown = rows_of(pages["iemocap"].table("Turns by what is there of them"))
    assert set(shown) == set(wanted)
    for modality, by_status in wanted.items():
        assert shown[modality][1:4] == [str(len(by_status.get(s, []))) for s in ("ok", "partial", "absent")]
    left_out, turns = (len(wanted["split"][s]) for s in ("absent", "ok"))
    assert f"Used: {turns} of {left_out + turns}." in pages["iemocap"].by_id("coverage").text
    reasons = pages["iemocap"].table("Why").all("tbody")[0].all("tr")
    cells = [[cell.text for cell in row.all("th", "td")] for row in reasons]
    (faceless,) = [row for row in cells if row[1:3] == ["video", "absent"]]
    assert faceless[0].startswith("No face was found Such as: no face found in")
    assert faceless[3] == str(len(wanted["video"]["absent"]))  # reasons that differ in a number alone are one


def test_cost_adds_up(pages, fixtures):
    total, jobs = 0.0, 0
    for file in (fixtures["iemocap"].folder / "benchmarks" / "faces").glob("*.tsv"):
        with file.open() as stream:
            total += sum(float(row["s"]) for row in csv.DictReader(stream, delimiter="\t"))
            jobs += 1
    cells = rows_of(pages["iemocap"].table("Time and memory by stage"))["faces"]
    assert cells[1:3] == [writing.duration(total), str(jobs)]
    of_stage = rows_of(pages["iemocap"].table("Time and memory by stage"))
    assert of_stage["demo corpus"][2] == "1", "the other corpus is counted in its own report"
    assert of_stage["weights"][2] == "2", "the small ones are made together"
    assert len([r for r in rows_of(pages["iemocap"].table("Time and memory by rule")) if r.startswith("train-")]) == 18


def test_provenance_shows_what_the_stores_say(pages):
    table = rows_of(pages["iemocap"].table("Feature stores"))
    (cells,) = [cells for head, cells in table.items() if head.startswith("bert.h5")]
    assert cells[0] == "transformers_text 1"
    assert cells[4].startswith("demo:bert")
    assert cells[4].endswith("5b0a6c2")
    text = pages["iemocap"].by_id("provenance").text
    assert "ab" * 32 in text  # digest of the weights
    assert "torch 2.11.0," in text
    assert "Example CPU 3000" in text
    (config,) = pages["iemocap"].by_id("provenance").all("pre")
    assert json.loads(config.text)["iemocap"]["training"]["learning_rate"] == 0.003
    raw = rows_of(pages["iemocap"].table("Raw files"))
    assert raw["videos"] == ["151", "7400.00", "12" * 32]
    assert raw["labels"][-1] == "34" * 32
    read = rows_of(pages["iemocap"].table("Files that the trainings read"))
    trainings = str(sum(run.endswith("A+V+T") for run in RUNS["iemocap"]) * 5 * 2)
    assert read["features/wav2vec2.h5"] == [trainings, "01" * 32]
    assert read["splits/session.tsv"] == [trainings, "02" * 32]


def test_all_versions_that_were_used_are_named(tmp_path):
    """Of which one fold was trained after an upgrade; on the page, in the methods paragraph and in a comparison."""
    made = Fixture(tmp_path, "text", size=20)
    for file in made.folder.glob("runs/self-T/fold3/*/run.json"):
        file.write_text(file.read_text().replace("2.11.0", "2.12.1"))
    for file in made.folder.glob("runs/self-T/fold2/*/run.json"):  # as PyTorch names itself
        file.write_text(file.read_text().replace("2.11.0", "2.11.0+cu130"))
    page = page_of(made)
    assert "torch 2.11.0 and 2.12.1," in page.by_id("provenance").text
    assert "python 3.11.2, torch 2.11.0 and 2.12.1 and transformers 5.1.0" in page.with_class("methods")[0].text
    (side,) = [Side("one", results := read(made.folder, Settings.from_json(made.config_json)), {}, ["self-T"], None)]
    assert "torch 2.11.0 and 2.12.1" in material([side]).rows[0]["software"]
    assert dict(provenance(results)["software"])["torch"] == "2.11.0 and 2.12.1", "as versions.json has it"


@pytest.mark.parametrize(("name", "labels"), [("numbers", "labels.tsv"), ("affwild2", "labels.h5")])
def test_provenance_names_the_tables_that_trainings_read(tmp_path, name, labels):
    read = rows_of(page_of(Fixture(tmp_path, name, size=24)).table("Files that the trainings read"))
    assert {file for file, cells in read.items() if cells[1] == "03" * 32} == {"segments.tsv", labels}


@pytest.mark.parametrize(("corpus", "factor", "decimals"), [("iemocap", 100, 1), ("affwild2", 1, 3)])
def test_what_a_missing_modality_costs_equals_the_table(pages, fixtures, corpus, factor, decimals):
    table = pd.DataFrame(of(fixtures[corpus], "missing_modalities.csv")).astype({"value": float})
    shown = rows_of(pages[corpus].table("With a modality taken away at test"))
    assert len(shown) == table.groupby(["model", "modalities"]).ngroups
    assert len(shown) < len(RUNS[corpus]) or corpus == "affwild2"  # of one modality none can be taken away
    for cells, (_, rows) in zip(shown.values(), table.groupby(["model", "modalities"], sort=False), strict=True):
        held = rows.groupby("without")["value"].agg(["mean", "std"]) * factor
        order = [absent for absent in ("nothing", "audio", "video", "text") if absent in held.index]
        texts = [f"{held['mean'][x]:.{decimals}f} ± {held['std'][x]:.{decimals}f}" for x in order]
        assert [cell for cell in cells if cell not in ("–", "")] == texts


def test_the_recogniser_s_weights_are_named_where_it_is_used(pages):
    text = pages["affwild2"].by_id("provenance").text
    assert f"found by transformers with {WHISPER}, digests as fetched." in text
    assert f"model.safetensors {'ef' * 32}" in text
    assert "Speech recognition" not in pages["iemocap"].by_id("provenance").text


def test_traces_show_the_best_median_and_worst_video(pages, fixtures):
    table = pd.DataFrame(of(fixtures["affwild2"], "per_video.csv"))
    mine = table[(table["model"] == "rjcma") & (table["modalities"] == "A+V+T")]  # the best by development score
    ranked = mine.assign(ccc=mine["ccc_mean"].astype(float)).groupby("segment_id")["ccc"].mean().sort_values()
    captions = [f.all("figcaption")[0].text for f in pages["affwild2"].with_class("trace-figure")]
    assert len(captions) == 3
    assert f"{ranked.index[-1]} (best)" in captions[0]
    assert f"{ranked.index[0]} (worst)" in captions[2]
    assert "70 of them without a label" in captions[0]
    figure = pages["affwild2"].with_class("trace-figure")[0]
    cells = figure.with_class("cells")[0].all("li")
    assert len(cells) == 10
    assert cells[6].text.startswith("no face")  # the strip has no crop there
    assert "well I never" in cells[0].text
    words = json.loads(figure.attributes["data-words"])
    assert words[0] == [0.2, 0.6, "well"]
    # The truth has a gap where frames are not labelled; the prediction has none.
    truth, predicted = (figure.with_class(kind)[0].attributes["d"] for kind in ("truth", "predicted"))
    assert (truth.count("M"), predicted.count("M")) == (2, 1)


# --- Small parts


def test_axis_ticks_are_round_and_positions_linear():
    axis = Axis.covering([0.337, 0.587], 5)
    assert axis.ticks == (0.35, 0.4, 0.45, 0.5, 0.55)
    assert [axis.tick_text(t, 100) for t in axis.ticks] == ["35", "40", "45", "50", "55"]
    axis = Axis.between(-2, 6, 4)
    assert (axis.x(-2), axis.x(0), axis.x(6), axis.x(99)) == ("0.00%", "25.00%", "100.00%", "100.00%")
    assert (axis.y(6), axis.y(-2), axis.width(0, 2)) == ("0.00%", "100.00%", "25.00%")
    assert axis.ticks == (-2, 0, 2, 4, 6)
    assert Axis.covering([0.5], 3).share(0.5) == pytest.approx(0.5)
    assert Axis.covering([], 3).ticks  # nothing to show still gives an axis


def test_paths_have_gaps_and_blocks_are_means():
    nan = float("nan")
    unit = Axis.between(0, 1, 2)
    assert path_data(path([0, 0.5, 1], [0, nan, 1], unit, unit)) == "M0 1000M1000 0"
    assert path_data(path([0, 1], [0.25, 0.75], unit, unit)) == "M0 750L1000 250"
    assert block_means([1, 3, nan, 5, nan, nan], 3).tolist()[:2] == [2, 5]
    assert block_means([1, 3, nan, 5, nan, nan], 3)[2] != block_means([1, 3, nan, 5, nan, nan], 3)[2]
    assert block_means([1, 2], 3).tolist() == [1, 2]


def test_swarm_keeps_dots_apart_while_there_is_room():
    axis = Axis.between(0, 1, 2)
    placed = swarm([0.5, 0.5, 0.5, 0.9, float("nan")], axis)
    assert [row for _, row in placed] == [0, 1, -1, 0]
    assert placed[3][0] == "90.00%"


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (writing.p_value, 0.0004, "< 0.001"),
        (writing.p_value, 0.0312, "0.031"),
        (writing.p_value, 0.0496, "0.0496"),
        (writing.p_value, 0.0504, "0.0504"),
        (writing.p_value, 0.0499996, "0.0499996"),
        (writing.p_value, 0.05, "0.050"),
        (lambda p: writing.p_value(p, 0.01), 0.0504, "0.050"),
        (lambda p: writing.p_is(p, 0.01), 0.0097, "= 0.0097"),
        (lambda p: writing.p_value(p, 0.0001), 0.0002, "0.0002"),
        (writing.level, 0.025, "97.5 %"),
        (writing.level, 0.05, "95 %"),
        (writing.level, 2 * 0.05, "90 %"),
        (writing.level, 0.001, "99.9 %"),
        (Column("p", "p", writing.p_value).text, {"p": None}, "–"),
        (writing.percent, 0.9999, "> 99 %"),
        (writing.percent, 0.005, "< 1 %"),
        (writing.percent, 0.0, "0 %"),
        (writing.percent, 1.0, "100 %"),
        (writing.duration, 3725, "1 h 02 min"),
        (writing.duration, 59.7, "1 min 00 s"),
        (writing.duration, 0.04, "0.0 s"),
        (writing.duration, 9.97, "10 s"),
        (writing.duration, 3599.6, "1 h 00 min"),
        (writing.duration, 7199, "2 h 00 min"),
        (writing.duration, 90_000, "25 h 00 min"),
        (writing.duration, 172_799, "2 d 0 h"),
        (writing.clock, 61.2, "1:01"),
        (writing.clock, 59.7, "1:00"),
        (writing.clock, 5400, "1:30:00"),
        (lambda time_s: writing.clock(time_s, 1), 59.97, "1:00.0"),
        (writing.listing, ["a", "b", "c"], "a, b and c"),
        (writing.metric_words, "ccc_mean", "mean CCC"),
        (writing.metric_words, "development_rmse_arousal", "development RMSE arousal"),
        (writing.Numbers("accuracy").difference, -0.0004, "0.0"),
        (writing.Numbers("accuracy").amount, 0.01, "1 point"),
        (lambda ends: writing.Numbers("accuracy").interval(*ends), (0.0004, 0.023), "+0.04 to +2.3"),
        (lambda ends: writing.Numbers("accuracy").interval(*ends), (-0.0302, -0.00049), "−3.0 to −0.05"),
        (lambda ends: writing.Numbers("accuracy").interval(*ends), (0.0, 0.0996), "0.0 to +10.0"),
        (lambda ends: writing.Numbers("accuracy").interval(*ends, 0.01), (-0.00996, 0.004), "−0.996 to +0.4"),
        (lambda ends: writing.Numbers("ccc_mean").interval(*ends, 0.01), (-0.01, 0.01002), "−0.010 to +0.01002"),
        (writing.Numbers("ccc_mean").difference, -0.0123, "−0.012"),
        (writing.Numbers("ccc_mean").region, 0.01, "0.01 CCC"),
    ],
)
def test_numbers_read_well(function, value, text):
    assert function(value) == text


def test_seconds_of_an_epoch_are_those_of_every_learning_rate_over_the_epochs_of_all(tmp_path):
    made = Fixture(tmp_path, "text", size=20)
    for file in made.folder.rglob("run.json"):
        tried = [{"epochs": 30, "seconds": 60.0}, {"epochs": 20, "seconds": 40.0}]
        file.write_text(json.dumps({**json.loads(file.read_text()), "tried": tried, "epochs": 20, "seconds": 100.0}))
    table = page_of(made).table("What was trained")
    at = [th.text for th in table.all("thead")[0].all("th")].index("Seconds an epoch") - 1
    assert {cells[at] for cells in rows_of(table).values()} == {"2.00"}


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("accuracy", "Guessing the commonest class for every turn scores 25.0 % accuracy."),
        ("balanced_accuracy", "Guessing one class for every turn scores 25.0 % balanced accuracy."),
        ("macro_f1", "Guessing the class that scores most for every turn scores 25.0 % macro F1."),
        ("weighted_f1", "Guessing the class that scores most for every turn scores 25.0 % weighted F1."),
    ],
)
def test_what_guesses_is_the_class_that_the_score_is_of(metric, said):
    assert guessing(metric, 0.25, "turn", frames=False) == said


@pytest.mark.parametrize("people", [2, 3])
def test_traces_are_called_best_median_and_worst_where_there_are_three(tmp_path, people):
    made = Fixture(tmp_path, "affwild2", size=24)
    file = made.folder / "tables" / "per_video.csv"
    videos = pd.read_csv(file)
    videos[videos["segment_id"].isin(videos["segment_id"].unique()[:people])].to_csv(file, index=False)
    section = page_of(made).by_id("traces")
    assert len(section.with_class("trace-figure")) == people
    said = ", the person it predicts best, the median one and the worst, by mean CCC within it."
    assert (said in section.text) == (people == 3)
    assert ("median one" in section.text) == (people == 3)
