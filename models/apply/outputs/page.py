"""The prediction as one HTML file that opens offline: the recording, curves with a cursor that runs with it, words."""

from html import escape
from pathlib import Path

import numpy as np

from models.apply.answer import Answer, Row
from models.apply.outputs import curves, wording
from models.apply.outputs.curves import Track
from models.apply.outputs.player import Player, player
from models.apply.outputs.stretches import Said, phrases, readable
from models.report.html import environment, script_digest
from models.report.writing import clock
from pipeline.files import replacing

NOTEBOOK_PX = 760
MADE = environment(Path(__file__).parent / "templates")


def write_page(answer: Answer, path: Path, drawn: Path | None = None) -> None:
    """Write the page; ``drawn`` is the overlay, if there is one, to play where browsers do not play the recording."""
    shown = player(answer.source, path.parent)
    if drawn and not shown.element:
        shown = player(drawn, path.parent)
    with replacing(path) as temporary:
        temporary.write_text(render(answer, shown), encoding="utf-8", errors="backslashreplace")


def html(answer: Answer) -> str:
    """The page in a frame of a notebook, without the recording: what ``_repr_html_`` returns."""
    text = render(answer, Player(reason="The page that affectflow predict writes has the recording beside the curves."))
    style = f"width: 100%; height: {NOTEBOOK_PX}px; border: 0"
    return f'<iframe title="{escape(wording.title(answer))}" style="{style}" srcdoc="{escape(text)}"></iframe>'


def render(answer: Answer, shown: Player) -> str:
    """The page; a content security policy allows its style and script alone, and no address but the recording's."""
    script, report, own = (MADE.loader.get_source(MADE, name)[0] for name in ("page.js", "report.css", "page.css"))
    style = report + _colours() + own
    people, spoken = curves.tracks(answer), Said(answer.words)
    limits = [wording.limits(answer, k) for k in range(len(answer.outputs))]
    turns = sorted(readable(answer), key=lambda row: (row.start_s, row.end_s))  # as a conversation runs
    return MADE.get_template("page.html.j2").render(
        answer=answer,
        shown=shown,
        people=[_person(answer, track, limits) for track in people],
        data=_data(answer, people),
        phrases=list(phrases(answer.words)),
        turns=[_turn(answer, row, spoken.within(row)) for row in turns],
        several=wording.several_people(answer),
        end_s=max(answer.duration_s, 1e-3),
        wording=wording,
        clock=clock,
        rows_per_step=max((track.rows_per_step for track in people), default=1),
        style=style,
        script=script,
        script_hash=script_digest(script),
    )


def _person(answer: Answer, track: Track, limits: list[tuple[float, float]]) -> dict:
    lanes = []
    for k, (name, (low, high)) in enumerate(zip(answer.outputs, limits)):
        line, band = curves.line_path(track, k, high), curves.band_path(track, k, low, high)
        zero = high if low < 0 < high else None
        lanes.append({"name": name, "low": low, "high": high, "line": line, "band": band, "zero": zero})
    best = [curves.blocks_path(time_s) for time_s in track.best_s]
    seen = None if track.seen_s is None else curves.blocks_path(track.seen_s)
    return {"name": track.person, "lanes": lanes, "best": best, "seen": seen}


def _data(answer: Answer, people: list[Track]) -> dict:
    """What the script reads: the steps of everybody."""
    steps = []
    for track in people:
        start, end, values, spread = map(_rounded, (*track.time_s.T, track.values, track.spread))
        steps.append({"person": track.person, "start": start, "end": end, "values": values, "spread": spread})
    signed = [wording.has_signs(answer, k) for k in range(len(answer.outputs))]
    return {"outputs": answer.outputs, "numbers": answer.numbers, "signed": signed, "steps": steps}


def _rounded(array: np.ndarray) -> list:
    """Four decimals; what is not a number becomes None, which JSON can hold."""
    return np.where(np.isfinite(array), np.round(array, 4), None).tolist()


def _turn(answer: Answer, row: Row, words: str) -> dict:
    best = None if answer.numbers else wording.winner(row.values)
    spread = row.spread if answer.numbers else row.spread[[] if best is None else [best]]
    texts = [wording.value_text(answer, k, row.values[k]) for k in range(len(answer.outputs))]
    return {
        "row": row,
        "best": best,
        "texts": texts,
        "headline": ", ".join(wording.headlines(answer, row.values)),
        "spread": max(spread[np.isfinite(spread)], default=None),
        "said": words,
    }


def _colours() -> str:
    """The colours of outputs as style variables, light and dark; paper is white."""
    light, dark = (
        "".join(f"--output-{k}: {colour};" for k, colour in enumerate(colours))
        for colours in (curves.LIGHT, curves.DARK)
    )
    return f":root {{{light}}}\n@media screen and (prefers-color-scheme: dark) {{ :root {{{dark}}} }}\n"
