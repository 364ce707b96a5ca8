"""Read a results folder into memory: every table and file the report is made of, and which of them are not there."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.records import InputError, Segment, read_table
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
        if not isinstance(given, dict) or not isinstance(given.get("config"), dict):
            raise InputError(f'{path}: expected an object with the key "config"; let the workflow write it again')
        config, root = given["config"], given.get("root")
        options = _options(config, corpus)
        return cls(
            corpus=corpus,
            config=config,
            root=None if root is None else str(root),
            scale=str(given.get("scale") or config.get("scale") or ("demo" if root is None else "research")),
            demonstration=bool(given.get("demonstration", root is None)),
            protocol=given.get("protocol") or options.get("protocol"),
            software=given.get("software") or {},
            revision=given.get("revision"),
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
    absent: list[str] = field(default_factory=list)

    def run_folder(self, run: str) -> Path:
        """Where the files of one run are."""
        return self.folder / "runs" / run


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
    stores = [_store(path) for path in sorted((folder / "features").glob("*.h5"))]
    if not stores:
        absent.append("features/*.h5")
    benchmarks = _benchmarks(folder / "benchmarks")
    if benchmarks is None:
        absent.append("benchmarks/<rule>/*.tsv")
    return Results(folder, settings, tables, segments, split, stores, benchmarks, absent)


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


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:  # Snakemake writes "-" or NA where a job was too short to be looked at
        return None
    return value if value == value else None


def _benchmarks(folder: Path) -> pd.DataFrame | None:
    """One row per job: rule, job, s, max_rss_mb, cpu_s (None where Snakemake could not look)."""
    rows = []
    for path in sorted(folder.glob("**/*.tsv")):
        relative = path.relative_to(folder)
        rule = relative.parts[0] if len(relative.parts) > 1 else path.stem
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                rows.append(
                    {
                        "rule": rule,
                        "job": "/".join(relative.with_suffix("").parts[1:]) or path.stem,
                        "s": _number(row.get("s")),
                        "max_rss_mb": _number(row.get("max_rss")),
                        "cpu_s": _number(row.get("cpu_time")),
                    }
                )
    return pd.DataFrame(rows, columns=["rule", "job", "s", "max_rss_mb", "cpu_s"]) if rows else None


def histories(results: Results, run: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield fold, seed and the history of every training of one run."""
    for path in sorted(results.run_folder(run).glob("fold*/seed*/history.csv")):
        history = pd.read_csv(path)
        if len(history):
            yield path.parts[-3].removeprefix("fold"), path.parts[-2].removeprefix("seed"), history


def picture_with_notes(results: Results, name: str) -> tuple[bytes, dict] | None:
    """``tables/<name>.jpg`` and the notes beside it in ``.json``; None where either is absent."""
    picture, notes = (results.folder / "tables" / f"{name}{ending}" for ending in (".jpg", ".json"))
    if not (picture.exists() and notes.exists()):
        return None
    return picture.read_bytes(), json.loads(notes.read_text(encoding="utf-8"))
