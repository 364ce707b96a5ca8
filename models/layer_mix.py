"""A learned mix of a network's layers, as in ELMo (Peters et al. 2018) and SUPERB (Yang et al. 2021)."""

import torch
from torch import Tensor, nn

from models.attention import Stream


class LayerMix(nn.Module):
    """Layers side by side become one: (B, T, L * D) -> (B, T, D), by weights that sum to 1 and a scale, all learned."""

    def __init__(self, layers: int):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(layers))
        self.scale = nn.Parameter(torch.ones(()))

    @property
    def weights(self) -> Tensor:
        """(L,) share of each layer."""
        return self.logits.softmax(0)

    def forward(self, stream: Stream) -> Stream:
        """Mix: (B, T, L * D) -> (B, T, D), zero where the stream is."""
        layers = stream.values.unflatten(-1, (len(self.logits), -1))
        return Stream(self.scale * torch.einsum("l,btld->btd", self.weights, layers), stream.mask)


def learned_weights(network: nn.Module) -> dict[str, list[float]]:
    """The share of each layer by modality, their mean where a network has several mixes of one."""
    found: dict[str, list[Tensor]] = {}
    for name, module in network.named_modules():
        if isinstance(module, LayerMix):
            found.setdefault(name.rpartition(".")[2], []).append(module.weights.detach())
    return {modality: torch.stack(several).mean(0).tolist() for modality, several in found.items()}
