"""The report as a page: nothing is loaded, everyone can read it, everything from the corpus is escaped."""

import base64
import csv
import gzip
import hashlib
import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from models.report.command import report
from models.report.gather import _jobs, _table, read
from models.settings import Settings
from pipeline.records import InputError, Word, read_table, write_table
from tests.conftest import REPOSITORY
from tests.page import Page
from tests.report_fixture import CORPORA, Fixture, html_of, page_of
from tests.report_material import MODELS
from tests.report_setups import SETUPS


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory) -> dict[str, Fixture]:
    folder = tmp_path_factory.mktemp("results")
    return {corpus: Fixture(folder, corpus) for corpus in CORPORA}


@pytest.fixture(scope="module")
def files(fixtures) -> dict[str, Path]:
    out = {}
    for corpus, made in fixtures.items():
        out[corpus] = made.folder.parent / f"{corpus}_report.html"
        report.main(["--results", str(made.folder), "--out", str(out[corpus])], standalone_mode=False)
    return out


@pytest.fixture(scope="module")
def pages(files) -> dict[str, Page]:
    return {corpus: Page(file.read_text(encoding="utf-8")) for corpus, file in files.items()}


@pytest.fixture(params=CORPORA)
def page(request, pages) -> Page:
    return pages[request.param]


# --- Self-contained


def test_nothing_is_loaded_from_anywhere(page):
    for element in page.all():
        for name, value in element.attributes.items():
            assert not name.startswith("on"), f"<{element.tag} {name}>: an inline handler"
            assert name != "style", f"<{element.tag}>: an inline style, which the policy forbids"
            if name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href", "formaction"):
                assert value.startswith(("#", "data:")), f"<{element.tag} {name}={value[:60]}>"
    style = "".join(e.raw for e in page.all("style"))
    assert "url(" not in style
    assert "@import" not in style
    assert not [e for e in page.all("link") if e.attributes.get("rel") != "icon"]
    assert not page.all("iframe", "object", "embed", "base", "form")


def test_the_policy_names_this_style_and_this_script_and_nothing_else(page):
    (policy,) = [
        e.attributes["content"] for e in page.all("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert (rules["img-src"], rules["media-src"]) == ("data:", "data:")
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (element,) = page.all(tag)
        digest = base64.b64encode(hashlib.sha256(element.raw.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


@pytest.mark.parametrize("corpus", CORPORA)
def test_size_and_determinism(corpus, files, fixtures):
    text = files[corpus].read_text(encoding="utf-8")
    assert len(text.encode()) < 3e6
    assert html_of(fixtures[corpus]) == text
    assert str(fixtures[corpus].folder) not in text


@pytest.mark.parametrize("corpus", CORPORA)
def test_downloads_are_the_tables_byte_for_byte(corpus, pages, fixtures):
    (listed,) = pages[corpus].with_class("raw")
    links = {e.attributes["download"]: e.attributes["href"] for e in listed.all("a")}
    wanted = {file.name: file.read_bytes() for file in (fixtures[corpus].folder / "tables").glob("*.csv")}
    assert len(links) == len(wanted) >= 4
    for name, uri in links.items():
        assert name.startswith(f"demonstration_{corpus}_")
        data = base64.b64decode(uri.partition("base64,")[2])
        data = gzip.decompress(data) if name.endswith(".gz") else data
        assert data == wanted[name.removeprefix(f"demonstration_{corpus}_").removesuffix(".gz")]


def test_packed_models_are_listed_and_how_to_pack_is_said(fixtures, pages, tmp_path):
    def said(page: Page) -> str:
        return " ".join(page.by_id("downloads").text.split())

    how = re.search(
        r"A run of this page is packed by affectflow pack --results results/iemocap --run (\S+) --out (\S+?);",
        said(pages["iemocap"]),
    )
    shutil.copytree(fixtures["iemocap"].folder, tmp_path / "iemocap")
    assert how[2] == f"results/iemocap/models/{how[1]}"
    packed = tmp_path / how[2].removeprefix("results/")
    packed.mkdir(parents=True)
    (packed / "model.json").touch()
    out = tmp_path / "report.html"
    report.main(["--results", str(tmp_path / "iemocap"), "--out", str(out)], standalone_mode=False)
    page = Page(out.read_text())
    assert next(e.text for e in page.by_id("downloads").all("code")) == how[2]
    assert "Another run of this page is packed by" in said(page)


# --- For everyone


def test_landmarks_language_and_skip_link(page):
    assert page.declarations == ["DOCTYPE html"]
    assert page.all("html")[0].attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("title", "main", "header", "nav", "footer", "h1")] == [1] * 6
    assert page.all("nav")[0].attributes["aria-label"]
    first = page.all("a")[0]
    assert page.by_id(first.attributes["href"][1:]).tag == "main"
    for section in page.all("section"):
        assert page.by_id(section.attributes["aria-labelledby"]).tag == "h2"


def test_headings_go_down_one_step_at_a_time(page):
    levels = [int(e.tag[1]) for e in page.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ids_are_unique_and_every_reference_has_its_target(page):
    ids = [e.attributes["id"] for e in page.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in page.all():
        target = element.attributes.get("href", "")
        if target.startswith("#"):
            assert target[1:] in ids
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(element.attributes.get(name, "").split()) <= set(ids)


def test_every_table_has_a_caption_and_every_header_a_scope(page):
    tables = page.all("table")
    assert len(tables) >= 10
    numbers = []
    for table in tables:
        caption = table.all("caption")
        assert len(caption) == 1
        numbers.append(int(re.match(r"Table (\d+)\. \S", caption[0].text).group(1)))
        for head in table.all("th"):
            assert head.attributes.get("scope") in ("col", "row", "colgroup", "rowgroup"), head.text
            assert head.text
        for row in (row for body in table.all("tbody") for row in body.all("tr")):
            assert row.all("th"), f"a row without a header in {caption[0].text}"
        box = table.parent
        assert (box.attributes["role"], box.attributes["tabindex"]) == ("region", "0")
        assert box.attributes["aria-label"]
    assert numbers == list(range(1, len(tables) + 1))


def test_rows_of_a_table_are_equally_wide(page):
    for table in page.all("table"):
        widths, held = set(), []
        for row in table.all("tr"):
            cells = row.all("td", "th")
            width = sum(int(c.attributes.get("colspan", 1)) for c in cells) + sum(1 for left in held if left > 0)
            held = [left - 1 for left in held]
            held += [int(c.attributes["rowspan"]) - 1 for c in cells if "rowspan" in c.attributes]
            widths.add(width)
        assert len(widths) == 1, (table.all("caption")[0].text, widths)


def test_every_picture_is_named_or_marked_as_decoration(page):
    assert page.all("svg")
    for svg in page.all("svg"):
        outer = svg.above("svg")
        while outer is not None and outer.above("svg") is not None:
            outer = outer.above("svg")
        attributes = (outer or svg).attributes
        assert attributes.get("aria-hidden") == "true" or (attributes["role"] == "img" and attributes["aria-label"])
    assert not page.all("img")


def luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(a, b) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_has_contrast_in_both_schemes(page):
    style = page.all("style")[0].raw
    schemes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(schemes) == 3  # light, dark, print
    strongest = max(int(x) for x in re.findall(r"var\(--accent\) (\d+)%", style)) / 100
    for scheme in schemes:
        colour = {}
        for name, digits in re.findall(r"--([a-z-]+): #([0-9a-f]+);", scheme):
            digits = digits if len(digits) == 6 else "".join(d * 2 for d in digits)
            colour[name] = tuple(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
        for text in ("ink", "muted", "accent", "second", "third"):
            assert contrast(colour[text], colour["paper"]) >= 4.5, text
        for back in ("alarm-back", "alarm-stripe"):
            assert contrast(colour["alarm"], colour[back]) >= 4.5
        shade = tuple(strongest * a + (1 - strongest) * p for a, p in zip(colour["accent"], colour["paper"]))
        assert contrast(colour["ink"], shade) >= 4.5


# --- Hostile and broken input

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)></style>{{7*7}}&amp;"


@pytest.mark.parametrize("corpus", CORPORA)
def test_everything_from_the_corpus_is_escaped(tmp_path, corpus):
    made = Fixture(tmp_path, corpus, size=24)
    tables = made.folder / "tables"
    notes = json.loads((tables / "contact_sheet.json").read_text())
    notes["crops"][0] |= {"segment_id": f"sheet {EVIL}", "speaker": f"speaker {EVIL}", "label": f"label {EVIL}"}
    (tables / "contact_sheet.json").write_text(json.dumps(notes))
    coverage = pd.read_csv(tables / "coverage.csv")
    bad = pd.DataFrame([{"unit": f"unit {EVIL}", "segment": f"id {EVIL}", "modality": f"modality {EVIL}"}])
    bad = bad.assign(status="absent", reason=f"reason {EVIL}")
    bad = pd.concat([coverage, bad, bad.assign(segment=None, reason=f"finding {EVIL}")])
    bad.to_csv(tables / "coverage.csv", index=False)
    settings = json.loads(made.config_json.read_text())
    settings["root"] = f"root {EVIL}"
    settings["config"][corpus]["note"] = f"config {EVIL}"
    settings["title"] = f"title {EVIL}"
    settings["models"]["self"]["title"] = f"model {EVIL}"
    settings["config"][corpus]["contrasts"][0]["question"] = f"question {EVIL}"
    significance = pd.read_csv(tables / "significance.csv")
    significance.loc[0, ["question", "cluster_kind"]] = [f"{k} {EVIL}" for k in ("question", "kind")]
    significance.to_csv(tables / "significance.csv", index=False)
    made.config_json.write_text(json.dumps(settings))
    expected_texts = ["sheet", "label", "id", "modality", "Reason", "finding", "root", "speaker", "title", "model"]
    expected_texts += ["Question", "kind"]
    if corpus == "iemocap":
        for name in ("scores", "confusion"):
            text = (tables / f"{name}.csv").read_text()
            with (tables / f"{name}.csv").open("w", newline="") as stream:
                writer = csv.writer(stream)
                for row in csv.reader(text.splitlines()):
                    writer.writerow([re.sub(r"^(recall_|precision_|)ang$", rf"\1ang {EVIL}", cell) for cell in row])
        expected_texts.append("ang")
    else:
        file = tables / "per_video.csv"
        videos = pd.read_csv(file)
        best = videos["segment_id"].iloc[0]
        videos.loc[videos["segment_id"] == best, ["ccc_valence", "ccc_arousal", "ccc_mean"]] = 0.99
        videos["segment_id"] = videos["segment_id"].replace(best, f"video {EVIL}")
        videos.to_csv(file, index=False)
        for parquet in made.folder.glob("runs/*/fold0/predictions.parquet"):
            frames = pd.read_parquet(parquet)
            frames["segment_id"] = frames["segment_id"].replace(best, f"video {EVIL}")
            frames.to_parquet(parquet)
        rows = (made.folder / "segments.tsv").read_text().splitlines()
        rows = ["\t".join([f'"video {EVIL.replace(chr(34), chr(34) * 2)}"', *r.split("\t")[1:]])
                if r.startswith(best + "\t") else r for r in rows]  # fmt: skip
        (made.folder / "segments.tsv").write_text("\n".join(rows) + "\n")
        unit = next(r for r in rows if "video <" in r).split("\t")[1]
        words = read_table(made.folder / "words" / f"{unit}.tsv", Word)
        words[0] = Word(f"word {EVIL}", 0.2, 0.6, f"source {EVIL}")
        write_table(made.folder / "words" / f"{unit}.tsv", words, Word)
        expected_texts += ["video", "word", "source"]
    made_page = page_of(made)
    assert len(made_page.all("script")) == 1
    assert len(made_page.all("style")) == 1
    assert not made_page.all("img")
    assert not [a for e in made_page.all() for a in e.attributes if a.startswith("on")]
    text = made_page.root.text
    drawings = [e for e in made_page.all("a") if e.attributes.get("download", "").endswith(".svg")]
    assert drawings
    for link in drawings:
        drawing = Page(base64.b64decode(link.attributes["href"].partition("base64,")[2]).decode())
        assert not drawing.all("script", "img")
    assert "49" not in re.findall(r"</style>(\S\S)", text)
    for word in expected_texts:
        assert " ".join(f"{word} {EVIL}".split()) in text, word
    (config,) = made_page.by_id("provenance").all("pre")
    assert json.loads(config.text)[corpus]["note"] == f"config {EVIL}"
    test_ids_are_unique_and_every_reference_has_its_target(made_page)
    if corpus == "affwild2":
        figure = made_page.with_class("trace-figure")[0]
        assert json.loads(figure.attributes["data-words"])[0][2] == f"word {EVIL}"


def test_people_and_segments_may_be_called_nan_and_numbers_may_be_none(tmp_path):
    (tmp_path / "segments.tsv").write_text("segment_id\tspeaker\tscore\nnan\tnan\tnan\nNA\t\t2\n")
    table = _table(tmp_path, "segments.tsv", ("segment_id",), [])
    assert table["segment_id"].tolist() == ["nan", "NA"]
    assert table["speaker"].fillna("nobody").tolist() == ["nan", "nobody"]
    assert table["score"].isna().tolist() == [True, False]


def test_a_model_may_be_called_by_a_number(tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "2022", MODELS["self"])
    made = Fixture(tmp_path, replace(SETUPS["text"], levels={"2022-T": 47.0}), size=20)
    results = read(made.folder, Settings.from_json(made.config_json))
    assert {run for name in ("scores", "confusion") for run in results.tables[name]["run"]} == {"2022-T"}
    assert "self-attention" in page_of(made).table("Test scores").text


def test_without_scores_nothing_is_said_of_trainings(tmp_path):
    made = Fixture(tmp_path, "text", size=20)
    said = "was trained with", "Scores are balanced accuracy, mean over trainings"
    assert all(words in page_of(made).by_id("paper").text for words in said)
    (made.folder / "tables" / "scores.csv").unlink()
    assert not any(words in page_of(made).by_id("paper").text for words in said)


def test_every_absent_input_is_stated_and_nothing_else_suffers(tmp_path):
    made = Fixture(tmp_path, "affwild2", size=24)
    gone = [
        "tables/coverage.csv", "tables/contact_sheet.json", "tables/per_video.csv", "tables/film_strips.jsonl",
        "benchmarks", "../benchmarks", "features", "words", "splits", "segments.tsv", "units.tsv", "runs",
        "tables/significance.csv", "tables/scores.csv",
    ]  # fmt: skip
    for name in gone:
        path_ = made.folder / name
        shutil.rmtree(path_) if path_.is_dir() else path_.unlink()
        made_page = page_of(made)
        assert made_page.with_class("banner"), name
    said = " ".join(e.text for e in made_page.with_class("absent"))
    for what in (
        "Scores",
        "Significance",
        "Traces",
        "Scores by video",
        "Learning curves",
        "Coverage",
        "contact sheet",
        "Cost",
    ):
        assert what in said
    listed = made_page.by_id("provenance").text
    for name in ("tables/scores.csv", "segments.tsv", "units.tsv", "features/bert.h5", "benchmarks/<rule>/*.tsv"):
        assert name in listed


REAL = {"root": "AffWild2", "scale": "research", "demonstration": False, "generated": None}


def test_what_an_earlier_configuration_left_is_no_part_of_the_report(tmp_path):
    demo = Fixture(tmp_path / "demo", "affwild2", size=24)
    made = Fixture(tmp_path / "real", "affwild2", size=24, about=REAL)
    before = html_of(made)
    shutil.copy(demo.folder / "features" / "mfcc.h5", made.folder / "features" / "old.h5")
    for left in ("old-A+V/fold0/seed1", "rcma-V/fold0/seed1", "rcma-A+V/fold7/seed1", "rcma-A+V/fold0/seed99"):
        target = made.folder / "runs" / left
        shutil.copytree(demo.folder / "runs" / "rcma-A+V" / "fold0" / "seed1", target)
        for file in target.rglob("run.json"):
            file.write_text(file.read_text().replace("Example CPU 3000", "Old CPU").replace("2.11.0", "1.0"))
    for left in ("faces/old", "words/old", "features-old/0", "features-bert/99", "merge/old", "train-old-A/0",
                 "train-rcma-A+V/7", "split/sixfold", "joined/old", "targets/sixfold", "pack/old-A+V",
                 "renamed/left"):  # fmt: skip
        target = made.folder / "benchmarks" / f"{left}.tsv"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(demo.folder / "benchmarks" / "index" / "all.tsv", target)
    assert "DEMONSTRATION" not in before
    assert html_of(made) == before
    text = Fixture(tmp_path / "text", "text", size=24)
    for name in ("contact_sheet.jpg", "contact_sheet.json"):
        shutil.copy(demo.folder / "tables" / name, text.folder / "tables" / name)
    assert not [section for section in page_of(text).all("section") if section.attributes["id"] == "faces"]
    shutil.copy(demo.folder / "features" / "mfcc.h5", made.folder / "features" / "mfcc.h5")
    (banner,) = page_of(made).with_class("banner")  # a configured store that is a demonstration makes the report one
    assert "some stores under features are those of a demonstration" in banner.text
    assert "scale: demo" not in banner.text


def test_jobs_of_this_report_are_known_for_every_rule_that_has_several(tmp_path):
    """Each rule's benchmark, as the workflow names it: of a rule that nobody knows here no job would be counted."""
    rules = "".join(path.read_text() for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    benchmarks = dict(re.findall(r'"results/(?:\{corpus\}/)?benchmarks/([^/"]+)/([^"]+)\.tsv"', rules))
    jobs = _jobs(Settings.from_json(Fixture(tmp_path, "iemocap", size=10).config_json), {"0"})
    several = {rule for rule, job in benchmarks.items() if job != "all" and "{" not in rule}
    assert {"faces", "merge", "joined", "targets", "pack", "weights"} <= several
    assert several <= set(jobs)
    assert jobs["joined"] == jobs["merge"]
    assert jobs["targets"] == jobs["split"]
    assert {f"train-{run}" for run in jobs["pack"]} == {rule for rule in jobs if rule.startswith("train-")} != set()


def test_broken_input_is_an_error_that_names_the_file(tmp_path):
    made = Fixture(tmp_path, "iemocap", size=10)
    settings = Settings.from_json(made.config_json)
    (made.folder / "tables" / "significance.csv").write_text("question,a\nx,y\n")
    with pytest.raises(InputError, match=r"significance\.csv: lacks the columns \['role', 'b'"):
        read(made.folder, settings)
    with pytest.raises(InputError, match="no such folder"):
        read(made.folder / "elsewhere", settings)
    made.config_json.write_text("{")
    with pytest.raises(InputError, match=r"config\.json: cannot be read as JSON"):
        Settings.from_json(made.config_json)
    made.config_json.write_text("[]")
    with pytest.raises(InputError, match=r"config\.json: lacks corpus, title, .*, weights; let the"):
        Settings.from_json(made.config_json)
