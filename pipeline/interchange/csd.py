"""CMU-MultimodalSDK computational sequences (.csd): HDF5 with one group of features and intervals per segment.

Layout (mmsdk 1.x): ``/<root name>/data/<segment>/{features, intervals}`` and ``/<root name>/metadata/<key>``, a JSON
string each. We add ``valid`` beside ``features``, which the SDK leaves alone.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.files import replacing
from pipeline.hdf5 import BROKEN, explained, open_to_read
from pipeline.interchange.arrays import claimed
from pipeline.records import InputError
from pipeline.store import FeatureStore, Rows


def metadata(store: FeatureStore) -> dict[str, str]:
    """Everything the SDK wants to be told of a sequence."""
    known = store.attributes
    return {
        "root name": known["name"],
        "computational sequence description": f"{known['extractor']} ({known['modality']}), made by affectflow",
        "dimension names": [f"{known['name']}_{k}" for k in range(store.dim)],
        "computational sequence version": str(known["extractor_version"]),
        "alignment compatible": True,
        "dataset name": known["corpus"],
        "dataset version": "unknown",
        "creator": "affectflow",
        "contact": "unknown",
        "featureset bib citation": json.dumps(known["weights"], sort_keys=True),
        "dataset bib citation": "unknown",
    }


def write(store: FeatureStore, out: Path) -> None:
    """Write a store as a computational sequence, one segment at a time; segments without rows get empty arrays."""
    import h5py

    with replacing(out) as temporary, h5py.File(temporary, "w") as file:
        root = file.create_group(store.attributes["name"])
        data = root.create_group("data")
        for segment_id, rows in store.read():
            group = data.create_group(segment_id)
            group["features"], group["intervals"], group["valid"] = rows.values, rows.time_s, rows.valid
        described = root.create_group("metadata")
        for key, value in metadata(store).items():
            described.create_dataset(key, data=[json.dumps(value)], dtype=h5py.string_dtype())


def read(path: Path) -> Iterator[tuple[str, Rows]]:
    """Yield the segments of a computational sequence, sorted; raises InputError for any other file."""
    try:
        with open_to_read(path) as file:
            roots = [name for name in file if _is_root(_own(path, file, name))]
            if len(roots) != 1:
                raise InputError(f"{path}: expected one root with a group 'data', found {roots or list(file)}")
            data = _own(path, file[roots[0]], "data")
            for segment_id in sorted(data):
                yield segment_id, _rows(path, _own(path, data, segment_id), segment_id)
    except BROKEN as error:
        raise explained(path, error, "a computational sequence (.csd)", "write it again") from None


def _is_root(group) -> bool:
    import h5py

    return isinstance(group, h5py.Group) and "data" in group


def _own(path: Path, group, name: str):
    """A member of a group that lies in this file; raises InputError for a link to another file or to nothing."""
    import h5py

    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise InputError(
            f"{path}: {group.name}/{name} is a link to another file, {link.filename}; put the data into it"
        )
    try:
        return group[name]
    except KeyError:
        target = getattr(link, "path", name)
        raise InputError(f"{path}: {group.name}/{name} is a link to {target}, which is not there") from None


def _rows(path: Path, group, segment_id: str) -> Rows:
    if not hasattr(group, "keys") or not {"features", "intervals"} <= set(group):
        members = sorted(group) if hasattr(group, "keys") else "an array"
        raise InputError(f"{path}: {segment_id} holds {members}, expected features and intervals")
    values, time_s = (_numbers(path, group, name, segment_id) for name in ("features", "intervals"))
    rows = len(values)
    valid = _numbers(path, group, "valid", segment_id).astype(bool) if "valid" in group else np.ones(rows, bool)
    if time_s.shape != (rows, 2) or valid.shape != (rows,):
        raise InputError(
            f"{path}: {segment_id} has features {values.shape}, intervals {time_s.shape}; expected (n, ...) and (n, 2)"
        )
    return Rows(values.reshape(rows, int(np.prod(values.shape[1:]))).astype(np.float32), time_s.astype(float), valid)


def _numbers(path: Path, group, name: str, segment_id: str) -> np.ndarray:
    import h5py

    found = _own(path, group, name)
    where = f"{path}: {name} of {segment_id}"
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiub" or found.ndim == 0:
        what = f"{found.dtype}, {found.ndim} axes" if isinstance(found, h5py.Dataset) else "a group"
        raise InputError(f"{where} is {what}; expected an array of numbers")
    if found.is_virtual or found.external:
        raise InputError(f"{where} lies in another file; put the data into this one")
    claimed(path, found.nbytes)
    return found[:]
