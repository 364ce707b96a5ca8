"""``python -m pipeline audio``: the 16 kHz mono sound of the segments of some recordings.

Sound comes from the files that a corpus supplies for segments, or is cut from the recording's own track by time. A file
begins with its segment, or with the recording where it ran through that, as a speaker's own microphone does. Either is
streamed, so memory does not grow with its length. What was not recorded stays zero, and the file says so.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import Enum
from math import inf
from pathlib import Path

import click
import numpy as np

from pipeline.audio_file import SENTENCE, SILENT_PEAK, VIDEO, AudioWriter
from pipeline.cli import FILE, of_shard
from pipeline.container import MediaError, NoSound, lasts_s
from pipeline.log import log, progress
from pipeline.records import Segment, Unit, microphones, read_shard
from pipeline.sound import WrongScale, read_audio
from pipeline.timebase import SAMPLE_RATE_HZ, sample_index

LENGTH_TOLERANCE_S = 0.1  # a sentence file may differ from its turn by this much without a remark
MUCH_LONGER_S = 3.0  # longer than its turn by this much: perhaps no sentence file
NOTHING, REPLACE_SOUND = "no sample can be decoded", "replace the file"
SEAM_S = 0.01  # a gap this small between two blocks comes from resampling them


class Doubt(Enum):
    """What a sound file's length says against its being cut for its segment, in words."""

    NONE = ""
    RAN_THROUGH = ": as long as the recording, of which it is taken to be the sound"
    UNCLEAR = ": whether it begins with the segment or with the recording is not clear; cut it to the segment"


class _Track:
    """One segment's sound as it arrives: where it lies, for which stretches there is some, and how loud."""

    def __init__(self, segment: Segment, writer: AudioWriter, count: int):
        self.segment, self.writer, self.count = segment, writer, count
        self.recorded: list[list[int]] = []  # first and one past the last sample of each stretch
        self.peak = 0.0
        self.sound_end_s = -inf  # of a file that was read to its end, which begins with the recording

    def put(self, position: int, samples: np.ndarray) -> None:
        """Write the part of ``samples`` inside the segment; the first sample is number ``position`` of it."""
        first, last = max(position, 0), min(position + len(samples), self.count)
        if last <= first:
            return
        kept = samples[first - position : last - position]
        self.writer.write(self.segment.segment_id, first, kept)
        self.recorded.append([first, last])
        self.peak = max(self.peak, float(np.abs(kept).max()))

    def clear(self) -> None:
        """Take back all that was put: zeros again, as where nothing was recorded."""
        for first, last in self.recorded:
            self.writer.write(self.segment.segment_id, first, np.zeros(last - first, np.float32))
        self.recorded, self.peak = [], 0.0

    def close(self, source: str, remarks: Iterable[str]) -> None:
        """Write down what the segment's sound is."""
        stretches = _joined(self.recorded, round(SEAM_S * SAMPLE_RATE_HZ))
        observed_s = self.segment.start_s + np.array(stretches, float).reshape(-1, 2) / SAMPLE_RATE_HZ
        silent = bool(stretches) and self.peak < SILENT_PEAK
        self.writer.describe(self.segment.segment_id, source, observed_s, silent)
        after_s = self.segment.start_s - self.sound_end_s
        late = [f"starts {after_s:.2f} s after the sound ends"] if 0 <= after_s < inf and not stretches else []
        self.writer.remark(self.segment.segment_id, *remarks, *late)


def _joined(stretches: list[list[int]], seam: int) -> list[list[int]]:
    """Stretches in order, those that overlap or are no further apart than ``seam`` samples made one."""
    joined: list[list[int]] = []
    for first, last in sorted(stretches):
        if joined and first <= joined[-1][1] + seam:
            joined[-1][1] = max(joined[-1][1], last)
        else:
            joined.append([first, last])
    return joined


def write_audio(
    root: Path, recordings: Sequence[tuple[Unit, Sequence[Segment]]], out: Path, attributes: dict | None = None
) -> None:
    """Write the sound of some recordings.

    Args:
        root: folder of the corpus.
        recordings: each unit with all segments of it. A segment that names a sound file of its own has its sound from
            there; where that cannot be used it is cut from the recording, which is said.
        out: the audio file.
        attributes: how the file is made, stored in it.
    """
    plan = {s.segment_id: (s.start_s, sample_index(s.duration_s, SAMPLE_RATE_HZ)) for _, own in recordings for s in own}
    with AudioWriter(out, plan, attributes) as writer:
        for unit, segments in recordings:
            _write_unit(root, unit, [_Track(s, writer, plan[s.segment_id][1]) for s in segments])


def _write_unit(root: Path, unit: Unit, tracks: list[_Track]) -> None:
    recording, named = unit.audio or unit.video, defaultdict(list)
    for track in tracks:
        named[track.segment.audio or None].append(track)
    from_recording = [(track, list[str]()) for track in named.pop(None, ())]
    through, last_s = microphones(t.segment for t in tracks), max((t.segment.end_s for t in tracks), default=0.0)
    if named and recording:
        last_s = max(last_s, lasts_s(root / recording))
    for sound, own in named.items():
        why = _own_sound(root / sound, own, sound in through, last_s, recording is not None)
        from_recording += [(track, [why]) for track in own if why]
    if recording and from_recording:
        _read_recording(root / recording, "sound file" if unit.audio else "video", from_recording)
    elif from_recording:
        for track, remarks in from_recording:
            track.close(VIDEO, [*remarks, "there is no sound"])


def _own_sound(path: Path, tracks: Sequence[_Track], through: bool, last_s: float, otherwise: bool) -> str:
    """Take segments' sound from a file of theirs, which ran ``through`` the recording or begins with each of them.

    Returns what to say where they are cut from elsewhere instead; ``last_s`` is where the recording ends.
    """
    try:
        if through:
            if not _read_through(path, tracks):
                raise MediaError(path, NOTHING, REPLACE_SOUND)
            for track in tracks:
                track.close(SENTENCE, [])
        else:
            _read_sentence(path, tracks, last_s)
        return ""
    except MediaError as error:
        for track in tracks:
            track.clear()  # what came before it broke counts for nothing
        what = "missing" if not path.exists() else f"unusable ({error.reason})"
        log.warning("%s: sound file %s%s", path, what, ", cut from the recording instead" if otherwise else "")
        return f"sound file {what}{': cut from the recording' if otherwise else ''}"


def _read_sentence(path: Path, tracks: Sequence[_Track], last_s: float) -> None:
    """Take a file as the sound from the segments' start on, unless its length says that it is not that."""
    length_s = _read_cut(path, tracks)
    doubt = _doubt(length_s, max((track.segment for track in tracks), key=lambda s: s.duration_s), last_s)
    if doubt is not Doubt.NONE:  # rare, so that it is read anew and all others are opened once
        for track in tracks:
            track.clear()
    if doubt is Doubt.RAN_THROUGH:
        _read_through(path, tracks)
    for track in tracks:
        duration_s = track.segment.duration_s
        text = f"sound file lasts {length_s:.2f} s, the segment {duration_s:.2f} s{doubt.value}"
        if doubt is Doubt.UNCLEAR:
            log.warning("%s: %s", path, text)
        differs = doubt is not Doubt.NONE or abs(length_s - duration_s) > LENGTH_TOLERANCE_S
        track.close(SENTENCE, [text] if differs else [])


def _doubt(length_s: float, segment: Segment, last_s: float) -> Doubt:
    """What tells by its length that a file was not cut for the segment."""
    if segment.start_s == 0:
        return Doubt.NONE  # it begins with both
    if length_s >= last_s - MUCH_LONGER_S and length_s - segment.duration_s > last_s - length_s:
        return Doubt.RAN_THROUGH
    much_longer = length_s >= segment.end_s and length_s > segment.duration_s + MUCH_LONGER_S
    return Doubt.UNCLEAR if much_longer else Doubt.NONE


def _read_cut(path: Path, tracks: Sequence[_Track]) -> float:
    """Give a file's sound to segments that begin with it; returns how long it lasts."""
    first_s, length_s = None, 0.0
    for start_s, samples in read_audio(path):
        first_s = start_s if first_s is None else first_s  # some coders begin behind zero
        for track in tracks:
            track.put(sample_index(start_s - first_s, SAMPLE_RATE_HZ), samples)
        length_s = start_s - first_s + len(samples) / SAMPLE_RATE_HZ
    if first_s is None:
        raise MediaError(path, NOTHING, REPLACE_SOUND)
    return length_s


def _read_through(path: Path, tracks: Sequence[_Track]) -> bool:
    """Give each block of a recording's sound to every segment that it overlaps; returns whether there is any."""
    end_s = -inf
    for start_s, samples in progress(read_audio(path), f"sound of {path.name}, blocks"):
        for track in tracks:
            track.put(sample_index(start_s - track.segment.start_s, SAMPLE_RATE_HZ), samples)
        end_s = max(end_s, start_s + len(samples) / SAMPLE_RATE_HZ)
    for track in tracks:
        track.sound_end_s = end_s
    return end_s > -inf


def _read_recording(path: Path, what: str, wanted: Sequence[tuple[_Track, list[str]]]) -> None:
    """Cut segments from the recording's own sound; ``what`` it is in."""
    failure = []
    try:
        _read_through(path, [track for track, _ in wanted])
    except MediaError as error:
        log.warning("%s", error)
        readable = isinstance(error, (NoSound, WrongScale))
        failure = [error.reason if readable else f"{what} unreadable: {error.reason}"]
        if isinstance(error, WrongScale):
            for track, _ in wanted:
                track.clear()
    for track, remarks in wanted:
        track.close(VIDEO, remarks + failure)


@click.command()
@of_shard
@click.option("--out", type=FILE, required=True, help="The audio file to write.")
def audio(root, tables, shard, out):
    """Cut the sound of the segments of some recordings: 16 kHz, one channel, in the recording's time."""
    recordings = read_shard(tables, shard)
    write_audio(root, recordings, out, {"units": [unit.unit_id for unit, _ in recordings]})
