"""The IEMOCAP reader against the truth beside real faces and voices, and against every kind of damaged tree."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora.base import Index
from pipeline.corpora.check import modalities_of
from pipeline.corpora.command import index as index_command
from pipeline.corpora.prepare import read
from pipeline.corpora.readers.iemocap import picture_of
from pipeline.corpora.readers.iemocap.files import (
    parse_evaluation_line,
    parse_rating_line,
    parse_transcript_line,
    split_turn,
)
from pipeline.corpora.readers.iemocap.release import TURNS_OF_LABEL, TURNS_OF_SESSION, check_release
from pipeline.corpora.registry import make
from pipeline.records import Finding, InputError, Segment, Unit, read_labels, read_table

REPOSITORY = Path(__file__).resolve().parent.parent
DIALOGS = ["Ses01F_impro01", "Ses03M_impro05a", "Ses03M_impro08b", "Ses05M_script01_1b", "Ses05F_script03_2"]


def make_tree(root: Path, dialog: str = "Ses01F_impro01", turns=None, video: bool = True, sound: bool = True) -> Path:
    """A tree of one dialog; ``turns`` holds (turn, start, end, label, text)."""
    session = root / f"Session{int(dialog[3:5])}" / "dialog"
    turns = turns or [(f"{dialog}_F000", 1.0, 2.5, "neu", "Hello."), (f"{dialog}_M000", 2.0, 4.0, "ang", "No: never!")]
    for folder in ("EmoEvaluation", "transcriptions", "avi/DivX"):
        (session / folder).mkdir(parents=True, exist_ok=True)
    lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    for turn, start, end, label, _ in turns:
        lines += [
            f"[{start:.4f} - {end:.4f}]\t{turn}\t{label}\t[2.5000, 3.5000, 0.5000]",
            "C-E1:\tNeutral; Anger;\t()",
            "",
        ]
    (session / "EmoEvaluation" / f"{dialog}.txt").write_text("\n".join(lines))
    script = [f"{turn} [{start:08.4f}-{end:08.4f}]: {text}" for turn, start, end, _, text in turns]
    (session / "transcriptions" / f"{dialog}.txt").write_text("\n".join(["M: hm", *script]) + "\n")
    if video:
        (session / "avi" / "DivX" / f"{dialog}.avi").write_bytes(b"RIFF")
    if sound:
        waves = session.parent / "sentences" / "wav" / dialog
        waves.mkdir(parents=True, exist_ok=True)
        for turn, *_ in turns:
            (waves / f"{turn}.wav").write_bytes(b"RIFF")
    return root


def corpus(root: Path, **options):
    return make("iemocap", "iemocap", root, options)


def index(root: Path) -> Index:
    return corpus(root).index()


def list_units(root: Path) -> list[str]:
    return [unit.unit_id for unit in corpus(root).index().units]


def findings_of(found, modality: str, segment: str | None = None) -> list[Finding]:
    return [f for f in found.findings if f.modality == modality and f.segment == segment]


# --- real faces and voices ---------------------------------------------------------------------------------------


def test_every_turn_equals_truth(real_corpora, truth):
    root = real_corpora / "IEMOCAP_full_release"
    found = index(root)
    segments = {s.segment_id: s for s in found.segments}
    labels = {row.segment_id: row.label for row in found.labels}
    assert len(segments) == len(found.segments) == len(labels)
    assert segments.keys() == truth["iemocap"].keys()
    for name, expected in truth["iemocap"].items():
        segment = segments[name]
        assert (segment.unit_id, segment.speaker, segment.session) == (
            expected["dialog"],
            expected["speaker"],
            str(expected["session"]),
        )
        assert segment.dialog == expected["dialog"]
        assert (segment.start_s, segment.end_s) == (expected["start_s"], expected["end_s"])
        assert (labels[name], segment.text) == (expected["label"], expected["text"])
        assert (segment.picture, segment.side) == (f"{expected['side']}_half", "whole")
        assert (root / segment.audio).is_file()
    assert [f.modality for f in found.findings] == ["corpus"], "a sound tree gives one line: it is not the full release"
    assert "Session3, Session4, Session5" in found.findings[0].reason


def test_units_are_the_dialogs_and_litter_is_none(real_corpora, truth):
    root = real_corpora / "IEMOCAP_full_release"
    found = index(root)
    assert sorted({t["dialog"] for t in truth["iemocap"].values()}) == [u.unit_id for u in found.units]
    assert [u.unit_id for u in found.units] == list_units(root)
    for unit in found.units:
        assert (root / unit.video).is_file()
        assert not Path(unit.video).name.startswith(".")


def test_index_command_writes_tables_that_read_back(real_corpora, tmp_path):
    root = real_corpora / "IEMOCAP_full_release"
    options = ["--corpus", "ours", "--reader", "iemocap", "--root", str(root), "--out", str(tmp_path)]
    assert CliRunner().invoke(index_command, options, catch_exceptions=False).exit_code == 0
    found = read(make("ours", "iemocap", root))
    for name, record in (("units", Unit), ("segments", Segment), ("findings", Finding)):
        assert read_table(tmp_path / f"{name}.tsv", record) == getattr(found, name)
    assert list(read_labels(tmp_path / "labels.tsv").values()) == found.labels
    header = (tmp_path / "labels.tsv").read_text().split("\n", 1)[0]
    assert header.split("\t") == ["segment_id", "label", "valence", "arousal", "dominance"]


def test_sound_of_the_video_on_request(tmp_path):
    make_tree(tmp_path)
    assert {s.audio for s in corpus(tmp_path, audio="video").index().segments} == {None}
    with pytest.raises(InputError, match="audio: Input should be 'sentences' or 'video'"):
        corpus(tmp_path, audio="both")


# --- lines -------------------------------------------------------------------------------------------------------

times = st.integers(0, 9_999_999).map(lambda n: n / 10_000)
vads = st.integers(5, 55).map(lambda n: n / 10)
turn_ids = st.builds(
    lambda d, w, n: f"{d}_{w}{n:03d}", st.sampled_from(DIALOGS), st.sampled_from("FM"), st.integers(0, 999)
)
sentences = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=60).map(str.strip)


@given(times, times, turn_ids, st.sampled_from(sorted(TURNS_OF_LABEL)), vads, vads, vads)
def test_evaluation_line_says_what_was_written(start, end, turn_id, label, v, a, d):
    line = f"[{start:.4f} - {end:.4f}]\t{turn_id}\t{label}\t[{v:.4f}, {a:.4f}, {d:.4f}]"
    turn = parse_evaluation_line(line)
    assert (turn.start_s, turn.end_s, turn.turn_id, turn.label) == (start, end, turn_id, label)
    assert (turn.valence, turn.arousal, turn.dominance) == (v, a, d)


@given(st.text(max_size=80))
def test_evaluation_line_never_fails_in_another_way(text):
    try:
        turn = parse_evaluation_line(text)
    except InputError:
        assert text.lstrip().startswith("[")
    else:
        assert turn is None or text.lstrip().startswith("[")


@pytest.mark.parametrize(
    "line", ["", "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", "C-E2:\tNeutral; Anger;\t()",
             "A-E3:\tval 3; act 2; dom  2;\t()", "C-F1:\tNeutral;\t(curious)", "A-M1:\tval 3; act 2; dom 2;\t()"],
)  # fmt: skip
def test_lines_of_raters_are_no_turns(line):
    assert parse_evaluation_line(line) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("C-E2:\tNeutral; Anger;\t()", ("E2", ["neu", "ang"])),
        ("C-F1:\tNeutral state;\t(curious; a bit)", ("F1", ["neu"])),
        ("C-E4:\tOther;\t(exasperated, annoyed", ("E4", ["oth"])),
        ("C-E1:\tExcited; Happiness; Happiness;\t()", ("E1", ["exc", "hap"])),
        ("A-E3:\tval 3; act 2; dom  2;\t()", None),
        ("", None),
    ],
)
def test_a_rater_s_line_says_who_named_what(line, said):
    assert parse_rating_line(line) == said


def test_raters_below_a_turn_that_cannot_be_read_are_not_those_of_the_turn_before(tmp_path):
    root = make_tree(tmp_path)
    path = root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    text = (
        path.read_text()
        .replace("[2.0000 - 4.0000]", "[2.0000 4.0000]")
        .replace("Anger;\t()", "Anger;\t()\nC-E1:\tFear;", 1)
    )
    path.write_text("C-E9:\tSadness;\t()\n" + text + "C-E2 Sadness\n")
    found = index(root)
    assert [(r.segment_id[-4:], r.rater, r.labels) for r in found.ratings] == [("F000", "E1", "neu,ang")]
    reasons = [f.reason for f in found.findings if "not used" in f.reason]
    assert [r.partition(":")[0].rpartition(" ")[2] for r in reasons] == ["1", "6", "8", "9", "10"]
    for reason, part in zip(
        reasons, ("E9 says stands below no turn", "E1 has said", "is not '[start - end]", "E1 says", "'C-E2 Sad")
    ):
        assert part in reason


def test_raters_are_kept_by_turn_and_a_line_that_cannot_be_read_is_told(tmp_path):
    root = make_tree(tmp_path)
    path = root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    path.write_text(path.read_text().replace("Anger;", "Anger;\t()\nC-F1:\tSadness;\t()\nC-E2:\tJoyous;", 1))
    found = index(root)
    assert [(r.segment_id[-4:], r.rater, r.labels, r.perspective) for r in found.ratings] == [
        ("F000", "E1", "neu,ang", "observer"),
        ("F000", "F1", "sad", "self"),
        ("M000", "E1", "neu,ang", "observer"),
    ]
    (finding,) = [f for f in found.findings if "Joyous" in f.reason]
    assert "line 6: 'C-E2:" in finding.reason
    assert "is not 'C-rater: emotion; ...', of fru, neu, ang" in finding.reason
    assert len(found.segments) == 2


@given(turn_ids, times, times, sentences)
def test_transcript_line_says_what_was_written(turn_id, start, end, text):
    assert parse_transcript_line(f"{turn_id} [{start:08.4f}-{end:08.4f}]: {text}") == (turn_id, text)


@given(st.sampled_from(["M", "F", "Ses", ""]), sentences)
def test_transcript_line_without_id_is_none(who, text):
    assert parse_transcript_line(f"{who}: {text}") is None


@given(st.text(max_size=80))
def test_transcript_line_never_fails_in_another_way(text):
    try:
        parse_transcript_line(text)
    except InputError:
        assert text.strip().startswith("Ses")


@given(st.sampled_from(DIALOGS), st.sampled_from("FM"), st.integers(0, 999))
def test_speaker_is_the_turns_letter_for_every_shape_of_dialog(dialog, letter, number):
    assert split_turn(f"{dialog}_{letter}{number:03d}") == (dialog, letter)
    assert picture_of(dialog, letter) == ("left_half" if f"{letter}_" == dialog[5:7] else "right_half")


@pytest.mark.parametrize(
    "name", ["Ses01F_impro01", "Ses01F_impro01_X000", "Ses01F_impro01_F0000", "F000", "", "a_F000"]
)
def test_what_is_not_a_turn_is_refused(name):
    with pytest.raises(InputError, match="is not a turn"):
        split_turn(name)


# --- roots -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("down", ["Session1", "Session1/dialog", "Session1/dialog/EmoEvaluation"])
def test_root_too_low_names_the_right_one(tmp_path, down):
    root = make_tree(tmp_path / "IEMOCAP_full_release")
    with pytest.raises(InputError, match=f"set corpora.iemocap.root to {root}$"):
        list_units(root / down)


@pytest.mark.parametrize("down", ["IEMOCAP_full_release", "data/IEMOCAP_full_release"])
def test_root_too_high_names_the_right_one(tmp_path, down):
    root = make_tree(tmp_path / down)
    with pytest.raises(InputError, match=f"set corpora.iemocap.root to {root}$"):
        list_units(tmp_path)


def test_root_missing_empty_or_a_file(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, says in (("gone", "does not exist"), ("empty", "is empty"), ("file", "is a file")):
        with pytest.raises(
            InputError, match=rf"corpora.iemocap.root: .*{name}.* {says}.*Session\*/dialog/EmoEvaluation"
        ):
            index(tmp_path / name)


def test_root_without_any_dialog(tmp_path):
    (tmp_path / "Session1" / "dialog" / "EmoEvaluation").mkdir(parents=True)
    with pytest.raises(InputError, match="no dialog in"):
        list_units(tmp_path)


# --- damage ------------------------------------------------------------------------------------------------------


def test_relative_root_one_level_too_low(tmp_path, monkeypatch):
    root = make_tree(tmp_path / "corpus")
    monkeypatch.chdir(root / "Session1")
    with pytest.raises(InputError, match=f"set corpora.iemocap.root to {root}$"):
        list_units(".")


def test_turn_without_transcript_line(tmp_path):
    root = make_tree(tmp_path)
    script = tmp_path / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    script.write_text("\n".join(line for line in script.read_text().splitlines() if "_F000" not in line))
    found = index(root)
    assert [s.text for s in found.segments] == [None, "No: never!"]
    (finding,) = findings_of(found, "text", "Ses01F_impro01_F000")
    assert finding.status == "absent"
    assert "has no line" in finding.reason


def test_no_transcript_at_all_and_no_video(tmp_path):
    root = make_tree(tmp_path, video=False)
    (tmp_path / "Session1/dialog/avi/DivX/Ses01F_impro02.avi").write_bytes(b"RIFF")
    (tmp_path / "Session1/dialog/transcriptions/Ses01F_impro01.txt").unlink()
    found = index(root)
    assert [s.text for s in found.segments] == [None, None]
    assert [f.status for f in findings_of(found, "text")] == ["absent"]
    (finding,) = findings_of(found, "video")
    assert "Ses01F_impro01.avi" in finding.reason
    assert found.units[0].video.endswith("avi/DivX/Ses01F_impro01.avi")


def modalities(found: Index) -> list[set[str]]:
    units = {unit.unit_id: unit for unit in found.units}
    return [modalities_of(segment, units[segment.unit_id]) for segment in found.segments]


@pytest.mark.parametrize(("video", "sound", "has", "said"), [
    (False, True, {"audio", "text"}, {"video": "no dialog has a video, in Session*/dialog/avi/DivX/*.avi"}),
    (True, False, {"video", "audio", "text"}, {"audio": (
        "no turn has a sound, in Session*/sentences/wav/*/*.wav; the dialogs' mixed sound is used instead"
    )}),
    (False, False, {"text"}, {
        "video": "no dialog has a video, in Session*/dialog/avi/DivX/*.avi",
        "audio": "no turn has a sound, in Session*/sentences/wav/*/*.wav",
    }),
])  # fmt: skip
def test_what_every_dialog_lacks_is_no_modality_and_said_once(tmp_path, video, sound, has, said):
    for dialog in ("Ses01F_impro01", "Ses02F_impro01"):
        make_tree(tmp_path, dialog, video=video, sound=sound)
    found = index(tmp_path)
    assert modalities(found) == [has] * 4
    assert {bool(s.audio) for s in found.segments} == {sound}
    assert {f.modality: f.reason for f in found.findings if f.modality in ("video", "audio")} == said
    assert {f.unit for f in found.findings} == {"corpus"}


def test_turns_that_lack_their_sound_are_said_once_a_dialog(tmp_path):
    turns = [(f"Ses01F_impro02_F00{n}", n, n + 1, "neu", "Yes.") for n in range(3)]
    make_tree(tmp_path, "Ses01F_impro01")
    make_tree(tmp_path, "Ses01F_impro02", turns)
    make_tree(tmp_path, "Ses01F_impro03", video=False, sound=False)
    waves = tmp_path / "Session1/sentences/wav/Ses01F_impro02"
    for n in (1, 2):
        (waves / f"Ses01F_impro02_F00{n}.wav").unlink()
    first, second = findings_of(index(tmp_path), "audio")
    assert (first.unit, first.status, first.reason) == ("Ses01F_impro02", "partial", (
        "2 of 3 turns have no sound, such as Session1/sentences/wav/Ses01F_impro02/Ses01F_impro02_F001.wav; "
        "the dialog's mixed sound is used instead"
    ))  # fmt: skip
    assert (second.unit, second.status) == ("Ses01F_impro03", "absent")
    assert second.reason.endswith("F000.wav; nor is there a video to take it from")
    assert not findings_of(corpus(tmp_path, audio="video").index(), "audio")


def test_transcript_that_is_not_utf8_is_read_and_said_so(tmp_path):
    root = make_tree(tmp_path)
    script = tmp_path / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    script.write_bytes(script.read_bytes().replace(b"Hello.", b"It\x92s caf\xe9."))
    found = index(root)
    assert found.segments[0].text == "It’s café."
    (finding,) = findings_of(found, "text")
    assert finding.status == "partial"
    assert "line 2, byte 0x92" in finding.reason
    assert "Windows-1252" in finding.reason


@pytest.mark.parametrize("data", [b"\x00\x05\x16\x07\x00\x02", "Ses01F".encode("utf-16-le")])
def test_transcript_that_is_not_text(tmp_path, data):
    root = make_tree(tmp_path)
    (tmp_path / "Session1/dialog/transcriptions/Ses01F_impro01.txt").write_bytes(data)
    found = index(root)
    assert [s.text for s in found.segments] == [None, None]
    (finding,) = findings_of(found, "text")
    assert finding.status == "absent"
    assert "not a text file" in finding.reason


def test_transcript_without_permission(tmp_path, monkeypatch):
    root = make_tree(tmp_path)
    read = Path.read_bytes

    def refuse(path):
        if path.parent.name == "transcriptions":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (finding,) = findings_of(index(root), "text")
    assert finding.status == "absent"
    assert "cannot be read (Permission denied)" in finding.reason


def test_same_turn_twice(tmp_path):
    name = "Ses01F_impro01_F000"
    alike = [(name, 1.0, 2.0, "neu", "a"), (name, 1.0, 2.0, "neu", "a"), ("Ses01F_impro01_M000", 3.0, 4.0, "ang", "b")]
    found = index(make_tree(tmp_path / "alike", turns=alike))
    assert [s.segment_id for s in found.segments] == [name, "Ses01F_impro01_M000"]
    assert "2 turns have this id, alike" in findings_of(found, "label", name)[0].reason
    other = [alike[0], (name, 5.0, 6.0, "sad", "c"), alike[2]]
    found = index(make_tree(tmp_path / "other", turns=other))
    assert [s.segment_id for s in found.segments] == ["Ses01F_impro01_M000"], "nobody knows which of the two is meant"
    (finding,) = findings_of(found, "corpus", name)
    assert finding.status == "absent"
    assert "1.0-2.0 s neu; 5.0-6.0 s sad" in finding.reason


def test_label_outside_the_set_is_kept_and_named(tmp_path):
    found = index(make_tree(tmp_path, turns=[("Ses01F_impro01_F000", 1.0, 2.0, "bored", "a")]))
    assert found.labels[0].label == "bored"
    (finding,) = findings_of(found, "label", "Ses01F_impro01_F000")
    assert "'bored' is none of" in finding.reason


def test_turn_that_ends_before_it_starts(tmp_path):
    turns = [("Ses01F_impro01_F000", 2.0, 2.0, "neu", "a"), ("Ses01F_impro01_F001", 3.0, 4.0, "neu", "b")]
    found = index(make_tree(tmp_path, turns=turns))
    assert [s.segment_id for s in found.segments] == ["Ses01F_impro01_F001"]
    assert "is not after" in findings_of(found, "corpus", "Ses01F_impro01_F000")[0].reason


def test_damaged_and_foreign_lines_are_named(tmp_path):
    root = make_tree(tmp_path)
    path = tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    with path.open("a") as out:
        out.write("\n[5.0 - 6.0]\tSes01F_impro01_F001\tneu\n[7.0 - 8.0]\tSes01F_impro02_F001\tneu\t[1, 2, 3]\n")
        out.write("[9.0 - 10.0]\tSes01F_impro01\tneu\t[1, 2, 3]\n")
    found = index(root)
    assert len(found.segments) == 2
    reasons = [f.reason for f in findings_of(found, "label")]
    assert len(reasons) == 3
    for reason, says in zip(reasons, ("line 9", "belongs to another dialog", "is not a turn")):
        assert says in reason


def test_transcript_lines_of_other_turns_and_second_texts(tmp_path):
    root = make_tree(tmp_path)
    with (tmp_path / "Session1/dialog/transcriptions/Ses01F_impro01.txt").open("a") as out:
        out.write(
            "Ses01F_impro01_MXX0 [001.0000-002.0000]: [LAUGHTER]\nSes01F_impro01_F000 [001.0000-002.5000]: Bye.\n"
        )
        out.write("Ses01F_impro01_F000 no time\n")
    found = index(root)
    assert found.segments[0].text == "Hello."
    assert "1 lines name turns" in "".join(f.reason for f in findings_of(found, "text"))
    assert "is not 'turn [start-end]: text'" in "".join(f.reason for f in findings_of(found, "text"))
    assert "a second text" in findings_of(found, "text", "Ses01F_impro01_F000")[0].reason


@pytest.mark.parametrize("data", [b"", b"% nothing\n", b"\x00\x05\x16\x07"])
def test_evaluation_without_turns_stays_a_unit(tmp_path, data):
    make_tree(tmp_path)
    (tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro02.txt").write_bytes(data)
    found = index(tmp_path)
    assert [u.unit_id for u in found.units] == ["Ses01F_impro01", "Ses01F_impro02"] == list_units(tmp_path)
    assert {f.status for f in found.findings if f.unit == "Ses01F_impro02" and f.modality == "label"} == {"absent"}


def test_video_and_files_without_dialog(tmp_path):
    make_tree(tmp_path)
    (tmp_path / "Session1/dialog/avi/DivX/Ses01F_impro07.avi").write_bytes(b"")
    (tmp_path / "Session1/dialog/EmoEvaluation/Ses02F_impro01.txt").write_text("")  # of another session
    (tmp_path / "Session1/dialog/EmoEvaluation/readme.txt").write_text("")
    (tmp_path / "Session1/dialog/EmoEvaluation/Categorical").mkdir()
    found = index(tmp_path)
    assert [u.unit_id for u in found.units] == ["Ses01F_impro01"] == list_units(tmp_path)
    absent = {f.unit: f.reason for f in found.findings if f.status == "absent"}
    assert absent.keys() == {"Ses01F_impro07", "Ses02F_impro01", "readme"}
    assert "has no EmoEvaluation/Ses01F_impro07.txt" in absent["Ses01F_impro07"]


# --- the full release ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def full_release(tmp_path_factory) -> Path:
    """A tree with the published counts: 5 sessions, 151 dialogs, 10,039 turns, their labels and total length."""
    root = tmp_path_factory.mktemp("full") / "IEMOCAP_full_release"
    labels = [label for label, count in TURNS_OF_LABEL.items() for _ in range(count)]
    random.Random(0).shuffle(labels)
    durations_s = [0.585, 34.14] + [(12.44 * 3600 - 34.725) / 10_037] * 10_037
    for session, (turns, dialogs) in enumerate(zip(TURNS_OF_SESSION.values(), (28, 30, 32, 30, 31)), start=1):
        for d in range(dialogs):
            dialog = f"Ses{session:02d}{'FM'[d % 2]}_impro{d:02d}"
            mine = range(d, turns, dialogs)
            rows, start_s = [], 0.0
            for n, _ in enumerate(mine):
                end_s = start_s + durations_s.pop()
                rows.append((f"{dialog}_{'FM'[n % 2]}{n:03d}", start_s, end_s, labels.pop(), "Well, yes."))
                start_s = round(end_s, 4)
            make_tree(root, dialog, rows)
    assert not labels
    assert not durations_s
    return root


def test_full_release_has_no_finding(full_release):
    begin_s = time.process_time()
    found = index(full_release)
    assert time.process_time() - begin_s < 5
    assert (len(found.units), len(found.segments)) == (151, 10_039)
    assert found.findings == []


def test_each_deviation_from_the_release_is_named(full_release):
    found = index(full_release)
    label_of = {row.segment_id: row.label for row in found.labels}
    gone = next(s.segment_id for s in found.segments if label_of[s.segment_id] == "exc" and s.session == "3")
    found.segments = [s for s in found.segments if s.segment_id != gone]
    found.labels = [row for row in found.labels if row.segment_id != gone]
    before = len(found.findings)
    check_release(found)
    reasons = [f.reason for f in found.findings[before:]]
    assert reasons == [
        "10,038 turns, where the published release has 10,039",
        "2,135 turns in Session3, where the published release has 2,136",
        "1,040 turns labelled exc, where the published release has 1,041",
    ]


def test_partial_release_says_what_is_absent(full_release):
    found = index(full_release)
    segments = [s for s in found.segments if s.session in ("1", "2")]
    units = [u for u in found.units if u.unit_id[:5] in ("Ses01", "Ses02")]
    part = Index(units, segments, found.labels)
    check_release(part)
    (finding,) = part.findings
    assert "58 of 151 dialogs" in finding.reason
    assert "absent: Session3, Session4, Session5" in finding.reason


def test_listing_units_opens_the_two_texts_of_each_dialog_and_no_more(full_release):
    code = (
        "import sys; from pipeline.corpora.registry import make; opened = []\n"
        "sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == 'open' else None)\n"
        f"assert len(make('x', 'iemocap', {str(full_release)!r}).index().units) == 151\n"
        f"opened = [path for path in opened if path.startswith({str(full_release)!r})]\n"
        "assert len(opened) == len(set(opened)) == 2 * 151, len(opened)\n"
        "assert not {'numpy', 'h5py', 'av', 'click'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
