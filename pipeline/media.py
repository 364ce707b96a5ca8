"""The pictures of one video file, placed in seconds from its first video frame; its sound is in pipeline.sound.

A video is decoded once, in order; a picture is converted to RGB only when, and only where, it is looked at.
Times are the file's own time stamps; only where pictures come without, all are counted, by the file's frame rate.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from pipeline.container import (
    MediaError,
    audio_streams,
    decoded,
    open_media,
    say_which,
    video_stream,
    video_streams,
)
from pipeline.log import log
from pipeline.picture import Converter, Picture, progressive
from pipeline.stamps import (
    Damage,
    check,
    demuxed,
    holes,
    in_order,
    missing,
    skips_every_other,
    strictly_increasing,
    torn,
)
from pipeline.timebase import frame_ranges_s, seconds

HEAD_FRAMES = 32  # decoded to check the stamps that demuxing found
REORDER = 16  # frames that a decoder may give out of order, by the standards
APART_S = 0.5  # sound may begin this much before the picture, or end this much after it, without a remark


class Video:
    """The video stream of a file: the time of every frame, and its pictures.

    Opening reads every packet but decodes only the first frames, or all where the packets have no stamps that fit.
    ``time_s`` (N,) are start times, also of frames that will not decode where packets have stamps that fit; ``end_s``:
    where the last one ends; ``holes_s`` (n, 2) stretches without frames; ``truncated`` says what the end lacks, if it
    does; ``dropped``, after :meth:`pictures`, how many decoded pictures have no place in time; ``sound_s`` from when to
    when its packets hold sound, None where there is none. Raises MediaError for any other file, and for time
    stamps that no camera makes.
    """

    def __init__(self, path: str | Path):
        self.path, self.dropped = Path(path), 0
        with self._opened() as (container, stream):
            say_which(self.path, video_streams(container), "pictures")
            self.time_base: Fraction = stream.time_base
            self.pixel_aspect: Fraction | None = stream.sample_aspect_ratio
            avi, rate = container.format.name == "avi", stream.average_rate
            found = demuxed(container, stream, sound=next(iter(audio_streams(container)), None))
            stamps = found.shown()
            torn(self.path, container, stream, found)
            self.truncated = missing(container, stream, found)
        self._reorder, self._counted = 0, False
        head = self._decoded_stamps(HEAD_FRAMES)
        if not head:
            raise MediaError(self.path, "no frame can be decoded", "replace the file or remove it from the corpus")
        if None in head + stamps or (not avi and not _agree(stamps, head)):
            stamps = self._decoded_stamps()
        elif avi and head != sorted(head):  # numbers its packets, not its pictures: right stamps, wrong order
            self._reorder = REORDER
        step = self.time_base
        if None in stamps:
            self._counted, stamps, step = True, list(range(len(stamps))), 1 / Fraction(rate or 25)
        self._stamps = np.array(sorted(stamps), np.int64)
        ticks = strictly_increasing(self._stamps.tolist())
        self.time_s = np.array([seconds(t, step, ticks[0]) for t in ticks])
        check(self.path, self.time_s, seconds(found.back, self.time_base))
        self.holes_s, self.end_s = holes(self.time_s), float(frame_ranges_s(self.time_s)[-1, 1])
        self._packets = found
        zero_s = 0.0 if self._counted else seconds(int(self._stamps[0]), self.time_base)
        self.sound_s = found.sound.range_s(zero_s) if found.sound else None

    @contextmanager
    def _opened(self, threads: int = 1) -> Iterator[tuple]:
        """The container and its stream of pictures."""
        with open_media(self.path) as container:
            stream = video_stream(container, self.path)
            stream.codec_context.thread_count = threads
            stream.codec_context.thread_type = "AUTO" if threads > 1 else "SLICE"
            yield container, stream

    def _decoded_stamps(self, count: int | None = None) -> list[int | None]:
        with self._opened() as (container, stream):
            return [frame.pts for frame in islice(decoded(container, stream, []), count)]

    def pictures(self, wanted: Iterable[int] | None = None, threads: int = 1) -> Iterator[Picture]:
        """Decode once, in order, and yield the wanted frames; those that do not decode are left out.

        Args:
            wanted: ascending indices into ``time_s``; None means every frame. Decoding stops after the last.
            threads: decoder threads; keep it within the cores of the job.
        """
        queue = iter(range(len(self.time_s)) if wanted is None else map(int, wanted))
        following = next(queue, None)
        converter = Converter(self.time_base, self.pixel_aspect)
        damage = Damage(self._packets, self.time_base)
        lost: list[int | None] = []
        counts = Counter()
        with self._opened(threads) as (container, stream):
            frames = self._indexed(progressive(decoded(container, stream, lost)), counts)
            for index, frame in in_order(frames, REORDER):
                if following is None:
                    break
                counts["placed"] += 1
                for stamp in lost[counts["lost"] :]:
                    damage.spread(stamp)
                counts["lost"] = len(lost)
                damaged = damage.shows(frame)
                while following is not None and following < index:
                    following = next(queue, None)
                if following == index:
                    following = next(queue, None)
                    yield Picture(index, float(self.time_s[index]), frame, converter, damaged)
            else:
                self.dropped = counts["decoded"] - counts["placed"]
                if lost or self.dropped:
                    message = "%s: %d packets do not decode, %d pictures have no place in time"
                    log.warning(message, self.path, len(lost), self.dropped)

    def _indexed(self, frames: Iterable, counts: Counter) -> Iterator[tuple[int, object]]:
        """Each frame with its index into ``time_s``, by the decoder's stamp; a frame without one is left out."""
        repeated: Counter = Counter()
        for stamp, frame in self._stamped(frames):
            index = counts["decoded"]
            counts["decoded"] += 1
            if not self._counted:
                first, last = np.searchsorted(self._stamps, (stamp, stamp + 1)) if stamp is not None else (0, 0)
                index = int(first) + repeated[stamp]
                if index >= last:
                    continue
                repeated[stamp] += last - first > 1
            yield index, frame

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


def _agree(stamps: list[int], head: list[int]) -> bool:
    """Whether the first decoded frames are among the stamps of packets, and packets without a frame are exceptions."""
    return set(head) <= set(stamps) and not skips_every_other(stamps, sorted(head))


def whole(picture_s: float, sound_s: tuple[float, float] | None, frames: bool) -> tuple[float, str]:
    """Where a recording ends whose picture ends at ``picture_s``, and in words which of its sound is not used.

    It lasts as long as there is picture or sound; where each of its ``frames`` is an item, as long as the picture.
    """
    begin_s, stop_s = sound_s or (0.0, picture_s)
    unused = []
    if begin_s < -APART_S:
        unused.append(f"{min(stop_s, 0.0) - begin_s:.1f} s of sound lie before the first picture and are not used")
    if stop_s <= picture_s + APART_S:
        return picture_s, "; ".join(unused)
    if not frames:
        return stop_s, "; ".join(unused)
    unused.append(f"{stop_s - max(begin_s, picture_s):.1f} s of sound lie behind the last picture and are not used")
    return picture_s, "; ".join(unused)
