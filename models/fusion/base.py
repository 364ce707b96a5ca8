"""What a fusion is: encoded streams of several modalities in, groups of fused streams out.

A fusion of one's own is a class with a ``fuse``, in a file of one's own; docs/fusions.md has a worked example. The
class carries whatever the rest must know of it: options, needs, the published form where there is one, and its words
for the report. torch is imported inside the methods, so that options and words can be had without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from models.task import Task
from pipeline.registry import NoOptions

if TYPE_CHECKING:
    from torch import nn

    from models.attention import Stream

Combination = Literal["statistics", "concatenation"]
EncoderKind = Literal["gru", "tcn"]
CLASSES = Task("classes", "segment")
OWN_DRAWS = "each fold begins with weights and orders of its own, where published ones of one seed begin alike"
"""In what the trainings of both papers' published forms depart."""


@dataclass(frozen=True)
class Published:
    """The constraints of a fusion's published form, which ``faithful: true`` builds."""

    task: str
    """What for what, such as ``numbers/frame``, whatever its numbers are called."""
    encoder: EncoderKind
    steps: Mapping[str, int] | None = None
    """Fixed lengths in rows by modality; None: the window of the training options."""
    one_target: bool = False
    """Whether each target has a model of its own."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Training options that are part of it, whatever the configuration says."""
    departures: tuple[str, ...] = ()
    """How its training still differs from the published one."""


class Fusion(ABC):
    """How modalities meet.

    ``layers`` makes what is learned, ``fuse`` says what is done with it. An instance knows its options (``config``),
    the ``width`` of the streams, the ``dropout`` and the ``task``. Streams keep the promise of :mod:`models.attention`,
    values are zero where the mask is False; those that come out must keep it too. What comes out must depend neither
    on absent steps nor on the other items of a batch. ``affectflow check-fusion`` tries all of that.
    """

    Config: ClassVar[type] = NoOptions
    title: ClassVar[str]
    """What the report calls it; the name of the class where none is given."""
    citation: ClassVar[str | None] = None
    """The paper it is from: an entry of BibTeX, or the key of one in references.bib, such as rajan2022."""
    one_grid: ClassVar[bool] = False
    """Whether all modalities must share one time grid; otherwise each may keep the length of its own."""
    min_modalities: ClassVar[int] = 1
    apart: ClassVar[bool] = False
    """Whether each modality has a network of its own, and fusion is the mean of what those say."""
    encoder: ClassVar[EncoderKind] = "gru"
    """Temporal encoder where the configuration leaves it open."""
    combine: ClassVar[Combination] = "concatenation"
    """How the vectors of a group become one where the configuration leaves it open."""
    published: ClassVar[Published | None] = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.title = cls.__dict__.get("title", cls.__name__)

    def __init__(self, config=None, width: int = 120, dropout: float = 0.1, task: Task = CLASSES):
        self.config = self.Config() if config is None else config
        self.width, self.dropout, self.task = width, dropout, task

    def problems(self, options) -> Iterator[str]:
        """Say which of the network's ``options`` it cannot be built with; nothing where all is well."""
        yield from ()

    def layers(self, modalities: list[str]) -> Mapping[str, nn.Module] | nn.ModuleDict | list[nn.Module]:
        """Make the modules that are learned, by name or in order."""
        return {}

    @abstractmethod
    def fuse(self, layers, streams: dict[str, Stream]) -> list[list[Stream]]:
        """Fuse streams (B, T, width) into groups of streams; a group is what is pooled together afterwards.

        Where the task is of segments, a stream may be averaged over time already, (B, D) and (B,).
        """

    def published_network(self, options, dims: dict[str, int], outputs: int, steps: dict[str, int]) -> nn.Module:
        """Build the published form; ``steps`` are its fixed lengths."""
        raise NotImplementedError(f"{self.title} has no published form")

    def published_details(self) -> list[str]:
        """What of its options the published form has otherwise, in the report's words."""
        return []

    def published_sentence(self, combine: Combination) -> str:
        """Say in a sentence what the published form is, for the methods part of a paper."""
        return f"The published form of {self.title}."

    def details(self) -> list[str]:
        """What tells its variants apart, in the report's words."""
        return []

    def sentence(self) -> str:
        """Say in a sentence what it does, for the methods part of a paper."""
        return f"The modalities are fused by {self.title}."
