"""A run as a folder to archive, in the form of an RO-Crate 1.1: configuration, versions, digests, tables and report.

Nothing of the corpus is in it: no sound, picture, word, label or prediction of a single segment. What its videos,
weights and features were is said by their digests.
"""

import shutil
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import click

from models.predictions import RUN
from models.report.gather import Results, read
from models.report.page import render
from models.report.paper import write_paper
from models.report.view import build, is_demonstration
from models.settings import Settings
from pipeline.cli import EXISTING_FOLDER, FOLDER
from pipeline.files import write_json
from pipeline.log import log
from pipeline.records import InputError

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
METADATA = "ro-crate-metadata.json"
TABLES = tuple(f"{name}.csv" for name in ("scores", "missing_modalities", "significance", "confusion", "leaks"))
KINDS = {
    ".json": "application/json", ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".html": "text/html",
    ".tex": "application/x-tex", ".svg": "image/svg+xml", ".bib": "application/x-bibtex", ".txt": "text/plain",
}  # fmt: skip


def collect(results: Results, out: Path) -> None:
    """Copy and write what belongs into the archive."""
    folder = results.folder
    copies = {name: folder / name for name in ("config.json", "raw_files.tsv")}
    copies |= {f"tables/{name}": folder / "tables" / name for name in TABLES}
    for run in results.settings.runs:
        for training in results.trainings(run):
            place = training.relative_to(folder)
            copies |= {f"{place}/{name}": training / name for name in (RUN, "history.csv")}
    for name, source in copies.items():
        if source.exists():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, out / name)
    view = build(results, media=False)
    page, numbering = render(view)
    (out / "report.html").write_text(page, encoding="utf-8")
    write_paper(out / "paper", view, numbering.tables)
    stores = {store.file: store.attributes for store in results.stores}
    write_json(out / "features.json", stores, sort_keys=True, default=str)
    software = {"software": dict(view["provenance"]["software"]), "hardware": view["provenance"]["hardware"]}
    versions = {**software, "revision": results.settings.revision}
    write_json(out / "versions.json", versions, sort_keys=True, default=str)


def describe(results: Results, out: Path, day: str, licence: str | None) -> dict:
    """The metadata of the crate: the run as a data set, and each of its files with size and digest."""
    settings = results.settings
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != METADATA)
    parts = [_part(path, out) for path in files]
    demonstration = "Demonstration, no results. " if is_demonstration(results) else ""
    about = f"{demonstration}Runs of affectflow on {settings.title}, protocol {settings.protocol.description}"
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"affectflow run on {settings.title}",
        "description": f"{about}. Without corpus data.",
        "datePublished": day,
        "hasPart": [{"@id": part["@id"]} for part in parts],
        **({"license": {"@id": licence}} if licence else {}),
    }
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
    }
    return {"@context": CONTEXT, "@graph": [descriptor, root, *parts]}


def _part(path: Path, out: Path) -> dict:
    data = path.read_bytes()
    return {
        "@id": path.relative_to(out).as_posix(),
        "@type": "File",
        "contentSize": str(len(data)),
        "encodingFormat": KINDS.get(path.suffix, "application/octet-stream"),
        "sha256": sha256(data).hexdigest(),
    }


@click.command("archive")
@click.argument("folder", type=EXISTING_FOLDER)
@click.option("--out", required=True, type=FOLDER, help="a folder that is not there")
@click.option("--revision", help="of the code, as git names it")
@click.option("--license", "licence", help="URL of the license of the archive")
@click.option("--date", "day", help="of publication, YYYY-MM-DD [today]")
def archive(folder, out, revision, licence, day):
    """Make a folder to archive a run (RO-Crate): configuration, versions, digests, tables, report; no corpus data."""
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: is there already and not empty; give a folder that is not there yet")
    try:
        day = date.fromisoformat(day).isoformat() if day else date.today().isoformat()
    except ValueError:
        raise InputError(f"--date {day!r}: write it as YYYY-MM-DD, such as 2026-05-31") from None
    settings = replace(Settings.from_json(folder / "config.json"), revision=revision or None)
    results = read(folder, settings)
    out.mkdir(parents=True, exist_ok=True)
    collect(results, out)
    write_json(out / METADATA, describe(results, out, day, licence), sort_keys=True)
    for path in results.absent:
        log.warning("not there, so the archive lacks it: %s", folder / path)
    log.info("%s: %d files", out, sum(path.is_file() for path in out.rglob("*")))
