"""Which extractors there are, by name: built in, from an installed package's entry points, or from a user's own file.

Importing this module, checking options and listing sources load no heavy library: the workflow does so as it is read.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.digest import code
from pipeline.features.base import Extractor
from pipeline.records import InputError
from pipeline.registry import Registry

EXTRACTORS = Registry(
    "extractor",
    Extractor,
    "affectflow.extractors",
    {
        "mfcc": "pipeline.features.mfcc:Mfcc",
        "log_mel": "pipeline.features.log_mel:LogMel",
        "vggish_log_mel": "pipeline.features.log_mel:VggishLogMel",
        "prosody": "pipeline.features.prosody:Prosody",
        "opensmile": "pipeline.features.opensmile_sets:OpenSmile",
        "face_geometry": "pipeline.features.face_geometry:FaceGeometry",
        "onnx_image": "pipeline.features.onnx_image:OnnxImage",
        "transformers_audio": "pipeline.features.transformers_audio:TransformersAudio",
        "transformers_image": "pipeline.features.transformers_image:TransformersImage",
        "transformers_text": "pipeline.features.transformers_text:TransformersText",
    },
)


def names() -> list[str]:
    """Names that need no module: the built-in extractors and those of installed packages."""
    return EXTRACTORS.names()


def load(kind: str) -> type[Extractor]:
    """The class behind a name, a ``module:Class`` or a ``file.py:Class``; raises InputError listing what there is."""
    found = EXTRACTORS.load(kind)
    if getattr(found, "modality", None) not in ("audio", "video", "text"):
        raise InputError(f"extractor {kind!r}: set its class attribute modality to 'audio', 'video' or 'text'")
    return found


def options_for(kind: str, options: dict | None = None):
    """The validated options of an extractor; raises InputError naming each wrong key, its value, and all options."""
    config = load(kind).Config
    options = options or {}
    allowed = list(config.__dataclass_fields__)
    problems = [f"unknown option {key!r}" for key in options if key not in allowed]
    try:
        if not problems:
            return TypeAdapter(config).validate_python(options)
    except ValidationError as error:
        for each in error.errors():
            where = ".".join(map(str, each["loc"])) or "options"
            problems.append(f"{where}: {each['msg'].removeprefix('Value error, ')} (given {each['input']!r})")
    raise InputError(f"extractor {kind!r}: {'; '.join(problems)}. Its options are: {', '.join(allowed) or 'none'}")


def check_weights(kind: str, weights: str | None) -> None:
    """Raise InputError where an extractor needs weights and none are named, or some are named and it uses none."""
    if load(kind).needs_weights and not weights:
        raise InputError(f"extractor {kind!r} needs a checkpoint: add weights: ORG/NAME@COMMIT, a folder or a file")
    if weights and not load(kind).needs_weights and kind in EXTRACTORS.built_in:
        raise InputError(f"extractor {kind!r} uses no weights; remove weights: {weights}")


def describe(kind: str) -> list[tuple[str, str, str]]:
    """(name, default, description) of each option of an extractor."""
    fields = load(kind).Config.__pydantic_fields__
    return [(n, json.dumps(f.get_default(call_default_factory=True)), f.description or "") for n, f in fields.items()]


def options_dict(config) -> dict:
    """A validated option table as plain values, defaults included."""
    return asdict(config)


def code_of(kind: str) -> str:
    """Digest of the sources that decide an extractor's features: its own, a user's file included, and the driver's."""
    module = load(kind).__module__
    if module.startswith("pipeline."):
        return code("pipeline.features.command", module)
    return code("pipeline.features.command", files=(Path(sys.modules[module].__file__),))
