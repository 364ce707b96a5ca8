"""The settings of each corpus from config.yaml: checked when the workflow starts, before any work.

``python -m workflow.settings`` writes workflow/schemas/config.schema.json, by which editors check and complete it.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from models.evaluation.metrics import main_metric, overall
from models.options import NetworkOptions, check_network, check_training
from models.task import Task
from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.registry import READERS, make
from pipeline.records import InputError
from workflow.demo import plan
from workflow.explain import explain, place
from workflow.modalities import drop_contrasts, drop_runs, drop_unread, modalities_of
from workflow.options import Config, CorpusOptions, check_there
from workflow.trial import with_small_weights

REPLACED = ("runs", "contrasts", "labels", "merge")
"""Keys that a corpus says wholly itself or not at all; the others are laid over the defaults key by key."""


class Unreadable(InputError):
    """A corpus whose tree cannot be read: the others can be worked on all the same."""


@dataclass(frozen=True)
class Resolved:
    """What holds for one corpus once its reader, its task and the scale are known."""

    name: str
    reader: type[Corpus]
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
        return [] if known else self.options.labels or list(self.reader.default_labels)

    @property
    def protocol(self) -> str:
        """How the corpus is split."""
        return self.options.protocol or self.corpus.protocols[0]


def patch(base: dict, changes: dict) -> dict:
    """A copy of ``base`` in which the leaves of ``changes`` replace or add values."""
    out = deepcopy(base)
    for key, value in changes.items():
        out[key] = patch(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def check(config: dict, demo: dict | None = None) -> Config:
    """Validate a configuration, into which ``demo`` may be patched already.

    Raises InputError that names the key, what was given and what is allowed.
    """
    return _validate(Config, config, (), [(("demo",), demo or {})], ())


def names(config: dict) -> list[str]:
    """The corpora of a configuration, those left out by ``null`` not among them; raises InputError as ``check``."""
    return [name for name, entry in check(config).corpora.items() if entry is not None]


def resolve(config: dict, name: str, read: Callable[[Corpus, int | None], Index] | None = None) -> Resolved:
    """The settings of one corpus, with the demonstration's values in place where its scale is demo.

    ``read`` gives the tables of a corpus that has a root; defaults that it has no use for are then left out. Both
    scales are checked whichever is chosen: a trial of minutes finds a mistake that the research run would meet.
    """
    plain = check(config)
    trial = check(patch(config, plain.demo), plain.demo)
    entry = plain.corpora.get(name)
    if entry is None:
        raise InputError(f"config.yaml: corpora.{name}: there is no such corpus; there are {', '.join(names(config))}")
    synthetic = entry.get("root") is None
    scale = ("demo" if synthetic else "research") if plain.scale == "auto" else plain.scale
    if scale == "research" and synthetic:
        raise InputError(
            f"config.yaml: scale is research, but corpora.{name}.root is null; set the root or scale: demo"
        )
    corpus = _open(name, entry, plain)
    index = None
    if not synthetic and read is not None:
        try:
            index = read(corpus, entry.get("media_units"))
        except InputError as error:
            raise Unreadable(str(error)) from None
    found = {}
    for key, checked, demo in (("research", plain, {}), ("demo", trial, plain.demo)):
        options = _options(name, checked, demo, corpus, index)
        _check_parts(name, options, checked.models, corpus, demo, index)
        found[key] = options
    for store, extractor in found[scale].extractors.items():
        try:
            check_there(extractor.weights)
        except InputError as error:
            raise InputError(f"config.yaml: corpora.{name}.extractors.{store}: {error}") from None
    chosen = trial if scale == "demo" else plain
    return Resolved(name, type(corpus), corpus, Task.parse(corpus.task), scale, found[scale], chosen.models, index)


def _open(name: str, entry: dict, checked: Config) -> Corpus:
    """The corpus of an entry; raises InputError for an unknown reader, and where it needs a root and has none."""
    where = f"config.yaml: corpora.{name}"
    if "reader" not in entry:
        raise InputError(f"{where}.reader: missing; one of {', '.join(READERS.names())}, module:Class or file.py:Class")
    if isinstance(entry.get("root"), str) and not entry["root"].strip():
        raise InputError(f"{where}.root: write the folder of the corpus, or null for the synthetic one")
    reader, root = entry["reader"], entry.get("root")
    try:
        READERS.load(reader)
        if root is None and reader not in plan.UNITS:
            raise InputError("root: it is missing, and this reader has no synthetic corpus; give the folder")
        own = {key: value for key, value in entry.items() if key not in CorpusOptions.model_fields}
        return make(name, reader, root or "", own, tuple(CorpusOptions.model_fields))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _options(name: str, checked: Config, demo: dict, corpus: Corpus, index: Index | None) -> CorpusOptions:
    """A corpus's own keys over the defaults of its level, without what no run reads."""
    task = Task.parse(corpus.task)
    level = task.level
    defaults, own = checked.defaults.get(level, {}), checked.corpora[name] or {}
    merged = patch({k: v for k, v in defaults.items() if not (k in REPLACED and k in own)}, own)
    for key in ("extractors", "inputs", "merge"):
        merged[key] = {k: v for k, v in (merged.get(key) or {}).items() if v is not None}
    tests = merged.get("significance")
    if isinstance(tests, dict) and tests.get("metric") is None:
        merged["significance"] = {**tests, "metric": main_metric(task)}
    present = None if index is None else modalities_of(index, merged)
    merged = drop_runs(merged, own, checked.models, task, present)
    merged = drop_unread(drop_contrasts(merged, own), own)
    if demo:
        merged = with_small_weights(merged)
    sources = [
        (("demo", "corpora", name), (demo.get("corpora") or {}).get(name) or {}),
        (("demo", "defaults", level), (demo.get("defaults") or {}).get(level) or {}),
        (("corpora", name), own),
        (("defaults", level), defaults),
    ]
    return _validate(CorpusOptions, merged, ("corpora", name), sources, ("corpora", name))


def _validate(model: type[BaseModel], given: dict, prefix: tuple, sources: list, fallback: tuple):
    try:
        return model.model_validate(given)
    except ValidationError as error:
        lines = [explain(item, model, sources, fallback) for item in error.errors()]
        raise InputError("config.yaml cannot be used:\n  " + "\n  ".join(lines)) from None


def _check_parts(
    name: str, options: CorpusOptions, models: dict, corpus: Corpus, demo: dict, index: Index | None
) -> None:
    """Ask metric, protocol, labels, extractors and networks whether they could work as configured."""
    sources = [(("demo", "corpora", name), (demo.get("corpora") or {}).get(name) or {})]
    task = Task.parse(corpus.task)

    def where(*path: str) -> str:
        return f"config.yaml: {place(path, sources, ('corpora', name))}"

    def ask(question, *path: str) -> None:
        try:
            question()
        except InputError as error:
            raise InputError(f"{where(*path)}: {error}") from None

    def require(given, allowed, *path: str) -> None:
        if given not in allowed:
            raise InputError(f"{where(*path)}: {given!r} does not fit; choose one of {', '.join(allowed)}")

    def made_from(modality: str, store: str, *path: str) -> None:
        found = options.extractors[store].modality
        if found != modality:
            raise InputError(f"{where(*path)}: {store} is made from {found}; use one from {modality}")

    require(options.significance.metric, overall(task), "significance", "metric")
    require(options.protocol or corpus.protocols[0], corpus.protocols, "protocol")
    _check_labels(options, corpus, where)
    for store, entry in options.extractors.items():
        ask(entry.check, "extractors", store)
    ask(options.recogniser.check, "recogniser")
    for modality, store in options.inputs.items():
        made_from(modality, store, "inputs", modality)
    for planned, run in options.planned_runs.items():
        key = planned.partition("-")[0]
        if run.model not in models:
            raise InputError(f"{where('runs')}: no model {run.model!r}; there are {sorted(models)}")
        ask(partial(check_network, models[run.model], list(run.inputs), task), "runs", key)
        training = options.training.for_network(models[run.model])
        ask(partial(check_training, training, task), "runs", key)
        if training.targets == "raters" and index is not None and not index.ratings:
            raise InputError(
                f"{where('runs', key)}: training.targets is raters, and no single rater's vote is known of "
                f"{corpus.title}; set it to majority"
            )
        for wanted, store in run.inputs.items():
            made_from(wanted, store, "runs", key, "inputs", wanted)


def _check_labels(options: CorpusOptions, corpus: Corpus, where) -> None:
    """Refuse labels where none are chosen, and those that the release of a corpus does not have."""
    for key in ("labels", "merge"):
        if getattr(options, key) and corpus.task != "classes/segment":
            raise InputError(
                f"{where(key)}: classes of segments are chosen and merged, and the task is {corpus.task}; leave it out"
            )
    official = corpus.official_labels
    if not official:
        return
    there = f"no label of {corpus.title}; there are {', '.join(official)}"
    for source in options.merge:
        if source not in official:
            raise InputError(f"{where('merge')}: {source!r} is {there}")
    for label in options.labels or ():
        if label not in official and label not in options.merge.values():
            raise InputError(f"{where('labels')}: {label!r}, into which none is merged, is {there}")


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
