"""What of the defaults a corpus has no use for: runs that cannot be of it, and features that no run reads."""

from collections.abc import Mapping

from models.options import MODALITIES, NetworkOptions
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
    heard = "audio" in found and ((entry.get("recogniser") or {}).get("kind") or "none") != "none"
    if written or heard:
        found.add("text")
    return found


def drop_absent(merged: dict, own: dict, present: set[str]) -> dict:
    """Without the default runs on modalities that the corpus lacks.

    What the corpus's own entry names stays, so that asking for what cannot be is an error.
    """
    if "runs" in own:
        return merged
    letters = {letter for letter, modality in MODALITIES.items() if modality in present}
    kept = {
        model: sets and [one for one in sets if letters.issuperset(one.split("+"))]
        for model, sets in (merged.get("runs") or {}).items()
    }
    return {**merged, "runs": {model: sets for model, sets in kept.items() if sets or sets is None}}


def drop_other_tasks(merged: dict, own: dict, models: Mapping[str, NetworkOptions], task: Task) -> dict:
    """Without the default runs of models that are as published for another task."""
    if "runs" in own:
        return merged
    other = {name for name, one in models.items() if one.published and one.published.task.what != task.what}
    return {**merged, "runs": {model: sets for model, sets in (merged.get("runs") or {}).items() if model not in other}}


def drop_contrasts(merged: dict, own: dict) -> dict:
    """Without the default contrasts of runs that are not there."""
    if "contrasts" in own:
        return merged
    there = {f"{model}-{one}" for model, sets in (merged.get("runs") or {}).items() for one in sets or ()}
    return {**merged, "contrasts": [x for x in merged.get("contrasts") or [] if there.issuperset(_runs_of(x))]}


def _runs_of(contrast: dict) -> list[str]:
    b = contrast["b"]
    return [contrast["a"], *([b] if isinstance(b, str) else b)]


def drop_unread(merged: dict, own: dict) -> dict:
    """Without the default inputs and extractors that no run reads; those in the corpus's own entry are always made."""
    out = dict(merged)
    letters = {letter for sets in (out.get("runs") or {}).values() for one in sets or () for letter in one.split("+")}
    used = {MODALITIES.get(letter) for letter in letters}
    named = set(own.get("inputs") or {})
    out["inputs"] = {m: name for m, name in (out.get("inputs") or {}).items() if m in used or m in named}
    if not set(out["inputs"].values()) <= set(out.get("extractors") or {}):
        return out  # a mistake, about which the whole list is told
    wanted = {*out["inputs"].values(), *(own.get("extractors") or {})}
    out["extractors"] = {name: entry for name, entry in (out.get("extractors") or {}).items() if name in wanted}
    return out
