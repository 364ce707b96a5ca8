"""The ``coverage`` stage: of every segment and modality what is there, what is not, and why.

Reads the index arrays of the intermediate files, never crops, sound or feature values, so that it stays quick for
whole corpora. One row for each segment and each of video, audio, text and, in tasks of frames, label,
``features/<name>`` for each feature store, and ``split``: whether the protocol uses the segment; before them the
findings that concern a whole unit or the whole corpus.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from pipeline.causes import Cause, Status
from pipeline.cli import EXISTING, FILE
from pipeline.corpora.base import WHOLE_CORPUS
from pipeline.records import (
    PREPARED,
    Assignment,
    Finding,
    InputError,
    Label,
    Modality,
    Segment,
    Word,
    read_labels,
    read_table,
    write_table,
)

OF_CODE = (Cause.REMARK, Cause.NO_FACE, Cause.OTHER_FACE, Cause.DAMAGED)  # of pipeline.crops.CODES
HELD_OUT = {"test": "is tested", "development": "selects the model"}
SHARED = {
    "session": "somebody else of the same session",
    "unit_id": "somebody else of the same recording",
    "dialog": "somebody else of the same dialog",
    "speaker": "the same speaker",
    "scenario": "the same script or scene",
}
FAILURES = "recogniser_failures"  # beside words, by the same file names


@dataclass(frozen=True, slots=True)
class State:
    """What there is of one segment in one modality: the share observed, and why not more, in a name and in words."""

    status: Status
    fraction: float
    reason: str = ""
    cause: Cause | None = None


def graded(fraction: float, cause: Cause | None = None, reason: str = "", lacking: bool = False) -> State:
    """State by the share observed; ``lacking`` makes it partial where all that was looked at is there."""
    status = Status.ABSENT if fraction <= 0 else Status.PARTIAL if fraction < 1 or lacking else Status.OK
    return State(status, fraction, reason or (cause.text if cause else ""), cause)


def of_rows(offset: np.ndarray, valid: np.ndarray, cause: Cause, nothing: str, what: str) -> list[State]:
    """State of each segment that owns the rows ``offset[i]:offset[i + 1]`` of ``valid``; words for the reasons."""
    seen = np.concatenate([[0], np.cumsum(valid)])
    states = []
    for count, good in zip(np.diff(offset).tolist(), (seen[offset[1:]] - seen[offset[:-1]]).tolist()):
        if count:
            lacking = (cause, f"{nothing} in {count - good} of {count} {what}") if good < count else ()
            states.append(graded(good / count, *lacking))
        else:
            states.append(graded(0.0, Cause.NOTHING_READ, f"no {what}"))
    return states


def of_faces(path: Path, segments: Sequence[Segment]) -> dict[str, State]:
    """State of the faces in one file, with the reasons counted over its frames."""
    from pipeline.crops import CODES, FaceFile

    faces = FaceFile(path)
    valid, code = faces.array("valid"), faces.array("code")
    faces.close()
    found = {}
    states = of_rows(faces.offset, valid, Cause.NO_FACE, "nothing", "frames")
    for i, (segment_id, state) in enumerate(zip(faces.segment_ids, states)):
        own = slice(int(faces.offset[i]), int(faces.offset[i + 1]))
        counts = np.bincount(code[own][~valid[own]], minlength=len(CODES))
        total, remark = own.stop - own.start, faces.reasons[i]
        parts = [f"{CODES[k]} in {n} of {total} frames" for k, n in enumerate(counts) if n]
        cause = OF_CODE[int(counts.argmax())] if counts.any() else state.cause or (Cause.REMARK if remark else None)
        found[segment_id] = graded(state.fraction, cause, remark or "; ".join(parts) or state.reason, bool(remark))
    return found


def of_sound(path: Path, segments: Sequence[Segment]) -> dict[str, State]:
    """State of the sound in one file: for which part of each segment something was recorded."""
    from pipeline.audio_file import EDGE_TOLERANCE_S, AudioFile

    audio = AudioFile(path)
    own = {segment_id: i for i, segment_id in enumerate(audio.segment_ids)}
    found = {}
    for segment in segments:
        if segment.segment_id not in own:
            continue
        i = own[segment.segment_id]
        stretches_s = np.clip(audio.observed_s[i], segment.start_s, segment.end_s)
        observed_s = float(np.ptp(stretches_s, axis=1).sum())
        missing_s = np.abs(stretches_s - (segment.start_s, segment.end_s))  # of one stretch, at its edges
        whole = observed_s > 0 and len(stretches_s) == 1 and missing_s.max() <= EDGE_TOLERANCE_S
        reason, cause, fraction = audio.reasons[i], None, 1.0 if whole else observed_s / segment.duration_s
        if not whole:
            cause = Cause.PART_OF_SOUND if observed_s else Cause.NO_SOUND
            reason = reason or f"sound for {observed_s:.2f} of {segment.duration_s:.2f} s"
        elif reason:
            cause = Cause.SILENT if audio.silent[i] else Cause.REMARK
        found[segment.segment_id] = graded(fraction, cause, reason, cause is Cause.SILENT)
    return found


def of_words(path: Path, segments: Sequence[Segment]) -> dict[str, State]:
    """State of the words in one file; the fraction is the share of the segment during which somebody speaks."""
    failures = path.parents[1] / FAILURES / path.name
    failed = {f.segment: f for f in (read_table(failures, Finding) if failures.exists() else ())}
    shared = defaultdict(list)
    marked = defaultdict(list)
    for word in read_table(path, Word):
        (shared[word.unit_id] if word.segment_id is None else marked[word.segment_id]).append(word)
    found = {}
    for segment in segments:
        near = (*marked[segment.segment_id], *shared[segment.unit_id], *shared[None])
        own = [word for word in near if word.belongs_to(segment)]
        spoken_s, until_s = 0.0, segment.start_s
        for word in sorted(own, key=lambda w: w.start_s):
            spoken_s += max(0.0, min(word.end_s, segment.end_s) - max(word.start_s, until_s))
            until_s = max(until_s, min(word.end_s, segment.end_s))
        state = _of_text(segment, own, min(1.0, spoken_s / segment.duration_s))
        if not own and (why := failed.get(segment.segment_id)):
            state = graded(0.0, Cause.RECOGNISER_FAILED, why.reason)
        found[segment.segment_id] = state
    return found


def _of_text(segment: Segment, words: list[Word], fraction: float) -> State:
    if not words:
        reason = f"no spoken word in the text {segment.text[:40]!r}" if segment.text else ""
        return graded(0.0, Cause.NO_WORD, reason)
    if any(w.source == "transcript_even" for w in words):
        reason = "times are estimates: no usable forced alignment, text spread over the turn"
        return State(Status.PARTIAL, fraction, reason, Cause.EVEN_TIMES)
    return State(Status.OK, fraction)


READERS: dict[Modality, Callable] = {"video": of_faces, "audio": of_sound, "text": of_words}


def of_modality(results: Path, modality: Modality, segments: Sequence[Segment]) -> dict[str, State]:
    """State of every segment in video, audio or text."""
    by_file = defaultdict(list)
    for segment in segments:
        by_file[segment.prepared(results, modality)].append(segment)
    states = {}
    for path, own in by_file.items():
        found = READERS[modality](path, own) if path.exists() else {}
        cause = Cause.NOT_IN_FILE if path.exists() else Cause.NO_FILE
        why = "the segment is not in" if path.exists() else "there is no"
        missing = graded(0.0, cause, f"{why} {path.relative_to(results)}")
        states |= {segment.segment_id: found.get(segment.segment_id, missing) for segment in own}
    return states


def of_store(path: Path, cause: Cause, nothing: str, what: str) -> tuple[dict[str, State], str]:
    """State of every segment in a feature store, and the modality that it is of."""
    from pipeline.store import FeatureStore

    store = FeatureStore(path)
    states = of_rows(store.offset, store.array("valid"), cause, nothing, what)
    store.close()
    return dict(zip(store.segment_ids, states)), store.attributes["modality"]


def of_split(path: Path, segments: Sequence[Segment], labels: Mapping[str, Label]) -> dict[str, State]:
    """In which share of the folds each segment trains, selects or tests a model, and why not in the others."""
    places = read_table(path, Assignment)
    if not places:
        raise InputError(f"{path}: holds no segment; delete it and let the workflow make it again")
    folds, classes = {p.fold for p in places}, {p.label for p in places}
    used = defaultdict(set)
    for p in places:
        used[p.segment_id].update([p.fold] if p.part != "unlabelled" else [])
    styles = {s.style for s in segments if s.segment_id in used}
    held_out = _groups_held_out(places, segments)
    states = {}
    for s in segments:
        without, label = folds - used.get(s.segment_id, set()), labels.get(s.segment_id, Label(s.segment_id)).label
        cause, reason = None, ""
        if without == folds and s.segment_id in used:
            cause = Cause.PREDICTED_ONLY
        elif without == folds and classes != {None} and label not in classes:
            cause = Cause.OTHER_LABEL if label else Cause.NO_LABEL
            reason = f"label {label} is not among the configured labels" if label else ""
        elif without == folds and s.style not in styles:
            cause, asked = Cause.OTHER_STYLE, " and ".join(sorted(filter(None, styles)))
            reason = f"only {asked} segments are used, its style is {s.style or 'not known'}"
        elif without:
            whys = list(dict.fromkeys(filter(None, (_shares(s, held_out[fold]) for fold in sorted(without)))))
            cause = Cause.KEPT_APART if whys else Cause.LEFT_OUT
            whys = (whys[:1] if without == folds else whys) or [cause.text]
            reason = f"in no part of {len(without)} of {len(folds)} folds: {', '.join(whys)}"
        states[s.segment_id] = graded(1 - len(without) / len(folds), cause, reason)
    return states


Groups = dict[tuple[str, str], set]
"""The groups of one kind, such as speakers, that are in one part of a fold."""


def _groups_held_out(places: Iterable[Assignment], segments: Iterable[Segment]) -> dict[int, Groups]:
    by_id = {s.segment_id: s for s in segments}
    held_out: dict[int, Groups] = defaultdict(lambda: defaultdict(set))
    for p in places:
        if p.part in HELD_OUT and p.segment_id in by_id:
            for kind in SHARED:
                held_out[p.fold][p.part, kind].add(getattr(by_id[p.segment_id], kind))
    return held_out


def _shares(segment: Segment, held_out: Groups) -> str | None:
    """What a segment shares with a part that is held out in a fold, the outermost group first."""
    for part, does in HELD_OUT.items():
        for kind, shares in SHARED.items():
            value = getattr(segment, kind)
            if value is not None and value in held_out[part, kind]:
                return f"{shares} {does}"
    return None


def collect(results: Path, features: Sequence[str], split: Path | None = None) -> list[Finding]:
    """All rows of the coverage table of one corpus; raises InputError for a file that is not what its name says."""
    segments = read_table(results / "segments.tsv", Segment)
    tables = [path for name in ("findings.tsv", "label_findings.tsv") if (path := results / name).exists()]
    findings = [row for path in tables for row in read_table(path, Finding)]
    states: dict[str, dict[str, State]] = {}
    general = []
    for modality, pattern in PREPARED.items():
        folder = pattern.partition("/")[0]
        if (results / folder).is_dir():
            states[modality] = of_modality(results, modality, segments)
        else:
            general.append(_missing(modality, f"not prepared: there is no folder {folder}"))
    if "text" in states:
        states["text"] = _with_sound(states["text"], states.get("audio", {}))
    if (results / "labels.h5").exists():
        states["label"] = of_store(results / "labels.h5", Cause.NO_LABEL, "no label", "frames")[0]
    for column in (f"features/{name}" for name in features):
        if (results / f"{column}.h5").exists():
            store = results / f"{column}.h5"
            found, made_from = of_store(store, Cause.NOTHING_OBSERVED, "nothing observed", "rows")
            states[column] = _explain(found, states.get(made_from, {}))
        else:
            general.append(_missing(column, f"there is no {column}.h5"))
    if split is not None:
        states["split"] = of_split(split, segments, read_labels(results))
    return [*general, *_rows(segments, states, findings)]


def _missing(modality: str, reason: str) -> Finding:
    return Finding(WHOLE_CORPUS, None, modality, Status.ABSENT, reason, cause=Cause.NOT_PREPARED)


def _explain(features: dict[str, State], source: dict[str, State]) -> dict[str, State]:
    """Features that are wholly absent are so for the reason of what they were made from."""
    absent = {segment_id for segment_id, state in features.items() if state.status == Status.ABSENT}
    known = {segment_id: source[segment_id] for segment_id in absent & source.keys() if source[segment_id].reason}
    return features | {s: replace(features[s], reason=why.reason, cause=why.cause) for s, why in known.items()}


def _with_sound(text: dict[str, State], sound: dict[str, State]) -> dict[str, State]:
    """Where no word was found and something is wrong with the sound, the reason names it."""
    wordless = {segment_id: state for segment_id, state in text.items() if state.cause == Cause.NO_WORD}
    wrong = {segment_id: sound[segment_id].reason for segment_id in wordless.keys() & sound.keys()}
    return text | {s: replace(text[s], reason=f"{text[s].reason}: {why}") for s, why in wrong.items() if why}


def _rows(
    segments: Sequence[Segment], states: dict[str, dict[str, State]], findings: Iterable[Finding]
) -> Iterator[Finding]:
    """Findings that stand alone, then a row for each segment and modality with the findings that concern it."""
    known = {s.segment_id for s in segments}
    concerning = defaultdict(list)
    for finding in findings:
        if finding.segment in known and finding.modality in states:
            concerning[finding.segment, finding.modality].append(finding)
        else:
            yield finding
    for segment in segments:
        for modality, of_segment in states.items():
            state = of_segment.get(segment.segment_id, graded(0.0, Cause.NOT_IN_FILE, "the segment is not in the file"))
            own = concerning[segment.segment_id, modality]
            reasons, cause = [f.reason for f in own if f.reason], state.cause or (Cause.CORPUS if own else None)
            if state.status != Status.ABSENT or not reasons:  # else the reader of the corpus knows better why
                reasons.append(state.reason)
            else:
                cause = Cause.CORPUS
            lacking = state.status == Status.OK and any(f.status != Status.OK for f in own)
            status = Status.PARTIAL if lacking else state.status
            reason = "; ".join(dict.fromkeys(filter(None, reasons))) or None
            share = round(state.fraction, 4)
            yield Finding(segment.unit_id, segment.segment_id, modality, status, reason, share, cause)


@click.command()
@click.option("--corpus", required=True, help="Name of the corpus, for the log.")
@click.option("--results", required=True, type=click.Path(path_type=Path), help="Folder of the corpus's results.")
@click.option("--features", multiple=True, metavar="NAME", help="A feature store to look at; once for each.")
@click.option("--split", type=EXISTING, help="Folds that are used.")
@click.option("--out", required=True, type=FILE, help="Table to write.")
def coverage(corpus: str, results: Path, features: tuple[str, ...], split: Path | None, out: Path):
    """Say what is missing of every segment and modality, and why."""
    from pipeline.log import log

    if not (results / "segments.tsv").exists():
        raise InputError(f"{results}: no segments.tsv; run the index stage first")
    rows = collect(results, list(features), split)
    write_table(out, rows, Finding)
    counts = {str(s): sum(r.status == s for r in rows) for s in Status}
    log.info("coverage of %s: %s", corpus, ", ".join(f"{n} {status}" for status, n in counts.items()))
