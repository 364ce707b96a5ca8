"""From the files of earlier stages to pieces: cut lazily, so that memory does not grow with the length of a segment."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from pathlib import Path

import numpy as np

from pipeline.audio_file import AudioFile
from pipeline.crops import CROP_PX, FaceFile
from pipeline.features.base import Cut, Extractor
from pipeline.features.piece import AudioPiece, FacePiece, Piece, TextPiece
from pipeline.records import InputError, Modality, Segment, Word, read_table
from pipeline.spoken import SpokenWords
from pipeline.store import Rows
from pipeline.timebase import pool_rows

_EPSILON_S = 1e-6


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of a segment and which of its rows count; ``piece`` is None where nothing was observed."""

    segment_id: str
    piece: Piece | None = None
    keep_s: tuple[float, float] = (-inf, inf)  # rows centred there belong to this piece, others to its neighbours
    observed_s: np.ndarray | None = None  # (n, 2) stretches of sound; rows with less than half inside saw nothing
    span_s: tuple[float, float] = (-inf, inf)  # rows reach no further than the segment

    @property
    def length(self) -> float:
        """Seconds of sound, frames of faces, or words."""
        if self.piece is None:
            return 0
        return len(self.piece) / getattr(self.piece, "sample_rate_hz", 1)


def prepared_file(results: Path, modality: Modality, segment: Segment) -> Path:
    """Where an earlier stage put what extractors read of a segment; raises InputError where it did not."""
    path = segment.prepared(results, modality)
    if not path.exists():
        raise InputError(f"{path}: no such file; let the workflow make it (stage {path.parent.name})")
    return path


def read_pieces(segments: Iterable[Segment], results: Path, extractor: Extractor) -> Iterator[Job]:
    """All pieces of the segments, in their order; raises InputError where a file or a segment in it is missing."""
    opened = lru_cache(8)(_open)  # segments come by id, which may go to and fro between files
    paths: dict[str, Path] = {}
    cut = extractor.cut
    for segment in segments:
        if segment.file not in paths:
            paths[segment.file] = prepared_file(results, extractor.modality, segment)
        source = opened(paths[segment.file], extractor.modality)
        if extractor.modality == "text":
            yield from _text_jobs(segment, source, cut)
            continue
        if segment.segment_id not in source:
            raise InputError(
                f"{source.path}: lacks segment {segment.segment_id}; the file is older than segments.tsv, "
                "delete it and let the workflow make it again"
            )
        track = source[segment.segment_id]
        if extractor.modality == "audio":
            yield from _audio_jobs(segment.segment_id, track, cut)
        else:
            yield from _face_jobs(segment.segment_id, track, cut, extractor.needs_crops)


def _open(path: Path, modality: Modality):
    if modality == "text":
        return SpokenWords(read_table(path, Word))
    return {"audio": AudioFile, "video": FaceFile}[modality](path)


def _audio_jobs(segment_id: str, track, cut: Cut) -> Iterator[Job]:
    rate = track.sample_rate_hz
    observed_s = np.reshape(track.observed_s, (-1, 2))
    if len(track) == 0 or not (observed_s[:, 1] > observed_s[:, 0]).any():
        yield Job(segment_id)
        return
    core, context = cut.samples(rate)
    span_s = (track.start_s, track.start_s + len(track) / rate)
    starts = range(0, len(track), core)
    for begin in starts:
        a, b = max(0, begin - context), min(len(track), begin + core + context)
        yield Job(
            segment_id,
            AudioPiece(segment_id, track.samples(a, b), rate, track.start_s + a / rate),
            keep_s=(
                track.start_s + begin / rate if begin else -inf,
                track.start_s + (begin + core) / rate if begin != starts[-1] else inf,
            ),
            observed_s=observed_s,
            span_s=span_s,
        )


def _face_jobs(segment_id: str, track, cut: Cut, needs_crops: bool) -> Iterator[Job]:
    time_s, valid = track.time_s, track.valid
    if not valid.any():
        yield Job(segment_id)
        return
    landmarks, length, context = track.landmarks, int(cut.length), int(cut.context)
    for begin in range(0, len(track), length):
        a, b, end = max(0, begin - context), min(len(track), begin + length + context), begin + length
        crops = track.crops(a, b) if needs_crops else np.broadcast_to(np.uint8(0), (b - a, CROP_PX, CROP_PX, 3))
        yield Job(
            segment_id,
            FacePiece(segment_id, crops, time_s[a:b], valid[a:b], landmarks[a:b], track.mesh(a, b)),
            keep_s=(
                time_s[begin, 0] if begin else -inf,
                time_s[end, 0] if end < len(track) else inf,
            ),
        )


def _text_jobs(segment: Segment, words: SpokenWords, cut: Cut) -> Iterator[Job]:
    own = words.of(segment)
    if not own:
        yield Job(segment.segment_id)
        return
    length = int(cut.length)
    for begin in range(0, len(own), length):
        some = own[begin : begin + length]
        time_s = np.array([(w.start_s, w.end_s) for w in some], np.float64)
        written = [w.written or w.word for w in some]
        yield Job(segment.segment_id, TextPiece(segment.segment_id, [w.word for w in some], time_s, written))


def own_rows(rows: Rows, job: Job, pool_s: float = 0.0) -> Rows:
    """A job's own rows, without those made from context, masked where nothing was recorded, clipped to the segment.

    With ``pool_s`` they are means over that many seconds, counted from the start of the segment.
    """
    centre_s = rows.time_s.mean(axis=1) + _EPSILON_S if len(rows) else np.zeros(0)
    keep = (centre_s >= job.keep_s[0]) & (centre_s < job.keep_s[1])
    inside = True if job.observed_s is None else _seen(rows.time_s, job.observed_s)
    values, time_s, valid = rows.values[keep], rows.time_s[keep], (rows.valid & inside)[keep]
    if pool_s:
        values, time_s, valid = pool_rows(values, time_s, valid, pool_s, job.span_s[0])
    return Rows(values, np.clip(time_s, *job.span_s), valid)


def _seen(time_s: np.ndarray, observed_s: np.ndarray) -> np.ndarray:
    """(N,) whether rows over ``time_s`` (N, 2) saw enough: half of their time, or all that there is.

    A window padded past the end of a very short recording saw less than half of its time, but all of that.
    """
    lasts_s = np.diff(observed_s, axis=1).ravel()
    before_s = np.stack([np.cumsum(lasts_s) - lasts_s, np.cumsum(lasts_s)], axis=1)  # sound until each edge
    until_s = np.interp(time_s.ravel(), observed_s.ravel(), before_s.ravel()).reshape(-1, 2)
    seen_s = np.diff(until_s, axis=1).ravel() + 2 * _EPSILON_S
    return (seen_s >= np.diff(time_s, axis=1).ravel() / 2) | (seen_s >= lasts_s.sum())
