"""Losses: 1 - CCC over observed frames, and class weights for the cross-entropy."""

from typing import Literal

import torch
from torch import Tensor

SMALLEST = 1e-8  # of the denominator of CCC: below it, everything is constant
Over = Literal["batch", "window", "window_unbiased"]


def concordance(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Compute the concordance correlation coefficient of each target over all valid frames: -> (outputs,).

    ``predicted``, ``target``: (..., outputs); ``valid``: (...) or (..., outputs) bool. Lin 1989 with population
    moments: CCC = 2 s_xy / (s_x^2 + s_y^2 + (mu_x - mu_y)^2). Where both are constant and equal it is undefined and
    here 0; so it is without any valid frame. Invalid frames, NaN included, have no influence and get no gradient. At
    least float32.
    """
    outputs = predicted.shape[-1]
    return _concordance(*(v.reshape(-1, outputs) for v in (predicted, target, _of_each(valid, predicted))))


def ccc_loss(predicted: Tensor, target: Tensor, valid: Tensor, over: Over = "batch") -> Tensor:
    """Average 1 - CCC over the targets that have any valid frame; 0 without any. Arguments as in ``concordance``.

    ``over``: one CCC over all valid frames of a batch together, or one for each window (B, T, outputs), averaged over
    the windows that have any. ``window_unbiased`` is the loss of paper 2's code: a variance of n - 1 beside a
    covariance of n.
    """
    valid = _of_each(valid, predicted)
    if over == "batch" or predicted.dim() == 2:  # segments are of no window
        predicted, target, valid = (v.reshape(1, -1, v.shape[-1]) for v in (predicted, target, valid))
    loss = 1 - _concordance(predicted, target, valid, unbiased=over == "window_unbiased")  # (windows, outputs)
    seen = valid.any(-2)
    loss = (loss * seen).sum(0) / seen.sum(0).clamp(min=1)
    return loss.sum() / seen.any(0).sum().clamp(min=1)


def _of_each(valid: Tensor, predicted: Tensor) -> Tensor:
    """Spread a mask of frames over the targets."""
    return (valid if valid.dim() == predicted.dim() else valid.unsqueeze(-1)).expand_as(predicted)


def _concordance(predicted: Tensor, target: Tensor, valid: Tensor, unbiased: bool = False) -> Tensor:
    """CCC over the last but one axis, the frames: (..., T, outputs) -> (..., outputs)."""
    kind = torch.promote_types(predicted.dtype, torch.float32)
    x, y = (v.to(kind).masked_fill(~valid, 0.0) for v in (predicted, target))
    count = valid.sum(-2).clamp(min=1)
    mean_x, mean_y = x.sum(-2) / count, y.sum(-2) / count
    # Deviations first, squares then: a difference of large squares would lose a small variance.
    x, y = (x - mean_x.unsqueeze(-2)) * valid, (y - mean_y.unsqueeze(-2)) * valid
    covariance = (x * y).sum(-2) / count
    spread = (x.square() + y.square()).sum(-2) / ((count - 1).clamp(min=1) if unbiased else count)
    return 2 * covariance / (spread + (mean_x - mean_y).square()).clamp(min=SMALLEST)


def cross_entropy_of_shares(logits: Tensor, shares: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy against distributions over classes, both (N, classes), classes weighed by ``weights`` (classes,).

    Of one class alone it is ``torch.nn.functional.cross_entropy``, weights included; items without a share have no say.
    """
    shares = shares if weights is None else shares * weights
    return -(shares * logits.log_softmax(-1)).sum() / shares.sum()


def inverse_frequencies(counts: Tensor) -> Tensor:
    """Weigh classes by inverse frequency, (classes,): N / (classes present x count), 0 for an absent class.

    With these as ``weight`` of ``torch.nn.functional.cross_entropy`` every class counts the same; their mean over the
    items is 1.
    """
    there = counts > 0
    return torch.where(there, counts.sum() / (there.sum().clamp(min=1) * counts.where(there, 1)), 0.0)
