"""The definition of config.yaml: every key and what is allowed there. What must fit together: workflow/fitting.py."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, Tag

from models.options import MODALITY_SETS, Contrast, NetworkOptions, Options, SignificanceOptions, TrainingOptions
from pipeline.records import Modality
from workflow.entries import ExtractorEntry, RecogniserEntry

TAKEN = ("benchmarks", "demo", "logs", "weights")
"""Folders of results/ that are no corpus's."""


def _spelled(what: str, signs: str = "", taken: tuple[str, ...] = ()) -> AfterValidator:
    """Refuse a name that a path under results/, its rule or a command line would not take as it is."""
    allowed = ", ".join(["letters", "digits", "_", *signs])

    def check(name: str) -> str:
        if not re.fullmatch(rf"\w[\w{re.escape(signs)}]{{0,99}}", name):
            raise ValueError(f"{what} is made of {allowed} (at most 100), the first a letter, digit or _; rename it")
        if name in taken:
            raise ValueError(f"results/{name} is shared by all corpora; choose another name")
        return name

    return AfterValidator(check)


LabelName = Annotated[str, _spelled("a label")]
StoreName = Annotated[str, _spelled("the name of a feature store", ".+-")]
CorpusName = Annotated[str, _spelled("the name of a corpus", "-", TAKEN)]
ModelName = Annotated[str, _spelled("the name of a model", ".")]  # a run is model-modalities: the name holds no "-"


def _without_nulls(given: Any) -> Any:
    if isinstance(given, dict):
        return {key: value for key, value in given.items() if value is not None}
    return given


NullTakesOut = BeforeValidator(_without_nulls)
"""Of a table whose keys are names: an entry that is null is none."""


def _not_blank(root: str | None) -> str | None:
    if root is not None and not root.strip():
        raise ValueError("write the folder of the corpus, or null for the synthetic one")
    return root


class FaceOptions(Options):
    """What extractors of faces see."""

    sample_rate_hz: float | None = Field(None, gt=0, description="frames looked at per second; null: every frame")
    picture: Literal["face", "half"] = Field(
        "face", description="aligned faces, or the middle 224 pixels of the person's part of the picture, as in paper 1"
    )


class RunEntry(Options):
    """Runs under a name of their own: a model that reads other features than the corpus's inputs."""

    model: str = Field(description="one of the models")
    modalities: list[str] = Field(description="modality sets, such as A+V")
    inputs: dict[Modality, str] = Field({}, description="which feature store a modality reads; else the corpus's input")


def _form(given: Any) -> str | None:
    return "table" if isinstance(given, dict | RunEntry) else "list" if isinstance(given, list) else None


Runs = Annotated[
    Annotated[list[str], Tag("list")] | Annotated[RunEntry, Tag("table")],
    Discriminator(_form, "runs", "write a list of modality sets, [A, A+V], or {model: NAME, modalities: [A, A+V]}"),
]
"""Modality sets of a model, or runs under a name of their own."""


@dataclass(frozen=True, slots=True)
class Run:
    """A model on one modality set, with the feature store that it reads for each."""

    model: str
    modalities: str
    inputs: dict[str, str]


class CorpusEntry(BaseModel, extra="allow"):
    """What each corpus says itself: by what it is read, and where it lies."""

    reader: str = Field(
        description="iemocap | affwild2 | table | meld | cremad | ravdess | module:Class | file.py:Class"
    )
    root: Annotated[str | None, AfterValidator(_not_blank)] = Field(
        None, description="folder of the corpus; null: the synthetic corpus, where there is one"
    )


class CorpusOptions(CorpusEntry):
    """What holds for one corpus; keys that are not listed here are options of its reader, which checks them."""

    faces: FaceOptions = FaceOptions()
    recogniser: RecogniserEntry = RecogniserEntry()
    media_units: int | None = Field(None, ge=1, description="recordings per faces, audio or words job; null: by number")
    shard_units: int | None = Field(None, ge=1, description="recordings per feature job; null: by their number")
    training_job: Literal["fold", "run"] = Field("fold", description="what one job trains: a fold of a run, or all")
    extractors: Annotated[dict[StoreName, ExtractorEntry], NullTakesOut] = Field(default_factory=dict)
    inputs: Annotated[dict[Modality, str], NullTakesOut] = Field(
        default_factory=dict, description="which feature store each modality reads"
    )
    labels: list[LabelName] | None = Field(None, min_length=2, description="classes, after merging; null: the usual")
    merge: Annotated[dict[str, LabelName], NullTakesOut] = Field(
        default_factory=dict, description="labels that count as another"
    )
    protocol: str | None = Field(None, description="how the corpus is split; null: the reader's first")
    turns: str = Field("all", description="segments of one style alone, such as improvised or scripted")
    split_seed: int = Field(337, ge=0, description="of every random choice of a split")
    runs: dict[ModelName, Runs | None] = Field(
        description="model: modality sets; or a name: {model, modalities, inputs} for other features than the corpus's "
        "inputs; null leaves runs out, and each contrast that names them"
    )
    training: TrainingOptions
    contrasts: list[Contrast] = Field(default_factory=list)
    significance: SignificanceOptions

    @property
    def reader_options(self) -> dict[str, Any]:
        """The reader's own options."""
        return dict(self.model_extra or {})

    @property
    def weight_sources(self) -> dict[str, bool]:
        """Where weights come from, and whether any entry that names them allows a pickle."""
        named = [(entry.weights, entry.allow_pickle) for entry in self.extractors.values()]
        named.append((self.recogniser.weights, self.recogniser.allow_pickle))
        return {source: any(allowed for other, allowed in named if other == source) for source, _ in named if source}

    @property
    def run_entries(self) -> dict[str, RunEntry]:
        """The runs as entries, those left out not among them."""
        given = {key: entry for key, entry in self.runs.items() if entry is not None}
        return {k: RunEntry(model=k, modalities=e) if isinstance(e, list) else e for k, e in given.items()}

    @cached_property
    def planned_runs(self) -> dict[str, Run]:
        """Every run by its name, which is its key under ``runs`` and its modalities: self-A+V."""
        found = {}
        for key, entry in self.run_entries.items():
            for modalities in entry.modalities:
                given = {**self.inputs, **entry.inputs}.items()
                inputs = {str(m): store for m, store in given if m in MODALITY_SETS[modalities]}
                found[f"{key}-{modalities}"] = Run(entry.model, modalities, inputs)
        return found

    @property
    def read(self) -> dict[str, ExtractorEntry]:
        """The extractors whose features a run reads: the report needs no others."""
        names = {store for run in self.planned_runs.values() for store in run.inputs.values()}
        names |= {store for name in names for store in self.extractors[name].joined}
        return {name: entry for name, entry in self.extractors.items() if name in names}

    def made(self, run: Run) -> dict[str, ExtractorEntry]:
        """What made the features that a run reads: in place of a joined store, those that it is joined of."""
        stores = run.inputs.values()
        return {part: self.extractors[part] for store in stores for part in self.extractors[store].joined or [store]}

    @property
    def unread(self) -> list[str]:
        """The feature stores that are made where all features are asked for, and read by no run."""
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
