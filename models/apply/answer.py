"""What a trained model says of one recording: the one thing that every output (table, subtitles, page) is made of."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Face:
    """Where one person's face is: the five landmarks of each looked-at frame, in pixels of the upright picture."""

    person: str
    time_s: np.ndarray  # (N, 2) start and end of each frame
    landmarks: np.ndarray  # (N, 5, 2) pixels, in the order of pipeline.crops.LANDMARKS
    valid: np.ndarray  # (N,) bool


@dataclass(frozen=True)
class Spoken:
    """One word and when it is said, in seconds from the first video frame."""

    word: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Row:
    """What is predicted of one stretch of time of one person: a turn, a window, or a frame."""

    person: str
    start_s: float
    end_s: float
    values: np.ndarray  # (outputs,) probabilities of classes, or numbers in the unit of the corpus
    spread: np.ndarray  # (outputs,) standard deviation over the networks that are averaged
    observed: dict[str, float]  # modality (audio, video, text) -> share of the time that was observed, 0 to 1


@dataclass(frozen=True)
class Answer:
    """Everything a model says of one recording."""

    source: Path  # the recording as given
    model: str  # such as self-A+V+T of a corpus
    demonstration: bool
    numbers: bool  # numbers are predicted, not classes
    frames: bool  # rows are frames
    outputs: tuple[str, ...]  # names of the classes or numbers
    duration_s: float
    rows: tuple[Row, ...]  # ordered by person and start
    faces: tuple[Face, ...] = ()
    words: tuple[Spoken, ...] = ()
    notes: tuple[str, ...] = ()  # sentences a user must read, such as what was not there
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)  # of numbers: lowest and highest in the corpus
