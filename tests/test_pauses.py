"""A pause of the camera hurts no picture, lost packets do; what libav itself says of H.264 is the truth for both."""

import av
import av.logging
import pytest

from pipeline.container import MediaError
from pipeline.frame_numbers import Bits, FrameNumbers
from pipeline.media import Video
from pipeline.sound import read_audio
from tests.clips import beeps, ffmpeg, film, number_in
from tests.test_media import _onsets

FPS = 25
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "100")
CODECS = {
    "b.mp4": H264, "b.mkv": H264, "b.flv": H264, "b.ts": H264, "b.mov": (*H264, "-bf", "0", "-tune", "zerolatency"),
    "hevc.mp4": ("-c:v", "libx265", "-g", "100", "-x265-params", "log-level=none"),
    "4.3gp": ("-c:v", "mpeg4", "-g", "100"),
    "8.webm": ("-c:v", "libvpx", "-b:v", "2M", "-g", "100"),
    "9.webm": ("-c:v", "libvpx-vp9", "-b:v", "2M", "-g", "100", "-deadline", "realtime", "-cpu-used", "8"),
}  # fmt: skip


def shown(video: Video) -> dict[float, int]:
    """The number of each picture that counts as good, at its time."""
    return {round(p.time_s, 3): number_in(p.rgb()) for p in video.pictures() if not p.damaged}


@pytest.mark.parametrize("name", CODECS)
def test_every_picture_counts_though_the_camera_paused(tmp_path, name):
    """Of 1 s, 20 s and 0.6 s, none of them at a key frame."""
    late = "gte(N\\,15)*1+gte(N\\,35)*20+gte(N\\,40)*0.6"
    path = film(tmp_path / name, 60, "-vf", f"setpts=PTS+({late})/TB", "-fps_mode", "vfr", *CODECS[name])
    video = Video(path)
    truth = {round(k / FPS + 1 * (k >= 15) + 20 * (k >= 35) + 0.6 * (k >= 40), 3): k for k in range(60)}
    assert shown(video) == pytest.approx(truth, abs=0.002)
    assert len(video.holes_s) == 3, "nobody knows what there was to see meanwhile"


@pytest.mark.parametrize("dropped", [(50, 50), (46, 70), (60, 63), (21, 28)])
@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "b.flv", "b.ts", "b.mov", "hevc.mp4"])
def test_no_picture_that_misses_others_counts(tmp_path, name, dropped):
    """However short the hole is, and without a word from the decoder."""
    whole = film(tmp_path / f"whole.{name}", 120, *CODECS[name])
    first, last = dropped
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", f"noise=drop=between(n\\,{first}\\,{last})", tmp_path / name)
    found = shown(Video(tmp_path / name))
    assert {time_s: round(time_s * FPS) for time_s in found} == found
    assert set(range(100, 120)) <= set(found.values()), "from the next key frame on nothing is hurt"


KINDS = {
    "plain": "", "no B": "bframes=0", "pyramid": "bframes=8:ref=5", "interlaced": "tff=1", "scaled": "cqm=jvt",
    "slices": "slices=4", "lossless": "qp=0", "refreshed": "intra-refresh=1", "open": "open-gop=1",
    "delimited": "aud=1", "simple": "cabac=0:8x8dct=0:bframes=0", "yuv444p": "", "yuv420p10le": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "suffix"), [*((kind, ".mp4") for kind in KINDS), ("plain", ".ts"), ("slices", ".ts"), ("delimited", ".ts")]
)
def test_frame_numbers_jump_where_libav_finds_a_gap(tmp_path, kind, suffix):
    options = ("-pix_fmt", kind if "yuv" in kind else "yuv420p", "-g", "40", "-x264-params", KINDS[kind])
    whole = film(tmp_path / f"whole{suffix}", 90, "-c:v", "libx264", *options)
    assert jumps(whole) == []
    assert not libav_finds_a_gap(whole)
    for first, last in ((50, 52), (20, 33)):
        hurt = tmp_path / f"hurt{suffix}"
        ffmpeg("-i", whole, "-c", "copy", "-bsf:v", f"noise=drop=between(n\\,{first}\\,{last})", hurt)
        assert libav_finds_a_gap(hurt)
        assert first in jumps(hurt)


def jumps(path) -> list[int]:
    """Packets of a film in front of which its frame numbers jump."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        numbers = FrameNumbers(stream.codec_context)
        return [i for i, packet in enumerate(p for p in container.demux(stream) if p.size) if numbers.jump(packet)]


def libav_finds_a_gap(path) -> bool:
    """Whether libav's decoder, which mends what is missing, says so where nobody looks."""
    av.logging.set_level(av.logging.DEBUG)
    try:
        with av.logging.Capture() as said, av.open(str(path)) as container:
            container.streams.video[0].thread_type = "SLICE"
            list(container.decode(video=0))
    finally:
        av.logging.set_level(None)
    return any("Frame num gap" in text for _, _, text in said)


@pytest.mark.parametrize(
    ("bits", "number"), [("1", 0), ("010", 1), ("011", 2), ("00100", 3), ("00111", 6), ("0001010", 9)]
)
def test_numbers_are_read_as_the_standard_writes_them(bits, number):
    """ITU-T H.264, table 9-2."""
    data = int(bits.ljust(8, "0"), 2).to_bytes(1)
    assert Bits(data).exponential() == number


@pytest.mark.parametrize("new", [b"\0", b"\x5a"])
@pytest.mark.parametrize("sound", ["pcm_s16le", "libmp3lame"])
def test_an_overwritten_place_in_an_avi_moves_nothing_behind(tmp_path, new, sound):
    """Headers of packets are lost with it, but the index knows where each stands."""
    import soundfile

    at_s = [0.5 + k for k in range(7)]
    soundfile.write(tmp_path / "x.wav", beeps(at_s, 8.0, 16_000), 16_000)
    film(tmp_path / "x.avi", 200, "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p")
    whole = ("-i", tmp_path / "x.avi", "-i", tmp_path / "x.wav", "-c:v", "copy", "-c:a", sound, tmp_path / "whole.avi")
    ffmpeg(*whole)
    before, heard = shown(Video(tmp_path / "whole.avi")), _onsets(read_audio(tmp_path / "whole.avi"))
    data = (tmp_path / "whole.avi").read_bytes()
    spot = data.index(b"00dc", len(data) * 9 // 20)
    (tmp_path / "x.avi").write_bytes(data[:spot] + new * 3000 + data[spot + 3000 :])
    video = Video(tmp_path / "x.avi")
    assert len(video.time_s) == 200
    after = shown(video)
    assert len(after) > 190
    assert after.items() <= before.items()
    assert _onsets(read_audio(tmp_path / "x.avi"))[-3:] == pytest.approx(heard[-3:], abs=1e-3)


def test_an_avi_that_lost_its_middle_is_refused(tmp_path):
    """Its packets have no stamps: which pictures are missing nobody knows, nor when the others were."""
    film(tmp_path / "x.avi", 200, "-c:v", "mpeg4", "-g", "25")
    sound = ("-f", "lavfi", "-i", "sine=d=8", "-c:v", "copy", "-c:a", "pcm_s16le")
    ffmpeg("-i", tmp_path / "x.avi", *sound, tmp_path / "whole.avi")
    data = (tmp_path / "whole.avi").read_bytes()
    spot = data.index(b"00dc", len(data) // 2)
    (tmp_path / "x.avi").write_bytes(data[:spot] + data[data.index(b"00dc", spot + 9000) :])
    for read in (Video, lambda path: list(read_audio(path))):
        read(tmp_path / "whole.avi")
        with pytest.raises(MediaError, match="of 200 frames are there, and it does not say which"):
            read(tmp_path / "x.avi")


def test_what_an_edit_list_leaves_out_is_not_missing(tmp_path):
    film(tmp_path / "whole.mp4", 120, *H264)
    ffmpeg("-ss", "1.3", "-i", tmp_path / "whole.mp4", "-c", "copy", tmp_path / "x.mp4")
    assert not any(picture.damaged for picture in Video(tmp_path / "x.mp4").pictures())


@pytest.mark.parametrize("name", ["WolfgangLanger_Pexels.mp4", "no_face.mp4", "single_face.mp4", "face_noface.mov"])
def test_nothing_is_damaged_in_real_clips(shared, name):
    assert not any(p.damaged for p in Video(shared / "media" / "clips" / name).pictures(range(100)))
