"""Sound and the words stage, for tests of words."""

import subprocess
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from pipeline.audio_file import AudioWriter
from pipeline.records import Segment, Unit, Word, read_table, write_table
from pipeline.words.command import words as words_command
from pipeline.words.pieces import PieceRecogniser
from pipeline.words.text import spell

RATE_HZ = 16_000


def tokens(text: str) -> list[str]:
    """The spoken words of a text."""
    return [spoken for spoken, _ in spell(text)]


def write_audio(path: Path, samples: np.ndarray, segment_id: str = "clip", start_s: float = 0.0) -> Path:
    """An audio file of one segment."""
    with AudioWriter(path, {segment_id: (start_s, len(samples))}) as writer:
        writer.write(segment_id, 0, samples.astype(np.float32))
        writer.describe(segment_id, "video", (start_s, start_s + len(samples) / RATE_HZ))
    return path


def speech(shared: Path, name: str) -> np.ndarray:
    """(n,) float32 at 16 kHz of one GRID clip."""
    import imageio_ffmpeg

    source = str(shared / "media" / "grid" / f"{name}.mpg")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", source, "-f", "f32le", "-ac", "1"]
    raw = subprocess.run([*command, "-ar", str(RATE_HZ), "-"], check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.float32)


def run_words(root: Path, folder: Path, unit: Unit, segments: list[Segment], **options) -> list[Word]:
    """Call the stage on tables written for it."""
    write_table(folder / "units.tsv", [unit], Unit)
    write_table(folder / "segments.tsv", segments, Segment)
    arguments = ["--root", str(root), "--tables", str(folder), "--shard", unit.unit_id]
    arguments += ["--audio", str(folder / "audio.h5"), "--out", str(folder / "words.tsv")]
    arguments += [item for key, value in options.items() for item in (f"--{key}", str(value))]
    CliRunner().invoke(words_command, arguments, catch_exceptions=False)
    return read_table(folder / "words.tsv", Word)


def subject(segment_id: str, end_s: float, unit_id: str = "clip") -> Segment:
    return Segment(segment_id, unit_id, segment_id, None, "train", 0.0, end_s)


class Scripted(PieceRecogniser):
    """Finds one word a second, and remembers how much sound it was given at once."""

    finds_speech = True
    longest = 0

    def transcribe(self, samples, sample_rate_hz):
        self.longest = max(self.longest, len(samples))
        return [("um", n + 0.2, n + 0.5) for n in range(len(samples) // sample_rate_hz)]
