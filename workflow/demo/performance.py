"""How a face moves over time: expressions of what is said, lips that follow the voice, blinks and idle motion."""

from collections.abc import Sequence

import numpy as np

from workflow.demo.face import weights_of
from workflow.demo.voice import HOP, SAMPLE_RATE_HZ

ATTACK_S, RELEASE_S = 0.25, 0.40
BLINK_S, BLINK_EVERY_S = 0.22, 3.5
IDLE = {"turn": 0.25, "nod": 0.18, "tilt": 0.18, "lean": 0.25}
SPEECH = weights_of({"jaw": 0.22, "part": 0.15})


def idle(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """Slow head motion and blinks, (N, actions)."""
    swings = [np.sin(2 * np.pi * (rng.uniform(0.08, 0.45) * time_s + rng.random())) for _ in IDLE]
    weights = sum(swing[:, None] * weights_of({action: IDLE[action]}) for action, swing in zip(IDLE, swings))
    blinks_s = np.cumsum(rng.uniform(0.5, 1.5, int(time_s[-1] / BLINK_EVERY_S * 2) + 1) * BLINK_EVERY_S)
    shut = np.clip(1 - np.abs(time_s - blinks_s[:, None]).min(0) / (BLINK_S / 2), 0, 1)
    return weights + shut[:, None] * weights_of({"lid_raise": -1.5})


def speech(sound: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Jaw and lips that follow the loudness of a voice, relative to its own loud parts, (N, actions)."""
    from scipy.ndimage import uniform_filter1d

    level = np.sqrt(np.mean(sound[: len(sound) // HOP * HOP].reshape(-1, HOP) ** 2, 1))
    level = uniform_filter1d(level, 5)
    at = (np.arange(len(level)) + 0.5) * HOP / SAMPLE_RATE_HZ
    loudness = np.interp(time_s, at, level) / max(np.percentile(level, 98), 1e-4)
    return np.clip(loudness, 0, 1)[:, None] * SPEECH


def perform(
    rng: np.random.Generator,
    time_s: np.ndarray,
    expressions: Sequence[tuple[float, float, dict[str, float]]],
    sound: np.ndarray,
) -> np.ndarray:
    """Weights of a person's face at each time, (N, actions) float32.

    Args:
        rng: source of idle motion.
        time_s: (N,) times of the frames.
        expressions: start_s, end_s and facial actions of everything that the person says.
        sound: the person's own voice from time 0.
    """
    weights = idle(rng, time_s) + speech(sound, time_s)
    for start_s, end_s, expression in expressions:  # each begins before the words and fades after them
        course = np.interp(time_s, (start_s - ATTACK_S, start_s, end_s, end_s + RELEASE_S), (0, 1, 1, 0))
        weights += course[:, None] * weights_of(expression)
    return np.clip(weights, -1.6, 1.6).astype(np.float32)
