"""How much there is of each segment in the files of earlier stages, and why not more.

Reads the index arrays of these files, never crops, sound or feature values, so that it stays quick for whole corpora.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.causes import Cause, Status
from pipeline.records import Finding, Modality, Segment, Word, read_table
from pipeline.spoken import SpokenWords

OF_CODE = (Cause.REMARK, Cause.NO_FACE, Cause.OTHER_FACE, Cause.DAMAGED, Cause.NO_FACE, Cause.DAMAGED)
"""Causes in the order of pipeline.crops.CODES."""
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
    if fraction <= 0:
        status = Status.ABSENT
    elif fraction < 1 or lacking:
        status = Status.PARTIAL
    else:
        status = Status.OK
    return State(status, fraction, reason or (cause.text if cause else ""), cause)


def of_rows(offset: np.ndarray, valid: np.ndarray, cause: Cause, nothing: str, what: str) -> list[State]:
    """State of each segment that owns the rows ``offset[i]:offset[i + 1]`` of ``valid``; words for the reasons."""
    before = np.concatenate([[0], np.cumsum(valid)])  # valid rows in front of each
    states = []
    for count, good in zip(np.diff(offset).tolist(), np.diff(before[offset]).tolist()):
        if count:
            lacking = (cause, f"{nothing} in {count - good} of {count} {what}") if good < count else ()
            states.append(graded(good / count, *lacking))
        else:
            states.append(graded(0.0, Cause.NOTHING_READ, f"no {what}"))
    return states


def of_faces(path: Path, segments: Sequence[Segment]) -> dict[str, State]:
    """State of the faces in one file, with the reasons counted over its frames."""
    from pipeline.crops import CODES, OK, FaceFile

    faces = FaceFile(path)
    valid, code = faces.array("valid"), faces.array("code")
    found = {}
    states = of_rows(faces.offset, valid, Cause.NO_FACE, "nothing", "frames")
    for i, (segment_id, state) in enumerate(zip(faces.segment_ids, states)):
        counts = np.bincount(code[int(faces.offset[i]) : int(faces.offset[i + 1])], minlength=len(CODES))
        counts[OK], remarks = 0, faces.remarks[i]
        cause = OF_CODE[int(counts.argmax())] if counts.any() else state.cause or (Cause.REMARK if remarks else None)
        found[segment_id] = graded(state.fraction, cause, faces[segment_id].reason or state.reason, bool(remarks))
    faces.close()
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
        missing_s = np.abs(stretches_s - (segment.start_s, segment.end_s))  # at the edges, if it is one stretch
        whole = observed_s > 0 and len(stretches_s) == 1 and missing_s.max() <= EDGE_TOLERANCE_S
        reason, cause = audio[segment.segment_id].reason, None
        fraction = 1.0 if whole else observed_s / segment.duration_s
        if not whole:
            cause = Cause.PART_OF_SOUND if observed_s else Cause.NO_SOUND
        elif reason:
            cause = Cause.SILENT if audio.silent[i] else Cause.REMARK
        found[segment.segment_id] = graded(fraction, cause, reason, cause is Cause.SILENT)
    return found


def of_words(path: Path, segments: Sequence[Segment]) -> dict[str, State]:
    """State of the words in one file; the fraction is the share of the segment during which somebody speaks."""
    failures = path.parents[1] / FAILURES / path.name
    failed = {f.segment: f for f in (read_table(failures, Finding) if failures.exists() else ())}
    words, found = SpokenWords(read_table(path, Word)), {}
    for segment in segments:
        own = words.of(segment)
        spoken_s, until_s = 0.0, segment.start_s
        for word in own:
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
