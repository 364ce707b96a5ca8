"""How modalities meet: every fusion takes one encoded stream per modality and returns groups of attended streams.

A group is what is pooled together afterwards; only the combination of self and cross attention has two. Self attention
and cross attention take streams of different lengths; recursive attention needs all on one time grid. ``groups`` says
how many streams each group holds, so that a head can be built for them.
"""

from itertools import permutations

from torch import nn

from models.attention import JointAttention, MaskedAttention, Stream
from models.options import NetworkOptions

Groups = list[list[Stream]]


class PairwiseAttention(nn.Module):
    """Paper 1: one attention for each (target, source) pair of modalities; the outcome has the target's length."""

    def __init__(self, pairs: list[tuple[str, str]], options: NetworkOptions, residual: bool):
        super().__init__()
        self.pairs = pairs
        self.groups = [len(pairs)]
        self.attention = nn.ModuleDict(
            {
                f"{target}_{source}": MaskedAttention(options.width, options.heads, options.dropout, residual)
                for target, source in pairs
            }
        )

    def forward(self, streams: dict[str, Stream]) -> Groups:
        """Attend in every pair: one group."""
        return [[self.attention[f"{t}_{s}"](streams[t], streams[s]) for t, s in self.pairs]]


class Together(nn.Module):
    """Several fusions side by side on the same streams: self and cross attention together in paper 1."""

    def __init__(self, *fusions: nn.Module):
        super().__init__()
        self.fusions = nn.ModuleList(fusions)
        self.groups = [size for fusion in fusions for size in fusion.groups]

    def forward(self, streams: dict[str, Stream]) -> Groups:
        """Collect the groups of all fusions."""
        return [group for fusion in self.fusions for group in fusion(streams)]


class RecursiveAttention(nn.Module):
    """Paper 2: joint attention applied ``recursions`` times, each time on what it made of the modalities before."""

    def __init__(self, modalities: list[str], options: NetworkOptions):
        super().__init__()
        self.recursions = options.recursions
        self.groups = [len(modalities)]
        self.layers = nn.ModuleList(
            JointAttention(modalities, options.width, options.fusion == "rcma", options.dropout)
            for _ in range(1 if options.share_recursions else options.recursions)
        )

    def forward(self, streams: dict[str, Stream]) -> Groups:
        """Attend recursively: one group, a stream per modality."""
        for recursion in range(self.recursions):
            streams = self.layers[recursion % len(self.layers)](streams)
        return [list(streams.values())]


class NoAttention(nn.Module):
    """Baseline: the encoded streams as they are, so that only their combination after pooling is fusion."""

    def __init__(self, modalities: list[str]):
        super().__init__()
        self.groups = [len(modalities)]

    def forward(self, streams: dict[str, Stream]) -> Groups:
        """Pass the streams on: one group."""
        return [list(streams.values())]


def self_pairs(modalities: list[str]) -> list[tuple[str, str]]:
    """List the attentions of the self model: each modality on itself."""
    return [(m, m) for m in modalities]


def cross_pairs(modalities: list[str]) -> list[tuple[str, str]]:
    """List the attentions of the cross model: every ordered (target, source) pair of two modalities."""
    return list(permutations(modalities, 2))


def build(options: NetworkOptions, modalities: list[str], residual: bool) -> nn.Module:
    """Make the fusion that ``options`` name; ``residual`` as in MaskedAttention."""
    if options.fusion in ("rcma", "rjcma"):
        return RecursiveAttention(modalities, options)
    if options.fusion in ("concatenation", "late"):
        return NoAttention(modalities)
    of_itself = PairwiseAttention(self_pairs(modalities), options, residual)
    if options.fusion == "self_attention":
        return of_itself
    across = PairwiseAttention(cross_pairs(modalities), options, residual)
    return across if options.fusion == "cross_attention" else Together(of_itself, across)
