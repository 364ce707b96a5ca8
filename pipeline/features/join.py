"""Join several feature stores of one modality side by side, at the times of the first."""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from pipeline.log import log
from pipeline.records import InputError
from pipeline.store import FeatureStore, Rows, StoreWriter
from pipeline.timebase import to_grid


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of this entry among the corpus's extractors.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The feature store to write.")
def join(stores, name, out):
    """Put feature stores of one modality side by side, at the times of the first."""
    join_stores([FeatureStore(path) for path in stores], name, out)
    log.info("%s: joined %d stores", out, len(stores))


def join_stores(stores: Sequence[FeatureStore], name: str, out: str | Path) -> None:
    """Write the rows of the first store, beside them those of the others: their mean over the time of each row, or as
    they are where they have the same times.

    A row is valid where all of them observed something. Raises InputError where the stores are not of one modality and
    the same segments, or keep the layers of a network apart, whose mix could not be learned any more.
    """
    first, *others = stores
    for store in stores:
        if store.attributes["modality"] != first.attributes["modality"] or store.segment_ids != first.segment_ids:
            raise InputError(
                f"{store.path}: of another modality or other segments than {first.path}; they cannot be joined"
            )
        if store.layers:
            raise InputError(f"{store.path}: keeps layers apart, which cannot be joined; take combine: mean or concat")
    attributes = {
        **first.attributes,
        "name": name,
        "extractor": "join",
        "extractor_version": "3",
        "config": {
            "stores": [store.attributes["name"] for store in stores],
            "modality": first.attributes["modality"],
        },
        "weights": {},  # recorded in the joined stores
        "inputs": "+".join(store.attributes["inputs"] for store in stores),
    }
    wide = "float32" if any(store.dtype == np.float32 for store in stores) else "float16"
    with StoreWriter(out, attributes, sum(store.dim for store in stores), wide) as writer:
        for segment_id, rows in first.read():
            values, valid = [rows.values], rows.valid
            for other in others:
                theirs = other[segment_id]
                brought, observed = theirs.values, theirs.valid
                if not np.array_equal(theirs.time_s, rows.time_s):  # the same words or frames are not averaged
                    brought, observed = to_grid(theirs.values, theirs.time_s, theirs.valid, rows.time_s)
                values.append(brought)
                valid = valid & observed
            writer.append(segment_id, Rows(np.concatenate(values, axis=1), rows.time_s, valid))
