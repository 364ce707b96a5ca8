"""Results folders side by side, and a run as a folder to archive."""

import json
import re
import shutil
import statistics
from hashlib import sha256

import pandas as pd
import pytest
from click.testing import CliRunner

from models.__main__ import main
from models.report.compare import build, flat, moved, read_sides, verdicts
from models.report.page import render_comparison
from pipeline.records import InputError
from tests.page import Page, rows_of
from tests.report_fixture import Fixture, html_of, page_of
from tests.report_material import TRAINING, encoded, face
from tests.report_runs import SAID

REAL = {"root": "mine", "scale": "research", "demonstration": False, "generated": None}


def run(*arguments) -> str:
    done = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Two folders: in the second self-attention A moved by 5 points, one run is gone, and two settings differ."""
    folder = tmp_path_factory.mktemp("compare")
    one, two = (Fixture(folder / name, "no contrasts", about=REAL, size=20) for name in ("one", "two"))
    file = two.folder / "tables" / "scores.csv"
    scores = pd.read_csv(file)
    moved = (scores["model"] == "self") & (scores["modalities"] == "A") & (scores["metric"] == "balanced_accuracy")
    scores.loc[moved, "value"] += 0.05
    scores[~(scores["model"] == "cross")].to_csv(file, index=False)
    two.configure(training={**TRAINING, "epochs": 40}, split_seed=4)
    two.configure(runs={"self": ["A+V+T", "T", "A"]})
    config = json.loads(two.config_json.read_text())["config"]
    del config["models"]["cross"]
    two.tell(config=config)
    run("compare-reports", one.folder, two.folder, "--out", folder / "page.html")
    return one, two, Page((folder / "page.html").read_text(encoding="utf-8"))


def test_the_scores_that_moved_come_first_with_by_how_much(compared):
    _one, two, page = compared
    rows = [
        [cell.text for cell in tr.all("th", "td")] for tr in page.table("Balanced accuracy").all("tbody")[0].all("tr")
    ]
    assert [row[0] for row in rows] == [
        "self-attention A", "self-attention A+V+T", "self-attention T", "cross-attention A+V+T",
    ]  # fmt: skip
    assert [row[-1] for row in rows] == ["+5.0", "0.0", "0.0", "–"]
    values = pd.read_csv(two.folder / "tables" / "scores.csv")
    own = values.query("model == 'self' and modalities == 'A' and metric == 'balanced_accuracy' and fold != 'all'")[
        "value"
    ]
    assert rows[0][3] == f"{statistics.fmean(own) * 100:.1f} ± {statistics.stdev(own) * 100:.1f}"
    assert rows[3][3] == "–"
    assert page.all("h1")[0].text == "What changed between one and two?"


def test_the_settings_that_differ_are_listed_and_no_others(compared):
    rows = rows_of(compared[2].table("What differs in configuration"))
    assert rows == {
        "split_seed": ["–", "4"],
        "runs.cross": ["A+V+T", "–"],
        "models.cross": ["configured", "–"],
        "training.epochs": ["20", "40"],
    }


def test_nested_settings_become_dotted_keys():
    given = {"a": {"b": 1, "c": [1, 2]}, "d": None, "e": {}, "f": [{"question": "one or two", "a": "x", "b": "y"}]}
    assert dict(flat(given)) == {"a.b": "1", "a.c": "1, 2", "f.one or two": "x y"}
    given["f"].append({"question": "one or two", "a": "x", "b": "z"})
    assert dict(flat(given))["f.one or two"] == "x y, x z", "of two contrasts that ask the same none is lost"
    assert dict(flat({"pages": [{"a": 1, "b": [2, 3]}, "c"]})) == {
        "pages.0.a": "1",
        "pages.0.b": "2, 3",
        "pages.1": "c",
    }


def test_the_verdicts_are_those_of_the_planned_contrasts(tmp_path):
    """Not those on the items of one style alone, which stand in the same table behind them."""
    folders = [Fixture(tmp_path / name, "iemocap", about=REAL, size=20).folder for name in ("one", "two")]
    run("compare-reports", *folders, "--out", tmp_path / "page.html")
    said = rows_of(Page((tmp_path / "page.html").read_text(encoding="utf-8")).table("Verdicts"))
    planned = pd.read_csv(folders[0] / "tables" / "significance.csv").query("role == 'planned'")
    assert len(said) == len(planned)
    for cells, difference in zip(said.values(), planned["difference"]):
        number = cells[0].partition(" (")[0].rpartition(" ")[2].replace("−", "-")
        assert float(number) == pytest.approx(difference * 100, abs=0.051)


def test_a_verdict_that_other_sessions_might_not_bear_out_says_so(tmp_path):
    """As the report does: in the verdict itself, and why."""
    one, two = (Fixture(tmp_path / name, "iemocap", about=REAL, size=20).folder for name in ("one", "two"))
    table = pd.read_csv(two / "tables" / "significance.csv", keep_default_na=False)
    better = (table["role"] == "planned") & table["verdict"].str.endswith("better")
    table.loc[better, "p_by_group"] = 0.21
    table.loc[better, "verdict"] += " here"
    table.to_csv(two / "tables" / "significance.csv", index=False)
    run("compare-reports", one, two, "--out", tmp_path / "page.html")
    said = rows_of(Page((tmp_path / "page.html").read_text(encoding="utf-8")).table("Verdicts"))
    clause = "; with other sessions, not only other dialogs, there might be no difference (p = 0.210 over 5 sessions)"
    assert sum(cells[1].endswith(clause) for cells in said.values()) == better.sum() > 0
    for first, second in (cells[:2] for cells in said.values()):
        limited = first.replace(" better ", " better on these sessions ")
        assert second.removesuffix(clause) == (limited if second.endswith(clause) else first) != ""


def test_of_each_score_the_runs_that_have_it_are_listed(tmp_path):
    turns, frames = Fixture(tmp_path, "text", size=10), Fixture(tmp_path / "other", "affwild2", size=24)
    run("compare-reports", turns.folder, frames.folder, "--out", tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    listed = {}
    for name in ("Balanced accuracy", "Mean CCC"):
        rows = [[cell.text for cell in tr.all("th", "td")] for tr in page.table(name).all("tbody")[0].all("tr")]
        listed[name] = {row[0] for row in rows}
        assert all(set(row[1:]) - {"–", ""} for row in rows)
    assert "self-attention T" in listed["Balanced accuracy"] & listed["Mean CCC"]
    assert "RCMA (3 recursions, GRU) A+V" in listed["Mean CCC"] - listed["Balanced accuracy"]


def test_five_folders_of_equal_scores_can_be_told_apart(tmp_path):
    made = Fixture(tmp_path / "a", "text", size=10)
    folders = [made.folder, *(tmp_path / name / "text" for name in "bcdefghijklm")]
    for folder in folders[1:]:
        shutil.copytree(made.folder, folder)
    page = Page(render_comparison(build(read_sides(folders))))

    def marks(places) -> set:
        return {(dot.tag, dot.attributes["class"], dot.attributes.get("transform")) for p in places for dot in p}

    dots = [g.with_class("dot") for svg in page.by_id("scores").with_class("plot") for g in svg.all("g")]
    heights = {dot.parent.attributes["transform"] for (dot,) in dots}
    keys = [key.with_class("dot") for key in page.with_class("key")]
    assert len(keys) == 13
    assert len(dots) == 13 * 2
    assert len(heights) == 13, "none covers another"
    assert len(marks(keys)) == len(marks(dots)) == 12, "of more than twelve folders the first mark comes again"


def test_what_cannot_be_compared_is_said(tmp_path):
    made = Fixture(tmp_path, "text", size=10)
    with pytest.raises(InputError, match="give two or more results folders"):
        run("compare-reports", made.folder, "--out", tmp_path / "x.html")
    other = Fixture(tmp_path / "other", "text", size=10)
    (other.folder / "tables" / "scores.csv").unlink()
    with pytest.raises(InputError, match=r"has no tables/scores\.csv"):
        run("compare-reports", made.folder, other.folder, "--out", tmp_path / "x.html")


@pytest.fixture(scope="module")
def archived(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    made = Fixture(folder, "affwild2", size=24)
    run("archive", made.folder, "--out", folder / "crate", "--license", "https://example.org/l", "--date", "2026-05-31")
    return made, folder / "crate"


def test_the_archive_describes_each_of_its_files(archived):
    _, crate = archived
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())
    assert graph["@context"] == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in graph["@graph"]}
    assert entities["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    root = entities["./"]
    assert (root["datePublished"], root["license"]) == ("2026-05-31", {"@id": "https://example.org/l"})
    files = {p.relative_to(crate).as_posix() for p in crate.rglob("*") if p.is_file()} - {"ro-crate-metadata.json"}
    assert {part["@id"] for part in root["hasPart"]} == files == set(entities) - {"ro-crate-metadata.json", "./"}
    for name in files:
        data = (crate / name).read_bytes()
        assert entities[name]["sha256"] == sha256(data).hexdigest()
        assert entities[name]["contentSize"] == str(len(data))
    wanted = "config.json tables/scores.csv paper/scores.tex report.html features.json versions.json raw_files.tsv"
    assert {*wanted.split(), "runs/rcma-A+V/fold0/seed1/run.json"} <= files


def test_nothing_of_the_corpus_is_in_the_archive(archived):
    made, crate = archived
    texts = {p.name: p.read_text(encoding="utf-8") for p in crate.rglob("*") if p.is_file()}
    for name, text in texts.items():
        assert not re.search(r"image/jpe?g|/9j/", text), name  # JPEG as base64 begins so
        for segment in made.segments:
            assert segment.segment_id not in text, name
        assert " ".join(SAID[:4]) not in text, name
        assert "rather cross" not in text, name
    assert "rather cross" in page_of(made).by_id("coverage").text
    assert "Coverage" in texts["report.html"]
    assert "No face was found" in texts["report.html"]


def test_a_page_without_media_holds_no_turn_of_a_corpus_of_classes(tmp_path):
    """By the command, with examples chosen, which the whole page shows: no picture, no sound, no turn by its name."""
    made = Fixture(tmp_path, "iemocap", size=40)
    run("examples", "--results", made.folder, "--out", made.folder / "tables" / "examples.tsv")
    chosen = pd.read_csv(made.folder / "tables" / "examples.tsv", sep="\t").segment_id
    sound = {"sound": "SUQz", "sound_type": "audio/mpeg"}
    shown = [{"segment_id": name, "jpeg": encoded(face(1)), "words": "quite so", **sound} for name in chosen]
    (made.folder / "tables" / "examples.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in shown))
    pages = {}
    for flag in ("--media", "--no-media"):
        run("report", "--results", made.folder, flag, "--out", tmp_path / "page.html")
        pages[flag] = (tmp_path / "page.html").read_text(encoding="utf-8")
    private = ["<audio", "/9j/", "quite so", *chosen, *(segment.segment_id for segment in made.segments)]
    assert all(words in pages["--media"] for words in private[:3])
    assert [words for words in private if words in pages["--no-media"]] == []


def test_numbers_of_single_segments_are_not_in_a_page_without_media(tmp_path):
    """Neither as dots nor as a bin of one, on the page and in the drawings; the line and its table stay."""
    made = Fixture(tmp_path, "numbers", size=40)
    run("archive", made.folder, "--out", tmp_path / "crate")
    page = Page((tmp_path / "crate" / "report.html").read_text(encoding="utf-8"))
    drawing = (tmp_path / "crate" / "paper" / "truth_1.svg").read_text(encoding="utf-8")
    for svg in page.by_id("truth").with_class("square"):
        assert not svg.all("circle")
        assert svg.with_class("second")[0].attributes["d"].count("L") > 4
    assert "dot" not in drawing.partition("</style>")[2]
    assert "A dot is" not in page.by_id("truth").text
    rows = pd.read_csv(tmp_path / "crate" / "paper" / "truth.csv")
    assert rows["items"].min() > 1
    whole, shareable = (html_of(made, media) for media in (True, False))
    for segment in made.segments:
        assert segment.speaker in whole
        assert segment.speaker not in shareable
        assert segment.segment_id not in shareable
    assert "No table was found" not in page.root.text
    assert "are not in this page, as some have a row for each segment" in page.by_id("downloads").text


def test_an_archive_never_goes_over_what_is_there(archived, tmp_path):
    made, crate = archived
    with pytest.raises(InputError, match="already and not empty"):
        run("archive", made.folder, "--out", crate)
    with pytest.raises(InputError, match="write it as YYYY-MM-DD"):
        run("archive", made.folder, "--out", tmp_path / "new", "--date", "31.5.2026")


def test_a_contrast_with_the_best_of_several_runs_is_named_by_them(tmp_path):
    folders = [Fixture(tmp_path / name, "one contrast", about=REAL, size=20).folder for name in ("one", "two")]
    for folder in folders:
        file = folder / "tables" / "significance.csv"
        pd.read_csv(file).assign(b="cross-A+V+T self-T").to_csv(file, index=False)
    (row,) = verdicts(read_sides(folders)).rows
    assert row["pair"] == "self-attention A+V+T against the best of cross-attention A+V+T and self-attention T"
    assert row["side0"] == row["side1"]


def test_a_contrast_is_one_whatever_was_chosen_in_each_folder(tmp_path):
    """As b of a table names what folds took, the most frequent first; another question is another contrast."""
    candidates = ("cross-A+V+T", "self-T", "self-A")
    words = dict(zip(candidates, ("cross-attention A+V+T", "self-attention T", "self-attention A")))
    taken = (("cross-A+V+T", "self-T"), ("self-T", "cross-A+V+T"), ("cross-A+V+T",))
    folders = [Fixture(tmp_path / name, "one contrast", about=REAL, size=20).folder for name in ("one", "two", "three")]
    for k, (folder, runs) in enumerate(zip(folders, taken)):
        file = folder / "tables" / "significance.csv"
        among = " ".join(f"{run}=0.5:{5 - 2 * k}" for run in (candidates[k:] + candidates[:k]))
        table = pd.read_csv(file).assign(b=" ".join(runs), b_chosen_from=among)
        pd.concat([table, table.assign(question="another")]).to_csv(file, index=False)
    row, other = verdicts(read_sides(folders)).rows
    assert {**row, "question": "another"} == other
    assert row["pair"].startswith("self-attention A+V+T against the best of cross-attention A+V+T, ")
    for k, runs in enumerate(taken):
        assert row[f"side{k}_by"].endswith(f"; chosen: {' and '.join(words[run] for run in runs)}")


def test_a_run_is_one_whatever_each_folder_calls_it(tmp_path):
    """In the second folder the fusion has another title, so that words for the same runs differ."""
    one, two = (Fixture(tmp_path / name, "one contrast", about=REAL, size=20) for name in ("one", "two"))
    about = json.loads(two.config_json.read_text())["models"]
    about["self"]["title"] = "gated attention"
    two.tell(models=about)
    sides = read_sides([one.folder, two.folder])
    (row,) = verdicts(sides).rows
    assert row["side0"] == row["side1"] == "first better"
    ours, theirs = (f"{title} A+V+T against cross-attention A+V+T" for title in ("self-attention", "gated attention"))
    assert row["pair"] == f"{ours} / {theirs}"
    (table, _axis) = moved(sides, "balanced_accuracy")
    assert {row["run"] for row in table.rows} == {
        "cross-attention A+V+T", *(f"self-attention {of} / gated attention {of}" for of in ("A+V+T", "T", "A")),
    }  # fmt: skip


def test_what_is_tested_and_the_level_of_its_interval_stand_in_each_cell(tmp_path):
    one, two = (Fixture(tmp_path / name, "one contrast", about=REAL, size=20) for name in ("one", "two"))
    given = json.loads(two.config_json.read_text())["config"]["mine"]["significance"]
    two.configure(significance=given | {"metric": "accuracy", "alpha": 0.1})
    file = two.folder / "tables" / "significance.csv"
    pd.read_csv(file).assign(metric="accuracy", difference=0.02, ci_low=0.01, ci_high=0.03).to_csv(file, index=False)
    (row,) = verdicts(read_sides([one.folder, two.folder])).rows
    assert re.fullmatch(r"balanced accuracy \+\d\.\d \(95 % interval \+\d\.\d to \+\d\.\d\)", row["side0_by"])
    assert row["side1_by"] == "accuracy +2.0 (90 % interval +1.0 to +3.0)"
