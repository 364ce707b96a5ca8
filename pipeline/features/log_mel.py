"""Log-mel spectrograms: plain rows, and the overlapping patches that VGGish looks at."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, Extractor, Options, options
from pipeline.features.piece import AudioPiece
from pipeline.store import Rows
from pipeline.timebase import SAMPLE_RATE_HZ

N_FFT = 512
PATCH_ROWS = 96


@options
class LogMelOptions(Options):
    """A power spectrogram on the mel scale."""

    mel_bands: int = Field(64, gt=0, description="width of the rows")
    window_s: float = Field(0.025, gt=0, le=0.032, description="length of an analysis window, seconds")
    hop_s: float = Field(0.010, gt=0, description="from one window to the next, seconds")
    min_hz: float = Field(60.0, ge=0, description="lower edge of the lowest band")
    max_hz: float = Field(7800.0, le=8000, description="upper edge of the highest band")


@options
class VggishOptions(Options):
    """The published VGGish front end; only how often a patch is taken can be chosen."""

    patch_hop_s: float = Field(0.96, gt=0, description="from one 0.96 s patch to the next; a multiple of 0.01 s")
    summary: bool = Field(False, description="mean and standard deviation of each band (128) instead of 96x64 (6144)")

    def __post_init__(self):
        if abs(self.patch_hop_s * 100 - round(self.patch_hop_s * 100)) > 1e-6:
            raise ValueError(f"patch_hop_s {self.patch_hop_s} is not a multiple of 0.01 s")


def log_mel(
    piece: AudioPiece, window_s: float, hop_s: float, bank: np.ndarray, power: float, offset: float
) -> np.ndarray:
    """(N, bands): log(mel + offset) of Hann-windowed spectra, magnitude (``power`` 1) or power (2), through a bank."""
    import torch

    with torch.inference_mode():
        frames = torch.from_numpy(np.array(piece.windows(window_s, hop_s)))
        spectrum = torch.fft.rfft(frames * torch.hann_window(frames.shape[1]), n=N_FFT).abs().pow(power)
        return torch.log(spectrum @ torch.from_numpy(bank) + offset).numpy()


def vggish_bank() -> np.ndarray:
    """(257, 64) triangular filters, linear in mel rather than in hertz as elsewhere; the lowest bin has no weight."""

    def mel(hz):
        return 1127.0 * np.log1p(np.asarray(hz) / 700.0)

    edges = np.linspace(mel(125.0), mel(7500.0), 64 + 2)
    bins = mel(np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE_HZ))[:, None]
    rising, falling = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank = np.maximum(0.0, np.minimum(rising, falling))
    bank[0] = 0.0
    return bank.astype(np.float32)


class LogMel(Extractor):
    """One row of mel bands for each window."""

    modality = "audio"
    packages = ("torch", "torchaudio")
    Config = LogMelOptions

    @property
    def cut(self) -> Cut:
        """Minute-long pieces with a window of context."""
        return Cut(length=60.0, context=2 * self.config.window_s, grid=self.config.hop_s, batch=600.0)

    def extract(self, batch: list[AudioPiece]) -> list[Rows]:
        """Rows of each piece."""
        window_s, hop_s = self.config.window_s, self.config.hop_s
        return [piece.rows(log_mel(piece, window_s, hop_s, self._bank, 2.0, 1e-6), window_s, hop_s) for piece in batch]

    @cached_property
    def _bank(self) -> np.ndarray:
        from torchaudio.functional import melscale_fbanks

        c = self.config
        bank = melscale_fbanks(N_FFT // 2 + 1, c.min_hz, c.max_hz, c.mel_bands, SAMPLE_RATE_HZ, mel_scale="htk")
        return bank.numpy()


class VggishLogMel(Extractor):
    """The input of VGGish: patches of 96 windows of 25 ms every 10 ms by 64 bands from 125 to 7500 Hz.

    Magnitude spectra, natural logarithm with offset 0.01 (Hershey et al. 2017). A patch sees 95 hops and a window,
    0.975 s. Shorter sound is padded with silence at its end; what follows the last whole patch is not covered.
    """

    modality = "audio"
    packages = ("torch", "torchaudio")
    Config = VggishOptions
    window_s, hop_s = 0.025, 0.010

    @property
    def patch_s(self) -> float:
        """Seconds that a patch sees."""
        return (PATCH_ROWS - 1) * self.hop_s + self.window_s

    @property
    def cut(self) -> Cut:
        """Pieces overlap by a patch."""
        grid = self.config.patch_hop_s
        return Cut(length=max(60.0, grid), context=2 * self.patch_s, grid=grid, batch=600.0)

    def extract(self, batch: list[AudioPiece]) -> list[Rows]:
        """Rows of each piece."""
        return [piece.rows(self._patches(piece), self.patch_s, self.config.patch_hop_s) for piece in batch]

    def _patches(self, piece: AudioPiece) -> np.ndarray:
        padded = replace(piece, samples=piece.padded(round(self.patch_s * piece.sample_rate_hz)))
        rows = log_mel(padded, self.window_s, self.hop_s, vggish_bank(), 1.0, 0.01)
        step = round(self.config.patch_hop_s / self.hop_s)
        patches = np.lib.stride_tricks.sliding_window_view(rows, PATCH_ROWS, axis=0)[::step]  # (N, 64, 96)
        if self.config.summary:
            return np.concatenate([patches.mean(axis=2), patches.std(axis=2)], axis=1)
        return patches.transpose(0, 2, 1).reshape(len(patches), -1)
