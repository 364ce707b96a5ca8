"""One contrast: every test that the data allow, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.evaluation.bootstrap import Resampled, difference, draw_weights, effective_clusters, level, resample
from models.evaluation.difference_tests import (
    bayesian_t_test,
    corrected_t_test,
    holm,
    mcnemar_test,
    paper_t_test,
    wilcoxon_test,
)
from models.evaluation.metrics import chance, metric
from models.evaluation.statuses import HERE, Remark, Role, Standing, Status, Verdict
from models.evaluation.tallies import RunTally
from models.options import SignificanceOptions
from models.task import POOLED
from pipeline.records import InputError

FEW_CLUSTERS = 20
MIN_ITEMS = 30
GROUP_SAMPLES = 1000  # a handful of groups has no more distinct samples


@dataclass(frozen=True)
class Comparison:
    """One row of significance.csv; a cell is None where ``status`` and ``remarks`` say why."""

    question: str
    role: Role
    turns: str  # the style of the test items; all: whatever their style
    a: str
    b: str  # where it was chosen in each fold, all that were, joined by blanks, the most frequent first
    metric: str
    items: int  # test items over all folds; frames count where their label is valid
    clusters: int
    effective_clusters: float
    cluster_kind: str
    mean_a: float | None  # all folds' test items together, mean over seeds
    mean_b: float | None
    chance: float | None = None  # what the best constant answer scores
    standing_a: Standing | None = None
    standing_b: Standing | None = None
    difference: float | None = None  # mean_a - mean_b
    fold_mean_a: float | None = None  # mean of the scores of single folds and seeds
    fold_mean_b: float | None = None
    standard_error: float | None = None
    ci_low: float | None = None  # level 1 - alpha
    ci_high: float | None = None
    p_bootstrap: float | None = None
    p_holm: float | None = None  # p_bootstrap corrected over all rows of the same turns
    group_kind: str | None = None  # what the clusters lie in, such as session
    groups: int | None = None
    standard_error_by_group: float | None = None  # if other sessions had been recorded, not only other dialogs
    p_by_group: float | None = None
    p_equivalence_by_group: float | None = None
    p_t_paper: float | None = None
    effect_size: float | None = None
    p_t_corrected: float | None = None
    effect_t_corrected: float | None = None  # mean / standard deviation over folds
    p_wilcoxon: float | None = None
    effect_wilcoxon: float | None = None  # matched-pairs rank-biserial correlation
    p_mcnemar: float | None = None
    effect_mcnemar: float | None = None  # Cohen's g
    p_a_better: float | None = None
    p_equivalent: float | None = None
    p_b_better: float | None = None
    equivalence_low: float | None = None  # interval of level 1 - 2 alpha
    equivalence_high: float | None = None
    p_equivalence: float | None = None  # two one-sided tests
    p_equivalence_holm: float | None = None  # corrected as p_holm
    verdict: Verdict = Verdict.NONE
    status: Status = Status.TESTED
    remarks: str = ""  # members of Remark, joined by blanks
    b_chosen_from: str = ""  # run=mean development score:folds that chose it, of each candidate, joined by blanks
    note: str = ""  # status and remarks in words


class Resampler:
    """Resamples a run once, however many contrasts it is in, with the same draws for all runs."""

    def __init__(self, options: SignificanceOptions):
        self.options = options
        self.done: dict[tuple, Resampled] = {}
        self.weights: dict[tuple, np.ndarray] = {}

    def __call__(self, run: RunTally, by_group: bool = False) -> Resampled:
        """Resample clusters, or whole groups of them."""
        key = (run.run, run.turns, by_group)
        if key not in self.done:
            count = 1 + int(run.group.max()) if by_group else len(run.clusters)
            wanted = self.options.bootstrap_samples
            samples = min(wanted, GROUP_SAMPLES) if by_group else wanted
            if (count, samples) not in self.weights:
                self.weights[count, samples] = draw_weights(count, samples, self.options.seed)
            weights = self.weights[count, samples]
            function = metric(run.task, self.options.metric, run.classes)
            self.done[key] = resample(run, function, weights[:, run.group] if by_group else weights)
        return self.done[key]


def too_little(items: np.ndarray, alpha: float) -> Status | None:
    """Why no contrast can be decided on a test set with this many items in each cluster; None where one can."""
    if 2 ** (1 - round(effective_clusters(items))) >= alpha:
        return Status.FEW_CLUSTERS
    return Status.FEW_ITEMS if items.sum() < MIN_ITEMS else None


def compare(
    question: str, a: RunTally, b: RunTally, options: SignificanceOptions, ratio: float, resampled: Resampler
) -> Comparison:
    """Test one contrast by every test that the data allow; ``decide`` adds p_holm and the verdict.

    ``ratio`` is test / training items of a fold. Raises InputError where the runs were tested on different items.
    """
    check_paired(a, b)
    function = metric(a.task, options.metric, a.classes)
    items, (mean_a, mean_b) = a.cluster_items, (a.score(function), b.score(function))
    row = Comparison(
        question=question,
        role=Role.PLANNED if a.turns == POOLED else Role.SECONDARY,
        turns=a.turns,
        a=a.run,
        b=b.run,
        metric=options.metric,
        items=int(items.sum()),
        clusters=len(a.clusters),
        effective_clusters=effective_clusters(items),
        cluster_kind=a.cluster_kind,
        mean_a=mean_a if np.isfinite(mean_a) else None,
        mean_b=mean_b if np.isfinite(mean_b) else None,
        chance=chance(a.task, options.metric, a.sums.sum(0)[0], a.classes),
    )
    if None in (row.mean_a, row.mean_b):
        return replace(row, status=Status.UNDEFINED)
    row = replace(row, difference=mean_a - mean_b, remarks=_join(_cautions(a, b, row)))
    row = _with_fold_tests(row, a.fold_scores(function), b.fold_scores(function), ratio, options)
    mcnemar = mcnemar_test(a.right, b.right)
    row = replace(row, p_mcnemar=mcnemar.p, effect_mcnemar=mcnemar.effect, remarks=_join([row.remarks, mcnemar.reason]))
    lacking = too_little(items, options.alpha)
    if lacking:
        return replace(row, status=lacking)
    return _with_groups(_with_bootstrap(row, a, b, options, resampled), a, b, options, resampled)


def _with_fold_tests(row, runs_a, runs_b, ratio, options) -> Comparison:
    """The tests on scores of training runs, (folds, seeds) each; all but the paper's average over seeds first."""
    by_fold = runs_a.mean(1) - runs_b.mean(1)
    paper, corrected, wilcoxon = paper_t_test(runs_a, runs_b), corrected_t_test(by_fold, ratio), wilcoxon_test(by_fold)
    posterior = bayesian_t_test(by_fold, ratio, options.practical_region)
    fold_mean_a, fold_mean_b = _fold_means(runs_a, runs_b)
    return replace(
        row,
        fold_mean_a=fold_mean_a,
        fold_mean_b=fold_mean_b,
        p_t_paper=paper.p,
        effect_size=paper.effect,
        p_t_corrected=corrected.p,
        effect_t_corrected=corrected.effect,
        p_wilcoxon=wilcoxon.p,
        effect_wilcoxon=wilcoxon.effect,
        p_a_better=posterior.a_better,
        p_equivalent=posterior.equivalent,
        p_b_better=posterior.b_better,
        remarks=_join([row.remarks, *(test.reason for test in (paper, corrected, posterior, wilcoxon))]),
    )


def _fold_means(*runs: np.ndarray) -> list[float | None]:
    """The mean of each run over folds and seeds, without folds in which none has a score; None where it lacks one."""
    told = ~np.isnan(np.hstack(runs)).all(1)
    return [float(run[told].mean()) if told.any() and np.isfinite(run[told]).all() else None for run in runs]


def _with_bootstrap(row, a: RunTally, b: RunTally, options, resampled: Resampler) -> Comparison:
    items, of_classes = a.cluster_items, a.items_for(options.metric)
    standings = {}
    for name, run in (("standing_a", a), ("standing_b", b)):
        score = level(resampled(run), items, of_classes)
        sure = score is None or score.p_at_most(row.chance) < options.alpha
        above = sure and resampled(run).observed > row.chance
        standings[name] = Standing.ABOVE if above else Standing.AT_CHANCE
    row = replace(row, **standings)
    found = difference(resampled(a), resampled(b), items, of_classes)
    if found is None:
        return replace(row, status=Status.NO_SPREAD)
    low, high = found.interval(1 - options.alpha)
    inner_low, inner_high = found.interval(1 - 2 * options.alpha)
    return replace(
        row,
        standard_error=found.standard_error,
        ci_low=low,
        ci_high=high,
        p_bootstrap=found.p,
        equivalence_low=inner_low,
        equivalence_high=inner_high,
        p_equivalence=found.p_equivalence(options.practical_region),
    )


def _with_groups(row, a: RunTally, b: RunTally, options, resampled: Resampler) -> Comparison:
    """The same difference if not only dialogs but their sessions were drawn anew."""
    if a.group is None or len(set(a.group.tolist())) < 2:
        return row
    items = np.bincount(a.group, a.cluster_items)
    row = replace(row, group_kind=a.group_kind, groups=len(items))
    found = difference(resampled(a, True), resampled(b, True), items, a.items_for(options.metric))
    if found is None:
        return row
    return replace(
        row,
        standard_error_by_group=found.standard_error,
        p_by_group=found.p,
        p_equivalence_by_group=found.p_equivalence(options.practical_region),
    )


def _join(remarks) -> str:
    """Remarks as they stand in the table, each once."""
    return " ".join(dict.fromkeys(" ".join(remark for remark in remarks if remark).split()))


def _cautions(a: RunTally, b: RunTally, row: Comparison) -> list[Remark]:
    found = {
        Remark.ROUGH: row.effective_clusters < FEW_CLUSTERS,
        Remark.ONE_SEED: min(len(a.seeds), len(b.seeds)) == 1,
        Remark.ALIKE: np.array_equal(a.sums, b.sums),
    }
    return [remark for remark, holds in found.items() if holds]


def check_paired(a: RunTally, b: RunTally) -> None:
    """Raise InputError where two runs were tested on different items."""
    for fold, (ours, theirs) in enumerate(zip(a.fingerprints, b.fingerprints, strict=True)):
        if ours != theirs:
            raise InputError(
                f"fold {fold}: {a.run} and {b.run} were not tested on the same items with the same truth; delete "
                "both run folders and let the workflow train them again on one split"
            )


def decide(
    rows: Sequence[Comparison], options: SignificanceOptions, selected_on_test: bool = False
) -> list[Comparison]:
    """Fill in Holm's adjustments, over all rows of the same turns, tested or not, the verdicts, and the note.

    Better: the adjusted bootstrap p is below alpha. Else equivalent: the adjusted p of equivalence is. Else undecided.
    Here: the test by whole groups does not share it. No verdict: what could not be tested; a better or an equivalent
    model that is not shown to be above chance, or of one training; all where epochs were ``selected_on_test``.
    """
    decided: dict[int, Comparison] = {}
    for turns in dict.fromkeys(row.turns for row in rows):
        own = {i: row for i, row in enumerate(rows) if row.turns == turns}
        tested = [row if row.status == Status.TESTED else None for row in own.values()]
        differ, alike = (
            holm([None if row is None else getattr(row, name) for row in tested])
            for name in ("p_bootstrap", "p_equivalence")
        )
        for (i, row), p, p_equivalence in zip(own.items(), differ, alike, strict=True):
            row = replace(row, p_holm=p, p_equivalence_holm=p_equivalence)
            decided[i] = _decided(row, options.alpha, selected_on_test)
    return [_noted(decided[i]) for i in range(len(rows))]


def _decided(row: Comparison, alpha: float, selected_on_test: bool) -> Comparison:
    if row.status != Status.TESTED:
        return row
    if selected_on_test:
        return replace(row, status=Status.SELECTED_ON_TEST)
    within, above = row.p_equivalence_holm < alpha, [s == Standing.ABOVE for s in (row.standing_a, row.standing_b)]
    small = ""
    if row.p_holm < alpha:
        verdict, sure = (Verdict.A_BETTER, above[0]) if row.difference > 0 else (Verdict.B_BETTER, above[1])
        by_group, small = row.p_by_group, Remark.SMALL if within else ""
    elif within:
        verdict, sure, by_group = Verdict.EQUIVALENT, any(above), row.p_equivalence_by_group
    else:
        return replace(row, verdict=Verdict.UNDECIDED)
    if not sure:
        return replace(row, status=Status.AT_CHANCE)
    if Remark.ONE_SEED in row.remarks.split():
        return replace(row, status=Status.ONE_SEED)
    shared = by_group is None or by_group < alpha
    return replace(row, verdict=verdict if shared else HERE[verdict], remarks=_join([small, row.remarks]))


def _noted(row: Comparison) -> Comparison:
    status = [] if row.status == Status.TESTED else [row.status.text]
    return replace(row, note="; ".join([*status, *(Remark(name).text for name in row.remarks.split())]))
