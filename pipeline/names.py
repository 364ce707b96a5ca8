"""What names tell: which files are recordings, ids that every later stage can use, and what a mistyped one means."""

import difflib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".flv", ".wmv", ".ts", ".mts", ".m2ts",
    ".ogv", ".3gp", ".3g2", ".f4v", ".vob", ".asf", ".mxf",
)  # fmt: skip
"""How the names of files end that may be videos, in lower case; whether one is, only opening it tells."""
AUDIO_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".wma", ".aif", ".aiff", ".caf", ".oga", ".mka", ".au",
)  # fmt: skip
"""The same of files that hold sound alone."""

_MEDIA = "|".join(suffix[1:] for suffix in VIDEO_SUFFIXES + AUDIO_SUFFIXES)
_UNFINISHED = re.compile(  # names that browsers and downloaders, copying programs and rsync give
    r"(?P<got>.+?)(\.(part|partial|filepart|incomplete|crdownload|opdownload|aria2|ytdl|!qb|!ut|part-frag\d+))+"
    rf"|(?P<copied>.+\.({_MEDIA}))\.(tmp|temp|download)|\.(?P<sent>.+\.({_MEDIA}))\.\w{{6}}",
    re.IGNORECASE | re.DOTALL,
)

MAX_BYTES = 120  # an id becomes part of file names, which end at 255
MARK = "@"  # never part of a name that is kept as it is, so an id that was made is never one that was kept
DIGEST = 12  # hexadecimal digits


def unfinished(name: str) -> str | None:
    """What a file is to be called whose name says that its download or copy was not finished; None for any other."""
    match = _UNFINISHED.fullmatch(name)
    return match["got"] or match["copied"] or match["sent"] if match and not name.startswith("._") else None


def safe_id(name: str) -> str:
    """An id for a file's name: one to one, and safe in tables, paths, shells, Snakemake wildcards and Slurm.

    A name of letters (of any script, with their marks), digits and ``_ - . +`` that begins with no dot or mark stays as
    it is. Of any other, what is left without unsafe characters is followed by ``@`` and a digest of the whole name.
    ``name`` may hold what Python makes of bytes that are not UTF-8 (surrogate escapes).
    """
    normal = unicodedata.normalize("NFC", name)
    begins_well = bool(name) and name[0] != "." and unicodedata.category(name[0])[0] != "M"
    if begins_well and name == normal and all(map(_safe, name)) and len(name.encode()) <= MAX_BYTES:
        return name
    digest = sha256(name.encode(errors="surrogatepass")).hexdigest()[:DIGEST]
    return f"{readable(name)}{MARK}{digest}"


def readable(name: str) -> str:
    """A name without its unsafe characters, as other names may be, too; '' where nothing is left."""
    normal = unicodedata.normalize("NFC", name)
    kept = "".join(character if _safe(character) else " " for character in normal)
    left = re.sub(" +", "_", kept.lstrip(" .").rstrip())
    return left.encode()[: MAX_BYTES - DIGEST - 1].decode(errors="ignore")


def safe_ids(paths: Iterable[str]) -> dict[str, str]:
    """The id of each file by its path: from its name without suffix, and from more of the path where two share that."""
    paths = list(dict.fromkeys(paths))
    forms = [[os.path.splitext(os.path.basename(path))[0], os.path.splitext(path)[0], path] for path in paths]
    shared = [Counter(names) for names in zip(*forms)]
    return {
        path: safe_id(next((name for name, count in zip(own, shared) if count[name] == 1), path))
        for path, own in zip(paths, forms)
    }


def close_to(name: str, known: Iterable[str]) -> str:
    """``(did you mean NAME?)``, after a space, for a name like one of those known; '' for any other."""
    close = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _safe(character: str) -> bool:
    return character in "_-.+" or unicodedata.category(character)[0] in "LNM"
