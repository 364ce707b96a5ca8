"""Published weights in our faithful modules: build one from published parameter names and compare number by number."""

import re

import numpy as np
import torch
from torch import Tensor, nn

from models.encoders import TemporalConvolutionNetwork
from models.fusion.pairwise import cross_pairs, self_pairs
from models.fusion.published import AttentionModel, co_attention
from pipeline.records import InputError

MODALITY = {"t": "text", "v": "video", "a": "audio"}
ORDER = {"1": "video", "2": "audio", "3": "text"}  # paper 2 numbers its modalities
HEADS = 6  # of paper 1; the one width that no parameter's shape tells
PAIRS = {"self_attention": self_pairs, "cross_attention": cross_pairs}


def _attention_name(name: str) -> str:
    """Rename a parameter of paper 1; ``mha_v_t`` there is the attention of target t on source v."""
    pair = re.match(r"mha_([tva])(?:_([tva]))?\.(.*)", name)
    if pair:
        source, target = MODALITY[pair[1]], MODALITY[pair[2] or pair[1]]
        return f"attention.{target}_{source}.{pair[3]}"
    name = re.sub(r"^(\w+)_(encoder|conv)\.", r"\2.\1.", name)
    return name.replace("concat_linear.", "embedding.")


def _attention(kind: str, params: dict[str, Tensor]) -> nn.Module:
    audio, video = params["audio_conv.weight"], params["video_conv.weight"]
    dims = {m: params[f"{m}_encoder.weight_ih_l0"].shape[1] for m in ("text", "video", "audio")}
    outputs, embedding = params["classifier.weight"].shape
    model = AttentionModel(
        dims,
        {"text": None, "video": video.shape[1], "audio": audio.shape[1]},
        [PAIRS[kind](list(dims))],
        outputs,
        width=2 * params["text_encoder.weight_hh_l0"].shape[1],
        heads=HEADS,
        embedding=embedding,
    )
    return _loaded(model, {_attention_name(name): value for name, value in params.items()})


def _tcn(kind: str, params: dict[str, Tensor]) -> nn.Module:
    levels = sum(name.endswith("conv1.weight_v") for name in params)
    widths = [len(params[f"network.{level}.conv1.bias"]) for level in range(levels)]
    _, inputs, kernel = params["network.0.conv1.weight_v"].shape
    model = TemporalConvolutionNetwork(inputs, widths, kernel)
    renamed = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): value
        for name, value in params.items()
        if ".net." not in name  # the published module lists both convolutions twice
    }
    return _loaded(model, renamed)


def _rjcma_name(name: str) -> str:
    """Rename a parameter of paper 2's stacked co-attention layers."""
    name = name.removeprefix("dcn_layers.").replace("dense_coattn.query_linear", "joint")
    name = re.sub(r"dense_coattn\.(key|value)([123])_linear", lambda found: f"{found[1]}.{ORDER[found[2]]}", name)
    return re.sub(r"linears\.([012])\.0", lambda found: f"update.{ORDER[str(int(found[1]) + 1)]}", name)


def _rjcma(kind: str, params: dict[str, Tensor]) -> nn.Module:
    layers = len({name.split(".")[1] for name in params})
    first = "dcn_layers.0.dense_coattn"
    widths = {m: len(params[f"{first}.value{n}_linear.bias"]) for n, m in ORDER.items()}
    model = co_attention(widths, len(params[f"{first}.key1_linear.bias"]), layers)
    return _loaded(model, {_rjcma_name(name): value for name, value in params.items()})


def _loaded(model: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    model.load_state_dict(state)  # strict: every published parameter has its place, and every place is filled
    return model


KINDS = {
    "self_attention": _attention,
    "cross_attention": _attention,
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
        module = KINDS[kind](kind, tensors)
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"these parameters are not those of the published {kind}: {error}") from error
    return Reference(kind, module).double().eval().requires_grad_(False)
