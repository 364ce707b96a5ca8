"""``export`` writes feature stores in the formats of other tools; ``import`` makes a store from a file of theirs."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from pipeline.cli import EXISTING
from pipeline.files import digest_file
from pipeline.interchange import arrays, csd, mmsa, tables
from pipeline.interchange.times import CLOCKS, find_clock
from pipeline.log import log
from pipeline.records import Assignment, InputError, Segment, number_names, read_fold, read_labels, read_table
from pipeline.store import FeatureStore, Rows, StoreWriter

FORMATS = ("csd", "npz", "parquet", "datasets", "mmsa")


@click.command()
@click.argument("stores", nargs=-1, required=True, type=EXISTING)
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, or folder for datasets.")
@click.option("--segments", type=EXISTING, help="segments.tsv, labels.tsv beside it; for datasets and mmsa.")
@click.option("--split", type=EXISTING, help="Split file; needed by mmsa, optional for datasets.")
@click.option("--fold", type=int, default=0, show_default=True, help="Fold of the split.")
def export(stores, form, out, segments, split, fold):
    """Write feature STORES for CMU-MultimodalSDK (csd), NumPy (npz), Parquet, Hugging Face datasets, or MMSA."""
    opened = [FeatureStore(path) for path in stores]
    if form != "mmsa" and len(opened) > 1:
        raise InputError(f"{form} holds one feature store, {len(opened)} were given; export them one by one")
    if form in ("datasets", "mmsa") and segments is None:
        raise InputError(f"{form} needs --segments results/<corpus>/segments.tsv")
    rows = read_fold(split, fold) if split else []
    parts = _parts_of(rows) if split else None
    labels = {row.segment_id: row.label for row in rows if row.label}
    if form == "csd":
        csd.write(opened[0], out)
    elif form == "npz":
        arrays.write(opened[0], out)
    elif form == "parquet":
        tables.write_parquet(opened[0], out)
    elif form == "datasets":
        known = read_labels(segments.parent / "labels.tsv")
        tables.write_datasets(opened[0], out, read_table(segments, Segment), known, parts)
    else:
        if parts is None:
            raise InputError("mmsa needs --split results/<corpus>/splits/<protocol>.tsv, for train, valid and test")
        known = read_labels(segments.parent / "labels.tsv")
        first = next(iter(number_names(known.values())), None)  # valence, of IEMOCAP
        log.info("regression_labels are %s", first or "not known")
        numbers = {name: row.numbers[first] for name, row in known.items() if first in row.numbers}
        mmsa.write(opened, out, read_table(segments, Segment), parts, labels, numbers)
    log.info("%s written as %s to %s", ", ".join(store.attributes["name"] for store in opened), form, out)


def _parts_of(rows: Iterable[Assignment]) -> dict[str, list[str]]:
    """The parts of each segment in a fold; some protocols of the papers select on what they test."""
    parts = defaultdict(list)
    for row in rows:
        parts[row.segment_id].append(row.part)
    return dict(parts)


@click.command("import")
@click.argument("source", type=EXISTING)
@click.option("--corpus", required=True, help="Corpus the segments belong to.")
@click.option("--name", required=True, help="Name of the new feature store.")
@click.option("--modality", type=click.Choice(["audio", "video", "text"]), required=True, help="What it was made from.")
@click.option("--segments", type=EXISTING, required=True, help="segments.tsv, to check the ids against.")
@click.option("--demonstration", is_flag=True, help="Mark the store as made for a demonstration.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Feature store to write.")
def import_(source, corpus, name, modality, segments, demonstration, out):
    """Make a feature store from SOURCE, a .csd or .npz file that another tool made."""
    readers = {".csd": csd.read, ".npz": arrays.read}
    if source.suffix.lower() not in readers:
        raise InputError(f"{source}: only files that end with {' or '.join(readers)} can be imported")
    if not source.is_file():
        raise InputError(f"{source}: not a file, but a pipe or device")
    read = readers[source.suffix.lower()]
    known = {segment.segment_id: segment for segment in read_table(segments, Segment)}
    if not known:
        raise InputError(f"{segments}: holds no segment, so {source} can belong to none")
    clock = find_clock(source, read(source), known)
    if clock is not CLOCKS[0]:
        log.warning("%s: its times are taken for %s, which fits all rows", source, clock.words)
    attributes = {
        "corpus": corpus, "name": name, "modality": modality, "extractor": "import", "extractor_version": "1",
        "config": {"path": source.name, "times": clock.words}, "weights": {}, "software": {},
        "inputs": digest_file(source), "demonstration": demonstration,
    }  # fmt: skip
    found = dict.fromkeys(known)
    with StoreWriter(out, attributes) as writer:
        for segment_id, rows in _complete(read(source), sorted(known), source):
            found[segment_id] = len(rows)
            writer.append(segment_id, replace(rows, time_s=clock.seconds(rows.time_s, known[segment_id])))
    without = sum(not n for n in found.values())
    log.info("%s: %d segments, %d of them without rows", out, len(found), without)


def _complete(pairs, known: list[str], source: Path):
    """All segments in order: those of the file, which are all known and sorted, and empty ones where it has none."""
    following = next(pairs, None)
    if following is None:
        raise InputError(f"{source}: holds no segment")
    empty = Rows.empty(following[1].values.shape[1])
    for segment_id in known:
        if following and following[0] == segment_id:
            yield following
            following = next(pairs, None)
        else:
            yield segment_id, empty
