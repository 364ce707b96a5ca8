"""Face geometry from the MediaPipe mesh: head pose, a few measures, and landmarks free of position, size and pose."""

from typing import Literal

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, Extractor, Options, options
from pipeline.features.piece import FacePiece
from pipeline.store import Rows

# Indices into the mesh; right and left are the person's own.
RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER = 33, 133, 362, 263
FOREHEAD, CHIN = 10, 152
EYES = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
    263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466,
)  # fmt: skip
BROWS = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285)
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
NOSE_AND_JAW = (1, 4, 6, 98, 327, 152, 172, 397)
EXPRESSIVE = EYES + BROWS + LIPS + NOSE_AND_JAW
MEASURES = (
    "right_eye_opening", "left_eye_opening", "mouth_opening", "mouth_width", "right_brow_height", "left_brow_height",
    "right_mouth_corner_lift", "left_mouth_corner_lift",
)  # fmt: skip


@options
class FaceGeometryOptions(Options):
    """Which points, and whether the head's pose is part of the row."""

    points: Literal["expressive", "all", "none"] = Field(
        "expressive", description="100 points of eyes, brows, lips, nose and jaw; all 468; or only pose and measures"
    )
    pose: bool = Field(True, description="yaw, pitch and roll of the head in radians come first")


class FaceGeometry(Extractor):
    """One row for each frame: pose (3), measures (8), then the points (x, y, z each) in the face's own axes.

    The face's x axis runs through the outer corners of the eyes, y from forehead to chin, z away from the camera; the
    unit is the distance of those corners, the origin half-way between them. Yaw is positive when the face turns to the
    right of the picture, pitch when it looks up, roll when it tilts clockwise; roll is that of the full frame, since
    crops are upright. A frame without a mesh is invalid.
    """

    modality = "video"
    needs_crops = False
    Config = FaceGeometryOptions

    @property
    def cut(self) -> Cut:
        """Frames are looked at one by one."""
        return Cut(length=1024, batch=8192)

    def extract(self, batch: list[FacePiece]) -> list[Rows]:
        """Rows of each piece."""
        return [self._rows(piece) for piece in batch]

    def _rows(self, piece: FacePiece) -> Rows:
        mesh = piece.mesh.astype(np.float64)
        seen = piece.valid & (np.ptp(mesh[:, :, 0], axis=1) > 0)
        mesh[~seen] = np.random.default_rng(0).normal(size=mesh.shape[1:])  # anything but a point: divided, then masked
        points, axes = in_own_axes(mesh)
        parts = [measures(points)]
        if self.config.pose:
            parts.insert(0, head_pose(axes, piece.landmarks))
        if self.config.points != "none":
            chosen = points[:, EXPRESSIVE] if self.config.points == "expressive" else points
            parts.append(chosen.reshape(len(mesh), -1))
        return piece.rows(np.concatenate(parts, axis=1), valid=seen)


def in_own_axes(mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 468, 3) points in the face's own axes and unit, and (n, 3, 3) those axes as columns."""
    across = mesh[:, LEFT_EYE_OUTER] - mesh[:, RIGHT_EYE_OUTER]
    unit = np.linalg.norm(across, axis=1, keepdims=True)
    x = across / unit
    down = mesh[:, CHIN] - mesh[:, FOREHEAD]
    y = down - (down * x).sum(axis=1, keepdims=True) * x
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    axes = np.stack([x, y, np.cross(x, y)], axis=2)
    origin = (mesh[:, LEFT_EYE_OUTER] + mesh[:, RIGHT_EYE_OUTER]) / 2
    return (mesh - origin[:, None]) @ axes / unit[:, None], axes


def head_pose(axes: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(n, 3) yaw, pitch and roll in radians; roll from the eyes in the full frame where those are known."""
    forward = -axes[:, :, 2]
    yaw = np.arctan2(forward[:, 0], -forward[:, 2])
    pitch = np.arctan2(-forward[:, 1], np.hypot(forward[:, 0], forward[:, 2]))
    eyes = (landmarks[:, 1] - landmarks[:, 0]).astype(np.float64)
    known = np.abs(eyes).sum(axis=1) > 0
    line = np.where(known[:, None], eyes, axes[:, :2, 0])
    return np.stack([yaw, pitch, np.arctan2(line[:, 1], line[:, 0])], axis=1)


def measures(points: np.ndarray) -> np.ndarray:
    """(n, 8) MEASURES of points in the face's own axes; eye openings relative to the eye's width."""

    def far(a: int, b: int) -> np.ndarray:
        return np.linalg.norm(points[:, a] - points[:, b], axis=1)

    middle = (points[:, 13, 1] + points[:, 14, 1]) / 2
    columns = [
        far(159, 145) / (far(RIGHT_EYE_OUTER, RIGHT_EYE_INNER) + 1e-6),
        far(386, 374) / (far(LEFT_EYE_OUTER, LEFT_EYE_INNER) + 1e-6),
        far(13, 14),
        far(61, 291),
        far(105, 159),
        far(334, 386),
        middle - points[:, 61, 1],
        middle - points[:, 291, 1],
    ]
    return np.stack(columns, axis=1)
