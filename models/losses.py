"""Losses: 1 - CCC over observed frames, and class weights for the cross-entropy."""

import torch
from torch import Tensor

SMALLEST = 1e-8  # of the denominator of CCC: below it, everything is constant


def concordance(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Compute the concordance correlation coefficient of each target over all valid frames: -> (outputs,).

    ``predicted``, ``target``: (..., outputs); ``valid``: (...) or (..., outputs) bool. Lin 1989 with population
    moments: CCC = 2 s_xy / (s_x^2 + s_y^2 + (mu_x - mu_y)^2). Where both are constant and equal it is undefined and
    here 0; so it is without any valid frame. Invalid frames, NaN included, have no influence and get no gradient. At
    least float32.
    """
    kind = torch.promote_types(predicted.dtype, torch.float32)
    valid = valid if valid.dim() == predicted.dim() else valid.unsqueeze(-1)
    valid = valid.expand_as(predicted).reshape(-1, predicted.shape[-1])
    x, y = (v.reshape(valid.shape).to(kind).masked_fill(~valid, 0.0) for v in (predicted, target))
    count = valid.sum(0).clamp(min=1)
    mean_x, mean_y = x.sum(0) / count, y.sum(0) / count
    # Deviations first, squares then: a difference of large squares would lose a small variance.
    x, y = (x - mean_x) * valid, (y - mean_y) * valid
    covariance = (x * y).sum(0) / count
    spread = (x.square() + y.square()).sum(0) / count + (mean_x - mean_y).square()
    return 2 * covariance / spread.clamp(min=SMALLEST)


def ccc_loss(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Average 1 - CCC over the targets that have any valid frame; 0 without any. Arguments as in ``concordance``.

    Taken over all valid frames of a batch together, as in paper 2.
    """
    loss = 1 - concordance(predicted, target, valid)
    valid = valid if valid.dim() == predicted.dim() else valid.unsqueeze(-1)
    seen = valid.expand_as(predicted).reshape(-1, predicted.shape[-1]).any(0)
    return (loss * seen).sum() / seen.sum().clamp(min=1)


def inverse_frequencies(labels: Tensor, classes: int) -> Tensor:
    """Weigh classes by inverse frequency, (N,) int -> (classes,): N / (classes present x count), 0 for an absent class.

    With these as ``weight`` of ``torch.nn.functional.cross_entropy`` every class counts the same; their mean over the
    items is 1.
    """
    counts = torch.bincount(labels, minlength=classes)
    weights = len(labels) / ((counts > 0).sum().clamp(min=1) * counts.clamp(min=1))
    return torch.where(counts > 0, weights, 0.0)
