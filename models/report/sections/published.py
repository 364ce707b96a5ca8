"""Published figures beside one's own: which stand beside which run, and the table of the others.

They come as data from ``config.json``: a list of papers, each ``{"paper", "source", "about", "where", "protocols",
"otherwise", "rows"}``. ``where`` says for which options of a corpus its figures hold at all, ``protocols``
under which they compare; ``otherwise`` is what is said under another. A row is ``{"metric", "mean", "sd"}`` and what
it is of: ``run`` (its name), or ``model`` (options of it) and ``modalities``, or ``what`` (in words) with ``part``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from models.report.runs import matches
from models.report.tables import Column, Table
from models.report.writing import Numbers, listing, metric_words, missing, sentence
from models.settings import Run, Settings


@dataclass(frozen=True)
class Figure:
    """A published mean, with the standard deviation over trainings where one was published."""

    metric: str
    mean: float
    sd: float | None = None
    run: str = ""
    model: Mapping | None = None
    modalities: str = ""
    what: str = ""
    part: str = ""
    called: str = ""  # what the paper calls the metric
    source: str = ""
    note: str = ""
    where: Mapping | None = None
    stands: bool = False  # as a line of its own among the scores, in the group of its modalities

    def is_of(self, run: Run, options: Mapping) -> bool:
        """Whether it is the figure of this run."""
        if self.run:
            return self.run == run.name
        return self.model is not None and self.modalities == run.modalities and matches(self.model, options)


@dataclass(frozen=True)
class Paper:
    """One paper's figures, as far as they hold for what was configured."""

    paper: str
    figures: tuple[Figure, ...]
    about: str = ""
    source: str = ""
    holds: bool = True
    conditions: str = ""  # in words: for what its figures hold
    otherwise: str = ""  # why they do not compare under the protocol at hand; empty where they do


def papers(settings: Settings) -> list[Paper]:
    """All published figures that the configuration brings."""
    return [_paper(one, settings) for one in settings.published]


def _paper(given: Mapping, settings: Settings) -> Paper:
    options = {**settings.options, "protocol": settings.protocol.name}
    where, rows = given.get("where") or {}, given.get("rows") or []
    holds = matches(where, options)
    fields = Figure.__dataclass_fields__
    figures = [Figure(**{k: v for k, v in row.items() if k in fields}) for row in rows]
    kept = [f for f in figures if holds and matches(f.where or {}, options)]
    allowed = given.get("protocols")
    apart = given.get("otherwise", "") if allowed and settings.protocol.name not in allowed else ""
    figures = [f if f in kept else replace(f, run="", model=None, stands=False) for f in figures]
    texts = {key: given.get(key, "") for key in ("paper", "source")}
    texts["about"] = given.get("about", "") if holds else ""
    return Paper(figures=tuple(figures), holds=holds, conditions=_words(where), otherwise=apart, **texts)


def _words(where: Mapping) -> str:
    """Conditions in words: "labels ang, exc and sad; no merge"."""
    out = []
    for key, value in where.items():
        text = listing(value) if isinstance(value, list) else str(value)
        out.append(f"{key} {text}" if value else f"no {key}")
    return "; ".join(out)


def beside(found: Sequence[Paper], run: Run, options: Mapping) -> dict[str, Figure]:
    """Metric to the figure that stands beside a run."""
    figures = [figure for paper in found for figure in paper.figures if figure.is_of(run, options)]
    return {figure.metric: figure for figure in figures}


def lines(found: Sequence[Paper]) -> list[tuple[Figure, dict[str, Figure]]]:
    """Figures that stand among the scores as lines of their own: the first of each, and all of it by metric."""
    out: dict[tuple, dict[str, Figure]] = {}
    for figure in (f for paper in found for f in paper.figures if f.stands):
        out.setdefault((figure.what, figure.part, figure.modalities), {})[figure.metric] = figure
    return [(next(iter(by_metric.values())), by_metric) for by_metric in out.values()]


def table(found: Sequence[Paper], shown: set[int]) -> Table | None:
    """All figures that hold and are not among the scores (``shown``: their ids), one line for each thing measured."""
    rows: dict[tuple, dict] = {}
    metrics: dict[str, None] = {}
    for paper in (p for p in found if p.holds):
        for figure in (f for f in paper.figures if id(f) not in shown and f.what):
            metrics[figure.metric] = None
            key = (paper.paper, figure.what, figure.part)
            row = rows.setdefault(key, {"what": figure.what, "part": figure.part, "paper": paper.paper})
            row |= {figure.metric: figure.mean, f"{figure.metric}_sd": figure.sd}
            row["source"] = figure.source or paper.source
            row["note"] = f"{sentence(figure.note)}." if figure.note else None
    if not rows:
        return None
    columns = [Column("what", "What", number=False, sub="note"), Column("part", "Evaluated on", number=False)]
    for metric in metrics:
        spread = any(not missing(row.get(f"{metric}_sd")) for row in rows.values())
        write, sd = Numbers(metric).score, f"{metric}_sd" if spread else ""
        columns.append(Column(metric, sentence(metric_words(metric)), write, sd=sd, css="paper"))
    names = dict.fromkeys(row["paper"] for row in rows.values() if row["paper"])
    if len(names) > 1:
        columns.append(Column("paper", "Paper", number=False, css="small muted"))
    columns.append(Column("source", "Read in", number=False, css="small muted"))
    note = f"{next(iter(names))}." if len(names) == 1 else ""
    return Table.of("published", "Published figures", columns, list(rows.values()), note=note).without_empty()
