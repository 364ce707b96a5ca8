"""What training leaves under ``runs/``: where it lies, and the prediction files of its folds, written and read.

``predictions.parquet`` has segment_id, seed and part, one row for each segment; tasks of frames one row for each frame,
with frame, time_s and valid. Classes: label, predicted and p_<class> for each class. Numbers: truth_<target> and
prediction_<target> for each target. A truth that is not known is an empty label or NaN.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.task import Task
from pipeline.files import replacing
from pipeline.records import InputError

FILE, RUN = "predictions.parquet", "run.json"
AGAIN = "delete it and let the workflow make it again"
Columns = dict[str, np.ndarray]
Coded = tuple[np.ndarray, np.ndarray]  # a column of text: different values, and which of them a row has


def truth_columns(task: Task) -> list[str]:
    """Columns that hold the truth."""
    return [f"truth_{name}" for name in task.targets] or ["label"]


def prediction_columns(task: Task) -> list[str]:
    """Columns that hold what was predicted, without the probabilities of classes."""
    return [f"prediction_{name}" for name in task.targets] or ["predicted"]


@dataclass(frozen=True)
class Predictions:
    """What every seed of one run predicted for one part of one fold; items are ordered by segment and frame."""

    segments: tuple[str, ...]  # names, sorted
    segment: np.ndarray  # (N,) index into segments
    frame: np.ndarray  # (N,) frame of the video; 0 where segments are predicted
    seeds: tuple[int, ...]  # ascending
    classes: tuple[str, ...]  # () for numbers
    truth: np.ndarray  # (N,) index into classes, -1 where unknown; or (N, targets)
    predicted: np.ndarray  # (S, N), or (S, N, targets)

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


def fold_folder(results: str | Path, run: str, fold: int) -> Path:
    """Where a run's files of one fold are."""
    return Path(results) / "runs" / run / f"fold{fold}"


def seed_folder(fold: Path, seed: int) -> Path:
    """Where the files of one training are, within the folder of its fold."""
    return fold / f"seed{seed}"


def seed_folders(fold: Path) -> list[Path]:
    """The folders of the finished trainings whose predictions a fold has, by seed; others may lie beside them."""
    from pyarrow import parquet

    if not (fold / FILE).is_file():
        return []
    seeds = parquet.read_table(fold / FILE, columns=["seed"])["seed"].unique().to_pylist()
    return [folder for seed in sorted(seeds) if ((folder := seed_folder(fold, seed)) / RUN).is_file()]


def fold_and_seed(folder: Path) -> tuple[int, int]:
    """Fold and seed of a training's folder."""
    return int(folder.parent.name.removeprefix("fold")), int(folder.name.removeprefix("seed"))


def read_run(folder: Path) -> dict:
    """What a finished training says of itself."""
    return json.loads((folder / RUN).read_text(encoding="utf-8"))


def prediction_file(results: str | Path, run: str, fold: int) -> Path:
    """Where a run's predictions of a fold are; raises InputError where there is no such file."""
    path = fold_folder(results, run, fold) / FILE
    if not path.is_file():
        raise InputError(f"{path}: not there; train run {run!r} on fold {fold} first, or take the run out of the list")
    return path


def read_folds(
    results: str | Path, run: str, folds: int, task: Task
) -> Iterator[tuple[Predictions, Predictions | None]]:
    """Yield what a run predicted for the test and the development part of each fold; None where there is none.

    Raises InputError where a file or its test part is absent, or a part's seeds or classes are not those of the first.
    """
    first = None
    for fold in range(folds):
        path = prediction_file(results, run, fold)
        test = read_predictions(path, task, "test")
        if test is None:
            raise InputError(f"{path}: holds no item of the test part; check the split and train fold {fold} again")
        development = read_predictions(path, task, "development")
        first = first or test
        for name, part in (("test", test), ("development", development)):
            if part is not None and (part.seeds, part.classes) != (first.seeds, first.classes):
                raise InputError(
                    f"{path}: seeds or classes of the {name} part are not those of the test part of fold 0; train all "
                    "folds with the same"
                )
        yield test, development


def write_columns(path: Path, columns: dict) -> None:
    """Write the columns of one seed as predictions.parquet; texts are given as codes and what they stand for."""
    import pyarrow
    from pyarrow import parquet

    def column(values):
        if isinstance(values, tuple):
            codes, names = values
            return pyarrow.DictionaryArray.from_arrays(_numbers(codes.astype(np.int32)), _texts(names))
        return _numbers(values)

    with replacing(path) as temporary:
        parquet.write_table(pyarrow.table({name: column(values) for name, values in columns.items()}), temporary)


# ``pyarrow.array`` imports pandas to know what it is given, for longer than a short training lasts.


def _numbers(values: np.ndarray):
    import pyarrow

    held = np.packbits(values, bitorder="little") if values.dtype == bool else np.ascontiguousarray(values)
    kind = pyarrow.from_numpy_dtype(values.dtype)
    return pyarrow.Array.from_buffers(kind, len(values), [None, pyarrow.py_buffer(held)])


def _texts(names: Sequence[str]):
    import pyarrow

    encoded = [name.encode() for name in names]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pyarrow.StringArray.from_buffers(len(names), pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(encoded)))


def join_files(paths: Sequence[Path], out: Path) -> None:
    """Join the prediction files of several seeds, in the given order; one seed in memory at a time."""
    from pyarrow import parquet

    with replacing(out) as temporary, parquet.ParquetWriter(temporary, parquet.read_schema(paths[0])) as writer:
        for path in paths:
            with parquet.ParquetFile(path) as file:
                writer.write_table(file.read())


def read_predictions(path: str | Path, task: Task, part: str, valid_only: bool = True) -> Predictions | None:
    """Read one part (development, test, unlabelled) of a prediction file; None where the file has no row of it.

    Items whose truth is unknown are left out unless ``valid_only`` is false. Raises InputError where a column is
    missing, a class is unknown, a prediction is not a number, or the seeds do not cover the same items.
    """
    path = Path(path)
    columns, coded, classes = _rows(path, task, part)
    if task.numbers:
        of = truth_columns(task), prediction_columns(task)
        truth, predicted = (np.stack([columns[name] for name in names], axis=-1).astype(np.float64) for names in of)
        known, predictable = np.isfinite(truth).all(-1), np.isfinite(predicted).all(-1)
    else:
        truth, predicted = (_class_codes(path, name, coded[name], classes) for name in ("label", "predicted"))
        known, predictable = truth >= 0, predicted >= 0
    valid = columns.get("valid", known)
    for what, wrong in (("label", valid & ~known), ("prediction", ~predictable)):
        if wrong.any():
            kind = "a number" if task.numbers else "a class"
            raise InputError(f"{path}: a {what} of the {part} part is not {kind}; {AGAIN}")
    keep = valid if valid_only else np.ones(len(valid), bool)
    if not keep.any():
        return None
    names, segment = coded["segment_id"]
    rank = np.argsort(np.argsort(names))  # names are few: rows get the codes of sorted names
    used, segment = np.unique(rank[segment[keep]], return_inverse=True)
    segments = tuple(np.sort(names)[used].tolist())
    seed, frame = columns["seed"][keep], columns["frame"][keep]
    return _by_seed(path, segments, segment, seed, frame, classes, truth[keep], predicted[keep])


def _rows(path: Path, task: Task, part: str) -> tuple[Columns, dict[str, Coded], tuple[str, ...]]:
    """The rows of one part as they are in the file, and the classes: columns of numbers, and coded ones of text."""
    from pyarrow import parquet

    have = parquet.read_schema(path).names
    further = ["frame", "valid"] if task.frames else []
    wanted = ["segment_id", "seed", "part", *further, *truth_columns(task), *prediction_columns(task)]
    missing = [name for name in wanted if name not in have]
    if missing:
        raise InputError(f"{path}: lacks the columns {', '.join(missing)}; {AGAIN}")
    classes = () if task.numbers else tuple(name[2:] for name in have if name.startswith("p_"))
    if not (task.numbers or classes):
        raise InputError(f"{path}: has no column p_<class>; {AGAIN}")
    text = ["segment_id", *([] if task.numbers else ["label", "predicted"])]
    table = parquet.read_table(path, columns=wanted, filters=[("part", "=", part)], read_dictionary=text)
    table = table.unify_dictionaries()  # one of all row groups
    coded = {}
    for name in text:
        column = table[name].combine_chunks()
        coded[name] = np.array(column.dictionary.to_pylist(), dtype=str), column.indices.to_numpy()
    columns = {name: table[name].to_numpy() for name in wanted if name not in (*text, "part")}
    if not task.frames:
        columns["frame"] = np.zeros(len(table), np.int64)
    return columns, coded, classes


def _class_codes(path: Path, column: str, coded: Coded, classes: tuple[str, ...]) -> np.ndarray:
    """Index of the class of each row, -1 where there is none; raises InputError for a class that nobody knows."""
    names, code = coded
    number = {name: i for i, name in enumerate(classes)} | {"": -1}
    unknown = sorted({names[i] for i in np.unique(code)} - set(number))
    if unknown:
        raise InputError(f"{path}: column {column} holds {unknown[0]!r}; its classes are {', '.join(classes)}; {AGAIN}")
    return np.array([number.get(name, -1) for name in names.tolist()], np.int64)[code]


def _by_seed(path, segments, segment, seed, frame, classes, truth, predicted) -> Predictions:
    """Bring rows into the order seed, segment, frame, and check that every seed has the same items and truth."""
    order = np.lexsort((frame, segment, seed))
    seeds, counts = np.unique(seed, return_counts=True)
    if len(set(counts.tolist())) > 1:
        raise InputError(f"{path}: seeds {seeds.tolist()} have {counts.tolist()} items; all need the same; {AGAIN}")

    def rows(values):
        return values[order].reshape(len(seeds), counts[0], *values.shape[1:])

    key = np.stack([rows(segment), rows(frame)])
    answers = rows(truth)
    if (key != key[:, :1]).any() or not np.array_equal(
        answers, np.broadcast_to(answers[0], answers.shape), equal_nan=True
    ):
        raise InputError(f"{path}: its seeds were not tested on the same items with the same truth; {AGAIN}")
    if (np.diff(key[0, 0]) == 0)[np.diff(key[1, 0]) == 0].any():
        raise InputError(f"{path}: an item is there twice for one seed; {AGAIN}")
    return Predictions(
        segments=segments,
        segment=key[0, 0],
        frame=key[1, 0],
        seeds=tuple(seeds.tolist()),
        classes=classes,
        truth=answers[0],
        predicted=rows(predicted),
    )
