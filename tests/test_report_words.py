"""The report says in words what significance.csv says in numbers, marks what is no result, and follows the question."""

import json
import re
from types import SimpleNamespace

import pandas as pd
import pytest

from models.evaluation.statuses import Remark, Status
from models.options import NetworkOptions
from models.report.runs import RunNames
from models.report.sections.folds import develops_on_tested
from models.report.view import departures
from models.settings import Run, Settings
from tests.page import Page, rows_of
from tests.report_fixture import CORPORA, Fixture, page_of
from tests.report_tables import REFUSED
from tests.test_report_files import linked


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory) -> dict[str, Fixture]:
    folder = tmp_path_factory.mktemp("results")
    return {corpus: Fixture(folder, corpus) for corpus in CORPORA}


@pytest.fixture(scope="module")
def pages(fixtures) -> dict[str, Page]:
    return {corpus: page_of(made) for corpus, made in fixtures.items()}


def test_banner_where_and_only_where_it_belongs(tmp_path):
    own = {"root": "IEMOCAP_full_release", "scale": "demo", "demonstration": True}
    real = {"root": "IEMOCAP_full_release", "scale": "research", "demonstration": False}
    texts = []
    for k, about in enumerate(({}, own, real)):
        made = page_of(Fixture(tmp_path / str(k), "iemocap", about=about, size=20))
        banner = [e.text for e in made.with_class("banner")]
        texts.append(banner[0] if banner else "")
        title = made.all("title")[0].text
        assert title.startswith("DEMONSTRATION") == bool(banner)
        assert bool(made.with_class("strip")) == bool(banner)
        assert ("Demonstration" in made.table("Test scores").all("caption")[0].text) == bool(banner)
        names = [e.attributes["download"] for e in made.all("a") if "download" in e.attributes]
        assert all(name.startswith("demonstration_") == bool(banner) for name in names)
        assert ("DEMONSTRATION, not a result." in made.by_id("paper").text) == bool(banner)
    assert "corpus is synthetic" in texts[0]
    assert "corpus is your own (IEMOCAP_full_release), but networks that extract features are small" in texts[1]
    assert texts[2] == ""
    without = page_of(Fixture(tmp_path / "imported", "imported features", about=own, size=20))
    assert "(IEMOCAP_full_release), but the models are small" in without.with_class("banner")[0].text


def test_what_rests_on_random_weights_at_full_scale_is_no_result(tmp_path):
    real = {"root": "IEMOCAP_full_release", "scale": "research", "demonstration": False}
    made = Fixture(tmp_path, "iemocap", about=real, size=20)
    extractors = json.loads(made.config_json.read_text())["config"]["iemocap"]["extractors"]
    extractors["bert"]["weights"] = "demo:bert"
    made.configure(extractors=extractors)
    page = page_of(made)
    (banner,) = [e.text for e in page.with_class("banner")]
    assert "no number that rests on them is a result. The corpus is your own (IEMOCAP_full_release)" in banner
    assert "is research, but the networks behind these features are small ones with random weights: bert." in banner
    assert "models are small" not in banner
    assert "trial run" not in page.all("header")[0].text
    tables = linked(page, ".tex")
    assert len(tables) > 5
    assert all("caption{DEMONSTRATION, not a result." in text for text in tables.values())
    both = {"extractor": "join", "weights": None, "stores": ["mfcc", "bert"]}
    extractors |= {"mfcc": {"extractor": "mfcc", "weights": None}, "both": both, "sound": {**both, "stores": ["mfcc"]}}
    settings = SimpleNamespace(extractors=extractors)
    assert Settings.random_of(settings, ["mfcc", "sound", "both", "bert"]) == ["both", "bert"], "joined ones, too"


def names_of(*runs: tuple) -> RunNames:
    """Names of runs (name, model, modalities, inputs) whose models have a title each."""
    known = {name: Run(name, model, modalities, inputs) for name, model, modalities, inputs in runs}
    titles = {model: {"title": f"the {model}"} for _, model, _, _ in runs}
    return RunNames(known, {model: {"fusion": model} for _, model, _, _ in runs}, titles, {})


def test_two_runs_are_named_by_what_tells_them_apart():
    names = names_of(
        ("x-A+V", "x", "A+V", {"audio": "one"}), ("y-A+V", "y", "A+V", {"audio": "one"}), ("x-A", "x", "A", {})
    )
    assert names.pair("x-A+V", "y-A+V") == ("the x", "the y", "A+V")
    assert names.pair("x-A+V", "x-A") == ("A+V", "A", "the x")
    assert names.pair("y-A+V", "x-A") == ("the y A+V", "the x A", "")
    assert names.pair("y-A+V", "x-A+V x-A") == ("the y A+V", "the best of the x A+V and the x A", "")
    assert names.pair("x-A", "x-A+V") == names.pair("x-A", "x-A+V ") == ("A", "A+V", "the x")
    names = names_of(
        ("x-A", "x", "A", {"audio": "one"}), ("x2-A", "x", "A", {"audio": "two"}), ("y-A", "y", "A", {"audio": "one"})
    )
    assert names.pair("x-A", "x2-A") == ("one", "two", "the x A")
    assert names.run("x2-A") == "the x A on two"
    assert names.pair("x2-A", "y-A") == ("the x on two", "the y on one", "A")
    assert names.pair("x-A", "x2-A y-A") == ("the x on one", "the best of the x on two and the y on one", "A")
    assert names.side("x-A y-A x2-A") == "the best of the x A on one, the y A on one and the x A on two"
    two = names_of(("x-A", "x", "A", {}), ("y-A", "y", "A", {}))
    two = RunNames(two.runs, two.options, {"x": {"title": "same"}, "y": {"title": "same"}}, {})
    assert two.pair("x-A", "y-A") == ("same (x)", "same (y)", "A")


def with_contrast(fixture: Fixture, line: int = 0, files: bool = False, **changes) -> Page:
    file = fixture.folder / "tables" / "significance.csv"
    original = file.read_text()
    try:
        table = pd.read_csv(file)
        for key, value in changes.items():
            table[key] = table[key].astype(object) if key in table else None
            table.loc[line, key] = value
        table.to_csv(file, index=False)
        return page_of(fixture, files)
    finally:
        file.write_text(original)


@pytest.mark.parametrize(
    ("changes", "answer", "sentence"),
    [
        (
            {"verdict": "a better", "difference": 0.021, "ci_low": 0.004, "ci_high": 0.038, "p_holm": 0.012},
            "Cross-attention is better.",
            "With A+V+T, cross-attention scores 2.1 points higher than self-attention "
            "(95 % interval of the difference +0.4 to +3.8, Holm-adjusted p = 0.012).",
        ),
        (
            {"verdict": "b better", "difference": -0.021, "ci_low": -0.038, "ci_high": -0.004, "p_holm": 0.0001},
            "Self-attention is better.",
            "With A+V+T, self-attention scores 2.1 points higher than cross-attention "
            "(95 % interval of the difference +0.4 to +3.8, Holm-adjusted p < 0.001).",
        ),
        (
            {
                "verdict": "equivalent",
                "difference": 0.001,
                "equivalence_low": -0.006,
                "equivalence_high": 0.008,
                "p_equivalence_holm": 0.03,
            },
            "The two are practically equivalent.",
            "differ by less than 1 point: the 90 % interval of the difference, −0.6 to +0.8, lies within the practical "
            "region (Holm-adjusted p = 0.030).",
        ),
        (
            {
                "verdict": "undecided",
                "difference": 0.001,
                "equivalence_low": -0.006,
                "equivalence_high": 0.008,
                "p_equivalence": 0.03,
                "p_equivalence_holm": 0.27,
            },
            "Undecided: these data do not tell.",
            "scores 0.1 points higher than self-attention, but that the two differ by less than 1 point is not shown "
            "once all 9 planned contrasts are corrected for (90 % interval −0.6 to +0.8, Holm-adjusted p = 0.270).",
        ),
        (
            {
                "verdict": "undecided",
                "difference": -0.004,
                "equivalence_low": -0.009,
                "equivalence_high": 0.001,
                "p_equivalence": 0.03,
                "p_equivalence_holm": 0.27,
            },
            "Undecided: these data do not tell.",
            "self-attention scores 0.4 points higher than cross-attention, but that the two differ by less than 1 "
            "point is not shown once all 9 planned contrasts are corrected for (90 % interval −0.1 to +0.9, "
            "Holm-adjusted p = 0.270).",
        ),
        (
            {"verdict": "b better here", "difference": -0.021, "ci_low": -0.038, "ci_high": -0.004, "p_by_group": 0.2},
            "Self-attention is better on these sessions.",
            "With A+V+T, self-attention scores 2.1 points higher than cross-attention (95 % interval",
        ),
        (
            {"verdict": "equivalent here", "difference": 0.001, "p_equivalence_by_group": 0.2},
            "The two are practically equivalent on these sessions.",
            "differ by less than 1 point",
        ),
        (
            {"verdict": "undecided", "difference": 0.004, "ci_low": -0.02, "ci_high": 0.028, "p_holm": 1.0},
            "Undecided: these data do not tell.",
            "leaves room for no difference and for one larger than 1 point, Holm-adjusted p = 1.000.",
        ),
        (
            {"verdict": "undecided", "difference": 0.004, "ci_low": -0.003, "ci_high": 0.0099, "p_holm": 0.5},
            "Undecided: these data do not tell.",
            "+1.0 leaves room for no difference, Holm-adjusted p = 0.500.",
        ),
        (
            {"verdict": "undecided", "difference": 0.02, "ci_low": 0.001, "ci_high": 0.039, "p_holm": 0.09},
            "Undecided: these data do not tell.",
            "but that is not shown once all 9 planned contrasts are corrected for",
        ),
        (
            {"verdict": "undecided", "difference": 0.0, "ci_low": 0.0, "ci_high": 0.0, "p_holm": 1.0},
            "Undecided: these data do not tell.",
            "With A+V+T, cross-attention and self-attention score alike, but",
        ),
        (
            {"verdict": "no verdict", "status": "few items", "difference": 0.0, "ci_low": None, "ci_high": None},
            "No verdict: these data cannot carry one.",
            "score alike, but there is no verdict: too few test items.",
        ),
        (
            {"verdict": "no verdict", "status": "at chance", "difference": 0.02},
            "No verdict: the better one, or both, are not shown to be better than guessing.",
            "no verdict: the better one, or both, are not shown to be better than the best constant answer.",
        ),
        (
            {"verdict": "no verdict", "status": "selected on test", "difference": 0.02},
            "No verdict: epochs were chosen by the scores of the test items themselves.",
            "but there is no verdict: epochs were chosen by the scores of the test items themselves.",
        ),
        (
            {"verdict": "no verdict", "status": "one seed", "difference": 0.02},
            "No verdict: there is a single training of one or both, which may be what differs.",
            "but there is no verdict: there is a single training of one or both, which may be what differs.",
        ),
        (
            {"verdict": "a better", "difference": 0.012, "ci_low": 0.0004, "ci_high": 0.023, "p_holm": 0.0496},
            "Cross-attention is better.",
            "(95 % interval of the difference +0.04 to +2.3, Holm-adjusted p = 0.0496)",
        ),
    ],
)
def test_the_verdict_says_what_the_table_says(fixtures, changes, answer, sentence):
    made = with_contrast(fixtures["iemocap"], **changes)
    assert made.with_class("answer")[0].text == answer
    assert sentence in made.with_class("lead")[0].text


def test_a_contrast_without_a_test_says_why_below_its_verdict_and_is_not_counted_as_tested(fixtures):
    nothing = dict.fromkeys((*REFUSED, "group_kind", "p_by_group"))
    page = with_contrast(fixtures["iemocap"], verdict="no verdict", status="few items", **nothing)
    verdict = _contrasts(page)[0].with_class("verdict")[0]
    assert (verdict.text, verdict.with_class("sub")[0].text) == ("no verdict too few test items", "too few test items")
    (tests,) = [t for t in page.all("table") if t.attributes["data-name"] == "tests"]
    assert {"p by session"} == {th.text for th in tests.all("th") if th.text.startswith("p by ")}
    said = page.with_class("methods")[0].text
    assert "9 contrasts were planned, of which 8 could be tested, on the test items of all folds together by" in said
    page = with_contrast(fixtures["iemocap"], line=1, p_bootstrap=None, status="few items")
    note = page.table("The same contrasts on the test items of one style alone").all("caption")[0].text
    assert "A dash: too few test items." in note


def test_the_rule_that_is_said_is_the_one_that_decides(pages, tmp_path):
    """A better model must be better than guessing, too; of one seed nothing is known of chance in training."""
    one = Fixture(tmp_path, "one contrast", seeds=1, size=20)
    given = json.loads(one.config_json.read_text())["config"]["mine"]["significance"]
    one.configure(significance=given | {"alpha": 0.025})
    alone = page_of(one)
    for page in (pages["iemocap"], alone):
        rule = "the better one, or both of two equivalent ones, are not shown to be better than guessing"
        for reason in (rule, "either was trained only once", "chosen by the scores of the test items themselves"):
            assert reason in page.by_id("significance").text
        assert rule in page.by_id("methods").text
        assert "both of two equivalent ones, are not shown to score above the best" in page.by_id("paper").text
        for section in ("significance", "methods", "paper"):
            several = "trainings from different seeds" in page.by_id(section).text
            assert several == (page is not alone), section
    assert "97.5 % interval of the difference" in alone.with_class("lead")[0].text
    assert "with the 97.5 % interval of" in alone.table("Planned contrasts").text
    assert "the 95 % interval (the thick part" in alone.by_id("significance").text


def test_a_real_difference_may_still_be_too_small_to_matter(fixtures):
    changes = {"verdict": "a better", "difference": 0.004, "ci_low": 0.001, "ci_high": 0.007, "remarks": "small"}
    made = with_contrast(fixtures["iemocap"], **changes)
    assert "The difference is real, but below 1 point." in made.with_class("lead")[0].text


def test_a_contrast_that_could_not_be_tested_says_why(fixtures):
    changes = dict.fromkeys(("difference", "ci_low", "ci_high", "p_bootstrap"))
    made = with_contrast(
        fixtures["iemocap"], verdict="no verdict", status="undefined", remarks="rough chosen", **changes
    )
    assert made.with_class("answer")[0].text == "Not tested."
    lead = made.with_class("lead")[0].text
    assert f"{Status.UNDEFINED.text}; {Remark.CHOSEN.text}" in lead
    assert Remark.ROUGH.text not in lead, "there is no interval"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"remarks": "rough few_pairs", "clusters": 4, "effective_clusters": 4.0},
            "There are only 4 dialogs, so interval and p are rough.",
        ),
        (
            {"remarks": "rough", "clusters": 12, "effective_clusters": 3.21},
            "There are only 12 dialogs that count like 3.2 equal ones, so",
        ),
        (
            {"remarks": "one_seed alike"},
            "A single seed of one or both: its chance in training is not in the interval; both runs predict alike",
        ),
        ({"standing_a": "at chance"}, "Cross-attention is not shown to be better than guessing."),
        (
            {"standing_a": "at chance", "standing_b": "at chance"},
            "Neither of the two is shown to be better than guessing.",
        ),
        (
            {"verdict": "a better here", "p_by_group": 0.21},
            "With other sessions, not only other dialogs, there might be no difference (p = 0.210 over 5 sessions).",
        ),
        (
            {"verdict": "equivalent here", "p_equivalence_by_group": 0.21},
            "With other sessions, not only other dialogs, the difference might be larger (p = 0.210 over 5 sessions).",
        ),
        ({"verdict": "undecided", "p_by_group": 0.21, "p_equivalence_by_group": 0.21}, None),
        ({"remarks": "few_pairs chosen"}, None),
    ],
)
def test_cautions_stand_beside_the_verdict(fixtures, changes, said):
    warned = with_contrast(fixtures["iemocap"], **changes).all("header")[0].with_class("warn")
    assert (said in warned[0].text) if said else not warned


def test_cautions_and_sessions_stand_beside_what_else_is_decided(fixtures):
    line = 6  # the planned row of the third contrast
    made = with_contrast(fixtures["iemocap"], line, remarks="rough", clusters=3, effective_clusters=3.0)
    (item,) = [li.text for li in made.with_class("decided")[0].all("li") if "Cross or self attention, A+T" in li.text]
    assert "It holds if whole sessions are drawn anew, too (p = 0.021, of this contrast alone)." in item
    assert "There are only 3 dialogs, so interval and p are rough." in item


@pytest.mark.parametrize(
    ("changes", "word", "tabled", "css"),
    [
        ({"verdict": "a better here", "p_by_group": 0.21}, "A+V+T is better", "first better", "better"),
        (
            {"verdict": "equivalent here", "p_equivalence_by_group": 0.21},
            "Practically equivalent",
            "equivalent",
            "equivalent",
        ),
    ],
)
def test_a_verdict_on_these_sessions_alone_says_so_wherever_it_stands(fixtures, changes, word, tabled, css):
    line = 12  # the planned row of the fifth contrast
    page = with_contrast(fixtures["iemocap"], line, files=True, **changes)
    (item,) = [li for li in page.with_class("decided")[0].all("li") if "best two, self" in li.text]
    assert f"{word} on these sessions." in item.text
    assert "with other sessions, not only other dialogs" in item.text.lower()
    assert _contrasts(page)[4].with_class("verdict")[0].text == f"{tabled} on these sessions"
    assert f"{tabled} on these sessions" in linked(page, ".tex")["contrasts"].replace("\\allowbreak{}", "")
    assert f'"dot {css} here"' in linked(page, ".svg")["contrasts"]
    assert f">{css} on these sessions<" in linked(page, ".svg")["contrasts"]
    for section in ("significance", "methods", "paper"):
        assert "hese sessions" in page.by_id(section).text, section
    assert "hese sessions" not in page_of(fixtures["iemocap"]).all("header")[0].text


SEVERAL = {
    "b": "self-A+V+T cross_self-A+V+T",
    "b_chosen_from": "self-A+V+T=0.5910:3 cross_self-A+V+T=0.5902:2 late-A+V+T=0.5011:0",
    "remarks": "chosen",
    "verdict": "a better",
    "difference": 0.021,
}


def test_the_best_of_several_runs_is_said_wherever_b_stands(fixtures):
    page = with_contrast(fixtures["iemocap"], **SEVERAL)
    assert page.with_class("answer")[0].text == "Cross-attention is better."
    lead = page.with_class("lead")[0].text
    assert (
        "cross-attention scores 2.1 points higher than the best of self-attention and cross- and self-attention" in lead
    )
    assert lead.endswith("The best is in each fold the run with the highest score on the fold’s own development part.")
    first = _contrasts(page)[0].all("th")[0].text
    assert first == "Cross-attention against the best of self-attention and cross- and self-attention, A+V+T"
    (tests,) = [t for t in page.all("table") if t.attributes["data-name"] == "tests"]
    row = tests.all("tbody")[0].all("tr")[0]
    assert "against the best of self-A+V+T and cross_self-A+V+T" in row.all("th")[0].text
    assert row.all("td")[-1].text == (
        "self-A+V+T (59.1 %, 3 folds), cross_self-A+V+T (59.0 %, 2 folds), late-A+V+T (50.1 %, 0 folds)"
    )
    text = page.by_id("paper").text
    assert "the second of a contrast is the best of several runs, that is in each fold the run" in text


def test_one_run_that_every_fold_chose_is_named_alone(fixtures):
    page = with_contrast(fixtures["iemocap"], **{**SEVERAL, "b": "self-A+V+T"})
    assert "the best of" not in page.with_class("lead")[0].text


def test_the_best_run_is_not_said_to_be_chosen_apart_from_the_test_items_where_it_is_not(pages):
    seen = "Development parts of some folds are test parts of others, so the choice is not independent of that score"
    assert seen in pages["iemocap"].all("header")[0].text
    assert seen in pages["iemocap"].by_id("paper").text
    assert seen not in pages["affwild2"].root.text, "one fold"
    rows = [("a", 0, "development"), ("b", 0, "test"), ("c", 1, "development"), ("d", 1, "test")]
    split = pd.DataFrame(rows, columns=["segment_id", "fold", "part"])
    assert not develops_on_tested(split)
    assert develops_on_tested(split.replace({"segment_id": {"c": "b"}}))
    assert not develops_on_tested(split.replace({"segment_id": {"a": "b"}})), "in one fold: the protocol says so"


def test_every_contrast_is_on_the_first_page_once(pages, fixtures):
    for corpus, page in pages.items():
        table = pd.read_csv(fixtures[corpus].folder / "tables" / "significance.csv").query("role == 'planned'")
        first = table.iloc[0]["question"]
        assert page.all("h1")[0].text == f"{first[:1].upper()}{first[1:]}?"
        top = page.all("header")[0]
        decided = [li.with_class("q")[0].text for li in top.with_class("decided")[0].all("li")]
        open_ = list(rows_of(page.table("What these data do not decide")))
        others = [f"{q[:1].upper()}{q[1:]}" for q in table["question"][1:]]
        assert sorted(decided + open_) == sorted(others)
        verdicts = dict(zip(others, table["verdict"][1:]))
        assert all(verdicts[q] == "undecided" for q in open_)
        assert all(verdicts[q] != "undecided" for q in decided)


def test_planned_contrasts_whose_table_is_not_there_are_not_called_unplanned(tmp_path):
    made = Fixture(tmp_path, "one contrast", size=20)
    (made.folder / "tables" / "significance.csv").unlink()
    page = page_of(made)
    assert page.all("h1")[0].text == "Attention or early fusion?"
    assert page.with_class("answer")[0].text == "Not tested."
    assert "No comparison was planned" not in page.root.text
    assert "Best by its development score" in page.all("header")[0].text


@pytest.mark.parametrize(
    "changes", [{"a": "gone-A"}, {"b": "gone-A"}, {"b_chosen_from": "self-A+V+T=0.5:5 gone-A=0.4:0"}]
)
def test_tests_of_runs_that_are_not_configured_are_no_part_of_the_report(fixtures, changes):
    """A configuration that was changed and whose run was interrupted leaves the former table."""
    page = with_contrast(fixtures["iemocap"], **changes)
    others = page_of(fixtures["iemocap"])
    assert len(_contrasts(page)) == len(_contrasts(others)) - 1
    assert "gone" not in page.by_id("significance").text


def test_what_else_differs_is_said_with_the_parameters(fixtures):
    made = fixtures["iemocap"]
    page = page_of(made)
    (table,) = [t for t in page.all("table") if t.attributes["data-name"] == "contrasts"]
    rows = {tr.all("th")[0].text: tr.all("td")[-1].text for tr in table.all("tbody")[0].all("tr")}
    assert rows["Self-attention against early concatenation, A+V+T"] == "combine parameters 211 344 / 212 344"
    assert rows["Cross-attention against self-attention, A+V+T"] == "–"


def _contrasts(page: Page) -> list:
    (table,) = [t for t in page.all("table") if t.attributes["data-name"] == "contrasts"]
    return table.all("tbody")[0].all("tr")


def test_every_p_is_explained_as_what_it_is(pages, tmp_path):
    def said(page: Page) -> tuple[str, dict[str, str]]:
        (table,) = [t for t in page.all("table") if t.attributes["data-name"] == "tests"]
        return table.all("caption")[0].text, {e.text: e.attributes["title"] for e in table.all("abbr")}

    equivalence = "against a difference as large as the practical region or larger, two one-sided tests"
    note, heads = said(pages["iemocap"])
    assert (
        f"none; p Holm: p value of the bootstrap, Holm-adjusted; p equiv.: p value of the bootstrap {equivalence}; "
        "p equiv. Holm: p value of the two one-sided tests, Holm-adjusted" in note
    )
    assert heads["p Holm"] == "p value of the bootstrap, Holm-adjusted"
    assert heads["p equiv."] == f"p value of the bootstrap {equivalence}"
    note, _ = said(page_of(Fixture(tmp_path, "one contrast")))
    assert f"if there were none; p equiv.: p value of the bootstrap {equivalence}." in note


def test_styles_are_shown_apart_and_decide_nothing(pages, fixtures):
    page, folder = pages["iemocap"], fixtures["iemocap"].folder / "tables"
    assert "By style" not in pages["affwild2"].root.text
    scores = pd.read_csv(folder / "scores.csv").query("fold == 'all' and metric == 'balanced_accuracy'")
    own = scores[(scores["model"] == "late") & (scores["turns"] == "scripted")]["value"]
    shown = rows_of(page.table("Balanced accuracy on the test items of each style"))
    assert shown["late fusion A+V+T"][1] == f"{own.mean() * 100:.1f} ± {own.std() * 100:.1f}"
    table = page.table("The same contrasts on the test items of one style alone")
    assert [th.text for th in table.all("th") if th.attributes["scope"] == "rowgroup"] == ["scripted", "improvised"]
    assert len([tr for tr in table.all("tr") if tr.all("td")]) == 2 * 9
    assert len(_contrasts(page)) == 9


def test_means_over_folds_that_stand_otherwise_are_said(fixtures):
    """A difference is of the items of all folds together, which can stand otherwise than the means in the table."""
    scores = pd.read_csv(fixtures["iemocap"].folder / "tables" / "scores.csv")
    single = scores.query("modalities == 'A+V+T' and metric == 'balanced_accuracy' and turns == 'all'")
    single = single[single["fold"] != "all"]
    first, second = (single.query(f"model == '{model}'")["value"].mean() for model in ("cross", "self"))
    several = {key: SEVERAL[key] for key in ("b", "b_chosen_from", "remarks")}
    best = "the best of self-attention and cross- and self-attention"
    for changes, b in (({}, "self-attention"), (several, best)):
        for sign, said in ((1, False), (-1, True), (0, False)):
            difference = sign * (0.01 if first > second else -0.01)
            means = {"fold_mean_a": first, "fold_mean_b": second}
            page = with_contrast(fixtures["iemocap"], difference=difference, **means, **changes)
            warned = " ".join(e.text for e in page.all("header")[0].with_class("warn"))
            order = f"stand otherwise (cross-attention {first * 100:.1f} %, {b} {second * 100:.1f} %)"
            assert (order in warned) == said
    page = with_contrast(fixtures["iemocap"], fold_mean_b=None)
    assert "stand otherwise" not in page.all("header")[0].text


def test_balanced_accuracy_is_called_the_mean_of_a_column_only_where_it_is(tmp_path):
    made = Fixture(tmp_path, "text", size=20)
    said = "Balanced accuracy is the mean of a column."
    assert said in page_of(made).table("Recall by class").text
    file = made.folder / "tables" / "scores.csv"
    scores = pd.read_csv(file)
    for metric, value in (("recall_ang", None), ("balanced_accuracy", 0.9)):  # a test part without that class
        scores.loc[(scores["metric"] == metric) & (scores["fold"] == "0"), "value"] = value
    scores.to_csv(file, index=False)
    note = page_of(made).table("Recall by class").text
    assert said not in note
    assert "some folds lack a class" in note


def leaks(fixture: Fixture, *rows: tuple) -> None:
    columns = ["fold", "part", "known_from", "group", "items", "shared"]
    pd.DataFrame(rows, columns=columns).to_csv(fixture.folder / "tables" / "leaks.csv", index=False)


def test_nothing_is_said_of_speakers_whom_nobody_has_named(tmp_path):
    """A table without the column speaker: each row has its recording's name for a speaker, several rows share it."""
    made = Fixture(tmp_path / "one", "no contrasts", size=90)
    leaks(made, ("all", "test", "training", "speaker", 200, 0), ("all", "test", "training", "dialog", 200, 0))
    named = page_of(made)
    assert "No speaker or recording of the test part trains." in named.by_id("methods").text
    assert " of 10 speakers" in named.with_class("methods")[0].text
    file = made.folder / "segments.tsv"
    segments = pd.read_csv(file, sep="\t", dtype=str)
    assert segments["unit_id"].nunique() < len(segments)
    segments.assign(speaker=segments["unit_id"]).to_csv(file, sep="\t", index=False)
    page = page_of(made)
    assert "No recording of the test part trains." in page.by_id("methods").text
    for section in ("methods", "paper"):
        assert not re.search(r"speakers?\b", page.by_id(section).text.replace("of each speaker", ""), re.I), section
    assert "Speakers" not in page.all("header")[0].text
    assert "speakers" not in {e.attributes.get("id") for e in page.all("section")}


def test_protocols_that_flatter_are_marked(tmp_path):
    made = Fixture(tmp_path, "iemocap", size=20)
    assert not page_of(made).all("header")[0].with_class("warn")
    leaks(
        made,
        ("all", "test", "training", "scenario", 200, 200),
        ("all", "test", "training", "speaker", 200, 0),
        ("all", "test", "development", "dialog", 200, 1),
        ("0", "test", "training", "speaker", 40, 40),
    )
    (warned,) = page_of(made).all("header")[0].with_class("warn")
    assert "the script or scene of 100 % of the test items also trains" in warned.text
    assert "the dialog or recording of under 1 % of the test items also selects" in warned.text
    protocol = {"name": "session", "description": "random folds", "caveat": "speakers also train: optimistic"}
    made.tell(protocol=protocol)
    (warned,) = page_of(made).all("header")[0].with_class("warn")
    assert "“random folds”: speakers also train: optimistic; the script or scene" in warned.text
    paragraph = page_of(made).with_class("methods")[0].text
    assert (
        "Protocol: random folds (5 folds). Speakers also train: optimistic. The script or scene of 100 %" in paragraph
    )
    assert "the dialog or recording of under 1 % of the test items also selects the model." in paragraph


def test_departures_are_those_of_the_models_that_ran(tmp_path):
    made = Fixture(tmp_path, "affwild2", size=20)
    training = json.loads(made.config_json.read_text())["config"]["affwild2"]["training"]
    said = {True: "the training part's are used.", "speaker": "those of each speaker", False: "are not normalised."}
    for normalise in said:
        made.configure(training={**training, "normalise": normalise})
        methods = page_of(made).by_id("methods").text.split("Where it departs")[1]
        assert [key for key, words in said.items() if words in methods] == [normalise]
    config = json.loads(made.config_json.read_text())["config"]
    assert "Network and training" not in methods
    config["models"]["rcma"] = NetworkOptions(fusion="rcma").model_dump()
    config["models"]["self"]["training"] = {"normalise": True}  # that model alone
    made.tell(config=config)
    methods = page_of(made).by_id("methods").text.split("Where it departs")[1]
    assert [key for key, words in said.items() if words in methods] == [True, False]
    assert "Network and training. The published network reads every frame" in methods


def test_what_a_model_is_trained_with_for_itself_is_said(tmp_path):
    made = Fixture(tmp_path, "one contrast", size=20)
    config = json.loads(made.config_json.read_text())["config"]
    config["models"]["self"]["training"] = {"batch_size": 8, "learning_rate": [0.003, 0.001], "modality_dropout": 0.3}
    config["models"]["cross"]["training"] = {"batch_size": 32}  # as all others
    made.tell(config=config)
    page = page_of(made)
    also = "The two sides also differ in: training.batch_size, training.learning_rate, training.modality_dropout."
    assert also in page.all("header")[0].text
    paragraph = page.with_class("methods")[0].text
    assert "was tested. Other than that, self-attention was trained with batches of 8 and Adam with" in paragraph
    assert "with learning rate 0.003 or 0.001, chosen on the development part. Features" in paragraph
    about = json.loads(made.config_json.read_text())["models"]
    about["cross"]["training"] = {"targets": "majority"}
    config["mine"]["training"]["targets"] = "raters"
    departure = {"title": "Targets", "text": "As none.", "models": {"training": {"targets": "majority"}}}
    made.tell(config=config, models=about, departures=[departure])
    page = page_of(made)
    paragraph = page.with_class("methods")[0].text
    assert "Other than that, cross-attention was trained with the majority’s labels as targets." in paragraph
    assert "Targets. As none." in page.by_id("methods").text, "a departure is of what a published form brings, too"


def test_plugs_bring_what_they_cite_and_are_called_by_their_class(tmp_path):
    made = Fixture(tmp_path, "iemocap", size=20)
    given = json.loads(made.config_json.read_text())
    given["models"]["self"]["citation"] = "@article{me2025,\n  title = {Gates}\n}\n"
    given["config"]["iemocap"]["extractors"]["wav2vec2"]["extractor"] = "/home/me/chroma.py:Chroma"
    made.tell(**given)
    page = page_of(made)
    said = page.with_class("methods")[0].text
    assert "self-attention [@me2025]" in said
    assert "audio by Chroma with the weights" in said
    assert "@article{me2025," in page.by_id("bibtex").text


@pytest.mark.parametrize(
    ("network", "normalise", "said"),
    [
        ({"fusion": "self_attention"}, True, {"Network and training", "Normalisation"}),
        ({"fusion": "self_attention"}, False, {"Network and training"}),
        (
            {"fusion": "self_attention", "training": {"normalise": "speaker"}},
            False,
            {"Network and training", "Normalisation"},
        ),
        ({"fusion": "cross_attention", "faithful": True}, True, {"Normalisation"}),
        ({"fusion": "cross_attention", "faithful": True}, False, set()),
        ({"fusion": "self_attention", "encoder": "tcn"}, True, {"Normalisation"}),
        ({"fusion": "late"}, True, set()),
    ],
)
def test_departures_from_paper_1_are_of_its_models(network, normalise, said, tmp_path):
    made = Fixture(tmp_path, "iemocap", size=20)
    config = json.loads(made.config_json.read_text())["config"]
    config["models"] = {name: NetworkOptions(**network).model_dump() for name in config["models"]}
    config["iemocap"]["training"]["normalise"] = normalise
    made.tell(config=config)
    settings = Settings.from_json(made.config_json)
    found = {one["title"] for one in departures(settings, list(settings.runs))}
    assert found & {"Network and training", "Normalisation"} == said


def test_what_of_the_test_part_trains_is_said_of_every_fold(tmp_path):
    made = Fixture(tmp_path, "iemocap", size=40)
    page = page_of(made)
    table = page.table("Turns by fold and part")
    assert [head.text for head in table.all("thead")[0].all("th")][-1] == "Test turns whose dialog also trains"
    assert rows_of(table)["0"][-3:] == ["0 %", "0 %", "0 %"]
    assert "No session, speaker or dialog of the test part trains." in page.by_id("methods").text
    rows = [("0", "test", "training", "speaker", 8, 4), ("0", "test", "training", "dialog", 8, 0)]
    leaks(made, *rows, *(("all", *row[1:]) for row in rows))
    page = page_of(made)
    assert rows_of(page.table("Turns by fold and part"))["0"][-2:] == ["50 %", "0 %"]
    said = "No dialog of the test part trains. The speaker of 50 % of the test items also trains."
    assert said in page.by_id("methods").text
