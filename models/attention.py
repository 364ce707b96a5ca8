"""Attention over sequences with absent steps, and the pooling that follows it.

Everywhere in ``models``, B counts items, T steps, D features; a mask is True where something was observed. A ``Stream``
keeps one promise on which all else rests: **values are zero where the mask is False**. So a sum over steps is a sum
over observed steps, and what a file holds at an absent step can change nothing.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Stream(NamedTuple):
    """Vectors and which of them were observed."""

    values: Tensor  # (B, T, D), or (B, D) after pooling over time
    mask: Tensor  # (B, T) bool, or (B,)


def observed(values: Tensor, mask: Tensor) -> Stream:
    """Make a stream: whatever stands at absent steps, NaN included, becomes zero."""
    return Stream(values.masked_fill(~mask.unsqueeze(-1), 0.0), mask)


class MaskedAttention(nn.Module):
    """Multi-head attention of a target stream on a source stream, absent steps unseen.

    As in paper 1 there are no positions and no layer norm. ``residual`` adds the target to the outcome: per-frame
    predictions need it, because attention alone says little about *this* frame; means over time, as in paper 1, do not.

    A target step without anything to attend to is absent from the outcome; with ``residual`` it stays what it was.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, residual: bool = False):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.residual = residual

    def forward(self, target: Stream, source: Stream) -> Stream:
        """Attend: (B, T, D) on (B, S, D) -> (B, T, D)."""
        anything = source.mask.any(1, keepdim=True)  # (B, 1)
        # A softmax over nothing is NaN; an item without any source attends to its zeros and is masked below.
        unseen = ~source.mask & anything
        mixed, _ = self.attention(
            target.values, source.values, source.values, key_padding_mask=unseen, need_weights=False
        )
        mixed = observed(mixed, target.mask & anything)
        return Stream(target.values + mixed.values, target.mask) if self.residual else mixed


class JointAttention(nn.Module):
    """One recursion of the joint cross-modal attention of paper 2, for any window length and with absent frames.

    Paper 2 (X_m is d_m x K for K frames; J stacks the modalities; d its width):

        J = FC([X_a; X_v; X_t])                     C_m = tanh(X_m^T W_jm J / sqrt(d))
        H_m = ReLU(X_m W_cm C_m)                    X_m <- X_m + H_m W_hm

    Its code correlates features rather than frames: the keys are a Linear(300, 300) over the frames of X_m, C_m is d_m
    x d, every frame passes through C_m, and W_hm brings d features back to d_m. That fixes the window at 300 frames and
    mixes absent ones in. Here, frames as rows (X_m is T x d_m, J is T x d) and with o = the frames at which both m and
    its joint were observed:

        C_m = tanh((X_m W_jm)_o^T J_o / |o|)        (d_m x d)
        H_m = ReLU(X_m W_cm C_m)                    (T x d)
        X_m <- X_m + H_m W_hm                       (T x d_m)

    So W_jm mixes features, not frames, and the sum over frames is divided by the number of its terms instead of
    sqrt(d), which is the scale of a sum over d features and not of this one: the same video, twice as long, gives the
    same C_m. It is an attention over feature pairs (like the cross-covariance attention of El-Nouby et al. 2021), its
    cost linear in T. Dropout acts on C_m and on the update, as in the published code, at one configured rate.

    ``others``: the joint leaves m itself out (RCMA, the paper's first version), one FC for each m; otherwise it holds
    all (RJCMA), one FC for all. The joint of a frame is observed where any of its parts is; absent parts are zeros in
    it.
    """

    def __init__(self, modalities: list[str], width: int, others: bool, dropout: float = 0.0):
        super().__init__()
        self.parts = {m: [n for n in modalities if not (others and n == m)] for m in modalities}
        d = width * len(self.parts[modalities[0]])
        joints = {"+".join(parts) for parts in self.parts.values()}
        self.joint = nn.ModuleDict({name: nn.Linear(d, d) for name in sorted(joints)})
        self.key = nn.ModuleDict({m: nn.Linear(width, width) for m in modalities})  # W_jm
        self.value = nn.ModuleDict({m: nn.Linear(width, width) for m in modalities})  # W_cm
        self.update = nn.ModuleDict({m: nn.Linear(d, width) for m in modalities})  # W_hm
        self.dropout = nn.Dropout(dropout)

    def _join(self, streams: dict[str, Stream], parts: list[str]) -> Stream:
        together = torch.cat([streams[m].values for m in parts], -1)  # (B, T, d)
        present = torch.stack([streams[m].mask for m in parts]).any(0)
        return observed(self.joint["+".join(parts)](together), present)

    def forward(self, streams: dict[str, Stream]) -> dict[str, Stream]:
        """Attend once: streams (B, T, D) of one T -> streams of the same shapes."""
        joints = {name: self._join(streams, name.split("+")) for name in self.joint}
        attended = {}
        for m, (x, mask) in streams.items():
            joint = joints["+".join(self.parts[m])]
            both = mask & joint.mask
            keys = observed(self.key[m](x), both).values
            frames = both.sum(1).clamp(min=1)[:, None, None]
            correlation = torch.tanh(keys.transpose(1, 2) @ joint.values / frames)  # (B, D, d)
            heard = torch.relu(self.value[m](x) @ self.dropout(correlation))  # (B, T, d)
            attended[m] = observed(x + self.dropout(self.update[m](heard)), mask)
        return attended


def mean_over_time(stream: Stream) -> Stream:
    """Average the observed steps, (B, T, D) -> (B, D); an item without any is zero and absent."""
    steps = stream.mask.sum(1, keepdim=True).clamp(min=1)
    return Stream(stream.values.sum(1) / steps, stream.mask.any(1))


def statistics(streams: list[Stream]) -> Tensor:
    """Pool M vectors into their standard deviation and mean across the M, in this order: M x (..., D) -> (..., 2 D).

    Statistical pooling of paper 1 (unbiased standard deviation), over those vectors that are present. Where only one
    is, the deviation is undefined (the paper does not say what its uni-modal models did); here it is 0, which leaves
    the shapes of the layers after it the same for one, two and three modalities. Where none is, both halves are 0.
    """
    values = torch.stack([s.values for s in streams])  # (M, ..., D)
    present = torch.stack([s.mask for s in streams]).unsqueeze(-1)  # (M, ..., 1)
    count = present.sum(0)
    mean = values.sum(0) / count.clamp(min=1)
    variance = ((values - mean) * present).square().sum(0) / (count - 1).clamp(min=1)
    varies = variance > 0  # the derivative of a square root at 0 is infinite
    deviation = torch.where(varies, variance, 1.0).sqrt() * varies
    return torch.cat([deviation, mean], -1)


def concatenation(streams: list[Stream]) -> Tensor:
    """Put M vectors side by side, zeros for an absent one: M x (..., D) -> (..., M D)."""
    return torch.cat([s.values for s in streams], -1)
