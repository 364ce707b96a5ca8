"""A critical-difference picture over all runs (Demsar 2006): who is ahead of whom, and whom the ranks do not part."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.report.charts import Axis
from models.report.runs import RunNames
from models.report.tables import Column, Table
from models.report.writing import Numbers, count, metric_words, missing, p_is
from models.task import POOLED

BLOCKS_AT_LEAST = RUNS_AT_LEAST = 3
MIDDLE_PX, LINE_PX, TOP_PX, BAR_PX = 420, 20, 52, 7
LETTER_PX = 6.3  # width of a letter of a label, about


@dataclass(frozen=True)
class Ranks:
    """The picture: positions in pixels, and what is said above it."""

    axis: Axis
    critical: float
    bars: list[tuple[float, float, float]]  # from rank, to rank, height
    legs: list[dict]
    height: float
    text: str
    table: Table
    left: float
    width: float

    def x(self, rank: float) -> float:
        """Where a rank lies on the axis."""
        return round(self.axis.share(rank) * MIDDLE_PX, 1)


def compared_blocks(
    scores: pd.DataFrame, videos: pd.DataFrame, runs: list[str], metric: str, segment: str
) -> tuple[str, pd.DataFrame]:
    """What runs are ranked within, and the score of each run (columns) in each: segments of frames, else folds.

    Only blocks in which every run has a score; means over seeds.
    """
    if metric in videos:
        table = _means(videos[videos["run"].isin(runs)].groupby(["segment_id", "run"])[metric])
        return segment, table.dropna()
    single = scores[(scores["fold"] != POOLED) & (scores["metric"] == metric) & scores["run"].isin(runs)]
    return "fold", _means(single.groupby(["fold", "run"])["value"]).dropna()


def _means(of_seeds) -> pd.DataFrame:
    """Means over seeds, a column for each run; none where the score of some seed is undefined."""
    return of_seeds.mean().where(of_seeds.count() == of_seeds.size()).unstack()


def mean_ranks(table: pd.DataFrame) -> tuple[pd.Series, float, float]:
    """Mean rank of each run (1 is best), the p value of Friedman's test, and the critical difference of
    Nemenyi's test at level 0.05.

    It is ``q * sqrt(k (k + 1) / (6 N))`` of k runs in N blocks, q the studentised range with
    infinite degrees of freedom over the root of two (Demsar 2006).
    """
    from scipy.stats import friedmanchisquare, studentized_range

    ranks = table.rank(axis=1, ascending=False).mean()
    n, k = table.shape
    q = float(studentized_range.ppf(0.95, k, np.inf)) / np.sqrt(2)
    with np.errstate(invalid="ignore"):  # where all runs tie in every block
        p = float(friedmanchisquare(*table.to_numpy().T).pvalue)
    return ranks, p, q * float(np.sqrt(k * (k + 1) / (6 * n)))


def groups(ranks: list[float], critical: float) -> list[tuple[float, float]]:
    """The longest stretches of sorted ranks that lie within the critical difference, none inside another."""
    out: list[tuple[float, float]] = []
    for k, low in enumerate(ranks):
        high = max(rank for rank in ranks[k:] if rank - low < critical)
        if high > low and not any(a <= low and high <= b for a, b in out):
            out.append((low, high))
    return out


def picture(
    scores: pd.DataFrame,
    videos: pd.DataFrame,
    runs: list[str],
    metric: str,
    names: RunNames,
    planned: bool,
    segment: str = "video",
) -> Ranks | None:
    """The picture of all runs; None where there are too few runs, or blocks that hold all of them."""
    kind, table = compared_blocks(scores, videos, runs, metric, segment)
    if table.shape[0] < BLOCKS_AT_LEAST or table.shape[1] < RUNS_AT_LEAST:
        return None
    numbers = Numbers(metric)
    ranks, p, critical = mean_ranks(table)
    ordered = ranks.sort_values(kind="stable")
    k = len(ordered)
    joined = groups(list(ordered), critical)
    bars = [(low, high, TOP_PX + 10.0 + BAR_PX * i) for i, (low, high) in enumerate(joined)]
    below = TOP_PX + 18 + BAR_PX * len(bars)
    half = (k + 1) // 2
    legs = []
    for i, (run, rank) in enumerate(ordered.items()):
        left = i < half
        y = below + LINE_PX * (i if left else k - 1 - i)
        end, at, anchor = (-6, -10, "end") if left else (MIDDLE_PX + 6, MIDDLE_PX + 10, "start")
        words = f"{names.run(run)}  {rank:.2f}" if left else f"{rank:.2f}  {names.run(run)}"
        legs.append({"rank": rank, "y": y, "end": end, "text_x": at, "anchor": anchor, "words": words})
    left_px, right_px = (
        LETTER_PX * max(len(leg["words"]) for leg in legs if leg["anchor"] == anchor) + 20
        for anchor in ("end", "start")
    )
    rows = [
        {"run": names.run(run), "rank": float(rank), "mean": float(table[run].mean()), "blocks": len(table)}
        for run, rank in ordered.items()
    ]
    columns = [Column("run", "Run", number=False), Column("rank", "Mean rank", "{:.2f}".format)]
    columns += [Column("mean", f"Mean over {kind}s", numbers.score), Column("blocks", f"{kind.capitalize()}s")]
    return Ranks(
        axis=Axis.between(1, k, min(k - 1, 10)),
        critical=critical,
        bars=bars,
        legs=legs,
        height=below + LINE_PX * half + 10,
        left=left_px,
        width=left_px + MIDDLE_PX + right_px,
        text=_text(kind, len(table), k, critical, metric, planned),
        table=Table.of("ranks", f"Runs by mean rank over {kind}s", columns, rows, note=_note(critical, p)),
    )


def _note(critical: float, p: float) -> str:
    friedman = "" if missing(p) else f"; Friedman’s test of any difference: p {p_is(p)}"  # none where all runs tie
    return f"Critical difference {critical:.2f} (Nemenyi, level 0.05){friedman}."


def _text(kind: str, n: int, k: int, critical: float, metric: str, planned: bool) -> str:
    text = (
        f"Within each of {count(n, kind)} the {k} runs are ranked by their {metric_words(metric)}, 1 is best; the "
        f"picture shows mean ranks. A bar joins runs whose mean ranks differ by less than Nemenyi’s critical "
        f"difference at level 0.05 ({critical:.2f})."
    )
    if kind == "fold":
        text += " Folds share training material, so this is a picture, not a test."
    if not planned:
        return text + " No comparison was planned; this one looks at all pairs."
    return text + " The tests are those of the planned contrasts; this was not planned, and it looks at all pairs."
