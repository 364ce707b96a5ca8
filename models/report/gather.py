"""Read a results folder into memory: every table and file the report is made of, and which of them are not there.

A folder may hold what an earlier configuration left: stores, runs, folds, seeds and jobs that this one does not name
are no part of its report.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from models.report.jobs import read_benchmarks
from pipeline.records import InputError, Segment, Unit, read_table
from pipeline.store import FeatureStore

TABLES = {  # name: columns the report needs
    "scores": ("model", "modalities", "fold", "seed", "metric", "value"),
    "significance": ("question", "a", "b", "metric", "difference", "ci_low", "ci_high", "verdict"),
    "coverage": ("unit", "segment", "modality", "status", "reason"),
    "confusion": ("model", "modalities", "fold", "seed", "label", "predicted", "count"),
    "per_video": (),
}
TEXT_COLUMNS = ("fold", "seed", "label", "predicted", "unit", "segment", "segment_id", "reason", "status", "modality")


@dataclass(frozen=True)
class Settings:
    """What the workflow says about this run: the configuration that held, and what it ran on."""

    corpus: str
    config: dict
    root: str | None
    scale: str
    demonstration: bool
    protocol: str | None
    folds: int
    generated: str | None  # folder of the synthetic corpus
    weights: dict[str, str]  # folder under results/weights to where it is from
    software: dict
    revision: str | None = None
    created: str | None = None

    @classmethod
    def from_json(cls, path: Path, corpus: str) -> "Settings":
        """Read the file that the workflow writes; raises InputError where it is not what it should be."""
        try:
            given = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as JSON ({error}); let the workflow write it again") from None
        if not isinstance(given, dict) or not isinstance(given.get("config"), dict) or "folds" not in given:
            raise InputError(f"{path}: expected an object with config and folds; let the workflow write it again")
        config, root = given["config"], given.get("root")
        options = _options(config, corpus)
        return cls(
            corpus=corpus,
            config=config,
            root=None if root is None else str(root),
            scale=str(given.get("scale") or config.get("scale") or ("demo" if root is None else "research")),
            demonstration=bool(given.get("demonstration", root is None)),
            protocol=given.get("protocol") or options.get("protocol"),
            folds=int(given["folds"]),
            generated=given.get("generated"),
            weights=given.get("weights") or {},
            software=given.get("software") or {},
            created=given.get("created"),
        )

    @property
    def options(self) -> dict:
        """The corpus's own options."""
        return _options(self.config, self.corpus)

    @property
    def models(self) -> dict[str, dict]:
        """Network options by model name."""
        return self.config.get("models") or {}

    @property
    def extractors(self) -> list[str]:
        """Names of the feature stores."""
        return list(self.options.get("extractors") or ())

    @property
    def runs(self) -> list[str]:
        """Every run as model-modalities."""
        return [f"{model}-{one}" for model, sets in (self.options.get("runs") or {}).items() for one in sets or ()]

    @property
    def seeds(self) -> list[int]:
        """The seeds of every run and fold."""
        return (self.options.get("training") or {}).get("seeds") or []

    @property
    def practical_region(self) -> float:
        """Differences smaller than this do not matter."""
        return float((self.options.get("significance") or {}).get("practical_region", 0.01))

    @property
    def alpha(self) -> float:
        """Level of the tests; intervals cover 1 - alpha."""
        return float((self.options.get("significance") or {}).get("alpha", 0.05))


def _options(config: dict, corpus: str) -> dict:
    return config.get(corpus) or {}


@dataclass(frozen=True)
class Store:
    """One feature store without its values."""

    file: str
    segments: int
    rows: int
    dim: int
    attributes: dict[str, Any]


@dataclass
class Results:
    """Everything that was found under ``results/<corpus>``; ``absent`` says what was not."""

    folder: Path
    settings: Settings
    tables: dict[str, pd.DataFrame | None]
    segments: list[Segment]
    split: pd.DataFrame | None
    stores: list[Store]
    benchmarks: pd.DataFrame | None
    raw_files: list[dict]
    absent: list[str] = field(default_factory=list)

    def fold_folders(self, run: str) -> list[Path]:
        """Where the files of each fold of one run are."""
        return [self.folder / "runs" / run / f"fold{fold}" for fold in range(self.settings.folds)]

    def trainings(self, run: str) -> list[Path]:
        """Where the files of each fold and seed of one run are."""
        return [folder / f"seed{seed}" for folder in self.fold_folders(run) for seed in self.settings.seeds]


def read(folder: Path, settings: Settings) -> Results:
    """Gather everything; raises InputError where a file is there but broken, or where nothing at all is there."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the results folder of one corpus, such as results/iemocap")
    absent: list[str] = []
    tables = {name: _table(folder / "tables" / f"{name}.csv", columns, absent) for name, columns in TABLES.items()}
    if settings.corpus == "iemocap":
        absent = [line for line in absent if "per_video" not in line]
    else:
        absent = [line for line in absent if "confusion" not in line]
    segments = []
    if (folder / "segments.tsv").exists():
        segments = read_table(folder / "segments.tsv", Segment)
    else:
        absent.append("segments.tsv")
    split = None
    if settings.protocol and (folder / "splits" / f"{settings.protocol}.tsv").exists():
        split = pd.read_csv(folder / "splits" / f"{settings.protocol}.tsv", sep="\t", dtype=str, keep_default_na=False)
    else:
        absent.append(f"splits/{settings.protocol or '<protocol>'}.tsv")
    files = [folder / "features" / f"{name}.h5" for name in sorted(settings.extractors)]
    stores = [_store(path) for path in files if path.exists()]
    absent += [f"features/{path.name}" for path in files if not path.exists()]
    units = read_table(folder / "units.tsv", Unit) if (folder / "units.tsv").exists() else []
    if not units:
        absent.append("units.tsv")
    shared = folder.parent / "benchmarks"  # what is made once for all corpora
    benchmarks = read_benchmarks((shared, folder / "benchmarks"), _jobs(settings, [unit.unit_id for unit in units]))
    if benchmarks is None:
        absent.append("benchmarks/<rule>/*.tsv")
    raw_files = []
    if (folder / "raw_files.tsv").exists():
        raw_files = pd.read_csv(folder / "raw_files.tsv", sep="\t").to_dict("records")
    else:
        absent.append("raw_files.tsv")
    return Results(folder, settings, tables, segments, split, stores, benchmarks, raw_files, absent)


def _jobs(settings: Settings, units: list[str]) -> dict[str, set]:
    """The jobs of each rule that has one for each checkpoint, video, extractor or fold."""
    shards = range(-(-len(units) // settings.options.get("shard_units", 1)))
    of_extractors = {key: set(settings.extractors) for key in ("merge", "imported")}
    of_shards = {f"features-{name}": {str(k) for k in shards} for name in settings.extractors}
    of_folds = {f"train-{run}": {str(k) for k in range(settings.folds)} for run in settings.runs}
    of_units = {key: set(units) for key in ("faces", "audio", "words")}
    single = {"demo_corpus": {settings.generated}, "weights": set(settings.weights), "split": {settings.protocol}}
    return {**single, **of_units, **of_extractors, **of_shards, **of_folds}


def _table(path: Path, columns: tuple[str, ...], absent: list[str]) -> pd.DataFrame | None:
    if not path.exists():
        absent.append(f"tables/{path.name}")
        return None
    try:
        header = pd.read_csv(path, nrows=0).columns
        kinds = {name: str for name in TEXT_COLUMNS if name in header}
        table = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values={c: ["", "nan"] for c in header})
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: not a table ({error}); delete it and let the workflow make it again") from None
    lacking = [column for column in columns if column not in table]
    if lacking:
        raise InputError(f"{path}: lacks the columns {lacking}; delete it and let the workflow make it again")
    return table


def _store(path: Path) -> Store:
    store = FeatureStore(path)
    return Store(path.name, len(store), store.shape[0], store.dim, store.attributes)


def histories(results: Results, run: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield fold, seed and the history of every training of one run."""
    for folder in results.trainings(run):
        path = folder / "history.csv"
        history = pd.read_csv(path) if path.exists() else ()
        if len(history):
            yield folder.parent.name.removeprefix("fold"), folder.name.removeprefix("seed"), history


def run_infos(results: Results, runs: Iterable[str]) -> Iterator[dict]:
    """What every training of some runs says of itself."""
    for folder in (folder for run in runs for folder in results.trainings(run)):
        if (folder / "run.json").exists():
            yield json.loads((folder / "run.json").read_text(encoding="utf-8"))


def picture_with_notes(results: Results, name: str) -> tuple[bytes, dict] | None:
    """``tables/<name>.jpg`` and the notes beside it in ``.json``; None where either is absent."""
    picture, notes = (results.folder / "tables" / f"{name}{ending}" for ending in (".jpg", ".json"))
    if not (picture.exists() and notes.exists()):
        return None
    return picture.read_bytes(), json.loads(notes.read_text(encoding="utf-8"))
