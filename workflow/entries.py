"""The plugs that a corpus's settings name, extractors and a recogniser: each with its weights and its own options."""

import json
import os
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from models.options import Options
from pipeline.features.layers import LayerOptions
from pipeline.features.registry import EXTRACTORS
from pipeline.features.registry import code_of as code_of_extractor
from pipeline.records import InputError, Modality
from pipeline.weights import parse, slug
from pipeline.words.registry import NONE, RECOGNISERS
from pipeline.words.registry import check as check_recogniser
from pipeline.words.registry import code_of as code_of_recogniser
from workflow.demo.checkpoints import KINDS


class RecogniserEntry(BaseModel, extra="allow"):
    """How words are found where a corpus gives none: which recogniser, with its options (checked by itself)."""

    kind: str = Field(
        "none", description="none | pocketsphinx | faster_whisper | transformers | module:Class | file.py:Class"
    )
    weights: str | None = Field(None, description="ORG/NAME@COMMIT or a folder, where it needs some")
    allow_pickle: bool = Field(False, description="read a checkpoint that has no safetensors; no code of it is run")

    @property
    def options(self) -> dict[str, Any]:
        """The recogniser's own options; null leaves one as it is by default."""
        return {key: value for key, value in (self.model_extra or {}).items() if value is not None}

    @property
    def options_json(self) -> str:
        """Its options as JSON: equal ones are equal texts, whatever their order and the defaults written out."""
        return json.dumps(RECOGNISERS.written(self.kind, self.options) if self.enabled else {})

    @property
    def code(self) -> str:
        """Digest of the sources that decide which words are recognised, a recogniser of the user's own included."""
        return code_of_recogniser(self.kind)

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


class JoinOptions(Options):
    """Options of a store that is joined of others."""

    stores: list[str] = Field(min_length=2)
    modality: Modality


class ImportOptions(Options):
    """Options of a store that another tool's file is made into."""

    path: str
    modality: Modality


NO_PLUGS: dict[str, tuple[type[Options], str]] = {
    "join": (JoinOptions, "stores, two or more,"),
    "import": (ImportOptions, "path (.csd or .npz)"),
}
"""Names in the place of an extractor that are none: their options, and the words in which these are explained."""


class ExtractorEntry(BaseModel, extra="allow"):
    """One feature store: which extractor makes it, with which options (checked by the extractor itself)."""

    extractor: str
    weights: str | None = None
    allow_pickle: bool = Field(False, description="read a checkpoint that has no safetensors; no code of it is run")

    @model_validator(mode="after")
    def _is_whole(self):
        if self.extractor in NO_PLUGS:
            table, takes = NO_PLUGS[self.extractor]
            try:
                table.model_validate(self.options)
            except ValidationError:
                raise ValueError(
                    f"extractor {self.extractor!r} takes {takes} and modality (audio, video or text), "
                    f"not {self.options}"
                ) from None
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The extractor's own options."""
        return dict(self.model_extra or {})

    @property
    def _written(self) -> dict[str, Any]:
        """The options that are no defaults, in one order."""
        if self.extractor not in NO_PLUGS:
            return EXTRACTORS.written(self.extractor, self.options)
        table, _ = NO_PLUGS[self.extractor]
        return table.model_validate(self.options).model_dump(mode="json")

    @property
    def options_json(self) -> str:
        """Its options as JSON: equal ones are equal texts, whatever their order and the defaults written out."""
        return json.dumps(self._written)

    @property
    def as_json(self) -> str:
        """All of it as JSON: equal entries are equal texts, as of its options."""
        return json.dumps({field: getattr(self, field) for field in ExtractorEntry.model_fields} | self._written)

    @property
    def code(self) -> str:
        """Digest of the sources that it consists of, its user's own file included."""
        return code_of_extractor(self.extractor)

    @property
    def imported(self) -> bool:
        """Whether another tool's file stands in for an extractor."""
        return self.extractor == "import"

    @property
    def uses_gpu(self) -> bool:
        """Whether a GPU makes it faster; what has no weights is CPU work and must not hold one."""
        return bool(self.weights) and EXTRACTORS.load(self.extractor).uses_gpu

    @property
    def joined(self) -> list[str]:
        """The stores that stand side by side in this one; none where it is not made of others."""
        return list(self.options["stores"]) if self.extractor == "join" else []

    @property
    def layers_apart(self) -> bool:
        """Whether each row keeps the layers of a network side by side."""
        if self.extractor in NO_PLUGS:
            return False
        made = EXTRACTORS.options_for(self.extractor, self.options)
        return isinstance(made, LayerOptions) and made.apart

    @property
    def modality(self) -> str:
        """What the features are made from: audio, video or text."""
        return self.options["modality"] if self.imported or self.joined else EXTRACTORS.load(self.extractor).modality

    @property
    def source(self) -> str:
        """The file that an imported store is made of."""
        return os.path.expanduser(self.options["path"])

    def check(self) -> None:
        """Raise InputError where the options or the weights cannot be used."""
        check_source(self.weights)
        if self.extractor not in NO_PLUGS:
            EXTRACTORS.options_for(self.extractor, self.options, tuple(ExtractorEntry.model_fields))
            EXTRACTORS.check_weights(self.extractor, self.weights)

    def check_there(self, made: str) -> None:
        """Raise InputError for weights, or a file to import, neither there nor in what was ``made`` of them."""
        check_there(self.weights)
        if self.imported and not any(map(os.path.exists, (self.source, made))):
            raise InputError(f"{self.source}: there is no such file to import; make it first, or say where it is")


def check_source(weights: str | None) -> None:
    """Raise InputError where weights cannot come from what is given."""
    source = parse(weights) if weights else None
    if source and source.kind == "demo" and source.location not in KINDS:
        allowed = ", ".join(f"demo:{kind}" for kind in KINDS)
        raise InputError(f"weights {weights!r}: there is no such demonstration checkpoint; there are {allowed}")


def check_there(weights: str | None) -> None:
    """Raise InputError for weights of one's own that are neither there nor copied by a run before."""
    if not weights or (source := parse(weights)).kind != "path":
        return
    if not any(map(os.path.exists, (source.location, f"results/weights/{slug(weights)}"))):
        raise InputError(f"weights {weights!r}: there is no such file or folder; fetch it first, or say where it is")
