"""MELD, CREMA-D and RAVDESS on trees in their layouts, with every trap that is known of them."""

import csv
from itertools import product
from math import inf
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora.prepare import read
from pipeline.corpora.readers import cremad, meld, ravdess
from pipeline.corpora.registry import make
from pipeline.corpora.resolve import with_ends
from pipeline.records import InputError, Label, Segment, Unit
from tests.clips import painted, write_clip

LITTER = b"\x00\x05\x16\x07"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 482315\n"


def write(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def said(found, modality: str | None = None) -> list[str]:
    return [f"{f.segment or f.unit}: {f.status}: {f.reason}" for f in found.findings if modality in (None, f.modality)]


# --- MELD --------------------------------------------------------------------------------------------------------

HEADER = [
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode",
    "StartTime", "EndTime",
]  # fmt: skip


def meld_table(root: Path, part: str, rows: list[tuple], encoding: str = "utf-8") -> None:
    """The table of a part; rows hold utterance, speaker, emotion, dialogue, number and perhaps times."""
    with (root / f"{part}_sent_emo.csv").open("w", newline="", encoding=encoding) as stream:
        out = csv.writer(stream)
        out.writerow(HEADER)
        for number, (text, speaker, emotion, dialogue, utterance, *times) in enumerate(rows, start=1):
            times = times or ["00:16:16,059", "0:16:17,100"]
            out.writerow([number, text, speaker, emotion, "neutral", dialogue, utterance, 8, 21, *times])


@pytest.fixture
def friends(tmp_path):
    """A tree of three parts, each trap once."""
    root = tmp_path / "MELD.Raw"
    for name in (
        "train_splits/dia0_utt0",
        "train_splits/dia0_utt1",
        "train_splits/dia7_utt3",
        "train_splits/clip 9",
        "dev_splits_complete/dia0_utt0",
        "output_repeated_splits_test/dia0_utt0",
        "output_repeated_splits_test/dia155_utt3",
        "output_repeated_splits_test/final_videos_testdia0_utt0",
    ):
        write(root / f"{name}.mp4")  # fmt: skip
    write(root / "output_repeated_splits_test" / "._dia0_utt0.mp4", LITTER)
    write(root / "._test_sent_emo.csv", LITTER)
    meld_table(root, "train", [
        ("my company\x92s \x93KL-5\x94, then", "Chandler", "neutral", 0, 0),
        ("You must\x92ve.", "The Interviewer", "joy", 0, 1), ("Gone", "Ross", "sadness", 125, 3),
        ("x", "Ross", "anger", "?", 1), ("a", "Joey", "fear", 9, 9),
        ("b", "Joey", "joy", 9, 9),
    ])  # fmt: skip
    meld_table(root, "dev", [("It’s, well: OK", "Ross's twin", "surprise", 0, 0)], "cp1252")
    meld_table(root, "test", [("Why", "Joey", "disgust", 0, 0), ("No", "Joey", "boredom", 155, 3, *["00:01:01,5"] * 2)])
    return root


def test_meld_has_a_segment_for_each_row_with_a_clip(friends):
    found = read(make("friends", "meld", friends))
    names = ["train_dia0_utt0", "train_dia0_utt1", "dev_dia0_utt0", "test_dia0_utt0", "test_dia155_utt3"]
    assert [u.unit_id for u in found.units] == [s.segment_id for s in found.segments] == names
    assert found.units[0] == Unit(names[0], "train_splits/dia0_utt0.mp4", None, None, "train", names[0])
    assert found.segments[1] == Segment(
        names[1], names[1], "The Interviewer", None, "train", 0.0, inf, dialog="train_dia0", turn=1,
        text="You must’ve.", shard=names[1],
    )  # fmt: skip
    assert found.segments[0].text == "my company’s “KL-5”, then"
    assert found.segments[2].text == "It’s, well: OK"
    assert found.segments[2].speaker == "Ross's twin"
    assert [s.part for s in found.segments] == ["train", "train", "validation", "test", "test"]
    assert len({s.dialog for s in found.segments}) == 4, "dialogues are numbered anew in each part"
    assert [row.label for row in found.labels] == ["neutral", "joy", "surprise", "disgust", "boredom"]


def test_meld_says_what_does_not_fit(friends):
    found = read(make("friends", "meld", friends))
    assert said(found) == [
        "clip_9@" + found.findings[0].unit.split("@")[1]
        + ": absent: train_splits/clip 9.mp4 is not dia<D>_utt<U>.mp4; not used",
        "corpus: partial: 4 quotes and dashes of train_sent_emo.csv are in Windows-1252; read as such",
        "corpus: absent: train_sent_emo.csv, line 5: '?' and '1' are not two numbers; row not used",
        "corpus: absent: train_sent_emo.csv: dialogue 9, utterance 9 is there 2 times, differently; none was used",
        "corpus: partial: 3 rows in train_sent_emo.csv, where the published has 9,989",
        "train_dia125_utt3: absent: no train_splits/dia125_utt3.mp4",
        "train_dia7_utt3: absent: train_splits/dia7_utt3.mp4 has no row in train_sent_emo.csv",
        "corpus: partial: dev_sent_emo.csv is not UTF-8 (line 2, byte 0x92) and was read as Windows-1252",
        "corpus: partial: 1 rows in dev_sent_emo.csv, where the published has 1,109",
        "corpus: partial: 2 rows in test_sent_emo.csv, where the published has 2,610",
        "test_dia155_utt3: partial: emotion 'boredom' is none of neutral, joy, surprise, anger, sadness, disgust, "
        "fear; kept as it is",
    ]  # fmt: skip


def test_meld_clips_last_as_long_as_they_do(friends):
    """Not as long as the table says of the episode; one far longer is said, one that does not decode is, too."""
    clips = friends / "train_splits"
    (friends / "dev_splits_complete" / "dia0_utt0.mp4").write_bytes(b"no video")
    for name, frames in (("dia0_utt0", 25), ("dia0_utt1", 400)):
        write_clip(clips / f"{name}.mp4", [painted(k % 9) for k in range(frames)], np.arange(frames) / 25)
    known = make("friends", "meld", friends)
    found = with_ends(friends, read(known))
    assert [(s.segment_id, round(s.end_s, 2)) for s in found.segments] == [
        ("train_dia0_utt0", 1.0), ("train_dia0_utt1", 16.0),
    ]  # fmt: skip
    assert [f.reason.split(";")[0] for f in found.findings if f.segment == "dev_dia0_utt0"] == [
        "dev_splits_complete/dia0_utt0.mp4: not a media file (Invalid data found when processing input)"
    ]
    assert [f"{f.segment}: {f.reason}" for f in known.review(found)] == [
        "train_dia0_utt1: the clip lasts 16.0 s, the utterance 1.0 s: it holds much else"
    ]


def test_meld_in_part(friends):
    (friends / "dev_sent_emo.csv").unlink()
    for path in (friends / "output_repeated_splits_test").iterdir():
        path.unlink()
    found = read(make("friends", "meld", friends))
    assert {s.part for s in found.segments} == {"train"}
    reasons = said(found)
    assert "corpus: absent: there is no dev_sent_emo.csv: 1 clips of dev_splits_complete unused" in reasons
    assert (
        "corpus: absent: there is no clip in output_repeated_splits_test: nothing of test_sent_emo.csv is used"
        in reasons
    )


def test_meld_tables_of_something_else(friends):
    write(friends / "train_sent_emo.csv", b"text,emotion\nx,joy\n")
    write(friends / "dev_sent_emo.csv", LITTER)
    reasons = said(read(make("friends", "meld", friends)), "label")
    assert reasons[0].startswith("corpus: absent: train_sent_emo.csv has no column Utterance, Speaker, Emotion")
    assert any("dev_sent_emo.csv is not a text file" in reason for reason in reasons)


@given(st.integers(0, 200), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999), st.sampled_from(",."))
def test_meld_times(hours, minutes, seconds, milliseconds, point):
    time = f"{hours}:{minutes:02d}:{seconds:02d}{point}{milliseconds:03d}"
    assert meld._seconds(time) == pytest.approx(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000)


@given(st.text(st.characters(codec="cp1252", exclude_characters="\x81\x8d\x8f\x90\x9d"), max_size=40))
def test_meld_text_that_went_through_latin_1_comes_back(text):
    assert meld.as_written(text.encode("cp1252").decode("latin-1"))[0] == text


# --- CREMA-D -----------------------------------------------------------------------------------------------------


@pytest.fixture
def actors(tmp_path):
    """Three clips with picture and sound, one without sound, one without picture, litter, and a name that is none."""
    root = tmp_path / "CREMA-D"
    for name in ("1001_DFA_ANG_XX", "1001_IEO_HAP_LO", "1091_WSI_NEU_XX", "1002_TAI_SAD_MD"):
        write(root / "VideoFlash" / f"{name}.flv", b"FLV")
    for name in ("1001_DFA_ANG_XX", "1001_IEO_HAP_LO", "1091_WSI_NEU_XX", "1003_MTI_FEA_HI"):
        write(root / "AudioWAV" / f"{name}.wav", b"RIFF")
    write(root / "AudioMP3" / "1001_DFA_ANG_XX.mp3", b"ID3")
    write(root / "AudioWAV" / "._1001_DFA_ANG_XX.wav", LITTER)
    write(root / "AudioWAV" / "1001_DFA_BOR_XX.wav", b"RIFF")
    write(root / "VideoDemographics.csv", b"ActorID,Age,Sex,Race,Ethnicity\n")
    return root


def test_cremad_names_say_all(actors):
    found = read(make("acted", "cremad", actors))
    assert [(u.unit_id, u.video, u.audio) for u in found.units] == [
        ("1001_DFA_ANG_XX", "VideoFlash/1001_DFA_ANG_XX.flv", "AudioWAV/1001_DFA_ANG_XX.wav"),
        ("1001_IEO_HAP_LO", "VideoFlash/1001_IEO_HAP_LO.flv", "AudioWAV/1001_IEO_HAP_LO.wav"),
        ("1002_TAI_SAD_MD", "VideoFlash/1002_TAI_SAD_MD.flv", None),
        ("1003_MTI_FEA_HI", None, "AudioWAV/1003_MTI_FEA_HI.wav"),
        ("1091_WSI_NEU_XX", "VideoFlash/1091_WSI_NEU_XX.flv", "AudioWAV/1091_WSI_NEU_XX.wav"),
    ]
    assert [(s.speaker, s.scenario, s.style) for s in found.segments] == [
        ("1001", "DFA", "unspecified"), ("1001", "IEO", "low"), ("1002", "TAI", "medium"), ("1003", "MTI", "high"),
        ("1091", "WSI", "unspecified"),
    ]  # fmt: skip
    assert [row.label for row in found.labels] == ["ANG", "HAP", "SAD", "FEA", "NEU"]
    assert found.segments[0].text == "Don't forget a jacket."
    assert said(found) == [
        "1001_DFA_BOR_XX: absent: AudioWAV/1001_DFA_BOR_XX.wav: '1001_DFA_BOR_XX' is not "
        "<actor>_<sentence>_<emotion>_<level>, such as 1001_DFA_ANG_XX; not used",
        "1002_TAI_SAD_MD: partial: there is no AudioWAV/1002_TAI_SAD_MD.wav; the sound of the video is used",
        "1003_MTI_FEA_HI: absent: there is no VideoFlash/1003_MTI_FEA_HI.flv",
        "corpus: partial: 5 clips, where the published corpus has 7,442",
    ]


def test_cremad_a_sound_that_is_named_otherwise_is_of_its_clip(actors):
    """The release has ``1040_ITH_SAD_X.wav``, which its table calls ``1040_ITH_SAD_XX``."""
    write(actors / "AudioWAV" / "1040_ITH_SAD_X.wav", b"RIFF")
    for picture in ("X", "XX"):
        path = actors / "VideoFlash" / f"1040_ITH_SAD_{picture}.flv"
        write(path, b"FLV")
        found = read(make("acted", "cremad", actors))
        (unit,) = (u for u in found.units if u.unit_id == "1040_ITH_SAD_XX")
        assert (unit.video, unit.audio) == (f"VideoFlash/{path.name}", "AudioWAV/1040_ITH_SAD_X.wav")
        assert not [line for line in said(found) if "1040" in line]
        assert len(found.segments) == 6
        path.unlink()
    write(actors / "AudioWAV" / "1040_ITH_SAD_XX.wav", b"RIFF")
    (line,) = [line for line in said(read(make("acted", "cremad", actors))) if "another" in line]
    assert "AudioWAV/1040_ITH_SAD_XX.wav: another file there is of the clip 1040_ITH_SAD_XX, too; not used" in line


def test_cremad_sound_is_a_choice(actors):
    found = read(make("acted", "cremad", actors, {"sound": "mp3"}))
    assert [u.audio for u in found.units] == ["AudioMP3/1001_DFA_ANG_XX.mp3", None, None, None]
    found = read(make("acted", "cremad", actors, {"sound": "video"}))
    assert [u.audio for u in found.units] == [None] * 4
    assert said(found) == ["corpus: partial: 4 clips, where the published corpus has 7,442"]


@pytest.mark.parametrize(("gone", "reason"), [
    ("VideoFlash", "corpus: absent: there is no clip in VideoFlash"),
    ("AudioWAV", "corpus: absent: there is no clip in AudioWAV"),
])  # fmt: skip
def test_cremad_without_a_folder(actors, gone, reason):
    for path in (actors / gone).iterdir():
        path.unlink()
    (actors / gone).rmdir()
    found = read(make("acted", "cremad", actors))
    assert len(found.segments) == 4
    assert [line for line in said(found) if "there is no" in line] == [reason]


def test_cremad_pointers_are_no_clips(actors):
    write(actors / "VideoFlash" / "1001_DFA_ANG_XX.flv", POINTER)
    found = read(make("acted", "cremad", actors))
    assert found.units[0].video is None
    said_of_it = "a pointer of Git large-file storage, not the file itself; run git lfs pull"
    assert said(found)[0] == f"1001_DFA_ANG_XX: absent: VideoFlash/1001_DFA_ANG_XX.flv is {said_of_it}"
    for path in (actors / "VideoFlash").iterdir():
        path.write_bytes(POINTER)
    found = read(make("acted", "cremad", actors))
    assert said(found, "video") == [
        "corpus: absent: none of the 4 files of VideoFlash can be used, such as "
        f"VideoFlash/1001_DFA_ANG_XX.flv is {said_of_it}"
    ]
    for path in (actors / "AudioWAV").glob("1*"):
        path.write_bytes(POINTER)
    with pytest.raises(InputError, match=r"corpora.acted.root: no clip in .* a pointer of .*git lfs pull"):
        read(make("acted", "cremad", actors))


@given(st.integers(1001, 1091), *map(st.sampled_from, ([*cremad.SENTENCES], cremad.EMOTIONS, [*cremad.LEVELS])))
def test_cremad_name_parser(actor, sentence, emotion, level):
    assert cremad.parse_name(f"{actor}_{sentence}_{emotion}_{level}") == (str(actor), sentence, emotion, level)
    with pytest.raises(InputError, match="is not <actor>"):
        cremad.parse_name(f"{actor}_{emotion}_{sentence}_{level}")


# --- RAVDESS -----------------------------------------------------------------------------------------------------


def performances(root: Path, actor: str, numbers: str, modalities: str) -> None:
    for modality in modalities.split():
        suffix = "wav" if modality == "03" else "mp4"
        write(root / f"Actor_{actor}" / f"{modality}-{numbers}-{actor}.{suffix}")


@pytest.fixture
def singers(tmp_path):
    """Speech in all modalities, in two, in one; a song; litter; a wrong folder, a wrong kind, a name that is none."""
    root = tmp_path / "RAVDESS"
    performances(root, "01", "01-01-01-01-01", "01 02 03")
    performances(root, "01", "01-05-02-02-01", "02 03")
    performances(root, "12", "01-08-01-02-02", "03")
    performances(root, "12", "01-07-01-02-02", "02")
    performances(root, "24", "02-03-02-01-02", "01 02 03")
    write(root / "Actor_01" / "._01-01-01-01-01-01-01.mp4", LITTER)
    write(root / "Actor_12" / "01-01-01-01-01-01-13.mp4")
    write(root / "Actor_12" / "03-01-01-01-01-01-12.mp4")
    write(root / "Actor_12" / "01-01-09-01-01-01-12.mp4")
    return root


def test_ravdess_is_one_segment_for_each_performance(singers):
    found = read(make("sung", "ravdess", singers))
    assert [(u.unit_id, u.video, u.audio) for u in found.units] == [
        ("01-01-01-01-01-01", "Actor_01/01-01-01-01-01-01-01.mp4", None),
        ("01-05-02-02-01-01", "Actor_01/02-01-05-02-02-01-01.mp4", "Actor_01/03-01-05-02-02-01-01.wav"),
        ("01-07-01-02-02-12", "Actor_12/02-01-07-01-02-02-12.mp4", None),
        ("01-08-01-02-02-12", None, "Actor_12/03-01-08-01-02-02-12.wav"),
    ]
    assert [(s.speaker, s.scenario, s.style) for s in found.segments] == [
        ("01", "01", "normal"), ("01", "02", "strong"), ("12", "02", "normal"), ("12", "02", "normal"),
    ]  # fmt: skip
    assert [row.label for row in found.labels] == ["neutral", "angry", "disgust", "surprised"]
    assert found.segments[1].text == "Dogs are sitting by the door."
    assert said(found) == [
        "01-01-01-01-01-01-13: absent: Actor_12/01-01-01-01-01-01-13.mp4: actor 13 is not that of the folder; not used",
        "01-01-09-01-01-01-12: absent: Actor_12/01-01-09-01-01-01-12.mp4: '01-01-09-01-01-01-12' is not seven numbers "
        "such as 01-01-05-01-02-01-12, modality to actor; not used",
        "03-01-01-01-01-01-12: absent: Actor_12/03-01-01-01-01-01-12.mp4: modality 03 does not go with .mp4; not used",
        "01-05-02-02-01-01: partial: there is no 01-01-05-02-02-01-01.mp4 with picture and sound; used is "
        "Actor_01/02-01-05-02-02-01-01.mp4 and Actor_01/03-01-05-02-02-01-01.wav",
        "01-07-01-02-02-12: absent: there is no 01-01-07-01-02-02-12.mp4 with picture and sound; used is "
        "Actor_12/02-01-07-01-02-02-12.mp4",
        "01-08-01-02-02-12: absent: there is no 01-01-08-01-02-02-12.mp4 with picture and sound; used is "
        "Actor_12/03-01-08-01-02-02-12.wav",
        "corpus: partial: 4 performances of speech, where the published corpus has 1,440",
    ]


def test_ravdess_songs_on_request(singers):
    (unit,) = read(make("sung", "ravdess", singers, {"channel": "song"})).units
    assert unit.video == "Actor_24/01-02-03-02-01-02-24.mp4"
    assert len(read(make("sung", "ravdess", singers, {"channel": "both"})).units) == 5
    for path in (singers / "Actor_24").iterdir():
        path.unlink()
    with pytest.raises(
        InputError, match=r"no performance of song in .*; there are 4 of speech. See the option channel"
    ):
        read(make("sung", "ravdess", singers, {"channel": "song"}))


def test_ravdess_of_the_published_size(tmp_path):
    """24 actors, two statements and repetitions of eight emotions, of which neutral has no strong intensity."""
    shown = [("01", "01"), *product((f"{n:02d}" for n in range(2, 9)), ("01", "02"))]
    for actor, (emotion, intensity), statement, repetition in product(range(1, 25), shown, ("01", "02"), ("01", "02")):
        performances(tmp_path, f"{actor:02d}", f"01-{emotion}-{intensity}-{statement}-{repetition}", "01 03")
    found = read(make("sung", "ravdess", tmp_path))
    assert (len(found.units), found.findings) == (1440, [])
    assert len({s.speaker for s in found.segments}) == 24


@given(st.tuples(*(st.integers(0, n) for n in (4, 3, 9, 3, 3, 3, 25))))
def test_ravdess_name_parser(numbers):
    name = "-".join(f"{n:02d}" for n in numbers)
    if all(1 <= n <= most for n, most in zip(numbers, (3, 2, 8, 2, 2, 2, 24))):
        modality, performance = ravdess.parse_name(name)
        assert modality == name[:2]
        assert [*performance[3:]] == name.split("-")[4:]
        assert performance.emotion == ravdess.EMOTIONS[name[6:8]]
    else:
        with pytest.raises(InputError, match="is not seven numbers"):
            ravdess.parse_name(name)


# --- all of them -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ["iemocap", "affwild2", "meld", "cremad", "ravdess"])
def test_open_corpora_say_what_they_are(reader, tmp_path):
    known = make("x", reader, tmp_path)
    assert known.title
    assert known.citation.startswith("@")
    assert known.citation.count("{") == known.citation.count("}")
    assert set(known.default_labels) <= set(known.official_labels)
    assert known.protocols


@pytest.mark.parametrize(("reader", "holds"), [
    ("meld", r"\*_sent_emo.csv and train_splits or dev_splits_complete"),
    ("cremad", "VideoFlash or AudioWAV or AudioMP3"),
    ("ravdess", r"Actor_\[0-9\]\[0-9\]"),
])  # fmt: skip
def test_wrong_roots_say_what_the_right_one_holds(reader, holds, tmp_path):
    with pytest.raises(InputError, match=rf"corpora.x.root: .* is empty; set corpora.x.root to the folder .*{holds}"):
        make("x", reader, tmp_path).index()


def test_roots_one_level_off(friends, actors, singers):
    for reader, wrong, right in (
        ("meld", friends.parent, friends), ("meld", friends / "train_splits", friends),
        ("cremad", actors / "VideoFlash", actors), ("ravdess", singers / "Actor_01", singers),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"set corpora.x.root to {right}$"):
            make("x", reader, wrong).index()


def test_clips_are_read_as_any_recording(actors):
    """End to end as far as the index goes: sound of its own file, picture of the clip."""
    name = "1001_DFA_ANG_XX"
    write_clip(actors / "VideoFlash" / f"{name}.flv", [painted(k) for k in range(20)], np.arange(20) / 20, codec="flv1")
    soundfile.write(actors / "AudioWAV" / "1003_MTI_FEA_HI.wav", np.zeros(24_000), 16_000)
    found = with_ends(actors, read(make("acted", "cremad", actors)))
    assert [(s.segment_id, round(s.end_s, 3)) for s in found.segments] == [(name, 1.0), ("1003_MTI_FEA_HI", 1.5)]
    assert found.labels == [Label(name, "ANG"), Label("1003_MTI_FEA_HI", "FEA")]
