"""A small table corpus of any task, with features that carry a signal, and the stages from its split to its report."""

import json
from pathlib import Path

import numpy as np
import yaml
from click.testing import CliRunner

from models.__main__ import main as models
from models.task import Task
from pipeline.__main__ import main as pipeline
from pipeline.corpora.prepare import read
from pipeline.records import Segment, read_labels, read_table
from pipeline.store import FeatureStore, Rows
from tests.clips import write_clip
from tests.training_material import DIMS, write_store
from workflow.planned import Planned
from workflow.settings import check, resolve

ROOT = Path(__file__).resolve().parent.parent
SPEAKERS, VIDEOS, FRAMES, TURNS, FPS = 3, 4, 30, 5, 10
CLASSES = ("calm", "cross", "merry")
OWN = {
    "runs": {"early": ["A", "A+V"], "late": ["A+V"]},
    "contrasts": [
        {"question": "is the picture worth it", "a": "early-A+V", "b": "early-A"},
        {"question": "early or late", "a": "early-A+V", "b": "late-A+V"},
    ],
    "training": {"seeds": [1, 2], "epochs": 2, "learning_rate": 0.01, "batch_size": 8},
    "significance": {"bootstrap_samples": 200},
    "protocol": "speaker",
}
MODELS = {"early": "concatenation", "late": "late"}


class Corpus:
    """Videos of three speakers, labelled by turn or by frame; numbers go from ``low`` to ``high``."""

    def __init__(self, folder: Path, task: str, low: float = -1.0, high: float = 1.0):
        self.task, self.low, self.high = Task.parse(task), low, high
        self.root, self.results = folder / "raw", folder / "results" / "mine"
        self.rng = np.random.default_rng(len(task))
        self.root.mkdir(parents=True)
        videos = [(f"s{k}v{n}", f"speaker{k}") for k in range(SPEAKERS) for n in range(VIDEOS)]
        for name, _ in videos:
            pictures = [np.full((32, 32, 3), 8 * t, np.uint8) for t in range(FRAMES)]
            write_clip(self.root / f"{name}.mp4", pictures, np.arange(FRAMES) / FPS)
        rows = self._framed(videos) if self.task.frames else self._turns(videos)
        (self.root / "segments.csv").write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")

    def _answers(self, count: int) -> tuple[list[str], np.ndarray]:
        """Names of the columns and labels as they are written; the last is not known."""
        if not self.task.numbers:
            return ["label"], np.array([*self.rng.choice(CLASSES, count - 1), ""])[:, None]
        values = self.rng.uniform(self.low, self.high, (count, len(self.task.targets))).round(3).astype(object)
        values[-1] = ""
        return list(self.task.targets), values

    def _turns(self, videos) -> list[list]:
        names, values = self._answers(TURNS * len(videos))
        step_s = FRAMES / FPS / TURNS
        rows = [
            [f"{video}.mp4", f"{video}_{k}", speaker, k * step_s, (k + 1) * step_s]
            for video, speaker in videos
            for k in range(TURNS)
        ]
        header = ["video", "segment_id", "speaker", "start_s", "end_s", *names]
        return [header, *([*row, *value] for row, value in zip(rows, values))]

    def _framed(self, videos) -> list[list]:
        for video, _ in videos:
            names, values = self._answers(FRAMES)
            lines = [",".join(map(str, row)) for row in [names, *values]]
            (self.root / f"{video}.csv").write_text("\n".join(lines) + "\n")
        return [["video", "speaker", "annotation"], *([f"{v}.mp4", speaker, f"{v}.csv"] for v, speaker in videos)]

    def plan(self, **changes) -> Planned:
        """The corpus as the workflow plans with it."""
        config = yaml.safe_load((ROOT / "config.yaml").read_text())
        config["models"] |= {m: {"fusion": fusion, "width": 12, "embedding": 8} for m, fusion in MODELS.items()}
        frames = {"window": 12, "window_hop": 8} if self.task.frames else {}
        own = OWN | {"training": OWN["training"] | frames} | changes
        table = {"reader": "table", "root": str(self.root), "segments": "segments.csv", "task": str(self.task)}
        config["corpora"] = {"mine": table | own}
        return Planned(resolve(check(config), "mine", read))

    def index(self) -> None:
        """Tables and labels as the workflow makes them, and features that show the labels."""
        known = ["--corpus", "mine", "--reader", "table", "--root", self.root]
        known += ["--options", json.dumps({"segments": "segments.csv", "task": str(self.task)})]
        invoke(pipeline, "index", *known, "--out", self.results)
        if self.task.frames:
            columns = ["--columns", ",".join(self.task.targets) or "label", "--tables", self.results]
            findings = ["--findings", self.results / "label_findings.tsv", "--out", self.results / "labels.h5"]
            invoke(pipeline, "frame-labels", *known, *columns, *findings)
        for modality, store in self.plan().options.inputs.items():
            shown = self._shown(modality)
            path = self.results / "features" / f"{store}.h5"
            write_store(path, shown, modality, corpus="mine", demonstration=False, name=store)

    def _shown(self, modality: str) -> dict[str, Rows]:
        """Rows of noise around what is known at their time; nothing of one segment, or of half of it."""
        segments = read_table(self.results / "segments.tsv", Segment)
        labels = read_labels(self.results / "labels.tsv")
        frames = FeatureStore(self.results / "labels.h5") if self.task.frames else None
        mixing = self.rng.normal(size=(len(CLASSES), DIMS[modality]))
        rows = {}
        for number, segment in enumerate(segments):
            count = int(segment.duration_s * FPS)
            if number == 1:
                count = count // 2 if frames else 0
            start_s = segment.start_s + np.arange(count) / FPS
            known = frames[segment.segment_id].values[:count] if frames else self._of(labels[segment.segment_id], count)
            if not self.task.numbers and frames:
                known = np.eye(len(CLASSES))[known[:, 0].astype(int)]
            values = known @ mixing[: known.shape[1]] + self.rng.normal(size=(count, DIMS[modality])) * 0.2
            time_s = np.stack([start_s, start_s + 1 / FPS], 1)
            rows[segment.segment_id] = Rows(values.astype(np.float32), time_s, self.rng.random(count) > 0.1)
        return rows

    def _of(self, label, count: int) -> np.ndarray:
        if self.task.numbers:
            return np.tile([label.numbers.get(name, 0.0) for name in self.task.targets], (count, 1))
        return np.tile([float(name == label.label) for name in CLASSES], (count, 1))


def to_the_report(corpus: Corpus, plan: Planned) -> Path:
    """Run what the rules run, from the split to the report; returns the page."""
    folder, settings = corpus.results, plan.settings
    task = ["--task", settings.task]
    segments, split = folder / "segments.tsv", folder / "splits" / f"{settings.protocol}.tsv"
    of_frames, table = folder / "labels.h5", folder / "labels.tsv"
    store = ["--labels-store", of_frames] if settings.task.frames else []
    given = ["--classes", ",".join(settings.labels), "--merge", json.dumps(plan.options.merge)]
    given += ["--protocol", settings.protocol, "--segments", segments, "--labels-table", table, *store]
    invoke(models, "split", *task, *given, "--out", split)
    labels = of_frames if settings.task.frames else table if settings.task.numbers else None
    for run in plan.options.planned_runs:
        model, letters = run.split("-")
        for fold in range(plan.folds):
            given = ["--name", model, "--modalities", letters, "--split", split, "--fold", fold]
            for letter in letters.split("+"):
                modality = {"A": "audio", "V": "video"}[letter]
                given += ["--feature", f"{modality}={folder}/features/{plan.options.inputs[modality]}.h5"]
            given += ["--network", settings.models[model].model_dump_json()]
            given += ["--training", plan.options.training.model_dump_json(), *(["--labels", labels] if labels else [])]
            invoke(models, "train", *task, *given, "--out", folder / "runs" / run / f"fold{fold}")
    common = [*task, "--results", folder, "--segments", segments, "--protocol", settings.protocol]
    common += ["--folds", plan.folds]
    tables = folder / "tables"
    runs = [part for run in plan.options.planned_runs for part in ("--run", run)]
    outs = ["--out", tables / "scores.csv", "--confusion", tables / "confusion.csv"]
    invoke(models, "score", *common, *runs, *outs, "--per-video", tables / "per_video.csv")
    contrasts = json.dumps([contrast.model_dump() for contrast in plan.options.contrasts])
    options = ["--contrasts", contrasts, "--options", plan.options.significance.model_dump_json()]
    invoke(models, "significance", *common, "--split", split, *options, "--out", tables / "significance.csv")
    invoke(models, "leaks", "--segments", segments, "--split", split, "--out", tables / "leaks.csv")
    (folder / "config.json").write_text(json.dumps(plan.configuration))
    page = folder.parent / "mine_report.html"
    invoke(models, "report", "--results", folder, "--out", page)
    return page


def invoke(group, *arguments) -> None:
    """Run a stage in this process."""
    result = CliRunner().invoke(group, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
