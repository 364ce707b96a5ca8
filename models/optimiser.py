"""Adam and its learning rate, around torch's own update.

``torch.optim.Optimizer`` imports torch's compiler when it is first used, only to be left out of compilation. That takes
over a second, as long as a whole small training job.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam (Kingma & Ba 2015) with L2 weight decay: the numbers of ``torch.optim.Adam``."""

    def __init__(self, parameters: Iterable[Tensor], weight_decay: float = 0.0):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.weight_decay = weight_decay
        self.state = {
            "mean": [torch.zeros_like(p) for p in self.parameters],
            "square": [torch.zeros_like(p) for p in self.parameters],
            "step": [torch.zeros((), dtype=torch.float32, device=p.device) for p in self.parameters],
        }

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move the parameters that have a gradient."""
        used = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        adam(
            [self.parameters[i] for i in used],
            [self.parameters[i].grad for i in used],
            *([self.state[key][i] for i in used] for key in ("mean", "square")),
            [],
            [self.state["step"][i] for i in used],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )

    @torch.no_grad()
    def load(self, state: dict[str, list[Tensor]]) -> None:
        """Go on from a state."""
        for key, values in state.items():
            for mine, value in zip(self.state[key], values, strict=True):
                mine.copy_(value)


@dataclass
class LearningRate:
    """Linear warm-up over some epochs, then tenfold less whenever the loss has not fallen for ``patience`` epochs.

    The second part is ``torch.optim.lr_scheduler.ReduceLROnPlateau`` with its defaults (a relative fall of 1e-4 counts;
    no step below 1e-8), as in both papers.
    """

    base: float
    warmup: int = 0
    patience: int = 10
    epoch: int = 0
    best: float = float("inf")
    waited: int = 0
    factor: float = 1.0

    @property
    def value(self) -> float:
        """The learning rate of the coming epoch."""
        if self.epoch < self.warmup:
            return self.base * (self.epoch + 1) / self.warmup
        return self.base * self.factor

    def update(self, loss: float) -> None:
        """Count an epoch that ended with this development loss; those of the warm-up do not wear patience out."""
        warming = self.epoch < self.warmup
        self.epoch += 1
        if loss < self.best * (1 - 1e-4):
            self.best, self.waited = loss, 0
        elif not warming:
            self.waited += 1
        if self.waited > self.patience:
            self.waited = 0
            if self.value * 0.9 > 1e-8:
                self.factor *= 0.1
