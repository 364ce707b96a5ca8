"""What extractors are given: pieces of sound, faces and words, and the rows that they become."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.store import Rows
from pipeline.timebase import sample_count, whole_samples_s, window_ranges_s


@dataclass(frozen=True, slots=True, eq=False)
class AudioPiece:
    """Sound: ``samples`` (n,) float32 in -1 to 1, of which the first is at ``start_s``."""

    segment_id: str
    samples: np.ndarray
    sample_rate_hz: int
    start_s: float

    def __len__(self) -> int:
        return len(self.samples)

    def padded(self, count: int) -> np.ndarray:
        """The samples, with zeros behind them where they are fewer than ``count``."""
        return np.pad(self.samples, (0, max(0, count - len(self))))

    def windows(self, window_s: float, hop_s: float) -> np.ndarray:
        """(N, window) view of the samples, one window every ``hop_s``; sound shorter than one is padded with zeros.

        Window and hop are taken as the nearest whole numbers of samples, here as in ``rows``.
        """
        window, hop = (sample_count(s, self.sample_rate_hz) for s in (window_s, hop_s))
        return np.lib.stride_tricks.sliding_window_view(self.padded(window), window)[::hop]

    def rows(self, values: np.ndarray, window_s: float, hop_s: float) -> Rows:
        """Rows of ``values`` (N, D), row i being made from the window that begins ``i * hop_s`` into the piece."""
        values = np.asarray(values, np.float32)
        window_s, hop_s = (whole_samples_s(s, self.sample_rate_hz) for s in (window_s, hop_s))
        time_s = window_ranges_s(len(values), window_s, hop_s, self.start_s)
        return Rows(values, time_s, np.ones(len(values), bool))


@dataclass(frozen=True, slots=True, eq=False)
class FacePiece:
    """Video frames of one person's aligned face; row i of every array is frame i, in order.

    ``crops`` (n, 112, 112, 3) uint8 RGB, ``time_s`` (n, 2), ``valid`` (n,) bool, ``landmarks`` (n, 5, 2) in pixels of
    the full frame, ``mesh`` (n, 468, 3) in pixels of the crop. Where ``valid`` is false there was no face: all zero.
    With ``faces: {picture: half}`` in config.yaml ``crops`` are (n, 224, 224, 3), of no face in particular, no mesh.
    """

    segment_id: str
    crops: np.ndarray
    time_s: np.ndarray
    valid: np.ndarray
    landmarks: np.ndarray
    mesh: np.ndarray

    def __len__(self) -> int:
        return len(self.time_s)

    def rows(self, values: np.ndarray, valid: np.ndarray | None = None) -> Rows:
        """Rows of ``values`` (n, D), one for each frame; ``valid`` can only take away from the piece's own mask."""
        seen = self.valid if valid is None else self.valid & valid
        values = np.where(seen[:, None], np.asarray(values, np.float32), np.float32(0))
        return Rows(values, self.time_s, seen)


@dataclass(frozen=True, slots=True, eq=False)
class TextPiece:
    """Words in the order spoken, each over its ``time_s`` (n, 2); ``written``: with their case and punctuation."""

    segment_id: str
    words: list[str]
    time_s: np.ndarray
    written: Sequence[str] = ()  # empty: as they are spoken

    def __len__(self) -> int:
        return len(self.words)

    def rows(self, values: np.ndarray) -> Rows:
        """Rows of ``values`` (n, D), one for each word."""
        return Rows(np.asarray(values, np.float32), self.time_s, np.ones(len(values), bool))


Piece = AudioPiece | FacePiece | TextPiece
