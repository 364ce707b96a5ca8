"""Command lines of the feature stages: run one extractor over one shard of videos, and join shards."""

from contextlib import suppress
from pathlib import Path

import click

from pipeline.cli import FILE, device_option, parse_options
from pipeline.devices import choose_device
from pipeline.features.compiled import PACKAGES, one_compiler
from pipeline.features.pieces import read_pieces
from pipeline.features.provenance import attributes
from pipeline.features.registry import EXTRACTORS
from pipeline.features.run import write_store
from pipeline.log import log
from pipeline.records import Segment, read_table
from pipeline.store import StoreWriter, kept
from pipeline.store import merge as merge_stores
from pipeline.weights import verify


def build(kind: str, options: dict, weights: Path | None, device: str):
    """An extractor ready to run and what is known of its weights, whose digests are verified first."""
    extractor_class = EXTRACTORS.load(kind)
    config = EXTRACTORS.options_for(kind, options)
    known = verify(weights) if weights is not None else {}
    uses_gpu = weights is not None and extractor_class.uses_gpu  # what has no weights must not hold one
    where = choose_device(device) if uses_gpu else "cpu"
    if PACKAGES.isdisjoint(extractor_class.packages):
        return extractor_class(config, weights, where), known
    with one_compiler():
        made = extractor_class(config, weights, where)
        with suppress(Exception):  # which comes again, and is said, where rows are made
            _ = made.dim  # it tries a piece, for which all is compiled
    return made, known


@click.command()
@click.option("--corpus", required=True, help="Name of the corpus, kept in the file.")
@click.option("--name", required=True, help="Name of this entry among the corpus's extractors.")
@click.option("--extractor", "kind", required=True, help="Which extractor: a name, module:Class or file.py:Class.")
@click.option("--options", default="{}", help="Its options as JSON.")
@click.option("--results", required=True, type=click.Path(path_type=Path), help="Folder of the corpus's results.")
@click.option("--shard", "shards", multiple=True, required=True, help="Whose segments; can be given many times.")
@click.option("--weights", type=click.Path(path_type=Path), help="Folder of the checkpoint.")
@device_option
@click.option("--demonstration", is_flag=True, help="Mark the features as made from synthetic data or weights.")
@click.option("--previous", type=FILE, help="Store of the last run; unchanged rows are copied from it.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The feature store to write.")
def features(corpus, name, kind, options, results, shards, weights, device, demonstration, previous, out):
    """Run one extractor over the segments of some shards of recordings."""
    wanted = set(shards)
    segments = [s for s in read_table(results / "segments.tsv", Segment) if s.file in wanted]
    if unknown := sorted(wanted - {s.file for s in segments}):
        log.info("%s: no segments in %s", name, ", ".join(unknown))
    segments.sort(key=lambda s: s.segment_id)
    extractor, known = build(kind, parse_options(options), weights, device)
    log.info("%s: %d segments of %d shards on %s", name, len(segments), len(wanted), extractor.device)
    facts = attributes(corpus, name, kind, extractor, known, segments, results, demonstration)
    before = kept(previous, facts) if previous else None
    if before is not None:
        log.info("%s: nothing has changed for these segments, their rows are kept", name)
        facts["software"] = before.attributes["software"]  # as the rows were made, maybe on another processor
        with StoreWriter(out, facts, before.dim, str(before.dtype)) as writer:
            for segment_id, rows in before.read([s.segment_id for s in segments]):
                writer.append(segment_id, rows)
        return
    write_store(out, facts, extractor, read_pieces(segments, results, extractor), len(segments))


@click.command()
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The feature store to write.")
def merge(shards, out):
    """Join the shards of one extractor into one feature store."""
    merge_stores(shards, out)
    log.info("%s: joined %d shards", out, len(shards))
