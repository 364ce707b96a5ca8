"""The faces of one video's segments: which frames are looked at, by whom they are wanted, and what is written.

The video is decoded once. A frame that several segments want is looked at once for each part of the picture.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.crops import CODES, DAMAGED, FaceWriter
from pipeline.log import log, progress
from pipeline.media import MediaError, Video
from pipeline.records import Segment, Side
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


def write_faces(
    video_path: Path,
    segments: Sequence[Segment],
    out: Path,
    sample_rate_hz: float | None = None,
    side_by_side: bool = False,
    attributes: dict | None = None,
) -> None:
    """Track the faces of one video's segments and write the face file.

    Args:
        video_path: the source video; where it cannot be read every segment gets zero rows and the reason.
        segments: all segments of the unit.
        out: the face file.
        sample_rate_hz: thin the frames to this rate; None looks at every frame.
        side_by_side: the sides name halves of the picture (IEMOCAP), not the left and right of two faces (Aff-Wild2).
        attributes: how the file is made, stored in it.
    """
    try:
        video = Video(video_path)
    except MediaError as error:
        log.warning("%s", error)
        write_nothing(out, segments, f"video unreadable: {error.reason}", attributes)
        return
    plan = plan_frames(video.time_s, segments, sample_rate_hz)
    with FaceWriter(out, plan, attributes) as writer:
        counts = {s.segment_id: Counter() for s in segments}
        most_faces: dict[str, int] = {}
        if any(len(index) for _, index in plan.values()):
            most_faces = _track(video, segments, plan, side_by_side, writer, counts)
        for segment in segments:
            reasons = [
                end_reason(segment, video.time_s),
                _summary(counts[segment.segment_id], plan[segment.segment_id][1]),
            ]
            expected = 1 if segment.side == "whole" else 2
            if not side_by_side and most_faces.get(segment.segment_id, 0) > expected:
                reasons.append(f"up to {most_faces[segment.segment_id]} faces in view")
            writer.reason(segment.segment_id, "; ".join(r for r in reasons if r))


def write_nothing(out: Path, segments: Sequence[Segment], reason: str, attributes: dict | None = None) -> None:
    """Write a face file in which no segment has any row, for one reason."""
    empty = (np.zeros((0, 2)), np.zeros(0, np.int64))
    with FaceWriter(out, {s.segment_id: empty for s in segments}, attributes) as writer:
        for segment in segments:
            writer.reason(segment.segment_id, reason)


def _track(video: Video, segments, plan: Plan, side_by_side: bool, writer: FaceWriter, counts) -> dict[str, int]:
    import cv2

    from pipeline.faces.mesh import Finder

    cv2.setNumThreads(1)  # the workflow counts on one core per video
    finder = Finder()
    scenes = _scenes(segments, side_by_side, finder)
    by_id = {s.segment_id: s for s in segments}
    scene_of = {s.segment_id: next(i for i, (sides, _) in enumerate(scenes) if s.side in sides) for s in segments}
    wanted, wishes = _wishes(plan)
    begun: set[str] = set()
    for picture in progress(video.pictures(wanted), video.path.name, total=len(wanted)):
        for number, (sides, scene) in enumerate(scenes):
            here = [(s, row) for s, row in wishes(picture.index) if scene_of[s] == number]
            if not here:
                continue
            fresh = not begun.issuperset(s for s, _ in here)
            begun.update(s for s, _ in here)
            found = scene.look(picture, fresh)
            jpegs: dict[Side, np.ndarray] = {}
            for segment_id, row in here:
                side = sides[by_id[segment_id].side]
                face = found[side]
                if isinstance(face, int):
                    writer.absent(segment_id, row, face)
                    counts[segment_id][face] += 1
                    continue
                if side not in jpegs:
                    jpegs[side] = face.jpeg()
                writer.found(segment_id, row, jpegs[side], face.score, face.landmarks, face.mesh)
                counts[segment_id]["found"] += 1
    for _, scene in scenes:
        for person in scene.people:
            person.tracker.close()
    finder.close()
    return {s: scenes[number][1].most_faces for s, number in scene_of.items()}


def _scenes(segments, side_by_side: bool, finder) -> list:
    """Scenes with a map from the sides of segments to the sides of the scene's people."""
    from pipeline.faces.people import Scene

    def scene(sides: dict[Side, Side], part: Side):
        return sides, Scene(tuple(sorted(set(sides.values()))), lambda picture: picture.half(part), finder)

    named: set[Side] = {s.side for s in segments}
    if side_by_side:
        return [scene({side: "whole"}, side) for side in sorted(named)]
    pair: dict[Side, Side] = {side: side for side in sorted(named - {"whole"})}
    if "whole" not in named:
        return [scene(pair, "whole")]
    if len(pair) == 1:  # some videos name one of two people by a side and the other by nothing
        return [scene({**pair, "whole": "right" if "left" in pair else "left"}, "whole")]
    alone = scene({"whole": "whole"}, "whole")
    return [scene(pair, "whole"), alone] if pair else [alone]


def _wishes(plan: Plan):
    """All wanted frames in order, and a function from a frame's index to the (segment id, row) that want it."""
    ids = list(plan)
    index = np.concatenate([plan[s][1] for s in ids])
    owner = np.repeat(np.arange(len(ids)), [len(plan[s][1]) for s in ids])
    row = np.concatenate([np.arange(len(plan[s][1])) for s in ids])
    order = np.argsort(index, kind="stable")
    index, owner, row = index[order], owner[order], row[order]

    def of(frame: int) -> Iterator[tuple[str, int]]:
        first, last = np.searchsorted(index, (frame, frame + 1))
        return ((ids[owner[i]], int(row[i])) for i in range(first, last))

    return np.unique(index), of


def _summary(counts: Counter, index: np.ndarray) -> str:
    """In words, what is missing of a segment's frames; '' where nothing is."""
    if len(index) == 0:
        return "no frame lies inside"
    counts[DAMAGED] = len(index) - sum(n for code, n in counts.items() if code != DAMAGED)
    missing = {code: n for code, n in counts.items() if code != "found" and n}
    if not missing:
        return ""
    if list(missing.values()) == [len(index)]:
        return f"{CODES[next(iter(missing))]} in any of {len(index)} frames".replace("no face found in", "no face in")
    parts = [f"{CODES[code]} in {n}" for code, n in sorted(missing.items())]
    return ", ".join(parts) + f" of {len(index)} frames"
