"""Predictions that were made elsewhere, tested against a run on the very items that the run was tested on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from models.evaluation.comparison import Comparison, Resampler, compare, decide
from models.evaluation.significance import rounded, selected_on_test, size_ratio
from models.evaluation.statuses import A_AHEAD, B_AHEAD, Role, only_on
from models.evaluation.tallies import tally_tests
from models.options import SignificanceOptions
from models.predictions import Predictions, read_folds
from models.settings import Settings
from models.task import Task
from pipeline.cli import EXISTING, FILE, results_option
from pipeline.records import Assignment, InputError, Segment, read_table, write_table

READ = (".csv", ".tsv", ".parquet")


def read_outside(path: str | Path, tests: Sequence[Predictions], task: Task) -> list[Predictions]:
    """The table's predictions for each fold's test part, with the run's items and truth.

    Columns: segment_id; frame, for tasks of frames; predicted, or each number by its name; seed and fold where there
    are several. Raises InputError where a column or a test item is missing, stands twice, or has no such value.
    """
    table = _read(Path(path), task)
    seeds = sorted(table["seed"].unique()) if "seed" in table else [0]
    found = []
    for fold, test in enumerate(tests):
        of_fold = table[table["fold"] == fold] if "fold" in table else table
        by_seed = []
        for seed in seeds:
            rows = of_fold[of_fold["seed"] == seed] if "seed" in table else of_fold
            where = f"{path}, fold {fold}" + (f", seed {seed}" if "seed" in table else "")
            by_seed.append(_predicted(rows, test, task, where))
        found.append(replace(test, seeds=tuple(int(seed) for seed in seeds), predicted=np.stack(by_seed)))
    return found


def _read(path: Path, task: Task):
    import pandas

    values = list(task.targets) or ["predicted"]
    needed = ["segment_id", *(["frame"] if task.frames else []), *values]
    if path.suffix not in READ:
        raise InputError(f"{path}: predictions are read from {', '.join(READ)}")
    try:
        if path.suffix == ".parquet":
            table = pandas.read_parquet(path)
        else:
            separator = "," if path.suffix == ".csv" else "\t"
            table = pandas.read_csv(path, sep=separator, dtype=str, keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:  # wrong encodings, empty files and ragged lines too
        raise InputError(f"{path}: cannot be read as a table ({' '.join(str(error).split())})") from None
    if missing := [name for name in needed if name not in table]:
        raise InputError(f"{path}: lacks the column {', '.join(missing)}; task {task} needs {', '.join(needed)}")
    for name in {"frame", "seed", "fold"} & set(table):
        whole = pandas.to_numeric(table[name], errors="coerce")
        if (wrong := ~(whole % 1 == 0)).any():
            raise InputError(f"{path}: column {name} holds {table[name][wrong].iloc[0]!r}; give whole numbers")
        table[name] = whole.astype(np.int64)
    for name in task.targets:
        table[name] = pandas.to_numeric(table[name], errors="coerce")  # what is no number is said of its item
    return table


def _predicted(rows, test: Predictions, task: Task, where: str) -> np.ndarray:
    """What the rows predict for the items of a test part, in their order: (N,) numbers of classes, or (N, targets)."""
    import pandas

    names = ["segment_id", *(["frame"] if task.frames else [])]
    keys = {"segment_id": np.array(test.segments, object)[test.segment], "frame": test.frame}
    wanted = pandas.MultiIndex.from_arrays([keys[name] for name in names], names=names)
    given = pandas.MultiIndex.from_arrays([rows[name] for name in names], names=names)
    if twice := given[given.duplicated()].tolist():
        raise InputError(f"{where}: {_item(twice[0])} stands twice; give one prediction for each test item")
    at = given.get_indexer(wanted)
    if (at < 0).any():
        raise InputError(
            f"{where}: {(at < 0).sum()} of the {len(at)} test items are not there, such as "
            f"{_item(wanted[at < 0][0])}; a comparison needs a prediction for every item that the run was tested on"
        )
    if task.numbers:
        numbers = rows[list(task.targets)].to_numpy(np.float64)[at]
        if len(unusable := np.flatnonzero(~np.isfinite(numbers).all(-1))):
            raise InputError(f"{where}: {_item(wanted[unusable[0]])} lacks a number; give every test item one")
        return numbers
    codes = pandas.Index(test.classes).get_indexer(rows["predicted"].to_numpy()[at])
    if len(unknown := np.flatnonzero(codes < 0)):
        what = rows["predicted"].to_numpy()[at][unknown[0]]
        said = "has no prediction" if pandas.isna(what) else f"is predicted as {what!r}"
        raise InputError(f"{where}: {_item(wanted[unknown[0]])} {said}; the classes are {', '.join(test.classes)}")
    return codes


def _item(key: tuple) -> str:
    return f"segment {key[0]!r}" + (f", frame {key[1]}" if len(key) > 1 else "")


def against(path: Path, results: Path, run: str, settings: Settings) -> tuple[Comparison, SignificanceOptions]:
    """Test the predictions of a table (a) against a run (b) of the results."""
    if run not in settings.runs:
        raise InputError(f"there is no run {run!r} in {results}; there are {', '.join(settings.runs)}")
    task, folds = settings.task, settings.folds
    options = SignificanceOptions(**settings.options["significance"])
    segments = read_table(results / "segments.tsv", Segment)
    split = read_table(results / "splits" / f"{settings.protocol.name}.tsv", Assignment)
    tests = [test for test, _ in read_folds(results, run, folds, task)]
    ours, theirs = (
        tally_tests(name, each, None, segments, task)
        for name, each in ((run, tests), (path.name, read_outside(path, tests, task)))
    )
    question = f"{path.name} or {run}"
    row = compare(question, theirs, ours, options, size_ratio(split, folds), Resampler(options))
    return replace(decide([row], options, selected_on_test(split))[0], role=Role.OUTSIDE), options


@click.command("compare-predictions")
@click.argument("predictions", type=EXISTING)
@click.argument("run")
@results_option
@click.option("--out", type=FILE, help="a table of one row, with every test, as significance.csv")
def compare_predictions(predictions, run, results, out):
    """Test PREDICTIONS that were made elsewhere against RUN, on the items that the run was tested on."""
    settings = Settings.from_json(results / "config.json")
    row, options = against(predictions, results, run, settings)
    row = rounded(row)
    if out:
        write_table(out, [row], Comparison)
    for name, mean in ((row.a, row.mean_a), (row.b, row.mean_b)):
        click.echo(f"{row.metric} of {name}: " + ("undefined" if mean is None else f"{mean:.3f}"))
    if row.ci_low is not None:
        interval = f"{100 * (1 - options.alpha):g} % interval {row.ci_low:.3f} to {row.ci_high:.3f}"
        click.echo(f"difference {row.difference:.3f}, {interval}, p = {row.p_bootstrap:.2g}")
    better = dict.fromkeys(A_AHEAD, f"{row.a} is better") | dict.fromkeys(B_AHEAD, f"{row.b} is better")
    said = better.get(row.verdict, row.verdict.text) + only_on(row.verdict, row.group_kind)
    click.echo(f"{row.items} items in {row.clusters} {row.cluster_kind}s: {said}")
    click.echo("; ".join([row.role.text, row.note] if row.note else [row.role.text]))
    if settings.demonstration or settings.random_of(settings.runs[run].inputs.values()):
        click.echo("results of a demonstration, whose numbers mean nothing")
