"""Prediction files of a fold: read, checked, and laid out as one row for each seed over the same items.

Task ``segment``: ``predictions.tsv`` with segment_id, seed, part, label, predicted and p_<class> for each class.
Task ``frame``: ``predictions.parquet`` with segment_id, seed, part, frame, time_s, valid, valence, arousal,
valence_predicted, arousal_predicted.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.records import InputError

FILE = {"segment": "predictions.tsv", "frame": "predictions.parquet"}
COLUMNS = {
    "segment": ("segment_id", "seed", "part", "label", "predicted"),
    "frame": (
        *("segment_id", "seed", "part", "frame", "time_s", "valid"),
        *("valence", "arousal", "valence_predicted", "arousal_predicted"),
    ),
}
AGAIN = "delete it and let the workflow make it again"


@dataclass(frozen=True)
class Predictions:
    """What every seed of one run predicted for one part of one fold; items are ordered by segment and frame."""

    segments: tuple[str, ...]  # names, sorted
    segment: np.ndarray  # (N,) index into segments
    frame: np.ndarray  # (N,) frame of the video; 0 for task segment
    time_s: np.ndarray  # (N,) middle or start of the frame as the run wrote it; NaN for task segment
    valid: np.ndarray  # (N,) whether the truth is known
    seeds: tuple[int, ...]  # ascending
    classes: tuple[str, ...]  # () for task frame
    truth: np.ndarray  # (N,) index into classes, or (N, 2) valence and arousal
    predicted: np.ndarray  # (S, N), or (S, N, 2)

    def __len__(self) -> int:
        return len(self.segment)

    @property
    def fingerprint(self) -> str:
        """A digest of the items and their truth: equal for runs that were tested on the same."""
        digest = hashlib.sha256("\0".join((*self.segments, *self.classes)).encode())
        for array in (self.segment, self.frame, np.asarray(self.truth, np.float32)):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def model_and_modalities(run: str) -> tuple[str, str]:
    """Split a run's name, ``self-A+V+T``, into model and modalities; raises InputError where it has another form."""
    match = re.fullmatch(r"(.+)-(A(?:\+V)?(?:\+T)?|V(?:\+T)?|T)", run)
    if not match:
        raise InputError(f"run {run!r} is not named MODEL-MODALITIES, with modalities like A, V+T or A+V+T")
    return match[1], match[2]


def prediction_file(results: str | Path, run: str, fold: int, task: str) -> Path:
    """Where a run's predictions of a fold are; raises InputError where there is no such file."""
    path = Path(results) / "runs" / run / f"fold{fold}" / FILE[task]
    if not path.is_file():
        raise InputError(f"{path}: not there; train run {run!r} on fold {fold} first, or take the run out of the list")
    return path


def read_predictions(path: str | Path, task: str, part: str, valid_only: bool = True) -> Predictions | None:
    """Read one part (development, test, unlabelled) of a prediction file; None where the file has no row of it.

    Frames whose truth is unknown (``valid`` false) are left out unless ``valid_only`` is false. Raises InputError where
    a column lacks, a class is unknown, a prediction is not a number, or the seeds do not cover the same items.
    """
    path = Path(path)
    return (_read_segments if task == "segment" else _read_frames)(path, part, valid_only)


def _read_segments(path: Path, part: str, valid_only: bool) -> Predictions | None:
    import pandas

    header = pandas.read_csv(path, sep="\t", nrows=0).columns
    classes = tuple(name[2:] for name in header if name.startswith("p_"))
    _require(path, header, COLUMNS["segment"])
    if not classes:
        raise InputError(f"{path}: has no column p_<class>; {AGAIN}")
    kinds = {"segment_id": str, "seed": np.int64, "part": str, "label": str, "predicted": str}
    table = pandas.read_csv(path, sep="\t", usecols=list(kinds), dtype=kinds, keep_default_na=False)
    table = table[table["part"] == part]
    if not len(table):
        return None
    code = {name: i for i, name in enumerate(classes)}
    codes = {}
    for column in ("label", "predicted"):
        unknown = sorted(set(table[column]) - set(code))
        if unknown:
            raise InputError(
                f"{path}: column {column} holds {unknown[0]!r}; its classes are {', '.join(classes)}; {AGAIN}"
            )
        codes[column] = table[column].map(code).to_numpy(np.int64)
    segments, segment = np.unique(table["segment_id"].to_numpy(str), return_inverse=True)
    n = len(table)
    columns = {"frame": np.zeros(n, np.int64), "time_s": np.full(n, np.nan), "valid": np.ones(n, bool)}
    return _by_seed(
        path,
        tuple(segments.tolist()),
        segment,
        table["seed"].to_numpy(),
        columns,
        classes,
        codes["label"],
        codes["predicted"],
    )


def _read_frames(path: Path, part: str, valid_only: bool) -> Predictions | None:
    import pyarrow.parquet as parquet

    _require(path, parquet.read_schema(path).names, COLUMNS["frame"])
    keep = [("part", "=", part)] + ([("valid", "=", True)] if valid_only else [])
    table = parquet.read_table(path, columns=list(COLUMNS["frame"]), filters=keep, read_dictionary=["segment_id"])
    if not len(table):
        return None
    table = table.unify_dictionaries()  # one of all row groups
    names = table["segment_id"].combine_chunks()
    segments, rank = np.unique(np.array(names.dictionary.to_pylist()), return_inverse=True)
    segment = rank[names.indices.to_numpy()]
    used, segment = np.unique(segment, return_inverse=True)
    columns = {name: table[name].to_numpy() for name in ("frame", "time_s", "valid")}
    truth, predicted = (
        np.stack([table[f"{name}{suffix}"].to_numpy() for name in ("valence", "arousal")], axis=-1).astype(np.float64)
        for suffix in ("", "_predicted")
    )
    for what, values, need in (("label", truth, columns["valid"]), ("prediction", predicted, slice(None))):
        if not np.isfinite(values[need]).all():
            raise InputError(f"{path}: a {what} of the {part} part is not a number; {AGAIN}")
    seed = table["seed"].to_numpy()
    return _by_seed(path, tuple(segments[used].tolist()), segment, seed, columns, (), truth, predicted)


def _require(path: Path, have, need) -> None:
    missing = [name for name in need if name not in set(have)]
    if missing:
        raise InputError(f"{path}: lacks the columns {', '.join(missing)}; {AGAIN}")


def _by_seed(path, segments, segment, seed, columns, classes, truth, predicted) -> Predictions:
    """Bring rows into the order seed, segment, frame, and check that every seed has the same items and truth."""
    order = np.lexsort((columns["frame"], segment, seed))
    seeds, counts = np.unique(seed, return_counts=True)
    if len(set(counts.tolist())) > 1:
        raise InputError(f"{path}: seeds {seeds.tolist()} have {counts.tolist()} items; all need the same; {AGAIN}")

    def rows(values):
        return values[order].reshape(len(seeds), counts[0], *values.shape[1:])

    key = np.stack([rows(segment), rows(columns["frame"])])
    answers = rows(truth)
    if (key != key[:, :1]).any() or not np.array_equal(
        answers, np.broadcast_to(answers[0], answers.shape), equal_nan=True
    ):
        raise InputError(f"{path}: its seeds were not tested on the same items with the same truth; {AGAIN}")
    if (np.diff(key[0, 0]) == 0)[np.diff(key[1, 0]) == 0].any():
        raise InputError(f"{path}: an item is there twice for one seed; {AGAIN}")
    first = {name: rows(values)[0] for name, values in columns.items()}
    return Predictions(
        segments=segments,
        segment=key[0, 0],
        seeds=tuple(seeds.tolist()),
        classes=classes,
        truth=answers[0],
        predicted=rows(predicted),
        **first,
    )
