"""Forced alignment files (``.wdseg``): word times of one turn in frames of 10 ms."""

import re

from pipeline.records import InputError, Word
from pipeline.timebase import alignment_range_s

SOURCE = "forced_alignment"
_FILLER = re.compile(r"<.*>|\+.*\+|\[.*\]")
_PRONUNCIATION = re.compile(r"\(\d+\)$")


def spoken(entry: str) -> str | None:
    """The word of a dictionary entry: ``what`` of ``WHAT(2)``; ``None`` of ``<sil>``, ``++LAUGHTER++``, ``[NOISE]``."""
    return None if _FILLER.fullmatch(entry) else _PRONUNCIATION.sub("", entry).lower() or None


def parse_alignment(text: str, start_s: float, segment_id: str | None = None) -> list[Word]:
    """Words of a ``.wdseg`` file, whose frames count from the start of the turn at ``start_s``.

    Columns ``SFrm EFrm SegAScr Word``; both frames are included; the last line is ``Total score: ...``. Raises
    InputError for another layout and for a file without its last line, which was cut off.
    """
    words = []
    whole = False
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if not fields or fields[0] == "SFrm":
            continue
        if fields[0] == "Total":
            whole = True
            continue
        try:
            first, last, _ = (int(f) for f in fields[:3])
            (entry,) = fields[3:]
        except ValueError:
            raise InputError(f"line {number}: {line.strip()!r} is not 'SFrm EFrm SegAScr Word'") from None
        if not 0 <= first <= last:
            raise InputError(f"line {number}: frames {first} to {last} are not a range")
        word = spoken(entry)
        if word:
            begin_s, end_s = alignment_range_s(first, last)
            words.append(Word(word, start_s + begin_s, start_s + end_s, SOURCE, segment_id))
    if not whole:
        raise InputError("the line 'Total score' is missing, so the file was cut off")
    return words
