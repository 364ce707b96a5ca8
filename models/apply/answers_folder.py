"""A folder of answers: of each recording ``NAME.json``, its record, and the outputs."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.corpora.raw import content
from pipeline.names import MARK, readable, safe_id, safe_ids

JOINED = "recordings"  # name of the table of all


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


def read_all(out: Path) -> dict[str, dict[str, Any]]:
    """What all records in a folder say, by the name of the recording."""
    found = {path.stem: read(path) for path in sorted(out.glob("*.json"))}
    return {name: known for name, known in found.items() if known}


def tables(out: Path) -> dict[Path, dict[str, str]]:
    """The tables of all recordings that are done, by name: of each its name, its file, and by what it was predicted."""
    known = {out / f"{name}.csv": (name, each) for name, each in read_all(out).items()}
    return {
        path: {"recording": name, "file": each["source"], "setup": each.get("setup", "an earlier version")}
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
