"""What a trained model says of one recording: the one thing that every output (table, subtitles, page) is made of."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.records import Word
from pipeline.words.place import EVEN


@dataclass(frozen=True)
class Face:
    """Where one person's face is: the five landmarks of each looked-at frame, in pixels of the upright picture."""

    person: str
    time_s: np.ndarray  # (N, 2) start and end of each frame
    landmarks: np.ndarray  # (N, 5, 2) pixels, in the order of pipeline.crops.LANDMARKS
    valid: np.ndarray  # (N,) bool


@dataclass(frozen=True)
class Spoken:
    """One word, with its case and punctuation, and when it is said, in seconds from the first video frame."""

    word: str
    start_s: float
    end_s: float
    segment_ids: frozenset[str] = frozenset()  # segments that read it; empty: all in whose time it is said


@dataclass(frozen=True)
class Row:
    """What is predicted of one stretch of time of one person: a turn, a window, or a frame."""

    person: str
    start_s: float
    end_s: float
    values: np.ndarray  # (outputs,) probabilities of classes, or numbers in the unit of the corpus
    spread: np.ndarray  # (outputs,) standard deviation over the networks that are averaged
    observed: dict[str, float]  # modality (audio, video, text) -> share of the time that was observed, 0 to 1
    segment_ids: frozenset[str] = frozenset()  # whose words it has; frames that are averaged may be of several

    def reads(self, word: Spoken) -> bool:
        """Whether a word that is said within the row is one of its own, and not of somebody who speaks at that time."""
        return not word.segment_ids or not word.segment_ids.isdisjoint(self.segment_ids)


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
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)  # lowest and highest number in the corpus


def spoken(words: Iterable[Word]) -> tuple[Spoken, ...]:
    """Words by start; one that several segments have, such as windows that are heard one by one, is one word.

    It may have a little different times in each: the same word of two segments is one where the times overlap. Words
    of a segment's text are its own, but for those of a caption that everybody in view is given: their times are equal.
    """
    out: list[Spoken] = []
    latest: dict[str, list[int]] = defaultdict(list)  # where in ``out`` a word is that is not over yet
    for word in sorted(words, key=lambda word: (word.start_s, word.end_s)):
        own = frozenset([word.segment_id] if word.segment_id else [])
        same = latest[word.word] = [k for k in latest[word.word] if out[k].end_s > word.start_s]
        shared = [k for k in same if own and own.isdisjoint(out[k].segment_ids)]
        if word.source == EVEN:
            shared = [k for k in shared if (out[k].start_s, out[k].end_s) == (word.start_s, word.end_s)]
        k = next(iter(shared), None)
        if k is None:
            same.append(len(out))
            out.append(Spoken(word.written or word.word, word.start_s, word.end_s, own))
        else:
            out[k] = replace(out[k], end_s=max(out[k].end_s, word.end_s), segment_ids=own | out[k].segment_ids)
    return tuple(out)
