"""Any configuration gets a report that speaks of what was configured, and every number it says stands in a table."""

import csv
import re
import statistics
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from models.evaluation.statuses import Remark
from tests.page import Element, Page, rows_of
from tests.report_fixture import Fixture, page_of
from tests.report_material import TITLES
from tests.report_setups import PAPERS, SETUPS, STORES

YEARS = {str(year) for year in range(1970, 2030)}
LETTERS = {"A": "audio", "V": "video", "T": "text"}
NUMBER = re.compile(r"(?<![\w.])[−+]?\d[\d\u202f]*(?:\.\d+)?(?![\w])")
ALWAYS = {"0", "1", "2", "95", "90", "0.05", "0.01", "112"}
"""Levels of the tests, the practical region, what two and one stand for in the text, and the size of a crop."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, tuple[Fixture, Page]]:
    """Every setup with its page; made when first asked for."""

    class Made(dict):
        def __missing__(self, name):
            fixture = Fixture(tmp_path_factory.mktemp("setup"), name, size=40)
            self[name] = (fixture, page_of(fixture))
            return self[name]

    return Made()


def table(fixture: Fixture, name: str) -> list[dict]:
    with (fixture.folder / "tables" / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def values(fixture: Fixture, run: str, metric: str) -> list[float]:
    model, modalities = run.rsplit("-", 1)
    found = [r for r in table(fixture, "scores.csv") if (r["model"], r["modalities"]) == (model, modalities)]
    return [float(r["value"]) for r in found if r["metric"] == metric and r["fold"] != "all" and r["turns"] == "all"]


def sections(page: Page) -> list[str]:
    return [section.attributes["id"] for section in page.all("section")]


@pytest.mark.parametrize("name", list(SETUPS))
def test_the_page_speaks_of_what_was_configured_and_of_nothing_else(name, made):
    fixture, page = made[name]
    setup, text = fixture.setup, page.root.text
    present = sections(page)
    assert ("significance" in present) == bool(setup.contrasts)
    assert ("faces" in present) == ("video" in setup.modalities)
    assert ("classes" in present) != setup.numbers
    assert ("truth" in present) == (setup.numbers and not setup.frames)
    assert ("speakers" in present) == (not setup.frames)
    assert not page.with_class("absent"), [e.text for e in page.with_class("absent")]
    assert "was not found" not in text
    assert "nothing" not in page.with_class("facts")[0].text
    read = {store for store in setup.stores if STORES[store][0] in setup.modalities}
    for store, (modality, extractor, _) in STORES.items():
        if modality not in setup.modalities:
            assert store not in re.findall(r"[\w]+", page.by_id("methods").text), store
            assert extractor not in page.by_id("provenance").all("table")[1].text, store
    stores = [head.split()[0] for head in rows_of(page.table("Feature stores"))]
    assert stores == [f"{store}.h5" for store in sorted(read)]
    listed = rows_of(page.table("Segments by what" if not setup.words else "Turns by what"))
    assert [name for name in listed if name != "split"] == [
        m for m in ("video", "audio", "text") if m in setup.modalities
    ]
    if not setup.contrasts:
        one = len(setup.levels) == 1
        question = page.all("h1")[0].text
        assert question == ("How well does self-attention V do?" if one else "How well do these models do?")
        assert ("No comparison was planned" in page.with_class("lead")[0].text) != one
        assert "Holm" not in page.by_id("methods").text
        assert "Holm" not in page.by_id("paper").text
    else:
        question = setup.contrasts[0][0]
        assert page.all("h1")[0].text == f"{question[0].upper()}{question[1:]}?"
    letters = {letter for run in setup.levels for letter in run.rsplit("-", 1)[1].split("+")}
    (legend,) = [p.text for p in page.by_id("scores").all("p") if re.match(r"[AVT] (audio|video|text)\b", p.text)]
    assert legend.startswith(", ".join(f"{k} {v}" for k, v in LETTERS.items() if k in letters) + ".")


@pytest.mark.parametrize("name", [*SETUPS, *PAPERS])
def test_the_best_model_is_the_best_by_development_and_its_test_score_is_the_table_s(name, made):
    fixture, page = made[name]
    setup = fixture.setup
    factor, decimals, unit = (1, 3, "") if setup.numbers else (100, 1, " %")
    development = {run: statistics.fmean(values(fixture, run, f"development_{setup.metric}")) for run in setup.levels}
    best = max(development, key=development.get)
    test = values(fixture, best, setup.metric)
    words = "mean CCC" if setup.numbers else "balanced accuracy"
    level = f"{development[best] * factor:.{decimals}f}{unit}"
    chosen = f"Best by its development score ({level}): {named(setup, best)}. "
    if len(setup.levels) == 1:
        run = named(setup, best)
        chosen = f"{run[0].upper()}{run[1:]} scores {level} on the development part. "
    said = (
        f"{chosen}On the test part it scores {statistics.fmean(test) * factor:.{decimals}f} ± "
        f"{statistics.stdev(test) * factor:.{decimals}f}{unit} {words}, mean ± standard deviation over {len(test)} "
        "trainings."
    )
    assert said in page.all("header")[0].text
    if not setup.numbers:
        chance = f"Guessing one class for every .* scores {100 / len(setup.classes):.1f} % balanced accuracy"
        assert re.search(chance, page.all("header")[0].text)


@pytest.mark.parametrize("name", [*SETUPS, *PAPERS])
def test_words_fit_how_many_there_are_and_what_they_are(name, made):
    """One run is not each, one contrast is adjusted for nothing, only classes of segments have a McNemar, and so on."""
    fixture, page = made[name]
    setup, text = fixture.setup, page.root.text
    one = len(setup.levels) == 1
    assert ("each trained" in text) != one
    assert ("All models share" in text) != one
    assert ("Each run was trained" in text) != one
    assert ("Best by its development score" in text) != one
    assert ("Holm" in text) == (len(setup.contrasts) > 1)
    assert ("Nadeau" in page.by_id("methods").text) == (bool(setup.contrasts) and setup.folds > 1)
    used, of = re.search(r"Used: (\d+) of (\d+)", page.by_id("coverage").text).groups()
    assert ("The others train" in page.by_id("coverage").text) == (used != of)
    assert ("McNemar" in text) == (bool(setup.contrasts) and not setup.numbers and not setup.frames)
    assert ("folds × seeds" in text) == (setup.folds > 1)
    assert ("shown in detail" in text) == (not setup.numbers and len(setup.levels) > 4)
    assert "by import" not in text
    assert ("imported" in page.by_id("paper").text) == bool(setup.imported)
    groups = {row["group_kind"] for row in table(fixture, "significance.csv")} - {""} if setup.contrasts else set()
    assert {kind for kind in ("session", "speaker") if f"bootstrap of whole {kind}s" in text} == groups
    on_end = max(map(len, setup.classes)) > 5  # names of classes that would be cut into pieces between columns
    assert {"tall" in t.attributes["class"] for t in page.with_class("matrix") if t.tag == "table"} <= {on_end}
    if setup.frames:
        word = (setup.words or {}).get("segment", "segment")
        assert page.by_id("videos").all("h2")[0].text == f"{word.capitalize()} by {word}"


def named(setup, run: str) -> str:
    model, modalities = run.rsplit("-", 1)
    if setup.runs:
        inputs = next(row for row in setup.runs if row["run"] == run).get("inputs", {})
        return f"self-attention {modalities} on {inputs.get('audio', 'wav2vec2')}"
    return f"{TITLES[model]} {modalities}"


@pytest.mark.parametrize("name", [name for name, setup in {**SETUPS, **PAPERS}.items() if setup.contrasts])
def test_verdict_sentences_hold_against_the_table(name, made):
    fixture, page = made[name]
    factor, decimals, unit = (1, 3, " CCC") if fixture.setup.numbers else (100, 1, "")
    top = page.all("header")[0]
    said = [top.with_class("lead")[0].text, *(li.text for li in top.all("li") if li.with_class("because"))]
    rows = [row for row in table(fixture, "significance.csv") if row["role"] == "planned"]
    told = [rows[0], *(row for row in rows[1:] if row["verdict"] != "undecided")]
    assert len(said) == len(told)
    for sentence, row in zip(said, told):
        if row["verdict"] == "no verdict":
            assert "but there is no verdict: not even an exact test" in sentence
            continue
        d, low, high = (float(row[k]) for k in ("difference", "ci_low", "ci_high"))
        if row["verdict"] == "equivalent":
            low, high = float(row["equivalence_low"]), float(row["equivalence_high"])
        elif d < 0:
            low, high = -high, -low
        pair = [f"{x * factor:+.{decimals}f}".replace("-", "−") for x in (low, high)]
        pair = [text[1:] if float(text.replace("−", "-")) == 0 else text for text in pair]
        assert " to ".join(pair) in sentence
        if row["verdict"] != "equivalent":
            size = f"{abs(d) * factor:.{decimals}f}"
            assert f" {size if unit else size.removesuffix('.0')}{unit or ' point'}" in sentence
            p = float(row["p_holm"])
            assert (f"p = {p:.3f}" if p >= 0.0005 else "p < 0.001") in sentence
        else:
            assert f"p = {float(row['p_equivalence_holm']):.3f}" in sentence
        assert ("Holm-adjusted" in sentence) == (len(rows) > 1)
    if "undecided" in {row["verdict"] for row in rows[1:]}:
        cells = list(rows_of(page.table("What these data do not decide")).values())
        for cell, row in zip(cells, [r for r in rows[1:] if r["verdict"] == "undecided"], strict=True):
            wanted = f"{float(row['difference']) * factor:+.{decimals}f}".replace("-", "−")
            assert cell[1].lstrip("+−") == wanted.lstrip("+−")


def numbers_in(text: str) -> list[str]:
    return [match.replace("\u202f", "").lstrip("+") for match in NUMBER.findall(text)]


def known_numbers(fixture: Fixture, page: Page) -> set[str]:
    """All numbers of tables, of the configuration, of what trainings say of themselves, and what follows from them."""
    setup = fixture.setup
    texts = [raw(cell) for t in page.all("table") for cell in t.all("td", "th", "caption")]
    texts += [page.by_id("provenance").all("pre")[0].text, next(fixture.folder.rglob("run.json")).read_text()]
    texts += [Remark(name).text for row in table(fixture, "significance.csv") for name in row["remarks"].split()]
    segments = pd.read_csv(fixture.folder / "segments.tsv", sep="\t")
    runs, folds = setup.levels, setup.folds
    counts = [*(segments[c].nunique() for c in ("segment_id", "unit_id", "speaker")), min(24, len(segments))]
    counts += [sum(s.part == "validation" for s in fixture.segments), folds, len(fixture.seeds)]
    counts += [
        folds * len(fixture.seeds),
        len(runs),
        len({run.rsplit("-", 1)[0] for run in runs}),
        len(setup.contrasts),
    ]
    development = [statistics.fmean(values(fixture, run, f"development_{setup.metric}")) for run in runs]
    chance = [] if setup.numbers else [1 / len(setup.classes)]
    scores = [f"{v * 100:.1f}" for v in development + chance] + [f"{v:.3f}" for v in development]
    return ALWAYS | {n.lstrip("−") for text in texts for n in numbers_in(text)} | {str(n) for n in [*counts, *scores]}


@pytest.mark.parametrize("name", [*SETUPS, *PAPERS])
def test_every_number_in_a_sentence_stands_in_a_table_or_in_the_configuration(name, made):
    fixture, page = made[name]
    known, unknown = known_numbers(fixture, page), {}
    for paragraph in page.root.all("p", "dd", "li"):
        hidden = any(paragraph.above(tag) for tag in ("details", "nav"))
        if hidden or within(paragraph, ("methods", "downloads", "cost", "faces")):
            continue
        lost = [n for n in numbers_in(raw(paragraph)) if n.lstrip("−") not in known and n not in YEARS]
        unknown |= {paragraph.text[:150]: lost} if lost else {}
    assert not unknown


def raw(element: Element) -> str:
    return "".join(element._strings())


def within(element: Element, ids: tuple[str, ...]) -> bool:
    section = element.above("section")
    return section is not None and section.attributes["id"] in ids


@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn, of classes that a speaker lacks
@pytest.mark.parametrize("name", ["iemocap", "one fold", "four classes"])
def test_confidence_and_speakers_equal_what_is_counted_by_hand(name, made):
    fixture, page = made[name]
    shown = rows_of(page.table("Calibration: confidence and accuracy"))
    of_speakers = rows_of(page.table("Balanced accuracy by speaker, per cent, one by one"))
    heads = [
        th.text for th in page.table("Balanced accuracy by speaker, per cent, one by one").all("thead")[0].all("th")
    ]
    speaker = {s.segment_id: s.speaker for s in fixture.segments}
    assert list(shown) == heads[2:] != []
    for title, cells in shown.items():
        (run,) = [run for run in fixture.setup.levels if named(fixture.setup, run) == title]
        files = sorted((fixture.folder / "runs" / run).glob("fold*/predictions.parquet"))
        items = pd.concat([pd.read_parquet(file) for file in files])
        items = items[items["part"] == "test"]
        sure = items[[c for c in items if c.startswith("p_")]].max(axis=1)
        right = items["label"] == items["predicted"]
        gap = 0.0
        for k in range(15):
            here = (sure >= k / 15 - 1e-12) & ((sure < (k + 1) / 15 - 1e-12) | (k == 14))
            gap += abs(sure[here].mean() - right[here].mean()) * here.mean() if here.any() else 0
        assert cells == [str(len(items)), *(f"{x * 100:.1f}" for x in (sure.mean(), right.mean(), gap))]
        assert set(of_speakers) == set(items["segment_id"].map(speaker))
        for who in of_speakers:
            mine = items[items["segment_id"].map(speaker) == who]
            by_seed = [balanced_accuracy_score(g["label"], g["predicted"]) for _, g in mine.groupby("seed")]
            assert of_speakers[who][heads.index(title) - 1] == f"{np.mean(by_seed) * 100:.1f}"
            assert of_speakers[who][0] == str(mine["segment_id"].nunique())


def test_numbers_of_segments_are_shown_beside_their_truth(made):
    fixture, page = made["numbers"]
    assert len(page.by_id("truth").with_class("square")) == 2 * 3
    rows = [[cell.text for cell in tr.all("th", "td")] for tr in page.table("Prediction by truth").all("tr")]
    run = next(iter(fixture.setup.levels))
    files = (fixture.folder / "runs" / run).glob("fold*/predictions.parquet")
    items = pd.concat([pd.read_parquet(file).query("part == 'test'") for file in files])
    means = items.groupby("segment_id")[["truth_valence", "prediction_valence"]].mean()
    truth, low = means["truth_valence"], means["truth_valence"].min()
    first = means[truth < low + (truth.max() - low) / 10]
    said = first["prediction_valence"]
    spread = f" ± {said.std():.3f}" if len(said) > 1 else ""
    wanted = [f"{first['truth_valence'].mean():.3f}", str(len(first)), f"{said.mean():.3f}{spread}"]
    assert rows[2] == wanted


def test_a_speaker_of_one_segment_has_no_ccc(tmp_path):
    """It would be 0 however close the prediction, and draw the lowest and the median down."""
    made = Fixture(tmp_path, "numbers", size=40)
    file = made.folder / "segments.tsv"
    segments = pd.read_csv(file, sep="\t", dtype=str)
    segments.loc[0, "speaker"] = "alone"
    segments.to_csv(file, sep="\t", index=False)
    page = page_of(made)
    each = rows_of(page.table("Mean CCC by speaker, one by one"))
    assert "alone" not in each
    lowest = min(float(cells[1].replace("−", "-")) for cells in each.values())
    summary = next(iter(rows_of(page.table("Mean CCC by speaker.")).values()))
    assert float(summary[1].replace("−", "-")) == pytest.approx(lowest)
    text = page.by_id("speakers").text
    assert f"One dot for each of the {len(each)} speakers" in text
    assert "Left out: 1 speaker of a single segment, which has no mean CCC." in text
    segments["speaker"] = [f"s{k}" for k in range(len(segments))]
    segments.to_csv(file, sep="\t", index=False)
    assert "speakers" not in sections(page_of(made)), "of none there is anything to say"


@pytest.mark.parametrize("name", ["iemocap", "affwild2", "numbers", "text"])
def test_tables_are_numbered_and_headings_go_down_one_step_at_a_time(name, made):
    page = made[name][1]
    levels = [int(e.tag[1]) for e in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    captions = [t.all("caption")[0].text for t in page.all("table")]
    assert [int(re.match(r"Table (\d+)\.", text)[1]) for text in captions] == list(range(1, len(captions) + 1))


def test_runs_that_read_different_features_are_compared_like_models(made):
    fixture, page = made["features compared"]
    assert page.with_class("answer")[0].text == "wav2vec2 is better.", "as the store is called"
    assert "With self-attention A, wav2vec2 scores" in page.with_class("lead")[0].text
    assert list(rows_of(page.table("Planned contrasts"))) == ["wav2vec2 against mfcc, self-attention A"]
    cells = rows_of(page.table("Balanced accuracy by features and model"))
    test = values(fixture, "self_mfcc-A", "balanced_accuracy")
    assert cells["mfcc"] == [f"{statistics.fmean(test) * 100:.1f} ± {statistics.stdev(test) * 100:.1f}", "–"]
    assert "Audio: wav2vec2 (extractor transformers_audio, demo:wav2vec2) and mfcc (extractor mfcc)." in page.root.text
