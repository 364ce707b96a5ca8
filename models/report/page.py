"""The page as one HTML file that needs nothing else: style, script, tables and figures stand in it."""

import gzip
from functools import partial

from markupsafe import Markup

from models.report.figures import IN_PAGE, figure_files
from models.report.gather import Results
from models.report.html import TEMPLATES, data_uri, environment, script_digest
from models.report.latex import as_latex
from models.report.tables import Numbering, as_csv

ZIP_ABOVE_BYTES = 150_000


def downloads(results: Results, prefix: str) -> list[dict]:
    """Every table as it lies in the results folder; large ones zipped, always to the same bytes."""
    out = []
    for file in sorted((results.folder / "tables").glob("*.csv")):
        data = file.read_bytes()
        name, kind, rows = f"{prefix}{file.name}", "text/csv", max(0, data.count(b"\n") - 1)
        if not rows:
            continue
        if len(data) > ZIP_ABOVE_BYTES:
            data, kind, name = gzip.compress(data, 9, mtime=0), "application/gzip", f"{name}.gz"
        out.append({"name": name, "rows": rows, "bytes": len(data), "uri": data_uri(kind, data)})
    return out


def prefix_of(view: dict) -> str:
    """What the names of downloaded files begin with."""
    return f"{'demonstration_' if view['demonstration'] else ''}{view['settings'].corpus}_"


def _page_tables(about: str, demonstration: bool, tables: list) -> list[dict]:
    out = []
    for number, table in enumerate(tables, start=1):
        latex = as_latex(table, f"{about}-{table.name}", demonstration)
        uris = {"csv": data_uri("text/csv", as_csv(table).encode()), "latex": data_uri("text/x-tex", latex.encode())}
        out.append({"number": f"Table {number}", "table": table, **uris})
    return out


def render(view: dict, raw: list[dict] | None = None) -> tuple[str, Numbering]:
    """The page, and which tables stand in it; a content security policy allows its style and script alone."""
    made, numbering = environment(), Numbering()
    files = ("report.css", "chart.css", "report.js")
    base, charts, script = ((TEMPLATES / file).read_text(encoding="utf-8") for file in files)
    style, figures = base + charts, figure_files(view, made)
    uris = [{"name": f.name, "title": f.title, "uri": data_uri("image/svg+xml", f.svg.encode())} for f in figures]
    ranks = view["ranks"]
    drawn = made.get_template("ranks.svg.j2").render(ranks=ranks, file=False, **IN_PAGE) if ranks else ""
    text = made.get_template("page.html.j2").render(
        **view,
        **IN_PAGE,
        numbering=numbering,
        prefix=prefix_of(view),
        page_tables=partial(_page_tables, view["settings"].corpus, view["demonstration"]),
        figures=uris,
        svg_link=svg_link,
        rank_figure=Markup(drawn),
        downloads=raw or [],
        style=style,
        script=script,
        style_hash=script_digest(style),
        script_hash=script_digest(script),
    )
    return text, numbering


def render_comparison(view: dict) -> str:
    """The page that sets several results folders side by side."""
    style = "".join((TEMPLATES / file).read_text(encoding="utf-8") for file in ("report.css", "chart.css"))
    return (
        environment()
        .get_template("compare.html.j2")
        .render(
            **view,
            numbering=Numbering(),
            figures=[],
            page_tables=partial(_page_tables, "comparison", view["demonstration"]),
            style=style,
            style_hash=script_digest(style),
        )
    )


def svg_link(name: str) -> Markup:
    """A link to a figure's file, which stands in the section of downloads."""
    return Markup('<a class="get" href="#download-figure-{}">SVG</a>').format(name)
