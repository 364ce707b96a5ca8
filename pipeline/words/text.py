"""Text to words: what counts as a word, and words spread over a stretch of time."""

import re

from pipeline.records import Word

_REMARK = re.compile(r"\[[^\]]*\]")  # [LAUGHTER], [BREATHING]: heard, not spoken
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


def tokens(text: str) -> list[str]:
    """The spoken words of a text in lower case: no punctuation, no bracketed remarks."""
    return _WORD.findall(_REMARK.sub(" ", text.replace("’", "'")).lower())


def spread(text: str, start_s: float, end_s: float, source: str, segment_id: str | None = None) -> list[Word]:
    """Place the words of ``text`` one after the other over ``[start_s, end_s)``, each as long as it has letters."""
    words = tokens(text)
    letters = sum(map(len, words))
    placed, before = [], 0
    for word in words:
        after = before + len(word)
        begin_s, stop_s = (start_s + (end_s - start_s) * n / letters for n in (before, after))
        placed.append(Word(word, begin_s, stop_s, source, segment_id))
        before = after
    return placed
