"""Speech of a recording: stretches that overlap, such as windows, are transcribed together, once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.apply.turns import STRETCH_S
from pipeline.audio import write_audio
from pipeline.audio_file import AudioFile
from pipeline.records import Finding, Segment, Unit, Word
from pipeline.spoken import SpokenWords
from pipeline.words.base import Recogniser
from pipeline.words.place import transcriber

TOUCH_S = 1e-6  # windows that follow each other overlap by as much as sums of their times are off


class Heard:
    """What is said in segments of a recording that have no words of their own; why it is not known goes to ``missed``.

    ``audio`` has the sound of each; where some overlap, that of what they cover together is written beside it.
    """

    def __init__(
        self,
        root: Path,
        unit: Unit,
        segments: Sequence[Segment],
        audio: Path,
        recogniser: Recogniser,
        missed: list[Finding],
    ):
        self._stretch, self._words = together(segments), dict[Segment, SpokenWords]()
        stretches = {*self._stretch.values()}
        if stretches - {*segments}:
            audio = audio.with_suffix(".together.h5")
            write_audio(root, [(unit, sorted(stretches, key=lambda s: s.start_s))], audio)
        self._transcribe = transcriber(recogniser, AudioFile(audio).__getitem__, missed)

    def of(self, segment: Segment) -> list[Word]:
        """The words that are said in the time of a segment, in order, of no segment as yet."""
        stretch = self._stretch[segment.segment_id]
        if stretch not in self._words:
            self._words[stretch] = SpokenWords(self._transcribe([stretch]))
        return self._words[stretch].of(segment)


def together(segments: Sequence[Segment]) -> dict[str, Segment]:
    """By segment, the stretch that it covers with those that overlap, as one segment with the id of the first.

    A stretch ends at STRETCH_S, which bounds memory, and what a failure of the recogniser costs.
    """
    stretches, number = list[Segment](), dict[str, int]()
    for segment in sorted(segments, key=lambda s: s.start_s):
        overlaps = bool(stretches) and segment.start_s < stretches[-1].end_s - TOUCH_S
        if overlaps and segment.end_s - stretches[-1].start_s <= STRETCH_S:
            stretches[-1] = replace(stretches[-1], end_s=max(stretches[-1].end_s, segment.end_s))
        else:
            stretches.append(segment)
        number[segment.segment_id] = len(stretches) - 1
    return {segment_id: stretches[k] for segment_id, k in number.items()}
