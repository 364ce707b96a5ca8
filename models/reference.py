"""Published weights in our faithful modules: build one from published parameter names and compare number by number."""

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from models.encoders import TemporalConvolutionNetwork
from models.fusion.pairwise import cross_pairs, self_pairs
from models.fusion.published import AttentionModel, co_attention
from pipeline.records import InputError

MODALITY = {"t": "text", "v": "video", "a": "audio"}
ORDER = {"1": "video", "2": "audio", "3": "text"}  # paper 2 numbers its modalities
HEADS = 6  # heads of paper 1; the one width that no parameter's shape tells


def _attention(params: dict[str, Tensor], pairs: Callable) -> nn.Module:
    """Paper 1; ``mha_v_t`` there is the attention of target t on source v."""
    dims = {m: params[f"{m}_encoder.weight_ih_l0"].shape[1] for m in ("text", "video", "audio")}
    outputs, embedding = params["classifier.weight"].shape
    model = AttentionModel(
        dims,
        {"text": None, **{m: params[f"{m}_conv.weight"].shape[1] for m in ("video", "audio")}},
        [pairs(list(dims))],
        outputs,
        width=2 * params["text_encoder.weight_hh_l0"].shape[1],
        heads=HEADS,
        embedding=embedding,
    )

    def renamed(name: str) -> str:
        if pair := re.match(r"mha_([tva])(?:_([tva]))?\.(.*)", name):
            return f"attention.{MODALITY[pair[2] or pair[1]]}_{MODALITY[pair[1]]}.{pair[3]}"
        return re.sub(r"^(\w+)_(encoder|conv)\.", r"\2.\1.", name).replace("concat_linear.", "embedding.")

    model.load_state_dict({renamed(name): value for name, value in params.items()})
    return model


def _tcn(params: dict[str, Tensor]) -> nn.Module:
    """The temporal encoder of paper 2, whose published module lists both convolutions twice."""
    levels = sum(name.endswith("conv1.weight_v") for name in params)
    widths = [len(params[f"network.{level}.conv1.bias"]) for level in range(levels)]
    _, inputs, kernel = params["network.0.conv1.weight_v"].shape
    model = TemporalConvolutionNetwork(inputs, widths, kernel)

    def renamed(name: str) -> str:
        name = name.replace("weight_g", "parametrizations.weight.original0")
        return name.replace("weight_v", "parametrizations.weight.original1")

    model.load_state_dict({renamed(name): value for name, value in params.items() if ".net." not in name})
    return model


def _rjcma(params: dict[str, Tensor]) -> nn.Module:
    """The stacked co-attention of paper 2, which numbers its modalities."""
    layers = len({name.split(".")[1] for name in params})
    first = "dcn_layers.0.dense_coattn"
    widths = {m: len(params[f"{first}.value{n}_linear.bias"]) for n, m in ORDER.items()}
    model = co_attention(widths, len(params[f"{first}.key1_linear.bias"]), layers)

    def renamed(name: str) -> str:
        name = name.removeprefix("dcn_layers.").replace("dense_coattn.query_linear", "joint")
        name = re.sub(r"dense_coattn\.(key|value)([123])_linear", lambda found: f"{found[1]}.{ORDER[found[2]]}", name)
        return re.sub(r"linears\.([012])\.0", lambda found: f"update.{ORDER[str(int(found[1]) + 1)]}", name)

    model.load_state_dict({renamed(name): value for name, value in params.items()})
    return model


KINDS: dict[str, Callable[[dict[str, Tensor]], nn.Module]] = {
    "self_attention": partial(_attention, pairs=self_pairs),
    "cross_attention": partial(_attention, pairs=cross_pairs),
    "tcn": _tcn,
    "rjcma_coattention": _rjcma,
}


class Reference(nn.Module):
    """A published module under its published input and output names, in float64 and evaluation mode.

    Takes arrays or tensors as keyword arguments, returns a dict of float64 tensors:
    self_attention and cross_attention: text, video, audio (B, T, D) -> logits (B, 7), embedding (B, 60);
    tcn: x (B, D, T) -> y (B, D', T); rjcma_coattention: video, audio, text (B, 300, D) -> the same names and shapes.
    """

    def __init__(self, kind: str, module: nn.Module):
        super().__init__()
        self.kind, self.module = kind, module

    def forward(self, **inputs: np.ndarray | Tensor) -> dict[str, Tensor]:
        """Compute the published outputs from the published inputs."""
        values = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in inputs.items()}
        if self.kind == "tcn":
            return {"y": self.module(values["x"])}
        if self.kind == "rjcma_coattention":
            return self.module(values)
        embedding = self.module.embed(values)
        return {"logits": self.module.classifier(embedding), "embedding": embedding}


def from_published(kind: str, params: dict[str, np.ndarray | Tensor]) -> Reference:
    """Build the faithful module of ``kind`` with published weights.

    ``params`` maps published parameter names (with or without ``param/`` before them) to arrays; anything under another
    prefix (``input/``, ``output/``) is left out, so a whole reference file may be given. The parameters need no
    gradient; call ``requires_grad_()`` to train on. Raises InputError for an unknown kind or for names or shapes that
    do not fit it.
    """
    if kind not in KINDS:
        raise InputError(f"no published module is called {kind!r}; there are {', '.join(KINDS)}")
    tensors = {
        name.removeprefix("param/"): torch.as_tensor(value)
        for name, value in params.items()
        if not name.startswith(("input/", "output/"))
    }
    try:
        module = KINDS[kind](tensors)  # strict: names and places are the same
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"these parameters are not those of the published {kind}: {error}") from error
    return Reference(kind, module).double().eval().requires_grad_(False)
