"""The Aff-Wild2 reader against the truth beside real faces and voices, and against every kind of damaged tree."""

import math
import os
import re
import subprocess
import sys
import time
import unicodedata
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora.base import Index
from pipeline.corpora.command import frame_labels as labels_command
from pipeline.corpora.command import index as index_command
from pipeline.corpora.frame_rows import to_frames
from pipeline.corpora.prepare import read
from pipeline.corpora.raw import Fingerprints, files_read
from pipeline.corpora.readers.affwild2.annotation import parse_annotation
from pipeline.corpora.registry import make
from pipeline.corpora.resolve import frame_labels, with_ends
from pipeline.coverage.command import collect
from pipeline.records import Finding, InputError, Segment, Unit, read_table
from pipeline.store import FeatureStore, Rows
from pipeline.words.command import words as words_command

REPOSITORY = Path(__file__).resolve().parent.parent
NOTES = "annotations/VA_Estimation_Challenge"


def make_video(path: Path, frames: int, fps: int = 25) -> Path:
    """A small grey video of so many frames."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(fps))
        stream.width = stream.height = 32
        for n in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), n % 256, np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def annotate(root: Path, name: str, rows: list[str], part: str = "Train_Set", header: str = "valence,arousal") -> Path:
    path = root / NOTES / part / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def tree(tmp_path: Path, rows: list[str], frames: int = 10) -> Path:
    make_video(tmp_path / "videos" / "batch1" / "a.mp4", frames)
    annotate(tmp_path, "a", rows)
    return tmp_path


def reasons(found, modality: str = "label", status: str | None = None) -> list[str]:
    return [f.reason for f in found.findings if f.modality == modality and status in (None, f.status)]


def corpus(root: Path, **options):
    return make("affwild2", "affwild2", root, options)


def list_units(root: Path) -> list[str]:
    return [unit.unit_id for unit in corpus(root).index().units]


def index(root: Path) -> tuple[Index, dict[str, Rows]]:
    """What both stages find: the tables, and the labels of each frame, whose findings are with the others."""
    known = corpus(root)
    found = with_ends(root, read(known))
    return found, dict(frame_labels(known, found.units, found.segments, found.findings))


# --- real faces and voices ---------------------------------------------------------------------------------------


def run_index(root: Path, folder: Path) -> None:
    """Call both stages."""
    arguments = ["--corpus", "affwild2", "--reader", "affwild2", "--root", str(root)]
    CliRunner().invoke(index_command, [*arguments, "--out", str(folder)], catch_exceptions=False)
    arguments += ["--tables", str(folder), "--columns", "valence,arousal", "--out", str(folder / "labels.h5")]
    arguments += ["--findings", str(folder / "label_findings.tsv")]
    CliRunner().invoke(labels_command, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def indexed(real_corpora, tmp_path_factory):
    """Segments, units and labels as the stage writes them."""
    folder = tmp_path_factory.mktemp("affwild2")
    run_index(real_corpora / "AffWild2", folder)
    segments = {s.segment_id: s for s in read_table(folder / "segments.tsv", Segment)}
    return read_table(folder / "units.tsv", Unit), segments, FeatureStore(folder / "labels.h5")


def test_subjects_parts_and_sides_equal_truth(indexed, truth, real_corpora):
    units, segments, labels = indexed
    assert segments.keys() == truth["affwild2"].keys() == set(labels)
    part = {"Train_Set": "train", "Validation_Set": "validation"}
    videos = {u.unit_id: u for u in units}
    for name, expected in truth["affwild2"].items():
        segment = segments[name]
        assert segment.part == part[expected["part"]] == videos[segment.unit_id].part
        assert Path(videos[segment.unit_id].video).name == expected["video"]
        assert segment.side == (expected["side"] or "whole")
        assert (real_corpora / "AffWild2" / videos[segment.unit_id].video).is_file()
    assert [u.unit_id for u in units] == list_units(real_corpora / "AffWild2")


def test_rows_and_frames_equal_truth(indexed, truth, real_corpora):
    _, segments, labels = indexed
    part_of = {name: t["part"] for name, t in truth["affwild2"].items()}
    for name, expected in truth["affwild2"].items():
        rows = labels[name]
        assert len(rows) == expected["video_frames"], "one row for each frame of the video, whatever the file holds"
        invalid = [*expected["invalid_rows"], *range(expected["rows"], expected["video_frames"])]
        assert np.flatnonzero(~rows.valid).tolist() == invalid
        text = (real_corpora / "AffWild2" / NOTES / part_of[name] / f"{name}.txt").read_text().split("\n")[1:-1]
        raw = np.array([[float(x) for x in line.split(",")] for line in text], np.float32)
        kept = np.flatnonzero(rows.valid)
        np.testing.assert_array_equal(rows.values[kept], raw[kept])
        frame = np.arange(len(rows)) / expected["fps"]
        np.testing.assert_allclose(rows.time_s[:, 0], frame, atol=1e-3)
        np.testing.assert_allclose(rows.time_s[:, 1], frame + 1 / expected["fps"], atol=1e-3)
        assert (segments[name].start_s, segments[name].end_s) == (0.0, rows.time_s[-1, 1])


def test_labels_say_what_they_are(indexed):
    attributes = indexed[2].attributes
    assert (attributes["modality"], attributes["name"], attributes["extractor"]) == ("label", "labels", "annotation")
    assert len(attributes["inputs"]) == 16
    assert attributes["demonstration"] is False


def test_row_short_of_the_video_is_a_finding(real_corpora):
    found, _ = index(real_corpora / "AffWild2")
    assert [f.segment for f in found.findings] == ["117"]
    assert "324 rows for 325 frames: frames past the last row have no label" in found.findings[0].reason


# --- annotation files --------------------------------------------------------------------------------------------

numbers = st.integers(-1000, 1000).map(lambda n: n / 1000)
spellings = st.sampled_from(["-5", "-5.0", " -5", "-5.", "-05.00", "-5e0", "-0.5e1"])
bad_rows = st.one_of(
    st.tuples(spellings, numbers.map(str)).map(",".join),
    st.tuples(numbers.map(str), spellings).map(",".join),
    st.sampled_from(
        ["-5,-5", "nan,0.1", "0.1,inf", "abc,0.2", "0.1", "0.1,0.2,0.3", "", "1.5,0", "0,-1.001", "\x0c,0"]
    ),
)
good_rows = st.tuples(numbers, numbers)


@given(st.lists(st.one_of(good_rows, bad_rows), max_size=30), good_rows, st.sampled_from(["\n", "\r\n", "\r"]))
def test_every_row_keeps_its_place(rows, last, line_end):
    rows = [*rows, last]
    lines = [row if isinstance(row, str) else f"{row[0]},{row[1]}" for row in rows]
    annotation = parse_annotation(line_end.join(["valence,arousal", *lines]) + line_end)
    assert len(annotation) == len(rows)
    for i, row in enumerate(rows):
        assert annotation.valid[i] == (not isinstance(row, str))
        expected = (0, 0) if isinstance(row, str) else row
        np.testing.assert_array_equal(annotation.values[i], np.float32(expected))


@given(st.text(max_size=80))
def test_any_text_is_rows_or_an_input_error(text):
    try:
        annotation = parse_annotation(text)
    except InputError:
        return
    assert np.isfinite(annotation.values).all()
    assert annotation.values.shape == (len(annotation.valid), 2)


@given(st.integers(1, 40), st.integers(0, 40))
def test_rows_and_frames_never_shift_each_other(frames, rows):
    values = np.linspace(-1, 1, max(rows, 1))
    text = "valence,arousal\n" + "".join(f"{values[i]},{-values[i]}\n" for i in range(rows))
    frame_time_s = np.cumsum(np.full(frames, 0.04)) - 0.04
    placed, note = to_frames(parse_annotation(text), frame_time_s)
    shared = min(frames, rows)
    np.testing.assert_allclose(placed.values[:shared, 0], values[:shared], rtol=1e-6)
    assert placed.valid.tolist() == [True] * shared + [False] * (frames - shared)
    np.testing.assert_array_equal(placed.time_s[:, 0], frame_time_s)
    assert (note is None) == (rows == frames)


def test_columns_are_taken_by_name_and_a_missing_header_is_a_row():
    assert parse_annotation("arousal, valence\n0.1,0.2\n").values.tolist() == [[np.float32(0.2), np.float32(0.1)]]
    annotation = parse_annotation("0.5,0.25\n0.1,0.2\n")
    assert annotation.values[0].tolist() == [0.5, 0.25]
    assert "no header" in annotation.notes[0]
    for text, says in (("", "is empty"), ("\n\n", "is empty"), ("frame,label\n1,2\n", "expected 'valence,arousal'")):
        with pytest.raises(InputError, match=says):
            parse_annotation(text)


def test_what_is_wrong_in_rows_is_counted_and_quoted():
    notes = parse_annotation("valence,arousal\n0,0\nnan,0\n1.5,0\n-7,0\n-5,-5\n").notes
    assert notes == [
        "1 rows are not two numbers, the first in line 3: 'nan,0'",
        "2 rows lie outside [-1, 1], the first in line 4: '1.5,0'",
    ]


# --- odd and damaged trees ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "says"), [
    (9, "9 rows for 10 frames: frames past the last row have no label"),
    (12, "12 rows for 10 frames: rows past the last frame were not used"),
    (5000, "rows past the last frame were not used; check that annotation and video belong together"),
])  # fmt: skip
def test_rows_that_do_not_match_the_frames(tmp_path, rows, says):
    found, labels = index(tree(tmp_path, ["0.5,0.5"] * rows))
    assert says in reasons(found, status="partial")[0]
    assert len(labels["a"]) == 10
    assert labels["a"].valid.sum() == min(rows, 10)


def test_one_row_more_than_frames_costs_no_label_and_is_noted(tmp_path):
    root = tree(tmp_path, ["0.5,0.5"] * 11)
    run_index(root, tmp_path / "out")
    (finding,) = read_table(tmp_path / "out" / "label_findings.tsv", Finding)
    assert (finding.status, finding.valid_fraction) == ("ok", 1.0)
    assert finding.reason == "11 rows for 10 frames: rows past the last frame were not used"
    (label,) = [row for row in collect(tmp_path / "out", []) if row.modality == "label"]
    assert (label.status, label.reason) == ("ok", finding.reason)


@pytest.mark.parametrize(("rows", "says"), [
    ([], "none of the 0 rows is valid"),
    (["-5,-5"] * 10, "none of the 10 rows is valid"),
    (["x,y"] * 10, "none of the 10 rows is valid"),
])  # fmt: skip
def test_annotation_without_a_valid_row(tmp_path, rows, says):
    found, labels = index(tree(tmp_path, rows))
    assert says in reasons(found, status="absent")[0]
    assert [s.segment_id for s in found.segments] == ["a"]
    assert not labels["a"].valid.any()
    assert len(labels["a"]) == 10


def test_annotation_of_something_else(tmp_path):
    root = tree(tmp_path, [])
    (root / NOTES / "Train_Set" / "a.txt").write_bytes(b"\x00\x05\x16\x07")
    assert "not a text file" in reasons(index(root)[0], status="absent")[0]
    (root / NOTES / "Train_Set" / "a.txt").write_text("Neutral,Anger,Disgust\n0\n")
    assert "expected 'valence,arousal'" in reasons(index(root)[0], status="absent")[0]


def test_litter_is_no_annotation_and_no_video(tmp_path):
    root = tree(tmp_path, ["0,0"] * 10)
    (root / NOTES / "Train_Set" / "._a.txt").write_bytes(b"\x00\x05\x16\x07")
    (root / "videos" / "batch1" / "._a.mp4").write_bytes(b"\x00\x05\x16\x07")
    found, _ = index(root)
    assert (len(found.units), found.findings) == (1, [])


def test_annotation_without_video(tmp_path):
    root = tree(tmp_path, ["0,0"] * 10)
    annotate(root, "b_left", ["0,0"])
    found, _ = index(root)
    assert [s.segment_id for s in found.segments] == ["a"]
    (finding,) = found.findings
    assert (finding.segment, finding.status) == ("b_left", "absent")
    assert "Train_Set/b_left.txt has no video" in finding.reason


def test_video_without_annotation_is_unlabelled_test(tmp_path):
    root = tree(tmp_path, ["0,0"] * 10)
    make_video(root / "videos" / "deep" / "er" / "t.AVI", 7)
    found, labels = index(root)
    segment = next(s for s in found.segments if s.segment_id == "t")
    assert (segment.part, segment.side, segment.unit_id) == ("test", "whole", "t")
    assert not labels["t"].valid.any()
    assert len(labels["t"]) == 7, "its frames are there, to be predicted"
    assert reasons(found, status="absent") == ["no annotation: predicted, not scored"]


def test_unlabelled_people_are_known_from_the_organisers_crops(tmp_path):
    root = tree(tmp_path, ["0,0"] * 10)
    make_video(root / "videos" / "t.mp4", 5)
    for name in ("t_left", "t_right", "elsewhere"):
        (root / "cropped_aligned" / name).mkdir(parents=True)
    sides = {s.segment_id: (s.part, s.side) for s in index(root)[0].segments}
    assert sides == {"a": ("train", "whole"), "t_left": ("test", "left"), "t_right": ("test", "right")}


@pytest.mark.parametrize("folder", ["", "VA_Estimation_Challenge/", "names/of videos/"])
def test_unlabelled_people_are_known_from_the_organisers_list(tmp_path, folder):
    root = tree(tmp_path, ["0,0"] * 10)
    for name in ("t", "u"):
        make_video(root / "videos" / f"{name}.mp4", 5)
    listed = root / "annotations" / folder / "Valence_Arousal_Estimation_Challenge_test_set_release.txt"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text("t_left\r\nt_right\r\n\r\nu\r\ngone_left\r\na\r\n")
    for name in ("Expression_Recognition_Challenge_test_set_release.txt", "._x_test_set_release.txt"):
        listed.with_name(name).write_text("u_left\n")
    found, _ = index(root)
    assert {s.segment_id: (s.part, s.side) for s in found.segments} == {
        "a": ("train", "whole"), "t_left": ("test", "left"), "t_right": ("test", "right"), "u": ("test", "whole"),
    }  # fmt: skip
    reason = "1 of 5 people of the test part have no video under videos, such as gone_left"
    assert [(f.status, f.reason) for f in found.findings if f.modality == "video"] == [("absent", reason)]
    (read_too,) = [row for row in files_read(corpus(root), [], [], Fingerprints(root)) if "test people" in row.what]
    assert (read_too.files, read_too.bytes) == (1, listed.stat().st_size)
    listed.write_bytes(b"\0")
    assert reasons(index(root)[0], "corpus")[0].startswith(f"{listed.parent.name}/{listed.name} is not a text file")


def test_people_of_one_video(tmp_path):
    for name in ("pair", "mixed", "lone_left", "three"):
        make_video(tmp_path / "videos" / f"{name}.mp4", 5)
    for name in ("pair_left", "pair_right", "mixed", "mixed_left", "lone_left", "three_left", "three_right"):
        annotate(tmp_path, name, ["0,0"] * 5, "Validation_Set" if name == "pair_right" else "Train_Set")
    found, _ = index(tmp_path)
    sides = {s.segment_id: (s.unit_id, s.side) for s in found.segments}
    assert sides == {
        "pair_left": ("pair", "left"), "pair_right": ("pair", "right"),
        "mixed_left": ("mixed", "left"), "mixed": ("mixed", "right"),
        "lone_left": ("lone_left", "whole"),  # the video itself is called so
        "three_left": ("three", "left"), "three_right": ("three", "right"),
    }  # fmt: skip
    assert [(f.unit, f.modality) for f in found.findings] == [("pair", "corpus")]
    assert "different parts" in found.findings[0].reason
    assert {u.unit_id: u.part for u in found.units}["pair"] is None


def test_file_that_is_not_a_video(tmp_path):
    root = tree(tmp_path, ["0,0"] * 10)
    (root / "videos" / "broken.mp4").write_bytes(b"no video")
    annotate(root, "broken_left", ["0,0"])
    found, _ = index(root)
    assert [u.unit_id for u in found.units] == ["a", "broken"] == list_units(root)
    assert [s.segment_id for s in found.segments] == ["a"]
    (finding,) = found.findings
    assert (finding.unit, finding.segment, finding.modality, finding.status) == (
        "broken",
        "broken_left",
        "video",
        "absent",
    )
    assert "broken.mp4" in finding.reason


def test_video_cut_off_in_the_middle(tmp_path):
    video = make_video(tmp_path / "videos" / "a.avi", 200)
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    annotate(tmp_path, "a", ["0.5,0.5"] * 200)
    found, labels = index(tmp_path)
    frames = len(labels["a"])
    assert 0 < frames < 200
    assert f"200 rows for {frames} frames" in reasons(found)[0]
    assert "that the video is whole" in reasons(found)[0]


def test_two_videos_with_one_name(tmp_path):
    root = tree(tmp_path, ["0,0"] * 10)
    make_video(root / "videos" / "batch2" / "a.avi", 5)
    named = r"2 videos are named a: videos/batch1/a.mp4, videos/batch2/a.avi; annotations could belong to either"
    for ask in (list_units, index):
        with pytest.raises(InputError, match=named):
            ask(root)
    make_video(root / "videos" / "b.mp4", 5)
    assert list_units(root) == ["b"], "they cost themselves alone"
    found, _ = index(root)
    assert [s.segment_id for s in found.segments] == ["b"]
    assert re.match(named, next(f.reason for f in found.findings if f.unit == "a" and f.modality == "video"))


def test_one_person_in_two_parts(tmp_path):
    root = tree(tmp_path, ["0,0"] * 10)
    annotate(root, "a", ["0,0"], "Validation_Set")
    with pytest.raises(InputError, match="somebody is in one part only"):
        index(root)


def test_no_annotations_at_all(tmp_path):
    make_video(tmp_path / "videos" / "a.mp4", 5)
    found, _ = index(tmp_path)
    assert [s.part for s in found.segments] == ["test"]
    assert "every video is predicted, none is scored" in reasons(found)[0]


def test_roots(tmp_path):
    root = tree(tmp_path / "data" / "AffWild2", ["0,0"] * 10)
    for wrong in (tmp_path, tmp_path / "data", root / "videos", root / "videos" / "batch1", root / NOTES):
        with pytest.raises(InputError, match=f"set corpora.affwild2.root to {root}$"):
            list_units(wrong)
    (tmp_path / "empty" / "videos").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no video under .*empty/videos"):
        list_units(tmp_path / "empty")
    with pytest.raises(
        InputError, match=r"gone does not exist on \S+; set .* to the folder that holds videos and annotations"
    ):
        list_units(tmp_path / "gone")


def test_linked_folders_are_followed_once(tmp_path):
    root = tree(tmp_path / "root", ["0,0"] * 10)
    make_video(tmp_path / "disk2" / "b.mp4", 5)
    (root / "videos" / "batch2").symlink_to(tmp_path / "disk2")
    (root / "videos" / "batch1" / "again").symlink_to(root / "videos")
    assert list_units(root) == ["a", "b"]


def test_an_unusable_transcript_costs_words_and_nothing_else(tmp_path):
    """From the index to coverage: without a recogniser there are no words, and the table says why."""
    root, results = tree(tmp_path / "corpus", ["0,0"] * 10), tmp_path / "results"
    (root / "transcripts").mkdir()
    (root / "transcripts" / "a.tsv").write_text("text\tfrom\tto\n")
    run_index(root, results)
    arguments = ["--root", str(root), "--tables", str(results), "--shard", "a"]
    CliRunner().invoke(words_command, [*arguments, "--out", str(results / "words" / "a.tsv")], catch_exceptions=False)
    (row,) = [row for row in collect(results, []) if row.modality == "text"]
    assert (row.segment, row.status, row.valid_fraction) == ("a", "absent", 0)
    assert row.reason.startswith("the transcript supplied was not used: transcripts/a.tsv: the first line is")
    (label,) = [row for row in collect(results, []) if row.modality == "label"]
    assert label.status == "ok"


HOSTILE = ["a\rb", "a\tb", "a b", "$(rm x)", "{a}", "'a\"", ".a", "-rf", "a,b", "x" * 200, "é", "e\u0301", b"caf\xe9"]


def test_videos_of_any_name_have_ids_and_come_back(tmp_path):
    names = [os.fsdecode(name) for name in HOSTILE if name != ".a"]
    for name in names:
        make_video(tmp_path / "videos" / f"{name}.mp4", 5)
        annotate(tmp_path, f"{name}_left", ["0,0"] * 5)
    run_index(tmp_path, tmp_path / "out")
    units = {unit.video: unit.unit_id for unit in read_table(tmp_path / "out" / "units.tsv", Unit)}
    segments = read_table(tmp_path / "out" / "segments.tsv", Segment)
    assert units.keys() == {f"videos/{name}.mp4" for name in names}
    assert len(set(units.values())) == len(names) == len({s.segment_id for s in segments}) == len(segments)
    assert all(re.fullmatch(r"[\w.+@-]+", unicodedata.normalize("NFC", name)) for name in units.values())
    labels = FeatureStore(tmp_path / "out" / "labels.h5")
    assert all(labels[s.segment_id].valid.all() for s in segments)


def test_large_annotations_are_quick():
    rows = "".join(f"{math.sin(n):.3f},{math.cos(n):.3f}\n" for n in range(100_000))
    begin_s = time.process_time()
    assert parse_annotation("valence,arousal\n" + rows).valid.all()
    assert time.process_time() - begin_s < 2, "2.9 million rows have to take seconds"


def test_listing_units_opens_no_video(tmp_path):
    for n in range(594):
        path = tmp_path / "videos" / f"batch{n % 3}" / f"video{n}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    code = (
        "import sys; from pipeline.corpora.registry import make; opened = []\n"
        "sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == 'open' else None)\n"
        f"assert len(make('x', 'affwild2', {str(tmp_path)!r}).index().units) == 594\n"
        f"assert not [path for path in opened if path.startswith({str(tmp_path)!r})]\n"
        "assert not {'h5py', 'av', 'click'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
