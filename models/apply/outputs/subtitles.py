"""Predictions as WebVTT subtitles: what is said, and under it what is predicted of whom."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from models.apply.answer import Answer, Row, Spoken
from models.apply.outputs.stretches import Span, phrases, readable, shown
from models.apply.outputs.wording import MARK, WARNING, headlines, several_people
from pipeline.files import replacing


@dataclass(frozen=True)
class Cue:
    """One subtitle: when it stands, the words, and a line for each person."""

    start_s: float
    end_s: float
    words: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines of the subtitle, unescaped."""
        return "\n".join([self.words, *self.lines] if self.words else self.lines)


def cues(answer: Answer) -> list[Cue]:
    """Subtitles by time: one for each row, or phrase of frames; a row of many words is followed phrase by phrase.

    Words of no row that is shown stand by themselves.
    """
    together: dict[Span, list[Row]] = defaultdict(list)
    for _, rows in shown(readable(answer)):
        for row in rows:
            together[row.start_s, row.end_s].append(row)
    words = sorted(answer.words, key=_middle_s)
    out, left, several = [], dict.fromkeys(words), several_people(answer)
    for (start_s, end_s), rows in sorted(together.items()):
        within = words[bisect_left(words, start_s, key=_middle_s) : bisect_left(words, end_s, key=_middle_s)]
        own = [word for word in within if any(row.reads(word) for row in rows)]
        for word in own:
            left.pop(word, None)
        lines = tuple(_line(answer, row, several) for row in rows)
        out += [Cue(a, b, text, lines) for a, b, text in _followed(own, start_s, end_s)]
    out += [Cue(part[0].start_s, max(word.end_s for word in part), _text(part), ()) for part in phrases(list(left))]
    return sorted(out, key=lambda cue: (cue.start_s, cue.end_s))


def _line(answer: Answer, row: Row, several: bool) -> str:
    whose = f"{_one_line(row.person)}: " if several else ""
    mark = f" ({MARK})" if answer.demonstration else ""
    return f"{whose}{', '.join(headlines(answer, row.values))}{mark}"


def _middle_s(word: Spoken) -> float:
    return (word.start_s + word.end_s) / 2


def _followed(words: list[Spoken], start_s: float, end_s: float) -> Iterator[tuple[float, float, str]]:
    """A stretch cut where its phrases begin."""
    spoken = list(phrases(words))
    edges = [start_s, *(phrase[0].start_s for phrase in spoken[1:]), end_s]
    for a, b, phrase in zip(edges, edges[1:], spoken or [[]]):
        yield a, b, _text(phrase)


def _text(phrase: Sequence[Spoken]) -> str:
    return _one_line(" ".join(word.word for word in phrase))


def write_vtt(answer: Answer, path: Path) -> None:
    """Write subtitles as WebVTT, https://www.w3.org/TR/webvtt1/; a demonstration says so in each prediction."""
    head = ["WEBVTT", *([f"NOTE {WARNING}"] if answer.demonstration else [])]
    blocks = [f"{_stamp(cue.start_s)} --> {_stamp(cue.end_s)}\n{escape(cue.text, quote=False)}" for cue in cues(answer)]
    with replacing(path) as temporary:
        text = "\n\n".join([*head, *blocks]) + "\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _stamp(time_s: float) -> str:
    seconds, thousandths = divmod(round(max(0.0, time_s) * 1000), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{thousandths:03d}"


def _one_line(text: str) -> str:
    """Without what would end a subtitle: line ends."""
    return " ".join(text.split())
