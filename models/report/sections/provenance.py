"""What every number comes from: raw files, weights, feature stores, what trainings read, software and configuration."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from models.report.gather import Results, Store
from models.report.tables import Column, Table
from models.report.writing import grouped, listing, sentence
from models.settings import Settings


def provenance(results: Results) -> dict:
    """All of it, as plain values; nothing is hashed here, digests are those that each stage noted."""
    settings = results.settings
    software = [store.attributes["software"] for store in results.stores]
    machines: dict[str, None] = {}
    read: Counter[tuple[str, str]] = Counter()
    for run, infos in results.run_infos.items():
        for info in infos:
            software.append(info["versions"])
            machines[", ".join(info["hardware"][key] for key in ("cpu", "gpu") if info["hardware"][key])] = None
            read.update((_file_of(settings, run, name), digest) for name, digest in info["inputs"].items())
    return {
        "raw_files": _raw_files(results) if results.raw_files else None,
        "stores": _stores(results) if results.stores else None,
        "store_details": [_details(store) for store in results.stores],
        "recogniser": _recogniser(results),
        "read": _read(read) if read else None,
        "software": sorted(versions(software).items()),
        "hardware": "; ".join(filter(None, machines)),
        "seeds": settings.seeds,
        "config": json.dumps(settings.config, indent=2, sort_keys=True, ensure_ascii=False),
    }


def versions(software: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Each program with its version, or with all of them where several were used: "2.6 and 2.11".

    Without the label of a build: PyTorch itself names one, 2.11.0+cu130, which its metadata may lack.
    """
    found: dict[str, dict[str, None]] = {}
    for used in software:
        for name, version in used.items():
            found.setdefault(name, {})[version.partition("+")[0]] = None
    return {name: listing(list(of)) for name, of in found.items()}


def _raw_files(results: Results) -> Table:
    columns = [
        Column("what", "What", number=False),
        Column("files", "Files", grouped),
        Column("bytes", "MB", lambda n: f"{n / 1e6:.2f}"),
        Column("sha256", "SHA-256", number=False, css="digest code small"),
    ]
    note = "SHA-256 over the sorted paths, each with the digest of its contents, above 1 MB of its size and 16 parts."
    return Table.of("raw_files", "Raw files, as the corpus was read", columns, results.raw_files, note=note)


def _stores(results: Results) -> Table:
    read = results.settings.stores_read
    rows = []
    for store in results.stores:
        attributes, weights = store.attributes, store.attributes["weights"]
        name = store.file.removesuffix(".h5")
        about = [attributes["modality"], *(["demonstration"] if attributes["demonstration"] else [])]
        about += [] if name in read or not read else ["read by no run"]
        rows.append(
            {
                "file": store.file,
                "about": ", ".join(about),
                "extractor": f"{attributes['extractor']} {attributes['extractor_version']}",
                "segments": store.segments,
                "rows": store.rows,
                "dim": store.dim,
                "weights": weights.get("source", "none"),
                "revision": weights.get("revision"),
                "inputs": attributes["inputs"][:12],
            }
        )
    columns = [
        Column("file", "File", number=False, sub="about"),
        Column("extractor", "Extractor", number=False),
        Column("segments", sentence(f"{results.settings.words['segment']}s"), grouped),
        Column("rows", "Rows", grouped),
        Column("dim", "Width"),
        Column("weights", "Weights", number=False, sub="revision", css="prose"),
        Column("inputs", "Inputs", number=False, css="code"),
    ]
    note = "Inputs: the beginning of the SHA-256 over what the extractor read."
    return Table.of("stores", "Feature stores and the weights behind them", columns, rows, note=note)


def _details(store: Store) -> dict:
    attributes = store.attributes
    return {
        "file": store.file,
        "inputs": attributes["inputs"],
        "digests": sorted(attributes["weights"].get("sha256", {}).items()),
        "config": json.dumps(attributes["config"], sort_keys=True, ensure_ascii=False),
    }


def _read(read: Counter) -> Table:
    rows = [{"file": file, "trainings": n, "sha256": digest} for (file, digest), n in sorted(read.items())]
    columns = [
        Column("file", "File", number=False),
        Column("trainings", "Trainings", grouped),
        Column("sha256", "SHA-256", number=False, css="digest code small"),
    ]
    title = "Files that the trainings read, as each noted them"
    return Table.of("read", title, columns, rows, note="SHA-256 of the whole file.")


def _file_of(settings: Settings, run: str, name: str) -> str:
    """The file behind the name of a training's input: a modality, or a table."""
    stores = {modality: f"features/{store}.h5" for modality, store in settings.runs[run].inputs.items()}
    tables = {
        "split": f"splits/{settings.protocol.name}.tsv",
        "targets": f"targets/{settings.protocol.name}.tsv",
        "segments": "segments.tsv",
        "labels": f"labels.{'h5' if settings.task.frames else 'tsv'}",
    }
    return {**stores, **tables}[name]


def _recogniser(results: Results) -> dict | None:
    """Which recogniser finds words where a corpus gives none, with the digests of its weights; None where none does."""
    options = results.settings.options["recogniser"]
    kind, source = options["kind"], options["weights"]
    if kind == "none" or "text" not in results.settings.modalities:
        return None
    folder = next((name for name, text in results.settings.weights.items() if text == source), None)
    path = results.folder.parent / "weights" / str(folder) / "weights.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) if source and path.exists() else {}
    digests = {name: file["sha256"] for name, file in manifest.get("files", {}).items()}
    return {"kind": kind, "source": source, "revision": manifest.get("revision"), "digests": sorted(digests.items())}
