"""The prediction of one recording as one picture: words, faces and curves of everybody on one time axis."""

import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.apply.answer import Answer
from models.apply.outputs import curves, wording
from models.apply.outputs.curves import LIGHT, Track
from models.apply.outputs.stretches import phrases
from models.report.writing import clock
from pipeline.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, DPI = 16.0, 120
LEFT_IN, RIGHT_IN, MARGIN_IN, GAP_IN, LINE_IN, AXIS_IN = 1.6, 0.4, 0.2, 0.07, 0.22, 0.45
HEIGHTS_IN = {"person": 0.3, "words": 0.75, "speech": 0.16, "face": 0.13, "best": 0.18, "class": 0.42, "number": 1.1}
WORD_IN = 0.085  # length of the axis for a word that stands upright
STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
INK, MUTED, RULE, FAINT = "#1b1e23", "#565d68", "#d9dce1", "#eceef1"
SPEECH = "#8b929d"
ALARM, ALARM_BACK = "#7a2e00", "#ffe9c9"
PLAIN: Any = {"text.parse_math": False, "font.family": "DejaVu Sans", "font.size": 9, "text.color": INK}


@dataclass(frozen=True)
class _Strip:
    kind: str  # a name of HEIGHTS_IN
    track: Track | None = None
    output: int = 0


def write_timeline(answer: Answer, path: Path) -> None:
    """Write the picture as PNG."""
    import matplotlib

    with matplotlib.rc_context(PLAIN), warnings.catch_warnings(), replacing(path) as temporary:
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # letters of names and words in other scripts
        figure(answer).savefig(temporary, dpi=DPI, facecolor="white")


def figure(answer: Answer) -> "Figure":
    """The picture as a matplotlib figure; its height follows from how many people and outputs there are."""
    from matplotlib.figure import Figure

    people = curves.tracks(answer)
    strips = list(_strips(answer, people))
    notes = [line for note in answer.notes for line in textwrap.wrap(note, 190)]
    head_in = 0.75 + LINE_IN * len(notes) + 0.4 * answer.demonstration
    height_in = head_in + sum(HEIGHTS_IN[strip.kind] + GAP_IN for strip in strips) + AXIS_IN
    made = Figure(figsize=(WIDTH_IN, height_in))
    _head(made, answer, notes, height_in)
    width = (WIDTH_IN - LEFT_IN - RIGHT_IN) / WIDTH_IN
    top_in, axes = height_in - head_in, None
    for strip in strips:
        top_in -= HEIGHTS_IN[strip.kind] + GAP_IN
        place = (LEFT_IN / WIDTH_IN, top_in / height_in, width, HEIGHTS_IN[strip.kind] / height_in)
        axes = made.add_axes(place)
        axes.set(xlim=(0, max(answer.duration_s, 1e-3)), ylim=(0, 1), yticks=[])
        axes.tick_params(bottom=False, labelbottom=False, length=0, labelsize=7, labelcolor=MUTED)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom" and strip.kind in ("class", "number"))
            spine.set_color(RULE)
        _draw(axes, strip, answer)
    if axes is not None:
        _time_axis(axes, answer.duration_s)
    return made


def _strips(answer: Answer, people: list[Track]) -> Iterator[_Strip]:
    if answer.words:
        room_in = (WIDTH_IN - LEFT_IN - RIGHT_IN) / len(answer.words)
        yield _Strip("words" if room_in > WORD_IN else "speech")
    for track in people:
        if len(people) > 1:
            yield _Strip("person", track)
        if track.seen_s is not None:
            yield _Strip("face", track)
        if track.best_s:
            yield _Strip("best", track)
        for output in range(len(answer.outputs)):
            yield _Strip("number" if answer.numbers else "class", track, output)
    if not people and not answer.words:
        yield _Strip("person")


def _head(made: "Figure", answer: Answer, notes: list[str], height_in: float) -> None:
    at_in, x = height_in - 0.32, MARGIN_IN / WIDTH_IN
    if answer.demonstration:
        box = {"facecolor": ALARM_BACK, "edgecolor": ALARM, "boxstyle": "square,pad=0.45", "linewidth": 1.5}
        warning = made.text(x + 0.005, at_in / height_in, wording.WARNING, bbox=box, size=11, va="center")
        warning.set(color=ALARM, weight="bold")
        at_in -= 0.45
    made.text(x, at_in / height_in, wording.title(answer), size=14, weight="bold", va="center")
    by = f"predicted by {answer.model}; bands: one standard deviation between its members"
    made.text(1 - RIGHT_IN / WIDTH_IN, at_in / height_in, by, ha="right", va="center", color=MUTED)
    for note in notes:
        at_in -= LINE_IN
        made.text(x, (at_in - 0.08) / height_in, note, va="center", color=MUTED)


def _draw(axes: "Axes", strip: _Strip, answer: Answer) -> None:
    track = strip.track
    if strip.kind == "person":
        text = track.person if track else "nothing was predicted"
        axes.text(0, 0.1, text, weight="bold", size=10, transform=axes.transAxes)
    elif strip.kind == "words":
        _label(axes, "words")
        for word in answer.words:
            middle_s = (word.start_s + word.end_s) / 2
            axes.text(middle_s, 0, _short(word.word), rotation=90, size=6.5, ha="center", va="bottom", clip_on=True)
    elif strip.kind == "speech":
        _label(axes, "words")
        _blocks(axes, np.array([(phrase[0].start_s, phrase[-1].end_s) for phrase in phrases(answer.words)]), SPEECH)
    elif strip.kind == "face":
        _label(axes, "face")
        _blocks(axes, track.seen_s, MUTED)
    elif strip.kind == "best":
        _label(axes, "strongest")
        for output, time_s in enumerate(track.best_s):
            _blocks(axes, time_s, LIGHT[output % len(LIGHT)])
    else:
        _curve(axes, track, strip.output, answer)


def _curve(axes: "Axes", track: Track, output: int, answer: Answer) -> None:
    low, high = wording.limits(answer, output)
    colour = LIGHT[output % len(LIGHT)]
    for part in curves.pieces(track, output):
        edges_s = np.append(track.time_s[part, 0], track.time_s[part.stop - 1, 1])
        values, spread = track.values[part, output], track.spread[part, output]
        axes.stairs(np.minimum(values + spread, high), edges_s, baseline=np.maximum(values - spread, low), fill=True,
                    color=colour, alpha=0.22, linewidth=0)  # fmt: skip
        axes.stairs(values, edges_s, baseline=None, color=colour, linewidth=1.3)
    if low < 0 < high:
        axes.axhline(0, color=MUTED, linewidth=0.6, linestyle=(0, (4, 3)))
    pad = 0.03 * (high - low)
    axes.set_ylim(low - pad, high + pad)
    axes.set_yticks([low, high], [wording.value_text(answer, output, value) for value in (low, high)])
    for text in axes.get_yticklabels():  # each beside its line
        text.set(verticalalignment="center")
    _label(axes, answer.outputs[output], colour)


def _label(axes: "Axes", text: str, colour: str = MUTED) -> None:
    at = (MARGIN_IN - LEFT_IN) / (WIDTH_IN - LEFT_IN - RIGHT_IN)
    axes.text(at, 0.5, _short(text, 18), color=colour, size=9, va="center", transform=axes.transAxes)


def _blocks(axes: "Axes", time_s: np.ndarray, colour: str) -> None:
    axes.set_facecolor(FAINT)
    axes.broken_barh([(start, end - start) for start, end in time_s], (0, 1), color=colour, linewidth=0)


def _short(text: str, most: int = 12) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _time_axis(axes: "Axes", duration_s: float) -> None:
    step_s = next((step for step in STEPS_S if duration_s / step <= 16), 7200)
    ticks = np.arange(0, duration_s + 1e-9, step_s)
    axes.set_xticks(ticks, [clock(tick, int(step_s < 1)) for tick in ticks])
    axes.tick_params(axis="x", bottom=True, labelbottom=True, length=4, labelsize=8, color=MUTED)
    axes.spines["bottom"].set_visible(True)
