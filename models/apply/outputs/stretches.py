"""What an answer says in stretches that people can read: turns and windows as they are, frames as means over phrases.

A phrase is what is said between two pauses, cut evenly where it would not fit into two lines of a subtitle.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np

from models.apply.answer import Answer, Row, Spoken

PAUSE_S = 0.7  # silence that ends a phrase
LONGEST_S = 6.0  # how long a subtitle may stand, by the usual guidelines for captions
LONGEST_CHARACTERS = 84  # two lines of 42

Span = tuple[float, float]
"""Start and end in seconds."""


def readable(answer: Answer) -> list[Row]:
    """Rows to be read one by one, ordered by person and start: the answer's own, or means of its frames over phrases.

    Frames of which nothing is predicted are left out of a mean. Its spread is the mean of the frames' spreads: members
    that are wrong together stay wrong together.
    """
    if not answer.frames:
        return list(answer.rows)
    spans, out = spans_of(answer.words, answer.duration_s), []
    for _, of_person in groupby(answer.rows, key=lambda row: row.person):
        rows = list(of_person)
        middles_s = np.array([(row.start_s + row.end_s) / 2 for row in rows])
        edges = np.searchsorted(middles_s, np.reshape(spans, (-1, 2))).tolist()
        out += [_mean(rows[first:last], span) for (first, last), span in zip(edges, spans) if last > first]
    return out


def _mean(rows: Sequence[Row], span: Span) -> Row:
    predicted = [row for row in rows if np.isfinite(row.values).all()] or rows[:1]
    values, spread = (np.mean([getattr(row, name) for row in predicted], axis=0) for name in ("values", "spread"))
    observed = {name: float(np.mean([row.observed.get(name, 0.0) for row in rows])) for name in rows[0].observed}
    start_s, end_s = max(span[0], rows[0].start_s), min(span[1], rows[-1].end_s)
    return Row(rows[0].person, start_s, end_s, values, spread, observed)


def apart(rows: Sequence[Row]) -> list[Row]:
    """The rows of one person, by start, shown so that none covers another: two that overlap meet halfway."""
    out: list[Row] = []
    for row in rows:
        if out and (before := out[-1]).end_s > row.start_s:
            middle_s = max(before.start_s, (row.start_s + min(before.end_s, row.end_s)) / 2)
            out[-1], row = replace(before, end_s=middle_s), replace(row, start_s=middle_s)
        if row.end_s > row.start_s:
            out.append(row)
    return [row for row in out if row.end_s > row.start_s]


class Said:
    """The words of a recording, to ask what is said within a stretch of time, whoever says it."""

    def __init__(self, words: Sequence[Spoken]):
        self.words = sorted(words, key=lambda word: word.start_s)
        self._start_s = np.array([word.start_s for word in self.words])
        self._ended_s = np.maximum.accumulate([word.end_s for word in self.words]) if self.words else self._start_s

    def within(self, start_s: float, end_s: float) -> str:
        """The words of which some is said within ``[start_s, end_s)``."""
        first = int(np.searchsorted(self._ended_s, start_s, side="right"))
        last = int(np.searchsorted(self._start_s, end_s, side="left"))
        return " ".join(word.word for word in self.words[first:last] if word.end_s > start_s)


def phrases(words: Sequence[Spoken]) -> Iterator[list[Spoken]]:
    """Words by start, cut at pauses, and what then is too long for a subtitle into parts of about one length."""
    for run in _runs(sorted(words, key=lambda word: word.start_s)):
        begin_s, length_s = run[0].start_s, run[-1].end_s - run[0].start_s
        characters = sum(len(word.word) + 1 for word in run)
        parts = math.ceil(max(length_s / LONGEST_S, characters / LONGEST_CHARACTERS))
        for _, part in groupby(run, key=lambda word: int(parts * (word.start_s - begin_s) / max(length_s, 1e-9))):
            yield list(part)


def _runs(words: Sequence[Spoken]) -> Iterator[list[Spoken]]:
    run: list[Spoken] = []
    for word in words:
        if run and word.start_s - run[-1].end_s > PAUSE_S:
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def spans_of(words: Sequence[Spoken], duration_s: float) -> list[Span]:
    """A recording cut into phrases and, where nothing is said, equal pieces; short silence belongs to what follows."""
    out: list[Span] = []
    at_s = 0.0
    for phrase in phrases(words):
        start_s, end_s = max(phrase[0].start_s, at_s), min(phrase[-1].end_s, duration_s)
        if end_s <= start_s:
            continue
        if start_s - at_s > PAUSE_S:
            out += _pieces(at_s, start_s)
        else:
            start_s = at_s
        out.append((start_s, end_s))
        at_s = end_s
    return out + _pieces(at_s, duration_s)


def _pieces(start_s: float, end_s: float) -> list[Span]:
    count = math.ceil((end_s - start_s) / LONGEST_S - 1e-9)
    edges = np.linspace(start_s, end_s, count + 1).tolist() if count > 0 else []
    return list(pairwise(edges))
