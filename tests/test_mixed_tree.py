"""Fifty good recordings and fifty bad ones go to a report together: all good ones are used, and each bad one named."""

from itertools import product
from types import SimpleNamespace

import pandas as pd
import pytest

from models.task import Task
from pipeline.__main__ import main as pipeline
from pipeline.records import Segment, read_table
from tests import mixed_tree
from tests.task_corpora import Corpus, invoke, to_the_report

pytestmark = pytest.mark.slow
SETTINGS = {
    "extractors": {"mfcc": {"extractor": "mfcc"}, "face_geometry": {"extractor": "face_geometry"}},
    "inputs": {"audio": "mfcc", "video": "face_geometry"},
    "runs": {"early": ["A+V"], "late": ["A+V"]},
    "contrasts": [{"question": "early or late", "a": "early-A+V", "b": "late-A+V"}],
    "training": {"seeds": [1], "epochs": 1, "batch_size": 32},
}


FILES_OF = {"video": ("video", "features/face_geometry"), "audio": ("audio", "features/mfcc"), "text": ("text",)}
EXCEPT = {  # what is there of a good one where a stage says less than ok
    ("words_alone", "text"): 0.9,  # its times are estimates
    **dict.fromkeys(
        product(("film_wmv", "film_asf", "sound_wma"), FILES_OF["audio"]), 0.9
    ),  # decoders skip the first frame of WMA
}


class Mixed(Corpus):
    """The tree as a table corpus."""

    def __init__(self, folder):
        self.task, self.root, self.results = Task.parse("classes/segment"), folder / "raw", folder / "results" / "mine"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The tree, its segments and the coverage of a run that got to its report."""
    corpus = Mixed(tmp_path_factory.mktemp("mixed"))
    tree = mixed_tree.make(corpus.root)
    results = corpus.results
    known = ["--corpus", "mine", "--reader", "table", "--root", corpus.root, "--media-units", 1000]
    invoke(pipeline, "index", *known, "--options", '{"segments": "segments.csv"}', "--out", results)
    segments = read_table(results / "segments.tsv", Segment)
    (shard,) = {segment.shard for segment in segments}
    where = ["--root", corpus.root, "--tables", results, "--shard", shard, "--out"]
    invoke(pipeline, "faces", "--sample-rate-hz", 10, *where, results / "faces" / f"{shard}.h5")
    invoke(pipeline, "audio", *where, results / "audio" / f"{shard}.h5")
    invoke(pipeline, "words", *where, results / "words" / f"{shard}.tsv")
    for name in SETTINGS["extractors"]:
        of = ["--corpus", "mine", "--name", name, "--extractor", name, "--results", results, "--shard", shard]
        invoke(pipeline, "features", *of, "--out", results / "features" / f"{name}.h5")
    table = results / "tables" / "coverage.csv"
    named = [word for name in SETTINGS["extractors"] for word in ("--features", name)]
    invoke(pipeline, "coverage", "--corpus", "mine", "--results", results, *named, "--out", table)
    page = to_the_report(corpus, corpus.plan(**SETTINGS))
    coverage = pd.read_csv(table, dtype=str, keep_default_na=False)
    return SimpleNamespace(tree=tree, segments=segments, coverage=coverage, page=page, results=results)


def test_there_are_fifty_of_each(run):
    by_pattern = [s for s in run.segments if s.segment_id not in {*run.tree.good, *run.tree.bad}]
    assert len(by_pattern) == len(mixed_tree.NAMES) // 2, "each file that the pattern matches"
    assert len(run.tree.good) + len(by_pattern) >= 50
    assert len(run.tree.bad) + len(run.tree.unlisted) >= 50


def has(run) -> dict[str, tuple[str, ...]]:
    """The modalities of every good segment, those that a pattern found among them."""
    found = {s.segment_id: ("video", "audio", "text") for s in run.segments if s.segment_id not in run.tree.bad}
    return found | run.tree.good


def test_every_good_one_is_used_whole(run):
    rows = run.coverage[run.coverage.segment != ""].set_index(["segment", "modality"])
    wrong = {}
    for segment, modalities in has(run).items():
        for modality in (name for m in modalities for name in FILES_OF[m]):
            row = rows.loc[segment, modality]
            if row.status != "ok" and not float(row.valid_fraction) > EXCEPT.get((segment, modality), 1):
                wrong[segment, modality] = f"{row.status}: {row.reason}"
    assert not wrong, wrong
    predicted = pd.concat(map(pd.read_parquet, run.results.glob("runs/early-A+V/fold*/predictions.parquet")))
    assert set(predicted[predicted.part == "test"].segment_id) >= set(has(run))


def test_every_bad_one_is_named_with_its_reason(run):
    rows = run.coverage[(run.coverage.status != "ok")]
    lacking = {}
    for segment, (modality, words) in run.tree.bad.items():
        reasons = rows[(rows.segment == segment) & (rows.modality == modality)].reason
        if not reasons.str.contains(words, regex=False).any():
            lacking[segment] = words, reasons.tolist()
    lacking |= {words: "" for words in run.tree.unlisted if not rows.reason.str.contains(words, regex=False).any()}
    assert not lacking, lacking


def test_nothing_else_is_named(run):
    rows = run.coverage[(run.coverage.status != "ok") & ~run.coverage.segment.isin(run.tree.bad)]
    good, others = has(run), []
    for row in rows.itertuples():
        lacks = row.segment in good and not any(row.modality in FILES_OF[m] for m in good[row.segment])
        listed = any(words in row.reason for words in run.tree.unlisted)
        if not (lacks or listed or (row.segment, row.modality) in EXCEPT):
            others.append(row)
    assert not others, others


def test_the_report_counts_them(run):
    html = run.page.read_text(encoding="utf-8")
    assert "early concatenation" in html
    assert f"{len(run.segments)} segments" in html
