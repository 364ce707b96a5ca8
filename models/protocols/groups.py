"""The groups that segments belong to: what hangs together, and how whole groups are shared out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.records import InputError, Segment

GROUPS = ("session", "speaker", "dialog", "scenario")
"""What a part can share with another, from the outermost; a segment without dialog is its unit's."""
BOUND = ("session", "speaker", "dialog", "unit_id")
"""Segments that share one of these hang together: the same people, or the same recording."""
DRAWS = 500


def group_of(segment: Segment, name: str):
    """The group of one kind that a segment is of; None where the corpus does not say."""
    value = getattr(segment, name)
    return segment.unit_id if name == "dialog" and value is None else value


def groups_of(segments: Iterable[Segment], name: str) -> list:
    """All groups of one kind, sorted."""
    return sorted({group_of(s, name) for s in segments} - {None})


def blocks(segments: Sequence[Segment]) -> list[int]:
    """Number the block of each segment: blocks share neither session, speaker, dialog nor unit with each other."""
    parent = list(range(len(segments)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    first: dict = {}
    for i, segment in enumerate(segments):
        for name in BOUND:
            value = group_of(segment, name)
            if value is not None:
                a, b = root(i), root(first.setdefault((name, value), i))
                parent[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(segments))]


def free_of(segments: Iterable[Segment], others: Iterable[Segment], names: Sequence[str]) -> list[Segment]:
    """The segments that share no group of the named kinds with any of the others."""
    others = list(others)
    taken = {name: set(groups_of(others, name)) for name in names}
    return [s for s in segments if not any(group_of(s, name) in taken[name] for name in names)]


@dataclass(frozen=True)
class Labelled:
    """What trains and is tested: the label of each segment (None: not classes), and what each segment weighs."""

    label: Mapping[str, str | None]
    by_duration: bool = False  # tasks of frames: a long segment holds more items

    def __contains__(self, segment: Segment) -> bool:
        return segment.segment_id in self.label

    def of(self, segments: Iterable[Segment]) -> list[Segment]:
        """Those of the segments that have labels."""
        return [s for s in segments if s in self]

    def weight(self, segment: Segment) -> float:
        """What a segment counts: 0 without label."""
        return (segment.duration_s if self.by_duration else 1.0) if segment in self else 0.0

    def table(self, segments: Sequence[Segment], groups: Sequence) -> tuple[np.ndarray, np.ndarray]:
        """Names of the groups, sorted, and how much of each class each of them holds, (groups, classes)."""
        names, group = np.unique(np.asarray(groups), return_inverse=True)
        _, label = np.unique([self.label.get(s.segment_id) or "" for s in segments], return_inverse=True)
        table = np.zeros((len(names), label.max(initial=0) + 1))
        np.add.at(table, (group, label), [self.weight(s) for s in segments])
        return names, table[:, table.sum(0) > 0]


def share_out(names: np.ndarray, table: np.ndarray, count: int, rng: np.random.Generator) -> list[list]:
    """Share groups out to ``count`` sets that are alike: the best of many random orders, cut into equal weights.

    Best: fewest classes missing in a set, then closest in size and class mix. Every set has at least one group.
    """
    total, first = table.sum(0) / count, np.arange(1, count)
    best, best_cost = None, None
    for _ in range(DRAWS if len(names) <= 1000 else DRAWS // 25):
        order = rng.permutation(len(names))
        reached = table[order].sum(1).cumsum()
        cuts = np.searchsorted(reached - table[order].sum(1) / 2, reached[-1] * first / count)
        cuts = first + np.maximum.accumulate(np.clip(cuts - first, 0, len(names) - count))
        held = np.add.reduceat(table[order], np.concatenate([[0], cuts]), axis=0)
        cost = (int((held == 0).sum()), float(np.abs(held.sum(1) - total.sum()).sum() + np.abs(held - total).sum()))
        if best_cost is None or cost < best_cost:
            best, best_cost = np.split(order, cuts), cost
    return sorted(sorted(names[part].tolist()) for part in best)


def hold_out(names: np.ndarray, table: np.ndarray, share: float, rng: np.random.Generator) -> set:
    """Choose whole groups that weigh about ``share`` of all and look like the rest.

    The best of many random draws: fewest classes missing on either side, then closest in size and class mix. Raises
    InputError for fewer than two groups.
    """
    if len(names) < 2:
        raise InputError(
            f"only {', '.join(map(str, names)) or 'nothing'} is left to train on; at least two dialogs or videos are "
            "needed, one of them to select the model"
        )
    total = table.sum(axis=0)
    best, best_cost = names[:1], None
    for _ in range(DRAWS):
        order = rng.permutation(len(names))
        size = table[order].sum(axis=1).cumsum()
        count = int(np.clip(np.abs(size - share * total.sum()).argmin() + 1, 1, len(names) - 1))
        held = table[order[:count]].sum(axis=0)
        cost = (missing_classes(held, total - held), float(np.abs(held - share * total).sum()))
        if best_cost is None or cost < best_cost:
            best, best_cost = names[order[:count]], cost
    return set(best.tolist())


def missing_classes(held: np.ndarray, rest: np.ndarray) -> int:
    """How bad it is that classes are missing in a held out part, and in what trains, where it is three times as bad."""
    return int((held == 0).sum() + 3 * (rest == 0).sum())
