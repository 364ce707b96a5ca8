"""``python -m pipeline faces``: the face file of one shard."""

from pathlib import Path

import click

from pipeline.cli import there
from pipeline.records import read_shard


@click.command()
@click.option("--root", type=click.Path(path_type=Path), required=True, callback=there, help="Folder of the corpus.")
@click.option("--tables", type=click.Path(path_type=Path), required=True, help="Folder of units.tsv and segments.tsv.")
@click.option("--shard", required=True, help="Which recordings: the shard's name in these tables.")
@click.option(
    "--sample-rate-hz",
    type=click.FloatRange(min=0, min_open=True),
    help="Look at so many frames a second; without it, at every frame.",
)
@click.option(
    "--picture",
    type=click.Choice(["face", "half"]),
    default="face",
    show_default=True,
    help="Track faces, or take the middle of the person's part of the picture.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The face file to write.")
def faces(root, tables, shard, sample_rate_hz, picture, out):
    """Track and align the faces of the segments of some recordings, or take the crops that were supplied."""
    from pipeline.faces.stage import write_faces

    recordings = read_shard(tables, shard)
    attributes = {"units": [unit.unit_id for unit, _ in recordings], "sample_rate_hz": sample_rate_hz}
    videos = [(root / unit.video if unit.video else None, segments) for unit, segments in recordings]
    write_faces(videos, out, sample_rate_hz, root, attributes, picture)
