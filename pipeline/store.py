"""Feature store, schema 1: ragged rows of many segments in one HDF5 file.

::

    /segment_id (S,)   utf-8, sorted          /values (N, D)  float32 or float16, chunked by rows
    /offset     (S+1,) int64                  /time_s (N, 2)  float64: start and end of each row
    /valid      (N,)   bool: false = nothing was observed there; values are 0

Segment i owns rows ``offset[i]:offset[i + 1]``. Root attributes say what the rows are and how to make them again. All
carry checksums, so that a damaged file is not read in silence.

Stages that read or write stores rerun where ``__digest__`` changes, not at every edit of this file: raise its revision
when other bytes are written for the same rows or other rows read from the same bytes, and the schema, with ``SCHEMA``,
when older files cannot be read any more. The tests ask at every edit.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from pipeline.hdf5 import BROKEN, LazyFile, Writer, open_to_read, write_checked
from pipeline.records import InputError

SCHEMA = 1
__digest__ = "feature store, schema 1, revision 1"
CHUNK_BYTES = 1 << 16  # size of a chunk of values
CHUNK_ROWS = 1 << 16  # rows in a chunk of what each row has one or two of
BUFFER_BYTES = 1 << 20
BLOCK_BYTES, BLOCK_ROWS = 1 << 26, 1 << 16  # the most that is read at a time
ATTRIBUTES = (
    "schema", "corpus", "name", "modality", "extractor", "extractor_version", "config", "weights", "software",
    "inputs", "demonstration", "layers",
)  # fmt: skip
JSON_ATTRIBUTES = ("config", "weights", "software", "layers")
MEASURED = "least cosine to float32"
"""In ``software``, of a lower precision: found on the processor that made a part, of which there may be several."""
LAYERS: dict[str, list[int]] = {"layers": []}
"""An attribute of some stores, and what holds without it: see :attr:`FeatureStore.layers`."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one segment: ``values`` (N, D), ``time_s`` (N, 2) and ``valid`` (N,)."""

    values: np.ndarray
    time_s: np.ndarray
    valid: np.ndarray

    def __post_init__(self):
        n = len(self.values)
        if self.values.ndim != 2 or self.time_s.shape != (n, 2) or self.valid.shape != (n,):
            raise InputError(
                f"rows do not fit together: values {self.values.shape}, time_s {self.time_s.shape}, "
                f"valid {self.valid.shape}; expected (N, D), (N, 2), (N,)"
            )

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def empty(cls, dim: int) -> "Rows":
        """No rows of width ``dim``: a segment of which nothing was observed."""
        return cls(np.zeros((0, dim), np.float32), np.zeros((0, 2)), np.zeros(0, bool))


class FeatureStore(LazyFile, Mapping):
    """Lazy, picklable, read-only mapping from segment id to its :class:`Rows`.

    Raises InputError where the file is not a feature store of schema 1.

    >>> store = FeatureStore("results/mine/features/mfcc.h5")       # doctest: +SKIP
    >>> rows = store["talk_001"]                                 # doctest: +SKIP
    >>> rows.values.shape, rows.time_s.shape, rows.valid.shape   # doctest: +SKIP
    """

    called = f"a feature store of schema {SCHEMA}"
    options: ClassVar = {"rdcc_nbytes": 64 * CHUNK_BYTES}

    def __init__(self, path: str | Path):
        super().__init__(path)
        self._rows_table: tuple[np.ndarray, np.ndarray] | None = None
        try:
            with open_to_read(self.path) as file:
                self.attributes = _read_attributes(file, self.path)
                self.segment_ids = [s.decode() for s in file["segment_id"][:]]
                self.offset = file["offset"][:]
                self.shape = file["values"].shape
                self.dtype = file["values"].dtype
                _check_layout(file, self)
        except FileNotFoundError:
            raise InputError(
                f"{self.path}: no such feature store; build it with `affectflow features CORPUS`"
            ) from None
        except BROKEN as error:
            raise self.unreadable(error) from None
        self._index = {s: i for i, s in enumerate(self.segment_ids)}

    @property
    def dim(self) -> int:
        """Width D of the rows."""
        return self.shape[1]

    @property
    def layers(self) -> list[int]:
        """Numbers of a network's layers that stand side by side in each row, all of one width; empty: one vector."""
        return self.attributes["layers"]

    @property
    def block_rows(self) -> int:
        """How many rows to read at a time: at least one, and no more than hold BLOCK_BYTES of values."""
        return min(BLOCK_ROWS, max(1, BLOCK_BYTES // max(1, self.dim * self.dtype.itemsize)))

    @property
    def rows_table(self) -> tuple[np.ndarray, np.ndarray]:
        """All of ``time_s`` and ``valid``, 17 bytes a row, read once: a random access costs one read, not three."""
        if self._rows_table is None:
            self._rows_table = self.array("time_s"), self.array("valid")
        return self._rows_table

    def __getstate__(self):
        return {**super().__getstate__(), "_rows_table": None}

    def __len__(self) -> int:
        return len(self.segment_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.segment_ids)

    def __contains__(self, segment_id) -> bool:
        return segment_id in self._index

    def row_range(self, segment_id: str) -> tuple[int, int]:
        """First and one-past-last row of a segment."""
        i = self._index[segment_id]
        return int(self.offset[i]), int(self.offset[i + 1])

    def __getitem__(self, segment_id: str) -> Rows:
        first, last = self.row_range(segment_id)
        time_s, valid = self.rows_table
        return Rows(self.array("values", first, last), time_s[first:last], valid[first:last])

    def read(
        self, segment_ids: Sequence[str] | None = None, block_rows: int | None = None
    ) -> Iterator[tuple[str, Rows]]:
        """Yield segments in file order from few large reads: the fast way to see many, in bounded memory."""
        block_rows = block_rows or self.block_rows
        wanted = range(len(self)) if segment_ids is None else sorted(self._index[s] for s in segment_ids)
        group: list[int] = []
        for i in wanted:
            if group and (i != group[-1] + 1 or self.offset[i + 1] - self.offset[group[0]] > block_rows):
                yield from self._read_group(group)
                group = []
            group.append(i)
        if group:
            yield from self._read_group(group)

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[Rows]:
        """Rows ``first`` to ``last`` (not included; of the whole file by default) in parts of at most BLOCK_BYTES."""
        last = self.shape[0] if last is None else last
        for begin in range(first, last, self.block_rows):
            end = min(begin + self.block_rows, last)
            yield Rows(*(self.array(key, begin, end) for key in ("values", "time_s", "valid")))

    def _read_group(self, group: list[int]) -> Iterator[tuple[str, Rows]]:
        first, last = int(self.offset[group[0]]), int(self.offset[group[-1] + 1])
        values, time_s, valid = (self.array(k, first, last) for k in ("values", "time_s", "valid"))
        for i in group:
            a, b = int(self.offset[i]) - first, int(self.offset[i + 1]) - first
            yield self.segment_ids[i], Rows(values[a:b], time_s[a:b], valid[a:b])


class StoreWriter(Writer):
    """Write segments in sorted order into a temporary file that is moved into place when the block ends well.

    Raises InputError for a segment out of order or twice, a width that changes, or values that are not finite.
    """

    def __init__(self, path: str | Path, attributes: dict, dim: int | None = None, dtype: str = "float32"):
        attributes = {**LAYERS, **attributes}
        missing = set(ATTRIBUTES) - {"schema"} - set(attributes)
        if missing:
            raise InputError(f"{path}: a feature store needs the attributes {sorted(missing)}")
        if dtype not in ("float32", "float16"):
            raise InputError(f"{path}: dtype {dtype!r} is not one of float32, float16")
        self.path, self.attributes, self.dim, self.dtype = Path(path), attributes, dim, dtype
        self.segment_ids: list[str] = []
        self.offset = [0]
        self._buffer: list[tuple[np.ndarray, ...]] = []  # each write costs a millisecond, however short a segment is
        self._buffered_bytes = 0

    def _begin(self) -> None:
        if self.dim is not None:
            self._create()

    def _create(self):
        rows = max(1, CHUNK_BYTES // max(1, self.dim * np.dtype(self.dtype).itemsize))
        arrays = {
            "values": ((self.dim,), self.dtype, rows), "time_s": ((2,), "float64", CHUNK_ROWS),
            "valid": ((), "bool", CHUNK_ROWS),
        }  # fmt: skip
        for key, (shape, kind, chunk) in arrays.items():
            size = {"shape": (0, *shape), "maxshape": (None, *shape), "chunks": (chunk, *shape)}
            self._file.create_dataset(key, dtype=kind, fletcher32=True, **size)

    def append(self, segment_id: str, rows: Rows) -> None:
        """Add the rows of the next segment."""
        if self.segment_ids and segment_id <= self.segment_ids[-1]:
            raise InputError(
                f"{self.path}: segment {segment_id} after {self.segment_ids[-1]}; segments come sorted and once"
            )
        self.segment_ids.append(segment_id)
        self.offset.append(self.offset[-1])
        self.extend(rows)

    def extend(self, rows: Rows) -> None:
        """Add further rows to the segment appended last."""
        if self.dim is None:
            self.dim = rows.values.shape[1]
            self._create()
        segment_id = self.segment_ids[-1]
        if rows.values.shape[1] != self.dim:
            raise InputError(
                f"{self.path}: segment {segment_id} has rows of width {rows.values.shape[1]}, those before {self.dim}"
            )
        values = np.where(rows.valid[:, None], rows.values, 0)
        if bad := int((~np.isfinite(values)).any(axis=1).sum()):
            raise InputError(f"{self.path}: segment {segment_id} holds NaN or infinity in {bad} of {len(rows)} rows")
        with np.errstate(over="ignore"):  # checked below, with a better message
            values = values.astype(self.dtype)
        if not np.isfinite(values).all():
            raise InputError(f"{self.path}: segment {segment_id} has values too large for {self.dtype}; store float32")
        self._buffer.append((values, rows.time_s.copy(), rows.valid.copy()))
        self._buffered_bytes += values.nbytes
        self.offset[-1] += len(rows)
        if self._buffered_bytes >= BUFFER_BYTES:
            self._write()

    def _write(self) -> None:
        for key, parts in zip(("values", "time_s", "valid"), zip(*self._buffer)):
            dataset, data = self._file[key], np.concatenate(parts)
            dataset.resize(self.offset[-1], axis=0)
            dataset[self.offset[-1] - len(data) :] = data
        self._buffer, self._buffered_bytes = [], 0

    def _finish(self) -> None:
        if self.dim is None:
            raise InputError(f"{self.path}: no segment was written, so the width of its rows is not known")
        self._write()
        write_checked(self._file, "segment_id", np.array(self.segment_ids, object))
        write_checked(self._file, "offset", np.array(self.offset, np.int64))
        for key in ATTRIBUTES[1:]:
            value = self.attributes[key]
            if key in LAYERS and value == LAYERS[key]:
                continue
            self._file.attrs[key] = json.dumps(value, sort_keys=True) if key in JSON_ATTRIBUTES else value
        self._file.attrs["schema"] = SCHEMA


def merge(paths: Sequence[str | Path], out: str | Path) -> None:
    """Join the stores of several parts into one; raises InputError where they were not made the same way.

    Its ``inputs`` list those of the parts, so that :func:`kept` finds a part that need not be made again; what was
    MEASURED is the least of all.
    """
    stores = [FeatureStore(p) for p in paths]
    if not stores:
        raise InputError(f"{out}: no shard to join")
    reference = stores[0]
    for store in stores[1:]:
        for key, value in _recipe(reference.attributes).items():
            if (other := _recipe(store.attributes)[key]) != value:
                raise InputError(
                    f"{store.path}: {key} is {other}, but {value} in {reference.path}; delete all {len(stores)} parts, "
                    "for the others may differ, too, and run again"
                )
        if store.dim != reference.dim:
            raise InputError(f"{store.path}: rows of width {store.dim}, but {reference.dim} in {reference.path}")
    order = sorted((segment_id, k) for k, store in enumerate(stores) for segment_id in store)
    inputs = "+".join(store.attributes["inputs"] for store in stores)
    measured = [s.attributes["software"][MEASURED] for s in stores if MEASURED in s.attributes["software"]]
    least = {MEASURED: min(measured, key=float)} if measured else {}
    software = {**reference.attributes["software"], **least}
    attributes = {**reference.attributes, "inputs": inputs, "software": software}
    with StoreWriter(out, attributes, reference.dim, str(reference.dtype)) as writer:
        for segment_id, k in order:
            writer.append(segment_id, Rows.empty(reference.dim))
            for rows in stores[k].blocks(*stores[k].row_range(segment_id)):  # a segment may be hours long
                writer.extend(rows)


def kept(path: str | Path, attributes: dict) -> FeatureStore | None:
    """The joined store at ``path`` if it holds a part that was made as ``attributes`` say; None where it does not."""
    if not Path(path).exists():
        return None
    try:
        store = FeatureStore(path)
    except InputError:  # it is about to be made anew
        return None
    made = json.loads(json.dumps(attributes))  # as a file gives them back: tuples of options are lists there
    same = _recipe(store.attributes) == _recipe(made)
    return store if same and attributes["inputs"] in store.attributes["inputs"].split("+") else None


def _recipe(attributes: dict) -> dict:
    """The attributes that parts of one store have in common."""
    software = {name: version for name, version in attributes["software"].items() if name != MEASURED}
    return {**{key: attributes[key] for key in ATTRIBUTES if key not in ("schema", "inputs")}, "software": software}


def _read_attributes(file, path: Path) -> dict:
    found = dict(file.attrs)
    if int(found.get("schema", -1)) != SCHEMA:
        raise InputError(
            f"{path}: schema {found.get('schema', 'missing')}, this version reads schema {SCHEMA}; "
            "delete the file and let the workflow make it again"
        )
    missing = set(ATTRIBUTES) - set(LAYERS) - set(found)
    if missing:
        raise InputError(
            f"{path}: lacks the attributes {sorted(missing)}; delete it and let the workflow make it again"
        )
    found = {k: json.loads(found[k]) if k in JSON_ATTRIBUTES else found[k] for k in ATTRIBUTES if k in found}
    return {**LAYERS, **found, "schema": int(found["schema"]), "demonstration": bool(found["demonstration"])}


def _check_layout(file, store: FeatureStore) -> None:
    rows = store.shape[0]
    whole = (
        len(store.offset) == len(store.segment_ids) + 1
        and store.offset[0] == 0
        and store.offset[-1] == rows
        and (np.diff(store.offset) >= 0).all()
        and file["time_s"].shape == (rows, 2)
        and file["valid"].shape == (rows,)
        and store.segment_ids == sorted(set(store.segment_ids))
    )
    if not whole:
        raise InputError(
            f"{store.path}: offsets, ids and rows do not fit together; delete it and let the workflow make it again"
        )
