"""The definition of config.yaml: every key, what is allowed there, and what must fit together."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator, model_validator

from models.options import (
    MODALITIES,
    Contrast,
    NetworkOptions,
    Options,
    SignificanceOptions,
    TrainingOptions,
    runs_named,
)
from pipeline.features import registry as extractors
from pipeline.features.registry import EXTRACTORS
from pipeline.records import InputError, Modality
from pipeline.weights import parse, slug
from pipeline.words.registry import NONE, RECOGNISERS
from pipeline.words.registry import check as check_recogniser
from workflow.demo.checkpoints import KINDS


def _spelled(what: str, signs: str = "") -> AfterValidator:
    """Refuse a name that a path under results/, its rule or a command line would not take as it is."""
    allowed = ", ".join(["letters", "digits", "_", *signs])

    def check(name: str) -> str:
        if not re.fullmatch(rf"\w[\w{re.escape(signs)}]{{0,99}}", name):
            raise ValueError(f"{what} is made of {allowed} (at most 100), the first a letter, digit or _; rename it")
        return name

    return AfterValidator(check)


LabelName = Annotated[str, _spelled("a label")]
StoreName = Annotated[str, _spelled("the name of a feature store", ".+-")]
CorpusName = Annotated[str, _spelled("the name of a corpus", "-")]
ModelName = Annotated[str, _spelled("the name of a model", ".")]  # a run is model-modalities: the name holds no "-"


class FaceOptions(Options):
    """What extractors of faces see."""

    sample_rate_hz: float | None = Field(None, gt=0, description="frames looked at per second; null: every frame")
    picture: Literal["face", "half"] = Field(
        "face", description="aligned faces, or the middle 224 pixels of the person's part of the picture, as in paper 1"
    )


class RecogniserEntry(BaseModel, extra="allow"):
    """How words are found where a corpus gives none: which recogniser, with its options (checked by itself)."""

    kind: str = Field(
        "none", description="none | pocketsphinx | faster_whisper | transformers | module:Class | file.py:Class"
    )
    weights: str | None = Field(None, description="ORG/NAME@COMMIT or a folder, where it needs some")

    @property
    def options(self) -> dict[str, Any]:
        """The recogniser's own options; null leaves one as it is by default."""
        return {key: value for key, value in (self.model_extra or {}).items() if value is not None}

    @property
    def enabled(self) -> bool:
        """Whether speech is recognised at all."""
        return self.kind != NONE

    @property
    def uses_gpu(self) -> bool:
        """Whether a GPU makes it faster."""
        return self.enabled and RECOGNISERS.load(self.kind).uses_gpu

    def check(self) -> None:
        """Raise InputError where the recogniser, its options or its weights cannot be used."""
        check_source(self.weights)
        check_recogniser(self.kind, self.options, self.weights, tuple(RecogniserEntry.model_fields))


class ExtractorEntry(BaseModel, extra="allow"):
    """One feature store: which extractor makes it, with which options (checked by the extractor itself)."""

    extractor: str
    weights: str | None = None
    allow_pickle: bool = Field(False, description="read a checkpoint that has no safetensors; no code of it is run")

    @property
    def options(self) -> dict[str, Any]:
        """The extractor's own options."""
        return dict(self.model_extra or {})

    @property
    def imported(self) -> bool:
        """Whether another tool's file stands in for an extractor."""
        return self.extractor == "import"

    @property
    def uses_gpu(self) -> bool:
        """Whether a GPU makes it faster; what has no weights is CPU work and must not hold one."""
        return bool(self.weights) and extractors.load(self.extractor).uses_gpu

    @property
    def joined(self) -> list[str]:
        """The stores that stand side by side in this one; none where it is not made of others."""
        return list(self.options.get("stores") or ()) if self.extractor == "join" else []

    @property
    def modality(self) -> str:
        """What the features are made from: audio, video or text."""
        return self.options["modality"] if self.imported or self.joined else extractors.load(self.extractor).modality

    def check(self) -> None:
        """Raise InputError where the options, the weights or the file to import cannot be used."""
        check_source(self.weights)
        if self.extractor == "join":
            if set(self.options) != {"stores", "modality"} or len(self.joined) < 2:
                raise InputError("extractor 'join' takes stores, two or more, and modality (audio, video or text)")
        elif not self.imported:
            EXTRACTORS.options_for(self.extractor, self.options)
            EXTRACTORS.check_weights(self.extractor, self.weights)
        elif set(self.options) != {"path", "modality"} or self.options["modality"] not in MODALITIES.values():
            raise InputError("extractor 'import' takes path (.csd or .npz) and modality (audio, video or text)")
        elif not Path(self.options["path"]).exists():
            raise InputError(f"{self.options['path']}: there is no such file to import")


def check_source(weights: str | None) -> None:
    """Raise InputError where weights cannot come from what is given."""
    source = parse(weights) if weights else None
    if source and source.kind == "demo" and source.location not in KINDS:
        allowed = ", ".join(f"demo:{kind}" for kind in KINDS)
        raise InputError(f"weights {weights!r}: there is no such demonstration checkpoint; there are {allowed}")


class RunEntry(Options):
    """Runs under a name of their own: a model that reads other features than the corpus's inputs."""

    model: str = Field(description="one of the models")
    modalities: list[str] = Field(description="modality sets, such as A+V")
    inputs: dict[Modality, str] = Field({}, description="which feature store a modality reads; else the corpus's input")


@dataclass(frozen=True, slots=True)
class Run:
    """A model on one modality set, with the feature store that it reads for each."""

    model: str
    modalities: str
    inputs: dict[str, str]


def check_there(weights: str | None) -> None:
    """Raise InputError for weights of one's own that are neither there nor copied by a run before."""
    if not weights or parse(weights).kind != "path":
        return
    places = (Path(parse(weights).location), Path("results/weights", slug(weights)))
    if not any(place.exists() for place in places):
        raise InputError(f"weights {weights!r}: there is no such file or folder; fetch it first, or say where it is")


class CorpusOptions(BaseModel, extra="allow"):
    """What holds for one corpus; keys that are not listed here are options of its reader, which checks them."""

    reader: str = Field(
        description="iemocap | affwild2 | table | meld | cremad | ravdess | module:Class | file.py:Class"
    )
    root: str | None = Field(None, description="folder of the corpus; null: the synthetic corpus, where there is one")
    faces: FaceOptions = FaceOptions()
    recogniser: RecogniserEntry = RecogniserEntry()
    media_units: int | None = Field(None, ge=1, description="recordings per faces, audio or words job; null: by number")
    shard_units: int | None = Field(None, ge=1, description="recordings per feature job; null: by their number")
    training_job: Literal["fold", "run"] = Field("fold", description="what one job trains: a fold of a run, or all")
    extractors: dict[StoreName, ExtractorEntry]
    inputs: dict[Modality, str] = Field(description="which feature store each modality reads")
    labels: list[LabelName] | None = Field(None, min_length=2, description="classes, after merging; null: the usual")
    merge: dict[str, LabelName] = Field(default_factory=dict, description="labels that count as another")
    protocol: str | None = Field(None, description="how the corpus is split; null: the reader's first")
    turns: str = Field("all", description="segments of one style alone, such as improvised or scripted")
    split_seed: int = Field(337, ge=0, description="of every random choice of a split")
    runs: dict[ModelName, list[str] | RunEntry | None] = Field(
        description="model: modality sets; or a name: {model, modalities, inputs} for other features than the corpus's "
        "inputs; null leaves runs out, and each contrast that names them"
    )
    training: TrainingOptions
    contrasts: list[Contrast] = Field(default_factory=list)
    significance: SignificanceOptions

    @field_validator("contrasts")
    @classmethod
    def _are_of_models_that_run(cls, contrasts: list[Contrast], info: ValidationInfo):
        left_out = {model for model, sets in info.data.get("runs", {}).items() if sets is None}
        return [x for x in contrasts if left_out.isdisjoint(run.rpartition("-")[0] for run in runs_named(x.a, x.b))]

    @model_validator(mode="after")
    def _fits_together(self):
        named = {f"inputs.{modality}": store for modality, store in self.inputs.items()}
        for key, entry in self._entries.items():
            named |= {f"runs.{key}.inputs.{modality}": store for modality, store in entry.inputs.items()}
        for where, store in named.items():
            if store not in self.extractors:
                raise ValueError(f"{where}: no extractor {store!r}; there are {sorted(self.extractors)}")
        for name, made in self.extractors.items():
            for store in made.joined:
                if store not in self.extractors or self.extractors[store].joined:
                    there = sorted(store for store, other in self.extractors.items() if not other.joined)
                    raise ValueError(f"extractors.{name}.stores: {store!r} cannot be joined; there are {there}")
        for key, entry in self._entries.items():
            for modalities in entry.modalities:
                letters = modalities.split("+")
                if letters != [letter for letter in MODALITIES if letter in letters]:
                    raise ValueError(f"runs.{key}: {modalities!r}; write letters of A, V, T in that order: A+V+T")
                missing = [MODALITIES[x] for x in letters if MODALITIES[x] not in {**self.inputs, **entry.inputs}]
                if missing:
                    raise ValueError(f"runs.{key}: {modalities} needs inputs.{missing[0]}, which is not given")
        names = set(self.run_names)
        for contrast in self.contrasts:
            unknown = [run for run in runs_named(contrast.a, contrast.b) if run not in names]
            if unknown:
                raise ValueError(f"contrasts: {contrast.question!r} names {unknown[0]!r}; there are {sorted(names)}")
        return self

    @model_validator(mode="after")
    def _labels_fit_together(self):
        labels = self.labels or []
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"labels: {twice[0]!r} is there more than once; list each label once")
        for source, target in self.merge.items():
            if source in labels:
                raise ValueError(f"merge: {source!r} counts as {target!r}; remove {source!r} from labels {labels}")
            if labels and target not in labels:
                raise ValueError(
                    f"merge: {source!r} counts as {target!r}, which is not in labels {labels}; add it there"
                )
        return self

    @property
    def reader_options(self) -> dict[str, Any]:
        """The reader's own options."""
        return dict(self.model_extra or {})

    @property
    def weight_sources(self) -> dict[str, bool]:
        """Where weights come from, and whether any entry that names them allows a pickle."""
        named = [(entry.weights, entry.allow_pickle) for entry in self.extractors.values()]
        named.append((self.recogniser.weights, False))
        return {source: any(allowed for other, allowed in named if other == source) for source, _ in named if source}

    @property
    def _entries(self) -> dict[str, RunEntry]:
        """The runs as entries, those left out not among them."""
        given = {key: entry for key, entry in self.runs.items() if entry is not None}
        return {k: RunEntry(model=k, modalities=e) if isinstance(e, list) else e for k, e in given.items()}

    @cached_property
    def planned_runs(self) -> dict[str, Run]:
        """Every run by its name, which is its key under ``runs`` and its modalities: self-A+V."""
        found = {}
        for key, entry in self._entries.items():
            for modalities in entry.modalities:
                read = [MODALITIES[letter] for letter in modalities.split("+")]
                inputs = {str(m): store for m, store in {**self.inputs, **entry.inputs}.items() if m in read}
                found[f"{key}-{modalities}"] = Run(entry.model, modalities, inputs)
        return found

    @property
    def run_names(self) -> list[str]:
        """The names of all runs."""
        return list(self.planned_runs)

    @property
    def read(self) -> dict[str, ExtractorEntry]:
        """The extractors whose features a run reads: the report needs no others."""
        names = {store for run in self.planned_runs.values() for store in run.inputs.values()}
        names |= {store for name in names for store in self.extractors[name].joined}
        return {name: entry for name, entry in self.extractors.items() if name in names}

    @property
    def unread(self) -> list[str]:
        """The feature stores that are made and read by no run."""
        return [store for store in self.extractors if store not in self.read]


class Config(Options):
    """All of config.yaml; what a corpus does not say itself comes from the defaults of its kind of task."""

    scale: Literal["auto", "research", "demo"] = "auto"
    corpora: dict[CorpusName, dict[str, Any] | None] = Field(description="by name; null leaves one out")
    defaults: dict[Literal["segment", "frame"], dict[str, Any]] = Field(
        description="what holds where a corpus says nothing, for labels of whole segments and of each frame"
    )
    models: dict[ModelName, NetworkOptions]
    demo: dict[str, Any] = Field({}, description="values that replace those above where the scale is demo")
