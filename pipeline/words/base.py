"""What a recogniser is: speech in, words with times out.

A recogniser of one's own is a class with a ``transcribe``; docs/recognisers.md has a worked example. One that takes
only some seconds at a time derives from :class:`pipeline.words.pieces.PieceRecogniser`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pipeline.records import InputError
from pipeline.registry import NoOptions
from pipeline.words.voice import voiced

if TYPE_CHECKING:
    from pipeline.audio_file import AudioTrack

TimedWord = tuple[str, float, float]
"""A word with its start and end in seconds; one that is several words is spread over its time later."""


def timed(words: Iterable[TimedWord]) -> Iterator[TimedWord]:
    """The same words; raises ValueError for one whose times are no numbers, which would be lost where times decide."""
    for word, start_s, end_s in words:
        if isnan(start_s) or isnan(end_s):
            raise ValueError(f"{word!r} is said from {start_s} to {end_s} s; give its times in seconds")
        yield word, start_s, end_s


class Recogniser(ABC):
    """Turns sound into words; made once for all recordings of a job.

    What it raises at work costs the words of that recording alone, which is said where coverage is. Same sound,
    same words. ``affectflow check-recogniser`` tries that, noise and music.
    """

    title: ClassVar[str] = ""
    """What messages call it; the name of the class where it says nothing."""
    needs_weights: ClassVar[bool] = False
    uses_gpu: ClassVar[bool] = False
    """Whether a GPU makes it faster; a job of one that does asks for a GPU where there is one."""
    finds_speech: ClassVar[bool] = False
    """Whether it leaves out by itself where nobody speaks; where not, words outside of speech are taken out."""
    demonstration: ClassVar[str | None] = None
    """The recogniser that stands in where the scale is demo and weights would come from a hub."""
    Config: ClassVar[type] = NoOptions

    def __init__(self, config: Any = None, weights: Path | None = None, device: str = "cpu"):
        self.config = self.Config() if config is None else config
        self.weights, self.device = weights, device
        if self.needs_weights and (weights is None or not Path(weights).is_dir()):
            raise InputError(
                f"recogniser {self.called()}: {weights or 'weights'} is not a checkpoint folder; fetch the weights "
                "first (affectflow pipeline weights fetch) or choose a recogniser that needs none, such as pocketsphinx"
            )

    @classmethod
    def called(cls) -> str:
        """Its title, or else its name."""
        return cls.title or cls.__name__

    @abstractmethod
    def transcribe(self, samples: np.ndarray, sample_rate_hz: int) -> list[TimedWord]:
        """Words of sound (n,) float32 in -1 to 1, in order, with times in seconds from its first sample."""

    def transcribe_track(self, track: "AudioTrack") -> Iterable[TimedWord]:
        """Words of a whole track, which is read into memory, with times in seconds from the unit's first frame."""
        words = self.transcribe_speech(track.samples(), track.sample_rate_hz)
        return [(word, track.start_s + start_s, track.start_s + end_s) for word, start_s, end_s in words]

    def transcribe_speech(self, samples: np.ndarray, sample_rate_hz: int) -> list[TimedWord]:
        """As ``transcribe``, without words where nobody speaks: recognisers make some up in noise and music."""
        if self.finds_speech:
            return list(timed(self.transcribe(samples, sample_rate_hz)))
        speech_s = voiced(samples, sample_rate_hz)
        if not len(speech_s):
            return []
        begin_s, stop_s = speech_s.T
        return [
            (word, start_s, end_s)
            for word, start_s, end_s in timed(self.transcribe(samples, sample_rate_hz))
            if ((begin_s <= (start_s + end_s) / 2) & ((start_s + end_s) / 2 < stop_s)).any()
        ]
