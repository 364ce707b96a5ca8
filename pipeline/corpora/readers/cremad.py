"""CREMA-D: 91 actors say twelve sentences in six emotions; every clip is a unit and a segment.

A clip's name says it all: ``1001_DFA_ANG_XX`` is actor 1001, sentence DFA, anger, level unspecified. Labels are what
the actor was asked to show, not what raters saw.
"""

import re
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.tree import below, files, find_root
from pipeline.names import safe_id
from pipeline.records import InputError, Label, Segment, Unit
from pipeline.registry import options
from pipeline.stand_in import stand_in

VIDEO = "VideoFlash"
SOUND = {"wav": "AudioWAV", "mp3": "AudioMP3"}
LAYOUT = (f"{VIDEO}|{SOUND['wav']}|{SOUND['mp3']}",)
CLIPS = 7_442
SMALL_BYTES = 1024  # larger files are not looked into while they are listed
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
SENTENCES = {
    "IEO": "It's eleven o'clock.", "TIE": "That is exactly what happened.", "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.", "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.", "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.", "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.", "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}  # fmt: skip
_NAME = re.compile(rf"(\d{{4}})_({'|'.join(SENTENCES)})_({'|'.join(EMOTIONS)})_({'|'.join(LEVELS)})", re.ASCII)


@options
class CremaDOptions:
    """What can be said of CREMA-D."""

    sound: Literal["wav", "mp3", "video"] = Field(
        "wav", description="the files of AudioWAV or AudioMP3, or the sound of the clips in VideoFlash"
    )


class Clip(NamedTuple):
    """What a name says."""

    actor: str
    sentence: str
    emotion: str
    level: str


class Reader(Corpus):
    """CREMA-D: which emotion an actor shows in a sentence."""

    title = "CREMA-D"
    task = "classes/segment"
    protocols = ("speaker", "scenario", "utterance")
    unit_word, segment_word = "clip", "clip"
    official_labels = default_labels = EMOTIONS
    Config = CremaDOptions
    citation = """@article{cao2014crema,
  title = {{CREMA-D}: Crowd-sourced Emotional Multimodal Actors Dataset},
  author = {Cao, Houwei and Cooper, David G. and Keutmann, Michael K. and Gur, Ruben C. and Nenkova, Ani and
            Verma, Ragini},
  journal = {IEEE Transactions on Affective Computing},
  volume = {5},
  number = {4},
  pages = {377--390},
  year = {2014}
}"""

    def index(self) -> Index:
        """List the clips; raises InputError where there is none, or where none holds a clip."""
        root = find_root(self.root, self.key, LAYOUT)
        found = Index()
        folders = {"video": (VIDEO, ".flv")}
        if self.config.sound != "video":
            folders["audio"] = SOUND[self.config.sound], f".{self.config.sound}"
        media = {what: _media(root, *folder, what, found) for what, folder in folders.items()}
        names = sorted(set().union(*media.values()))
        if not any(path for own in media.values() for path in own.values()):
            instead = f"; {found.findings[0].reason}" if names else ""
            raise InputError(f"{self.key}: no clip in {root}, in {VIDEO}, {' or '.join(SOUND.values())}{instead}")
        for name in names:
            paths = {what: own.get(name) for what, own in media.items()}
            for what, (folder, suffix) in folders.items():
                if any(media[what].values()) and name not in media[what]:  # a folder that lacks all has one finding
                    instead = "; the sound of the video is used" if what == "audio" and paths["video"] else ""
                    reason = f"there is no {folder}/{name}{suffix}{instead}"
                    found.say(what, "partial" if instead else "absent", reason, name, name)
            if any(paths.values()):
                _add_clip(root, name, paths["video"], paths.get("audio"), found)
        if len(names) != CLIPS:
            found.say("corpus", "partial", f"{len(names):,} clips, where the published corpus has {CLIPS:,}")
        return found


def _add_clip(root: Path, name: str, video: Path | None, sound: Path | None, found: Index) -> None:
    clip = parse_name(name)
    found.units.append(Unit(name, *(below(root, path) if path else None for path in (video, sound))))
    found.segments.append(
        Segment(name, name, clip.actor, scenario=clip.sentence, style=LEVELS[clip.level], text=SENTENCES[clip.sentence])
    )
    found.labels.append(Label(name, clip.emotion))


def parse_name(name: str) -> Clip:
    """Actor, sentence, emotion and level of ``1001_DFA_ANG_XX``; raises InputError for any other name."""
    match = _NAME.fullmatch(name)
    if not match:
        raise InputError(f"{name!r} is not <actor>_<sentence>_<emotion>_<level>, such as 1001_DFA_ANG_XX")
    return Clip(*match.groups())


def _media(root: Path, folder: str, suffix: str, what: str, index: Index) -> dict[str, Path | None]:
    """Files of a folder by clip, None where a pointer or page is there instead; what is amiss is a finding."""
    found: dict[str, Path | None] = {}
    absent = {}
    for path in files(root / folder, suffix):
        name = re.sub("_X$", "_XX", path.stem)  # one sound of the release ends so, its clip in _XX
        try:
            parse_name(name)
        except InputError as error:
            index.say("corpus", "absent", f"{folder}/{path.name}: {error}; not used", safe_id(path.stem))
            continue
        if name in found:
            reason = f"{folder}/{path.name}: another file there is of the clip {name}, too; not used"
            index.say(what, "partial", reason, name, name)
            continue
        instead = stand_in(path) if path.is_file() and path.stat().st_size < SMALL_BYTES else None
        found[name] = None if instead else path
        if instead:
            absent[name] = f"{folder}/{path.name} is {instead[0]}; {instead[1]}"
    if not found:
        index.say(what, "absent", f"there is no clip in {folder}")
    elif len(absent) == len(found):
        reason = f"none of the {len(found):,} files of {folder} can be used, such as {min(absent.values())}"
        index.say(what, "absent", reason)
    else:
        for name, reason in absent.items():
            index.say(what, "absent", reason, name, name)
    return found
