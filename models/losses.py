"""What training minimises and what selects the epoch: cross-entropy, or 1 - CCC over observed frames."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.data import Batch
from models.evaluation.metrics import accuracy, ccc, confusion_matrix, moments, selecting_metric
from models.examples import Examples
from models.inference import Answers
from models.options import CccOver, TrainingOptions
from models.truth import UNKNOWN
from pipeline.records import InputError

SMALLEST = 1e-8  # denominator of CCC: below it, everything is constant


class Objective:
    """What is minimised, and what selects the epoch.

    Classes: cross-entropy over what is labelled, or against the shares of raters' votes, and accuracy. Numbers: 1 - CCC
    or the squared error, and the mean CCC.
    """

    def __init__(self, examples: Examples, options: TrainingOptions):
        self.examples, self.options = examples, options
        self.score = selecting_metric(examples.task)
        self.weights = self.spread = None
        if options.class_weights:
            if examples.shares is None:
                counts = np.bincount(examples.known("training"), minlength=len(examples.names))
            else:
                counts = examples.shares.sum(0)
            self.weights = inverse_frequencies(torch.from_numpy(counts)).to(examples.device, examples.dtype)
        if options.loss == "mse" and examples.task.numbers:
            spread = examples.known("training").std(0, dtype=np.float64)
            self.spread = torch.from_numpy(spread).to(examples.device, examples.dtype)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The loss of one batch."""
        output = output.to(torch.promote_types(output.dtype, torch.float32))
        if self.examples.task.numbers:
            if self.options.loss == "mse":
                return self.squared_error(output, batch.target, batch.target_mask)
            return ccc_loss(output, batch.target, batch.target_mask, self.options.ccc_over)
        if self.examples.shares is not None:
            return cross_entropy_of_shares(output, batch.target, self.weights)
        return self.cross_entropy(output.flatten(0, -2), batch.target.flatten())

    def cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean over what is labelled, weighed by class if asked for: (N, classes) and (N,)."""
        weights = None if self.weights is None else self.weights.to(logits.device, logits.dtype)
        return F.cross_entropy(logits, target, weight=weights, ignore_index=UNKNOWN)

    def squared_error(self, output: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Mean over what is known and over numbers, each by its spread: (..., numbers) twice and (...); 0 if none."""
        error = (output - target).masked_fill(~known.unsqueeze(-1), 0.0) / self.spread.to(output)
        return error.square().sum() / (known.sum() * output.shape[-1]).clamp(min=1)

    def development(self, found: Answers) -> dict[str, float]:
        """Loss and scores of what a network says of the whole development part."""
        examples, truth, output = self.examples, found.truth[found.known], found.output[found.known]
        if not len(truth):
            raise InputError(
                f"the development part holds no labelled {examples.task.level}, so no epoch can be selected; "
                "change the split"
            )
        if not examples.task.numbers:
            confusion = confusion_matrix(truth, output.argmax(1), len(examples.names))
            loss = float(self.cross_entropy(torch.from_numpy(output), torch.from_numpy(truth)))
            if np.isfinite(output).all():  # else NaN is what the network said, not classes that all weigh nothing
                loss = float(np.nan_to_num(loss))
            return {"loss": loss, "accuracy": float(accuracy(confusion))}
        each = np.array([float(ccc(moments(truth[:, k], output[:, k]))) for k in range(truth.shape[1])])
        if np.isfinite(output).all():  # else NaN is what the network said, not two constants that are alike
            each = np.nan_to_num(each)
        loss = 1 - float(each.mean())
        if self.options.loss == "mse":
            known = torch.ones(len(truth), dtype=torch.bool)
            loss = float(self.squared_error(torch.from_numpy(output), torch.from_numpy(truth), known))
        ccc_of = {f"ccc_{name}": float(value) for name, value in zip(examples.names, each)}
        return {"loss": loss, **ccc_of, "ccc_mean": float(each.mean())}


def concordance(predicted: Tensor, target: Tensor, valid: Tensor, unbiased: bool = False) -> Tensor:
    """Compute the concordance correlation coefficient of each target over valid frames: (..., T, outputs) ->
    (..., outputs).

    ``valid`` is of the same shape. Lin 1989 with population moments: CCC = 2 s_xy / (s_x^2 + s_y^2 + (mu_x - mu_y)^2).
    Where both are constant and equal it is undefined and here 0; so it is without any valid frame. Invalid frames, NaN
    included, have no influence and get no gradient. At least float32.
    """
    kind = torch.promote_types(predicted.dtype, torch.float32)
    x, y = (v.to(kind).masked_fill(~valid, 0.0) for v in (predicted, target))
    count = valid.sum(-2).clamp(min=1)
    mean_x, mean_y = x.sum(-2) / count, y.sum(-2) / count
    # Deviations first, squares then: a difference of large squares would lose a small variance.
    x, y = (x - mean_x.unsqueeze(-2)) * valid, (y - mean_y.unsqueeze(-2)) * valid
    covariance = (x * y).sum(-2) / count
    spread = (x.square() + y.square()).sum(-2) / ((count - 1).clamp(min=1) if unbiased else count)
    return 2 * covariance / (spread + (mean_x - mean_y).square()).clamp(min=SMALLEST)


def ccc_loss(predicted: Tensor, target: Tensor, valid: Tensor, over: CccOver = "batch") -> Tensor:
    """Average 1 - CCC over targets; 0 without any valid frame.

    ``predicted``, ``target``: (..., outputs); ``valid``: (...) bool. ``over``: one CCC over all valid frames of a batch
    together, or one for each window (B, T, outputs), averaged over the windows that have any. ``window_unbiased`` is
    the loss of paper 2's code: a variance of n - 1 beside a covariance of n.
    """
    valid = valid.unsqueeze(-1).expand_as(predicted)
    if over == "batch" or predicted.dim() == 2:  # segments are of no window
        predicted, target, valid = (v.reshape(1, -1, v.shape[-1]) for v in (predicted, target, valid))
    loss = 1 - concordance(predicted, target, valid, unbiased=over == "window_unbiased")  # (windows, outputs)
    seen = valid.any(-2)
    return (loss * seen).sum() / seen.sum().clamp(min=1)


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
    return torch.where(there, counts.sum() / (there.sum() * counts.where(there, 1)), 0.0)
