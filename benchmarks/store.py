"""Reading a feature store: against one HDF5 dataset per segment, and against one plain sequential read."""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import ATTRIBUTES
from pipeline.store import FeatureStore, Rows, StoreWriter

SEGMENTS, DIM = 10_000, 128


def _write(folder: Path) -> tuple[Path, Path]:
    import h5py

    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 120, SEGMENTS)
    ragged, one_each = folder / "ragged.h5", folder / "one_each.h5"
    block = rng.normal(size=(lengths.max(), DIM)).astype(np.float32)
    with StoreWriter(ragged, ATTRIBUTES, DIM) as writer, h5py.File(one_each, "w") as file:
        for i, n in enumerate(lengths):
            name, time_s = f"s{i:05d}", np.stack([np.arange(n) * 0.02, np.arange(1, n + 1) * 0.02], 1)
            writer.append(name, Rows(block[:n], time_s, np.ones(n, bool)))
            group = file.create_group(name)
            group["values"], group["time_s"], group["valid"] = block[:n], time_s, np.ones(n, bool)
    return ragged, one_each


def _seconds(function) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def figures() -> dict[str, float]:
    """Ratios of one run: both files are warm in the page cache, so what is measured is the reading, not the disk."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        ragged, one_each = _write(Path(folder))
        order = [f"s{i:05d}" for i in np.random.default_rng(1).permutation(SEGMENTS)]

        def datasets_in_random_order():
            with h5py.File(one_each) as file:
                for name in order:
                    group = file[name]
                    _ = group["values"][:], group["time_s"][:], group["valid"][:]

        def store_in_random_order():
            store = FeatureStore(ragged)
            everything = dict(store.read())
            for name in order:
                _ = everything[name]

        def store_lazily_in_random_order():
            store = FeatureStore(ragged)
            for name in order:
                _ = store[name]

        def store_in_order():
            for _ in FeatureStore(ragged).read():
                pass

        def plain():
            with h5py.File(ragged) as file:
                for key in ("values", "time_s", "valid"):
                    _ = file[key][:]

        plain()
        datasets = _seconds(datasets_in_random_order)
        return {
            "random order, all rows: one dataset per segment / store read once": datasets
            / _seconds(store_in_random_order),
            "random order, lazily: one dataset per segment / store": datasets / _seconds(store_lazily_in_random_order),
            "in order: store / plain sequential read": _seconds(store_in_order) / _seconds(plain),
        }
