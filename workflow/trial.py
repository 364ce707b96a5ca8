"""What stands in for large networks where the scale is demo, so that a trial needs no download."""

from pipeline.features import registry
from pipeline.features.layers import for_small_network
from pipeline.records import InputError
from pipeline.weights import parse
from pipeline.words.registry import RECOGNISERS


def with_small_weights(entry: dict) -> dict:
    """A corpus's entry with small random checkpoints in place of those that are fetched, and a small recogniser.

    Weights of one's own, from a folder or a file, stay: they are there already.
    """
    extractors = {name: _small(one) for name, one in (entry.get("extractors") or {}).items()}
    return {**entry, "extractors": extractors, "recogniser": _instead(entry.get("recogniser") or {})}


def _instead(recogniser: dict) -> dict:
    if not _remote(recogniser.get("weights")):
        return recogniser
    try:
        other = RECOGNISERS.load(recogniser["kind"]).demonstration
    except (InputError, KeyError):  # said when the entry itself is checked
        return recogniser
    return {"kind": other} if other else recogniser


def _small(entry: dict) -> dict:
    if not isinstance(entry, dict) or not _remote(entry.get("weights")):
        return entry
    try:
        small = registry.load(entry["extractor"]).demonstration_weights
    except (InputError, KeyError):  # said when the entry itself is checked
        return entry
    return {**for_small_network(entry), "weights": small} if small else entry


def _remote(weights: str | None) -> bool:
    try:
        return bool(weights) and parse(weights).remote
    except (InputError, TypeError):  # said when the entry itself is checked
        return False
