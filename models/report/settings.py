"""What the workflow says about a run, in ``results/<corpus>/config.json``: the configuration that held and its words.

Required are ``config`` (``scale``, ``models``, and the corpus's options under its name) and ``folds``. All else may be
absent and follows from the rest:

==============  ======================================================================================================
corpus, title   its name in the configuration, and in print
task            see :mod:`models.task`
words           {"unit": "dialog", "segment": "turn", "labels": {"ang": "anger"}}
protocol        {"name", "description", "caveat"}, or the name alone
models          name -> {"title", "description", "citation", "notes": [{"title", "text"}]}, from the Fusion's class;
                ``citation`` is a key of references.bib
runs            [{"run", "model", "modalities", "inputs": {"audio": STORE}}]; else those of the corpus's options
feature_jobs    into how many jobs the features of one extractor are cut
training_jobs   names of the jobs that train one run: its folds, or "all"
published       figures of papers, see :mod:`models.report.published`
departures      [{"title", "text", "models": {OPTION: VALUE}}]: where the papers did otherwise; not where the corpus's
                options hold what ``unless`` says
citations       BibTeX entries of the corpus and of what was used
==============  ======================================================================================================
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from models.options import MODALITIES
from models.report.names import metrics_of
from models.report.runs import Run
from models.task import Task
from pipeline.records import InputError

SHORT_TASKS = {"segment": "classes/segment", "frame": "numbers/frame:valence,arousal"}
WORDS = {"unit": "recording", "segment": "segment", "labels": {}}


@dataclass(frozen=True, slots=True)
class Protocol:
    """How training and test part are kept apart."""

    name: str | None
    description: str
    caveat: str = ""  # why scores are optimistic; empty where they are not

    @classmethod
    def of(cls, given: str | Mapping | None) -> "Protocol":
        """From a name alone or from all that is known."""
        if not isinstance(given, Mapping):
            return cls(given, (given or "not known").replace("_", " "))
        name = given.get("name")
        words = given.get("description") or (name or "not known").replace("_", " ")
        return cls(name, words, given.get("caveat") or "")


@dataclass(frozen=True)
class Settings:
    """One corpus's configuration as it held, and what it is called."""

    corpus: str
    title: str
    config: dict
    task: Task
    words: dict
    protocol: Protocol
    root: str | None
    scale: str
    demonstration: bool
    folds: int
    generated: str | None = None  # folder of the synthetic corpus
    about_models: dict[str, dict] = field(default_factory=dict)
    listed_runs: list[dict] | None = None
    published: list[dict] = field(default_factory=list)
    departures: list[dict] = field(default_factory=list)
    citations: list[str] = field(default_factory=list)
    feature_jobs: int | None = None
    training_jobs: list[str] | None = None
    weights: dict[str, str] = field(default_factory=dict)  # folder under results/weights to where it is from
    software: dict = field(default_factory=dict)
    revision: str | None = None
    created: str | None = None

    @classmethod
    def from_json(cls, path: Path, corpus: str | None = None) -> "Settings":
        """Read the file that the workflow writes; raises InputError where it is not what it should be."""
        try:
            given = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as JSON ({error}); let the workflow write it again") from None
        if not isinstance(given, dict) or not isinstance(given.get("config"), dict) or "folds" not in given:
            raise InputError(f"{path}: expected an object with config and folds; let the workflow write it again")
        config, root = given["config"], given.get("root")
        corpus = corpus or given.get("corpus") or _only_corpus(config) or Path(path).resolve().parent.name
        options = config.get(corpus) or {}
        published = given.get("published") or []
        task = given.get("task") or ("segment" if options.get("labels") else "frame")
        return cls(
            corpus=corpus,
            title=given.get("title") or corpus,
            config=config,
            task=Task.parse(SHORT_TASKS.get(task, task)),
            words={**WORDS, **(given.get("words") or {})},
            protocol=Protocol.of(given.get("protocol") or options.get("protocol")),
            root=None if root is None else str(root),
            scale=str(given.get("scale") or config.get("scale") or ("demo" if root is None else "research")),
            demonstration=bool(given.get("demonstration", root is None)),
            folds=int(given["folds"]),
            generated=given.get("generated"),
            about_models=given.get("models") or {},
            listed_runs=given.get("runs"),
            published=published if isinstance(published, list) else [published],
            departures=given.get("departures") or [],
            citations=given.get("citations") or [],
            feature_jobs=given.get("feature_jobs"),
            training_jobs=given.get("training_jobs"),
            weights=given.get("weights") or {},
            software=given.get("software") or {},
            created=given.get("created"),
        )

    @property
    def options(self) -> dict:
        """The corpus's own options."""
        return self.config.get(self.corpus) or {}

    @property
    def models(self) -> dict[str, dict]:
        """Network options by model name."""
        return self.config.get("models") or {}

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Every configured run by its name, with the feature stores it reads."""
        given = self.listed_runs
        if given is None:
            sets = (self.options.get("runs") or {}).items()
            given = [{"model": model, "modalities": one} for model, some in sets for one in some or ()]
        runs = [Run.of(row, self.options.get("inputs") or {}) for row in given]
        return {run.name: run for run in runs}

    @cached_property
    def modalities(self) -> list[str]:
        """Which of audio, video and text some run reads; all that have an input where no run is known."""
        used = {name for run in self.runs.values() for name in run.inputs}
        return [name for name in MODALITIES.values() if name in (used or self.options.get("inputs") or ())]

    @property
    def stores_read(self) -> list[str]:
        """Names of the feature stores that some run reads."""
        return sorted({name for run in self.runs.values() for name in run.inputs.values()})

    def made_by(self, modality: str) -> dict[str, tuple[str | None, str | None]]:
        """Of each store that some run reads for a modality: the extractor that made it, and its weights."""
        stores = dict.fromkeys(run.inputs[modality] for run in self.runs.values() if modality in run.inputs)
        entries = {name: self.extractors.get(name) or {} for name in stores}
        return {name: (entry.get("extractor"), entry.get("weights")) for name, entry in entries.items()}

    @property
    def extractors(self) -> dict[str, dict]:
        """Configured extractors by the name of their store."""
        return self.options.get("extractors") or {}

    @property
    def contrasts(self) -> list[dict]:
        """The planned comparisons: question, a, b, and what they are about."""
        return self.options.get("contrasts") or []

    @property
    def seeds(self) -> list[int]:
        """The seeds of every run and fold."""
        return (self.options.get("training") or {}).get("seeds") or []

    @property
    def metric(self) -> str:
        """What contrasts are tested on and runs are ranked by."""
        return (self.options.get("significance") or {}).get("metric") or metrics_of(self.task)[0]

    @property
    def practical_region(self) -> float:
        """Differences smaller than this do not matter."""
        return float((self.options.get("significance") or {}).get("practical_region", 0.01))

    @property
    def alpha(self) -> float:
        """Level of the tests; intervals cover 1 - alpha."""
        return float((self.options.get("significance") or {}).get("alpha", 0.05))


def _only_corpus(config: dict) -> str | None:
    names = [name for name in config if name not in ("scale", "models")]
    return names[0] if len(names) == 1 else None
