"""What the parts of a split share: who of the test part is known from training, and what selected the model."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

from models.protocols.groups import GROUPS, group_of
from models.task import POOLED
from pipeline.cli import FILE, segments_option, split_option
from pipeline.records import Assignment, InputError, Segment, read_table, write_table

PAIRS = (("test", "training"), ("test", "development"), ("development", "training"))
MEANT = {
    "group": "group",
    "session": "session",
    "speaker": "speaker",
    "dialog": "dialog or recording",
    "scenario": "script or scene",
}


@dataclass(frozen=True, slots=True)
class Leak:
    """How many items of a part have their group, session, speaker and so on in another part of the fold, too."""

    fold: str  # number, or "all": the items of all folds together
    part: str
    known_from: str  # the other part
    group: str
    items: int
    shared: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.shared / self.items


def leaks(assignments: Iterable[Assignment], segments: Sequence[Segment]) -> list[Leak]:
    """Count what every two parts of each fold share; a group that the corpus does not know has no row.

    Raises InputError where a segment of the split is not among the segments.
    """
    by_id = {s.segment_id: s for s in segments}
    parts: dict[int, dict[str, list[Segment]]] = defaultdict(lambda: defaultdict(list))
    for a in assignments:
        if a.segment_id not in by_id:
            raise InputError(f"segment {a.segment_id} of the split is not in segments.tsv; make the split again")
        parts[a.fold][a.part].append(by_id[a.segment_id])
    known = [name for name in GROUPS if any(group_of(s, name) is not None for s in segments)]
    rows, sums = [], defaultdict(lambda: [0, 0])
    for fold in sorted(parts):
        for part, other in PAIRS:
            here, there = parts[fold][part], parts[fold][other]
            if not here or not there:
                continue
            for name in known:
                theirs = {group_of(s, name) for s in there} - {None}
                shared = sum(group_of(s, name) in theirs for s in here)
                rows.append(Leak(str(fold), part, other, name, len(here), shared))
                sums[part, other, name][0] += len(here)
                sums[part, other, name][1] += shared
    return rows + [Leak(*(POOLED, *key, items, shared)) for key, (items, shared) in sums.items()]


def shared_groups(rows: Iterable[Leak], part: str, known_from: str) -> dict[str, float]:
    """The groups that a part shares with another in all folds together, and the share of its items that do."""
    key = part, known_from, POOLED
    return {row.group: row.share for row in rows if (row.part, row.known_from, row.fold) == key and row.shared}


def clauses(rows: Sequence[Leak]) -> list[str]:
    """What of the test part is known from training, or else from what selected the model; nothing where nothing is."""
    training, development = (shared_groups(rows, "test", part) for part in ("training", "development"))
    only = {name: share for name, share in development.items() if name not in training}
    return [
        f"the {MEANT[name]} of {share_of(share)} of the test items {what}"
        for shared, what in ((training, "also trains"), (only, "also selects the model"))
        for name, share in shared.items()
    ]


def share_of(share: float) -> str:
    """A share in per cent; what is almost nothing or almost all is not rounded to that."""
    if share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{share * 100:.0f} %"


@click.command("leaks")
@segments_option
@split_option
@click.option("--out", required=True, type=FILE, help="tables/leaks.csv")
def command(segments, split, out):
    """Count who and what the parts of a split share."""
    write_table(out, leaks(read_table(split, Assignment), read_table(segments, Segment)), Leak)
