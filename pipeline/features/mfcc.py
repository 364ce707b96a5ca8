"""Mel-frequency cepstral coefficients with their first and second differences, by torchaudio."""

from functools import cached_property

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, Extractor, Options, options
from pipeline.features.piece import AudioPiece
from pipeline.store import Rows
from pipeline.timebase import SAMPLE_RATE_HZ, sample_count

DELTA_WINDOW = 9  # rows that a difference looks at: 4 on each side


@options
class MfccOptions(Options):
    """Defaults as in the self- against cross-attention paper: 40 coefficients, 25 ms windows every 10 ms."""

    coefficients: int = Field(40, gt=0, description="how many cepstral coefficients")
    mel_bands: int = Field(64, gt=0, description="mel bands they are made from; at least as many as coefficients")
    window_s: float = Field(0.025, gt=0, description="length of an analysis window, seconds")
    hop_s: float = Field(0.010, gt=0, description="from one window to the next, seconds")
    deltas: bool = Field(True, description="append first and second differences (threefold width)")

    def __post_init__(self):
        if self.mel_bands < self.coefficients:
            raise ValueError(f"mel_bands {self.mel_bands} is less than coefficients {self.coefficients}")


class Mfcc(Extractor):
    """Rows of 40 coefficients, their differences and second differences (120).

    The logarithm of the mel power has a fixed floor (1e-6) rather than one relative to the loudest window, so that a
    row depends on nothing but the sound around it. Windows are not padded: row i covers ``[i hop, i hop + window)``.
    """

    modality = "audio"
    packages = ("torch", "torchaudio")
    Config = MfccOptions

    @property
    def cut(self) -> Cut:
        """Minute-long pieces; second differences look eight rows to each side."""
        context_s = self.config.window_s + DELTA_WINDOW * self.config.hop_s
        return Cut(length=60.0, context=context_s, grid=self.config.hop_s, batch=600.0)

    @cached_property
    def _transform(self):
        from torchaudio.transforms import MFCC

        window, hop = (sample_count(s, SAMPLE_RATE_HZ) for s in (self.config.window_s, self.config.hop_s))
        mel = {
            "n_fft": window, "win_length": window, "hop_length": hop, "n_mels": self.config.mel_bands, "center": False
        }  # fmt: skip
        return MFCC(SAMPLE_RATE_HZ, self.config.coefficients, log_mels=True, melkwargs=mel)

    def extract(self, batch: list[AudioPiece]) -> list[Rows]:
        """One row for each window of each piece; a piece shorter than a window gives one row."""
        return [piece.rows(self._values(piece), self.config.window_s, self.config.hop_s) for piece in batch]

    def _values(self, piece: AudioPiece) -> np.ndarray:
        import torch
        from torchaudio.functional import compute_deltas

        window = sample_count(self.config.window_s, piece.sample_rate_hz)
        with torch.inference_mode():
            values = self._transform(torch.from_numpy(piece.padded(window)))
            if self.config.deltas:
                first = compute_deltas(values, DELTA_WINDOW)
                values = torch.cat([values, first, compute_deltas(first, DELTA_WINDOW)])
            return values.T.numpy()
