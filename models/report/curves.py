"""Learning curves: development score and losses by epoch, thin lines for single trainings, the median over them."""

import numpy as np

from models.report.charts import Axis, path
from models.report.gather import Results, histories
from models.report.names import DEVELOPMENT

LOSSES = ("training_loss", "development_loss")
LINES_AT_MOST = 60


def learning_curves(results: Results, runs: list[str], metric: str) -> dict | None:
    """What is drawn of each run; all share their scales. None where no training left a history."""
    found = {run: list(histories(results, run)) for run in runs}
    found = {run: items for run, items in found.items() if items}
    if not found:
        return None
    columns = list(next(iter(found.values()))[0][2].columns)
    score = _score_column(columns, metric)
    losses = [c for c in LOSSES if c in columns]
    tables = [table for items in found.values() for _, _, table in items]
    x_axis = Axis.between(0, max(int(t["epoch"].max()) for t in tables), 4)
    axes = {}
    for column in [*losses, score] if score else losses:
        values = np.concatenate([t[column].to_numpy(float) for t in tables if column in t])
        axes[column] = Axis.covering(values, 3)
    if losses:  # training and development loss share one scale
        shared = Axis.covering([v for c in losses for v in (axes[c].low, axes[c].high)], 3, pad=0)
        axes |= dict.fromkeys(losses, shared)
    return {
        "x_axis": x_axis,
        "score": score,
        "metric": score.removeprefix(DEVELOPMENT) if score else None,
        "losses": losses,
        "axes": axes,
        "runs": [
            {
                "run": run,
                "trainings": len(items),
                "stopped": sorted(int(t["epoch"].max()) for _, _, t in items),
                "lines": {c: _lines(items, c, x_axis, axes[c]) for c in axes},
            }
            for run, items in found.items()
        ],
    }


def _score_column(columns: list[str], metric: str) -> str | None:
    """The development score that chose the epoch: the metric of the contrasts, else whichever was noted."""
    found = [c for c in columns if c.startswith(DEVELOPMENT) and c not in LOSSES]
    wanted = DEVELOPMENT + metric
    return wanted if wanted in found else next(iter(found), None)


def _lines(items: list, column: str, x_axis: Axis, y_axis: Axis) -> dict:
    series = [(t["epoch"].to_numpy(float), t[column].to_numpy(float)) for _, _, t in items if column in t]
    longest = max(series, key=lambda xy: len(xy[0]))[0]
    # The median needs most trainings to be running still: beyond that it would follow the few that took longest.
    table = np.full((len(series), len(longest)), np.nan)
    for k, (_, y) in enumerate(series):
        table[k, : len(y)] = y
    enough = np.isfinite(table).sum(0) * 2 >= len(series)
    median = np.full(len(longest), np.nan)
    median[enough] = np.nanmedian(table[:, enough], axis=0)
    thin = "".join(path(x, y, x_axis, y_axis) for x, y in series[:LINES_AT_MOST])
    return {"thin": thin, "median": path(longest, median, x_axis, y_axis)}
