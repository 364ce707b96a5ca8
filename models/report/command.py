"""The stage ``python -m models report``: read a results folder, write one HTML file that needs nothing else."""

import base64
import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import click

from models.protocols.folds import PROTOCOLS, Protocol
from models.protocols.leaks import Leak, caveat
from models.report import accounts, names, published, scores, traces
from models.report.charts import Axis
from models.report.gather import Results, Settings, picture_with_notes, read
from models.report.provenance import provenance
from models.report.verdict import Verdicts, affwild2_headline, iemocap_headline, remarks
from models.statuses import Role
from pipeline.log import log
from pipeline.records import read_table, replacing

TEMPLATES = Path(__file__).parent / "templates"
CORPUS_NAMES = {"iemocap": "IEMOCAP", "affwild2": "Aff-Wild2"}
ZIP_ABOVE_BYTES = 150_000


def build(results: Results) -> dict:
    """Everything the template shows, as plain values: no file is read after this."""
    settings = results.settings
    percent = settings.corpus == "iemocap"
    numbers = names.Numbers(percent)
    table = results.tables["scores"]
    table = None if table is None else scores.of_protocol(table, settings.protocol)
    table = None if table is None or table.empty else table
    runs = scores.run_order(table) if table is not None else []
    significance = results.tables["significance"]
    if significance is not None and "role" in significance:
        significance = significance[significance["role"] == Role.PLANNED]
    rows = [] if significance is None else significance.to_dict("records")
    used = list(dict.fromkeys(names.split_run(run)[0] for run in [*runs, *(r[k] for r in rows for k in "ab")]))
    run_names = names.RunNames(settings.models, used, pooling_matters=percent)
    verdicts = Verdicts(rows, run_names, numbers, settings.practical_region, settings.alpha)
    headline = iemocap_headline(verdicts) if percent else affwild2_headline(verdicts)
    held = scores.cells(table) if table is not None else {}
    best_by = "development_balanced_accuracy" if percent else "development_ccc_mean"
    main = scores.main_runs(held, runs, _headline_runs(headline, percent), best_by)
    return {
        "corpus": settings.corpus,
        "corpus_name": CORPUS_NAMES[settings.corpus],
        "settings": settings,
        "results_name": f"results/{settings.corpus}",
        "synthetic": settings.root is None,
        "demonstration": _is_demonstration(results),
        "protocol": _protocol(results),
        "segments": results.segments,
        "names": names,
        "run_names": run_names,
        "numbers": numbers,
        "published": published,
        "published_classes": published.EMOTIONS,
        "absent": results.absent,
        "verdicts": verdicts,
        "remarks": remarks,
        "headline": headline,
        "forest": _forest(verdicts, settings) if rows else None,
        "main": main,
        **_score_views(results, table, held, run_names, numbers, main),
        "curves": accounts.learning_curves(results, main) if main else None,
        "coverage": None if results.tables["coverage"] is None else accounts.coverage(results.tables["coverage"]),
        "sheet": _sheet(results),
        "cost": None if results.benchmarks is None else accounts.cost(results.benchmarks),
        "split": None if results.split is None else accounts.split_table(results.split, results.segments),
        "provenance": provenance(results),
        "downloads": _downloads(results),
    }


def _protocol(results: Results) -> Protocol | None:
    """What the protocol is, with what it leaks on this corpus."""
    known, path = PROTOCOLS.get(results.settings.protocol or ""), results.folder / "tables" / "leaks.csv"
    if known is None or not path.exists():
        return known
    return replace(known, caveat=caveat(results.settings.protocol, read_table(path, Leak)))


def _headline_runs(headline, percent: bool) -> list[str]:
    """The runs that the main question compares; of Aff-Wild2's three topics, those of the first contrast each."""
    if percent:
        answers = [headline["answer"]] if headline else []
        return [answer.row[k] for answer in answers for k in "ba"]
    answers = [topic["answers"][0] for topic in headline if topic["answers"]]
    return list(dict.fromkeys(answer.row[k] for answer in answers for k in "ab"))


def _score_views(results: Results, table, held: scores.Cells, run_names, numbers, main: list[str]) -> dict:
    if table is None:
        return {"classes": [], "scores": None, "recall": None, "confusion": [], "traces": [], "videos": None}
    settings, runs, confusion = results.settings, scores.run_order(table), results.tables["confusion"]
    frames = settings.corpus == "affwild2"
    classes = [] if frames else scores.classes_of(table, settings.options.get("labels") or [])
    support = {}
    if results.split is not None and "label" in results.split:
        support = results.split.drop_duplicates("segment_id")["label"].value_counts().to_dict()
    official = str(settings.protocol).startswith("official")
    comparable = official if frames else scores.has_published_classes(classes, settings.options.get("merge") or {})
    return {
        "classes": classes,
        "scores": scores.score_table(held, runs, run_names, numbers, len(classes), comparable),
        "recall": scores.recall_table(held, main, classes, support) if classes else None,
        "confusion": scores.confusion_matrices(confusion, main, classes) if classes and confusion is not None else [],
        "traces": traces.traces(results, main[0]) if frames else [],
        "videos": traces.video_swarm(results, main) if frames else None,
    }


def _is_demonstration(results: Results) -> bool:
    settings = results.settings
    small = any(store.attributes["demonstration"] for store in results.stores)
    return settings.demonstration or settings.root is None or settings.scale == "demo" or small


def _forest(verdicts: Verdicts, settings: Settings) -> Axis:
    """The axis all contrasts share; it always holds zero and twice the practical region."""
    reach = [row[k] for row in verdicts.rows for k in ("ci_low", "ci_high", "difference") if not names.missing(row[k])]
    region = settings.practical_region
    return Axis.covering([*reach, -2 * region, 2 * region], 5)


def _sheet(results: Results) -> dict | None:
    found = picture_with_notes(results, "contact_sheet")
    if found is None:
        return None
    picture, notes = found
    return {**notes, "uri": data_uri("image/jpeg", picture)}


def data_uri(kind: str, data: bytes) -> str:
    """Bytes as a URI that needs no file."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _downloads(results: Results) -> list[dict]:
    """Every table as it lies in the results folder; large ones zipped, always to the same bytes."""
    out = []
    for file in sorted((results.folder / "tables").glob("*.csv")):
        data = file.read_bytes()
        name = f"{results.settings.corpus}_{file.name}"
        kind, rows = "text/csv", max(0, data.count(b"\n") - 1)
        if _is_demonstration(results):
            name = f"demonstration_{name}"
        if len(data) > ZIP_ABOVE_BYTES:
            data, kind, name = gzip.compress(data, 9, mtime=0), "application/gzip", f"{name}.gz"
        out.append({"name": name, "rows": rows, "bytes": len(data), "uri": data_uri(kind, data)})
    return out


class Numbering:
    """Count tables and figures in the order in which they stand on the page."""

    def __init__(self):
        self.counts = {"Table": 0, "Figure": 0}

    def __call__(self, kind: str) -> str:
        """Give the next table or figure its number."""
        self.counts[kind] += 1
        return f"{kind} {self.counts[kind]}"


def render(view: dict) -> str:
    """The page: style and script stand in it, and a content security policy allows those two and nothing else."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((TEMPLATES / file).read_text(encoding="utf-8") for file in ("report.css", "report.js"))
    return environment.get_template("page.html.j2").render(
        **view,
        numbering=Numbering(),
        style=style,
        script=script,
        style_hash=_digest(style),
        script_hash=_digest(script),
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@click.command()
@click.option("--corpus", required=True, type=click.Choice(sorted(CORPUS_NAMES)))
@click.option("--results", "folder", required=True, type=click.Path(path_type=Path), help="results/<corpus>")
@click.option("--config-json", required=True, type=click.Path(path_type=Path), help="what the workflow ran with")
@click.option("--revision", help="of the code, as git names it")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="the HTML file to write")
def report(corpus, folder, config_json, revision, out):
    """Write one corpus's report as a single HTML file."""
    results = read(folder, replace(Settings.from_json(config_json, corpus), revision=revision or None))
    page = render(build(results))
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    for path in results.absent:
        log.warning("not there, so the report says so instead: %s", folder / path)
    log.info("%s: %.1f MB", out, len(page.encode()) / 1e6)
