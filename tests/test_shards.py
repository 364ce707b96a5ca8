"""Several recordings share one file of faces, sound and words, and each keeps to itself.

The corpus is one shard: a film of two people, a dialog filmed by two cameras side by side, a video with a supplied crop
folder beside a tracked person, a recording without picture, one that is broken and one of which there is nothing.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from PIL import Image

from models.report.sections import traces
from pipeline.__main__ import main
from pipeline.audio_file import AudioFile
from pipeline.coverage.command import collect
from pipeline.crops import FaceFile
from pipeline.features.base import Extractor
from pipeline.features.pieces import read_pieces
from pipeline.inspect.show import draw
from pipeline.records import Label, Segment, Unit, Word, read_table, write_labels, write_table
from pipeline.words import base, registry
from pipeline.words.place import place_words
from tests.clips import beeps, grid_face, paste, write_clip

A, B, C = "bbaf2n", "brbk7n", "swiz3n"
FPS, RATE, SHARD = 25, 16_000, "00000"
BEEP_S = {"film": 0.2, "dialog": 0.5, "crops": 0.8}  # where each video sounds
UNITS = [
    Unit("film", "videos/film.mkv", shard=SHARD),
    Unit("dialog", "videos/dialog.mkv", transcript="transcripts/dialog.tsv", shard=SHARD),
    Unit("crops", "videos/crops.mkv", shard=SHARD),
    Unit("voice", None, "sounds/voice.wav", shard=SHARD),
    Unit("broken", "videos/broken.mkv", shard=SHARD),
    Unit("nothing", shard=SHARD),
]


def segment(name: str, unit: str, end_s: float = 1.0, start_s: float = 0.0, **more) -> Segment:
    return Segment(name, unit, name, None, None, start_s, end_s, shard=SHARD, **more)


SEGMENTS = [
    segment("film_left", "film", side="left"),
    segment("film_right", "film", side="right"),
    segment("dialog_1", "dialog", picture="left_half", side="left"),
    segment("dialog_2", "dialog", picture="left_half", side="right"),
    segment("dialog_3", "dialog", picture="right_half"),
    segment("tracked", "crops", side="left"),
    segment("supplied", "crops", side="right", crops="crops/supplied"),
    segment("voice_a", "voice", 1.0, text="Well, yes."),
    segment("voice_b", "voice", 2.0, 1.0),
    segment("voice_own", "voice", 2.0, 1.0, audio="sounds/own.wav"),
    segment("broken", "broken"),
    segment("nothing", "nothing"),
]
IDS = [s.segment_id for s in SEGMENTS]


@pytest.fixture(scope="module")
def root(shared, tmp_path_factory):
    """The raw files of the corpus."""
    root = tmp_path_factory.mktemp("corpus")
    for folder in ("videos", "sounds", "transcripts", "crops/supplied"):
        (root / folder).mkdir(parents=True)
    people = {name: grid_face(shared, name) for name in (A, B, C)}
    places = {  # centres of the people in a picture of this width
        "film": (720, [(A, 150), (B, 570)]),
        "dialog": (1440, [(A, 150), (B, 570), (C, 1080)]),
        "crops": (720, [(C, 150), (A, 570)]),
    }
    for name, (width, shown) in places.items():
        frames = [np.full((288, width, 3), (60, 120, 140), np.uint8) for _ in range(FPS)]
        for k, canvas in enumerate(frames):
            for person, centre_x in shown:
                paste(canvas, people[person][k], centre_x)
        sound = beeps([BEEP_S[name]], 1.0, RATE), RATE, 0.0, "pcm_s16le"
        write_clip(root / "videos" / f"{name}.mkv", frames, [k / FPS for k in range(FPS)], sound=sound)
    for k in range(0, FPS, 2):
        Image.fromarray(np.full((112, 112, 3), 9 * k, np.uint8)).save(root / f"crops/supplied/{k + 1:05d}.jpg")
    soundfile.write(root / "sounds/voice.wav", beeps([0.3, 1.4], 2.0, RATE), RATE)
    soundfile.write(root / "sounds/own.wav", beeps([0.7], 1.0, RATE), RATE)
    (root / "videos/broken.mkv").write_text("this is no film")
    (root / "transcripts/dialog.tsv").write_text(
        "word\tstart\tend\tsegment_id\nall\t0.1\t0.4\t\ntheirs\t0.5\t0.7\tdialog_3\nstranger\t0.2\t0.9\tfilm_left\n"
    )
    return root


def stage(*arguments) -> None:
    done = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def results(root, tmp_path_factory):
    """The tables of the corpus, and its faces, sound and words in one file each."""
    results = tmp_path_factory.mktemp("results")
    write_table(results / "units.tsv", UNITS, Unit)
    write_table(results / "segments.tsv", SEGMENTS, Segment)
    write_labels(results / "labels.tsv", [Label(name, "neu") for name in IDS])
    given = ["--root", root, "--tables", results, "--shard", SHARD]
    stage("faces", *given, "--out", results / f"faces/{SHARD}.h5")
    stage("audio", *given, "--out", results / f"audio/{SHARD}.h5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "make", lambda *given: Counting())
        transcribed = ["--audio", results / f"audio/{SHARD}.h5", "--recogniser", "pocketsphinx"]
        stage("words", *given, *transcribed, "--out", results / f"words/{SHARD}.tsv")
    return results


class Counting(base.Recogniser):
    """Finds one word in each stretch of sound, which says how many it has transcribed before."""

    finds_speech = True
    count = 0

    def transcribe(self, samples, sample_rate_hz):
        loud_s = np.flatnonzero(np.abs(samples) > 0.1)[[0, -1]] / sample_rate_hz
        self.count += 1
        return [(f"sound{self.count}", *loud_s)]


def loud_s(track) -> tuple[float, float]:
    """When the first and the last loud sample of a track is."""
    first, last = np.flatnonzero(np.abs(track.samples()) > 0.1)[[0, -1]]
    return track.start_s + first / RATE, track.start_s + last / RATE


def test_faces_of_everybody_are_in_one_file_each_from_the_own_recording_and_part(results):
    faces = FaceFile(results / f"faces/{SHARD}.h5")
    assert list(faces) == sorted(IDS)
    within = {  # in pixels of the full picture: where the test has put the person
        "film_left": (0, 360), "film_right": (360, 720), "dialog_1": (0, 360), "dialog_2": (360, 720),
        "dialog_3": (720, 1440), "tracked": (0, 360),
    }  # fmt: skip
    for name, (left, right) in within.items():
        assert faces[name].valid.all(), name
        x = faces[name].landmarks[:, :, 0]
        assert ((x > left) & (x < right)).all(), name
    # Alice in the film and Alice in the dialog's left half stand at the same place, and so do their landmarks.
    assert np.abs(faces["film_left"].landmarks - faces["dialog_1"].landmarks).max() < 3
    assert np.abs(faces["film_left"].landmarks - faces["tracked"].landmarks).max() > 3


def test_a_recording_has_the_same_faces_alone_and_among_others(root, results, tmp_path):
    together = FaceFile(results / f"faces/{SHARD}.h5")
    for name in ("dialog", "crops"):
        write_table(tmp_path / "units.tsv", [replace(u, shard="") for u in UNITS if u.unit_id == name], Unit)
        write_table(tmp_path / "segments.tsv", [s for s in SEGMENTS if s.unit_id == name], Segment)
        stage("faces", "--root", root, "--tables", tmp_path, "--shard", name, "--out", tmp_path / f"{name}.h5")
        alone = FaceFile(tmp_path / f"{name}.h5")
        for segment_id in alone:
            assert np.array_equal(alone[segment_id].crops(), together[segment_id].crops())
            assert np.array_equal(alone[segment_id].landmarks, together[segment_id].landmarks)
            assert alone[segment_id].reason == together[segment_id].reason


def test_supplied_crops_stand_beside_tracked_faces(results):
    supplied = FaceFile(results / f"faces/{SHARD}.h5")["supplied"]
    assert np.flatnonzero(supplied.valid).tolist() == list(range(0, FPS, 2))
    shown = supplied.crops()[supplied.valid][:, 56, 56, 0]
    assert shown.astype(int) == pytest.approx(9 * np.arange(0, FPS, 2), abs=3)
    assert not supplied.landmarks.any()
    assert supplied.reason == "no crop supplied in 12 of 25 frames"


def test_sound_of_everybody_is_from_the_own_recording_or_file(results):
    audio = AudioFile(results / f"audio/{SHARD}.h5")
    assert list(audio) == sorted(IDS)
    wanted = {s.segment_id: BEEP_S[s.unit_id] for s in SEGMENTS if s.unit_id in BEEP_S}
    wanted |= {"voice_a": 0.3, "voice_b": 1.4, "voice_own": 1.7}
    for name, at_s in wanted.items():
        assert loud_s(audio[name]) == pytest.approx((at_s, at_s + 0.06), abs=0.003), name
        assert audio[name].reason == ""
    assert {name: audio[name].source for name in ("voice_b", "voice_own")} == {
        "voice_b": "video",
        "voice_own": "sentence",
    }


def test_one_bad_recording_costs_itself(results):
    rows = {(row.segment, row.modality): row for row in collect(results, [])}
    lacking = {key for key, row in rows.items() if row.status == "absent"}
    voices = {("voice_a", "video"), ("voice_b", "video"), ("voice_own", "video")}
    assert lacking == voices | {(name, m) for name in ("broken", "nothing") for m in ("video", "audio", "text")}
    assert all(rows[key].reason == "there is no video" for key in voices)
    assert rows["broken", "video"].reason.startswith("video unreadable: not a media file")
    assert rows["broken", "audio"].reason.startswith("video unreadable: not a media file")
    assert rows["broken", "text"].reason.startswith("no word was found: video unreadable")
    assert (rows["nothing", "video"].reason, rows["nothing", "audio"].reason) == (
        "there is no video",
        "there is no sound",
    )


class Text(Extractor):
    """Only to ask for pieces of text."""

    modality = "text"

    def extract(self, batch):
        raise NotImplementedError


SAID = {  # "sound" with the number of the stretch that was transcribed: the people of a video share one, voices do not
    "film_left": ["sound1"], "film_right": ["sound1"], "dialog_1": ["all"], "dialog_2": ["all"],
    "dialog_3": ["all", "theirs"], "tracked": ["sound2"], "supplied": ["sound2"], "voice_a": ["well", "yes"],
    "voice_b": ["sound3"], "voice_own": ["sound4"], "broken": [], "nothing": [],
}  # fmt: skip


def test_words_of_one_recording_reach_nobody_of_another(results):
    jobs = read_pieces(SEGMENTS, results, Text())
    assert {job.segment_id: job.piece.words if job.piece else [] for job in jobs} == SAID
    words = read_table(results / f"words/{SHARD}.tsv", Word)
    assert {w.word: w.unit_id for w in words if w.word.startswith("sound")} == {
        "sound1": "film", "sound2": "crops", "sound3": "voice", "sound4": "voice"
    }  # fmt: skip
    assert {w.word: w.segment_id for w in words if w.word.startswith("sound")} == {
        "sound1": None, "sound2": None, "sound3": "voice_b", "sound4": "voice_own"
    }  # fmt: skip
    times_s = {w.word: (w.start_s, w.end_s) for w in words}
    assert times_s["sound2"] == pytest.approx((0.8, 0.86), abs=0.003)
    assert times_s["sound4"] == pytest.approx((1.7, 1.76), abs=0.003)


def test_coverage_counts_only_the_own_words(results):
    shares = {row.segment: row.valid_fraction for row in collect(results, []) if row.modality == "text"}
    expected = {"film_left": 0.06, "dialog_1": 0.3, "dialog_3": 0.5, "voice_a": 1.0, "broken": 0.0}
    assert {name: shares[name] for name in expected} == pytest.approx(expected, abs=0.005)


def test_pictures_of_a_segment_show_its_words_only(results):
    for s in SEGMENTS:
        if s.unit_id in ("film", "dialog", "voice"):
            axes = [axis for axis in draw(s, results, []).axes if axis.texts]
            assert [text.get_text() for text in axes[-1].texts] == SAID[s.segment_id]
            found = traces._words(SimpleNamespace(folder=results), s)
            assert [word.word for word in found] == SAID[s.segment_id]


def test_a_word_marked_with_a_segment_is_shown_with_it_whenever_it_is_said(tmp_path):
    one = segment("one", "u", 2.0, 1.0)
    said = {
        "marked": (0.2, 0.8, "one"),
        "other": (1.2, 1.4, "two"),
        "within": (1.2, 1.4, None),
        "not": (0.2, 0.8, None),
    }
    words = [Word(word, a, b, "transcript", marked) for word, (a, b, marked) in said.items()]
    write_table(one.prepared(tmp_path, "text"), words, Word)
    assert [word.word for word in traces._words(SimpleNamespace(folder=tmp_path), one)] == ["marked", "within"]


@pytest.mark.parametrize(
    ("changes", "asked_times", "marks"),
    [
        ([{}, {}], 1, {None}),  # the people of a video
        ([{}, {}, {"start_s": 0.5}], 2, {"a", "b", "c"}),  # somebody else is transcribed at another time
        ([{}, {}, {"text": "yes"}], 1, {"a", "b", "c"}),  # somebody's text is known
        ([{}, {"audio": "own.wav"}], 2, {"a", "b"}),  # each has a microphone
        ([{}], 1, {"a"}),
    ],
)
def test_a_stretch_of_sound_that_is_shared_is_transcribed_once(tmp_path, changes, asked_times, marks):
    segments = [replace(segment(name, "u"), **more) for name, more in zip("abc", changes)]
    asked = []

    def recognise(group):
        s = group[0]
        asked.append(s.segment_id)
        return [Word("um", s.start_s, s.start_s + 0.2, "recogniser")]

    words = place_words(tmp_path, UNITS[0], segments, recognise)
    assert len(asked) == asked_times
    assert {w.segment_id for w in words} == marks
    assert {w.unit_id for w in words} == {"film"}
    for s in segments:
        said = [w for w in words if replace(w, unit_id="u").belongs_to(s)]
        assert len(said) == 1
