"""Temporal encoders: one modality's features become a sequence of configured width, absent steps having no say.

``Encoder`` = dropout on the input (text only, as in paper 1) -> mean over blocks of steps -> projection to the width ->
GRU (paper 1) or TCN (paper 2), after a ``LayerMix`` where features keep several layers.
Averaged and projected first, wide features cost no more than one matrix product.
"""

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from models.attention import Stream, observed
from models.dropout import Dropout

# The weights are put together anew at each call; cuDNN says so at each.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")

LEVELS, KERNEL = 4, 5  # sizes of the published TCN: dilations 1, 2, 4, 8
SHORT_KERNEL = 3  # our steps are longer than the published frames: the reach in seconds is no less


def averaged(stream: Stream, stride: int) -> Stream:
    """Average what was observed in each block of ``stride`` steps: (B, T, D) -> (B, ceil(T / stride), D).

    A step comes out observed if any of its block is. So it depends neither on how far a batch is padded nor on what
    absent steps hold.
    """
    if stride == 1:
        return stream
    values, mask = stream
    surplus = -mask.shape[1] % stride
    if surplus:
        values, mask = F.pad(values, (0, 0, 0, surplus)), F.pad(mask, (0, surplus))
    mask = mask.unflatten(1, (-1, stride))
    values = values.unflatten(1, (-1, stride)).sum(2) / mask.sum(2).clamp(min=1).unsqueeze(-1)
    return Stream(values, mask.any(2))


class Steps(torch.autograd.Function):
    """The steps of a GRU in both directions, from what it takes of the input: (T, 2, B, 3H) -> states (T, 2, B, H).

    It has a backward pass of its own, which computes all but the recurrence for all steps at once.
    """

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, bias: Tensor):
        """Step from zeros: weight (2, H, 3H) and bias (2, 1, 3H) are those of the state; gates reset, update, new."""
        steps, h = len(inputs), weight.shape[1]
        weight = weight.contiguous()
        state = inputs.new_zeros(steps + 1, *inputs.shape[1:3], h)
        recurrent, new = torch.empty_like(inputs), torch.empty_like(state[1:])
        gates = inputs.new_empty(steps, *inputs.shape[1:3], 2 * h)
        cut = [2 * h, h]
        for given, proposed, before, after, taken, of_gates, of_new, gate, reset, update, candidate in zip(
            *(part.unbind(0) for part in (*inputs.split(cut, -1), state[:-1], state[1:], recurrent)),
            *(part.unbind(0) for part in (*recurrent.split(cut, -1), gates, *gates.chunk(2, -1), new)),
        ):
            torch.baddbmm(bias, before, weight, out=taken)  # (2, B, 3H)
            torch.add(given, of_gates, out=gate).sigmoid_()
            torch.addcmul(proposed, reset, of_new, out=candidate).tanh_()
            torch.lerp(candidate, before, update, out=after)
        return state[1:], state, gates, new, recurrent[..., 2 * h :]

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what the backward pass needs."""
        ctx.save_for_backward(inputs[1], *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx, grad: Tensor, *_):
        """Step back; the gradient of each gate is that of the state times what is known before."""
        weight, state, gates, new, recurrent = ctx.saved_tensors
        before, (reset, update) = state[:-1], gates.chunk(2, -1)
        of_new = (1 - update) * (1 - new * new)
        factors = torch.stack(
            [of_new * recurrent * reset * (1 - reset), (before - new) * update * (1 - update), of_new * reset], -2
        )  # (T, 2, B, 3, H)
        back, of_state = weight.transpose(1, 2).contiguous(), torch.zeros_like(state[0])
        of_states, of_gates = torch.empty_like(new), torch.empty_like(factors)  # gradients of states and gates
        parts = grad, update, of_states, of_states.unsqueeze(-2), factors, of_gates, of_gates.flatten(-2)
        for passed, direct, total, each, factor, gate, flat in zip(*(reversed(part.unbind(0)) for part in parts)):
            torch.add(of_state, passed, out=total)
            torch.mul(factor, each, out=gate)
            torch.baddbmm(total * direct, flat, back, out=of_state)
        of_gates = of_gates.flatten(-2)
        of_inputs = torch.cat([of_gates[..., : -new.shape[-1]], of_states * of_new], -1)
        by_side = of_gates.transpose(0, 1).flatten(1, 2)  # (2, T * B, 3H)
        of_weight = before.transpose(0, 1).flatten(1, 2).transpose(1, 2) @ by_side
        return of_inputs, of_weight, by_side.sum(1, keepdim=True)


def weights(gru: nn.GRU) -> list[list[Tensor]]:
    """List each direction's weight_ih (3H, D), weight_hh (3H, H), bias_ih, bias_hh; gates reset, update, new."""
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [[getattr(gru, f"{kind}_l0{side}") for kind in kinds] for side in ("", "_reverse")]


def by_steps(gru: nn.GRU, gates: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Run both directions of a GRU side by side, one step after the other: (B, T, 2H).

    ``gates`` says what they take of the input, (T, B, 2 * 3H), from the weight (2 * 3H, D) and bias (2 * 3H,) of both.
    """
    from_input, from_state, bias_input, bias_state = (torch.stack(pair) for pair in zip(*weights(gru)))  # (2, ...)
    forward, backward = gates(from_input.flatten(0, 1), bias_input.flatten()).chunk(2, -1)
    inputs = torch.stack([forward, backward.flip(0)], 1)  # (T, 2, B, 3H)
    states = Steps.apply(inputs, from_state.transpose(1, 2), bias_state.unsqueeze(1))[0]
    forward, backward = states.unbind(1)  # each (T, B, H)
    return torch.cat([forward, backward.flip(0)], -1).transpose(0, 1)


class GatedRecurrence(nn.Module):
    """Bidirectional GRU in which an absent step leaves the state as it was: (B, T, width) -> (B, T, width).

    Observed steps come out as if the absent ones had been cut out of the sequence, whatever the lengths in a batch and
    wherever the gaps. At an absent step the update gate is driven to 1, "keep", in h' = (1 - z) n + z h. (Packed
    sequences spare only what is absent at the end, at a third of the speed on CPU.) There are two ways to the same
    numbers: both directions step by step, faster on CPU; and the library's GRU, which on CUDA is one call of cuDNN.
    """

    HOLD = 100.0  # sigmoid(100 + anything a gate sees) is 1 to the last bit, also in float64

    def __init__(self, width: int):
        super().__init__()
        self.gru = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)  # holds the parameters

    def by_steps(self, x: Tensor, mask: Tensor) -> Tensor:
        """Run both directions step by step, in the parameters' own precision."""

        def gates(weight: Tensor, bias: Tensor) -> Tensor:
            hold = F.pad(bias.new_full((len(bias) // 6,), self.HOLD), (len(bias) // 6,) * 2).repeat(2)
            return torch.addcmul(F.linear(x.to(weight).transpose(0, 1), weight, bias), ~mask.t().unsqueeze(-1), hold)

        return by_steps(self.gru, gates)

    def by_library(self, x: Tensor, mask: Tensor) -> Tensor:
        """Run torch's own GRU with one more input, 1 at absent steps, whose constant weights hold the state."""
        x = x.to(self.gru.weight_ih_l0)
        hold = x.new_zeros(3, self.gru.hidden_size)
        hold[1] = self.HOLD
        held = []
        for from_input, *others in weights(self.gru):
            held += [torch.cat([from_input, hold.reshape(-1, 1)], 1), *others]
        x = torch.cat([x, ~mask.unsqueeze(-1)], -1)
        start = x.new_zeros(2, x.shape[0], self.gru.hidden_size)
        return torch.gru(x, start, held, True, 1, 0.0, self.training, True, True)[0]

    def forward(self, stream: Stream) -> Stream:
        """Run both directions: (B, T, width) -> (B, T, width)."""
        way = self.by_library if stream.values.is_cuda else self.by_steps
        with torch.autocast(stream.values.device.type, enabled=False):  # it knows cuDNN's GRU in float16 alone
            return observed(way(*stream), stream.mask)


class CausalBlock(nn.Module):
    """One level of the TCN of paper 2: two weight-normalised causal convolutions and a residual."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, dropout: float):
        super().__init__()
        self.past = (kernel - 1) * dilation
        self.conv1 = weight_norm(nn.Conv1d(inputs, outputs, kernel, dilation=dilation))
        self.conv2 = weight_norm(nn.Conv1d(outputs, outputs, kernel, dilation=dilation))
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Convolve twice: x (B, C, T), mask (B, 1, T) -> (B, C', T)."""
        y = x
        for convolution in (self.conv1, self.conv2):
            y = self.dropout(F.leaky_relu(convolution(F.pad(y, (self.past, 0)))))
            y = y if mask is None else y * mask
        y = F.leaky_relu(y + self.downsample(x))
        return y if mask is None else y * mask


class TemporalConvolutionNetwork(nn.Module):
    """The TCN of paper 2: levels of dilation 1, 2, 4, 8..., (B, inputs, T) -> (B, widths[-1], T).

    Without a mask it is the published module. With one, an absent step is zero after every convolution,
    just as the time before the beginning is, instead of carrying biases on.
    """

    def __init__(self, inputs: int, widths: list[int], kernel: int = KERNEL, dropout: float = 0.1):
        super().__init__()
        self.network = nn.ModuleList(
            CausalBlock(before, after, kernel, 2**level, dropout)
            for level, (before, after) in enumerate(zip([inputs, *widths], widths))
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Convolve: x (B, inputs, T), mask (B, 1, T) -> (B, widths[-1], T)."""
        for block in self.network:
            x = block(x, mask)
        return x


class MaskedConvolutions(nn.Module):
    """TCN and layer norm over streams: (B, T, width) -> (B, T, width).

    The published BatchNorm becomes a LayerNorm: each frame is normalised by itself, so that neither absent frames nor
    the other items of a batch take part.
    """

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.tcn = TemporalConvolutionNetwork(width, [width] * LEVELS, SHORT_KERNEL, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, stream: Stream) -> Stream:
        """Convolve: (B, T, width) -> (B, T, width)."""
        x, mask = stream
        y = self.tcn(x.transpose(1, 2), mask.unsqueeze(1).to(x))
        return observed(self.norm(y.transpose(1, 2)), mask)


class Encoder(nn.Module):
    """Encode one modality: a stream (B, T, features) becomes a stream (B, ceil(T / stride), width)."""

    def __init__(self, kind: str, features: int, width: int, stride: int, dropout: float, input_dropout: float = 0.0):
        super().__init__()
        self.stride = stride
        self.input_dropout = Dropout(input_dropout)
        self.projection = nn.Linear(features, width)
        self.recurrence = GatedRecurrence(width) if kind == "gru" else MaskedConvolutions(width, dropout)

    def forward(self, stream: Stream) -> Stream:
        """Encode: (B, T, features) -> (B, ceil(T / stride), width)."""
        values, mask = averaged(Stream(self.input_dropout(stream.values), stream.mask), self.stride)
        return self.recurrence(observed(self.projection(values), mask))


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
