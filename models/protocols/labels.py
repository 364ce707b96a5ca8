"""What segments are labelled with: which of them a task can use, and under which name."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from models.task import Task
from pipeline.cli import parse_options
from pipeline.log import log
from pipeline.records import InputError, Label, Segment, number_names


def parse_merge(text: str) -> dict[str, str]:
    """Which label becomes which, from the command line; raises InputError where it is not an object of labels."""
    merges = parse_options(text, "--merge")
    if not all(isinstance(label, str) for label in merges.values()):
        raise InputError(f'--merge {text!r}: give an object of label to label, like \'{{"exc": "hap"}}\'')
    return merges


def trainable(
    task: Task,
    segment_ids: Iterable[str],
    labels: Iterable[Label],
    classes: Sequence[str],
    merge: Mapping[str, str],
    unlabelled: Iterable[str] = (),
) -> set[str]:
    """The segments that a task can train on; ``unlabelled`` names those of which no frame is labelled.

    No classes named: all that occur.
    """
    if task.frames:
        return set(segment_ids) - set(unlabelled)
    kept = _with_numbers(labels, task.targets) if task.numbers else _with_classes(labels, classes, merge)
    return set(segment_ids) & set(kept)


def _with_classes(labels: Iterable[Label], classes: Sequence[str], merge: Mapping[str, str]) -> dict[str, str]:
    merged = {row.segment_id: merge.get(row.label, row.label) for row in labels if row.label}
    return {segment_id: label for segment_id, label in merged.items() if label in classes or not classes}


def _with_numbers(labels: Iterable[Label], targets: Sequence[str]) -> dict[str, None]:
    return {row.segment_id: None for row in labels if row.numbers.keys() >= set(targets)}


def check_merge(classes: Sequence[str], merge: Mapping[str, str]) -> None:
    """Raise InputError where classes contradict what is merged into them; no classes named: all that occur."""
    for source, target in merge.items():
        if source in classes:
            raise InputError(f"{source!r} counts as {target!r}; remove {source!r} from labels {list(classes)}")
        if classes and target not in classes:
            raise InputError(f"{source!r} counts as {target!r}, which is not in labels {list(classes)}; add it there")


def choose_classes(labels: Sequence[Label], classes: Sequence[str], merge: Mapping[str, str]) -> dict[str, str]:
    """Merge raw labels, keep the segments whose label is among the classes and log how many others there are.

    No classes named: all that occur. Raises InputError where merge and classes contradict each other or none is left.
    """
    merged = {row.segment_id: merge.get(row.label, row.label) for row in labels}
    if not classes:
        classes = sorted({label for label in merged.values() if label})
        if len(classes) < 2:
            but = f" but {classes[0]!r}" if classes else ""
            raise InputError(
                f"the segments have no label{but}, and at least two classes are needed; complete the corpus's labels"
            )
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise InputError(f"classes {list(classes)}: give at least two, each once, under labels in the settings")
    check_merge(classes, merge)
    kept = {segment_id: label for segment_id, label in merged.items() if label in classes}
    if not kept:
        found = ", ".join(sorted({row.label or "none" for row in labels}))
        raise InputError(f"no segment has a label of {list(classes)}; the corpus has {found}")
    unlabelled = sum(not label for label in merged.values())
    if unlabelled:
        log.info("%d of %d segments have no label: predicted only", unlabelled, len(merged))
    left_out = Counter(label for label in merged.values() if label and label not in classes)
    if left_out:
        names = ", ".join(f"{label} {count}" for label, count in left_out.most_common())
        log.info("left out %d of %d segments, label not in the set: %s", left_out.total(), len(merged), names)
    absent = sorted(set(classes) - set(kept.values()))
    if absent:
        log.warning("no segment has the label %s: the models will not know it", ", ".join(absent))
    return kept


def choose_numbers(labels: Sequence[Label], targets: Sequence[str]) -> dict[str, None]:
    """The segments that have a number for every target; the others are predicted only.

    Raises InputError where there is no such segment.
    """
    kept = _with_numbers(labels, targets)
    if not kept:
        raise InputError(
            f"no segment has a number for each of {', '.join(targets)}; the corpus has "
            f"{', '.join(number_names(labels)) or 'none'}: complete its table, or name some of these"
        )
    if len(kept) < len(labels):
        log.info(
            "%d of %d segments lack %s: predicted only", len(labels) - len(kept), len(labels), " or ".join(targets)
        )
    return kept


def usable(
    task: Task,
    segments: Sequence[Segment],
    labels: Sequence[Label],
    classes: Sequence[str] = (),
    merge: Mapping[str, str] | None = None,
    unlabelled: Iterable[str] = (),
) -> tuple[Mapping[str, str | None], list[str]]:
    """The segments that a task can train on, with their classes, and those that it can only predict.

    ``unlabelled`` names those of which no frame is labelled.
    """
    here = {s.segment_id for s in segments}
    labels = [row for row in labels if row.segment_id in here]
    if task.frames:
        return dict.fromkeys(here - set(unlabelled)), sorted(here & set(unlabelled))
    if task.numbers:
        kept = choose_numbers(labels, task.targets)
        return kept, sorted(here - set(kept))
    known = {row.segment_id for row in labels if row.label}
    return choose_classes(labels, classes, merge or {}), sorted(here - known)
