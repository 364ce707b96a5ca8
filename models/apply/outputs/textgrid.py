"""Words and predictions as tiers of a Praat TextGrid, https://www.fon.hum.uva.nl/praat/manual/TextGrid.html."""

import math
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

from models.apply.answer import Answer, Row
from models.apply.outputs.stretches import apart, readable
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
    mark = f" ({MARK})" if answer.demonstration else ""
    for person, rows in groupby(readable(answer), key=lambda row: row.person):
        whose, shown = f"{person}: " if several_people(answer) else "", apart(list(rows))
        if answer.numbers:
            for k, name in enumerate(answer.outputs):
                yield f"{whose}{name}{mark}", [_interval(row, _number(row.values[k])) for row in shown]
        else:
            best = [winner(row.values) for row in shown]
            texts = ["" if k is None else answer.outputs[k] for k in best]
            yield f"{whose}predicted{mark}", [_interval(row, text) for row, text in zip(shown, texts)]


def _words(answer: Answer) -> Iterator[Interval]:
    """The words, each up to the next at most; those that begin together share an interval."""
    spoken = sorted(answer.words, key=lambda word: word.start_s)
    starts = [(start_s, list(words)) for start_s, words in groupby(spoken, key=lambda word: word.start_s)]
    for (start_s, words), (next_s, _) in pairwise([*starts, (math.inf, [])]):
        yield start_s, min(next_s, max(word.end_s for word in words)), " ".join(word.word for word in words)


def _interval(row: Row, text: str) -> Interval:
    return row.start_s, row.end_s, text


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""
