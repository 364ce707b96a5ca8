"""Audio files: 16 kHz mono sound of one unit's segments, written in blocks and read lazily.

Ragged by segment::

    /segment_id (S,)  utf-8, sorted        /samples (N,) float32, -1 to 1; 0 where nothing was recorded
    /offset     (S+1,) int64, in samples   /start_s (S,)  time of the first sample, from the first video frame
    /reason     (S,)  utf-8, '' when fine  /observed_s (S, 2)  the part of the segment for which sound exists
    /source     (S,)  'sentence' or 'video'

How many samples a segment has follows from its times, so overlapping segments can be written side by side.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipeline.records import InputError, replacing

SCHEMA = 1
SAMPLE_RATE_HZ = 16_000
SENTENCE, VIDEO = "sentence", "video"


class AudioTrack:
    """The sound of one segment."""

    def __init__(self, file: "AudioFile", index: int):
        self._file = file
        self._first, self._last = int(file.offset[index]), int(file.offset[index + 1])
        self.segment_id = file.segment_ids[index]
        self.reason = file.reasons[index]
        self.source = file.sources[index]
        self.start_s = float(file.start_s[index])
        self.observed_s = (float(file.observed_s[index, 0]), float(file.observed_s[index, 1]))
        self.sample_rate_hz = file.sample_rate_hz

    def __len__(self) -> int:
        return self._last - self._first

    @property
    def duration_s(self) -> float:
        """Length of the samples in seconds."""
        return len(self) / self.sample_rate_hz

    def samples(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """(n,) float32 samples ``first`` to ``last`` (not included); fewer at the end."""
        last = len(self) if last is None else min(last, len(self))
        return self._file.file["samples"][self._first + first : self._first + max(first, last)]


class AudioFile(Mapping):
    """Lazy, picklable mapping from segment id to :class:`AudioTrack`; raises InputError for any other file."""

    def __init__(self, path: str | Path):
        import h5py

        self.path = Path(path)
        self._file = None
        try:
            with h5py.File(self.path, "r") as file:
                if file.attrs.get("kind") != "audio" or int(file.attrs["schema"]) != SCHEMA:
                    raise KeyError(f"kind and schema are not audio, {SCHEMA}")
                self.segment_ids = [s.decode() for s in file["segment_id"][:]]
                self.reasons = [s.decode() for s in file["reason"][:]]
                self.sources = [s.decode() for s in file["source"][:]]
                self.offset = file["offset"][:]
                self.start_s = file["start_s"][:]
                self.observed_s = file["observed_s"][:]
                self.sample_rate_hz = int(file.attrs["sample_rate_hz"])
                self.attributes = json.loads(file.attrs["attributes"])
        except (OSError, KeyError) as error:
            raise InputError(
                f"{self.path}: not an audio file of schema {SCHEMA} ({error}); "
                "delete it and let the workflow make it again"
            ) from None
        self._index = {s: i for i, s in enumerate(self.segment_ids)}

    @property
    def file(self):
        """The open h5py file; opened at the first read, in each process anew."""
        if self._file is None:
            import h5py

            self._file = h5py.File(self.path, "r")
        return self._file

    def __getstate__(self):
        return {**self.__dict__, "_file": None}

    def __len__(self) -> int:
        return len(self.segment_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.segment_ids)

    def __getitem__(self, segment_id: str) -> AudioTrack:
        return AudioTrack(self, self._index[segment_id])

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


class AudioWriter:
    """Write an audio file whose lengths are planned beforehand; it is moved into place when the block ends well.

    ``plan`` maps each segment id to the time of its first sample in seconds and its number of samples; what is never
    written stays 0. ``attributes`` say how the file was made (JSON).
    """

    def __init__(self, path: str | Path, plan: Mapping[str, tuple[float, int]], attributes: dict | None = None):
        self.path, self.attributes = Path(path), attributes or {}
        self.segment_ids = sorted(plan)
        self.start_s = np.array([plan[s][0] for s in self.segment_ids], np.float64)
        self.counts = [int(plan[s][1]) for s in self.segment_ids]
        self.offset = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)
        self._index = {s: i for i, s in enumerate(self.segment_ids)}
        self._observed_s = np.stack([self.start_s, self.start_s], axis=1).reshape(-1, 2)
        self._reasons = [""] * len(self.segment_ids)
        self._sources = [VIDEO] * len(self.segment_ids)

    def __enter__(self) -> "AudioWriter":
        import h5py

        self._opened = ExitStack()  # closes the file, then moves it into place or removes it, whatever goes wrong
        temporary = self._opened.enter_context(replacing(self.path))
        self._file = self._opened.enter_context(h5py.File(temporary, "w"))
        count = int(self.offset[-1])
        chunks = (min(1 << 16, count),) if count else None
        self._file.create_dataset("samples", (count,), "float32", chunks=chunks)
        return self

    def write(self, segment_id: str, first: int, samples: np.ndarray) -> None:
        """Put samples into a segment from its sample ``first`` on; they must lie inside it."""
        i = self._index[segment_id]
        if not 0 <= first <= first + len(samples) <= self.counts[i]:
            raise IndexError(f"segment {segment_id} has {self.counts[i]} samples, not {first + len(samples)}")
        if len(samples):
            begin = int(self.offset[i]) + first
            self._file["samples"][begin : begin + len(samples)] = samples

    def describe(self, segment_id: str, source: str, observed_s: tuple[float, float], reason: str = "") -> None:
        """Say where a segment's sound is from, for which part of it sound exists, and what is wrong with it."""
        i = self._index[segment_id]
        self._sources[i], self._observed_s[i], self._reasons[i] = source, observed_s, reason

    def __exit__(self, kind, value, trace):
        if kind is not None:
            return self._opened.__exit__(kind, value, trace)
        with self._opened:
            self._finish()

    def _finish(self) -> None:
        import h5py

        file = self._file
        file["segment_id"] = np.array(self.segment_ids, h5py.string_dtype())
        file["reason"] = np.array(self._reasons, h5py.string_dtype())
        file["source"] = np.array(self._sources, h5py.string_dtype())
        file["offset"], file["start_s"], file["observed_s"] = self.offset, self.start_s, self._observed_s
        file.attrs["kind"] = "audio"
        file.attrs["schema"] = SCHEMA
        file.attrs["sample_rate_hz"] = SAMPLE_RATE_HZ
        file.attrs["attributes"] = json.dumps(self.attributes, sort_keys=True)
