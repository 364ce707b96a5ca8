"""The one definition of config.yaml: checked when the workflow starts, before any work.

``python -m workflow.settings`` writes the JSON schemas under workflow/schemas from the same definition.
"""

import difflib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from models.options import (
    MODALITIES,
    Contrast,
    NetworkOptions,
    Options,
    SignificanceOptions,
    TrainingOptions,
    check_network,
)
from pipeline.records import Finding, InputError, Segment, Unit, Word

CORPORA = ("iemocap", "affwild2")


class FaceOptions(Options):
    """How faces are tracked."""

    sample_rate_hz: float | None = Field(None, gt=0, description="frames looked at per second; null: every frame")
    crops_source: Literal["own", "organisers"] = Field("own", description="Aff-Wild2: the organisers' cropped_aligned")


class RecogniserOptions(Options):
    """How words are found where a corpus gives none."""

    kind: Literal["none", "pocketsphinx", "transformers"] = "none"
    weights: str | None = Field(None, description="transformers: ORG/NAME@REVISION or a folder")
    language: str | None = Field(None, description="transformers: spoken language; null lets the model decide")


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
        from pipeline.features import registry, weights

        if self.weights:
            weights.parse(self.weights)
        if not self.imported:
            registry.options_for(self.extractor, self.options)
            registry.check_weights(self.extractor, self.weights)
        elif set(self.options) != {"path", "modality"} or self.options["modality"] not in MODALITIES.values():
            raise InputError("extractor 'import' takes path (.csd or .npz) and modality (audio, video or text)")
        elif not Path(self.options["path"]).exists():
            raise InputError(f"{self.options['path']}: there is no such file to import")


class CorpusOptions(Options):
    """What can be configured of every corpus."""

    root: str | None = Field(None, description="folder of the corpus; null: the synthetic demonstration corpus")
    faces: FaceOptions = FaceOptions()
    recogniser: RecogniserOptions = RecogniserOptions()
    shard_units: int = Field(8, ge=1, description="videos per feature job")
    extractors: dict[str, ExtractorEntry]
    inputs: dict[Literal["audio", "video", "text"], str] = Field(description="which feature store each modality reads")
    runs: dict[str, list[str] | None] = Field(description="model: modality sets; null leaves a model out")
    training: TrainingOptions
    contrasts: list[Contrast] = Field(default_factory=list)
    significance: SignificanceOptions

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
            sides = [contrast.a, *([contrast.b] if isinstance(contrast.b, str) else contrast.b)]
            unknown = [side for side in sides if side not in names]
            if unknown:
                raise ValueError(f"contrasts: {contrast.question!r} names {unknown[0]!r}; there are {sorted(names)}")
        return self

    @property
    def weight_sources(self) -> dict[str, bool]:
        """Where weights come from, and whether a pickle is allowed there."""
        found = {e.weights: e.allow_pickle for e in self.extractors.values() if e.weights}
        return {**found, **({self.recogniser.weights: False} if self.recogniser.weights else {})}

    @property
    def run_names(self) -> list[str]:
        """Every run as model-modalities."""
        return [f"{model}-{modalities}" for model, sets in self.runs.items() for modalities in sets or ()]


class Iemocap(CorpusOptions):
    """IEMOCAP: emotion of a turn."""

    audio: Literal["sentences", "video"] = Field("sentences", description="the wav of each turn, or the video's sound")
    labels: list[str] = Field(min_length=2)
    merge: dict[str, str] = Field(default_factory=dict)
    protocol: Literal["session", "speaker", "utterance"] = "session"
    split_seed: int = 337


class AffWild2(CorpusOptions):
    """Aff-Wild2: valence and arousal of every frame."""

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
    models: dict[str, NetworkOptions]
    demo: dict[str, Any] = Field({}, description="values that replace those above where the scale is demo")

    @model_validator(mode="after")
    def _models_exist(self):
        for corpus in CORPORA:
            unknown = sorted(set(getattr(self.corpora, corpus).runs) - set(self.models))
            if unknown:
                raise ValueError(f"corpora.{corpus}.runs: no model {unknown[0]!r}; there are {sorted(self.models)}")
        return self


class Resolved(Options):
    """What holds for one corpus once the scale is known."""

    corpus: Literal["iemocap", "affwild2"]
    scale: Literal["research", "demo"]
    synthetic: bool = Field(description="no root: the generated corpus")
    options: Iemocap | AffWild2
    models: dict[str, NetworkOptions]

    @property
    def demonstration(self) -> bool:
        """Whether results mean nothing: small random checkpoints, and perhaps a synthetic corpus."""
        return self.scale == "demo"


def patch(base: dict, changes: dict) -> dict:
    """A copy of ``base`` in which the leaves of ``changes`` replace or add values."""
    out = deepcopy(base)
    for key, value in changes.items():
        out[key] = patch(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def check(config: dict) -> Config:
    """Validate a configuration; raises InputError that names the key, what was given and what is allowed."""
    try:
        return Config.model_validate(config)
    except ValidationError as error:
        lines = [_explain(item) for item in error.errors()]
        raise InputError("config.yaml cannot be used:\n  " + "\n  ".join(lines)) from None


def resolve(config: dict, corpus: str) -> Resolved:
    """The settings of one corpus, with the demonstration's values in place where its scale is demo."""
    plain = check(config)
    synthetic = getattr(plain.corpora, corpus).root is None
    scale = ("demo" if synthetic else "research") if plain.scale == "auto" else plain.scale
    if scale == "research" and synthetic:
        raise InputError(
            f"config.yaml: scale is research, but corpora.{corpus}.root is null; set the root or scale: demo"
        )
    checked = check(patch(config, config.get("demo") or {})) if scale == "demo" else plain
    options = getattr(checked.corpora, corpus)
    _check_extractors(corpus, options)
    for model, sets in options.runs.items():
        for modalities in sets or ():
            names = [MODALITIES[letter] for letter in modalities.split("+")]
            check_network(checked.models[model], names, "segment" if corpus == "iemocap" else "frame")
    return Resolved(corpus=corpus, scale=scale, synthetic=synthetic, options=options, models=checked.models)


def _check_extractors(corpus: str, options: CorpusOptions) -> None:
    for name, entry in options.extractors.items():
        try:
            entry.check()
        except InputError as error:
            raise InputError(f"config.yaml: corpora.{corpus}.extractors.{name}: {error}") from None
    for modality, name in options.inputs.items():
        found = options.extractors[name].modality
        if found != modality:
            raise InputError(
                f"config.yaml: corpora.{corpus}.inputs.{modality}: {name} is made from {found}; use one from {modality}"
            )


def _explain(error: dict) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "the whole"
    if error["type"] == "extra_forbidden":
        allowed = _allowed_keys(error["loc"][:-1])
        close = difflib.get_close_matches(str(error["loc"][-1]), allowed, 1)
        return f"{where}: unknown key{f'; did you mean {close[0]}?' if close else ''} Allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{where}: missing; give it a value"
    return (
        f"{where}: {error['msg'].removeprefix('Value error, ')} (given: {json.dumps(error['input'], default=str)[:80]})"
    )


def _allowed_keys(path: tuple) -> list[str]:
    model: Any = Config
    for part in path:
        annotation = model.model_fields[part].annotation if _is_model(model) and part in model.model_fields else model
        model = next((a for a in (annotation, *get_args(annotation)) if _is_model(a)), annotation)
    return sorted(model.model_fields) if _is_model(model) else []


def _is_model(thing) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)


def schemas() -> dict[str, dict]:
    """JSON schema of config.yaml and of each table, by file name."""
    tables = {"units": Unit, "segments": Segment, "words": Word, "coverage": Finding}
    found = {f"{name}.schema.json": TypeAdapter(record).json_schema() for name, record in tables.items()}
    return {"config.schema.json": Config.model_json_schema(), **found}


if __name__ == "__main__":
    for name, schema in schemas().items():
        path = Path(__file__).parent / "schemas" / name
        path.write_text(json.dumps({**schema, "additionalProperties": False}, indent=2) + "\n")
