"""Simulated experiments: two runs on one test set of dialogs or videos, whose true difference is known."""

from dataclasses import dataclass, replace

import numpy as np

from models.evaluation.metrics import confusion_matrix, moments
from models.evaluation.tallies import RunTally
from models.task import Task

CLASSES, NUMBERS = Task("classes", "segment"), Task("numbers", "frame", ("valence", "arousal"))
SESSIONS = 5
EMOTIONS = np.array([1103, 1041, 595, 1084, 1849, 107, 1708]) / 7487  # published counts of the seven classes


@dataclass(frozen=True)
class Emotions:
    """Dialogs with their own difficulty, mix of emotions and liking for one model; seeds that differ by fold."""

    dialogs: int
    turns: int  # mean per dialog
    seeds: int
    advantage: float = 0.0  # of run a on the latent scale
    folds: int = 5
    uneven: bool = False  # dialogs of very different length
    across_folds: bool = False  # each dialog in two folds, as where one speaker is left out
    sd_dialog_model: float = 0.3
    sd_seed: float = 0.15
    sd_seed_item: float = 0.7
    sd_item_model: float = 0.5
    sd_session_model: float = 0.0  # what the people of one of five sessions add to a model

    def draw(self, rng) -> tuple[RunTally, RunTally]:
        """Two runs whose errors are correlated by item and by dialog."""
        k = len(EMOTIONS)
        lengths = (
            self.turns * rng.lognormal(0, 0.8, self.dialogs) if self.uneven else rng.poisson(self.turns, self.dialogs)
        )
        dialog = np.repeat(np.arange(self.dialogs), lengths.astype(int) + 1)
        n = len(dialog)
        mix = rng.dirichlet(6 * EMOTIONS, self.dialogs).cumsum(1)[dialog]
        label = (rng.random((n, 1)) > mix).sum(1).clip(0, k - 1)
        fold = (np.arange(self.dialogs) * self.folds // self.dialogs)[dialog]
        folds = self.folds
        if self.across_folds:
            fold, folds = 2 * fold + rng.integers(0, 2, n), 2 * folds
        session = np.arange(self.dialogs) * min(SESSIONS, self.dialogs) // self.dialogs
        shared = 0.3 + 0.5 * rng.normal(size=self.dialogs)[dialog] + rng.normal(size=n)
        cells, cell = np.unique(fold * self.dialogs + dialog, return_inverse=True)
        runs = []
        for advantage in (self.advantage, 0.0):
            latent = shared + advantage + self.sd_dialog_model * rng.normal(size=self.dialogs)[dialog]
            latent = (
                latent
                + self.sd_session_model * rng.normal(size=SESSIONS)[session][dialog]
                + self.sd_item_model * rng.normal(size=n)
                + self.sd_seed * rng.normal(size=(self.seeds, folds))[:, fold]
            )
            latent = latent + self.sd_seed_item * rng.normal(size=(self.seeds, n))
            predicted = np.where(latent > 0, label, (label + rng.integers(1, k, latent.shape)) % k)
            sums = np.stack([confusion_matrix(label, p, k, cell, len(cells)) for p in predicted], axis=1)
            right = (predicted == label).mean(0) > 0.5
            style = np.where(np.arange(self.dialogs) % 2, "scripted", "improvised")
            of_cells = {"fold": cells // self.dialogs, "cluster": cells % self.dialogs}
            items = {"right": right, "right_style": style[dialog]}
            runs.append(_run(runs, CLASSES, sums, self.dialogs, folds, style, session, **of_cells, **items))
        return tuple(runs)


@dataclass(frozen=True)
class Affect:
    """Videos of very different length, with errors that both runs share, errors of their own, and seeds."""

    videos: int
    frames: int  # median length
    seeds: int
    advantage: float = 0.0  # of run a: slope of its predictions
    own: float = 0.08  # sd of a run's own error per video
    seed_slope: float = 0.05
    spread: float = 0.8  # of log length

    def draw(self, rng) -> tuple[RunTally, RunTally]:
        """Two runs in one fold."""
        sums = np.zeros((2, self.videos, self.seeds, 2, 6))
        slope = 0.6 + np.array([self.advantage, 0.0])[:, None] + self.seed_slope * rng.normal(size=(2, self.seeds))
        for v in range(self.videos):
            n = max(20, int(self.frames * rng.lognormal(0, self.spread)))
            for d in range(2):
                truth = np.tanh(0.25 * rng.normal() + np.cumsum(0.02 * rng.normal(size=n)))
                shared = 0.15 * rng.normal() + np.cumsum(0.01 * rng.normal(size=n))
                for m in range(2):
                    error = shared + self.own * rng.normal() + 0.1 * rng.normal(size=(self.seeds, n))
                    for s in range(self.seeds):
                        sums[m, v, s, d] = moments(truth, np.tanh(slope[m, s] * truth + error[s]))
        runs = []
        for m in range(2):
            runs.append(_run(runs, NUMBERS, sums[m], self.videos, 1, fold=np.zeros(self.videos, int)))
        return tuple(runs)


def _run(before, task, sums, clusters, folds, style=None, group=None, cluster=None, **further) -> RunTally:
    cluster = np.arange(clusters) if cluster is None else cluster
    return RunTally(
        run=f"{'ab'[len(before)]}-A+V",
        task=task,
        classes=() if task.numbers else tuple("abcdefg"),
        seeds=tuple(range(sums.shape[1])),
        sums=sums.astype(np.float64),
        cluster=cluster,
        style=np.full(len(cluster), "") if style is None else style[cluster],
        clusters=tuple(f"unit{i:03d}" for i in range(clusters)),
        cluster_kind="video" if task.numbers else "dialog",
        group=group,
        group_kind=None if group is None else "session",
        fingerprints=("same",) * folds,
        development=None,
        **{"right": None, "right_style": None, **further},
    )


@dataclass(frozen=True)
class Hits:
    """Right or wrong and nothing else, for many experiments in little time; both models are right equally often."""

    dialogs: int
    turns: int  # of each dialog
    right: float  # share of each model
    advantage: float = 0.0  # of run a, as a share
    session_points: float = 0.0  # standard deviation over five sessions of the difference, as a share
    seeds: int = 1
    sd_dialog: float = 0.4
    sd_dialog_model: float = 0.15
    sd_item_model: float = 0.7
    training_points: float = 0.0  # standard deviation over trainings of what one scores, as a share
    folds: int = 1  # each trained on its own
    rates: tuple[int, int] = (1, 1)  # learning rates that each run tries for each seed; none is better than another
    chosen_on: str = "development"  # or test
    development: int = 1500  # turns

    def draw(self, rng) -> tuple[RunTally, RunTally]:
        """Two runs on the same items."""
        from statistics import NormalDist

        shape, normal = (self.dialogs, self.turns), NormalDist()
        spread = np.sqrt(1 + self.sd_dialog**2 + self.sd_dialog_model**2 + self.sd_item_model**2)
        slope = normal.pdf(normal.inv_cdf(self.right)) / spread  # of the share right, by the latent scale
        sd_session = self.session_points / slope / np.sqrt(2)
        session = np.arange(self.dialogs) * min(SESSIONS, self.dialogs) // self.dialogs
        fold = np.arange(self.dialogs) * self.folds // self.dialogs
        shared = self.sd_dialog * rng.normal(size=(self.dialogs, 1)) + rng.normal(size=shape)
        runs = []
        for share, rates in zip((self.right + self.advantage, self.right), self.rates):
            latent = shared + spread * normal.inv_cdf(share) + self.sd_dialog_model * rng.normal(size=(self.dialogs, 1))
            latent = latent + sd_session * rng.normal(size=SESSIONS)[session][:, None]
            latent = latent + self.sd_item_model * rng.normal(size=(rates, self.seeds, *shape))
            if self.training_points:
                quality = self.training_points * rng.normal(size=(rates, self.seeds, self.folds))
                latent = latent + quality[..., fold, None] / slope
            hits = (latent > 0).sum(-1)  # (rates, seeds, dialogs)
            score = hits.sum(-1)
            if rates > 1 and self.chosen_on == "development":
                score = rng.binomial(self.development, np.clip(share + quality.mean(-1), 0, 1))
            hits = hits[score.argmax(0), np.arange(self.seeds)].T  # (dialogs, seeds)
            sums = np.zeros((*hits.shape, 2, 2))
            sums[..., 0, 0], sums[..., 0, 1] = hits, self.turns - hits
            cells = {"fold": fold, "right": None, "right_style": None}
            runs.append(_run(runs, CLASSES, sums, self.dialogs, self.folds, group=session, **cells))
        return runs[0], runs[1]


@dataclass(frozen=True)
class Candidates:
    """Runs that are right equally often; what a fold holds out for development is what the next one tests."""

    runs: int
    dialogs: int = 151
    turns: int = 50  # of each dialog
    right: float = 0.6
    seeds: int = 2
    folds: int = 5
    sd_dialog: float = 0.4
    sd_dialog_model: float = 0.15
    sd_item_model: float = 0.5  # of a run, in whichever fold
    sd_item_network: float = 0.5

    def draw(self, rng) -> list[RunTally]:
        """Runs on the same items."""
        from statistics import NormalDist

        shape = (self.dialogs, self.turns)
        parts = [self.sd_dialog, self.sd_dialog_model, self.sd_item_model, self.sd_item_network]
        shared = self.sd_dialog * rng.normal(size=(self.dialogs, 1)) + rng.normal(size=shape)
        shared += np.sqrt(1 + np.square(parts).sum()) * NormalDist().inv_cdf(self.right)
        fold = np.arange(self.dialogs) * self.folds // self.dialogs
        found = []
        for number in range(self.runs):
            own = self.sd_dialog_model * rng.normal(size=(self.dialogs, 1))
            own = own + self.sd_item_model * rng.normal(size=shape)
            counted = []
            for _ in ("test", "development"):  # the same dialogs, by networks of two folds
                network = self.sd_item_network * rng.normal(size=(self.seeds, *shape))
                hits = (shared + own + network > 0).sum(-1).T  # (dialogs, seeds)
                sums = np.zeros((*hits.shape, 2, 2))
                sums[..., 0, 0], sums[..., 0, 1] = hits, self.turns - hits
                counted.append(sums)
            held_out = np.stack([counted[1][fold == (k + 1) % self.folds].sum(0) for k in range(self.folds)])
            cells = {"fold": fold, "right": None, "right_style": None}
            run = _run([], CLASSES, counted[0], self.dialogs, self.folds, **cells)
            found.append(replace(run, run=f"{'abcdefg'[number]}-A+V", development=held_out))
        return found
