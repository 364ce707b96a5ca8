"""``export`` writes feature stores in the formats of other tools; ``import`` makes a store from a file of theirs."""

import csv
from hashlib import file_digest
from pathlib import Path

import click

from pipeline.interchange import arrays, csd, mmsa, tables
from pipeline.log import log
from pipeline.records import InputError, Segment, read_table
from pipeline.store import FeatureStore, Rows, StoreWriter

FORMATS = ("csd", "npz", "parquet", "datasets", "mmsa")
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


def read_split(path: Path, fold: int) -> tuple[dict[str, str], dict[str, str]]:
    """Part and label of each segment in one fold of a split file."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["fold"] == str(fold)]
    if not rows:
        raise InputError(f"{path}: has no fold {fold}")
    labels = {row["segment_id"]: row["label"] for row in rows if row["label"]}
    return {row["segment_id"]: row["part"] for row in rows}, labels


@click.command()
@click.argument("stores", nargs=-1, required=True, type=EXISTING)
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, or folder for datasets.")
@click.option("--segments", type=EXISTING, help="segments.tsv; needed by datasets and mmsa.")
@click.option("--split", type=EXISTING, help="Split file; needed by mmsa, optional for datasets.")
@click.option("--fold", type=int, default=0, show_default=True, help="Fold of the split.")
def export(stores, form, out, segments, split, fold):
    """Write feature STORES for CMU-MultimodalSDK (csd), NumPy (npz), Parquet, Hugging Face datasets, or MMSA."""
    opened = [FeatureStore(path) for path in stores]
    if form != "mmsa" and len(opened) > 1:
        raise InputError(f"{form} holds one feature store, {len(opened)} were given; export them one by one")
    if form in ("datasets", "mmsa") and segments is None:
        raise InputError(f"{form} needs --segments results/<corpus>/segments.tsv")
    parts, labels = read_split(split, fold) if split else (None, {})
    if form == "csd":
        csd.write(opened[0], out)
    elif form == "npz":
        arrays.write(opened[0], out)
    elif form == "parquet":
        tables.write_parquet(opened[0], out)
    elif form == "datasets":
        tables.write_datasets(opened[0], out, read_table(segments, Segment), parts)
    else:
        if parts is None:
            raise InputError("mmsa needs --split results/<corpus>/splits/<protocol>.tsv, for train, valid and test")
        mmsa.write(opened, out, read_table(segments, Segment), parts, labels)
    log.info("%s written as %s to %s", ", ".join(store.attributes["name"] for store in opened), form, out)


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
    if source.suffix not in readers:
        raise InputError(f"{source}: only files that end with {' or '.join(readers)} can be imported")
    known = {segment.segment_id for segment in read_table(segments, Segment)}
    with source.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    attributes = {
        "corpus": corpus, "name": name, "modality": modality, "extractor": "import", "extractor_version": "1",
        "config": {"path": source.name}, "weights": {}, "software": {}, "inputs": digest,
        "demonstration": demonstration,
    }  # fmt: skip
    found = dict.fromkeys(known)
    with StoreWriter(out, attributes) as writer:
        for segment_id, rows in _complete(readers[source.suffix](source), sorted(known), source):
            found[segment_id] = len(rows)
            writer.append(segment_id, rows)
    without = sum(not n for n in found.values())
    log.info("%s: %d segments, %d of them without rows", out, len(found), without)


def _complete(pairs, known: list[str], source: Path):
    """All known segments in order: those of the file, and empty ones where it has none; unknown ids are refused."""
    allowed, waiting = set(known), iter(known)
    expected = next(waiting, None)
    early: list[str] = []
    dim = None
    for segment_id, rows in pairs:
        if segment_id not in allowed:
            raise InputError(
                f"{source}: holds {segment_id}, which is no segment of this corpus (for example {known[:1]})"
            )
        while expected is not None and expected < segment_id:
            early.append(expected)
            expected = next(waiting, None)
        dim = rows.values.shape[1] if dim is None else dim
        yield from ((name, Rows.empty(dim)) for name in early)
        early = []
        yield segment_id, rows
        expected = next(waiting, None)
    if dim is None:
        raise InputError(f"{source}: holds no segment")
    while expected is not None:
        yield expected, Rows.empty(dim)
        expected = next(waiting, None)
