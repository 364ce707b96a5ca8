"""The corpora by name; cheap to import, so that a workflow can list the units of one while it is parsed."""

import importlib
from pathlib import Path
from types import ModuleType

from pipeline.records import InputError

CORPORA = {"iemocap": "pipeline.corpora.iemocap", "affwild2": "pipeline.corpora.affwild2"}


def get(corpus: str) -> ModuleType:
    """The reader of a corpus: a module with ``list_units(root)`` and ``index(root)``; raises InputError for another."""
    if corpus not in CORPORA:
        raise InputError(f"corpus {corpus!r} is not one of {', '.join(CORPORA)}")
    return importlib.import_module(CORPORA[corpus])


def list_units(corpus: str, root: str | Path) -> list[str]:
    """The ids of all units of a corpus, sorted, from folder listings alone; the same as ``index`` writes."""
    return get(corpus).list_units(root)
