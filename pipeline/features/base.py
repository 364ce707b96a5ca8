"""What an extractor is: pieces of segments in, rows with times and masks out.

An extractor sees pieces of one modality, never files. The driver (:mod:`pipeline.features.run`) cuts segments into
pieces of bounded length, hands them over in batches of similar length, and puts the rows back together. An extractor of
one's own is a class with a ``modality`` and an ``extract``; docs/extractors.md has a worked example.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipeline.records import InputError
from pipeline.registry import options
from pipeline.store import Rows
from pipeline.timebase import sample_index, window_ranges_s

Modality = Literal["audio", "video", "text"]


@options
class Options:
    """What every extractor of ours can be told; its own options come on top."""

    dtype: Literal["float32", "float16"] = Field(
        "float32", description="number format in the feature store; float16 halves its size"
    )


@dataclass(frozen=True, slots=True, eq=False)
class AudioPiece:
    """Sound: ``samples`` (n,) float32 in -1 to 1, of which the first is heard at ``start_s``."""

    segment_id: str
    samples: np.ndarray
    sample_rate_hz: int
    start_s: float

    def __len__(self) -> int:
        return len(self.samples)

    def windows(self, window_s: float, hop_s: float) -> np.ndarray:
        """(N, window) view of the samples, one window every ``hop_s``; sound shorter than one is padded with zeros."""
        window, hop = (sample_index(s, self.sample_rate_hz) for s in (window_s, hop_s))
        samples = np.pad(self.samples, (0, max(0, window - len(self.samples))))
        return np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]

    def rows(self, values: np.ndarray, window_s: float, hop_s: float) -> Rows:
        """Rows of ``values`` (N, D), row i being made from the window that begins ``i * hop_s`` into the piece."""
        values = np.asarray(values, np.float32)
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


@dataclass(frozen=True, slots=True)
class Cut:
    """How segments are cut into pieces, in seconds of sound, frames of faces, or words.

    ``length`` is what a piece contributes; ``context`` more on each side is there to look at, and the rows made from it
    are trimmed by time. Sound is cut at multiples of ``grid`` from the start of the segment, so that the rows of a cut
    segment lie where those of the uncut one would. ``batch`` bounds what one call of ``extract`` gets, padding
    counted; 0 means one piece at a time. Words are cut without context.
    """

    length: float
    context: float = 0.0
    grid: float = 0.0
    batch: float = 0.0


CUTS = {
    "audio": Cut(length=30.0, context=1.0, grid=0.01, batch=120.0),
    "video": Cut(length=256, batch=1024),
    "text": Cut(length=5000, batch=20_000),
}


class Extractor(ABC):
    """Turns pieces into rows.

    Times: each row says which seconds it was made from, in the time of the piece (from the unit's first video frame).
    Masks: ``valid`` is false for rows from which nothing was observed; the driver masks sound that was not recorded.
    Shapes: every row has the same width, ``dim``, float32 and finite; a piece may give any number of rows.
    Devices: ``device`` is "cpu" or "cuda"; what an extractor returns is NumPy. Same piece, same rows: they must depend
    neither on what else is in the batch nor on chance. ``python -m pipeline check-extractor`` tries all of that.
    """

    modality: ClassVar[Modality]
    version: ClassVar[str] = "1"
    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    """Installed packages whose versions are recorded with the features."""
    needs_weights: ClassVar[bool] = False
    demonstration_weights: ClassVar[str | None] = None
    """The small checkpoint that stands in for weights from a hub where the scale is demo, such as ``demo:bert``."""
    pool_s: float = 0.0
    """Sound: seconds over which the driver averages rows; ``cut.grid`` is then a multiple of it."""
    layers: Sequence[int] = ()
    """Numbers of a network's layers that stand side by side in each row, as models are to mix them; known once ``dim``
    is. Empty: a row is one vector."""
    needs_crops: ClassVar[bool] = True
    """Video: whether the pictures are looked at; where not, they are left undecoded and all zero."""
    Config: ClassVar[type] = Options

    def __init__(self, config=None, weights: Path | None = None, device: str = "cpu"):
        self.config = self.Config() if config is None else config
        self.weights, self.device = weights, device
        if self.needs_weights and weights is None:
            raise InputError(
                f"{type(self).__name__} needs a checkpoint: give the extractor 'weights: ORG/NAME@REVISION' "
                "(or a local folder) in config.yaml"
            )

    @property
    def cut(self) -> Cut:
        """How segments are cut for this extractor."""
        return CUTS[self.modality]

    @cached_property
    def dim(self) -> int:
        """Width of the rows, found by trying a built-in piece."""
        from pipeline.features.synthetic import clip

        return self.extract([clip(self.modality, 1.0)])[0].values.shape[1]

    @abstractmethod
    def extract(self, batch: list[Any]) -> list[Rows]:
        """Rows of each piece of the batch, in the same order."""
