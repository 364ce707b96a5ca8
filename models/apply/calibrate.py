"""How far probabilities can be trusted: one temperature for all classes, and the error of calibration.

A temperature (Guo et al. 2017, On calibration of modern neural networks) is fitted to what the networks of each fold
say together of its development part. It acts on the mean of networks, as Rahaman & Thiery (2021) advise for ensembles.
"""

import numpy as np

BINS = 15  # of confidence, as in Guo et al.
TINY = 1e-12
RANGE = (-3.0, 3.0)  # of the logarithm of the temperature: 0.05 to 20


def tempered(p: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, classes) at another temperature: above 1 less sure, below 1 surer."""
    x = np.log(np.clip(p, TINY, None)) / temperature
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


def fit_temperature(p: np.ndarray, truth: np.ndarray) -> float:
    """The temperature at which probabilities (N, classes) make the true classes (N,) likeliest."""
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        likelihood = tempered(p, float(np.exp(log_temperature)))[rows, truth]
        return float(-np.log(np.clip(likelihood, TINY, None)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=RANGE, method="bounded").x))


def calibration_error(p: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, on average over bins of confidence."""
    confidence, right = p.max(1), p.argmax(1) == truth
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(number, confidence - right, minlength=BINS)
    return float(np.abs(gap).sum() / len(p))
