"""Which frames of a video each segment wants."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.log import progress
from pipeline.media import Video
from pipeline.picture import Picture
from pipeline.records import Segment
from pipeline.timebase import frame_ranges_s, select_frames

Plan = dict[str, tuple[np.ndarray, np.ndarray]]
"""Segment id to the times (n, 2) and indices (n,) of its frames."""


def plan_frames(frame_time_s: np.ndarray, segments: Sequence[Segment], sample_rate_hz: float | None) -> Plan:
    """Choose each segment's frames by their own time stamps.

    A row lasts until the next chosen frame or the end of the segment, but not through a hole of the film.
    """
    ranges_s, plan = frame_ranges_s(frame_time_s), {}
    last = np.append(np.flatnonzero(ranges_s[:-1, 1] < ranges_s[1:, 0]), len(ranges_s) - 1)  # before holes, and of all
    for segment in segments:
        index = select_frames(frame_time_s, segment.start_s, segment.end_s, sample_rate_hz)
        start_s, hole_s = frame_time_s[index], ranges_s[last[np.searchsorted(last, index)], 1]
        end_s = np.minimum(np.append(start_s, segment.end_s)[1:], hole_s)
        plan[segment.segment_id] = (np.stack([start_s, end_s], axis=1), index)
    return plan


def lacking(segment: Segment, video: Video, plan: Plan) -> list[str]:
    """Say what the video lacks of a segment: that it ends before, breaks off, has holes or no picture for it."""
    end_s, tolerance_s = video.end_s, 1.5 * (video.end_s - video.time_s[-1])
    reasons = []
    if segment.start_s >= end_s:
        reasons.append(f"starts {segment.start_s - end_s:.1f} s after the last frame")
    elif segment.end_s > end_s + tolerance_s:
        reasons.append(f"ends {segment.end_s - end_s:.1f} s after the last frame")
    if video.truncated and segment.end_s > end_s - tolerance_s:
        reasons.append(video.truncated)
    holes_s = np.ptp(np.clip(video.holes_s, segment.start_s, segment.end_s), axis=1)
    holes_s = holes_s.round(3)  # a segment may end where a hole begins
    if holes_s.any():
        count = int((holes_s > 0).sum())
        reasons.append(f"no picture for {holes_s.sum():.1f} s in {count} hole{'s' * (count > 1)}")
    if video.dropped:
        reasons.append(f"{video.dropped} pictures of the video have no place in time")
    if not len(plan[segment.segment_id][1]):
        reasons.append("no frame lies inside")
    return reasons


def wanted_pictures(video: Video, plan: Plan) -> Iterator[tuple[Picture, list[tuple[str, int]]]]:
    """Every undamaged frame that a segment wants, in order, with the (segment id, row) that want it."""
    ids = list(plan)
    index = np.concatenate([plan[s][1] for s in ids])
    owner = np.repeat(np.arange(len(ids)), [len(plan[s][1]) for s in ids])
    row = np.concatenate([np.arange(len(plan[s][1])) for s in ids])
    order = np.argsort(index, kind="stable")
    index, owner, row = index[order], owner[order], row[order]
    wanted = np.unique(index)
    for picture in progress(video.pictures(wanted), video.path.name, total=len(wanted)):
        if not picture.damaged:  # rows that nobody writes say that they are
            first, last = np.searchsorted(index, (picture.index, picture.index + 1))
            yield picture, [(ids[owner[i]], int(row[i])) for i in range(first, last)]
