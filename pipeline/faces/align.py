"""From face mesh points to an aligned crop: five points, a similarity transform, a warp.

The template is the five-point layout for 112x112 crops that ArcFace recognition models are trained on (Deng et al.,
ArcFace, CVPR 2019; the numbers are ``arcface_dst`` of the insightface project, MIT), so that crops fit those models.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.crops import CROP_PX
from pipeline.media import Box, Picture

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)  # image-left eye, image-right eye, nose tip, image-left and image-right mouth corner, in pixels of the crop
_FIRST = [33, 362, 4, 61, 291]  # points of the mesh; the middle of an eye is that of its two corners, which do not
_SECOND = [133, 263, 4, 61, 291]  # move with the lids
JPEG_QUALITY = 95
SAME_FACE = 0.5  # faces whose middles are nearer than this many widths are one face
POOR_FIT_PX = 20.0  # residual at which a face does not resemble the template any more: a full profile


class Face:
    """One face in a picture: ``points`` (468, 3) in pixels of the full picture, and how sure the mesh model is.

    ``centre`` (2,) is the middle of the face and ``width`` its larger extent. ``rgb`` is the part of the picture that
    was looked at; its left upper pixel is ``origin``.
    """

    __slots__ = ("centre", "origin", "points", "presence", "rgb", "width")

    def __init__(self, points: np.ndarray, presence: float, rgb: np.ndarray, origin: tuple[int, int]):
        self.points, self.presence, self.rgb, self.origin = points, presence, rgb, origin
        xy = points[:, :2]
        low, high = xy.min(axis=0), xy.max(axis=0)
        self.centre = (low + high) / 2
        self.width = float((high - low).max())


@dataclass(slots=True)
class AlignedFace:
    """A face brought to the template: ``crop`` (112, 112, 3) RGB, five ``landmarks`` in the full picture, ``mesh``
    (468, 3) in the crop, and ``score`` 0 to 1: the mesh model's probability that this is a face, times one minus the
    root mean square distance of the five points from the template over POOR_FIT_PX."""

    crop: np.ndarray
    landmarks: np.ndarray
    mesh: np.ndarray
    score: float

    def jpeg(self) -> np.ndarray:
        """The crop as JPEG bytes."""
        import cv2

        bgr = cv2.cvtColor(self.crop, cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]


def apart(a, b) -> bool:
    """Whether two faces (anything with ``centre`` and ``width``) are different ones: half a width from each other."""
    return float(np.hypot(*(a.centre - b.centre))) > SAME_FACE * max(a.width, b.width)


def five_points(points: np.ndarray) -> np.ndarray:
    """(5, 2) eye centres, nose tip and mouth corners of a (468, 3) mesh."""
    return (points[_FIRST, :2] + points[_SECOND, :2]) / 2


def similarity_transform(source: np.ndarray, target: np.ndarray) -> tuple[complex, complex]:
    """Rotation with scale, and shift, that bring (n, 2) points closest to others in the least squares sense.

    The closed form of Umeyama (1991) without reflection. With points as complex numbers it is one division, and the
    transform is ``turn * point + shift``.
    """
    a, b = _complex(source), _complex(target)
    a_mean, b_mean = complex(a.sum()) / len(a), complex(b.sum()) / len(b)
    a = a - a_mean
    turn = complex((a.conj() * (b - b_mean)).sum()) / float((a.real**2 + a.imag**2).sum())
    return turn, b_mean - turn * a_mean


def align(face: Face, picture: Picture | None = None) -> AlignedFace:
    """Bring a face to the template; where the crop reaches beyond ``face.rgb``, pixels come from ``picture``.

    What lies outside of the picture is black.
    """
    landmarks = five_points(face.points)
    turn, shift = similarity_transform(landmarks, TEMPLATE)
    off = turn * _complex(landmarks) + shift - _TEMPLATE
    residual_px = float(np.sqrt((off.real**2 + off.imag**2).sum() / len(off)))
    mesh = np.empty_like(face.points)
    placed = turn * _complex(face.points) + shift
    mesh[:, 0], mesh[:, 1], mesh[:, 2] = placed.real, placed.imag, face.points[:, 2] * abs(turn)
    rgb, origin = face.rgb, face.origin
    if picture is not None:
        left, top, right, bottom = footprint(turn, shift, picture)
        inside = left >= origin[0] and top >= origin[1]
        if not (inside and right <= origin[0] + rgb.shape[1] and bottom <= origin[1] + rgb.shape[0]):
            rgb, origin = picture.rgb((left, top, right, bottom)), (left, top)
    score = face.presence * max(0.0, 1.0 - residual_px / POOR_FIT_PX)
    return AlignedFace(warp(rgb, turn, shift, origin), landmarks, mesh, score)


def footprint(turn: complex, shift: complex, picture: Picture) -> Box:
    """The part of the picture that a crop shows, with a margin for interpolation and even left upper corner."""
    corners = [(c - shift) / turn for c in (0, CROP_PX, CROP_PX * 1j, CROP_PX * (1 + 1j))]
    edges = []
    for values, limit in (([c.real for c in corners], picture.width), ([c.imag for c in corners], picture.height)):
        low = int(min(max(min(values) - 2, 0), limit - 2)) // 2 * 2
        edges.append((low, int(min(max(max(values) + 4, low + 2), limit))))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def warp(rgb: np.ndarray, turn: complex, shift: complex, origin: tuple[int, int] = (0, 0)) -> np.ndarray:
    """(112, 112, 3) crop of a picture whose left upper pixel is ``origin``."""
    import cv2

    shift += turn * complex(*origin)
    shrink = int(1 / abs(turn)) if abs(turn) < 0.5 else 1
    if shrink > 1:  # average first: a warp samples only four pixels and would drop the others
        height, width = rgb.shape[0] // shrink, rgb.shape[1] // shrink
        rgb = cv2.resize(rgb[: height * shrink, : width * shrink], (width, height), interpolation=cv2.INTER_AREA)
        shift += turn * complex(shrink - 1, shrink - 1) / 2  # the middle of the first averaged pixels
        turn *= shrink
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return cv2.warpAffine(rgb, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


_TEMPLATE = _complex(TEMPLATE)
