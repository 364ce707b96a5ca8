"""Sound and picture of one file count from the same zero, the first picture, and both are used to their ends."""

import numpy as np
import pytest
import soundfile

from models.apply.recordings import Wish, open_recording
from pipeline.corpora.base import Index
from pipeline.corpora.resolve import with_ends
from pipeline.media import Video
from pipeline.records import InputError, Segment, Unit
from pipeline.sound import read_audio
from tests.clips import beeps, ffmpeg, painted, write_clip
from tests.test_media import _onsets

RATE_HZ = 16_000

RARE_KEYS = {  # a key frame every ten seconds, at 60 pictures a second
    "x.ts": ("-c:v", "libx264", "-g", "600", "-keyint_min", "600", "-sc_threshold", "0"),
    "x.mpg": ("-c:v", "mpeg2video", "-g", "600", "-sc_threshold", "1000000000"),
}


@pytest.mark.parametrize("name", RARE_KEYS)
def test_sound_of_a_broadcast_keeps_its_time_however_late_its_first_key_frame_comes(tmp_path, name):
    """Pictures before it cannot be decoded, and are not seen; what is seen begins ten seconds into the film."""
    soundfile.write(tmp_path / "x.wav", beeps([12.0, 15.5], 20.0, 48_000), 48_000)
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=60:d=20", "-i", tmp_path / "x.wav", "-c:a", "mp2", "-b:a", "192k",
           "-pix_fmt", "yuv420p", *RARE_KEYS[name], tmp_path / f"whole.{name}")  # fmt: skip
    data = (tmp_path / f"whole.{name}").read_bytes()
    (tmp_path / name).write_bytes(data[len(data) // 10 :])
    assert np.allclose(_onsets(read_audio(tmp_path / name)), [2.0, 5.5], atol=0.03)


def clip(path, picture_s, sound_s, codec="pcm_s16le"):
    """A film with pictures and sound from when to when each is asked for; returns its path."""
    (first_s, end_s), (heard_s, silent_s) = picture_s, sound_s
    times_s = np.arange(round(first_s * 25), round(end_s * 25)) / 25
    sound = np.full(round((silent_s - heard_s) * RATE_HZ), 0.1), RATE_HZ, heard_s, codec
    write_clip(path, [painted(k % 9) for k in range(len(times_s))], times_s, sound=sound)
    return path


BEFORE = "10.0 s of sound lie before the first picture and are not used"
BEHIND = "14.0 s of sound lie behind the last picture and are not used"
FILMS = {  # when there is a picture, and sound; windows of 5 s; what is said of segments, and of frames
    "a still with a voice": ((0, 0.04), (0, 20), [0, 5, 10, 15, 20], "The picture ends at 0.0 s, the sound at 20.0 s"),
    "camera switched off": ((0, 6), (0, 20), [0, 5, 10, 15, 20], "The picture ends at 6.0 s, the sound at 20.0 s"),
    "camera switched on late": ((10, 15), (0, 20), [0, 5, 10], "The picture ends at 5.0 s, the sound at 10.0 s"),
    "sound a little longer": ((0, 6), (0, 6.4), [0, 6], ""),
    "sound far shorter": ((0, 10), (2, 4), [0, 5, 10], ""),
}


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_a_recording_lasts_as_long_as_there_is_picture_or_sound(tmp_path, name, kind):
    picture_s, sound_s, edges_s, says = FILMS[name]
    path = clip(tmp_path / f"x.{kind}", picture_s, sound_s, {"mp4": "aac", "mkv": "pcm_s16le"}[kind])
    recording = open_recording(path, False, Wish(window_s=5.0))
    assert [s.start_s for s in recording.segments] == edges_s[:-1]
    assert [s.end_s for s in recording.segments] == pytest.approx(edges_s[1:], abs=0.15)
    assert recording.duration_s == recording.segments[-1].end_s
    early = [f"{BEFORE}."] if picture_s[0] else []
    assert list(recording.notes) == early + [f"{says}."] * bool(says)


def ends(root, segments, audio=None, **how):
    """When segments of x.mkv end, and what is found of each."""
    unit = Unit("u", "x.mkv", audio)
    found = with_ends(
        root, Index([unit], [Segment(f"{n}", "u", "u", None, None, *s) for n, s in enumerate(segments)]), **how
    )
    return [round(s.end_s, 1) for s in found.segments], [(f.segment, f.modality, f.reason) for f in found.findings]


def test_a_row_without_times_is_all_that_was_filmed_or_heard(tmp_path):
    clip(tmp_path / "x.mkv", (0, 6), (0, 20))
    assert ends(tmp_path, [(0.0,), (8.0,), (2.0, 3.0)]) == ([20.0, 20.0, 3.0], [])
    _, findings = ends(tmp_path, [(25.0,)])
    assert findings == [("0", "corpus", "starts at 25.0 s, its recording ends at 20.000 s")]
    assert ends(tmp_path, [(0.0,), (2.0, 3.0)], frames=True) == ([6.0, 3.0], [("0", "audio", BEHIND)])
    soundfile.write(tmp_path / "long.wav", np.zeros(30 * RATE_HZ), RATE_HZ)
    assert ends(tmp_path, [(0.0,)], audio="long.wav") == ([30.0], [])
    assert ends(tmp_path, [(0.0,)], audio="absent.wav") == ([20.0], [])


def test_a_row_without_times_says_what_was_heard_before_its_first_picture(tmp_path):
    clip(tmp_path / "x.mkv", (10, 15), (0, 20))
    for frames, more, end_s in ((False, "", 10.0), (True, BEHIND.replace("14.0", "5.0"), 5.0)):
        said = "; ".join(filter(None, (BEFORE, more)))
        assert ends(tmp_path, [(0.0,), (1.0, 2.0)], frames=frames) == ([end_s, 2.0], [("0", "audio", said)])


KINDS = {  # sound, and picture, as each container has them
    "x.mp4": ("aac", "libx264"), "x.mov": ("pcm_s16le", "mpeg4"), "x.mkv": ("flac", "libx264"),
    "x.webm": ("libopus", "libvpx"), "x.ogv": ("libvorbis", "libtheora"), "x.ts": ("mp2", "libx264"),
    "x.mpg": ("mp2", "mpeg1video"), "x.flv": ("libmp3lame", "flv"), "x.avi": ("libmp3lame", "mpeg4"),
    "pcm.avi": ("pcm_s16le", "mjpeg"), "x.wmv": ("wmav2", "wmv2"), "x.3gp": ("aac", "h263"),
}  # fmt: skip


@pytest.mark.parametrize("late_s", [0.0, 1.3])
@pytest.mark.parametrize("name", KINDS)
def test_packets_say_when_there_is_sound(tmp_path, name, late_s):
    """Truth is what decodes."""
    sound, picture = KINDS[name]
    pixels = "yuvj420p" if picture == "mjpeg" else "yuv420p"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=128x96:r=25:d=4", "-itsoffset", late_s, "-f", "lavfi", "-i",
           "sine=d=7:r=44100", "-c:v", picture, "-c:a", sound, "-pix_fmt", pixels, tmp_path / name)  # fmt: skip
    blocks = list(read_audio(tmp_path / name))
    heard_s = blocks[0][0], blocks[-1][0] + len(blocks[-1][1]) / RATE_HZ
    assert Video(tmp_path / name).sound_s == pytest.approx(heard_s, abs=0.1)


@pytest.mark.parametrize("from_packet", [0, 200])
def test_stamps_of_sound_that_no_recording_has_lengthen_nothing(tmp_path, from_packet):
    """Segments of hours would be made of them, and the sound itself is refused."""
    clip(tmp_path / "whole.mkv", (0, 6), (0, 20))
    late = f"setts=ts=PTS+7200000*gte(N\\,{from_packet})"
    ffmpeg("-i", tmp_path / "whole.mkv", "-c", "copy", "-bsf:a", late, tmp_path / "x.mkv")
    with pytest.raises(InputError, match="they jump by 7200 s"):
        list(read_audio(tmp_path / "x.mkv"))
    assert ends(tmp_path, [(0.0,)]) == ([6.0], [])
    assert Video(tmp_path / "whole.mkv").sound_s == pytest.approx((0.0, 20.0), abs=0.1)
