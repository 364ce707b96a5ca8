"""The definition of config.yaml: every key, what is allowed there, and what must fit together."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator, model_validator

from models.metrics import overall
from models.options import MODALITIES, Contrast, NetworkOptions, Options, SignificanceOptions, TrainingOptions
from models.task import Task
from pipeline.corpora.iemocap_files import LABELS
from pipeline.records import InputError
from pipeline.words.recogniser import RecogniserConfig

CORPORA = ("iemocap", "affwild2")


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
ModelName = Annotated[str, _spelled("the name of a model", ".")]  # a run is model-modalities: the name holds no "-"


def runs_of(contrast: Contrast) -> list[str]:
    """Every run that a contrast names."""
    return [contrast.a, *([contrast.b] if isinstance(contrast.b, str) else contrast.b)]


class FaceOptions(Options):
    """How faces are tracked."""

    sample_rate_hz: float | None = Field(None, gt=0, description="frames looked at per second; null: every frame")
    crops_source: Literal["own", "organisers"] = Field("own", description="Aff-Wild2: the organisers' cropped_aligned")


class OwnFaces(FaceOptions):
    """How faces are tracked in a corpus that brings no crops."""

    crops_source: Literal["own"] = Field("own", description="only Aff-Wild2 comes with crops of its organisers")


class RecogniserOptions(RecogniserConfig):
    """How words are found where a corpus gives none, with the weights that are fetched for it."""

    @model_validator(mode="after")
    def _has_weights(self):
        if self.kind == "transformers" and not self.weights:
            raise ValueError(
                "kind transformers needs weights: give ORG/NAME@COMMIT or a folder, or choose kind pocketsphinx or none"
            )
        return self


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
    def modality(self) -> str:
        """What the features are made from: audio, video or text."""
        from pipeline.features import registry

        return self.options["modality"] if self.imported else registry.load(self.extractor).modality

    def check(self) -> None:
        """Raise InputError where the options, the weights or the file to import cannot be used."""
        from pipeline.features import registry

        check_source(self.weights)
        if not self.imported:
            registry.options_for(self.extractor, self.options)
            registry.check_weights(self.extractor, self.weights)
        elif set(self.options) != {"path", "modality"} or self.options["modality"] not in MODALITIES.values():
            raise InputError("extractor 'import' takes path (.csd or .npz) and modality (audio, video or text)")
        elif not Path(self.options["path"]).exists():
            raise InputError(f"{self.options['path']}: there is no such file to import")


def check_source(weights: str | None) -> None:
    """Raise InputError where weights cannot come from what is given."""
    from pipeline.demo.checkpoints import KINDS
    from pipeline.weights import parse

    source = parse(weights) if weights else None
    if source and source.kind == "demo" and source.location not in KINDS:
        allowed = ", ".join(f"demo:{kind}" for kind in KINDS)
        raise InputError(f"weights {weights!r}: there is no such demonstration checkpoint; there are {allowed}")


class CorpusOptions(Options):
    """What can be configured of every corpus."""

    task: ClassVar[Task]
    root: str | None = Field(None, description="folder of the corpus; null: the synthetic demonstration corpus")
    faces: FaceOptions = FaceOptions()
    recogniser: RecogniserOptions = RecogniserOptions()
    shard_units: int = Field(8, ge=1, description="videos per feature job")
    extractors: dict[StoreName, ExtractorEntry]
    inputs: dict[Literal["audio", "video", "text"], str] = Field(description="which feature store each modality reads")
    runs: dict[str, list[str] | None] = Field(
        description="model: modality sets; null leaves a model out, and each contrast that names it"
    )
    training: TrainingOptions
    contrasts: list[Contrast] = Field(default_factory=list)
    significance: SignificanceOptions

    @field_validator("root")
    @classmethod
    def _is_null_or_a_folder(cls, root: str | None):
        if root is not None and not root.strip():
            raise ValueError("write the folder of the corpus, or null for the synthetic one")
        return root

    @field_validator("contrasts")
    @classmethod
    def _are_of_models_that_run(cls, contrasts: list[Contrast], info: ValidationInfo):
        left_out = {model for model, sets in info.data.get("runs", {}).items() if sets is None}
        return [x for x in contrasts if left_out.isdisjoint(run.rpartition("-")[0] for run in runs_of(x))]

    @field_validator("significance")
    @classmethod
    def _can_be_tested(cls, significance: SignificanceOptions):
        allowed = overall(cls.task)
        if significance.metric not in allowed:
            raise ValueError(f"metric: {significance.metric!r} is not tested here; choose one of {', '.join(allowed)}")
        return significance

    @model_validator(mode="after")
    def _fits_together(self):
        for modality, name in self.inputs.items():
            if name not in self.extractors:
                raise ValueError(f"inputs.{modality}: no extractor {name!r}; there are {sorted(self.extractors)}")
        for model, sets in self.runs.items():
            for modalities in sets or ():
                letters = modalities.split("+")
                if letters != [letter for letter in MODALITIES if letter in letters]:
                    raise ValueError(f"runs.{model}: {modalities!r}; write letters of A, V, T in that order: A+V+T")
                missing = [MODALITIES[x] for x in letters if MODALITIES[x] not in self.inputs]
                if missing:
                    raise ValueError(f"runs.{model}: {modalities} needs inputs.{missing[0]}, which is not given")
        names = set(self.run_names)
        for contrast in self.contrasts:
            unknown = [run for run in runs_of(contrast) if run not in names]
            if unknown:
                raise ValueError(f"contrasts: {contrast.question!r} names {unknown[0]!r}; there are {sorted(names)}")
        return self

    @property
    def weight_sources(self) -> dict[str, bool]:
        """Where weights come from, and whether any entry that names them allows a pickle."""
        named = [(entry.weights, entry.allow_pickle) for entry in self.extractors.values()]
        named.append((self.recogniser.weights, False))
        return {source: any(allowed for other, allowed in named if other == source) for source, _ in named if source}

    @property
    def run_names(self) -> list[str]:
        """Every run as model-modalities."""
        return [f"{model}-{modalities}" for model, sets in self.runs.items() for modalities in sets or ()]


class Iemocap(CorpusOptions):
    """IEMOCAP: emotion of a turn."""

    task = Task("classes", "segment")
    faces: OwnFaces = OwnFaces()
    audio: Literal["sentences", "video"] = Field("sentences", description="the wav of each turn, or the video's sound")
    labels: list[LabelName] = Field(min_length=2)
    merge: dict[str, LabelName] = Field(default_factory=dict)
    protocol: Literal["session", "speaker", "utterance"] = "session"
    split_seed: int = 337

    @model_validator(mode="after")
    def _labels_fit_together(self):
        labels = self.labels
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"labels: {twice[0]!r} is there more than once; list each label once")
        for source, target in self.merge.items():
            if source not in LABELS:
                raise ValueError(f"merge: {source!r} is no label of IEMOCAP; there are {', '.join(LABELS)}")
            if source in labels:
                raise ValueError(f"merge: {source!r} counts as {target!r}; remove {source!r} from labels {labels}")
            if target not in labels:
                raise ValueError(
                    f"merge: {source!r} counts as {target!r}, which is not in labels {labels}; add it there"
                )
        unknown = [label for label in labels if label not in LABELS and label not in self.merge.values()]
        if unknown:
            raise ValueError(
                f"labels: {unknown[0]!r} is no label of IEMOCAP and none is merged into it; "
                f"there are {', '.join(LABELS)}"
            )
        return self


class AffWild2(CorpusOptions):
    """Aff-Wild2: valence and arousal of every frame."""

    task = Task("numbers", "frame", ("valence", "arousal"))
    protocol: Literal["official", "official_paper", "sixfold"] = "official"
    split_seed: int = 337


class Corpora(Options):
    """Both corpora."""

    iemocap: Iemocap
    affwild2: AffWild2


class Config(Options):
    """All of config.yaml."""

    scale: Literal["auto", "research", "demo"] = "auto"
    corpora: Corpora
    models: dict[ModelName, NetworkOptions]
    demo: dict[str, Any] = Field({}, description="values that replace those above where the scale is demo")

    @model_validator(mode="after")
    def _models_exist(self):
        for corpus in CORPORA:
            unknown = sorted(set(getattr(self.corpora, corpus).runs) - set(self.models))
            if unknown:
                raise ValueError(f"corpora.{corpus}.runs: no model {unknown[0]!r}; there are {sorted(self.models)}")
        return self
