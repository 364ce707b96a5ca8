"""A folder of answers: of each recording ``NAME.json``, its record, and the outputs.

The record is written last. Until then ``.NAME.begun`` names the files, so that no other is ever removed or replaced.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
from glob import escape
from pathlib import Path
from typing import Any

from models.apply.outputs.write import OVERLAY, SUFFIXES
from pipeline.corpora.raw import content
from pipeline.names import MARK, readable, safe_id, safe_ids
from pipeline.records import InputError

JOINED = "recordings"  # name of the table of all ...
ABOUT = ("recording", "file", "setup")  # ... and its first columns


def record(out: Path, name: str) -> Path:
    """The record of a recording, which is written when its outputs are there."""
    return out / f"{name}.json"


def read(path: Path) -> dict[str, Any] | None:
    """What a record says; None where there is none."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) and {"source", "recording", "files"} <= set(known) else None


def outputs(name: str, overlay: bool) -> list[str]:
    """The files that a prediction may write of a recording, its record first."""
    return [f"{name}.{suffix}" for suffix in ("json", *SUFFIXES) if overlay or suffix != OVERLAY]


def begin(out: Path, name: str, overlay: bool) -> None:
    """Say which files are written now, and remove those of an earlier prediction; that it is done goes first."""
    own = {*outputs(name, overlay), *(path.name for path in _made(out, name))}
    _begun(out, name).write_text("\n".join(own), encoding="utf-8")
    _clear(out, name)


def end(out: Path, name: str) -> None:
    """Remove what there is of a recording that is not done; an earlier prediction stays."""
    if not record(out, name).exists():
        _clear(out, name)
    _begun(out, name).unlink(missing_ok=True)


def _clear(out: Path, name: str) -> None:
    """Remove what was made of a recording, and what an ended process left half written of it."""
    for path in _made(out, name):
        for each in (path, *out.glob(f".{escape(path.stem)}.????????{path.suffix}")):
            each.unlink(missing_ok=True)


def _made(out: Path, name: str) -> list[Path]:
    """Where the files of a recording are that its record lists, or those that were begun."""
    known, begun = read(record(out, name)), _begun(out, name)
    listed = [record(out, name).name, *known["files"]] if known else []
    listed += begun.read_text(encoding="utf-8").splitlines() if begun.exists() else []
    return [out / each for each in outputs(name, overlay=True) if each in listed]


def _begun(out: Path, name: str) -> Path:
    """What names the files of a recording while they are written."""
    return out / f".{name}.begun"


def check_free(out: Path, names: Collection[str], overlay: bool, times: Path | None) -> None:
    """Raise InputError where a file would be replaced that no prediction has made, or the one that ``times`` are of."""
    joined, given = out / f"{JOINED}.csv", times and os.path.realpath(times)
    own = {path for name in names for path in _made(out, name)} | ({joined} if _is_joined(joined) else set())
    for path in (joined, *(out / each for name in names for each in outputs(name, overlay))):
        if given and os.path.realpath(path) == given:
            raise InputError(f"--segments {times}: would be replaced by an output; move it, or give another --out")
        if path.exists() and path not in own:
            why = "would be replaced, and no record says that a prediction wrote it"
            raise InputError(f"{path}: {why}; move it, or give another --out")


def _is_joined(path: Path) -> bool:
    """Whether a file begins as the table of all does."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as stream:
        return stream.readline().startswith(",".join(ABOUT))


def read_all(out: Path) -> dict[str, dict[str, Any]]:
    """What all records in a folder say, by the name of the recording."""
    found = {path.stem: read(path) for path in sorted(out.glob("*.json"))}
    return {name: known for name, known in found.items() if known}


def tables(out: Path) -> dict[Path, dict[str, str]]:
    """The tables of all recordings that are done, by name: of each its name, its file, and by what it was predicted."""
    known = {out / f"{name}.csv": (name, each) for name, each in read_all(out).items()}
    return {
        path: dict(zip(ABOUT, (name, each["source"], each.get("setup", "an earlier version"))))
        for path, (name, each) in known.items()
        if path.is_file()
    }


def names(paths: Sequence[Path], out: Path) -> dict[Path, str]:
    """The name of each recording in ``out``: the one that it has there, else the first that no other recording has.

    It is the file's name without suffix, with ``_`` for what does not belong into an id, and has a digest or more of
    the path where two share that. A recording that was moved keeps its name.
    """
    known, found = read_all(out), dict[Path, str]()
    of_source = {os.path.realpath(each["source"]): name for name, each in known.items()}
    moved = {each["recording"][0]: name for name, each in known.items() if not Path(each["source"]).exists()}
    short = Counter([readable(path.stem) for path in paths])
    for path, first in zip(paths, safe_ids(map(str, paths)).values(), strict=True):
        whole, plain = os.path.abspath(path), readable(path.stem)
        own = of_source.get(os.path.realpath(path)) or (moved.get(content(path)) if moved else None)
        alone = [plain] if MARK in first and plain and short[plain] == 1 else []
        free = [_beside_joined(n) for n in (*alone, first, *map(safe_id, (os.path.splitext(whole)[0], whole)))]
        left = [name for name in (own, *free) if name and (name == own or name not in known)]
        found[path] = next((name for name in left if name not in found.values()), free[-1])
    return found


def _beside_joined(name: str) -> str:
    """The same name, other than that of the table of all: "@" at the end is in no other name."""
    return f"{name}@" if name == JOINED else name
