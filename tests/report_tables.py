"""Tables of a made-up results folder: plausible scores, verdicts and coverage for any configuration."""

from itertools import product

import numpy as np
import pandas as pd

from pipeline.records import Finding
from tests.report_setups import Setup

HARD = (0.1, 0.0, -0.18, 0.12, 0.03, -0.2, 0.04)


def rows_of(setup: Setup, run: str, fold, seed, values: dict, turns: str = "all") -> list[dict]:
    model, modalities = run.rsplit("-", 1)
    about = {"model": model, "modalities": modalities, "protocol": setup.protocol["name"], "turns": turns}
    about |= {"fold": fold, "seed": seed}
    chance = {"balanced_accuracy": 1 / len(setup.classes), "ccc_mean": 0.0}
    return [
        {**about, "metric": metric, "value": round(float(value), 6), "chance": chance.get(metric)}
        for metric, value in values.items()
    ]


def class_scores(setup: Setup, seeds: list[int], rng) -> tuple[pd.DataFrame, pd.DataFrame]:
    """scores.csv and confusion.csv of classes."""
    rows, confusion, classes = [], [], setup.classes
    share = np.linspace(1.6, 0.4, len(classes)) / len(classes)
    hard, fold_effect = np.array(HARD[: len(classes)]), rng.normal(0, 0.015, setup.folds)
    for run, level in setup.levels.items():
        for fold in [*range(setup.folds), "all"]:
            for seed in seeds:
                effect = 0 if fold == "all" else fold_effect[fold]
                recall = np.clip(level / 100 + hard + effect + rng.normal(0, 0.02, len(classes)), 0.02, 0.97)
                balanced, accuracy = recall.mean(), float(recall @ share) + 0.03
                values = {"accuracy": accuracy, "balanced_accuracy": balanced, "macro_f1": balanced - 0.006}
                values |= {"weighted_f1": accuracy - 0.004}
                values |= {f"recall_{c}": r for c, r in zip(classes, recall)}
                values |= {f"precision_{c}": r + 0.01 for c, r in zip(classes, recall)}
                values |= {f"development_{k}": v + 0.01 for k, v in list(values.items())[:4]}
                rows += rows_of(setup, run, fold, seed, values)
                for turns, more in (("scripted", 0.1), ("improvised", -0.1)) if setup.styles else ():
                    rows += rows_of(setup, run, fold, seed, {"balanced_accuracy": balanced + more}, turns)
        model, modalities = run.rsplit("-", 1)
        for i, label in enumerate(classes):
            total = max(8, int(share[i] * 740)) * len(seeds)
            wrong = share * rng.uniform(0.5, 1.5, len(classes))
            wrong[i] = 0
            parts = wrong / wrong.sum() * (1 - (level / 100 + hard[i]))
            parts[i] = level / 100 + hard[i]
            for predicted, n in zip(classes, rng.multinomial(total, parts / parts.sum())):
                confusion.append((model, modalities, "all", "all", label, predicted, n))
    columns = ["model", "modalities", "fold", "seed", "label", "predicted", "count"]
    return pd.DataFrame(rows), pd.DataFrame(confusion, columns=columns)


def number_scores(setup: Setup, seeds: list[int], rng) -> pd.DataFrame:
    """scores.csv of numbers."""
    rows = []
    for run, level in setup.levels.items():
        for seed in seeds:
            of = {t: level + 0.05 * (2 * k - 1) + rng.normal(0, 0.008) for k, t in enumerate(setup.targets)}
            values = {f"ccc_{t}": v for t, v in of.items()} | {"ccc_mean": np.mean(list(of.values()))}
            values |= {f"rmse_{t}": 0.42 - v / 4 for t, v in of.items()}
            values |= {f"pearson_{t}": v + 0.03 for t, v in of.items()}
            values |= {f"development_{k}": v + 0.02 for k, v in list(values.items())}
            for fold in (*range(setup.folds), "all"):
                rows += rows_of(setup, run, fold, seed, values)
    return pd.DataFrame(rows)


def video_scores(setup: Setup, seeds: list[int], tested: list[str], rng) -> pd.DataFrame:
    """per_video.csv."""
    names = [f"ccc_{t}" for t in setup.targets] if setup.numbers else ["accuracy", "balanced_accuracy"]
    ease, videos = rng.normal(-0.12, 0.16, (len(tested), len(names))), []
    for run, level in setup.levels.items():
        model, modalities = run.rsplit("-", 1)
        about = {"model": model, "modalities": modalities, "fold": 0}
        for seed in seeds:
            for k, segment_id in enumerate(tested):
                level = level if level < 1 else level / 100
                values = dict(zip(names, np.clip(level + ease[k] + rng.normal(0, 0.04, len(names)), -0.4, 0.95)))
                values |= {"ccc_mean": np.mean(list(values.values()))} if setup.numbers else {}
                videos.append({**about, "seed": seed, "segment_id": segment_id, "frames": 1000, **values})
    return pd.DataFrame(videos)


def missing_modalities(setup: Setup, seeds: list[int]) -> pd.DataFrame:
    """missing_modalities.csv of the runs of several modalities."""
    rows, metric = [], setup.metric
    for run, level in setup.levels.items():
        model, modalities = run.rsplit("-", 1)
        letters = modalities.split("+") if "+" in modalities else []
        level = level if level < 1 or setup.numbers else level / 100
        names = {"A": "audio", "V": "video", "T": "text"}
        for k, absent in enumerate(["nothing", *(names[x] for x in letters)] if letters else []):
            for fold, seed in product(range(setup.folds), seeds):
                key = {"model": model, "modalities": modalities, "fold": fold, "seed": seed, "without": absent}
                rows.append({**key, "metric": metric, "value": level - 0.03 * k + 0.01 * (seed % 2)})
    return pd.DataFrame(rows, columns=["model", "modalities", "fold", "seed", "without", "metric", "value"])


REFUSED = ("ci_low", "ci_high", "p_bootstrap", "p_holm", "p_equivalence", "p_equivalence_holm")
"""What a contrast that was not tested has not."""


def significance(setup: Setup, rng) -> pd.DataFrame:
    """significance.csv with the verdicts that the setup wants, and intervals to match."""
    rows = []
    levels = {run: v if setup.numbers else v / 100 for run, v in setup.levels.items()}
    for question, a, b, verdict in setup.contrasts:
        d = levels[a] - levels[b] + rng.normal(0, 0.001)
        half = {"equivalent": 0.007, "undecided": max(0.018, abs(d) * 1.4)}.get(verdict, abs(d) * 0.6)
        d = float(np.clip(d, -0.003, 0.003)) if verdict == "equivalent" else d
        sure, refused = verdict.endswith("better"), verdict == "no verdict"
        equal = {"equivalent": 0.961, "undecided": 0.48}.get(verdict, 0.0004)
        rough = "rough " if setup.clusters < 20 else ""
        kind, group = ("video", None) if setup.frames else ("dialog", "session")
        row = {
            "question": question, "role": "planned", "turns": "all", "a": a, "b": b, "metric": setup.metric,
            "items": 402_117 if setup.frames else 7487, "clusters": setup.clusters,
            "effective_clusters": setup.clusters * 0.95, "cluster_kind": kind,
            "mean_a": levels[a], "mean_b": levels[a] - d, "chance": 0.0 if setup.numbers else 1 / len(setup.classes),
            "standing_a": "above", "standing_b": "above", "difference": d, "standard_error": half / 1.96,
            "fold_mean_a": levels[a], "fold_mean_b": levels[a] - d,
            "ci_low": d - half, "ci_high": d + half,
            "p_bootstrap": 0.0002 if sure else 0.31, "p_holm": 0.0018 if sure else 0.93,
            "group_kind": group, "groups": 5 if group else None,
            "standard_error_by_group": half if group else None, "p_by_group": 0.021 if group else None,
            "p_t_paper": 0.00001 if sure else 0.041, "effect_size": d * 30,
            "p_t_corrected": 0.012 if sure else 0.52,
            "effect_t_corrected": d * 40, "p_wilcoxon": "", "effect_wilcoxon": "",
            "p_mcnemar": "" if setup.numbers or setup.frames else 0.004,
            "effect_mcnemar": "" if setup.numbers or setup.frames else 0.03,
            "p_a_better": 0.98 if d > 0 and sure else 0.3, "p_equivalent": equal,
            "p_b_better": 0.98 if d < 0 and sure else 0.2, "equivalence_low": d - half * 0.84,
            "equivalence_high": d + half * 0.84, "p_equivalence": 0.0012 if verdict == "equivalent" else 0.4,
            "p_equivalence_holm": 0.012 if verdict == "equivalent" else 0.94,
            "verdict": verdict, "status": "few clusters" if refused else "tested",
            "remarks": rough + ("few_pairs" if setup.folds == 5 else ""), "b_chosen_from": "",
        }  # fmt: skip
        row |= dict.fromkeys(REFUSED) if refused else {}
        rows.append(row)
        for turns in ("scripted", "improvised") if setup.styles else ():
            rows.append({**row, "role": "secondary", "turns": turns, "difference": d / 2, "items": 3000})
    columns = ["question", "role", "turns", "a", "b", "metric", "difference", "ci_low", "ci_high", "verdict"]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def coverage(setup: Setup, segments: list) -> list[Finding]:
    """coverage.csv: of every kind of absence a few, a remark of the reader's on a segment, and two findings."""
    rows = []
    for k, s in enumerate(segments):
        face = ("partial", "face lost", "no_face") if k % 7 == 2 else ("ok", None, None)
        face = ("absent", f"no face found in {20 + k} of {20 + k} frames", "no_face") if k % 19 == 3 else face
        sound = ("absent", "no audio stream", "no_sound") if k % 23 == 4 else ("ok", None, None)
        text = ("absent", "no words", "no_word") if k % 11 == 5 else ("ok", None, None)
        why = "label xxx is not among the configured labels"
        split = ("absent", why, "other_label") if k % 13 == 6 else ("ok", None, None)
        split = ("ok", f"label of {s.segment_id} is read as cross: 'rather cross'", None) if k == 0 else split
        states = {"video": face, "audio": sound, "text": text, "split": split}
        for modality, (status, reason, cause) in states.items():
            if modality == "split" or modality in setup.modalities:
                share = {"ok": 1.0, "partial": 0.7, "absent": 0.0}[status]
                rows.append(Finding(s.unit_id, s.segment_id, modality, status, reason, share, cause))
    for modality in sorted({"video", "audio", "text"} - set(setup.modalities)):
        rows.append(Finding("", None, modality, "absent", "not prepared: there is no folder", None, "not_prepared"))
    rows.append(Finding("", None, "corpus", "partial", "5 of 10,039 turns of a full release are here", None, "corpus"))
    late = "sound ends 2.3 s before the picture"
    return [*rows, Finding(segments[0].unit_id, None, "audio", "absent", late, None, "corpus")]
