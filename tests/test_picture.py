"""Pictures stand upright, with square pixels and without combs, as players show them; the stream meant is taken."""

import math

import av
import numpy as np
import pytest

from pipeline.media import Video
from pipeline.picture import turns
from pipeline.sound import read_audio
from tests.clips import ffmpeg, film, number_in, read_frames, write_clip

UNIT = 65536
MATRICES = {
    "upright": (1, 0, 0, 1), "turned left": (0, -1, 1, 0), "turned right": (0, 1, -1, 0), "upside down": (-1, 0, 0, -1),
    "left for right": (-1, 0, 0, 1), "up for down": (1, 0, 0, -1), "transposed": (0, 1, 1, 0),
    "transposed the other way": (0, -1, -1, 0), "nothing": (0, 0, 0, 0), "twice as large": (0, -2, 2, 0),
}  # fmt: skip


def with_matrix(source, out, a: float, b: float, c: float, d: float):
    """A copy of a film that asks players for x' = ax + cy, y' = bx + dy."""
    with av.open(str(source)) as given, av.open(str(out), "w") as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        copy.set_display_matrix(
            [*(round(v * UNIT) for v in (a, b)), 0, *(round(v * UNIT) for v in (c, d)), 0, 0, 0, 1 << 30]
        )
        for packet in given.demux(stream):
            if packet.size:
                packet.stream = copy
                made.mux(packet)
    return out


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    return film(tmp_path_factory.mktemp("picture") / "flat.mp4", 3, "-c:v", "libx264", "-pix_fmt", "yuv420p")


@pytest.mark.parametrize("name", MATRICES)
def test_any_display_matrix_is_obeyed(flat, tmp_path, name):
    a, b, c, d = MATRICES[name]
    straight = next(read_frames(flat))[2]
    expected = straight
    if name not in ("nothing", "upright"):
        height, width = straight.shape[:2]
        y, x = np.mgrid[:height, :width]
        to_x, to_y = (np.sign([[a, c], [b, d]]).astype(int) @ np.stack([x.ravel(), y.ravel()])).reshape(
            2, height, width
        )
        to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
        expected = np.zeros((to_y.max() + 1, to_x.max() + 1, 3), np.uint8)
        expected[to_y, to_x] = straight
    picture = next(Video(with_matrix(flat, tmp_path / "m.mp4", a, b, c, d)).pictures())
    shown = picture.rgb()
    assert shown.shape == expected.shape == (picture.height, picture.width, 3)
    assert np.abs(shown.astype(int) - expected).mean() < 2
    left, right = (picture.rgb(picture.half(side)) for side in ("left", "right"))
    assert np.array_equal(np.concatenate([left, right], axis=1), shown)
    grey = shown.astype(float) @ [0.299, 0.587, 0.114]
    thumbnail = picture.thumbnail(picture.half("whole"))
    step = [max(1, n // 32) for n in grey.shape]
    assert np.corrcoef(thumbnail.ravel(), grey[:: step[0], :: step[1]].ravel())[0, 1] > 0.98


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [45, 20, -110, 91.5, 179.5])
def test_odd_angles_are_obeyed(tmp_path, degrees, mirrored):
    canvas = np.zeros((160, 160, 3), np.uint8)
    canvas[58:66, 96:104] = 255  # 20 right and 18 above of the middle
    write_clip(tmp_path / "dot.mp4", [canvas] * 2, [0, 0.04])
    a, b = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    c, d = -b, a
    a, b = (-a, -b) if mirrored else (a, b)
    picture = next(Video(with_matrix(tmp_path / "dot.mp4", tmp_path / "m.mp4", a, b, c, d)).pictures())
    grey = picture.rgb()[:, :, 1].astype(float)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]] - (grey.shape[0] - 1) / 2
    found = np.array([(x * grey).sum(), (y * grey).sum()]) / grey.sum()
    assert np.allclose(found, [a * 20 + c * -18, b * 20 + d * -18], atol=1.5)


@pytest.mark.parametrize("rotation", ["90", "180", "270", "45"])
def test_as_ffmpeg_shows_it(flat, tmp_path, rotation):
    ffmpeg("-display_rotation", rotation, "-i", flat, "-c", "copy", tmp_path / "turned.mp4")
    raw = ffmpeg("-i", tmp_path / "turned.mp4", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    _, _, rgb = next(read_frames(tmp_path / "turned.mp4"))
    assert np.abs(rgb.ravel().astype(int) - np.frombuffer(raw, np.uint8)).mean() < 0.5


def test_a_matrix_of_nothing_turns_nothing():
    assert turns(None) == turns((0, 0, 0, 0)) == turns((UNIT, UNIT, UNIT, UNIT)) == []


@pytest.mark.parametrize(
    ("aspect", "size"), [("4/3", (214, 96)), ("15/16", (160, 102)), ("1/1", (160, 96)), ("1/90", (160, 96))]
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pixels_become_square(tmp_path, aspect, size, suffix):
    path = film(tmp_path / f"x.{suffix}", 3, "-vf", f"setsar={aspect}", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    picture = next(Video(path).pictures())
    assert (picture.width, picture.height) == size
    rgb = picture.rgb()
    assert rgb.shape[:2] == size[::-1]
    red = rgb[-20:, :, 0].mean(axis=0)
    assert np.corrcoef(red, np.arange(len(red)))[0, 1] > 0.99, "the whole picture, from its left to its right edge"


def test_a_turned_picture_of_oblong_pixels(tmp_path):
    path = film(tmp_path / "x.mp4", 3, "-vf", "setsar=4/3", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    picture = next(Video(with_matrix(path, tmp_path / "m.mp4", 0, -1, 1, 0)).pictures())
    assert picture.rgb().shape[:2] == (picture.height, picture.width) == (214, 96)


@pytest.mark.parametrize(("options", "first"), [
    (["-c:v", "libx264", "-x264-params", "tff=1"], 0), (["-c:v", "mpeg2video", "-q:v", "2"], 0),
])  # fmt: skip
def test_two_fields_become_one_instant(tmp_path, options, first):
    """A bar that moves 8 pixels from field to field, which a comb would show in every second line."""

    def bar(field):
        picture = np.full((240, 320), 40, np.uint8)
        picture[60:180, 20 + 4 * field : 50 + 4 * field] = 220
        return picture

    fields = [(bar(2 * k), bar(2 * k + 1)) for k in range(30)]
    woven = b"".join(np.stack([a[0::2], b[1::2]], axis=1).tobytes() for a, b in fields)
    (tmp_path / "raw").write_bytes(woven)
    ffmpeg("-f", "rawvideo", "-pix_fmt", "gray", "-s", "320x240", "-r", "25", "-i", tmp_path / "raw",
           "-vf", "setfield=tff", *options, "-flags", "+ildct+ilme", "-pix_fmt", "yuv420p",
           tmp_path / "x.mkv")  # fmt: skip
    pictures = list(Video(tmp_path / "x.mkv").pictures())
    assert [p.index for p in pictures] == list(range(30))
    for picture, (whole, _) in zip(pictures, fields):
        grey = picture.rgb()[:, :, 1]
        assert np.abs(grey[101:140:2].astype(int) - grey[100:139:2]).mean() < 3
        assert np.abs(grey.astype(int) - whole).mean() < 4, "the instant of the first field, at which the frame begins"


def test_wanted_frames_of_an_interlaced_film(tmp_path):
    path = film(tmp_path / "x.mkv", 30, "-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme")
    assert [(p.index, number_in(p.rgb())) for p in Video(path).pictures([3, 17, 29])] == [(3, 3), (17, 17), (29, 29)]


def test_the_size_may_change_in_mid_stream(tmp_path):
    small = film(tmp_path / "a.ts", 20, "-c:v", "libx264", "-pix_fmt", "yuv420p")
    large = film(
        tmp_path / "b.ts", 20, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-output_ts_offset", "0.88", width=256
    )
    (tmp_path / "both.ts").write_bytes(small.read_bytes() + large.read_bytes())
    sizes = [(p.width, p.rgb().shape[1]) for p in Video(tmp_path / "both.ts").pictures()]
    assert sizes == [(160, 160)] * 20 + [(256, 256)] * 20


def level(path) -> float:
    return float(np.abs(np.concatenate([x for _, x in read_audio(path)])).max())


STREAMS = {
    "the second is the default": (["0", "default"], (160, 1)),
    "both are: the larger picture, the first sound": (["default", "default"], (160, 0)),
    "none is": (["0", "0"], (160, 0)),
    "a description for the blind comes first": (["default+visual_impaired", "0"], (64, 1)),
}


@pytest.mark.parametrize("name", STREAMS)
def test_the_stream_that_is_meant_is_taken(tmp_path, name):
    said, (width, sound) = STREAMS[name]
    film(tmp_path / "large.mp4", 10, "-c:v", "libx264", "-pix_fmt", "yuv420p")
    out = tmp_path / "x.mkv"
    flags = [item for i in (0, 1) for kind in "va" for item in (f"-disposition:{kind}:{i}", said[i])]
    ffmpeg("-i", tmp_path / "large.mp4", "-f", "lavfi", "-i", "sine=d=0.4,volume=0.02",
           "-f", "lavfi", "-i", "sine=d=0.4,volume=4", "-filter_complex", "[0:v]scale=64:-2[t]",
           "-map", "[t]", "-map", "0:v", "-map", "1:a", "-map", "2:a",
           "-c:v", "libx264", "-c:a", "pcm_s16le", *flags, out)  # fmt: skip
    assert next(Video(out).pictures()).width == width
    assert (level(out) > 0.1) == bool(sound)


def test_the_sleeve_of_a_record_is_no_video(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1", tmp_path / "sleeve.png")
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-i", tmp_path / "sleeve.png", "-map", "0", "-map", "1", "-c:v", "copy",
           "-disposition:v:0", "attached_pic", tmp_path / "x.mp4")  # fmt: skip
    film(tmp_path / "film.mp4", 5, "-c:v", "libx264", "-pix_fmt", "yuv420p")
    ffmpeg("-i", tmp_path / "sleeve.png", "-i", tmp_path / "film.mp4", "-map", "0", "-map", "1", "-c", "copy",
           "-disposition:v:0", "attached_pic", "-disposition:v:1", "default", tmp_path / "y.mp4")  # fmt: skip
    with pytest.raises(ValueError, match="no video stream"):
        Video(tmp_path / "x.mp4")
    assert len(Video(tmp_path / "y.mp4").time_s) == 5
