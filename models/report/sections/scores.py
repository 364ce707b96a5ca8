"""Views of scores.csv: mean and deviation over trainings beside the published figures, the best run, and what is
left of a score where sound, face or words are taken away at test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from models.options import MODALITIES, NOTHING
from models.report.charts import Axis
from models.report.runs import RunNames
from models.report.sections.published import Paper, beside, lines
from models.report.tables import Column, Group, Table
from models.report.writing import (
    DEVELOPMENT,
    METRIC_WORDS,
    Numbers,
    count,
    grouped,
    metric_words,
    metrics_of,
    sentence,
)
from models.settings import Settings
from models.task import POOLED

MAIN_RUNS = 4  # shown in detail


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation of one metric over the trainings (folds x seeds)."""

    mean: float
    sd: float | None
    runs: int


class Cells(dict[tuple[str, str], Cell]):
    """(run, metric) to its cell; there is none where some training left the metric undefined by what it predicts."""

    def __init__(self, cells=(), undefined: Mapping[tuple[str, str], str] = MappingProxyType({})):
        super().__init__(cells)
        self.undefined = undefined  # cells left out: in how many trainings each is defined

    def under(self, run: str, metric: str, key: str) -> dict[str, Any]:
        """A cell as a row of a table holds it; where there is no mean, in how many trainings it is defined."""
        if cell := self.get((run, metric)):
            return {key: cell.mean, f"{key}_sd": cell.sd}
        return {f"{key}_defined": text} if (text := self.undefined.get((run, metric))) else {}


def defined_below(key: str, rows: Sequence[Mapping]) -> str:
    """The key of what stands below a dash of a column, where some row of a table says so."""
    below = f"{key}_defined"
    return below if any(below in row for row in rows) else ""


def defined_in(defined: int, of: int, what: str = "training") -> str:
    """In how many trainings a metric is defined, in words."""
    return f"defined in {grouped(defined)} of {count(of, what)}"


def of_protocol(scores: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Rows of one protocol on all test items."""
    return scores[(scores["turns"] == POOLED) & (scores["protocol"] == protocol)]


def collect(scores: pd.DataFrame) -> Cells:
    """(run, metric) to its cell, over single folds and seeds.

    A fold whose truth leaves a metric undefined does not count, for any model. Whatever else is undefined follows from
    what was predicted: a mean over the other trainings would flatter.
    """
    single = scores[scores["fold"] != POOLED]
    values = single[~by_truth(single)].groupby(["run", "metric"], sort=False)["value"]
    cells, undefined = {}, {}
    for key, mean, sd, defined, of in values.agg(["mean", "std", "count", "size"]).itertuples(name=None):
        if defined == of:
            cells[key] = Cell(mean, None if of < 2 else sd, int(of))
        else:
            undefined[key] = defined_in(defined, of)
    return Cells(cells, undefined)


def by_truth(single: pd.DataFrame) -> pd.Series:
    """Which scores of single folds do not count, as the fold's truth leaves their metric undefined.

    The recall of a class says so for its precision, too; of any other metric it is taken to be so where no training of
    the fold has it, but some of another fold.
    """
    metric, defined = single["metric"], single["value"].notna()
    asked = metric.str.replace(f"^({DEVELOPMENT}|)precision_", r"\1recall_", regex=True)
    of_class = asked.str.match(f"({DEVELOPMENT}|)recall_")
    known = set(zip(metric[defined], single["fold"][defined]))
    nowhere = pd.Series([pair not in known for pair in zip(asked, single["fold"])], single.index, bool)
    return nowhere & (of_class | metric.isin(metric[defined]))


def chance_of(scores: pd.DataFrame, metric: str) -> float | None:
    """What the best constant answer of each fold scores, averaged as scores are; None where the table does not say."""
    found = scores[(scores["metric"] == metric) & (scores["fold"] != POOLED)].dropna(subset=["value", "chance"])
    return float(found["chance"].mean()) if len(found) else None


def guessed(score: float | None, chance: float | None) -> bool:
    """Whether a score is no better than that of the best constant answer."""
    return chance is not None and score is not None and score <= chance + 1e-9  # means of the same numbers may differ


def ranking(cells: Cells, order: Sequence[str], metric: str) -> list[str]:
    """Runs with a development score, the best first; that score is what a reader may choose a model by."""
    score = {run: cells[run, DEVELOPMENT + metric].mean for run in order if (run, DEVELOPMENT + metric) in cells}
    return sorted(score, key=lambda run: -score[run])


def main_runs(ranked: list[str], order: Sequence[str], first: Sequence[str]) -> list[str]:
    """The runs shown in detail: those of the first contrast, then the best by their development score."""
    chosen = [run for run in first if run in order]
    return list(dict.fromkeys([*chosen, *(ranked or order)]))[: max(MAIN_RUNS, len(chosen))]


def shown_metrics(cells: Cells, settings: Settings) -> list[str]:
    """The metrics over all items that the table holds, that of the contrasts first."""
    found = {metric for _, metric in [*cells, *cells.undefined]}
    return [m for m in dict.fromkeys((settings.metric, *metrics_of(settings.task))) if m in found]


@dataclass(frozen=True)
class Scores:
    """The table of test scores with what its chart needs."""

    table: Table
    axis: Axis
    metric: str  # metric of the chart
    chance: float | None
    trainings: int  # at most, of one run
    papers: list[Paper]
    shown: set[int]  # ids of the published figures in the table


def score_view(
    cells: Cells, order: list[str], names: RunNames, settings: Settings, papers: list[Paper], chance: float | None
) -> Scores | None:
    """Rows grouped by modality set, most modalities first, with published figures beside and between them."""
    metrics = shown_metrics(cells, settings)
    if not metrics:
        return None
    rows = [_row(run, cells, metrics, names, papers) for run in order]
    for row in rows:
        row["standing"] = "no better than guessing" if guessed(row.get(metrics[0]), chance) else None
    between = [_line(first, found) for first, found in lines(papers)]
    everything = [*rows, *between]
    shown = {id(figure) for row in everything for figure in row.pop("figures")}
    letters = dict.fromkeys(row["modalities"] for row in everything)
    groups = []
    for one in sorted(letters, key=lambda text: -len(text)):
        words = " + ".join(MODALITIES.get(letter, letter) for letter in one.split("+"))
        groups.append(Group([row for row in (*between, *rows) if row["modalities"] == one], one, words))
    counts = {row["trainings"] for row in rows}
    table = Table(
        "scores",
        _title(metrics, counts),
        tuple(_columns(metrics, everything, len(counts) > 1)),
        tuple(groups),
        note="; ".join(f"Published: {p.paper}{f', read in {p.source}' if p.source else ''}" for p in papers if shown)
        + ("." if shown else ""),
        kind="dense wide" if len(metrics) > 3 else "",
        plot=f"{sentence(metric_words(metrics[0]))} as a chart",
    )
    axis = Axis.covering([*_reach(everything, metrics[0]), *([chance] if chance is not None else [])], 5)
    return Scores(table, axis, metrics[0], chance, max(counts, default=0), papers, shown)


def _title(metrics: list[str], counts: set[int]) -> str:
    per_cent = ", per cent" if all(Numbers(metric).percent for metric in metrics) else ""
    over = f"{max(counts)} trainings" if len(counts) == 1 and max(counts) > 1 else "trainings"
    return (
        f"Test scores{per_cent}: mean ± standard deviation over {over}" if counts != {1} else f"Test scores{per_cent}"
    )


def _row(run: str, cells: Cells, metrics: list[str], names: RunNames, papers: list[Paper]) -> dict:
    found = names.runs[run]
    row: dict[str, Any] = {"model": names.of(run), "run": run, "modalities": found.modalities, "trainings": 0}
    for metric in metrics:
        row |= cells.under(run, metric, metric)
        if cell := cells.get((run, metric)):
            row["trainings"] = max(row["trainings"], cell.runs)
    figures = beside(papers, found, names.options[found.model])
    for metric, figure in figures.items():
        row |= {
            f"published_{metric}": figure.mean,
            f"published_{metric}_sd": figure.sd,
            f"called_{metric}": figure.called,
        }
    return {**row, "figures": list(figures.values())}


def _line(first, found: dict) -> dict:
    """A published figure that is no run's, as a row of its own."""
    row = {"model": f"published: {first.what}", "modalities": first.modalities, "row_class": "paper", "trainings": None}
    for metric, figure in found.items():
        row |= {metric: figure.mean, f"{metric}_sd": figure.sd}
    return {**row, "figures": list(found.values())}


def _columns(metrics: list[str], rows: list[dict], counts_differ: bool):
    yield Column("model", "Model", number=False, sub="standing")
    families = [metric.partition("_")[0] for metric in metrics]
    for metric, family in zip(metrics, families):
        numbers, words, below = Numbers(metric), sentence(metric_words(metric)), defined_below(metric, rows)
        published = any(f"published_{metric}" in row for row in rows)
        spread = f"{metric}_sd" if family not in ("rmse", "pearson") else ""
        if published:
            called = next((row[f"called_{metric}"] for row in rows if row.get(f"called_{metric}")), "")
            head = f"published (\u201c{called}\u201d)" if called else "published"
            yield Column(metric, "here", numbers.score, sd=spread, sub=below, over=words)
            yield Column(
                f"published_{metric}", head, numbers.score, sd=f"published_{metric}_sd", over=words, css="paper"
            )
        elif not numbers.percent and families.count(family) > 1:
            of = metric.partition("_")[2].replace("_", " ")
            yield Column(metric, of, numbers.score, sd=spread, sub=below, over=METRIC_WORDS[family])
        else:
            yield Column(metric, words, numbers.score, sd=spread, sub=below)
    if counts_differ:
        yield Column("trainings", "Trainings", css="muted")


def _reach(rows: list[dict], metric: str) -> list[float]:
    out = []
    for row in rows:
        for key in (metric, f"published_{metric}"):
            if row.get(key) is not None:
                spread = row.get(f"{metric}_sd") or 0 if key == metric else 0
                out += [row[key] - spread, row[key] + spread]
    return out


def _means(
    scores: pd.DataFrame, column: str, keys: Sequence[str], order: Sequence[str], names: RunNames, what: str
) -> list[dict]:
    """A row for each run that has values: their mean and deviation at each key of a column; ``what`` each is of."""
    found = scores.groupby(["run", column])["value"].agg(["mean", "std", "count", "size"]).to_dict("index")
    rows = []
    for run in order:
        row: dict[str, Any] = {}
        for key in (key for key in keys if (run, key) in found):
            of = found[run, key]
            if of["count"] == of["size"]:
                row |= {key: of["mean"], f"{key}_sd": of["std"]}
            else:
                row[f"{key}_defined"] = defined_in(of["count"], of["size"], what)
        rows += [{"run": names.run(run), **row}] if row else []
    return rows


def by_turns(scores: pd.DataFrame, order: list[str], names: RunNames, settings: Settings) -> Table | None:
    """The scores of each run on the test items of each style, of all folds together; None where there are no styles."""
    if scores["turns"].nunique() < 2:
        return None
    metric, numbers = settings.metric, Numbers(settings.metric)
    own = scores[(scores["metric"] == metric) & (scores["fold"] == POOLED)]
    styles = [POOLED, *(turns for turns in scores["turns"].unique() if turns != POOLED)]
    rows = _means(own, "turns", styles, order, names, "seed")
    columns = [Column("run", "Run", number=False)]
    columns += [Column.score(turns, turns, numbers, sub=defined_below(turns, rows)) for turns in styles]
    return Table.of(
        "scores_by_style",
        f"{sentence(numbers.words)} on the test items of each style{numbers.per_cent}",
        columns,
        rows,
        note="All folds together, mean ± standard deviation over seeds.",
    )


def by_input(cells: Cells, order: list[str], names: RunNames, metric: str) -> Table | None:
    """The scores of each model by the features it reads, where runs read different ones."""
    if not names.varied:
        return None
    scored = [run for run in order if (run, metric) in (cells.keys() | cells.undefined.keys())]
    rows: dict[str, dict] = {}
    for run in scored:
        text = names.features(run) or "none of them"
        row = rows.setdefault(text, {"features": text})
        row |= cells.under(run, metric, names.model_on_modalities(run))
    numbers = Numbers(metric)
    columns = [Column("features", f"Features of {' and '.join(names.varied)}", number=False)]
    columns += [
        Column.score(key, key, numbers, sub=defined_below(key, [*rows.values()]))
        for key in dict.fromkeys(map(names.model_on_modalities, scored))
    ]
    title = f"{sentence(numbers.words)} by features and model{numbers.per_cent}"
    return Table.of("features", title, columns, list(rows.values()))


def without_table(scores: pd.DataFrame, order: list[str], names: RunNames, settings: Settings) -> Table | None:
    """Mean and deviation over trainings of each run of several modalities, with all and without each of them."""
    metric, numbers = settings.metric, Numbers(settings.metric)
    taken = [NOTHING, *MODALITIES.values()]
    own = scores[scores["metric"] == metric]
    rows = _means(own[~by_truth(own)], "without", taken, order, names, "training")
    if not rows:
        return None
    columns = [Column("run", "Run", number=False)]
    columns += [
        Column.score(key, "With all" if key == NOTHING else f"Without {key}", numbers, sub=defined_below(key, rows))
        for key in taken
    ]
    return Table.of(
        "missing_modalities",
        f"With a modality taken away at test: {numbers.words}{numbers.per_cent}",
        columns,
        rows,
        note="Mean ± standard deviation over trainings. What is taken away counts as not observed in any test item; "
        "nothing is trained anew.",
    ).without_empty()
