"""From what a user names to recordings with segments: the tables that a reader would give, one recording at a time."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from models.apply.turns import WINDOW_S, Span, speech, windows
from pipeline.audio_file import EDGE_TOLERANCE_S
from pipeline.container import MediaError, audio_streams, open_media, video_streams, which
from pipeline.corpora.resolve import length_of
from pipeline.corpora.transcripts import COLUMNS, find_transcript, in_short, is_other_table, read_cues
from pipeline.files import is_litter
from pipeline.log import log
from pipeline.names import AUDIO_SUFFIXES, VIDEO_SUFFIXES, safe_id, unfinished
from pipeline.records import InputError, Segment, Side, Unit

PERSON = "person"  # who is not told from anybody else
FRAME_S = 0.04  # steps of a frame-wise answer where there is no picture
NO_WINDOWS = "--window: this model answers for each frame and has no windows; leave --window and --hop out"


@dataclass(frozen=True)
class Wish:
    """Of which stretches something is to be said, and of whom; where none are given, of all speech or of each frame."""

    people: Literal["one", "all"] = "one"  # one: the most prominent face
    side: Side = "whole"  # which of two people: the one further left or right
    spans: Sequence[Span] | None = None
    window_s: float | None = None
    hop_s: float | None = None
    times: Path | None = None  # the file that the spans are of, which is no transcript besides

    def __post_init__(self):
        """Raise InputError for wishes of which one would be forgotten."""
        everybody = "--people all"
        if self.people == "all" and self.side != "whole":
            raise InputError(f"{everybody} and --side: everybody, or the person on one side; give one of them")
        named = next((span.person or span.side for span in self.spans or () if span.person or span.side), None)
        if self.people == "all" and named:
            raise InputError(
                f"{everybody} and --segments that name somebody, such as {named}: leave {everybody} out to predict "
                "whom each stretch names; or name no person and no side to follow everybody in each"
            )
        if self.hop_s and not self.window_s:
            raise InputError("--hop: give --window, too")
        if self.window_s and self.spans is not None:
            raise InputError("--window and --segments both say which stretches to predict; give one of them")


@dataclass(frozen=True)
class Recording:
    """A recording as the stages know it; ``speaker`` of a segment is the person of an answer."""

    root: Path
    unit: Unit
    segments: tuple[Segment, ...]
    duration_s: float
    frame_time_s: np.ndarray | None = None  # (N,) start of each frame; None: there is no picture
    everybody: bool = False  # how many people there are, the faces tell
    notes: tuple[str, ...] = ()
    unused: str = ""  # why none of the transcripts that lie beside it is used
    truncated: str = ""  # what is missing of a file that breaks off, as its notes say


def find(given: Sequence[str]) -> list[Path]:
    """The recordings that paths, folders and patterns name, each once; raises InputError for one that names nothing."""
    found: list[Path] = []
    for text in given:
        path = Path(text)
        if path.is_dir():
            there, lacks = [*path.iterdir()], "this folder holds no recording"
        elif path.exists() or not glob.has_magic(text):
            found.append(path)
            continue
        else:
            there, lacks = [*map(Path, glob.glob(text, recursive=True))], "no recording matches this pattern"
        files = sorted(each for each in there if not each.is_dir())
        for left in (each for each in files if unfinished(each.name)):
            log.warning("%s: a download or copy that was not finished; left out", left)
        suffixes = VIDEO_SUFFIXES + AUDIO_SUFFIXES
        names = [each for each in files if each.suffix.lower() in suffixes and not is_litter(each.name)]
        if not names:
            raise InputError(f"{text}: {lacks} (such as {', '.join(VIDEO_SUFFIXES[:4])})")
        found += names
    once: dict[str, Path] = {}
    for path in found:
        once.setdefault(os.path.realpath(path), path)
    return list(once.values())


def open_recording(path: Path, frames: bool, wish: Wish) -> Recording:
    """Look at a recording and decide of which stretches something is said.

    Raises InputError where it has neither picture nor sound, is a single picture, or no wished stretch lies in it.
    """
    seen, (transcript, unused) = _look(path, frames), transcript_of(path, wish.times)
    unit, pictures = seen.unit, seen.frame_time_s is not None
    if transcript:
        unit = replace(unit, transcript=transcript.relative_to(seen.root).as_posix())
    spans, why = _spans(path, seen.duration_s, frames, wish)
    segments = tuple(_segments(unit, spans, wish.side if pictures else "whole"))  # voices are not told apart
    everybody = wish.people == "all" and pictures
    return replace(seen, unit=unit, segments=segments, everybody=everybody, notes=(*seen.notes, *why), unused=unused)


def _look(path: Path, frames: bool) -> Recording:
    """A recording without its segments: how long it is, the times of its frames, and what a user must know of it."""
    from pipeline.media import APART_S, Video, whole
    from pipeline.sound import read_audio

    root, name = path.absolute().parent, path.name
    unit = Unit(safe_id(path.stem), video=name)
    with open_media(path) as container:
        taken = which(video_streams(container), "pictures"), which(audio_streams(container), "sound")
    notes = [f"It has {each}." for each in taken if each]
    try:
        video = Video(path)
    except MediaError as error:
        unit = Unit(unit.unit_id, audio=name)
        end_s = length_of(root, unit).end_s
        if isinstance(end_s, InputError):  # neither picture nor sound
            raise error from None
        return Recording(root, unit, (), end_s, notes=(*notes, f"There is no picture: {error.reason}."))
    if len(video.time_s) == 1:
        try:
            next(iter(read_audio(path)), None)
        except MediaError:
            raise MediaError(path, "a picture, not a recording", "give a video or sound") from None
    end_s, unused = whole(video.end_s, video.sound_s, frames)
    notes += [f"{unused}."] if unused else []
    truncated = video.truncated
    if end_s > video.end_s + APART_S:
        notes.append(f"The picture ends at {video.end_s:.1f} s, the sound at {end_s:.1f} s.")
        truncated = ""
    notes += [f"The file is {truncated}."] if truncated else []
    return Recording(root, unit, (), end_s, video.time_s, notes=tuple(notes), truncated=truncated)


def transcript_of(path: Path, times: Path | None = None) -> tuple[Path | None, str]:
    """The transcript that lies beside a recording, if it can be used; and why none of those that lie there is.

    The file of ``times`` is none of them: what it says is said of its stretches.
    """
    root, given = path.absolute().parent, times and os.path.realpath(times)
    strange: list[str] = []

    def is_other(file: Path) -> bool:
        if os.path.realpath(file) == given:
            return True
        strange.extend([file.name] if (other := is_other_table(file, root)) else [])
        return other

    try:
        found = find_transcript(root, path.name, is_other=is_other)
        if found:
            read_cues(found)
    except InputError as error:
        return None, in_short(error, root)
    return found, "" if found or not strange else f"{strange[0]} has not the columns {', '.join(COLUMNS)}"


def _spans(path: Path, end_s: float, frames: bool, wish: Wish) -> tuple[list[Span], list[str]]:
    """Of which stretches something is said, and what a user must know about the choice."""
    if wish.spans is not None and not wish.spans:
        raise MediaError(path, "--segments gives no times for it", "leave it out or give some")
    if wish.spans is not None:
        inside = [replace(s, end_s=min(s.end_s, end_s)) for s in wish.spans if s.start_s < end_s]
        if not inside:
            raise MediaError(path, "none of the given times lies in it", f"it lasts {end_s:.2f} s")
        left = len(wish.spans) - len(inside)
        notes = [f"{left} of the given times lie after its end at {end_s:.2f} s."] if left else []
        if cut := sum(s.start_s < end_s < s.end_s - EDGE_TOLERANCE_S for s in wish.spans):
            end, are = ("ends", "is") if cut == 1 else ("end", "are")
            notes.append(f"{cut} of the given times {end} after its end at {end_s:.2f} s and {are} cut.")
        return inside, notes
    if frames and wish.window_s:
        raise InputError(NO_WINDOWS)
    if frames:
        return [Span(0.0, end_s)], []
    if wish.window_s:
        return windows(end_s, wish.window_s, wish.hop_s or wish.window_s), []
    try:
        found = speech(path, end_s)
    except MediaError as error:
        found, why = [], f"There is no sound in which to look for speech ({error.reason})"
    else:
        why = "No speech was found"
    if found:
        return found, []
    return windows(end_s, WINDOW_S, WINDOW_S), [f"{why}; predictions are for {WINDOW_S:g}-second windows."]


def _segments(unit: Unit, spans: Sequence[Span], side: Side) -> Iterator[Segment]:
    """A segment for each stretch, by start; a stretch that names a person or a side is of that one."""
    for number, span in enumerate(sorted(spans, key=lambda s: (s.start_s, s.end_s))):
        yield Segment(
            segment_id=f"{number:08d}",
            unit_id=unit.unit_id,
            speaker=span.person or span.side or (PERSON if side == "whole" else side),
            session=None,
            part=None,
            start_s=span.start_s,
            end_s=span.end_s,
            side=span.side or side,
            picture=span.picture or "whole",
            text=span.text,
        )
