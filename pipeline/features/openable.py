"""Whether the files of a checkpoint can be opened: tried when they are fetched, and before they are used."""

import json
from pathlib import Path

from pipeline.records import InputError
from pipeline.stand_in import stand_in

CTRANSLATE2 = "model.bin"  # a format of its own, no pickle
REMEDY = "delete it and fetch the weights again, or take them from another source"


def check_openable(folder: Path, source: str) -> None:
    """Raise InputError for the first file that is not what its name says: a pointer, a web page, cut short, hostile."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        check = _ctranslate2 if path.name == CTRANSLATE2 else _CHECKS.get(path.suffix.lower())
        problem = "; ".join(stand_in(path) or ())
        if not problem and check is not None:
            try:
                problem = check(path) or ""
            except Exception as error:  # each format has exceptions of its own
                problem = f"cannot be opened ({(str(error).strip() or type(error).__name__).splitlines()[0][:200]})"
        if problem and (check is not None or path.suffix in _LARGE):
            raise InputError(f"{source}: {path.relative_to(folder)} is not what its name says: {problem}; {REMEDY}")


def _json(path: Path) -> str | None:
    table = json.loads(path.read_text(encoding="utf-8"))
    shards = set(table.get("weight_map", {}).values()) if isinstance(table, dict) else set()
    missing = sorted(name for name in shards if not (path.parent / name).is_file())
    return f"names {missing[0]}, which is not there" if missing else None


def _safetensors(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, "np") as file:  # reads the header and checks the length against it
        file.keys()


def _pickle(path: Path) -> None:
    import zipfile

    import torch

    torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _onnx(path: Path) -> None:
    import onnxruntime

    onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _ctranslate2(path: Path) -> None:
    import ctranslate2

    ctranslate2.models.Whisper(str(path.parent), device="cpu")  # reads all of it


_CHECKS = {".json": _json, ".safetensors": _safetensors, ".bin": _pickle, ".onnx": _onnx}
_LARGE = {".model", ".txt", ".vec", ".data", ".onnx_data"}
