"""Words and predictions as tiers of a Praat TextGrid, https://www.fon.hum.uva.nl/praat/manual/TextGrid.html."""

import math
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

from models.apply.answer import Answer
from models.apply.outputs.stretches import readable, shown
from models.apply.outputs.wording import MARK, several_people, winner
from pipeline.files import replacing

Interval = tuple[float, float, str]
"""Start and end in seconds, and what is said of it."""


def write_textgrid(answer: Answer, path: Path) -> None:
    """Write a tier of the words and, of each person, one of the classes or one of each number."""
    from praatio.textgrid import IntervalTier, Textgrid

    end_s = answer.duration_s
    made = Textgrid(0.0, end_s)
    for name, intervals in _tiers(answer):
        cut = ((max(0.0, float(a)), min(float(b), end_s), " ".join(text.split())) for a, b, text in intervals)
        made.addTier(IntervalTier(name, [(a, b, text) for a, b, text in cut if text and b > a], 0.0, end_s))
    with replacing(path) as temporary:
        made.save(str(temporary), format="long_textgrid", includeBlankSpaces=True)


def _tiers(answer: Answer) -> Iterator[tuple[str, list[Interval]]]:
    """The name and the intervals of each tier; within a tier none overlap."""
    yield "words", list(_words(answer))
    mark, several = f" ({MARK})" if answer.demonstration else "", several_people(answer)
    for person, rows in shown(readable(answer)):
        whose = f"{person}: " if several else ""
        if answer.numbers:
            for k, name in enumerate(answer.outputs):
                yield f"{whose}{name}{mark}", [(row.start_s, row.end_s, _number(row.values[k])) for row in rows]
        else:
            best = [(row, winner(row.values)) for row in rows]
            intervals = [(row.start_s, row.end_s, answer.outputs[k]) for row, k in best if k is not None]
            yield f"{whose}predicted{mark}", intervals


def _words(answer: Answer) -> Iterator[Interval]:
    """The words, each up to the next at most; those that begin together share an interval."""
    spoken = sorted(answer.words, key=lambda word: word.start_s)
    starts = [(start_s, list(words)) for start_s, words in groupby(spoken, key=lambda word: word.start_s)]
    for (start_s, words), (next_s, _) in pairwise([*starts, (math.inf, [])]):
        yield start_s, min(next_s, max(word.end_s for word in words)), " ".join(word.word for word in words)


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""
