"""``python -m pipeline faces``: the face file of one video."""

from pathlib import Path

import click

from pipeline.cli import there
from pipeline.log import log
from pipeline.records import InputError, Segment, Unit, read_table


@click.command()
@click.option("--root", type=click.Path(path_type=Path), required=True, callback=there, help="Folder of the corpus.")
@click.option("--units", type=click.Path(path_type=Path), required=True, help="units.tsv of the corpus.")
@click.option("--segments", type=click.Path(path_type=Path), required=True, help="segments.tsv of the corpus.")
@click.option("--unit", required=True, help="Which source video: its unit_id.")
@click.option(
    "--sample-rate-hz",
    type=click.FloatRange(min=0, min_open=True),
    help="Look at so many frames a second; without it, at every frame.",
)
@click.option(
    "--crops-source",
    type=click.Choice(["own", "organisers"]),
    default="own",
    show_default=True,
    help="Track and align faces here, or take the crops that came with Aff-Wild2.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The face file to write.")
def faces(root, units, segments, unit, sample_rate_hz, crops_source, out):
    """Track and align the faces of one video's segments."""
    known = {u.unit_id: u for u in read_table(units, Unit)}
    if unit not in known:
        raise InputError(f"--unit {unit!r} is not in {units}, which has {', '.join(sorted(known)[:5])}, ...")
    source = known[unit]
    own = [s for s in read_table(segments, Segment) if s.unit_id == unit]
    if not own:
        log.warning("%s: no segment of it in %s; the face file will be empty", unit, segments)
    attributes = {"unit": unit, "video": source.video, "sample_rate_hz": sample_rate_hz, "crops_source": crops_source}
    video = root / source.video
    if crops_source == "organisers":
        from pipeline.faces.organisers import write_organisers_faces

        write_organisers_faces(root, video, own, out, sample_rate_hz, attributes)
        return
    from pipeline.faces.stage import write_faces

    # IEMOCAP shows two people side by side, one camera each; its units have a session.
    write_faces(video, own, out, sample_rate_hz, source.session is not None, attributes)
