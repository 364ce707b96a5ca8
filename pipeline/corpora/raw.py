"""Fingerprints of raw files, so that results follow the contents of a corpus and not the place where it is mounted.

What each stage depends on is a digest over the rows of its segments and the contents of the files that they name. Files
are read whole; of those named as videos and sounds (``pipeline.names``) above ``WHOLE_BYTES`` their size and
``SAMPLES`` blocks spread evenly are, because reading hundreds of hours of video would take longer than a run that has
nothing to do. Of a folder the names and sizes of its files count.
"""

import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from pipeline.corpora.base import Corpus
from pipeline.files import digest_file, is_litter, replacing
from pipeline.names import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from pipeline.records import Segment, Unit

BLOCK_BYTES = 1 << 16
SAMPLES = 16
WHOLE_BYTES = SAMPLES * BLOCK_BYTES
SAMPLED = VIDEO_SUFFIXES + AUDIO_SUFFIXES


class Reads(NamedTuple):
    """What a stage depends on: files of the unit, columns of its segments, and files of those."""

    of_unit: tuple[str, ...]
    columns: tuple[str, ...]
    of_segment: tuple[str, ...]


STRETCH = ("unit_id", "segment_id", "start_s", "end_s")
STAGES = {
    "faces": Reads(("video",), (*STRETCH, "side", "picture"), ("crops",)),
    "audio": Reads(("video", "audio"), STRETCH, ("audio",)),
    "words": Reads(("transcript",), (*STRETCH, "text"), ("alignment",)),
    "features": Reads((), STRETCH, ()),
    "labels": Reads(("video", "audio"), STRETCH, ("audio", "annotation")),
}


def content(path: Path, whole: bool = False) -> str:
    """What a file holds, as a digest; that of a folder is over the names and sizes in it; "absent" where nothing is.

    ``whole``: long videos and sounds are, too, and the digest is the SHA-256 of the file.
    """
    try:
        if path.is_dir():
            listing = sorted((p.name, p.stat().st_size) for p in path.iterdir() if not is_litter(p.name))
            return sha256(json.dumps(listing).encode(errors="surrogateescape")).hexdigest()
        if not path.is_file():
            return "absent"
        if whole:
            return digest_file(path)
        size = path.stat().st_size
        digest = sha256(str(size).encode())
        with path.open("rb") as stream:
            if size <= WHOLE_BYTES or not path.name.lower().endswith(SAMPLED):
                while block := stream.read(WHOLE_BYTES):
                    digest.update(block)
            else:
                for k in range(SAMPLES):
                    stream.seek(k * (size - BLOCK_BYTES) // (SAMPLES - 1))
                    digest.update(stream.read(BLOCK_BYTES))
        return digest.hexdigest()
    except OSError as error:  # the stage that reads it has a finding for it
        return f"unreadable: {error.strerror}"


class Fingerprints:
    """Digests of files and folders, remembered by path, size, time of change and mode; each is looked at once."""

    def __init__(self, root: str | Path, memory: str | Path | None = None, whole: bool = False):
        self.root, self.memory, self._whole = Path(root), Path(memory).absolute() if memory else None, whole
        self._known: dict[str, list] = {}
        self._seen: dict[str, list] = {}
        self._fresh = False
        if self.memory and self.memory.exists():
            try:
                self._known = json.loads(self.memory.read_text(encoding="utf-8"))
            except (OSError, ValueError):  # cut off or from elsewhere: read the files again
                self._known = {}

    def of(self, path: str | None) -> str:
        """Digest of one file or folder, given by its path below the root."""
        return self.seen(path)[-1] if path else "none"

    def seen(self, path: str) -> list:
        """Size in bytes, time of change, mode and, at the end, digest of what lies at a path below the root."""
        if path in self._seen:  # nothing changes while one plans
            return self._seen[path]
        try:
            status = os.stat(os.path.join(self.root, path))  # a Path for each takes longer than the question
        except OSError:
            return [0, 0, 0, "absent"]
        mark = [status.st_size, status.st_mtime_ns, status.st_mode]  # by its mode a file may become readable
        if S_ISDIR(status.st_mode):
            mark += _marks_in(self.root / path)
        known = self._known.get(path)
        if known is None or known[:-1] != mark:
            self._fresh = True
            known = self._known[path] = [*mark, content(self.root / path, self._whole)]
        self._seen[path] = known
        return known

    def save(self) -> None:
        """Remember for the next time; where that cannot be written, the files are read again then."""
        if self.memory and self._fresh:
            try:
                with replacing(self.memory) as temporary:
                    temporary.write_text(json.dumps(self._known), encoding="utf-8")
            except OSError:
                return
            self._fresh = False

    def stage(self, stage: str, units: Iterable[Unit], segments: Iterable[Segment]) -> str:
        """Digest of all that ``stage`` depends on of some units, and of their segments."""
        reads, digest = STAGES[stage], sha256()
        for unit in units:
            files = [self.of(getattr(unit, name)) for name in reads.of_unit]
            digest.update(json.dumps([unit.unit_id, *files]).encode())
        for segment in segments:
            row = [getattr(segment, name) for name in reads.columns]
            row += [self.of(getattr(segment, name)) for name in reads.of_segment]
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()[:16]


def _marks_in(folder: Path) -> list[int]:
    """Sizes and times of some files of a folder, whose own time stays the same where they are written over.

    To ask for all of a million crops would take longer than a run that has nothing to do.
    """
    try:
        names = sorted(os.listdir(folder))
        some = [(folder / name).stat() for name in names[:: max(1, len(names) // SAMPLES)]]
    except OSError:  # as it has no digest either
        return []
    return [number for status in some for number in (status.st_size, status.st_mtime_ns)]


@dataclass(frozen=True, slots=True)
class RawFiles:
    """Files of one kind; the digest is over their sorted paths, each with the digest of its contents."""

    what: str
    files: int
    bytes: int
    sha256: str


def files_read(
    corpus: Corpus, units: Sequence[Unit], segments: Sequence[Segment], prints: Fingerprints
) -> list[RawFiles]:
    """One row for each kind of file that the corpus's stages read; a kind of which there is none has no row."""
    kinds: dict[str, Iterable[str | None]] = {
        "videos": (unit.video for unit in units),
        "sound": [*(unit.audio for unit in units), *(segment.audio for segment in segments)],
        "supplied transcripts": (unit.transcript for unit in units),
        "supplied annotations": (segment.annotation for segment in segments),
    }
    for what, patterns in corpus.text_files.items():
        kinds[what] = matching(prints.root, patterns)
    found = [_of(what, prints, paths) for what, paths in kinds.items()]
    return [row for row in found if row.files]


def matching(root: Path, patterns: Sequence[str]) -> Iterator[str]:
    """Paths of the files that patterns below the root name, litter left out."""
    for pattern in patterns:
        yield from (path for path in glob.glob(pattern, root_dir=root) if not is_litter(os.path.basename(path)))


def _of(what: str, prints: Fingerprints, paths: Iterable[str | None]) -> RawFiles:
    seen = {path: prints.seen(path) for path in paths if path}
    files, digest = sorted(path for path in seen if S_ISREG(seen[path][2])), sha256()
    for path in files:
        digest.update(f"{path}\0{seen[path][-1]}\n".encode(errors="surrogateescape"))
    return RawFiles(what, len(files), sum(seen[path][0] for path in files), digest.hexdigest())
