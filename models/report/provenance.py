"""What every number comes from: raw files, weights, feature stores, what trainings read, software and configuration."""

import json
from collections import Counter

from models.report.gather import Results, Store, run_infos


def provenance(results: Results) -> dict:
    """All of it, as plain values; nothing is hashed here, digests are those that each stage noted."""
    settings = results.settings
    software = dict(settings.software)
    for store in results.stores:
        for name, version in (store.attributes["software"] or {}).items():
            software.setdefault(name, version)
    machines: dict[str, None] = {}
    read: Counter[tuple[str, str]] = Counter()
    for info in run_infos(results, settings.runs):
        for name, version in (info.get("versions") or {}).items():
            software.setdefault(name, version)
        hardware = info.get("hardware") or {}
        machines[", ".join(str(hardware[k]) for k in ("cpu", "gpu") if hardware.get(k))] = None
        read.update((_file_of(results, name), digest) for name, digest in (info.get("inputs") or {}).items())
    return {
        "raw_files": results.raw_files,
        "stores": [_store_row(store) for store in results.stores],
        "recogniser": _recogniser(results),
        "read": [
            {"file": file, "digest": digest, "trainings": count} for (file, digest), count in sorted(read.items())
        ],
        "software": sorted((str(k), str(v)) for k, v in software.items()),
        "hardware": "; ".join(filter(None, machines)),
        "seeds": settings.seeds,
        "config": json.dumps(settings.config, indent=2, sort_keys=True, ensure_ascii=False),
    }


def _file_of(results: Results, name: str) -> str:
    """The file behind the name of a training's input: a modality, split or labels."""
    settings = results.settings
    features = {m: f"features/{store}.h5" for m, store in (settings.options.get("inputs") or {}).items()}
    return {**features, "split": f"splits/{settings.protocol}.tsv", "labels": "labels.h5"}.get(name, name)


def _recogniser(results: Results) -> dict | None:
    """Which recogniser finds words where a corpus gives none, with the digests of its weights; None where none does."""
    options = results.settings.options.get("recogniser") or {}
    kind, source = options.get("kind", "none"), options.get("weights")
    if kind == "none":
        return None
    folder = next((name for name, text in results.settings.weights.items() if text == source), None)
    path = results.folder.parent / "weights" / str(folder) / "weights.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) if source and path.exists() else {}
    digests = {name: file["sha256"] for name, file in (manifest.get("files") or {}).items()}
    return {"kind": kind, "source": source, "revision": manifest.get("revision"), "digests": sorted(digests.items())}


def _store_row(store: Store) -> dict:
    attributes = store.attributes
    weights = attributes["weights"] or {}
    digests = weights.get("sha256") or weights.get("files") or {}
    return {
        "file": store.file,
        "segments": store.segments,
        "rows": store.rows,
        "dim": store.dim,
        "modality": attributes["modality"],
        "extractor": f"{attributes['extractor']} {attributes['extractor_version']}",
        "inputs": str(attributes["inputs"]),
        "demonstration": attributes["demonstration"],
        "source": weights.get("source"),
        "revision": weights.get("revision"),
        "digests": sorted(digests.items()) if isinstance(digests, dict) else [("", str(digests))],
        "config": json.dumps(attributes["config"], sort_keys=True, ensure_ascii=False),
    }
