"""The stage ``python -m models report``: read a results folder, write one HTML file that needs nothing else."""

from dataclasses import replace
from pathlib import Path

import click

from pipeline.cli import FILE, FOLDER
from pipeline.files import replacing
from pipeline.log import log


@click.command()
@click.option("--results", "folder", required=True, type=click.Path(path_type=Path), help="results/<corpus>")
@click.option("--revision", help="of the code, as git names it")
@click.option("--paper", type=FOLDER, help="also write tables, figures and text here")
@click.option("--media/--no-media", default=True, help="with faces, words and traces of single segments, or without")
@click.option("--out", required=True, type=FILE, help="the HTML file to write")
def report(folder, revision, paper, media, out):
    """Write one corpus's report as a single HTML file."""
    from models.report.gather import read
    from models.report.page import downloads, prefix_of, render
    from models.report.paper import write_paper
    from models.report.view import build
    from models.settings import Settings

    settings = Settings.from_json(folder / "config.json")
    results = read(folder, replace(settings, revision=revision or None))
    view = build(results, media)
    page, numbering = render(view, downloads(results, prefix_of(view)) if media else [])
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    if paper:
        write_paper(paper, view, numbering.tables)
    for path in results.absent:
        log.warning("not there, so the report says so instead: %s", folder / path)
    log.info("%s: %.1f MB", out, len(page.encode()) / 1e6)
