"""Prosody by librosa: pitch (pYIN), energy, voice quality and spectral shape, every 10 ms."""

from typing import Any

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, Extractor, Options, options
from pipeline.features.piece import AudioPiece
from pipeline.store import Rows
from pipeline.timebase import SAMPLE_RATE_HZ

FRAME, HOP = 1024, 160  # samples at 16 kHz: 64 ms hold four periods of the lowest pitch
COLUMNS = (
    "pitch_octaves",  # log2(F0 / 55 Hz), 0 where unvoiced
    "voiced_probability",
    "pitch_change",  # |difference| to the row before where both are voiced, octaves: a proxy of jitter
    "energy_db",
    "energy_change_db",  # |difference| to the row before: a proxy of shimmer
    "harmonicity_db",  # harmonics-to-noise ratio from the autocorrelation (Boersma 1993)
    "cepstral_peak_db",  # cepstral peak prominence: how regular the voice is
    "zero_crossing_rate",
    "centroid_hz",
    "bandwidth_hz",
    "rolloff_hz",
    "flatness_db",
    "tilt_db_per_octave",
    "flux",
)


@options
class ProsodyOptions(Options):
    """The range in which pitch is looked for."""

    min_pitch_hz: float = Field(65.0, ge=50, description="lowest pitch")
    max_pitch_hz: float = Field(500.0, le=1000, description="highest pitch")
    pitch_step: float = Field(
        0.2, gt=0, lt=1, description="fineness of pitch in semitones; 0.1 takes three times as long"
    )


class Prosody(Extractor):
    """Rows of the fourteen measures of ``COLUMNS``, each from 64 ms of sound."""

    modality = "audio"
    packages = ("librosa", "numpy", "scipy")
    Config = ProsodyOptions

    @property
    def cut(self) -> Cut:
        """Pitch tracking looks along time, so pieces overlap by two seconds."""
        return Cut(length=30.0, context=2.0, grid=HOP / SAMPLE_RATE_HZ, batch=600.0)

    def extract(self, batch: list[AudioPiece]) -> list[Rows]:
        """Rows of each piece; a piece shorter than 64 ms is padded with silence."""
        return [piece.rows(self._values(piece), FRAME / SAMPLE_RATE_HZ, HOP / SAMPLE_RATE_HZ) for piece in batch]

    def _values(self, piece: AudioPiece) -> np.ndarray:
        import librosa

        samples = piece.padded(FRAME)
        rate = piece.sample_rate_hz
        even: dict[str, Any] = {"frame_length": FRAME, "hop_length": HOP, "center": False}
        span: dict[str, Any] = {"fmin": self.config.min_pitch_hz, "fmax": self.config.max_pitch_hz, "sr": rate}
        pitch_hz, voiced, probability = librosa.pyin(
            samples, resolution=self.config.pitch_step, fill_na=55.0, **span, **even
        )
        pitch = np.where(voiced, np.log2(pitch_hz / 55.0), 0.0)
        both = voiced[1:] & voiced[:-1]
        energy_db = 20 * np.log10(librosa.feature.rms(y=samples, **even)[0] + 1e-5)
        frames = librosa.util.frame(samples, frame_length=FRAME, hop_length=HOP).T * np.hanning(FRAME)
        spectrum = np.abs(np.fft.rfft(frames)).T + 1e-8
        shape: dict[str, Any] = {"S": spectrum, "sr": rate}
        unit = spectrum / spectrum.sum(axis=0)
        lags = (int(rate / self.config.max_pitch_hz), int(rate / self.config.min_pitch_hz))
        columns = [
            pitch,
            probability,
            np.concatenate([[0], np.where(both, np.abs(np.diff(pitch)), 0)]),
            energy_db,
            np.concatenate([[0], np.abs(np.diff(energy_db))]),
            harmonicity_db(frames, lags),
            cepstral_peak_db(spectrum, lags),
            librosa.feature.zero_crossing_rate(samples, **even)[0],
            librosa.feature.spectral_centroid(**shape)[0],
            librosa.feature.spectral_bandwidth(**shape)[0],
            librosa.feature.spectral_rolloff(**shape)[0],
            10 * np.log10(librosa.feature.spectral_flatness(S=spectrum)[0]),
            tilt_db_per_octave(spectrum, rate),
            np.concatenate([[0], np.sqrt((np.diff(unit, axis=1) ** 2).sum(axis=0))]),
        ]
        return np.stack(columns, axis=1)


def harmonicity_db(frames: np.ndarray, lags: tuple[int, int]) -> np.ndarray:
    """(N,) 10 log10(r / (1 - r)), r the highest autocorrelation of windowed (N, FRAME) frames between two lags."""

    def correlation(x):
        return np.fft.irfft(np.abs(np.fft.rfft(x, n=2 * FRAME)) ** 2)[..., : lags[1] + 1]

    window = correlation(np.hanning(FRAME))
    found = correlation(frames)
    r = (found / (found[:, :1] + 1e-10)) / (window / window[0])  # the window's own decay is divided out
    r = np.clip(r[:, lags[0] :].max(axis=1), 1e-3, 1 - 1e-3)
    return 10 * np.log10(r / (1 - r))


def cepstral_peak_db(spectrum: np.ndarray, lags: tuple[int, int]) -> np.ndarray:
    """(N,) height of the cepstral peak between two lags over the line through them, of (bins, N) magnitudes."""
    cepstrum = np.abs(np.fft.irfft(20 * np.log10(spectrum), axis=0))[lags[0] : lags[1] + 1]
    x = np.arange(len(cepstrum)) - (len(cepstrum) - 1) / 2
    slope = (x @ cepstrum) / (x @ x)
    at = cepstrum.argmax(axis=0)
    return cepstrum.max(axis=0) - (cepstrum.mean(axis=0) + slope * x[at])


def tilt_db_per_octave(spectrum: np.ndarray, rate: int) -> np.ndarray:
    """(N,) slope of the level over log frequency from 100 Hz up, of (bins, N) magnitudes."""
    hz = np.fft.rfftfreq(FRAME, 1 / rate)
    octave = np.log2(hz[hz >= 100])
    octave -= octave.mean()
    return (octave @ (20 * np.log10(spectrum[hz >= 100]))) / (octave @ octave)
