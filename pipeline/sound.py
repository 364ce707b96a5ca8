"""The sound of one media file, in blocks placed in seconds from the file's first video frame."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.container import (
    MediaError,
    audio_stream,
    audio_streams,
    decoded,
    open_media,
    packets,
    say_which,
    video_streams,
)
from pipeline.log import log
from pipeline.stamps import ADVICE, BACK_S, MAX_PAUSE_S, Extent, first_picture_s
from pipeline.timebase import SAMPLE_RATE_HZ, seconds

BLOCK_S = 2.0
JUMP_S = 0.03  # stamps this far from the count of samples mean a gap, less is jitter ...
LOSS_S = 0.002  # ... except behind a packet that was lost
LOUDEST = 8.0  # times full scale: mixes and coders exceed it by less than these 18 dB, integers by far more
ENORMOUS = 1e10  # more than integers of any depth: damage even where samples are stored as float


class WrongScale(MediaError):
    """Samples are on no scale of sound: nothing of the file is any, what was read before this was noticed included."""


def read_audio(path: str | Path) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the sound as (start_s, (n,) float32 mono) blocks of about two seconds at SAMPLE_RATE_HZ, by libav.

    ``start_s`` counts from the first video frame, so sound that begins before the picture has negative times; without
    a picture it counts from the first sample, late by what an encoder put in front where the file does not say so. A
    gap between blocks is a gap in the sound's time stamps, or samples that damage made enormous or no numbers. Raises
    MediaError where the file has no sound, or its stamps are impossible, and WrongScale where its samples do not lie
    about -1 to 1.
    """
    path = Path(path)
    with open_media(path) as container:
        stream = audio_stream(container, path)
        say_which(path, audio_streams(container), "sound")
        zero_s = _zero_s(container, stream, path)
        blocks, lost = _Blocks(path, stream.codec_context.name.startswith("pcm_f")), []
        for frame in decoded(container, stream, lost):
            yield from blocks.add(frame, zero_s, len(lost))
        yield from blocks.flush()
    if lost or blocks.no_sound:
        log.warning("%s: %d packets of sound do not decode, %d samples are no sound", path, len(lost), blocks.no_sound)


def extent_s(path: Path) -> tuple[float, float] | None:
    """From when to when a file's packets hold sound, as :func:`read_audio` counts, none of them decoded."""
    with open_media(path) as container:
        stream = audio_stream(container, path)
        found = Extent(stream.time_base)
        for packet in packets(container, stream):
            if packet is not None and not packet.is_discard:
                found.add(packet)
        return found.range_s(_zero_s(container, stream, path))


def _zero_s(container, stream, path: Path) -> float:
    """The stamp from which a file's times count: of its first picture or, where there is none, its first sample."""
    alone = not video_streams(container)
    return seconds(stream.start_time or 0, stream.time_base) if alone else first_picture_s(path)


class _Blocks:
    """Resample frames and join them to blocks, as long as their stamps follow each other.

    ``floats``: a file may hold samples on any scale.
    """

    def __init__(self, path: Path, floats: bool):
        self.path, self.floats = path, floats
        self.no_sound = 0
        self._lost = 0
        self._resampler: Any = None
        self._layout: tuple = ()
        self._parts: list[np.ndarray] = []
        self._start_s = self._expected_s = 0.0

    def add(self, frame, zero_s: float, lost: int) -> Iterator[tuple[float, np.ndarray]]:
        """Blocks that are full with this frame, before which ``lost`` packets did not decode."""
        import av

        time_s = self._expected_s if frame.pts is None else float(frame.pts * frame.time_base) - zero_s
        layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        jump_s, self._lost, before = time_s - self._expected_s, lost, self._lost
        self._check(jump_s)
        allowed_s = LOSS_S if lost > before else JUMP_S
        if self._resampler is None or layout != self._layout or abs(jump_s) > allowed_s:
            yield from self.flush()
            self._layout = layout
            # Without the bound libav would add up two channels at full level, beyond 1.
            self._resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ, options={"rematrix_maxval": "1.0"})
            self._start_s = self._expected_s = time_s
        self._expected_s += frame.samples / frame.sample_rate
        frame.pts = None  # the resampler would fill small gaps by itself
        self._parts += [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        if sum(map(len, self._parts)) >= BLOCK_S * SAMPLE_RATE_HZ:
            yield from self._take()

    def flush(self) -> Iterator[tuple[float, np.ndarray]]:
        """What is held."""
        if self._resampler is not None:
            self._parts += [part.to_ndarray()[0] for part in self._resampler.resample(None)]
            self._resampler = None
        if self._parts:
            yield from self._take()

    def _take(self) -> Iterator[tuple[float, np.ndarray]]:
        samples, start_s = np.concatenate(self._parts), self._start_s
        self._parts.clear()
        self._start_s += len(samples) / SAMPLE_RATE_HZ
        loud = np.abs(samples)
        usable = loud < (ENORMOUS if self.floats else LOUDEST)  # false for NaN
        self.no_sound += len(samples) - int(usable.sum())
        if (peak := float(loud[usable].max(initial=0.0))) > LOUDEST:
            text = f"samples reach {peak:.0f} where full scale is 1, as where integers are stored as float"
            advice = "divide them by 32768 if they had 16 bits, by 8388608 if 24, or write them as integers"
            raise WrongScale(self.path, text, advice)
        edges = np.flatnonzero(np.diff(usable, prepend=False, append=False)).reshape(-1, 2)
        for first, last in edges.tolist():
            yield start_s + first / SAMPLE_RATE_HZ, samples[first:last]

    def _check(self, jump_s: float) -> None:
        """Raise MediaError for stamps that no recording has."""
        if jump_s > MAX_PAUSE_S:
            raise MediaError(self.path, f"impossible time stamps of the sound: they jump by {jump_s:.0f} s", ADVICE)
        if jump_s < -(BACK_S if self._resampler else MAX_PAUSE_S):
            raise MediaError(self.path, f"time stamps of the sound go back by {-jump_s:.0f} s", ADVICE)
