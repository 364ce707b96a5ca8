"""What the demonstration corpora hold: names that are known before anything is generated.

Nothing heavy is imported here: the workflow reads these names while it is being planned.
"""

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.corpora.base import Index
from pipeline.corpora.readers.iemocap.files import scenario_of, style_of
from pipeline.records import InputError, Segment, Unit

if TYPE_CHECKING:
    import numpy as np

TREES = {"iemocap": "IEMOCAP_full_release", "affwild2": "AffWild2"}
"""Folders of the demonstration corpora, by reader."""
CORPORA = tuple(TREES)
SESSIONS = (1, 2, 3, 4, 5)
DIALOGS = ("F_impro01", "M_script01_1")
"""In each session, one dialog whose left-hand actor is the woman and one whose left-hand actor is the man."""


@dataclass(frozen=True)
class Film:
    """One video of the demonstration Aff-Wild2."""

    name: str
    part: Literal["Train_Set", "Validation_Set"] | None  # None: not annotated
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


_TRAIN = (
    *(Film("1-30-320x240", "Train_Set", 14, 30), Film("105", "Train_Set", 12, people="M", suffix=".avi")),
    *(Film("12-24-320x240", "Train_Set", 14, 24, away_s=(5.0, 6.0)), Film("video7", "Train_Set", 12, people="FM")),
    *(Film("118-30-320x240", "Train_Set", 12, 30, "M", transcript=".vtt"), Film("131", "Train_Set", 12, rows_short=1)),
    *(Film("video21", "Train_Set", 12, 24, "MF"), Film("140-24-320x240", "Train_Set", 12, 24, "M", transcript=None)),
    *(Film("151", "Train_Set", 14, suffix=".avi", folder="batch2"), Film("video33", "Train_Set", 12, people="MM")),
    *(Film("16-30-320x240", "Train_Set", 12, 30, "M", sound_from_s=0.5), Film("170", "Train_Set", 12, folder="batch2")),
    *(
        Film("182-24-320x240", "Train_Set", 12, 24, "M", folder="batch2"),
        Film("199", "Train_Set", 30, transcript=".srt"),
    ),
)
_VALIDATION = (
    *(Film("204-30-320x240", "Validation_Set", 14, 30, "M"), Film("211", "Validation_Set", 14, suffix=".avi")),
    *(Film("video45", "Validation_Set", 14, people="FM"), Film("226-24-320x240", "Validation_Set", 14, 24, "M")),
    Film("233", "Validation_Set", 14, 30, variable_rate=True, folder="batch2/part1"),
    Film("240-24-320x240", "Validation_Set", 14, 24, "M", transcript=None, folder="batch2/part1"),
    Film("257", "Validation_Set", 14, sound_from_s=-0.4, folder="batch2/part1"),
    Film("268-30-320x240", "Validation_Set", 14, 30, "M", transcript=".vtt", away_s=(7.0, 8.0)),
)
_TEST = (Film("301", None, 12), Film("video60", None, 12, 24, "M", transcript=None, suffix=".avi"))
FILMS = {film.name: film for film in sorted((*_TRAIN, *_VALIDATION, *_TEST), key=lambda film: film.name)}


def dialogs(session: int) -> list[str]:
    """Names of a session's dialogs in the demonstration IEMOCAP."""
    return [f"Ses{session:02d}{kind}" for kind in DIALOGS]


def unit_ids(corpus: str) -> list[str]:
    """Units of a demonstration corpus; raises InputError for a corpus that is neither iemocap nor affwild2."""
    if corpus == "iemocap":
        return [name for session in SESSIONS for name in dialogs(session)]
    if corpus == "affwild2":
        return list(FILMS)
    raise InputError(f"there is no demonstration corpus {corpus!r}; allowed: {', '.join(CORPORA)}")


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
            Segment(f"{film.name}{suffix}", film.name, f"{film.name}{suffix}", None, parts[film.part], 0.0, 1.0)
            for film in FILMS.values()
            for suffix in (("_left", "_right") if len(film.people) == 2 else ("",))
        ]
    return Index([Unit(unit_id) for unit_id in unit_ids(corpus)], segments)


def random(seed: int, *names: str | int) -> "np.random.Generator":
    """A generator of its own for everything that has a name, so that nothing depends on the order of work."""
    import numpy as np

    return np.random.default_rng([seed, *(n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names)])
