"""What the full IEMOCAP release is known to hold, and how a tree differs from it."""

from collections import Counter

from pipeline.corpora.base import Index

SESSIONS = 5
DIALOGS = 151
TURNS = 10_039
HOURS = 12.44
SHORTEST_S, LONGEST_S = 0.585, 34.14
TURNS_OF_SESSION = {1: 1819, 2: 1811, 3: 2136, 4: 2103, 5: 2170}
TURNS_OF_LABEL = {
    "xxx": 2507, "fru": 1849, "neu": 1708, "ang": 1103, "sad": 1084, "exc": 1041,
    "hap": 595, "sur": 107, "fea": 40, "oth": 3, "dis": 2,
}  # fmt: skip


def check_release(index: Index) -> None:
    """Add a finding for each count in which a full release differs from the published one.

    A tree with fewer sessions or dialogs gets a finding that says what is absent, and its counts are not compared.
    """
    units, segments = index.units, index.segments
    sessions = {int(u.unit_id[3:5]) for u in units}
    absent = sorted(set(range(1, SESSIONS + 1)) - sessions)
    if absent or len(units) < DIALOGS:
        lacking = f"; absent: {', '.join(f'Session{s}' for s in absent)}" if absent else ""
        of_session = Counter(int(u.unit_id[3:5]) for u in units)
        listing = ", ".join(f"{of_session[s]} in Session{s}" for s in sorted(sessions))
        reason = f"part of the release: {len(units)} of {DIALOGS} dialogs ({listing}){lacking}"
        index.say("corpus", "partial", reason)
        return
    of_session = Counter(int(s.session or 0) for s in segments)
    of_label = Counter(row.label for row in index.labels)
    durations_s = [s.duration_s for s in segments] or [0.0]
    counts = [  # what, found, published
        ("dialogs", len(units), DIALOGS),
        ("turns", len(segments), TURNS),
        *((f"turns in Session{s}", of_session[s], n) for s, n in _with_others(TURNS_OF_SESSION, of_session)),
        *((f"turns labelled {label}", of_label[label], n) for label, n in _with_others(TURNS_OF_LABEL, of_label)),
        ("hours of turns", round(sum(durations_s) / 3600, 2), HOURS),
        ("seconds in the shortest turn", round(min(durations_s), 3), SHORTEST_S),
        ("seconds in the longest turn", round(max(durations_s), 2), LONGEST_S),
    ]
    for what, n, known in counts:
        if n != known:
            index.say("corpus", "partial", f"{n:,} {what}, where the published release has {known:,}")


def _with_others(known: dict, found: Counter) -> list[tuple]:
    """Published counts, 0 of what only the tree has, sorted."""
    return sorted((dict.fromkeys(found, 0) | known).items())
