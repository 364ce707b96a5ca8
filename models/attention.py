"""Attention over sequences with absent steps, and the pooling that follows it.

Everywhere in ``models``, B counts items, T steps, D features; a mask is True where something was observed. A ``Stream``
keeps one promise on which all else rests: **values are zero where the mask is False**. So a sum over steps is a sum
over observed steps, and what a file holds at an absent step can change nothing.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.dropout import Dropout, draw, factors

UNSEEN = -1e4  # what an absent step scores: the exponential of anything a query says beside it is 0
LANES = 16  # numbers that a processor takes at once; torch's softmax of shorter rows is up to twenty times slower


class Stream(NamedTuple):
    """Vectors and which of them were observed."""

    values: Tensor  # (B, T, D), or (B, D) after pooling over time
    mask: Tensor  # (B, T) bool, or (B,)


def observed(values: Tensor, mask: Tensor) -> Stream:
    """Make a stream: whatever stands at absent steps, NaN included, becomes zero."""
    return Stream(blank_(values.clone(memory_format=torch.contiguous_format), mask), mask)


def blank_(values: Tensor, mask: Tensor) -> Tensor:
    """Put zeros at absent steps, in place: contiguous (..., D) and (...)."""
    if values.device.type != "cpu":  # which must not be asked how many there are
        return values.masked_fill_(~mask.unsqueeze(-1), 0.0)
    absent = (~mask).flatten().nonzero().squeeze(1)  # a processor looks at each number of a mask, but fills whole rows
    values.view(-1, values.shape[-1]).index_fill_(0, absent, 0.0)
    return values


class MaskedAttention(nn.Module):
    """Multi-head attention of a target stream on a source stream, absent steps unseen.

    As in paper 1 there are no positions and no layer norm. ``residual`` adds the target to the outcome: per-frame
    predictions need it, because attention alone says little about *this* frame; means over time, as in paper 1, do not.

    A target step without anything to attend to is absent from the outcome; with ``residual`` it stays what it was.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, residual: bool = False):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.dropout = Dropout(dropout)
        self.residual = residual

    def forward(self, target: Stream, source: Stream) -> Stream:
        """Attend: (B, T, D) on (B, S, D) -> (B, T, D)."""
        anything = source.mask.any(1, keepdim=True)  # (B, 1)
        attend = self.by_library if target.values.is_cuda else self.by_products
        mixed = observed(attend(target.values, source), target.mask & anything)
        return Stream(target.values + mixed.values, target.mask) if self.residual else mixed

    def by_library(self, target: Tensor, source: Stream) -> Tensor:
        """Attend by torch's own module, on CUDA one kernel; a softmax over nothing would be NaN."""
        absent = ~source.mask & source.mask.any(1, keepdim=True)
        return self.attention(target, source.values, source.values, key_padding_mask=absent, need_weights=False)[0]

    def by_products(self, target: Tensor, source: Stream) -> Tensor:
        """Attend to the same numbers without passes over (T, S) for masks and against NaN: faster on CPU."""
        holds = self.attention
        heads, width = holds.num_heads, holds.embed_dim
        parts = zip(holds.in_proj_weight.split([width, 2 * width]), holds.in_proj_bias.split([width, 2 * width]))
        (of_query, bias_query), (of_both, bias_both) = parts
        query = F.linear(target, of_query, bias_query) * (width // heads) ** -0.5
        key, value = F.linear(source.values, of_both, bias_both).chunk(2, -1)
        query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))  # (B, h, T, d)
        weights = self.dropout(shares(query, key, unseen(source.mask, key)))
        return holds.out_proj((weights @ value).transpose(1, 2).flatten(-2))


def unseen(mask: Tensor, like: Tensor) -> Tensor:
    """What scores of absent steps begin with; where there is no other step all are alike: (B, S) -> (B, 1, 1, S)."""
    return (~mask).to(like)[:, None, None] * UNSEEN


def scores(query: Tensor, key: Tensor, begin: Tensor) -> Tensor:
    """Products of (B, h, T, d) and (B, h, S, d), added to (B, 1, 1, S): (B, h, T, S)."""
    heads = key.shape[1]
    begin, query, key = (x.flatten(0, 1) for x in (begin.expand(-1, heads, -1, -1), query, key))
    return torch.baddbmm(begin, query, key.mT).unflatten(0, (-1, heads))


def shares(query: Tensor, key: Tensor, begin: Tensor) -> Tensor:
    """Softmax over S of scores, which ``scores`` makes: (B, h, T, S), in memory (B, h, S, T) where S is short."""
    if key.shape[2] < LANES:
        return scores(key, query, begin.mT).softmax(-2).mT
    return scores(query, key, begin).softmax(-1)


def back_to_scores(grad: Tensor, weights: Tensor) -> Tensor:
    """The gradient of scores from that of ``shares``, which are laid out in memory as these made them."""
    if weights.shape[3] < LANES:
        return torch.ops.aten._softmax_backward_data(grad.mT, weights.mT, -2, weights.dtype).mT
    return torch.ops.aten._softmax_backward_data(grad, weights, -1, weights.dtype)


def draw_for(query: Tensor, key: Tensor) -> Tensor:
    """Random bits for ``shares``, (B, h, T, S), laid out in memory as they are."""
    (*items, steps), few = query.shape[:3], key.shape[2]
    return draw((*items, few, steps), key.device).mT if few < LANES else draw((*items, steps, few), key.device)


class MeanWeights(torch.autograd.Function):
    """Mean over target steps of dropout(softmax(begin + q k^T)): (B, h, T, d) and (B, h, S, d) -> (B, h, S).

    ``begin`` (B, 1, 1, S) is what scores begin with, ``share`` (B, T) each target step's part of the mean. Of (T, S) no
    more is kept for the backward pass than the random bits of dropout; the rest is computed anew. Both take few enough
    items at a time to stay in the processor's cache.
    """

    CACHED = 2**17  # weights

    @staticmethod
    def forward(query: Tensor, key: Tensor, begin: Tensor, share: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        """Attend; returns the mean and the bits."""
        bits = draw_for(query, key) if dropout else key.new_empty((len(key), 0), dtype=torch.int16)
        means = []
        for q, k, first, of_mean, drawn in MeanWeights.parts(query, key, begin, share[:, None, None], bits):
            weights = shares(q, k, first)
            if dropout:
                weights.mul_(factors(drawn, dropout, weights.dtype))
            means.append(of_mean @ weights)
        return torch.cat(means).squeeze(2), bits

    @staticmethod
    def parts(query: Tensor, key: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Cut tensors into a few items each, whose weights fit the cache."""
        few = max(1, MeanWeights.CACHED // (query.shape[1] * query.shape[2] * key.shape[2]))
        return zip(*(x.split(few) for x in (query, key, *others)))

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what the backward pass needs."""
        *given, ctx.dropout = inputs
        ctx.save_for_backward(*given, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, grad: Tensor, _):
        """Step back through softmax and product."""
        query, key, begin, share, bits = ctx.saved_tensors
        of_query, of_key = torch.empty_like(query), torch.empty_like(key)
        given = query, key, begin, share[:, None, :, None], bits, grad.unsqueeze(2), of_query, of_key
        for q, k, first, of_mean, drawn, passed, to_query, to_key in MeanWeights.parts(*given):
            weights = shares(q, k, first)
            of_weights = of_mean * passed
            if ctx.dropout:
                of_weights.mul_(factors(drawn, ctx.dropout, weights.dtype))
            of_scores = back_to_scores(of_weights, weights)
            torch.matmul(of_scores, k, out=to_query)
            torch.matmul(of_scores.mT, q, out=to_key)
        return of_query, of_key, None, None, None


def mean_attended(attention: nn.MultiheadAttention, target: Stream, source: Stream) -> Tensor:
    """Average over a target's observed steps what they attend to: (B, T, width) on (B, S, width) -> (B, width).

    All that follows the weights is linear, so their mean is taken before it, and values are made of that alone.
    """
    heads, width = attention.num_heads, attention.embed_dim
    of_query, of_key, of_value = attention.in_proj_weight.chunk(3)
    bias_query, bias_key, bias_value = attention.in_proj_bias.chunk(3)
    query = F.linear(target.values, of_query, bias_query) * (width // heads) ** -0.5
    key = F.linear(source.values, of_key, bias_key)
    query, key = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key))  # (B, h, T, d)
    share = target.mask.to(query) / target.mask.sum(1, keepdim=True).clamp(min=1)
    dropout = attention.dropout if attention.training else 0.0
    weights = MeanWeights.apply(query, key, unseen(source.mask, key), share, dropout)[0]
    attended = weights @ source.values  # (B, h, width)
    of_value, bias_value = (x.unflatten(0, (heads, -1)) for x in (of_value, bias_value))  # (h, d, width), (h, d)
    values = torch.einsum("bhw,hdw->bhd", attended, of_value) + weights.sum(-1, keepdim=True) * bias_value
    return attention.out_proj(values.flatten(1))


class MeanAttention(MaskedAttention):
    """Attention of a target stream on a source stream, averaged over the target's observed steps."""

    def forward(self, target: Stream, source: Stream) -> Stream:
        """Attend and average: (B, T, D) on (B, S, D) -> (B, D)."""
        if target.values.is_cuda:
            return mean_over_time(super().forward(target, source))
        return observed(mean_attended(self.attention, target, source), target.mask.any(1) & source.mask.any(1))


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
            nn.Linear(width, 4 * width), nn.GELU(), Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.dropout = Dropout(dropout)

    def forward(self, target: Stream, source: Stream) -> Stream:
        """Attend and think: (B, T, D) on (B, S, D) -> (B, T, D)."""
        values, mask = target
        attended = self.attention(
            observed(self.norm_target(values), mask), observed(self.norm_source(source.values), source.mask)
        )
        values = values + self.dropout(attended.values)
        return observed(values + self.dropout(self.feed_forward(self.norm(values))), mask)


def mean_over_time(stream: Stream) -> Stream:
    """Average the observed steps, (B, T, D) -> (B, D); an item without any is zero and absent, a mean stays itself."""
    if stream.values.dim() == 2:
        return stream
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
