"""What subtitle files show, made into what is said: markup taken away, times within a line used, repeated lines once.

WebVTT and SubRip are read alike, and as players read them: without numbers, hours or empty lines, with any mark before
the milliseconds. Automatic captions roll: every line is shown again while the next one is spoken, and once more by
itself for an instant.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from unicodedata import east_asian_width

_RUBY = re.compile(r"<r[tp][^>]*>.*?</r[tp]>", re.DOTALL | re.IGNORECASE)  # how a character is read, beside it
_TAG = re.compile(r"</?(?:[bisuvcp]|font|ruby|lang|span|em|strong)(?=[\s.>/])[^<>]*>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>|\\[Nnh]", re.IGNORECASE)
_OVERRIDE = re.compile(r"\{(?:\\[^}]*|[yYfFsScCpP]:[^}]*)\}")  # {\an8} of SubStation, {y:i} of MicroDVD
_CLOCK = r"((?:\d+:)?\d{1,2}:\d{1,2}(?:[.,]\d{1,3}|:\d{3})?)"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
_MEANT = re.compile(r"\s*-?\d[\d:.,]*\s*-+>")  # a line of times that is wrong
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>", re.IGNORECASE)
_NAME = r"[^\W\d_][^\s:：<>]*(?: [^\s:：<>]+){0,4}"  # a name of at most five words
_OPENING = r"(?:\s|<[^<>\d][^<>]*>|\{[^{}]*\}|[-–—»>]|&gt;)*"  # no time within a line
_NAMED = re.compile(rf"{_OPENING}(?P<name>{_NAME})(?:: +|：\s*)(?=\S)")
_STAMP = re.compile(r"<((?:\d+:)?\d{1,2}:\d{2}[.,]\d{3})>")
INSTANT_S = 0.05  # a caption shown for less only moves lines up
MAX_SHOWN = 200  # words
MIN_NAMED = 3  # captions, of which most begin with a name
A_LINE = 3  # words that nobody says twice by chance, whenever a caption ends


@dataclass(frozen=True, slots=True)
class Cue:
    """Text that is shown or said over ``[start_s, end_s)``: a line or a word."""

    text: str
    start_s: float
    end_s: float
    segment_id: str | None = None  # None: of everybody in the video
    speaker: str | None = None  # as the file names them


def read_captions(text: str) -> Iterator[tuple[int, Cue]]:
    """Each caption of a subtitle file with the number of its line of times; ValueError for times that are wrong."""
    lines = re.split(r"\r*\n|\r", text)
    found = [(n, match) for n, line in enumerate(lines) if (match := _TIMES.fullmatch(line))]
    wrong = [n for n, line in enumerate(lines) if _MEANT.match(line) and not _TIMES.fullmatch(line)]
    if wrong:
        raise ValueError(f"line {wrong[0] + 1}: {lines[wrong[0]].strip()!r} is not 'start --> end'")
    web = text.startswith("WEBVTT")
    for (n, match), following in zip(found, [*(n for n, _ in found[1:]), len(lines)]):
        shown = lines[n + 1 : following]
        if following < len(lines) and shown and shown[-1].strip().isdecimal():  # the number of the next one
            shown = shown[:-1]
        if web:  # an empty line ends it, and notes, styles and names may follow
            shown = shown[: next((i for i, line in enumerate(shown) if not line), None)]
        start_s, end_s = _seconds(match[1]), _seconds(match[2])
        yield n + 1, Cue("\n".join(shown).strip("\n"), start_s, end_s + INSTANT_S * (end_s == start_s))


def with_speakers(captions: Sequence[Cue]) -> list[Cue]:
    """Captions with who says each, by ``<v NAME>`` or by ``NAME:``, which is taken out, where most begin so."""
    lines = [[(line, _NAMED.match(line)) for line in caption.text.split("\n")] for caption in captions]
    distinct = {(match["name"], line) for own in lines for line, match in own if match}  # a line may be shown twice
    counts = Counter(name for name, _ in distinct)
    # "The point is: we won" is words; "Vincent van Gogh: hi" is told from it by coming again.
    known = {name for name, n in counts.items() if n > 1 or not any(word[0].islower() for word in name.split())}
    # "Warning: hot" on a later line is words; who speaks begins a caption some time, or is numbered as "Speaker 2".
    begin = {first["name"] for ((_, first), *_) in lines if first}
    begin.update(name for caption in captions for name in _VOICE.findall(caption.text))
    known = {name for name in known if name in begin or name[-1].isdigit()}
    begun = sum(first is not None and first["name"] in known for ((_, first), *_) in lines)
    if len(captions) < MIN_NAMED or 2 * begun <= len(captions):
        known = set()
    found = []
    for caption, own in zip(captions, lines):
        named = [(line, match if match and match["name"] in known else None) for line, match in own]
        names = [*_VOICE.findall(caption.text), *(match["name"] for _, match in named if match)]
        who = {html.unescape(name).strip() for name in names}
        text = "\n".join(line[match.end() :] if match else line for line, match in named)
        found.append(replace(caption, text=text, speaker=who.pop() if len(who) == 1 else None))
    return found


def plain(text: str) -> str:
    """The text that a player shows."""
    text = _OVERRIDE.sub("", _BREAK.sub("\n", _TAG.sub("", _RUBY.sub("", text))))
    return html.unescape(_STAMP.sub("", text))


def without_repeats(captions: Sequence[Cue], whole: bool = False) -> list[Cue]:
    """What is new in each caption, ``whole`` or by the times within it where it has some; in order of time."""
    captions = sorted(dict.fromkeys(captions), key=lambda c: (c.start_s, c.end_s))
    shown = [[_key(word) for word in plain(c.text).split()] for c in captions]
    repeated = _repeated(shown)
    if not _rolls(captions, shown, repeated):
        repeated = [0] * len(captions)
    overlaps = sum(a.end_s > b.start_s for a, b in pairwise(captions))
    found = []
    for i, (caption, known) in enumerate(zip(captions, repeated)):
        end_s = caption.end_s
        if overlaps > len(captions) / 2 and i + 1 < len(captions):  # a line stays while the next one is spoken
            end_s = min(end_s, max(captions[i + 1].start_s, caption.start_s + INSTANT_S))
        found += _pieces(caption, end_s, known, whole)
    return found


def _key(word: str) -> str:
    """The same for a word that was given a capital or a full stop only when its line had ended."""
    return re.sub(r"\W", "", word.casefold()) or word


def _repeated(shown: list[list[str]]) -> list[int]:
    """How many words at the beginning of each caption are those at the end of the one before."""
    counts = [0]
    for before, now in pairwise(shown):
        most = min(len(before), len(now), MAX_SHOWN)
        counts.append(next((n for n in range(most, 0, -1) if before[-n:] == now[:n]), 0))
    return counts[: len(shown)]


def _rolls(captions: list[Cue], shown: list[list[str]], repeated: list[int]) -> bool:
    """Whether most captions begin with what the one before showed, and not because somebody says the same again."""
    if 2 * sum(n > 0 for n in repeated) < len(captions) - 1:
        return False
    timed = any(_STAMP.search(c.text) for c in captions)
    instant = any(n and c.end_s - c.start_s < INSTANT_S for n, c in zip(repeated, captions))
    # Chinese and Japanese have no spaces: there each character counts.
    size = [sum(len(w) if east_asian_width(w[0]) == "W" else 1 for w in words[:n]) for n, words in zip(repeated, shown)]
    grows = len(captions) > 2 and any(s >= A_LINE and n < len(w) for s, n, w in zip(size, repeated, shown))
    return timed or instant or grows


def _pieces(caption: Cue, end_s: float, known: int, whole: bool) -> list[Cue]:
    """A caption without its first ``known`` words, cut at the times within it where it is not to stay ``whole``."""
    parts = _STAMP.split(caption.text)
    starts = [caption.start_s, *map(_seconds, parts[1::2])]
    if whole or sorted(starts) != starts or starts[-1] > max(end_s, caption.end_s):
        parts, starts = ["".join(parts[::2])], [caption.start_s]
    end_s = max(end_s, starts[-1] + INSTANT_S)
    pieces, words, begin_s = [], [], starts[0]
    for text, start_s, stop_s in zip(parts[::2], starts, [*starts[1:], end_s]):
        begin_s = begin_s if words else start_s
        these = plain(text).split()
        words += these[known:]
        known = max(0, known - len(these))
        if words and stop_s > begin_s:
            pieces.append(replace(caption, text=" ".join(words), start_s=begin_s, end_s=stop_s))
            words = []
    return pieces


def _seconds(text: str) -> float:
    whole = 0.0
    for part in re.sub(r",|:(?=\d{3}$)", ".", text).split(":"):
        whole = whole * 60 + float(part)
    return whole
