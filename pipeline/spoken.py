"""Words by whose they are: asked for one segment after the other, also of a recording of hours."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate

from pipeline.records import Segment, Word


class SpokenWords:
    """Words of a file, of which :meth:`of` gives those of one segment by time; those of one time as they came."""

    def __init__(self, words: Iterable[Word]):
        self._marked = defaultdict[str, list[tuple[int, Word]]](list)
        self._shared = defaultdict[str | None, list[tuple[int, Word]]](list)  # by unit: words of no one segment
        for place in enumerate(sorted(words, key=lambda w: (w.start_s, w.end_s))):
            word = place[1]
            (self._shared[word.unit_id] if word.segment_id is None else self._marked[word.segment_id]).append(place)
        self._times_s = {
            unit_id: ([w.start_s for _, w in own], list(accumulate((w.end_s for _, w in own), max)))
            for unit_id, own in self._shared.items()
        }

    def of(self, segment: Segment) -> list[Word]:
        """The words that belong to a segment, as :meth:`pipeline.records.Word.belongs_to` says."""
        near = list(self._marked.get(segment.segment_id, ()))
        for unit_id in self._times_s.keys() & {segment.unit_id, None}:
            starts_s, until_s = self._times_s[unit_id]
            first, last = bisect_right(until_s, segment.start_s), bisect_left(starts_s, segment.end_s)
            near += self._shared[unit_id][first:last]
        return [word for _, word in sorted(near) if word.belongs_to(segment)]
