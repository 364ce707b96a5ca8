"""``python -m pipeline audio``: the 16 kHz mono sound of one video's segments.

Sound comes from the sentence files that a corpus supplies, or is cut from the video's own track by time. Either is
streamed, so memory does not grow with its length. What was not recorded stays zero and is said.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import numpy as np

from pipeline.audio_file import SAMPLE_RATE_HZ, SENTENCE, VIDEO, AudioWriter
from pipeline.cli import there
from pipeline.log import log, progress
from pipeline.media import MediaError, read_audio
from pipeline.records import InputError, Segment, Unit, read_table
from pipeline.timebase import sample_index

SILENT_PEAK = 10 ** (-60 / 20)  # of full scale 1: what stays below -60 dB everywhere holds no speech
LENGTH_TOLERANCE_S = 0.1  # by which a sentence file may differ from its turn without a word about it
EDGE_TOLERANCE_S = 0.05  # by which sound may begin late or end early without a word about it


def sentence_path(root: Path, unit: Unit, segment: Segment) -> Path:
    """Where IEMOCAP keeps the sound of one turn."""
    return root / f"Session{unit.session}" / "sentences" / "wav" / unit.unit_id / f"{segment.segment_id}.wav"


class _Track:
    """One segment's sound as it arrives: where it lies, from when to when it was heard, and how loud."""

    def __init__(self, segment: Segment, writer: AudioWriter, count: int):
        self.segment, self.writer, self.count = segment, writer, count
        self.first, self.last, self.peak = count, 0, 0.0

    def put(self, position: int, samples: np.ndarray) -> None:
        """Keep what of ``samples``, whose first is number ``position`` of the segment, lies inside of it."""
        first, last = max(position, 0), min(position + len(samples), self.count)
        if last <= first:
            return
        kept = samples[first - position : last - position]
        self.writer.write(self.segment.segment_id, first, kept)
        self.first, self.last = min(self.first, first), max(self.last, last)
        self.peak = max(self.peak, float(np.abs(kept).max()))

    def close(self, source: str, reasons: Iterable[str]) -> None:
        """Write down what the segment's sound is."""
        start_s, reasons = self.segment.start_s, list(reasons)
        if self.last == 0:
            self.writer.describe(self.segment.segment_id, source, (start_s, start_s), _join(reasons, "no sound in it"))
            return
        begin_s, end_s = start_s + self.first / SAMPLE_RATE_HZ, start_s + self.last / SAMPLE_RATE_HZ
        late_s, early_s = begin_s - start_s, (self.count - self.last) / SAMPLE_RATE_HZ
        if late_s > EDGE_TOLERANCE_S:
            reasons.append(f"sound begins {late_s:.2f} s late")
        if early_s > EDGE_TOLERANCE_S:
            reasons.append(f"sound ends {early_s:.2f} s early")
        silent = self.peak < SILENT_PEAK
        reasons += ["silent"] if silent else []
        self.writer.describe(self.segment.segment_id, source, (begin_s, end_s), _join(reasons), silent)


def write_audio(
    root: Path, unit: Unit, segments: Sequence[Segment], source: str, out: Path, attributes: dict | None = None
) -> None:
    """Write the audio file of one unit.

    Args:
        root: folder of the corpus.
        unit: the source video.
        segments: all segments of the unit.
        source: "sentences" (a segment whose file is absent is cut from the video, which is said) or "video".
        out: the audio file.
        attributes: how the file is made, stored in it.
    """
    plan = {s.segment_id: (s.start_s, sample_index(s.duration_s, SAMPLE_RATE_HZ)) for s in segments}
    with AudioWriter(out, plan, attributes) as writer:
        tracks = [_Track(s, writer, plan[s.segment_id][1]) for s in segments]
        from_video: list[tuple[_Track, list[str]]] = []
        for track in tracks:
            if source == "video":
                from_video.append((track, []))
                continue
            path = sentence_path(root, unit, track.segment)
            try:
                _read_sentence(path, track)
            except MediaError as error:
                what = "missing" if not path.exists() else f"unusable ({error.reason})"
                log.warning("%s: sentence wav %s, cut from the video instead", path, what)
                from_video.append((track, [f"sentence wav {what}: cut from the video"]))
        if from_video:
            _read_video(root / unit.video, from_video)


def _read_sentence(path: Path, track: _Track) -> None:
    length = 0
    for _, samples in read_audio(path, SAMPLE_RATE_HZ):
        track.put(length, samples)
        length += len(samples)
    if not length:
        raise MediaError(path, "no sample can be decoded", "replace the file")
    length_s = length / SAMPLE_RATE_HZ
    off = abs(length_s - track.segment.duration_s) > LENGTH_TOLERANCE_S
    text = f"sentence wav lasts {length_s:.2f} s, the turn {track.segment.duration_s:.2f} s"
    track.close(SENTENCE, [text] if off else [])


def _read_video(path: Path, wanted: Sequence[tuple[_Track, list[str]]]) -> None:
    """Give each block of the video's sound to every segment that it overlaps."""
    failure = []
    try:
        for start_s, samples in progress(read_audio(path, SAMPLE_RATE_HZ), f"sound of {path.name}"):
            for track, _ in wanted:
                track.put(sample_index(start_s - track.segment.start_s, SAMPLE_RATE_HZ), samples)
    except MediaError as error:
        log.warning("%s", error)
        failure = [error.reason if error.reason == "no audio stream" else f"video unreadable: {error.reason}"]
    for track, reasons in wanted:
        track.close(VIDEO, reasons + failure)


def _join(reasons: list[str], otherwise: str = "") -> str:
    return "; ".join(reasons) or otherwise


@click.command()
@click.option("--corpus", type=click.Choice(["iemocap", "affwild2"]), required=True, help="Which corpus it is.")
@click.option("--root", type=click.Path(path_type=Path), required=True, callback=there, help="Folder of the corpus.")
@click.option("--units", type=click.Path(path_type=Path), required=True, help="units.tsv of the corpus.")
@click.option("--segments", type=click.Path(path_type=Path), required=True, help="segments.tsv of the corpus.")
@click.option("--unit", required=True, help="Which source video: its unit_id.")
@click.option(
    "--source",
    type=click.Choice(["sentences", "video"]),
    default="video",
    show_default=True,
    help="The corpus's own file for each segment (IEMOCAP), or the video's track.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The audio file to write.")
def audio(corpus, root, units, segments, unit, source, out):
    """Cut the sound of one video's segments: 16 kHz, one channel, in the video's time."""
    if source == "sentences" and corpus != "iemocap":
        raise InputError(f"--source sentences: {corpus} has no file for each segment; give --source video")
    known = {u.unit_id: u for u in read_table(units, Unit)}
    if unit not in known:
        raise InputError(f"--unit {unit!r} is not in {units}, which has {', '.join(sorted(known)[:5])}, ...")
    own = [s for s in read_table(segments, Segment) if s.unit_id == unit]
    if not own:
        log.warning("%s: no segment of it in %s; the audio file will be empty", unit, segments)
    write_audio(root, known[unit], own, source, out, {"unit": unit, "corpus": corpus, "source": source})
