"""Replace large networks by small random ones at demo scale, so that a trial downloads nothing."""

from collections.abc import Callable

from pipeline.features.layers import for_small_network
from pipeline.features.registry import EXTRACTORS
from pipeline.records import InputError
from pipeline.weights import parse
from pipeline.words.registry import RECOGNISERS
from workflow.entries import ExtractorEntry, RecogniserEntry
from workflow.options import CorpusOptions


def with_small_weights(options: CorpusOptions) -> CorpusOptions:
    """The options of a corpus with small random checkpoints in place of those that are fetched, and a small recogniser.

    Weights of one's own, from a folder or a file, stay: they are there already.
    """
    extractors = {name: _small(entry) for name, entry in options.extractors.items()}
    return options.model_copy(update={"extractors": extractors, "recogniser": _instead(options.recogniser)})


def _instead(entry: RecogniserEntry) -> RecogniserEntry:
    other = _of_plug(RECOGNISERS.load, entry.kind, "demonstration", entry.weights)
    return RecogniserEntry(kind=other) if other else entry


def _small(entry: ExtractorEntry) -> ExtractorEntry:
    small = _of_plug(EXTRACTORS.load, entry.extractor, "demonstration_weights", entry.weights)
    return entry.model_copy(update={**for_small_network(entry.options), "weights": small}) if small else entry


def _of_plug(load: Callable[[str], type], name: str, attribute: str, weights: str | None) -> str | None:
    """What a plug whose weights would be fetched has in its place; None where it has nothing, or cannot be used."""
    try:
        return getattr(load(name), attribute) if weights and parse(weights).remote else None
    except InputError:  # said when the entry itself is checked
        return None
