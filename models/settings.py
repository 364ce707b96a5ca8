"""What the workflow says about a run, in ``results/<corpus>/config.json``: the configuration that held and its words.

==============  ======================================================================================================
config          ``scale``, ``models`` and, under its name, the corpus's options
corpus, title   its name in the configuration, and in print
task            see :mod:`models.task`
words           {"unit": "dialog", "segment": "turn", "labels": {"ang": "anger"}}
protocol        {"name", "description", "caveat"}
models          name -> {"title", "description", "citation", "notes": [{"title", "text"}], "training"}, from the
                Fusion's class; ``citation`` is a key of references.bib or an entry of BibTeX, ``training`` what a
                published form brings
runs            [{"run", "model", "modalities", "inputs": {"audio": STORE}}]
folds           how many; 0 where there can be none, and the protocol's description then says why
feature_jobs    into how many jobs the features of one extractor are cut
training_jobs   names of the jobs that train one run: its folds, or "all"
root, scale     name of the corpus's folder, null where it is synthetic; research or demo
demonstration   whether no number is a result
generated       folder of the synthetic corpus, or null
weights         folder under results/weights -> where it is from
published       figures of papers, see :mod:`models.report.sections.published`
departures      [{"title", "text", "models": {OPTION: VALUE}}]: where the papers did otherwise, for models with these
                options, of which ``training`` is theirs over the corpus's; not where the corpus's options hold what
                ``unless`` says
citations       BibTeX entries of the corpus
==============  ======================================================================================================
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from models.options import MODALITIES
from models.task import Task
from pipeline.records import InputError


@dataclass(frozen=True, slots=True)
class Run:
    """A model on some modalities, with the feature store that it reads for each."""

    name: str
    model: str
    modalities: str  # letters joined by +
    inputs: dict[str, str]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How training and test part are kept apart."""

    name: str
    description: str
    caveat: str = ""  # why scores are optimistic; empty where they are not


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
    generated: str | None
    about_models: dict[str, dict]
    runs: dict[str, Run]
    published: list[dict]
    departures: list[dict]
    citations: list[str]
    feature_jobs: int
    training_jobs: list[str]
    weights: dict[str, str]
    revision: str | None = None  # revision of the code, which the command line gives

    @classmethod
    def from_json(cls, path: Path) -> "Settings":
        """Read the file that the workflow writes; raises InputError where it is not what it should be."""
        try:
            given = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as JSON ({error}); let the workflow write it again") from None
        names = [field.name for field in fields(cls) if field.name != "revision"]
        keys = ["models" if name == "about_models" else name for name in names]
        if absent := [key for key in keys if not isinstance(given, dict) or key not in given]:
            raise InputError(f"{path}: lacks {', '.join(absent)}; let the workflow write it again")
        runs = {row["run"]: Run(row["run"], row["model"], row["modalities"], row["inputs"]) for row in given["runs"]}
        read = {"task": Task.parse(given["task"]), "protocol": Protocol(**given["protocol"]), "runs": runs}
        return cls(**{name: given[key] for name, key in zip(names, keys)} | read)

    @property
    def options(self) -> dict:
        """The corpus's own options."""
        return self.config[self.corpus]

    @property
    def models(self) -> dict[str, dict]:
        """Network options by model name."""
        return self.config["models"]

    def trained(self, model: str) -> dict:
        """The training options of a model: the corpus's, over them its own, and what its published form brings."""
        own, brought = self.models[model]["training"], self.about_models[model]["training"]
        return {**self.options["training"], **own, **brought}

    @cached_property
    def modalities(self) -> list[str]:
        """Which of audio, video and text some run reads; all that have an input where no run is known."""
        used = {name for run in self.runs.values() for name in run.inputs}
        return [name for name in MODALITIES.values() if name in (used or self.options["inputs"])]

    @property
    def stores_read(self) -> list[str]:
        """Names of the feature stores that some run reads."""
        return sorted({name for run in self.runs.values() for name in run.inputs.values()})

    @property
    def random_weights(self) -> list[str]:
        """Of the feature stores that some run reads, those made, or joined of some made, with small random weights."""
        return self.random_of(self.stores_read)

    def random_of(self, stores: Iterable[str]) -> list[str]:
        """The same of any feature stores."""
        parts = {name: self.extractors[name].get("stores") or [name] for name in stores}
        random = {name for name, entry in self.extractors.items() if str(entry["weights"]).startswith("demo:")}
        return [name for name, own in parts.items() if not random.isdisjoint(own)]

    def made_by(self, modality: str) -> dict[str, tuple[str, str | None]]:
        """Of each store that some run reads for a modality: the extractor that made it, and its weights."""
        stores = dict.fromkeys(run.inputs[modality] for run in self.runs.values() if modality in run.inputs)
        return {name: (self.extractors[name]["extractor"], self.extractors[name]["weights"]) for name in stores}

    @property
    def extractors(self) -> dict[str, dict]:
        """Configured extractors by the name of their store."""
        return self.options["extractors"]

    @property
    def contrasts(self) -> list[dict]:
        """The planned comparisons: question, a and b."""
        return self.options["contrasts"]

    @property
    def seeds(self) -> list[int]:
        """The seeds of every run and fold."""
        return self.options["training"]["seeds"]

    @property
    def metric(self) -> str:
        """What contrasts are tested on and runs are ranked by."""
        return self.options["significance"]["metric"]

    @property
    def practical_region(self) -> float:
        """Differences smaller than this do not matter."""
        return self.options["significance"]["practical_region"]

    @property
    def alpha(self) -> float:
        """Level of the tests; intervals cover 1 - alpha."""
        return self.options["significance"]["alpha"]
