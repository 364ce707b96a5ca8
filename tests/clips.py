"""Synthetic clips with known content: numbered pictures, beeps, and real faces put where a test wants them."""

import subprocess
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from pipeline.media import Video

CELL = 16


def ffmpeg(*arguments) -> bytes:
    """Run the ffmpeg of the wheel, whatever is on the PATH, and return what it writes to its output."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def read_frames(path: str | Path, wanted: Iterable[int] | None = None) -> Iterator[tuple[int, float, np.ndarray]]:
    """(index, time_s, RGB picture) of the wanted frames, in order."""
    return ((picture.index, picture.time_s, picture.rgb()) for picture in Video(path).pictures(wanted))


def film(path: Path, count: int, *options, width: int = 160) -> Path:
    """A film at 25 frames a second whose pictures carry their numbers, made by ffmpeg with these options."""
    raw = b"".join(painted(k, width).tobytes() for k in range(count))
    command = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x96", "-r", "25", "-i", "-", *options, path]
    import imageio_ffmpeg

    whole = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, command)]
    subprocess.run(whole, input=raw, check=True)
    return path


def painted(number: int, width: int = 160, height: int = 96) -> np.ndarray:
    """A picture that carries ``number`` in its first row of cells, as ten black or white cells of Gray code."""
    picture = np.full((height, width, 3), 128, np.uint8)
    code = number ^ (number >> 1)
    for bit in range(10):
        picture[:CELL, bit * CELL : (bit + 1) * CELL] = 255 * ((code >> bit) & 1)
    picture[CELL:, :, 0] = np.linspace(0, 255, width).astype(np.uint8)
    return picture


def number_in(picture: np.ndarray) -> int:
    """The number that :func:`painted` put into a picture."""
    code = sum(
        int(picture[4 : CELL - 4, bit * CELL + 4 : (bit + 1) * CELL - 4].mean() > 128) << bit for bit in range(10)
    )
    number = 0
    while code:
        number ^= code
        code >>= 1
    return number


def beeps(at_s, duration_s: float, rate: int) -> np.ndarray:
    """Silence with a tone of 1 kHz for 60 ms from each of the given times."""
    time_s = np.arange(int(duration_s * rate)) / rate
    loud = np.zeros(len(time_s), bool)
    for start_s in at_s:
        loud |= (time_s >= start_s) & (time_s < start_s + 0.06)
    return (0.6 * np.cos(2 * np.pi * 1000 * time_s) * loud).astype(np.float32)


def write_clip(path: Path, frames, times_s, codec="libx264", sound=None, gop=12, pixels="yuv420p") -> None:
    """Write pictures at their times, and ``sound`` = (samples, rate, start_s, codec)."""
    times = [Fraction(t).limit_denominator(100_000) for t in times_s]
    steps = {b - a for a, b in pairwise(times)}
    base = steps.pop() if len(steps) == 1 else Fraction(1, 1000)  # AVI knows nothing but a fixed step
    rate = 1 / base if base > Fraction(1, 240) else 30
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt, video.codec_context.gop_size = pixels, gop
        video.codec_context.time_base = base
        video.options = {"crf": "10", "preset": "ultrafast"} if codec == "libx264" else {"qscale": "2", "q": "2"}
        if codec == "mpeg4":
            video.bit_rate = 4_000_000
        if sound is not None:
            samples, sample_rate, start_s, sound_codec = sound
            audio = container.add_stream(sound_codec, rate=sample_rate, layout="mono")
            kind = "fltp" if sound_codec == "aac" else "s16"
            _mux_sound(container, audio, np.asarray(samples, np.float32), sample_rate, start_s, kind)
        for picture, time in zip(frames, times):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts, frame.time_base = int(time / base), base
            container.mux(video.encode(frame))
        container.mux(video.encode())


def _mux_sound(container, stream, samples, rate, start_s, kind) -> None:
    resampler = av.AudioResampler(kind, "mono", rate)
    for first in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], "fltp", "mono")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = first + round(start_s * rate)
        for part in resampler.resample(frame):
            container.mux(stream.encode(part))
    container.mux(stream.encode())


@cache
def grid_face(shared: Path, name: str) -> list[np.ndarray]:
    """The 75 pictures of a GRID clip, cut to the person: (288, 200, 3)."""
    with av.open(str(shared / "media" / "grid" / f"{name}.mpg")) as container:
        return [f.to_ndarray(format="rgb24")[:, 80:280] for f in container.decode(video=0)]


def to_and_fro(pictures: list, k: int):
    """Picture ``k`` of a clip that runs forwards and backwards for ever."""
    k %= 2 * len(pictures) - 2
    return pictures[k if k < len(pictures) else 2 * len(pictures) - 2 - k]


def paste(canvas: np.ndarray, picture: np.ndarray, centre_x: float, scale: float = 1.0) -> None:
    """Put a picture onto a canvas, in the middle of its height; what does not fit is cut off."""
    import cv2

    if scale != 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = picture.shape[:2]
    left, top = int(centre_x - width / 2), (canvas.shape[0] - height) // 2
    first, last = max(left, 0), min(left + width, canvas.shape[1])
    if last > first:
        canvas[top : top + height, first:last] = picture[:, first - left : last - left]
