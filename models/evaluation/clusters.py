"""What is not independent: the clusters of segments that are resampled together, and the wider groups around them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.task import Task
from pipeline.records import Segment

ENOUGH_GROUPS = 5  # a bootstrap of fewer whole groups tells next to nothing


@dataclass(frozen=True)
class Clusters:
    """The cluster of each segment, and the group of each cluster where there are wider ones."""

    kind: str  # dialog, video or speaker
    of: dict[str, str]  # segment -> cluster
    group_kind: str | None = None  # such as session
    group_of: dict[str, str] = field(default_factory=dict)  # cluster -> group


def clusters_of(segments: Sequence[Segment], task: Task) -> Clusters:
    """Find the clusters of the tested segments: dialogs, else videos; speakers where these are files of one utterance.

    They are if each is of one person and most hold one segment; what is alike is then a person's files. The wider
    groups are of a kind that holds every cluster whole and has fewer groups than clusters: the outermost that has
    enough of them, else the one that has most.
    """
    kind, of = "video", {s.segment_id: s.unit_id for s in segments}
    if any(s.dialog is not None for s in segments):
        kind, of = "dialog", {s.segment_id: s.dialog or s.unit_id for s in segments}
    by_speaker = {s.segment_id: s.speaker for s in segments}
    sizes = Counter(of.values())
    alone = not task.frames and 2 * list(sizes.values()).count(1) > len(sizes)
    of_one_person = len({(of[s.segment_id], s.speaker) for s in segments}) == len(sizes)
    if alone and of_one_person and len(set(by_speaker.values())) < len(sizes):
        kind, of = "speaker", by_speaker
    best, most = Clusters(kind, of), 1
    for name in ("group", "session", "speaker"):
        pairs = {(of[s.segment_id], getattr(s, name)) for s in segments}
        groups = {group for _, group in pairs}
        whole = None not in groups and len(pairs) == len(set(of.values()))
        if whole and most < len(groups) < len(pairs) and most < ENOUGH_GROUPS:
            most = len(groups)
            best = Clusters(kind, of, name, {cluster: str(group) for cluster, group in pairs})
    return best
