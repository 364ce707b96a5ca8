"""The bootstrap: against brute force, and how often it is right in simulated experiments whose truth is known."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from models.evaluation import bootstrap
from models.evaluation.comparison import Resampler, compare, decide
from models.evaluation.metrics import accuracy, balanced_accuracy, metric
from models.evaluation.tallies import tally_run
from models.options import SignificanceOptions
from pipeline.records import Segment
from tests.experiments import CLASSES as EMOTION
from tests.experiments import NUMBERS, Affect, Emotions
from tests.prediction_files import write_segments

CLASSES = ["ang", "neu", "sad"]


def test_replicates_equal_a_bootstrap_of_the_items_themselves(tmp_path):
    """Draw whole dialogs, collect their rows one by one, and score them with scikit-learn."""
    rng = np.random.default_rng(3)
    unit_of = {f"seg{i:03d}": f"dialog{rng.integers(6)}" for i in range(120)}
    tested = {}
    for fold in range(2):
        rows = []
        for seed in (0, 1, 2):
            for i, name in enumerate(sorted(unit_of)):
                if i % 2 == fold:  # every dialog lies in both folds
                    row = (name, seed, "test", CLASSES[i % 3], CLASSES[rng.integers(3)])
                    rows.append(row)
                    tested.setdefault(seed, []).append((unit_of[name], row[3], row[4]))
        write_segments(tmp_path, "self-A", fold, CLASSES, rows)
    segments = [Segment(name, dialog, "speaker", dialog=dialog) for name, dialog in unit_of.items()]
    run = tally_run(tmp_path, "self-A", 2, EMOTION, segments)
    weights = bootstrap.draw_weights(len(run.clusters), 25, seed=4)
    assert (weights.sum(1) == len(run.clusters)).all()
    found = bootstrap.resample(run, balanced_accuracy, weights)
    for drawn, replicate in zip(weights, found.replicates, strict=True):
        times = dict(zip(run.clusters, drawn.astype(int)))
        scores = []
        for rows in tested.values():
            sample = [row for row in rows for _ in range(times[row[0]])]
            scores.append(balanced_accuracy_score([r[1] for r in sample], [r[2] for r in sample]))
        assert replicate == pytest.approx(np.mean(scores))
    whole = [balanced_accuracy_score([r[1] for r in rows], [r[2] for r in rows]) for rows in tested.values()]
    assert found.observed == pytest.approx(np.mean(whole))


def test_standard_error_is_the_spread_over_experiments():
    """The estimated standard error against how much the difference really varies from experiment to experiment."""
    rng, setting = np.random.default_rng(5), Emotions(dialogs=40, turns=30, seeds=4, sd_seed=0.3)
    found = [bootstrap_of(setting.draw(rng), accuracy, rng) for _ in range(150)]
    real = np.std([f.observed for f in found])
    estimated = np.sqrt(np.mean([f.standard_error**2 for f in found]))
    assert estimated == pytest.approx(real, rel=0.2)


def bootstrap_of(pair, function, rng, samples=200):
    a, b = pair
    weights = bootstrap.draw_weights(len(a.clusters), samples, int(rng.integers(1 << 30)))
    return bootstrap.difference(
        bootstrap.resample(a, function, weights),
        bootstrap.resample(b, function, weights),
        a.cluster_items,
        None if a.task.numbers else a.class_items,
    )


NULL = {
    "demonstration corpus, 10 dialogs": (Emotions(dialogs=10, turns=20, seeds=2), "balanced_accuracy"),
    "a dialog in two folds": (Emotions(dialogs=10, turns=20, seeds=3, folds=3, across_folds=True), "macro_f1"),
    "training varies much": (Emotions(dialogs=30, turns=30, seeds=3, sd_seed=0.4), "accuracy"),
    "seeds differ by item only": (
        Emotions(dialogs=30, turns=30, seeds=3, sd_seed=0, sd_dialog_model=0, sd_item_model=0.3, sd_seed_item=1.5),
        "accuracy",
    ),
    "dialogs of very different length": (
        Emotions(dialogs=12, turns=30, seeds=3, uneven=True, sd_dialog_model=0.6),
        "balanced_accuracy",
    ),
    "videos of very different length": (Affect(videos=24, frames=60, seeds=2), "ccc_mean"),
}


@pytest.mark.parametrize("name", NULL)
def test_without_true_difference_it_rejects_as_often_as_it_says(name):
    setting, metric_name = NULL[name]
    experiments = 300
    rng = np.random.default_rng(6)
    function = metric(NUMBERS if isinstance(setting, Affect) else EMOTION, metric_name, "abcdefg")
    found = [bootstrap_of(setting.draw(rng), function, rng) for _ in range(experiments)]
    rejected = np.mean([f.p < 0.05 for f in found])
    missed = np.mean([not f.interval(0.95)[0] <= 0 <= f.interval(0.95)[1] for f in found])
    assert 0.02 <= rejected <= 0.09
    assert missed == rejected  # interval and p say the same


def test_a_planted_difference_of_five_points_is_found_most_of_the_time():
    rng = np.random.default_rng(7)
    setting = Emotions(dialogs=151, turns=50, seeds=4, advantage=0.2)
    found = [bootstrap_of(setting.draw(rng), balanced_accuracy, rng) for _ in range(60)]
    assert np.mean([f.observed for f in found]) == pytest.approx(0.05, abs=0.01)  # the plant is what it should be
    assert np.mean([f.p < 0.05 for f in found]) > 0.8
    rng = np.random.default_rng(8)
    videos = [
        bootstrap_of(Affect(60, 60, 2, advantage=0.25).draw(rng), metric(NUMBERS, "ccc_mean"), rng) for _ in range(30)
    ]
    assert np.mean([f.p < 0.05 and f.observed > 0 for f in videos]) > 0.8


def test_interval_and_equivalence_are_the_same_statement():
    found = bootstrap.Estimate(0.004, 0.003, 20.0)
    low, high = found.interval(0.90)
    assert (found.p_equivalence(0.01) < 0.05) == (low > -0.01 and high < 0.01)
    for alpha in (0.01, 0.05, 0.2):
        edge = found.interval(1 - 2 * alpha)[1]
        assert found.p_equivalence(edge) == pytest.approx(alpha)
        low, high = found.interval(1 - found.p)
        assert low == pytest.approx(0, abs=1e-12)


def verdicts(pairs, **changes):
    given = SignificanceOptions(**{"metric": "balanced_accuracy", "bootstrap_samples": 300, **changes})
    return [decide([compare("?", a, b, given, 0.25, Resampler(given))], given)[0].verdict for a, b in pairs]


def test_equal_models_come_out_equivalent_and_unequal_ones_do_not():
    rng = np.random.default_rng(9)
    steady = {"sd_dialog_model": 0.05, "sd_seed": 0.02, "sd_seed_item": 0.25, "sd_item_model": 0.05}
    alike = Emotions(dialogs=151, turns=50, seeds=8, **steady)
    found = verdicts([alike.draw(rng) for _ in range(12)], metric="accuracy")
    assert found.count("equivalent") >= 9
    assert found.count("a better") + found.count("b better") <= 2
    edge = Emotions(dialogs=151, turns=50, seeds=5, advantage=0.035, **steady)
    pairs = [edge.draw(rng) for _ in range(16)]  # a true difference of just over the region
    assert np.mean([a.score(accuracy) - b.score(accuracy) for a, b in pairs]) > 0.01
    assert verdicts(pairs, metric="accuracy").count("equivalent") <= 3
    few = Emotions(dialogs=10, turns=20, seeds=2)
    assert verdicts([few.draw(rng) for _ in range(10)]).count("equivalent") == 0  # no data, no equivalence
