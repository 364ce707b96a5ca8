"""Frame-wise labels that a table names: rows for frames by number or by time, numbers or classes."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora import raw
from pipeline.corpora.command import frame_labels as labels_command
from pipeline.corpora.command import index as index_command
from pipeline.corpora.command import raw_files
from pipeline.corpora.prepare import read
from pipeline.corpora.readers.table.frames import parse_frames, place
from pipeline.corpora.registry import make
from pipeline.corpora.resolve import frame_labels, with_ends
from pipeline.records import InputError
from pipeline.store import FeatureStore
from tests.clips import painted, write_clip

FRAMES = np.arange(10) * 0.04


def corpus(root: Path, annotations: dict[str, str], **options):
    """A corpus of one video of ten frames for each file of annotations."""
    rows = ["video,annotation"]
    for name, text in annotations.items():
        write_clip(root / f"{name}.mp4", [painted(n) for n in range(10)], FRAMES)
        (root / f"{name}.csv").write_text(text)
        rows.append(f"{name}.mp4,{name}.csv")
    (root / "labels.csv").write_text("\n".join(rows))
    return make("mine", "table", root, {"segments": "labels.csv", **options})


def labels(known):
    """The labels of every frame of every segment, and what was found on the way."""
    found = with_ends(known.root, read(known))
    return dict(frame_labels(known, found.units, found.segments, found.findings)), found.findings


def test_a_row_for_each_frame(tmp_path):
    rows = "".join(f"{n / 10},{-n / 10}\n" for n in range(9))
    known = corpus(tmp_path, {"a": "Arousal,Valence\n" + rows})
    assert known.task == "numbers/frame:valence,arousal"
    found, findings = labels(known)
    np.testing.assert_allclose(found["a"].values[:9, 0], -np.arange(9) / 10, atol=1e-6)
    np.testing.assert_allclose(found["a"].values[:9, 1], np.arange(9) / 10, atol=1e-6)
    assert found["a"].valid.tolist() == [True] * 9 + [False]
    np.testing.assert_allclose(found["a"].time_s[:, 0], FRAMES, atol=1e-3)
    assert [f.reason for f in findings] == ["9 rows for 10 frames: frames past the last row have no label"]


def test_classes_are_numbered_as_the_corpus_names_them(tmp_path):
    files = {"a": "label\n" + "calm\n" * 5 + "angry\n" * 4 + "\n", "b": 'frame;label\n0;"sad"\n1;calm\n'}
    known = corpus(tmp_path, files)
    assert (known.task, known.frame_classes) == ("classes/frame", ("angry", "calm", "sad"))
    found, _ = labels(known)
    assert found["a"].values[:9].tolist() == [[1]] * 5 + [[0]] * 4
    assert found["a"].valid.tolist() == [True] * 9 + [False]
    assert found["b"].values[:2].tolist() == [[2], [1]]


def test_nan_is_no_class(tmp_path):
    known = corpus(tmp_path, {"a": "label\ncalm\nnan\nNaN\nnone\n\n" + "calm\n" * 5})
    assert known.frame_classes == ("calm", "none")
    found, findings = labels(known)
    assert found["a"].valid.tolist() == [True, False, False, True, False] + [True] * 5
    assert findings == []


def test_words_of_programs_for_nothing_are_no_class_and_no_number(tmp_path):
    words = ["NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL"]
    known = corpus(tmp_path, {"a": "label\ncalm\n" + "\n".join(words) + "\nnone\n"})
    assert known.frame_classes == ("calm", "none")
    found, findings = labels(known)
    assert found["a"].valid.tolist() == [True, *[False] * 8, True]
    assert findings == []
    known = corpus(tmp_path, {"a": "label\ncalm\n" + "\n".join(words) + "\nnone\n"}, missing=["none"])
    assert known.frame_classes == ("#N/A", "<NA>", "N/A", "NA", "NULL", "calm", "n/a")
    rows = parse_frames("valence\n1\n" + "\n".join(words), ["valence"], False)
    assert (rows.valid.tolist(), rows.notes) == ([True, *[False] * 8], [])


def test_the_store_says_which_classes_there_are(tmp_path):
    corpus(tmp_path, {"a": "label\n" + "calm\n" * 5 + "angry\n" * 5})
    arguments = ["--corpus", "mine", "--reader", "table", "--root", str(tmp_path), "--options"]
    arguments += ['{"segments": "labels.csv"}', "--out"]
    CliRunner().invoke(index_command, [*arguments, str(tmp_path / "out")], catch_exceptions=False)
    arguments += [str(tmp_path / "labels.h5"), "--findings", str(tmp_path / "findings.tsv"), "--columns", "label"]
    CliRunner().invoke(labels_command, [*arguments, "--tables", str(tmp_path / "out")], catch_exceptions=False)
    store = FeatureStore(tmp_path / "labels.h5")
    assert store.attributes["config"] == {"columns": ["label"], "classes": ["angry", "calm"]}
    assert store["a"].values.tolist() == [[1]] * 5 + [[0]] * 5


def test_digests_of_videos_that_are_known_are_not_taken_again_for_their_labels(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    root = corpus(tmp_path / "mine", {"a": "label\n" + "calm\n" * 10}).root
    given = ["--corpus", "mine", "--reader", "table", "--root", str(root), "--options", '{"segments": "labels.csv"}']
    memory = tmp_path / "prints.json"

    def run(command, *arguments):
        CliRunner().invoke(command, [*given, *map(str, arguments)], catch_exceptions=False)

    def inputs(name, *arguments):
        out = ["--out", tmp_path / name, "--findings", tmp_path / "findings.tsv", "--columns", "label"]
        run(labels_command, "--tables", tmp_path / "out", *out, *arguments)
        return FeatureStore(tmp_path / name).attributes["inputs"]

    run(index_command, "--out", tmp_path / "out")
    run(raw_files, "--tables", tmp_path / "out", "--fingerprints", memory, "--out", tmp_path / "raw_files.tsv")
    first, known = inputs("first.h5"), memory.read_bytes()
    monkeypatch.setattr(raw, "content", lambda path, whole: pytest.fail(f"{path} was read"))
    assert inputs("again.h5", "--fingerprints", memory) == first
    assert memory.read_bytes() == known, "two rules at work would write it"


def test_labels_of_no_class_are_said():
    rows = parse_frames("label\ncalm\nsad\n\nangry\n", ["angry", "calm"], True)
    assert rows.valid.tolist() == [True, False, False, True]
    assert rows.values.tolist() == [[1], [0], [0], [0]]
    assert rows.notes == ["1 rows hold none of the classes angry, calm, the first in line 3: ['sad']"]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_quoted_cells_are_whole(tmp_path, separator):
    cells = ["frame", '"label"', "0", '"happy, calm"', "1", '"happy; sad"', "2", ' "say ""a"""', "", "", "4", "happy"]
    text = "".join(f"{a}{separator}{b}\r\n" if a or b else "\r\n" for a, b in zip(cells[::2], cells[1::2]))
    known = corpus(tmp_path, {"a": text, "b": 'label\n"never closed\n'})
    assert known.frame_classes == ("happy", "happy, calm", "happy; sad", 'say "a"')
    found, findings = labels(known)
    assert found["a"].values[:5].tolist() == [[1], [2], [3], [0], [0]]
    assert found["a"].valid[:5].tolist() == [True, True, True, False, True]
    (reason,) = [f.reason for f in findings if f.segment == "b"]
    assert re.fullmatch(r"b.csv: line 2: .*; close every double quote, and write one within a text twice", reason)


def test_rows_with_more_cells_than_columns_are_said():
    rows = parse_frames("frame,label\n0,calm,\n1,happy, calm\n2,calm\n", ["calm", "happy"], True)
    assert rows.valid.tolist() == [True, False, True]
    assert rows.notes == ["1 rows hold more than 2 fields, the first in line 3: ['1', 'happy', 'calm']"]


def test_decimal_commas():
    rows = parse_frames('valence;arousal\n0,5;"-0,25"\n', ["valence", "arousal"], False)
    assert rows.values.tolist() == [[0.5, -0.25]]


def test_files_that_do_not_fit(tmp_path):
    files = {"a": "valence,arousal\n" + "0,0\n" * 10, "b": "frame,pain\n1,2\n", "c": "valence\n" + "1\n" * 10, "d": ""}
    known = corpus(tmp_path, files)
    (tmp_path / "labels.csv").write_text((tmp_path / "labels.csv").read_text() + "\nd.mp4,no.csv\n")
    found, findings = labels(known)
    assert {name: rows.valid.any() for name, rows in found.items()} == {
        "a": True, "b": False, "c": False, "d_001": False, "d_002": False,
    }  # fmt: skip
    assert {len(rows) for rows in found.values()} == {10}, "frames are there, to be predicted"
    assert {f.segment: f.reason for f in findings if f.status == "absent"} == {
        "b": "b.csv: there is no column valence; the columns are frame, pain",
        "c": "c.csv: there is no column arousal; the columns are valence",
        "d_001": "d.csv: the file is empty",
        "d_002": "no annotation: predicted, not scored",
    }
    assert [f.reason for f in findings if f.segment == "d_002" and f.status == "partial"] == [
        "labels.csv, line 6: there is no file no.csv, so no annotation"
    ]


@pytest.mark.parametrize(
    ("header", "classes", "width"), [("valence,arousal", False, 2), ("label", True, 1)], ids=["numbers", "classes"]
)
def test_a_segment_without_frames_is_in_the_store_and_unlabelled(tmp_path, header, classes, width):
    rows = header + "\n" + ("calm\n" if classes else "0,0\n") * 10
    known = corpus(tmp_path, dict.fromkeys("abc", rows))
    (tmp_path / "b.mp4").write_bytes((tmp_path / "b.mp4").read_bytes()[:60])
    table = "video,text,annotation,start_s,end_s\n" + "".join(f"{n}.mp4,yes,{n}.csv,0,0.4\n" for n in "abc")
    (tmp_path / "labels.csv").write_text(table + "d.mp4,no,a.csv,0,0.4\n")
    found, findings = labels(known)
    assert {name: (rows.values.shape, int(rows.valid.sum())) for name, rows in found.items()} == {
        "a": ((10, width), 10), "b": ((0, width), 0), "c": ((10, width), 10), "line_5": ((0, width), 0),
    }  # fmt: skip
    said = {f.segment: f.reason for f in findings if (f.modality, f.status) == ("label", "absent")}
    assert said.keys() == {"b", "line_5"}
    assert said["line_5"] == "there is no video"


def test_a_corpus_that_is_not_mounted_gives_no_store(tmp_path):
    (tmp_path / "mine").mkdir()
    known = corpus(tmp_path / "mine", {"a": "valence,arousal\n" + "0,0\n" * 10})
    options = ["--corpus", "mine", "--reader", "table", "--options", '{"segments": "labels.csv"}']
    given = [*options, "--root", str(known.root)]
    CliRunner().invoke(index_command, [*given, "--out", str(tmp_path / "out")], catch_exceptions=False)
    known.root.rename(tmp_path / "elsewhere")
    out = ["--out", str(tmp_path / "labels.h5"), "--findings", str(tmp_path / "findings.tsv")]
    arguments = [*given, "--columns", "valence,arousal", "--tables", str(tmp_path / "out"), *out]
    with pytest.raises(InputError, match="make the corpus visible there by the same path"):
        CliRunner().invoke(labels_command, arguments, catch_exceptions=False)
    assert not (tmp_path / "labels.h5").exists()


def test_numbers_of_other_names_are_a_task_that_is_given(tmp_path):
    files = {"a": "Frame,Pain\n" + "".join(f"{n},{n / 2}\n" for n in range(10))}
    with pytest.raises(InputError, match="the header is 'Frame,Pain', expected label or valence, arousal, dominance"):
        corpus(tmp_path, files).index()
    found, findings = labels(corpus(tmp_path, files, task="numbers/frame:Pain"))
    assert found["a"].values[:, 0].tolist() == [n / 2 for n in range(10)]
    assert findings == []


def test_numbers_of_other_names_tell_the_separator_too():
    rows = parse_frames('pain;"a,b";x,y,z\n1;2;3\n', ["pain"], False)
    assert rows.values.tolist() == [[1]]


def test_no_file_of_annotations_at_all(tmp_path):
    known = corpus(tmp_path, {"a": "valence,arousal\n"})
    (tmp_path / "a.csv").unlink()
    with pytest.raises(InputError, match="names no file of frame-wise labels that can be read"):
        known.index()


def test_the_task_is_what_most_headers_tell_and_others_are_said(tmp_path):
    both = "valence,arousal\n" + "0,0\n" * 10
    files = {"a": "Frame,Pain\n0,1\n", "b": "valence\n" + "0\n" * 10, "c": both, "d": both}
    known = corpus(tmp_path, files)
    assert known.task == "numbers/frame:valence,arousal"
    found, findings = labels(known)
    assert [name for name, rows in found.items() if rows.valid.all()] == ["c", "d"]
    (reason,) = [f.reason for f in findings if f.modality == "corpus"]
    assert reason.startswith(
        "labels.csv: the headers of 2 of 4 files of frame-wise labels tell another task than "
        "numbers/frame:valence,arousal, which most tell: a.csv (none), b.csv (numbers/frame:valence); one that lacks a "
        "column of the task gives no labels"
    )
    _, findings = labels(corpus(tmp_path, files, task="numbers/frame:valence"))
    assert not [f for f in findings if f.modality == "corpus"], "who names the columns knows them"
    with pytest.raises(
        InputError, match=r"can be read in its column annotation, of 2: a\.csv: the header is 'x', expecte"
    ):
        corpus(tmp_path, {"a": "x\n1\n", "b": "label\ncalm\n"}, task="numbers/frame").index()


@pytest.mark.parametrize("before", ["sep=;\n", "\n\n", ' \r\n"sep=;"\r\n\r\n'])
def test_what_may_stand_before_a_table_may_stand_before_its_labels(tmp_path, before):
    known = corpus(tmp_path, {"a": f"{before}frame;label\n0;calm\n1;sad\n2;calm;no\n"})
    assert (known.task, known.frame_classes) == ("classes/frame", ("calm", "sad"))
    found, findings = labels(known)
    assert found["a"].values[:2].tolist() == [[0], [1]]
    line = 4 + before.count("\n")
    said = f"1 rows hold more than 2 fields, the first in line {line}: ['2', 'calm', 'no']"
    assert [f.reason for f in findings] == [said]
    with pytest.raises(InputError, match=f"^line {line - 2}: "):
        parse_frames(f'{before}label\n"calm\n', ["calm"], True)


def test_a_segment_has_its_own_stretch(tmp_path):
    known = corpus(tmp_path, {"a": "valence,arousal\n" + "".join(f"{n / 10},0\n" for n in range(10))})
    (tmp_path / "labels.csv").write_text("video,annotation,start_s,end_s\na.mp4,a.csv,0.08,0.2\n")
    found, _ = labels(known)
    np.testing.assert_allclose(found["a"].values[:, 0], [0.2, 0.3, 0.4], atol=1e-6)


# --- rows by time ------------------------------------------------------------------------------------------------


def placed(text: str, time_s, names=("valence",)) -> tuple[list, str | None]:
    rows, note = place(parse_frames(text, list(names), False), np.asarray(time_s, float), len(names))
    return [float(v[0]) if good else None for v, good in zip(rows.values, rows.valid)], note


def test_samples_hold_until_the_next_but_over_no_gap():
    text = "time_s,valence\n0.00,0\n0.10,1\n0.20,2\n0.30,\n0.60,6\n0.70,7\n"
    times_s = [0, 0.0333, 0.0667, 0.1, 0.1334, 0.25, 0.3, 0.39, 0.45, 0.55, 0.6, 0.75, 0.95]
    expected = [0, 0, 0, 1, 1, 2, None, None, None, None, 6, 7, None]
    assert placed(text, times_s) == (expected, None)


def test_stretches_hold_until_their_end_or_the_next():
    times_s = np.arange(8) / 2
    assert placed("start_s,valence\n1,5\n2,6\n", times_s)[0] == [None, None, 5, 5, 6, 6, 6, 6]
    assert placed("start_s\tend_s\tvalence\n1\t1.4\t5\n2\t\t6\n", times_s)[0] == [None, None, 5, None, 6, 6, 6, 6]


def test_of_stretches_that_overlap_the_last_that_began_counts_while_it_holds():
    times_s = np.arange(12)
    assert placed("start_s,end_s,valence\n0,10,1\n2,4,2\n6,8,\n", times_s)[0] == (
        [1, 1, 2, 2, 1, 1, None, None, 1, 1, None, None]
    )  # fmt: skip
    assert placed("start_s,end_s,valence\n3,5,3\n0,10,1\n2,7,2\n", times_s)[0] == [
        1,
        1,
        2,
        3,
        3,
        2,
        2,
        *[1] * 3,
        None,
        None,
    ]


OF_TWO = [
    "time_s,person,valence\n0,a,1\n0,b,2\n0.04,a,1\n0.04,b,1\n",
    "start_s,end_s,valence\n0,9,1\n0.04,9,\n0.04,3,1\n",
]


@pytest.mark.parametrize(
    ("text", "said"), zip(OF_TWO, ["1 of 4 rows have .*, the first at 0 s", "1 of 3 .* at 0.04 s"])
)
def test_one_time_with_two_labels_is_of_two_people(text, said):
    with pytest.raises(InputError, match=f"^{said}; a file holds the labels of one person, one row for each time"):
        placed(text, FRAMES)


def test_a_stray_time_that_is_there_twice_is_said_and_the_later_counts():
    rows = [*((f"{n / 100:.2f}", n) for n in range(200)), ("0.05", 7)]
    text = "time_s,valence\n" + "".join(f"{time_s},{value}\n" for time_s, value in rows)
    assert placed(text, [0.04, 0.05, 0.06])[0] == [4, 7, 6]
    assert parse_frames(text, ["valence"], False).notes == [
        "1 rows have the time of a later row, whose label counts, the first in line 7: ['0.05', '5']"
    ]
    assert parse_frames("time_s,valence\n0,1\n0,1\n0.1,2\n", ["valence"], False).notes == []


def test_times_rounded_to_milliseconds_find_their_frame():
    frames_s = np.arange(300) / 30
    text = "time_s,valence\n" + "".join(f"{round(t, 3)},{n}\n" for n, t in enumerate(frames_s))
    assert placed(text, frames_s)[0] == list(range(300))


def test_rows_past_the_video_and_rows_without_time():
    values, note = placed("time_s,valence\n0,1\nsoon,2\n0.1,3\n9,4\n9.1,5\n", [0, 0.1, 0.15])
    assert (values, note) == ([1, 3, 3], "2 of 5 rows lie past the last frame and were not used")
    notes = parse_frames("time_s,valence\n0,1\nsoon,2\n", ["valence"], False).notes
    assert notes == ["1 rows have no time, the first in line 3: ['soon', '2']"]


TIMES_OTHERWISE = ["time", "timestamp", "Time (s)", "TimeStamps", "frametime", "Frame_Nr", "t", "", "millisecond"]


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("name", TIMES_OTHERWISE)
def test_times_of_another_name_are_not_taken_for_rows_of_frames(tmp_path, name, separator):
    """What is annotated 25 times a second is not that of a film of 30 frames a second, row for row."""
    rows = [f"{name}{separator}valence{separator}arousal", *(f"{n / 25}{separator}0{separator}0" for n in range(10))]
    _, findings = labels(corpus(tmp_path, {"a": "\n".join(rows)}))
    said = f"'{name.lower()}'" if name else "number 1"
    reason = f"a.csv: column {said} looks like times or numbers of frames; call it time_s where it holds seconds from "
    reason += "the first frame, frame where it numbers frames from 0, or take it out"
    assert [(f.status, f.reason) for f in findings] == [("absent", reason)]


def test_what_grows_otherwise_is_no_time():
    for text in (
        ",valence\n0,1\n1,2\n2,3\n", "frame_id,valence\n1,1\n2,2\n", "dominance,valence\n0.1,1\n0.3,2\n",
        "valence,rater\n1,3\n2,1\n", "time of day,valence\nnoon,1\nnight,2\n", "x,valence\n0.5,2\n",
    ):  # fmt: skip
        assert parse_frames(text, ["valence"], False).valid.all()
    for name, numbers in {"time": "012", "timestamp": "0112", "frame_of_two": "0011"}.items():
        with pytest.raises(InputError, match=f"column '{name}' looks like times"):
            parse_frames(f"{name},valence\n" + "".join(f"{n},1\n" for n in numbers), ["valence"], False)


def test_frames_may_be_numbered():
    text = "frame,valence\n3,1\n0,2\n,3\n1.5,4\n-1,5\n7e99,6\n2,\n1.0,8\n"
    values, note = placed(text, FRAMES[:5])
    assert values == [2, 8, None, 1, None]
    assert note == "1 of 8 rows lie past the last frame and were not used"
    notes = parse_frames(text, ["valence"], False).notes
    assert notes == ["3 rows have no number of a frame, the first in line 4: ['', '3']"]
    assert placed("frame,time_s,valence\n0,0.08,1\n1,0.12,2\n", FRAMES[:4])[0] == [None, None, 1, 2], "time is surer"


@pytest.mark.parametrize(("last", "past"), [
    (9, ""), (5, ""), (1, ""), (100, "91 of 100 rows lie past the last frame and were not used; "),
])  # fmt: skip
def test_frames_of_which_the_first_is_1_count_from_0_which_is_said(last, past):
    values, note = placed("frame,valence\n" + "".join(f"{n},{n}\n" for n in range(1, last + 1)), FRAMES)
    assert values == [None, *range(1, min(last, 9) + 1), *[None] * (9 - min(last, 9))]
    assert note == f"{past}frame runs from 1 to {last} and counts from 0, so frame 0 has no label; if not, subtract 1"


@pytest.mark.parametrize(("numbers", "says"), [
    (range(1, 11), "frame runs from 1 to 10, and the 10 frames of the video from 0; count from 0"),
    (range(1, 12), "frame runs from 1 to 11, and the 10 frames of the video from 0; count from 0"),
    ([0, 1, 2, 2, 3], "2 rows are of frame 2; a file holds the labels of one person, one row for each frame"),
])  # fmt: skip
def test_numbers_of_frames_that_cannot_be_meant(tmp_path, numbers, says):
    text = "frame,valence,arousal\n" + "".join(f"{n},0,0\n" for n in numbers)
    found, findings = labels(corpus(tmp_path, {"a": text}))
    assert [(f.status, f.reason) for f in findings] == [("absent", f"a.csv: {says}")]
    assert not found["a"].valid.any()


@pytest.mark.parametrize("rows", [4, 16, 5000])
def test_rows_that_cannot_be_those_of_the_frames_are_no_labels(tmp_path, rows):
    found, findings = labels(corpus(tmp_path, {"a": "valence,arousal\n" + "0,0\n" * rows}))
    (finding,) = findings
    assert (finding.status, finding.modality) == ("absent", "label")
    assert finding.reason.startswith(f"a.csv: {rows} rows for 10 frames, and row i is frame i only where there is one ")
    assert (len(found["a"]), found["a"].valid.any()) == (10, False)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-5, 5)), max_size=12), st.integers(1, 30))
def test_each_frame_has_the_last_row_that_began(rows, frames):
    text = "start_s,valence\n" + "".join(f"{start / 10},{value}\n" for start, value in rows)
    if len(dict(rows)) < len(set(rows)):
        with pytest.raises(InputError, match="have the time of another row and another label"):
            placed(text, [0.0])
        return
    times_s = np.arange(frames) * 0.17 + 0.005
    expected = []
    for time_s in times_s:
        began = [(start / 10, k, value) for k, (start, value) in enumerate(rows) if start / 10 <= time_s + 1e-3]
        expected.append(max(began)[2] if began else None)
    assert placed(text, times_s)[0] == expected


@given(st.text(max_size=60).flatmap(lambda text: st.sampled_from([text, f"frame,valence,arousal\n{text}"])))
def test_any_text_is_rows_or_an_input_error(text):
    try:
        rows = parse_frames(text, ["valence", "arousal"], False)
    except InputError:
        return
    assert np.isfinite(rows.values).all()
    place(rows, FRAMES, 2)
