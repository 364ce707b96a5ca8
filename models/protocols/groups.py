"""The groups that segments belong to: what hangs together, and how whole groups are shared out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.records import InputError, Segment

GROUPS = ("group", "session", "speaker", "dialog", "scenario")
"""What a part can share with another, from the outermost; a segment without dialog is its unit's."""
BOUND = ("session", "speaker", "dialog", "unit_id", "group")
"""Segments that share one of these hang together: the same people, the same recording, or as the corpus says."""
DRAWS, MAX_CELLS = 500, 4_000_000
ROUNDING = 1e-9


def group_of(segment: Segment, name: str):
    """The group of one kind that a segment is of; None where the corpus does not say."""
    value = getattr(segment, name)
    return segment.unit_id if name == "dialog" and value is None else value


def groups_of(segments: Iterable[Segment], name: str) -> list:
    """All groups of one kind, sorted."""
    return sorted({group_of(s, name) for s in segments} - {None})


def speakers_known(segments: Iterable) -> bool:
    """Whether somebody has said who speaks: not where all are called like recordings, or have one segment."""
    named = [(s.speaker, s.unit_id) for s in segments]
    speakers = {speaker for speaker, _ in named}
    return len(speakers) < len(named) and any(speaker != unit for speaker, unit in named)


def blocks(segments: Sequence[Segment]) -> list[int]:
    """Number the block of each segment: blocks share nothing of ``BOUND`` with each other."""
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

    def table(self, segments: Sequence[Segment], groups: Sequence | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Names of the groups, sorted, and how much of each class each of them holds, (groups, classes)."""
        names, group = np.unique(np.asarray(groups), return_inverse=True)
        _, label = np.unique([self.label.get(s.segment_id) or "" for s in segments], return_inverse=True)
        table = np.zeros((len(names), label.max(initial=0) + 1))
        np.add.at(table, (group, label), [self.weight(s) for s in segments])
        return names, table[:, table.sum(0) > 0]


def _orders(table: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random orders of groups, (draws, groups), and what the first of them hold, (draws, groups + 1, classes)."""
    draws = int(np.clip(MAX_CELLS // max(1, table.size), 5, DRAWS))
    order = rng.permuted(np.tile(np.arange(len(table)), (draws, 1)), axis=1)
    sums = np.zeros((draws, len(table) + 1, table.shape[1]))
    np.cumsum(table[order], axis=1, out=sums[:, 1:])
    return order, sums


def share_out(names: np.ndarray, table: np.ndarray, count: int, rng: np.random.Generator) -> list[list]:
    """Share groups out to ``count`` sets that are alike: the best of many random orders, cut into equal weights.

    Best: fewest classes missing in a set, then closest in size and class mix. Every set has at least one group.
    """
    order, sums = _orders(table, rng)
    size, mean, first = sums.sum(2), table.sum(0) / count, np.arange(1, count)
    middle, wanted = (size[:, 1:] + size[:, :-1]) / 2, size[:, -1:] * first / count
    cuts = (middle[:, :, None] <= wanted[:, None]).sum(1)  # (draws, count - 1)
    cuts = first + np.maximum.accumulate(np.clip(cuts - first, 0, len(names) - count), axis=1)
    bounds = np.pad(cuts, ((0, 0), (1, 1)), constant_values=((0, 0), (0, len(names))))
    sets = np.diff(np.take_along_axis(sums, bounds[:, :, None], axis=1), axis=1)  # (draws, count, classes)
    missing = (sets <= ROUNDING).sum((1, 2))
    distance = np.abs(sets.sum(2) - mean.sum()).sum(1) + np.abs(sets - mean).sum((1, 2))
    best = np.lexsort((distance, missing))[0]
    return sorted(sorted(names[part].tolist()) for part in np.split(order[best], cuts[best]))


def hold_out(names: np.ndarray, table: np.ndarray, share: float, rng: np.random.Generator) -> set:
    """Choose whole groups that weigh about ``share`` of all and look like the rest.

    The best of many random orders: fewest classes missing on either side, then closest in size and class mix. Raises
    InputError for fewer than two groups.
    """
    if len(names) < 2:
        raise InputError(
            f"only {', '.join(map(str, names)) or 'nothing'} is left to train on; two dialogs or videos are needed, "
            "one of them to select the model: add some, or take a protocol that leaves out less"
        )
    order, sums = _orders(table, rng)
    wanted = share * table.sum(0)
    count = 1 + np.abs(sums[:, 1:-1].sum(2) - wanted.sum()).argmin(1)
    chosen = sums[np.arange(len(count)), count]  # (draws, classes)
    missing, distance = missing_classes(chosen, sums[0, -1] - chosen), np.abs(chosen - wanted).sum(1)
    best = np.lexsort((distance, missing))[0]
    return set(names[order[best, : count[best]]].tolist())


def missing_classes(held_out: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """How bad it is that classes are missing from a held-out part, or, three times as bad, from what trains."""
    return (held_out <= ROUNDING).sum(-1) + 3 * (rest <= ROUNDING).sum(-1)
