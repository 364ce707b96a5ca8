"""One planned contrast: every test that the data allow, and the verdict."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from models.bootstrap import Resampled, difference, draw_weights, effective_clusters, resample
from models.difference_tests import bayesian_t_test, corrected_t_test, holm, mcnemar_test, paper_t_test, wilcoxon_test
from models.metrics import metric
from models.options import SignificanceOptions
from models.tallies import RunTally
from pipeline.records import InputError

CLUSTER_KIND = {"segment": "dialog", "frame": "video"}
FEW_CLUSTERS = 20


@dataclass(frozen=True)
class Comparison:
    """One row of significance.csv; a cell is None where ``note`` says why."""

    question: str
    a: str
    b: str
    metric: str
    items: int  # test items over all folds; frames count where their label is valid
    clusters: int
    cluster_kind: str
    mean_a: float | None  # all folds' test items together, mean over seeds
    mean_b: float | None
    difference: float | None = None  # mean_a - mean_b
    ci_low: float | None = None  # level 1 - alpha
    ci_high: float | None = None
    p_bootstrap: float | None = None
    p_holm: float | None = None  # of p_bootstrap, over all rows
    p_t_paper: float | None = None
    effect_size: float | None = None
    effect_size_kind: str = "Cohen's d over runs"
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
    verdict: str = "undecided"
    note: str = ""


def resampler(options: SignificanceOptions) -> Callable[[RunTally], Resampled]:
    """A function that resamples a run once, however many contrasts it is in, with the same draws for all runs."""
    done: dict[str, Resampled] = {}
    weights: dict[int, np.ndarray] = {}

    def resampled(run: RunTally) -> Resampled:
        if run.run not in done:
            n = len(run.clusters)
            if n not in weights:
                weights[n] = draw_weights(n, options.bootstrap_samples, options.seed)
            done[run.run] = resample(run, metric(run.task, options.metric, run.classes), weights[n])
        return done[run.run]

    return resampled


def compare(
    question: str,
    a: RunTally,
    b: RunTally,
    options: SignificanceOptions,
    test_train_ratio: float,
    resampled: Callable[[RunTally], Resampled],
) -> Comparison:
    """Test one contrast by every test that the data allow; ``decide`` adds p_holm and the verdict.

    ``test_train_ratio`` is test / training items of a fold; ``resampled`` comes from ``resampler``. Raises InputError
    where the runs were tested on different items.
    """
    _check_paired(a, b)
    function = metric(a.task, options.metric, a.classes)
    items, (mean_a, mean_b) = a.cluster_items, (a.score(function), b.score(function))
    row = Comparison(
        question=question,
        a=a.run,
        b=b.run,
        metric=options.metric,
        items=int(items.sum()),
        clusters=len(a.clusters),
        cluster_kind=CLUSTER_KIND[a.task],
        mean_a=mean_a if np.isfinite(mean_a) else None,
        mean_b=mean_b if np.isfinite(mean_b) else None,
    )
    if None in (row.mean_a, row.mean_b):
        return replace(row, note=f"{options.metric} is undefined on this test set: nothing can be tested")
    row = replace(row, difference=mean_a - mean_b, note=_join(*_caveats(a, b, items)))
    row = _with_fold_tests(row, a.fold_scores(function), b.fold_scores(function), test_train_ratio, options)
    mcnemar = mcnemar_test(a.right, b.right)
    row = replace(row, p_mcnemar=mcnemar.p, effect_mcnemar=mcnemar.effect, note=_join(row.note, mcnemar.reason))
    return row if row.clusters < 2 else _with_bootstrap(row, resampled(a), resampled(b), items, options)


def _with_fold_tests(row, runs_a, runs_b, ratio, options) -> Comparison:
    """The tests on scores of training runs, (folds, seeds) each; all but the paper's average over seeds first."""
    by_fold = runs_a.mean(1) - runs_b.mean(1)
    paper, corrected, wilcoxon = paper_t_test(runs_a, runs_b), corrected_t_test(by_fold, ratio), wilcoxon_test(by_fold)
    posterior = bayesian_t_test(by_fold, ratio, options.practical_region)
    return replace(
        row,
        p_t_paper=paper.p,
        effect_size=paper.effect,
        p_t_corrected=corrected.p,
        effect_t_corrected=corrected.effect,
        p_wilcoxon=wilcoxon.p,
        effect_wilcoxon=wilcoxon.effect,
        p_a_better=posterior.a_better,
        p_equivalent=posterior.equivalent,
        p_b_better=posterior.b_better,
        note=_join(row.note, *(test.reason for test in (paper, corrected, posterior, wilcoxon))),
    )


def _with_bootstrap(row, a: Resampled, b: Resampled, items, options) -> Comparison:
    found = difference(a, b, items)
    if found is None:
        return replace(row, note=_join(row.note, "bootstrap: the difference does not vary over resampled test sets"))
    low, high = found.interval(1 - options.alpha)
    inner_low, inner_high = found.interval(1 - 2 * options.alpha)
    return replace(
        row,
        ci_low=low,
        ci_high=high,
        p_bootstrap=found.p,
        equivalence_low=inner_low,
        equivalence_high=inner_high,
        p_equivalence=found.p_equivalence(options.practical_region),
    )


def _join(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _caveats(a: RunTally, b: RunTally, items: np.ndarray) -> list[str]:
    n, kind = len(items), CLUSTER_KIND[a.task]
    out = []
    if n < 2:
        out.append(f"bootstrap: needs 2 {kind}s, there is 1")
    elif effective_clusters(items) < FEW_CLUSTERS:
        weighty = effective_clusters(items)
        counted = f" that count like {weighty:.1f} equal ones" if weighty < 0.9 * n else ""
        out.append(f"only {n} {kind}s{counted}: interval and p are rough")
    if min(len(a.seeds), len(b.seeds)) == 1:
        out.append("a single seed: chance in training is not in the interval")
    if np.array_equal(a.sums, b.sums):
        out.append("both runs predict alike")
    return out


def _check_paired(a: RunTally, b: RunTally) -> None:
    for fold, (ours, theirs) in enumerate(zip(a.fingerprints, b.fingerprints, strict=True)):
        if ours != theirs:
            raise InputError(
                f"fold {fold}: {a.run} and {b.run} were not tested on the same items with the same truth; delete "
                "both run folders and let the workflow train them again on one split"
            )


def decide(rows: list[Comparison], options: SignificanceOptions) -> list[Comparison]:
    """Fill in Holm's adjustment and the verdicts.

    Better: the adjusted bootstrap p is below alpha. Else equivalent: the bootstrap interval of level 1 - 2 alpha lies
    within the practical region. Else undecided.
    """
    out = []
    for row, p_holm in zip(rows, holm([row.p_bootstrap for row in rows]), strict=True):
        verdict, notes = "undecided", [row.note]
        within = row.p_equivalence is not None and row.p_equivalence < options.alpha
        if p_holm is not None and p_holm < options.alpha:
            verdict = "a better" if row.difference > 0 else "b better"
            if within:
                notes.insert(0, "the difference is real but within the practical region")
        elif within:
            verdict = "equivalent"
        out.append(replace(row, p_holm=p_holm, verdict=verdict, note="; ".join(filter(None, notes))))
    return out
