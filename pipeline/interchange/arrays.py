"""NumPy .npz with the arrays of a feature store under their own names, written and read in blocks."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.files import replacing
from pipeline.records import InputError
from pipeline.stand_in import stand_in
from pipeline.store import FeatureStore, Rows

MAX_PACKED = 100  # largest plausible compression ratio


def write(store: FeatureStore, out: Path) -> None:
    """Write segment_id, offset, values, time_s and valid, in blocks, so that memory does not grow with the store."""
    ragged = {key: store.dataset(key) for key in ("values", "time_s", "valid")}
    with replacing(out) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for key, array in (("segment_id", np.array(store.segment_ids, dtype=str)), ("offset", store.offset)):
            with archive.open(f"{key}.npy", "w") as member:
                np.lib.format.write_array(member, array)
        for key, dataset in ragged.items():
            header = {"descr": dataset.dtype.str, "fortran_order": False, "shape": dataset.shape}
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                for first in range(0, len(dataset), store.block_rows):
                    member.write(np.ascontiguousarray(store.array(key, first, first + store.block_rows)).tobytes())


def read(path: Path) -> Iterator[tuple[str, Rows]]:
    """Yield the segments of such a file, sorted; raises InputError where arrays are missing or do not fit."""
    try:
        yield from _read(path)
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        reason = "; ".join(stand_in(path) or [str(error) or type(error).__name__])
        raise InputError(f"{path}: not a whole NumPy .npz file of plain arrays ({reason}); write it again") from None


def _read(path: Path) -> Iterator[tuple[str, Rows]]:
    with zipfile.ZipFile(path) as archive:
        claimed(path, sum(member.file_size for member in archive.infolist()))
    with np.load(path, allow_pickle=False) as file:
        needed = ("segment_id", "offset", "values", "time_s")
        missing = [key for key in needed if key not in file.files]
        if missing:
            raise InputError(f"{path}: lacks the arrays {missing}; expected {', '.join(needed)} and optionally valid")
        ids, offset, values, time_s = (file[key] for key in needed)
        valid = file["valid"] if "valid" in file.files else np.ones(len(values), bool)
    rows = len(values)
    if values.ndim != 2 or time_s.shape != (rows, 2) or valid.shape != (rows,) or ids.ndim != 1:
        raise InputError(
            f"{path}: segment_id {ids.shape}, values {values.shape}, time_s {time_s.shape}, valid {valid.shape}; "
            "expected (S,), (N, D), (N, 2), (N,)"
        )
    for key, array, kinds in (("offset", offset, "iu"), ("values", values, "fiub"), ("time_s", time_s, "fiu")):
        if array.dtype.kind not in kinds:
            raise InputError(f"{path}: {key} holds {array.dtype}, expected {'whole ' * (kinds == 'iu')}numbers")
    good = offset.shape == (len(ids) + 1,) and offset[0] == 0 and offset[-1] == rows and (np.diff(offset) >= 0).all()
    if not good:
        raise InputError(
            f"{path}: offset does not divide {rows} rows among {len(ids)} segments; expected one entry more than "
            "segments, ascending from 0 to the number of rows"
        )
    names, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(f"{path}: names the segment {names[counts > 1][0]} twice; give each once")
    for i in np.argsort(ids):
        a, b = offset[i], offset[i + 1]
        yield str(ids[i]), Rows(values[a:b].astype(np.float32), time_s[a:b].astype(float), valid[a:b].astype(bool))


def claimed(path: Path, size: int) -> None:
    """Raise InputError where a file of this length says that it holds ``size`` bytes, which would not fit in memory."""
    there = path.stat().st_size
    if size > MAX_PACKED * there + (100 << 20):
        raise InputError(f"{path}: claims {size / 1e9:.1f} GB of numbers in {there / 1e6:.1f} MB; write it again")
