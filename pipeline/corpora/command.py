"""The ``index`` stage: a corpus tree to tables of units, segments, findings and raw files, and labels (Aff-Wild2)."""

from pathlib import Path

import click

from pipeline.corpora.catalogue import CORPORA, get
from pipeline.corpora.raw import RawFiles, fingerprints
from pipeline.corpora.transcripts import check_transcripts
from pipeline.corpora.tree import Index
from pipeline.log import log
from pipeline.records import Finding, InputError, Segment, Unit, write_table

FILE = click.Path(dir_okay=False, path_type=Path)
SAID = 10  # findings of one kind in the log; all are in findings.tsv


@click.command()
@click.option("--corpus", required=True, type=click.Choice(list(CORPORA)), help="Which corpus the tree holds.")
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Its root folder.")
@click.option("--units", required=True, type=FILE, help="Table of source videos to write.")
@click.option("--segments", required=True, type=FILE, help="Table of turns or subjects to write.")
@click.option("--findings", required=True, type=FILE, help="Table of what is missing or unusable to write.")
@click.option("--labels", type=FILE, help="Frame-wise labels to write (Aff-Wild2).")
@click.option("--raw-files", type=FILE, help="Table of what raw files there are to write, with their digests.")
@click.option("--demonstration", is_flag=True, help="Mark the labels as those of a synthetic corpus.")
def index(
    corpus: str,
    root: Path,
    units: Path,
    segments: Path,
    findings: Path,
    labels: Path | None,
    raw_files: Path | None,
    demonstration: bool,
):
    """Read a corpus tree into tables: which videos and segments there are, and what is missing or unusable and why."""
    if corpus == "affwild2" and labels is None:
        raise InputError("--labels is missing: Aff-Wild2 is labelled frame by frame; name the file to write")
    found = get(corpus).index(root)
    found.findings += check_transcripts(root, found.units, found.segments)
    if labels is not None:
        write_labels(labels, corpus, found, demonstration)
    if raw_files is not None:
        write_table(raw_files, fingerprints(corpus, root, found.units), RawFiles)
    write_table(units, found.units, Unit)
    write_table(segments, found.segments, Segment)
    write_table(findings, found.findings, Finding)
    _say(corpus, found)


def write_labels(path: Path, corpus: str, found: Index, demonstration: bool) -> None:
    """Write valence and arousal of every frame as a feature store of width 2."""
    from hashlib import sha256
    from importlib.metadata import version

    from pipeline.store import StoreWriter

    digest = sha256()
    for segment_id, rows in sorted(found.labels.items()):
        for part in (segment_id.encode(), rows.values.tobytes(), rows.time_s.tobytes(), rows.valid.tobytes()):
            digest.update(part)
    attributes = {
        "corpus": corpus,
        "name": "labels",
        "modality": "label",
        "extractor": "annotation",
        "extractor_version": "1",
        "config": {"columns": ["valence", "arousal"]},
        "weights": {},
        "software": {name: version(name) for name in ("av", "h5py", "numpy")},
        "inputs": digest.hexdigest(),
        "demonstration": demonstration,
    }
    with StoreWriter(path, attributes, dim=2) as writer:
        for segment_id, rows in sorted(found.labels.items()):
            writer.append(segment_id, rows)


def _say(corpus: str, found: Index) -> None:
    log.info(
        "%s: %d videos, %d segments, %d findings", corpus, len(found.units), len(found.segments), len(found.findings)
    )
    for status in ("absent", "partial"):
        lines = [f for f in found.findings if f.status == status]
        for f in lines[:SAID]:
            log.info("  %s %s: %s: %s", f.modality, status, f.segment or f.unit, f.reason)
        if len(lines) > SAID:
            log.info("  and %d more that are %s", len(lines) - SAID, status)
