"""Errors to look at: which test segments a run gets wrong, and their crops, words and sound where they were made.

Off unless asked for, because crops and sound are the corpus itself: ``python -m models examples`` chooses segments,
``python -m pipeline examples`` cuts what is shown of them, and the report shows ``tables/examples.jsonl`` if there.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import click

from pipeline.cli import FILE
from pipeline.records import InputError, read_table, write_table

SOUND_TYPES = ("audio/mpeg", "audio/wav")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test segment that a run gets wrong by the mean probabilities of its seeds."""

    segment_id: str
    run: str
    truth: str
    predicted: str
    confidence: float  # mean probability of the class predicted


def choose(table, run: str, at_most: int) -> list[Mistake]:
    """The surest mistakes of a run, at most one of a true class in turn; ``table`` as ``items.read_items`` gives it."""
    classes = [c.removeprefix("p_") for c in table if c.startswith("p_")]
    mean = table.groupby("segment_id")[[f"p_{c}" for c in classes]].mean()
    truth = table.groupby("segment_id")["label"].first()
    predicted, confidence = mean.idxmax(axis=1).str.removeprefix("p_"), mean.max(axis=1)
    found = [
        Mistake(i, run, truth[i], predicted[i], round(float(confidence[i]), 4))
        for i in confidence.sort_values(ascending=False, kind="stable").index
        if predicted[i] != truth[i]
    ]
    by_class: dict[str, list[Mistake]] = {}
    for mistake in found:
        by_class.setdefault(mistake.truth, []).append(mistake)
    turns = sorted(((k, -m.confidence, m) for of in by_class.values() for k, m in enumerate(of)), key=lambda x: x[:2])
    return [mistake for _, _, mistake in turns[:at_most]]


def examples(results) -> dict | None:
    """What was made of the chosen segments; None where nothing was. Raises InputError for what cannot be shown."""
    path, chosen = (results.folder / "tables" / name for name in ("examples.jsonl", "examples.tsv"))
    if not path.exists() or not chosen.exists():
        return None
    mistakes = {mistake.segment_id: mistake for mistake in read_table(chosen, Mistake)}
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        mistake = mistakes.get(item["segment_id"])
        if mistake is None:
            continue
        for key in ("jpeg", "sound"):
            base64.b64decode(item.get(key) or "", validate=True)  # goes into the page: nothing else may be in it
        if item.get("sound") and item.get("sound_type") not in SOUND_TYPES:
            raise InputError(f"{path}: sound of type {item.get('sound_type')!r}; allowed: {', '.join(SOUND_TYPES)}")
        about = {"truth": mistake.truth, "predicted": mistake.predicted, "confidence": mistake.confidence}
        out.append({"jpeg": None, "sound": None, "sound_type": None, "words": "", **item, **about})
    return {"run": mistakes[out[0]["segment_id"]].run, "items": out} if out else None


@click.command("examples")
@click.option("--results", "folder", required=True, type=click.Path(path_type=Path), help="results/<corpus>")
@click.option("--run", help="MODEL-MODALITIES; else the best by its development score")
@click.option("--count", default=12, show_default=True, type=click.IntRange(1), help="at most this many")
@click.option("--out", required=True, type=FILE, help="tables/examples.tsv")
def command(folder, run, count, out):
    """Choose a few test segments that a run gets wrong, to look at and listen to."""
    from models.report.gather import read
    from models.report.runs import in_order
    from models.report.sections.items import read_items
    from models.report.sections.scores import collect, ranking
    from models.settings import Settings

    settings = Settings.from_json(folder / "config.json")
    if settings.task.frames:
        raise InputError(
            f"{folder}: examples are segments that a run gets wrong, and task {settings.task} has frames; look at the "
            "traces in the report, or at `affectflow predict --overlay` of a recording"
        )
    results = read(folder, settings)
    scored = results.tables["scores"]
    if run is None:
        order = in_order(scored["run"], results.settings.runs)
        run = next(iter(ranking(collect(scored), order, results.settings.metric) or order), None)
    table = read_items(results, run) if run else None
    if table is None or not any(c.startswith("p_") for c in table):
        raise InputError(f"{folder}: no predictions of classes of {run or 'any run'} in every fold; train it first")
    write_table(out, choose(table, run, count), Mistake)
