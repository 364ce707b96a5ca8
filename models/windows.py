"""Windows of a frame-wise task: cut from a sequence for training, averaged where they overlap for evaluation."""

import numpy as np


def cut_windows(frames: int, window: int, hop: int) -> np.ndarray:
    """First frames of the windows over a sequence: every ``hop``, the last one moved so that it ends with the sequence.

    A sequence no longer than a window is one window, one without frames is none. Every frame lies in a window.
    """
    if frames == 0:
        return np.zeros(0, np.int64)
    if frames <= window:
        return np.zeros(1, np.int64)
    first = np.arange(0, frames - window + 1, hop)
    return first if first[-1] + window == frames else np.append(first, frames - window)


def average_windows(outputs: list[np.ndarray], first: np.ndarray, frames: int) -> np.ndarray:
    """Average the windows that cover each frame: windows of (n, targets) at ``first`` -> (frames, targets) float64."""
    total = np.zeros((frames, outputs[0].shape[1] if outputs else 0))
    count = np.zeros((frames, 1))
    for values, a in zip(outputs, first):
        total[a : a + len(values)] += values
        count[a : a + len(values)] += 1
    return total / count
