"""What an answer says in stretches that people can read: turns and windows as they are, frames as means over phrases.

A phrase is what is said between two pauses, cut evenly where it would not fit into two lines of a subtitle.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import TypeVar

import numpy as np

from models.apply.answer import Answer, Row, Spoken
from pipeline.spoken import Times

PAUSE_S = 0.7  # silence that ends a phrase
TOUCHING_S = 1e-3  # rows this near to each other have no gap between them
LONGEST_S = 6.0  # how long a subtitle may stand, by the usual guidelines for captions
LONGEST_CHARACTERS = 84  # two lines of 42

Timed = TypeVar("Timed", Row, Spoken)
Span = tuple[float, float]
"""Start and end in seconds."""


def readable(answer: Answer) -> list[Row]:
    """Rows to be read one by one, ordered by person and start: the answer's own, or means of its frames over phrases.

    A phrase is cut where there are no frames. Frames of which nothing is predicted are left out of a mean. Its spread
    is the mean of the frames' spreads: members that are wrong together stay wrong together.
    """
    if not answer.frames:
        return list(answer.rows)
    spans, out = spans_of(answer.words, answer.duration_s), []
    for _, rows in shown(answer.rows):
        middles_s = np.array([(row.start_s + row.end_s) / 2 for row in rows])
        edges = np.searchsorted(middles_s, np.reshape(spans, (-1, 2))).tolist()
        for (first, last), span in zip(edges, spans):
            out += [_mean(run, span) for run in _runs(rows[first:last], TOUCHING_S)]
    return out


def _mean(rows: Sequence[Row], span: Span) -> Row:
    predicted = [row for row in rows if np.isfinite(row.values).all()] or rows[:1]
    values, spread = (np.mean([getattr(row, name) for row in predicted], axis=0) for name in ("values", "spread"))
    observed = {name: float(np.mean([row.observed.get(name, 0.0) for row in rows])) for name in rows[0].observed}
    start_s, end_s = max(span[0], rows[0].start_s), min(span[1], rows[-1].end_s)
    segment_ids = frozenset[str]().union(*(row.segment_ids for row in rows))
    return Row(rows[0].person, start_s, end_s, values, spread, observed, segment_ids)


def shown(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Each person of rows that are ordered by person, and what is shown of them one after the other."""
    for person, own in groupby(rows, key=lambda row: row.person):
        yield person, apart(list(own))


def apart(rows: Sequence[Row]) -> list[Row]:
    """The rows of one person, by start, cut so that at no time there are two, and at none is none that had one.

    Of a row within another the longer one goes on after it; two that overlap otherwise meet halfway. Of two of the
    same time, such as a frame of two segments, the later one is shown; one of no length is not.
    """
    rows = sorted((row for row in rows if row.start_s < row.end_s), key=lambda row: (row.start_s, row.end_s))
    if all(before.end_s <= row.start_s for before, row in pairwise(rows)):
        return rows  # at once, for there are hours of frames
    starts_s = [row.start_s for row in rows]
    time_s = np.array([(row.start_s, row.end_s) for row in rows])
    for k, row in enumerate(rows):
        for later in range(k + 1, bisect_left(starts_s, row.end_s)):
            other = rows[later]
            if other.start_s > row.start_s and other.end_s > row.end_s:  # neither is within the other
                middle_s = (other.start_s + row.end_s) / 2
                time_s[k, 1] = min(time_s[k, 1], middle_s)
                time_s[later, 0] = max(time_s[later, 0], middle_s)
    edges_s = np.unique(time_s)
    cells, top = np.searchsorted(edges_s, time_s), np.full(len(edges_s), -1)
    for k in sorted(range(len(rows)), key=lambda k: rows[k].start_s - rows[k].end_s):  # the longest at the bottom
        top[cells[k, 0] : cells[k, 1]] = k
    return [
        replace(rows[top[first]], start_s=float(edges_s[first]), end_s=float(edges_s[last]))
        for first, last in pairwise(np.flatnonzero(np.diff(top, prepend=-1)))
        if top[first] >= 0
    ]


class Said:
    """Look up the words spoken in a time range."""

    def __init__(self, words: Sequence[Spoken]):
        self.words = sorted(words, key=lambda word: word.start_s)
        self._times = Times([(word.start_s, word.end_s) for word in self.words])

    def within(self, row: Row) -> str:
        """The words of a row of which some is said within it."""
        near = self.words[self._times.near(row.start_s, row.end_s)]
        own = (word for word in near if word.end_s > row.start_s and row.reads(word))
        return " ".join(word.word for word in own)


def phrases(words: Sequence[Spoken]) -> Iterator[list[Spoken]]:
    """Words by start, cut at pauses, and what then is too long for a subtitle into parts of about one length."""
    for run in _runs(sorted(words, key=lambda word: word.start_s), PAUSE_S):
        begin_s, length_s = run[0].start_s, run[-1].end_s - run[0].start_s
        characters = sum(len(word.word) + 1 for word in run)
        parts = math.ceil(max(length_s / LONGEST_S, characters / LONGEST_CHARACTERS))
        for _, part in groupby(run, key=lambda word: int(parts * (word.start_s - begin_s) / max(length_s, 1e-9))):
            yield list(part)


def _runs(all_of: Sequence[Timed], gap_s: float) -> Iterator[list[Timed]]:
    """What follows each other without a longer gap."""
    run: list[Timed] = []
    for one in all_of:
        if run and one.start_s - run[-1].end_s > gap_s:
            yield run
            run = []
        run.append(one)
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
