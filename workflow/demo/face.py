"""Faces that a face tracker finds: one portrait moved by facial actions.

The portrait is the astronaut in scikit-image's data (in the public domain, inside the wheel). Each facial action is
a field of displacements over the portrait, named after the Facial Action Coding System (Ekman & Friesen, 1978); a face
is a weighted sum of these fields, and a frame is the portrait looked up through the inverse of that sum.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

ACTIONS = (
    "smile",  # lip corner puller (12): -1 pulls the corners below their resting place
    "stretch",  # lip stretcher (20): wider mouth; negative puckers
    "jaw",  # jaw drop (26)
    "part",  # lips part (25): 1 shows the teeth as in the portrait, 0 closes the lips
    "brow_raise",  # inner and outer brow raiser (1, 2)
    "brow_inner",  # inner brow raiser alone (1)
    "brow_lower",  # brow lowerer (4), which also draws the brows together
    "lid_raise",  # upper lid raiser (5): negative lowers the lid, -1.5 closes the eye
    "cheek",  # cheek raiser (6), which lifts the lower lid
    "turn",  # head to the image's right
    "nod",  # head down
    "tilt",  # head towards the image's right shoulder
    "lean",  # whole head down in the picture
)
"""The order of the weights that `Actor.frame` takes; each is about -1 to 1 and all zero is a face at rest."""
HEAD = slice(ACTIONS.index("turn"), len(ACTIONS))

EYES = ((203.5, 101.0), (247.0, 102.8))  # in pixels of the portrait, image-left first
BROWS = ((199.5, 90.0), (253.5, 93.0))
MOUTH = (223.5, 146.0)
MOUTH_HALF_WIDTH = 22.0
TEETH = (  # outline of what is seen between the lips of the portrait
    *((203.3, 140.0), (210.8, 142.1), (218.0, 143.2), (225.0, 143.5), (238.3, 142.9), (244.2, 141.3)),
    *((239.0, 146.3), (231.7, 149.3), (223.3, 149.8), (212.5, 148.8), (207.0, 144.2)),
)
CLOSED_BGR = (96, 84, 148)  # the line between closed lips
OPEN_BGR = (38, 26, 62)  # inside an open mouth


@dataclass(frozen=True)
class Framing:
    """What part of the portrait a picture shows, and how many pixels it has (multiples of ``step``)."""

    x: int
    y: int
    width: int
    height: int
    picture_width: int
    picture_height: int
    step: int = 5  # displacements are held at the centres of squares of so many picture pixels

    @property
    def scale(self) -> float:
        """Picture pixels per portrait pixel."""
        return self.picture_width / self.width

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Portrait coordinates (x, y), each (h, w), at which displacements are held."""
        x = (np.arange(self.picture_width // self.step) + 0.5) * self.step - 0.5
        y = (np.arange(self.picture_height // self.step) + 0.5) * self.step - 0.5
        columns, rows = np.meshgrid(self.x + x / self.scale, self.y + y / self.scale)
        return columns, rows

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of the mesh nearest to a place of the portrait."""
        return round((y - self.y) * self.scale / self.step), round((x - self.x) * self.scale / self.step)

    def cut(self, portrait: np.ndarray) -> np.ndarray:
        """The picture of this framing from an image in portrait pixels."""
        import cv2

        part = portrait[self.y : self.y + self.height, self.x : self.x + self.width]
        return cv2.resize(part, (self.picture_width, self.picture_height), interpolation=cv2.INTER_CUBIC)


def bump(x, y, centre, width, height):
    """Gaussian of standard deviations ``width`` and ``height`` about ``centre``, 1 at its top."""
    return np.exp(-(((x - centre[0]) / width) ** 2 + ((y - centre[1]) / height) ** 2) / 2)


def rise(value):
    """Logistic step from 0 to 1."""
    return 1 / (1 + np.exp(-np.clip(value, -30, 30)))


def _lip_line(x):
    """Height of the line between the lips: the portrait smiles, so it sags in the middle."""
    across = np.clip((x - MOUTH[0]) / MOUTH_HALF_WIDTH, -1, 1)
    return 140.6 + 0.045 * (x - MOUTH[0]) + 5.2 * (1 - across**2)


def _mouth_fields(x, y):
    zero = np.zeros_like(x)
    across = (x - MOUTH[0]) / MOUTH_HALF_WIDTH
    left, right = bump(x, y, (202, 140), 11, 11), bump(x, y, (246, 142), 11, 11)
    middle = bump(x, y, MOUTH, 9, 10)
    below = rise((y - _lip_line(x)) / 1.3)  # 0 above the line between the lips, 1 under it
    lip_share = np.clip(1 - across**2, 0, 1)
    lower_lip = below * lip_share * bump(x, y, (223.5, 150), 60, 9)
    upper_lip = (1 - below) * lip_share * bump(x, y, (223.5, 141), 60, 5)
    chin = below * np.exp(-((np.abs(across) / 1.7) ** 4)) * rise((196 - y) / 5)
    return {
        "smile": ((right - left) * 3.0, 2.5 * middle - 6.0 * (left + right)),
        "stretch": ((right - left) * 4.0, zero),
        "jaw": (zero, 12.0 * np.maximum(lower_lip, 0.9 * chin)),
        "part": (zero, 7.0 * lower_lip - 0.8 * upper_lip),
    }


def _brow_and_eye_fields(x, y):
    zero = np.zeros_like(x)
    inner = bump(x, y, (214, 93), 7, 6), bump(x, y, (238, 95), 7, 6)
    outer = bump(x, y, (191, 93), 6, 6) + bump(x, y, (262, 97), 6, 6)
    whole = sum(bump(x, y, brow, 14, 6) for brow in BROWS)
    upper_lid = sum(bump(x, y, (cx, cy - 3.0), 9, 2.4) for cx, cy in EYES)
    lower_lid = sum(bump(x, y, (cx, cy + 4.5), 9, 3) for cx, cy in EYES)
    cheeks = sum(bump(x, y, (cx, cy + 22), 13, 10) for cx, cy in EYES)
    return {
        "brow_raise": (zero, -6.5 * whole),
        "brow_inner": (zero, -5.5 * sum(inner) + 1.5 * outer),
        "brow_lower": (3.0 * (inner[0] - inner[1]), 5.0 * sum(inner) + 2.0 * whole),
        "lid_raise": (zero, -3.2 * upper_lid),
        "cheek": (zero, -2.2 * lower_lid - 2.0 * cheeks),
    }


def _head_fields(x, y):
    zero = np.zeros_like(x)
    head = rise((1 - np.hypot((x - 226) / 92, (y - 112) / 96)) * 9)
    depth = bump(x, y, (224, 125), 30, 40) + 0.5 * bump(x, y, (224, 133), 10, 12)  # nearer parts move further
    return {
        "turn": (head * (6.0 * depth - 1.0), zero),
        "nod": (zero, head * (5.5 * depth + 1.0)),
        "tilt": (-head * (y - 185) * 0.13, head * (x - 226) * 0.13),
        "lean": (zero, head * 7.0),
    }


@cache
def action_fields(framing: Framing) -> tuple[np.ndarray, np.ndarray]:
    """Displacements in portrait pixels: (len(ACTIONS), h, w, 2), and (h, w, 2) from the smiling portrait to rest."""
    x, y = framing.mesh()
    named = {**_mouth_fields(x, y), **_brow_and_eye_fields(x, y), **_head_fields(x, y)}
    fields = np.stack([np.stack(named[name], -1) for name in ACTIONS]).astype(np.float32)
    smile, stretch, part = (fields[ACTIONS.index(name)] for name in ("smile", "stretch", "part"))
    return fields, -0.6 * smile - 0.9 * stretch - part


@dataclass(frozen=True)
class Glasses:
    """Two rims and a bridge, in portrait pixels."""

    width: float
    height: float
    thickness: float
    colour_bgr: tuple[int, int, int]


class Actor:
    """A person: a portrait, the proportions that make it somebody, and how it moves.

    Args:
        portrait: (512, 512, 3) uint8 BGR.
        proportions: (h, w, 2) float32 displacements on ``framing.mesh()`` that are always there.
        framing: what of the portrait is shown.
        mirror: show the picture mirrored.
        glasses: drawn over the face; they follow the head, not the brows.
    """

    def __init__(
        self,
        portrait: np.ndarray,
        proportions: np.ndarray,
        framing: Framing,
        mirror: bool = False,
        glasses: Glasses | None = None,
    ):
        import cv2

        self.framing, self.mirror, self.glasses = framing, mirror, glasses
        fields, rest = action_fields(framing)
        cells = [framing.cell(*eye) for eye in EYES]
        self._eyes = np.array([np.add(eye, proportions[cell]) for eye, cell in zip(EYES, cells)], np.float32)
        self._eye_moves = np.stack([fields[(HEAD, *cell)] for cell in cells], 1)  # (head actions, eyes, xy)
        density = framing.scale / framing.step  # mesh cells per portrait pixel
        self._fields = (fields * density).reshape(len(ACTIONS), -1)
        self._still = ((rest + proportions) * density).astype(np.float32).reshape(-1)
        self._shape = rest.shape
        self._picture = framing.cut(portrait)
        columns, rows = np.arange(rest.shape[1], dtype=np.float32), np.arange(rest.shape[0], dtype=np.float32)
        self._cells = np.stack(np.meshgrid(columns, rows), -1)
        outline = (np.array(TEETH, np.float32) - np.array((framing.x, framing.y))) * framing.scale
        x, y, w, h = cv2.boundingRect(outline.astype(np.int32))
        self._mouth = np.s_[y - 3 : y + h + 3, x - 3 : x + w + 3]
        mask = np.zeros(self._picture.shape[:2], np.float32)
        cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1.0)
        mask = cv2.GaussianBlur(mask, (0, 0), 0.7 * framing.scale)[self._mouth][..., None]
        lower = rise((np.arange(len(mask)) / len(mask) - 0.5) * 12)[:, None, None]  # the upper teeth stay
        lips = self._picture[self._mouth].astype(np.float32)
        self._closing = mask * (np.array(CLOSED_BGR, np.float32) - lips)
        self._opening = mask * lower.astype(np.float32) * (np.array(OPEN_BGR, np.float32) - lips)

    def frame(self, weights: np.ndarray) -> np.ndarray:
        """The picture (picture_height, picture_width, 3) uint8 BGR of a face with these action weights."""
        import cv2

        field = (weights.astype(np.float32) @ self._fields + self._still).reshape(self._shape)
        backward = field
        for _ in range(3):  # fixed point of: backward(p) = field(p - backward(p))
            backward = cv2.remap(field, self._cells - backward, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        source = (self._cells - backward + 0.5) * self.framing.step - 0.5
        source = cv2.resize(source, (self.framing.picture_width, self.framing.picture_height))
        jaw, part = weights[ACTIONS.index("jaw")], weights[ACTIONS.index("part")]
        closed = np.clip(1 - 1.6 * max(jaw, part), 0, 1)
        opened = np.clip(2 * jaw - 0.4, 0, 1)
        lips = self._picture[self._mouth].copy()
        self._picture[self._mouth] = np.clip(lips + closed * self._closing + opened * self._opening, 0, 255)
        out = cv2.remap(self._picture, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self._picture[self._mouth] = lips
        if self.glasses:
            self._draw_glasses(out, weights)
        return cv2.flip(out, 1) if self.mirror else out

    def _draw_glasses(self, picture: np.ndarray, weights: np.ndarray) -> None:
        import cv2

        shift, rim, scale = 4, self.glasses, self.framing.scale  # cv2 draws at 1/16 of a pixel
        eyes = self._eyes + np.tensordot(weights[HEAD], self._eye_moves, 1) + (0.0, 1.5)
        left, right = (eyes - (self.framing.x, self.framing.y)) * scale
        along = (right - left) / np.linalg.norm(right - left)
        style = (rim.colour_bgr, max(1, round(rim.thickness * scale)), cv2.LINE_AA, shift)

        def fixed(point):
            return tuple(int(v) for v in np.round(np.multiply(point, 1 << shift)))

        reach = rim.width * scale * along
        for centre, hinge in ((left, left - reach), (right, right + reach)):
            angle = float(np.degrees(np.arctan2(along[1], along[0])))
            axes = fixed((rim.width * scale, rim.height * scale))
            cv2.ellipse(picture, fixed(centre), axes, angle, 0, 360, *style)
            cv2.line(picture, fixed(hinge), fixed(hinge + (hinge - centre) * 0.6), *style)
        cv2.line(picture, fixed(left + reach), fixed(right - reach), *style)
