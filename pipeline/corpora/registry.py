"""Which corpus readers there are, by name: built in, from an installed package, or from a user's own file."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.corpora.base import Corpus
from pipeline.records import InputError
from pipeline.registry import Registry

READERS = Registry(
    "reader",
    Corpus,
    "affectflow.corpora",
    {
        "iemocap": "pipeline.corpora.iemocap:Iemocap",
        "affwild2": "pipeline.corpora.affwild2:AffWild2",
        "table": "pipeline.corpora.table:Table",
        "meld": "pipeline.corpora.meld:Meld",
        "cremad": "pipeline.corpora.cremad:CremaD",
        "ravdess": "pipeline.corpora.ravdess:Ravdess",
    },
)


def options_for(reader: str, options: dict):
    """The validated options of a reader; raises InputError naming each wrong key, its value, and all options."""
    table = READERS.load(reader).Options
    allowed = list(table.__dataclass_fields__)
    problems = [f"unknown key {key!r}" for key in options if key not in allowed]
    try:
        if not problems:
            return TypeAdapter(table).validate_python(options)
    except ValidationError as error:
        for each in error.errors():
            where = ".".join(map(str, each["loc"])) or "options"
            problems.append(f"{where}: {each['msg'].removeprefix('Value error, ')} (given {each['input']!r})")
    raise InputError(
        f"{'; '.join(problems)}. The keys of reader {reader} are: {', '.join(allowed) or 'none of its own'}"
    )


def make(name: str, reader: str, root: str | Path, options: dict | None = None) -> Corpus:
    """The corpus called ``name`` at ``root``; raises InputError for an unknown reader or option."""
    return READERS.load(reader)(name, root, options_for(reader, options or {}))
