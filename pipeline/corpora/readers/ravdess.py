"""RAVDESS: 24 actors speak and sing two statements; every performance is a unit and a segment.

A file's name is seven numbers: modality, vocal channel, emotion, intensity, statement, repetition, actor. One
performance is there in three modalities, with picture and sound, without sound and without picture. It is one segment,
named after the other six numbers.
"""

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.tree import find_root
from pipeline.files import is_litter
from pipeline.names import safe_id
from pipeline.records import InputError, Label, Segment, Unit
from pipeline.registry import options

LAYOUT = ("Actor_[0-9][0-9]",)
FULL, VIDEO_ONLY, AUDIO_ONLY = "01", "02", "03"
CHANNELS = {"01": "speech", "02": "song"}
EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful", "07": "disgust",
    "08": "surprised",
}  # fmt: skip
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
SPOKEN = 24 * 2 * 2 * (2 * 7 + 1)  # performances of speech; there is no strong neutral
_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])", re.ASCII)


@options
class RavdessOptions:
    """What can be said of RAVDESS."""

    channel: Literal["speech", "song", "both"] = Field("speech", description="what is spoken, what is sung, or both")


class Performance(NamedTuple):
    """What a name says, but for the modality, in its words."""

    channel: str
    emotion: str
    intensity: str
    statement: str
    repetition: str
    actor: str


class Reader(Corpus):
    """RAVDESS: which emotion an actor shows in a statement."""

    title = "RAVDESS"
    task = "classes/segment"
    protocols = ("speaker", "scenario", "utterance")
    unit_word, segment_word = "performance", "performance"
    official_labels = default_labels = tuple(EMOTIONS.values())
    Config = RavdessOptions
    citation = """@article{livingstone2018ravdess,
  title = {The {R}yerson Audio-Visual Database of Emotional Speech and Song ({RAVDESS}): A dynamic, multimodal set of
           facial and vocal expressions in {N}orth {A}merican {E}nglish},
  author = {Livingstone, Steven R. and Russo, Frank A.},
  journal = {PLoS ONE},
  volume = {13},
  number = {5},
  pages = {e0196391},
  year = {2018}
}"""

    def index(self) -> Index:
        """List the performances; raises InputError where there is none."""
        root = find_root(self.root, self.key, LAYOUT)
        found = Index()
        channels = Counter()
        for name, paths in sorted(_performances(root, found).items()):
            performance = parse_name(f"{FULL}-{name}")[1]
            channels[performance.channel] += 1
            if self.config.channel not in (performance.channel, "both"):
                continue
            video, sound = paths.get(FULL, paths.get(VIDEO_ONLY)), None
            if FULL not in paths:
                sound = paths.get(AUDIO_ONLY)
                there = " and ".join(path for path in (video, sound) if path)
                modality = "video" if not video else "audio"
                reason = f"there is no {FULL}-{name}.mp4 with picture and sound; used is {there}"
                status = "partial" if video and sound else "absent"
                found.say(modality, status, reason, name, name)
            found.units.append(Unit(name, video, sound))
            found.segments.append(
                Segment(
                    name, name, performance.actor, scenario=performance.statement,
                    style=performance.intensity, text=STATEMENTS[performance.statement],
                )
            )  # fmt: skip
            found.labels.append(Label(name, performance.emotion))
        if not found.segments:
            there = ", ".join(f"{count} of {name}" for name, count in channels.items()) or "none"
            raise InputError(
                f"{self.key}: no performance of {self.config.channel} in {root}; there are {there}. See the option "
                "channel, and unpack the actors' archives into one folder"
            )
        if self.config.channel != "song" and channels["speech"] != SPOKEN:
            reason = f"{channels['speech']:,} performances of speech, where the published corpus has {SPOKEN:,}"
            found.say("corpus", "partial", reason)
        return found


def parse_name(name: str) -> tuple[str, Performance]:
    """Modality and performance of ``01-01-05-01-02-01-12``; raises InputError for any other name."""
    match = _NAME.fullmatch(name)
    if not match:
        raise InputError(f"{name!r} is not seven numbers such as 01-01-05-01-02-01-12, modality to actor")
    modality, channel, emotion, intensity, *rest = match.groups()
    return modality, Performance(CHANNELS[channel], EMOTIONS[emotion], INTENSITIES[intensity], *rest)


def _performances(root: Path, index: Index) -> dict[str, dict[str, str]]:
    """Path of each modality of a performance, from the root, by its six numbers; other files are findings."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for folder in sorted(path for path in root.glob(LAYOUT[0]) if path.is_dir()):
        for path in sorted(folder.iterdir()):
            if is_litter(path.name) or path.suffix.lower() not in (".mp4", ".wav"):
                continue
            where = path.relative_to(root).as_posix()
            try:
                modality, performance = parse_name(path.stem)
                if performance.actor != folder.name[-2:]:
                    raise InputError(f"actor {performance.actor} is not that of the folder")
                if (modality == AUDIO_ONLY) != (path.suffix.lower() == ".wav"):
                    raise InputError(f"modality {modality} does not go with {path.suffix}")
            except InputError as error:
                index.say("corpus", "absent", f"{where}: {error}; not used", safe_id(path.stem))
                continue
            found[path.stem[3:]][modality] = where
    return found
