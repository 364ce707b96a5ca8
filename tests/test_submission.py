"""Submissions to the Aff-Wild2 challenge, against files written out by hand."""

import numpy as np
import pytest
from click.testing import CliRunner

from models.evaluation.scores import Score
from models.submission import submission
from pipeline.records import InputError, Segment, Unit, read_table, write_table
from pipeline.store import Rows, StoreWriter
from tests.prediction_files import write_frames

FRAMES = {"a": 3, "b_left": 2, "b_right": 2, "known": 4}
SAID = {  # of seeds 1 and 2; the means lie on a grid that every format holds, and two of them beyond the scale
    "a": ([[0.5, -0.25], [0.0, 1.5], [-1.5, 0.0]], [[0.25, -0.75], [0.5, 1.0], [-1.0, 0.125]]),
    "b_left": ([[0.0, 0.0], [0.25, 0.5]], [[0.5, 0.5], [0.25, 0.0]]),
    "b_right": ([[-0.5, 0.5], [-0.25, 0.75]], [[-0.5, 0.5], [-0.25, 0.25]]),
    "known": ([[9, 9]] * 4, [[9, 9]] * 4),
}
SINGLE = """image_location,valence,arousal
a/00001.jpg,0.375000,-0.500000
a/00002.jpg,0.250000,1.000000
a/00003.jpg,-1.000000,0.062500
b_left/00001.jpg,0.250000,0.250000
b_left/00002.jpg,0.250000,0.250000
b_right/00001.jpg,-0.500000,0.500000
b_right/00002.jpg,-0.250000,0.500000
"""


def write_labels(path, frames=FRAMES):
    """labels.h5 with the frames of everybody."""
    attributes = {
        **{"corpus": "affwild2", "name": "labels", "modality": "label", "extractor": "annotation"},
        **{"extractor_version": "1", "config": {}, "weights": {}, "software": {}, "inputs": "", "demonstration": True},
    }
    with StoreWriter(path, attributes, dim=2) as writer:
        for name, n in sorted(frames.items()):
            start_s = np.arange(n) / 25
            rows = Rows(np.zeros((n, 2), np.float32), np.stack([start_s, start_s + 0.04], axis=1), np.zeros(n, bool))
            writer.append(name, rows)


def score_rows(run, by_seed, fold="0", metric="development_ccc_mean", turns="all"):
    name = (*run.split("-"), "official", turns, fold)
    return [Score(*name, seed, metric, value, None, None) for seed, value in enumerate(by_seed)]


@pytest.fixture
def results(tmp_path):
    """Results of a corpus in which a, b_left and b_right are unlabelled; rcma-A+V is best on the development part."""
    folder = tmp_path / "affwild2"
    for run, sign in (("rcma-A+V", 1), ("self_frames-A", -1)):
        tracks = [
            (name, seed, "test" if name == "known" else "unlabelled", np.full((n, 2), np.nan), values, [False] * n)
            for name, n in FRAMES.items()
            for seed, values in zip((1, 2), sign * np.array(SAID[name]))
        ]
        write_frames(folder, run, 0, tracks, shuffle=4)
    units = [Unit("a", "videos/a.mp4", part="test"), Unit("b", "videos/b.mp4", part="test")]
    write_table(folder / "units.tsv", [*units, Unit("lost", "videos/lost.mp4", part="test")], Unit)
    people = [Segment(n, n.split("_")[0], n, None, "test", 0.0, 1.0, "whole") for n in FRAMES if n != "known"]
    write_table(
        folder / "segments.tsv", [*people, Segment("known", "k", "known", None, "train", 0, 1, "whole")], Segment
    )
    write_labels(folder / "labels.h5")
    rows = score_rows("rcma-A+V", [0.2, 0.4]) + score_rows("self_frames-A", [0.35, 0.2])
    for other in ({"fold": "1"}, {"metric": "ccc_mean"}, {"turns": "improvised"}):
        rows += score_rows("self_frames-A", [0.9, 0.9], **other)
    write_table(folder / "tables" / "scores.csv", rows, Score)
    return folder


def submit(results, *arguments):
    out = results / "submission"
    given = ["--results", str(results), "--out", str(out), *map(str, arguments)]
    CliRunner().invoke(submission, given, catch_exceptions=False)
    return {path.name: path.read_text() for path in sorted(out.iterdir())}


def test_one_file_holds_every_frame_of_everybody(results, caplog):
    caplog.set_level("INFO")
    assert submit(results) == {"predictions.txt": SINGLE}
    assert "lost is not in the submission" in caplog.text
    assert "submission of rcma-A+V: 3 people, 7 frames" in caplog.text


def test_people_without_annotation_who_are_not_asked_for_are_left_out(results):
    """Of the part that trains, such as one whose annotation has no valid line: predicted, and in no submission."""
    people = [(n, "train" if n in ("known", "b_left") else "test") for n in FRAMES]
    write_table(
        results / "segments.tsv", [Segment(n, n[0], n, None, part, 0.0, 1.0) for n, part in people], Segment
    )  # fmt: skip
    lines = [line for line in SINGLE.splitlines(True) if not line.startswith("b_left")]
    assert submit(results) == {"predictions.txt": "".join(lines)}


def test_a_video_of_which_no_frame_can_be_read_has_nobody_in_it(results, caplog):
    """Its sound keeps it among the segments; nothing is predicted of it, and it has no rows among the labels."""
    dark = Segment("dark", "dark", "dark", None, "test", 0.0, 1.0)
    segments = read_table(results / "segments.tsv", Segment)
    write_table(results / "segments.tsv", [*segments, dark], Segment)
    write_table(
        results / "units.tsv", [*read_table(results / "units.tsv", Unit), Unit("dark", "d.mp4", part="test")], Unit
    )
    write_labels(results / "labels.h5", FRAMES | {"dark": 0})
    assert submit(results) == {"predictions.txt": SINGLE}
    assert "dark is not in the submission" in caplog.text
    assert "a is not in the submission" not in caplog.text
    write_table(results / "segments.tsv", [dark], Segment)
    with pytest.raises(InputError, match="no video of the part test has a frame"):
        CliRunner().invoke(
            submission, ["--results", str(results), "--out", str(results / "none")], catch_exceptions=False
        )


def test_the_run_may_be_named(results):
    text = submit(results, "--run", "self_frames-A")["predictions.txt"]
    assert text.splitlines()[1] == "a/00001.jpg,-0.375000,0.500000"


@pytest.mark.parametrize("header", ["image_location,valence,arousal\n", ""], ids=["header", "no header"])
def test_rows_and_order_of_the_organisers(results, tmp_path, caplog, header):
    caplog.set_level("INFO")
    sample = tmp_path / "sample.txt"
    places = ["b_right/00002.jpg", "a/00003.jpg", "a/00004.jpg"]
    sample.write_text(header + "".join(f"{place},0,0\n" for place in places))
    known = dict(line.split(",", 1) for line in SINGLE.splitlines())
    expected = [f"{place},{known.get(place, known['a/00003.jpg'])}" for place in places]
    assert submit(results, "--sample", sample)["predictions.txt"].splitlines()[1:] == expected
    assert "a: 1 lines past the last frame" in caplog.text
    assert "b_right: " not in caplog.text
    assert "does not list b_left: not in the submission" in caplog.text
    assert "submission of rcma-A+V: 2 people, 3 frames" in caplog.text


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "image_location\nnobody/00001.jpg,0,0\n",
            "line 2: 'nobody' is not predicted; add its video to the corpus, or where that is there and shows two",
        ),
        ("image_location\na/00000.jpg\n", "line 2: 'a/00000.jpg' is not like video/00001.jpg"),
        ("image_location,valence,arousal\na/00001.jpg\nvideo\n", "line 3: 'video' is not like"),
        ("x\na/00001.jpg\n", "line 1: 'x' is not like video/00001.jpg; give image_location lines"),
    ],
)
def test_a_sample_file_that_does_not_fit(results, tmp_path, lines, message):
    sample = tmp_path / "sample.txt"
    sample.write_text(lines)
    with pytest.raises(InputError, match=message):
        submit(results, "--sample", sample)
    assert not list((results / "submission").iterdir())


def test_nobody_is_unlabelled(results):
    write_table(results / "segments.tsv", [Segment("known", "k", "known", None, "train", 0, 1, "whole")], Segment)
    with pytest.raises(
        InputError, match="nobody is in the part test, everybody is annotated; put the challenge's test"
    ):
        submit(results)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("lacks", r"seeds \[1, 2\] have \[7, 6\] items"),
        ("twice", "an item is there twice"),
        ("infinite", "a prediction of the unlabelled part is not a number"),
        ("longer", "b_left has other frames than labels.h5"),
        ("shorter", "b_left has other frames than labels.h5"),
        ("stranger", "c has other frames"),
        ("nobody", "b_right has other frames"),
    ],
)
def test_predictions_that_are_not_one_for_each_frame_and_seed(results, damage, message):
    tracks = []
    for name, n in FRAMES.items():
        for seed in (1, 2) if name != "known" else ():
            predicted = np.array(SAID[name][seed - 1], float)
            if name == "b_left":
                n = {"lacks": 3 - seed, "longer": 3, "shorter": 1}.get(damage, n)
                predicted = np.resize(predicted, (n, 2))
                predicted[0, 0] = np.inf if damage == "infinite" else 0.0
            track = seed, "unlabelled", np.zeros((n, 2)), predicted, [False] * n
            tracks += [] if (name, damage) == ("b_right", "nobody") else [(name, *track)]
            tracks += {"twice": [(name, *track)], "stranger": [("c", *track)]}.get(damage, []) if name == "a" else []
    write_frames(results, "rcma-A+V", 0, tracks)
    with pytest.raises(InputError, match=message):
        submit(results)


def test_what_cannot_be_done_is_said(results):
    with pytest.raises(InputError, match="train run 'self-A' on fold 0 first"):
        submit(results, "--run", "self-A")
    write_table(results / "tables" / "scores.csv", score_rows("rcma-A+V", [None, None]), Score)
    with pytest.raises(InputError, match="has no development_ccc_mean of fold 0; name a run with --run"):
        submit(results)
    submit(results, "--run", "rcma-A+V")
    with pytest.raises(InputError, match="holds files already"):
        submit(results, "--run", "rcma-A+V")
