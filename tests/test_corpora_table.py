"""A corpus from a table: what each column means, what it means that one is not there, and what cannot be used."""

import csv
from math import inf
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.__main__ import main
from pipeline.corpora.base import Index
from pipeline.corpora.prepare import read
from pipeline.corpora.readers.table import file as table_file
from pipeline.corpora.readers.table import places
from pipeline.corpora.readers.table.file import COLUMNS, NUMBERS
from pipeline.corpora.readers.table.rows import WORD_S
from pipeline.corpora.registry import READERS, make
from pipeline.corpora.resolve import with_ends
from pipeline.corpora.transcripts import check_transcripts
from pipeline.records import RESERVED, InputError, Segment, Unit, read_table, write_table
from tests.clips import ffmpeg


def table(root: Path, text: str, *files: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    """A root with a table and with empty files of these names."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(text.encode(encoding))
    return root


def corpus(root: Path, segments: str = "labels.csv", **options):
    return make("mine", "table", root, {"segments": segments, **options})


def index(root: Path, **options) -> Index:
    return read(corpus(root, **options))


NAMED = "; where one of these is a name or a word, give missing: []"


def said(found: Index) -> list[tuple[str, str, str]]:
    return [(f.modality, f.status, f.reason) for f in found.findings]


def only(found: Index) -> tuple[Unit, Segment]:
    (unit,), (segment,) = found.units, found.segments
    return unit, segment


# --- columns -----------------------------------------------------------------------------------------------------


def test_every_column_has_its_place(tmp_path):
    row = {
        "video": "v/a.mp4", "audio": "s/a.wav", "transcript": "t/a.srt", "alignment": "w/a.wdseg", "crops": "c/a",
        "annotation": "f/a.csv", "start_s": "1.5", "end_s": "2.5", "segment_id": "one", "speaker": "Ann",
        "session": "2", "group": "g", "dialog": "d", "scenario": "s1", "style": "acted", "part": "dev",
        "picture": "left_half", "side": "right", "turn": "7",
        "text": "Oh, well", "label": "joy", "valence": "0.5", "arousal": "-0.25", "dominance": "3",
    }  # fmt: skip
    assert row.keys() == set(COLUMNS)
    files = [row[name] for name in ("video", "audio", "transcript", "alignment", "annotation")]
    files.append("c/a/00001.jpg")
    table(tmp_path, "\n".join(map(",".join, (row, [f'"{cell}"' for cell in row.values()]))), *files)
    found = index(tmp_path, task="classes/segment")
    unit, segment = only(found)
    assert unit == Unit("a", "v/a.mp4", "s/a.wav", "t/a.srt", "validation", "a")
    assert segment == Segment(
        "one", "a", "Ann", "2", "validation", 1.5, 2.5, "right", "left_half", "d", "s1", "acted", "Oh, well", None,
        "w/a.wdseg", "c/a", "f/a.csv", "g", "a", 7,
    )  # fmt: skip
    (label,) = found.labels
    assert (label.label, label.numbers) == ("joy", {"valence": 0.5, "arousal": -0.25, "dominance": 3})
    assert said(found) == [("text", "ok", "t/a.srt is not used for 1 of 1 segments, which have words of their own")]


def test_what_is_not_there_has_a_meaning(tmp_path):
    unit, segment = only(index(table(tmp_path, "video,label\nclips/a.b.mp4,joy\n", "clips/a.b.mp4")))
    assert unit == Unit("a.b", "clips/a.b.mp4", shard="a.b")
    assert segment == Segment("a.b", "a.b", "a.b", None, None, 0.0, inf, shard="a.b")


@pytest.mark.parametrize(("header", "protocols"), [
    ("audio,label", ("group", "utterance")),
    ("audio,label,speaker", ("speaker", "group", "utterance")),
    ("audio,label,session,scenario", ("group", "session", "scenario", "utterance")),
    ("audio,label,speaker,scenario,part\na.wav,x,ann,,Train", ("parts", "speaker", "group", "scenario", "utterance")),
    ("audio,label,speaker,part\na.wav,x,ann,\nb.wav,x,bob,often", ("speaker", "group", "utterance")),
    ("audio,label,scenario", ("group", "utterance")),
])  # fmt: skip
def test_protocols_follow_the_columns(tmp_path, header, protocols):
    assert corpus(table(tmp_path, header + "\n")).protocols == protocols


@pytest.mark.parametrize(("header", "task"), [
    ("video,label", "classes/segment"),
    ("video,label,valence", "classes/segment"),
    ("video,arousal,valence", "numbers/segment:valence,arousal"),
    ("video,dominance,valence,arousal", "numbers/segment:valence,arousal,dominance"),
    ("video,arousal", "numbers/segment:arousal"),
])  # fmt: skip
def test_the_task_follows_the_columns(tmp_path, header, task):
    assert corpus(table(tmp_path, header + "\n")).task == task


@pytest.mark.parametrize(("given_task", "task"), [
    ("classes/segment", "classes/segment"), ("numbers/segment", "numbers/segment:valence,arousal"),
    ("numbers/segment: arousal", "numbers/segment:arousal"), ("numbers/frame:pain, joy", "numbers/frame:pain,joy"),
    ("classes/frame", "classes/frame"),
])  # fmt: skip
def test_a_task_that_is_given(tmp_path, given_task, task):
    assert corpus(table(tmp_path, "video,label,valence,arousal\n"), task=given_task).task == task


@pytest.mark.parametrize(
    "task", ["emotion", "classes", "numbers/segment:joy,", "classes/segments", "numbers/frame:", "classes/frame:a,b"]
)
def test_a_task_that_is_none(task):
    with pytest.raises(InputError, match=r"task: a task is one of classes/segment, classes/frame, numbers/segment"):
        READERS.options_for("table", {"segments": "x", "task": task})


def test_names_of_columns_can_be_mapped(tmp_path):
    root = table(tmp_path, "file,Emotion,label,who\na.wav,joy,7,Ann\n", "a.wav")
    found = index(root, columns={"audio": "File", "label": "emotion", "segment_id": "file", "speaker": "who"})
    unit, segment = only(found)
    assert (unit.audio, segment.speaker, found.labels[0].label) == ("a.wav", "Ann", "joy")
    assert segment.segment_id == "a.wav"
    assert said(found) == [("corpus", "ok", "columns of labels.csv that mean nothing here: label")]


@pytest.mark.parametrize(("columns", "says"), [
    ({"emotion": "label"}, "columns: 'emotion' is not a column that means anything; there are video, audio"),
    ({"label": "emotion"}, "labels.csv has no column 'emotion', which the option columns names; it has audio, kind"),
])  # fmt: skip
def test_a_mapping_that_does_not_fit(tmp_path, columns, says):
    with pytest.raises(InputError, match=says):
        index(table(tmp_path, "audio,kind\na.wav,x\n", "a.wav"), columns=columns)


# --- numbers of any name -----------------------------------------------------------------------------------------


def test_numbers_that_a_task_names_are_columns(tmp_path):
    text = "audio,Sentiment_Score,phq8,valence,label\na.wav,-2.5,,0.5,x\nb.wav,much,12,,x\nc.wav,0,3,nan,\n"
    root = table(tmp_path, text, "a.wav", "b.wav", "c.wav")
    found = index(root, task="numbers/segment:sentiment, PHQ8", columns={"sentiment": "sentiment_score"})
    assert [(row.label, row.numbers) for row in found.labels] == [
        ("x", {"sentiment": -2.5, "valence": 0.5}), ("x", {"PHQ8": 12}), (None, {"sentiment": 0, "PHQ8": 3}),
    ]  # fmt: skip
    assert said(found) == [
        ("label", "absent", "labels.csv, line 2: no PHQ8: predicted, not scored"),
        ("label", "partial", "labels.csv, line 3: sentiment 'much' is not a number and was not used"),
        ("label", "absent", "labels.csv, line 3: no sentiment: predicted, not scored"),
    ]
    found = index(root, task="classes/segment")
    assert ("corpus", "ok", "columns of labels.csv that mean nothing here: sentiment_score, phq8") in said(found)


def test_a_name_with_capitals_is_kept_whatever_the_header_has(tmp_path):
    found = index(table(tmp_path, "audio,VALENCE\na.wav,1\n", "a.wav"), task="numbers/segment:Valence")
    assert found.labels[0].numbers == {"Valence": 1}


def test_numbers_tell_the_separator(tmp_path):
    root = table(tmp_path, "audio;pain;joy;note,label,text\na.wav;1;2;x\n", "a.wav")
    found = index(root, task="numbers/segment:pain,joy")
    assert found.labels[0].numbers == {"pain": 1, "joy": 2}


@pytest.mark.parametrize("names", ["label", "Video", "start_s", "mean", "pain,Pain", "a-b", "pain,time_s"])
@pytest.mark.parametrize("what", ["numbers/segment", "numbers/frame"])
def test_names_that_no_number_can_have(what, names):
    with pytest.raises(InputError, match=r"task: '.*' cannot name a number: names are words of letters, digits and _"):
        READERS.options_for("table", {"segments": "x", "task": f"{what}:{names}"})
    assert set(COLUMNS) - set(NUMBERS) <= RESERVED


def test_a_number_that_the_table_does_not_have(tmp_path):
    root = table(tmp_path, "audio,Score,label\na.wav,1,x\n", "a.wav")
    says = r"labels.csv has no column 'pain', which the task names; it has audio, label, score.*columns: {pain: score}"
    with pytest.raises(InputError, match=says):
        corpus(root, task="numbers/segment:pain").index()
    with pytest.raises(InputError, match="columns: 'pain' is not a column that means anything; there are video,"):
        corpus(root, columns={"pain": "Score"})
    with pytest.raises(InputError, match=r"columns: 'pain' is not a column .* dominance, and the numbers of segm"):
        corpus(root, task="numbers/frame:pain", columns={"pain": "Score"})


# --- files of the table ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_line_ends_and_byte_order_marks(tmp_path, separator, end, encoding):
    rows = [["audio", "label", "text"], ["a.wav", "joy", '"He said: ""no"", twice; bye"'], [], ["b.wav", "fear", "é"]]
    root = table(tmp_path, end.join(separator.join(row) for row in rows), "a.wav", "b.wav", encoding=encoding)
    found = index(root)
    assert [s.text for s in found.segments] == ['He said: "no", twice; bye', "é"]
    assert [row.label for row in found.labels] == ["joy", "fear"]
    assert found.findings == []


@pytest.mark.parametrize("begin", ["sep=;\n", '"sep=;"\n', "\n  \n"])
def test_tables_as_excel_writes_them(tmp_path, begin):
    """A line that names the separator or none at all before the header, numbers kept as text, decimal commas."""
    text = begin + 'segment_id;audio;label;end_s\n="007";a.wav;x;1,5\n"=""8""";b.wav;x\n"9;";c.wav;x;\n'
    found = index(table(tmp_path, text, "a.wav", "b.wav", encoding="utf-16"))
    assert [(s.segment_id, s.end_s) for s in found.segments] == [("007", 1.5), ("8", inf)]
    assert [reason for _, _, reason in said(found)] == [
        f"labels.csv, line {4 + begin.count(chr(10))}: there is no file c.wav; the row was not used"
    ]


def test_decimal_commas(tmp_path):
    root = table(tmp_path, "audio;start_s;end_s;valence\na.wav;0,5;1,25;-0,125\n", "a.wav")
    found = index(root)
    assert (only(found)[1].start_s, only(found)[1].end_s, found.labels[0].numbers) == (0.5, 1.25, {"valence": -0.125})


def test_windows_text_is_read_and_said(tmp_path):
    found = index(table(tmp_path, "audio,label,text\na.wav,joy,It’s café\n", "a.wav", encoding="cp1252"))
    assert found.segments[0].text == "It’s café"
    assert said(found) == [
        ("corpus", "partial", "labels.csv is not UTF-8 (line 2, byte 0x92) and was read as Windows-1252")
    ]


@pytest.mark.parametrize(("name", "data", "says"), [
    ("labels.xlsx", b"PK\x03\x04", "is a spreadsheet; save it as CSV"),
    ("labels.csv", b"", "labels.csv is empty; give it"),
    ("labels.csv", b"name,label\nx,y\n", r"no column video, audio or text, .* it has label, name. Map one"),
    ("labels.csv", b"audio,speaker\na.wav,x\n", "has nothing to predict"),
    ("labels.csv", b"audio,label,audio\na.wav,x,b.wav\n", "two columns are called 'audio'"),
    ("labels.csv", b"audio,label\n", "no row can be used"),
    ("labels.csv", b'audio,label\na.wav,"x\nb.wav,y\n', "line 2: unexpected end of data; close every double quote"),
])  # fmt: skip
def test_tables_that_cannot_be_used(tmp_path, name, data, says):
    table(tmp_path, "", "a.wav")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=says):
        read(corpus(tmp_path, name))


def test_where_the_table_lies(tmp_path, monkeypatch):
    root = table(tmp_path / "corpus", "audio,label\na.wav,x\n", "a.wav", name="inside.csv")
    (tmp_path / "beside.csv").write_text("audio,label\na.wav,y\n")
    (tmp_path / "inside.csv").write_text("audio,label\na.wav,z\n")
    monkeypatch.chdir(tmp_path)
    for segments, label in (("inside.csv", "x"), ("beside.csv", "y"), (str(tmp_path / "inside.csv"), "z")):
        assert read(corpus(root, segments)).labels[0].label == label
    with pytest.raises(InputError, match=r"corpora.mine.segments: there is no file .*corpus/no.csv nor .*/no.csv"):
        read(corpus(root, "no.csv"))
    with pytest.raises(InputError, match=r"corpora.mine.root: .*/gone does not exist on "):
        read(corpus(tmp_path / "gone"))


# --- recordings and segments --------------------------------------------------------------------------------------


def test_rows_of_one_file_are_one_recording(tmp_path):
    text = "video,start_s,end_s,label\nv/a.mp4,0,1,x\nv/b.mp4,0,1,x\n./v/a.mp4,4,5.5,y\nv/a.mp4,9,9,z\n"
    found = index(table(tmp_path, text, "v/a.mp4", "v/b.mp4"))
    assert [u.unit_id for u in found.units] == ["a", "b"]
    assert [(s.segment_id, s.start_s) for s in found.segments] == [("a_001", 0), ("a_002", 4), ("b", 0)]
    (finding,) = found.findings
    assert (finding.unit, finding.segment, finding.status) == ("a", "a_003", "absent")
    assert "labels.csv, line 5: segment a_003: end_s 9.0 is not after start_s 9.0" in finding.reason
    assert [row.segment_id for row in found.labels] == ["a_001", "a_002", "b"]


def test_one_sound_is_the_recordings_several_are_the_segments(tmp_path):
    text = "video,audio,start_s,label\na.mp4,a.wav,0,x\na.mp4,a.wav,1,x\nb.mp4,b1.wav,0,x\nb.mp4,b2.wav,1,x\n"
    found = index(table(tmp_path, text, "a.mp4", "b.mp4", "a.wav", "b1.wav", "b2.wav"))
    assert [(u.video, u.audio) for u in found.units] == [("a.mp4", "a.wav"), ("b.mp4", None)]
    assert [s.audio for s in found.segments] == [None, None, "b1.wav", "b2.wav"]
    text = "video,audio,start_s,label\na.mp4,,0,x\na.mp4,a.wav,1,x\na.mp4,gone.wav,2,x\n"
    found = index(table(tmp_path, text))
    assert [(u.video, u.audio) for u in found.units] == [("a.mp4", None)]
    assert [s.audio for s in found.segments] == [None, "a.wav", None], "one segment's sound is not that of all"


@pytest.mark.parametrize("rows", [[",a.mp4,0,x", "a.mp4,,1,y"], ["a.mp4,,1,y", ",a.mp4,0,x"]])
def test_a_video_that_another_row_names_as_sound_has_picture_and_sound(tmp_path, rows):
    found = index(table(tmp_path, "\n".join(["video,audio,start_s,label", *rows]), "a.mp4"))
    assert [(u.video, u.audio) for u in found.units] == [("a.mp4", None)]
    assert [s.audio for s in found.segments] == [None, None], "that of the video is none of their own"


def test_text_alone(tmp_path):
    found = index(table(tmp_path, "text,label,segment_id\nI am so very happy.,joy,a\nOh,fear,\n"))
    assert [(u.unit_id, u.video, u.audio) for u in found.units] == [("a", None, None), ("line_3", None, None)]
    ends_s = [s.end_s for s in found.segments]
    assert ends_s == pytest.approx([5 * WORD_S, WORD_S])
    assert with_ends(tmp_path, found).segments == found.segments


def test_patterns_stand_for_every_file_that_matches(tmp_path):
    files = ["joy/a.wav", "joy/b.WAV", "joy/._c.wav", "joy/notes.txt", "fear/deep/er/d.flac", "we[i]rd.wav"]
    root = table(tmp_path, "audio,label\njoy/*,joy\nfear/**/*.flac,fear\nwe[i]rd.wav,odd\nnone/*.wav,no\n", *files)
    found = index(root)
    assert {u.audio: s.segment_id for u, s in zip(found.units, found.segments)} == {
        "joy/a.wav": "a", "joy/b.WAV": "b", "fear/deep/er/d.flac": "d", "we[i]rd.wav": found.segments[3].segment_id,
    }  # fmt: skip
    assert [row.label for row in found.labels] == ["joy", "joy", "fear", "odd"]
    assert said(found) == [("audio", "absent", "labels.csv, line 5: there is no file none/*.wav; the row was not used")]


def test_patterns_pair_videos_with_their_sound(tmp_path):
    root = table(tmp_path, "video,audio,label\nv/*.mp4,s/*.wav,x\n", "v/a.mp4", "v/b.mp4", "s/b.wav", "s/c.wav")
    assert [(u.video, u.audio) for u in index(root).units] == [
        ("v/a.mp4", None), ("v/b.mp4", "s/b.wav"), (None, "s/c.wav"),
    ]  # fmt: skip


@pytest.mark.parametrize(("cells", "units"), [
    ("v/*.mp4,s/*.wav", [("v/a1.mp4", None), (None, "s/a2.wav")]),
    ("v/a1.mp4,s/*.wav", [("v/a1.mp4", "s/a2.wav")]),
    ("v/a1.mp4,s/a2.wav", [("v/a1.mp4", "s/a2.wav")]),
    ("o/[a].mp4,s/a2.wav", [("o/[a].mp4", "s/a2.wav")]),
    ("v/*.mp4,o/*.wav", [("v/a1.mp4", "o/a1.wav")]),
])  # fmt: skip
def test_only_a_file_that_a_row_names_is_paired_with_one_of_another_name(tmp_path, cells, units):
    files = ("v/a1.mp4", "s/a2.wav", "o/[a].mp4", "o/a1.wav")
    found = index(table(tmp_path, f"video,audio,label\n{cells},x\n", *files))
    assert [(u.video, u.audio) for u in found.units] == units
    assert said(found) == []


@pytest.mark.parametrize("sounds", ["joy", "sound"])
def test_files_of_several_folders_with_one_name_are_paired_by_folder(tmp_path, sounds):
    paths = ["joy/ann/01.mp4", "joy/bob/01.mp4", f"{sounds}/ann/01.wav", f"{sounds}/bob/01.wav"]
    found = index(table(tmp_path, f"video,audio,label\njoy/*/*.mp4,{sounds}/*/*.wav,joy\n", *paths))
    assert [(u.video, u.audio) for u in found.units] == [
        ("joy/ann/01.mp4", f"{sounds}/ann/01.wav"), ("joy/bob/01.mp4", f"{sounds}/bob/01.wav"),
    ]  # fmt: skip
    assert said(found) == []


def test_files_that_nobody_can_pair_are_said(tmp_path):
    paths = ["v/a/1.mp4", "v/b/1.mp4", "v/b/2.mp4", "s/1.wav", "s/2.wav", "s/3.wav"]
    found = index(table(tmp_path, "video,audio,label\nv/*/*.mp4,s/*.wav,joy\n", *paths))
    assert [(u.video, u.audio) for u in found.units] == [
        ("v/a/1.mp4", None), ("v/b/1.mp4", None), ("v/b/2.mp4", "s/2.wav"), (None, "s/3.wav"),
    ]  # fmt: skip
    reason = "labels.csv, line 2: which belong together of v/a/1.mp4, v/b/1.mp4, s/1.wav is not clear, and these "
    reason += "sounds were not used; give each video a row with its sound"
    assert said(found) == [("audio", "partial", reason)]


def test_one_pattern_for_both(tmp_path):
    found = index(table(tmp_path, "video,audio,label\nv/*,v/*,joy\n", "v/a.mp4", "v/a.wav", "v/b.mp4"))
    assert [(u.video, u.audio) for u in found.units] == [("v/a.mp4", "v/a.wav"), ("v/b.mp4", "v/b.mp4")]


def test_running_names_are_not_those_of_other_files(tmp_path):
    text = "audio,start_s,label\ntalk.wav,0,x\ntalk.wav,1,y\ntalk_001.wav,0,x\nb.wav,0,x\nb.wav,1,y\n"
    found = index(table(tmp_path, text, "talk.wav", "talk_001.wav", "b.wav"))
    assert [s.segment_id for s in found.segments] == ["talk_0001", "talk_0002", "talk_001", "b_001", "b_002"]
    text = "audio,start_s,segment_id,label\na.wav,0,a_001,x\na.wav,1,,y\nb.wav,0,c_002,x\nc.wav,0,,x\nc.wav,1,,x\n"
    found = index(table(tmp_path, text, "a.wav", "c.wav"))
    assert [s.segment_id for s in found.segments] == ["a_001", "a_002", "c_002", "c_0001", "c_0002"]


def test_one_id_cannot_name_all_that_matches(tmp_path):
    root = table(tmp_path, "audio,segment_id,label\ns/*.wav,one,x\nt.wav,two,x\n", "s/a.wav", "s/b.wav", "t.wav")
    found = index(root)
    assert [s.segment_id for s in found.segments] == ["two"]
    assert "line 2: 2 files match, one segment_id cannot name them all" in found.findings[0].reason


def test_files_with_one_name_in_two_folders_have_two_ids(tmp_path):
    text = "audio,label\nann/1.wav,x\nbob/1.wav,y\nbob/2.wav,y\nbob/2.flac,z\n"
    found = index(table(tmp_path, text, "ann/1.wav", "bob/1.wav", "bob/2.wav", "bob/2.flac"))
    ids = [u.unit_id for u in found.units]
    assert len(set(ids)) == 4
    assert [i.split("@")[0] for i in ids] == ["ann_1", "bob_1", "bob_2.wav", "bob_2.flac"]


def test_paths_in_other_forms(tmp_path):
    outside = tmp_path / "elsewhere" / "b.wav"
    text = f"audio,label\n{tmp_path}/corpus/s/a.wav,x\n{outside},y\n../elsewhere/c.wav,y\ns\\d.wav,z\ns/e\u0301.wav,z\n"
    files = [
        "corpus/s/a.wav",
        "elsewhere/b.wav",
        "elsewhere/b.srt",
        "elsewhere/c.wav",
        "corpus/s/d.wav",
        "corpus/s/\u00e9.wav",
    ]
    table(tmp_path, "", *files)
    found = index(table(tmp_path / "corpus", text))
    assert [u.audio for u in found.units] == [
        "s/a.wav", str(outside), "../elsewhere/c.wav", "s/d.wav", "s/\u00e9.wav",
    ]  # fmt: skip
    assert all((tmp_path / "corpus" / u.audio).is_file() for u in found.units)
    assert [u.transcript for u in found.units if u.transcript] == [str(outside.with_suffix(".srt"))]
    assert found.findings == []


@pytest.mark.parametrize("given_root", ["data/mine", "data/other/../mine", "{}/data/mine", "{}/data/other/../mine"])
def test_paths_count_from_the_root_however_that_is_given(tmp_path, monkeypatch, given_root):
    text = f"audio,annotation,label\n../s/*.wav,../s/a.csv,x\ns/b.wav,,y\n{tmp_path}/data/mine/s/c.wav,,y\n"
    table(
        tmp_path / "data" / "mine", text, "../s/a.wav", "../s/a.csv", "../s/a.vtt", "s/b.wav", "s/c.wav", "../other/d"
    )
    monkeypatch.chdir(tmp_path)
    root = Path(given_root.format(tmp_path))
    known = corpus(root, str(tmp_path / "data" / "mine" / "labels.csv"), task="classes/segment")
    found = read(known)
    assert [u.audio for u in found.units] == ["../s/a.wav", "s/b.wav", "s/c.wav"]
    assert (found.units[0].transcript, found.segments[0].annotation) == ("../s/a.vtt", "../s/a.csv")
    assert all((root / u.audio).is_file() for u in found.units)
    assert found.findings == []
    if ".." not in given_root:
        assert known.text_files == {"table of segments": ("labels.csv",)}


def test_beside_a_root_that_is_a_link_lies_what_the_path_says(tmp_path):
    table(tmp_path / "disk" / "mine", "audio,label\n../s/a.wav,x\n")
    table(tmp_path / "data", "", "s/a.wav")
    (tmp_path / "data" / "mine").symlink_to(tmp_path / "disk" / "mine")
    unit, _ = only(index(tmp_path / "data" / "mine"))
    assert unit.audio == str(tmp_path / "data" / "s" / "a.wav")


def test_patterns_as_windows_writes_them(tmp_path):
    found = index(table(tmp_path, "audio,label\njoy\\*.wav,joy\n", "joy/a.wav", "joy/b.wav"))
    assert [u.audio for u in found.units] == ["joy/a.wav", "joy/b.wav"]


HOSTILE = ["a\nb", "a\tb", "a b", "$(rm x)", "{a}", 'a"', "-rf", "a;b", "x" * 200, "e\u0301", "@", "~", "a[1]*", "%j"]


def test_hostile_names_have_safe_ids_and_come_back(tmp_path):
    with (table(tmp_path / "root", "") / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["audio", "label"], *([f"{name}.wav", "x"] for name in HOSTILE)])
    for name in HOSTILE:
        (tmp_path / "root" / f"{name}.wav").touch()
    found = index(tmp_path / "root")
    assert [u.audio for u in found.units] == [f"{name}.wav" for name in HOSTILE]
    for ids in ([u.unit_id for u in found.units], [s.segment_id for s in found.segments]):
        assert len(set(ids)) == len(HOSTILE)
        assert not [name for name in ids if set(name) & set(" \n\t\"'$(){};~*[]%/")]


def test_a_text_of_200_000_characters_is_read_whole(tmp_path):
    """The library reads 131,072 characters of a cell unless told otherwise."""
    text = "so " * 66_666 + "on"
    _, segment = only(index(table(tmp_path, f"audio,label,text\na.wav,joy,{text}\n", "a.wav")))
    assert segment.text == text
    write_table(tmp_path / "segments.tsv", [segment], Segment)
    assert read_table(tmp_path / "segments.tsv", Segment) == [segment]


@given(st.text("a1.,;\t =':", max_size=12))
def test_any_line_is_read_or_said(tmp_path_factory, line):
    """As people type them, without a quote: a comma too many would move what stands behind it."""
    root = table(tmp_path_factory.mktemp("any"), f"audio,label,start_s,text\na.wav,x,,\na.wav,y,{line}\n", "a.wav")
    found = index(root)
    assert len(found.segments) + sum(f.status == "absent" for f in found.findings) == 2
    start_s, _, text = line.partition(",")
    assert all(s.text == (text.rstrip(",").strip() or None) for s in found.segments[1:]), "not a part of it"
    assert all(s.start_s == float(start_s.strip() or 0) for s in found.segments[1:] if start_s.strip("1. ") == "")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12), min_size=3, max_size=3))
def test_any_cell_is_read_or_said(tmp_path_factory, cells):
    root = tmp_path_factory.mktemp("any")
    (root / "a.wav").touch()
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["audio", "label", "start_s", "text", "side"], ["a.wav", "x", "", "", ""],
                                      ["a.wav", "y", *cells]])  # fmt: skip
    found = index(root)
    assert len(found.segments) + sum(f.status == "absent" for f in found.findings) == 2


def test_what_was_not_downloaded_to_its_end_is_said(tmp_path):
    """Beside the recordings, in any folder of them; what programs leave for themselves is not worth a word."""
    parts = ["v/b.mp4.part", "v/b.mp4.ytdl", "v/c.mp4.crdownload", "s/d.wav.tmp", "v/a.mp4.aria2"]
    litter = ["v/._a.mp4", "v/~$a.mp4", "v/@eaDir/x/a.mp4", "v/$RECYCLE.BIN/a.mp4", "s/.DS_Store", "s/notes.tmp"]
    root = table(tmp_path, "video,audio,label\nv/**/*.mp4,,x\n,s/a.wav,y\n", "v/a.mp4", "s/a.wav", *parts, *litter)
    found = index(root)
    assert [u.video or u.audio for u in found.units] == ["v/a.mp4", "s/a.wav"]
    text = ": a download or copy that was not finished; finish or remove it"
    kinds = {"s/d.wav.tmp": ("audio", "absent"), "v/a.mp4.aria2": ("video", "partial")}
    assert said(found) == [(*kinds.get(name, ("video", "absent")), name + text) for name in sorted(parts)]
    assert {f.unit for f in found.findings} == {"a", "b", "c", "d"}


def test_a_table_that_a_spreadsheet_has_open(tmp_path):
    (tmp_path / "~$labels.csv").write_bytes(b"\5Ann\0")
    (tmp_path / ".~lock.labels.csv#").write_text(",ann,desk;")
    assert index(table(tmp_path, "audio,label\na.wav,x\n", "a.wav")).findings == []


# --- what cannot be used -----------------------------------------------------------------------------------------


def test_files_that_are_not_there(tmp_path):
    text = "video,audio,text,label\na.mp4,a.wav,,x\nno.mp4,a.wav,,x\nno.mp4,no.wav,Oh no,x\nno.mp4,,,x\n"
    found = index(table(tmp_path, text, "a.mp4", "a.wav"))
    assert [(u.video, u.audio) for u in found.units] == [("a.mp4", "a.wav"), (None, "a.wav"), (None, None)]
    assert said(found) == [
        ("video", "partial", "labels.csv, line 3: there is no file no.mp4; the rest of the row was used"),
        ("video", "partial", "labels.csv, line 4: there is no file no.mp4; the rest of the row was used"),
        ("audio", "partial", "labels.csv, line 4: there is no file no.wav; the rest of the row was used"),
        ("video", "absent", "labels.csv, line 5: there is no file no.mp4; the row was not used"),
    ]


def test_no_file_is_there(tmp_path):
    for text in ("audio,label\nx/a.wav,x\nx/b.wav,y\n", "audio,label,text\nx/a.wav,x,Oh\nx/b.wav,y,No\n"):
        with pytest.raises(
            InputError, match=rf"line 2: there is no file x/a.wav.*corpora.mine.root, which is {tmp_path}"
        ):
            index(table(tmp_path, text))


def test_two_rows_with_one_id(tmp_path):
    text = "audio,segment_id,label\na.wav,one,x\nb.wav,two,x\nb.wav,one,y\n"
    with pytest.raises(InputError, match=r"1 are there more often: 'one' in the lines 2, 4. Correct it"):
        index(table(tmp_path, text, "a.wav", "b.wav"))


def test_labels_that_are_numbers(tmp_path):
    root = table(tmp_path, "audio,label\na.wav,3.5\nb.wav,2\n", "a.wav", "b.wav")
    with pytest.raises(InputError, match=r"every label is a number, such as 2. .*{valence: label}.*task: classes/segm"):
        index(root)
    assert [row.label for row in index(root, task="classes/segment").labels] == ["3.5", "2"]
    found = index(root, columns={"valence": "label"})
    assert [row.numbers for row in found.labels] == [{"valence": 3.5}, {"valence": 2}]
    (root / "labels.csv").write_text("audio,label\na.wav,3.5\nb.wav,high\n")
    assert len(index(root).labels) == 2


@pytest.mark.parametrize(("cell", "turn"), [
    ("2", 2), ("1.0", 1), ("0", 0), ("-1", -1), ("", None), ("-", None),
    ("ii", None), ("t01", None), ("1.5", None), ("inf", None), ("1e999", None),
])  # fmt: skip
def test_turns_are_numbered_by_whole_numbers(tmp_path, cell, turn):
    """A row keeps all else where its turn is none."""
    found = index(table(tmp_path, f"audio,dialog,turn,label\na.wav,d,3,x\nb.wav,d,{cell},x\n", "a.wav", "b.wav"))
    assert [(s.segment_id, s.turn) for s in found.segments] == [("a", 3), ("b", turn)]
    assert [row.label for row in found.labels] == ["x", "x"]
    odd = f"labels.csv, line 3: turn {cell!r} is not a whole number and was not used"
    assert said(found) == ([("corpus", "partial", odd)] if cell not in ("", "-") and turn is None else [])


def test_what_is_odd_in_a_row_is_said(tmp_path):
    text = (
        "audio,start_s,end_s,part,side,valence,label\n"
        "a.wav,soon,,train,,,x\nb.wav,-1,,train,,,x\nc.wav,0,inf,train,,,x\nd.wav,,,eval,,,x\ne.wav,,,Test,up,,x\n"
        "f.wav,,,TRAINING,LEFT,much,x\ng.wav,,,val,,nan,\nh.wav,0,1,test,,1,x,more\n,,,,,1,y\n"
    )
    found = index(table(tmp_path, text, *(f"{name}.wav" for name in "abcdefgh")))
    assert [(s.segment_id, s.part, s.side) for s in found.segments] == [
        ("f", "train", "left"), ("g", "validation", "whole"),
    ]  # fmt: skip
    assert [text.removeprefix("labels.csv, ") for _, _, text in said(found)] == [
        "line 9: 8 fields under 7 columns; put text that holds ',' in double quotes",
        "line 10: names neither video, sound nor text; the row was not used",
        "line 2: start_s 'soon' is not a number of seconds from 0 on; the row was not used",
        "line 3: start_s '-1' is not a number of seconds from 0 on; the row was not used",
        "line 4: end_s 'inf' is not a number of seconds from 0 on; the row was not used",
        "line 5: part 'eval' is none of train, training, dev, devel, development, val, valid, validation, test, "
        "testing; the row was not used",
        "line 6: segment e: side 'up' is not one of ('whole', 'left', 'right'); the row was not used",
        "line 7: valence 'much' is not a number and was not used",
        "line 8: no label: predicted, not scored",
    ]


def test_numbers_that_are_lacking(tmp_path):
    found = index(table(tmp_path, "audio,valence,arousal\na.wav,1,\nb.wav,0.5,0.25\n", "a.wav", "b.wav"))
    assert said(found) == [("label", "absent", "labels.csv, line 2: no arousal: predicted, not scored")]
    assert [row.numbers for row in found.labels] == [{"valence": 1}, {"valence": 0.5, "arousal": 0.25}]


def test_supplied_files_that_are_not_there_or_contradict(tmp_path):
    text = "video,start_s,label,transcript,alignment\na.mp4,0,x,a.srt,no.wdseg\na.mp4,1,x,b.srt,\nb.mp4,0,x,no.srt,\n"
    found = index(table(tmp_path, text, "a.mp4", "b.mp4", "a.srt", "b.srt"))
    assert [u.transcript for u in found.units] == ["a.srt", "b.srt"], "beside the video where the table's is not there"
    assert [reason for _, _, reason in said(found)] == [
        "labels.csv, line 2: there is no file no.wdseg, so no alignment",
        "labels.csv names several transcripts of one recording: a.srt, b.srt; the first is used",
        "labels.csv, line 4: there is no file no.srt, so no transcript",
    ]


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.TextGrid", "a"])
def test_a_transcript_of_another_kind_is_a_finding(tmp_path, name):
    root = table(tmp_path, f"audio,transcript,label\nb.wav,{name},x\nc.wav,c.VTT,x\n", "b.wav", "c.wav", name, "c.VTT")
    found = index(root)
    assert [u.transcript for u in found.units] == [None, "c.VTT"]
    reason = f"labels.csv, line 2: {name} is none of .tsv, .vtt, .srt, so no transcript"
    assert said(found) == [("text", "partial", reason)]


def test_crops_are_a_folder_in_any_form(tmp_path):
    cells = ["crops\\ann", "crops/ann/", "crops/ren\u00e9", "crops/bob", "crops/file", "."]
    text = "video,start_s,crops,label\n" + "".join(f"a.mp4,{k},{cell},x\n" for k, cell in enumerate(cells))
    found = index(table(tmp_path, text, "a.mp4", "crops/ann/00001.jpg", "crops/rene\u0301/00001.jpg", "crops/file"))
    assert [s.crops for s in found.segments] == ["crops/ann", "crops/ann", "crops/rene\u0301", None, None, "."]
    assert said(found) == [
        ("video", "partial", f"labels.csv, line {line}: there is no folder crops/{name}, so no crops")
        for line, name in ((5, "bob"), (6, "file"))
    ]


@pytest.mark.parametrize(("rows", "together"), [
    (["0,,whole,whole,,ann", "0,,whole,whole,,bob"], ["v/a.mp4"]),
    (["0,5,whole,whole,,ann", "4,9,whole,whole,,bob", "8,9,whole,whole,,cy"], ["v/a.mp4"]),
    (["0,5,left_half,whole,,ann", "4,9,left_half,whole,,bob"], ["the left_half of v/a.mp4"]),
    (["0,5,whole,whole,,ann", "5,9,whole,whole,,bob"], []),
    (["0,5,whole,whole,,ann", "4,9,whole,whole,,ann"], []),
    (["0,,whole,left,,ann", "0,,whole,right,,bob"], []),
    (["0,,left_half,whole,,ann", "0,,right_half,whole,,bob"], []),
    (["0,,whole,whole,c/ann,ann", "0,,whole,whole,,bob"], []),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["video", "audio"])
def test_people_of_whom_one_face_would_be_taken_are_said(tmp_path, rows, together, kind):
    text = f"{kind},start_s,end_s,picture,side,crops,speaker\n" + "".join(f"v/a.mp4,{row}\n" for row in rows)
    found = index(table(tmp_path, text, "v/a.mp4", "c/ann/1.jpg"), task="classes/segment")
    seen = [f for f in found.findings if f.modality == "video"]
    assert [(f.unit, f.segment, f.status) for f in seen] == [("a", None, "partial")] * len(together) * (kind == "video")
    for finding, where in zip(seen, together):
        who = ", ".join(row.split(",")[-1] for row in rows)
        assert finding.reason.startswith(f"{who} are in {where} at one time, and nothing says whose face is whose")


def test_recordings_in_several_parts_have_none(tmp_path):
    text = "audio,start_s,part,label\na.wav,0,train,x\na.wav,1,test,x\nb.wav,0,test,x\n"
    assert [u.part for u in index(table(tmp_path, text, "a.wav", "b.wav")).units] == [None, "test"]


def test_nan_is_no_label(tmp_path):
    found = index(table(tmp_path, "audio,label\na.wav,nan\nb.wav,none\nc.wav,joy\n", "a.wav", "b.wav", "c.wav"))
    assert [row.label for row in found.labels] == [None, "none", "joy"]
    assert said(found) == [
        ("corpus", "partial", f"labels.csv: 1 cells hold nan and count as empty (1 of label){NAMED}"),
        ("label", "absent", "labels.csv, line 2: no label: predicted, not scored"),
    ]


@pytest.mark.parametrize("word", ["NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL"])
def test_words_of_programs_for_nothing_are_empty_cells(tmp_path, word):
    """As R, Excel, SQL and pandas write them: no class, no speaker, no spoken word and no time is called so."""
    header = "audio,start_s,end_s,speaker,session,part,side,text,label,arousal\n"
    rows = ["a.wav,W,1,W,W,W,W,W,W,W\n", "b.wav,,,ann,,,,Na und?,calm,1\n"]
    found = index(table(tmp_path, (header + "".join(rows)).replace("W", word), "a.wav", "b.wav"))
    (tmp_path / "empty.csv").write_text((header + "".join(rows)).replace("W", ""))
    empty = index(tmp_path, segments="empty.csv")
    assert (found.units, found.segments, found.labels) == (empty.units, empty.segments, empty.labels)
    first, *others = found.findings
    assert [f.reason for f in others] == [f.reason.replace("empty.csv", "labels.csv") for f in empty.findings]
    counts = ", ".join(f"1 of {name}" for name in ("start_s", "speaker", "session", "part", "side", "text", "label"))
    assert first.reason == f"labels.csv: 7 cells hold {word} and count as empty ({counts}){NAMED}"


def test_words_for_nothing_may_be_names(tmp_path):
    root = table(tmp_path, "audio,speaker,text,label\na.wav,NA,NULL,NA\nb.wav,.,-99,x\n", "a.wav", "b.wav")
    found = index(root, missing=[])
    assert [(s.speaker, s.text, row.label) for s, row in zip(found.segments, found.labels)] == [
        ("NA", "NULL", "NA"), (".", "-99", "x"),
    ]  # fmt: skip
    assert found.findings == []
    found = index(root, missing=[".", "-99"])
    assert [(s.speaker, s.text) for s in found.segments] == [("NA", "NULL"), ("b", None)]
    (finding,) = found.findings
    assert finding.reason.startswith("labels.csv: 2 cells hold -99, . and count as empty (1 of speaker, 1 of text)")


def test_ends_of_recordings(tmp_path):
    """A whole recording ends where its sound does; what starts past that is said, whether it has an end or not."""
    for name, seconds in (("a.wav", 2.0), ("b.wav", 1.0)):
        soundfile.write(tmp_path / name, np.zeros(int(seconds * 8000)), 8000)
    (tmp_path / "c.wav").write_bytes(b"no sound")
    text = "audio,start_s,end_s,label\na.wav,,,x\na.wav,0.5,,y\na.wav,2.5,3,y\na.wav,7,,y\nb.wav,5,6,y\nc.wav,,,y\n"
    (tmp_path / "labels.csv").write_text(text)
    found = with_ends(tmp_path, index(tmp_path))
    assert [(s.segment_id, s.start_s, s.end_s) for s in found.segments] == [
        ("a_001", 0, 2.0), ("a_002", 0.5, 2.0), ("b", 5, 6),
    ]  # fmt: skip
    assert [(f.segment, f.modality, f.reason.split(";")[0]) for f in found.findings] == [
        ("a_003", "corpus", "starts at 2.5 s, its recording ends at 2.000 s"),
        ("a_004", "corpus", "starts at 7.0 s, its recording ends at 2.000 s"),
        ("c", "audio", "c.wav: not a media file (Invalid data found when processing input)"),
    ]
    assert [row.segment_id for row in found.labels] == ["a_001", "a_002", "b"]


def test_a_picture_that_cannot_be_read_costs_the_picture_alone(tmp_path):
    """Its own wav, or the sound in its file, tells where the recording ends; what has neither is lost."""
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 8000)
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:duration=1.5", "-ac", "1", tmp_path / "b.mp4")
    for name in ("a.mp4", "c.mp4"):
        (tmp_path / name).write_bytes(b"no video")
    (tmp_path / "labels.csv").write_text("video,audio,label\na.mp4,a.wav,x\nb.mp4,,y\nc.mp4,,x\n")
    found = with_ends(tmp_path, index(tmp_path))
    ends_s = {s.segment_id: s.end_s for s in found.segments}
    assert ends_s == {"a": 2.0, "b": pytest.approx(1.5, abs=0.05)}
    assert [row.label for row in found.labels] == ["x", "y"]
    assert [(f.segment, f.modality, f.status, f.reason.split(";")[-1]) for f in found.findings] == [
        ("a", "video", "absent", " it lasts as long as its sound"),
        ("b", "video", "absent", " it lasts as long as its sound"),
        ("c", "video", "absent", " replace it by a whole copy, or remove it from the corpus"),
    ]


def test_sounds_of_single_rows_tell_their_own_ends_where_the_video_cannot(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    for name, seconds in (("a1.wav", 3.0), ("a2.wav", 4.0)):
        soundfile.write(tmp_path / name, np.zeros(int(seconds * 8000)), 8000)
    text = "video,audio,start_s,label\na.mp4,a1.wav,0,x\na.mp4,a2.wav,10,y\na.mp4,gone.wav,20,y\n"
    (tmp_path / "labels.csv").write_text(text)
    found = with_ends(tmp_path, index(tmp_path))
    assert [(s.audio, s.start_s, s.end_s) for s in found.segments] == [("a1.wav", 0, 3.0), ("a2.wav", 10, 14.0)]
    seen = [f.segment for f in found.findings if f.modality == "video" and f.reason.endswith("as long as its sound")]
    assert seen == [s.segment_id for s in found.segments]


def test_a_microphone_that_several_rows_name_tells_where_the_recording_ends(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    for name, seconds in (("ann.wav", 12.0), ("bob.wav", 5.0)):
        soundfile.write(tmp_path / name, np.zeros(int(seconds * 8000)), 8000)
    rows = ["a.mp4,ann.wav,0,x", "a.mp4,ann.wav,10,y", "a.mp4,bob.wav,0,x", "a.mp4,bob.wav,8,y"]
    (tmp_path / "labels.csv").write_text("\n".join(["video,audio,start_s,label", *rows]))
    found = with_ends(tmp_path, index(tmp_path))
    assert [(s.audio, s.start_s, round(s.end_s, 6)) for s in found.segments] == [
        ("ann.wav", 0, 12.0), ("ann.wav", 10, 12.0), ("bob.wav", 0, 5.0),
    ]  # fmt: skip
    reasons = [f.reason for f in found.findings if f.modality == "corpus"]
    assert reasons == ["starts at 8.0 s, its recording ends at 5.000 s"]


def test_a_transcript_that_could_be_of_several_recordings_is_of_none(tmp_path):
    text = "audio,label\na/01.wav,x\nb/01.wav,y\na/02.wav,x\n"
    recordings = ("a/01.wav", "b/01.wav", "a/02.wav")
    found = index(table(tmp_path, text, *recordings, "transcripts/01.vtt", "transcripts/02.vtt"))
    assert {u.audio: u.transcript for u in found.units} == {
        "a/01.wav": None, "b/01.wav": None, "a/02.wav": "transcripts/02.vtt",
    }  # fmt: skip
    reason = "the transcript supplied was not used: transcripts/01.vtt could be of a/01.wav or b/01.wav; put that "
    reason += "of this one beside it "
    assert said(found) == [("text", "partial", f"{reason}or into transcripts/{name}") for name in "ab"]
    table(tmp_path, text, "transcripts/b/01.vtt")
    found = index(tmp_path)
    assert {u.audio: u.transcript for u in found.units} == {
        "a/01.wav": "transcripts/01.vtt", "b/01.wav": "transcripts/b/01.vtt", "a/02.wav": "transcripts/02.vtt",
    }  # fmt: skip
    assert said(found) == []


def test_a_transcript_that_lies_where_one_recording_has_its_own_is_of_that_one(tmp_path):
    found = index(table(tmp_path, "audio,label\n01.wav,x\nb/01.wav,y\n", "01.wav", "b/01.wav", "transcripts/01.vtt"))
    assert {u.audio: u.transcript for u in found.units} == {"01.wav": "transcripts/01.vtt", "b/01.wav": None}
    reason = (
        "the transcript supplied was not used: transcripts/01.vtt could be of 01.wav or b/01.wav; put that of this "
    )
    assert said(found) == [("text", "partial", reason + "one beside it or into transcripts/b")]


@pytest.mark.parametrize("second", ["S01.pos.mp4", "after/S01.pos.mp4"])
def test_a_transcript_is_of_the_recording_that_has_its_whole_name(tmp_path, second):
    found = index(
        table(tmp_path, f"video,label\nS01.mp4,x\n{second},y\n", "S01.mp4", second, "transcripts/S01.pos.srt")
    )
    assert [u.transcript for u in found.units] == [None, "transcripts/S01.pos.srt"]
    assert found.findings == []


def test_tables_beside_recordings_are_no_transcripts(tmp_path):
    frames, words = "frame\tlabel\n0\tjoy\n", '"word"\tSTART\tend\nhello\t0\t1\n'
    text = "video\tstart_s\tannotation\na.mp4\t0\ta.tsv\nlabels.mp4\t0\t\nc.mp4\t0\t\nc.mp4\t1\t\nd.mp4\t0\t\n"
    names = {"a.tsv": words, "c.tsv": frames, "c.vtt": "", "d.tsv": words, "labels.tsv": text}
    table(tmp_path, "", "a.mp4", "labels.mp4", "c.mp4", "d.mp4")
    for name, content in names.items():
        (tmp_path / name).write_text(content)
    found = read(corpus(tmp_path, "labels.tsv", task="classes/frame"))
    assert [u.transcript for u in found.units] == [None, None, "c.vtt", "d.tsv"], "named otherwise, or of other columns"
    assert said(found) == [(
        "text", "partial", "not taken for a transcript, whose first line names word, start, end: c.tsv; if one is "
        "meant, name its columns so"
    )]  # fmt: skip
    (tmp_path / "transcripts").mkdir()
    (tmp_path / "d.tsv").rename(tmp_path / "transcripts" / "c.tsv")
    found = read(corpus(tmp_path, "labels.tsv", task="classes/frame"))
    assert "c.mp4 has several transcripts: c.vtt, transcripts/c.tsv" in said(found)[1][2]


def test_captions_that_are_not_used_are_said(tmp_path):
    text = "video,start_s,text,label\ntalk.mp4,0,Well,x\ntalk.mp4,1,,x\ntalk.mp4,2,Yes,x\nb.mp4,0,,y\n"
    found = index(table(tmp_path, text, "talk.mp4", "b.mp4", "talk.en.vtt", "b.en.vtt"))
    reason = "talk.en.vtt is not used for 2 of 3 segments, which have words of their own"
    assert [(f.unit, f.segment) for f in found.findings] == [("talk", None)]
    assert said(found) == [("text", "ok", reason)]


def test_captions_that_cannot_be_used_are_lacking_only_where_a_row_has_no_words(tmp_path):
    text = "video,start_s,text,label\ntalk.mp4,0,Well,x\ntalk.mp4,1,,x\nb.mp4,0,Yes,y\nb.mp4,1,,y\n"
    found = index(table(tmp_path, text, "talk.mp4", "b.mp4", "talk.vtt", "b.vtt", "b.srt"))
    (tmp_path / "talk.vtt").write_text("hello")
    lacking = [f for f in found.findings + check_transcripts(tmp_path, found.units, found.segments) if f.segment]
    assert [(f.segment, f.status, f.reason.split(": ")[1]) for f in lacking] == [
        ("b_002", "partial", "b.mp4 has several transcripts"), ("talk_002", "partial", "talk.vtt"),
    ]  # fmt: skip


def test_a_table_is_read_once_and_so_is_each_folder(tmp_path, monkeypatch):
    cells, folders, cell, names_in = [], [], table_file._cell, places.names_in
    monkeypatch.setattr(table_file, "_cell", lambda text: cells.append(text) or cell(text))
    monkeypatch.setattr(places, "names_in", lambda folder, *kind: folders.append(folder) or names_in(folder, *kind))
    root = table(tmp_path, "video,annotation,part\nv/a.mp4,f/a.csv,train\nv/b.mp4,f/b.csv,NA\n", "v/a.mp4", "v/b.mp4")
    for name in "ab":
        table(tmp_path / "f", "label\njoy\n", name=f"{name}.csv")
    known = corpus(root)
    assert (known.task, known.protocols[0], known.frame_classes) == ("classes/frame", "parts", ("joy",))
    assert [s.part for s in known.index().segments] == ["train", None]
    assert known.protocols[0] == "parts"
    assert sorted(cells) == ["NA", "f/a.csv", "f/b.csv", "train", "v/a.mp4", "v/b.mp4"]
    assert sorted(folders) == [f"{root}/f", f"{root}/v"]


def test_the_stage_says_which_table_was_read(tmp_path):
    (tmp_path / "corpus").mkdir()
    soundfile.write(tmp_path / "corpus" / "a.wav", np.zeros(8000), 8000)
    (tmp_path / "odd [1].csv").write_text("audio,label\na.wav,x\n")
    options = f'{{"segments": "{tmp_path}/odd [1].csv"}}'
    arguments = ["--corpus", "mine", "--reader", "table", "--root", str(tmp_path / "corpus"), "--options", options]
    out = tmp_path / "out"
    CliRunner().invoke(main, ["index", *arguments, "--out", str(out)], catch_exceptions=False)
    files = ["--tables", str(out), "--out", str(out / "raw_files.tsv")]
    CliRunner().invoke(main, ["raw-files", *arguments, *files], catch_exceptions=False)
    rows = list(csv.DictReader((out / "raw_files.tsv").open(), delimiter="\t"))
    assert [(row["what"], row["files"]) for row in rows] == [("sound", "1"), ("table of segments", "1")]


# --- EmoDB -------------------------------------------------------------------------------------------------------

EMOTIONS = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}
MEN = {"03", "10", "11", "12", "15"}


def test_emodb_is_a_table_of_six_columns(shared, tmp_path):
    root = shared / "corpora" / "emodb"
    if not root.is_dir():
        pytest.skip("no shared/corpora/emodb")
    header = ["audio", "segment_id", "speaker", "label", "scenario", "group"]
    names = sorted(path.stem for path in root.glob("*.flac"))
    rows = [[f"{n}.flac", n, n[:2], EMOTIONS[n[5]], n[2:5], "m" if n[:2] in MEN else "f"] for n in names]
    with (tmp_path / "emodb.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    known = make("emodb", "table", root, {"segments": str(tmp_path / "emodb.csv")})
    assert (known.task, known.protocols[0]) == ("classes/segment", "speaker")
    found = with_ends(root, read(known))
    assert (len(found.units), len(found.segments), found.findings) == (535, 535, [])
    assert {s.speaker for s in found.segments} == {"03", "08", "09", "10", "11", "12", "13", "14", "15", "16"}
    labels = [row.label for row in found.labels]
    assert {label: labels.count(label) for label in set(labels)} == {
        "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79,
    }  # fmt: skip
    assert {s.scenario for s in found.segments} == {
        f"{x}{n:02d}" for x, own in zip("ab", ((1, 2, 4, 5, 7), (1, 2, 3, 9, 10))) for n in own
    }
    for segment, unit in zip(found.segments, found.units):
        assert segment.end_s == pytest.approx(soundfile.info(root / unit.audio).duration, abs=1e-4)
