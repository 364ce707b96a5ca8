"""Whether the settings of a corpus fit together: with each other, with its reader, and with the models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from models.evaluation.metrics import overall
from models.options import MODALITY_SETS, NetworkOptions, check_network, check_training, runs_named
from models.protocols.labels import check_merge
from models.task import Task
from models.wording import about
from pipeline.corpora.base import Corpus, Index
from pipeline.records import InputError
from pipeline.registry import option_of
from workflow.options import CorpusOptions


@dataclass(frozen=True)
class Fitting:
    """The settings of one corpus beside all that they must fit."""

    options: CorpusOptions
    models: Mapping[str, NetworkOptions]
    corpus: Corpus
    index: Index | None  # None: not known yet
    where: Callable[..., str]  # a path of keys -> the file and the key under which its value was given

    def check(self) -> None:
        """Raise InputError that names the first key that does not fit, and what would."""
        options, corpus = self.options, self.corpus
        self._require(options.significance.metric, overall(self._task), "significance", "metric")
        self._require(options.protocol or corpus.protocols[0], corpus.protocols, "protocol")
        self._check_labels()
        for store, entry in options.extractors.items():
            self._ask(entry.check, "extractors", store)
        self._ask(options.recogniser.check, "recogniser")
        self._check_stores()
        self._check_runs()
        for contrast in options.contrasts:
            for run in runs_named(contrast.a, contrast.b):
                if run not in options.planned_runs:
                    there = sorted(options.planned_runs)
                    self._refuse(f"{contrast.question!r} names {run!r}; there are {there}", "contrasts")

    @property
    def _task(self) -> Task:
        return Task.parse(self.corpus.task)

    def _refuse(self, problem: object, *path: str) -> None:
        raise InputError(f"{self.where(*path)}: {problem}") from None

    def _ask(self, question, *path: str):
        try:
            return question()
        except InputError as error:
            self._refuse(error, *path, *option_of(error))

    def _require(self, given, allowed, *path: str) -> None:
        if given not in allowed:
            self._refuse(f"{given!r} does not fit; choose one of {', '.join(allowed)}", *path)

    def _made_from(self, modality: str, store: str, *path: str) -> None:
        extractors = self.options.extractors
        if store not in extractors:
            self._refuse(f"no extractor {store!r}; there are {sorted(extractors)}", *path)
        found = extractors[store].modality
        if found != modality:
            self._refuse(f"{store} is made from {found}; use one from {modality}", *path)

    def _check_labels(self) -> None:
        """Refuse labels that contradict each other, where none are chosen, and those that the release does not have."""
        labels, merge, corpus = self.options.labels or [], self.options.merge, self.corpus
        for key in ("labels", "merge"):
            if getattr(self.options, key) and corpus.task != "classes/segment":
                self._refuse(
                    f"classes of segments are chosen and merged, and the task is {corpus.task}; leave it out", key
                )
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            self._refuse(f"{twice[0]!r} is there more than once; list each label once", "labels")
        self._ask(partial(check_merge, labels, merge), "merge")
        official = corpus.official_labels
        if not official:
            return
        there = f"no label of {corpus.title}; there are {', '.join(official)}"
        for source in merge:
            if source not in official:
                self._refuse(f"{source!r} is {there}", "merge")
        for label in labels:
            if label not in official and label not in merge.values():
                self._refuse(f"{label!r}, into which none is merged, is {there}", "labels")

    def _check_stores(self) -> None:
        """Refuse inputs and joined stores that are not there, of another modality, or keep layers apart."""
        extractors = self.options.extractors
        for name, made in extractors.items():
            for store in made.joined:
                if store not in extractors or extractors[store].joined:
                    there = sorted(store for store, other in extractors.items() if not other.joined)
                    self._refuse(f"{store!r} cannot be joined; there are {there}", "extractors", name, "stores")
                self._made_from(made.modality, store, "extractors", name, "stores")
                if extractors[store].layers_apart:
                    self._refuse(
                        f"{store!r} keeps layers apart, which cannot be joined; take combine: mean or concat",
                        "extractors", name, "stores",
                    )  # fmt: skip
        for modality, store in self.options.inputs.items():
            self._made_from(modality, store, "inputs", modality)

    def _check_runs(self) -> None:
        """Refuse runs of no model, on what is not there, or of a network or a training that could not be."""
        for key, entry in self.options.run_entries.items():
            if entry.model not in self.models:
                self._refuse(f"no model {entry.model!r}; there are {sorted(self.models)}", "runs", key)
            for modality, store in entry.inputs.items():
                self._made_from(modality, store, "runs", key, "inputs", modality)
            for modalities in entry.modalities:
                self._require(modalities, MODALITY_SETS, "runs", key)
                given = {*self.options.inputs, *entry.inputs}
                if missing := [modality for modality in MODALITY_SETS[modalities] if modality not in given]:
                    self._refuse(f"{modalities} needs inputs.{missing[0]}, which is not given", "runs", key)
        for planned, run in self.options.planned_runs.items():
            key, network = planned.rpartition("-")[0], self.models[run.model]
            self._ask(partial(check_network, network, list(run.inputs), self._task), "runs", key)
            self._ask(partial(about, network, self._task), "runs", key)
            self._check_training(key, network)

    def _check_training(self, key: str, network: NetworkOptions) -> None:
        training = self._ask(partial(self.options.training.for_network, network), "runs", key)
        self._ask(partial(check_training, training, self._task), "runs", key)
        if training.targets == "raters" and self.index is not None and not self.index.ratings:
            self._refuse(
                f"training.targets is raters, and no single rater's vote is known of {self.corpus.title}; "
                "set it to majority",
                *(("runs", key) if "targets" in network.training else ("training", "targets")),
            )
