"""Different people from one portrait: colours of hair, suit, wall and skin, proportions, glasses, beards.

Everything is drawn from a random generator, so a person is the same wherever the same generator state is used.
"""

from functools import cache

import numpy as np

from workflow.demo.face import BROWS, EYES, MOUTH, Actor, Framing, Glasses, bump, rise

HAIR_LAB = (  # lightness factor, a, b of OpenCV's 8-bit Lab
    *((0.45, 130, 133), (0.60, 134, 142), (0.75, 137, 150), (1.00, 131, 153)),
    *((0.85, 146, 158), (0.30, 128, 129), (1.15, 129, 138)),
)


@cache
def portrait() -> np.ndarray:
    """The astronaut, (512, 512, 3) uint8 BGR."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[..., ::-1])


@cache
def _masks() -> dict[str, np.ndarray]:
    """Soft masks (512, 512, 1) float32 of the portrait's parts, by their colour and place."""
    import cv2

    x, y = np.meshgrid(np.arange(512, dtype=np.float32), np.arange(512, dtype=np.float32))
    lab = cv2.cvtColor(portrait(), cv2.COLOR_BGR2LAB).astype(np.float32)
    light, a, b = lab[..., 0], lab[..., 1] - 128, lab[..., 2] - 128
    colourful = np.hypot(a, b)
    head = np.hypot((x - 227) / 78, (y - 78) / 68) < 1
    face = np.hypot((x - 225) / 42, (y - 126) / 54) < 1
    suit = (a > 28) & (b > 22) & (y > 165)
    hair = head & ~suit & ((colourful > 11) | (light < 110)) & ~(face & ((light > 150) | (y > 97)))
    hair &= ~((y > 112) & (light > 150))
    pale = ((colourful < 12) & (light > 130) & ~face).astype(np.uint8)
    pieces = cv2.connectedComponents(cv2.erode(pale, np.ones((3, 3), np.uint8)))[1]
    wall = cv2.dilate((pieces == pieces[10, 140]).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # not the collar
    skin = (np.hypot((x - 225) / 60, (y - 135) / 62) < 1) & ~hair & ~wall & (a > 2) & (light > 60) & (y < 194)
    skin = cv2.morphologyEx(skin.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) > 0
    jaw = rise(10 * (1 - np.hypot((x - MOUTH[0]) / 46, (y - 126) / 52))) * rise(
        (y - 131 - 0.012 * (x - 223.5) ** 2) / 2.5
    )
    beard = jaw * skin * (1 - 0.95 * bump(x, y, (223.5, 147), 17, 6))
    named = {"suit": suit, "hair": hair, "skin": skin, "wall": wall, "beard": beard}
    return {k: cv2.GaussianBlur(v.astype(np.float32), (0, 0), 1.2)[..., None] for k, v in named.items()}


def _coloured(rng: np.random.Generator, beard: bool) -> np.ndarray:
    import cv2

    masks = _masks()
    lab = cv2.cvtColor(portrait(), cv2.COLOR_BGR2LAB).astype(np.float32)
    lightness, a, b = HAIR_LAB[rng.integers(len(HAIR_LAB))]
    hair = np.concatenate([lab[..., :1] * lightness, 0.35 * (lab[..., 1:] - 128) + np.array([a, b], np.float32)], -1)
    lab += masks["hair"] * (hair - lab)
    if beard:
        shade = hair.copy()
        stubble = cv2.GaussianBlur(rng.normal(0, 40, lab.shape[:2]).astype(np.float32), (0, 0), 0.7)
        shade[..., 0] = lab[..., 0] * (0.3 + 0.25 * lightness) + stubble
        lab += masks["beard"] * rng.uniform(0.3, 0.55) * (shade - lab)
    lab += masks["skin"] * np.array([rng.uniform(-26, 6), rng.uniform(-2, 4), rng.uniform(-2, 8)], np.float32)
    angle, amount = rng.uniform(0, 2 * np.pi), rng.uniform(6, 22)
    tint = np.array([rng.uniform(-70, 15), amount * np.cos(angle), amount * np.sin(angle)], np.float32)
    lab += masks["wall"] * tint
    turn = rng.uniform(0, 2 * np.pi)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], np.float32)
    suit = np.concatenate([lab[..., :1] * rng.uniform(0.6, 1.1), 128 + (lab[..., 1:] - 128) @ spin.T * 0.8], -1)
    lab += masks["suit"] * (suit - lab)
    lab[..., 0] *= rng.uniform(0.9, 1.06)  # light of the room
    return cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)


def _glasses(rng: np.random.Generator) -> Glasses:
    blue, green, red = map(int, rng.integers(15, 75, 3))
    return Glasses(rng.uniform(13, 16), rng.uniform(9.5, 12.5), rng.uniform(1.0, 1.8), (blue, green, red))


def _proportions(rng: np.random.Generator, framing: Framing, sturdy: bool) -> np.ndarray:
    """Displacements that make a face wide or narrow, long or short, and move its parts; (h, w, 2) portrait pixels."""
    x, y = framing.mesh()
    side = np.tanh((x - 225) / 25)
    draw = rng.uniform(-1, 1, 8)
    dx = side * (
        4.0 * draw[0] * bump(x, y, (225, 118), 55, 40) + (2.5 * draw[1] + 2.5 * sturdy) * bump(x, y, (224, 165), 50, 16)
    )
    dx += (
        side * 6.0 * (0.5 * draw[2] - 0.7 * sturdy) * (bump(x, y, (166, 100), 16, 30) + bump(x, y, (288, 98), 16, 30))
    )  # hair
    dx += 1.6 * draw[3] * (bump(x, y, EYES[1], 12, 9) - bump(x, y, EYES[0], 12, 9))
    dx += 1.8 * draw[4] * side * bump(x, y, (224, 128), 11, 9)  # width of the nose
    dy = 3.5 * draw[5] * bump(x, y, (224, 176), 45, 16)  # length of the chin
    dy += 1.6 * draw[6] * sum(bump(x, y, brow, 14, 6) for brow in BROWS)
    dy += 9.0 * (0.5 * draw[7] + 0.5 * sturdy) * bump(x, y, (227, 18), 60, 22)  # height of the hair
    return np.stack([dx, dy], -1).astype(np.float32)


def cast(rng: np.random.Generator, framing: Framing, letter: str) -> Actor:
    """Draw a person: ``letter`` F or M decides on beard and jaw, everything else is chance."""
    sturdy = letter == "M"
    picture = _coloured(rng, beard=sturdy and rng.random() < 0.75)
    glasses = _glasses(rng) if rng.random() < 0.4 else None
    return Actor(picture, _proportions(rng, framing, sturdy), framing, bool(rng.random() < 0.5), glasses)
