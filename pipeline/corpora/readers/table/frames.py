"""Labels of frames as a user has them: CSV or TSV with rows placed by time, by number of frame, or one for each frame.

A file whose rows look placed in another way, are not as many as the frames, or give one time several labels is refused:
it would give frames the labels of others.
"""

import csv
import io
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.corpora.frame_rows import FrameRows, apart, to_frames
from pipeline.corpora.readers.table.file import MISSING, NUMBERS, from_header, is_label, number, sniff
from pipeline.records import InputError
from pipeline.store import Rows
from pipeline.timebase import frame_ranges_s

LABEL = "label"
TIMES = ("time_s", "start_s", "end_s")
FRAME = "frame"
KNOWN = {LABEL, *NUMBERS, *TIMES, FRAME}
TOLERANCE_S = 1e-3  # times in files are often rounded to milliseconds
LONGEST_HOLD = 2  # a sample holds for this many usual steps at most; anything longer is a gap
STRAY = 0.01  # more rows than this share do not have the time of another by rounding


@dataclass
class TimedRows(FrameRows):
    """Rows that hold over ``[start_s, end_s)`` (N,) each, or for their ``frame`` (N,); one for each frame without."""

    start_s: np.ndarray | None = None
    end_s: np.ndarray | None = None
    frame: np.ndarray | None = None

    def one_more(self, frames: int) -> bool:
        """As of any rows, where row i is of frame i."""
        return self.start_s is None and self.frame is None and super().one_more(frames)


def task_of(text: str, given: str | None = None) -> str:
    """The task that the header of a file tells, with its numbers where they are what is ``given``.

    Raises InputError where no column is a label, valence, arousal or dominance.
    """
    text, _ = from_header(text.rstrip())
    first = text.split("\n", 1)[0]
    names = sniff(first, KNOWN)[1]
    if given is None and LABEL in names:
        return "classes/frame"
    known = [name for name in NUMBERS if name in names]
    if known:
        return f"numbers/frame:{','.join(known)}"
    expected = ", ".join(NUMBERS) if given else f"{LABEL} or {', '.join(NUMBERS)}"
    raise InputError(
        f"the header is {first[:60]!r}, expected {expected}, and perhaps time_s or frame; "
        "others are named by the task, such as task: numbers/frame:pain"
    )


def labels_in(text: str, missing: Collection[str] = MISSING) -> set[str]:
    """Every label of a file with a column ``label``, but for ``missing`` ones; none where it cannot be read."""
    try:
        header, rows, _ = _cells(text)
    except InputError:  # a finding when its frames are labelled
        return set()
    column, width = header.index(LABEL) if LABEL in header else len(header), len(header)
    whole = [cells for cells in rows if column < len(cells) and not any(cells[width:])]
    return {cells[column] for cells in whole if is_label(cells[column]) and cells[column] not in missing}


def parse_frames(text: str, names: Sequence[str], classes: bool, missing: Collection[str] = MISSING) -> TimedRows:
    """Read a file of frame-wise labels; a row that cannot be used is invalid and keeps its place.

    Args:
        text: of the file. Empty cells and ``nan`` are frames without a label.
        names: the columns of numbers that are wanted, or the classes.
        classes: whether ``names`` are classes of the column ``label``; values (N, 1) are then their numbers.
        missing: cells that count as empty.

    Raises InputError where the file lacks a column, a double quote is not closed, or nobody knows what rows belong to.
    """
    wanted = [LABEL] if classes else [name.lower() for name in names]
    header, rows, line = _cells(text, wanted)
    lacking = [name for name in wanted if name not in header]
    if lacking:
        raise InputError(f"there is no column {lacking[0]}; the columns are {', '.join(header)}")
    columns = [header.index(name) for name in wanted]
    number_of = {name: n for n, name in enumerate(names)}
    values, valid = np.zeros((len(rows), len(wanted)), np.float32), np.zeros(len(rows), bool)
    wrong: dict[str, list[int]] = {}
    for i, cells in enumerate(rows):
        if any(cells[len(header) :]):
            wrong.setdefault(f"hold more than {len(header)} fields", []).append(i)
            continue
        own = [cells[k] if k < len(cells) and cells[k] not in missing else "" for k in columns]
        try:
            if classes:
                numbers = [number_of[cell] if is_label(cell) else math.nan for cell in own]
            else:
                numbers = [number(cell or "nan") for cell in own]
        except KeyError:
            wrong.setdefault(f"hold none of the classes {', '.join(names)}", []).append(i)
        except ValueError:
            wrong.setdefault("are not numbers", []).append(i)
        else:
            if any(map(math.isinf, numbers)):
                wrong.setdefault("are not finite", []).append(i)
            elif not any(map(math.isnan, numbers)):
                values[i], valid[i] = numbers, True
    start_s, end_s = _times(header, rows)
    frame = _frames(header, rows) if start_s is None else None
    if start_s is not None or frame is not None:
        unplaced = np.flatnonzero(np.isnan(frame if start_s is None else start_s)).tolist()
        valid[unplaced] = False
        if unplaced:
            wrong["have no number of a frame" if start_s is None else "have no time"] = unplaced
        if start_s is not None and (again := _again(start_s, np.column_stack([valid, values]))):
            wrong["have the time of a later row, whose label counts"] = again
    else:
        _refuse_other_times(header, rows, wanted)
    notes = [f"{len(bad)} rows {what}, the first in line {line[bad[0]]}: {rows[bad[0]]}" for what, bad in wrong.items()]
    return TimedRows(values, valid, notes, start_s, end_s, frame)


def place(found: TimedRows | None, frame_time_s: np.ndarray, width: int) -> tuple[Rows, str | None]:
    """Rows for every frame of the video, and a note where some of the file's were not used; see ``to_frames``.

    Of rows with times a frame has that which began last of those that hold there.
    Raises InputError where rows that are meant for each frame are too many or too few, and for numbers that are not
    those of the frames.
    """
    if found is None:
        return to_frames(None, frame_time_s, width)
    frames = len(frame_time_s)
    rows = Rows(np.zeros((frames, width), np.float32), frame_ranges_s(frame_time_s), np.zeros(frames, bool))
    if found.frame is not None:
        return rows, _by_number(found, found.frame, rows)
    if found.start_s is None:
        if found.valid.any() and apart(len(found), frames):
            raise InputError(
                f"{len(found)} rows for {frames} frames, and row i is frame i only where there is one for each: add a "
                "column time_s with the seconds of each row, or frame with its number from 0, or check that annotation "
                "and video belong together and that the video is whole"
            )
        return to_frames(found, frame_time_s, width)
    order, time_s = _in_order(found.start_s), frame_time_s + TOLERANCE_S
    first, behind = (np.searchsorted(time_s, edge_s[order]) for edge_s in (found.start_s, found.end_s))
    row = np.full(frames, -1)
    for k, begin, end in zip(order, first, behind):
        row[begin:end] = k
    inside = row >= 0
    rows.values[inside], rows.valid[inside] = found.values[row[inside]], found.valid[row[inside]]
    rows.values[~rows.valid] = 0
    past = int((found.start_s[order] > rows.time_s[-1, 1]).sum()) if frames else len(order)
    return rows, _past(past, len(found))


def _by_number(found: TimedRows, frame: np.ndarray, rows: Rows) -> str | None:
    """Put the file's rows on the frames of their number; returns a note on those past the last, or a first of 1.

    Raises InputError where they run from 1 to the number of frames: counted from 0, that is none of them.
    """
    frames, placed = len(rows.valid), np.flatnonzero(~np.isnan(frame))
    number_of = frame[placed].clip(max=1 << 40).astype(int)
    first, last = (int(number_of.min()), int(number_of.max())) if len(placed) else (0, 0)
    if first == 1 and last >= frames and not apart(last, frames):
        raise InputError(f"frame runs from 1 to {last}, and the {frames} frames of the video from 0; count from 0")
    inside = number_of < frames
    rows.values[number_of[inside]] = found.values[placed[inside]]
    rows.valid[number_of[inside]] = found.valid[placed[inside]]
    notes = [_past(int((~inside).sum()), len(found))]
    if first == 1:
        notes.append(f"frame runs from 1 to {last} and counts from 0, so frame 0 has no label; if not, subtract 1")
    return "; ".join(filter(None, notes)) or None


def _past(count: int, rows: int) -> str | None:
    return f"{count} of {rows} rows lie past the last frame and were not used" if count else None


def _cells(text: str, wanted: Sequence[str] = ()) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, which may have the columns wanted, the rows, and the line on which each of them ends."""
    text, before = from_header(text.rstrip())
    if not text:
        raise InputError("the file is empty")
    separator, _ = sniff(text, {*KNOWN, *wanted})
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    try:
        records = [([cell.strip() for cell in record], before + reader.line_num) for record in reader]
    except csv.Error as error:
        raise InputError(
            f"line {before + reader.line_num}: {error}; close every double quote, and write one within a text twice"
        ) from None
    rows, line = zip(*records)
    return [name.lower() for name in rows[0]], list(rows[1:]), list(line[1:])


def _times(header: list[str], rows: list[list[str]]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Start and end of each row; NaN where a row has no time, None for both where the file has no times."""
    name = next((name for name in TIMES[:2] if name in header), None)
    if name is None:
        return None, None
    start_s = _column(rows, header.index(name))
    known = np.unique(start_s[~np.isnan(start_s)])
    following = np.append(known[1:], np.inf)
    index = np.searchsorted(known, start_s[~np.isnan(start_s)])
    end_s = np.full(len(start_s), np.nan)
    end_s[~np.isnan(start_s)] = following[index]
    if name == "time_s" and len(known) > 1:
        end_s = np.minimum(end_s, start_s + LONGEST_HOLD * np.median(np.diff(known)))
    if "end_s" in header:
        given = _column(rows, header.index("end_s"))
        end_s = np.where(np.isnan(given), end_s, given)
    return start_s, end_s


def _in_order(start_s: np.ndarray) -> np.ndarray:
    """Numbers of the rows that have a time, by that; those of one time stay in their order."""
    placed = np.flatnonzero(~np.isnan(start_s))
    return placed[np.argsort(start_s[placed], kind="stable")]


def _again(start_s: np.ndarray, labelled: np.ndarray) -> list[int]:
    """Rows that have the time of a later row and say something else; raises InputError for more than strays.

    ``labelled`` (N, 1 + D): whether a row has a label, and its values.
    """
    order = _in_order(start_s)
    differs = (np.diff(start_s[order]) == 0) & (np.diff(labelled[order], axis=0) != 0).any(axis=1)
    again = sorted(order[:-1][differs].tolist())
    if len(again) > STRAY * len(order):
        raise InputError(
            f"{len(again)} of {len(order)} rows have the time of another row and another label, the first at "
            f"{start_s[again[0]]:g} s; a file holds the labels of one person, one row for each time: take those of "
            "others out, or write the times with more decimals"
        )
    return again


def _frames(header: list[str], rows: list[list[str]]) -> np.ndarray | None:
    """Number of the frame of each row, NaN where it has none; None where the file has no such column."""
    if FRAME not in header:
        return None
    frame = _column(rows, header.index(FRAME))
    frame[(frame < 0) | (frame % 1 > 0)] = np.nan
    known, counts = np.unique(frame[~np.isnan(frame)], return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"{counts[counts > 1][0]} rows are of frame {known[counts > 1][0]:.0f}; a file holds the labels of one "
            "person, one row for each frame"
        )
    return frame


def _refuse_other_times(header: list[str], rows: list[list[str]], wanted: Sequence[str]) -> None:
    """Raise InputError where a column looks like times or numbers of frames under another name."""
    filled = sum(map(any, rows))
    for k, name in enumerate(header):
        if name not in {LABEL, *NUMBERS, *wanted} and _places_rows(name, _column(rows, k), filled):
            raise InputError(
                f"column {repr(name) if name else f'number {k + 1}'} looks like times or numbers of frames; call it "
                "time_s where it holds seconds from the first frame, frame where it numbers frames from 0, or take it "
                "out"
            )


def _places_rows(name: str, values: np.ndarray, rows: int) -> bool:
    """Whether a column grows from row to row (by its name or throughout) and does more than count them."""
    known = values[~np.isnan(values)]
    steps = np.diff(known)
    if not steps.any() or (known[0] in (0, 1) and (steps == 1).all() and not name.startswith("time")):
        return False
    if name.startswith(("time", FRAME)):
        return bool((steps >= 0).all())  # rounded times repeat, and so do frames that show several people
    return len(known) == rows and bool((steps > 0).all())


def _column(rows: list[list[str]], column: int) -> np.ndarray:
    """The numbers of a column, NaN where a row has none."""
    return np.array([_finite(cells[column]) if column < len(cells) else math.nan for cells in rows], np.float64)


def _finite(cell: str) -> float:
    try:
        found = number(cell or "nan")
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan
