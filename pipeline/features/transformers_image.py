"""Any transformers image model over face crops: ViT, ResNet, ConvNeXt, CLIP, DINOv2 and kin."""

from typing import Literal

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, options
from pipeline.features.image_preparation import preparation_of
from pipeline.features.layers import LayerOptions
from pipeline.features.piece import FacePiece
from pipeline.features.transformers_base import TransformersExtractor
from pipeline.records import InputError
from pipeline.store import Rows

# Parameters that hold tokens other than those of patches.
BESIDE = ("cls_token", "cls_register_token", "class_embedding", "register_tokens", "distillation_token")


@options
class TransformersImageOptions(LayerOptions):
    """Layers, and how the places of an image become one vector."""

    pooling: Literal["auto", "cls", "mean"] = Field(
        "auto",
        description="'cls' class token, 'mean' over patches or places, 'auto' what the model's own head looks at, or "
        "else the class token, or else the mean",
    )
    batch_size: int = Field(64, gt=0, description="faces in one pass of the network")


class TransformersImage(TransformersExtractor):
    """One row for each video frame: the pooled hidden state of an image model; invalid where there is no face.

    Crops go through what the checkpoint's own image processor prescribes (size, centre crop, mean, standard deviation),
    done on tensors of many crops at once, or through the processor itself where it does more than that.
    """

    modality = "video"
    demonstration_weights = "demo:vit"
    Config = TransformersImageOptions

    def _set_up(self) -> None:
        learned = ((name.rpartition(".")[2], each) for name, each in self.model.named_parameters())
        self.beside = sum(each.numel() // each.shape[-1] for name, each in learned if name in BESIDE)
        self.prepare = preparation_of(self.processor, self.weights)

    @property
    def cut(self) -> Cut:
        """Frames are looked at one by one, so pieces need no context."""
        return Cut(length=256, batch=max(512, self.config.batch_size))

    def extract(self, batch: list[FacePiece]) -> list[Rows]:
        """Rows of each piece; the valid crops of all pieces go through the network together."""
        crops = np.concatenate([piece.crops[piece.valid] for piece in batch])
        found = [np.zeros((0, self.dim), np.float32)] if len(crops) == 0 else []
        for i in range(0, len(crops), self.config.batch_size):
            pixels = self.prepare(crops[i : i + self.config.batch_size], self.device)
            found.append(self._hidden({"pixel_values": pixels}))
        vectors = np.concatenate(found)
        rows, used = [], 0
        for piece in batch:
            values = np.zeros((len(piece), vectors.shape[1]), np.float32)
            count = int(piece.valid.sum())
            values[piece.valid] = vectors[used : used + count]
            used += count
            rows.append(piece.rows(values))
        return rows

    def _run(self, inputs):
        try:
            return super()._run(inputs)
        except (ValueError, RuntimeError, TypeError) as error:
            raise InputError(f"{self.weights}: {self.name} cannot look at single faces: {error}") from None

    def _pooled(self, state, output):
        """(B, D) of tokens (B, T, D), of which those of no patch come first, or of places (B, D, H, W)."""
        how = self.config.pooling
        pooler = getattr(output, "pooler_output", None) if state is output.last_hidden_state else None
        if how == "auto" and pooler is not None:
            return pooler.flatten(1)
        if self.beside and state.ndim == 3:
            return state[:, self.beside :].mean(dim=1) if how == "mean" else state[:, 0]
        if how == "cls":
            raise InputError(f"pooling: {self.name} has no class token; allowed are auto and mean")
        return state.mean(dim=1 if state.ndim == 3 else (2, 3))
