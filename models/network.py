"""From feature sequences to predictions: encoders -> fusion -> (mean over time) -> combination -> head.

Where features are several layers of a network side by side, a learned mix of them comes first.

One structure serves every task, classes or numbers, of a segment or of each frame. Nothing here depends on how far a
batch is padded, on what absent rows hold, or on the other items of the batch. Nothing here asks a GPU for a number, so
that a step can be a CUDA graph (``models.graphs``).
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import Stream, concatenation, mean_over_time, observed, statistics
from models.dialog import Before, DialogRecurrence
from models.dropout import Dropout
from models.encoders import Encoder, LayerMix
from models.fusion.base import Fusion
from models.options import MODALITIES, NetworkOptions, check_network
from models.task import Task
from pipeline.records import InputError

COMBINE = {"statistics": statistics, "concatenation": concatenation}


def _require_one_grid(masks: dict[str, Tensor], modalities: Iterable[str]) -> None:
    steps = {m: masks[m].shape[1] for m in modalities}
    if len(set(steps.values())) > 1:
        raise InputError(
            f"this model needs all modalities on one time grid, but their sequences have {steps} steps; "
            "set training.grid_hop_s"
        )


def between_steps(output: Tensor, seen: Tensor, frames: int) -> Tensor:
    """Spread what is said of each step over its frames: (B, T, outputs) and (B, T) -> (B, T * frames, outputs).

    Frames lie on the straight line from their step's middle to the next one's, if anything was observed in that;
    otherwise they share the answer of their step.
    """
    toward = torch.arange(0.5, frames, device=output.device) / frames - 0.5  # in steps
    spread = output.unsqueeze(2).expand(-1, -1, frames, -1)
    for shift, share in ((1, (-toward).clamp(min=0)), (-1, toward.clamp(min=0))):
        step = (output.roll(shift, 1) - output) * seen.roll(shift, 1).unsqueeze(-1)
        inside = torch.arange(seen.shape[1], device=output.device) != (0 if shift == 1 else seen.shape[1] - 1)
        spread = spread + (step * inside[:, None]).unsqueeze(2) * share[:, None].to(output.dtype)
    return spread.flatten(1, 2)


class Fused(nn.Module):
    """A fusion with its layers: streams by modality -> groups of streams."""

    def __init__(self, fusion: Fusion, modalities: list[str]):
        super().__init__()
        layers = fusion.layers(modalities)
        self.fusion = fusion
        self.layers = nn.ModuleDict(layers) if isinstance(layers, Mapping | nn.ModuleDict) else nn.ModuleList(layers)

    def forward(self, streams: dict[str, Stream]) -> list[list[Stream]]:
        """Fuse."""
        return self.fusion.fuse(self.layers, streams)


class Network(nn.Module):
    """One fusion model for one task; ``forward(values, masks)`` with dicts of (B, T, D) and (B, T), True = observed.

    With dialog context ``before`` says which further rows are the turns before each item; without it no turn is known.

    Returns (B, outputs), for tasks of frames (B, T, outputs): logits of classes, or numbers, in [-1, 1] if ``bounded``.
    For tasks of frames, and on all with ``one_grid``, all modalities share one time grid; otherwise each has its own
    length. An item or frame without any observation gets an answer too: the one that zeros give. Raises InputError
    where lengths differ that must not.
    """

    def __init__(
        self,
        options: NetworkOptions,
        dims: dict[str, int],
        task: Task,
        outputs: int,
        strides: dict[str, int],
        bounded: bool,
        layers: Mapping[str, int] | None = None,
    ):
        super().__init__()
        self.task, self.modalities, self.bounded = task, list(dims), bounded
        layers = layers or {}
        self.one_grid = task.frames or options.one_grid
        self.mixes = nn.ModuleDict({m: LayerMix(layers[m]) for m in dims if m in layers})
        self.frames_per_step = options.frames_per_step if task.frames else 1
        self.encoders = nn.ModuleDict(
            {
                m: Encoder(
                    options.encoder,
                    dim // layers.get(m, 1),
                    options.width,
                    strides[m],
                    options.dropout,
                    options.input_dropout if m == "text" else 0.0,
                )
                for m, dim in dims.items()
            }
        )
        self.fusion = Fused(options.make_fusion(task), self.modalities)
        self.combine = COMBINE[options.combine]
        fused = self._fused_width(options.width)
        self.dialog = DialogRecurrence(fused, options.width) if options.context else None
        self.head = nn.Sequential(
            nn.Linear(fused + (self.dialog.added if self.dialog else 0), options.embedding),
            nn.LayerNorm(options.embedding),
            nn.LeakyReLU(),
            Dropout(options.dropout),
            nn.Linear(options.embedding, outputs),
        )

    @torch.no_grad()
    def _fused_width(self, width: int) -> int:
        """Width of what the head sees, found by fusing one step of zeros."""
        step = Stream(torch.zeros(1, 1, width), torch.ones(1, 1, dtype=torch.bool))
        self.fusion.eval()  # dropout would draw a random number
        fused = self._fuse(dict.fromkeys(self.modalities, step))
        self.fusion.train()
        return fused.shape[-1]

    def _fuse(self, encoded: dict[str, Stream]) -> Tensor:
        """Fuse, average over time where the task is one answer for an item, and combine: (B[, T], F)."""
        groups = self.fusion(encoded)
        if not self.task.frames:
            groups = [[mean_over_time(stream) for stream in group] for group in groups]
        return torch.cat([self.combine(group) for group in groups], -1)

    def _streams(self, values: dict[str, Tensor], masks: dict[str, Tensor]) -> dict[str, Stream]:
        kind = self.head[0].weight.dtype
        streams = {}
        for m in self.modalities:
            x, mask = values[m].to(kind), masks[m]
            if not mask.shape[1]:  # the batch lacks this modality: pad to one masked step
                x, mask = F.pad(x, (0, 0, 0, 1)), F.pad(mask, (0, 1))
            streams[m] = self.mixes[m](observed(x, mask)) if m in self.mixes else observed(x, mask)
        if self.one_grid:
            _require_one_grid(masks, self.modalities)
        return streams

    def forward(self, values: dict[str, Tensor], masks: dict[str, Tensor], before: Before | None = None) -> Tensor:
        """Predict: (B, outputs), for tasks of frames (B, T, outputs)."""
        streams = self._streams(values, masks)
        encoded = {m: self.encoders[m](stream) for m, stream in streams.items()}
        fused = self._fuse(encoded)
        x = self.head(self.dialog(fused, before) if self.dialog else fused)
        if self.frames_per_step > 1:
            seen = torch.stack([stream.mask for stream in encoded.values()]).any(0)
            x = between_steps(x, seen, self.frames_per_step)[:, : masks[self.modalities[0]].shape[1]]
        return torch.tanh(x) if self.bounded else x


class Late(nn.Module):
    """Late fusion: a model for each modality, and the mean over those that observed anything.

    Of classes the mean of log-probabilities, which serve as logits, of numbers their mean; of each segment or frame.
    All are trained together on the loss of their mean.
    """

    def __init__(self, models: dict[str, Network], task: Task):
        super().__init__()
        self.models, self.task = nn.ModuleDict(models), task

    def forward(self, values: dict[str, Tensor], masks: dict[str, Tensor]) -> Tensor:
        """Predict with every modality and average."""
        if self.task.frames:
            _require_one_grid(masks, self.models)
        output = {m: model(values, masks) for m, model in self.models.items()}
        if not self.task.numbers:
            output = {m: x.log_softmax(-1) for m, x in output.items()}
        present = {m: masks[m] if self.task.frames else masks[m].any(1) for m in output}
        present = torch.stack([present[m] for m in output]).unsqueeze(-1)  # (M, B[, T], 1)
        present = present | ~present.any(0)  # where nobody observed anything, all speak
        return (torch.stack(list(output.values())) * present).sum(0) / present.sum(0)


class Separate(nn.Module):
    """One model for each number, side by side: (B[, T], 1) each -> (B[, T], targets).

    No parameter is shared, and in training each counts in full, so it learns as if alone; only the epoch to stop at is
    common.
    """

    def __init__(self, models: list[nn.Module]):
        super().__init__()
        self.models = nn.ModuleList(models)

    def forward(self, values: dict[str, Tensor], masks: dict[str, Tensor], *before: Before) -> Tensor:
        """Predict every number: (B[, T], targets)."""
        return torch.cat([model(values, masks, *before) for model in self.models], -1)


def count_separate(network: nn.Module) -> int:
    """How many single-number networks the model holds, else 1; training multiplies their mean loss by this."""
    return next((len(part.models) for part in network.modules() if isinstance(part, Separate)), 1)


class Scaled(nn.Module):
    """A model of standardised numbers, whose answers are in their own unit."""

    def __init__(self, model: nn.Module, centre: Sequence[float], spread: Sequence[float]):
        super().__init__()
        self.model = model
        self.register_buffer("centre", torch.tensor(centre), persistent=False)  # run.json has them
        self.register_buffer("spread", torch.tensor(spread), persistent=False)

    def forward(self, values: dict[str, Tensor], masks: dict[str, Tensor], *before: Before) -> Tensor:
        """Predict in the unit of the numbers, at least in float32."""
        output = self.model(values, masks, *before)
        return output.to(torch.promote_types(output.dtype, torch.float32)) * self.spread + self.centre


def build(
    options: NetworkOptions,
    dims: dict[str, int],
    task: Task,
    outputs: int,
    max_steps: dict[str, int],
    scale: Mapping[str, Sequence[float]] | None = None,
    layers: Mapping[str, int] | None = None,
) -> nn.Module:
    """Build a network: ``forward(values, masks)`` as in Network, whatever the options.

    ``dims``: feature width per modality (audio, video, text); ``outputs``: how many classes or numbers; ``max_steps``:
    the longest sequence per modality of the training part, in steps as the network is given them, from which the stride
    of its encoders follows where segments are predicted (of a faithful model its fixed lengths in rows); ``scale``:
    ``centre`` and ``spread`` of each number, where they do not all lie in [-1, 1]; ``layers``: how many layers of one
    network stand side by side in a modality's features, for which a mix is learned (published models see them all). A
    faithful model is float64 and ignores masks, except to put zeros there. Raises InputError for combinations that
    cannot be, naming those that can.
    """
    check_network(options, list(dims), task)
    if outputs < 1 or min(dims.values()) < 1:
        raise InputError(f"a network needs at least one output and one feature per modality, not {outputs} and {dims}")
    dims = {m: dims[m] for m in MODALITIES.values() if m in dims}  # one order, whatever the caller's
    fusion = options.make_fusion(task)
    if options.faithful:
        network = _published(options, fusion, dims, outputs, max_steps)
        return Scaled(network, **scale) if scale else network

    # How many of its steps each encoded step stands for, on one grid the same of all modalities.
    strides = {m: -(-max_steps.get(m, 1) // options.encoder_steps) for m in dims}
    if task.frames or options.one_grid:
        strides = dict.fromkeys(dims, options.frames_per_step if task.frames else max(strides.values()))

    bounded = task.numbers and not scale

    def one(count: int) -> nn.Module:
        if not fusion.apart:
            return Network(options, dims, task, count, strides, bounded, layers)
        apart = {m: Network(options, {m: dim}, task, count, strides, bounded, layers) for m, dim in dims.items()}
        return Late(apart, task)

    network = Separate([one(1) for _ in range(outputs)]) if options.separate_targets else one(outputs)
    return Scaled(network, **scale) if scale else network


def _published(
    options: NetworkOptions, fusion: Fusion, dims: dict[str, int], outputs: int, steps: dict[str, int]
) -> nn.Module:
    """Build the published form, with a model for each target where it has one."""
    if lacking := [m for m in dims if not steps.get(m)]:
        raise InputError(
            f"network {options.fusion!r}, faithful: fixed lengths are part of the published model and none is given "
            f"for {', '.join(lacking)}; give them as max_steps (published: {fusion.published.steps or 'one window'})"
        )
    if not fusion.published.one_target:
        return fusion.published_network(options, dims, outputs, steps).double()
    return Separate([fusion.published_network(options, dims, 1, steps) for _ in range(outputs)]).double()
