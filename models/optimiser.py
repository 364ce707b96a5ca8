"""Adam and its learning rate: a linear warm-up over epochs, then tenfold less on each plateau of a loss."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from models.options import TrainingOptions


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
