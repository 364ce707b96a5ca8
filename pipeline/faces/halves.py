"""The middle of a person's part of the picture, whatever it shows: what paper 1 gave its image network.

No face is looked for, so nothing tells who is seen: the actor, or an empty chair.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.crops import PICTURE_PX, FaceWriter
from pipeline.faces.align import jpeg_of
from pipeline.faces.plan import Plan, wanted_pictures
from pipeline.media import Video
from pipeline.picture import Box, Unconvertible
from pipeline.records import Picture as Part
from pipeline.records import Segment, Side

HALVES: dict[Part, Side] = {"whole": "whole", "left_half": "left", "right_half": "right"}


def take_halves(video: Video, segments: Sequence[Segment], plan: Plan, writer: FaceWriter) -> None:
    """Write the middle of each segment's part of every wanted frame, without landmarks or mesh (zeros)."""
    part_of = {s.segment_id: s.picture for s in segments}
    for picture, rows in wanted_pictures(video, plan):
        jpegs: dict[Part, np.ndarray] = {}
        for segment_id, row in rows:
            part = part_of[segment_id]
            try:
                if part not in jpegs:
                    jpegs[part] = _jpeg(picture.rgb(middle(picture.half(HALVES[part]))))
            except Unconvertible:
                break
            writer.found(segment_id, row, jpegs[part])


def middle(box: Box) -> Box:
    """The square of PICTURE_PX in the middle of a part of the picture; of a smaller part, the largest there is."""
    left, top, right, bottom = box
    size = min(PICTURE_PX["half"], right - left, bottom - top)
    x, y = left + (right - left - size) // 2, top + (bottom - top - size) // 2
    return x, y, x + size, y + size


def _jpeg(rgb: np.ndarray) -> np.ndarray:
    import cv2

    size = (PICTURE_PX["half"],) * 2
    return jpeg_of(rgb if rgb.shape[:2] == size else cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR))
