"""Training of one network from one seed: epochs, early stopping, and a state from which a killed job goes on.

Every random number is drawn from (seed, fold, epoch), and nothing depends on when a job was interrupted: going on from
the state after any epoch ends in the same weights, bit for bit, as never having stopped.

A training is a generator: on a GPU it pauses after each step that it has queued, so that several can share the device.
"""

import copy
import math
import pickle
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from models.data import Batch
from models.examples import Examples, training_batches
from models.graphs import Graphs
from models.inference import answers, outputs
from models.losses import Objective
from models.network import build, count_separate
from models.options import NetworkOptions, TrainingOptions
from pipeline.files import replacing
from pipeline.log import log
from pipeline.records import InputError

Pausing = Generator[None, None, None]


def torch_seed(*drawn_from: int) -> int:
    """A seed for torch, of whole numbers such as (seed, fold, epoch), unlike that of any others."""
    return int(np.random.SeedSequence(drawn_from).generate_state(1, np.uint64)[0])


class Adam(torch.optim.Adam):
    """torch's own, without the wrappers that import its compiler, which would take as long as to import torch."""

    add_param_group = torch.optim.Adam.add_param_group.__wrapped__
    zero_grad = torch.optim.Adam.zero_grad.__wrapped__
    step = torch.no_grad()(torch.optim.Adam.step.__wrapped__)
    state_dict = torch.optim.Adam.state_dict.__wrapped__
    load_state_dict = torch.optim.Adam.load_state_dict.__wrapped__


class Optimiser:
    """Adam (Kingma & Ba 2015) with L2 weight decay, and its schedule; one learning rate of ``options``.

    On CUDA the learning rate and the count of steps are on the device, where a graph of a step reads them.
    """

    def __init__(self, parameters: Iterable[Tensor], options: TrainingOptions, learning_rate: float):
        learned = [p for p in parameters if p.requires_grad]
        graphs = learned[0].is_cuda
        rate = torch.tensor(learning_rate, device=learned[0].device) if graphs else learning_rate
        self.adam = Adam(learned, rate, weight_decay=options.weight_decay, fused=True, capturable=graphs)
        self.epochs = max(1, options.warmup_epochs)
        self.warmup = LambdaLR(self.adam, lambda epoch: (epoch + 1) / self.epochs)
        self.plateau = ReduceLROnPlateau(
            self.adam, factor=0.1, patience=options.plateau_patience, threshold=options.plateau_threshold
        )
        self.plateau.cooldown_counter = options.warmup_epochs  # these epochs do not wear patience out

    @property
    def learning_rate(self) -> float:
        """The learning rate of the coming epoch."""
        rate = self.adam.param_groups[0]["lr"]
        return float(str(np.float32(rate.item()))) if isinstance(rate, Tensor) else rate  # 0.001, not 0.0010000000475

    def end_epoch(self, loss: float) -> None:
        """Count an epoch that ended with this development loss."""
        if self.warmup.last_epoch < self.epochs - 1:
            self.warmup.step()
        self.plateau.step(loss)

    def state_dict(self) -> dict:
        """All that is needed to go on."""
        return {name: getattr(self, name).state_dict() for name in ("adam", "warmup", "plateau")}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a state."""
        for name, values in state.items():
            getattr(self, name).load_state_dict(values)


@dataclass
class Progress:
    """How far a training is, beside its tensors."""

    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    seconds: float = 0.0
    history: list[dict] = field(default_factory=list)


class Diverged(InputError):
    """A loss is NaN or infinite."""


class Run:
    """One network in training; ``epoch()`` until ``finished``, then ``network`` holds the selected weights.

    ``learning_rate`` is one of those of ``options``, by default the first; ``mixed``: in bfloat16, as far as it may be.
    Of one seed each fold draws for itself, as the bootstrap takes it: what chance does in one says nothing of another.
    """

    def __init__(
        self,
        examples: Examples,
        network: NetworkOptions,
        options: TrainingOptions,
        seed: int,
        mixed: bool = False,
        learning_rate: float | None = None,
        fold: int = 0,
    ):
        torch.manual_seed(torch_seed(seed, fold))
        self.network = build(network, **examples.shape).to(examples.device)
        self.examples, self.options, self.mixed = examples, options, mixed
        self.seed, self.fold = seed, fold
        self.learning_rate = learning_rate or options.learning_rates[0]
        self.objective = Objective(examples, options)
        self.separate = count_separate(self.network)
        self.items = examples.items("training")
        self.optimiser = Optimiser(self.network.parameters(), options, self.learning_rate)
        self.total = torch.zeros((), dtype=torch.float64, device=examples.device)  # loss of an epoch, over its items
        self.graphs = None
        if examples.device.type == "cuda":
            self.graphs = Graphs(self.step, self.network, self.optimiser.adam)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}

    @property
    def finished(self) -> bool:
        """Whether enough epochs have passed, or enough without a better development score."""
        p = self.progress
        return p.epoch >= self.options.epochs or p.epoch - p.best_epoch >= self.options.stop_patience

    def epoch(self) -> Generator[None, None, dict]:
        """Train one epoch and return its row of the history; raises Diverged where a loss is not a number."""
        begin_s, progress = time.monotonic(), self.progress
        number, rate = progress.epoch + 1, self.optimiser.learning_rate
        seed, rng = torch_seed(self.seed, self.fold, number), np.random.default_rng([self.seed, self.fold, number])
        groups = training_batches(self.items, self.examples.length, self.options.batch_size, rng)
        if self.graphs and not self.graphs.made:
            self._make_graphs(groups)
        self.network.train()
        self.total.zero_()
        if self.graphs:
            yield from self.replay(groups, seed)
        else:
            torch.manual_seed(seed)
            self.learn(self.examples.batches(groups))
        loss, scores = float(self.total) / len(self.items), self.development()
        progress.epoch, progress.seconds = number, progress.seconds + time.monotonic() - begin_s
        for name, value in (("loss", loss), ("development loss", scores["loss"])):  # only the second saw the last step
            if not math.isfinite(value):
                raise Diverged(
                    f"seed {self.seed}: the {name} is {value} in epoch {number}; lower training.learning_rate "
                    f"({self.learning_rate}) or look at the features with `affectflow info`"
                )
        row = {"epoch": number, "learning_rate": rate, "training_loss": loss}
        row |= {f"development_{name}": value for name, value in scores.items()}
        self._select(scores)
        progress.history.append(row)
        return row

    def development(self) -> dict[str, float]:
        """Loss and scores of the development part."""
        items = self.examples.items("development")
        output = outputs(self.network, self.examples, items, self.options.batch_size, self.mixed)
        return self.objective.development(answers(self.examples, items, output))

    def _make_graphs(self, groups: Sequence[np.ndarray]) -> None:
        try:
            shapes = self.examples.of_each_shape({len(group) for group in groups}, self.items)
            self.graphs.make(self.examples.batches(shapes, rounded=True))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            log.warning("no CUDA graph can be made of this network (%s): it trains some ten times slower", error)
            self.graphs = None

    def learn(self, batches: Iterable[Batch]) -> None:
        """Take one step for each batch."""
        for batch in batches:
            self.step(batch)

    def replay(self, groups: Sequence[np.ndarray], seed: int) -> Pausing:
        """As ``learn``, by graphs; pauses after each step that it has queued."""
        self.graphs.begin(seed)
        batches = self.examples.batches(groups, rounded=True)
        for _ in groups:
            with torch.cuda.stream(self.graphs.stream):
                self.graphs.take(next(batches))
            paused_s = time.monotonic()
            yield
            self.progress.seconds -= time.monotonic() - paused_s
        self.graphs.stream.synchronize()

    def step(self, batch: Batch) -> None:
        """Lower the loss of a batch, and add it to the epoch's."""
        self.optimiser.adam.zero_grad()
        loss = self.loss(batch)
        (loss * self.separate).backward()  # a mean would halve gradients, and so double weight decay beside them
        self.optimiser.adam.step()
        self.total += loss.detach() * len(batch)

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch in training."""
        if self.options.modality_dropout and len(batch.masks) > 1:
            batch = withhold(batch, self.options.modality_dropout)
        with torch.autocast(self.examples.device.type, torch.bfloat16, enabled=self.mixed):
            output = self.network(*batch.given)
        return self.objective.loss(output, batch)

    def _select(self, scores: dict[str, float]) -> None:
        score, progress = scores[self.objective.score], self.progress
        self.optimiser.end_epoch(scores["loss"])
        if score > progress.best_score:
            progress.best_score, progress.best_epoch = score, progress.epoch
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
    """Take each modality from that share of the items, as if it had not been observed; one observed always stays."""
    observed = torch.stack([mask.any(1) for mask in batch.masks.values()])  # (M, B)
    drawn = torch.rand(observed.shape, device=observed.device).masked_fill(~observed, -1.0)
    stays = (drawn >= share) | (drawn == drawn.amax(0))
    masks = {m: mask & stays[k][:, None] for k, (m, mask) in enumerate(batch.masks.items())}
    return replace(batch, masks=masks, values={m: v * masks[m].unsqueeze(-1) for m, v in batch.values.items()})


def fit(run: Run, state: Path, digest: str, say: Callable[[str], None], keep: bool = False) -> Pausing:
    """Train until finished, from where ``state`` says if it is of the same digest, and select the best epoch.

    With ``keep`` the finished training is in ``state``, too.
    """
    if run.resume(state, digest):
        say(f"goes on after epoch {run.progress.epoch}")
    saved_s = time.monotonic()
    while not run.finished:
        before_s = run.progress.seconds
        row = yield from run.epoch()
        progress, score = run.progress, run.objective.score
        say(
            f"epoch {row['epoch']} of {run.options.epochs}: training loss {row['training_loss']:.4f}, development loss "
            f"{row['development_loss']:.4f}, {score} {row['development_' + score]:.4f} (best {progress.best_score:.4f} "
            f"in {progress.best_epoch}), {progress.seconds - before_s:.1f} s"
        )
        due = time.monotonic() - saved_s >= run.options.resume_every_s
        if (keep and run.finished) or (due and not run.finished):
            run.save(state, digest)
            saved_s = time.monotonic()
    run.network.load_state_dict(run.best)


@dataclass(frozen=True)
class Tried:
    """What came of one learning rate; no score where the loss became NaN or infinite."""

    learning_rate: float
    development_score: float | None
    epochs: int
    seconds: float


def fit_best(
    make: Callable[[float], Run], options: TrainingOptions, folder: Path, digest: str, say: Callable[[str], None]
) -> Generator[None, None, tuple[Run, list[Tried]]]:
    """Train with each learning rate of ``options`` and return the run with the best development score, the first of
    equals, with what came of all; raises Diverged where none leads anywhere.

    The choice sees nothing but the fold's development part, which also selects the epoch.
    """
    best, tried, failure = None, [], None
    rates = options.learning_rates
    for k, rate in enumerate(rates):
        run = make(rate)
        spoken = say if len(rates) == 1 else lambda text, rate=rate: say(f"learning rate {rate:g}: {text}")
        try:
            yield from fit(run, folder / f"resume{k}.pt", digest, spoken, keep=len(rates) > 1)
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
