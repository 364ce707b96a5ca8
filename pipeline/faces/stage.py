"""``python -m pipeline faces``: which frames of some videos are wanted by whom, and the face file that is written.

Each video is decoded once, and faces are detected once in a frame and part of the picture. Segments that overlap follow
their people apart from each other: whom each shows depends on no other but those that begin with it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import numpy as np

from pipeline.cli import FILE, of_shard
from pipeline.container import MediaError
from pipeline.crops import FaceWriter
from pipeline.faces.align import jpeg_of
from pipeline.faces.halves import HALVES, take_halves
from pipeline.faces.plan import Plan, lacking, plan_frames, wanted_pictures
from pipeline.faces.supplied import copy_crops
from pipeline.log import log
from pipeline.media import Video
from pipeline.picture import Picture, Unconvertible
from pipeline.records import Segment, Side, read_shard

if TYPE_CHECKING:
    from pipeline.faces.mesh import Detector
    from pipeline.faces.people import Scene


def write_faces(
    recordings: Sequence[tuple[Path | None, Sequence[Segment]]],
    out: Path,
    sample_rate_hz: float | None = None,
    root: Path = Path(),
    attributes: dict | None = None,
    picture: Literal["face", "half"] = "face",
) -> None:
    """Find the faces of the segments of some recordings and write one face file.

    Args:
        recordings: each video (None: there is none) with all segments of it. Where a video cannot be read every
            segment of it gets zero rows and the reason.
        out: the face file.
        sample_rate_hz: thin the frames to this rate; None looks at every frame.
        root: the folder that segments name supplied crops in.
        attributes: how the file is made, stored in it.
        picture: track faces, or take the middle of each segment's part of the picture, whatever it shows.
    """
    from pipeline.faces.mesh import Detector

    opened = [(_open(path), segments) for path, segments in recordings]
    plan: Plan = {}
    for video, segments in opened:
        if isinstance(video, str):
            plan |= {s.segment_id: (np.zeros((0, 2)), np.zeros(0, np.int64)) for s in segments}
        else:
            plan |= plan_frames(video.time_s, segments, sample_rate_hz)
    with FaceWriter(out, plan, {"picture": picture, **(attributes or {})}) as writer, closing(Detector()) as detector:
        look = partial(_track, detector) if picture == "face" else take_halves
        for video, segments in opened:
            if isinstance(video, str):
                for segment in segments:
                    writer.remark(segment.segment_id, video)
                continue
            supplied = [s for s in segments if s.crops and picture == "face"]
            if supplied:
                copy_crops(root, supplied, video, plan, writer)
            shown = [s for s in segments if s not in supplied]
            if shown:
                _write_shown(video, shown, {s.segment_id: plan[s.segment_id] for s in shown}, writer, look)


def _open(path: Path | None) -> Video | str:
    """The video, or in words why there is none."""
    if path is None:
        return "there is no video"
    try:
        return Video(path)
    except MediaError as error:
        log.warning("%s", error)
        return f"video unreadable: {error.reason}"


def _write_shown(video: Video, segments: Sequence[Segment], plan: Plan, writer: FaceWriter, look: Callable) -> None:
    if any(len(index) for _, index in plan.values()):
        try:
            look(video, segments, plan, writer)
        except MediaError as error:
            log.warning("%s", error)
            for segment in segments:
                writer.remark(segment.segment_id, f"video unreadable from somewhere on: {error.reason}")
    for segment in segments:  # at last: what has no place in time shows while pictures are decoded
        writer.remark(segment.segment_id, *lacking(segment, video, plan))


def _track(detector: "Detector", video: Video, segments: Sequence[Segment], plan: Plan, writer: FaceWriter) -> None:
    """Write the face of each segment's person in every wanted frame; remark where more faces are in view than meant."""
    most: Counter[str] = Counter()  # faces in view of each segment
    try:
        _follow(detector, video, {s.segment_id: s for s in segments}, plan, writer, most)
    finally:  # of a video that breaks, too
        for segment in segments:
            meant = 1 if segment.side == "whole" else 2
            if segment.picture == "whole" and most[segment.segment_id] > meant:
                writer.remark(segment.segment_id, f"up to {most[segment.segment_id]} faces in view")


def _follow(
    detector: "Detector", video: Video, by_id: dict[str, Segment], plan: Plan, writer: FaceWriter, most: Counter[str]
) -> None:
    """Look at each wanted frame, and count in ``most`` how many faces a segment has in view at once."""
    begun: set[str] = set()
    with ExitStack() as opened:
        scene_of = _scenes(by_id.values(), plan, detector)
        different = list(dict.fromkeys(scene_of.values()))
        for scene in different:
            opened.enter_context(closing(scene))
        for picture, rows in wanted_pictures(video, plan):
            in_view: Counter = Counter()  # by part of the picture, whichever scene has looked for more
            for scene in different:
                here = [(s, row) for s, row in rows if scene_of[s] is scene]
                if not here:
                    continue
                try:
                    found = scene.look(picture, fresh=not begun.issuperset(s for s, _ in here))
                except Unconvertible:
                    continue
                begun.update(s for s, _ in here)
                part = by_id[here[0][0]].picture
                in_view[part] = max(in_view[part], scene.faces)
                jpegs: dict[Side, np.ndarray] = {}
                for segment_id, row in here:
                    side = by_id[segment_id].side
                    face = found[side]
                    if isinstance(face, int):
                        writer.absent(segment_id, row, face)
                        continue
                    if side not in jpegs:
                        jpegs[side] = jpeg_of(face.crop)
                    writer.found(segment_id, row, jpegs[side], face.score, face.landmarks, face.mesh)
            for segment_id, _ in rows:
                most[segment_id] = max(most[segment_id], in_view[by_id[segment_id].picture])


def _scenes(segments: Iterable[Segment], plan: Plan, detector: "Detector") -> dict[str, "Scene"]:
    """Where the person of each segment that wants a frame is looked for: left and right together, one alone apart.

    Segments share a scene where they begin together, so that the frames of one are the first of the other's, or where
    one begins after the other's end, and the scene anew. Those that overlap otherwise have scenes of their own.
    """
    from pipeline.faces.people import Scene

    named = {(s.picture, s.side) for s in segments}
    groups = defaultdict(list)
    for segment in segments:
        if len(plan[segment.segment_id][1]):
            groups[segment.picture, segment.side == "whole", segment.start_s].append(segment.segment_id)
    scenes: dict[str, Scene] = {}
    until: dict[tuple, dict[Scene, int]] = defaultdict(dict)  # the last frame for which each scene is taken
    for (part, alone, _), ids in sorted(groups.items(), key=lambda group: group[0][2]):
        first, last = plan[ids[0]][1][0], max(plan[segment_id][1][-1] for segment_id in ids)
        taken = until[part, alone]
        scene = next((scene for scene, frame in taken.items() if frame < first), None)
        if scene is None:
            sides = tuple(sorted(side for of, side in named if of == part and (side == "whole") == alone))
            scene = Scene(sides, partial(Picture.half, side=HALVES[part]), detector)
        taken[scene] = int(last)
        scenes |= dict.fromkeys(ids, scene)
    return scenes


@click.command()
@of_shard
@click.option("--sample-rate-hz", type=click.FloatRange(min=0, min_open=True), help="Frames a second; else all.")
@click.option(
    "--picture", type=click.Choice(["face", "half"]), default="face", show_default=True,
    help="Track faces, or take the middle of the person's part of the picture.",
)  # fmt: skip
@click.option("--out", type=FILE, required=True, help="The face file to write.")
def faces(root, tables, shard, sample_rate_hz, picture, out):
    """Track and align the faces of the segments of some recordings, or take the crops that were supplied."""
    recordings = read_shard(tables, shard)
    attributes = {"units": [unit.unit_id for unit, _ in recordings], "sample_rate_hz": sample_rate_hz}
    videos = [(root / unit.video if unit.video else None, segments) for unit, segments in recordings]
    write_faces(videos, out, sample_rate_hz, root, attributes, picture)
