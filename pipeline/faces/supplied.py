"""Face crops that a corpus supplies, as Aff-Wild2's ``cropped_aligned/<name>[_left|_right]/%05d.jpg``.

Crop number n belongs to frame n - 1 of the video, whatever is missing around it; a number without a file is a frame
without a face. The pictures are 112 pixels wide and high in the official release and are brought to that otherwise.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.crops import BAD_CROP, CROP_PX, NO_CROP, FaceWriter
from pipeline.faces.align import JPEG_QUALITY
from pipeline.faces.plan import Plan, lacking
from pipeline.log import log, progress
from pipeline.media import Video
from pipeline.records import Segment

_NAME = re.compile(r"(\d+)\.jpe?g", re.IGNORECASE)


def copy_crops(root: Path, segments: Sequence[Segment], video: Video, plan: Plan, writer: FaceWriter) -> None:
    """Write the faces of segments that name a folder of crops below ``root``, without landmarks or mesh (zeros).

    A segment whose folder is not there gets invalid rows and that remark.
    """
    for segment in progress(segments, "supplied crops"):
        folder = root / segment.crops
        files = numbered(folder)
        writer.remark(segment.segment_id, *lacking(segment, video, plan))
        if not folder.is_dir():
            writer.remark(segment.segment_id, f"no folder {segment.crops}")
        for row, frame in enumerate(plan[segment.segment_id][1]):
            path = files.get(int(frame) + 1)
            jpeg = None if path is None else _jpeg(path)
            if jpeg is not None:
                writer.found(segment.segment_id, row, jpeg)
            else:
                writer.absent(segment.segment_id, row, NO_CROP if path is None else BAD_CROP)
        beyond = sum(number > len(video.time_s) for number in files)
        if beyond:
            text = f"{beyond} crops have numbers beyond the {len(video.time_s)} frames of the video"
            writer.remark(segment.segment_id, text)


def numbered(folder: Path) -> dict[int, Path]:
    """Crop files by their number; anything else in the folder is left out."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file())
    found = ((_NAME.fullmatch(name), folder / name) for name in names)
    return {int(match[1]): path for match, path in found if match}


def _jpeg(path: Path) -> bytes | np.ndarray | None:
    """JPEG bytes of a 112x112 RGB crop: the file's own where it is one, else encoded anew; None where unreadable."""
    import cv2

    data = path.read_bytes()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        log.warning("%s: cannot be read as a picture", path)
        return None
    if picture.shape[:2] == (CROP_PX, CROP_PX):
        return data
    picture = cv2.resize(picture, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
