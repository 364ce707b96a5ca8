"""The settings of each corpus from config.yaml: checked when the workflow starts, before any work.

``python -m workflow.settings`` writes workflow/schemas/config.schema.json, by which editors check and complete it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from models.evaluation.metrics import main_metric
from models.options import NetworkOptions
from models.task import Task
from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.registry import READERS, make
from pipeline.records import InputError
from workflow.demo import plan
from workflow.explain import Sources, explain
from workflow.fitting import Fitting
from workflow.modalities import modalities_of, without_unused
from workflow.options import Config, CorpusEntry, CorpusOptions, check_there
from workflow.overlay import patch, take_out
from workflow.trial import with_small_weights

Answer = TypeVar("Answer")
Table = TypeVar("Table", bound=BaseModel)
REPLACED = ("runs", "contrasts", "labels", "merge")
"""Keys that a corpus says wholly itself or not at all; the others are laid over the defaults key by key."""


class Unreadable(InputError):
    """A corpus whose tree cannot be read: the others can be worked on all the same."""


@dataclass(frozen=True)
class Resolved:
    """What holds for one corpus once its reader, its task and the scale are known."""

    name: str
    corpus: Corpus
    task: Task
    scale: Literal["research", "demo"]
    options: CorpusOptions
    models: dict[str, NetworkOptions]
    index: Index | None  # None: the generated corpus, which may not be there yet

    @property
    def synthetic(self) -> bool:
        """Whether there is no root: the corpus is generated."""
        return self.options.root is None

    @property
    def demonstration(self) -> bool:
        """Whether results mean nothing: small random checkpoints, and perhaps a synthetic corpus."""
        return self.scale == "demo"

    @property
    def labels(self) -> list[str]:
        """The classes of segments that are predicted; none listed: all that occur."""
        known = self.task.numbers or self.task.frames  # numbers have none, and those of frames stand in labels.h5
        return [] if known else self.options.labels or list(self.corpus.default_labels)

    @property
    def protocol(self) -> str:
        """How the corpus is split."""
        return self.options.protocol or self.corpus.protocols[0]


def check(config: dict, demo: dict | None = None) -> Config:
    """Validate a configuration, into which ``demo`` may be patched already.

    Raises InputError that names the key, what was given and what is allowed.
    """
    return _validate(Config, config, [(("demo",), demo or {})], ())


def names(config: dict) -> list[str]:
    """The corpora of a configuration, those left out by ``null`` not among them; raises InputError as ``check``."""
    return [name for name, entry in check(config).corpora.items() if entry is not None]


def resolve(config: dict, name: str, read: Callable[[Corpus, int | None], Index] | None = None) -> Resolved:
    """The settings of one corpus, with the demonstration's values in place where its scale is demo.

    ``read`` gives the tables of a corpus that has a root; defaults that it has no use for are then left out. Both
    scales are checked whichever is chosen: a trial of minutes finds a mistake that the research run would meet.
    """
    plain = check(config)
    trial = check(take_out(patch(config, plain.demo)), plain.demo)
    own = plain.corpora.get(name)
    if own is None:
        raise InputError(f"config.yaml: corpora.{name}: there is no such corpus; there are {', '.join(names(config))}")
    if own.get("reader") is None:
        known = ", ".join(READERS.names())
        raise InputError(f"config.yaml: corpora.{name}.reader: missing; one of {known}, module:Class or file.py:Class")
    place = ("corpora", name)
    entry = _validate(CorpusEntry, own, [(place, own)], place)
    synthetic = entry.root is None
    scale = ("demo" if synthetic else "research") if plain.scale == "auto" else plain.scale
    if scale == "research" and synthetic:
        raise InputError(
            f"config.yaml: scale is research, but corpora.{name}.root is null; set the root or scale: demo"
        )
    corpus = _open(name, entry)
    task = Task.parse(_read(corpus, lambda: corpus.task))
    given = {"research": _Given(name, task, plain, {}), "demo": _Given(name, task, trial, plain.demo)}
    index = None
    if not synthetic and read is not None:
        media_units = given[scale].options.media_units
        index = _read(corpus, lambda: read(corpus, media_units))
    found = {key: one.fitted(corpus, index) for key, one in given.items()}
    given_weights = {f"extractors.{store}": entry.weights for store, entry in found[scale].extractors.items()}
    for where, weights in {**given_weights, "recogniser": found[scale].recogniser.weights}.items():
        try:
            check_there(weights)
        except InputError as error:
            raise InputError(f"config.yaml: corpora.{name}.{where}: {error}") from None
    return Resolved(name, corpus, task, scale, found[scale], given[scale].config.models, index)


def _open(name: str, entry: CorpusEntry) -> Corpus:
    """The corpus of an entry; raises InputError for an unknown reader, and where it needs a root and has none."""
    try:
        READERS.load(entry.reader)
        if entry.root is None and entry.reader not in plan.UNITS:
            raise InputError("root: it is missing, and this reader has no synthetic corpus; give the folder")
        own = {key: value for key, value in (entry.model_extra or {}).items() if key not in CorpusOptions.model_fields}
        return make(name, entry.reader, entry.root or "", own, tuple(CorpusOptions.model_fields))
    except InputError as error:
        raise InputError(f"config.yaml: corpora.{name}: {error}") from None


def _read(corpus: Corpus, question: Callable[[], Answer]) -> Answer:
    """What a corpus's tree says; raises Unreadable with the file and the reason where it cannot be read."""
    try:
        return question()
    except InputError as error:
        raise Unreadable(str(error)) from None
    except OSError as error:
        raise Unreadable(
            f"{corpus.key}: {error.filename or corpus.root} cannot be read ({error.strerror or error}); see that it is "
            "there and that you may read it, or correct the root"
        ) from None


class _Given:
    """What the configuration says of one corpus at one scale."""

    def __init__(self, name: str, task: Task, config: Config, demo: dict):
        """Lay its own keys over the defaults of its task; raises InputError for a value that no key takes."""
        level = task.level
        self.config, self.demo = config, demo
        self.name, self.task = name, task
        self.own, defaults = config.corpora.get(name) or {}, config.defaults.get(level, {})
        merged = patch({k: v for k, v in defaults.items() if not (k in REPLACED and k in self.own)}, self.own)
        tests = merged.get("significance")
        if isinstance(tests, dict) and tests.get("metric") is None:
            merged["significance"] = {**tests, "metric": main_metric(task)}
        self.sources: Sources = [
            (("demo", "corpora", name), (demo.get("corpora") or {}).get(name) or {}),
            (("corpora", name), self.own),
            (("demo", "defaults", level), (demo.get("defaults") or {}).get(level) or {}),
            (("defaults", level), defaults),
        ]
        self.options = _validate(CorpusOptions, merged, self.sources, ("corpora", name))

    def fitted(self, corpus: Corpus, index: Index | None) -> CorpusOptions:
        """The options without what no run reads; raises InputError where they do not fit each other or the corpus."""
        present = None if index is None else modalities_of(index, self.options.recogniser.enabled)
        options = without_unused(self.options, self.own, self.config.models, self.task, present)
        if self.demo:
            options = with_small_weights(options)
        Fitting(options, self.config.models, corpus, index, self.sources).check()
        return options


def _validate(model: type[Table], given: dict, sources: Sources, fallback: tuple) -> Table:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        lines = dict.fromkeys(explain(item, model, given, sources, fallback) for item in error.errors())
        raise InputError("config.yaml cannot be used:\n  " + "\n  ".join(lines)) from None


def schema() -> dict:
    """JSON schema of config.yaml."""
    config = Config.model_json_schema()
    entry = CorpusOptions.model_json_schema()
    config["$defs"] |= {**entry.pop("$defs"), "CorpusOptions": {**entry, "required": ["reader"]}}
    partial_entry = {"anyOf": [{"$ref": "#/$defs/CorpusOptions"}, {"type": "null"}]}
    config["properties"]["corpora"]["additionalProperties"] = partial_entry
    return {**config, "additionalProperties": False}


if __name__ == "__main__":
    path = Path(__file__).parent / "schemas" / "config.schema.json"
    path.write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
