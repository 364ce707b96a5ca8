"""Aff-Wild2 annotation files: one row of valence and arousal for each video frame, row i for frame i."""

import math

import numpy as np

from pipeline.corpora.frame_rows import FrameRows
from pipeline.corpora.tree import lines
from pipeline.records import InputError

COLUMNS = ("valence", "arousal")
UNLABELLED = -5.0


def parse_annotation(text: str) -> FrameRows:
    """Read the text of an annotation file; a row that cannot be used is invalid and keeps its place.

    A row is unlabelled if either column equals -5 as a number (``-5``, ``-5.0``, ``-5e0``). Rows with anything but
    two numbers, or outside [-1, 1], are invalid too, and a note says so. Raises InputError where the columns are not
    valence and arousal, because nobody knows then what the numbers below them are.
    """
    rows = lines(text.rstrip())
    if rows == [""]:
        raise InputError("the file is empty")
    names = [name.strip().lower() for name in rows[0].split(",")]
    notes = []
    if sorted(names) == sorted(COLUMNS):
        order = [names.index(c) for c in COLUMNS]
        first = 1
    elif _pair(rows[0], [0, 1]) is not None:
        order, first = [0, 1], 0
        notes.append("there is no header; the first line is the row of the first frame")
    else:
        raise InputError(f"the header is {rows[0][:60]!r}, expected 'valence,arousal'")
    values = np.zeros((len(rows) - first, 2), np.float32)
    valid = np.zeros(len(values), bool)
    unreadable, outside = [], []
    for i, line in enumerate(rows[first:]):
        pair = _pair(line, order)
        if pair is None:
            unreadable.append(i + first + 1)
        elif UNLABELLED in pair:
            pass
        elif not (-1 <= pair[0] <= 1 and -1 <= pair[1] <= 1):
            outside.append(i + first + 1)
        else:
            values[i], valid[i] = pair, True
    for bad, what in ((unreadable, "are not two numbers"), (outside, "lie outside [-1, 1]")):
        if bad:
            notes.append(f"{len(bad)} rows {what}, the first in line {bad[0]}: {rows[bad[0] - 1][:40]!r}")
    return FrameRows(values, valid, notes)


def _pair(line: str, order: list[int]) -> tuple[float, float] | None:
    fields = line.split(",")
    if len(fields) != 2:
        return None
    try:
        pair = float(fields[order[0]]), float(fields[order[1]])
    except ValueError:
        return None
    return pair if math.isfinite(pair[0]) and math.isfinite(pair[1]) else None
