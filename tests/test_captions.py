"""Words of any script, and of subtitle files as people and programs write them."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpora.captions import Cue, plain, without_repeats
from pipeline.corpora.transcripts import read_cues
from pipeline.records import InputError
from pipeline.words.place import read_transcript
from pipeline.words.text import spread
from tests.word_material import tokens

SCRIPTS = {  # text: its words
    "नमस्ते दुनिया": ["नमस्ते", "दुनिया"], "வணக்கம்": ["வணக்கம்"], "সুপ্রভাত বন্ধু": ["সুপ্রভাত", "বন্ধু"], "สวัสดี": ["สวัสดี"],
    "مَرْحَبًا يا صديقي": ["مَرْحَبًا", "يا", "صديقي"], "می‌خواهم بروم": ["می‌خواهم", "بروم"], "שָׁלוֹם עולם": ["שָׁלוֹם", "עולם"],
    "İstanbul ve Iğdır": ["istanbul", "ve", "iğdır"], "한국어 단어": ["한국어", "단어"], "ကျေးဇူး": ["ကျေးဇူး"],
    "你好，世界！": ["你", "好", "世", "界"], "iPhone15很好": ["iphone15", "很", "好"], "時々": ["時", "々"],
    "ｺｰﾋｰが": ["ｺｰﾋｰ", "が"], "ភាសាខ្មែរ ល្អ": ["ភាសាខ្មែរ", "ល្អ"], "မြန်မာ": ["မြန်မာ"], "አማርኛ ነው": ["አማርኛ", "ነው"],
    "私はコーヒーが好き。": ["私", "は", "コーヒー", "が", "好", "き"],
    "well\u2011known co\u00adoperate": ["well-known", "cooperate"],
}  # fmt: skip


@pytest.mark.parametrize("text", SCRIPTS)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_words_of_any_script_are_whole(text, form):
    assert tokens(unicodedata.normalize(form, text)) == [unicodedata.normalize("NFC", w) for w in SCRIPTS[text]]


@pytest.mark.parametrize("text", ["l'été à la plage", "tiếng Việt", "Åse čte żółw"])
def test_decomposed_letters_are_those_composed(text):
    assert tokens(unicodedata.normalize("NFD", text)) == tokens(text) == text.lower().split()


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_letter_is_lost_and_none_is_made(text):
    clean = "".join(c for c in text if c not in "[](){}<>（）［］【】〔〕〈〉")
    letters = [c for c in unicodedata.normalize("NFC", clean).lower() if c.isalnum()]
    kept = [c for word in tokens(clean) for c in word if c.isalnum()]
    assert len(kept) == len([c for c in letters if unicodedata.category(c)[0] in "LN"])


@pytest.mark.parametrize(("text", "words"), [
    ("(LAUGHTER) yes [music] no <laugh> (sighs)", ["yes", "no"]), ("[LAUGHTER]", []), ("<breath>", []),
    ("{noise} a", ["a"]),
    ("（笑）はい", ["は", "い"]), ("3 < 5 and (unclosed", ["3", "5", "and", "unclosed"]), ("♪ la la ♪", ["la", "la"]),
])  # fmt: skip
def test_sounds_in_brackets_are_no_words(text, words):
    assert tokens(text) == words


def read(path, text):
    path.write_text(text, encoding="utf-8")
    return [(w.word, round(w.start_s, 2)) for w in read_transcript(path)]


def clock(time_s, comma):
    return f"00:00:{int(time_s):02d}{comma}{round(time_s * 1000) % 1000:03d}"


def srt(*lines):
    """A SubRip file of (start, end, text) in seconds."""
    return "".join(f"{i}\n{clock(a, ',')} --> {clock(b, ',')}\n{text}\n\n" for i, (a, b, text) in enumerate(lines, 1))


def vtt(*lines):
    """The same as WebVTT."""
    return "WEBVTT\n\n" + "".join(f"{clock(a, '.')} --> {clock(b, '.')}\n{text}\n\n" for a, b, text in lines)


@pytest.mark.parametrize(("shown", "words"), [
    ("{\\an8}General <i>Kenobi</i>", "general kenobi"),
    ("{\\pos(192,210)}<font color=red>Hello</font>\\Nthere", "hello there"),
    ("Tom &amp; Jerry,&nbsp;R&amp;B &lt;laughs&gt; it&#39;s", "tom jerry r b it's"),
    ("un<b>believ</b>able", "unbelievable"),
    ("<v Roger Bingham>We are</v> <c.loud.red>in</c> <lang en>New York</lang>", "we are in new york"),
    ("<ruby>漢<rt>kan</rt></ruby>字", "漢 字"), ("{y:i}yes <br/>no", "yes no"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
def test_markup_is_not_spoken(tmp_path, name, shown, words):
    text = (srt if name == "a.srt" else vtt)((1, 3, shown))
    assert [word for word, _ in read(tmp_path / name, text)] == words.split()


YOUTUBE = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.310 align:start position:0%
\x20
hello<00:00:00.480><c> and</c><00:00:00.640><c> welcome</c>

00:00:02.310 --> 00:00:02.320 align:start position:0%
hello and welcome
\x20

00:00:02.320 --> 00:00:04.000 align:start position:0%
hello and welcome
to<00:00:02.500><c> the</c><00:00:02.700><c> show</c>

00:00:04.000 --> 00:00:04.010 align:start position:0%
to the show
\x20

00:00:09.000 --> 00:00:10.000 align:start position:0%
to the show
[Music]
"""
SAID = [("hello", 0.16), ("and", 0.48), ("welcome", 0.64), ("to", 2.32), ("the", 2.5), ("show", 2.7)]


def test_rolling_captions_are_said_once_at_their_own_times(tmp_path):
    assert read(tmp_path / "a.vtt", YOUTUBE) == SAID


def cues(path, text, whole=True):
    path.write_text(text, encoding="utf-8")
    return [(c.start_s, c.end_s, c.speaker, c.text) for c in read_cues(path, whole)]


def test_captions_are_whole_where_nobody_asks_for_the_times_of_words(tmp_path):
    assert cues(tmp_path / "a.vtt", YOUTUBE)[:2] == [
        (0.16, 2.31, None, "hello and welcome"), (2.32, 4.0, None, "to the show"),
    ]  # fmt: skip
    assert len(cues(tmp_path / "a.vtt", YOUTUBE, whole=False)) > 4


ZOOM = [(2, 4, "Ann Smith: Hello there."), (5, 6, "Bob: Note: it's 12:30."), (6, 7, "and on"), (7, 9, "Ann Smith: Yes")]
MIXED = [(0, 2, "Ann: Hi.\nBob: Hello: you"), (2, 4, "张三：你好"), (4, 6, "Bob: and\nso on")]


@pytest.mark.parametrize(("lines", "speakers", "words"), [
    (ZOOM, ["Ann Smith", "Bob", None, "Ann Smith"], "hello there note it's 12 30 and on yes"),
    ([(2, 4, "<v Ann Smith>Hello</v>"), (4, 6, "<v.loud Bob &amp; Co>I <b>am</b>: here</v>"), (6, 8, "so")],
     ["Ann Smith", "Bob & Co", None], "hello i am here so"),
    ([(2, 4, "<v Ann>Hello</v> <v Bob>you</v>")], [None], "hello you"),
    (MIXED, [None, "张三", "Bob"], "hi hello you 你 好 and so on"),
    ([(0, 1, "Question: who?"), (1, 2, "you"), (2, 3, "no")], [None] * 3, "question who you no"),
    ([(0, 1, "Look: a bird")], [None], "look a bird"),
    ([(0, 1, "Look: he is here"), (1, 2, "I told you one thing: no")], [None] * 2,
     "look he is here i told you one thing no"),
    ([(0, 1, "Ann: hi"), (1, 2, "The point is: we won"), (2, 3, "Ann: so")], ["Ann", None, "Ann"],
     "hi the point is we won so"),
    ([(0, 1, "Ann: hi"), (1, 2, "The point is: we won"), (2, 3, "Ann: so"), (3, 4, "Ann: oh"),
      (4, 5, "The point is: we won")],
     ["Ann", None, "Ann", "Ann", None], "hi the point is we won so oh the point is we won"),
    ([(0, 1, "Vincent van Gogh: hi\nSpeaker 2: yo"), (1, 2, "Vincent van Gogh: so"), (2, 3, "no")],
     [None, "Vincent van Gogh", None], "hi yo so no"),
    ([(0, 1, "Ann: careful\nWarning: hot"), (1, 2, "Bob: oh\nAnn: so"), (2, 3, "Ann: no\nBob: yes")],
     ["Ann", None, None], "careful warning hot oh so no yes"),
    ([(0, 1, "Ann: hi\nCy: yo"), (1, 2, "Ann: so"), (2, 3, "<v Cy>no</v>")], [None, "Ann", "Cy"], "hi yo so no"),
    ([(0, 1, "<i>Ann: hi</i>"), (1, 2, "- Bob: yo"), (2, 3, ">> ANN: a"), (3, 4, "-Cy &amp; Co: b\n&gt;&gt; c")],
     ["Ann", "Bob", "ANN", "Cy & Co"], "hi yo a b c"),
])  # fmt: skip
@pytest.mark.parametrize("write", [srt, vtt])
def test_who_speaks_is_no_word(tmp_path, write, lines, speakers, words):
    """As Zoom and Teams name them; a name that most captions do not begin with is a word."""
    path = tmp_path / f"a.{write.__name__}"
    assert [speaker for *_, speaker, _ in cues(path, write(*lines))] == speakers
    assert [word for word, _ in read(path, write(*lines))] == words.split()


def test_a_repeated_line_that_has_times_of_its_own(tmp_path):
    again = "<00:00:02.000>so <00:00:02.100>it goes\n<00:00:02.500>on <00:00:03.000>and on"
    words = read(tmp_path / "a.vtt", vtt((0, 2, "so it goes"), (2, 4, again)))
    assert [word for word, _ in words] == ["so", "it", "goes", "on", "and", "on"]
    assert [start_s for _, start_s in words[3:5]] == [2.5, 3.0]


def test_rolling_captions_without_times_within(tmp_path):
    lines = [(0.16, 2.31, "hello and welcome"), (2.31, 2.32, "hello and welcome"),
             (2.32, 4.0, "hello and welcome\nto the show"), (4.0, 4.01, "to the show"),
             (4.01, 6.0, "to the show\nto the very end")]  # fmt: skip
    for name, write in (("a.srt", srt), ("a.vtt", vtt)):
        words = read(tmp_path / name, write(*lines))
        assert [w for w, _ in words] == ["hello", "and", "welcome", "to", "the", "show", "to", "the", "very", "end"]
        assert (words[0][1], words[3][1], words[6][1]) == (0.16, 2.32, 4.01)


@pytest.mark.parametrize("lines", [
    ["hello and welcome", "Hello and welcome.\nto the show", "To the show,\nladies and gentlemen"],
    ["你好世界欢迎", "你好世界欢迎\n来到我们节目", "来到我们节目\n今天讨论音乐"],
    ["สวัสดี ครับ ทุกคน", "สวัสดี ครับ ทุกคน\nวันนี้ เรา มา", "วันนี้ เรา มา\nคุย กัน นะ"],
    ["<i>it was a</i>", "<i>it was a</i>\n{\\an8}bright cold day", "bright cold day\n<b>in april and</b>"],
    ["so it", "so it goes", "so it goes on", "so it goes on and"],
])  # fmt: skip
@pytest.mark.parametrize("overlap_s", [0, 1])
def test_lines_that_roll_in_any_script_and_style(tmp_path, lines, overlap_s):
    words = read(tmp_path / "a.srt", srt(*((2 * k, 2 * k + 2 + overlap_s, text) for k, text in enumerate(lines))))
    new = [lines[0], *(text.split("\n")[-1] if "\n" in text else text.split()[-1] for text in lines[1:])]
    assert [word for word, _ in words] == [word for text in new for word in tokens(plain(text))]
    assert [start_s for _, start_s in words] == sorted(start_s for _, start_s in words)


def test_a_caption_that_is_there_twice_is_said_once(tmp_path):
    """As programs write shadows of it; who says the same again says it later."""
    lines = [(0, 1, "well well"), (0, 1, "well well"), (1, 2, "so"), (2, 3, "so")]
    assert [w for w, _ in read(tmp_path / "a.srt", srt(*lines))] == ["well", "well", "so", "so"]


def test_three_lines_that_roll_up(tmp_path):
    spoken = ["it was a", "bright cold day", "in april and", "the clocks were", "striking thirteen times"]
    lines = [(2 * k, 2 * k + 2, "\n".join(spoken[max(0, k - 2) : k + 1])) for k in range(5)]
    words = read(tmp_path / "a.srt", srt(*lines))
    assert [w for w, _ in words] == " ".join(spoken).split()
    assert all(2 * k <= start_s < 2 * k + 2 for k in range(5) for _, start_s in words[3 * k : 3 * k + 3])


def test_lines_that_stay_while_the_next_is_spoken(tmp_path):
    lines = [(0, 4, "one two"), (2, 6, "three four"), (4, 8, "five six"), (6, 8, "seven")]
    words = read(tmp_path / "a.srt", srt(*lines))
    assert [w for w, _ in words] == ["one", "two", "three", "four", "five", "six", "seven"]
    assert words[2] == ("three", 2.0)
    assert words[1][1] < 2


@pytest.mark.parametrize("texts", [
    ["No.", "No.", "No no."], ["la la la", "la la la", "la la la"], ["you know", "you know what", "what is it"],
    ["I said stop", "stop it", "no", "yes I do", "do you"],
])  # fmt: skip
def test_what_is_said_again_is_said_again(tmp_path, texts):
    words = read(tmp_path / "a.srt", srt(*((k, k + 1, text) for k, text in enumerate(texts))))
    assert [w for w, _ in words] == [w for text in texts for w in tokens(text)]


def test_times_within_a_line_that_make_no_sense_are_not_used(tmp_path):
    for stamps in ("<00:00:09.000>", "<00:00:01.900> <00:00:01.100>"):
        assert read(tmp_path / "a.vtt", f"WEBVTT\n\n00:01.000 --> 00:02.000\na {stamps}b\n") == [("a", 1.0), ("b", 1.5)]


TALK = "1\n00:00:01,000 --> 00:00:02,000\nhello\n\n2\n00:00:03,500 --> 00:00:04,000\ncaf\u00e9\n"
FORMS = {
    "no empty lines": TALK.replace("\n\n", "\n"), "an empty line within": TALK.replace("hello", "\nhello\n"),
    "no numbers": TALK.replace("1\n", "", 1).replace("2\n0", "0"), "no hours": TALK.replace("00:00:0", "00:0"),
    "points": TALK.replace(",", "."), "one digit": TALK.replace("00:00:0", "0:0:"), "colons": TALK.replace(",", ":"),
    "positions": TALK.replace("2,000\n", "2,000 X1:10 X2:20 Y1:3 Y2:4\n"), "carriage returns": TALK.replace("\n", "\r"),
    "doubled line ends": TALK.replace("\n", "\r\r\n"), "late first": "\n".join(reversed(TALK.split("\n\n"))),
    "WebVTT": "WEBVTT\n\nNOTE 1\n\nSTYLE\n::cue {}\n\nname\n" + TALK.replace("\n\n", "\n\nNOTE not said\n\n"),
    "WebVTT without empty lines": "WEBVTT\n" + TALK.replace("\n\n", "\n").replace(",", "."),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_subtitles_are_read_however_programs_write_them(tmp_path, form, name, encoding):
    (tmp_path / name).write_bytes(FORMS[form].encode(encoding))
    assert [(w.word, w.start_s, w.end_s) for w in read_transcript(tmp_path / name)] == [
        ("hello", 1.0, 2.0), ("café", 3.5, 4.0)
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["00:00:01,000 -> 00:00:02,000", "00:00:01,000 --> 00:0x", "0:1,0 --> soon"])
def test_a_line_of_times_that_is_wrong_is_no_word(tmp_path, line):
    with pytest.raises(InputError, match=f"a.srt, line 6: '{line}' is not 'start --> end'; correct the file"):
        read(tmp_path / "a.srt", TALK.replace("00:00:03,500 --> 00:00:04,000", line))


TABLE = "word\tstart\tend\nhello\t1.5\t2.25\n"


@pytest.mark.parametrize("text", [TABLE, TABLE.replace(".", ","), TABLE.replace("start\tend", "Start\tEND "),
    TABLE.replace("\n", "\r"), '"word"\t"start"\t"end"\n"hello"\t"1.5"\t"2.25"\n'])  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_tables_of_words_as_spreadsheets_save_them(tmp_path, text, encoding):
    (tmp_path / "a.tsv").write_bytes(text.encode(encoding))
    assert [(w.word, w.start_s, w.end_s) for w in read_transcript(tmp_path / "a.tsv")] == [("hello", 1.5, 2.25)]


texts = st.lists(
    st.sampled_from(["a", "bb", "ccc", "<00:00:01.500>", "<c>", "</c>", "&amp;", "{\\an8}", "[x]", "\n"]), max_size=12
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 9), texts.map(" ".join)), max_size=12))
def test_any_captions_give_ordered_times_and_no_new_words(captions):
    captions = [Cue(text, start_s, start_s + lasts_s) for start_s, lasts_s, text in captions]
    found = without_repeats(captions)
    assert all(c.end_s > c.start_s for c in found)
    shown = [w for c in captions for w in plain(c.text).split()]
    new = [w for c in found for w in c.text.split()]
    assert all(new.count(w) <= shown.count(w) for w in set(new))
    assert set(new) == set(shown), "every word is said at least once"


@settings(deadline=None)
@given(st.lists(st.sampled_from(["नमस्ते", "hello", "你好", "ก"]), min_size=1, max_size=8))
def test_spread_keeps_every_word_in_order(words):
    placed = spread(" ".join(words), 2.0, 5.0, "x")
    assert [w.word for w in placed] == [t for w in words for t in tokens(w)]
    assert all(a.end_s == b.start_s for a, b in pairwise(placed))
