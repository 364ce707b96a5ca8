"""The settings of each corpus from config.yaml: checked when the workflow starts, before any work.

``python -m workflow.settings`` writes workflow/schemas/config.schema.json, by which editors check and complete it.
"""

import json
from collections.abc import Callable, Mapping
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
from workflow.demo import plan
from workflow.explain import Sources, explain, place
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
    if name not in trial.corpora:
        raise InputError(
            f"config.yaml: demo.corpora.{name}: null is no settings; take corpora.{name} out, or remove it"
        )
    if own.get("reader") is None:
        known = ", ".join(READERS.names())
        raise InputError(f"config.yaml: corpora.{name}.reader: missing; one of {known}, module:Class or file.py:Class")
    key = ("corpora", name)
    entry = _validate(CorpusEntry, own, [(key, own)], key)
    synthetic = entry.root is None
    scale = ("demo" if synthetic else "research") if plain.scale == "auto" else plain.scale
    if scale == "research" and synthetic:
        raise InputError(
            f"config.yaml: scale is research, but corpora.{name}.root is null; set the root or scale: demo"
        )
    opened = _open(name, entry, of_reader(own), f"corpora.{name}")
    given = {"research": _Given(entry, opened, plain, {}), "demo": _Given(entry, opened, trial, plain.demo)}
    chosen, index = given[scale], None
    if not synthetic and read is not None:
        index = _read(chosen.corpus, lambda: read(chosen.corpus, chosen.options.media_units))
    options = {which: one.fitted(index) for which, one in given.items()}[scale]
    chosen.check_there(options)
    return Resolved(name, chosen.corpus, chosen.task, scale, options, chosen.config.models, index)


def of_reader(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of a corpus's entry is an option of its reader."""
    return {key: value for key, value in entry.items() if key not in CorpusOptions.model_fields}


def _open(name: str, entry: CorpusEntry, given: dict, where: str) -> Corpus:
    """The corpus of an entry by a reader with the options ``given``, which stand ``where``.

    Raises InputError for an unknown reader or option, where it needs a root and has none, and where it lacks a task.
    """
    try:
        kind = READERS.load(entry.reader)
    except InputError as error:
        raise InputError(f"config.yaml: {where}: {error}") from None
    try:
        if entry.root is None and entry.reader not in plan.UNITS:
            raise InputError("root: it is missing, and this reader has no synthetic corpus; give the folder")
        corpus = make(name, entry.reader, entry.root or "", given, tuple(CorpusOptions.model_fields))
        if getattr_static(corpus, "task", None) is None:  # of the class, or given when it is made
            raise InputError(f"reader {entry.reader!r}: set its attribute task")
    except InputError as error:
        raise InputError(f"config.yaml: {where}: {error}") from None
    except Exception as error:  # a plug is anybody's code
        raise _failed(name, kind, error) from None
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


def _task(corpus: Corpus) -> Task:
    """What a corpus is labelled with; raises InputError for what is no task, Unreadable where its tree must tell."""
    given = _read(corpus, lambda: corpus.task)
    try:
        return Task.parse(given)
    except InputError as error:
        raise InputError(f"config.yaml: corpora.{corpus.name}: {error}") from None


def _failed(name: str, kind: type[Corpus], error: Exception) -> Unreadable:
    return Unreadable(
        f"corpora.{name}: its reader failed: {described(error, getfile(kind))}; correct the reader or what it read"
    )


class _Given:
    """What the configuration says of one corpus at one scale."""

    def __init__(self, entry: CorpusEntry, opened: Corpus, config: Config, demo: dict):
        """Lay its own keys over the defaults of its task; raises InputError for a value that no key takes.

        ``opened`` is the corpus as its ``entry`` alone has it, which tells the task, and so whose defaults hold.
        """
        self.name, self.config, self.demo = opened.name, config, demo
        level = _task(opened).level
        self.own, defaults = config.corpora[self.name] or {}, config.defaults.get(level, {})
        merged = patch({k: v for k, v in defaults.items() if not (k in REPLACED and k in self.own)}, self.own)
        self.sources: Sources = [
            (("demo", "corpora", self.name), (demo.get("corpora") or {}).get(self.name) or {}),
            (("corpora", self.name), self.own),
            (("demo", "defaults", level), (demo.get("defaults") or {}).get(level) or {}),
            (("defaults", level), defaults),
        ]
        self.corpus = self._reopened(entry, opened, merged)
        self.task = _task(self.corpus)
        if self.task.level != level:
            raise InputError(
                f"config.yaml: corpora.{self.name}: by what defaults or demo tell its reader the task is {self.task}, "
                f"for which other defaults hold than for {opened.task}; say that in corpora.{self.name} itself"
            )
        tests = merged.get("significance")
        if isinstance(tests, dict) and tests.get("metric") is None:
            merged["significance"] = {**tests, "metric": main_metric(self.task)}
        self.options = _validate(CorpusOptions, merged, self.sources, ("corpora", self.name))

    def _where(self, *path: str) -> str:
        return f"config.yaml: {place(path, self.sources, ('corpora', self.name))}"

    def _reopened(self, entry: CorpusEntry, opened: Corpus, merged: dict) -> Corpus:
        """The corpus with what defaults and demo tell its reader; raises InputError for what nobody but it may say."""
        for prefix, table in self.sources:
            for key in CorpusEntry.model_fields.keys() & table.keys() if prefix != ("corpora", self.name) else ():
                problem = f"only corpora.{self.name} says its {key}; remove it here"
                said = json.dumps(table[key], default=str)
                raise InputError(f"config.yaml: {'.'.join((*prefix, key))}: {problem} (given: {said})")
        own, given = of_reader(entry.model_extra or {}), of_reader(merged)
        if changed := [key for key in given if key not in own or given[key] != own[key]]:
            return _open(self.name, entry, given, ", ".join(place((key,), self.sources) for key in changed))
        return opened

    def fitted(self, index: Index | None) -> CorpusOptions:
        """The options without what no run reads; raises InputError where they do not fit each other or the corpus."""
        present = None if index is None else modalities_of(index, self.options.recogniser.enabled)
        options = without_unused(self.options, self.own, self.config.models, self.task, present)
        if self.demo:
            options = with_small_weights(options)
        Fitting(options, self.config.models, self.corpus, index, self.sources).check()
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
                raise Unreadable(f"{self._where(*path)}: {error}") from None


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
