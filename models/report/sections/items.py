"""Views of single predictions: is the confidence deserved, how does each speaker fare, what is said of which truth."""

import numpy as np
import pandas as pd

from models.evaluation.calibration import BINS, by_confidence, calibration_error
from models.evaluation.metrics import confusion_matrix, metric, moments
from models.predictions import FILE
from models.report.charts import Axis, path, spread, swarm
from models.report.gather import Results
from models.report.runs import RunNames
from models.report.tables import Column, Group, Table
from models.report.writing import Numbers, grouped, sentence
from models.settings import Settings
from models.task import Task

TRUTH_BINS = 10
DOTS_AT_MOST = 300
SPEAKERS_AT_MOST = 400


def read_items(results: Results, run: str) -> pd.DataFrame | None:
    """What every seed of a run predicted of the test items of all folds; None where any fold's file is not there."""
    tables = []
    for folder in results.fold_folders(run):
        path = folder / FILE
        if not path.exists():
            return None
        table = pd.read_parquet(path, filters=[("part", "==", "test")])
        texts = [name for name in ("segment_id", "label", "predicted") if name in table]
        tables.append(table.astype(dict.fromkeys(texts, str)))
    return pd.concat(tables, ignore_index=True) if tables else None


def calibration(items: dict[str, pd.DataFrame], names: RunNames) -> dict | None:
    """Of the predictions made with about equal confidence, the share that is right: a line and a row for each run."""
    axis = Axis.between(0, 1)
    lines, rows, groups = [], [], []
    for run, table in items.items():
        columns = [c for c in table if c.startswith("p_")]
        if not columns:
            continue
        probability = table[columns].to_numpy(float)
        confidence, right = probability.max(1), (table["label"] == table["predicted"]).to_numpy(float)
        count, mean, share = by_confidence(confidence, right)
        means = {"confidence": float(confidence.mean()), "accuracy": float(right.mean())}
        gap = calibration_error(confidence, right)
        rows.append({"run": names.run(run), "predictions": len(table), **means, "gap": gap})
        bins = [
            {"from": k / BINS, "predictions": int(count[k]), "confidence": float(mean[k]), "accuracy": float(share[k])}
            for k in range(BINS)
            if count[k]
        ]
        groups.append(Group(bins, names.run(run)))
        dots = [
            (axis.x(b["confidence"]), axis.y(b["accuracy"]), 2 + 5 * (b["predictions"] / len(table)) ** 0.5)
            for b in bins
        ]
        lines.append({"run": run, "line": path(mean[count > 0], share[count > 0], axis, axis), "dots": dots})
    if not rows:
        return None
    score = Numbers("accuracy").score
    both = [Column("confidence", "Confidence", score), Column("accuracy", "Right", score)]
    counted = Column("predictions", "Predictions", grouped)
    summary = Table.of(
        "calibration",
        "Calibration: confidence and accuracy, per cent",
        [Column("run", "Model", number=False), counted, *both, Column("gap", "Calibration error", score)],
        rows,
        note="Confidence: probability of the predicted class, mean over the test predictions of all folds and seeds. "
        f"Calibration error: difference of confidence and share right in {BINS} equal bins of confidence, weighted by "
        "their predictions.",
    )
    of_bins = (Column("from", "Confidence from", lambda x: f"{x * 100:.0f}"), counted, *both)
    by_bins = Table("calibration_bins", "Confidence by bins, per cent", of_bins, tuple(groups))
    return {
        "summary": summary,
        "bins": by_bins,
        "axis": axis,
        "lines": lines,
        "diagonal": path([0, 1], [0, 1], axis, axis),
    }


def by_group(
    table: pd.DataFrame, group: np.ndarray, groups: int, task: Task, name: str, classes: list[str]
) -> np.ndarray:
    """A metric of each group of items, mean over seeds, (groups,); NaN where it is undefined."""
    code = {label: k for k, label in enumerate(classes)}
    by_seed = []
    for _, rows in table.assign(group=group).groupby("seed"):
        of = rows["group"].to_numpy()
        if task.numbers:
            both = [(rows[f"truth_{t}"].to_numpy(float), rows[f"prediction_{t}"].to_numpy(float)) for t in task.targets]
            sums = np.stack([moments(truth, predicted, of, groups) for truth, predicted in both], axis=1)
        else:
            truth, predicted = (rows[column].map(code).to_numpy() for column in ("label", "predicted"))
            sums = confusion_matrix(truth, predicted, len(classes), of, groups)
        by_seed.append(metric(task, name, classes)(sums))
    return np.mean(by_seed, axis=0)


def speakers(results: Results, items: dict[str, pd.DataFrame], names: RunNames) -> dict | None:
    """How the items of each speaker are scored by each run: dots for the page, a row for each; None of unknown ones."""
    if results.speakers is None or not items:
        return None
    settings = results.settings
    speaker_of = results.segments.set_index("segment_id")["speaker"].to_dict()
    first = next(iter(items.values()))
    tested = first.drop_duplicates("segment_id")["segment_id"].map(speaker_of).value_counts()
    # Of numbers a single item has no variance, so that its CCC is 0 however close the prediction.
    known = sorted(tested.index[tested >= (2 if settings.task.numbers else 1)])
    if not 2 <= len(known) <= SPEAKERS_AT_MOST:
        return None
    code = {speaker: k for k, speaker in enumerate(known)}
    classes = sorted({label for t in items.values() if "label" in t for c in ("label", "predicted") for label in t[c]})
    rows = [{"speaker": speaker, "items": int(tested[speaker])} for speaker in known]
    scored = {}
    for run, table in items.items():
        kept = table[table["segment_id"].map(speaker_of).isin(known)]
        group = kept["segment_id"].map(speaker_of).map(code).to_numpy()
        scored[run] = by_group(kept, group, len(known), settings.task, settings.metric, classes)
        for row, value in zip(rows, scored[run]):
            row[run] = float(value)
    axis = Axis.covering(np.concatenate(list(scored.values())), 6)
    counts = {"count": len(known), "alone": len(tested) - len(known)}
    return {"axis": axis, **counts, **_tables(rows, scored, settings, names, axis)}


def _tables(rows: list[dict], scored: dict, settings: Settings, names: RunNames, axis: Axis) -> dict:
    numbers, summary = Numbers(settings.metric), []
    heads = {"worst": "Lowest", "low": "Lower quarter", "median": "Median", "high": "Upper quarter", "best": "Highest"}
    for run, values in scored.items():
        finite = values[np.isfinite(values)]
        five = np.quantile(finite, [0, 0.25, 0.5, 0.75, 1]) if len(finite) else [None] * 5
        summary.append({"run": names.run(run), **dict(zip(heads, five)), "dots": swarm(values, axis)})
    title = f"{sentence(numbers.words)} by speaker{numbers.per_cent}"
    columns = [Column("run", "Model", number=False), *(Column(k, head, numbers.score) for k, head in heads.items())]
    each = [Column("speaker", "Speaker", number=False), Column("items", f"Test {settings.words['segment']}s", grouped)]
    each += [Column(run, names.run(run), numbers.score) for run in scored]
    return {
        "summary": Table.of("speakers", title, columns, summary, plot="Each speaker as a dot"),
        "each": Table.of("each_speaker", f"{title}, one by one", each, rows),
    }


def truth_and_prediction(
    items: dict[str, pd.DataFrame], names: RunNames, targets: tuple[str, ...], media: bool = True
) -> dict | None:
    """For numbers of segments: what is predicted for about the same truth, by ten bins of it.

    Without ``media`` nothing is there of a single segment: no dots, and no bin of one.
    """
    charts, groups = [], []
    for run, table in items.items():
        both = [f"{what}_{t}" for t in targets for what in ("truth", "prediction")]
        means = table.groupby("segment_id")[both].mean()
        for target in targets:
            truth, predicted = (means[f"{what}_{target}"].to_numpy(float) for what in ("truth", "prediction"))
            axis = Axis.covering([*truth, *predicted], 4)
            edges = np.linspace(truth.min(), truth.max(), TRUTH_BINS + 1)
            at = np.clip(np.searchsorted(edges, truth, side="right") - 1, 0, TRUTH_BINS - 1)
            held = [at == k for k in range(TRUTH_BINS) if (at == k).sum() > (0 if media else 1)]
            bins = [_bin(truth[here], predicted[here]) for here in held]
            groups.append(Group(bins, f"{names.run(run)}: {target}"))
            line = path([b["truth"] for b in bins], [b["prediction"] for b in bins], axis, axis)
            some = spread(len(truth), DOTS_AT_MOST if media else 0)
            dots = [(axis.x(truth[i]), axis.y(predicted[i])) for i in some]
            diagonal = path([axis.low, axis.high], [axis.low, axis.high], axis, axis)
            chart = {"run": run, "target": target, "axis": axis, "line": line, "dots": dots, "diagonal": diagonal}
            charts.append({**chart, "items": len(truth)})
    if not charts:
        return None
    numbers = Numbers("ccc")
    binned = (
        Column("truth", "Truth, mean of a bin", numbers.score),
        Column("items", "Items", grouped),
        Column.score("prediction", "Prediction", numbers),
    )
    title = "Prediction by truth: mean ± standard deviation over the items of a bin"
    note = "" if media else "Bins of a single item are left out."
    return {"charts": charts, "table": Table("truth", title, binned, tuple(groups), note=note)}


def _bin(truth: np.ndarray, predicted: np.ndarray) -> dict:
    sd = float(predicted.std(ddof=1)) if len(predicted) > 1 else None
    means = {"truth": float(truth.mean()), "prediction": float(predicted.mean())}
    return {**means, "prediction_sd": sd, "items": len(truth)}
