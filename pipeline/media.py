"""Pictures and sound of one video file, placed in seconds from its first video frame.

A video is decoded once, in order; a picture is converted to RGB only when, and only where, it is looked at.
Times are the file's own time stamps, never an index divided by a frame rate.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.log import log
from pipeline.picture import Converter, Picture
from pipeline.records import InputError, Side
from pipeline.timebase import seconds

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".flv", ".wmv", ".ts", ".3gp")
"""How the names of files end that may be videos, in lower case; whether one is, only opening it tells."""
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".wma", ".aif", ".aiff")
"""The same of files that hold sound alone."""

HEAD_FRAMES = 32  # decoded to check the stamps that demuxing found
AVI_REORDER = 16  # frames among which the stamps of an AVI with reordered frames are sorted
AUDIO_BLOCK_S = 2.0
AUDIO_JUMP_S = 0.03  # stamps this far from the count of samples mean a gap, less is jitter


class MediaError(InputError):
    """A media file cannot be used; ``reason`` says why in a few words."""

    def __init__(self, path: Path, reason: str, advice: str):
        super().__init__(f"{path}: {reason}; {advice}")
        self.reason = reason


class Video:
    """The video stream of a file: the time of every frame, and its pictures.

    Opening reads every packet but decodes only the first frames. ``time_s`` (N,) are start times; ``damaged``, after
    :meth:`pictures`, where in the file packets lie that do not decode. Raises MediaError for any other file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.damaged: list[int] = []
        with _open(self.path) as container:
            stream = _video_stream(container, self.path)
            self.time_base: Fraction = stream.time_base
            avi, rate = container.format.name == "avi", stream.average_rate
            stamps, complete = _demuxed_stamps(container, stream)
        if not complete:
            log.warning("%s: the file breaks off after %d frames; using those", self.path, len(stamps))
        self._reorder = 0
        head = self._decoded_stamps(HEAD_FRAMES)
        if not head:
            raise MediaError(self.path, "no frame can be decoded", "replace the file or remove it from the corpus")
        if head != stamps[: len(head)]:
            if avi and None not in head + stamps:  # numbers its packets, not its pictures: right stamps, wrong order
                self._reorder = AVI_REORDER
            else:  # the first frames cannot be shown, or there are no stamps
                stamps = self._decoded_stamps()
        if None in stamps:
            stamps = list(range(len(stamps)))
            self.time_base = 1 / Fraction(rate or 25)
        self.ticks = _strictly_increasing(sorted(stamps))
        self.first_ticks = self.ticks[0]
        self.time_s = np.array([seconds(t, self.time_base, self.first_ticks) for t in self.ticks])

    def _decoded_stamps(self, count: int | None = None) -> list[int | None]:
        found = []
        for frame in self._frames(threads=1):
            found.append(frame.pts)
            if len(found) == count:
                break
        return found

    def _frames(self, threads: int) -> Iterator:
        """Every frame that decodes, in the order of display."""
        with _open(self.path) as container:
            stream = _video_stream(container, self.path)
            stream.codec_context.thread_count = threads
            stream.codec_context.thread_type = "AUTO" if threads > 1 else "SLICE"
            self.damaged = []
            yield from _decoded(container, stream, self.damaged)

    def pictures(self, wanted: Iterable[int] | None = None, threads: int = 1) -> Iterator[Picture]:
        """Decode once, in order, and yield the wanted frames; those that do not decode are left out.

        Args:
            wanted: ascending indices into ``time_s``; None means every frame. Decoding stops after the last.
            threads: decoder threads; keep it within the cores of the job.
        """
        queue = iter(range(len(self.ticks)) if wanted is None else [int(i) for i in wanted])
        following = next(queue, None)
        converter = Converter(self.time_base)
        index = -1
        for stamp, frame in self._stamped(self._frames(threads)):
            if following is None:
                break
            # By time stamp, so that a lost frame does not shift those after it.
            index = index + 1 if stamp is None else max(index + 1, int(np.searchsorted(self.ticks, stamp)))
            while following is not None and following < index:
                following = next(queue, None)
            if following == index:
                following = next(queue, None)
                yield Picture(index, float(self.time_s[index]), frame, converter)
        if self.damaged:
            log.warning("%s: %d damaged packets passed over", self.path, len(self.damaged))

    def _stamped(self, frames: Iterable) -> Iterator[tuple[int | None, object]]:
        """Pair frames, which come in the order of display, with the smallest stamp of those that follow."""
        waiting, stamps = deque(), []
        for frame in frames:
            if frame.pts is None or not self._reorder:
                yield frame.pts, frame
                continue
            waiting.append(frame)
            heapq.heappush(stamps, frame.pts)
            if len(waiting) > self._reorder:
                yield heapq.heappop(stamps), waiting.popleft()
        while waiting:
            yield heapq.heappop(stamps), waiting.popleft()


def frame_times_s(path: str | Path) -> np.ndarray:
    """(N,) start time of every frame from the first, by demuxing alone; raises MediaError where this is no video."""
    return Video(path).time_s


def read_frames(
    path: str | Path, wanted: Iterable[int] | None = None, side: Side = "whole", threads: int = 1
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yield (index, time_s, RGB picture) of the wanted frames in one pass; only their half is converted."""
    for picture in Video(path).pictures(wanted, threads):
        yield picture.index, picture.time_s, picture.rgb(picture.half(side))


def read_audio(path: str | Path, sample_rate_hz: int = 16_000) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the sound as (start_s, (n,) float32 mono) blocks of about two seconds, resampled by libav.

    ``start_s`` counts from the first video frame, so sound that begins before the picture has negative times; without
    a picture it counts from the file's own zero. A gap in the sound's time stamps is a gap between blocks. Raises
    MediaError where the file has no sound.
    """
    path = Path(path)
    with _open(path) as container:
        streams = [s for s in container.streams.audio if s.codec_context]
        if not streams:
            raise MediaError(path, "no audio stream", "give the file with its sound, or leave audio out")
        stream = streams[0]
        zero_s = _first_frame_s(path) if _picture_streams(container) else 0.0
        blocks, damage = _AudioBlocks(sample_rate_hz), []
        for frame in _decoded(container, stream, damage):
            yield from blocks.add(frame, zero_s)
        yield from blocks.flush()
        if damage:
            log.warning("%s: %d damaged audio packets passed over", path, len(damage))


class _AudioBlocks:
    """Resample frames and join them to blocks, as long as their stamps follow each other."""

    def __init__(self, sample_rate_hz: int):
        self.sample_rate_hz = sample_rate_hz
        self._resampler: Any = None
        self._layout: tuple = ()
        self._held: list[np.ndarray] = []
        self._start_s = self._expected_s = 0.0

    def add(self, frame, zero_s: float) -> Iterator[tuple[float, np.ndarray]]:
        import av

        time_s = self._expected_s if frame.pts is None else float(frame.pts * frame.time_base) - zero_s
        layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or layout != self._layout or abs(time_s - self._expected_s) > AUDIO_JUMP_S:
            yield from self.flush()
            self._layout = layout
            # Without the bound libav would add up two channels at full level, beyond 1.
            self._resampler = av.AudioResampler("flt", "mono", self.sample_rate_hz, options={"rematrix_maxval": "1.0"})
            self._start_s = self._expected_s = time_s
        self._expected_s += frame.samples / frame.sample_rate
        frame.pts = None  # the resampler would fill small gaps by itself
        self._held += [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        if sum(map(len, self._held)) >= AUDIO_BLOCK_S * self.sample_rate_hz:
            yield self._take()

    def flush(self) -> Iterator[tuple[float, np.ndarray]]:
        if self._resampler is not None:
            self._held += [part.to_ndarray()[0] for part in self._resampler.resample(None)]
            self._resampler = None
        if self._held:
            yield self._take()

    def _take(self) -> tuple[float, np.ndarray]:
        samples, start_s = np.concatenate(self._held), self._start_s
        self._held.clear()
        self._start_s += len(samples) / self.sample_rate_hz
        return start_s, samples


def _open(path: Path):
    import av

    try:
        return av.open(str(path), metadata_errors="ignore")
    except FileNotFoundError:
        raise MediaError(path, "no such file", "check the corpus root and the file's name") from None
    except (av.error.FFmpegError, OSError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            path, f"not a media file ({text})", "replace it by a whole copy, or remove it from the corpus"
        ) from None


def _picture_streams(container) -> list:
    import av

    cover = av.stream.Disposition.attached_pic  # the picture of a record's sleeve is no video
    return [s for s in container.streams.video if s.codec_context and not s.disposition & cover]


def _video_stream(container, path: Path):
    streams = _picture_streams(container)
    if not streams:
        raise MediaError(path, "no video stream to decode", "replace it by the video, or remove it from the corpus")
    return streams[0]


def _packets(container, stream) -> Iterator:
    """Packets up to the end of the file or to where it breaks off, then the one that empties the decoder."""
    import av

    try:
        yield from container.demux(stream)
    except av.error.FFmpegError as error:
        log.warning("%s: cannot be read to its end (%s)", container.name, error.strerror)


def _decoded(container, stream, damage: list) -> Iterator:
    """Every frame that decodes; for a packet that does not, its place in the file is added to ``damage``."""
    import av

    for packet in _packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            damage.append(packet.pos)
            continue
        yield from frames


def _demuxed_stamps(container, stream) -> tuple[list[int], bool]:
    """Presentation stamps in ascending order, and whether every packet had its bytes."""
    stamps, complete = [], True
    for packet in _packets(container, stream):
        if packet.size and not packet.is_discard:
            stamps.append(packet.dts if packet.pts is None else packet.pts)
            complete &= not packet.is_corrupt
    known = sorted(s for s in stamps if s is not None)
    return known + [None] * (len(stamps) - len(known)), complete


def _strictly_increasing(stamps: list[int]) -> np.ndarray:
    """Spread repeated stamps evenly up to the next one, so that every frame has a time of its own."""
    ticks = np.array(stamps, np.float64)
    fresh = np.flatnonzero(np.diff(ticks, prepend=ticks[0] - 1) > 0)
    if len(fresh) == len(ticks):
        return np.array(stamps, np.int64)
    step = np.median(np.diff(ticks[fresh])) if len(fresh) > 1 else 1.0
    known = np.append(ticks[fresh], ticks[fresh[-1]] + step * (len(ticks) - fresh[-1]))
    return np.interp(np.arange(len(ticks)), np.append(fresh, len(ticks)), known)


def _first_frame_s(path: Path) -> float:
    """Stamp of the first frame that is shown; an AVI has none, its first picture is at its start."""
    with _open(path) as container:
        stream = _video_stream(container, path)
        if container.format.name == "avi":
            return float((stream.start_time or 0) * stream.time_base)
        frame = next(_decoded(container, stream, []), None)
        return 0.0 if frame is None or frame.pts is None else seconds(frame.pts, frame.time_base)
