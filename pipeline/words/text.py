"""Text to words: what counts as a word in any script, and words spread over a stretch of time.

Chinese and Japanese are written without spaces: there each character is a word, and a run of katakana is one. So is a
run of Thai, Lao, Khmer or Burmese between two spaces; who knows their words separates them by spaces or U+200B.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

import regex

from pipeline.records import Word

# Sounds that are not words: [LAUGHTER], (sighs), <laugh>, {noise}, in East Asian brackets too.
_REMARK = regex.compile(
    r"\[[^\]]*\]|\([^)]*\)|</?\w[^<>]*>|\{[^}]*\}|（[^）]*）|［[^］]*］|【[^】]*】|〔[^〕]*〕|〈[^〉]*〉"
)
_UNSEEN = regex.compile(r"[\u00ad\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")  # hyphens, directions
_SPACE = regex.compile(r"\s")
_SAME = str.maketrans({"’": "'", "‘": "'", "＇": "'", "‐": "-", "‑": "-"})
_LETTER = r"[[\p{L}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}]]"
_REST = r"(?:[\u200c\u200d]?[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}]])*"
_WORD = regex.compile(
    rf"[\p{{Han}}\p{{Hiragana}}]\p{{M}}*|\p{{Katakana}}[\p{{Katakana}}ーｰ\p{{M}}]*|{_LETTER}{_REST}(?:['-]{_LETTER}{_REST})*",
    regex.VERSION1,
)


def spell(text: str) -> list[tuple[str, str]]:
    """Each word of a text as it is spoken, in lower case, and as it is written, with its case and its punctuation.

    Bracketed remarks are neither; vowel signs stay in words. What stands between two words belongs to the first, from
    its last space on to the second.
    """
    text = _UNSEEN.sub("", unicodedata.normalize("NFC", text)).translate(_SAME)
    text = _SPACE.sub(" ", _REMARK.sub(lambda remark: " " * len(remark[0]), text))
    words = list(_WORD.finditer(text.replace("İ", "i").lower()))  # letter by letter as long as the text
    found, begin = [], 0
    for word, following in zip(words, [*words[1:], None]):
        end = following.start() if following else len(text)
        if following and (space := text.rfind(" ", word.end(), end)) >= 0:
            end = space
        found.append((word[0], " ".join(text[begin:end].split())))
        begin = end
    return found


def as_written(words: Sequence[Word], text: str) -> list[Word]:
    """The words with what a text of them says of case and punctuation, where both have the same words in a row."""
    spelled, found = spell(text), list(words)
    same = SequenceMatcher(None, [word.word for word in words], [spoken for spoken, _ in spelled], autojunk=False)
    for a, b, size in same.get_matching_blocks():
        for k in range(size):
            found[a + k] = replace(found[a + k], written=_unless_same(*spelled[b + k]))
    return found


def _unless_same(spoken: str, written: str) -> str | None:
    return None if written == spoken else written


def spread(text: str, start_s: float, end_s: float, source: str, segment_id: str | None = None) -> list[Word]:
    """Place the words of ``text`` one after the other over ``[start_s, end_s)``, each in proportion to its letters."""
    words = spell(text)
    letters = sum(len(word) for word, _ in words)
    placed, before = [], 0
    for word, written in words:
        after = before + len(word)
        begin_s, stop_s = (start_s + (end_s - start_s) * n / letters for n in (before, after))
        placed.append(Word(word, begin_s, stop_s, source, segment_id, written=_unless_same(word, written)))
        before = after
    return placed
