"""Write a results folder as the workflow leaves it, with plausible made-up numbers: what the report is tested on.

``python -m tests.report_fixture FOLDER`` writes both corpora and their reports, to look at them.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from models.report.command import build, render, report
from models.report.gather import Settings, read
from pipeline.records import Finding, Segment, Unit, Word, write_table
from pipeline.store import Rows, StoreWriter
from tests.page import Page
from tests.report_benchmarks import jobs_of, write_benchmarks
from tests.report_material import CONTRASTS, MODELS, RUNS, contact_sheet, encoded, face, hash_of, smooth

CORPORA = ("iemocap", "affwild2")
CLASSES = ("ang", "exc", "hap", "sad", "fru", "sur", "neu")
SHARE = (0.147, 0.139, 0.08, 0.145, 0.247, 0.014, 0.228)
SAID = re.findall(r"\w+", "well I never thought that we would really see the two of them again so soon")
WHISPER = "openai/whisper-base.en@" + "9" * 40
WEIGHTS = {f"demo--{kind}": f"demo:{kind}" for kind in ("bert", "vit", "wav2vec2")} | {"whisper": WHISPER}
ORDINARY = {"root": None, "scale": "demo", "demonstration": True}


class Fixture:
    """One corpus's results folder under ``folder`` and the configuration file beside it."""

    def __init__(self, folder: Path, corpus: str, seeds: int = 2, about: dict | None = None, size: int = 60):
        self.corpus, self.folder, self.seeds = corpus, Path(folder) / corpus, list(range(1, seeds + 1))
        self.rng = np.random.default_rng(7)
        self.segment_task = corpus == "iemocap"
        self.folds = range(5) if self.segment_task else range(1)
        self.protocol = "session" if self.segment_task else "official"
        self.about = {**ORDINARY, "protocol": self.protocol, "folds": len(self.folds), "weights": WEIGHTS}
        self.about |= {"generated": "IEMOCAP_full_release" if self.segment_task else "AffWild2"} | (about or {})
        self.config_json = self.folder / "config.json"
        (self.folder / "tables").mkdir(parents=True)
        self.segments = self._segments(size)
        self._configuration()
        self._tables()
        self._runs()
        self._features()
        self._benchmarks()
        self._faces()

    def _segments(self, size: int) -> list[Segment]:
        out, units = [], []
        for k in range(size):
            if self.segment_task:
                unit = f"Ses0{k % 5 + 1}{'FM'[k % 2]}_impro0{k // 10 % 8 + 1}"
                speaker = f"Ses0{k % 5 + 1}{'FM'[k // 5 % 2]}"
                label = str(self.rng.choice(CLASSES, p=np.array(SHARE) / sum(SHARE)))
                segment_id, session, part = f"{unit}_{speaker[-1]}{k:03d}", k % 5 + 1, None
                start_s, end_s = 6.0 * k, 6.0 * k + 4
            else:
                unit, label, session = f"{k % 24 + 1:03d}-30-1280x720", None, None
                side = ["", "_left", "_right"][k // 24]
                segment_id, speaker, part = unit + side, unit + side, "train" if k % 24 < 16 else "validation"
                start_s, end_s = 0.0, 40.0
            out.append(Segment(segment_id, unit, speaker, session, part, start_s, end_s, "whole", label))
            units.append(unit)
        out = sorted({s.segment_id: s for s in out}.values(), key=lambda s: s.segment_id)
        write_table(self.folder / "segments.tsv", out, Segment)
        write_table(self.folder / "units.tsv", [Unit(unit, f"{unit}.avi") for unit in sorted(set(units))], Unit)
        rows = []
        for s in out:
            for fold in self.folds:
                test = s.session == fold + 1 if self.segment_task else s.part == "validation"
                part = "test" if test else "development" if hash_of(s.unit_id) % 6 == 0 else "training"
                rows.append({"segment_id": s.segment_id, "fold": fold, "part": part, "label": s.label})
        (self.folder / "splits").mkdir()
        pd.DataFrame(rows).to_csv(self.folder / "splits" / f"{self.protocol}.tsv", sep="\t", index=False)
        return out

    def _configuration(self):
        runs: dict[str, list[str] | None] = {"unused": None}
        for run in RUNS[self.corpus]:
            model, modalities = run.rsplit("-", 1)
            runs.setdefault(model, []).append(modalities)
        options = {
            "shard_units": 8,
            "extractors": {
                "mfcc": {"extractor": "mfcc", "weights": None},
                "wav2vec2": {"extractor": "transformers_audio", "weights": "demo:wav2vec2"},
                "expression": {"extractor": "transformers_image", "weights": "demo:vit"},
                "bert": {"extractor": "transformers_text", "weights": "demo:bert", "layers": [-4, -3, -2, -1]},
            },
            "inputs": {"audio": "wav2vec2", "video": "expression", "text": "bert"},
            "recogniser": {"kind": "none"} if self.segment_task else {"kind": "transformers", "weights": WHISPER},
            "runs": runs,
            "labels": list(CLASSES),
            "training": {"seeds": self.seeds, "epochs": 20, "learning_rate": 0.003},
            "significance": {
                "metric": "balanced_accuracy" if self.segment_task else "ccc_mean",
                "practical_region": 0.01,
                "alpha": 0.05,
            },
            "protocol": self.protocol,
        }
        config = {"scale": self.about["scale"], self.corpus: options, "models": MODELS}
        self.config_json.write_text(json.dumps({"config": config, **self.about}))

    def configure(self, **options):
        """Change options of the corpus in the configuration file."""
        given = json.loads(self.config_json.read_text())
        given["config"][self.corpus].update(options)
        self.config_json.write_text(json.dumps(given))

    def _tables(self):
        scores = self._segment_scores() if self.segment_task else self._frame_scores()
        pd.DataFrame(scores).to_csv(self.folder / "tables" / "scores.csv", index=False)
        self._significance()
        self._coverage()

    def _rows(self, run: str, fold, seed, values: dict) -> list[dict]:
        model, modalities = run.rsplit("-", 1)
        about = {"model": model, "modalities": modalities, "protocol": self.protocol, "fold": fold, "seed": seed}
        return [{**about, "metric": metric, "value": round(float(value), 6)} for metric, value in values.items()]

    def _segment_scores(self) -> list[dict]:
        rng, rows, confusion = self.rng, [], []
        hard = np.array([0.1, 0.0, -0.18, 0.12, 0.03, -0.2, 0.04])
        fold_effect = rng.normal(0, 0.015, len(self.folds))
        for run, level in RUNS["iemocap"].items():
            for fold in [*self.folds, "all"]:
                for seed in self.seeds:
                    effect = 0 if fold == "all" else fold_effect[fold]
                    recall = np.clip(level / 100 + hard + effect + rng.normal(0, 0.02, len(CLASSES)), 0.02, 0.97)
                    balanced, accuracy = recall.mean(), float(recall @ np.array(SHARE)) + 0.03
                    values = {"accuracy": accuracy, "balanced_accuracy": balanced, "macro_f1": balanced - 0.006}
                    values |= {f"recall_{c}": r for c, r in zip(CLASSES, recall)}
                    values |= {f"precision_{c}": r + 0.01 for c, r in zip(CLASSES, recall)}
                    values |= {f"development_{k}": v + 0.01 for k, v in list(values.items())[:3]}
                    rows += self._rows(run, fold, seed, values)
            model, modalities = run.rsplit("-", 1)
            for i, label in enumerate(CLASSES):
                total = max(8, int(SHARE[i] * 740)) * len(self.seeds)
                wrong = np.array(SHARE) * rng.uniform(0.5, 1.5, len(CLASSES))
                wrong[i] = 0
                share = wrong / wrong.sum() * (1 - (level / 100 + hard[i]))
                share[i] = level / 100 + hard[i]
                for predicted, n in zip(CLASSES, rng.multinomial(total, share / share.sum())):
                    confusion.append((model, modalities, "all", "all", label, predicted, n))
        columns = ["model", "modalities", "fold", "seed", "label", "predicted", "count"]
        pd.DataFrame(confusion, columns=columns).to_csv(self.folder / "tables" / "confusion.csv", index=False)
        return rows

    def _frame_scores(self) -> list[dict]:
        rng, rows, videos = self.rng, [], []
        tested = [s.segment_id for s in self.segments if s.part == "validation"]
        ease = rng.normal(-0.12, 0.16, (len(tested), 2))
        for run, level in RUNS["affwild2"].items():
            for seed in self.seeds:
                valence, arousal = level - 0.05 + rng.normal(0, 0.008), level + 0.05 + rng.normal(0, 0.008)
                values = {"ccc_valence": valence, "ccc_arousal": arousal, "ccc_mean": (valence + arousal) / 2}
                values |= {"rmse_valence": 0.42 - valence / 4, "rmse_arousal": 0.4 - arousal / 4}
                values |= {"pearson_valence": valence + 0.03, "pearson_arousal": arousal + 0.02}
                values |= {f"development_{k}": v + 0.02 for k, v in list(values.items())}
                for fold in (0, "all"):
                    rows += self._rows(run, fold, seed, values)
                for k, segment_id in enumerate(tested):
                    a, b = np.clip(level + ease[k] + rng.normal(0, 0.04, 2), -0.4, 0.95)
                    model, modalities = run.rsplit("-", 1)
                    videos.append((model, modalities, 0, seed, segment_id, 1000, a, b, (a + b) / 2))
        columns = ["model", "modalities", "fold", "seed", "segment_id", "frames"]
        columns += ["ccc_valence", "ccc_arousal", "ccc_mean"]
        pd.DataFrame(videos, columns=columns).to_csv(self.folder / "tables" / "per_video.csv", index=False)
        return rows

    def _significance(self):
        rng, rows = self.rng, []
        levels = {run: v / 100 if self.segment_task else v for run, v in RUNS[self.corpus].items()}
        for question, a, b, verdict in CONTRASTS[self.corpus]:
            d = levels[a] - levels[b] + rng.normal(0, 0.001)
            half = {"equivalent": 0.007, "undecided": max(0.018, abs(d) * 1.4)}.get(verdict, abs(d) * 0.6)
            d = float(np.clip(d, -0.003, 0.003)) if verdict == "equivalent" else d
            sure = verdict.endswith("better")
            equal = {"equivalent": 0.961, "undecided": 0.48}.get(verdict, 0.0004)
            rows.append(
                {
                    "question": question, "a": a, "b": b,
                    "metric": "balanced_accuracy" if self.segment_task else "ccc_mean",
                    "items": 7487 if self.segment_task else 402_117, "clusters": 151 if self.segment_task else 76,
                    "cluster_kind": "dialog" if self.segment_task else "video",
                    "mean_a": levels[a], "mean_b": levels[a] - d, "difference": d,
                    "ci_low": d - half, "ci_high": d + half,
                    "p_bootstrap": 0.0002 if sure else 0.31, "p_holm": 0.0018 if sure else 0.93,
                    "p_t_paper": 0.00001 if sure else 0.041, "effect_size": d * 30,
                    "effect_size_kind": "Cohen's d over runs", "p_t_corrected": 0.012 if sure else 0.52,
                    "effect_t_corrected": d * 40, "p_wilcoxon": "", "effect_wilcoxon": "",
                    "p_mcnemar": 0.004 if self.segment_task else "",
                    "effect_mcnemar": 0.03 if self.segment_task else "",
                    "p_a_better": 0.98 if d > 0 and sure else 0.3, "p_equivalent": equal,
                    "p_b_better": 0.98 if d < 0 and sure else 0.2, "equivalence_low": d - half * 0.84,
                    "equivalence_high": d + half * 0.84, "p_equivalence": 0.012 if verdict == "equivalent" else 0.4,
                    "verdict": verdict,
                    "note": "Wilcoxon: 5 pairs cannot reach p < 0.0625" if self.segment_task else "",
                }
            )  # fmt: skip
        pd.DataFrame(rows).to_csv(self.folder / "tables" / "significance.csv", index=False)

    def _coverage(self):
        rows = []
        for k, s in enumerate(self.segments):
            face = ("partial", "face lost") if k % 7 == 2 else ("ok", None)
            face = ("absent", f"no face in any of {20 + k} frames") if k % 19 == 3 else face
            sound = ("absent", "no audio stream") if k % 23 == 4 else ("ok", None)
            text = ("absent", "no words") if k % 11 == 5 else ("ok", None)
            split = ("absent", "label xxx is not among the configured labels") if k % 13 == 6 else ("ok", None)
            states = {"video": face, "audio": sound, "text": text, "split": split}
            for modality, (status, reason) in states.items():
                share = {"ok": 1.0, "partial": 0.7, "absent": 0.0}[status]
                rows.append(Finding(s.unit_id, s.segment_id, modality, status, reason, share))
        rows.append(Finding("", None, "corpus", "partial", "5 of 10,039 turns of a full release are here"))
        rows.append(Finding(self.segments[0].unit_id, None, "audio", "absent", "sound ends 2.3 s before the picture"))
        write_table(self.folder / "tables" / "coverage.csv", rows, Finding)

    def _runs(self):
        for run, level in RUNS[self.corpus].items():
            if self.segment_task and not run.endswith("A+V+T"):
                continue
            best = level / 100 if self.segment_task else level
            for fold in self.folds:
                for seed in self.seeds:
                    folder = self.folder / "runs" / run / f"fold{fold}" / f"seed{seed}"
                    folder.mkdir(parents=True)
                    self._history(best).to_csv(folder / "history.csv", index=False)
                    about = {
                        "seed": seed, "versions": {"torch": "2.11.0", "numpy": "1.26.4", "python": "3.11.2"},
                        "hardware": {"cpu": "Example CPU 3000", "cores": 8, "threads": 1, "gpu": None},
                        "model": {"parameters": 201_344 + 1000 * len(run)}, "seconds": 12.5,
                        "inputs": {"audio": "01" * 32, "split": "02" * 32},
                    }  # fmt: skip
                    (folder / "run.json").write_text(json.dumps(about))
            if not self.segment_task and run in ("rcma-A+V+T", "rcma_1-A+V+T"):
                self._predictions().to_parquet(self.folder / "runs" / run / "fold0" / "predictions.parquet")
        if not self.segment_task:
            self._words()

    def _history(self, best: float) -> pd.DataFrame:
        epochs = np.arange(1, int(self.rng.integers(14, 31)) + 1)
        noise = self.rng.normal(0, 0.012, (2, len(epochs)))
        score = best * (1 - np.exp(-epochs / 4)) + noise[0]
        name = "accuracy" if self.segment_task else "ccc_mean"
        top = 1.9 if self.segment_task else 1.0
        return pd.DataFrame(
            {
                "epoch": epochs,
                "training_loss": top * np.exp(-epochs / 14) + 0.15,
                "development_loss": top * (np.exp(-epochs / 6) + 0.012 * epochs) * 0.7 + 0.35 + noise[1],
                f"development_{name}": score,
                "learning_rate": 0.003,
                "duration_s": 1.2,
            }
        )

    def _predictions(self) -> pd.DataFrame:
        tables = []
        for s in self.segments:
            if s.part != "validation":
                continue
            time_s = np.arange(0, s.end_s, 1 / 30)
            truth = [smooth(self.rng, len(time_s), 200), smooth(self.rng, len(time_s), 140)]
            valid = np.ones(len(time_s), bool)
            valid[400:470] = False
            for seed in self.seeds:
                noisy = [0.75 * t + 0.05 + smooth(self.rng, len(time_s), 50) * 0.35 for t in truth]
                tables.append(
                    pd.DataFrame(
                        {
                            "segment_id": s.segment_id, "seed": seed, "part": "test", "frame": np.arange(len(time_s)),
                            "time_s": time_s, "valid": valid, "truth_valence": np.where(valid, truth[0], -5),
                            "truth_arousal": truth[1], "prediction_valence": noisy[0], "prediction_arousal": noisy[1],
                        }
                    )
                )  # fmt: skip
        return pd.concat(tables)

    def _words(self):
        for unit in {s.unit_id for s in self.segments}:
            words = [Word(SAID[k % len(SAID)], 0.6 * k + 0.2, 0.6 * k + 0.6, "recogniser") for k in range(64)]
            write_table(self.folder / "words" / f"{unit}.tsv", words, Word)

    def _features(self):
        for name, modality, kind in (
            ("bert", "text", "transformers_text"),
            ("expression", "video", "transformers_image"),
            ("mfcc", "audio", "mfcc"),
            ("wav2vec2", "audio", "transformers_audio"),
        ):
            weights = {} if name == "mfcc" else {
                "source": f"demo:{name}", "revision": "5b0a6c2", "sha256": {"model.safetensors": "ab" * 32},
            }  # fmt: skip
            attributes = {
                "corpus": self.corpus, "name": name, "modality": modality, "extractor": kind, "extractor_version": "1",
                "config": {"layers": [-1]}, "weights": weights, "software": {"transformers": "5.1.0"},
                "inputs": "cd" * 32, "demonstration": self.about["demonstration"],
            }  # fmt: skip
            path = self.folder / "features" / f"{name}.h5"
            path.parent.mkdir(exist_ok=True)
            with StoreWriter(path, attributes, 4) as writer:
                for s in self.segments:
                    writer.append(s.segment_id, Rows(np.ones((3, 4), np.float32), np.zeros((3, 2)), np.ones(3, bool)))

        kept = {"source": WHISPER, "revision": "9" * 40, "files": {"model.safetensors": {"sha256": "ef" * 32}}}
        manifest = self.folder.parent / "weights" / "whisper" / "weights.json"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps(kept))
        raw = [("videos", 151, 7_400_000_000, "sizes", "12" * 32), ("labels", 151, 9000, "contents", "34" * 32)]
        columns = ["what", "files", "bytes", "compared", "sha256"]
        pd.DataFrame(raw, columns=columns).to_csv(self.folder / "raw_files.tsv", sep="\t", index=False)

    def _benchmarks(self):
        units = sorted({s.unit_id for s in self.segments})
        folds = {f"train-{run}": self.folds for run in RUNS[self.corpus]} | {"split": [self.about["protocol"]]}
        write_benchmarks(self.folder / "benchmarks", jobs_of(units, ("bert", "expression", "mfcc", "wav2vec2")) | folds)
        shared = {"demo_corpus": ["AffWild2", "IEMOCAP_full_release"], "weights": WEIGHTS}
        write_benchmarks(self.folder.parent / "benchmarks", shared)

    def _faces(self):
        shown = self.segments[:24]
        sheet, notes = contact_sheet([face(k) for k in range(len(shown))], shown)
        (self.folder / "tables" / "contact_sheet.jpg").write_bytes(sheet)
        (self.folder / "tables" / "contact_sheet.json").write_text(json.dumps(notes))
        if not self.segment_task:
            with (self.folder / "tables" / "film_strips.jsonl").open("w") as stream:
                for n, s in enumerate(self.segments):
                    times = [None if k == 6 else 2.0 + 4 * k for k in range(10)]
                    row = np.concatenate([np.asarray(face(n % 35, 64))] * 10, axis=1)
                    strip = {"segment_id": s.segment_id, "tile_px": 64, "time_s": times, "jpeg": encoded(row)}
                    stream.write(json.dumps(strip) + "\n")


def page_of(fixture: Fixture) -> Page:
    """The report on a fixture, parsed."""
    return Page(render(build(read(fixture.folder, Settings.from_json(fixture.config_json, fixture.corpus)))))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for corpus in CORPORA:
        made = Fixture(target, corpus)
        arguments = ["--corpus", corpus, "--results", str(made.folder), "--config-json", str(made.config_json)]
        report.main([*arguments, "--out", str(target / f"{corpus}_report.html")], standalone_mode=False)
