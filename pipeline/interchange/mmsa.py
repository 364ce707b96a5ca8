"""The pickle layout of MMSA: ``{train, valid, test: {id, raw_text, audio, vision, text, ..._lengths, labels}}``.

Sequences are padded with zeros at their end to one length per modality. Arrays are filled in files on disk and pickled
from there, so memory does not grow with the corpus.
"""

import errno
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np

from pipeline.files import replacing
from pipeline.records import InputError, Segment
from pipeline.store import FeatureStore

PARTS = {"train": "training", "valid": "development", "test": "test"}
BLOCK_BYTES = 1 << 24
NAMES = {"audio": "audio", "video": "vision", "text": "text"}


def write(
    stores: list[FeatureStore],
    out: Path,
    segments: list[Segment],
    parts: dict[str, list[str]],
    labels: dict[str, str],
    numbers: dict[str, float],
) -> None:
    """Write one fold of a split.

    Args:
        stores: one store per modality (audio, video, text); at least one.
        out: the pickle file.
        segments: the corpus's segments, for their text.
        parts: the parts of each segment in the fold: training, development or test, or several of them.
        labels: class of each segment after merging; class numbers follow their sorted names.
        numbers: what regression_labels are, of each segment of which it is known.

    Raises:
        InputError: two stores of one modality, or a segment of the split that a store lacks.
    """
    by_name: dict[str, FeatureStore] = {}
    for store in stores:
        name = NAMES[store.attributes["modality"]]
        if name in by_name:
            raise InputError(f"{store.path} and {by_name[name].path} are both {name}; give one store per modality")
        by_name[name] = store
    known = {segment.segment_id: segment for segment in segments}
    classes = sorted(set(labels.values()))
    with tempfile.TemporaryDirectory(dir=out.parent if out.parent.exists() else None) as folder:
        result = {}
        for part, ours in PARTS.items():
            ids = sorted(s for s, own in parts.items() if ours in own)
            table = {
                "id": ids,
                "raw_text": np.array([known[s].text or "" for s in ids], dtype=object),
                "annotations": [labels.get(s, "") for s in ids],
                "classification_labels": np.array([classes.index(labels[s]) if s in labels else -1 for s in ids]),
                "regression_labels": np.array([numbers.get(s, np.nan) for s in ids], np.float32),
            }
            for name, store in by_name.items():
                table[name], lengths = _padded(store, ids, Path(folder) / f"{part}-{name}")
                table[f"{name}_lengths"] = lengths
            result[part] = table
        with replacing(out) as temporary, temporary.open("wb") as stream:
            pickle.dump(result, stream, protocol=5)


def _padded(store: FeatureStore, ids: list[str], path: Path) -> tuple[np.ndarray, list[int]]:
    missing = [s for s in ids if s not in store]
    if missing:
        raise InputError(f"{store.path}: lacks {missing[0]} and {len(missing) - 1} more segments of the split")
    ranges = [store.row_range(s) for s in ids]
    lengths = [b - a for a, b in ranges]
    shape = (len(ids), max(lengths, default=0) or 1, store.dim)
    if not ids:
        return np.zeros(shape, np.float32), lengths
    _reserve(path, int(np.prod(shape)) * 4)
    array = np.memmap(path, np.float32, "r+", shape=shape)
    at = {segment_id: k for k, segment_id in enumerate(ids)}
    for segment_id, rows in store.read(ids):
        array[at[segment_id], : len(rows)] = rows.values
    array.flush()
    return np.asarray(array), lengths


def _reserve(path: Path, size: int) -> None:
    """Take a file's room on the disk at once; to write into a map of a file without room would end the process."""
    with path.open("wb") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, max(size, 1))
        except (AttributeError, OSError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise OSError(error.errno, error.strerror, str(path)) from None
            for first in range(0, size, BLOCK_BYTES):  # not every system can take room without writing
                stream.write(bytes(min(BLOCK_BYTES, size - first)))
