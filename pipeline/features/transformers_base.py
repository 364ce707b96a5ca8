"""What the extractors of transformers checkpoints share: one is loaded, its network run, and its layers combined."""

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pipeline.features.base import Extractor
from pipeline.features.layers import chosen_states, combine, drop_unused_layers, only_last
from pipeline.features.synthetic import clip


class TransformersExtractor(Extractor):
    """Hidden states of a checkpoint's encoder, of the layers and in the precision that its ``LayerOptions`` say."""

    packages: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    needs_weights = True

    def __init__(self, config=None, weights: Path | None = None, device: str = "cpu"):
        super().__init__(config, weights, device)
        from pipeline.features.checkpoint import load_model, load_processor

        own_pooling = getattr(self.config, "pooling", None) == "auto"  # an option of images
        self.model = load_model(weights, self.modality, device, own_pooling)
        drop_unused_layers(self.model, self.config.layers)
        self.name = self.model.config.model_type
        self.processor: Any = load_processor(weights, self.modality)
        self._set_up()
        self.cosine_to_float32 = self._settle_precision()

    @abstractmethod
    def _set_up(self) -> None:
        """Derive what ``extract`` needs from model and processor; raises InputError where they do not fit."""

    def _settle_precision(self) -> float | None:
        """Convert weights once, which autocast would do for every batch, and return ``cosine_to_float32``."""
        import torch

        asked, piece = self.config, clip(self.modality, 1.0)
        if asked.precision == "float32":
            return None
        self.config = replace(asked, precision="float32")
        exact = self.extract([piece])[0]
        self.config = asked
        for module in self.model.modules():
            if isinstance(module, (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d)):
                module.to(torch.bfloat16)
        a, b = exact.values[exact.valid], self.extract([piece])[0].values[exact.valid]
        return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())

    def _hidden(self, inputs) -> np.ndarray:
        """(B, ..., D) hidden states of a batch: the chosen layers, each pooled, then combined."""
        import torch

        c = self.config
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=c.precision == "bfloat16"):
            output = self._run(inputs)
            states, numbers = chosen_states(output, c.layers, f"{self.weights} ({self.name})")
            self.layers = numbers if c.combine == "keep" else []
            pooled = [self._pooled(state, output) for state in states]
            return combine(pooled, c.combine, self.name).cpu().numpy()

    def _run(self, inputs):
        return self.model(**inputs, output_hidden_states=not only_last(self.config.layers))

    def _pooled(self, state, output):
        """The part of a layer's state that is kept: all, unless an extractor pools it before layers are combined."""
        return state
