"""What is predicted, and for what: classes or numbers, for a segment or for each frame."""

from dataclasses import dataclass
from typing import Literal, cast, get_args

from pipeline.records import InputError, check_numbers

Kind = Literal["classes", "numbers"]
Level = Literal["segment", "frame"]
POOLED = "all"
"""In tables in place of one fold, seed or style: all of them together."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task, written ``classes/segment`` or ``numbers/frame:valence,arousal``; classes are known from the labels."""

    kind: Kind
    level: Level
    targets: tuple[str, ...] = ()  # names of the numbers

    def __post_init__(self):
        if self.kind not in get_args(Kind) or self.level not in get_args(Level):
            raise InputError(
                f"task {self.what}: write classes or numbers, a slash, and segment or frame: "
                "classes/segment, numbers/frame:valence,arousal"
            )
        if bool(self.targets) != self.numbers or "" in self.targets:
            raise InputError(
                f"task {self}: numbers are named after a colon (numbers/{self.level}:valence,arousal); classes are not"
            )
        check_numbers(self.targets)

    @classmethod
    def parse(cls, text: str) -> "Task":
        """Read a task as it is written; raises InputError that says how."""
        what, _, targets = text.partition(":")
        kind, _, level = what.partition("/")
        return cls(cast(Kind, kind), cast(Level, level), tuple(targets.split(",")) if ":" in text else ())

    @property
    def what(self) -> str:
        """What for what, whatever the numbers are called: ``numbers/frame``."""
        return f"{self.kind}/{self.level}"

    @property
    def numbers(self) -> bool:
        """Whether numbers are predicted, not classes."""
        return self.kind == "numbers"

    @property
    def frames(self) -> bool:
        """Whether each frame has its own label."""
        return self.level == "frame"

    def __str__(self) -> str:
        return self.what + (f":{','.join(self.targets)}" if self.targets else "")
