"""Faces that a face tracker finds: one portrait, pushed about by what makes it somebody and by facial actions.

The portrait is the astronaut in scikit-image's data (in the public domain, inside the wheel). Proportions and actions
are sums of bumps, each of which pushes a part of the portrait; actions are named after the Facial Action Coding System
(Ekman & Friesen, 1978). A frame is the portrait looked up through the inverse of all pushes together.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

MIDDLE = 225.0  # of the face, in pixels of the portrait, from the left


def _pair(apart, y, width, height, outwards, down):
    """A bump on each side of the face."""
    return tuple((MIDDLE + side * apart, y, width, height, side * outwards, down) for side in (-1, 1))


ACTIONS = {  # bumps: centre x and y, standard deviations, and how far they push to the right and down
    "smile": (*_pair(22, 143, 12, 12, 4.0, -7.5), (224, 146, 12, 10, 0, 5.0)),  # lip corner puller (12)
    "stretch": _pair(22, 141, 11, 11, 4.0, 0),  # lip stretcher (20); negative puckers
    "jaw": ((224, 174, 38, 17, 0, 11.0), (224, 154, 18, 9, 0, 15.0)),  # jaw drop (26)
    "part": ((224, 151, 20, 5, 0, 7.0), (224, 140, 20, 4, 0, -1.5)),  # lips part (25): 1 as in the portrait
    "brow_raise": _pair(27, 91.5, 14, 6, 0, -6.5),  # inner and outer brow raiser (1, 2)
    "brow_inner": (*_pair(12, 94, 7, 6, 0, -5.5), *_pair(36, 95, 6, 6, 0, 1.5)),  # inner brow raiser alone (1)
    "brow_lower": (*_pair(12, 94, 7, 6, -3.0, 5.0), *_pair(27, 91.5, 14, 6, 0, 2.0)),  # brow lowerer (4)
    "lid_raise": _pair(22, 99, 9, 2.4, 0, -3.2),  # upper lid raiser (5): negative lowers it, -1.5 closes the eye
    "cheek": (*_pair(22, 106.5, 9, 3, 0, -2.2), *_pair(22, 124, 13, 10, 0, -2.0)),  # cheek raiser (6)
    "turn": ((224, 125, 30, 40, 6.0, 0), (224, 133, 10, 12, 3.0, 0), (226, 112, 70, 70, -1.0, 0)),  # head to the right
    "nod": ((224, 125, 30, 40, 0, 5.5), (224, 133, 10, 12, 0, 2.7), (226, 112, 70, 70, 0, 1.0)),  # head down
    "tilt": ((226, 50, 80, 60, 12.0, 0),),  # head towards the right shoulder
    "lean": ((226, 112, 80, 80, 0, 7.0),),  # whole head down in the picture
}
"""Weights are about -1 to 1, and all zero is a face at rest."""
SMILING = {"smile": 0.35, "stretch": 0.9, "part": 0.8}
"""What the portrait does."""
PROPORTIONS = {
    "face": _pair(45, 118, 30, 40, 4.0, 0),
    "jaw": _pair(34, 165, 25, 16, 3.5, 0),
    "hair": _pair(61, 99, 16, 30, 5.0, 0),
    "eyes": _pair(22, 102, 12, 9, 1.6, 0),
    "nose": _pair(9, 128, 8, 9, 1.8, 0),
    "chin": ((224, 176, 45, 16, 0, 3.5),),
    "brows": _pair(27, 91.5, 14, 6, 0, 1.6),
    "forehead": ((227, 18, 60, 22, 0, 6.0),),
}
STURDY = {"jaw": 0.8, "hair": -1.0, "forehead": 0.8}


@dataclass(frozen=True)
class Framing:
    """What part of the portrait a picture shows, and how many pixels it has (multiples of ``step``)."""

    x: int
    y: int
    width: int
    height: int
    picture_width: int
    picture_height: int
    step: int = 5  # pushes are computed at the centres of squares of so many picture pixels

    @property
    def scale(self) -> float:
        """Picture pixels per portrait pixel."""
        return self.picture_width / self.width

    def field(self, bumps) -> np.ndarray:
        """The sum of some bumps in squares, (h, w, 2) float32."""
        x = self.x + (np.arange(self.picture_width // self.step) + 0.5) * self.step / self.scale
        y = self.y + (np.arange(self.picture_height // self.step)[:, None] + 0.5) * self.step / self.scale
        pushes = [
            np.exp(-(((x - at_x) / width) ** 2 + ((y - at_y) / height) ** 2) / 2)[..., None] * (right, down)
            for at_x, at_y, width, height, right, down in bumps
        ]
        return (np.sum(pushes, 0) * self.scale / self.step).astype(np.float32)

    def cut(self, portrait: np.ndarray) -> np.ndarray:
        """The picture of this framing from an image in portrait pixels."""
        import cv2

        part = portrait[self.y : self.y + self.height, self.x : self.x + self.width]
        return cv2.resize(part, (self.picture_width, self.picture_height), interpolation=cv2.INTER_CUBIC)


@cache
def action_fields(framing: Framing) -> np.ndarray:
    """The field of each action, (len(ACTIONS), h, w, 2)."""
    return np.stack([framing.field(bumps) for bumps in ACTIONS.values()])


def weights_of(expression: dict[str, float]) -> np.ndarray:
    """(len(ACTIONS),) float32 from weights by name."""
    return np.array([expression.get(action, 0.0) for action in ACTIONS], np.float32)


class Actor:
    """A person: a portrait, the proportions that make it somebody, and how it moves.

    Args:
        portrait: (512, 512, 3) uint8 BGR.
        proportions: weights of `PROPORTIONS`.
        framing: what of the portrait is shown.
        mirror: show the picture mirrored.
    """

    def __init__(self, portrait: np.ndarray, proportions: dict[str, float], framing: Framing, mirror: bool = False):
        self.framing, self.mirror = framing, mirror
        self._fields, self._picture = action_fields(framing), framing.cut(portrait)
        shape = np.sum([weight * framing.field(PROPORTIONS[name]) for name, weight in proportions.items()], 0)
        self._still = (shape - np.tensordot(weights_of(SMILING), self._fields, 1)).astype(np.float32)
        rows, columns = np.indices(self._still.shape[:2], np.float32)
        self._squares = np.stack([columns, rows], -1)

    def frame(self, weights: np.ndarray) -> np.ndarray:
        """The picture (picture_height, picture_width, 3) uint8 BGR of a face with these action weights."""
        import cv2

        field = np.tensordot(weights.astype(np.float32), self._fields, 1) + self._still
        backward = field
        for _ in range(3):  # fixed point of: backward(p) = field(p - backward(p))
            at = self._squares - backward
            backward = cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        source = (self._squares - backward + 0.5) * self.framing.step - 0.5
        source = cv2.resize(source, (self.framing.picture_width, self.framing.picture_height))
        out = cv2.remap(self._picture, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return cv2.flip(out, 1) if self.mirror else out


def cast(rng: np.random.Generator, framing: Framing, letter: str) -> Actor:
    """Draw a person: ``letter`` F or M decides on jaw and hair, everything else is chance."""
    import cv2
    from skimage import data

    lab = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 0] *= rng.uniform(0.65, 1.06)  # light of the room
    lab[..., 1:] += rng.uniform(-11, 11, 2)  # and its colour
    portrait = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)
    drawn = {name: rng.uniform(-1, 1) + STURDY.get(name, 0.0) * (letter == "M") for name in PROPORTIONS}
    return Actor(portrait, drawn, framing, bool(rng.random() < 0.5))
