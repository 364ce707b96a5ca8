"""The report says in words what significance.csv says in numbers, and marks what is no result."""

import pandas as pd
import pytest

from models.report.names import RunNames
from tests.page import Page, rows_of
from tests.report_fixture import CORPORA, Fixture, page_of


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
        names_ = [e.attributes["download"] for e in made.all("a") if "download" in e.attributes]
        assert all(name.startswith("demonstration_") == bool(banner) for name in names_)
    assert "corpus is synthetic" in texts[0]
    assert "corpus is your own (IEMOCAP_full_release)" in texts[1]
    assert texts[2] == ""


def test_two_runs_are_named_by_what_tells_them_apart():
    models = {
        "rcma": {"fusion": "rcma"},
        "rcma_1": {"fusion": "rcma", "recursions": 1},
        "early": {"fusion": "concatenation"},
    }
    models["rcma"]["recursions"] = 3
    names = RunNames(models, list(models), pooling_matters=False)
    assert names.pair("rcma-A+V", "rcma_1-A+V")[:2] == ("3 recursions", "1 recursion")
    assert names.pair("rcma-A+V", "rcma-A+V+T")[:2] == ("A+V", "A+V+T")
    first, second, shared = names.pair("rcma-A+V+T", "early-A+V")
    assert (first, second, shared) == (names.run("rcma-A+V+T"), names.run("early-A+V"), "")


def with_contrast(fixture: Fixture, line: int = 0, **changes) -> Page:
    file = fixture.folder / "tables" / "significance.csv"
    original = file.read_text()
    try:
        table = pd.read_csv(file)
        for key, value in changes.items():
            table[key] = table[key].astype(object)
            table.loc[line, key] = value
        table.to_csv(file, index=False)
        return page_of(fixture)
    finally:
        file.write_text(original)


@pytest.mark.parametrize(
    ("changes", "answer", "sentence"),
    [
        (
            {"verdict": "a better", "difference": 0.021, "ci_low": 0.004, "ci_high": 0.038, "p_holm": 0.012},
            "Yes: cross-attention is better.",
            "With A+V+T, cross-attention scores 2.1 points higher than self-attention "
            "(95 % interval of the difference +0.4 to +3.8, Holm-adjusted p = 0.012).",
        ),
        (
            {"verdict": "b better", "difference": -0.021, "ci_low": -0.038, "ci_high": -0.004, "p_holm": 0.0001},
            "No: self-attention is better.",
            "With A+V+T, self-attention scores 2.1 points higher than cross-attention "
            "(95 % interval of the difference +0.4 to +3.8, Holm-adjusted p < 0.001).",
        ),
        (
            {"verdict": "equivalent", "difference": 0.001, "equivalence_low": -0.006, "equivalence_high": 0.008},
            "No: the two are practically equivalent.",
            "differ by less than 1 point: the 90 % interval of the difference, −0.6 to +0.8, lies within",
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
            "but that does not hold for all 9 planned contrasts together",
        ),
    ],
)
def test_the_iemocap_verdict_says_what_the_table_says(fixtures, changes, answer, sentence):
    made = with_contrast(fixtures["iemocap"], **changes)
    assert made.with_class("answer")[0].text == answer
    assert sentence in made.with_class("lead")[0].text


def test_a_real_difference_may_still_be_too_small_to_matter(fixtures):
    changes = {"verdict": "a better", "difference": 0.004, "ci_low": 0.001, "ci_high": 0.007, "p_equivalence": 0.001}
    made = with_contrast(fixtures["iemocap"], **changes)
    assert "The difference is real, but below 1 point." in made.with_class("lead")[0].text


def test_a_contrast_that_could_not_be_tested_says_why(fixtures):
    changes = {"verdict": "undecided", "difference": None, "ci_low": None, "ci_high": None, "note": "<one> cluster"}
    made = with_contrast(fixtures["iemocap"], **changes)
    assert made.with_class("answer")[0].text == "Not tested."
    assert "<one> cluster" in made.with_class("lead")[0].text


def test_the_affwild2_verdict_has_its_four_topics(pages):
    (topics,) = pages["affwild2"].with_class("topics")
    assert [h.raw for h in topics.all("h2")] == ["Recursion", "Joint", "Attention", "Text"]
    assert [a.text for a in topics.with_class("answer")] == [
        "3 recursions are better", "Practically equivalent", "Practically equivalent", "Undecided", "Undecided",
        "A+V+T is better",
    ]  # fmt: skip
    assert "With RCMA A+V+T, 3 recursions score" in topics.text
    assert "With A+V+T, RCMA (3 recursions) scores" in topics.text
    others = pages["affwild2"].with_class("others")[0].text
    assert "Attention or early concatenation" in others
    assert "recursions or one" not in others  # said above
    assert "self attention" not in others


@pytest.mark.parametrize(
    ("corpus", "protocol", "mark"),
    [
        ("iemocap", "utterance", "speakers, sessions and dialogs of the test part also train"),
        ("affwild2", "official_paper", "selected on the videos it is tested on"),
        ("iemocap", "session", None),
    ],
)
def test_optimistic_protocols_are_marked(tmp_path, corpus, protocol, mark):
    made = Fixture(tmp_path, corpus, about={"protocol": protocol}, size=20)
    for table in ("scores", "per_video"):
        file = made.folder / "tables" / f"{table}.csv"
        if file.exists():
            file.write_text(file.read_text().replace(f",{made.protocol},", f",{protocol},"))
    (made.folder / "splits" / f"{made.protocol}.tsv").rename(made.folder / "splits" / f"{protocol}.tsv")
    top = page_of(made).all("header")[0]
    warned = [w.text for w in top.with_class("warn")]
    assert (mark in warned[0]) if mark else not warned


def test_shared_speakers_are_counted_in_the_split_itself(tmp_path):
    made = Fixture(tmp_path, "iemocap", size=40)
    file = made.folder / "splits" / "session.tsv"
    clean = rows_of(page_of(made).table("Segments by fold and part"))["0"]
    assert clean[-2:] == ["0 of 2", "0 of 8"]
    lines = file.read_text().splitlines()
    leak = next(i for i, x in enumerate(lines) if x.split("\t")[1:3] == ["0", "test"])
    lines[leak] = lines[leak].replace("\ttest\t", "\ttraining\t")
    file.write_text("\n".join(lines) + "\n")
    assert rows_of(page_of(made).table("Segments by fold and part"))["0"][-2] == "1 of 2"
