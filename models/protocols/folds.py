"""The folds of each protocol, by what it does with the groups of segments; no corpus is known here.

==============  =====  ================================================================================================
protocol        folds  test part
==============  =====  ================================================================================================
session         each   one session (of more than ten: ten sets of sessions)
speaker         each   one speaker (of more than ten: ten sets). Others' turns of the same dialogs are in no part
scenario        20     one session's turns of a quarter of its scripts or scenes. Nothing of that session and nothing of
                       these scenarios trains or selects. Without sessions: speakers. Every turn is tested once
group           to 5   one group (of more than five: five sets): column group, else what shares people or a recording,
                       else dialogs, else units
utterance       5      random segments, 80 / 6 / 14 % as Rajan et al. 2022. Whatever there is leaks
parts           1      the corpus's own parts: train or training, dev, validation or development, test
official        1      part validation; development is held out of part train
official_paper  1      part validation, which also selects the model: optimistic
sixfold         6      fold 0 as official, folds 1 to 5 each a fifth of part train, while part validation trains
sixfold_paper   6      as sixfold, and the tested videos also select the model: optimistic
==============  =====  ================================================================================================

Session, speaker and scenario keep the column group apart, too: nobody of a tested family or site trains or selects.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from models.protocols.groups import Labelled, blocks, free_of, group_of, groups_of, share_out
from pipeline.log import log
from pipeline.records import InputError, Segment

MAX_FOLDS = 10
GROUP_FOLDS = 5
MIN_LEFT = 0.2  # share of all recordings that is left to train on and select by while a group is tested
OUTER_SETS = 5
SCENARIO_SETS = 4  # per session: with more, parts of IEMOCAP lack classes; with fewer, too little is left to train on
ROTATIONS = 5
GIVEN_PARTS = {"train": "training", "dev": "development", "validation": "development", "val": "development"}
GIVEN_PARTS |= {name: name for name in ("training", "development", "test")}
"""What corpora call the parts that they give."""


@dataclass(frozen=True)
class Fold:
    """What a protocol decides of one fold; what is in neither list is in no part of it."""

    tested: str  # what the test part is, for the log
    test: list[Segment]
    pool: list[Segment]  # what may train
    development: list[Segment] | None = None  # None: it is held out of the pool
    scenarios_apart: bool = False  # development shares no scenario with training either
    unlabelled: list[Segment] = field(default_factory=list)


@dataclass(frozen=True)
class Words:
    """What a report says of a protocol on some segments."""

    description: str
    caveat: str = ""  # what makes its scores optimistic; what it leaks beside that is counted by ``leaks``


@dataclass(frozen=True)
class Protocol:
    """A rule that makes folds, and what there is to say of it; both depend on the groups of labelled segments."""

    words: Callable[[Sequence[Segment]], Words]
    count: Callable[[Sequence[Segment]], int]
    cut: Callable[[Sequence[Segment], Labelled, int], list[Fold]]


def of_turns(segments: Sequence[Segment], turns: str) -> list[Segment]:
    """Segments of one style, such as improvised; "all" is all. Raises InputError where there are none."""
    kept = [s for s in segments if turns in ("all", s.style)]
    if not kept:
        styles = ", ".join(groups_of(segments, "style")) or "no style at all"
        raise InputError(f"turns: {turns!r} is in no segment; write all, or a style of this corpus, which has {styles}")
    return kept


def fold_count(protocol: str, segments: Sequence[Segment]) -> int:
    """Number of folds of a protocol on labelled segments, of which only the groups count.

    Raises InputError for an unknown protocol, and where the segments lack the groups that it needs.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol {protocol!r} is not one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol].count(segments)


def words_of(protocol: str, segments: Sequence[Segment]) -> Words:
    """What a report says of a protocol of ``fold_count`` folds on the same segments."""
    return PROTOCOLS[protocol].words(segments)


def _named(segments: Iterable[Segment], name: str, protocol: str) -> list:
    """All groups of one kind; raises InputError where segments have none or there are too few."""
    lacking = [s.segment_id for s in segments if group_of(s, name) is None]
    if lacking:
        raise InputError(
            f"protocol {protocol} needs the {name} of every segment; {len(lacking)} have none, the first is "
            f"{lacking[0]}; add it to the corpus's table or choose another protocol"
        )
    found = groups_of(segments, name)
    if len(found) < 2:
        raise InputError(
            f"protocol {protocol} needs at least 2 different {name}s; there are {found}; complete the corpus or choose "
            "another protocol"
        )
    return found


def _within(segments: Iterable[Segment], name: str, groups: Iterable) -> list[Segment]:
    """The segments of some groups of one kind."""
    chosen = set(groups)
    return [s for s in segments if group_of(s, name) in chosen]


def _leave_out(name: str, apart: Sequence[str]) -> Protocol:
    """Test one group in each fold (of many a set of them), and keep apart what shares a group with the test part."""

    def found(segments: Sequence[Segment]) -> list:
        return _named(segments, name, name)

    def words(segments: Sequence[Segment]) -> Words:
        sets = len(found(segments)) > MAX_FOLDS
        return Words(f"leave one of {MAX_FOLDS} sets of {name}s out" if sets else f"leave one {name} out")

    def cut(segments: Sequence[Segment], labelled: Labelled, seed: int) -> list[Fold]:
        known = labelled.of(segments)
        sets = [[one] for one in found(known)]
        if len(sets) > MAX_FOLDS:
            table = labelled.table(known, [group_of(s, name) for s in known])
            sets = share_out(*table, MAX_FOLDS, np.random.default_rng(seed))
        folds = []
        for one in sets:
            test = _within(segments, name, one)
            folds.append(Fold(f"{name} {', '.join(map(str, one))}", test, free_of(segments, test, apart)))
        return folds

    return Protocol(words, lambda segments: min(MAX_FOLDS, len(found(segments))), cut)


def _always(description: str, folds: int, cut: Callable, caveat: str = "") -> Protocol:
    """A protocol that is the same whatever groups there are."""
    return Protocol(lambda segments: Words(description, caveat), lambda segments: folds, cut)


def _outer_sets(segments: Sequence[Segment]) -> tuple[str, list[list]]:
    """Sessions, or speakers where there are no sessions, in at most ``OUTER_SETS`` sets; labels play no part."""
    name = "session" if all(s.session is not None for s in segments) else "speaker"
    found = _named(segments, name, "scenario")
    return name, [part.tolist() for part in np.array_split(np.array(found), min(OUTER_SETS, len(found)))]


def _count_scenario(segments: Sequence[Segment]) -> int:
    _named(segments, "scenario", "scenario")
    name, outer = _outer_sets(segments)
    return sum(min(SCENARIO_SETS, len(groups_of(_within(segments, name, one), "scenario"))) for one in outer)


def _cut_scenario(segments: Sequence[Segment], labelled: Labelled, seed: int) -> list[Fold]:
    known = labelled.of(segments)
    _named(known, "scenario", "scenario")
    name, outer = _outer_sets(known)
    folds = []
    for number, one in enumerate(outer):
        own = _within(known, name, one)
        names, table = labelled.table(own, [s.scenario for s in own])
        rng = np.random.default_rng([seed, number])
        for scenarios in share_out(names, table, min(SCENARIO_SETS, len(names)), rng):
            test = _within(own, "scenario", scenarios)
            pool = free_of(segments, test, ("group", "session", "speaker", "dialog", "scenario"))
            tested = f"{name} {', '.join(map(str, one))}, {' and '.join(scenarios)}"
            folds.append(Fold(tested, test, pool, scenarios_apart=True))
    return folds


def _grouping(segments: Sequence[Segment]) -> tuple[list, bool]:
    """The group of each segment, and whether the people of a group are in others, too.

    Groups are what the corpus calls so, else blocks, dialogs or units: the first of which each leaves a fifth of all
    units where it is tested, and at least two, one to train on and one to select by.
    """
    if all(s.group is not None for s in segments) and len({s.group for s in segments}) > 1:
        return [s.group for s in segments], False
    choices = [blocks(segments), [group_of(s, "dialog") for s in segments], [s.unit_id for s in segments]]
    enough = max(2, MIN_LEFT * len(set(choices[-1])))
    found = [groups for groups in choices if _least_left(segments, groups) >= enough]
    found += [groups for groups in choices if len(set(groups)) >= 2]
    if not found:
        raise InputError(
            f"protocol group needs segments of at least two videos; all are of {segments[0].unit_id}; "
            "choose the protocol utterance"
        )
    return found[0], found[0] is not choices[0]


def _least_left(segments: Sequence[Segment], groups: Sequence) -> int:
    """How many units are left where the group with most of them is tested."""
    units = [s.unit_id for s in segments]
    return len(set(units)) - max(Counter(group for group, _ in set(zip(groups, units))).values())


def _words_of_groups(segments: Sequence[Segment]) -> Words:
    return Words("grouped folds", TORN if _grouping(segments)[1] else "")


def _count_groups(segments: Sequence[Segment]) -> int:
    return min(GROUP_FOLDS, len(set(_grouping(segments)[0])))


def _cut_groups(segments: Sequence[Segment], labelled: Labelled, seed: int) -> list[Fold]:
    segments = labelled.of(segments)
    grouping, _ = _grouping(segments)
    folds = []
    names, table = labelled.table(segments, grouping)
    for one in share_out(names, table, min(GROUP_FOLDS, len(names)), np.random.default_rng(seed)):
        inside = set(one)
        test = [s for s, group in zip(segments, grouping) if group in inside]
        pool = [s for s, group in zip(segments, grouping) if group not in inside]
        folds.append(Fold(f"{len(one)} groups", test, free_of(pool, test, ("unit_id",))))
    return folds


def _cut_utterances(segments: Sequence[Segment], labelled: Labelled, seed: int) -> list[Fold]:
    """Disjoint held-out fifths of the segments, each split 30 / 70 into development and test.

    Two generators draw: seed 337 gives the seeds 337 and 3372 of the published lists.
    """
    usable = sorted(labelled.of(segments), key=lambda s: s.segment_id)
    if len(usable) < 2 * GROUP_FOLDS:
        raise InputError(
            f"protocol utterance: {len(usable)} labelled segments are too few for {GROUP_FOLDS} folds, which need "
            f"{2 * GROUP_FOLDS}; label more of them or choose another protocol"
        )
    fifths = np.array_split(np.random.default_rng(seed).permutation(len(usable)), GROUP_FOLDS)
    second = np.random.default_rng(10 * seed + 2)
    folds = []
    for fifth in fifths:
        mixed = second.permutation(fifth).tolist()
        cut, chosen = max(1, round(0.3 * len(mixed))), set(mixed)
        test, development = ([usable[i] for i in part] for part in (mixed[cut:], mixed[:cut]))
        folds.append(Fold("random segments", test, [s for i, s in enumerate(usable) if i not in chosen], development))
    return folds


def _cut_parts(segments: Sequence[Segment], labelled: Labelled, seed: int) -> list[Fold]:
    given: dict[str, list[Segment]] = {"training": [], "development": [], "test": []}
    lacking = [s.segment_id for s in segments if s.part is None]
    if lacking:
        log.info("%d of %d segments have no part and are left out: %s, ...", len(lacking), len(segments), lacking[0])
    for s in segments:
        if s.part is None:
            continue
        if s.part not in GIVEN_PARTS:
            raise InputError(
                f"protocol parts: segment {s.segment_id} has part {s.part!r}; write {', '.join(GIVEN_PARTS)}"
            )
        given[GIVEN_PARTS[s.part]].append(s)
    absent = [part for part in ("training", "test") if not given[part]]
    if absent:
        raise InputError(f"protocol parts: no segment has the part {absent[0]}; choose another protocol")
    return [Fold("part test", given["test"], given["training"], given["development"] or None)]


def _official(rotations: int, select_on_test: bool):
    """The official partition into train and validation and, with rotations, fifths of train."""

    def cut(segments: Sequence[Segment], labelled: Labelled, seed: int) -> list[Fold]:
        validation = [s for s in segments if s.part == "validation"]
        train = [s for s in segments if s.part == "train"]
        unlabelled = [s for s in segments if s.part not in ("train", "validation")]
        training = free_of(train, validation, ("unit_id",))
        for s in sorted({s.segment_id for s in train} - {s.segment_id for s in training}):
            log.warning("%s is left out: its video is tested with another subject", s)
        names, least = groups_of(training, "unit_id"), max(2, rotations)
        if not validation or len(names) < least:
            raise InputError(
                f"protocol {'sixfold' if rotations else 'official'} needs validation videos and at least {least} "
                f"training videos; the corpus has {len(groups_of(validation, 'unit_id'))} and {len(names)}; complete "
                "its parts train and validation"
            )
        folds = [Fold("part validation", validation, training, unlabelled=unlabelled)]
        order = np.random.default_rng(seed).permutation(len(names))
        for chunk in np.array_split(order, rotations) if rotations else []:
            tested = {names[i] for i in chunk}
            test = [s for s in training if s.unit_id in tested]
            pool = [s for s in training if s.unit_id not in tested] + validation
            folds.append(Fold(f"{len(tested)} of the training videos", test, pool, unlabelled=unlabelled))
        return [replace(fold, development=fold.test) for fold in folds] if select_on_test else folds

    return cut


MIXED = "people and recordings of the test part also train: scores are optimistic"
TORN = (
    "nearly all recordings share people, sessions or dialogs, and those of the test part also train: scores are "
    "optimistic"
)
SELECTED = "the model is selected on the videos it is tested on: scores are optimistic"
ROTATED = "official partition and five rotations"
PROTOCOLS = {
    "session": _leave_out("session", ("group", "session")),
    "speaker": _leave_out("speaker", ("group", "speaker", "dialog")),
    "scenario": Protocol(
        lambda segments: Words("leave people and scenario out together"), _count_scenario, _cut_scenario
    ),
    "group": Protocol(_words_of_groups, _count_groups, _cut_groups),
    "utterance": _always("random utterance folds", GROUP_FOLDS, _cut_utterances, MIXED),
    "parts": _always("the corpus's own parts", 1, _cut_parts),
    "official": _always("official partition", 1, _official(0, False)),
    "official_paper": _always("official partition, as published", 1, _official(0, True), SELECTED),
    "sixfold": _always(ROTATED, 1 + ROTATIONS, _official(ROTATIONS, False)),
    "sixfold_paper": _always(f"{ROTATED}, as published", 1 + ROTATIONS, _official(ROTATIONS, True), SELECTED),
}
