"""Runs of a made-up results folder: histories, predictions and words."""

import json
import re

import numpy as np
import pandas as pd

from models.options import MODALITIES
from pipeline.records import Word, write_table
from tests.report_material import TRAINING, smooth

SAID = re.findall(r"\w+", "well I never thought that we would really see the two of them again so soon")


def write(fixture) -> None:
    """The runs that are shown in detail, as trainings leave them."""
    setup, rng = fixture.setup, fixture.rng
    for run, level in setup.levels.items():
        if len(setup.levels) > 6 and not setup.frames and not run.endswith("A+V+T"):
            continue
        best = level if setup.numbers else level / 100
        for fold in range(setup.folds):
            for seed in fixture.seeds:
                folder = fixture.folder / "runs" / run / f"fold{fold}" / f"seed{seed}"
                folder.mkdir(parents=True)
                table = history(best, setup.numbers, rng)
                table.to_csv(folder / "history.csv", index=False)
                letters = run.rsplit("-", 1)[1].split("+")
                about = {
                    "seed": seed, "versions": {"torch": "2.11.0", "numpy": "1.26.4", "python": "3.11.2"},
                    "hardware": {"cpu": "Example CPU 3000", "cores": 8, "threads": 1, "gpu": None},
                    "model": {"parameters": 201_344 + 1000 * len(run)}, "seconds": 12.5, "epochs": len(table),
                    "tried": [{"learning_rate": TRAINING["learning_rate"], "epochs": len(table), "seconds": 12.5}],
                    "selected": {"epoch": int(table["development_loss"].idxmin()) + 1},
                    "training": TRAINING, "chosen": {"learning_rate": TRAINING["learning_rate"]},
                    "rated": {}, "layer_weights": {},
                    "inputs": {
                        **{MODALITIES[letter]: "01" * 32 for letter in letters},
                        "split": "02" * 32, "segments": "03" * 32, "labels": "03" * 32,
                    },
                }  # fmt: skip
                (folder / "run.json").write_text(json.dumps(about))
            if setup.frames and setup.numbers:
                if run in ("rcma-A+V+T", "rcma_1-A+V+T", "rjcma-A+V+T"):
                    frames(fixture).to_parquet(folder.parent / "predictions.parquet")
            elif not setup.frames:
                table = numbers(fixture, fold, best) if setup.numbers else classes(fixture, fold, best)
                table.to_parquet(folder.parent / "predictions.parquet")
    if setup.frames and "text" in setup.modalities:
        for unit in {s.unit_id for s in fixture.segments}:
            words = [Word(SAID[k % len(SAID)], 0.6 * k + 0.2, 0.6 * k + 0.6, "recogniser") for k in range(64)]
            write_table(fixture.folder / "words" / f"{unit}.tsv", words, Word)


def history(best: float, numbers: bool, rng) -> pd.DataFrame:
    epochs = np.arange(1, int(rng.integers(14, 31)) + 1)
    noise = rng.normal(0, 0.012, (2, len(epochs)))
    top = 1.0 if numbers else 1.9
    return pd.DataFrame(
        {
            "epoch": epochs,
            "training_loss": top * np.exp(-epochs / 14) + 0.15,
            "development_loss": top * (np.exp(-epochs / 6) + 0.012 * epochs) * 0.7 + 0.35 + noise[1],
            f"development_{'ccc_mean' if numbers else 'accuracy'}": best * (1 - np.exp(-epochs / 4)) + noise[0],
            "learning_rate": 0.003,
            "duration_s": 1.2,
        }
    )


def _items(fixture, fold: int):
    """Segment, part and seed of each prediction of a fold."""
    here = fixture.split[(fixture.split["fold"] == fold) & (fixture.split["part"] != "training")]
    for seed in fixture.seeds:
        for row in here.itertuples():
            yield row.segment_id, seed, row.part, row.label


def classes(fixture, fold: int, level: float) -> pd.DataFrame:
    """predictions.parquet: right about as often as the level says, a little too sure."""
    rng, names, rows = fixture.rng, list(fixture.setup.classes), []
    for segment_id, seed, part, label in _items(fixture, fold):
        logits = rng.normal(0, 1, len(names))
        logits[names.index(label)] += 3 * level
        p = np.exp(1.4 * logits) / np.exp(1.4 * logits).sum()
        row = {"segment_id": segment_id, "seed": seed, "part": part, "label": label, "predicted": names[p.argmax()]}
        rows.append(row | {f"p_{name}": round(float(x), 6) for name, x in zip(names, p)})
    return pd.DataFrame(rows)


def numbers(fixture, fold: int, level: float) -> pd.DataFrame:
    """predictions.parquet of numbers of segments, drawn to the middle."""
    rng, rows, truth = fixture.rng, [], np.random.default_rng(3)
    of = {s.segment_id: truth.uniform(1, 5, len(fixture.setup.targets)) for s in fixture.segments}
    for segment_id, seed, part, _ in _items(fixture, fold):
        row = {"segment_id": segment_id, "seed": seed, "part": part}
        for target, value in zip(fixture.setup.targets, of[segment_id]):
            said = 3 + level * (value - 3) + rng.normal(0, 0.4)
            row |= {f"truth_{target}": round(value, 4), f"prediction_{target}": said}
        rows.append(row)
    return pd.DataFrame(rows)


def frames(fixture) -> pd.DataFrame:
    """predictions.parquet of the validation videos."""
    tables, rng = [], fixture.rng
    for s in fixture.segments:
        if s.part != "validation":
            continue
        time_s = np.arange(0, s.end_s, 1 / 30)
        truth = [smooth(rng, len(time_s), 200), smooth(rng, len(time_s), 140)]
        valid = np.ones(len(time_s), bool)
        valid[400:470] = False
        for seed in fixture.seeds:
            noisy = [0.75 * t + 0.05 + smooth(rng, len(time_s), 50) * 0.35 for t in truth]
            columns = {
                "segment_id": s.segment_id, "seed": seed, "part": "test", "frame": np.arange(len(time_s)),
                "time_s": time_s, "valid": valid, "truth_valence": np.where(valid, truth[0], -5),
                "truth_arousal": truth[1], "prediction_valence": noisy[0], "prediction_arousal": noisy[1],
            }  # fmt: skip
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables)
