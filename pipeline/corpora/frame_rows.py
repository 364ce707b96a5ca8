"""Files of frame-wise labels, whatever their format: a row for each video frame, row i for frame i."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.corpora.base import Annotation
from pipeline.corpora.tree import read_text
from pipeline.records import InputError
from pipeline.store import Rows
from pipeline.timebase import frame_ranges_s


@dataclass
class FrameRows:
    """Rows of one file: ``values`` (N, D), ``valid`` (N,), and ``notes`` on what was wrong."""

    values: np.ndarray
    valid: np.ndarray
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.valid)

    def one_more(self, frames: int) -> bool:
        """Whether there is one row more than frames, as many tools write: no frame lacks its label by that."""
        return len(self) - frames == 1


Parsed = TypeVar("Parsed", bound=FrameRows)


def annotated(
    root: Path,
    annotation: str | None,
    frame_time_s: np.ndarray,
    parse: Callable[[str], Parsed],
    place: Callable[[Parsed | None, np.ndarray], tuple[Rows, str | None]],
) -> Annotation:
    """The labels of a segment's frames: ``parse`` reads the text of its annotation, ``place`` puts rows on frames.

    Either raises InputError for what cannot be used; without an annotation, or then, there is nothing to place: None.
    """
    absent, notes = "no annotation: predicted, not scored", []
    if annotation:
        try:
            text, note = read_text(root / annotation)
            found = parse(text)
            notes = [note, *found.notes]
            rows, note = place(found, frame_time_s)
            absent = None if found.valid.any() else f"none of the {len(found)} rows is valid"
            spare = found.one_more(len(frame_time_s))
            wrong = [text for text in (*notes, None if spare else note) if text]
            return Annotation(rows, absent, wrong, [note] if spare and note else [])
        except InputError as error:
            absent = f"{annotation}: {error}"
    return Annotation(place(None, frame_time_s)[0], absent, [text for text in notes if text])


def apart(rows: int, frames: int) -> bool:
    """Whether these are more rows, or fewer, than coders and tools of annotation make of one video."""
    return abs(rows - frames) > max(5, 0.01 * frames)


def to_frames(found: FrameRows | None, frame_time_s: np.ndarray, width: int = 2) -> tuple[Rows, str | None]:
    """Put row i on frame i; returns rows for every frame of the video and a note where the two numbers differ.

    Frames past the last row are invalid, as are all where there is no file (None, and ``width`` says how wide rows
    are); rows past the last frame are dropped. Neither moves the others.
    """
    frames = len(frame_time_s)
    width = width if found is None else found.values.shape[1]
    values, valid = np.zeros((frames, width), np.float32), np.zeros(frames, bool)
    note = None
    if found is not None:
        shared = min(frames, len(found))
        values[:shared], valid[:shared] = found.values[:shared], found.valid[:shared]
        if len(found) > frames:
            note = f"{len(found)} rows for {frames} frames: rows past the last frame were not used"
        elif len(found) < frames:
            note = f"{len(found)} rows for {frames} frames: frames past the last row have no label"
        if apart(len(found), frames):
            note += "; check that annotation and video belong together and that the video is whole"
    return Rows(values, frame_ranges_s(frame_time_s), valid), note
