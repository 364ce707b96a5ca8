"""NumPy .npz with the arrays of a feature store under their own names, written and read in blocks."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.records import InputError, replacing
from pipeline.store import FeatureStore, Rows

BLOCK_ROWS = 65536


def write(store: FeatureStore, out: Path) -> None:
    """Write segment_id, offset, values, time_s and valid, in blocks, so that memory does not grow with the store."""
    ragged = {key: store.file[key] for key in ("values", "time_s", "valid")}
    with replacing(out) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for key, array in (("segment_id", np.array(store.segment_ids, dtype=str)), ("offset", store.offset)):
            with archive.open(f"{key}.npy", "w") as member:
                np.lib.format.write_array(member, array)
        for key, dataset in ragged.items():
            header = {"descr": dataset.dtype.str, "fortran_order": False, "shape": dataset.shape}
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                for first in range(0, len(dataset), BLOCK_ROWS):
                    member.write(np.ascontiguousarray(dataset[first : first + BLOCK_ROWS]).tobytes())


def read(path: Path) -> Iterator[tuple[str, Rows]]:
    """Yield the segments of such a file, sorted; raises InputError where arrays are missing or do not fit."""
    try:
        file = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a NumPy .npz file ({error})") from None
    needed = ("segment_id", "offset", "values", "time_s")
    missing = [key for key in needed if key not in getattr(file, "files", ())]
    if missing:
        raise InputError(f"{path}: lacks the arrays {missing}; expected {', '.join(needed)} and optionally valid")
    ids, offset, values, time_s = (file[key] for key in needed)
    valid = file["valid"] if "valid" in file.files else np.ones(len(values), bool)
    if len(offset) != len(ids) + 1 or offset[-1] != len(values):
        raise InputError(
            f"{path}: offset has {len(offset)} entries to {offset[-1]} for {len(ids)} segments of {len(values)} rows; "
            "expected one more than segments, the last equal to the rows"
        )
    for i in np.argsort(ids):
        a, b = offset[i], offset[i + 1]
        yield str(ids[i]), Rows(values[a:b].astype(np.float32), time_s[a:b].astype(float), valid[a:b].astype(bool))
