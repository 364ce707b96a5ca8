"""The figures of docs/statistics.md: what each protocol leaks on IEMOCAP, and how often the tests are wrong.

    python -m benchmarks.statistics          # prints them, and writes them between the page's marks
    python -m benchmarks.statistics --check  # says whether the page holds what a run gives

Leaks are counted on the corpus's true dialogs (tests/iemocap_dialogs.tsv). Errors are counted in simulated experiments
whose truth is known. About a minute.
"""

import re
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import click
import numpy as np

from models.evaluation import bootstrap
from models.evaluation.difference_tests import corrected_t_test, mcnemar_test, paper_t_test
from models.evaluation.metrics import accuracy, metric
from models.evaluation.significance import choose_b
from models.options import Contrast
from models.protocols.labels import usable
from models.protocols.leaks import leaks, share_of
from models.protocols.split import assign
from tests.experiments import CLASSES, Candidates, Emotions, Hits
from tests.iemocap_turns import SEVEN, turns_and_labels

PAGE = Path(__file__).resolve().parent.parent / "docs" / "statistics.md"
SEED = 337
PROTOCOLS = ("scenario", "session", "speaker", "utterance")
ALPHA, REGION, SAMPLES = 0.05, 0.01, 200


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table as the page writes it."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def leaking() -> str:
    """Of each protocol the size of its parts, and what they share."""
    segments, labels = turns_and_labels()
    label, _ = usable(CLASSES, segments, labels, SEVEN)
    rows = []
    for protocol in PROTOCOLS:
        split = assign(segments, protocol, label, seed=SEED)
        counts = Counter(row.part for row in split)
        folds = 1 + max(row.fold for row in split)
        found = defaultdict(dict)
        for row in leaks(split, segments):
            if row.fold == "all":
                found[row.part, row.known_from][row.group] = share_of(row.share) if row.shared else "–"
        sizes = [f"{counts[part] / folds:,.0f}" for part in ("training", "development", "test")]
        test, selects = found["test", "training"], found["development", "training"]
        rows.append(
            [f"`{protocol}`", str(folds), *sizes, *(test[g] for g in ("speaker", "scenario"))]
            + [selects[g] for g in ("speaker", "scenario")]
        )
    header = ["protocol", "folds", "training turns", "development", "test", "test: speaker also trains"]
    header += ["test: script or scene also trains", "development: speaker also trains"]
    return table([*header, "development: script or scene also trains"], rows)


def resampled(pair, function, rng, by_group=False):
    """Both runs on the same resampled test sets."""
    count = 1 + int(pair[0].group.max()) if by_group else len(pair[0].clusters)
    weights = bootstrap.draw_weights(count, SAMPLES, int(rng.integers(1 << 30)))
    weights = weights[:, pair[0].group] if by_group else weights
    return [bootstrap.resample(run, function, weights) for run in pair]


def percentile_tests(pair, function, rng) -> list[bool]:
    """Whether 0 lies outside the percentiles of resampled dialogs; and of resampled dialogs and seeds."""
    weights = bootstrap.draw_weights(len(pair[0].clusters), SAMPLES, int(rng.integers(1 << 30)))
    dialogs, both = [], []
    for w in weights:
        by_seed = [function(np.tensordot(w[run.cluster], run.sums, 1)) for run in pair]
        drawn = [scores[rng.integers(len(scores), size=len(scores))].mean() for scores in by_seed]
        dialogs.append(by_seed[0].mean() - by_seed[1].mean())
        both.append(drawn[0] - drawn[1])
    return [not np.quantile(d, 0.025) <= 0 <= np.quantile(d, 0.975) for d in (dialogs, both)]


ALIKE = {
    "10 dialogs, 1 seed": (Emotions(dialogs=10, turns=20, seeds=1), 500),
    "30 dialogs, seeds differ by item only": (
        Emotions(dialogs=30, turns=30, seeds=3, sd_seed=0, sd_dialog_model=0, sd_item_model=0.3, sd_seed_item=1.5),
        300,
    ),
    "151 dialogs, 10 seeds that differ little": (Emotions(dialogs=151, turns=50, seeds=10), 200),
    "151 dialogs, 10 seeds that differ much": (Emotions(dialogs=151, turns=50, seeds=10, sd_seed=0.4), 200),
}


def false_alarms() -> str:
    """How often two models of equal skill are told apart at the level of 5 %."""
    rows = defaultdict(list)
    function = metric(CLASSES, "accuracy", tuple("abcdefg"))
    for setting, experiments in ALIKE.values():
        rng = np.random.default_rng(1)
        said = defaultdict(list)
        for _ in range(experiments):
            a, b = pair = setting.draw(rng)
            dialogs, both = percentile_tests(pair, function, rng)
            said["percentiles, dialogs only"].append(dialogs)
            said["percentiles, dialogs and raw seeds"].append(both)
            found = bootstrap.difference(
                *resampled(pair, function, rng), a.cluster_items, a.class_items.sum(keepdims=True)
            )
            said["**this one**"].append(found.p < ALPHA)
            folds = [run.fold_scores(function) for run in pair]
            tests = {
                "the paper's t-test": paper_t_test(*folds),
                "corrected t-test": corrected_t_test(folds[0].mean(1) - folds[1].mean(1), 0.25),
                "McNemar": mcnemar_test(a.right, b.right),
            }
            for name, test in tests.items():
                said[name].append(test.p is not None and test.p < ALPHA)
        for name, outcomes in said.items():
            rows[name].append(percent(float(np.mean(outcomes))))
    header = ["", *(f"{name} ({n} experiments)" for name, (_, n) in ALIKE.items())]
    return table(header, [[name, *shares] for name, shares in rows.items()])


def few_clusters(experiments: int = 400) -> str:
    """Few dialogs of ten turns and rare successes: what the bootstrap alone would say, and what is said."""
    rows = []
    for dialogs in (2, 3, 4, 5, 6, 8, 10):
        row = [str(dialogs)]
        for right in (0.03, 0.1, 0.5):
            rng, alarms, equivalent = np.random.default_rng(2), [], []
            for advantage, errors in ((0.0, alarms), (0.05, equivalent)):
                for _ in range(experiments):
                    pair = Hits(dialogs, 10, right, advantage).draw(rng)
                    errors.append(_errors(pair, rng, different=advantage > 0))
            row += [" / ".join(percent(x) for x in np.mean(found, axis=0)) for found in (alarms, equivalent)]
        rows.append(row)
    header = ["dialogs"]
    for right in (3, 10, 50):
        header += [f"{right} % right: false alarms", f"{right} % right: wrongly equivalent"]
    return table(header, rows)


def _errors(pair, rng, different: bool) -> list[bool]:
    """Whether the bootstrap alone is wrong, and whether the verdict is."""
    a = pair[0]
    runs = resampled(pair, accuracy, rng)
    plain = bootstrap.difference(*runs, a.cluster_items)
    used = bootstrap.difference(*runs, a.cluster_items, a.class_items.sum(keepdims=True))
    out = []
    for found, enough in ((plain, True), (used, 2 ** (1 - len(a.clusters)) < ALPHA)):
        better = found is None or found.p < ALPHA  # a difference without any spread looks certain
        equivalent = found is not None and not better and found.p_equivalence(REGION) < ALPHA
        out.append(enough and (equivalent if different else better))
    return out


def sessions(experiments: int = 400) -> str:
    """An effect of the session on the difference of two models that are equally good in all sessions together."""
    rows = []
    for points in (0, 1, 2, 4):
        rng, found = np.random.default_rng(3), defaultdict(list)
        for _ in range(experiments):
            pair = Hits(151, 50, 0.6, session_points=points / 100, seeds=2).draw(rng)
            a, of_classes = pair[0], pair[0].class_items.sum(keepdims=True)
            dialogs = bootstrap.difference(*resampled(pair, accuracy, rng), a.cluster_items, of_classes)
            by_group = partial(resampled, pair, accuracy, rng, by_group=True)
            session = bootstrap.difference(*by_group(), np.bincount(a.group, a.cluster_items), of_classes)
            found["observed"].append(dialogs.observed)
            for name, one in (("dialog", dialogs), ("session", session)):
                found[f"error by {name}"].append(one.standard_error)
                found[f"alarms by {name}"].append(one.p < ALPHA)
        spread = float(np.std(found["observed"]))
        errors = [float(np.sqrt(np.mean(np.square(found[f"error by {name}"])))) for name in ("dialog", "session")]
        alarms = [float(np.mean(found[f"alarms by {name}"])) for name in ("dialog", "session")]
        rows.append([f"{points}", *(f"{x * 100:.2f}" for x in (spread, *errors)), *map(percent, alarms)])
    header = ["effect of the session, points", "the difference really varies by", "standard error by dialog"]
    header += ["standard error by session", "false alarms by dialog", "false alarms by session"]
    return table(header, rows)


TRIED = {
    "one rate on both sides": ((1, 1), "development"),
    "three on both sides, chosen on the development part": ((3, 3), "development"),
    "three on both sides, chosen on the test part": ((3, 3), "test"),
    "three on one side alone, chosen on the development part": ((3, 1), "development"),
    "three on one side alone, chosen on the test part": ((3, 1), "test"),
}


def learning_rates(experiments: int = 400) -> str:
    """Two models of equal skill, of which each learning rate is as good as another and trainings differ by chance."""
    rows = []
    for name, (rates, part) in TRIED.items():
        rng, differences, alarms = np.random.default_rng(4), [], []
        setting = Hits(151, 50, 0.6, seeds=3, training_points=0.02, rates=rates, chosen_on=part)
        for _ in range(experiments):
            a, _ = pair = setting.draw(rng)
            of_classes = a.class_items.sum(keepdims=True)
            found = bootstrap.difference(*resampled(pair, accuracy, rng), a.cluster_items, of_classes)
            differences.append(found.observed)
            alarms.append(found.p < ALPHA)
        rows.append([name, f"{np.mean(differences) * 100:z.1f}", percent(float(np.mean(alarms)))])
    return table(["learning rates tried", "mean difference, points", "called different"], rows)


def seeds(experiments: int = 400) -> str:
    """What more seeds are worth, twenty folds each: how wide the interval is, and how often two points are found."""
    rows = []
    for count in (1, 3, 5, 10):
        row = [str(count)]
        for points in (1, 2, 4):
            rng, widths, found = np.random.default_rng(5), [], []
            setting = Hits(151, 50, 0.6, advantage=0.02, seeds=count, training_points=points / 100, folds=20)
            for _ in range(experiments):
                a, _ = pair = setting.draw(rng)
                of_classes = a.class_items.sum(keepdims=True)
                difference = bootstrap.difference(*resampled(pair, accuracy, rng), a.cluster_items, of_classes)
                low, high = difference.interval(1 - ALPHA)
                widths.append(high - low)
                found.append(difference.p < ALPHA)
            row.append(f"{np.mean(widths) * 100:.1f} / {percent(float(np.mean(found)))}")
        rows.append(row)
    return table(["seeds", *(f"trainings differ by {points}" for points in ("1 point", "2 points", "4 points"))], rows)


def best_of_several(experiments: int = 400) -> str:
    """A run against the best of four, all of equal skill, where what a fold holds out is what another one tests."""
    rng, found = np.random.default_rng(6), defaultdict(list)
    for _ in range(experiments):
        a, *others = Candidates(5).draw(rng)
        planned = Contrast(question="best of four", a=a.run, b=[run.run for run in others])
        sides = {
            "one of the four, not chosen": others[0],
            "best on the development parts of all folds together": max(
                others, key=lambda run: accuracy(run.development.sum(0)).mean()
            ),
            "in each fold the best on its own development part": choose_b(
                planned, "accuracy", {run.run: run for run in others}.__getitem__
            ).tally,
        }
        of_classes = a.class_items.sum(keepdims=True)
        for name, b in sides.items():
            difference = bootstrap.difference(*resampled((a, b), accuracy, rng), a.cluster_items, of_classes)
            found[name].append((difference.observed, difference.p < ALPHA and difference.observed < 0))
    rows = []
    for name, outcomes in found.items():
        mean, better = np.mean(outcomes, axis=0)
        rows.append([name, f"{mean * 100:z.2f}", percent(float(better))])
    return table(["b", "mean difference, points", "b called better"], rows)


def written(text: str, found: dict[str, str]) -> str:
    """A page with the figures between its marks ``<!-- figures: name -->`` and ``<!-- end -->``."""
    for name, new in found.items():
        mark = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)", re.S)
        if not mark.search(text):
            raise click.ClickException(f"{PAGE}: has no <!-- figures: {name} --> … <!-- end -->")
        start, end = mark.search(text).span(1)[1], mark.search(text).span(2)[0]
        text = f"{text[:start]}\n{new}\n\n{text[end:]}"
    return text


ALL = {
    "leaks": leaking,
    "false alarms": false_alarms,
    "few clusters": few_clusters,
    "sessions": sessions,
    "learning rates": learning_rates,
    "seeds": seeds,
    "best of several": best_of_several,
}


@click.command()
@click.option("--check", is_flag=True, help="write nothing; fail if the page says something else")
def main(check: bool):
    """Work out every figure and write it into the page."""
    found = {}
    for name, function in ALL.items():
        found[name] = function()
        print(f"{name}\n\n{found[name]}\n", flush=True)
    text = PAGE.read_text(encoding="utf-8")
    new = written(text, found)
    if check and new != text:
        raise click.ClickException(f"{PAGE} does not hold these figures; run python -m benchmarks.statistics")
    if not check:
        PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
