"""Whisper as CTranslate2 runs it (faster-whisper): long sound in batches, word times, and no words without a voice."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from pipeline.records import InputError
from pipeline.registry import options
from pipeline.words.base import Recogniser, TimedWord
from pipeline.words.voice import PAD_MS, PAUSE_MS

FILES = ("model.bin", "config.json", "tokenizer.json")  # without the last one, the library would ask the hub for it


@options
class FasterWhisperOptions:
    """How the model searches and computes, and what counts as speech."""

    language: str | None = Field(None, description="spoken language, such as en; null: the model decides")
    beams: int = Field(5, ge=1, description="beams of the search: more are slower and sometimes better")
    batch_size: int = Field(8, ge=1, description="stretches of speech, of up to 30 s, that are transcribed at once")
    compute_type: Literal["float32", "int8"] = Field(
        "float32", description="number format; int8 takes less of everything"
    )
    speech: float = Field(0.5, gt=0, lt=1, description="probability from which the voice activity network finds speech")


class FasterWhisper(Recogniser):
    """A local folder of a converted Whisper, run offline; raises InputError where a file is missing or cannot be read.

    The library looks for speech itself, transcribes nothing else, joins the pieces, and times words by attention. It
    runs on the processor: the library is built for CUDA 12, and the PyTorch beside it brings CUDA 13.
    """

    title = "Whisper (faster-whisper)"
    needs_weights = finds_speech = True
    demonstration = "pocketsphinx"
    Config = FasterWhisperOptions

    def __init__(self, config: Any = None, weights: Path | None = None, device: str = "cpu"):
        super().__init__(config, weights, device)
        if missing := [name for name in FILES if not (Path(weights) / name).is_file()]:
            raise InputError(
                f"recogniser {self.title}: {weights} holds no {missing[0]}; take a Whisper converted to CTranslate2, "
                "such as Systran/faster-whisper-base.en, or the recogniser transformers"
            )
        from faster_whisper import WhisperModel

        try:
            model = WhisperModel(str(weights), "cpu", compute_type=self.config.compute_type)
        except RuntimeError as error:
            raise InputError(f"recogniser {self.title}: {weights} cannot be read ({error})") from None
        language = self.config.language
        if language is not None and language not in model.supported_languages:
            known = ", ".join(sorted(model.supported_languages))
            raise InputError(f"recogniser {self.title}: {weights} knows no language {language!r}; it knows {known}")
        self._model = model

    def transcribe(self, samples: np.ndarray, sample_rate_hz: int) -> list[TimedWord]:
        """Words of the sound (16 kHz, as the audio stage makes it)."""
        if not len(samples):
            return []
        from faster_whisper import BatchedInferencePipeline

        voice = {"threshold": self.config.speech, "min_silence_duration_ms": PAUSE_MS, "speech_pad_ms": PAD_MS}
        pipeline = BatchedInferencePipeline(self._model)  # it remembers where speech ended; a new one costs nothing
        segments, _ = pipeline.transcribe(
            np.asarray(samples, np.float32),
            language=self.config.language,
            beam_size=self.config.beams,
            batch_size=self.config.batch_size,
            word_timestamps=True,
            vad_filter=True,
            vad_parameters=voice,
        )
        return [(word.word, word.start, word.end) for segment in segments for word in segment.words or ()]
