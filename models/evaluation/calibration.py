"""Is confidence deserved? Predictions by equal bins of confidence, and the expected calibration error."""

import numpy as np

BINS = 15  # as in Guo et al. 2017, On calibration of modern neural networks


def by_confidence(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin: the number of predictions, their mean confidence and the share that is right, NaN in empty bins."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    sums = np.stack([np.bincount(place, x, minlength=BINS) for x in (confidence, right)])
    return count, *np.divide(sums, count, out=np.full(sums.shape, np.nan), where=count > 0)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: how far confidence and share right lie apart, mean over predictions, bin by bin."""
    count, mean, share = by_confidence(confidence, right)
    return float(np.nansum(np.abs(mean - share) * count) / len(confidence))
