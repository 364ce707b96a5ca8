"""What only the media of a corpus can tell: where recordings end, and where their frames are."""

from collections.abc import Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf, isinf
from pathlib import Path

import numpy as np

from pipeline.corpora.base import Corpus, Index
from pipeline.log import progress
from pipeline.records import Finding, InputError, Segment, Unit, by_unit, microphones
from pipeline.store import Rows
from pipeline.timebase import SAMPLE_RATE_HZ, frame_ranges_s

THREADS = 4  # reading time stamps waits for the disk


def frames_of(root: Path, unit: Unit) -> "np.ndarray | InputError":
    """Time of each video frame of a unit, or why there is none."""
    from pipeline.media import Video

    if not unit.video:
        return InputError("there is no video")
    try:
        return Video(root / unit.video).time_s
    except InputError as error:
        return _without_folder(error, root)


@dataclass(frozen=True)
class Length:
    """Where a recording ends, in seconds, or why nobody knows, and what must be said of it."""

    end_s: float | InputError
    unseen: str = ""  # why that is where its sound ends, if its picture cannot be read
    unused: str = ""  # which of its sound is not used


def length_of(root: Path, unit: Unit, frames: bool = False) -> Length:
    """How long a unit lasts, from its first frame, or from its first sample where it has no picture.

    It ends with its picture or its sound, whichever is later, and with its picture where its ``frames`` are the items.
    """
    failed, unseen = InputError("neither video nor sound tells how long it lasts; give end_s"), ""
    if unit.video:
        try:
            return _seen(root, unit, frames)
        except InputError as error:
            failed = _without_folder(error, root)
            unseen = f"{failed}; it lasts as long as its sound"
    for sound in filter(None, (unit.audio, unit.video)):
        end_s = _sound_s(root, sound)
        if not isinstance(end_s, InputError):
            return Length(end_s, unseen)
        failed = failed if unseen else end_s
    return Length(failed)


def _seen(root: Path, unit: Unit, frames: bool) -> Length:
    """How long a unit lasts whose picture can be read; raises InputError for any other."""
    from pipeline.media import Video, whole
    from pipeline.sound import extent_s

    video = Video(root / unit.video)
    sound_s = video.sound_s
    if unit.audio:
        with suppress(InputError):  # said where its sound is read
            sound_s = extent_s(root / unit.audio)
    end_s, unused = whole(video.end_s, sound_s, frames)
    return Length(end_s, unused=unused)


def _length_of_own(root: Path, unit: Unit, segment: Segment, failed: InputError, through: Set[str]) -> Length:
    """Where a segment ends that has a sound of its own, in a recording of which nothing can be read.

    That begins with the segment, or with the recording where it is one of those that ran ``through`` it.
    """
    lasts_s = _sound_s(root, segment.audio) if segment.audio else failed
    if isinstance(lasts_s, InputError):
        return Length(failed)
    start_s = 0.0 if segment.audio in through else segment.start_s
    return Length(start_s + lasts_s, f"{failed}; it lasts as long as its sound" if unit.video else "")


def with_ends(root: Path, found: Index, frames: bool = False) -> Index:
    """The same with every segment's end; a segment of a recording that cannot be read is a finding instead.

    Recordings are opened only where a segment ends with them; what else starts after their end is a finding, too, as is
    a picture that cannot be read where sound tells the length, and sound that a whole recording does not use.
    ``frames``: each frame of the picture is an item.
    """
    open_ended = by_unit(segment for segment in found.segments if isinf(segment.end_s))
    if not open_ended:
        return found
    units = {unit.unit_id: unit for unit in found.units if unit.unit_id in open_ended}
    with ThreadPoolExecutor(THREADS) as pool:
        asked = pool.map(lambda unit: length_of(root, unit, frames), units.values())
        lengths = dict(zip(units, progress(asked, "lengths of recordings", len(units))))
    segments, findings = [], list(found.findings)
    through = {unit_id: microphones(own) for unit_id, own in by_unit(found.segments).items()}
    for segment in found.segments:
        unit_id = segment.unit_id
        length = lengths.get(unit_id, Length(inf))
        if isinstance(length.end_s, InputError):
            length = _length_of_own(root, units[unit_id], segment, length.end_s, through[unit_id])
        recording_s, whole = length.end_s, isinf(segment.end_s)
        end_s = recording_s if whole else segment.end_s
        if isinstance(end_s, InputError):
            modality = "video" if units[segment.unit_id].video else "audio"
            findings.append(Finding(segment.unit_id, segment.segment_id, modality, "absent", str(end_s)))
        elif not isinstance(recording_s, InputError) and recording_s <= segment.start_s:
            reason = f"starts at {segment.start_s} s, its recording ends at {recording_s:.3f} s"
            findings.append(Finding(segment.unit_id, segment.segment_id, "corpus", "absent", reason))
        else:
            segments.append(replace(segment, end_s=end_s))
            if length.unseen:
                findings.append(Finding(segment.unit_id, segment.segment_id, "video", "absent", length.unseen))
            if length.unused and whole:
                findings.append(Finding(segment.unit_id, segment.segment_id, "audio", "partial", length.unused))
    kept = {s.segment_id for s in segments}
    labels = [row for row in found.labels if row.segment_id in kept]
    return Index(found.units, segments, labels, findings, [row for row in found.ratings if row.segment_id in kept])


def frame_labels(
    corpus: Corpus, units: list[Unit], segments: list[Segment], findings: list[Finding]
) -> Iterator[tuple[str, Rows]]:
    """Yield the labels of every frame of each segment, by id; what is wrong with them is added to ``findings``.

    A segment without frames has no rows: there is nothing of it to predict.
    """
    width = len(corpus.task.partition(":")[2].split(","))  # classes have no names there, and one column
    of_units = by_unit(segments)
    unit_of = {unit.unit_id: unit for unit in units}
    rows: dict[str, Rows] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        times = pool.map(lambda unit_id: frames_of(corpus.root, unit_of[unit_id]), of_units)
        for (unit_id, own), time_s in zip(of_units.items(), progress(times, "frame labels, recordings", len(of_units))):
            for segment in own:
                if isinstance(time_s, InputError):
                    findings.append(Finding(unit_id, segment.segment_id, "label", "absent", str(time_s)))
                    rows[segment.segment_id] = Rows.empty(width)
                    continue
                inside = slice(*np.searchsorted(time_s, (segment.start_s, segment.end_s)))
                annotated = corpus.annotate(segment, time_s)
                values, valid = annotated.rows.values[inside], annotated.rows.valid
                rows[segment.segment_id] = Rows(values, frame_ranges_s(time_s)[inside], valid[inside])
                share = round(float(valid[inside].mean()), 4) if valid[inside].size else 0.0
                if annotated.absent:
                    findings.append(Finding(unit_id, segment.segment_id, "label", "absent", annotated.absent, share))
                notes = [("partial", text) for text in annotated.notes] + [("ok", text) for text in annotated.remarks]
                findings += [Finding(unit_id, segment.segment_id, "label", *note, share) for note in notes]
    yield from sorted(rows.items())


def _sound_s(root: Path, sound: str) -> "float | InputError":
    """Length of a sound file in seconds, as its decoded samples say, or why it has none."""
    from pipeline.sound import read_audio

    end_s = 0.0
    try:
        for start_s, samples in read_audio(root / sound):
            end_s = start_s + len(samples) / SAMPLE_RATE_HZ
    except InputError as error:
        return _without_folder(error, root)
    return end_s or InputError(f"{sound}: no sample can be decoded; replace the file")


def _without_folder(error: InputError, root: Path) -> InputError:
    """The same message without the folder of this machine: coverage names paths below the root."""
    return InputError(str(error).replace(f"{root}/", ""))
