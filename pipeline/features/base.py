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

from pydantic import Field

from pipeline.records import InputError, Modality
from pipeline.registry import options
from pipeline.store import Rows
from pipeline.timebase import sample_count, sample_index


@options
class Options:
    """Options of every built-in extractor, to which each adds its own."""

    dtype: Literal["float32", "float16"] = Field(
        "float32", description="number format in the feature store; float16 halves its size"
    )


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

    def samples(self, sample_rate_hz: int) -> tuple[int, int]:
        """Samples of sound that a piece contributes, and of context on each side: multiples of the grid."""
        grid = sample_count(self.grid, sample_rate_hz)
        length, context = (sample_index(s, sample_rate_hz) for s in (self.length, self.context))
        return max(1, length // grid) * grid, -(-context // grid) * grid


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
    neither on what else is in the batch nor on chance. ``affectflow check-extractor`` tries all of that.
    """

    modality: ClassVar[Modality]
    version: ClassVar[str] = "1"
    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    """Installed packages whose versions are recorded with the features."""
    needs_weights: ClassVar[bool] = False
    uses_gpu: ClassVar[bool] = True
    """Whether a GPU makes it faster, where it has weights."""
    demonstration_weights: ClassVar[str | None] = None
    """The small checkpoint that stands in for weights from a hub where the scale is demo, such as ``demo:bert``."""
    pool_s: float = 0.0
    """Sound: over how long the driver averages rows, whole samples of which ``cut.grid`` is then a multiple."""
    cosine_to_float32: float | None = None
    """For reduced precision: smallest cosine between rows in it and in float32, on a built-in clip."""
    layers: Sequence[int] = ()
    """Numbers of the layers that each row holds side by side for models to mix; known once ``dim`` is. Empty: a row is
    one vector."""
    needs_crops: ClassVar[bool] = True
    """Video: whether the pictures are looked at; where not, they are left undecoded and all zero."""
    Config: ClassVar[type] = Options

    def __init__(self, config=None, weights: Path | None = None, device: str = "cpu"):
        self.config = self.Config() if config is None else config
        self.weights, self.device = weights, device
        if self.needs_weights and weights is None:
            raise InputError(
                f"{type(self).__name__} needs a checkpoint: give the extractor 'weights: ORG/NAME@COMMIT' "
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
