"""How a face moves over time: expressions of what is said, lips that follow the voice, blinks and idle motion."""

from collections.abc import Sequence

import numpy as np

from workflow.demo.face import ACTIONS
from workflow.demo.voice import HOP, SAMPLE_RATE_HZ

ATTACK_S, RELEASE_S = 0.25, 0.40
BLINK_S, BLINK_EVERY_S = 0.22, 3.5


def weights_of(expression: dict[str, float]) -> np.ndarray:
    """(len(ACTIONS),) float32 from weights by name."""
    return np.array([expression.get(action, 0.0) for action in ACTIONS], np.float32)


def envelope(time_s: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """How far an expression has come: it begins before the words and fades after them; (N,) 0 to 1."""
    rise = np.clip((time_s - start_s + ATTACK_S) / ATTACK_S, 0, 1)
    fall = np.clip((end_s + RELEASE_S - time_s) / RELEASE_S, 0, 1)
    both = rise * fall
    return both * both * (3 - 2 * both)


def idle(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """Slow head motion and blinks, (N, len(ACTIONS))."""
    weights = np.zeros((len(time_s), len(ACTIONS)), np.float32)
    for action, amount in (("turn", 0.25), ("nod", 0.18), ("tilt", 0.18), ("lean", 0.25)):
        for _ in range(2):
            swing = np.sin(2 * np.pi * (rng.uniform(0.08, 0.45) * time_s + rng.random()))
            weights[:, ACTIONS.index(action)] += amount / 2 * swing
    blink_s = rng.uniform(0, BLINK_EVERY_S)
    while len(time_s) and blink_s < time_s[-1]:
        shut = np.clip(1 - np.abs(time_s - blink_s) / (BLINK_S / 2), 0, 1)
        weights[:, ACTIONS.index("lid_raise")] -= 1.5 * shut
        blink_s += rng.uniform(0.5, 1.5) * BLINK_EVERY_S
    return weights


def loudness(sound: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Loudness of a voice about each time, relative to its own loud parts; (N,) 0 to 1."""
    from scipy.ndimage import uniform_filter1d

    whole = len(sound) // HOP * HOP
    level = np.sqrt(np.mean(sound[:whole].reshape(-1, HOP) ** 2, 1))
    level = uniform_filter1d(level, 5)
    at = (np.arange(len(level)) + 0.5) * HOP / SAMPLE_RATE_HZ
    return np.clip(np.interp(time_s, at, level) / max(np.percentile(level, 98), 1e-4), 0, 1)


def speech(sound: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Jaw and lips that follow a voice, (N, len(ACTIONS))."""
    return loudness(sound, time_s)[:, None] * weights_of({"jaw": 0.22, "part": 0.15})


def perform(
    rng: np.random.Generator,
    time_s: np.ndarray,
    expressions: Sequence[tuple[float, float, dict[str, float]]],
    sound: np.ndarray,
) -> np.ndarray:
    """Weights of a person's face at each time, (N, len(ACTIONS)) float32.

    Args:
        rng: source of idle motion and of the unsteadiness of expressions.
        time_s: (N,) times of the frames.
        expressions: start_s, end_s and facial actions of everything that the person says.
        sound: the person's own voice from time 0.
    """
    weights = idle(rng, time_s) + speech(sound, time_s)
    for start_s, end_s, expression in expressions:
        unsteady = 1 + 0.15 * np.sin(2 * np.pi * (rng.uniform(0.5, 1.2) * time_s + rng.random()))
        weights += (envelope(time_s, start_s, end_s) * unsteady)[:, None] * weights_of(expression)
    return np.clip(weights, -1.6, 1.6).astype(np.float32)
