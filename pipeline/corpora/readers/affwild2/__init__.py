"""Aff-Wild2, valence-arousal track: videos are units, annotated people ("subjects") are segments.

Every video is a unit. Its subjects are whom annotation files, the organisers' lists of test people and, where their
crops lie beside the videos, crop folders name after it; a video with none of these is one subject. A subject without
annotation belongs to the part ``test``: it is predicted and not scored.
"""

import glob
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.corpora.base import Annotation, Corpus, Index
from pipeline.corpora.readers.affwild2 import figures
from pipeline.corpora.tree import below, files, find_root, lines, read_text
from pipeline.files import is_litter
from pipeline.names import VIDEO_SUFFIXES, safe_id
from pipeline.records import InputError, Segment, Side, Unit
from pipeline.registry import options

if TYPE_CHECKING:
    import numpy as np

LAYOUT = ("videos", "annotations")
CHALLENGE = "annotations/VA_Estimation_Challenge"
PARTS = {"Train_Set": "train", "Validation_Set": "validation"}
CROPS = "cropped_aligned"
LISTS = tuple(f"{LAYOUT[1]}/{folders}*test_set_release*.txt" for folders in ("", "*/", "*/*/"))
OF_OTHERS = re.compile(r"expr|action_unit|(?:^|/)au_|multi_task|mtl", re.IGNORECASE)  # challenges on the same videos


@options
class AffWild2Options:
    """What can be said of Aff-Wild2."""

    crops: Literal["own", "organisers"] = Field(
        "own", description="faces tracked and aligned here, or the organisers' cropped_aligned folder"
    )


class Reader(Corpus):
    """Aff-Wild2, valence-arousal track: what each person annotated in a video shows in each frame."""

    title = "Aff-Wild2"
    task = "numbers/frame:valence,arousal"
    protocols = ("official", "official_paper", "sixfold", "sixfold_paper")
    unit_word, segment_word, annotations = "video", "person", True
    published, departures = figures.PUBLISHED, figures.DEPARTURES
    Config = AffWild2Options
    citation = """@inproceedings{kollias2019expression,
  title = {Expression, Affect, Action Unit Recognition: {Aff-Wild2}, Multi-Task Learning and {ArcFace}},
  author = {Kollias, Dimitrios and Zafeiriou, Stefanos},
  booktitle = {Proceedings of the British Machine Vision Conference},
  year = {2019}
}"""

    @property
    def text_files(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]
        """The organisers' lists of test people."""
        return {"lists of test people": tuple(glob.escape(path) for path in _lists(self.root))}

    def index(self) -> Index:
        """Read the whole tree; raises InputError for a wrong root."""
        root = find_root(self.root, self.key, LAYOUT)
        found = Index()
        videos, annotations, crops = _videos(root, self.key, found), _annotations(root), _crop_folders(root)
        subjects = _subjects(videos, annotations, crops, _listed(root, found), found)
        for video, path in videos.items():
            parts = {annotations[s][0] if s in annotations else "test" for s in subjects[video]}
            part = parts.pop() if len(parts) == 1 else None
            unit_id = safe_id(video)
            found.units.append(Unit(unit_id, path.relative_to(root).as_posix(), part=part))
            if part is None:
                reason = "people of this video are in different parts; they share picture and sound"
                found.say("corpus", "partial", reason, unit_id)
            for subject in sorted(subjects[video]):
                annotated = annotations.get(subject)
                found.segments.append(
                    Segment(
                        segment_id=safe_id(subject),
                        unit_id=unit_id,
                        speaker=safe_id(subject),
                        part=annotated[0] if annotated else "test",
                        side=side_of(subject, video, subjects[video]),
                        crops=f"{CROPS}/{subject}" if self.config.crops == "organisers" else None,
                        annotation=annotated[1].relative_to(root).as_posix() if annotated else None,
                    )
                )
        return found

    def annotate(self, segment: Segment, frame_time_s: "np.ndarray") -> Annotation:
        """Valence and arousal of each frame of a person's video."""
        from pipeline.corpora.frame_rows import annotated, to_frames
        from pipeline.corpora.readers.affwild2.annotation import parse_annotation

        return annotated(self.root, segment.annotation, frame_time_s, parse_annotation, to_frames)


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


def _videos(root: Path, key: str, found: Index) -> dict[str, Path]:
    """Path of each video by its stem, a stem of several being a finding; raises InputError where there is none."""
    videos: dict[str, list[Path]] = defaultdict(list)
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
            if path.suffix.lower() in VIDEO_SUFFIXES and not is_litter(name):
                videos[path.stem].append(path)
    if not videos:
        raise InputError(f"{key}: no video under {root / LAYOUT[0]}; unpack the organisers' batches there")
    for stem, paths in sorted(videos.items()):
        if len(paths) > 1:
            named = ", ".join(below(root, path) for path in paths)
            reason = f"{len(paths)} videos are named {stem}: {named}; annotations could belong to either, so none was "
            reason += "used: remove all but one, or rename them"
            found.say("video", "absent", reason, safe_id(stem))
    if len(found.findings) == len(videos):
        raise InputError(f"{key}: {found.findings[0].reason}")
    return {stem: paths[0] for stem, paths in sorted(videos.items()) if len(paths) == 1}


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


def _lists(root: Path) -> list[str]:
    """Paths of the organisers' lists of the test people of this challenge, from the root."""
    found = {path for pattern in LISTS for path in glob.glob(pattern, root_dir=root)}
    return sorted(p for p in found if not is_litter(os.path.basename(p)) and not OF_OTHERS.search(p.partition("/")[2]))


def _listed(root: Path, found: Index) -> set[str]:
    """The people whom the lists name, one a line; what of a list is odd is a finding."""
    people = set[str]()
    for path in _lists(root):
        try:
            text, note = read_text(root / path)
        except InputError as error:
            text, note = "", f"{error}; whom it lists is not known"
        people |= {line.strip() for line in lines(text)} - {""}
        if note:
            found.say("corpus", "partial", note)
    return people


def _video_of(subject: str, videos: dict[str, Path]) -> str | None:
    """The video a subject is in; a video that is itself called ``x_left`` comes before the left person of ``x``."""
    if subject in videos:
        return subject
    stem, _, side = subject.rpartition("_")
    return stem if side in ("left", "right") and stem in videos else None


def _subjects(
    videos: dict[str, Path], annotations: dict[str, tuple[str, Path]], crops: Set[str], listed: Set[str], found: Index
) -> dict[str, set[str]]:
    """The subjects of each video; annotations that have no video, and people listed who have none, are findings."""
    subjects: dict[str, set[str]] = defaultdict(set)
    if not annotations:
        reason = f"no annotation in {CHALLENGE}/{{{','.join(PARTS)}}}: every video is predicted, none is scored"
        found.say("label", "absent", reason)
    for subject in sorted({*annotations, *crops, *listed}):
        if video := _video_of(subject, videos):
            subjects[video].add(subject)
        elif subject in annotations:
            path = annotations[subject][1]
            reason = f"{path.parent.name}/{path.name} has no video: none under {LAYOUT[0]} is called {subject}"
            found.say("video", "absent", reason, safe_id(subject), safe_id(subject))
    lacking = sorted(subject for subject in listed - annotations.keys() if not _video_of(subject, videos))
    if lacking:
        reason = f"{len(lacking)} of {len(listed)} people of the test part have no video under {LAYOUT[0]}, such as "
        found.say("video", "absent", reason + lacking[0])
    for video in videos:
        subjects[video] = subjects[video] or {video}
    return subjects
