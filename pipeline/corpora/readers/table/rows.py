"""From the rows of a table to recordings, segments and labels: rows of one file are one recording."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import cast

from pipeline.corpora.base import Index
from pipeline.corpora.readers.table.file import PARTS, Row, TableFile, is_label, number
from pipeline.corpora.readers.table.places import Places
from pipeline.corpora.transcripts import READERS, is_transcript
from pipeline.names import safe_id, safe_ids
from pipeline.records import InputError, Label, Picture, Segment, Side, Unit

WORD_S = 0.4  # how long a word takes to say where a text is all there is: about 150 words a minute
SOURCES = ("video", "audio")
Pair = tuple[str | None, str | None]  # of these
MODALITY = {"transcript": "text", "alignment": "text", "annotation": "label", "crops": "video"}


@dataclass(slots=True)
class Entry:
    """What a row says of one file."""

    row: Row
    video: str | None
    audio: str | None
    name: str = ""  # name of the segment

    @property
    def key(self) -> str:
        """The same for rows of one recording."""
        return self.video or self.audio or f"line {self.row.line}"


def read_rows(table: TableFile, places: Places, key: str, task: str) -> Index:
    """Units, segments and labels of a table; raises InputError where no row can be used or two have one id.

    ``key`` is where the root stands in the configuration, ``task`` what is predicted: a segment without what it
    takes is a finding, and is predicted and not scored.
    """
    found, counted = Index(), f"Paths count from {key}, which is {places.root}"
    recordings: dict[str, list[Entry]] = defaultdict(list)
    for row in table.rows:
        if isinstance(row, InputError):
            found.say("corpus", "absent", str(row))
            continue
        for entry in _entries(table, row, places, found):
            recordings[entry.key].append(entry)
    first = f"; the first: {found.findings[0].reason}" if found.findings else ""
    if not recordings:
        raise InputError(f"{table.name}: no row can be used{first}. {counted}")
    lacking = [finding for finding in found.findings if finding.modality in SOURCES]
    if lacking and not any(entries[0].video or entries[0].audio for entries in recordings.values()):
        raise InputError(f"{lacking[0].reason}, nor any other that it names. {counted}")
    unit_ids = _name(table, recordings)
    for of_recording, entries in recordings.items():
        _read_recording(table, places, unit_ids[of_recording], entries, task, found)
    if not found.segments:
        raise InputError(f"{table.name}: no row can be used; the first: {found.findings[0].reason}")
    return found


def _entries(table: TableFile, row: Row, places: Places, found: Index) -> Iterator[Entry]:
    """One entry for each file that a row stands for; files that are not there are findings."""
    named = {kind: row.cells[kind] for kind in SOURCES if kind in row.cells}
    paths = {kind: places.media(cell, kind) for kind, cell in named.items()}
    name = row.cells.get("segment_id")
    if not named and "text" not in row.cells:
        reason = f"{table.name}, line {row.line}: names neither video, sound nor text; the row was not used"
        found.say("corpus", "absent", reason, segment=safe_id(name) if name else None)
        return
    usable = any(paths.values()) or "text" in row.cells
    for kind in (kind for kind in named if not paths[kind]):
        status, then = ("partial", "the rest of the row was") if usable else ("absent", "the row was not")
        reason = f"{table.name}, line {row.line}: there is no file {named[kind]}; {then} used"
        unit = safe_id(name or os.path.splitext(os.path.basename(named[kind]))[0])
        found.say(kind, status, reason, unit, safe_id(name) if name else None)
    if not usable:
        return
    videos, sounds = (paths.get(kind, []) for kind in SOURCES)
    plain = len(videos) == len(sounds) == 1 and any(map(places.file, named.values()))  # not both by patterns
    pairs, unclear = _pairs(videos, sounds, plain)
    for files in unclear:
        _say_unclear(table, row, files, found)
    if name and len(pairs) > 1:
        reason = f"{table.name}, line {row.line}: {len(pairs)} files match, one segment_id cannot name them all"
        found.say("corpus", "absent", f"{reason}; leave it empty", segment=safe_id(name))
        return
    for video, audio in pairs:
        yield Entry(row, video, audio)


def _pairs(videos: list[str], sounds: list[str], plain: bool) -> tuple[list[Pair], list[list[str]]]:
    """Videos with their sound, and the files of one name that nobody can pair; ``plain``: one is named with the other.

    Of patterns two belong together that alone have an end of the path, suffix left out: all of it, or down to the name.
    One without the other stands alone; of files that nobody can pair only the videos do.
    """
    if plain or len(videos) + len(sounds) <= 1:
        return [(next(iter(videos), None), next(iter(sounds), None))], []
    own = set(videos) & set(sounds)  # a pattern of sounds may match videos, too
    apart = [path for path in sounds if path not in own]
    sound_of: dict[str, str] = {}
    for length in range(1, 1 + max(path.count("/") + 1 for path in (*videos, *sounds))):
        here, there = _by_end(videos, length), _by_end(apart, length)
        sound_of |= {here[end][0]: there[end][0] for end in here if len(here[end]) == len(there.get(end, ())) == 1}
    paired = set(sound_of.values())
    videos_left = _by_end([path for path in videos if path not in sound_of], 1)
    sounds_left = _by_end([path for path in apart if path not in paired], 1)
    pairs: list[Pair] = [(v, sound_of.get(v, v if v in own else None)) for v in videos]
    pairs += [(None, path) for end, paths in sounds_left.items() if end not in videos_left for path in paths]
    return pairs, [paths + sounds_left[end] for end, paths in videos_left.items() if end in sounds_left]


def _by_end(paths: Iterable[str], length: int) -> dict[tuple[str, ...], list[str]]:
    """Paths by their last ``length`` names, without the suffix."""
    found = defaultdict(list)
    for path in paths:
        found[tuple(os.path.splitext(path)[0].split("/")[-length:])].append(path)
    return dict(found)


def _say_unclear(table: TableFile, row: Row, files: list[str], found: Index) -> None:
    """Say that videos and sounds of one name cannot be paired."""
    listed = ", ".join(files[:4]) + (" and others" if len(files) > 4 else "")
    reason = f"{table.name}, line {row.line}: which belong together of {listed} is not clear, and these sounds were "
    reason += "not used; give each video a row with its sound"
    found.say("audio", "partial", reason, safe_id(os.path.splitext(os.path.basename(files[0]))[0]))


def _name(table: TableFile, recordings: dict[str, list[Entry]]) -> dict[str, str]:
    """Give every segment its name and every recording its id, by key; raises InputError for two segments with one."""
    ids = safe_ids(key for key, entries in recordings.items() if entries[0].video or entries[0].audio)
    taken = set(ids.values())
    for key, entries in recordings.items():
        if key not in ids:
            own = safe_id(entries[0].row.cells.get("segment_id", f"line_{entries[0].row.line}"))
            ids[key] = own if own not in taken else safe_id(f"{own} {key}")
    lines, without = defaultdict(list), {}
    for key, entries in recordings.items():
        for entry in entries:
            given = entry.row.cells.get("segment_id")
            entry.name = safe_id(given) if given else ids[key] if len(entries) == 1 else ""
        without[key] = [n for n, entry in enumerate(entries, start=1) if not entry.name]
    names = {entry.name for entries in recordings.values() for entry in entries}
    for key, entries in recordings.items():
        for n, name in _running(ids[key], without[key], names).items():
            entries[n - 1].name = name
            names.add(name)
        for entry in entries:
            lines[entry.name].append(entry.row.line)
    twice = {name: own for name, own in lines.items() if len(own) > 1}
    if twice:
        examples = "; ".join(
            f"{name!r} in the lines {', '.join(map(str, own[:5]))}" for name, own in [*twice.items()][:5]
        )
        raise InputError(
            f"{table.name}: a segment_id may be there once, and {len(twice)} are there more often: {examples}. "
            "Correct it, or take the column away: segments are then named after their files"
        )
    return ids


def _running(name: str, numbers: Sequence[int], taken: Set[str]) -> dict[int, str]:
    """The name with each number, in as many digits as it takes that none is taken."""
    digits = 3
    while not taken.isdisjoint(names := [f"{name}_{n:0{digits}d}" for n in numbers]):
        digits += 1
    return dict(zip(numbers, names))


def _read_recording(
    table: TableFile, places: Places, unit_id: str, entries: list[Entry], task: str, found: Index
) -> None:
    """Add one recording with its segments and labels."""
    video = next((entry.video for entry in entries if entry.video), None)
    sounds = {entry.audio for entry in entries}
    shared = sounds.pop() if len(sounds) == 1 else None  # several: each segment has its own, or that of the video
    transcripts = []
    parts = []
    for entry in entries:
        where = f"{table.name}, line {entry.row.line}"

        def say(modality: str, status: str, reason: str, name=entry.name, where=where) -> None:
            found.say(modality, status, f"{where}: {reason}", unit_id, name)

        supplied = {}
        for kind in MODALITY:
            if cell := entry.row.cells.get(kind):
                what, find = ("folder", places.folder) if kind == "crops" else ("file", places.file)
                supplied[kind] = find(cell)
                if supplied[kind] is None:
                    say(MODALITY[kind], "partial", f"there is no {what} {cell}, so no {kind}")
                elif kind == "transcript" and not is_transcript(cell):
                    say("text", "partial", f"{cell} is none of {', '.join(READERS)}, so no transcript")
                    supplied[kind] = None
        try:
            own = None if shared or entry.audio == video else entry.audio
            segment = _segment(unit_id, entry, own, supplied, say)
        except InputError as error:
            say("corpus", "absent", f"{error}; the row was not used")
            continue
        found.segments.append(segment)
        parts.append(segment.part)
        transcripts.append(supplied.get("transcript"))
        found.labels.append(_label(table, entry, task, say))
    if not parts:
        return
    several = list(dict.fromkeys(path for path in transcripts if path))
    if len(several) > 1:
        reason = f"{table.name} names several transcripts of one recording: {', '.join(several)}; the first is used"
        found.say("text", "partial", reason, unit_id)
    part = parts[0] if len(set(parts)) == 1 else None
    transcript = next(iter(several), None)
    found.units.append(Unit(unit_id, video, shared, transcript, part))


def _segment(unit_id: str, entry: Entry, own_audio: str | None, supplied: dict[str, str | None], say) -> Segment:
    """The segment of a row; raises InputError where its times, part, side or picture cannot be."""
    cells = entry.row.cells
    start_s = _seconds(cells, "start_s", 0.0)
    end_s = _seconds(cells, "end_s", inf)
    text = cells.get("text")
    part = cells.get("part", "").lower() or None
    if part and part not in PARTS:
        raise InputError(f"part {cells['part']!r} is none of {', '.join(PARTS)}")
    if end_s == inf and not (entry.video or entry.audio):
        end_s = start_s + WORD_S * max(1, len(text.split()))
    return Segment(
        segment_id=entry.name,
        unit_id=unit_id,
        speaker=cells.get("speaker", unit_id),
        session=cells.get("session"),
        part=part and PARTS[part],
        start_s=start_s,
        end_s=end_s,
        side=cast(Side, cells.get("side", "whole").lower()),  # Segment refuses any other
        picture=cast(Picture, cells.get("picture", "whole").lower()),
        dialog=cells.get("dialog"),
        scenario=cells.get("scenario"),
        style=cells.get("style"),
        text=text,
        audio=own_audio,
        alignment=supplied.get("alignment"),
        crops=supplied.get("crops"),
        annotation=supplied.get("annotation"),
        group=cells.get("group"),
        turn=_turn(cells, say),
    )


def _turn(cells, say) -> int | None:
    """The number of a turn, which pandas writes as 1.0 where others are empty; what is no whole number is reported."""
    try:
        found = number(cells.get("turn", "nan"))
    except ValueError:
        found = inf
    if found % 1 == 0:
        return int(found)
    if not isnan(found):
        say("corpus", "partial", f"turn {cells['turn']!r} is not a whole number and was not used")
    return None


def _seconds(cells, name: str, otherwise: float) -> float:
    if name not in cells:
        return otherwise
    try:
        seconds = number(cells[name])
    except ValueError:
        seconds = -1.0
    if isnan(seconds):
        return otherwise
    if not 0 <= seconds < inf:
        raise InputError(f"{name} {cells[name]!r} is not a number of seconds from 0 on")
    return seconds


def _label(table: TableFile, entry: Entry, task: str, say) -> Label:
    """What a segment is labelled with; what is not a number, and a label that the task needs and lacks, is reported."""
    cells, numbers = entry.row.cells, {}
    for name in (name for name in table.numbers if name in cells):
        try:
            value = number(cells[name])
        except ValueError:
            value = inf
        if isfinite(value):
            numbers[name] = value
        elif not isnan(value):
            say("label", "partial", f"{name} {cells[name]!r} is not a number and was not used")
    label = cells["label"] if is_label(cells.get("label", "")) else None
    kind, _, names = task.partition(":")
    needed = {"classes/segment": ["label"], "numbers/segment": names.split(",")}.get(kind, [])
    known = {"label", *numbers} if label else set(numbers)
    lacking = [name for name in needed if name not in known]
    if lacking:
        say("label", "absent", f"no {' and no '.join(lacking)}: predicted, not scored")
    return Label(entry.name, label, numbers)
