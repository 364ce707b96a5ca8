"""The sound of segments lies at their times, whatever the file does; what is missing is said."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from pipeline.audio import audio, write_audio
from pipeline.audio_file import AudioFile, AudioWriter
from pipeline.container import MediaError
from pipeline.coverage.states import of_sound
from pipeline.records import InputError, Segment, Unit, write_table
from pipeline.sound import read_audio
from tests.clips import beeps, ffmpeg, painted, write_clip

RATE = 16_000
UNIT = Unit("Ses01F_impro01", "Session1/dialog/avi/DivX/Ses01F_impro01.avi")
SENTENCES = "Session1/sentences/wav/Ses01F_impro01"


def segment(name, start_s, end_s, audio=None):
    return Segment(name, UNIT.unit_id, "Ses01F", "1", None, start_s, end_s, "left", audio=audio)


def make_video(root, seconds=4.0, at_s=(0.5, 1.5, 2.5), offset_s=0.0, name=UNIT.video, codec="pcm_s16le"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = int(seconds * 25)
    sound = None if at_s is None else (beeps(at_s, seconds, RATE), RATE, 1 + offset_s, codec)
    times = [Fraction(k, 25) + 1 for k in range(frames)]
    write_clip(path, [painted(k) for k in range(frames)], times, "mpeg4" if name.endswith("avi") else "libx264", sound)
    return path


def read(root, segments, unit=UNIT):
    out = root / "audio.h5"
    write_audio(root, [(unit, segments)], out)
    return AudioFile(out)


def test_overlapping_segments_get_their_own_sound(tmp_path):
    make_video(tmp_path, name="x.mkv")
    unit = Unit(UNIT.unit_id, "x.mkv")
    file = read(tmp_path, [segment("b", 0.25, 1.75), segment("a", 1.4, 3.0)], unit=unit)
    assert list(file) == ["a", "b"]
    loud = {name: np.flatnonzero(np.abs(file[name].samples()) > 0.1) / RATE + file[name].start_s for name in file}
    for name, times in {"a": (1.5, 2.5), "b": (0.5, 1.5)}.items():
        expected = np.concatenate([np.arange(t, t + 0.06, 1 / RATE) for t in times])
        assert loud[name].min() == pytest.approx(expected.min(), abs=0.002)
        assert loud[name].max() == pytest.approx(expected.max(), abs=0.002)
        assert file[name].reason == ""
        assert file[name].duration_s == pytest.approx({"a": 1.6, "b": 1.5}[name], abs=1 / RATE)
    assert np.array_equal(file["a"].samples(100, 200), file["a"].samples()[100:200])


@pytest.mark.parametrize(("offset_s", "says"), [(0.6, "sound begins 0.60 s late"), (-0.6, "sound ends 0.60 s early")])
def test_late_and_early_sound_is_zero_outside_of_what_was_heard(tmp_path, offset_s, says):
    make_video(tmp_path, offset_s=offset_s, name="x.mkv", at_s=(0.8, 1.5))
    track = read(tmp_path, [segment("a", 0.0, 4.0)], unit=Unit("Ses01F_impro01", "x.mkv"))["a"]
    ((begin_s, end_s),) = track.observed_s
    assert begin_s == pytest.approx(max(offset_s, 0), abs=0.01)
    assert end_s == pytest.approx(min(4.0 + offset_s, 4.0), abs=0.05)
    samples = track.samples()
    assert not samples[: int(begin_s * RATE)].any()
    assert not samples[int(np.ceil(end_s * RATE)) + 1 :].any()
    loud_s = np.flatnonzero(np.abs(samples) > 0.1)[0] / RATE
    assert loud_s == pytest.approx(0.8 + offset_s, abs=0.003)
    assert says in track.reason


def test_sentences_are_preferred_and_fall_back_to_the_video(tmp_path):
    make_video(tmp_path)
    folder = tmp_path / SENTENCES
    folder.mkdir(parents=True)
    wave = np.random.default_rng(0).normal(0, 0.1, RATE)
    soundfile.write(folder / "right.wav", wave, RATE)
    soundfile.write(folder / "long.wav", np.tile(wave, 2), RATE)
    soundfile.write(folder / "fast.wav", beeps([0.3], 1.0, 48_000), 48_000)
    (folder / "broken.wav").write_text("this is no sound")
    names = ["right", "long", "fast", "broken", "missing"]
    own = [segment(name, 1.0, 2.0, f"{SENTENCES}/{name}.wav") for name in names]
    file = read(tmp_path, [*own, segment("later", 3.0, 4.0)])
    from_file = {name for name in file if file[name].source == "sentence"}
    assert from_file == {"right", "long", "fast"}
    truth, _ = soundfile.read(folder / "right.wav", dtype="float32")
    assert np.array_equal(file["right"].samples(), truth)
    assert file["right"].reason == ""
    assert file["long"].reason == "sound file lasts 2.00 s, the segment 1.00 s"
    assert len(file["long"]) == RATE
    assert np.flatnonzero(np.abs(file["fast"].samples()) > 0.1)[0] / RATE == pytest.approx(0.3, abs=0.002)
    assert file["missing"].reason == "sound file missing: cut from the recording"
    assert file["broken"].reason.startswith("sound file unusable (not a media file")
    heard_s = np.flatnonzero(np.abs(file["missing"].samples()) > 0.1)[0] / RATE
    assert heard_s == pytest.approx(0.5, abs=0.002)


def test_what_a_coder_puts_around_a_sentence_is_no_part_of_its_length(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "sine=300:d=5.37:r=16000", tmp_path / "a.mp3")
    track = read(tmp_path, [segment("a", 1.0, 6.37, "a.mp3"), segment("b", 20, 21)], unit=unit_of("absent.mkv"))["a"]
    assert (track.source, track.reason) == ("sentence", "")


def test_microphones_that_ran_through_a_recording_count_in_its_time(tmp_path):
    """One of each speaker: what several segments name, or lasts as long as all of them, begins with none of them."""
    make_video(tmp_path, name="x.mkv", seconds=8.0, at_s=(7.5,))
    for name, at_s in {"ann": (1.5, 5.5), "bob": (3.5,)}.items():
        soundfile.write(tmp_path / f"{name}.wav", beeps(at_s, 9.0, RATE), RATE)
    soundfile.write(tmp_path / "cut.wav", beeps([0.25], 1.0, RATE), RATE)
    plan = {"ann_1": (1, 2, "ann"), "ann_2": (5, 6, "ann"), "bob_1": (3, 4, "bob"), "cut": (6, 7, "cut")}
    segments = [segment(name, a, b, f"{sound}.wav") for name, (a, b, sound) in plan.items()]
    file = read(tmp_path, [*segments, segment("video", 7.0, 8.0)], unit=unit_of("x.mkv"))
    onsets_s = {
        name: np.flatnonzero(np.abs(file[name].samples()) > 0.1)[0] / RATE + file[name].start_s for name in file
    }
    assert onsets_s == pytest.approx({"ann_1": 1.5, "ann_2": 5.5, "bob_1": 3.5, "cut": 6.25, "video": 7.5}, abs=0.002)
    assert {name for name in file if file[name].source == "sentence"} == plan.keys()
    lasts = (
        "sound file lasts 9.00 s, the segment 1.00 s: as long as the recording, of which it is taken to be the sound"
    )
    assert {name: file[name].reason for name in file} == {**dict.fromkeys(file, ""), "bob_1": lasts}
    (tmp_path / "ann.wav").write_text("this is no sound")
    file = read(tmp_path, [*segments, segment("ann_3", 7.0, 8.0, "ann.wav")], unit=unit_of("x.mkv"))
    assert {file[name].reason[:20] for name in ("ann_1", "ann_2", "ann_3")} == {"sound file unusable "}
    assert np.flatnonzero(np.abs(file["ann_3"].samples()) > 0.1)[0] / RATE == pytest.approx(0.5, abs=0.002)


def test_a_microphone_without_a_sample_is_cut_from_the_recording(tmp_path):
    make_video(tmp_path, name="x.mkv", seconds=8.0, at_s=(1.5, 5.5))
    soundfile.write(tmp_path / "ann.wav", np.zeros(0), RATE)
    segments = [segment(str(k), k, k + 1.0, "ann.wav") for k in (1.0, 5.0)]
    for track in read(tmp_path, segments, unit=unit_of("x.mkv")).values():
        assert track.reason == "sound file unusable (no sample can be decoded): cut from the recording"
        assert np.flatnonzero(np.abs(track.samples()) > 0.1)[0] / RATE == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize(("seconds", "first"), [(10.0, 2), (9.5, 2), (8.5, 0), (8.0, 0), (40.0, 2)])
def test_a_file_of_one_segment_begins_with_what_its_length_is_nearer_to(tmp_path, seconds, first):
    """The segment lies at 2 to 10 s, and each second of the file is louder than the one before."""
    soundfile.write(tmp_path / "m.wav", np.repeat(np.arange(1, 41) / 100, RATE)[: int(seconds * RATE)], RATE)
    read_from = read(tmp_path, [segment("a", 2.0, 10.0, "m.wav")], unit=unit_of("absent.mkv"))["a"]
    assert round(read_from.samples()[RATE // 2] * 100) - 1 == first
    taken = f"sound file lasts {seconds:.2f} s, the segment 8.00 s: as long as the recording, of which it is taken to"
    assert read_from.reason.startswith(taken) == (first == 2)


def test_a_sound_file_that_may_begin_with_its_segment_or_with_the_recording_is_not_heard(tmp_path):
    for name, seconds in {"long": 8.0, "first": 8.0, "padded": 8.0, "all": 58.0, "short": 1.0}.items():
        soundfile.write(tmp_path / f"{name}.wav", np.full(int(seconds * RATE), 0.1), RATE)
    plan = {"long": (1, 2), "first": (0, 1), "padded": (50, 52), "all": (3, 4), "short": (59, 60)}
    segments = [segment(name, *times, f"{name}.wav") for name, times in plan.items()]
    file = read(tmp_path, segments, unit=unit_of("absent.mkv"))
    states = of_sound(tmp_path / "audio.h5", segments)
    assert {name: str(state.status) for name, state in states.items()} == {
        "long": "absent", "first": "ok", "padded": "ok", "all": "ok", "short": "ok",
    }  # fmt: skip
    assert not file["long"].samples().any()
    assert states["long"].reason == (
        "sound file lasts 8.00 s, the segment 1.00 s: whether it begins with the segment or with the recording is not "
        "clear; cut it to the segment"
    )
    assert states["padded"].reason == "sound file lasts 8.00 s, the segment 2.00 s"


def test_a_padded_sentence_of_a_long_recording_is_no_sound_of_all_of_it(tmp_path):
    """Its only turn lasts from 1 to 3 s; each tenth of a second of the file is louder than the one before."""
    make_video(tmp_path, 20.0, name="x.mkv")
    soundfile.write(tmp_path / "a.wav", np.repeat(np.arange(1, 27) / 100, RATE // 10), RATE)
    track = read(tmp_path, [segment("a", 1.0, 3.0, "a.wav")], unit=unit_of("x.mkv"))["a"]
    assert (track.source, track.reason) == ("sentence", "sound file lasts 2.60 s, the segment 2.00 s")
    assert track.samples()[RATE // 20 :: RATE // 10] == pytest.approx(np.arange(1, 21) / 100, abs=1e-3)


def test_nothing_is_left_of_a_sentence_file_that_breaks_midway(tmp_path, monkeypatch):
    """What it gave before is not of the recording either, which here begins late, or is not there at all."""

    def breaks(path):
        if path.suffix != ".wav":
            yield from read_audio(path)
            return
        yield 0.0, np.full(RATE, 0.5, np.float32)
        raise MediaError(path, "impossible time stamps", "replace the file")

    monkeypatch.setattr("pipeline.audio.read_audio", breaks)
    make_video(tmp_path, offset_s=0.6, name="x.mkv", at_s=(0.8, 1.5))
    soundfile.write(tmp_path / "a.wav", np.full(2 * RATE, 0.5), RATE)
    track = read(tmp_path, [segment("a", 0.0, 2.0, "a.wav")], unit=unit_of("x.mkv"))["a"]
    assert track.reason.startswith("sound file unusable (impossible time stamps): cut from the recording; sound begins")
    assert not track.samples()[: int(track.observed_s[0, 0] * RATE)].any()
    assert np.abs(track.samples()).max() > 0.1
    alone = read(tmp_path, [segment("a", 0.0, 2.0, "a.wav")], unit=unit_of("absent.mkv"))["a"]
    assert (len(alone), len(alone.observed_s)) == (2 * RATE, 0)
    assert not alone.samples().any()


def test_what_cannot_be_heard_is_said(tmp_path, caplog):
    caplog.set_level("INFO")
    make_video(tmp_path, at_s=None, name="mute.mp4")
    make_video(tmp_path, at_s=(), name="silent.mkv")
    make_video(tmp_path, name="short.mkv")
    (tmp_path / "text.avi").write_text("not a video")

    def reason(video, start_s=0.0, end_s=1.0):
        track = read(tmp_path, [segment("a", start_s, end_s)], unit=Unit("u", video))["a"]
        assert len(track) == RATE * (end_s - start_s)
        return track.reason, track.observed_s.tolist()

    assert reason("mute.mp4") == ("no audio stream", [])
    assert reason("silent.mkv")[0] == "silent"
    assert reason("text.avi")[0].startswith("video unreadable: not a media file")
    assert reason("absent.avi")[0] == "video unreadable: no such file"
    for unit in (Unit("u", audio="absent.wav"), Unit("u", "short.mkv", "absent.wav")):
        track = read(tmp_path, [segment("a", 0.0, 1.0)], unit=unit)["a"]
        assert track.reason == "sound file unreadable: no such file"
    assert reason("short.mkv", 3.0, 6.0)[0].startswith("sound ends 2.0")
    assert reason("short.mkv", 7.0, 8.0) == ("starts 3.00 s after the sound ends", [])
    assert "sound of short.mkv, blocks: " in caplog.text


def test_a_turn_of_the_real_corpus_is_its_sentence_and_its_part_of_the_dialog(real_corpora, truth, tmp_path):
    root = real_corpora / "IEMOCAP_full_release"
    turns = {k: v for k, v in truth["iemocap"].items() if v["dialog"] == "Ses01F_impro01"}
    segments = [segment(name, turn["start_s"], turn["end_s"]) for name, turn in turns.items()]
    dialog, _ = soundfile.read(root / "Session1" / "dialog" / "wav" / "Ses01F_impro01.wav", dtype="float32")
    write_audio(root, [(UNIT, segments)], tmp_path / "v.h5")
    own = [replace(s, audio=f"{SENTENCES}/{s.segment_id}.wav") for s in segments]
    write_audio(root, [(UNIT, own)], tmp_path / "s.h5")
    sentences, cut = AudioFile(tmp_path / "s.h5"), AudioFile(tmp_path / "v.h5")
    for name, turn in turns.items():
        first = round(turn["start_s"] * RATE)
        part = dialog[first : first + len(cut[name])]
        assert np.abs(cut[name].samples() - part).max() < 1e-4
        if name not in ("Ses01F_impro01_F001", "Ses01F_impro01_M001"):  # these two overlap: their sounds are added
            assert np.abs(sentences[name].samples() - cut[name].samples()).max() < 1e-4
        assert sentences[name].reason == cut[name].reason == ""


def test_late_audio_of_the_real_corpus(real_corpora, tmp_path):
    root = real_corpora / "AffWild2"
    video = next((root / "videos").rglob("late-audio.mp4")).relative_to(root)
    segments = [Segment("late-audio", "late-audio", "s", None, "train", 0.0, 12.0, "whole")]
    write_audio(root, [(Unit("late-audio", str(video)), segments)], tmp_path / "a.h5")
    samples = AudioFile(tmp_path / "a.h5")["late-audio"].samples()
    assert not samples[: int(0.43 * RATE)].any()
    # The voice repeats every three seconds; the first repetition begins at 0.5 + 3 s.
    a, b = samples[int(0.5 * RATE) : int(3.4 * RATE)], samples[int(3.5 * RATE) : int(6.4 * RATE)]
    assert np.corrcoef(a, b)[0, 1] > 0.95


def test_command(tmp_path):
    make_video(tmp_path, name="x.mkv")
    write_table(tmp_path / "units.tsv", [Unit("u", "x.mkv", shard="0"), Unit("v", "y.mkv", shard="0")], Unit)
    segments = [Segment(name, name, name, None, "train", 0.0, 4.0, shard="0") for name in "uv"]
    write_table(tmp_path / "segments.tsv", segments, Segment)
    arguments = ["--root", tmp_path, "--tables", tmp_path, "--out", tmp_path / "audio.h5"]

    def run(*more):
        return CliRunner().invoke(audio, [str(a) for a in (*arguments, *more)], catch_exceptions=True)

    assert run("--shard", "0").exit_code == 0
    file = AudioFile(tmp_path / "audio.h5")
    assert (file["u"].reason, file["v"].reason) == ("", "video unreadable: no such file")
    assert isinstance(run("--shard", "1").exception, InputError)


def test_audio_file_refuses_what_is_none(tmp_path):
    (tmp_path / "x.h5").write_text("text")
    with pytest.raises(InputError, match="not an audio file"):
        AudioFile(tmp_path / "x.h5")
    with AudioWriter(tmp_path / "empty.h5", {}):
        pass
    assert len(AudioFile(tmp_path / "empty.h5")) == 0
    with pytest.raises(IndexError), AudioWriter(tmp_path / "y.h5", {"a": (0.0, 10)}) as writer:
        writer.write("a", 5, np.zeros(6))
    assert not (tmp_path / "y.h5").exists(), "a file that was not finished is not left behind"


# --- sound that is not there -----------------------------------------------------------


def with_hole(tmp_path, name, codec, first, last):
    """20 s of a tone in which the packets ``first`` to ``last`` are missing."""
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:d=20", "-f", "lavfi", "-i", "sine=440:d=20:r=48000",
           "-c:v", "libx264", "-c:a", codec, "-shortest", tmp_path / f"whole.{name}")  # fmt: skip
    drop = f"noise=drop=between(n\\,{first}\\,{last})"
    ffmpeg("-i", tmp_path / f"whole.{name}", "-c", "copy", "-bsf:a", drop, tmp_path / name)
    return read(tmp_path, [segment("a", 0.0, 20.0), segment("b", 7.0, 9.0), segment("c", 1.0, 3.0)], unit=unit_of(name))


def unit_of(name):
    return Unit("Ses01F_impro01", name)


HOLES = {  # packets lost: seconds lost
    "x.mkv": ("aac", 235, 702, (235 * 1024 / 48_000, 703 * 1024 / 48_000)),
    "x.mp4": ("aac", 235, 702, (235 * 1024 / 48_000, 703 * 1024 / 48_000)),
    "y.mkv": ("libopus", 250, 749, (5.0, 15.0)),
    "z.mkv": ("pcm_s16le", 235, 702, (235 * 1024 / 48_000, 703 * 1024 / 48_000)),
}


@pytest.mark.parametrize("name", HOLES)
def test_a_hole_in_the_sound_is_not_heard(tmp_path, name):
    codec, first, last, (from_s, to_s) = HOLES[name]
    file = with_hole(tmp_path, name, codec, first, last)
    track = file["a"]
    assert track.observed_s == pytest.approx(np.array([[0.0, from_s], [to_s, 20.0]]), abs=0.06)
    assert track.reason == f"no sound for {np.diff(track.observed_s.ravel())[1]:.2f} s in between"
    samples = track.samples()
    begin, end = (round((s + d) * RATE) for s, d in ((from_s, 0.06), (to_s, -0.06)))
    assert not samples[begin:end].any()
    around = [samples[round((t - 0.5) * RATE) : round(t * RATE)] for t in (from_s - 0.1, to_s + 0.7)]
    assert all(np.abs(part).mean() > 0.03 for part in around)
    assert (len(file["b"].observed_s), file["b"].reason) == (0, "no sound in it")
    assert (file["c"].observed_s.tolist(), file["c"].reason) == ([[1.0, 3.0]], "")


def test_features_of_a_hole_are_invalid_and_coverage_says_so(tmp_path):
    from pipeline.coverage.states import of_sound
    from pipeline.features.mfcc import Mfcc
    from pipeline.features.pieces import own_rows, read_pieces

    codec, first, last, (from_s, to_s) = HOLES["z.mkv"]
    with_hole(tmp_path, "z.mkv", codec, first, last)
    segments = [segment(*given) for given in (("a", 0.0, 20.0), ("b", 7.0, 9.0), ("c", 1.0, 3.0))]
    states = of_sound(tmp_path / "audio.h5", segments)
    assert (states["a"].status, states["b"].status, states["c"].status) == ("partial", "absent", "ok")
    assert states["a"].fraction == pytest.approx(1 - (to_s - from_s) / 20, abs=0.005)
    (tmp_path / "audio.h5").rename(tmp_path / "sound")
    (tmp_path / "audio").mkdir()
    (tmp_path / "sound").rename(tmp_path / "audio" / "Ses01F_impro01.h5")
    extractor = Mfcc()
    jobs = list(read_pieces(segments, tmp_path, extractor))
    assert [job.segment_id for job in jobs] == ["a", "b", "c"]
    for job in jobs:
        if job.segment_id == "b":
            assert job.piece is None
            continue
        rows = own_rows(extractor.extract([job.piece])[0], job)
        middle_s = rows.time_s.mean(axis=1)
        inside = (middle_s > from_s + 0.06) & (middle_s < to_s - 0.06)
        outside = (middle_s < from_s - 0.06) | (middle_s > to_s + 0.06)
        assert not rows.valid[inside].any()
        assert rows.valid[outside].all()


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "1e30"])
@pytest.mark.parametrize("name", ["x.mov", "x.wav"])
def test_samples_that_are_no_numbers_cost_their_stretch(tmp_path, bad, name):
    wave = (0.1 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE)).astype(np.float32)
    wave[RATE : RATE + 800] = float(bad)
    wave[3 * RATE] = float(bad)
    soundfile.write(tmp_path / "x.wav", wave, RATE, subtype="FLOAT")
    if name == "x.mov":
        ffmpeg(
            "-f", "lavfi", "-i", "testsrc=s=64x64:d=4", "-i", tmp_path / "x.wav", "-c:a", "pcm_f32le", tmp_path / name
        )
    track = read(tmp_path, [segment("a", 0.0, 4.0)], unit=unit_of(name))["a"]
    assert np.isfinite(track.samples()).all()
    assert np.abs(track.samples()).max() < 0.2
    assert track.observed_s.tolist() == [[0.0, 1.0], [1.05, 4.0]], "a single sample is no stretch"
    assert track.reason == "no sound for 0.05 s in between"
    assert np.abs(track.samples()[3 * RATE + 100 : 4 * RATE]).max() > 0.09


@pytest.mark.parametrize(("rate", "kind"), [(44_100, "FLOAT"), (48_000, "DOUBLE"), (8_000, "FLOAT")])
def test_one_channel_that_is_no_number_costs_its_stretch_alone(tmp_path, rate, kind):
    """A recorder that loses one of two microphones; what is near is resampled from it as well."""
    wave = 0.1 * np.sin(2 * np.pi * 440 * np.arange(4 * rate) / rate)[:, None].repeat(2, axis=1)
    wave[rate : 2 * rate, 1] = np.nan
    soundfile.write(tmp_path / "x.wav", wave, rate, subtype=kind)
    track = read(tmp_path, [segment("a", 0.0, 4.0)], unit=unit_of("x.wav"))["a"]
    assert track.observed_s == pytest.approx(np.array([[0.0, 1.0], [2.0, 4.0]]), abs=0.01)
    assert np.abs(track.samples()).max() == pytest.approx(0.1, rel=0.02)


def test_a_sentence_file_with_a_hole(tmp_path):
    folder = tmp_path / SENTENCES
    folder.mkdir(parents=True)
    wave = np.full(2 * RATE, 0.1, np.float32)
    wave[RATE // 2 : RATE] = np.nan
    soundfile.write(folder / "a.wav", wave, RATE, subtype="FLOAT")
    track = read(tmp_path, [segment("a", 10.0, 12.0, f"{SENTENCES}/a.wav")])["a"]
    assert track.observed_s.tolist() == [[10.0, 10.5], [11.0, 12.0]]
    assert np.flatnonzero(track.samples() == 0).tolist() == list(range(RATE // 2, RATE))


def test_a_lost_packet_does_not_move_the_sound_behind_it(tmp_path):
    at_s = [0.5, 1.2, 1.9]
    make_video(tmp_path, at_s=at_s, name="x.mp4", codec="aac")
    data = bytearray((tmp_path / "x.mp4").read_bytes())
    with av.open(str(tmp_path / "x.mp4")) as container:
        packet = [p for p in container.demux(audio=0) if p.size][40]
    data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    (tmp_path / "x.mp4").write_bytes(data)
    samples = read(tmp_path, [segment("a", 0.0, 2.5)], unit=unit_of("x.mp4"))["a"].samples()
    loud_s = np.flatnonzero(np.abs(samples) > 0.2) / RATE
    onsets_s = loud_s[np.flatnonzero(np.diff(loud_s, prepend=-1) > 0.3)]
    assert np.allclose(onsets_s[-2:], at_s[-2:], atol=0.005)
