"""Speech models of the transformers library: Whisper and its kin with word time stamps, and CTC models."""

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from pipeline.log import log
from pipeline.records import InputError
from pipeline.registry import options
from pipeline.weights import pickled
from pipeline.words.base import TimedWord
from pipeline.words.pieces import PieceOptions, PieceRecogniser
from pipeline.words.text import spread

OPEN_WORD_S = 0.5  # how long a word lasts for which the model gives no end


@options
class TransformerOptions(PieceOptions):
    """How long sound is cut, and how Whisper searches."""

    language: str | None = Field(None, description="Whisper: spoken language, such as en; null: the model decides")
    beams: int = Field(1, ge=1, description="Whisper: beams of the search; more are slower and sometimes better")


class Transformer(PieceRecogniser):
    """A local checkpoint folder, run offline; raises InputError where it is missing or cannot give word times."""

    title = "a speech model of the transformers library"
    needs_weights = uses_gpu = True
    demonstration = "pocketsphinx"
    Config = TransformerOptions

    def __init__(self, config: Any = None, weights: Path | None = None, device: str = "cpu"):
        super().__init__(config, weights, device)
        if not (Path(weights) / "config.json").is_file():
            raise InputError(
                f"recogniser transformers: {weights} holds no config.json; fetch the weights again, or give the folder "
                "of a Whisper or CTC model"
            )
        import torch
        from transformers import AutoConfig, pipeline

        kind = AutoConfig.from_pretrained(weights, local_files_only=True).model_type
        self._pipeline = pipeline(
            "automatic-speech-recognition",
            model=str(weights),
            device=device,
            dtype=torch.float16 if device.startswith("cuda") else torch.float32,
            model_kwargs={"use_safetensors": not pickled(Path(weights))},
        )
        self._options: dict[str, Any] = {}
        if kind == "whisper":
            generation = self._pipeline.model.generation_config
            if getattr(generation, "alignment_heads", None) is None:
                raise InputError(
                    f"recogniser transformers: {weights}: generation_config.json has no alignment_heads, without which "
                    "Whisper gives no word times; take a checkpoint that has them, such as openai/whisper-small"
                )
            self._options = {"num_beams": self.config.beams}
            if getattr(generation, "is_multilingual", False):
                self._options |= {"task": "transcribe", "language": self.config.language}

    def transcribe(self, samples: np.ndarray, sample_rate_hz: int) -> list[TimedWord]:
        """Words of the piece; a word without end lasts half a second.

        Where the model's word times cannot be made out, which happens, the words are spread over the piece.
        """
        duration_s = len(samples) / sample_rate_hz
        try:
            found = self._run(samples, sample_rate_hz, return_timestamps="word")
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if "out of memory" in str(error):
                raise
            log.warning("words: no word times for a piece of %.0f s (%s); they are estimates", duration_s, error)
            text = self._run(samples, sample_rate_hz)["text"]
            return [(w.written or w.word, w.start_s, w.end_s) for w in spread(text, 0.0, duration_s, "")]
        words: list[TimedWord] = []
        for chunk in found.get("chunks", []):
            start_s, end_s = chunk["timestamp"]
            start_s = words[-1][2] if start_s is None and words else (start_s or 0.0)
            end_s = start_s + OPEN_WORD_S if end_s is None else end_s
            words.append((chunk["text"], min(start_s, duration_s), min(end_s, duration_s)))
        return words

    def _run(self, samples: np.ndarray, sample_rate_hz: int, **options) -> dict:
        given = {"raw": np.asarray(samples, np.float32), "sampling_rate": sample_rate_hz}
        return self._pipeline(given, generate_kwargs=self._options, **options)
