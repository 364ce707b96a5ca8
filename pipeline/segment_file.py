"""What audio files and face files have in common: a shard's segments end to end in HDF5, with remarks and attributes.

::

    /segment_id (S,)  utf-8, sorted        /offset (S+1,) int64
    /remarks    (S,)  utf-8, one a line    attributes: kind, schema, attributes (JSON)

Segment i owns ``offset[i]:offset[i + 1]`` of the arrays of its kind. A remark says in words what these cannot.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from pipeline.hdf5 import BROKEN, LazyFile, Writer, open_to_read, write_checked


class Track(ABC):
    """What a file holds of one segment, read when it is asked for."""

    def __init__(self, file: "SegmentFile", index: int):
        self._file = file
        self._first, self._last = int(file.offset[index]), int(file.offset[index + 1])
        self.segment_id, self.remarks = file.segment_ids[index], file.remarks[index]

    @property
    def reason(self) -> str:
        """In words, why the segment is not whole, and what else is to be known of it; '' where nothing is."""
        return "; ".join((*self.remarks, *self._lacking()))

    @abstractmethod
    def _lacking(self) -> Iterable[str]:
        """What its arrays lack of the segment, in words."""

    def __len__(self) -> int:
        return self._last - self._first

    def _read(self, name: str, first: int = 0, last: int | None = None) -> np.ndarray:
        """``first`` to ``last`` (not included) of what the segment owns of an array; fewer at the end."""
        last = len(self) if last is None else min(last, len(self))
        return self._file.array(name, self._first + first, self._first + max(first, last))


class SegmentFile(LazyFile, Mapping):
    """Lazy, picklable, read-only mapping from segment id to its track; raises InputError for any other file."""

    kind: ClassVar[str]
    schema: ClassVar[int]
    track: ClassVar[type[Track]]

    def __init__(self, path: str | Path):
        super().__init__(path)
        try:
            with open_to_read(self.path) as file:
                if file.attrs.get("kind") != self.kind or int(file.attrs["schema"]) != self.schema:
                    raise KeyError(f"kind and schema are not {self.kind}, {self.schema}")
                self.segment_ids = [s.decode() for s in file["segment_id"][:]]
                self.remarks = [tuple(s.decode().splitlines()) for s in file["remarks"][:]]
                self.offset = file["offset"][:]
                self.attributes = json.loads(file.attrs["attributes"])
                self._read(file)
        except BROKEN as error:
            raise self.unreadable(error) from None
        self._index = {s: i for i, s in enumerate(self.segment_ids)}

    def _read(self, file) -> None:
        """Read what else the kind keeps per segment."""

    def __len__(self) -> int:
        return len(self.segment_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.segment_ids)

    def __getitem__(self, segment_id: str):
        return self.track(self, self._index[segment_id])


class SegmentWriter(Writer):
    """Write a file whose lengths are planned beforehand; it is moved into place when the block ends well.

    ``counts`` maps each segment id to its length; ``attributes`` say how the file was made (JSON).
    """

    kind: ClassVar[str]
    schema: ClassVar[int]

    def __init__(self, path: str | Path, counts: Mapping[str, int], attributes: dict | None = None):
        self.path, self.attributes = Path(path), attributes or {}
        self.segment_ids: list[str] = []
        self.offset = np.zeros(1, np.int64)
        self._index: dict[str, int] = {}
        self._remarks: list[list[str]] = []
        self._plan_more(counts)

    def _plan_more(self, counts: Mapping[str, int]) -> None:
        """Plan segments behind those there are; their ids sort after the ids of these."""
        for segment_id in sorted(counts):
            self._index[segment_id] = len(self.segment_ids)
            self.segment_ids.append(segment_id)
            self._remarks.append([])
        ends = self.offset[-1] + np.cumsum([counts[s] for s in sorted(counts)], dtype=np.int64)
        self.offset = np.append(self.offset, ends)

    def remark(self, segment_id: str, *texts: str) -> None:
        """Say in words what is to be known of a segment and is not in its arrays."""
        readable = (text.encode(errors="backslashreplace").decode() for text in texts)  # a name may be no UTF-8
        self._remarks[self._index[segment_id]] += [" ".join(text.split()) for text in readable]

    def _begin(self) -> None:
        self._create(int(self.offset[-1]))

    @abstractmethod
    def _create(self, count: int) -> None:
        """Make the arrays of the kind, ``count`` long."""

    def _finish(self) -> None:
        write_checked(self._file, "segment_id", np.array(self.segment_ids, object))
        write_checked(self._file, "remarks", np.array(list(map("\n".join, self._remarks)), object))
        write_checked(self._file, "offset", self.offset)
        self._file.attrs["kind"] = self.kind
        self._file.attrs["schema"] = self.schema
        self._file.attrs["attributes"] = json.dumps(self.attributes, sort_keys=True)
