"""Replace large networks by small random ones at demo scale, so that a trial downloads nothing."""

from pipeline.features import registry
from pipeline.features.layers import for_small_network
from pipeline.records import InputError
from pipeline.weights import parse
from pipeline.words.registry import RECOGNISERS
from workflow.options import CorpusOptions, ExtractorEntry, RecogniserEntry


def with_small_weights(options: CorpusOptions) -> CorpusOptions:
    """The options of a corpus with small random checkpoints in place of those that are fetched, and a small recogniser.

    Weights of one's own, from a folder or a file, stay: they are there already.
    """
    extractors = {name: _small(entry) for name, entry in options.extractors.items()}
    return options.model_copy(update={"extractors": extractors, "recogniser": _instead(options.recogniser)})


def _instead(entry: RecogniserEntry) -> RecogniserEntry:
    try:
        other = RECOGNISERS.load(entry.kind).demonstration if _remote(entry.weights) else None
    except InputError:  # said when the entry itself is checked
        return entry
    return RecogniserEntry(kind=other) if other else entry


def _small(entry: ExtractorEntry) -> ExtractorEntry:
    try:
        small = registry.load(entry.extractor).demonstration_weights if _remote(entry.weights) else None
    except InputError:  # said when the entry itself is checked
        return entry
    return entry.model_copy(update={**for_small_network(entry.options), "weights": small}) if small else entry


def _remote(weights: str | None) -> bool:
    try:
        return bool(weights) and parse(weights).remote
    except (InputError, RuntimeError):  # said when the entry itself is checked
        return False
