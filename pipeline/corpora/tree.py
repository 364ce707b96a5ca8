"""What corpus readers share: finding the root and files, skipping litter, reading text of unknown encoding."""

import codecs
import os
import platform
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.files import is_litter
from pipeline.records import InputError


def files(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder that end in ``suffix`` (any case), sorted and without litter; none where it is absent."""
    if not folder.is_dir():
        return []
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() == suffix and not is_litter(p.name) and not p.is_dir()
    )


def find_root(root: str | Path, key: str, layout: tuple[str, ...]) -> Path:
    """Return ``root`` if the first pattern of ``layout`` is in it; ``key`` is where it stands in the configuration.

    Of a pattern such as ``VideoFlash|AudioWAV`` one will do.
    Raises InputError that names the likely root if the one given is a level too high or too low, or that says what a
    root holds.
    """
    root = Path(root)
    expected = f"set {key} to the folder that holds {' and '.join(layout).replace('|', ' or ')}"
    if not root.exists():
        raise InputError(f"{key}: {root} does not exist on {platform.node()}; {expected}")
    if not root.is_dir():
        raise InputError(f"{key}: {root} is a file, not a folder; {expected}")
    if _matches(root, layout[:1]):
        return root
    entries = _folders(root)
    for near in [*entries, *(b for a in entries for b in _folders(a)), *root.absolute().parents]:
        if _matches(near, layout):
            where = "inside it" if root in near.parents else "above it"
            raise InputError(f"{key}: {root} is not the root of the corpus, which is {where}; set {key} to {near}")
    state = "is empty" if not any(root.iterdir()) else f"holds no {layout[0].replace('|', ' and no ')}"
    raise InputError(f"{key}: {root} {state}; {expected}")


def _matches(folder: Path, layout: Iterable[str]) -> bool:
    try:
        return all(any(any(folder.glob(one)) for one in pattern.split("|")) for pattern in layout)
    except OSError:  # a folder beside the corpus that we may not read is not the corpus
        return False


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not is_litter(p.name))
    except OSError:
        return []


def below(root: Path, path: Path) -> str:
    """A path as tables hold it: from the root, or as it is where it lies elsewhere."""
    base = next((base for base in (root, root.absolute()) if path.is_relative_to(base)), None)
    return (path.relative_to(base) if base else path).as_posix()


def names_in(folder: str, is_meant: Callable[[os.DirEntry], bool] = os.DirEntry.is_file) -> dict[str, str]:
    """Names of a folder's files by these names and by their usual form (NFC); none where there is no folder.

    A name that differs only in how Unicode writes its accents is the same name: macOS takes them apart.
    """
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in entries if is_meant(entry)]
    except OSError:
        return {}
    return {unicodedata.normalize("NFC", name): name for name in names} | {name: name for name in names}


HEADER_BYTES = 1 << 14  # of a table, in which its first line ends


def lines(text: str) -> list[str]:
    """Split at line ends only; ``str.splitlines`` also splits at form feeds and the like, which would shift rows."""
    return re.split(r"\r\n|\n|\r", text)


def read_unicode(path: Path, size: int | None = None) -> str:
    """Read a text file in UTF-8, or in UTF-16 where its first bytes say so, as spreadsheets save it.

    ``size``: only whole lines within the first so many bytes, for who wants the first of them.
    Raises UnicodeDecodeError for any other encoding, and InputError where the file cannot be read or is not text.
    """
    name = f"{path.parent.name}/{path.name}"  # files of several folders may have one name
    try:
        data = path.read_bytes() if size is None else _first_lines(path, size)
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror}); correct it and run again") from None
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        raise InputError(f"{name} is not a text file (it holds zero bytes); replace it by the original")
    return data.decode("utf-8-sig")


def _first_lines(path: Path, size: int) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(size)
    return data[: data.rfind(b"\n") + 1] or data


def read_text(path: Path, size: int | None = None) -> tuple[str, str | None]:
    """Read a text file; returns its text and, where it is not Unicode, a sentence that says how it was read.

    Other text is read as Windows-1252 (Latin-1 with typographic quotes), which older annotation tools wrote.
    ``size`` as in ``read_unicode``. Raises InputError where the file cannot be read or is not text.
    """
    try:
        return read_unicode(path, size), None
    except UnicodeDecodeError as error:
        data = error.object
        line = data.count(b"\n", 0, error.start) + 1
        note = f"{path.name} is not UTF-8 (line {line}, byte 0x{data[error.start]:02x}) and was read as Windows-1252"
        return data.decode("cp1252", errors="replace"), note
