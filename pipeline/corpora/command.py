"""Stages that read a corpus tree: ``index``, ``raw-files`` (which were read) and ``frame-labels``."""

import click

from pipeline import cli
from pipeline.corpora.check import summary
from pipeline.corpora.raw import Fingerprints, RawFiles, files_read
from pipeline.corpora.registry import make
from pipeline.log import log
from pipeline.records import Finding, Rating, Segment, Unit, read_table, write_labels, write_table

reading = cli.options(
    click.option("--corpus", required=True, help="The corpus's name in the configuration."),
    click.option("--reader", required=True, help="Which reader: a name, module:Class or file.py:Class."),
    cli.root_option,
    click.option("--options", default="{}", help="Options of the reader, as JSON."),
)

tables_option = click.option(
    "--tables", required=True, type=cli.EXISTING_FOLDER, help="Folder of units.tsv and segments.tsv."
)
fingerprints_option = click.option("--fingerprints", type=cli.FILE, help="Where digests of raw files are remembered.")


@click.command()
@reading
@click.option("--media-units", type=click.IntRange(min=1), help="Recordings whose faces, sound and words share a file.")
@click.option("--out", required=True, type=cli.FOLDER, help="Folder of the tables.")
def index(corpus, reader, root, options, media_units, out):
    """Read a corpus tree into tables: recordings, segments, labels, and what is missing or unusable and why."""
    from pipeline.corpora.prepare import read
    from pipeline.corpora.resolve import with_ends
    from pipeline.corpora.transcripts import check_transcripts

    known = make(corpus, reader, root, cli.parse_options(options))
    frames = known.task.partition(":")[0].endswith("/frame")
    found = with_ends(known.root, read(known, media_units), frames)
    found.findings += known.review(found)
    found.findings += check_transcripts(known.root, found.units, found.segments)
    tables: dict[str, tuple[list, type]] = {
        "units": (found.units, Unit), "segments": (found.segments, Segment), "raters": (found.ratings, Rating),
        "findings": (found.findings, Finding),
    }  # fmt: skip
    for name, (rows, record) in tables.items():
        write_table(out / f"{name}.tsv", rows, record)
    write_labels(out / "labels.tsv", found.labels)
    for line in summary(known, found):
        log.info("%s", line)


@click.command()
@reading
@tables_option
@fingerprints_option
@click.option("--out", required=True, type=cli.FILE, help="Table of kinds of files to write.")
def raw_files(corpus, reader, root, options, tables, fingerprints, out):
    """Say of each kind of raw file how many the stages read, and a digest of what they hold."""
    known = make(corpus, reader, root, cli.parse_options(options))
    units, segments = read_table(tables / "units.tsv", Unit), read_table(tables / "segments.tsv", Segment)
    prints = Fingerprints(known.root, fingerprints)
    write_table(out, files_read(known, units, segments, prints), RawFiles)
    prints.save()


@click.command()
@reading
@tables_option
@fingerprints_option
@click.option("--columns", required=True, help="What a row of labels holds, as NAME,NAME.")
@click.option("--demonstration", is_flag=True, help="Mark the labels as those of a synthetic corpus.")
@click.option("--out", required=True, type=cli.FILE, help="The store of labels to write.")
@click.option("--findings", required=True, type=cli.FILE, help="Table of what is missing or unusable to write.")
def frame_labels(corpus, reader, root, options, tables, fingerprints, columns, demonstration, out, findings):
    """Write the labels of every video frame of every segment, in the form of a feature store."""
    from importlib.metadata import version

    from pipeline.corpora.resolve import frame_labels as read_labels
    from pipeline.store import StoreWriter

    known = make(corpus, reader, root, cli.parse_options(options))
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
        "inputs": Fingerprints(known.root, fingerprints).stage("labels", units, segments),
        "demonstration": demonstration,
    }
    with StoreWriter(out, attributes, dim=len(names)) as writer:
        for segment_id, rows in read_labels(known, units, segments, found):
            writer.append(segment_id, rows)
    write_table(findings, found, Finding)
