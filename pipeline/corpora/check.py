"""What a corpus holds and lacks, in lines for people, in seconds and without opening media."""

from collections import Counter
from collections.abc import Iterator
from math import isfinite

from pipeline.corpora.base import Corpus, Index
from pipeline.records import Finding, Segment, Unit, number_names

LISTED = 12  # names in one line
QUOTED = 3  # findings of one kind


def summary(corpus: Corpus, found: Index, times: str = "") -> Iterator[str]:
    """Yield the lines of a summary: sizes, groups, labels, modalities, then what is missing or unusable.

    ``times``: what is wrong with the times of segments, as far as media were opened for it.
    """
    segments = found.segments
    yield line("corpus", f"{corpus.name} ({corpus.title}) in {corpus.root}")
    yield line("task", f"{corpus.task}; protocols {', '.join(corpus.protocols)}")
    yield line(f"{corpus.unit_word}s", f"{len(found.units):,}")
    yield line(f"{corpus.segment_word}s", f"{len(segments):,}, {_length(found)}")
    for what in ("speaker", "session", "group", "dialog", "scenario", "style", "part"):
        counts = Counter(name for segment in segments if (name := getattr(segment, what)) is not None)
        if counts:
            lacking = len(segments) - counts.total()
            yield line(
                f"{what}s", f"{len(counts):,}: {_listed(counts)}" + (f"; {lacking:,} in none" if lacking else "")
            )
    yield from _labels(found)
    yield from _modalities(found)
    if times:
        yield line("findings", times)
    elif not found.findings:
        yield line("findings", "none: nothing is missing or unusable")
    yield from _findings(found.findings)


def line(what: str, text: str) -> str:
    """A line of a summary: what, in a column of its own, and what there is to say of it."""
    return f"{what:<12} {text}"


def modalities_of(segment: Segment, unit: Unit) -> set[str]:
    """Which of video, audio and text a segment of a recording has, by the tables."""
    sources = {
        "video": unit.video or segment.crops,
        "audio": segment.audio or unit.audio or unit.video,
        "text": segment.text or segment.alignment or unit.transcript,
    }
    return {modality for modality, source in sources.items() if source}


def _length(found: Index) -> str:
    known_s = [s.duration_s for s in found.segments if isfinite(s.end_s)]
    whole = len(found.segments) - len(known_s)
    parts = [f"{sum(known_s) / 3600:.2f} h"] if known_s else []
    parts += [f"{whole:,} as long as their recordings"] if whole else []
    return " and ".join(parts) or "0 h"


def _listed(counts: Counter) -> str:
    listed = [f"{name} ({count:,})" for name, count in counts.most_common(LISTED)]
    return ", ".join(listed) + (f" and {len(counts) - LISTED:,} more" if len(counts) > LISTED else "")


def _labels(found: Index) -> Iterator[str]:
    """Classes with counts, numbers with ranges, and files of frame-wise labels."""
    classes = Counter(row.label for row in found.labels if row.label is not None)
    if classes:
        without = len(found.segments) - classes.total()
        lacking = f"; {without:,} segments without" if without else ""
        yield line("classes", f"{len(classes):,}: {_listed(classes)}{lacking}")
    for name in number_names(found.labels):
        values = [row.numbers[name] for row in found.labels if name in row.numbers]
        yield line(name, f"{len(values):,} segments, from {min(values):g} to {max(values):g}")
    annotated = sum(s.annotation is not None for s in found.segments)
    if annotated:
        yield line("by frame", f"{annotated:,} of {len(found.segments):,} segments have a file of labels")


def _modalities(found: Index) -> Iterator[str]:
    """For how many segments there is picture, sound and text."""
    units = {unit.unit_id: unit for unit in found.units}
    pairs = [(segment, units[segment.unit_id]) for segment in found.segments]
    counts = Counter(modality for pair in pairs for modality in modalities_of(*pair))
    own = sum(bool(segment.audio or unit.audio) for segment, unit in pairs)
    sound = {f"{own:,} segments": own}
    sound[f"{counts['audio'] - own:,} segments by the sound of their video"] = counts["audio"] - own
    yield line("video", f"{counts['video']:,} segments" if counts["video"] else "none")
    yield line("audio", ", ".join(text for text, count in sound.items() if count) or "none")
    yield line("text", f"{counts['text']:,} segments" if counts["text"] else "none; speech can be recognised")


def _findings(findings: list[Finding]) -> Iterator[str]:
    """What is missing or unusable, by modality and status, with examples."""
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.modality, finding.status), []).append(finding)
    for (modality, status), own in sorted(kinds.items(), key=lambda item: -len(item[1])):
        word = {"ok": "noted", "partial": "in part"}.get(status, status)
        yield line("findings", f"{len(own):,} of {modality}, {word}")
        for finding in own[:QUOTED]:
            yield f"  {finding.segment or finding.unit}: {finding.reason}"
        if len(own) > QUOTED:
            yield f"  and {len(own) - QUOTED:,} more"
