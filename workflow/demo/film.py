"""Write what a corpus consists of: films, sound and text."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from workflow.demo.voice import SAMPLE_RATE_HZ

AUDIO_CHUNK = 1024  # samples: one AAC frame
CODECS = {  # by suffix: video codec with its options, and audio codec
    ".avi": ("mpeg4", {}, "pcm_s16le"),
    ".mp4": ("libx264", {"preset": "ultrafast", "crf": "22"}, "aac"),
}


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with the same line ends on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_wav(path: Path, sound: np.ndarray) -> None:
    """Write mono 16 kHz 16-bit sound."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, SAMPLE_RATE_HZ, subtype="PCM_16")


def write_film(
    path: Path,
    frames: Iterable[np.ndarray],
    ticks: np.ndarray,
    ticks_hz: Fraction,
    sound: np.ndarray,
    sound_from_s: float = 0.0,
    bit_rate: int = 900_000,
) -> None:
    """Encode frames and mono 16 kHz sound; the same input gives the same bytes.

    Args:
        path: the suffix decides on container and codecs.
        frames: (height, width, 3) uint8 BGR pictures, all of one size with even sides.
        ticks: time of each frame.
        ticks_hz: ticks per second.
        sound: samples of -1 to 1.
        sound_from_s: time of the first sample from the first frame; negative: the picture begins later.
        bit_rate: of the pictures, in bits per second; libx264 keeps to a quality instead.
    """
    import av
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)[None]
    # The container begins at zero with whichever comes first.
    picture_from = round(max(0.0, -sound_from_s) * ticks_hz)
    sound_from = round(max(0.0, sound_from_s) * SAMPLE_RATE_HZ)
    video_codec, options, audio_codec = CODECS[path.suffix]
    exact = {"flags": "+bitexact"}  # or ffmpeg's encoders write their build into the stream
    pictures = iter(frames)
    first = next(pictures)
    # All sound comes first; the muxer keeps packets until it can lay both streams side by side.
    with av.open(str(path), "w", options={"fflags": "+bitexact", "max_interleave_delta": "0"}) as container:
        video = container.add_stream(video_codec, rate=ticks_hz, options={**options, **exact})
        video.pix_fmt, video.bit_rate, video.gop_size = "yuv420p", bit_rate, 60
        video.height, video.width = first.shape[:2]
        video.codec_context.time_base, video.codec_context.thread_count = 1 / Fraction(ticks_hz), 1
        audio = container.add_stream(audio_codec, rate=SAMPLE_RATE_HZ, layout="mono", options=exact)
        for begin, end in pairwise([*range(0, samples.shape[1], AUDIO_CHUNK), samples.shape[1]]):
            part = np.ascontiguousarray(samples[:, begin:end])
            chunk = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            chunk.sample_rate, chunk.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
            chunk.pts = sound_from + begin
            container.mux(audio.encode(chunk))
        container.mux(audio.encode(None))
        for tick, picture in zip(ticks, chain([first], pictures), strict=True):
            frame = av.VideoFrame.from_ndarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
            frame.pts, frame.time_base = picture_from + int(tick), video.codec_context.time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
