"""Words and their times: alignment files, supplied transcripts, and recognisers on real speech."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio_file import AudioFile
from pipeline.corpora.readers.iemocap import Reader as Iemocap
from pipeline.corpora.transcripts import check_transcripts, find_transcript
from pipeline.records import LONGEST_CELL, Finding, InputError, Segment, Unit, Word, write_table
from pipeline.spoken import SpokenWords, Times
from pipeline.words.alignment import parse_alignment, spoken
from pipeline.words.command import words as words_command
from pipeline.words.pieces import PieceOptions, cut, join
from pipeline.words.place import place_words, read_transcript, recognise
from pipeline.words.text import spread
from tests.word_material import RATE_HZ, Scripted, run_words, subject, tokens, write_audio


def supplied(root: Path, unit_id: str, video: str) -> Unit:
    """A unit with the transcript that lies beside its video."""
    path = find_transcript(root, video)
    return Unit(unit_id, video, transcript=path and path.relative_to(root).as_posix())


# --- forced alignment --------------------------------------------------------------------------------------------


def test_words_of_every_turn_equal_truth(real_corpora, truth, tmp_path):
    root = real_corpora / "IEMOCAP_full_release"
    found = Iemocap("iemocap", root).index()
    words_of: dict[str, list[Word]] = {}
    for unit in found.units:
        mine = [s for s in found.segments if s.unit_id == unit.unit_id]
        for word in run_words(root, tmp_path, unit, mine):
            words_of.setdefault(word.segment_id, []).append(word)
    assert words_of.keys() == truth["iemocap"].keys()
    for name, expected in truth["iemocap"].items():
        words = words_of[name]
        assert [w.word for w in words] == expected["words"]
        assert {w.source for w in words} == {"forced_alignment"}
        # The corpus was made with words of equal length from 0.13 s into the turn.
        step_s = (int((expected["end_s"] - expected["start_s"]) * 100 + 1e-6) - 30) // len(words) / 100
        for j, word in enumerate(words):
            assert word.start_s == pytest.approx(expected["start_s"] + 0.13 + j * step_s, abs=1e-6)
            assert word.end_s == pytest.approx(word.start_s + step_s, abs=1e-6)
        assert words[-1].end_s <= expected["end_s"]


entries = st.from_regex(r"[A-Z][A-Z']{0,8}", fullmatch=True)


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 90), entries, st.sampled_from(["", "(2)", "(10)"])), max_size=12
    ),
    st.integers(0, 3_000_000).map(lambda n: n / 10_000),
    st.sampled_from(["<sil>", "++LAUGHTER++", "++BREATHING++", "[NOISE]"]),
)
def test_alignment_says_what_was_written(entries, start_s, filler):
    lines, expected, frame = ["\t SFrm  EFrm    SegAScr Word", f"{0:8d} {4:5d} {-10:9d} <s>"], [], 5
    for gap, length, entry, suffix in entries:
        if gap:
            lines.append(f"{frame:8d} {frame + gap - 1:5d} {-99:9d} {filler}")
        first = frame + gap
        frame = first + length
        lines.append(f"{first:8d} {frame - 1:5d} {-1234567:9d} {entry}{suffix}")
        expected.append((entry.lower(), first / 100, frame / 100))
    lines += [f"{frame:8d} {frame + 9:5d} {-10:9d} </s>", " Total score:      -123456", ""]
    words = parse_alignment("\n".join(lines), start_s, "turn")
    assert [w.word for w in words] == [e[0] for e in expected]
    np.testing.assert_allclose([[w.start_s - start_s, w.end_s - start_s] for w in words] or np.zeros((0, 2)),
                               [e[1:] for e in expected] or np.zeros((0, 2)), atol=1e-9)  # fmt: skip
    assert all(w.segment_id == "turn" for w in words)


@given(st.text(max_size=120))
def test_alignment_of_any_text_is_words_or_an_input_error(text):
    try:
        words = parse_alignment(text, 0.0)
    except InputError:
        return
    assert all(w.end_s > w.start_s for w in words)


@pytest.mark.parametrize(("text", "says"), [
    ("", "was cut off"),
    ("SFrm EFrm SegAScr Word\n0 10 -5 HELLO\n", "was cut off"),
    ("0 10 HELLO\n Total score: 1", "line 1: '0 10 HELLO' is not"),
    ("0 10 -5 TWO WORDS\n Total score: 1", "is not"),
    ("\n9 3 -5 HELLO\n Total score: 1", "line 2: frames 9 to 3"),
])  # fmt: skip
def test_damaged_alignment_says_where(text, says):
    with pytest.raises(InputError, match=says):
        parse_alignment(text, 0.0)


@pytest.mark.parametrize(("entry", "word"), [
    ("WHAT(2)", "what"), ("DON'T", "don't"), ("<s>", None), ("</s>", None), ("<sil>", None), ("++LAUGHTER++", None),
    ("+NOISE+", None), ("[NOISE]", None), ("I", "i"),
])  # fmt: skip
def test_dictionary_entries(entry, word):
    assert spoken(entry) == word


# --- text without times ------------------------------------------------------------------------------------------


@given(
    st.lists(st.text("abcdefghijklmnopqrstuvwxyzéß", min_size=1, max_size=9), min_size=1),
    st.integers(0, 900),
    st.integers(1, 40),
)
def test_spread_covers_the_turn_by_length(words, start_s, duration_s):
    placed = spread(" ".join(words), start_s, start_s + duration_s, "transcript_even", "t")
    assert [w.word for w in placed] == [w.lower() for w in words]
    assert placed[0].start_s == start_s
    assert placed[-1].end_s == pytest.approx(start_s + duration_s)
    for before, after in pairwise(placed):
        assert before.end_s == after.start_s
    letters = sum(map(len, words))
    for word, placed_word in zip(words, placed):
        assert placed_word.end_s - placed_word.start_s == pytest.approx(duration_s * len(word) / letters)


def test_what_counts_as_a_word():
    assert tokens("[LAUGHTER] No: I don’t -- well-known, 3 o'clock!") == [
        "no",
        "i",
        "don't",
        "well-known",
        "3",
        "o'clock",
    ]
    assert tokens("... [BREATHING]") == []
    assert spread("?!", 0, 1, "x") == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("[LAUGHTER] No: I don’t -- well-known, 3 o'clock!", ["No:", "I", "don't --", "well-known,", "3", "o'clock!"]),
        ('"Oh," he said (sighs). It costs $5, OK?', ['"Oh,"', "he", "said .", "It", "costs", "$5,", "OK?"]),
        ("... Yes,no; İstanbul", ["... Yes,", "no;", "İstanbul"]),
        ("你好，世界。", ["你", "好，", "世", "界。"]),
        ("yes no", ["yes", "no"]),
    ],
)
def test_a_word_keeps_its_case_and_punctuation(text, written):
    placed = spread(text, 0.0, 1.0, "x")
    assert [w.written or w.word for w in placed] == written
    assert [w.word for w in placed] == tokens(text)
    assert {w.written for w in placed} - {None} == {each for each in written if each not in tokens(text)}


@given(st.text("aB .,'-\t\n(é", max_size=30))
def test_nothing_of_a_text_is_lost_but_spaces_and_remarks(text):
    plain = re.sub(r"\([^)]*\)", " ", text)
    if tokens(text):
        written = "".join(w.written or w.word for w in spread(text, 0.0, 1.0, "x"))
        assert re.sub(r"\s", "", written) == re.sub(r"\s", "", plain)


def test_aligned_words_take_case_and_punctuation_from_the_text_of_their_turn(tmp_path):
    """The alignment has other words where it found other words; times stay its own."""
    lines = ["SFrm EFrm SegAScr Word", *(f"{10 * k} {10 * k + 9} -5 {w}" for k, w in enumerate(
        ["<sil>", "WELL", "I'M(2)", "NOT", "GONNA", "GO", "JOHN"]
    )), "Total score: -35"]  # fmt: skip
    (tmp_path / "a.wdseg").write_text("\n".join(lines) + "\n")
    words = place_words(tmp_path, UNIT, [turn("Well, I'm NOT going to go... John!", "a.wdseg")], never)
    assert [(w.word, w.written) for w in words] == [
        ("well", "Well,"), ("i'm", "I'm"), ("not", "NOT"), ("gonna", None), ("go", "go..."), ("john", "John!"),
    ]  # fmt: skip
    assert [round(w.start_s - 10, 3) for w in words] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert {w.source for w in words} == {"forced_alignment"}


def turn(text: str | None = "Well, now: yes.", alignment: str | None = None) -> Segment:
    name = "Ses01F_impro01_F000"
    return Segment(name, "Ses01F_impro01", "Ses01F", "1", None, 10.0, 12.4, text=text, alignment=alignment)


UNIT = Unit("Ses01F_impro01", "Session1/dialog/avi/DivX/Ses01F_impro01.avi")


def never(segment):
    raise AssertionError("the recogniser is not asked where there is a text")


@pytest.mark.parametrize("damage", [None, b"0 10 -5 HELLO\n", b"\x00\x05\x16\x07"])
def test_turn_without_usable_alignment_gets_its_text_spread(tmp_path, damage):
    if damage:
        (tmp_path / "a.wdseg").write_bytes(damage)
    words = place_words(tmp_path, UNIT, [turn(alignment="a.wdseg")], never)
    assert [(w.word, round(w.start_s, 3), round(w.end_s, 3)) for w in words] == [
        ("well", 10.0, 10.96), ("now", 10.96, 11.68), ("yes", 11.68, 12.4),
    ]  # fmt: skip
    assert {(w.source, w.segment_id) for w in words} == {("transcript_even", "Ses01F_impro01_F000")}


@pytest.mark.parametrize(("text", "words"), [("Well, yes.", ["well", "yes"]), ("[LAUGHTER]", []), (None, [])])
def test_an_alignment_without_a_word_leaves_the_text_to_speak(tmp_path, text, words):
    (tmp_path / "a.wdseg").write_text("SFrm EFrm SegAScr Word\n0 4 -5 <s>\n5 9 -5 ++GARBAGE++\n Total score: -10\n")
    found = place_words(tmp_path, UNIT, [turn(text, "a.wdseg")], never)
    assert [w.word for w in found] == words
    assert {w.source for w in found} <= {"transcript_even"}


def test_turn_without_text_is_recognised(tmp_path):
    words = place_words(tmp_path, UNIT, [turn(None)], lambda group: [Word("yes", 10.5, 11.0, "recogniser")])
    assert words == [Word("yes", 10.5, 11.0, "recogniser", "Ses01F_impro01_F000", "Ses01F_impro01")]


# --- supplied transcripts ----------------------------------------------------------------------------------------

TRANSCRIPTS = {
    ".tsv": "word\tstart\tend\nhello\t1.25\t1.75\n\"there\"\t1.75\t2.5\n",
    ".vtt": "WEBVTT\n\nNOTE made by hand\n\n00:01.250 --> 00:02.500 align:start\n<v Bob>Hello <i>there</i>!\n",
    ".srt": "1\n00:00:01,250 --> 00:00:02,500\n<i>Hello</i> there!\n",
}  # fmt: skip


@pytest.mark.parametrize("suffix", TRANSCRIPTS)
@pytest.mark.parametrize("folder", ["videos/b", "transcripts"])
def test_supplied_transcript_wins(tmp_path, suffix, folder):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / f"clip.v2{suffix}").write_text(TRANSCRIPTS[suffix])
    unit = supplied(tmp_path, "clip.v2", "videos/b/clip.v2.mp4")
    segments = [subject("clip.v2_left", 9.0, "clip.v2"), subject("clip.v2_right", 9.0, "clip.v2")]
    words = run_words(tmp_path, tmp_path, unit, segments, recogniser="pocketsphinx")
    assert [(w.word, w.source, w.segment_id) for w in words] == [
        ("hello", "transcript", None),
        ("there", "transcript", None),
    ]
    assert (words[0].start_s, words[-1].end_s) == (1.25, 2.5)
    assert words[0].end_s == words[1].start_s


CAPTIONS = "WEBVTT\n\n00:00.000 --> 00:02.000\nsome captions\n\n00:02.000 --> 00:04.000\nother captions\n"


def test_what_a_segment_says_comes_before_captions_beside_the_video(tmp_path):
    """Those fill the segments that say nothing; each then has its own words alone, also where people overlap."""
    with_files(tmp_path, **{"videos/clip.en.vtt": CAPTIONS, "b.wdseg": "0 49 -5 ALIGNED\n Total score: -5\n"})
    unit = supplied(tmp_path, "clip", "videos/clip.mp4")
    texts = {"text_a": "My words", "text_none": None, "text_empty": "[LAUGHTER]"}
    segments = [replace(subject(name, 3.0), text=text) for name, text in texts.items()]
    segments.append(replace(subject("aligned", 1.0), alignment="b.wdseg"))
    words = place_words(tmp_path, unit, segments, never)
    said = {s.segment_id: [(w.word, w.source) for w in words if w.belongs_to(s)] for s in segments}
    assert said == {
        "text_a": [("my", "transcript_even"), ("words", "transcript_even")],
        "text_none": [(word, "transcript") for word in ("some", "captions", "other", "captions")],
        "text_empty": [],
        "aligned": [("aligned", "forced_alignment")],
    }
    own = [replace(s, text="mine") for s in segments]
    (tmp_path / "videos/clip.en.vtt").write_text("no captions at all")
    assert {w.word for w in place_words(tmp_path, unit, own, never)} == {"mine", "aligned"}


def test_words_of_a_transcript_that_names_segments_are_theirs_alone(tmp_path):
    table = "word\tstart\tend\tsegment_id\nhers\t0\t1\tclip_a\nhis\t0\t1\tclip_b\nours\t1\t2\t\n"
    with_files(tmp_path, **{"videos/clip.tsv": table})
    unit = supplied(tmp_path, "clip", "videos/clip.mp4")
    segments = [subject("clip_a", 3.0), subject("clip_b", 3.0), replace(subject("clip_c", 3.0), text="mine")]
    words = place_words(tmp_path, unit, segments, never)
    said = {s.segment_id: [w.word for w in words if w.belongs_to(s)] for s in segments}
    assert said == {"clip_a": ["hers", "ours"], "clip_b": ["his", "ours"], "clip_c": ["mine"]}


def word_at(place):
    segment_id, unit_id, begin, lasts = place
    return Word("um", begin / 2, (begin + lasts) / 2, "x", segment_id, unit_id)


ids, units = st.sampled_from([None, "a", "b"]), st.sampled_from([None, "u", "v"])


@settings(deadline=None)
@given(
    st.lists(st.tuples(ids, units, st.integers(0, 20), st.integers(0, 9)).map(word_at), max_size=30),
    st.integers(0, 20), st.integers(1, 9),
)  # fmt: skip
def test_words_of_a_segment_are_those_that_say_so_in_order(words, begin, lasts):
    words = [replace(word, word=f"w{k}") for k, word in enumerate(words)]
    spoken = SpokenWords(words)
    for segment_id, unit_id in (("a", "u"), ("b", "v"), ("c", "u")):
        segment = Segment(segment_id, unit_id, "ann", None, None, begin / 2, (begin + lasts) / 2)
        own = [word for word in words if word.belongs_to(segment)]
        assert spoken.of(segment) == sorted(own, key=lambda w: (w.start_s, w.end_s))


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=20).map(sorted),
    st.integers(0, 20), st.integers(1, 9),
)  # fmt: skip
def test_times_near_a_stretch_are_all_that_lie_partly_within_it(spans, begin, lasts):
    spans, end = [(start, start + length) for start, length in spans], begin + lasts
    near = range(len(spans))[Times(spans).near(begin, end)]
    assert {k for k, (a, b) in enumerate(spans) if a < end and b > begin} <= set(near)
    assert all(spans[k][0] < end and max(b for _, b in spans[: k + 1]) > begin for k in near), "and none without need"


def test_words_are_looked_at_about_once_however_many_there_are(monkeypatch):
    """Ten hours of turns of a second, each with words of its own and of nobody."""
    looked, count = [], 36_000
    belongs_to = Word.belongs_to
    monkeypatch.setattr(Word, "belongs_to", lambda word, segment: looked.append(1) or belongs_to(word, segment))
    words = [Word("um", k + 0.2, k + 0.6, "x", mark) for k in range(count) for mark in (None, f"{k}")]
    spoken = SpokenWords(words)
    found = [spoken.of(Segment(f"{k}", "u", "ann", None, None, float(k), k + 1.0)) for k in range(count)]
    assert [len(own) for own in found] == [2] * count
    assert len(looked) == 2 * count


def test_times_beyond_an_hour(tmp_path):
    (tmp_path / "a.vtt").write_text("WEBVTT\n\n01:00:03.125 --> 01:00:04.000\nBye\n")
    (tmp_path / "a.srt").write_text("1\n01:00:03,125 --> 01:00:04,000\nBye\n")
    for name in ("a.vtt", "a.srt"):
        (word,) = read_transcript(tmp_path / name)
        assert (word.start_s, word.end_s) == (3603.125, 3604.0)


def test_transcript_may_name_persons_and_is_sorted(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("word\tstart\tend\tsegment_id\nb\t2\t3\ta_left\na\t0\t1\t\n")
    assert read_transcript(path) == [Word("a", 0, 1, "transcript"), Word("b", 2, 3, "transcript", "a_left")]


def test_a_line_without_its_word_has_none(tmp_path):
    (tmp_path / "a.tsv").write_text("start\tend\tword\n1\t2\n2\t3\tyes\n")
    assert [w.word for w in read_transcript(tmp_path / "a.tsv")] == ["yes"]


def test_several_transcripts_are_refused(tmp_path):
    with_files(tmp_path, **{"videos/a.srt": "", "transcripts/a.tsv": ""})
    with pytest.raises(InputError, match=r"several transcripts: videos/a.srt, transcripts/a.tsv"):
        find_transcript(tmp_path, "videos/a.mp4")


@pytest.mark.parametrize(("name", "text", "says"), [
    ("a.tsv", "text\tfrom\tto\n", "expected the columns word, start, end"),
    ("a.tsv", "", "expected the columns word, start, end"),
    ("a.tsv", "word\tstart\tend\nhi\t1\tsoon\n", "line 2: start '1' and end 'soon' must be seconds"),
    ("a.tsv", "word\tstart\tend\nhi\t2\t1\n", "line 2: 'hi' ends at 1.0 s"),
    ("a.tsv", "word\tstart\tend\nhi\t1\n", "line 2: start '1' and end None"),
    ("a.tsv", "word\tstart\tend\nhi\tnan\t1\n", "'hi' ends at"),
    pytest.param(
        "a.tsv", f"word\tstart\tend\n{'x' * (LONGEST_CELL + 1)}\t1\t2\n", "not a tab-separated table", id="no end"
    ),
    ("a.vtt", "hello\n", "not WebVTT"),
    ("a.vtt", "WEBVTT\n\n00:05.000 --> 00:02.000\nhi\n", "line 3: 'hi' ends at 2.0 s"),
    ("a.srt", "hello\n", "not SubRip"),
    ("a.txt", "hello\n", "a.txt: only .tsv, .vtt, .srt are read; save it as one of these"),
])  # fmt: skip
def test_transcript_that_cannot_be_used_says_where(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(str(path))) as error:
        read_transcript(path)
    assert says in str(error.value)


@pytest.mark.parametrize("suffix", TRANSCRIPTS)
def test_transcript_that_is_not_utf8(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(TRANSCRIPTS[suffix].replace("ello", "\xe9llo").encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_transcript(path)


@given(st.sampled_from(list(TRANSCRIPTS)), st.integers(0, 200), st.integers(0, 200), st.binary(max_size=12))
def test_any_transcript_is_words_or_an_input_error(tmp_path_factory, suffix, first, last, replacement):
    text = TRANSCRIPTS[suffix].encode()
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(text[:first] + replacement + text[last:])
    try:
        words = read_transcript(path)
    except InputError:
        return
    assert all(w.end_s > w.start_s for w in words)


UNUSABLE = {
    "latin": ("videos/clip.tsv", "word\tstart\tend\nh\xe9llo\t1\t2\n", "videos/clip.tsv: not UTF-8"),
    "columns": ("transcripts/clip.tsv", "text\tfrom\tto\n", "transcripts/clip.tsv: the first line is"),
    "vtt": ("videos/clip.vtt", "hello\n", "videos/clip.vtt: not WebVTT"),
    "srt": ("videos/clip.SRT", "hello\n", "videos/clip.SRT: not SubRip"),
}


def with_files(root: Path, **files: str) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode("latin-1"))
    return root


def clip(kind: str) -> Unit:
    """The video with the transcript that is found beside it, of which "two" has too many."""
    return Unit("clip", "videos/clip.mp4", transcript=None if kind == "two" else next(iter(UNUSABLE[kind][0])))


@pytest.mark.parametrize("kind", UNUSABLE)
def test_video_with_an_unusable_transcript_is_recognised(tmp_path, monkeypatch, caplog, kind):
    name, text, reason = UNUSABLE[kind]
    root = with_files(tmp_path / "corpus", **{name: text})
    write_audio(tmp_path / "audio.h5", np.random.default_rng(0).normal(0, 0.1, 3 * RATE_HZ))
    unit, segments = supplied(root, "clip", "videos/clip.mp4"), [subject("clip", 3.0)]
    monkeypatch.setattr("pipeline.words.registry.make", lambda *given: Scripted())
    words = run_words(root, tmp_path, unit, segments, recogniser="pocketsphinx")
    assert [(w.word, w.source) for w in words] == [("um", "recogniser")] * 3
    assert reason in caplog.text.replace(f"{root}/", "")
    assert "the transcript is not used" in caplog.text
    assert run_words(root, tmp_path, unit, segments) == [], "without a recogniser there are no words"


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_transcript_is_a_finding_of_everybody_in_the_video(tmp_path, kind):
    name, text, reason = UNUSABLE[kind]
    root = with_files(tmp_path, **{name: text, "videos/fine.tsv": TRANSCRIPTS[".tsv"]})
    units = [supplied(root, name, f"videos/{name}.mp4") for name in ("clip", "fine", "none")]
    segments = [subject("clip_left", 1.0), subject("clip_right", 1.0), subject("fine", 1.0, "fine")]
    left, right = check_transcripts(root, units, segments)
    assert left.reason.startswith(f"the transcript supplied was not used: {reason}")
    assert left == Finding("clip", "clip_left", "text", "partial", left.reason)
    assert right == Finding("clip", "clip_right", "text", "partial", left.reason)


def test_words_of_nobody_are_a_finding(tmp_path):
    table = "word\tstart\tend\tsegment_id\nhello\t0\t1\tclip_lft\nyes\t1\t2\tclip_right\nno\t2\t3\t\n"
    with_files(tmp_path, **{"videos/clip.tsv": table})
    segments = [subject("clip_left", 3.0), subject("clip_right", 3.0)]
    left, right = check_transcripts(tmp_path, [supplied(tmp_path, "clip", "videos/clip.mp4")], segments)
    assert left.reason.startswith("videos/clip.tsv names segments that this recording does not have: clip_lft")
    assert (left.segment, right.segment) == ("clip_left", "clip_right")


def test_turns_keep_their_words_beside_an_unusable_transcript(tmp_path):
    with_files(tmp_path, **{"Session1/dialog/avi/DivX/Ses01F_impro01.srt": "hello"})
    unit = supplied(tmp_path, UNIT.unit_id, UNIT.video)
    assert [w.word for w in place_words(tmp_path, unit, [turn()], never)] == ["well", "now", "yes"]
    wordless = replace(turn(), segment_id="wordless", alignment=None, text=None)
    assert [f.segment for f in check_transcripts(tmp_path, [unit], [turn(), wordless])] == ["wordless"]


NAMES = {  # files beside talk.MP4: the one that is taken, or what is said
    "talk.SRT": "talk.SRT",
    "talk.Vtt": "talk.Vtt",
    "talk.en.vtt": "talk.en.vtt",
    "talk.pt-BR.srt": "talk.pt-BR.srt",
    "talk.en.sdh.srt": "talk.en.sdh.srt",
    "talk.de.vtt talk.srt": "talk.srt",
    "talk.en.vtt talk.en-orig.vtt": "talk.en-orig.vtt",
    "talk.en.vtt talk.de.vtt": "several transcripts: talk.de.vtt, talk.en.vtt; keep one of them",
    "talk.srt talk.TSV": "several transcripts",
    "talk.de.mp4 talk.de.srt": None,
    "talk.txt talks.srt talk.v2.srt Talk2.srt talk.english.srt": None,
}


@pytest.mark.parametrize("names", NAMES)
def test_the_name_of_a_transcript(tmp_path, names):
    for name in names.split():
        (tmp_path / name).write_text("")
    expected = NAMES[names]
    if expected and " " in expected:
        with pytest.raises(InputError, match=re.escape(expected)):
            find_transcript(tmp_path, "talk.MP4")
        return
    assert find_transcript(tmp_path, "talk.MP4") == (tmp_path / expected if expected else None)
    if names == "talk.de.mp4 talk.de.srt":
        assert find_transcript(tmp_path, "talk.de.mp4") == tmp_path / "talk.de.srt"


@pytest.mark.parametrize("folder", ["videos", "transcripts", "transcripts/videos"])
def test_a_transcript_of_another_recording_is_not_this_one_in_a_language(tmp_path, folder):
    """An experiment calls its second recording S01.pos, which looks like a language."""
    videos = ["videos/S01.mp4", "videos/S01.pos.mp4", "videos/S02.mp4"]
    with_files(tmp_path, **dict.fromkeys([*videos, f"{folder}/S01.pos.srt", f"{folder}/S02.en.srt"], ""))
    found = [find_transcript(tmp_path, video) for video in videos]
    assert found == [None, tmp_path / folder / "S01.pos.srt", tmp_path / folder / "S02.en.srt"]
    elsewhere = find_transcript(tmp_path, videos[2], recordings={"S02", "S02.en"})
    assert elsewhere is None, "a recording of the corpus, in whatever folder"


def test_a_pipe_or_a_folder_is_no_transcript(tmp_path):
    import os

    os.mkfifo(tmp_path / "a.srt")
    (tmp_path / "a.vtt").mkdir()
    assert find_transcript(tmp_path, "a.mp4") is None


# --- pieces ------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60_000), st.sampled_from([2.0, 3.3, 7.0]), st.sampled_from([0.5, 1.5]), st.integers(0, 99))
def test_pieces_hold_every_sample_once_and_are_bounded(count, most_s, context_s, seed):
    rate_hz = 1000
    sound = np.random.default_rng(seed).normal(size=count).astype(np.float32)
    pieces = list(cut(lambda a, b: sound[a:b], count, rate_hz, most_s, context_s))
    seams = [0, *(p.core_end for p in pieces)]
    assert [p.core_start for p in pieces] == seams[:-1]
    assert seams[-1] == count
    for piece in pieces:
        assert 0 < piece.core_end - piece.core_start <= most_s * rate_hz
        last = min(count, piece.core_end + round(context_s * rate_hz))
        assert piece.first == max(0, piece.core_start - round(context_s * rate_hz))
        np.testing.assert_array_equal(piece.samples, sound[piece.first : last])


def test_pieces_meet_in_silence():
    sound = np.random.default_rng(0).normal(size=60 * RATE_HZ).astype(np.float32)
    pauses_s = [(17.0, 17.5), (30.2, 30.6), (44.0, 45.0)]
    for begin_s, end_s in pauses_s:
        sound[int(begin_s * RATE_HZ) : int(end_s * RATE_HZ)] *= 0.01
    seams_s = [p.core_end / RATE_HZ for p in cut(lambda a, b: sound[a:b], len(sound), RATE_HZ, 20.0, 1.0)]
    for (begin_s, end_s), seam_s in zip(pauses_s, seams_s[:-1], strict=True):
        assert begin_s < seam_s < end_s


class Oracle:
    """Finds every word that lies whole within a piece, at a time that is off by a little, anew in each piece."""

    def __init__(self, words, jitter_s, seed):
        self.words, self.jitter_s, self.rng = words, jitter_s, np.random.default_rng(seed)

    def pieces(self, count, most_s, context_s):
        blank = np.zeros(count, np.float32)
        blank += self.rng.normal(size=count).astype(np.float32)
        for piece in cut(lambda a, b: blank[a:b], count, 100, most_s, context_s):
            first_s, last_s = piece.first / 100, (piece.first + len(piece.samples)) / 100
            off = lambda: self.rng.uniform(-self.jitter_s, self.jitter_s)  # noqa: E731
            found = [(w, a + off(), b + off()) for w, a, b in self.words if first_s <= a and b <= last_s]
            yield (np.inf if piece.core_end == count else piece.core_end / 100), found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.16, 1.2)), max_size=60), st.integers(0, 99))
def test_every_word_is_found_exactly_once(lengths, seed):
    words, clock_s = [], 0.0
    for n, (gap_s, length_s) in enumerate(lengths):
        words.append((f"w{n}", clock_s + gap_s, clock_s + gap_s + length_s))
        clock_s += gap_s + length_s
    oracle = Oracle(words, 0.04, seed)
    found = list(join(oracle.pieces(int((clock_s + 1) * 100), 5.0, 1.5)))
    assert [w for w, *_ in found] == [w for w, *_ in words]


def test_long_sound_is_read_in_blocks(tmp_path, monkeypatch):
    write_audio(tmp_path / "audio.h5", np.random.default_rng(0).normal(0, 0.1, 600 * RATE_HZ), start_s=3.0)
    track = AudioFile(tmp_path / "audio.h5")["clip"]
    read = type(track).samples
    blocks = []
    monkeypatch.setattr(type(track), "samples", lambda self, a=0, b=None: blocks.append(read(self, a, b)) or blocks[-1])
    words = list(recognise(Scripted(PieceOptions(piece_s=20, context_s=1)), track))
    assert max(map(len, blocks)) <= 22 * RATE_HZ
    assert 500 < len(words) < 660
    assert all(3.0 <= w.start_s < w.end_s <= 603.0 for w in words)
    assert all(a.start_s <= b.start_s for a, b in pairwise(words))
    assert {(w.source, w.segment_id) for w in words} == {("recogniser", None)}


def test_silence_is_not_given_to_the_recogniser(tmp_path):
    write_audio(tmp_path / "audio.h5", np.zeros(3 * RATE_HZ))
    recogniser = Scripted()
    recogniser.finds_speech = False
    track = AudioFile(tmp_path / "audio.h5")["clip"]
    assert list(recognise(recogniser, track)) == []
    assert recogniser.longest == 0


def test_no_recogniser_and_no_transcript_gives_no_words(tmp_path):
    unit = Unit("clip", "videos/clip.mp4")
    assert run_words(tmp_path, tmp_path, unit, [subject("clip", 5.0)]) == []
    assert run_words(tmp_path, tmp_path, unit, []) == []


def test_unknown_shard_is_refused(tmp_path):
    write_table(tmp_path / "units.tsv", [Unit("other", "videos/other.mp4")], Unit)
    write_table(tmp_path / "segments.tsv", [], Segment)
    arguments = ["--root", tmp_path, "--tables", tmp_path, "--shard", "clip", "--out", tmp_path / "w.tsv"]
    with pytest.raises(InputError, match="shard 'clip' is not in"):
        CliRunner().invoke(words_command, [str(a) for a in arguments], catch_exceptions=False)
