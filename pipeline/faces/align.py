"""From face mesh points to an aligned crop: five points, a similarity transform, a warp.

The template is the five-point layout for 112x112 crops that ArcFace recognition models are trained on (Deng et al.,
ArcFace, CVPR 2019; the numbers are ``arcface_dst`` of the insightface project, MIT), so that crops fit those models.

Points in the plane of a picture are complex numbers here, x + iy in pixels: turning, scaling and shifting is then
``turn * point + shift``, and a distance is ``abs(a - b)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.crops import CROP_PX
from pipeline.picture import Box, Picture

# Image-left eye, image-right eye, nose tip, image-left and image-right mouth corner, in pixels of the crop.
TEMPLATE = (38.2946 + 51.6963j, 73.5318 + 51.5014j, 56.0252 + 71.7366j, 41.5493 + 92.3655j, 70.7299 + 92.2041j)
_FIRST = [33, 362, 4, 61, 291]  # points of the mesh; the middle of an eye is that of its two corners, which do not
_SECOND = [133, 263, 4, 61, 291]  # move with the lids
JPEG_QUALITY = 95
SAME_FACE = 0.5  # faces whose middles are nearer than this many widths are one face
POOR_FIT_PX = 20.0  # residual at which a face does not resemble the template any more: a full profile


class Face:
    """One face in a picture: the mesh's points and how sure the mesh model is that this is a face.

    ``plane`` (468,) complex and ``depth`` (468,) are in pixels of the full picture; ``centre`` is the middle of the
    face and ``width`` its larger extent. ``rgb`` is the part of the picture that was looked at, ``origin`` its first
    pixel.
    """

    __slots__ = ("centre", "depth", "origin", "plane", "presence", "rgb", "width")

    def __init__(self, plane: np.ndarray, depth: np.ndarray, presence: float, rgb: np.ndarray, origin: tuple[int, int]):
        self.plane, self.depth, self.presence, self.rgb, self.origin = plane, depth, presence, rgb, origin
        x, y = plane.real, plane.imag
        left, right, top, bottom = float(x.min()), float(x.max()), float(y.min()), float(y.max())
        self.centre = complex(left + right, top + bottom) / 2
        self.width = max(right - left, bottom - top)


@dataclass(slots=True)
class AlignedFace:
    """A face brought to the template: ``crop`` (112, 112, 3) RGB, five ``landmarks`` in the full picture, ``mesh``
    (468, 3) in the crop, and ``score`` 0 to 1: the mesh model's probability that this is a face, times one minus the
    root mean square distance of the five points from the template over POOR_FIT_PX."""

    crop: np.ndarray
    landmarks: np.ndarray
    mesh: np.ndarray
    score: float


def jpeg_of(rgb: np.ndarray) -> np.ndarray:
    """A picture (height, width, 3) as JPEG bytes."""
    import cv2

    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]


def apart(a, b) -> bool:
    """Whether two faces (anything with ``centre`` and ``width``) are different ones: half a width from each other."""
    return abs(a.centre - b.centre) > SAME_FACE * max(a.width, b.width)


def five_points(plane: np.ndarray) -> list[complex]:
    """Eye centres, nose tip and mouth corners of the 468 points of a mesh."""
    return ((plane[_FIRST] + plane[_SECOND]) / 2).tolist()


def similarity_transform(source: Sequence[complex], target: Sequence[complex]) -> tuple[complex, complex]:
    """Rotation with scale, and shift, that bring points closest to others in the least squares sense.

    The closed form of Umeyama (1991) without reflection, which in the plane is one complex division.
    """
    a_mean, b_mean = sum(source) / len(source), sum(target) / len(target)
    a = [p - a_mean for p in source]
    covariance = sum(p.conjugate() * (q - b_mean) for p, q in zip(a, target))
    turn = covariance / sum(p.real**2 + p.imag**2 for p in a)
    return turn, b_mean - turn * a_mean


def align(face: Face, picture: Picture | None = None) -> AlignedFace:
    """Bring a face to the template; where the crop reaches beyond ``face.rgb``, pixels come from ``picture``.

    What lies outside of the picture is black.
    """
    five = five_points(face.plane)
    turn, shift = similarity_transform(five, TEMPLATE)
    squares = [abs(turn * p + shift - q) ** 2 for p, q in zip(five, TEMPLATE)]
    residual_px = (sum(squares) / len(squares)) ** 0.5
    mesh = np.empty((len(face.plane), 3))
    mesh[:, :2] = _pairs(turn * face.plane + shift)
    mesh[:, 2] = face.depth * abs(turn)
    rgb, origin = face.rgb, face.origin
    if picture is not None:
        left, top, right, bottom = footprint(turn, shift, picture)
        inside = left >= origin[0] and top >= origin[1]
        if not (inside and right <= origin[0] + rgb.shape[1] and bottom <= origin[1] + rgb.shape[0]):
            rgb, origin = picture.rgb((left, top, right, bottom)), (left, top)
    score = face.presence * max(0.0, 1.0 - residual_px / POOR_FIT_PX)
    return AlignedFace(warp(rgb, turn, shift, origin), _pairs(np.array(five)), mesh, score)


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


def _pairs(points: np.ndarray) -> np.ndarray:
    """(n,) complex to (n, 2) x and y."""
    return points.view(np.float64).reshape(-1, 2)
