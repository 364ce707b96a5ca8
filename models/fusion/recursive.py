"""Recursive cross-modal attention of modalities and their joint, for any window length and with absent frames.

Praveen, Alam 2024 (paper 2). X_m is d_m x K for K frames, J stacks the modalities, d is its width:

    J = FC([X_a; X_v; X_t])                     C_m = tanh(X_m^T W_jm J / sqrt(d))
    H_m = ReLU(X_m W_cm C_m)                    X_m <- X_m + H_m W_hm

``correlate: frames`` is this: C_m is K x K, frames of m against frames of the joint. The paper leaves open on which
side W_cm and W_hm act; to mix frames they would have to be K x K and fix the window, so here they mix features. With
frames as rows (X_m is T x d_m, J is T x d), zeros where m or its joint was not observed, and n = the observed frames of
m:

    C_m = tanh(X_m W_jm J^T / sqrt(d))          (T x T)
    H_m = ReLU(C_m^T X_m W_cm / n)              (T x d_m)
    X_m <- X_m + H_m W_hm                       (T x d_m)

Frame j of the outcome sums over the frames i of m, weighed by how they correlate with the joint at j. No W has a bias,
as in the equations, so that an absent frame adds nothing. In a window of fixed length 1 / n changes nothing: it is W_cm
in another unit. It makes the outcome independent of the length; without it, values over 300 frames grow a hundredfold
with each recursion, and training stalls. Memory grows with T^2.

The paper's *code* correlates features rather than frames: its keys are a Linear(300, 300) over the frames of X_m, C_m
is d_m x d, every frame passes through C_m, and W_hm brings d features back to d_m. That fixes the window at 300 frames
and mixes absent ones in (``faithful: true`` of rjcma). ``correlate: features`` does so for any window; with o = the
frames at which both m and its joint were observed:

    C_m = tanh((X_m W_jm)_o^T J_o / |o|)        (d_m x d)
    H_m = ReLU(X_m W_cm C_m)                    (T x d)
    X_m <- X_m + H_m W_hm                       (T x d_m)

W_jm mixes features, and the sum over frames is divided by the number of its terms, so that the same video, twice as
long, gives the same C_m: an attention over feature pairs (like the cross-covariance attention of El-Nouby et al. 2021),
its cost linear in T. Here the layers have biases, as in the code.

Dropout acts on C_m and on the update, as in the published code, at one configured rate. The joint of a frame is
observed where any of its parts is; absent parts are zeros in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.fusion.base import OWN_DRAWS, Combination, Fusion, Published
from pipeline.records import InputError
from pipeline.registry import options

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.attention import Stream

PUBLISHED_LAYERS = 2  # layers of the paper's code


@options
class RecursionOptions:
    """How modalities and their joint attend to each other, again and again."""

    recursions: int = Field(3, ge=1, description="how often the attended features attend again (published code: 2)")
    share_recursions: bool = Field(False, description="one set of weights for all recursions")
    correlate: Literal["frames", "features"] = Field(
        "frames",
        description="what is correlated with the joint: frames, as in the paper's equations, or features, as in its "
        "code; either for any window (faithful: true ignores it)",
    )


class RecursiveAttention(Fusion):
    """Joint attention applied again and again, each time on what it made of the modalities before."""

    Config = RecursionOptions
    citation = "praveen2024"
    one_grid = True
    min_modalities = 2
    encoder = "tcn"
    others: ClassVar[bool]
    """Whether the joint of a modality leaves it out; one FC for each modality then, otherwise one for all."""

    def parts(self, modality: str, modalities: list[str]) -> list[str]:
        """List the modalities in the joint that one attends to."""
        return [n for n in modalities if not (self.others and n == modality)]

    def layers(self, modalities: list[str]) -> list[nn.Module]:
        """Make the weights of each recursion: FC, W_jm, W_cm, W_hm and the dropout."""
        return [self._weights(modalities) for _ in range(1 if self.config.share_recursions else self.config.recursions)]

    def _weights(self, modalities: list[str]) -> nn.Module:
        from torch import nn

        from models.dropout import Dropout

        parts = {m: self.parts(m, modalities) for m in modalities}
        d, width, features = self.width * len(parts[modalities[0]]), self.width, self.config.correlate == "features"
        key, correlated = (width, d) if features else (d, width)
        return nn.ModuleDict(
            {
                "fc": nn.ModuleDict({name: nn.Linear(d, d) for name in sorted({"+".join(p) for p in parts.values()})}),
                "w_j": nn.ModuleDict({m: nn.Linear(width, key, bias=features) for m in modalities}),
                "w_c": nn.ModuleDict({m: nn.Linear(width, width, bias=features) for m in modalities}),
                "w_h": nn.ModuleDict({m: nn.Linear(correlated, width, bias=features) for m in modalities}),
                "dropout": Dropout(self.dropout),
            }
        )

    def fuse(self, layers, streams: dict[str, Stream]) -> list[list[Stream]]:
        """Attend recursively: one group, a stream per modality."""
        for recursion in range(self.config.recursions):
            streams = self.attend(layers[recursion % len(layers)], streams)
        return [list(streams.values())]

    def attend(self, weights, streams: dict[str, Stream]) -> dict[str, Stream]:
        """Attend once: streams (B, T, D) of one T -> streams of the same shapes."""
        import torch

        from models.attention import observed

        correlate = by_features if self.config.correlate == "features" else by_frames
        joints, attended = {}, {}
        for name, connect in weights["fc"].items():
            parts = [streams[m] for m in name.split("+")]
            present = torch.stack([part.mask for part in parts]).any(0)
            joints[name] = observed(connect(torch.cat([part.values for part in parts], -1)), present)
        for m, stream in streams.items():
            joint = joints["+".join(self.parts(m, list(streams)))]
            correlated = correlate(stream, joint, weights["w_j"][m], weights["w_c"][m], weights["dropout"])
            attended[m] = observed(stream.values + weights["dropout"](weights["w_h"][m](correlated)), stream.mask)
        return attended

    def details(self) -> list[str]:
        """Name the number of recursions, and what is correlated where it is not what the paper writes."""
        return [self.count(), *(["features correlated"] if self.config.correlate == "features" else [])]

    def count(self) -> str:
        """The number of recursions with its word."""
        return f"{self.config.recursions} recursion{'s' if self.config.recursions > 1 else ''}"

    def sentence(self) -> str:
        """Say what is correlated with which joint, and how often."""
        what = {"frames": "frame", "features": "feature"}[self.config.correlate]
        whose = "the other modalities" if self.others else "all modalities"
        times = {1: "once", 2: "twice"}.get(self.config.recursions, f"{self.config.recursions} times")
        return f"Each modality attends, {what} by {what}, to the joint representation of {whose}, {times} over."


class Rcma(RecursiveAttention):
    """The joint leaves the modality itself out: the paper's first version."""

    title = "RCMA"
    others = True


class Rjcma(RecursiveAttention):
    """The joint holds all modalities: the paper from its fourth version on."""

    title = "RJCMA"
    others = False
    published = Published(
        task="numbers/frame",
        encoder="tcn",
        one_target=True,
        training={"loss": "ccc", "ccc_over": "window_unbiased", "plateau_threshold": 0.0, "modality_dropout": 0.0},
        departures=(
            "windows are cut over all frames, where published ones are cut after frames without a label are removed",
            "frames without a label count in no window, where published windows end in zeros",
            "the learning rate warms up from epoch to epoch, not anew with the batches of each",
            "optimiser and learning rate do not start anew with each of three parts of a backbone that are released: "
            "features are fixed here",
            "faces are not cut (40 of 48 pixels) and mirrored at random in each epoch: features are stored once",
            "video is twice as wide as audio and text, which fits the fusion layer (256 and 128): the published "
            "configuration has other widths, with which its code does not run",
            "both targets share one schedule and the epoch at which training stops",
            "batches hold items of similar length instead of random ones",
            OWN_DRAWS,
        ),
    )

    def problems(self, options) -> Iterator[str]:
        """Say what the published model has no choice in."""
        if options.faithful and (options.combine != "concatenation" or self.config.share_recursions):
            yield (
                "the published model concatenates and shares no weights; "
                "set combine: concatenation and share_recursions: false, or faithful: false"
            )

    def published_network(self, options, dims: dict[str, int], outputs: int, steps: dict[str, int]) -> nn.Module:
        """Build paper 2's model of one target."""
        from models.fusion.published import RecursiveModel

        if len({steps[m] for m in dims}) > 1:
            raise InputError(f"fusion 'rjcma', faithful: all modalities share one window, but max_steps gives {steps}")
        frames = steps[next(iter(dims))]
        return RecursiveModel(dims, frames, self.width, options.embedding, self.config.recursions, self.dropout)

    def published_details(self) -> list[str]:
        """Name the number of recursions where it is not that of the code."""
        return [] if self.config.recursions == PUBLISHED_LAYERS else [self.count()]

    def published_sentence(self, combine: Combination) -> str:
        """Name what is odd about paper 2's model, and how many layers it has where its code has others."""
        otherwise = f", with {self.count()} where its code has {PUBLISHED_LAYERS}" if self.published_details() else ""
        return (
            f"The model of Praveen and Alam 2024 in the published form{otherwise}: a window of fixed length without "
            "masks, features correlated through a linear map over its frames, stacked layers, a model for each target."
        )


def by_frames(stream: Stream, joint: Stream, w_j, w_c, dropout) -> Tensor:
    """What frames take of frames, H_m: a modality (B, T, D) and its joint (B, T, d) -> (B, T, D)."""
    scores = w_j(stream.values) @ joint.values.transpose(1, 2) / math.sqrt(joint.values.shape[-1])
    correlation = dropout(scores.tanh())  # (B, T, T), zero where either frame is absent
    frames = stream.mask.sum(1).clamp(min=1)[:, None, None]
    return (correlation.transpose(1, 2) @ (w_c(stream.values) / frames)).relu()


def by_features(stream: Stream, joint: Stream, w_j, w_c, dropout) -> Tensor:
    """What features take of features, H_m: a modality (B, T, D) and its joint (B, T, d) -> (B, T, d)."""
    from models.attention import observed

    both = stream.mask & joint.mask
    keys = observed(w_j(stream.values), both).values
    frames = both.sum(1).clamp(min=1)[:, None, None]
    correlation = (keys.transpose(1, 2) @ joint.values / frames).tanh()  # (B, D, d)
    return (w_c(stream.values) @ dropout(correlation)).relu()
