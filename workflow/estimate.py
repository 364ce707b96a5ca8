"""What a run on a corpus would cost, as configured: hours of cores and of a GPU, disk and memory. An estimate.

It multiplies how much there is by rates that ``python -m benchmarks.rates`` measured on one core and on one GPU and
wrote into rates.json. Networks are taken to be of base size, 12 layers of 768; those of demonstrations have no price.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from models.options import MODALITIES, TrainingOptions
from pipeline.features.registry import EXTRACTORS

if TYPE_CHECKING:
    from pipeline.records import Assignment, Unit
    from workflow.entries import ExtractorEntry
    from workflow.planned import Planned

WORDS_PER_S = 2.5  # words in a second of speech, as in IEMOCAP
FRAMES_PER_S = 30  # frame rate of a video whose every frame is looked at
OPENED = 24  # recordings that are asked for their length, those first whose segments do not say it
STATES = 13  # layers that a network of base size gives, the embedding below the first among them
PATIENCES = 3  # training ends after about so many times stop_patience


@dataclass(frozen=True)
class Volume:
    """Seconds of all recordings of a corpus, of its segments, and of those that train or select a model of a fold."""

    recordings_s: float
    segments_s: float
    trained_s: float  # the mean over folds


class Cost(NamedTuple):
    """Seconds of a core, or in their place of a GPU (None: not known), bytes of disk, and memory of one job in MB."""

    stage: str
    core_s: float | None
    gpu_s: float | None
    disk_b: float
    memory_mb: float


@cache
def rates() -> dict:
    """What was measured: of ``core`` and ``gpu`` the machine and seconds; ``bytes`` and ``memory_mb`` of stages."""
    return json.loads(Path(__file__).with_name("rates.json").read_text(encoding="utf-8"))


def trained(split: Sequence["Assignment"]) -> list["Assignment"]:
    """What trains or selects a model, of all folds."""
    return [row for row in split if row.part in ("training", "development")]


def volume(planned: "Planned", split: Sequence["Assignment"]) -> Volume:
    """How much there is of a corpus; where segments do not tell how long recordings are, some are opened."""
    index = planned.index
    ends_s = {unit.unit_id: 0.0 for unit in index.units}
    for segment in index.segments:
        ends_s[segment.unit_id] = max(ends_s[segment.unit_id], segment.end_s)
    if unknown := [unit.unit_id for unit in index.units if isinf(ends_s[unit.unit_id])]:
        lengths = [lasts_s for unit_id, lasts_s in lengths_s(planned).items() if unit_id in unknown]
        ends_s |= dict.fromkeys(unknown, sum(lengths) / max(1, len(lengths)))
    lasts_s = {s.segment_id: max(0.0, min(s.end_s, ends_s[s.unit_id]) - s.start_s) for s in index.segments}
    trained_s = sum(lasts_s[row.segment_id] for row in trained(split))
    return Volume(sum(ends_s.values()), sum(lasts_s.values()), trained_s / planned.folds if split else 0.0)


@cache
def lengths_s(planned: "Planned") -> dict[str, float]:
    """How long some recordings are, by unit: of OPENED at most, those that can be read."""
    units = [unit for unit in planned.index.units if unit.video or unit.audio]
    open_ended = {segment.unit_id for segment in planned.index.segments if isinf(segment.end_s)}
    some = _evenly([unit for unit in units if unit.unit_id in open_ended], OPENED)
    some += _evenly([unit for unit in units if unit.unit_id not in open_ended], OPENED - len(some))
    found = {unit.unit_id: length_s(Path(planned.root), unit.video or unit.audio) for unit in some}
    return {unit_id: lasts_s for unit_id, lasts_s in found.items() if lasts_s}


def _evenly(units: list["Unit"], count: int) -> list["Unit"]:
    """At most so many, from the first to the last."""
    return units[:: -(-len(units) // count)] if units and count else []


def length_s(root: Path, file: str | None) -> float | None:
    """How long a recording is by its header; None where that says nothing or cannot be read."""
    import av

    try:
        with av.open(str((root / (file or "")).absolute())) as container:  # see open_media
            return container.duration / 1e6 if container.duration else None
    except (OSError, ValueError):  # what PyAV raises is of one kind or the other
        return None


def costs(planned: "Planned", much: Volume) -> list[Cost]:
    """What each stage takes that a report on the corpus needs."""
    options, read = planned.options, planned.options.read
    pictures = much.segments_s * (options.faces.sample_rate_hz or FRAMES_PER_S)
    amounts = {"audio": much.segments_s, "video": pictures, "text": much.segments_s * WORDS_PER_S}
    extracted = {name: entry for name, entry in read.items() if not (entry.imported or entry.joined)}
    looked_at = {entry.modality for entry in extracted.values()}
    found = []
    if "video" in looked_at:
        found.append(_cost("faces", {"decoding": much.recordings_s, "faces": pictures}, pictures))
    if "audio" in looked_at or options.recogniser.enabled:
        found.append(_cost("audio", {"audio": much.segments_s}, much.segments_s))
    if options.recogniser.enabled and "text" in looked_at:
        found.append(_cost("words", {options.recogniser.kind: much.segments_s}))
    demonstration = planned.settings.demonstration
    features = [_features(name, e, amounts[e.modality], demonstration) for name, e in extracted.items()]
    held_mb = min(sum(cost.disk_b for cost in features) / 1e6, 1000 * options.training.memory_budget_gb)
    runs = [_training(planned, much, published) for published in (False, True)] if much.trained_s else []
    return [*found, *features, *(cost._replace(memory_mb=cost.memory_mb + held_mb) for cost in runs if cost.disk_b)]


def _cost(stage: str, work: dict[str, float], makes: float = 0.0) -> Cost:
    """Price amounts of work, on a core and on a GPU as far as each was measured at all of it."""

    def priced(where: str) -> float | None:
        seconds = rates().get(where, {"seconds": {}})["seconds"]
        return sum(seconds[kind] * amount for kind, amount in work.items()) if work.keys() <= seconds.keys() else None

    of_stage = rates()["bytes"].get(stage, 0.0) * makes
    memory_mb = max(rates()["memory_mb"].get(kind, 0.0) for kind in (stage, *work))
    return Cost(stage, priced("core"), priced("gpu"), of_stage, memory_mb)


def _features(name: str, entry: "ExtractorEntry", amount: float, demonstration: bool) -> Cost:
    """A feature store of so many seconds of sound, pictures or words."""
    small = demonstration and bool(entry.weights)
    cost = _cost(name, {"a demonstration's network" if small else entry.extractor: amount})
    made = EXTRACTORS.options_for(entry.extractor, entry.options)  # with the extractor's own defaults
    pool_s, named = getattr(made, "pool_s", None), getattr(made, "layers", "last")
    beside = STATES if named == "all" else len(named) if isinstance(named, list) else 1
    wide = beside if getattr(made, "combine", None) in ("concat", "keep") else 1
    half = 0.5 if getattr(made, "dtype", None) == "float16" else 1.0
    pooled = 0.02 / pool_s if pool_s else 1.0
    return cost._replace(disk_b=rates()["bytes"].get(entry.extractor, 0.0) * amount * pooled * wide * half)


def epochs_of(training: TrainingOptions) -> int:
    """How many epochs a training is priced at."""
    return min(training.epochs, PATIENCES * training.stop_patience)


def _training(planned: "Planned", much: Volume, published: bool) -> Cost:
    """Every run on each fold from each seed with each learning rate; of published models, or of others.

    Of the learning rates of a seed one network is kept.
    """
    settings, kept, work = planned.settings, 0, defaultdict[str, float](float)
    for run in settings.options.planned_runs.values():
        model = settings.models[run.model]
        if model.faithful != published:
            continue
        own = settings.options.training.for_network(model)
        networks = planned.folds * len(own.seeds)
        share = len(run.inputs) / len(MODALITIES)
        windows = own.window / own.window_hop if settings.task.frames else 1.0
        passes = (1 + model.context) * (len(settings.task.targets) if model.separate_targets else 1)
        kind = f"{settings.task.level}, {model.fusion}{', as published' if model.faithful else ''}"
        kept += networks
        work["a demonstration's network" if planned.settings.demonstration else kind] += (
            networks * len(own.learning_rates) * epochs_of(own) * much.trained_s * share * windows * passes
        )
    cost = _cost("training", dict(work), kept)
    return cost._replace(stage="training, as published") if published else cost


def total(found: list[Cost], cores: int, gpu: bool) -> float | None:
    """Seconds on the clock of all stages of known rate, one after the other; None where a GPU has no use."""
    known = [cost for cost in found if cost.core_s is not None or (gpu and cost.gpu_s is not None)]
    if gpu and all(cost.gpu_s is None for cost in known):
        return None
    return sum(cost.gpu_s if gpu and cost.gpu_s is not None else (cost.core_s or 0.0) / cores for cost in known)


def hours(seconds: float | None) -> str:
    """Seconds as hours in two digits, or a dash."""
    return "–" if seconds is None else f"{seconds / 3600:.2g}" if seconds < 36e4 else f"{seconds / 3600:,.0f}"


def cells(cost: Cost) -> tuple[str, ...]:
    """A cost as a table has it: the stage, hours of cores, hours of a GPU, GB of disk, GB of memory of a job."""
    return cost.stage, hours(cost.core_s), hours(cost.gpu_s), f"{cost.disk_b / 1e9:.2g}", f"{cost.memory_mb / 1e3:.1f}"
