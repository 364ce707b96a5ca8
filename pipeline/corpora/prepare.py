"""From a reader to the tables of a corpus, without opening media: what the workflow plans with and ``index`` writes.

Every unit belongs to a shard, the recordings whose faces, sound and words one job prepares and one file holds.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.raw import matching
from pipeline.corpora.transcripts import (
    COLUMNS,
    find_transcript,
    folder_of_own,
    is_other_table,
    is_transcript,
    not_used,
    transcripts_in,
    unusable,
)
from pipeline.corpora.tree import below
from pipeline.names import AUDIO_SUFFIXES, safe_id, unfinished
from pipeline.records import Finding, InputError, Segment, Unit, by_unit

FILES_WANTED = 64  # fewer recordings than this have a file each
MAX_IN_ONE = 256


def power_of_two(count: int) -> int:
    """The largest one up to a count, at least 1: by it jobs are cut anew only where a corpus has doubled."""
    return 1 << max(0, count.bit_length() - 1)


def shards(unit_ids: Sequence[str], size: int | None = None) -> dict[str, list[str]]:
    """Units by the name of their shard; of ``size`` each, or as many as keep the number of files reasonable (None).

    A shard of one has the unit's own name, so that the files of long recordings say whose they are.
    """
    size = size or min(MAX_IN_ONE, power_of_two(len(unit_ids) // FILES_WANTED))
    if size == 1:
        return {unit_id: [unit_id] for unit_id in unit_ids}
    return {f"{k // size:05d}": list(unit_ids[k : k + size]) for k in range(0, len(unit_ids), size)}


def read(corpus: Corpus, media_units: int | None = None) -> Index:
    """The tables of a corpus, transcripts found beside the recordings included; raises InputError as ``index`` does."""
    found = corpus.index()
    _check_ids(corpus, found)
    shard_of = {u: name for name, units in shards([u.unit_id for u in found.units], media_units).items() for u in units}
    supplied, problems, strange = _transcripts(corpus, found)
    units = [
        replace(u, shard=shard_of[u.unit_id], transcript=u.transcript or supplied.get(u.unit_id)) for u in found.units
    ]
    if strange:
        listed = ", ".join(strange[:3]) + (f" and {len(strange) - 3} more" if len(strange) > 3 else "")
        reason = f"not taken for a transcript, whose first line names {', '.join(COLUMNS)}: {listed}"
        found.say("text", "partial", f"{reason}; if one is meant, name its columns so")
    segments_of = by_unit(found.segments)
    for unit_id, problem in problems.items():
        found.findings += unusable(segments_of[unit_id], f"the transcript supplied was not used: {problem}")
    passed = {unit.unit_id: why for unit in units if (why := not_used(unit, segments_of[unit.unit_id]))}
    found.findings += [Finding(unit_id, None, "text", "ok", why) for unit_id, why in passed.items()]
    found.findings += (finding for unit in units for finding in _of_one_face(unit, segments_of[unit.unit_id]))
    found.findings += _unfinished(corpus.root, units)
    segments = [replace(s, shard=shard_of[s.unit_id]) for s in found.segments]
    return Index(units, segments, found.labels, found.findings, found.ratings)


def _of_one_face(unit: Unit, segments: Sequence[Segment]) -> Iterator[Finding]:
    """A finding for each view of a video in which several people are at one time, and nothing says which is who."""
    at_once: dict[str, dict[str, None]] = defaultdict(dict)
    ends_s: dict[str, dict[str, float]] = defaultdict(dict)  # of each person, by view
    unknown = (s for s in segments if unit.video and s.side == "whole" and not s.crops)
    for segment in sorted(unknown, key=lambda s: s.start_s):
        own, still = segment.speaker, {who: t for who, t in ends_s[segment.picture].items() if t > segment.start_s}
        if still.keys() - {own}:
            at_once[segment.picture] |= dict.fromkeys([*still, own])
        ends_s[segment.picture] = {**still, own: max(segment.end_s, still.get(own, 0.0))}
    for picture, people in at_once.items():
        who = ", ".join([*people][:3]) + (" and others" if len(people) > 3 else "")
        where = unit.video if picture == "whole" else f"the {picture} of {unit.video}"
        reason = f"{who} are in {where} at one time, and nothing says whose face is whose: each has the largest one; "
        reason += "say who is left and who is right (side), or give picture or crops"
        yield Finding(unit.unit_id, None, "video", "partial", reason)


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


def _transcripts(corpus: Corpus, index: Index) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The transcripts that lie beside recordings, why some recordings have none, both by unit, and tables passed over.

    Of several none is used, nor is one that recordings of different folders have found: nobody knows whose it is.
    """
    root, units, strange = corpus.root, index.units, dict[str, None]()
    of_reader = matching(root, [p for patterns in corpus.text_files.values() for p in patterns if is_transcript(p)])
    of_segments = (path for s in index.segments for path in (s.annotation, s.alignment) if path)
    named_otherwise = {os.path.abspath(root / path) for path in (*of_reader, *of_segments)}

    def is_other(path: Path) -> bool:
        if os.path.abspath(path) in named_otherwise:
            return True
        if other := is_other_table(path, root):
            strange[below(root, path)] = None
        return other

    look = cache(transcripts_in)
    recording_of = {u.unit_id: u.video or u.audio for u in units if not u.transcript}
    named = {os.path.splitext(os.path.basename(u.video or u.audio or ""))[0] for u in units}
    found, problems, claims = {}, {}, defaultdict(set)
    for unit_id, recording in recording_of.items():
        try:
            path = find_transcript(root, recording, look, named, is_other) if recording else None
        except InputError as error:
            problems[unit_id] = str(error)
            continue
        if path:
            found[unit_id] = below(root, path)
            claims[found[unit_id]].add(recording)
    for unit_id, transcript in list(found.items()):
        folders, lies_in = {os.path.dirname(recording) for recording in claims[transcript]}, os.path.dirname(transcript)
        owners = {folder for folder in folders if lies_in in (folder, folder_of_own(folder))} or folders
        here = os.path.dirname(recording_of[unit_id])
        if owners != {here}:
            del found[unit_id]
            problems[unit_id] = (
                f"{transcript} could be of {' or '.join(sorted(claims[transcript])[:3])}; put that of this one beside "
                f"it{f' or into {own}' if (own := folder_of_own(here)) else ''}"
            )
    return found, problems, [*strange]
