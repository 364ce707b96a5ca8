"""Write a results folder as the workflow leaves it, with plausible made-up numbers: what the report is tested on.

``python -m tests.report_fixture FOLDER`` writes one for every setup, and their reports, to look at them.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from models.options import MODALITIES, NetworkOptions, SignificanceOptions
from models.protocols.leaks import Leak, leaks
from models.report.command import report
from models.report.gather import read
from models.report.page import downloads, prefix_of, render
from models.report.view import build
from models.settings import Settings
from models.task import Task
from models.wording import about
from pipeline.records import Assignment, Segment, Unit, write_table
from pipeline.store import Rows, StoreWriter
from tests import report_runs, report_tables
from tests.page import Page
from tests.report_benchmarks import jobs_of, write_benchmarks
from tests.report_material import MODELS, TRAINING, contact_sheet, encoded, face, hash_of
from tests.report_setups import PAPERS, SETUPS, STORES, WHISPER, Setup

CORPORA = tuple(PAPERS)
WEIGHTS = {f"demo--{kind}": f"demo:{kind}" for kind in ("bert", "vit", "wav2vec2")} | {"whisper": WHISPER}
WORDS = {"unit": "recording", "segment": "segment", "labels": {}}
ORDINARY = {"root": None, "scale": "demo", "demonstration": True}


class Fixture:
    """One corpus's results folder under ``folder`` and the configuration file in it."""

    def __init__(
        self, folder: Path, setup: str | Setup, seeds: int = 2, about: dict | None = None, size: int = 60, **changes
    ):
        self.setup = {**SETUPS, **PAPERS}[setup] if isinstance(setup, str) else setup
        self.corpus, self.folder = self.setup.corpus, Path(folder) / self.setup.corpus
        self.seeds, self.rng = list(range(1, seeds + 1)), np.random.default_rng(7)
        self.protocol = (about or {}).get("protocol", self.setup.protocol)
        self.about = {
            **ORDINARY,
            "folds": self.setup.folds,
            "weights": WEIGHTS,
            "generated": "demo",
            "feature_jobs": 6,
        } | (about or {})
        self.config_json = self.folder / "config.json"
        (self.folder / "tables").mkdir(parents=True)
        self.labels: dict[str, str] = {}
        self.segments = self._segments(size)
        self._split()
        self._configuration()
        self._tables()
        report_runs.write(self)
        self._features()
        self._benchmarks()
        self._pictures()

    def _segments(self, size: int) -> list[Segment]:
        out = []
        for k in range(size):
            if self.setup.frames:
                unit, side = f"{k % 24 + 1:03d}-30-1280x720", ["", "_left", "_right"][k // 24 % 3]
                part = "train" if k % 24 < 16 else "validation"
                out.append(Segment(unit + side, unit, unit + side, None, part, 0.0, 40.0))
                continue
            unit = f"Ses0{k % 5 + 1}{'FM'[k % 2]}_impro0{k // 10 % 8 + 1}"
            speaker = f"Ses0{k % 5 + 1}{'FM'[k // 5 % 2]}"
            name, start_s = f"{unit}_{speaker[-1]}{k:03d}", 6.0 * k
            self.labels[name] = self.setup.classes[hash_of(f"label{k}") % len(self.setup.classes)]
            out.append(Segment(name, unit, speaker, str(k % 5 + 1), None, start_s, start_s + 4))
        out = sorted({s.segment_id: s for s in out}.values(), key=lambda s: s.segment_id)
        write_table(self.folder / "segments.tsv", out, Segment)
        units = sorted({s.unit_id for s in out})
        write_table(self.folder / "units.tsv", [Unit(unit, f"{unit}.avi") for unit in units], Unit)
        return out

    def _split(self):
        rows = []
        for s in self.segments:
            for fold in range(self.setup.folds):
                test = s.part == "validation" if s.session is None else s.session == str(fold + 1)
                part = "test" if test else "development" if hash_of(s.unit_id) % 6 == 0 else "training"
                rows.append(
                    {"segment_id": s.segment_id, "fold": fold, "part": part, "label": self.labels.get(s.segment_id)}
                )
        self.split = pd.DataFrame(rows)
        (self.folder / "splits").mkdir()
        self.split.to_csv(self.folder / "splits" / f"{self.protocol['name']}.tsv", sep="\t", index=False)

    def _configuration(self):
        setup = self.setup
        runs: dict[str, list[str] | None] = {"unused": None}
        for run in setup.levels:
            model, modalities = run.rsplit("-", 1)
            runs.setdefault(model, []).append(modalities)
        extractors = {}
        for name in setup.stores:
            modality, extractor, _ = STORES[name]
            extractors[name] = {"extractor": extractor, "weights": self._weights(name)}
            if name in setup.imported:
                extractors[name] = {"extractor": "import", "weights": None, "path": f"{name}.csd", "modality": modality}
        audio = {"audio": "mfcc"} if "mfcc" in setup.imported else {}
        inputs = {"audio": "wav2vec2", "video": "expression", "text": "bert", **audio}
        options = {
            "extractors": extractors,
            "inputs": inputs,
            "faces": {"sample_rate_hz": 10, "picture": "face"},
            "recogniser": setup.recogniser,
            "runs": runs,
            "labels": [] if setup.numbers else list(setup.classes),
            "merge": {},
            "turns": "all",
            "training": {**TRAINING, "seeds": self.seeds},
            "contrasts": [{"question": question, "a": a, "b": b} for question, a, b, _ in setup.contrasts],
            "significance": SignificanceOptions(metric=setup.metric, bootstrap_samples=5000).model_dump(),
            "protocol": self.protocol["name"],
        }
        listed, task = _listed(setup, inputs), Task.parse(setup.task)
        models = {row["model"]: NetworkOptions(**MODELS[row["model"]]) for row in listed}
        config = {
            "scale": self.about["scale"],
            self.corpus: options,
            "models": {name: model.model_dump() for name, model in models.items()},
        }
        given = {key: getattr(setup, key) for key in ("corpus", "task", "published", "departures", "citations")}
        given |= {"config": config, "protocol": self.protocol, "title": setup.title or setup.corpus}
        given |= {"words": setup.words or WORDS, "runs": listed}
        given["models"] = {name: about(model, task) for name, model in models.items()}
        given |= {"training_jobs": [str(fold) for fold in range(setup.folds)]}
        self.config_json.write_text(json.dumps({**given, **self.about, "protocol": self.protocol}))

    def _weights(self, name: str) -> str | None:
        """Random ones in a demonstration, else somebody's."""
        source = STORES[name][2]
        return source if self.about["demonstration"] else source and source.replace("demo:", "example/")

    def configure(self, **options):
        """Change options of the corpus in the configuration file."""
        given = json.loads(self.config_json.read_text())
        given["config"][self.corpus].update(options)
        self.config_json.write_text(json.dumps(given))

    def tell(self, **about):
        """Change what the configuration file says beside the configuration."""
        given = json.loads(self.config_json.read_text())
        self.config_json.write_text(json.dumps({**given, **about}))

    def _tables(self):
        tables, setup = self.folder / "tables", self.setup
        if setup.numbers:
            scores = report_tables.number_scores(setup, self.seeds, self.rng)
        else:
            scores, confusion = report_tables.class_scores(setup, self.seeds, self.rng)
            confusion.to_csv(tables / "confusion.csv", index=False)
        if "protocol" in scores:
            scores["protocol"] = self.protocol["name"]
        scores.to_csv(tables / "scores.csv", index=False)
        if setup.frames:
            tested = [s.segment_id for s in self.segments if s.part == "validation"]
            videos = report_tables.video_scores(setup, self.seeds, tested, self.rng)
            videos.to_csv(tables / "per_video.csv", index=False)
        report_tables.missing_modalities(setup, self.seeds).to_csv(tables / "missing_modalities.csv", index=False)
        report_tables.significance(setup, self.rng).to_csv(tables / "significance.csv", index=False)
        rows = report_tables.coverage(setup, self.segments)
        write_table(tables / "coverage.csv", rows, type(rows[0]))
        assigned = [Assignment(**row) for row in self.split.to_dict("records")]
        write_table(tables / "leaks.csv", leaks(assigned, self.segments), Leak)

    def _features(self):
        for name in self.setup.stores:
            modality, kind, _ = STORES[name]
            if modality not in self.setup.modalities:
                continue
            source = self._weights(name)
            weights = {"source": source, "revision": "5b0a6c2", "sha256": {"model.safetensors": "ab" * 32}}
            attributes = {
                "corpus": self.corpus, "name": name, "modality": modality, "extractor_version": "1",
                "extractor": "import" if name in self.setup.imported else kind, "config": {"layers": [-1]},
                "weights": weights if source and name not in self.setup.imported else {},
                "software": {"transformers": "5.1.0"}, "inputs": "cd" * 32,
                "demonstration": self.about["demonstration"],
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
        raw = [("videos", 151, 7_400_000_000, "12" * 32), ("labels", 151, 9000, "34" * 32)]
        columns = ["what", "files", "bytes", "sha256"]
        pd.DataFrame(raw, columns=columns).to_csv(self.folder / "raw_files.tsv", sep="\t", index=False)

    def _benchmarks(self):
        units = sorted({s.unit_id for s in self.segments})
        folds = {f"train-{run}": range(self.setup.folds) for run in self.setup.levels}
        folds |= {"split": [self.protocol["name"]]}
        write_benchmarks(self.folder / "benchmarks", jobs_of(units, self.setup.stores) | folds)
        shared = {"demo_corpus": [self.about["generated"], "another"], "weights": ["demo", "whisper"]}
        write_benchmarks(self.folder.parent / "benchmarks", shared)

    def _pictures(self):
        if "video" not in self.setup.modalities:
            return
        shown = self.segments[:24]
        sheet, notes = contact_sheet([face(k) for k in range(len(shown))], shown, self.labels)
        (self.folder / "tables" / "contact_sheet.jpg").write_bytes(sheet)
        (self.folder / "tables" / "contact_sheet.json").write_text(json.dumps(notes))
        if self.setup.frames:
            with (self.folder / "tables" / "film_strips.jsonl").open("w") as stream:
                for n, s in enumerate(self.segments):
                    times = [None if k == 6 else 2.0 + 4 * k for k in range(10)]
                    row = np.concatenate([np.asarray(face(n % 35, 64))] * 10, axis=1)
                    strip = {"segment_id": s.segment_id, "tile_px": 64, "time_s": times, "jpeg": encoded(row)}
                    stream.write(json.dumps(strip) + "\n")


def _listed(setup: Setup, inputs: dict[str, str]) -> list[dict]:
    """The runs as config.json lists them, each with the store that it reads for each modality."""
    rows = setup.runs or [dict(zip(("run", "model", "modalities"), (run, *run.rsplit("-", 1)))) for run in setup.levels]
    read = [[MODALITIES[letter] for letter in row["modalities"].split("+")] for row in rows]
    return [{**row, "inputs": {m: inputs[m] for m in own} | row.get("inputs", {})} for row, own in zip(rows, read)]


def html_of(fixture: Fixture, media: bool = True, files: bool = True) -> str:
    """The report on a fixture, as the command writes it; without its ``files`` to download in half the time."""
    results = read(fixture.folder, Settings.from_json(fixture.config_json))
    view = build(results, media)
    return render(view, downloads(results, prefix_of(view)) if media and files else [])[0]


def page_of(fixture: Fixture, files: bool = True) -> Page:
    """The report on a fixture, parsed."""
    return Page(html_of(fixture, files=files))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for label, wanted in {**PAPERS, **SETUPS}.items():
        made = Fixture(target / label.replace(" ", "_"), wanted)
        out = target / f"{label.replace(' ', '_')}_report.html"
        arguments = ["--results", str(made.folder), "--out", str(out), "--paper", str(out.with_suffix(""))]
        report.main(arguments, standalone_mode=False)
