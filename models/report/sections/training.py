"""What trainings say of themselves: what was trained, the learned mix of layers, and learning curves."""

from collections import Counter
from statistics import median

import numpy as np
import pandas as pd

from models.evaluation.metrics import selecting_metric
from models.report.charts import Axis, path, spread
from models.report.gather import Results, histories
from models.report.runs import RunNames
from models.report.tables import Column, Group, Table
from models.report.writing import DEVELOPMENT, grouped, listing

LOSSES = ("training_loss", "development_loss")
LINES_AT_MOST = 60  # lines of a run: more make a page large and its lines no clearer


def parameters(results: Results) -> dict[str, int]:
    """How many numbers each run trains, of those of which a training is there."""
    return {run: infos[0]["model"]["parameters"] for run, infos in results.run_infos.items() if infos}


def models_table(results: Results, runs: list[str], names: RunNames) -> Table | None:
    """What was trained: parameters, epochs, seconds of an epoch and the learning rate of each run."""
    rows: dict[str, list[dict]] = {}
    for run in runs:
        infos = results.run_infos[run]
        if not infos:
            continue
        of = names.runs[run]
        row = {
            "model": names.of(run),
            "run": run,
            "description": names.about[of.model]["description"],
            "trainings": len(infos),
            "parameters": infos[0]["model"]["parameters"],
            **_trained_on(infos),
            **_epochs(infos),
            "selected": median(info["selected"]["epoch"] for info in infos),
            "epoch_s": median(info["seconds"] / sum(one["epochs"] for one in info["tried"]) for info in infos),
            "learning_rates": _rates(infos),
        }
        rows.setdefault(of.modalities, []).append(row)
    if not rows:
        return None
    columns = (
        Column("model", "Model", number=False, sub="description"),
        Column("parameters", "Parameters", grouped),
        Column("trainings", "Trainings"),
        Column("items", "Items that train", grouped, sub="rated", explain="median over trainings"),
        Column("epochs", "Epochs", "{:g}".format, sub="epochs_range", explain="median, and from least to most"),
        Column("selected", "Epoch tested", "{:g}".format, explain="median over trainings"),
        Column("epoch_s", "Seconds an epoch", "{:.2f}".format),
        Column("learning_rates", "Learning rate", css="small"),
    )
    groups = tuple(Group(rows[one], one) for one in sorted(rows, key=lambda text: -len(text)))
    described = set()  # once is enough
    for row in (row for group in groups for row in group.rows):
        row["description"] = None if row["model"] in described else row["description"]
        described.add(row["model"])
    return Table("models", "What was trained", columns, groups).without_empty()


def _trained_on(infos: list[dict]) -> dict:
    """How many items train, and what raters' votes have changed of that; only of models that learn these."""
    rated = [info["rated"] for info in infos if info["rated"]]
    if not rated:
        return {}
    added, left_out = (median(one[key] for one in rated) for key in ("added", "left_out"))
    text = f"{grouped(added)} of them without a majority; {grouped(left_out)} more without a vote left out"
    return {"items": median(info["items"]["training"] for info in infos), "rated": text}


def _epochs(infos: list[dict]) -> dict:
    epochs = [info["epochs"] for info in infos]
    differ = len(set(epochs)) > 1
    return {"epochs": median(epochs), "epochs_range": f"{min(epochs)} to {max(epochs)}" if differ else None}


def _rates(infos: list[dict]) -> str:
    """The learning rates of a run's trainings, each with how many there are of it where they differ."""
    counts = Counter(f"{info['chosen']['learning_rate']:g}" for info in infos)
    return ", ".join(f"{rate} ({n})" if len(counts) > 1 else rate for rate, n in counts.items())


def layers_table(results: Results, runs: list[str], names: RunNames) -> Table | None:
    """The learned weight of each layer by run, a mean over folds and seeds; None where no run mixes layers."""
    rows, normalised = [], {}
    for run in runs:
        infos = [info for info in results.run_infos[run] if info["layer_weights"]]
        if infos:
            normalised[names.run(run)] = bool(infos[0]["training"]["normalise"])
        for modality in infos[0]["layer_weights"] if infos else ():
            shares = np.mean([info["layer_weights"][modality] for info in infos], axis=0)
            numbers = infos[0]["model"]["layers"][modality]
            row = {"model": names.run(run), "run": run, "input": names.runs[run].inputs[modality]}
            rows.append(row | {f"layer_{n}": float(share) for n, share in zip(numbers, shares)})
    if not rows:
        return None
    seen = sorted({int(key.removeprefix("layer_")) for row in rows for key in row if key.startswith("layer_")})
    columns = [
        Column("model", "Model", number=False),
        Column("input", "Features", number=False),
        *(Column(f"layer_{n}", str(n), "{:.3f}".format, over="Layer, 0 the embedding") for n in seen),
    ]
    note = f"Shares sum to 1 in each row; {_before_the_mix(normalised)}."
    return Table.of("layers", "Learned mix of layers", columns, rows, note=note)


def _before_the_mix(normalised: dict[str, bool]) -> str:
    """What is done to layers before they are mixed, by whether runs normalise their features."""
    alike = "layers are normalised before they are mixed"
    extracted = [run for run, done in normalised.items() if not done]
    large = "a layer of large numbers counts for more than its share"
    if not extracted:
        return f"{alike}, so that none is large by itself"
    if len(extracted) == len(normalised):
        return f"layers are mixed as they were extracted: {large}"
    return f"{alike}, but not those of {listing(extracted)}, where {large}"


def learning_curves(results: Results, runs: list[str]) -> dict | None:
    """What is drawn of each run; all share their scales. None where no training left a history."""
    found = {run: list(histories(results, run)) for run in runs}
    found = {run: items for run, items in found.items() if items}
    if not found:
        return None
    columns = list(next(iter(found.values()))[0].columns)
    selecting = DEVELOPMENT + selecting_metric(results.settings.task)
    score = selecting if selecting in columns else None
    losses = [c for c in LOSSES if c in columns]
    tables = [table for items in found.values() for table in items]
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
                "drawn": min(len(items), LINES_AT_MOST),
                "stopped": sorted(int(t["epoch"].max()) for t in items),
                "lines": {c: _lines(items, c, x_axis, axes[c]) for c in axes},
            }
            for run, items in found.items()
        ],
    }


def _lines(items: list[pd.DataFrame], column: str, x_axis: Axis, y_axis: Axis) -> dict:
    series = [(t["epoch"].to_numpy(float), t[column].to_numpy(float)) for t in items if column in t]
    longest = max(series, key=lambda xy: len(xy[0]))[0]
    # The median needs most trainings to be running still: beyond that it would follow the few that took longest.
    table = np.full((len(series), len(longest)), np.nan)
    for k, (_, y) in enumerate(series):
        table[k, : len(y)] = y
    enough = np.isfinite(table).sum(0) * 2 >= len(series)
    middle = np.full(len(longest), np.nan)
    middle[enough] = np.nanmedian(table[:, enough], axis=0)
    drawn = [series[k] for k in spread(len(series), LINES_AT_MOST)]
    thin = [step for x, y in drawn for step in path(x, y, x_axis, y_axis)]
    return {"thin": thin, "median": path(longest, middle, x_axis, y_axis)}
