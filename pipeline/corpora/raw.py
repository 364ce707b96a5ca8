"""Fingerprints of the raw files that a corpus's results come from: which release was read, and whether it has changed.

Text is taken by its contents; of videos and sound only the sizes count, because reading them all would take hours.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

from pipeline.corpora.transcripts import find_transcript
from pipeline.corpora.tree import is_litter
from pipeline.records import InputError, Unit

SOUND = {"iemocap": "Session[0-9]*/sentences/wav/*/*.wav"}
TEXT = {  # what: patterns below the root
    "iemocap": {
        "emotion labels": ("Session[0-9]*/dialog/EmoEvaluation/*.txt",),
        "transcriptions": ("Session[0-9]*/dialog/transcriptions/*.txt",),
        "forced alignments": ("Session[0-9]*/sentences/ForcedAlignment/*/*.wdseg",),
    },
    "affwild2": {
        "annotations": tuple(
            f"annotations/VA_Estimation_Challenge/{part}_Set/*.txt" for part in ("Train", "Validation")
        )
    },
}


@dataclass(frozen=True, slots=True)
class RawFiles:
    """Files of one kind; the digest is over their sorted relative paths, each with its digest or its size."""

    what: str
    files: int
    bytes: int
    compared: str  # by contents, or by sizes
    sha256: str


def fingerprints(corpus: str, root: Path, units: Sequence[Unit]) -> list[RawFiles]:
    """One row for each kind of file that the corpus's stages read; a kind of which there is none has no row."""
    root = Path(root)
    found = [_of("videos", root, (root / unit.video for unit in units), "sizes")]
    if corpus in SOUND:
        found.append(_of("sound of turns", root, root.glob(SOUND[corpus]), "sizes"))
    for what, patterns in TEXT[corpus].items():
        found.append(_of(what, root, (path for pattern in patterns for path in root.glob(pattern)), "contents"))
    found.append(_of("supplied transcripts", root, _transcripts(root, units), "contents"))
    return [row for row in found if row.files]


def _transcripts(root: Path, units: Sequence[Unit]) -> Iterator[Path]:
    for unit in units:
        try:
            path = find_transcript(root, unit.video)
        except InputError:  # there are several, so none is used; a finding says so
            continue
        if path:
            yield path


def _of(what: str, root: Path, paths: Iterable[Path], compared: str) -> RawFiles:
    files = {p.relative_to(root).as_posix(): p for p in paths if p.is_file() and not is_litter(p.name)}
    sizes = {name: path.stat().st_size for name, path in files.items()}
    digest = sha256()
    for name in sorted(files):
        mark = _digest(files[name]) if compared == "contents" else sizes[name]
        digest.update(f"{name}\0{mark}\n".encode(errors="surrogateescape"))
    return RawFiles(what, len(files), sum(sizes.values()), compared, digest.hexdigest())


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()
    except OSError as error:  # the reader of the corpus has a finding for it
        return f"unreadable: {error.strerror}"
