"""Which pictures a video file holds and when, read from its packets alone, and held against what the file promises.

A packet's stamp is where its picture stands, whether the picture decodes or not: a damaged one leaves a hole, and moves
no other. Stamps that no camera makes are refused.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.container import REPLACE, MediaError, audio_streams, is_shown, open_media, packets, video_stream
from pipeline.frame_numbers import FrameNumbers
from pipeline.timebase import longest_step_s, seconds

Item = TypeVar("Item")
MAX_PAUSE_S = 1800.0  # no film pauses longer, ...
MAX_PAUSES = 10.0  # ... nor this many times as long as all the rest of it, ...
MIN_PAUSE_S = 60.0  # ... if it pauses longer than this
MAX_FRAME_S = 10.0  # average time from picture to picture of a long film
BACK_S = 2.0  # stamps of decoding that go back by more are those of a second film
STEADY = ("mpeg1video", "mpeg2video")  # codecs with a picture for every step of their rate
MAX_JUMPS = 0.5  # share of frame numbers that jump; above it they mean something else
HEAD_PACKETS = 300  # packets from where decoding can begin, among which the first picture is
REPAINTED_S = 10.0  # after which moving pictures have replaced what was damaged, even without a key frame
TAIL_BYTES = 1 << 16
FEWER_FRAMES = 2  # than promised: programs count differently by this much
SHORTER_S = 0.5
BEYOND_S, BEYOND = 1.0, 0.05  # where the sound or the film lasts longer by both, pictures are missing
ADVICE = "write it anew (ffmpeg -i FILE -fflags +genpts NEW) and look at it, or remove it from the corpus"


@dataclass(slots=True)
class Extent:
    """From when to when the packets of a stream lie, and the longest pause between two, in ticks."""

    time_base: Fraction
    first: int | None = None
    last: int = 0
    pause: int = 0

    def add(self, packet) -> None:
        """Take in a packet; one without a stamp tells nothing."""
        stamp = stamp_of(packet)
        if stamp is None:
            return
        end = stamp + (packet.duration or 0)
        self.first, self.last = (stamp, end) if self.first is None else (self.first, self.last)
        self.pause = max(self.pause, stamp - self.last)
        self.first, self.last = min(self.first, stamp), max(self.last, end)

    def range_s(self, zero_s: float) -> tuple[float, float] | None:
        """In seconds from ``zero_s``; None where there was no packet, or a pause that no recording has."""
        if self.first is None:
            return None
        begin_s, end_s, pause_s = (seconds(ticks, self.time_base) for ticks in (self.first, self.last, self.pause))
        possible = max(abs(begin_s - zero_s), pause_s) <= MAX_PAUSE_S
        return (begin_s - zero_s, end_s - zero_s) if possible else None


@dataclass(slots=True)
class Packets:
    """What the packets of a video stream say, in the order of the file.

    ``stamps`` are those of pictures to be seen, None where the file has none. ``keys``: decodes without others.
    ``spare``: no other needs it. ``broken``: not all of its bytes are there, or pictures in front of it are missing.
    """

    stamps: list[int | None] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    spare: list[bool] = field(default_factory=list)
    broken: list[bool] = field(default_factory=list)
    count: int = 0  # number of all packets, those that are not seen included
    begin: int | None = None  # stamp of the packet with which decoding can begin ...
    begin_at: int = 0  # ... and how many pictures to be seen lie in front of it
    indexed: int = 0  # how many of them the index names that was read with the header
    end: int = 0  # first byte behind the last of them
    reach: int = 0  # ticks from the first stamp of all packets to the end of the last
    steady: bool = False  # whether the codec knows no pauses
    back: int = 0  # most ticks by which the stamps of decoding go back
    sound: Extent | None = None  # where that was asked, and there is any

    def shown(self) -> list[int | None]:
        """Stamps in ascending order, None last, without those of pictures that need one before the beginning."""
        first = self.begin_at
        stamps = self.stamps[first:]
        known = sorted(s for s in stamps if s is not None and (self.begin is None or s >= self.begin))
        return known + [None] * stamps.count(None)

    def until_key(self, at: int, reach: int) -> set[int]:
        """Stamps from packet ``at`` up to the next key frame, within ``reach`` ticks."""
        last = next((i for i in range(at + 1, len(self.keys)) if self.keys[i]), len(self.keys))
        known = [s for s in self.stamps[at:last] if s is not None]
        return {s for s in known if s < known[0] + reach}


class Damage:
    """Which pictures show damage: what is broken or lost itself, and what was decoded from it up to the next key frame.

    A decoder fills in what it lacks, and only says so of the first picture. A hole in the stamps alone is no damage:
    phones, browsers and screen recorders take no pictures while nothing moves, or while they are busy.
    """

    def __init__(self, found: Packets, time_base: Fraction):
        self._found, self._reach = found, int(REPAINTED_S / time_base)
        self._at = {stamp: i for i, stamp in enumerate(found.stamps)}
        self._stamps: set[int] = set()
        for stamp in (s for s, broken in zip(found.stamps, found.broken) if broken):
            self.spread(stamp)
        if found.steady and None not in self._at:
            time_s = np.array(found.stamps, float) * float(time_base)
            for i in np.flatnonzero(np.diff(time_s) > longest_step_s(np.sort(time_s))):
                if not found.keys[i + 1]:  # what lies in the hole was needed
                    self._stamps |= found.until_key(int(i) + 1, self._reach)

    def spread(self, stamp: int | None) -> None:
        """The packet of ``stamp`` is damaged; so is what needs it."""
        at = self._at.get(stamp)
        if at is not None:
            self._stamps |= {stamp} if self._found.spare[at] else self._found.until_key(at, self._reach)

    def shows(self, frame) -> bool:
        """Whether a decoded frame shows damage."""
        if frame.is_corrupt:
            self.spread(frame.pts)
        return frame.is_corrupt or frame.pts in self._stamps


def demuxed(container, stream, most: int | None = None, sound=None) -> Packets:
    """Read all packets of a stream, or ``most`` from the one with which decoding can begin, decoding none.

    ``sound``: the stream of which to say, in the same pass, from when to when it lasts.
    """
    recorded = container.format.name in ("mpegts", "mpeg")  # a recorded broadcast begins where somebody began to record
    codec = stream.codec_context
    found = Packets(steady=codec.name in STEADY, indexed=len(stream.index_entries))
    seen, before = Extent(stream.time_base), None
    found.sound = None if sound is None else Extent(sound.time_base)
    numbers, jumps, jumped = FrameNumbers(codec), [], False
    ahead = 0  # how many packets are in front of the one with which decoding can begin
    for packet in packets(container, *filter(None, (stream, sound))):
        if found.sound and packet is not None and packet.stream_index != stream.index:
            if not packet.is_discard:  # left out by an edit list
                found.sound.add(packet)
            continue
        if packet is None or (not packet.size and packet.dts is None) or found.count - ahead == most:
            break
        found.count += 1
        found.end = (packet.pos or 0) + packet.size
        stamp = stamp_of(packet)
        seen.add(packet)
        if found.begin is None and (packet.is_keyframe or not recorded):
            found.begin, found.begin_at = stamp, len(found.stamps)
        elif found.begin is None:
            ahead = found.count
        if packet.dts is not None:
            found.back = max(found.back, 0 if before is None else before - packet.dts)
            before = packet.dts
        jumped = numbers.jump(packet) or (jumped and not packet.is_keyframe)
        if is_shown(packet):  # what an edit list leaves out is needed all the same
            found.stamps.append(stamp)
            found.keys.append(packet.is_keyframe)
            found.spare.append(packet.is_disposable)
            found.broken.append(packet.is_corrupt)
            jumps.append(jumped)
            jumped = False
    if sum(jumps) < MAX_JUMPS * len(jumps):
        found.broken = [broken or jump for broken, jump in zip(found.broken, jumps)]
    avi = container.format.name == "avi"  # numbers what is in front of the first picture, too
    found.reach = seen.last - (min(seen.first or 0, 0) if avi else seen.first or 0)
    return found


def stamp_of(packet) -> int | None:
    """When a packet is to be seen or heard, in ticks."""
    return packet.dts if packet.pts is None else packet.pts


def first_picture_s(path: Path) -> float:
    """Stamp of the first picture in seconds; raises MediaError where there is no video.

    An AVI numbers its packets instead, empty ones in front of its first picture included.
    """
    with open_media(path) as container:
        stream = video_stream(container, path)
        stamps = demuxed(container, stream, HEAD_PACKETS).shown()
        first_s = seconds(stamps[0], stream.time_base) if stamps and stamps[0] is not None else 0.0
        if container.format.name != "avi":
            return first_s
        start_s = seconds(stream.start_time or 0, stream.time_base)
    with open_media(path) as container:
        torn(path, container, video_stream(container, path))
    return max(first_s, start_s)


def check(path: Path, time_s: np.ndarray, back_s: float) -> None:
    """Raise MediaError for times (N,) that no camera makes, so that nothing is made as long as they say."""
    if back_s > BACK_S:
        raise MediaError(path, f"time stamps go back by {back_s:.0f} s, as where two films were put together", ADVICE)
    if len(time_s) < 2:
        return
    steps_s, end_s = np.diff(time_s), float(time_s[-1])
    at = int(np.argmax(steps_s))
    pause_s = float(steps_s[at])
    if pause_s > MAX_PAUSE_S or pause_s > max(MIN_PAUSE_S, MAX_PAUSES * (end_s - pause_s)):
        raise MediaError(path, f"impossible time stamps: they jump by {pause_s:.0f} s at {time_s[at]:.1f} s", ADVICE)
    if end_s > max(MAX_PAUSE_S, MAX_FRAME_S * len(time_s)):
        raise MediaError(path, f"impossible time stamps: {len(time_s)} pictures in {end_s:.0f} s", ADVICE)


def torn(path: Path, container, stream, found: Packets | None = None) -> None:
    """Raise MediaError for an AVI with bytes missing in its middle: its packets have no stamps but their order.

    Its index, at its end, is not found where its header says. One that only breaks off has none.
    """
    if container.format.name != "avi" or (found is None and len(stream.index_entries) >= stream.frames):
        return
    found = found or demuxed(container, stream)
    if found.indexed >= found.count or found.count >= stream.frames:
        return
    with path.open("rb") as file:
        file.seek(max(found.end, 0))
        if b"idx1" in file.read(TAIL_BYTES):
            text = f"{found.count} of {stream.frames} frames are there, and it does not say which"
            raise MediaError(path, text, REPLACE)


def missing(container, stream, found: Packets) -> str:
    """By how much a file holds less than its header, or its sound, promises; '' where it does not."""
    there_s, own_s, shorter_s = seconds(found.reach, stream.time_base), _stream_s(stream), SHORTER_S
    if container.format.name == "avi":  # its header counts ticks, not frames
        own_s, shorter_s = seconds(stream.frames, stream.time_base), FEWER_FRAMES * there_s / max(found.count, 1)
    elif stream.frames:
        if found.count + FEWER_FRAMES < stream.frames:
            return f"truncated: {found.count} of {stream.frames} frames are there"
        own_s = there_s
    if there_s + shorter_s < own_s:
        return f"truncated: {there_s:.1f} of {own_s:.1f} s of pictures are there"
    sound_s = max((_stream_s(s) for s in audio_streams(container)), default=0.0)
    longest_s = sound_s or (0.0 if own_s else (container.duration or 0) / 1_000_000)
    if longest_s > max(there_s + BEYOND_S, there_s * (1 + BEYOND)):
        return f"truncated: {there_s:.1f} s of pictures in a film of {longest_s:.1f} s"
    return ""


def _stream_s(stream) -> float:
    """How long a stream says it lasts; 0 where it does not say."""
    if stream.duration:
        return seconds(stream.duration, stream.time_base)
    try:
        hours, minutes, rest = map(float, stream.metadata.get("DURATION", "").split(":"))  # as Matroska says it
    except ValueError:
        return 0.0
    return hours * 3600 + minutes * 60 + rest


def holes(time_s: np.ndarray) -> np.ndarray:
    """(n, 2) ranges in seconds in which a film of frames at ``time_s`` (N,) has none though it should."""
    steps_s = np.diff(time_s)
    long = np.flatnonzero(steps_s > longest_step_s(time_s))
    return np.stack([time_s[long] + np.median(steps_s), time_s[long + 1]], axis=1) if len(long) else np.zeros((0, 2))


def strictly_increasing(stamps: list[int]) -> np.ndarray:
    """Spread repeated stamps evenly up to the next one, so that every frame has a time of its own."""
    ticks = np.array(stamps, np.float64)
    fresh = np.flatnonzero(np.diff(ticks, prepend=ticks[0] - 1) > 0)
    if len(fresh) == len(ticks):
        return np.array(stamps, np.int64)
    step = np.median(np.diff(ticks[fresh])) if len(fresh) > 1 else 1.0
    known = np.append(ticks[fresh], ticks[fresh[-1]] + step * (len(ticks) - fresh[-1]))
    return np.interp(np.arange(len(ticks)), np.append(fresh, len(ticks)), known)


def skips_every_other(stamps: list[int], shown: list[int]) -> bool:
    """Whether packets without a picture lie between most pictures: each holds one field of a picture of two."""
    between = np.diff(np.searchsorted(stamps, shown)) - 1
    return len(between) > 0 and (between == 1).mean() > 0.5


def in_order(pairs: Iterable[tuple[int, Item]], most: int) -> Iterator[tuple[int, Item]]:
    """Items by ascending index, each index once; one that is not next waits for up to ``most`` others.

    Decoders give pictures in order but for those around damage. What comes too late, or twice, is left out.
    """
    waiting: list[tuple[int, int, Item]] = []
    following = 0

    def ready(most: int) -> Iterator[tuple[int, Item]]:
        nonlocal following
        while waiting and (waiting[0][0] <= following or len(waiting) > most):
            index, _, item = heapq.heappop(waiting)
            if index >= following:
                following = index + 1
                yield index, item

    for count, (index, item) in enumerate(pairs):
        heapq.heappush(waiting, (index, count, item))
        yield from ready(most)
    yield from ready(0)
