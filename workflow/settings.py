"""The settings of each corpus, from config.yaml and what lies over it: checked before any work.

``python -m workflow.settings`` writes workflow/schemas/config.schema.json, by which editors check and complete it.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import getattr_static, getfile
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from models.evaluation.metrics import main_metric
from models.options import NetworkOptions
from models.task import Task
from pipeline.conformance import described
from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.registry import READERS, make
from pipeline.records import InputError
from pipeline.registry import option_of
from workflow.demo import plan
from workflow.entries import check_there
from workflow.explain import Places, Sources, explain
from workflow.fitting import Fitting
from workflow.modalities import modalities_of, without_unused
from workflow.options import Config, CorpusEntry, CorpusOptions
from workflow.overlay import Layers, patch, take_out
from workflow.trial import with_small_weights

Answer = TypeVar("Answer")
Table = TypeVar("Table", bound=BaseModel)
REPLACED = ("runs", "contrasts", "labels", "merge")
"""Keys that a corpus says wholly itself or not at all; the others are laid over the defaults key by key."""


class Unreadable(InputError):
    """A corpus whose files, or those of whose features, cannot be read: the others can be worked on all the same."""


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


@dataclass(frozen=True)
class Checked:
    """A configuration without mistakes of its own, as it stands and as a demonstration changes it."""

    plain: Config
    trial: Config
    layers: Layers  # the files of which it is made, where they are known


def check(config: dict, layers: Layers = ()) -> Checked:
    """Validate a configuration; raises InputError that names the file, the key, what was given and what is allowed."""
    entries = take_out(config)
    plain = _validate(Config, entries, Places(layers))
    trial = take_out(patch(entries, plain.demo))
    return Checked(plain, _validate(Config, trial, Places(layers, [(("demo",), plain.demo)])), layers)


def resolve(checked: Checked, name: str, read: Callable[[Corpus, int | None], Index] | None = None) -> Resolved:
    """The settings of one corpus, with the demonstration's values in place where its scale is demo.

    ``read`` gives the tables of a corpus that has a root; defaults that it has no use for are then left out. Both
    scales are checked whichever is chosen: a trial of minutes finds a mistake that the research run would meet.
    """
    plain, trial, layers = checked.plain, checked.trial, checked.layers
    own, places = plain.corpora[name] or {}, Places(layers, above=("corpora", name))
    if name not in trial.corpora:
        where = places.named(("demo", "corpora", name))
        raise InputError(f"{where}: null is no settings; take corpora.{name} out, or remove it")
    if own.get("reader") is None:
        known = ", ".join(READERS.names())
        raise InputError(f"{places('reader')}: missing; one of {known}, module:Class or file.py:Class")
    entry = _validate(CorpusEntry, own, places)
    synthetic = entry.root is None
    scale = ("demo" if synthetic else "research") if plain.scale == "auto" else plain.scale
    if scale == "research" and synthetic:
        where = places.named(("scale",))
        raise InputError(f"{where}: it is research, but corpora.{name}.root is null; set the root or scale: demo")
    opened = _open(name, entry, of_reader(own), places)
    given = {
        "research": _Given(entry, opened, plain, {}, layers),
        "demo": _Given(entry, opened, trial, plain.demo, layers),
    }
    chosen, index = given[scale], None
    if not synthetic and read is not None:
        index = _read(chosen.corpus, lambda: read(chosen.corpus, chosen.options.media_units))
    options = {which: one.fitted(index) for which, one in given.items()}[scale]
    chosen.check_there(options)
    return Resolved(name, chosen.corpus, chosen.task, scale, options, chosen.config.models, index)


def of_reader(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of a corpus's entry is an option of its reader."""
    return {key: value for key, value in entry.items() if key not in CorpusOptions.model_fields}


def _open(name: str, entry: CorpusEntry, given: dict, places: Places, keys: Collection[str] = ()) -> Corpus:
    """The corpus of an entry by a reader with the options ``given``, of which others than the entry say ``keys``.

    Raises InputError for an unknown reader or option, where it needs a root and has none, and where it lacks a task.
    """
    try:
        kind = READERS.load(entry.reader)
    except InputError as error:
        raise InputError(f"{places('reader')}: {error}") from None
    if entry.root is None and entry.reader not in plan.UNITS:
        raise InputError(f"{places('root')}: it is missing, and this reader has no synthetic corpus; give the folder")
    try:
        corpus = make(name, entry.reader, entry.root or "", given, tuple(CorpusOptions.model_fields))
    except InputError as error:
        where = ", ".join(map(places, option_of(error) or keys)) or places()
        raise InputError(f"{where}: {error}") from None
    except Exception as error:  # a plug is anybody's code
        raise _failed(name, kind, error) from None
    if getattr_static(corpus, "task", None) is None:  # of the class, or given when it is made
        raise InputError(f"{places('reader')}: reader {entry.reader!r}: set its attribute task")
    return corpus


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
    except Exception as error:  # a plug is anybody's code
        raise _failed(corpus.name, type(corpus), error) from None


def _task(corpus: Corpus, where: str) -> Task:
    """What a corpus is labelled with; raises InputError for what is no task, Unreadable where its tree must tell."""
    given = _read(corpus, lambda: corpus.task)
    try:
        return Task.parse(given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _failed(name: str, kind: type[Corpus], error: Exception) -> Unreadable:
    return Unreadable(
        f"corpora.{name}: its reader failed: {described(error, getfile(kind))}; correct the reader or what it read"
    )


class _Given:
    """What the configuration says of one corpus at one scale."""

    def __init__(self, entry: CorpusEntry, opened: Corpus, config: Config, demo: dict, layers: Layers):
        """Lay its own keys over the defaults of its task; raises InputError for a value that no key takes.

        ``opened`` is the corpus as its ``entry`` alone has it, which tells the task, and so whose defaults hold.
        """
        self.name, self.config, self.demo = opened.name, config, demo
        key = ("corpora", self.name)
        where = Places(layers).named(key)
        level = _task(opened, where).level
        self.own, defaults = config.corpora[self.name] or {}, config.defaults.get(level, {})
        merged = patch({k: v for k, v in defaults.items() if not (k in REPLACED and k in self.own)}, self.own)
        sources: Sources = [
            (("demo", *key), (demo.get("corpora") or {}).get(self.name) or {}),
            (key, self.own),
            (("demo", "defaults", level), (demo.get("defaults") or {}).get(level) or {}),
            (("defaults", level), defaults),
        ]
        self.places = Places(layers, sources, key)
        self.corpus = self._reopened(entry, opened, merged)
        self.task = _task(self.corpus, where)
        if self.task.level != level:
            raise InputError(
                f"{where}: by what defaults or demo tell its reader the task is {self.task}, for which other defaults "
                f"hold than for {opened.task}; say that in corpora.{self.name} itself"
            )
        tests = merged.get("significance")
        if isinstance(tests, dict) and tests.get("metric") is None:
            merged["significance"] = {**tests, "metric": main_metric(self.task)}
        self.options = _validate(CorpusOptions, merged, self.places)

    def _reopened(self, entry: CorpusEntry, opened: Corpus, merged: dict) -> Corpus:
        """The corpus with what defaults and demo tell its reader; raises InputError for what nobody but it may say."""
        for prefix, table in self.places.sources:
            for key in CorpusEntry.model_fields.keys() & table.keys() if prefix != self.places.above else ():
                problem = f"only corpora.{self.name} says its {key}; remove it here"
                said = json.dumps(table[key], default=str)
                raise InputError(f"{self.places.named((*prefix, key))}: {problem} (given: {said})")
        own, given = of_reader(entry.model_extra or {}), of_reader(merged)
        if changed := [key for key in given if key not in own or given[key] != own[key]]:
            return _open(self.name, entry, given, self.places, changed)
        return opened

    def fitted(self, index: Index | None) -> CorpusOptions:
        """The options without what no run reads; raises InputError where they do not fit each other or the corpus."""
        present = None if index is None else modalities_of(index, self.options.recogniser.enabled)
        options = without_unused(self.options, self.own, self.config.models, self.task, present)
        if self.demo:
            options = with_small_weights(options)
        Fitting(options, self.config.models, self.corpus, index, self.places).check()
        return options

    def check_there(self, options: CorpusOptions) -> None:
        """Raise Unreadable where weights or a file of one's own are not there, nor what a run before made of them."""
        asked: dict[tuple[str, ...], Callable[[], None]] = {
            ("recogniser",): partial(check_there, options.recogniser.weights)
        }
        for store, entry in options.extractors.items():
            asked["extractors", store] = partial(entry.check_there, f"results/{self.name}/features/{store}.h5")
        for path, question in asked.items():
            try:
                question()
            except InputError as error:
                raise Unreadable(f"{self.places(*path)}: {error}") from None


def _validate(model: type[Table], given: dict, places: Places) -> Table:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        lines = dict.fromkeys(explain(item, model, given, places) for item in error.errors())
        raise InputError("\n".join(lines)) from None


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
