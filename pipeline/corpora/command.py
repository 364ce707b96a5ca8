"""Stages that read a corpus tree: ``index`` to its tables, ``frame-labels`` to labels of every frame."""

import json
from pathlib import Path

import click

from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.raw import Fingerprints, RawFiles, raw_files
from pipeline.corpora.registry import make
from pipeline.log import log
from pipeline.records import Finding, InputError, Label, Rating, Segment, Unit, read_table, write_table

FILE = click.Path(dir_okay=False, path_type=Path)
SHOWN = 10  # findings of one kind in the log; all are in findings.tsv


def reading(command):
    """Options that say which corpus is read, and how."""
    for option in (
        click.option("--options", default="{}", help="Options of the reader, as JSON."),
        click.option("--root", required=True, type=click.Path(path_type=Path), help="The corpus's root folder."),
        click.option("--reader", required=True, help="Which reader: a name, module:Class or file.py:Class."),
        click.option("--corpus", required=True, help="The corpus's name in the configuration."),
    ):
        command = option(command)
    return command


def open_corpus(corpus: str, reader: str, root: Path, options: str) -> Corpus:
    """The corpus that the options name; raises InputError where they are not JSON or not options of the reader."""
    try:
        return make(corpus, reader, root, json.loads(options))
    except json.JSONDecodeError as error:
        raise InputError(f"--options {options!r} is not JSON ({error})") from None


@click.command()
@reading
@click.option("--shard-units", type=click.IntRange(min=1), help="Recordings whose faces, sound and words share a file.")
@click.option("--fingerprints", type=FILE, help="Where digests of raw files are remembered.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the tables.")
def index(corpus, reader, root, options, shard_units, fingerprints, out):
    """Read a corpus tree into tables: recordings, segments, labels, and what is missing or unusable and why."""
    from pipeline.corpora.prepare import read
    from pipeline.corpora.resolve import with_ends
    from pipeline.corpora.transcripts import check_transcripts

    known = open_corpus(corpus, reader, root, options)
    found = with_ends(known.root, read(known, shard_units))
    found.findings += known.review(found)
    found.findings += check_transcripts(known.root, found.units, found.segments)
    prints = Fingerprints(known.root, fingerprints)
    write_table(out / "units.tsv", found.units, Unit)
    write_table(out / "segments.tsv", found.segments, Segment)
    write_table(out / "labels.tsv", found.labels, Label)
    write_table(out / "raters.tsv", found.ratings, Rating)
    write_table(out / "findings.tsv", found.findings, Finding)
    write_table(out / "raw_files.tsv", raw_files(known, found, prints), RawFiles)
    prints.save()
    _say(corpus, found)


@click.command()
@reading
@click.option(
    "--tables",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of units.tsv and segments.tsv.",
)
@click.option("--columns", required=True, help="What a row of labels holds, as NAME,NAME.")
@click.option("--demonstration", is_flag=True, help="Mark the labels as those of a synthetic corpus.")
@click.option("--out", required=True, type=FILE, help="The store of labels to write.")
@click.option("--findings", required=True, type=FILE, help="Table of what is missing or unusable to write.")
def frame_labels(corpus, reader, root, options, tables, columns, demonstration, out, findings):
    """Write the labels of every video frame of every segment, in the form of a feature store."""
    from importlib.metadata import version

    from pipeline.corpora.resolve import frame_labels as read_labels
    from pipeline.store import StoreWriter

    known = open_corpus(corpus, reader, root, options)
    names = columns.split(",")
    classes = {"classes": list(known.frame_classes)} if known.task.startswith("classes") else {}
    found: list[Finding] = []
    units, segments = read_table(tables / "units.tsv", Unit), read_table(tables / "segments.tsv", Segment)
    attributes = {
        "corpus": corpus,
        "name": "labels",
        "modality": "label",
        "extractor": "annotation",
        "extractor_version": "2",
        "config": {"columns": names, **classes},
        "weights": {},
        "software": {name: version(name) for name in ("av", "h5py", "numpy")},
        "inputs": Fingerprints(known.root).stage("labels", units, segments),
        "demonstration": demonstration,
    }
    with StoreWriter(out, attributes, dim=len(names)) as writer:
        for segment_id, rows in read_labels(known, units, segments, found):
            writer.append(segment_id, rows)
    write_table(findings, found, Finding)


def _say(corpus: str, found: Index) -> None:
    sizes = len(found.units), len(found.segments), len(found.findings)
    log.info("%s: %d recordings, %d segments, %d findings", corpus, *sizes)
    for status in ("absent", "partial"):
        lines = [f for f in found.findings if f.status == status]
        for f in lines[:SHOWN]:
            log.info("  %s %s: %s: %s", f.modality, status, f.segment or f.unit, f.reason)
        if len(lines) > SHOWN:
            log.info("  and %d more that are %s", len(lines) - SHOWN, status)
