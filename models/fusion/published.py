"""The published models of both papers, with what is odd about them; ``models.reference`` checks parts to the number.

Nothing here knows masks: every sequence is padded with zeros or cut to a fixed length, and padding counts as data.
Written from the papers' equations and from published shapes; dropout rates and layer orders as published.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import Stream, mean_attended, observed
from models.dropout import Dropout
from models.encoders import LEVELS, CausalBlock, TemporalConvolutionNetwork, by_steps
from pipeline.records import InputError

CO_ATTENTION_DROPOUT = 0.6  # dropout of paper 2's fusion layers, in both places: the correlation and the update
Pairs = list[tuple[str, str]]


def blanked(values: Tensor, mask: Tensor | None, kind: torch.dtype) -> Tensor:
    """Bring to the kind of number of a network; zeros where there is a mask that is False."""
    values = values.to(kind)
    return values if mask is None else observed(values, mask).values


class AttentionModel(nn.Module):
    """Paper 1 (Rajan, Brutti, Cavallaro 2022): biGRUs, multi-head attentions, mean over time, statistics across them.

    Its oddities: the convolutions of audio and video (kernel 1) take TIME for the channel axis, a learned remix of 1000
    -> 500 and 32 -> 25 steps; means are over all steps, padding included; nothing stands between the two linear layers
    of the head.

    ``groups`` holds the (target, source) pairs of each set of attentions that is pooled together: one for the self
    model, one for the cross model, both for cross+self. ``steps`` are the fixed lengths (published: text 128, video 32,
    audio 1000; None for text: any). Without statistics, and for cross+self, the pooled vectors go straight into the
    classifier. With one modality the unbiased deviation across one vector is undefined and the paper does not say what
    was done: here it is 0.
    """

    def __init__(
        self,
        dims: dict[str, int],
        steps: dict[str, int | None],
        groups: list[Pairs],
        outputs: int,
        *,
        width: int = 120,
        heads: int = 6,
        embedding: int = 60,
        statistics: bool = True,
        dropout: float = 0.1,
        input_dropout: float = 0.25,
    ):
        super().__init__()
        self.steps, self.groups, self.statistics = steps, groups, statistics
        shares = {"audio": 1 / 2, "video": 25 / 32}
        kept = {m: max(1, int(steps[m] * shares[m])) for m in dims if m in shares}
        self.input_dropout = Dropout(input_dropout)
        self.conv = nn.ModuleDict({m: nn.Conv1d(steps[m], after, 1) for m, after in kept.items()})
        self.encoder = nn.ModuleDict(
            {m: nn.GRU(dim, width // 2, batch_first=True, bidirectional=True) for m, dim in dims.items()}
        )
        self.attention = nn.ModuleDict(
            {
                f"{target}_{source}": nn.MultiheadAttention(width, heads, dropout, batch_first=True)
                for pairs in groups
                for target, source in pairs
            }
        )
        pooled = sum(width * (2 if statistics else len(pairs)) for pairs in groups)
        self.embedding = nn.Linear(pooled, embedding) if statistics and len(groups) == 1 else nn.Identity()
        self.classifier = nn.Linear(getattr(self.embedding, "out_features", pooled), outputs)

    def embed(self, values: dict[str, Tensor], masks: dict[str, Tensor] | None = None) -> Tensor:
        """Compute what the classifier sees: (B, embedding)."""
        encoded, kind = {}, self.classifier.weight.dtype
        for m in self.encoder:
            x = blanked(values[m], masks and masks[m], kind)[:, : self.steps[m]]
            encoded[m] = (self._by_library if x.is_cuda else self._by_steps)(m, x)  # (B, T', width)
        pooled = []
        for pairs in self.groups:
            vectors = [self._mean(self.attention[f"{t}_{s}"], encoded[t], encoded[s]) for t, s in pairs]
            stack = torch.stack(vectors)
            if self.statistics:
                deviation = stack.std(0) if len(stack) > 1 else torch.zeros_like(stack[0])
                pooled += [deviation, stack.mean(0)]
            else:
                pooled += vectors
        return self.embedding(torch.cat(pooled, -1))

    def _by_library(self, m: str, x: Tensor) -> Tensor:
        """Encode a modality: (B, t, D) -> (B, T', width); rows from t to the fixed length are zeros."""
        x = F.pad(x, (0, 0, 0, (self.steps[m] or x.shape[1]) - x.shape[1]))
        return self.encoder[m](self.conv[m](x) if m in self.conv else self.input_dropout(x))[0]

    def _by_steps(self, m: str, x: Tensor) -> Tensor:
        """Encode to the same numbers without work on rows of zeros, several times faster on CPU.

        A mix of steps and what a GRU takes of each are both linear: the one that leaves fewer numbers comes first.
        """
        length = x.shape[1]

        def gates(weight: Tensor, bias: Tensor) -> Tensor:
            if m not in self.conv:
                taken = F.linear(self.input_dropout(x).transpose(0, 1), weight)
                return F.pad(taken, (0, 0, 0, 0, 0, (self.steps[m] or length) - length)) + bias
            mix = self.conv[m].weight[:, :length, 0]
            rows = x.transpose(0, 1)  # (t, B, D)
            if len(weight) < x.shape[-1]:
                taken = (mix @ F.linear(rows, weight).flatten(1)).unflatten(1, (len(x), -1))
            else:
                taken = F.linear((mix @ rows.flatten(1)).unflatten(1, (len(x), -1)), weight)
            return taken + self.conv[m].bias[:, None, None] * weight.sum(1) + bias

        return by_steps(self.encoder[m], gates)

    def _mean(self, attention: nn.MultiheadAttention, target: Tensor, source: Tensor) -> Tensor:
        """Attend and average over all steps: (B, T, width) on (B, S, width) -> (B, width)."""
        if target.is_cuda:
            return attention(target, source, source, need_weights=False)[0].mean(1)
        return mean_attended(
            attention, *(Stream(x, x.new_ones(x.shape[:2], dtype=torch.bool)) for x in (target, source))
        )

    def forward(self, values: dict[str, Tensor], masks: dict[str, Tensor] | None = None) -> Tensor:
        """Classify: (B, outputs) logits; without masks the inputs are taken to be padded already."""
        return self.classifier(self.embed(values, masks))


class JointCoAttention(nn.Module):
    """One "recursion" of paper 2's code, {modality: (B, K, d_m)} -> the same; K is fixed by the key layers.

    Keys mix the frames of each feature, C_m = tanh(Linear_K(X_m^T) J / sqrt(d)) is d_m x d, J is the plain
    concatenation. The paper's FC over J is there (``joint``) and unused, as in the published code: it gets no gradient.
    """

    def __init__(self, widths: dict[str, int], frames: int):
        super().__init__()
        self.width = sum(widths.values())
        self.joint = nn.Linear(self.width, self.width)
        self.key = nn.ModuleDict({m: nn.Linear(frames, frames) for m in widths})
        self.value = nn.ModuleDict({m: nn.Linear(width, width) for m, width in widths.items()})
        self.update = nn.ModuleDict({m: nn.Linear(self.width, width) for m, width in widths.items()})
        self.dropout = Dropout(CO_ATTENTION_DROPOUT)

    def forward(self, streams: dict[str, Tensor]) -> dict[str, Tensor]:
        """Attend once."""
        joint = torch.cat([streams[m] for m in self.key], -1)  # (B, K, d)
        attended = {}
        for m in self.key:
            keys = self.key[m](streams[m].transpose(1, 2))  # (B, d_m, K)
            scores = self.dropout(torch.tanh(keys @ joint / math.sqrt(self.width)))  # (B, d_m, d)
            correlated = torch.relu(torch.tanh(self.value[m](streams[m]) @ scores))  # (B, K, d)
            attended[m] = streams[m] + self.dropout(torch.relu(self.update[m](correlated)))
        return attended


def co_attention(widths: dict[str, int], frames: int, layers: int) -> nn.Sequential:
    """Stack the layers of paper 2, each with its own weights."""
    return nn.Sequential(*(JointCoAttention(widths, frames) for _ in range(layers)))


class RecursiveModel(nn.Module):
    """Paper 2 (Praveen, Alam 2024): a TCN and batch norm for each modality, joint co-attention, a head for ONE target.

    Published: 300 frames, widths 256 for video and 128 for audio and text, ``embedding`` 256, two layers where the
    paper says three. ``dropout`` is that of the TCN. Where a TCN's widths differ, its 1x1 convolution begins as
    published; the weight-normalised ones begin as torch has them, since published code sets a copy of theirs.
    """

    def __init__(
        self, dims: dict[str, int], frames: int, width: int, embedding: int, layers: int, dropout: float = 0.1
    ):
        super().__init__()
        present: list[str] = [m for m in ("video", "audio", "text") if m in dims]
        widths: dict[str, int] = {m: width * (2 if m == "video" else 1) for m in present}
        self.frames = frames
        self.encoder = nn.ModuleDict(
            {
                m: nn.Sequential(TemporalConvolutionNetwork(dims[m], [w] * LEVELS, dropout=dropout), nn.BatchNorm1d(w))
                for m, w in widths.items()
            }
        )
        for module in self.encoder.modules():
            if isinstance(module, CausalBlock) and isinstance(module.downsample, nn.Conv1d):
                nn.init.xavier_uniform_(module.downsample.weight, gain=math.sqrt(2))
        self.attention = co_attention(widths, frames, layers)
        self.embedding = nn.Linear(sum(widths.values()), embedding)
        self.norm = nn.BatchNorm1d(embedding)
        self.output = nn.Linear(embedding, 1)

    def forward(self, values: dict[str, Tensor], masks: dict[str, Tensor]) -> Tensor:
        """Predict one target: (B, T, 1), T at most the fixed length."""
        steps, streams = masks[next(iter(self.encoder))].shape[1], {}
        if steps > self.frames:
            raise InputError(
                f"the published rjcma takes windows of up to {self.frames} frames, not {steps}; "
                "set training.window accordingly or network.faithful to false"
            )
        for m, encoder in self.encoder.items():
            x = blanked(values[m], masks[m], self.output.weight.dtype)
            x = F.pad(x, (0, 0, 0, self.frames - x.shape[1]))
            streams[m] = encoder(x.transpose(1, 2)).transpose(1, 2)
        x = self.embedding(torch.cat(list(self.attention(streams).values()), -1))  # (B, K, embedding)
        x = F.leaky_relu(self.norm(x.transpose(1, 2)).transpose(1, 2))
        return torch.tanh(self.output(x))[:, :steps]
