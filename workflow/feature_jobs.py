"""Into which jobs the features of a corpus are cut: of a fixed number of recordings, whatever the number of cores."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from pipeline.corpora.prepare import power_of_two
from pipeline.records import Segment, Unit

MIN_IN_JOB, JOBS_WANTED = 8, 32  # recordings in a feature job, and such jobs, where shard_units does not say
CLIPS_IN_JOB, CLIP_S, CLIP_BYTES, LOOKED_AT = 64, 30, 2**19, 24  # 64 clips cost less than a job's start-up


def in_jobs(shards: Mapping[str, Sequence[str]], shard_units: int | None, clips: bool) -> list[list[str]]:
    """The shards of each job: of ``shard_units`` recordings, or of as many as suit recordings that are clips or not."""
    every, recordings = list(shards), sum(map(len, shards.values()))
    wanted = shard_units or max(CLIPS_IN_JOB if clips else MIN_IN_JOB, power_of_two(recordings // JOBS_WANTED))
    size = max(1, wanted // max(map(len, shards.values()), default=1))
    return [every[k : k + size] for k in range(0, len(every), size)]


def are_clips(root: Path, units: Sequence[Unit], segments_of: Mapping[str, Sequence[Segment]]) -> bool:
    """Whether most recordings last some seconds, by some of them."""
    some = units[:: 1 + len(units) // LOOKED_AT]
    return sum(_is_clip(root, unit, segments_of.get(unit.unit_id, ())) for unit in some) > len(some) / 2


def _is_clip(root: Path, unit: Unit, segments: Sequence[Segment]) -> bool:
    """By the end of its last segment, or, where nobody knows that, by the size of its files."""
    end_s = max((segment.end_s for segment in segments), default=0.0)
    if isfinite(end_s):
        return end_s < CLIP_S
    named = [unit.video or unit.audio, *(segment.audio for segment in segments)]
    files = [file for name in named if name and (file := root / name).is_file()]
    return all(file.stat().st_size < CLIP_BYTES for file in files)
