"""In which share of a protocol's folds each segment is used, and why not in the others."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.causes import Cause
from pipeline.coverage.states import State, graded
from pipeline.records import Assignment, InputError, Label, Segment, read_table

HELD_OUT = {"test": "is tested", "development": "selects the model"}
SHARED = {
    "group": "the same group",
    "session": "somebody else of the same session",
    "unit_id": "somebody else of the same recording",
    "dialog": "somebody else of the same dialog",
    "speaker": "the same speaker",
    "scenario": "the same script or scene",
}
Groups = dict[tuple[str, str], set]
"""The groups of one kind, such as speakers, that are in one part of a fold."""


def of_split(path: Path, segments: Sequence[Segment], labels: Mapping[str, Label]) -> dict[str, State]:
    """In which share of the folds each segment trains, selects or tests a model, and why not in the others."""
    places = read_table(path, Assignment)
    if not places:
        raise InputError(f"{path}: holds no segment; delete it and let the workflow make it again")
    folds, classes = {p.fold for p in places}, {p.label for p in places}
    classes |= {labels[p.segment_id].label for p in places if p.label and p.segment_id in labels}  # before merging
    used = defaultdict(set)
    for p in places:
        used[p.segment_id].update([p.fold] if p.part != "unlabelled" else [])
    styles = {s.style for s in segments if s.segment_id in used}
    asked = styles.pop() if len(styles) == 1 else None
    held_out = _groups_held_out(places, segments)
    states = {}
    for s in segments:
        without, label = folds - used.get(s.segment_id, set()), labels.get(s.segment_id, Label(s.segment_id)).label
        cause, reason = None, ""
        if without == folds and s.segment_id in used:
            cause = Cause.PREDICTED_ONLY
        elif without == folds and asked and s.style != asked:
            cause = Cause.OTHER_STYLE
            reason = f"only {asked} segments are used, its style is {s.style or 'not known'}"
        elif without == folds and classes != {None} and label not in classes:
            cause = Cause.OTHER_LABEL if label else Cause.NO_LABEL
            reason = f"label {label} is not among the configured labels" if label else ""
        elif without:
            whys = list(dict.fromkeys(filter(None, (_shares(s, held_out[fold]) for fold in sorted(without)))))
            cause = Cause.KEPT_APART if whys else Cause.LEFT_OUT
            whys = (whys[:1] if without == folds else whys) or [cause.text]
            reason = f"in no part of {len(without)} of {len(folds)} folds: {', '.join(whys)}"
        states[s.segment_id] = graded(1 - len(without) / len(folds), cause, reason)
    return states


def _groups_held_out(places: Iterable[Assignment], segments: Iterable[Segment]) -> dict[int, Groups]:
    by_id = {s.segment_id: s for s in segments}
    held_out: dict[int, Groups] = defaultdict(lambda: defaultdict(set))
    for p in places:
        if p.part in HELD_OUT and p.segment_id in by_id:
            for kind in SHARED:
                held_out[p.fold][p.part, kind].add(getattr(by_id[p.segment_id], kind))
    return held_out


def _shares(segment: Segment, held_out: Groups) -> str | None:
    """What a segment shares with a part that is held out in a fold, the outermost group first."""
    for part, does in HELD_OUT.items():
        for kind, shares in SHARED.items():
            value = getattr(segment, kind)
            if value is not None and value in held_out[part, kind]:
                return f"{shares} {does}"
    return None
