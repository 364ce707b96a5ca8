"""What stands in for large networks where the scale is demo, so that a trial needs no download."""

from pathlib import Path

from pipeline.features import registry
from pipeline.records import InputError
from pipeline.weights import parse
from pipeline.words.registry import RECOGNISERS


def with_small_weights(entry: dict) -> dict:
    """A corpus's entry with small random checkpoints in place of what must be fetched, and a small recogniser.

    Weights of one's own, from a folder or a file that is there, stay.
    """
    extractors = {name: _small(one) for name, one in (entry.get("extractors") or {}).items()}
    return {**entry, "extractors": extractors, "recogniser": _instead(entry.get("recogniser") or {})}


def _instead(recogniser: dict) -> dict:
    if not _from_hub(recogniser.get("weights")):
        return recogniser
    try:
        other = RECOGNISERS.load(recogniser["kind"]).demonstration
    except (InputError, KeyError):  # said when the entry itself is checked
        return recogniser
    return {"kind": other} if other else recogniser


def _small(entry: dict) -> dict:
    if not isinstance(entry, dict) or not _must_be_fetched(entry.get("weights")):
        return entry
    try:
        small = registry.load(entry["extractor"]).demonstration_weights
    except (InputError, KeyError):  # said when the entry itself is checked
        return entry
    return {**entry, "weights": small} if small else entry


def _from_hub(weights: str | None) -> bool:
    return _kind(weights) == "hub"


def _must_be_fetched(weights: str | None) -> bool:
    return _from_hub(weights) or (_kind(weights) == "path" and not Path(parse(weights).location).exists())


def _kind(weights: str | None) -> str | None:
    try:
        return parse(weights).kind if weights else None
    except (InputError, TypeError):  # said when the entry itself is checked
        return None
