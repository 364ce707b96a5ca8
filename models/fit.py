"""Training of one network from one seed: epochs, early stopping, and a state from which a killed job goes on.

Every random number is drawn from (seed, epoch), and nothing depends on when a job was interrupted: going on from the
state after any epoch ends in the same weights, bit for bit, as never having stopped.
"""

import copy
import math
import pickle
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data import Batch
from models.evaluation.metrics import accuracy, ccc, confusion_matrix, moments
from models.examples import Examples, training_batches
from models.losses import ccc_loss, cross_entropy_of_shares, inverse_frequencies
from models.optimiser import Optimiser
from models.options import TrainingOptions
from models.predict import answers, outputs
from models.truth import UNKNOWN
from pipeline.records import InputError, replacing

EPOCH_SEEDS = 1_000_003  # keeps the seeds of one run's epochs apart from those of the next run's


class Objective:
    """What is minimised, and what selects the epoch.

    Classes: cross-entropy over what is labelled, or against the shares of raters' votes, and accuracy. Numbers: 1 - CCC
    or the squared error, and the mean CCC.
    """

    def __init__(self, examples: Examples, options: TrainingOptions):
        self.examples, self.options = examples, options
        self.score = "ccc_mean" if examples.task.numbers else "accuracy"
        self.weights = None
        if options.class_weights and not examples.task.numbers:
            self.weights = inverse_frequencies(self._counts()).to(examples.device, examples.dtype)

    def _counts(self) -> Tensor:
        """How much of each class trains."""
        if self.examples.shares is not None:
            return torch.from_numpy(self.examples.shares.sum(0))
        return torch.bincount(torch.from_numpy(self.examples.known("training")), minlength=len(self.examples.names))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The loss of one batch."""
        output = output.to(torch.promote_types(output.dtype, torch.float32))
        if not self.examples.task.numbers:
            if self.examples.shares is not None:
                return cross_entropy_of_shares(output, batch.target, self.weights)
            return self.cross_entropy(output.flatten(0, -2), batch.target.flatten())
        if self.options.loss == "mse":
            return self.squared_error(output[batch.target_mask], batch.target[batch.target_mask])
        return ccc_loss(output, batch.target, batch.target_mask, self.options.ccc_over)

    def cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean over what is labelled, weighed by class if asked for: (N, classes) and (N,)."""
        weights = None if self.weights is None else self.weights.to(logits.device, logits.dtype)
        return F.cross_entropy(logits, target, weight=weights, ignore_index=UNKNOWN)

    def squared_error(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean over items and numbers, each in its spread: (N, numbers) both."""
        spread = (self.examples.scale or {}).get("spread", [1.0] * output.shape[-1])
        return ((output - target) / output.new_tensor(spread)).square().mean()

    def development(self, network: nn.Module, mixed: bool) -> dict[str, float]:
        """Loss and scores over the whole development part."""
        examples, items = self.examples, self.examples.items("development")
        found = answers(examples, items, outputs(network, examples, items, self.options.batch_size, mixed))
        truth, output = found.truth[found.known], found.output[found.known]
        if not len(truth):
            raise InputError(
                f"the development part holds no labelled {examples.task.level}, so no epoch can be selected; "
                "change the split"
            )
        if not examples.task.numbers:
            confusion = confusion_matrix(truth, output.argmax(1), len(examples.names))
            loss = self.cross_entropy(torch.from_numpy(output), torch.from_numpy(truth))
            return {"loss": float(loss), "accuracy": float(accuracy(confusion))}
        each = np.nan_to_num([float(ccc(moments(truth[:, k], output[:, k]))) for k in range(truth.shape[1])])
        loss = 1 - float(each.mean())
        if self.options.loss == "mse":
            loss = float(self.squared_error(torch.from_numpy(output), torch.from_numpy(truth)))
        return {
            "loss": loss,
            **{f"ccc_{name}": float(value) for name, value in zip(examples.names, each)},
            "ccc_mean": float(each.mean()),
        }


@dataclass
class Progress:
    """How far a training is, beside its tensors."""

    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    seconds: float = 0.0
    history: list[dict] = field(default_factory=list)


class Diverged(InputError):
    """A loss is no number."""


class Run:
    """One network in training; ``epoch()`` until ``finished``, then ``network`` holds the selected weights.

    ``learning_rate`` is one of those of ``options``, by default the first.
    """

    def __init__(
        self,
        network: nn.Module,
        examples: Examples,
        options: TrainingOptions,
        seed: int,
        mixed: bool,
        learning_rate: float | None = None,
    ):
        self.network, self.examples, self.options, self.seed, self.mixed = network, examples, options, seed, mixed
        self.learning_rate = learning_rate or options.learning_rates[0]
        self.objective = Objective(examples, options)
        self.items = examples.items("training")
        self.optimiser = Optimiser(network.parameters(), options, self.learning_rate)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}

    @property
    def finished(self) -> bool:
        """Whether enough epochs have passed, or enough without a better development score."""
        p = self.progress
        return p.epoch >= self.options.epochs or p.epoch - p.best_epoch >= self.options.stop_patience

    def epoch(self) -> dict:
        """Train one epoch and return its row of the history; raises Diverged where the loss is no number."""
        begin_s = time.monotonic()
        number, rate = self.progress.epoch + 1, self.optimiser.learning_rate
        torch.manual_seed(self.seed * EPOCH_SEEDS + number)
        groups = training_batches(
            self.items, self.examples.length, self.options.batch_size, np.random.default_rng([self.seed, number])
        )
        row = {"epoch": number, "learning_rate": rate, "training_loss": self.learn(self.examples.batches(groups))}
        if not math.isfinite(row["training_loss"]):
            raise Diverged(
                f"seed {self.seed}: the loss is {row['training_loss']} in epoch {number}; lower training.learning_rate "
                f"({self.learning_rate}) or look at the features with `python -m pipeline info`"
            )
        scores = self.objective.development(self.network, self.mixed)
        row |= {f"development_{name}": value for name, value in scores.items()}
        self._select(number, scores)
        self.progress.history.append(row)
        self.progress.seconds += time.monotonic() - begin_s
        return row

    def learn(self, batches: Iterable[Batch]) -> float:
        """Take one step per batch and return the mean loss over the items."""
        self.network.train()
        total, count = torch.zeros((), dtype=torch.float64, device=self.examples.device), 0
        for batch in batches:
            self.optimiser.adam.zero_grad()
            if self.options.modality_dropout and len(batch.masks) > 1:
                batch = withhold(batch, self.options.modality_dropout)
            with torch.autocast(self.examples.device.type, torch.bfloat16, enabled=self.mixed):
                output = self.network(*batch.given)
            loss = self.objective.loss(output, batch)
            loss.backward()
            self.optimiser.adam.step()
            total += loss.detach() * len(batch)
            count += len(batch)
        return float(total) / count

    def _select(self, number: int, scores: dict[str, float]) -> None:
        score, progress = scores[self.objective.score], self.progress
        progress.epoch = number
        self.optimiser.end_epoch(scores["loss"])
        if score > progress.best_score:
            progress.best_score, progress.best_epoch = score, number
            self.best = copy.deepcopy(self.network.state_dict())
        elif self.options.reload_best:
            self.network.load_state_dict(self.best)

    def save(self, path: Path, digest: str) -> None:
        """Write the state after an epoch, in one piece or not at all."""
        state = {
            "digest": digest,
            "network": self.network.state_dict(),
            "best": self.best,
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
        }
        with replacing(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path, digest: str) -> bool:
        """Go on from a state of the same training; says whether there was one."""
        if not path.is_file():
            return False
        try:
            state = torch.load(path, map_location=self.examples.device, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):  # not one of our files, or damaged
            return False
        if state["digest"] != digest:
            return False
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.best, self.progress = state["best"], Progress(**state["progress"])
        return True


def withhold(batch: Batch, share: float) -> Batch:
    """Take each modality from that share of the items, as if it had not been observed; one that was always stays."""
    names = list(batch.masks)
    observed = torch.stack([batch.masks[m].any(1).cpu() for m in names])  # (M, B)
    drawn = torch.rand(observed.shape).masked_fill(~observed, -1.0)
    stays = (drawn >= share) | (drawn == drawn.amax(0))
    masks = {m: mask & stays[k].to(mask.device)[:, None] for k, (m, mask) in enumerate(batch.masks.items())}
    return replace(batch, masks=masks, values={m: v * masks[m].unsqueeze(-1) for m, v in batch.values.items()})


def fit(run: Run, state: Path, digest: str, say: Callable[[str], None], keep: bool = False) -> None:
    """Train until finished, from where ``state`` says if it is of the same digest, and select the best epoch.

    With ``keep`` the finished training is in ``state``, too.
    """
    if run.resume(state, digest):
        say(f"goes on after epoch {run.progress.epoch}")
    saved_s = time.monotonic()
    while not run.finished:
        begin_s = time.monotonic()
        row, progress, score = run.epoch(), run.progress, run.objective.score
        say(
            f"epoch {row['epoch']} of {run.options.epochs}: training loss {row['training_loss']:.4f}, development loss "
            f"{row['development_loss']:.4f}, {score} {row['development_' + score]:.4f} (best {progress.best_score:.4f} "
            f"in {progress.best_epoch}), {time.monotonic() - begin_s:.1f} s"
        )
        due = time.monotonic() - saved_s >= run.options.resume_every_s
        if keep if run.finished else due:
            run.save(state, digest)
            saved_s = time.monotonic()
    run.network.load_state_dict(run.best)


@dataclass(frozen=True)
class Tried:
    """What came of one learning rate; no score where the loss became no number."""

    learning_rate: float
    development_score: float | None
    epochs: int
    seconds: float


def fit_best(
    make: Callable[[float], Run], options: TrainingOptions, folder: Path, digest: str, say: Callable[[str], None]
) -> tuple[Run, list[Tried]]:
    """Train with each learning rate of ``options`` and return the run with the best development score, the first of
    equals, with what came of all; raises Diverged where none leads anywhere.

    The choice sees nothing but the fold's own development part, which also selects the epoch.
    """
    best, tried, failure = None, [], None
    rates = options.learning_rates
    for k, rate in enumerate(rates):
        run = make(rate)
        spoken = say if len(rates) == 1 else lambda text, rate=rate: say(f"learning rate {rate:g}: {text}")
        try:
            fit(run, folder / f"resume{k}.pt", digest, spoken, keep=len(rates) > 1)
            score = run.progress.best_score
        except Diverged as error:
            if len(rates) == 1:
                raise
            score, failure = None, error
            spoken(f"leads nowhere: {error}")
        tried.append(Tried(rate, score, run.progress.epoch, round(run.progress.seconds, 3)))
        if score is not None and (best is None or score > best.progress.best_score):
            best = run
    if best is None:
        raise failure
    return best, tried
