"""What tables say in a word, for code, and in a sentence, for people: verdicts, why there is none, and remarks."""

from pipeline.causes import Worded


class Role(Worded):
    """What a row of significance.csv is for."""

    PLANNED = "planned", "planned before looking at any result: on all test items"
    SECONDARY = "secondary", "on the test items of one style alone: to look at, not to decide"
    OUTSIDE = "outside", "not planned with the contrasts of the run, and not adjusted for them"


class Standing(Worded):
    """Where a score stands beside that of the best constant answer."""

    ABOVE = "above", "better than the best constant answer"
    AT_CHANCE = "at chance", "not shown to be better than the best constant answer"


class Verdict(Worded):
    """What a contrast comes to; "here": not shown for other sessions or speakers than those of these data."""

    A_BETTER = "a better", "a is better"
    A_BETTER_HERE = "a better here", "a is better"
    B_BETTER = "b better", "b is better"
    B_BETTER_HERE = "b better here", "b is better"
    EQUIVALENT = "equivalent", "the two differ by less than the practical region"
    EQUIVALENT_HERE = "equivalent here", "the two differ by less than the practical region"
    UNDECIDED = "undecided", "these data do not tell"
    NONE = "no verdict", "no verdict"


HERE = {
    Verdict.A_BETTER: Verdict.A_BETTER_HERE,
    Verdict.B_BETTER: Verdict.B_BETTER_HERE,
    Verdict.EQUIVALENT: Verdict.EQUIVALENT_HERE,
}
A_AHEAD, B_AHEAD = ((verdict, HERE[verdict]) for verdict in (Verdict.A_BETTER, Verdict.B_BETTER))


def only_on(verdict: str, group_kind: str | None) -> str:
    """What is added to the words of a verdict "here", such as " on these sessions"; nothing to another."""
    return f" on these {group_kind}s" if verdict in HERE.values() else ""


class Status(Worded):
    """Whether a contrast could be decided, and if not, why."""

    TESTED = "tested", "tested"
    UNDEFINED = "undefined", "the metric is undefined on this test set: nothing can be tested"
    FEW_CLUSTERS = "few clusters", "not even an exact test of so few dialogs, videos or speakers could reach the level"
    FEW_ITEMS = "few items", "too few test items"
    NO_SPREAD = "no spread", "the difference does not vary over resampled test sets"
    SELECTED_ON_TEST = "selected on test", "epochs were chosen by the scores of the test items themselves"
    NOT_CHOSEN = "not chosen", "in some fold none of several has a defined development score: name one run as b"
    AT_CHANCE = "at chance", "the better one, or both, are not shown to be better than the best constant answer"
    ONE_SEED = "one seed", "there is a single training of one or both, which may be what differs"


class Remark(Worded):
    """A caution, or the reason why a cell is empty."""

    CHOSEN = "chosen", "b is in each fold the best of several by its development score"
    SMALL = "small", "the difference is real but within the practical region"
    ROUGH = "rough", "few clusters, or few that outweigh the others: interval and p are rough"
    ONE_SEED = "one_seed", "a single seed of one or both: its chance in training is not in the interval"
    ALIKE = "alike", "both runs predict alike"
    FEW_RUNS = "few_runs", "paper's t-test: needs 2 runs of each"
    ALL_RUNS_ALIKE = "all_runs_alike", "paper's t-test: all runs of a model score the same"
    ONE_FOLD = "one_fold", "corrected and Bayesian t-test: need 2 folds"
    FOLDS_ALIKE = "folds_alike", "corrected and Bayesian t-test: all folds differ by the same amount"
    UNDEFINED_FOLD = "undefined_fold", "tests over folds: the metric is undefined in some fold"
    FEW_PAIRS = "few_pairs", "Wilcoxon: needs 6 folds that differ"
    NOT_CLASSES = "not_classes", "McNemar: for classes of segments only"
    SAME_RIGHT = "same_right", "McNemar: both have the same items right"
