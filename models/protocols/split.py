"""The ``split`` stage: from segments, their labels and a protocol to the part of every segment in every fold."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from models.protocols.development import develop
from models.protocols.folds import PROTOCOLS, Fold, of_turns
from models.protocols.groups import Labelled
from models.protocols.labels import parse_merge, usable
from models.protocols.leaks import leaks, share_of, shared_groups
from models.task import Task
from pipeline.cli import EXISTING, FILE, merge_option, segments_option, task_option
from pipeline.log import log
from pipeline.records import Assignment, InputError, Segment, read_labels, read_table, write_table
from pipeline.store import FeatureStore

PARTS = ("training", "development", "test", "unlabelled")  # parts of a fold, in the order in which they are listed


def assign(
    segments: Iterable[Segment],
    protocol: str,
    label: Mapping[str, str | None],
    unlabelled: Iterable[str] = (),
    turns: str = "all",
    seed: int = 0,
    by_duration: bool = False,
    planned: int | None = None,
) -> list[Assignment]:
    """Assign every usable segment to a part in each fold.

    ``label`` holds the segments that train and are tested (None: not by classes), ``unlabelled`` those that are
    predicted only; others are left out. ``planned`` is how many folds there must be, where that was settled before
    recordings were opened. Raises InputError where the corpus does not fit the protocol or a part of a
    fold would be empty.
    """
    given = sorted(segments, key=lambda s: s.segment_id)
    kept = of_turns(given, turns)
    if len(kept) < len(given):
        log.info("turns %s: %d of %d segments are left out", turns, len(given) - len(kept), len(given))
    labelled = Labelled(label, by_duration)
    if not labelled.of(kept):
        raise InputError(
            f"none of {len(kept)} segments (turns: {turns}) has a label; complete the labels"
            + ("" if turns == "all" else ", or take all turns")
        )
    cut = PROTOCOLS[protocol].cut(kept, labelled, seed)
    cut = _as_planned(cut, planned or len(cut), labelled)
    predicted_only = set(unlabelled).difference(label)
    rows = []
    for number, fold in enumerate(cut):
        parts = _parts(number, fold, labelled, seed)
        predicted = predicted_only.union(s.segment_id for s in fold.unlabelled)
        parts["unlabelled"] = [s for s in kept if s.segment_id in predicted]
        own = [
            Assignment(s.segment_id, number, part, label.get(s.segment_id))
            for part, members in parts.items()
            for s in members
        ]
        _describe(number, fold, own, kept)
        rows += own
    return sorted(rows, key=lambda a: (a.fold, a.segment_id, a.part))


def _as_planned(folds: list[Fold], planned: int, labelled: Labelled) -> list[Fold]:
    """As many folds as were planned: where recordings that cannot be read leave fewer, large test parts are halved.

    Halves leave the same groups out, and every segment is still tested once.
    """
    folds = list(folds)
    while len(folds) < planned:
        tested = [labelled.of(fold.test) for fold in folds]
        largest = max(range(len(folds)), key=lambda k: len(tested[k]))
        if len(tested[largest]) < 2:
            break
        log.warning("%d folds were planned and there are %d: half of what fold %d tests becomes fold %d",
                    planned, len(folds), largest, len(folds))  # fmt: skip
        halves = [replace(folds[largest], test=tested[largest][k::2]) for k in range(2)]
        folds[largest : largest + 1], folds[len(folds) :] = halves[:1], halves[1:]
    if len(folds) != planned:
        raise InputError(
            f"{planned} folds were planned by the corpus's tables, but what can be read and has labels gives "
            f"{len(folds)}; findings.tsv names what cannot be read: take it out of the tables, or replace it, "
            "and run again"
        )
    return folds


def _parts(number: int, fold: Fold, labelled: Labelled, seed: int) -> dict[str, list[Segment]]:
    given = {"test": fold.test, "training": fold.pool}
    given |= {} if fold.development is None else {"development": fold.development}
    parts = {part: labelled.of(members) for part, members in given.items()}
    for part, members in given.items():
        if not parts[part]:
            why = (
                f"none of its {len(members)} segments has a label that is asked for; complete the labels, ask for "
                "other ones, or choose another protocol"
            )
            if not members:
                why = "all other segments share a group with what is tested; choose another protocol, such as group"
            raise InputError(f"fold {number} ({fold.tested}) has no {part} part: {why}")
    if fold.development is None:
        apart = fold.scenarios_apart
        parts["training"], parts["development"] = develop(parts["training"], labelled, number, apart, seed)
    return parts


def _describe(number: int, fold: Fold, rows: Sequence[Assignment], segments: Sequence[Segment]) -> None:
    counts = Counter(row.part for row in rows)
    sizes = ", ".join(f"{part} {count}" for part, count in sorted(counts.items()))
    log.info("fold %d, tested on %s: %s", number, fold.tested, sizes)
    shared = shared_groups(leaks(rows, segments), "development", "training")
    if shared:
        groups = ", ".join(f"{name} ({share_of(share)} of its items)" for name, share in shared.items())
        log.info("fold %d: the development part shares with training: %s", number, groups)
    trained = {row.label for row in rows if row.part == "training"}
    for part in ("development", "test"):
        have = {row.label for row in rows if row.part == part}
        if new := ", ".join(sorted(have - trained)):
            log.warning("fold %d: %s holds classes that never train: %s", number, part, new)
        if trained - have:
            log.info("fold %d: %s holds no %s", number, part, ", ".join(sorted(trained - have)))


def _without_frames(path: Path) -> list[str]:
    """Segments of a store of frame-wise labels that have none."""
    store = FeatureStore(path)
    valid = np.concatenate([[0], np.cumsum(store.array("valid"))])
    counts = valid[store.offset[1:]] - valid[store.offset[:-1]]
    store.close()
    return [segment_id for segment_id, count in zip(store.segment_ids, counts) if not count]


@click.command()
@task_option
@segments_option
@click.option("--protocol", required=True, type=click.Choice(list(PROTOCOLS)))
@click.option("--labels-table", type=EXISTING, help="labels.tsv: tasks of segments")
@click.option("--labels-store", type=EXISTING, help="labels.h5: tasks of frames")
@click.option("--classes", default="", help="tasks of classes: their names, after merging, joined by commas")
@merge_option
@click.option("--turns", default="all", show_default=True, help="all, or one style of turns such as improvised")
@click.option("--seed", default=0, show_default=True, help="of every random choice; one seed, one split")
@click.option("--folds", type=click.IntRange(min=1), help="how many were planned before recordings were opened")
@click.option("--out", required=True, type=FILE, help="splits/PROTOCOL.tsv")
def split(task, segments, protocol, labels_table, labels_store, classes, merge, turns, seed, folds, out):
    """Assign segments to the folds and parts of a protocol."""
    merges = parse_merge(merge)
    task, rows = Task.parse(task), read_table(segments, Segment)
    if not task.frames and not labels_table:
        raise InputError(f"task {task} needs --labels-table labels.tsv")
    labels = list(read_labels(labels_table).values()) if labels_table else []
    names = [name.strip() for name in classes.split(",") if name.strip()]
    without = _without_frames(labels_store) if labels_store else []
    label, unlabelled = usable(task, rows, labels, names, merges, without)
    write_table(out, assign(rows, protocol, label, unlabelled, turns, seed, task.frames, folds), Assignment)
