"""What the full IEMOCAP release is known to hold, and how a tree differs from it."""

from collections import Counter

from pipeline.corpora.base import WHOLE_CORPUS, Index
from pipeline.records import Finding

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


def check_release(index: Index) -> list[Finding]:
    """One finding for each count in which a full release differs from the published one.

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
        return [Finding(WHOLE_CORPUS, None, "corpus", "partial", reason)]
    expected: dict[str, float] = {"dialogs": DIALOGS, "turns": TURNS}
    found: dict[str, float] = {"dialogs": len(units), "turns": len(segments)}
    of_session = Counter(int(s.session or 0) for s in segments)
    of_label = Counter(row.label for row in index.labels)
    for session in sorted(TURNS_OF_SESSION | of_session):
        expected[f"turns in Session{session}"] = TURNS_OF_SESSION.get(session, 0)
        found[f"turns in Session{session}"] = of_session[session]
    for label in sorted(TURNS_OF_LABEL | of_label):
        expected[f"turns labelled {label}"] = TURNS_OF_LABEL.get(label, 0)
        found[f"turns labelled {label}"] = of_label[label]
    durations_s = [s.duration_s for s in segments] or [0.0]
    expected |= {"hours of turns": HOURS, "seconds in the shortest turn": SHORTEST_S}
    expected["seconds in the longest turn"] = LONGEST_S
    found |= {"hours of turns": round(sum(durations_s) / 3600, 2)}
    found |= {"seconds in the shortest turn": round(min(durations_s), 3)}
    found["seconds in the longest turn"] = round(max(durations_s), 2)
    return [
        Finding(
            WHOLE_CORPUS,
            None,
            "corpus",
            "partial",
            f"{found[what]:,} {what}, where the published release has {expected[what]:,}",
        )
        for what in expected
        if found[what] != expected[what]
    ]
