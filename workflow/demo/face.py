"""Faces that a face tracker finds: one portrait, pushed about by what makes it somebody and by facial actions.

The portrait is the astronaut in scikit-image's data (in the public domain, inside the wheel). Proportions and actions
are sums of bumps, each of which pushes a part of the portrait; actions are named after the Facial Action Coding System
(Ekman & Friesen, 1978). A frame is the portrait looked up through the inverse of all pushes together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workflow.demo.voice import HOP, SAMPLE_RATE_HZ

MIDDLE = 225.0  # middle of the face, in pixels of the portrait, from the left


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
IDLE = {"turn": 0.25, "nod": 0.18, "tilt": 0.18}
SPEECH = {"jaw": 0.22, "part": 0.15}


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


class Actor:
    """A person drawn from ``rng``: ``letter`` F or M decides on jaw and hair, everything else is chance."""

    def __init__(self, rng: np.random.Generator, framing: Framing, letter: str):
        import cv2
        from skimage import data

        lab = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2LAB).astype(np.float32)
        lab[..., 0] *= rng.uniform(0.65, 1.06)  # light of the room
        lab[..., 1:] += rng.uniform(-11, 11, 2)  # and its colour
        portrait = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)
        part = portrait[framing.y : framing.y + framing.height, framing.x : framing.x + framing.width]
        self._size, self._step = (framing.picture_width, framing.picture_height), framing.step
        self._picture = cv2.resize(part, self._size, interpolation=cv2.INTER_CUBIC)
        self._actions = np.stack([framing.field(bumps) for bumps in ACTIONS.values()])
        drawn = [rng.uniform(-1, 1) + STURDY.get(name, 0.0) * (letter == "M") for name in PROPORTIONS]
        shape = np.tensordot(drawn, [framing.field(bumps) for bumps in PROPORTIONS.values()], 1)
        self._still = (shape - np.tensordot(weights_of(SMILING), self._actions, 1)).astype(np.float32)
        rows, columns = np.indices(self._still.shape[:2], np.float32)
        self._squares = np.stack([columns, rows], -1)

    def frame(self, weights: np.ndarray) -> np.ndarray:
        """The picture (picture_height, picture_width, 3) uint8 BGR of a face with these action weights."""
        import cv2

        backward = field = np.tensordot(weights.astype(np.float32), self._actions, 1) + self._still
        for _ in range(3):  # fixed point of: backward(p) = field(p - backward(p))
            at = self._squares - backward
            backward = cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        source = cv2.resize((self._squares - backward + 0.5) * self._step - 0.5, self._size)
        return cv2.remap(self._picture, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def weights_of(expression: dict[str, float]) -> np.ndarray:
    """(len(ACTIONS),) float32 from weights by name."""
    return np.array([expression.get(action, 0.0) for action in ACTIONS], np.float32)


def perform(rng: np.random.Generator, time_s: np.ndarray, expression: np.ndarray, voice: np.ndarray) -> np.ndarray:
    """Weights (N, actions) at each time of an expression, lips that follow the person's own voice, and slow motion."""
    level = np.sqrt(np.mean(voice[: len(voice) // (5 * HOP) * 5 * HOP].reshape(-1, 5 * HOP) ** 2, 1))
    at_s = (np.arange(len(level)) + 0.5) * 5 * HOP / SAMPLE_RATE_HZ
    loudness = np.clip(np.interp(time_s, at_s, level) / max(np.percentile(level, 98), 1e-4), 0, 1)
    weights = expression + loudness[:, None] * weights_of(SPEECH)
    for action, most in IDLE.items():
        swing = np.sin(2 * np.pi * (rng.uniform(0.08, 0.45) * time_s + rng.random()))
        weights = weights + swing[:, None] * weights_of({action: most})
    return np.clip(weights, -1.6, 1.6)


def side_by_side(actors: Sequence[Actor], performances: Sequence[np.ndarray], every: int = 1) -> Iterator[np.ndarray]:
    """Yield the pictures of some people from left to right; faces stay as they are for ``every`` so many frames."""
    for n, weights in enumerate(zip(*performances)):
        if n % every == 0:
            picture = np.concatenate([actor.frame(own) for actor, own in zip(actors, weights)], axis=1)
        yield picture
