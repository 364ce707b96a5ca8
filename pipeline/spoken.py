"""Words by time and whose they are: asked for one stretch after the other, also of a recording of hours."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from pipeline.records import Segment, Word


class Times:
    """Starts and ends in seconds, sorted by start, to ask which of them lie partly within a stretch of time."""

    def __init__(self, time_s: Sequence[tuple[float, float]]):
        self._starts_s = [start_s for start_s, _ in time_s]
        self._until_s = list(accumulate((end_s for _, end_s in time_s), max))

    def near(self, start_s: float, end_s: float) -> slice:
        """The slice that holds them all, and maybe some that end before the stretch, behind a longer one."""
        return slice(bisect_right(self._until_s, start_s), bisect_left(self._starts_s, end_s))


class SpokenWords:
    """Words of a file, of which :meth:`of` gives those of one segment by time; those of one time as they came."""

    def __init__(self, words: Iterable[Word]):
        self._marked = defaultdict[str, list[tuple[int, Word]]](list)
        self._shared = defaultdict[str | None, list[tuple[int, Word]]](list)  # by unit: words of no one segment
        for place in enumerate(sorted(words, key=lambda w: (w.start_s, w.end_s))):
            word = place[1]
            (self._shared[word.unit_id] if word.segment_id is None else self._marked[word.segment_id]).append(place)
        self._times = {
            unit_id: Times([(word.start_s, word.end_s) for _, word in own]) for unit_id, own in self._shared.items()
        }

    def of(self, segment: Segment) -> list[Word]:
        """The words that belong to a segment, as :meth:`pipeline.records.Word.belongs_to` says."""
        near = list(self._marked.get(segment.segment_id, ()))
        for unit_id in self._times.keys() & {segment.unit_id, None}:
            near += self._shared[unit_id][self._times[unit_id].near(segment.start_s, segment.end_s)]
        return [word for _, word in sorted(near) if word.belongs_to(segment)]
