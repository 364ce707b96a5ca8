"""Rows of other tools held against the segments that they are said to be of: unit, origin, order and plausibility.

Times here are seconds from the recording's first video frame. Other tools count in milliseconds, or from the start of
each segment: where one such reading fits all rows and the plain one does not, it is taken, and said.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.records import InputError, Segment
from pipeline.store import Rows

SLACK_S = 1.0  # a row may lie this far outside its segment, as windows at its edges do
MIN_COVERED = 0.2  # share of the segments' time, from the first row to the last
MAX_RATE_HZ = 2000.0  # rows a second; more is a mistake


@dataclass(frozen=True, slots=True)
class Clock:
    """How a file's times are to be read."""

    words: str
    unit_s: float
    from_segment: bool

    def seconds(self, time: np.ndarray, segment: Segment) -> np.ndarray:
        """Times of a file in seconds from the first video frame."""
        return time * self.unit_s + (segment.start_s if self.from_segment else 0.0)


CLOCKS = (
    Clock("seconds from the first video frame", 1.0, False),
    Clock("seconds from the start of each segment", 1.0, True),
    Clock("milliseconds from the first video frame", 0.001, False),
    Clock("milliseconds from the start of each segment", 0.001, True),
)


def find_clock(source: Path, pairs: Iterable[tuple[str, Rows]], segments: Mapping[str, Segment]) -> Clock:
    """The first of CLOCKS by which every row lies in its segment; raises InputError where none is or a row is wrong."""
    fitting, example = dict.fromkeys(CLOCKS, 0.0), None
    segments_s = 0.0
    for segment_id, rows in pairs:
        segment = segments.get(segment_id)
        if segment is None:
            raise InputError(
                f"{source}: holds {segment_id}, which is not a segment of this corpus (for example {min(segments)})"
            )
        check_rows(source, segment, rows)
        if not len(rows):
            continue
        segments_s += segment.duration_s
        for clock in list(fitting):
            time_s = clock.seconds(rows.time_s, segment)
            if _inside(time_s, segment):
                fitting[clock] += float(time_s.max() - time_s.min())
                continue
            del fitting[clock]
            if clock is CLOCKS[0]:
                example = f"rows of {segment_id} lie from {rows.time_s.min():g} to {rows.time_s.max():g}, " + (
                    f"the segment from {segment.start_s:g} to {segment.end_s:g} s"
                )
    # Thousandths of seconds fit anywhere; a reading must spread the rows over their segments, too.
    good = [c for c, covered_s in fitting.items() if c is CLOCKS[0] or covered_s >= MIN_COVERED * segments_s]
    if not good:
        raise InputError(
            f"{source}: {example}, and no other reading fits all rows: {', '.join(c.words for c in CLOCKS[1:])}. "
            "Check that offsets and ids belong together, and give seconds from the first video frame"
        )
    return good[0]


def check_rows(source: Path, segment: Segment, rows: Rows) -> None:
    """Raise InputError for values or times that are not numbers, empty ranges, rows out of order or far too many."""
    where = f"{source}: {segment.segment_id}"
    start, end = rows.time_s[:, 0], rows.time_s[:, 1]
    if not np.isfinite(rows.time_s).all():
        row = int(np.flatnonzero(~np.isfinite(rows.time_s).all(axis=1))[0])
        raise InputError(f"{where}: the time of row {row} is {rows.time_s[row].tolist()}; give start and end of each")
    if (end <= start).any():
        row = int(np.flatnonzero(end <= start)[0])
        raise InputError(f"{where}: row {row} ends at {end[row]:g}, not after its start at {start[row]:g}")
    if (np.diff(start) < 0).any():
        row = int(np.flatnonzero(np.diff(start) < 0)[0]) + 1
        raise InputError(f"{where}: row {row} starts before the one in front of it; sort its rows by time")
    if len(rows) > max(1.0, segment.duration_s) * MAX_RATE_HZ:
        raise InputError(f"{where}: {len(rows)} rows in {segment.duration_s:g} s; check offsets and ids")
    bad = ~np.isfinite(rows.values).all(axis=1) & rows.valid
    if bad.any():
        raise InputError(
            f"{where}: values of row {int(np.flatnonzero(bad)[0])} are not numbers; mark such rows invalid"
        )


def _inside(time_s: np.ndarray, segment: Segment) -> bool:
    middle_s = time_s.mean(axis=1)
    return bool(((middle_s >= segment.start_s - SLACK_S) & (middle_s <= segment.end_s + SLACK_S)).all())
