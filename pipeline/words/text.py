"""Text to words: what counts as a word in any script, and words spread over a stretch of time.

Chinese and Japanese are written without spaces: there each character is a word, and a run of katakana is one. So is a
run of Thai, Lao, Khmer or Burmese between two spaces; who knows their words separates them by spaces or U+200B.
"""

import unicodedata

import regex

from pipeline.records import Word

# What is heard and not spoken: [LAUGHTER], (sighs), <laugh>, {noise}, in East Asian brackets too.
_REMARK = regex.compile(
    r"\[[^\]]*\]|\([^)]*\)|</?\w[^<>]*>|\{[^}]*\}|（[^）]*）|［[^］]*］|【[^】]*】|〔[^〕]*〕|〈[^〉]*〉"
)
_UNSEEN = regex.compile(r"[\u00ad\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")  # hyphens, directions
_SAME = str.maketrans({"’": "'", "‘": "'", "＇": "'", "‐": "-", "‑": "-", "İ": "i"})
_LETTER = r"[[\p{L}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}]]"
_REST = r"(?:[\u200c\u200d]?[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}]])*"
_WORD = regex.compile(
    rf"[\p{{Han}}\p{{Hiragana}}]\p{{M}}*|\p{{Katakana}}[\p{{Katakana}}ー\p{{M}}]*|{_LETTER}{_REST}(?:['-]{_LETTER}{_REST})*",
    regex.VERSION1,
)


def tokens(text: str) -> list[str]:
    """The spoken words of a text in lower case: no punctuation, no bracketed remarks; vowel signs stay in words."""
    text = _UNSEEN.sub("", unicodedata.normalize("NFC", text)).translate(_SAME)
    return _WORD.findall(_REMARK.sub(" ", text).lower())


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
