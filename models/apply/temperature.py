"""One temperature for all networks, at which their probabilities can be trusted.

Every network of an ensemble is tempered (Guo et al. 2017, On calibration of modern neural networks), then they are
averaged; the spread is the standard deviation of what was averaged. So mean and spread belong together: the square of
a spread is never above mean x (1 - mean). The temperature is fitted to the mean, not to each network: a mean of
calibrated networks is less sure than it should be (Rahaman & Thiery 2021, Uncertainty quantification and deep
ensembles).
"""

from collections.abc import Sequence

import numpy as np

TINY = 1e-12
RANGE = (-3.0, 3.0)  # range of the logarithm of the temperature: 0.05 to 20


def tempered(p: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (..., classes) at another temperature: above 1 less sure, below 1 surer."""
    from scipy.special import softmax

    return softmax(np.log(np.clip(p, TINY, None, dtype=np.float64)) / temperature, axis=-1)


def fit_temperature(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """The temperature at which means over networks make the true classes likeliest.

    Each part has probabilities of an ensemble (networks, N, classes), and the true classes (N,).
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        means = [tempered(p, float(np.exp(log_temperature))).mean(0) for p, _ in parts]
        likelihood = [mean[np.arange(len(truth)), truth] for mean, (_, truth) in zip(means, parts)]
        return float(-np.log(np.clip(np.concatenate(likelihood), TINY, None)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=RANGE, method="bounded").x))
