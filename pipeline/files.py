"""Files as such: written whole or not at all, known by their contents, and named for what they are."""

import glob
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path``; move it there when the block ends well, else remove it.

    What a killed writer of the same file has left is removed first: every file has one writer at a time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.stem)}.????????{glob.escape(path.suffix)}"):
        left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        if temporary.exists():
            os.truncate(temporary, 0)  # makes room on a full disk for the log, even while a library holds the file open
            temporary.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: str | Path, value: object, **options) -> None:
    """Write a value as indented JSON, moved into place when whole; ``options`` are those of ``json.dumps``."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, **options) + "\n", encoding="utf-8")


def digest_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def what_lies_at(path: Path) -> str:
    """What there is in place of a plain file, in words."""
    return "a folder" if path.is_dir() else "a pipe or device"


LITTER = {"__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "#recycle", "$RECYCLE.BIN"}  # waste bins and previews too


def is_litter(name: str) -> bool:
    """Whether a program left this name for itself: hidden, such as AppleDouble ``._x``, or a spreadsheet's ``~$x``."""
    return name.startswith((".", "~$")) or name in LITTER
