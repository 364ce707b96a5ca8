"""Which hidden layers of a network become features, and how several are combined."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.features.base import Options, options
from pipeline.records import InputError

Layers = Annotated[
    Literal["last", "all"] | list[int],
    Field(description="'last', 'all', or a list of layers: 0 the embedding, 1 the first layer, -1 the last"),
]
Combine = Annotated[
    Literal["mean", "sum", "concat", "keep"],
    Field(
        description="how several layers become one row; concat and keep multiply the width, keep for networks to learn "
        "how to weigh them"
    ),
]


@options
class LayerOptions(Options):
    """Layer 0 is the embedding below the first layer, -1 ("last") the last layer."""

    layers: Layers = "last"
    combine: Combine = "mean"
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="arithmetic of matrix products and convolutions; bfloat16 is faster where the device has it, and "
        "differs in the last digits",
    )

    def __post_init__(self):
        if self.layers == []:
            raise ValueError("layers is empty; name at least one, or 'last' or 'all'")

    @property
    def apart(self) -> bool:
        """Whether a row keeps layers side by side for networks to weigh; the last alone is an ordinary row."""
        return self.combine == "keep" and not only_last(self.layers)


def layer_indices(layers, count: int, what: str) -> list[int]:
    """Non-negative indices into ``count`` hidden states; raises InputError saying which there are."""
    if layers == "last":
        return [count - 1]
    if layers == "all":
        return list(range(count))
    wrong = [n for n in layers if not -count <= n < count]
    if wrong:
        raise InputError(
            f"layers {layers}: {what} has the layers 0 (embedding) to {count - 1}, also counted from the end as -1 to "
            f"{-count}; {wrong} is out of range"
        )
    return [n % count for n in layers]


def drop_unused_layers(model, layers) -> None:
    """Remove all but one of the layers above those chosen, where these are counted from below.

    One stays because many networks normalise the output of their highest layer. Networks whose layers differ in width
    stay as they are: the normalisation of their last layer fits no other.
    """
    import torch

    count = getattr(model.config, "num_hidden_layers", None)
    stacks = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count]
    if isinstance(layers, list) and min(layers) >= 0 and max(layers) < (count or 0) and len(stacks) == 1:
        shapes = {(name, weight.shape) for layer in stacks[0] for name, weight in layer.named_parameters()}
        if len(shapes) == len({name for name, _ in shapes}):
            del stacks[0][max(layers) + 1 :]


def for_small_network(options: dict) -> dict:
    """The options with all layers instead of those counted from below, which a small network may lack."""
    layers = options.get("layers")
    counted = isinstance(layers, list) and any(isinstance(n, int) and n >= 0 for n in layers)
    return {**options, "layers": "all"} if counted else options


def only_last(layers) -> bool:
    """Whether the layers below the last need not be kept."""
    return layers in ("last", [-1])


def chosen_states(output, layers, what: str) -> tuple[list, list[int]]:
    """The hidden states of a model's output that ``layers`` names, and their numbers; none for the last alone."""
    if only_last(layers):
        return [output.last_hidden_state], []
    hidden = [*output.hidden_states[:-1], output.last_hidden_state]
    numbers = layer_indices(layers, len(hidden), what)
    return [hidden[i] for i in numbers], numbers


def combine(states: list, how: str, what: str):
    """One tensor (..., D) out of several; raises InputError where layers of different widths cannot be added."""
    import torch

    states = [state.float() for state in states]
    if len(states) == 1:
        return states[0]
    widths = [state.shape[-1] for state in states]
    if how != "concat" and len(set(widths)) > 1:
        raise InputError(f"combine: {how} needs layers of one width, those of {what} have {widths}; use concat")
    if how in ("concat", "keep"):
        return torch.cat(states, dim=-1)
    total = sum(states[1:], states[0])
    return total / len(states) if how == "mean" else total
