"""Dialog context: a turn is encoded with the turns before it, by either speaker, and with nothing that comes later."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.protocols.groups import group_of
from models.sources import sent
from pipeline.records import Segment


class Before(NamedTuple):
    """Which rows of a batch are the turns before each of its first B items, the latest first."""

    row: Tensor  # (B, K), -1 where there is none
    same: Tensor  # (B, K) bool: whether the item's own speaker says it


class Dialogs:
    """The turns before each segment of a table: ``turn`` (S, K) are numbers of segments, -1 where there is none."""

    def __init__(self, segment_ids: Sequence[str], before: Mapping[str, Sequence[Segment]], speaker: Mapping[str, str]):
        number = {segment_id: i for i, segment_id in enumerate(segment_ids)}
        most = max(map(len, before.values()), default=0)
        self.turn = np.full((len(segment_ids), most), -1)
        self.same = np.zeros(self.turn.shape, bool)
        for segment_id, i in number.items():
            for k, turn in enumerate(before.get(segment_id, ())):
                self.turn[i, k] = number[turn.segment_id]
                self.same[i, k] = turn.speaker == speaker[segment_id]

    def gather(self, segment: np.ndarray, device: torch.device, each_once: bool = True) -> tuple[np.ndarray, Before]:
        """The segments of a batch, items first and then the turns before any of them, and who is before whom.

        ``each_once``: no turn twice; otherwise the number of rows depends on the number of items alone.
        """
        turn = self.turn[segment]
        there = turn >= 0
        if each_once:
            others, place = np.unique(turn[there], return_inverse=True)
        else:  # padding: repeats the item; never read
            others, place = np.where(there, turn, segment[:, None]).ravel(), np.flatnonzero(there)
        row = np.full(turn.shape, -1)
        row[there] = len(segment) + place
        before = Before(sent(row, device), sent(self.same[segment], device))
        return np.concatenate([segment, others]), before


def turns_before(segments: Sequence[Segment], most: int) -> dict[str, list[Segment]]:
    """The ``most`` turns before each segment in its dialog, the latest first.

    Turns that have a number follow it. Of others of one recording, a turn is before another if it has begun earlier and
    ended no later: even of two that overlap, all of the first is known when the other ends.
    """
    dialogs: dict[tuple, list[Segment]] = defaultdict(list)
    for segment in sorted(segments, key=lambda s: (s.turn or 0, s.start_s, s.segment_id)):
        # Times of two recordings do not tell which of them was first.
        dialogs[group_of(segment, "dialog"), segment.unit_id if segment.turn is None else None].append(segment)
    found = {}
    for turns in dialogs.values():
        for k, turn in enumerate(turns):
            earlier = (t for t in reversed(turns[:k]) if _is_before(t, turn))
            found[turn.segment_id] = list(islice(earlier, most))
    return found


def _is_before(a: Segment, b: Segment) -> bool:
    if a.turn is not None:
        return a.turn < b.turn
    return a.start_s < b.start_s and a.end_s <= b.end_s


class DialogRecurrence(nn.Module):
    """A GRU over the vectors of the turns before and of the turn itself: (rows, F) -> (B, F + width).

    A turn's own vector stays beside what comes out at its place. Turns that are not there are passed over.
    """

    def __init__(self, features: int, width: int):
        super().__init__()
        self.added = width
        self.projection = nn.Linear(features, width)
        self.speaker = nn.Embedding(2, width)  # the other one, the same
        self.recurrence = nn.GRUCell(width, width)

    def forward(self, vectors: Tensor, before: Before | None) -> Tensor:
        """Encode each item, the first rows, with the rows before it; without ``before`` each row by itself."""
        items = torch.arange(len(vectors if before is None else before.row), device=vectors.device)[:, None]
        row, same = (items, items >= 0) if before is None else self._in_order(items, before)
        steps = self.projection(vectors)[row.clamp(min=0)] + self.speaker(same.long())
        state = steps.new_zeros(len(items), self.added)
        with torch.autocast(vectors.device.type, enabled=False):  # as of every GRU
            for step, there in zip(steps.unbind(1), (row >= 0).unbind(1)):
                state = torch.where(there[:, None], self.recurrence(step, state), state)
        return torch.cat([vectors[: len(items)], state], -1)

    @staticmethod
    def _in_order(items: Tensor, before: Before) -> tuple[Tensor, Tensor]:
        """The earliest first, the item itself last."""
        row, same = torch.cat([items, before.row], 1), torch.cat([items >= 0, before.same], 1)
        return row.flip(1), same.flip(1)
