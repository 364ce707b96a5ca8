"""The ``targets`` stage: what single raters voted for, as a share of each class, for each segment that may train.

A rater has one vote, shared evenly by the labels that they named; of these count, after merging, the classes of the
split. So a segment on which raters disagree trains as well, in the folds in which nothing that is held out is known
from it, unless most of its votes are for other labels: what is mostly fear is not an example of sadness. Scores and the
choice of the epoch never see it: development and test parts stay as the split has them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import click

from models.protocols.groups import BOUND, group_of
from models.protocols.labels import parse_merge
from pipeline.cli import EXISTING, FILE, merge_option, segments_option, split_option
from pipeline.log import log
from pipeline.records import OBSERVER, Assignment, InputError, Rating, Segment, read_table, write_table

HELD_OUT = ("development", "test")
APART = (*BOUND, "scenario")
"""Kinds of groups that a segment may share with held-out parts only where training does."""

Votes = Mapping[str, Sequence[str]]
"""The labels that each rater of a segment named."""


@dataclass(frozen=True, slots=True)
class Target:
    """The share of a class in the votes for a segment that trains in a fold; classes without a vote have no row."""

    segment_id: str
    fold: int
    label: str
    share: float


def votes(ratings: Iterable[Rating], merge: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """Labels that observers gave, by segment and rater, after merging; self-reports are ignored."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for row in ratings:
        if row.perspective == OBSERVER:
            named = dict.fromkeys(merge.get(label, label) for label in row.labels.split(","))
            found[row.segment_id][row.rater] = list(named)
    return found


def counted(of_raters: Votes, classes: Iterable[str]) -> dict[str, float]:
    """The votes for each class that anybody named; nothing where nobody named one."""
    found: dict[str, float] = defaultdict(float)
    for named in of_raters.values():
        for label in named:
            found[label] += 1 / len(named)
    return {label: found[label] for label in classes if found[label]}


def targets(
    assignments: Sequence[Assignment], segments: Sequence[Segment], ratings: Iterable[Rating], merge: Mapping[str, str]
) -> list[Target]:
    """What trains in each fold where raters' votes are the targets; raises InputError where there is no vote."""
    classes = sorted({row.label for row in assignments if row.label is not None})
    raters = votes(ratings, merge)
    found = {segment_id: counted(one, classes) for segment_id, one in raters.items()}
    voted = {segment_id: one for segment_id, one in found.items() if one}
    total = {segment_id: sum(one.values()) for segment_id, one in voted.items()}
    mostly = {segment_id for segment_id in voted if 2 * total[segment_id] >= len(raters[segment_id])}
    if not voted:
        raise InputError(
            f"no single rater's vote is known for any of {', '.join(classes) or 'the classes'}: raters.tsv, which the "
            "corpus's reader fills, has none; set training.targets to majority"
        )
    rows = []
    for fold in sorted({row.fold for row in assignments}):
        own = [row for row in assignments if row.fold == fold]
        labelled = [row.segment_id for row in own if row.part == "training"]
        also = _also_trains(own, [s for s in segments if s.segment_id in mostly], segments)
        lacking = [segment_id for segment_id in labelled if segment_id not in voted]
        log.info(
            "fold %d: %d segments on whose class raters do not agree train, too; %d of %d labelled ones are left out, "
            "since no vote of theirs was for a class%s",
            fold,
            len(also),
            len(lacking),
            len(labelled),
            f", such as {lacking[0]}" if lacking else "",
        )
        names = [segment_id for segment_id in [*labelled, *also] if segment_id in voted]
        rows += [
            Target(name, fold, label, one / total[name]) for name in sorted(names) for label, one in voted[name].items()
        ]
    return rows


def _also_trains(own: Sequence[Assignment], voted: Sequence[Segment], segments: Sequence[Segment]) -> list[str]:
    """Segments that are in no labelled part of a fold and share with its held-out parts only what training shares.

    They are of a style and of an official part that trains, too.
    """
    part = {row.segment_id: row.part for row in own if row.part != "unlabelled"}
    trains = [s for s in segments if part.get(s.segment_id) == "training"]
    held_out = [s for s in segments if part.get(s.segment_id) in HELD_OUT]
    barred = {name: {group_of(s, name) for s in held_out} - {group_of(s, name) for s in trains} for name in APART}
    usual = {(s.style, s.part) for s in trains}
    return [
        s.segment_id
        for s in voted
        if s.segment_id not in part
        and (s.style, s.part) in usual
        and not any(group_of(s, name) in barred[name] for name in APART)
    ]


@click.command("targets")
@segments_option
@click.option("--raters", required=True, type=EXISTING, help="raters.tsv")
@split_option
@merge_option
@click.option("--out", required=True, type=FILE, help="targets/PROTOCOL.tsv")
def command(segments, raters, split, merge, out):
    """Share the votes of single raters over the classes, for training."""
    rows = targets(
        read_table(split, Assignment),
        read_table(segments, Segment),
        read_table(raters, Rating),
        parse_merge(merge),
    )
    write_table(out, rows, Target)
