"""Training steps as CUDA graphs.

A step of a small network is hundreds of kernels, which a GPU runs ten times faster than Python starts them. A graph
starts them all at once, and graphs of several networks run beside each other on one GPU, each on a stream of its own.
A graph serves one shape of batch; batches are padded to few shapes (``Examples.batches``, ``rounded``).
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from models.data import Batch
from models.dialog import Before

WARM_UP = 2  # steps before the first graph, in which libraries set up what they keep


class Graphs:
    """The steps of one network in training, by shape of batch.

    ``step`` computes everything on the device; where it asks for a number from there, ``make`` raises RuntimeError.
    Nothing that it draws or changes while graphs are made is kept: weights and moments stay as they are, and random
    numbers come from the seed of ``begin`` alone.
    """

    def __init__(self, step: Callable[[Batch], None], network: nn.Module, adam: torch.optim.Adam):
        self.step, self.network, self.adam = step, network, adam
        device = next(network.parameters()).device
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()
        self.random = torch.Generator(device)
        self.buffers: list[Tensor] = []
        self.made: dict[tuple, tuple[torch.cuda.CUDAGraph, Sequence[Tensor]]] = {}

    def make(self, batches: Iterable[Batch]) -> None:
        """Make the graph of each shape that these batches have, the largest first."""
        default = torch.cuda.default_generators[self.stream.device.index]
        before, kept = default.graphsafe_get_state(), self._state()
        kept = [(tensor, tensor.detach().clone()) for tensor in kept]
        default.graphsafe_set_state(self.random)
        torch.cuda.synchronize()
        try:
            with torch.cuda.stream(self.stream):
                for batch in batches:
                    self._make(batch)
        finally:
            torch.cuda.synchronize()
            self._restore(kept)
            default.graphsafe_set_state(before)
            torch.cuda.synchronize()

    def _make(self, batch: Batch) -> None:
        found = tensors(batch)
        if not self.buffers:
            self.buffers = [torch.empty_like(tensor).flatten() for tensor in found]
        static = [buffer[: x.numel()].view(x.shape).copy_(x) for buffer, x in zip(self.buffers, found, strict=True)]
        fixed = with_tensors(batch, static)
        for _ in range(1 if self.made else WARM_UP):
            self.step(fixed)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Another network's batches may be read meanwhile, by another thread.
        graph.capture_begin(pool=self.pool, capture_error_mode="thread_local")
        try:
            self.step(fixed)
        finally:
            graph.capture_end()
        self.made[shapes(batch)] = graph, static

    def _state(self) -> list[Tensor]:
        """Everything that a step changes and the next one reads."""
        moments = [x for state in self.adam.state.values() for x in state.values() if isinstance(x, Tensor)]
        return [*self.network.parameters(), *self.network.buffers(), *moments]

    @torch.no_grad()
    def _restore(self, kept: Sequence[tuple[Tensor, Tensor]]) -> None:
        known = {id(tensor) for tensor, _ in kept}
        for tensor, value in kept:
            tensor.copy_(value)
        for tensor in self._state():
            if id(tensor) not in known:  # moments of an optimiser that had taken no step
                tensor.zero_()

    def begin(self, seed: int) -> None:
        """Begin an epoch: what the current stream has done is seen, and random numbers start anew from ``seed``."""
        self.random.manual_seed(seed)
        self.stream.wait_stream(torch.cuda.current_stream())

    def take(self, batch: Batch) -> None:
        """Queue the step of a batch on the current stream, which is ``stream``."""
        graph, static = self.made[shapes(batch)]
        for fixed, tensor in zip(static, tensors(batch), strict=True):
            fixed.copy_(tensor, non_blocking=True)
        graph.replay()


def tensors(batch: Batch) -> list[Tensor]:
    """All tensors of a batch."""
    return [*batch.values.values(), *batch.masks.values(), batch.target, batch.target_mask, *(batch.before or ())]


def with_tensors(batch: Batch, given: Sequence[Tensor]) -> Batch:
    """The same batch with other tensors in their places."""
    count = len(batch.values)
    values, masks = dict(zip(batch.values, given)), dict(zip(batch.masks, given[count:]))
    target, target_mask, *before = given[2 * count :]
    return Batch(values, masks, target, target_mask, batch.items, Before(*before) if before else None)


def shapes(batch: Batch) -> tuple:
    """What tells graphs apart."""
    return tuple(tensor.shape for tensor in tensors(batch))
