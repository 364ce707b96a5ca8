"""What comes out of a prediction: tables, subtitles, timeline, page and overlay of answers with known numbers."""

import html
import re
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.apply.answer import Answer, Face, Row, Spoken, spoken
from models.apply.outputs import curves, overlay, page, stretches, subtitles, table, timeline, wording
from models.apply.outputs.player import player
from models.apply.outputs.write import write_outputs
from pipeline.faces.align import TEMPLATE
from pipeline.picture import Converter
from pipeline.records import RESERVED, InputError, Segment, Unit, Word
from pipeline.words.place import place_words
from tests.clips import beeps, ffmpeg, number_in, painted, write_clip
from tests.page import Page

CLASSES = ("anger", "happiness", "sadness")
ODD = 'O\'Brien & <b>"Zoë"</b> 😀, the 2nd'
SWITCH_S = 1.48  # frame 37 of the clip


def classes(**changes) -> Answer:
    """Three turns of two people over four seconds; the first person turns from anger to happiness at SWITCH_S."""
    all_there = {"audio": 1.0, "video": 0.25, "text": 1.0}
    rows = (
        Row("ann", 0.0, SWITCH_S, np.array([0.7, 0.2, 0.1]), np.array([0.05, 0.04, 0.0]), all_there),
        Row("ann", SWITCH_S, 4.0, np.array([0.1, 0.8, 0.1]), np.array([0.123456, 0.1, 0.0]), all_there),
        Row(ODD, 2.0, 3.0, np.array([0.2, 0.3, 0.5]), np.zeros(3), {"audio": 0.5}),
    )
    words = (Spoken("<i>R&D", 0.2, 0.5), Spoken("-->", 0.6, 0.8), Spoken("später", 2.2, 2.6))
    made = Answer(Path("two.mp4"), "self-A+V+T of iemocap", False, False, False, CLASSES, 4.0, rows, words=words)
    return replace(made, **changes)


def numbers(**changes) -> Answer:
    """A hundred frames of 40 ms: valence is -0.5 before SWITCH_S and 0.5 from there; arousal rises."""
    start_s = np.arange(100) / 25
    rows = tuple(
        Row(
            "one",
            t,
            t + 0.04,
            np.array([-0.5 if t < SWITCH_S - 1e-9 else 0.5, k / 100]),
            np.array([0.1, 0.0]),
            {"video": 1.0},
        )
        for k, t in enumerate(start_s.tolist())
    )
    ranges = {"valence": (-1.0, 1.0), "arousal": (-1.0, 1.0)}
    outputs = ("valence", "arousal")
    made = Answer(Path("one.mp4"), "rcma-A+V of affwild2", False, True, True, outputs, 4.0, rows, ranges=ranges)
    return replace(made, **changes)


# Tables.


def test_a_table_has_a_line_for_each_row_and_says_what_is_missing():
    rows = table.table(classes())
    assert rows.columns.tolist() == [
        "person", "start_s", "end_s", "predicted", "p_anger", "p_happiness", "p_sadness", "spread_anger",
        "spread_happiness", "spread_sadness", "observed_audio", "observed_video", "observed_text", "said", "model",
        "demonstration",
    ]  # fmt: skip
    assert rows["predicted"].tolist() == ["anger", "happiness", "sadness"]
    assert rows["said"].tolist() == ["<i>R&D -->", "später", "später"]
    assert rows["observed_text"].isna().tolist() == [False, False, True]
    columns = table.table(numbers()).columns.tolist()
    assert columns[3:5] == ["valence", "arousal"]
    others = {name for name in columns if not name.startswith(("spread_", "observed_"))} - {"valence", "arousal"}
    assert {*others, "recording"} <= RESERVED, "a number that is called so would be lost"
    assert table.table(classes(rows=())).shape == (0, 16)


def turns(*spans: tuple[float, float], person: str = "ann") -> tuple[Row, ...]:
    """Turns, each of which has the words that are marked with its number."""
    one = classes().rows[0]
    return tuple(
        replace(one, person=person, start_s=float(a), end_s=float(b), segment_ids=frozenset([str(k)]))
        for k, (a, b) in enumerate(spans)
    )


def test_what_two_people_say_at_once_is_said_by_each_of_them_alone():
    hers, his = turns((0, 4), (1, 3))
    rows = (hers, replace(his, person="bob"))
    texts = {"0": "I said No. Yes!", "1": "And no"}
    words = [
        Word(text.strip(".!").lower(), k + place, k + place + 0.9, "transcript_even", own, written=text)
        for own, place in (("0", 0.0), ("1", 1.1))
        for k, text in enumerate(texts[own].split())
    ]
    answer = classes(rows=rows, words=spoken(words))
    assert table.table(answer)["said"].tolist() == list(texts.values())
    assert [cue.words for cue in subtitles.cues(answer)] == list(texts.values())
    assert len(answer.words) == 6
    made = Page(page.render(answer, player(answer.source, Path())))
    assert [cell.text for cell in made.with_class("prose")] == list(texts.values())


def test_a_caption_that_everybody_in_view_is_given_is_said_once():
    rows = turns((0, 3), (0, 3), (3, 4))
    texts = ["I said No, no.", "I said No, no.", "No."]
    segments = [
        Segment(str(k), "u", "", None, None, rows[k].start_s, rows[k].end_s, text=t) for k, t in enumerate(texts)
    ]
    words = place_words(Path(), Unit("u"), segments, lambda group: [])
    answer = classes(rows=(rows[0], replace(rows[1], person="bob"), rows[2]), words=spoken(words))
    assert [word.word for word in answer.words] == ["I", "said", "No,", "no.", "No."]
    assert table.table(answer)["said"].tolist() == texts


def test_a_word_that_windows_hear_one_by_one_is_one_word():
    """Windows of 5 s, one each second, each of which hears "no no now" up to 0.1 s away from where it is said."""
    truth = [("no", 4.5, 4.8), ("no", 4.85, 5.1), ("now", 5.15, 5.6)]
    rng, words, windows = np.random.default_rng(1), [], turns(*((k, k + 5) for k in range(6)))
    for row, off_s in zip(windows, rng.permuted(np.linspace(-0.1, 0.1, 6))):
        own = [Word(w, max(a + off_s, row.start_s), min(b + off_s, row.end_s), "recogniser", str(int(row.start_s)))
               for w, a, b in truth if row.start_s <= a and b <= row.end_s]  # fmt: skip
        words += own
    answer = classes(rows=windows, words=spoken(words), duration_s=10.0)
    assert len(words) == 14
    assert [word.word for word in answer.words] == ["no", "no", "now"]
    assert all(abs(word.start_s - a) < 0.11 for word, (_, a, _) in zip(answer.words, truth))
    assert table.table(answer)["said"].tolist() == ["no", *["no no now"] * 4, "now"]
    assert " ".join(cue.words for cue in subtitles.cues(answer)).split() == ["no", "no", "now"]


def test_a_row_without_a_prediction_predicts_nothing():
    row = replace(classes().rows[0], values=np.full(3, np.nan))
    assert table.table(classes(rows=(row,)))["predicted"].tolist() == [None]
    assert subtitles.cues(classes(rows=(row,)))[0].lines == ("nothing predicted",)


@pytest.mark.parametrize("answer", [classes(), numbers(), classes(rows=(), demonstration=True)])
def test_csv_and_parquet_read_back_equal(answer, tmp_path):
    write_outputs(answer, tmp_path, answer.source.stem)
    rows, name = table.table(answer), answer.source.stem
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), rows)
    read = pd.read_csv(tmp_path / f"{name}.csv", keep_default_na=True)
    assert read.columns.tolist() == rows.columns.tolist()
    pd.testing.assert_frame_equal(read.fillna({"said": ""}), rows, atol=5.1e-5, rtol=0, check_dtype=bool(len(rows)))
    assert max(len(text) for text in (tmp_path / f"{name}.csv").read_text().splitlines()) < 250


def test_one_table_of_all_recordings(tmp_path):
    files = []
    for answer in (classes(), numbers()):
        files += [f for f in write_outputs(answer, tmp_path, answer.source.stem) if f.suffix == ".csv"]
    table.join({file: {"recording": file.stem} for file in files}, tmp_path / "all.csv")
    rows = pd.read_csv(tmp_path / "all.csv")
    assert rows["recording"].value_counts().to_dict() == {"one": 100, "two": 3}
    assert rows["valence"].notna().sum() == 100
    for file in files:
        own = rows[rows["recording"] == file.stem].reset_index(drop=True)
        expected = pd.read_csv(file)
        pd.testing.assert_frame_equal(own[expected.columns], expected, check_dtype=False)


def test_nothing_is_written_beside_a_recording_whose_transcript_would_be_lost(tmp_path):
    (tmp_path / "two.vtt").write_text("the transcript")
    with pytest.raises(InputError, match=r"holds the recording two\.mp4.*write into another folder"):
        write_outputs(classes(source=tmp_path / "two.mp4"), tmp_path, "two")
    assert [path.name for path in tmp_path.iterdir()] == ["two.vtt"]


# Subtitles, read by libav's own demuxer.


def read_vtt(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        base = container.streams[0].time_base
        return [
            (float(p.pts * base), float((p.pts + p.duration) * base), bytes(p).decode())
            for p in container.demux()
            if p.size
        ]


def test_subtitles_stand_when_their_turns_do(tmp_path):
    write_outputs(classes(), tmp_path, "two")
    found = read_vtt(tmp_path / "two.vtt")
    assert [cue[:2] for cue in found] == [(0.0, SWITCH_S), (SWITCH_S, 4.0), (2.0, 3.0)]
    assert [html.unescape(cue[2]) for cue in found] == [
        "<i>R&D -->\nann: anger 70 %", "später\nann: happiness 80 %", f"später\n{ODD}: sadness 50 %",
    ]  # fmt: skip
    assert not any(character in text for _, _, text in found for character in "<>")


def test_frames_are_said_phrase_by_phrase(tmp_path):
    said = (Spoken("yes", 0.0, SWITCH_S), Spoken("no", 3.0, 4.0))
    write_outputs(numbers(words=said, demonstration=True), tmp_path, "one")
    found = read_vtt(tmp_path / "one.vtt")
    assert [cue[:2] for cue in found] == [(0.0, SWITCH_S), (SWITCH_S, 3.0), (3.0, 4.0)]
    assert found[0][2] == "yes\nvalence \u22120.50, arousal +0.18 (demonstration)"  # the mean of 0, 0.01 ... 0.36
    assert found[1][2].startswith("valence +0.50")


def test_frames_of_which_nothing_is_predicted_do_not_count_and_those_beyond_the_corpus_are_within_the_picture():
    rows = list(numbers().rows)
    rows[10] = replace(rows[10], values=np.full(2, np.nan))
    rows[20] = replace(rows[20], values=np.array([-0.5, -1.5]))
    answer = numbers(rows=tuple(rows))
    mean = (36 * -0.5 + 63 * 0.5) / 99
    assert stretches.readable(answer)[0].values[0] == pytest.approx(mean)
    assert curves.tracks(answer, most=50)[0].values[5].tolist() == [-0.5, 0.11]
    assert wording.limits(answer, 1) == (-1.5, 1.0)


def test_a_long_turn_is_followed_and_nothing_said_is_lost(tmp_path):
    words = tuple(Spoken(f"word{k}", k / 2, k / 2 + 0.4) for k in range(120))
    row = replace(classes().rows[0], start_s=0.0, end_s=60.0)
    found = subtitles.cues(classes(rows=(row,), words=words, duration_s=60.0))
    assert " ".join(cue.words for cue in found).split() == [word.word for word in words]
    assert all(cue.end_s - cue.start_s < 7 for cue in found)
    assert [a.end_s for a in found[:-1]] == [b.start_s for b in found[1:]]


WITHIN = [(0, 15), (5, 6)]  # seconds of a turn, and of somebody else's within it


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([(0, 4), (1, 5), (2, 6)], [(0, 2.5, 0), (2.5, 3.5, 1), (3.5, 6, 2)]),  # windows, around their middles
        (WITHIN, [(0, 5, 0), (5, 6, 1), (6, 15, 0)]),
        ([(0, 15), (5, 6), (5.5, 7)], [(0, 5, 0), (5, 5.75, 1), (5.75, 7, 2), (7, 15, 0)]),
        ([(0, 10), (1, 12), (2, 9)], [(0, 2, 0), (2, 9, 2), (9, 12, 1)]),
        ([(0, 4), (0, 9)], [(0, 4, 0), (4, 9, 1)]),
        ([(0, 1), (1, 2), (1, 2), (2, 3), (2, 3), (3, 4)], [(0, 1, 0), (1, 2, 2), (2, 3, 4), (3, 4, 5)]),  # frames
    ],
)
def test_what_overlaps_is_shown_one_after_the_other(given, expected):
    assert [(row.start_s, row.end_s, int(*row.segment_ids)) for row in stretches.apart(turns(*given))] == expected


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), max_size=8))
def test_at_each_moment_that_a_row_has_one_is_shown_that_has_it(spans):
    rows = turns(*sorted((a, a + length) for a, length in spans))
    shown = stretches.apart(rows)
    for time_s in np.arange(0, 50, 0.25) + 0.11:
        having = [row.segment_ids for row in rows if row.start_s <= time_s < row.end_s]
        found = [row.segment_ids for row in shown if row.start_s <= time_s < row.end_s]
        assert len(found) == bool(having)
        assert not found or found[0] in having
    assert [row.start_s for row in shown] == sorted(row.start_s for row in shown)
    assert all(row.start_s < row.end_s for row in shown)


def test_a_turn_within_another_takes_no_word_of_it_and_words_of_no_turn_have_subtitles():
    words = tuple(Spoken(f"w{k}", k + 0.1, k + 0.4) for k in range(20))
    found = subtitles.cues(classes(rows=turns(*WITHIN), words=words, duration_s=20.0))
    assert " ".join(cue.words for cue in found).split() == [word.word for word in words]
    assert all(bool(cue.lines) == (cue.start_s < 15) for cue in found)
    assert (found[-1].start_s, found[-1].end_s) == (19.1, 19.4)


def test_of_time_that_nobody_asked_about_no_phrase_tells_a_mean():
    one = numbers().rows[0]
    rows = tuple(
        replace(one, start_s=begin + k / 25, end_s=begin + (k + 1) / 25, values=np.full(2, value))
        for begin, value in ((0, 1.0), (4, -1.0))
        for k in range(25)
    )
    found = stretches.readable(numbers(rows=rows, duration_s=5.0))
    assert [(row.start_s, row.end_s, row.values[0]) for row in found] == [(0, 1, 1.0), (4, 5, -1.0)]
    track = curves.tracks(numbers(rows=rows), most=7)[0]  # steps of eight rows, of which two do not fit
    assert track.time_s.ravel().tolist() == pytest.approx(
        [0, 0.32, 0.32, 0.64, 0.64, 0.96, 0.96, 1, 4, 4.32, 4.32, 4.64, 4.64, 4.96, 4.96, 5]
    )
    assert track.values[:, 0].tolist() == [1, 1, 1, 1, -1, -1, -1, -1]


def test_a_number_that_is_nearly_zero_is_zero():
    assert [wording.value_text(numbers(), 0, value) for value in (-0.004, 0.004, -0.006)] == [
        "+0.00",
        "+0.00",
        "\u22120.01",
    ]


# TextGrids, read by what their format says: every field is a line "name = value", quotes within a text are doubled.


def read_textgrid(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """All intervals of each tier, the blank ones too."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0')
    heads, *parts = re.split(r"^ {4}item \[\d+\]:", text, flags=re.MULTILINE)
    assert int(re.search(r"^size = (\d+)", heads, re.MULTILINE)[1]) == len(parts)
    tiers = {}
    for part in parts:
        name = re.search(r'name = "((?:[^"]|"")*)"', part)[1].replace('""', '"')
        fields = r'xmin = (\S+)\s+xmax = (\S+)\s+text = "((?:[^"]|"")*)"'
        found = [(float(a), float(b), said.replace('""', '"')) for a, b, said in re.findall(fields, part)]
        assert int(re.search(r"intervals: size = (\d+)", part)[1]) == len(found)
        assert [a for a, _, _ in found] == [0.0, *(b for _, b, _ in found[:-1])], "intervals must fill a tier"
        tiers[name] = found
    assert len(tiers) == len(parts)
    return tiers


def said_of(intervals: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    return [interval for interval in intervals if interval[2]]


def test_a_textgrid_has_the_words_and_the_classes_of_everybody(tmp_path):
    third = replace(classes().rows[0], person="the 3rd", start_s=3.5, end_s=4.5)  # longer than the recording
    nothing = replace(classes().rows[0], person="zed", values=np.full(3, np.nan))
    rows = (*classes().rows, third, nothing)
    write_outputs(classes(rows=rows, outputs=('"anger"', "happiness", "sadness")), tmp_path, "two")
    found = read_textgrid(tmp_path / "two.TextGrid")
    assert said_of(found["words"]) == [(0.2, 0.5, "<i>R&D"), (0.6, 0.8, "-->"), (2.2, 2.6, "später")]
    assert found["ann: predicted"] == [(0.0, SWITCH_S, '"anger"'), (SWITCH_S, 4.0, "happiness")]
    assert found[f"{ODD}: predicted"] == [(0.0, 2.0, ""), (2.0, 3.0, "sadness"), (3.0, 4.0, "")]
    assert said_of(found["the 3rd: predicted"]) == [(3.5, 4.0, '"anger"')]
    assert found["zed: predicted"] == [(0.0, 4.0, "")]
    assert len(found) == 5


def test_a_textgrid_has_a_tier_of_each_number_in_the_stretches_of_the_subtitles(tmp_path):
    said = (Spoken("yes", 0.0, SWITCH_S), Spoken("no", 3.0, 4.0))
    write_outputs(numbers(words=said, demonstration=True), tmp_path, "one")
    found = read_textgrid(tmp_path / "one.TextGrid")
    assert [(a, b) for a, b, _ in found["valence (demonstration)"]] == [(0.0, SWITCH_S), (SWITCH_S, 3.0), (3.0, 4.0)]
    assert [text for _, _, text in found["valence (demonstration)"]] == ["-0.500", "0.500", "0.500"]
    assert found["arousal (demonstration)"][0][2] == "0.180"  # the mean of 0, 0.01 ... 0.36


def test_what_overlaps_fits_into_a_textgrid_and_no_word_is_lost(tmp_path):
    words = (Spoken("a", 0.5, 2.0), Spoken("b", 1.0, 1.5), Spoken("c", 1.0, 1.2), Spoken(" ", 3.0, 3.1))
    rows = list(turns((0, 4), (1, 1.5), (1.1, 1.2), (1.3, 3)))
    rows[1], rows[3] = (replace(rows[k], values=np.array([0.1, 0.8, 0.1])) for k in (1, 3))
    write_outputs(classes(words=words, rows=tuple(rows)), tmp_path, "two")
    found = read_textgrid(tmp_path / "two.TextGrid")
    assert said_of(found["words"]) == [(0.5, 1.0, "a"), (1.0, 1.5, "b c")]
    anger, happiness = CLASSES[:2]
    assert found["predicted"] == [
        (0, 1, anger), (1, 1.1, happiness), (1.1, 1.2, anger), (1.2, 1.4, happiness), (1.4, 3, happiness),
        (3, 4, anger),
    ]  # fmt: skip
    write_outputs(classes(words=(), rows=()), tmp_path, "two")
    assert read_textgrid(tmp_path / "two.TextGrid") == {"words": [(0.0, 4.0, "")]}


# Curves.


def test_curves_change_where_predictions_do():
    track = curves.tracks(numbers())[0]
    line = curves.line_path(track, 0, 1.0)
    found = [(float(x), float(y)) for y, x in re.findall(r"[ V]([\d.]+)H([\d.]+)", line)]
    assert max(x for x, y in found if y == 1.5) == SWITCH_S
    assert {y for x, y in found if x > SWITCH_S} == {0.5}
    assert track.at(SWITCH_S) == 37


def test_an_hour_of_frames_keeps_its_means_and_ends():
    answer = numbers()
    rows = tuple(
        replace(answer.rows[0], start_s=k / 25, end_s=(k + 1) / 25, values=np.array([k / 90_000, 0]))
        for k in range(90_000)
    )
    track = curves.tracks(replace(answer, rows=rows, duration_s=3600.0))[0]
    assert len(track.values) <= curves.MAX_POINTS
    assert track.time_s[[0, -1], [0, 1]].tolist() == [0.0, 3600.0]
    assert np.abs(track.values[:, 0] - track.time_s.mean(axis=1) / 3600).max() < 1e-4


def test_faces_that_nobody_predicted_and_gaps_between_them_are_shown():
    time_s = np.array([[0, 1], [1, 2], [2, 3], [3, 4]], float)
    face = Face("zed", time_s, np.zeros((4, 5, 2)), np.array([True, True, False, True]))
    track = curves.tracks(classes(faces=(face,)))[-1]
    assert (track.person, track.seen_s.tolist()) == ("zed", [[0.0, 2.0], [3.0, 4.0]])


# The page.


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Four seconds of numbered pictures with a beep, at 25 frames a second."""
    path = tmp_path_factory.mktemp("clip") / "two.mp4"
    pictures = [painted(k, 320, 192) for k in range(100)]
    sound = (beeps([1.0], 4.0, 48_000), 48_000, 0.0, "aac")
    write_clip(path, pictures, [k / 25 for k in range(100)], sound=sound)
    return path


def test_the_page_says_what_must_be_known_and_shows_names_as_they_are(tmp_path):
    note = "No speech was found in <this> recording."
    write_outputs(classes(demonstration=True, notes=(note,)), tmp_path, "two")
    made = Page((tmp_path / "two.html").read_text())
    assert note in made.with_class("notes")[0].text
    assert "these predictions mean nothing" in made.with_class("banner")[0].text
    assert ODD in [cell.text for cell in made.all("td")]
    assert [word.text for word in made.with_class("word")] == ["<i>R&D", "-->", "später"]
    assert "no such file" in made.with_class("stage")[0].text
    spread = "networks of the ensemble differ in the probability of the predicted class (standard deviation);"
    assert spread in made.all("footer")[0].text


@pytest.mark.parametrize("words", [(), (Spoken("well", 0.2, 0.5),)])
def test_without_words_there_is_no_column_of_them(tmp_path, words):
    write_outputs(classes(words=words), tmp_path, "two")
    made = Page((tmp_path / "two.html").read_text())
    assert ("Words" in [cell.text for cell in made.all("th")]) == bool(words)
    assert bool(made.with_class("prose")) == bool(words)


@pytest.mark.parametrize(("answer", "spread"), [(classes(), "0 %"), (numbers(frames=False), "0.10")])
def test_a_turn_of_which_nothing_is_predicted_has_no_spread(answer, spread):
    one, nothing = answer.rows[-1], np.full(len(answer.outputs), np.nan)
    rows = (one, replace(one, values=nothing, spread=nothing))
    made = Page(page.render(replace(answer, rows=rows, words=()), player(answer.source, Path())))
    found = [[cell.text for cell in row.all("td")][-2] for row in made.all("tr")[1:]]
    assert found == [spread, "–"]


def test_a_notebook_draws_it_in_a_frame():
    frame = Page(page.html(classes())).all("iframe")[0]
    assert Page(frame.attributes["srcdoc"]).by_id("timeline")


def test_small_recordings_are_held_in_the_page_and_others_referred_to(clip, tmp_path, monkeypatch):
    held = player(clip, tmp_path)
    monkeypatch.setattr("models.apply.outputs.player.EMBED_BELOW_BYTES", clip.stat().st_size)
    referred = player(clip, tmp_path)
    assert (held.element, held.type, bool(held.data)) == ("video", "video/mp4", True)
    assert referred.data is None
    assert (tmp_path / referred.address).resolve() == clip.resolve()
    assert not referred.address.startswith("/")
    avi = tmp_path / "old.avi"
    write_clip(avi, [painted(0)] * 5, [k / 25 for k in range(5)], codec="mpeg4")
    refused = player(avi, tmp_path)
    assert refused.element is None
    assert ".avi" in refused.reason
    assert "mpeg4" in refused.reason


# The timeline.


def test_the_timeline_changes_colour_where_the_prediction_does(tmp_path):
    write_outputs(classes(demonstration=True, notes=("To know. " * 40,), outputs=("$a^$", "_b", "ä")), tmp_path, "two")
    with Image.open(tmp_path / "two.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    colours = [np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) for colour in curves.LIGHT[:2]]
    first, second = (np.abs(pixels - colour).sum(axis=2) < 12 for colour in colours)
    row = int(np.argmax((first.sum(axis=1) > 500) & (second.sum(axis=1) > 900)))  # of the strongest class
    axis_px = 120 * np.array([1.6, 16 - 0.4])
    expected_px = axis_px[0] + np.ptp(axis_px) * SWITCH_S / 4
    assert np.flatnonzero(first[row]).max() == pytest.approx(expected_px, abs=1.5)
    assert np.flatnonzero(second[row]).min() == pytest.approx(expected_px, abs=1.5)
    alarm = np.abs(pixels - [255, 233, 201]).sum(axis=2) < 12
    assert alarm[:80].sum() > 5000


@pytest.mark.parametrize("seconds", [1.0, 60.0, 3600.0])
def test_a_timeline_has_a_handful_of_round_ticks_at_any_length(seconds):
    axes = timeline.figure(classes(duration_s=seconds)).axes[-1]
    assert 3 <= len(axes.get_xticks()) <= 17
    assert axes.get_xticklabels()[0].get_text() in ("0:00", "0:00.0")


def test_the_label_of_a_limit_stands_at_its_line():
    made = timeline.figure(classes())
    made.draw_without_rendering()
    axes = made.axes[-1]
    for text, value in zip(axes.get_yticklabels(), (0, 1), strict=True):
        box = text.get_window_extent()
        assert box.y0 + box.height / 2 == pytest.approx(axes.transData.transform((0, value))[1], abs=1.5)


# The overlay.

LEFT_TOP = 100 + 50j  # where the crop's corner lies in the picture


def seen(person: str, time_s: np.ndarray) -> Face:
    """A face whose landmarks are the template's, moved: its crop is the square of 112 pixels at LEFT_TOP."""
    points = np.array([[p.real, p.imag] for p in np.array(TEMPLATE) + LEFT_TOP])
    spans = np.stack([time_s, np.append(time_s[1:], time_s[-1] + 0.04)], axis=1)
    return Face(person, spans, np.repeat(points[None], len(time_s), axis=0), spans[:, 0] < 3.0)


@pytest.fixture(scope="module")
def drawn(clip, tmp_path_factory) -> Path:
    faces = (seen("ann", np.arange(100) / 25),)
    answer = classes(source=clip, faces=faces, demonstration=True)
    return write_outputs(answer, tmp_path_factory.mktemp("drawn"), "two", overlay=True)[5]


def near(pixels: np.ndarray, colour: str) -> np.ndarray:
    return np.abs(pixels.astype(int) - [int(colour[k : k + 2], 16) for k in (1, 3, 5)]).sum(axis=-1) < 90


def test_an_overlay_has_every_picture_at_its_time(drawn):
    with av.open(str(drawn)) as container:
        frames = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    assert [time for time, _ in frames] == pytest.approx((np.arange(100) / 25).tolist(), abs=1e-4)
    # The strip of a demonstration covers the numbers, so the box tells the pictures before and after the switch apart.
    edge_x, edge_y = int(LEFT_TOP.real), int(LEFT_TOP.imag) + 60
    for k, (_, picture) in enumerate(frames):
        expected = None if k >= 75 else curves.DARK[0] if k < 37 else curves.DARK[1]
        beside, inside = picture[edge_y, edge_x - 1 : edge_x + 1], picture[edge_y, edge_x + 20]
        assert not near(inside, curves.DARK[0])
        assert not near(inside, curves.DARK[1])
        for colour in curves.DARK[:2]:
            assert near(beside, colour).any() == (colour == expected), (k, beside)
    assert near(frames[0][1][2:6, 2:40], "#ffe9c9").mean() > 0.9


@pytest.mark.parametrize("lacking", [set(), {"libx264"}])
def test_an_overlay_without_anything_to_draw_is_the_recording_with_its_sound(tmp_path, monkeypatch, lacking):
    """Of uneven frame times and an odd size, with sound that starts before the picture and ends after it."""
    path, times_s = tmp_path / "two.mp4", [0.25 + k / 20 + 0.01 * (k % 3) for k in range(60)]
    sound = beeps([1.25], 4.0, 44_100)
    write_clip(
        path, [painted(k, 161, 97) for k in range(60)], times_s, pixels="yuv444p", sound=(sound, 44_100, 0.0, "aac")
    )
    out = tmp_path / "out.mp4"
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - lacking)
    overlay.write_overlay(classes(source=path, rows=()), out)
    with av.open(str(out)) as container:
        assert container.streams.video[0].codec_context.name == ("mpeg4" if lacking else "h264")
        frames = [(f.time, number_in(f.to_ndarray(format="rgb24"))) for f in container.decode(video=0)]
    assert [number for _, number in frames] == list(range(60))
    assert [time for time, _ in frames] == pytest.approx([t - 0.25 for t in times_s], abs=1e-3)
    with av.open(str(out)) as container:
        heard = [(f.time, f.to_ndarray().mean(axis=0)) for f in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    samples = np.concatenate([block for _, block in heard])
    assert rate == 44_100
    assert heard[0][0] + len(samples) / rate == pytest.approx(3.75, abs=0.05)
    loud = heard[0][0] + np.flatnonzero(np.abs(samples) > 0.2) / rate
    assert (loud.min(), loud.max()) == pytest.approx((1.0, 1.06), abs=0.01)


def test_a_picture_that_damage_keeps_from_being_shown_costs_an_overlay_only_itself(clip, tmp_path, monkeypatch, caplog):
    convert, asked = Converter.rgb, []

    def failing(*given):
        asked.append(1)
        if len(asked) == 20:
            raise av.error.InvalidDataError(1, "Invalid argument")
        return convert(*given)

    monkeypatch.setattr(Converter, "rgb", failing)
    overlay.write_overlay(classes(source=clip, rows=()), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        times_s = [frame.time for frame in container.decode(video=0)]
    assert times_s == pytest.approx([k / 25 for k in range(100) if k != 19], abs=1e-4)
    assert "damaged pictures that are left out of the overlay: 1" in caplog.text


def test_sound_whose_layout_and_rate_change_is_kept(tmp_path):
    """Two halves of a broadcast, of mono and of stereo: the second begins a picture early, at 1.96 s of the first."""
    parts = []
    for k, (rate, layout) in enumerate([(44_100, "mono"), (48_000, "stereo")]):
        tone = f"aevalsrc=0.6*cos(2000*PI*t)*between(t\\,1\\,1.06):s={rate}:c={layout}:d=2"
        inputs = ["-f", "lavfi", "-i", "testsrc=s=160x96:r=25:d=2", "-f", "lavfi", "-i", tone]
        parts.append(tmp_path / f"{k}.ts")
        ffmpeg(*inputs, "-c:v", "mpeg2video", "-bf", 0, "-c:a", "mp2", "-output_ts_offset", 2 * k, parts[-1])
    (tmp_path / "two.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    overlay.write_overlay(classes(source=tmp_path / "two.ts", rows=()), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        heard = [(f.time, f.to_ndarray().mean(axis=0)) for f in container.decode(audio=0)]
    time_s = np.concatenate([start_s + np.arange(len(block)) / 44_100 for start_s, block in heard])
    loud_s = time_s[np.abs(np.concatenate([block for _, block in heard])) > 0.2]
    for beep_s in (1.0, 2.96):  # a second behind the first picture of each
        own_s = loud_s[np.abs(loud_s - beep_s) < 0.5]
        assert (own_s.min(), own_s.max()) == pytest.approx((beep_s, beep_s + 0.06), abs=0.03)


def test_a_recording_of_which_no_picture_can_be_shown_keeps_everything_but_the_overlay(clip, tmp_path, caplog):
    path = tmp_path / "two.mp4"
    with av.open(str(clip)) as whole, av.open(str(path), "w") as out:
        streams = [out.add_stream_from_template(stream) for stream in whole.streams]
        for packet in (packet for packet in whole.demux() if packet.dts is not None):
            copy = av.Packet(bytes(packet.size) if packet.stream.type == "video" else bytes(packet))
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.stream, copy.is_keyframe = streams[packet.stream.index], packet.is_keyframe
            out.mux(copy)
    written = write_outputs(classes(source=path), tmp_path / "out", "two", overlay=True)
    assert "no overlay is made: no frame can be decoded" in caplog.text
    assert [path.name.partition(".")[2] for path in written] == ["csv", "parquet", "vtt", "TextGrid", "png", "html"]
    assert sorted(written) == sorted((tmp_path / "out").iterdir())


def test_a_label_is_read_whole_below_the_strip_of_a_demonstration():
    """Of a face at the very top of the picture."""
    high = seen("ann", np.arange(100) / 25)
    high.landmarks[..., 1] -= LEFT_TOP.imag + 20
    grey = np.full((300, 320, 3), 128, np.uint8)
    picture = overlay.Artist(classes(faces=(high,), demonstration=True)).draw(grey, 0.0)
    text = overlay.label("ann\nanger 70 %", curves.DARK[0], 11)
    strip_px = overlay.label(wording.WARNING, overlay.ALARM, 11, overlay.ALARM_PLATE).shape[0]
    place = picture[strip_px : strip_px + text.shape[0], int(LEFT_TOP.real) :][:, : text.shape[1]]
    assert (place == text).all()


def test_people_out_of_view_do_not_cover_the_picture():
    """Of whom a face is followed; those of whom nobody looked for one have a label while something is predicted."""
    grey = np.full((300, 320, 3), 128, np.uint8)
    rows = tuple(row for k in range(8) for row in turns((0, 2), person=f"person {k}"))
    faces = tuple(seen(f"person {k}", np.array([3.5 if k else 0.0])) for k in range(8))
    artist = overlay.Artist(classes(rows=rows, faces=faces))
    picture = artist.draw(grey.copy(), 0.0)
    text = overlay.label("person 0\nanger 70 %", curves.DARK[0], 11)
    left, top = overlay.box_at(faces[0], 0.0).min(axis=0).astype(int)
    assert (picture[top - 2 - text.shape[0] : top - 2, left : left + text.shape[1]] == text).all()
    assert (picture[170:] == 128).all(), "nothing stands below the one face"
    assert (artist.draw(grey.copy(), 1.0) == 128).all(), "nobody is in view"
    artist = overlay.Artist(classes(rows=rows[:2]))
    assert (artist.draw(grey.copy(), 1.0)[200:, :100] != 128).any()
    assert (artist.draw(grey.copy(), 3.0) == 128).all()


def test_a_box_glides_between_looked_at_frames_and_is_gone_where_the_face_is():
    face = seen("ann", np.array([0.0, 0.2, 2.9, 3.1]))
    face.landmarks[1] += [10, 0]
    assert overlay.box_at(face, 0.0)[0] == pytest.approx((100, 50))
    assert overlay.box_at(face, 0.1)[[0, 2]] == pytest.approx(np.array([[105, 50], [217, 162]]))
    assert overlay.box_at(face, 1.0)[0] == pytest.approx((110, 50))  # too far from the next to glide
    assert overlay.box_at(face, 3.2) is None
    assert overlay.box_at(None, 0.0) is None


def test_sound_alone_has_a_page_that_plays_it_and_no_overlay(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "voice.wav", beeps([1.0], 2.0, 16_000), 16_000)
    written = write_outputs(classes(source=tmp_path / "voice.wav"), tmp_path / "out", "voice", overlay=True)
    assert [path.name.partition(".")[2] for path in written] == ["csv", "parquet", "vtt", "TextGrid", "png", "html"]
    assert Page(written[-1].read_text()).by_id("media").tag == "audio"
