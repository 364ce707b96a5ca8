"""Speech recognition behind one interface: sound in pieces of some seconds in, words with times out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.audio_file import AudioTrack
from pipeline.log import log
from pipeline.records import InputError, Word
from pipeline.words.pieces import Heard, Piece, cut, join
from pipeline.words.text import spread

SOURCE = "recogniser"
SILENCE = 1e-3  # peak, -60 dB of full scale: models make words up where nothing is to be heard
SHORTEST_WORD_S = 0.02


class RecogniserConfig(BaseModel):
    """How words are found in speech that comes without transcript."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["none", "pocketsphinx", "transformers"] = Field(
        "none", description="pocketsphinx needs no download and knows English; transformers: a Whisper or CTC model"
    )
    weights: str | None = Field(None, description="transformers: ORG/NAME@COMMIT or a folder (fetched by its own rule)")
    language: str | None = Field(None, description="transformers: spoken language, such as en; null: the model decides")
    beams: int = Field(1, ge=1, description="transformers: beams of the search (Whisper)")
    piece_s: float = Field(
        26.0, gt=2, description="length of the pieces that long sound is cut into; Whisper hears 30 s, context included"
    )
    context_s: float = Field(1.5, ge=0.5, description="how much of its neighbours each piece hears")


class Recogniser(ABC):
    """A model that hears words; made once for a unit."""

    @abstractmethod
    def hear(self, samples: np.ndarray, sample_rate_hz: int) -> list[Heard]:
        """Words of some seconds of sound (float32, -1 to 1), in order, with times from its first sample."""


def parse_config(text: str) -> RecogniserConfig:
    """A configuration from JSON; raises InputError that names the key and what is allowed."""
    try:
        return RecogniserConfig.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "recogniser"
        allowed = ", ".join(RecogniserConfig.model_fields)
        raise InputError(f"recogniser: {key}: {first['msg']} (given {first['input']!r}; keys: {allowed})") from None


def make_recogniser(config: RecogniserConfig, weights: Path | None = None, device: str = "auto") -> Recogniser | None:
    """Load the configured recogniser, ``None`` for the kind none; raises InputError where its weights are missing."""
    if config.kind == "pocketsphinx":
        from pipeline.words.sphinx import Sphinx

        return Sphinx(config)
    if config.kind == "transformers":
        from pipeline.words.transformer import Transformer

        return Transformer(config, weights, device)
    return None


def recognise(recogniser: Recogniser, config: RecogniserConfig, track: AudioTrack) -> Iterator[Word]:
    """Words of one track in order of time, in seconds from the unit's first frame, whose segment is left open."""
    end_s = track.start_s + track.duration_s
    pieces = cut(track.samples, len(track), track.sample_rate_hz, config.piece_s, config.context_s)
    for text, start_s, stop_s in join(_hear(recogniser, track, piece) for piece in pieces):
        start_s = min(start_s, end_s - SHORTEST_WORD_S)
        stop_s = min(max(stop_s, start_s + SHORTEST_WORD_S), end_s)
        yield from spread(text, start_s, stop_s, SOURCE)


def _hear(recogniser: Recogniser, track: AudioTrack, piece: Piece) -> tuple[float, list[Heard]]:
    """End of the piece's core and its words, on the time axis of the unit."""
    rate_hz = track.sample_rate_hz
    begin_s = track.start_s + piece.first / rate_hz
    core_end_s = track.start_s + piece.core_end / rate_hz
    log.info("words: %s: heard up to %.0f s", track.segment_id, core_end_s)
    if np.abs(piece.samples).max(initial=0) < SILENCE:
        return core_end_s, []
    heard = recogniser.hear(piece.samples, rate_hz)
    if piece.core_end == piece.first + len(piece.samples):  # the last piece answers for all that it heard
        core_end_s = np.inf
    return core_end_s, [(w, begin_s + a, begin_s + b) for w, a, b in heard]
