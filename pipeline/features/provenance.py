"""How a feature store was made, as its attributes say: options, weights, software and a digest of what was read."""

import platform
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from math import floor
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.features.base import Extractor
from pipeline.features.pieces import prepared_file
from pipeline.features.registry import code_of
from pipeline.files import digest_file
from pipeline.records import Modality, Segment
from pipeline.store import MEASURED


def attributes(
    corpus: str,
    name: str,
    kind: str,
    extractor: Extractor,
    weights: dict,
    segments: list[Segment],
    results: Path,
    demonstration: bool,
) -> dict:
    """Attributes of a feature store of schema 1.

    ``config`` holds every option with its defaults filled in, so that it can be put into config.yaml as it is; the
    extractor's version ends in a digest of its source files; ``inputs`` digests the segments' times and all files read.
    """
    return {
        "corpus": corpus,
        "name": name,
        "modality": extractor.modality,
        "extractor": kind,
        "extractor_version": f"{extractor.version}+{code_of(kind)[:12]}",
        "config": TypeAdapter(type(extractor.config)).dump_python(extractor.config, mode="json"),
        "weights": weights,
        "software": software(extractor),
        "inputs": _inputs(segments, results, extractor.modality),
        "demonstration": demonstration,
        "layers": list(extractor.layers) if extractor.dim else [],  # known once the width is
    }


def software(extractor: Extractor) -> dict[str, str]:
    """Versions of Python and of packages that decide an extractor's values; its arithmetic where not float32."""
    found = {"python": platform.python_version()}
    for package in extractor.packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    if extractor.cosine_to_float32 is not None:
        least = floor(1000 * extractor.cosine_to_float32) / 1000  # rounded down, to hold on other processors, too
        found |= {"arithmetic": extractor.config.precision, MEASURED: f"{least:.3f}"}
    return found


def _inputs(segments: list[Segment], results: Path, modality: Modality) -> str:
    total = sha256()
    for segment in sorted(segments, key=lambda s: s.segment_id):
        total.update(f"{segment.segment_id} {segment.unit_id} {segment.start_s!r} {segment.end_s!r}\n".encode())
    for path in sorted({prepared_file(results, modality, segment) for segment in segments}):
        total.update(bytes.fromhex(digest_file(path)))
    return total.hexdigest()
