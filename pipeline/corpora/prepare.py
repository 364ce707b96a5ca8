"""From a reader to the tables of a corpus, without opening media: what the workflow plans with and ``index`` writes.

Every unit belongs to a shard, the recordings whose faces, sound and words one job prepares and one file holds.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.transcripts import find_transcript, transcripts_in
from pipeline.corpora.tree import below
from pipeline.names import AUDIO_SUFFIXES, safe_id, unfinished
from pipeline.records import Finding, InputError, Unit

FILES_WANTED = 64  # fewer recordings than this have a file each
MOST_IN_ONE = 200


def shards(unit_ids: Sequence[str], size: int | None = None) -> dict[str, list[str]]:
    """Units by the name of their shard; of ``size`` each, or as many as keep the number of files reasonable (None).

    A shard of one has the unit's own name, so that the files of long recordings say whose they are.
    """
    size = size or min(MOST_IN_ONE, max(1, len(unit_ids) // FILES_WANTED))
    if size == 1:
        return {unit_id: [unit_id] for unit_id in unit_ids}
    return {f"{k // size:05d}": list(unit_ids[k : k + size]) for k in range(0, len(unit_ids), size)}


def read(corpus: Corpus, shard_units: int | None = None) -> Index:
    """The tables of a corpus, transcripts found beside the recordings included; raises InputError as ``index`` does."""
    found = corpus.index()
    _check_ids(corpus, found)
    shard_of = {u: name for name, units in shards([u.unit_id for u in found.units], shard_units).items() for u in units}
    units, look = [], cache(transcripts_in)
    for unit in found.units:
        unit, problem = _with_transcript(corpus.root, unit, look)
        units.append(replace(unit, shard=shard_of[unit.unit_id]))
        if problem:
            names = [s.segment_id for s in found.segments if s.unit_id == unit.unit_id]
            found.findings += [Finding(unit.unit_id, name, "text", "partial", problem) for name in names]
    found.findings += _unfinished(corpus.root, units)
    segments = [replace(s, shard=shard_of[s.unit_id]) for s in found.segments]
    return Index(units, segments, found.labels, found.findings, found.ratings)


def _unfinished(root: Path, units: Sequence[Unit]) -> Iterator[Finding]:
    """A finding for each file beside the recordings whose download or copy was not finished."""
    for folder in sorted({os.path.dirname(path) for unit in units for path in (unit.video, unit.audio) if path}):
        try:
            names = sorted(os.listdir(root / folder))
        except OSError:  # nobody may look, which its recordings say
            continue
        for name in names:
            if whole := unfinished(name):
                stem, suffix = os.path.splitext(whole)
                modality = "audio" if suffix.lower() in AUDIO_SUFFIXES else "video"
                reason = f"{os.path.join(folder, name)}: a download or copy that was not finished; finish or remove it"
                yield Finding(safe_id(stem), None, modality, "partial" if whole in names else "absent", reason)


def _check_ids(corpus: Corpus, found: Index) -> None:
    """Raise InputError where a reader names a unit or a segment twice, or a unit that it does not list."""
    ids_of = {"units": [u.unit_id for u in found.units], "segments": [s.segment_id for s in found.segments]}
    for what, ids in ids_of.items():
        twice = [name for name, count in Counter(ids).items() if count > 1]
        if twice:
            raise InputError(f"corpus {corpus.name}: two {what} are called {twice[0]!r}; every id may be there once")
    lacking = {s.unit_id for s in found.segments} - {u.unit_id for u in found.units}
    if lacking:
        raise InputError(f"corpus {corpus.name}: segments name the unit {min(lacking)!r}, which is not listed")


def _with_transcript(root: Path, unit: Unit, look: Callable) -> tuple[Unit, str]:
    """The unit with the transcript that lies beside its recording, or why it has none: of several, none is used."""
    recording = unit.video or unit.audio
    if unit.transcript or not recording:
        return unit, ""
    try:
        path = find_transcript(root, recording, look)
    except InputError as error:
        return unit, f"the transcript supplied was not used: {error}"
    return (replace(unit, transcript=below(root, path)) if path else unit), ""
