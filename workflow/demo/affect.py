"""How an emotion sounds and looks in the demonstration corpora, and how unreliably.

The words always tell the emotion. The voice tells calm from aroused and the face pleasant from unpleasant, and in some
turns they show another emotion than the labelled one. So the answers to a few questions are known: models that read
the words do better than those that do not, and those that read them do equally well; which of the others is better
stays open on so few turns.
"""

from dataclasses import dataclass

import numpy as np

from workflow.demo.voice import Prosody

EMOTIONS = ("ang", "exc", "fru", "hap", "neu", "sad", "sur")
MISLEADING = 0.2
"""Share of the turns in which the voice, or the face, shows an emotion drawn at random instead of the labelled one."""

VOICES = {
    "ang": Prosody(pitch=2.0, melody=3.0, level=6.0, brightness=0.9, tempo=1.12, ending=-3.0),
    "exc": Prosody(pitch=5.0, melody=5.0, level=4.5, brightness=0.5, tempo=1.18, ending=1.0),
    "fru": Prosody(pitch=0.0, melody=2.0, level=2.5, brightness=0.4, tempo=0.95, ending=-3.0),
    "hap": Prosody(pitch=2.5, melody=4.0, level=1.5, brightness=0.1, tempo=1.05, ending=0.0),
    "neu": Prosody(pitch=0.0, melody=1.5, level=0.0, brightness=0.0, tempo=1.0, ending=-1.5),
    "sad": Prosody(pitch=-2.0, melody=0.8, level=-5.0, brightness=-0.8, tempo=0.8, ending=-2.5),
    "sur": Prosody(pitch=4.5, melody=4.5, level=2.5, brightness=0.0, tempo=0.95, ending=7.0),
}
VOICE_NOISE = Prosody(pitch=1.5, melody=0.8, level=1.5, brightness=0.25, tempo=0.07, ending=1.8)

FACES = {
    "ang": {"brow_lower": 1.0, "lid_raise": 0.4, "stretch": -0.5, "smile": -0.3, "part": 0.2, "nod": 0.3},
    "exc": {"smile": 0.8, "part": 0.8, "jaw": 0.25, "brow_raise": 0.5, "lid_raise": 0.5, "cheek": 0.4, "stretch": 0.7},
    "fru": {"brow_lower": 0.6, "smile": -0.6, "stretch": 0.3, "lid_raise": -0.2, "cheek": 0.2, "turn": 0.3},
    "hap": {"smile": 0.9, "cheek": 0.8, "part": 0.3, "stretch": 0.6},
    "neu": {},
    "sad": {"brow_inner": 1.0, "smile": -0.7, "lid_raise": -0.5, "nod": 0.5, "tilt": 0.2},
    "sur": {"brow_raise": 1.0, "lid_raise": 0.9, "jaw": 0.6, "stretch": -0.3},
}
FACE_NOISE = 0.15

DIMENSIONS = {  # valence, activation, dominance on the corpus's scale of 1 to 5
    "ang": (1.8, 3.9, 4.0),
    "exc": (4.1, 3.7, 3.5),
    "fru": (2.2, 3.0, 3.2),
    "hap": (4.0, 3.1, 3.2),
    "neu": (3.0, 2.6, 2.9),
    "sad": (2.1, 2.2, 2.6),
    "sur": (3.1, 3.4, 2.9),
}


@dataclass(frozen=True)
class Manner:
    """How one turn is said: the voice, and the face at its strongest."""

    prosody: Prosody
    expression: dict[str, float]


def _shown(rng: np.random.Generator, emotion: str) -> str:
    mislead, other = rng.random() < MISLEADING, EMOTIONS[rng.integers(len(EMOTIONS))]
    return other if mislead else emotion


def draw_prosody(rng: np.random.Generator, emotion: str) -> Prosody:
    """An emotion's prosody with noise."""
    mean, noise = VOICES[emotion], VOICE_NOISE
    drawn = {k: getattr(mean, k) + getattr(noise, k) * rng.normal() for k in Prosody.__dataclass_fields__}
    return Prosody(**{**drawn, "tempo": float(np.clip(drawn["tempo"], 0.7, 1.35)), "melody": max(drawn["melody"], 0.2)})


def draw_expression(rng: np.random.Generator, emotion: str) -> dict[str, float]:
    """An emotion's facial actions in a random intensity, with noise on all actions of brows, eyes and mouth."""
    intensity = rng.uniform(0.55, 1.15)
    noisy = ("smile", "stretch", "brow_raise", "brow_inner", "brow_lower", "lid_raise", "cheek", "turn", "nod", "tilt")
    weights = {action: FACE_NOISE * rng.normal() for action in noisy}
    for action, weight in FACES[emotion].items():
        weights[action] = weights.get(action, 0.0) + intensity * weight
    return weights


def draw_manner(rng: np.random.Generator, emotion: str) -> Manner:
    """How a turn of this emotion is said: voice and face each on their own."""
    return Manner(draw_prosody(rng, _shown(rng, emotion)), draw_expression(rng, _shown(rng, emotion)))
