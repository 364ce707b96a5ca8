"""Audio files: 16 kHz mono sound of the segments of one shard's units, written in blocks and read lazily.

Ragged by segment, see :mod:`pipeline.segment_file`::

    /samples (N,) float32, about -1 to 1; 0 where nothing was recorded
    /source (S,)  'sentence' or 'video'     /start_s (S,)  time of the first sample, from the first video frame
    /observed_s (R, 2)  stretches for which sound exists; observed_offset[i]:observed_offset[i + 1] are of segment i
    /observed_offset (S + 1,)               /silent (S,) bool   whether what was recorded is silence

How many samples a segment has follows from its times, so overlapping segments can be written side by side.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from pipeline.hdf5 import write_checked
from pipeline.segment_file import SegmentFile, SegmentWriter, Track
from pipeline.timebase import SAMPLE_RATE_HZ

SILENT_PEAK = 1e-3  # share of full scale: sound that stays below it (-60 dB) holds no speech
EDGE_TOLERANCE_S = 0.05  # sound may begin this much late, or end this much early, and still be whole
SCHEMA = 3
SENTENCE, VIDEO = "sentence", "video"


class AudioTrack(Track):
    """The sound of one segment; ``observed_s`` (n, 2) are the stretches for which there is any."""

    def __init__(self, file: "AudioFile", index: int):
        super().__init__(file, index)
        self.source = file.sources[index]
        self.start_s = float(file.start_s[index])
        self.observed_s: np.ndarray = file.observed_s[index]
        self.silent = bool(file.silent[index])
        self.sample_rate_hz = file.sample_rate_hz

    @property
    def duration_s(self) -> float:
        """Length of the samples in seconds."""
        return len(self) / self.sample_rate_hz

    def _lacking(self) -> Iterator[str]:
        """For which stretches there is no sound, and whether what there is is silence."""
        if not len(self.observed_s):
            yield from () if self.remarks else ("no sound in it",)
            return
        late_s = self.observed_s[0, 0] - self.start_s
        lost_s = float((self.observed_s[1:, 0] - self.observed_s[:-1, 1]).sum())
        early_s = self.start_s + self.duration_s - self.observed_s[-1, 1]
        if late_s > EDGE_TOLERANCE_S:
            yield f"sound begins {late_s:.2f} s late"
        if len(self.observed_s) > 1:
            yield f"no sound for {lost_s:.2f} s in between"
        if early_s > EDGE_TOLERANCE_S:
            yield f"sound ends {early_s:.2f} s early"
        if self.silent:
            yield "silent"

    def samples(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """(n,) float32 samples ``first`` to ``last`` (not included); fewer at the end."""
        return self._read("samples", first, last)


class AudioFile(SegmentFile):
    """Lazy, picklable mapping from segment id to :class:`AudioTrack`; raises InputError for any other file."""

    kind, schema, called = "audio", SCHEMA, f"an audio file of schema {SCHEMA}"
    track = AudioTrack

    def _read(self, file) -> None:
        self.sources = [s.decode() for s in file["source"][:]]
        self.start_s = file["start_s"][:]
        self.silent = file["silent"][:]
        self.observed_s = np.split(file["observed_s"][:], file["observed_offset"][1:-1])
        self.sample_rate_hz = int(file.attrs["sample_rate_hz"])


class AudioWriter(SegmentWriter):
    """Write an audio file whose lengths are planned beforehand; it is moved into place when the block ends well.

    ``plan`` maps each segment id to the time of its first sample in seconds and its number of samples; what is never
    written stays 0. ``attributes`` say how the file was made (JSON).
    """

    kind, schema = "audio", SCHEMA

    def __init__(self, path: str | Path, plan: Mapping[str, tuple[float, int]], attributes: dict | None = None):
        super().__init__(path, {segment_id: count for segment_id, (_, count) in plan.items()}, attributes)
        self.start_s = np.array([plan[s][0] for s in self.segment_ids], np.float64)
        self._observed_s = [np.zeros((0, 2))] * len(self.segment_ids)
        self._sources = [VIDEO] * len(self.segment_ids)
        self._silent = np.zeros(len(self.segment_ids), bool)

    def _create(self, count: int) -> None:
        chunks = (min(1 << 16, count),) if count else None
        self._file.create_dataset("samples", (count,), "float32", chunks=chunks, fletcher32=True if chunks else None)

    def write(self, segment_id: str, first: int, samples: np.ndarray) -> None:
        """Put samples into a segment from its sample ``first`` on; they must lie inside it."""
        i = self._index[segment_id]
        begin, end = self.offset[i : i + 2].tolist()
        if not 0 <= first <= first + len(samples) <= end - begin:
            raise IndexError(f"segment {segment_id} has {end - begin} samples, not {first + len(samples)}")
        if len(samples):
            self._file["samples"][begin + first : begin + first + len(samples)] = samples

    def describe(self, segment_id: str, source: str, observed_s: ArrayLike, silent: bool = False) -> None:
        """Say where a segment's sound is from, for which stretches (n, 2) there is some, and whether it is silence."""
        i = self._index[segment_id]
        self._sources[i], self._silent[i] = source, silent
        self._observed_s[i] = np.asarray(observed_s, np.float64).reshape(-1, 2)

    def _finish(self) -> None:
        write_checked(self._file, "source", np.array(self._sources, object))
        write_checked(self._file, "silent", self._silent)
        write_checked(self._file, "start_s", self.start_s)
        write_checked(self._file, "observed_s", np.concatenate([np.zeros((0, 2)), *self._observed_s]))
        write_checked(self._file, "observed_offset", np.cumsum([0, *map(len, self._observed_s)]))
        self._file.attrs["sample_rate_hz"] = SAMPLE_RATE_HZ
        super()._finish()
