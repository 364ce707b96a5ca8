"""Which extractors there are, by name: built in, from an installed package's entry points, or from a user's own file.

Importing this module, checking options and listing sources load no heavy library: the workflow does so as it is read.
"""

import importlib
import importlib.util
import json
import sys
import zlib
from dataclasses import asdict
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.digest import code
from pipeline.features.base import Extractor
from pipeline.records import InputError

BUILT_IN = {
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
}
ENTRY_POINTS = "affectflow.extractors"


def names() -> list[str]:
    """Names that need no module: the built-in extractors and those of installed packages."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


@cache
def load(kind: str) -> type[Extractor]:
    """The class behind a name, a ``module:Class`` or a ``file.py:Class``; raises InputError listing what there is."""
    target = BUILT_IN.get(kind) or next((p.value for p in entry_points(group=ENTRY_POINTS, name=kind)), kind)
    module_name, colon, class_name = target.rpartition(":")
    if not colon:
        raise InputError(
            f"there is no extractor {kind!r}; there are {', '.join(names())}, and your own as module:Class or "
            "file.py:Class"
        )
    found = getattr(_import(module_name, kind), class_name, None)
    if not (isinstance(found, type) and issubclass(found, Extractor)):
        raise InputError(
            f"extractor {kind!r}: {class_name} in {module_name} is "
            f"{'missing' if found is None else 'not a subclass of pipeline.features.base.Extractor'}"
        )
    if getattr(found, "modality", None) not in ("audio", "video", "text"):
        raise InputError(f"extractor {kind!r}: set its class attribute modality to 'audio', 'video' or 'text'")
    return found


def _import(module_name: str, kind: str):
    try:
        if not module_name.endswith(".py"):
            if "" not in sys.path and str(Path.cwd()) not in sys.path:
                sys.path.append(str(Path.cwd()))  # the folder of the workflow, as for `python -m`
            return importlib.import_module(module_name)
        return _import_file(Path(module_name).expanduser().resolve())
    except (ImportError, FileNotFoundError, SyntaxError) as error:
        raise InputError(
            f"extractor {kind!r}: {module_name} cannot be imported ({error}); give the path of the file as "
            "file.py:Class, or put its folder on PYTHONPATH"
        ) from None


def _import_file(path: Path):
    """Import a file under a name of its own, so that it can be called like any other module."""
    name = f"{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


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
    if weights and not load(kind).needs_weights and kind in BUILT_IN:
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
    return code("pipeline.features.command:features", load(kind))
