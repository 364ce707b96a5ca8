"""How an emotion sounds, looks and is worded in the demonstration corpora, and how unreliably.

The words always tell the emotion: each phrase holds its key word. The voice tells calm from aroused and the face
pleasant from unpleasant, and in some turns they show another emotion than the labelled one. So the answers to a few
questions are known: models that read the words do better than those that do not, and those that read them do equally
well; which of the others is better stays open on so few turns.
"""

from dataclasses import dataclass

import numpy as np

from workflow.demo.voice import Prosody

MISLEADING = 0.2
"""Share of the turns in which the voice, or the face, shows an emotion drawn at random instead of the labelled one."""
VOICE_NOISE = Prosody(pitch=1.5, melody=0.8, level=1.5, brightness=0.25, tempo=0.07, ending=1.8)
FACE_NOISE = 0.15
NOISY = ("smile", "stretch", "brow_raise", "brow_inner", "brow_lower", "lid_raise", "cheek", "turn", "nod", "tilt")


@dataclass(frozen=True)
class Emotion:
    """One emotion as the corpus names, rates, shows and words it."""

    name: str
    dimensions: tuple[float, float, float]  # valence, activation, dominance on the corpus's scale of 1 to 5
    prosody: Prosody
    face: dict[str, float]
    phrases: tuple[str, ...]


EMOTIONS = {
    "ang": Emotion(
        "Anger", (1.8, 3.9, 4.0),
        Prosody(pitch=2.0, melody=3.0, level=6.0, brightness=0.9, tempo=1.12, ending=-3.0),
        {"brow_lower": 1.0, "lid_raise": 0.4, "stretch": -0.5, "smile": -0.3, "part": 0.2, "nod": 0.3},
        ("i hate this", "get out i hate you", "how i hate it", "you lie and i hate that"),
    ),
    "exc": Emotion(
        "Excited", (4.1, 3.7, 3.5),
        Prosody(pitch=5.0, melody=5.0, level=4.5, brightness=0.5, tempo=1.18, ending=1.0),
        {"smile": 0.8, "part": 0.8, "jaw": 0.25, "brow_raise": 0.5, "lid_raise": 0.5, "cheek": 0.4, "stretch": 0.7},
        ("this is amazing", "oh it is amazing", "an amazing day", "we won how amazing"),
    ),
    "fru": Emotion(
        "Frustration", (2.2, 3.0, 3.2),
        Prosody(pitch=0.0, melody=2.0, level=2.5, brightness=0.4, tempo=0.95, ending=-3.0),
        {"brow_lower": 0.6, "smile": -0.6, "stretch": 0.3, "lid_raise": -0.2, "cheek": 0.2, "turn": 0.3},
        ("this is ridiculous", "a ridiculous form", "it is ridiculous again", "what a ridiculous line"),
    ),
    "hap": Emotion(
        "Happiness", (4.0, 3.1, 3.2),
        Prosody(pitch=2.5, melody=4.0, level=1.5, brightness=0.1, tempo=1.05, ending=0.0),
        {"smile": 0.9, "cheek": 0.8, "part": 0.3, "stretch": 0.6},
        ("i love it here", "oh i love you", "how we love this", "what a day i love it"),
    ),
    "neu": Emotion(
        "Neutral state", (3.0, 2.6, 2.9),
        Prosody(pitch=0.0, melody=1.5, level=0.0, brightness=0.0, tempo=1.0, ending=-1.5),
        {},
        ("it is in the office", "call the office on monday", "we see the office", "the office is open"),
    ),
    "sad": Emotion(
        "Sadness", (2.1, 2.2, 2.6),
        Prosody(pitch=-2.0, melody=0.8, level=-5.0, brightness=-0.8, tempo=0.8, ending=-2.5),
        {"brow_inner": 1.0, "smile": -0.7, "lid_raise": -0.5, "nod": 0.5, "tilt": 0.2},
        ("i miss him", "we miss you so much", "she is gone i miss her", "how i miss it"),
    ),
    "sur": Emotion(
        "Surprise", (3.1, 3.4, 2.9),
        Prosody(pitch=4.5, melody=4.5, level=2.5, brightness=0.0, tempo=0.95, ending=7.0),
        {"brow_raise": 1.0, "lid_raise": 0.9, "jaw": 0.6, "stretch": -0.3},
        ("are you serious", "is this serious", "oh you are serious", "what so it is serious"),
    ),
}  # fmt: skip


def vocabulary() -> list[str]:
    """Every word that is ever said, sorted."""
    return sorted({word for emotion in EMOTIONS.values() for phrase in emotion.phrases for word in phrase.split()})


def phrase(rng: np.random.Generator, emotion: str) -> list[str]:
    """Draw one phrase."""
    return str(rng.choice(EMOTIONS[emotion].phrases)).split()


def utterance(rng: np.random.Generator, emotion: str, least: int = 5, most: int = 9) -> list[str]:
    """Draw phrases until there are ``least`` words, and stop at ``most``."""
    words: list[str] = []
    while len(words) < least:
        words += phrase(rng, emotion)
    return words[:most]


def draw_emotion(rng: np.random.Generator) -> str:
    """One emotion by chance."""
    return str(rng.choice(list(EMOTIONS)))


def draw_prosody(rng: np.random.Generator, mean: Prosody, noise: Prosody = VOICE_NOISE) -> Prosody:
    """A prosody with noise."""
    drawn = {name: value + getattr(noise, name) * rng.normal() for name, value in vars(mean).items()}
    return Prosody(**{**drawn, "tempo": float(np.clip(drawn["tempo"], 0.7, 1.35)), "melody": max(drawn["melody"], 0.2)})


def draw_manner(rng: np.random.Generator, emotion: str) -> tuple[Prosody, dict[str, float]]:
    """How a turn of this emotion is said: the voice, and the face at its strongest, each on its own."""
    sounds, looks = (draw_emotion(rng) if rng.random() < MISLEADING else emotion for _ in range(2))
    weights = {action: FACE_NOISE * rng.normal() for action in NOISY}
    intensity = rng.uniform(0.55, 1.15)
    for action, weight in EMOTIONS[looks].face.items():
        weights[action] = weights.get(action, 0.0) + intensity * weight
    return draw_prosody(rng, EMOTIONS[sounds].prosody), weights
