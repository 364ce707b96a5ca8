"""CMU-MultimodalSDK computational sequences (.csd): HDF5 with one group of features and intervals per segment.

Layout (mmsdk 1.x): ``/<root name>/data/<segment>/{features, intervals}`` and ``/<root name>/metadata/<key>``, a JSON
string each. We add ``valid`` beside ``features``, which the SDK leaves alone.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.records import InputError, replacing
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
    """Yield the segments of a computational sequence, sorted; raises InputError where the file is none."""
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: not an HDF5 file ({error}); expected a computational sequence (.csd)") from None
    with file:
        roots = [name for name in file if isinstance(file[name], h5py.Group) and "data" in file[name]]
        if len(roots) != 1:
            raise InputError(f"{path}: expected one root with a group 'data', found {roots or list(file)}")
        data = file[roots[0]]["data"]
        for segment_id in sorted(data):
            group = data[segment_id]
            if not {"features", "intervals"} <= set(group):
                raise InputError(f"{path}: {segment_id} holds {sorted(group)}, expected features and intervals")
            values = np.asarray(group["features"], np.float32)
            valid = np.asarray(group["valid"], bool) if "valid" in group else np.ones(len(values), bool)
            width = int(np.prod(values.shape[1:]))
            yield segment_id, Rows(values.reshape(len(values), width), np.asarray(group["intervals"], float), valid)
