"""What the demonstration corpora hold: names that are known before anything is generated.

Nothing heavy is imported here: the workflow reads these names while it is being planned.
"""

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.corpora.base import Index
from pipeline.corpora.readers.iemocap.files import scenario_of, style_of
from pipeline.records import Segment, Unit

if TYPE_CHECKING:
    import numpy as np

TREES = {"iemocap": "IEMOCAP_full_release", "affwild2": "AffWild2"}
"""Folders of the demonstration corpora, by reader."""
SESSIONS = (1, 2, 3, 4, 5)
DIALOGS = ("F_impro01", "M_script01_1")
"""In each session, one dialog whose left-hand actor is the woman and one whose left-hand actor is the man."""


@dataclass(frozen=True)
class Film:
    """One video of the demonstration Aff-Wild2."""

    name: str
    part: str | None  # Train_Set or Validation_Set; None: not annotated
    seconds: int
    frame_rate: int = 25
    people: str = "F"  # F and M from left to right
    suffix: str = ".mp4"
    folder: str = "batch1"
    transcript: Literal[".tsv", ".vtt", ".srt"] | None = ".tsv"
    sound_from_s: float = 0.0  # when the sound begins, from the first frame
    variable_rate: bool = False
    rows_short: int = 0  # how many rows the annotation has less than the video has frames
    away_s: tuple[float, float] | None = None  # when the picture shows nobody

    @property
    def subjects(self) -> list[str]:
        """Who is annotated, as the files are named: from left to right where there are two."""
        return [f"{self.name}_{side}" for side in ("left", "right")] if len(self.people) == 2 else [self.name]


TRAIN, VALIDATION = "Train_Set", "Validation_Set"
_FILMS = [
    Film("1-30-320x240", TRAIN, 10, 30), Film("105", TRAIN, 8, people="M", suffix=".avi"),
    Film("12-24-320x240", TRAIN, 10, 24, away_s=(5.0, 6.0)), Film("video7", TRAIN, 8, people="FM"),
    Film("118-30-320x240", TRAIN, 8, 30, "M", transcript=".vtt"), Film("131", TRAIN, 8, rows_short=1),
    Film("video21", TRAIN, 8, 24, "MF"), Film("140-24-320x240", TRAIN, 8, 24, "M", transcript=None),
    Film("151", TRAIN, 10, suffix=".avi", folder="batch2"), Film("video33", TRAIN, 8, people="MM"),
    Film("16-30-320x240", TRAIN, 8, 30, "M", sound_from_s=0.5), Film("170", TRAIN, 8, folder="batch2"),
    Film("182-24-320x240", TRAIN, 8, 24, "M", folder="batch2"), Film("199", TRAIN, 30, transcript=".srt"),
    Film("204-30-320x240", VALIDATION, 10, 30, "M"), Film("211", VALIDATION, 10, suffix=".avi"),
    Film("video45", VALIDATION, 10, people="FM"), Film("226-24-320x240", VALIDATION, 10, 24, "M"),
    Film("233", VALIDATION, 10, 30, variable_rate=True, folder="batch2/part1"),
    Film("240-24-320x240", VALIDATION, 10, 24, "M", transcript=None, folder="batch2/part1"),
    Film("257", VALIDATION, 10, sound_from_s=-0.4, folder="batch2/part1"),
    Film("268-30-320x240", VALIDATION, 10, 30, "M", transcript=".vtt", away_s=(7.0, 8.0)),
    Film("301", None, 8), Film("video60", None, 8, 24, "M", transcript=None, suffix=".avi"),
]  # fmt: skip
FILMS = {film.name: film for film in sorted(_FILMS, key=lambda film: film.name)}


def dialogs(session: int) -> list[str]:
    """Names of a session's dialogs in the demonstration IEMOCAP."""
    return [f"Ses{session:02d}{kind}" for kind in DIALOGS]


UNITS = {"iemocap": [name for session in SESSIONS for name in dialogs(session)], "affwild2": list(FILMS)}
"""Ids of the units of each demonstration corpus."""


def planned(corpus: str) -> Index:
    """Units and people of a demonstration corpus with the groups they are in, before anything is generated."""
    if corpus == "iemocap":
        segments = [
            Segment(
                f"{dialog}_{letter}000", dialog, f"Ses{session:02d}{letter}", str(session), None, 0.0, 1.0,
                dialog=dialog, scenario=scenario_of(dialog), style=style_of(dialog),
            )
            for session in SESSIONS for dialog in dialogs(session) for letter in "FM"
        ]  # fmt: skip
    else:
        parts = {"Train_Set": "train", "Validation_Set": "validation", None: "test"}
        segments = [
            Segment(name, film.name, name, None, parts[film.part], 0.0, 1.0)
            for film in FILMS.values()
            for name in film.subjects
        ]
    return Index([Unit(unit_id) for unit_id in UNITS[corpus]], segments)


def random(seed: int, *names: str | int) -> "np.random.Generator":
    """A generator seeded by name, so that results do not depend on the order of work."""
    import numpy as np

    return np.random.default_rng([seed, *(n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names)])
