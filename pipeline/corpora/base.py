"""What a corpus is: a tree of files in, tables of units, segments and labels out.

A reader is the only code that knows its corpus's tree. Later stages read the tables, which say where each segment's
picture, sound, words and labels lie; they know neither the corpus's name nor its layout. A reader of one's own is a
class with a ``title``, a ``task`` and an ``index``; docs/corpora.md has a worked example.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from pipeline.records import Finding, Label, Rating, Segment, Unit
from pipeline.registry import NoOptions

if TYPE_CHECKING:
    import numpy as np

    from pipeline.store import Rows

WHOLE_CORPUS = "corpus"
"""What stands in the unit column of a finding that concerns the corpus and not one recording."""


@dataclass
class Index:
    """What a corpus holds: recordings, segments, labels of whole segments, what could not be used, and single votes."""

    units: list[Unit] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    ratings: list[Rating] = field(default_factory=list)

    def say(
        self, modality: str, status: str, reason: str, unit: str = WHOLE_CORPUS, segment: str | None = None
    ) -> None:
        """Add a finding: what is ``partial`` or ``absent`` of a modality, of the corpus, a recording or a segment."""
        self.findings.append(Finding(unit, segment, modality, status, reason))


@dataclass(frozen=True)
class Annotation:
    """Frame-wise labels of one segment: ``rows`` of its frames, why it has none, what was wrong, what is no fault."""

    rows: "Rows"
    absent: str | None = None
    notes: Sequence[str] = ()
    remarks: Sequence[str] = ()


class Corpus(ABC):
    """One corpus on disk.

    ``index`` opens no picture or sound, so that a workflow can call it while it is read; where a segment ends with its
    recording, its ``end_s`` is infinite and the index stage looks it up. Raises InputError where there is nothing to
    read; what of it cannot be used is a finding, and the rest is read all the same.
    """

    title: ClassVar[str]
    """The corpus's name, as a report prints it."""
    task: str
    """What is predicted for what: ``classes/segment``, ``numbers/segment:...``, ``numbers/frame:valence,arousal``."""
    protocols: ClassVar[tuple[str, ...]] = ("speaker", "group", "utterance")
    """Splits that make sense; the first is the default."""
    unit_word: ClassVar[str] = "recording"
    segment_word: ClassVar[str] = "segment"
    label_words: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What labels mean, where their names are abbreviations."""
    citation: ClassVar[str] = ""
    """BibTeX of the corpus."""
    published: ClassVar[Sequence[Mapping]] = ()
    """Published figures to stand beside the runs that they compare with; form: models/report/sections/published.py."""
    departures: ClassVar[Sequence[Mapping]] = ()
    """Where the papers did otherwise; form: models/settings.py."""
    official_labels: ClassVar[tuple[str, ...]] = ()
    """Every label that the release has; () where only the files tell."""
    default_labels: ClassVar[tuple[str, ...]] = ()
    """Those that are predicted where the configuration does not say; () for all that occur."""
    text_files: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """Kinds of files that ``index`` itself reads, as patterns below the root; ``raw_files.tsv`` has their digests."""
    annotations: ClassVar[bool] = False
    """Whether frames have no label where a segment names no annotation."""
    Config: ClassVar[type] = NoOptions

    def __init__(self, name: str, root: str | Path, config=None):
        self.name, self.root = name, Path(os.path.expanduser(root))  # not Path's, which raises for ~NAME of nobody
        self.config = self.Config() if config is None else config

    @property
    def key(self) -> str:
        """Where the corpus's root stands in the configuration, for messages."""
        return f"corpora.{self.name}.root"

    @abstractmethod
    def index(self) -> Index:
        """Read the tree; raises InputError for a wrong root."""

    def review(self, found: Index) -> list[Finding]:
        """What the lengths of recordings tell, once the index stage has looked them up."""
        return []

    @property
    def frame_classes(self) -> Sequence[str]:
        """Names of the classes of a task ``classes/frame``; ``annotate`` gives the number of one, counted from 0."""
        return self.official_labels

    def annotate(self, segment: Segment, frame_time_s: "np.ndarray") -> Annotation:
        """Frame-wise labels of a segment, given the times of its recording's frames; only for tasks on frames."""
        raise NotImplementedError(f"{type(self).__name__} has a task on frames and must say how they are labelled")
