"""Write what a corpus consists of: films, sound and text."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from workflow.demo.voice import SAMPLE_RATE_HZ

AUDIO_CHUNK = 1024  # samples: one AAC frame


def to_int16(sound: np.ndarray) -> np.ndarray:
    """Samples of -1 to 1 as 16-bit integers."""
    return np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with the same line ends on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_wav(path: Path, sound: np.ndarray) -> None:
    """Write mono 16 kHz 16-bit sound."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, to_int16(sound), SAMPLE_RATE_HZ, subtype="PCM_16")


def write_film(
    path: Path,
    frames: Iterable[np.ndarray],
    frame_rate: Fraction,
    sound: np.ndarray,
    *,
    video_codec: str = "mpeg4",
    audio_codec: str = "pcm_s16le",
    bit_rate: int = 900_000,
    sound_from_s: float = 0.0,
    ticks: np.ndarray | None = None,
) -> None:
    """Encode frames and mono 16 kHz sound; the same input gives the same bytes.

    Args:
        path: the suffix decides on the container.
        frames: (height, width, 3) uint8 BGR pictures, all of one size with even sides.
        frame_rate: frames per second; with ``ticks``, ticks per second.
        sound: samples of -1 to 1.
        video_codec: as ffmpeg names it.
        audio_codec: as ffmpeg names it.
        bit_rate: of the pictures, in bits per second; libx264 keeps to a quality instead.
        sound_from_s: time of the first sample from the first frame; negative: the picture begins later.
        ticks: presentation time of each frame in 1 / ``frame_rate``, for variable frame rate; default 0, 1, 2, ...
    """
    import av
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    samples = to_int16(sound)[None]
    # The container begins at zero with whichever comes first.
    picture_from_s, sound_from_s = max(0.0, -sound_from_s), max(0.0, sound_from_s)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        # ffmpeg's own x264 and mpeg4 write their build into the stream unless told to be exact.
        video = container.add_stream(video_codec, rate=frame_rate, options={"flags": "+bitexact"})
        video.pix_fmt, video.bit_rate, video.gop_size = "yuv420p", bit_rate, 60
        video.codec_context.time_base = 1 / Fraction(frame_rate)
        video.codec_context.thread_count = 1
        if video_codec == "libx264":
            video.options = {"preset": "ultrafast", "crf": "22", "flags": "+bitexact"}
        audio = container.add_stream(audio_codec, rate=SAMPLE_RATE_HZ, layout="mono", options={"flags": "+bitexact"})
        heard = 0

        def sound_until(time_s: float) -> None:
            nonlocal heard
            while heard < samples.shape[1] and heard / SAMPLE_RATE_HZ + sound_from_s <= time_s:
                part = np.ascontiguousarray(samples[:, heard : heard + AUDIO_CHUNK])
                chunk = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                chunk.sample_rate, chunk.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
                chunk.pts = heard + round(sound_from_s * SAMPLE_RATE_HZ)
                container.mux(audio.encode(chunk))
                heard += part.shape[1]

        for n, picture in enumerate(frames):
            if n == 0:
                video.height, video.width = picture.shape[:2]
            tick = round(picture_from_s * frame_rate) + (n if ticks is None else int(ticks[n]))
            frame = av.VideoFrame.from_ndarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
            frame.pts, frame.time_base = tick, video.codec_context.time_base
            sound_until(float(tick / frame_rate))
            container.mux(video.encode(frame))
        sound_until(float("inf"))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
