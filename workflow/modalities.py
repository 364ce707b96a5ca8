"""What of the defaults a corpus has no use for: runs that cannot be of it, and features that no run reads."""

from collections.abc import Mapping

from models.options import MODALITIES, NetworkOptions, runs_named
from models.task import Task
from pipeline.corpora.base import Index


def modalities_of(index: Index, entry: dict) -> set[str]:
    """Which of audio, video and text a corpus has, from its tables; words may come from a recogniser."""
    units, segments = index.units, index.segments
    found = set()
    if any(u.video for u in units) or any(s.crops for s in segments):
        found.add("video")
    if any(u.audio or u.video for u in units) or any(s.audio for s in segments):
        found.add("audio")
    written = any(u.transcript for u in units) or any(s.text or s.alignment for s in segments)
    recognised = "audio" in found and ((entry.get("recogniser") or {}).get("kind") or "none") != "none"
    if written or recognised:
        found.add("text")
    return found


def drop_runs(
    merged: dict, own: dict, models: Mapping[str, NetworkOptions], task: Task, present: set[str] | None
) -> dict:
    """Without the default runs on modalities that the corpus lacks (None: not known), or as published for another task.

    What the corpus's own entry names stays, so that asking for what cannot be is an error.
    """
    if "runs" in own:
        return merged
    absent = {letter for letter, modality in MODALITIES.items() if present is not None and modality not in present}
    other = {name for name, one in models.items() if one.published and one.published.task.what != task.what}
    kept = {}
    for key, entry in (merged.get("runs") or {}).items():
        sets = [one for one in _sets(entry) if absent.isdisjoint(one.split("+"))]
        if (entry.get("model") if isinstance(entry, dict) else key) not in other and (entry is None or sets):
            kept[key] = {**entry, "modalities": sets} if isinstance(entry, dict) else entry and sets
    return {**merged, "runs": kept}


def drop_contrasts(merged: dict, own: dict) -> dict:
    """Without the default contrasts of runs that are not there."""
    if "contrasts" in own:
        return merged
    there = {f"{key}-{one}" for key, entry in (merged.get("runs") or {}).items() for one in _sets(entry)}
    return {
        **merged,
        "contrasts": [x for x in merged.get("contrasts") or [] if there.issuperset(runs_named(x["a"], x["b"]))],
    }


def _sets(entry: dict | list | None) -> list[str]:
    """The modality sets of an entry under ``runs``."""
    return list((entry.get("modalities") if isinstance(entry, dict) else entry) or ())


def drop_unread(merged: dict, own: dict) -> dict:
    """Without the default inputs and extractors that no run reads; those in the corpus's own entry are always made."""
    out = dict(merged)
    runs = (out.get("runs") or {}).values()
    used = {MODALITIES.get(letter) for entry in runs for one in _sets(entry) for letter in one.split("+")}
    named = set(own.get("inputs") or {})
    out["inputs"] = {m: name for m, name in (out.get("inputs") or {}).items() if m in used or m in named}
    of_runs = {name for entry in runs if isinstance(entry, dict) for name in (entry.get("inputs") or {}).values()}
    read = {*out["inputs"].values(), *of_runs}
    if not read <= set(out.get("extractors") or {}):
        return out  # a mistake, about which the whole list is told
    extractors = out.get("extractors") or {}
    wanted = {*read, *(own.get("extractors") or {})}
    wanted |= {store for name in wanted & set(extractors) for store in (extractors[name] or {}).get("stores") or ()}
    out["extractors"] = {name: entry for name, entry in extractors.items() if name in wanted}
    return out
