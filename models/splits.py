"""Splits: which segment trains, selects and tests in each fold of a protocol.

==============  ======  ========================================================================================
protocol        folds   test part
==============  ======  ========================================================================================
session         5       IEMOCAP: one session; development dialogs come from the other four
speaker         10      IEMOCAP: one speaker. The partner's turns are in no part of that fold: they share the
                        dialogs, and the test speaker is heard in them. Development dialogs as above
utterance       5       IEMOCAP: random turns, 80 / 6 / 14 % as Rajan et al. 2022. Speakers and dialogs leak
official        1       Aff-Wild2: the validation videos; development videos are held out of the training videos
official_paper  1       Aff-Wild2: the validation videos, which also select the model: optimistic
sixfold         6       Aff-Wild2: fold 0 as official, folds 1 to 5 each a fifth of the training videos, while the
                        official validation videos train: every labelled video is tested once
==============  ======  ========================================================================================

The development part is about ``DEVELOPMENT_SHARE`` of what could train. A dialog or video never lies in two parts of a
fold, except where ``PROTOCOLS[name].caveat`` says so.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import click
import numpy as np

from pipeline.log import log
from pipeline.records import InputError, Segment, read_table, write_table

DEVELOPMENT_SHARE = 0.15
DRAWS = 500
SESSIONS = 5
EMOTIONS = ("ang", "exc", "fru", "hap", "neu", "sad", "sur")
"""The seven unmerged classes of Rajan et al. 2022."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One row of a split: the part of a segment in a fold, and its label after merging (None: labelled by frame)."""

    segment_id: str
    fold: int
    part: str  # training, development, test or unlabelled
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """What can be said of a protocol before any data is read."""

    corpus: str
    folds: int
    description: str
    caveat: str = ""  # why its scores are optimistic; empty where nothing leaks


PROTOCOLS = {
    "session": Protocol("iemocap", 5, "leave one session out"),
    "speaker": Protocol("iemocap", 10, "leave one speaker out"),
    "utterance": Protocol(
        "iemocap",
        5,
        "random utterance folds",
        "speakers, sessions and dialogs of the test part also train: scores are optimistic",
    ),
    "official": Protocol("affwild2", 1, "official partition"),
    "official_paper": Protocol(
        "affwild2",
        1,
        "official partition, as published",
        "the model is selected on the videos it is tested on: scores are optimistic",
    ),
    "sixfold": Protocol("affwild2", 6, "official partition and five rotations"),
}


def fold_count(protocol: str, unit_ids: Iterable[str] | None = None) -> int:
    """Number of folds of a protocol, known without reading data.

    Given the ids of an incomplete IEMOCAP's dialogs (``Ses01F_impro01``), the folds that its sessions allow.
    Raises InputError for an unknown protocol.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol {protocol!r} is not one of {', '.join(PROTOCOLS)}")
    full = PROTOCOLS[protocol].folds
    if unit_ids is None or protocol not in ("session", "speaker"):
        return full
    return full * len({unit_id[: len("Ses01")] for unit_id in unit_ids}) // SESSIONS


def choose_labels(
    segments: Sequence[Segment], labels: Sequence[str], merge: dict[str, str]
) -> list[tuple[Segment, str]]:
    """Merge raw labels, keep the segments whose label is in the set and log how many others there are.

    Raises InputError where a merge and the label set contradict each other or no segment is left.
    """
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise InputError(f"labels {list(labels)}: give at least two, each once")
    for source, target in merge.items():
        if source in labels:
            raise InputError(f"label {source!r} is merged into {target!r}; remove it from labels {list(labels)}")
        if target not in labels:
            raise InputError(f"label {source!r} is merged into {target!r}, which is not in labels {list(labels)}")
    merged = [(s, merge.get(s.label, s.label)) for s in segments]
    kept = [(s, label) for s, label in merged if label in labels]
    if not kept:
        found = ", ".join(sorted({s.label or "none" for s in segments}))
        raise InputError(f"no segment has a label of {list(labels)}; the corpus has {found}")
    left_out = Counter(label or "none" for _, label in merged if label not in labels)
    if left_out:
        names = ", ".join(f"{label} {count}" for label, count in left_out.most_common())
        log.info("left out %d of %d segments, label not in the set: %s", sum(left_out.values()), len(merged), names)
    absent = sorted(set(labels) - {label for _, label in kept})
    if absent:
        log.warning("no segment has the label %s: the models will not know it", ", ".join(absent))
    return kept


def hold_out(
    groups: Sequence[str],
    labels: Sequence[str | None],
    weights: Sequence[float],
    share: float,
    rng: np.random.Generator,
) -> set[str]:
    """Choose whole groups (dialogs, videos) that weigh about ``share`` of all and look like the rest.

    The best of many random draws: fewest classes missing on either side, then closest in size and class frequency.
    Raises InputError for fewer than two groups.
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"only {', '.join(names) or 'nothing'} is left to train on; at least two dialogs or videos are "
            "needed, one of them to select the model"
        )
    _, label = np.unique([x or "" for x in labels], return_inverse=True)
    table = np.zeros((len(names), label.max() + 1))
    np.add.at(table, (group, label), weights)
    total = table.sum(axis=0)
    best, best_cost = names[:1], None
    for _ in range(DRAWS):
        order = rng.permutation(len(names))
        size = table[order].sum(axis=1).cumsum()
        count = int(np.clip(np.abs(size - share * total.sum()).argmin() + 1, 1, len(names) - 1))
        held = table[order[:count]].sum(axis=0)
        missing = int((held == 0).sum() + 3 * (held == total).sum())
        cost = (missing, float(np.abs(held - share * total).sum()))
        if best_cost is None or cost < best_cost:
            best, best_cost = names[order[:count]], cost
    return set(best.tolist())


Parts = list[tuple[Segment, str]]


def _held_out(
    pool: Sequence[Segment],
    weight: Callable[[Segment], float],
    label: dict[str, str],
    rng: np.random.Generator,
) -> Parts:
    held = hold_out(
        [s.unit_id for s in pool],
        [label.get(s.segment_id) for s in pool],
        [weight(s) for s in pool],
        DEVELOPMENT_SHARE,
        rng,
    )
    return [(s, "development" if s.unit_id in held else "training") for s in pool]


def _leave_out(segments: Sequence[Segment], label: dict[str, str], seed: int, by: str) -> list[Parts]:
    """Folds of the session and speaker protocols, in the order of sessions or of speakers' names."""
    sessions = sorted({s.session for s in segments})
    speakers = sorted({s.speaker for s in segments})
    found = sessions if by == "session" else speakers
    if len(sessions) < 2 or len(speakers) != 2 * len(sessions):
        raise InputError(
            f"protocol {by} needs labelled turns of both speakers of at least two sessions; there are sessions "
            f"{sessions} and speakers {speakers}; complete the corpus or choose the protocol utterance"
        )
    if len(sessions) < SESSIONS:
        log.warning("only sessions %s are there: %d folds instead of %d", sessions, len(found), PROTOCOLS[by].folds)
    out = []
    for fold, one in enumerate(found):
        test = [s for s in segments if getattr(s, by) == one]
        session = {s.session for s in test}
        pool = [s for s in segments if s.session not in session]
        rng = np.random.default_rng([seed, fold])
        out.append([(s, "test") for s in test] + _held_out(pool, lambda s: 1.0, label, rng))
        unused = len(segments) - len(out[-1])
        if unused:
            log.info("fold %d, test speaker %s: %d turns of the partner are left out", fold, one, unused)
    return out


def _utterance(segments: Sequence[Segment], seed: int) -> list[Parts]:
    """Disjoint held-out fifths of the turns, each split 30 / 70 into development and test (their seeds 337, 3372)."""
    count = PROTOCOLS["utterance"].folds
    if len(segments) < 2 * count:
        raise InputError(f"{len(segments)} labelled segments are too few for {count} utterance folds")
    ordered = sorted(segments, key=lambda s: s.segment_id)
    fifths = np.array_split(np.random.default_rng(337 + seed).permutation(len(ordered)), count)
    out = []
    for fold, fifth in enumerate(fifths):
        mixed = np.random.default_rng([3372 + seed, fold]).permutation(fifth)
        cut = max(1, round(0.3 * len(mixed)))
        part = dict.fromkeys(mixed[:cut].tolist(), "development") | dict.fromkeys(mixed[cut:].tolist(), "test")
        out.append([(s, part.get(i, "training")) for i, s in enumerate(ordered)])
    return out


def _videos(segments: Sequence[Segment], protocol: str, seed: int) -> list[Parts]:
    """Folds of the Aff-Wild2 protocols."""
    validation = [s for s in segments if s.part == "validation"]
    units = {s.unit_id for s in validation}
    training = [s for s in segments if s.part == "train" and s.unit_id not in units]
    unlabelled = [(s, "unlabelled") for s in segments if s.part not in ("train", "validation")]
    for s in segments:
        if s.part == "train" and s.unit_id in units:
            log.warning("%s is left out: video %s is tested with another subject", s.segment_id, s.unit_id)
    names = sorted({s.unit_id for s in training})
    rotations = PROTOCOLS[protocol].folds - 1
    if not validation or len(names) < max(2, rotations):
        raise InputError(
            f"protocol {protocol} needs validation videos and at least {max(2, rotations)} training videos; the corpus "
            f"has {len(units)} and {len(names)}; complete Train_Set and Validation_Set"
        )
    test = [(s, "test") for s in validation]
    if protocol == "official_paper":
        selected = [(s, "development") for s in validation]
        return [[(s, "training") for s in training] + selected + test + unlabelled]

    def fold(pool, test, number):
        rng = np.random.default_rng([seed, number])
        return _held_out(pool, lambda s: s.duration_s, {}, rng) + test + unlabelled

    out = [fold(training, test, 0)]
    order = np.random.default_rng(seed).permutation(len(names))
    for number, chunk in enumerate(np.array_split(order, rotations) if rotations else [], start=1):
        tested = {names[i] for i in chunk}
        pool = [s for s in training if s.unit_id not in tested] + validation
        out.append(fold(pool, [(s, "test") for s in training if s.unit_id in tested], number))
    return out


def assign(
    segments: Sequence[Segment],
    corpus: str,
    protocol: str,
    labels: Sequence[str] = EMOTIONS,
    merge: dict[str, str] | None = None,
    seed: int = 0,
) -> list[Assignment]:
    """Assign every usable segment to a part in each fold.

    Raises InputError where protocol and corpus do not match or a fold would have no test part.
    """
    fold_count(protocol)
    if PROTOCOLS[protocol].corpus != corpus:
        allowed = ", ".join(name for name, p in PROTOCOLS.items() if p.corpus == corpus)
        raise InputError(f"protocol {protocol} is not for {corpus}; allowed there: {allowed or 'none'}")
    if corpus == "affwild2":
        label, parts = {}, _videos(segments, protocol, seed)
    else:
        kept = choose_labels(segments, labels, merge or {})
        label = {s.segment_id: name for s, name in kept}
        usable = [s for s, _ in kept]
        parts = _utterance(usable, seed) if protocol == "utterance" else _leave_out(usable, label, seed, protocol)
    for fold, rows in enumerate(parts):
        _describe(fold, rows, label)
    return sorted(
        (
            Assignment(s.segment_id, fold, part, label.get(s.segment_id))
            for fold, rows in enumerate(parts)
            for s, part in rows
        ),
        key=lambda a: (a.fold, a.segment_id, a.part),
    )


def _describe(fold: int, rows: Parts, label: dict[str, str]) -> None:
    counts = Counter(part for _, part in rows)
    log.info("fold %d: %s", fold, ", ".join(f"{part} {count}" for part, count in sorted(counts.items())))
    trained = {label.get(s.segment_id) for s, part in rows if part == "training"}
    for part in ("development", "test"):
        have = {label.get(s.segment_id) for s, p in rows if p == part}
        if have - trained:
            log.warning("fold %d: %s holds classes that never train: %s", fold, part, sorted(have - trained))
        if trained - have:
            log.info("fold %d: %s holds no %s", fold, part, ", ".join(sorted(trained - have)))


@click.command()
@click.option("--corpus", required=True, type=click.Choice(["iemocap", "affwild2"]))
@click.option("--segments", required=True, type=click.Path(exists=True, dir_okay=False), help="segments.tsv")
@click.option("--protocol", required=True, type=click.Choice(list(PROTOCOLS)))
@click.option("--labels", default=",".join(EMOTIONS), show_default=True, help="IEMOCAP: classes, after merging")
@click.option("--merge", default="{}", show_default=True, help='IEMOCAP: labels counted as another: \'{"exc": "hap"}\'')
@click.option("--seed", default=0, show_default=True, help="of every random choice; one seed, one split")
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="splits/PROTOCOL.tsv")
def split(corpus, segments, protocol, labels, merge, seed, out):
    """Assign segments to the folds and parts of a protocol."""
    try:
        merges = json.loads(merge)
    except json.JSONDecodeError as error:
        raise InputError(f'--merge {merge!r} is not JSON ({error}); give it like \'{{"exc": "hap"}}\'') from None
    if not isinstance(merges, dict) or not all(isinstance(v, str) for v in merges.values()):
        raise InputError(f'--merge {merge!r}: give an object of label to label, like \'{{"exc": "hap"}}\'')
    names = [name.strip() for name in labels.split(",") if name.strip()]
    write_table(out, assign(read_table(segments, Segment), corpus, protocol, names, merges, seed), Assignment)
