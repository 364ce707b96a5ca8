"""Which corpus readers there are, by name: built in, from an installed package, or from a user's own file."""

from pathlib import Path

from pipeline.corpora.base import Corpus
from pipeline.registry import Registry

BUILT_IN = {
    "iemocap": "pipeline.corpora.iemocap:Iemocap",
    "affwild2": "pipeline.corpora.affwild2:AffWild2",
    "table": "pipeline.corpora.table:Table",
    "meld": "pipeline.corpora.meld:Meld",
    "cremad": "pipeline.corpora.cremad:CremaD",
    "ravdess": "pipeline.corpora.ravdess:Ravdess",
}
READERS = Registry(
    "reader",
    "pipeline.corpora.base:Corpus",
    "affectflow.corpora",
    BUILT_IN,
)


def make(name: str, reader: str, root: str | Path, options: dict | None = None, beside: tuple[str, ...] = ()) -> Corpus:
    """The corpus called ``name`` at ``root``; raises InputError for an unknown reader or option.

    ``beside``: keys that stand in the same table of the configuration and belong to somebody else, for the message.
    """
    return READERS.load(reader)(name, root, READERS.options_for(reader, options, beside))
