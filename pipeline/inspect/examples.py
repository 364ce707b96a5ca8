"""A few segments to look at and listen to: a small crop, the words and a short sound of each, as JSON lines.

One object a segment: ``{"segment_id", "jpeg", "words", "sound", "sound_type"}``; ``jpeg`` and ``sound`` are base64, and
null where there is no face or no sound. What is written is the corpus itself: it goes where the corpus may go.
"""

import base64
import csv
import io
import json
from pathlib import Path

import click
import numpy as np

from pipeline.audio_file import AudioFile
from pipeline.cli import EXISTING, EXISTING_FOLDER, FILE
from pipeline.files import replacing
from pipeline.inspect.contact_sheet import Faces, jpeg_of, middle_crop
from pipeline.log import log
from pipeline.records import InputError, Segment, Word, read_table

CROP_PX = 80
SOUND_S = 4.0
SOUND_TYPE, SOUND_BITS = "audio/mpeg", 32_000
WORDS_AT_MOST = 40


def crop_of(faces: Faces, segment: Segment) -> bytes | None:
    """The crop nearest to the middle of a segment, small; None where it shows no face or faces were not prepared."""
    from PIL import Image

    track = faces.track(segment) if segment.prepared(faces.results, "video").exists() else None
    index = middle_crop(track) if track else None
    if index is None:
        return None
    return jpeg_of(Image.fromarray(track.crops(index, index + 1)[0]).resize((CROP_PX, CROP_PX), Image.LANCZOS))


def words_of(results: Path, segment: Segment) -> str:
    """What is said during a segment, as far as it is known."""
    path = segment.prepared(results, "text")
    if not path.exists():
        return segment.text or ""
    own = sorted((word for word in read_table(path, Word) if word.belongs_to(segment)), key=lambda w: w.start_s)
    more = " …" if len(own) > WORDS_AT_MOST else ""
    return " ".join(word.word for word in own[:WORDS_AT_MOST]) + more


def sound_of(results: Path, segment: Segment) -> bytes | None:
    """The first seconds of a segment's sound as MP3; None where there is none."""
    path = segment.prepared(results, "audio")
    if not path.exists():
        return None
    audio = AudioFile(path)
    track = audio.get(segment.segment_id)
    samples = track.samples(0, round(SOUND_S * track.sample_rate_hz)) if track else np.zeros(0, np.float32)
    rate = audio.sample_rate_hz
    audio.close()
    return mp3(samples, rate) if len(samples) and np.abs(samples).max() > 0 else None


def mp3(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """Samples (n,) from -1 to 1 as an MP3 file."""
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format="mp3") as container:
        track = container.add_stream("mp3", rate=sample_rate_hz, layout="mono")
        track.bit_rate = SOUND_BITS
        whole = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        frame.sample_rate = sample_rate_hz
        for packet in [*track.encode(frame), *track.encode(None)]:
            container.mux(packet)
    return stream.getvalue()


def example(results: Path, faces: Faces, segment: Segment) -> dict:
    """One line of the file."""
    jpeg, sound = crop_of(faces, segment), sound_of(results, segment)
    return {
        "segment_id": segment.segment_id,
        "jpeg": base64.b64encode(jpeg).decode() if jpeg else None,
        "words": words_of(results, segment),
        "sound": base64.b64encode(sound).decode() if sound else None,
        "sound_type": SOUND_TYPE if sound else None,
    }


def chosen(path: Path) -> list[str]:
    """The segment ids of a table with a column of that name; raises InputError without it."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream, delimiter="," if path.suffix == ".csv" else "\t")
        if "segment_id" not in (reader.fieldnames or ()):
            raise InputError(f"{path}: lacks the column segment_id; let `affectflow models examples` write it")
        return [row["segment_id"] for row in reader]


@click.command()
@click.option("--results", required=True, type=EXISTING_FOLDER, help="results/CORPUS")
@click.option("--segments", required=True, type=EXISTING, help="a column segment_id")
@click.option("--out", required=True, type=FILE, help="tables/examples.jsonl")
def examples(results, segments, out):
    """Cut a small crop, the words and a short sound of chosen segments, for the report to show."""
    wanted = chosen(segments)
    known = {s.segment_id: s for s in read_table(results / "segments.tsv", Segment)}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(f"{segments}: {unknown[0]} is not a segment of {results / 'segments.tsv'}; choose again")
    faces = Faces(results)
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for name in wanted:
            stream.write(json.dumps(example(results, faces, known[name])) + "\n")
    faces.forget()
    log.info("%s: %d segments", out, len(wanted))
