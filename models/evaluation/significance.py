"""Is a difference real? The planned contrasts, tested on the same items, with a verdict each."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import click
import numpy as np

from models.evaluation.comparison import Comparison, Resampler, check_paired, compare, decide
from models.evaluation.contrast import Candidate
from models.evaluation.metrics import overall
from models.evaluation.statuses import Remark, Role, Status
from models.evaluation.tallies import NOBODY, RunTally, joined_by_fold, tally_run
from models.options import Contrast, SignificanceOptions, options_from_json
from models.task import POOLED, Task
from pipeline.cli import FILE, folds_option, results_option, segments_option, split_option, task_option
from pipeline.log import log, progress
from pipeline.records import Assignment, InputError, Segment, read_table, write_table


def run_contrasts(
    contrasts: list[Contrast],
    options: SignificanceOptions,
    load: Callable[[str], RunTally],
    ratio: float,
    selected_on_test: bool = False,
) -> list[Comparison]:
    """Test all planned contrasts on all test items, then each on the items of each style where there are styles.

    ``load`` gives the tally of a run by its name, ``ratio`` is test / training items; ``selected_on_test``: test and
    development part are the same, so that no row has a verdict.
    """
    resampled = Resampler(options)
    chosen = [(contrast, load(contrast.a), choose_b(contrast, options.metric, load)) for contrast in contrasts]
    styles = load(contrasts[0].a).styles if contrasts else []
    rows = []
    for turns in progress([POOLED, *(styles if len(styles) > 1 else [])], "kinds of turns"):
        for contrast, a, b in chosen:
            one, other = (run if turns == POOLED else run.of_style(turns) for run in (a, b.tally))
            row = compare(contrast.question, one, other, options, ratio, resampled)
            if np.isnan(other.sums).any():
                row = replace(row, status=Status.NOT_CHOSEN)
            elif b.candidates:
                row = replace(row, remarks=f"{Remark.CHOSEN} {row.remarks}".strip())
            rows.append(replace(row, b=" ".join(b.runs), b_chosen_from=" ".join(map(str, b.candidates))))
    return decide(rows, options, selected_on_test)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a contrast compares with."""

    tally: RunTally
    runs: list[str]  # those taken, the most frequent first
    candidates: list[Candidate]  # among which they were chosen; none where b is one run


def choose_b(contrast: Contrast, metric_name: str, load: Callable[[str], RunTally]) -> Chosen:
    """What to compare with: b, or the best of several.

    In each fold it is the run that is best on the fold's own development part. The parts of all folds together would
    not do: what is held out in one fold is tested in another. An undefined score is worse than any other; a fold in
    which no run has a defined one has no best, and its sums are NaN.
    """
    names = [contrast.b] if isinstance(contrast.b, str) else list(dict.fromkeys(contrast.b))
    runs = [load(name) for name in names]
    if len(runs) == 1:
        return Chosen(runs[0], names, [])
    for run in runs:
        if run.development is None:
            raise InputError(
                f"contrast {contrast.question!r}: run {run.run} has no development score to be chosen by; "
                "name one run as b, or train it with a development part"
            )
        check_paired(runs[0], run)
    scores = np.stack([run.development_scores(metric_name) for run in runs])  # (runs, folds)
    defined = np.isfinite(scores)
    best = np.where(defined.any(0), np.where(defined, scores, -np.inf).argmax(0), NOBODY)
    folds = np.bincount(best[best != NOBODY], minlength=len(runs))
    order = sorted(np.flatnonzero(folds), key=lambda k: -folds[k])
    alone = folds.max() == len(best)
    tallied = runs[order[0]] if alone else joined_by_fold(f"the best of {' '.join(names)}", runs, best)
    return Chosen(tallied, [names[k] for k in order] or names, list(map(Candidate, names, scores.mean(1), folds)))


def size_ratio(split: list[Assignment], folds: int) -> float:
    """Test items / training items, mean over folds; raises InputError where a fold has none of either."""
    ratios = []
    for fold in range(folds):
        parts = [row.part for row in split if row.fold == fold]
        test, training = parts.count("test"), parts.count("training")
        if not test or not training:
            raise InputError(
                f"--split has {training} training and {test} test segments in fold {fold} of --folds {folds}, and some "
                "of both are needed; give the split that the runs were trained on, and its number of folds"
            )
        ratios.append(test / training)
    return float(np.mean(ratios))


def selected_on_test(split: list[Assignment]) -> bool:
    """Whether some segment is in the development and in the test part of one fold, as in the papers' own protocols."""
    parts = [{(row.fold, row.segment_id) for row in split if row.part == part} for part in ("development", "test")]
    return not parts[0].isdisjoint(parts[1])


def rounded(row: Comparison) -> Comparison:
    """Six significant digits: more would be noise, and files would differ between machines."""
    values = {k: v for k, v in asdict(row).items() if isinstance(v, float)}
    rounded: dict[str, Any] = {k: float(f"{v:.6g}") + 0.0 if np.isfinite(v) else None for k, v in values.items()}
    return replace(row, **rounded)


@click.command()
@task_option
@results_option
@click.option("--protocol", required=True, help="name of the split, for the log")
@segments_option
@split_option
@folds_option
@click.option("--contrasts", required=True, help='JSON: [{"question": ..., "a": RUN, "b": RUN or [RUN, ...]}, ...]')
@click.option("--options", required=True, help='JSON: {"metric": ..., "bootstrap_samples": 2000, ...}')
@click.option("--out", required=True, type=FILE, help="tables/significance.csv")
def significance(task, results, protocol, segments, split, folds, contrasts, options, out):
    """Test the planned contrasts."""
    planned = options_from_json(list[Contrast], contrasts, "--contrasts")
    given = options_from_json(SignificanceOptions, options, "--options")
    task = Task.parse(task)
    if given.metric not in overall(task):
        raise InputError(
            f"significance.metric: {given.metric!r} cannot be tested for task {task}; choose {', '.join(overall(task))}"
        )
    known = read_table(segments, Segment)
    assigned = read_table(split, Assignment)
    ratio, same = size_ratio(assigned, folds), selected_on_test(assigned)

    @cache
    def load(run: str) -> RunTally:
        return tally_run(results, run, folds, task, known)

    rows = run_contrasts(planned, given, load, ratio, same)
    write_table(out, [rounded(row) for row in rows], Comparison)
    found = ", ".join(f"{row.question}: {row.verdict}" for row in rows if row.role == Role.PLANNED)
    log.info("%s, %d contrasts on %s: %s", protocol, len(planned), given.metric, found or "none planned")
