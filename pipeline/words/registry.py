"""Which recognisers there are, by name; :mod:`pipeline.registry` finds them."""

from pathlib import Path

from pipeline.devices import choose_device
from pipeline.digest import code
from pipeline.registry import Registry
from pipeline.weights import verify
from pipeline.words.base import Recogniser

NONE = "none"  # speech is not recognised
BUILT_IN = {
    "pocketsphinx": "pipeline.words.sphinx:Sphinx",
    "faster_whisper": "pipeline.words.faster_whisper:FasterWhisper",
    "transformers": "pipeline.words.transformer:Transformer",
}
RECOGNISERS = Registry("recogniser", "pipeline.words.base:Recogniser", "affectflow.recognisers", BUILT_IN)
STAGE = "pipeline.words.command:words"


def check(kind: str, options: dict, weights: str | None, beside: tuple[str, ...] = ()) -> None:
    """Raise InputError for an unknown recogniser or option, and for weights that are missing or of no use."""
    if kind == NONE:
        return
    RECOGNISERS.options_for(kind, options, beside)
    RECOGNISERS.check_weights(kind, weights)


def make(kind: str, options: dict, weights: Path | None = None, device: str = "auto") -> Recogniser:
    """Load a recogniser on the device, or on the processor where it cannot use another.

    Raises InputError for wrong options, and where its weights are missing, not as fetched, or cannot be used.
    """
    found, config = RECOGNISERS.load(kind), RECOGNISERS.options_for(kind, options)
    if weights and weights.is_dir():  # what is none, the recogniser says
        verify(weights)
    return found(config, weights, choose_device(device) if found.uses_gpu else "cpu")


def code_of(kind: str) -> str:
    """Digest of the sources that decide which words are found: the stage's, and the recogniser's where there is one."""
    return code(STAGE) if kind == NONE else RECOGNISERS.code_of(kind, STAGE)
