"""Which frames of a video each segment wants."""

from collections.abc import Sequence

import numpy as np

from pipeline.records import Segment
from pipeline.timebase import frame_ranges_s, select_frames

Plan = dict[str, tuple[np.ndarray, np.ndarray]]
"""Segment id to the times (n, 2) and indices (n,) of its frames."""


def plan_frames(frame_time_s: np.ndarray, segments: Sequence[Segment], sample_rate_hz: float | None) -> Plan:
    """Choose each segment's frames by their own time stamps; each row lasts until the next chosen frame."""
    plan = {}
    for segment in segments:
        index = select_frames(frame_time_s, segment.start_s, segment.end_s, sample_rate_hz)
        time_s = frame_ranges_s(frame_time_s[index])
        if len(index) == 1:
            time_s = frame_ranges_s(frame_time_s)[index]
        plan[segment.segment_id] = (time_s, index)
    return plan


def end_reason(segment: Segment, frame_time_s: np.ndarray) -> str:
    """Say by how much a segment ends after the video, '' where it does not."""
    ranges_s = frame_ranges_s(frame_time_s)
    end_s, tolerance_s = float(ranges_s[-1, 1]), 1.5 * float(np.ptp(ranges_s[-1]))
    if segment.start_s >= end_s:
        return f"starts {segment.start_s - end_s:.1f} s after the last frame"
    if segment.end_s > end_s + tolerance_s:
        return f"ends {segment.end_s - end_s:.1f} s after the last frame"
    return ""
