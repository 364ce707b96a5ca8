"""Aff-Wild2, valence-arousal track: videos are units, annotated people ("subjects") are segments.

Every video is a unit. Its subjects are the annotation files named after it and, where the organisers' crops lie beside
the videos, the crop folders named after it; a video with neither is one subject. A subject without annotation belongs
to the part ``test``: it is predicted and not scored.
"""

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.corpora.tree import WHOLE_CORPUS, Index, files, find_root, is_litter, read_text
from pipeline.records import Finding, InputError, Segment, Side, Unit

if TYPE_CHECKING:
    import numpy as np

LAYOUT = ("videos", "annotations")
SUFFIXES = (".mp4", ".avi")
CHALLENGE = "annotations/VA_Estimation_Challenge"
PARTS = {"Train_Set": "train", "Validation_Set": "validation"}
CROPS = "cropped_aligned"


def list_units(root: str | Path) -> list[str]:
    """Names of all videos, from folder listings alone; the same ids as :func:`index` finds. Raises InputError."""
    return list(_videos(find_root(root, "affwild2", LAYOUT)))


def side_of(subject: str, video: str, siblings: set[str]) -> Side:
    """Which person of a video a subject is: ``_left`` and ``_right`` name the side, a plain name the whole picture.

    Some videos have a plain name and one with a suffix, such as ``video2`` and ``video2_left``: the plain name is then
    the other person.
    """
    if subject != video:
        return "left" if subject == f"{video}_left" else "right"
    if f"{video}_right" in siblings and f"{video}_left" not in siblings:
        return "left"
    if f"{video}_left" in siblings and f"{video}_right" not in siblings:
        return "right"
    return "whole"


def index(root: str | Path) -> Index:
    """Read the whole tree, including the time stamps of every video's frames; raises InputError for a wrong root."""
    from concurrent.futures import ThreadPoolExecutor

    from pipeline.log import progress

    root = find_root(root, "affwild2", LAYOUT)
    videos = _videos(root)
    annotations = _annotations(root)
    subjects, findings = _subjects(videos, annotations, _crop_folders(root))
    found = Index(findings=findings)
    with ThreadPoolExecutor(4) as pool:  # reading the time stamps waits for the disk
        stamps = pool.map(_frame_times_s, videos.values())
        for frame_time_s, (unit_id, video) in zip(progress(stamps, "videos", len(videos)), videos.items()):
            parts = {annotations[s][0] if s in annotations else "test" for s in subjects[unit_id]}
            part = parts.pop() if len(parts) == 1 else None
            found.units.append(Unit(unit_id, video.relative_to(root).as_posix(), part=part))
            if part is None:
                reason = "people of this video are in different parts; they share picture and sound"
                found.findings.append(Finding(unit_id, None, "corpus", "partial", reason))
            for subject in sorted(subjects[unit_id]):
                if isinstance(frame_time_s, InputError):
                    found.findings.append(Finding(unit_id, subject, "video", "absent", str(frame_time_s)))
                    continue
                side = side_of(subject, unit_id, subjects[unit_id])
                _read_subject(unit_id, subject, side, annotations.get(subject), frame_time_s, found)
    return found


def _read_subject(
    unit_id: str,
    subject: str,
    side: Side,
    annotated: tuple[str, Path] | None,
    frame_time_s: "np.ndarray",
    found: Index,
) -> None:
    """Add the segment, the labels and the findings of one subject."""
    from pipeline.corpora.annotation import parse_annotation, to_frames

    annotation, absent, notes = None, "no annotation: predicted, not scored", []
    if annotated:
        path = annotated[1]
        try:
            text, note = read_text(path)
            annotation = parse_annotation(text)
            notes = [note, *annotation.notes]
            absent = None if annotation.valid.any() else f"none of the {len(annotation)} rows is valid"
        except InputError as error:
            absent = str(error)
    rows, note = to_frames(annotation, frame_time_s)
    fraction = round(float(rows.valid.mean()), 4)
    if absent:
        found.findings.append(Finding(unit_id, subject, "label", "absent", absent, fraction))
    for text in filter(None, [*notes, note]):
        found.findings.append(Finding(unit_id, subject, "label", "partial", text, fraction))
    found.labels[subject] = rows
    found.segments.append(
        Segment(
            segment_id=subject,
            unit_id=unit_id,
            speaker=subject,
            session=None,
            part=annotated[0] if annotated else "test",
            start_s=float(rows.time_s[0, 0]),
            end_s=float(rows.time_s[-1, 1]),
            side=side,
        )
    )


def _frame_times_s(video: Path) -> "np.ndarray | InputError":
    """Presentation times of all frames, or why there are none."""
    from pipeline.media import frame_times_s

    try:
        time_s = frame_times_s(video)
    except InputError as error:
        return InputError(str(error).replace(str(video), video.name))  # coverage names no folder of this machine
    return time_s if len(time_s) else InputError(f"{video.name}: the video has no frame; replace it by the original")


def _videos(root: Path) -> dict[str, Path]:
    """Path of each video by its stem; raises InputError for two with one stem and for none."""
    videos: dict[str, Path] = {}
    seen = set()
    for folder, folders, names in os.walk(root / LAYOUT[0], followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not is_litter(f))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix.lower() not in SUFFIXES or is_litter(name):
                continue
            if path.stem in videos:
                raise InputError(
                    f"corpora.affwild2.root: two videos are named {path.stem}: {videos[path.stem]} and {path}; "
                    "annotations could belong to either, so remove one or rename it"
                )
            videos[path.stem] = path
    if not videos:
        raise InputError(
            f"corpora.affwild2.root: no {' or '.join(SUFFIXES)} file under {root / LAYOUT[0]}; "
            "unpack the organisers' batches there"
        )
    return dict(sorted(videos.items()))


def _annotations(root: Path) -> dict[str, tuple[str, Path]]:
    """Part and path of each annotation file by its stem; raises InputError for one name in both parts."""
    annotations: dict[str, tuple[str, Path]] = {}
    for folder, part in PARTS.items():
        for path in files(root / CHALLENGE / folder, ".txt"):
            if path.stem in annotations:
                raise InputError(
                    f"{path}: {annotations[path.stem][1]} annotates the same person; "
                    "somebody is in one part only, so remove one"
                )
            annotations[path.stem] = part, path
    return annotations


def _crop_folders(root: Path) -> set[str]:
    folder = root / CROPS
    return {p.name for p in folder.iterdir() if p.is_dir() and not is_litter(p.name)} if folder.is_dir() else set()


def _video_of(subject: str, videos: dict[str, Path]) -> str | None:
    """The video a subject is in; a video that is itself called ``x_left`` comes before the left person of ``x``."""
    if subject in videos:
        return subject
    stem, _, side = subject.rpartition("_")
    return stem if side in ("left", "right") and stem in videos else None


def _subjects(
    videos: dict[str, Path], annotations: dict[str, tuple[str, Path]], crops: set[str]
) -> tuple[dict[str, set[str]], list[Finding]]:
    """The subjects of each video, and a finding for each annotation that has no video."""
    subjects: dict[str, set[str]] = defaultdict(set)
    findings = []
    if not annotations:
        reason = f"no annotation in {CHALLENGE}/{{{','.join(PARTS)}}}: every video is predicted, none is scored"
        findings.append(Finding(WHOLE_CORPUS, None, "label", "absent", reason))
    for subject in sorted(annotations):
        video = _video_of(subject, videos)
        if video:
            subjects[video].add(subject)
        else:
            path = annotations[subject][1]
            reason = f"{path.parent.name}/{path.name} has no video: no {subject}{'|'.join(SUFFIXES)} under videos"
            findings.append(Finding(subject, subject, "video", "absent", reason))
    for subject in sorted(crops):
        video = _video_of(subject, videos)
        if video:
            subjects[video].add(subject)
    for video in videos:
        subjects[video] = subjects[video] or {video}
    return subjects, findings
