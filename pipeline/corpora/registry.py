"""Which corpus readers there are, by name: built in, from an installed package, or from a user's own file."""

from pathlib import Path
from pkgutil import iter_modules

from pipeline.corpora.base import Corpus
from pipeline.registry import Registry

# Each module in readers/ is one, called as the module is; its class is Reader.
BUILT_IN = {
    module.name: f"pipeline.corpora.readers.{module.name}:Reader"
    for module in iter_modules([str(Path(__file__).with_name("readers"))])
}
READERS = Registry("reader", "pipeline.corpora.base:Corpus", "affectflow.corpora", BUILT_IN, required={"title": ()})


def make(name: str, reader: str, root: str | Path, options: dict | None = None, beside: tuple[str, ...] = ()) -> Corpus:
    """The corpus called ``name`` at ``root``; raises InputError for an unknown reader or option.

    ``beside``: keys that stand in the same table of the configuration and belong to somebody else, for the message.
    """
    return READERS.load(reader)(name, root, READERS.options_for(reader, options, beside))
