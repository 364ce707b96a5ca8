"""Self attention, cross attention, and both side by side: an attention for each (target, source) pair of modalities.

Rajan, Brutti, Cavallaro 2022 (paper 1). The attended vectors of a model are pooled together: three for self, six for
cross attention; with both side by side each is a group of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.fusion.base import OWN_DRAWS, Combination, Fusion, Published
from pipeline.registry import options

if TYPE_CHECKING:
    from torch import nn

    from models.attention import Stream

Pairs = list[tuple[str, str]]


@options
class AttentionOptions:
    """How a modality attends to another or to itself."""

    heads: int = Field(6, gt=0, description="attention heads; width must be a multiple of them")
    block: Literal["bare", "pre_norm"] = Field(
        "bare",
        description="bare: the attention alone, as in paper 1 (frame-wise task: added to its target); pre_norm: a "
        "transformer block of today, with residuals, layer norms and a feed-forward part",
    )


def self_pairs(modalities: list[str]) -> Pairs:
    """List the attentions of the self model: each modality on itself."""
    return [(m, m) for m in modalities]


def cross_pairs(modalities: list[str]) -> Pairs:
    """List the attentions of the cross model: every ordered (target, source) pair of two modalities."""
    return list(permutations(modalities, 2))


class PairwiseAttention(Fusion):
    """One attention for each pair; its outcome has the target's length, or is the mean over it of a bare one."""

    Config = AttentionOptions
    citation = "rajan2022"
    combine = "statistics"
    published = Published(
        task="classes/segment",
        encoder="gru",
        steps={"text": 128, "video": 32, "audio": 1000},
        training={"targets": "majority", "plateau_threshold": 1e-4, "class_weights": False, "modality_dropout": 0.0},
        departures=("batches hold items of similar length instead of random ones", OWN_DRAWS),
    )
    attends: ClassVar[str]  # whom a modality attends to, for the sentence
    pairs: ClassVar[tuple[Callable[[list[str]], Pairs], ...]]  # the pairs of each group

    def groups(self, modalities: list[str]) -> list[Pairs]:
        """List the (target, source) pairs of each group."""
        return [pairs(modalities) for pairs in self.pairs]

    def problems(self, options) -> Iterator[str]:
        """Say where width and heads do not fit, or where the published form knows no other block."""
        if self.width % self.config.heads:
            yield f"width {self.width} must be a multiple of heads {self.config.heads}"
        if options.faithful and self.config.block != "bare":
            yield "the published model has the bare attention; set block: bare, or faithful: false"

    def layers(self, modalities: list[str]) -> dict[str, nn.Module]:
        """One attention, or one transformer block, for each pair."""
        from models.attention import MaskedAttention, MeanAttention, TransformerBlock

        def one() -> nn.Module:
            if self.config.block == "pre_norm":
                return TransformerBlock(self.width, self.config.heads, self.dropout)
            if not self.task.frames:
                return MeanAttention(self.width, self.config.heads, self.dropout)
            return MaskedAttention(self.width, self.config.heads, self.dropout, residual=True)

        return {f"{target}_{source}": one() for pairs in self.groups(modalities) for target, source in pairs}

    def fuse(self, layers, streams: dict[str, Stream]) -> list[list[Stream]]:
        """Attend in every pair."""
        return [[layers[f"{t}_{s}"](streams[t], streams[s]) for t, s in pairs] for pairs in self.groups(list(streams))]

    def published_network(self, options, dims: dict[str, int], outputs: int, steps: dict[str, int]) -> nn.Module:
        """Build paper 1's model."""
        from models.fusion.published import AttentionModel

        return AttentionModel(
            dims,
            steps,
            self.groups(list(dims)),
            outputs,
            width=self.width,
            heads=self.config.heads,
            embedding=options.embedding,
            statistics=options.combine == "statistics",
            dropout=self.dropout,
            input_dropout=options.input_dropout,
        )

    def published_sentence(self, combine: Combination) -> str:
        """Name what is odd about paper 1's model, and how its means over time are combined."""
        after = {"statistics": "and statistics across them", "concatenation": "side by side in one linear layer"}
        return (
            "The model of Rajan et al. 2022 in its published form: fixed lengths without padding masks, convolutions "
            f"that take time for the channel axis, a GRU and attention, means over time {after[combine]}."
        )

    def details(self) -> list[str]:
        """Name the block where it is not that of the paper."""
        return ["pre-norm blocks"] if self.config.block == "pre_norm" else []

    def sentence(self) -> str:
        """Say who attends to whom, and in which block."""
        block = {
            "bare": "added to what it attends from, without layer norm"
            if self.task.frames
            else "without residual connection or layer norm",
            "pre_norm": "in pre-norm transformer blocks",
        }[self.config.block]
        return f"Each modality attends to {self.attends} by {self.config.heads}-head attention {block}."


class SelfAttention(PairwiseAttention):
    """Each modality attends to itself: three attentions of three modalities."""

    title = "self-attention"
    attends = "itself"
    pairs = (self_pairs,)


class CrossAttention(PairwiseAttention):
    """Each modality attends to each other one: six attentions of three modalities."""

    title = "cross-attention"
    attends = "each of the others"
    min_modalities = 2
    pairs = (cross_pairs,)


class CrossSelfAttention(PairwiseAttention):
    """Self and cross attention side by side, each pooled for itself."""

    title = "cross- and self-attention"
    attends = "itself and to each of the others"
    min_modalities = 2
    pairs = (self_pairs, cross_pairs)
