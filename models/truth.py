"""Ground truth of segments and frames: classes or numbers, named as the network's outputs are.

Classes of segments stand in the split, numbers of segments in labels.tsv, both of frames in labels.h5.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.protocols.targets import Target
from models.task import Task
from pipeline.records import Assignment, InputError, Label, read_labels, read_table
from pipeline.store import FeatureStore

UNKNOWN = -1  # the number of a class where none is known


def is_known(values):
    """Where a truth is known, (N,) bool: of numbers of classes (N,), or of (N, numbers); an array or a tensor."""
    return values != UNKNOWN if values.ndim == 1 else (abs(values) < np.inf).all(-1)  # NaN is not below either


@dataclass(frozen=True)
class Truth:
    """Ground truth of some segments."""

    names: list[str]  # names of the classes or of the numbers
    values: np.ndarray  # (I,) numbers of classes, UNKNOWN where none is known; or (I, numbers), NaN where unknown
    shares: np.ndarray | None = None  # (I, classes) of raters' votes, where these are what is learned; else zeros


def segment_truth(
    task: Task,
    split: str | Path,
    rows: Sequence[Assignment],
    labels: str | Path | None,
    targets: Sequence[Target] | None = None,
) -> Truth:
    """Ground truth of ``rows`` of a split: numbers from ``labels``, which is labels.tsv, votes from ``targets``.

    Raises InputError where something that trains or is tested is not known.
    """
    truth = _numbers(task, labels, rows) if task.numbers else _classes(task, split, rows)
    unknown = ~is_known(truth.values)
    if targets is not None:
        truth = replace(truth, shares=_shares(truth.names, rows, targets))
        unknown &= truth.shares.sum(1) == 0
    lacking = [row for row, nothing in zip(rows, unknown) if nothing and row.part != "unlabelled"]
    if lacking:
        what = " or ".join(truth.names) if task.numbers else "label"
        raise InputError(
            f"{labels if task.numbers else split}: {lacking[0].segment_id} ({lacking[0].part}) has no {what}, which "
            f"task {task} needs; delete {split} and let the workflow make it again for this task"
        )
    return truth


def _classes(task: Task, split: str | Path, rows: Iterable[Assignment]) -> Truth:
    """Classes of the whole split, whichever of them a fold holds: the outputs are the same in every fold."""
    names = sorted({row.label for row in read_table(split, Assignment) if row.label is not None})
    if len(names) < 2:
        raise InputError(f"{split}: holds only the label {names}; there is nothing to tell apart")
    number = {name: i for i, name in enumerate(names)}
    return Truth(names, np.array([UNKNOWN if row.label is None else number[row.label] for row in rows]))


def _shares(names: Sequence[str], rows: Sequence[Assignment], targets: Iterable[Target]) -> np.ndarray:
    """What raters voted for, (rows, classes), of the rows that train; zeros of all others."""
    number = {name: i for i, name in enumerate(names)}
    at = {row.segment_id: i for i, row in enumerate(rows) if row.part == "training"}
    found = np.zeros((len(rows), len(names)))
    for target in targets:
        if target.segment_id in at:
            found[at[target.segment_id], number[target.label]] = target.share
    return found


def rated(rows: Sequence[Assignment], targets: Iterable[Target]) -> tuple[list[Assignment], dict[str, int]]:
    """Rows of a fold whose training part are those with a target, and how many that adds and leaves out."""
    fold, voted = rows[0].fold, {target.segment_id for target in targets}
    trained = {row.segment_id for row in rows if row.part == "training"}
    kept = [row for row in rows if row.part != "training" or row.segment_id in voted]
    added = [Assignment(segment_id, fold, "training") for segment_id in voted - trained]
    counts = {"added": len(added), "left_out": len(trained - voted)}
    return sorted([*kept, *added], key=lambda row: (row.segment_id, row.part)), counts


def _numbers(task: Task, labels: str | Path | None, rows: Sequence[Assignment]) -> Truth:
    if labels is None:
        raise InputError(f"task {task} needs labels.tsv, in which the numbers stand")
    known, nothing = read_labels(labels), Label("")
    of_rows = [known.get(row.segment_id, nothing).numbers for row in rows]
    found = [[numbers.get(name, np.nan) for name in task.targets] for numbers in of_rows]
    return Truth(list(task.targets), np.array(found, np.float64).reshape(len(rows), -1))


def frame_names(task: Task, labels: FeatureStore) -> list[str]:
    """Names of what a store of frame-wise labels holds for a task; raises InputError where it is for another."""
    config = labels.attributes["config"]
    if not task.numbers:
        names = list(config.get("classes") or ())
        if labels.dim != 1 or len(names) < 2:
            raise InputError(
                f"{labels.path}: its labels are {', '.join(config.get('columns') or ['of one kind'])}, not the number "
                f"of one of at least two classes, which task {task} needs; delete it and let the workflow make it again"
            )
        return names
    columns = tuple(config.get("columns") or ())
    if columns != task.targets or labels.dim != len(columns):
        raise InputError(
            f"{labels.path}: its labels are {', '.join(columns) or 'unnamed'}, {labels.dim} wide, and task {task} "
            f"wants {', '.join(task.targets)}; delete it and let the workflow make it again"
        )
    return list(columns)
