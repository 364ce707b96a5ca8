"""What a corpus holds and lacks, in lines for people, in seconds and without opening media."""

from collections import Counter
from collections.abc import Iterator
from math import isfinite

from pipeline.corpora.base import Corpus, Index
from pipeline.records import Finding, number_names

LISTED = 12  # names in one line
QUOTED = 3  # findings of one kind


def summary(corpus: Corpus, found: Index) -> Iterator[str]:
    """Yield the lines of a summary: sizes, groups, labels, modalities, then what is missing or unusable."""
    segments = found.segments
    yield _line("corpus", f"{corpus.name} ({corpus.title}) in {corpus.root}")
    yield _line("task", f"{corpus.task}; protocols {', '.join(corpus.protocols)}")
    yield _line(f"{corpus.unit_word}s", f"{len(found.units):,}")
    yield _line(f"{corpus.segment_word}s", f"{len(segments):,}, {_length(found)}")
    for what in ("speaker", "session", "group", "dialog", "scenario", "style", "part"):
        counts = Counter(name for segment in segments if (name := getattr(segment, what)) is not None)
        if counts:
            lacking = len(segments) - counts.total()
            yield _line(
                f"{what}s", f"{len(counts):,}: {_listed(counts)}" + (f"; {lacking:,} in none" if lacking else "")
            )
    yield from _labels(found)
    yield from _modalities(found)
    yield from _findings(found.findings)


def _line(what: str, text: str) -> str:
    return f"{what:<12} {text}"


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
        yield _line("classes", f"{len(classes):,}: {_listed(classes)}{lacking}")
    for name in number_names(found.labels):
        values = [row.numbers[name] for row in found.labels if name in row.numbers]
        yield _line(name, f"{len(values):,} segments, from {min(values):g} to {max(values):g}")
    annotated = sum(s.annotation is not None for s in found.segments)
    if annotated:
        yield _line("by frame", f"{annotated:,} of {len(found.segments):,} segments have a file of labels")


def _modalities(found: Index) -> Iterator[str]:
    """For how many segments there is picture, sound and text."""
    units = {unit.unit_id: unit for unit in found.units}
    video = own = of_video = text = 0
    for segment in found.segments:
        unit = units[segment.unit_id]
        sound = bool(segment.audio or unit.audio)
        video += unit.video is not None
        own += sound
        of_video += not sound and unit.video is not None
        text += bool(segment.text or segment.alignment or unit.transcript)
    yield _line("video", f"{video:,} segments" if video else "none")
    sources = {f"{own:,} segments": own, f"{of_video:,} segments by the sound of their video": of_video}
    yield _line("audio", ", ".join(text for text, count in sources.items() if count) or "none")
    yield _line("text", f"{text:,} segments" if text else "none; speech can be recognised")


def _findings(findings: list[Finding]) -> Iterator[str]:
    """What is missing or unusable, by modality and status, with examples."""
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.modality, finding.status), []).append(finding)
    if not findings:
        yield _line("findings", "none: nothing is missing or unusable")
    for (modality, status), own in sorted(kinds.items(), key=lambda item: -len(item[1])):
        word = {"ok": "noted", "partial": "in part"}.get(status, status)
        yield _line("findings", f"{len(own):,} of {modality}, {word}")
        for finding in own[:QUOTED]:
            yield f"  {finding.segment or finding.unit}: {finding.reason}"
        if len(own) > QUOTED:
            yield f"  and {len(own) - QUOTED:,} more"
