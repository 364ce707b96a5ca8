"""Any transformers image model over face crops: ViT, ResNet, ConvNeXt, CLIP, DINOv2 and kin."""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, Extractor, options
from pipeline.features.image_preparation import preparation_of
from pipeline.features.layers import (
    LayerOptions,
    arithmetic,
    chosen_states,
    combine,
    drop_unused_layers,
    only_last,
    settle_precision,
)
from pipeline.features.piece import FacePiece
from pipeline.records import InputError
from pipeline.store import Rows

BESIDE = ("cls_token", "cls_register_token", "class_embedding", "register_tokens", "distillation_token")  # of patches


@options
class TransformersImageOptions(LayerOptions):
    """Layers, and how the places of an image become one vector."""

    pooling: Literal["auto", "cls", "mean"] = Field(
        "auto",
        description="'cls' class token, 'mean' over patches or places, 'auto' what the model's own head looks at, or "
        "else the class token, or else the mean",
    )
    batch_size: int = Field(64, gt=0, description="faces in one pass of the network")


class TransformersImage(Extractor):
    """One row for each video frame: the pooled hidden state of an image model; invalid where there is no face.

    Crops go through what the checkpoint's own image processor prescribes (size, centre crop, mean, standard deviation),
    done on tensors of many crops at once, or through the processor itself where it does more than that.
    """

    modality = "video"
    packages = ("torch", "transformers")
    needs_weights = True
    demonstration_weights = "demo:vit"
    Config = TransformersImageOptions

    def __init__(self, config=None, weights: Path | None = None, device: str = "cpu"):
        super().__init__(config, weights, device)
        from pipeline.features.checkpoint import load_model, load_processor

        self.model = load_model(weights, "video", device, pooled=self.config.pooling == "auto")
        drop_unused_layers(self.model, self.config.layers)
        self.name = self.model.config.model_type
        learned = ((name.rpartition(".")[2], each) for name, each in self.model.named_parameters())
        self.beside = sum(each.numel() // each.shape[-1] for name, each in learned if name in BESIDE)
        self.prepare = preparation_of(load_processor(weights, "video"), weights)
        self.cosine_to_float32 = settle_precision(self)

    @property
    def cut(self) -> Cut:
        """Frames are looked at one by one, so pieces need no context."""
        return Cut(length=256, batch=max(512, self.config.batch_size))

    def extract(self, batch: list[FacePiece]) -> list[Rows]:
        """Rows of each piece; the valid crops of all pieces go through the network together."""
        crops = np.concatenate([piece.crops[piece.valid] for piece in batch])
        found = [np.zeros((0, self.dim), np.float32)] if len(crops) == 0 else []
        with arithmetic(self.device, self.config.precision):
            for i in range(0, len(crops), self.config.batch_size):
                pixels = self.prepare(crops[i : i + self.config.batch_size], self.device)
                found.append(self._forward(pixels).float().cpu().numpy())
        vectors = np.concatenate(found)
        rows, used = [], 0
        for piece in batch:
            values = np.zeros((len(piece), vectors.shape[1]), np.float32)
            count = int(piece.valid.sum())
            values[piece.valid] = vectors[used : used + count]
            used += count
            rows.append(piece.rows(values))
        return rows

    def _forward(self, pixels):
        try:
            output = self.model(pixel_values=pixels, output_hidden_states=not only_last(self.config.layers))
        except (ValueError, RuntimeError, TypeError) as error:
            raise InputError(f"{self.weights}: {self.name} cannot look at single faces: {error}") from None
        states, numbers = chosen_states(output, self.config.layers, f"{self.weights} ({self.name})")
        self.layers = numbers if self.config.combine == "keep" else []
        last, pooler = output.last_hidden_state, getattr(output, "pooler_output", None)
        pooled = [self._pooled(state, pooler if state is last else None) for state in states]
        return combine(pooled, self.config.combine, self.name)

    def _pooled(self, state, pooler):
        """(B, D) of tokens (B, T, D), of which those beside the patches are the first, or of places (B, D, H, W)."""
        how = self.config.pooling
        if how == "auto" and pooler is not None:
            return pooler.flatten(1)
        if self.beside and state.ndim == 3:
            return state[:, self.beside :].mean(dim=1) if how == "mean" else state[:, 0]
        if how == "cls":
            raise InputError(f"pooling: {self.name} has no class token; allowed are auto and mean")
        return state.mean(dim=1 if state.ndim == 3 else (2, 3))
