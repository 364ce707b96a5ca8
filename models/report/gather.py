"""Read a results folder into memory: every table and file the report is made of, and which of them are not there.

A folder may hold what an earlier configuration left: stores, runs, tests of runs, folds, seeds and jobs that this one
does not name are no part of its report. What this configuration does not make is not missed.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from models.evaluation.contrast import candidates
from models.predictions import RUN, fold_folder, read_run, seed_folder
from models.protocols.groups import speakers_known
from models.report.html import data_uri
from models.settings import Settings
from pipeline.records import InputError
from pipeline.store import FeatureStore

TABLES = {  # name: columns the report needs
    "scores": ("model", "modalities", "protocol", "turns", "fold", "seed", "metric", "value", "chance"),
    "significance": (
        "question",
        "role",
        "a",
        "b",
        "metric",
        "difference",
        "ci_low",
        "ci_high",
        "p_equivalence_holm",
        "verdict",
    ),
    "coverage": ("unit", "segment", "modality", "status", "reason", "cause"),
    "confusion": ("model", "modalities", "fold", "seed", "label", "predicted", "count"),
    "per_video": ("model", "modalities", "fold", "seed", "segment_id"),
    "missing_modalities": ("model", "modalities", "fold", "seed", "without", "metric", "value"),
    "leaks": ("fold", "part", "known_from", "group", "items", "shared"),
}
BENCHMARKS = ("rule", "job", "s", "max_rss_mb", "cpu_s")
OPTIONAL = ("leaks", "missing_modalities")
"""Tables whose absence is not reported."""
TEXT_COLUMNS = (
    "fold", "seed", "label", "predicted", "unit", "segment", "segment_id", "unit_id", "speaker", "session", "dialog",
    "rater", "labels", "scenario", "style", "shard", "reason", "cause", "status", "modality", "part", "model",
    "modalities",
)  # fmt: skip


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
    """What was found under ``results/<corpus>``; tables that were not are empty, and ``absent`` names them."""

    folder: Path
    settings: Settings
    tables: dict[str, pd.DataFrame]
    segments: pd.DataFrame | None
    split: pd.DataFrame | None
    stores: list[Store]
    benchmarks: pd.DataFrame | None
    raw_files: list[dict]
    ratings: pd.DataFrame
    absent: list[str]

    @cached_property
    def speakers(self) -> int | None:
        """How many people speak; None where nobody has said who does."""
        if self.segments is None or not speakers_known(self.segments.itertuples()):
            return None
        return self.segments["speaker"].nunique()

    def fold_folders(self, run: str) -> list[Path]:
        """Where the files of each fold of one run are."""
        return [fold_folder(self.folder, run, fold) for fold in range(self.settings.folds)]

    def trainings(self, run: str) -> list[Path]:
        """Where the files of each fold and seed of one run are."""
        return [seed_folder(fold, seed) for fold in self.fold_folders(run) for seed in self.settings.seeds]

    @cached_property
    def run_infos(self) -> dict[str, list[dict]]:
        """What every training of each run says of itself."""
        folders = {run: self.trainings(run) for run in self.settings.runs}
        return {run: [read_run(folder) for folder in of if (folder / RUN).exists()] for run, of in folders.items()}


def wanted_tables(settings: Settings) -> list[str]:
    """The tables that a run of these settings leaves."""
    names = ["scores", "coverage"]
    names += ["significance"] if settings.contrasts else []
    names += [] if settings.task.numbers else ["confusion"]
    return names + (["per_video"] if settings.task.frames else [])


def read(folder: Path, settings: Settings) -> Results:
    """Gather everything; raises InputError where a file is there but broken, or where nothing at all is there."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the results folder of one corpus, such as results/CORPUS")
    absent: list[str] = []
    tables = {name: pd.DataFrame(columns=columns) for name, columns in TABLES.items()}
    for name in (*OPTIONAL, *wanted_tables(settings)):
        tables[name] = _table(folder, f"tables/{name}.csv", TABLES[name], [] if name in OPTIONAL else absent)
    for name in ("scores", "confusion", "per_video", "missing_modalities"):
        tables[name]["run"] = tables[name]["model"] + "-" + tables[name]["modalities"]
    tested = tables["significance"]
    known = [settings.runs.keys() >= {row["a"], *candidates(row)} for row in tested.to_dict("records")]
    tables["significance"] = tested.loc[known]
    segments = _table(folder, "segments.tsv", ("segment_id", "unit_id", "speaker", "start_s", "end_s"), absent)
    split = _table(folder, f"splits/{settings.protocol.name}.tsv", ("segment_id", "fold", "part"), absent)
    stores = [_store(path) for path in _store_files(folder, settings, absent)]
    units = _table(folder, "units.tsv", ("unit_id", "shard"), absent)
    files = set(units["shard"].fillna(units["unit_id"]))  # as Unit.file
    shared = folder.parent / "benchmarks"  # what is made once for all corpora
    benchmarks = read_benchmarks((shared, folder / "benchmarks"), _jobs(settings, files))
    if benchmarks is None:
        absent.append("benchmarks/<rule>/*.tsv")
    raw_files = _table(folder, "raw_files.tsv", ("what", "files", "bytes", "sha256"), absent).to_dict("records")
    ratings = _table(folder, "raters.tsv", ("segment_id", "rater", "labels"), [])
    segments, split = (None if table.empty else table for table in (segments, split))
    return Results(folder, settings, tables, segments, split, stores, benchmarks, raw_files, ratings, absent)


def _store_files(folder: Path, settings: Settings, absent: list[str]) -> list[Path]:
    """The stores that runs read, and configured ones that are there although no run reads them."""
    read_by_runs = settings.stores_read
    names = sorted({*read_by_runs, *settings.extractors})
    files = {name: folder / "features" / f"{name}.h5" for name in names}
    absent += [f"features/{name}.h5" for name in names if name in read_by_runs and not files[name].exists()]
    return [path for path in files.values() if path.exists()]


def _jobs(settings: Settings, files: set[str]) -> dict[str, set]:
    """The jobs of each rule that has one for each checkpoint, file of recordings, extractor, protocol, run or fold."""
    of_extractors = {key: set(settings.extractors) for key in ("merge", "joined", "imported")}
    parts = {str(k) for k in range(settings.feature_jobs)}
    of_parts = {f"features-{name}": parts for name in settings.extractors}
    trainings, runs = set(settings.training_jobs), set(settings.runs)
    of_runs = {f"train-{run}": trainings for run in runs} | {"pack": runs}
    of_files = dict.fromkeys(("faces", "audio", "words"), files)
    of_protocols = {key: {settings.protocol.name} for key in ("split", "targets")}
    weights = {"demo" if name.startswith("demo--") else name for name in settings.weights}  # those are made together
    shared = {"demo_corpus": {settings.generated}, "weights": weights}
    return {**shared, **of_protocols, **of_files, **of_extractors, **of_parts, **of_runs}


def read_benchmarks(folders: Iterable[Path], jobs: Mapping[str, set[str]]) -> pd.DataFrame | None:
    """One row per job: rule, job, s, max_rss_mb, cpu_s (None where Snakemake could not look); None without any.

    Of a rule in ``jobs`` only the jobs named there, and no extractor or run that is not in it; of other rules the one
    job for the whole corpus.
    """
    rows = []
    for path in (path for folder in folders for path in sorted(folder.glob("*/*.tsv"))):
        rule, job = path.parent.name, path.stem
        allowed = jobs.get(rule, set() if rule.startswith(("features-", "train-")) else {"all"})
        if job not in allowed:
            continue
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                rows.append((rule, job, *(_number(row.get(name)) for name in ("s", "max_rss", "cpu_time"))))
    return pd.DataFrame(rows, columns=BENCHMARKS) if rows else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:  # Snakemake writes "-" or NA where a job was too short to be looked at
        return None
    return value if value == value else None


def _table(folder: Path, name: str, columns: tuple[str, ...], absent: list[str]) -> pd.DataFrame:
    """A table with these columns, and others; an empty one, and its name in ``absent``, where there is none."""
    path = folder / name
    if not path.exists():
        absent.append(name)
        return pd.DataFrame(columns=columns)
    options = {"sep": "\t" if path.suffix == ".tsv" else ",", "keep_default_na": False}
    options["encoding_errors"] = "backslashreplace"  # names of raw files that are not UTF-8
    try:
        header = pd.read_csv(path, nrows=0, **options).columns
        kinds = {name: str for name in TEXT_COLUMNS if name in header}
        nothing = {name: [""] if name in kinds else ["", "nan"] for name in header}  # someone may be called nan
        table = pd.read_csv(path, dtype=kinds, na_values=nothing, **options)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: not a table ({error}); delete it and let the workflow make it again") from None
    lacking = [column for column in columns if column not in table]
    if lacking:
        raise InputError(f"{path}: lacks the columns {lacking}; delete it and let the workflow make it again")
    return table


def _store(path: Path) -> Store:
    store = FeatureStore(path)
    return Store(path.name, len(store), store.shape[0], store.dim, store.attributes)


def histories(results: Results, run: str) -> Iterator[pd.DataFrame]:
    """Yield the history of every training of one run."""
    for folder in results.trainings(run):
        path = folder / "history.csv"
        history = pd.read_csv(path) if path.exists() else ()
        if len(history):
            yield history


def contact_sheet(results: Results) -> dict | None:
    """The notes on the picture of faces, and the picture itself as ``uri``; None where either is absent."""
    picture, notes = (results.folder / "tables" / f"contact_sheet.{ending}" for ending in ("jpg", "json"))
    if not (picture.exists() and notes.exists()):
        return None
    return {**json.loads(notes.read_text(encoding="utf-8")), "uri": data_uri("image/jpeg", picture.read_bytes())}
