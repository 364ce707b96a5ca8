"""Attention over sequences with absent steps, and the pooling that follows it.

Everywhere in ``models``, B counts items, T steps, D features; a mask is True where something was observed. A ``Stream``
keeps one promise on which all else rests: **values are zero where the mask is False**. So a sum over steps is a sum
over observed steps, and what a file holds at an absent step can change nothing.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

UNSEEN = -1e4  # what an absent step scores: the exponential of anything a query says beside it is 0


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
        attend = self.by_library if target.values.is_cuda else self.by_products
        mixed = observed(attend(target.values, source), target.mask & anything)
        return Stream(target.values + mixed.values, target.mask) if self.residual else mixed

    def by_library(self, target: Tensor, source: Stream) -> Tensor:
        """Attend by torch's own module, on CUDA one kernel; a softmax over nothing would be NaN."""
        unseen = ~source.mask & source.mask.any(1, keepdim=True)
        return self.attention(target, source.values, source.values, key_padding_mask=unseen, need_weights=False)[0]

    def by_products(self, target: Tensor, source: Stream) -> Tensor:
        """Attend to the same numbers without passes over (T, S) for masks and against NaN: faster on CPU."""
        holds = self.attention
        heads, width = holds.num_heads, holds.embed_dim
        parts = zip(holds.in_proj_weight.split([width, 2 * width]), holds.in_proj_bias.split([width, 2 * width]))
        (of_query, bias_query), (of_both, bias_both) = parts
        query = F.linear(target, of_query, bias_query) * (width // heads) ** -0.5
        key, value = F.linear(source.values, of_both, bias_both).chunk(2, -1)
        query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))  # (B, h, T, d)
        # One more number in each key, which every query multiplies by 1; without any step all are alike, and zeros.
        unseen = (~source.mask).to(key)[:, None, :, None].expand(-1, heads, -1, -1) * UNSEEN
        scores = F.pad(query, (0, 1), value=1.0) @ torch.cat([key, unseen], -1).transpose(-2, -1)
        weights = F.dropout(scores.softmax(-1), holds.dropout, self.training)
        return holds.out_proj((weights @ value).transpose(1, 2).flatten(-2))


class MeanWeights(torch.autograd.Function):
    """Mean over target steps of dropout(softmax(q k^T)): (B, h, T, d) and (B, h, S, d) -> (B, h, S).

    Of (T, S) no more is kept for the backward pass than what dropout left; the rest is computed anew, item by item, in
    the processor's cache.
    """

    @staticmethod
    def forward(query: Tensor, key: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        """Attend; returns the mean and what dropout kept."""
        kept = torch.ones(*query.shape[:3], key.shape[2], dtype=torch.bool, device=query.device)
        if dropout:
            kept.bernoulli_(1 - dropout)
        pairs = zip(query, key, kept)
        mean = torch.stack([(q @ k.mT).softmax(-1).mul_(keep.to(q)).sum(1) for q, k, keep in pairs])
        return mean / (query.shape[2] * (1 - dropout)), kept

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what the backward pass needs."""
        query, key, ctx.dropout = inputs
        ctx.save_for_backward(query, key, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, grad: Tensor, _):
        """Step back through softmax and product."""
        query, key, kept = ctx.saved_tensors
        grad = grad.unsqueeze(2) / (query.shape[2] * (1 - ctx.dropout))
        of_query, of_key = torch.empty_like(query), torch.empty_like(key)
        for q, k, keep, passed, to_query, to_key in zip(query, key, kept, grad, of_query, of_key):
            weights = (q @ k.mT).softmax(-1)
            of_scores = keep.to(q).mul_(passed)
            of_scores.sub_((of_scores * weights).sum(-1, keepdim=True)).mul_(weights)
            torch.matmul(of_scores, k, out=to_query)
            torch.matmul(of_scores.mT, q, out=to_key)
        return of_query, of_key, None


def mean_attended(attention: nn.MultiheadAttention, target: Tensor, source: Tensor) -> Tensor:
    """Average over target steps what they attend to: (B, T, width) on (B, S, width) -> (B, width).

    All that follows the weights is linear, so their mean is taken before it.
    """
    heads, width = attention.num_heads, attention.embed_dim
    parts = zip(attention.in_proj_weight.split([width, 2 * width]), attention.in_proj_bias.split([width, 2 * width]))
    (of_query, bias_query), (of_both, bias_both) = parts
    query = F.linear(target, of_query, bias_query) * (width // heads) ** -0.5
    key, value = F.linear(source, of_both, bias_both).chunk(2, -1)
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))  # (B, h, T, d)
    weights = MeanWeights.apply(query, key, attention.dropout if attention.training else 0.0)[0]
    return attention.out_proj((weights.unsqueeze(2) @ value).flatten(1))


class TransformerBlock(nn.Module):
    """Pre-norm transformer block of a target stream on a source stream, absent steps unseen.

    Xiong et al. 2020: t <- t + Attention(LN(t), LN(s)), then t <- t + FFN(LN(t)), its hidden layer four times as wide.
    A target step without anything to attend to passes through the second part alone.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0):
        super().__init__()
        self.norm_target, self.norm_source, self.norm = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = MaskedAttention(width, heads, dropout)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, target: Stream, source: Stream) -> Stream:
        """Attend and think: (B, T, D) on (B, S, D) -> (B, T, D)."""
        values, mask = target
        attended = self.attention(
            observed(self.norm_target(values), mask), observed(self.norm_source(source.values), source.mask)
        )
        values = values + self.dropout(attended.values)
        return observed(values + self.dropout(self.feed_forward(self.norm(values))), mask)


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
