"""Everybody who is seen, however many: people are met as they come, and each is followed by a tracker of their own.

The trackers are those used for the people whom a corpus names. Somebody who was lost comes back where they were; after
a cut, or a longer loss, only if their looks leave no doubt. Somebody who looks too different is a new person: two
tracks of one person are better than one track of two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.container import MediaError
from pipeline.crops import DAMAGED, NO_FACE, OTHER_FACE, FaceWriter
from pipeline.faces.align import AlignedFace, align, jpeg_of
from pipeline.faces.mesh import Detection, Detector, Tracker
from pipeline.faces.people import ALIKE, FORGET_S, LOOK_EVERY_S, REACH, Person, Scene, look_at, look_of
from pipeline.faces.plan import Plan, lacking, plan_frames, wanted_pictures
from pipeline.log import log
from pipeline.media import Video
from pipeline.picture import Picture, Unconvertible
from pipeline.records import Segment

SAME = 0.9  # correlation of looks that people of one film have with themselves, and hardly ever with each other
SUDDENLY = 0.75  # correlation with the picture before below which another face may have taken the place of the first
MIN_SEEN_S = 1.0  # a face must be visible this long, without a gap above FORGET_S, to count as a person


class _Idle:
    """Stands for the tracker of somebody who is not in view."""

    locked = False

    def release(self) -> None:
        """Nothing is followed."""


IDLE: Any = _Idle()


@dataclass(slots=True)
class Somebody(Person):
    """Somebody who was met, how long they have been seen, and what was seen of them until that was long enough."""

    look: np.ndarray | None = None  # in the picture before
    total_s: float = 0.0
    number: int = 0  # 0: not seen for long enough to count
    waiting: list[tuple[list[tuple[str, int]], AlignedFace]] = field(default_factory=list)


class Crowd(Scene):
    """All people in view, frame after frame; whoever is lost before being seen for ``least_s`` is forgotten."""

    def __init__(self, detector: Detector, least_s: float = MIN_SEEN_S):
        super().__init__((), lambda picture: picture.half("whole"), detector)
        self.people: list[Somebody] = []
        self.least_s, self.forgotten = least_s, 0
        self._spare: list[Tracker] = []  # each holds a model: there are as many as people in view at once

    def see(self, picture: Picture, lasts_s: float) -> list[tuple[Somebody, AlignedFace | int]]:
        """Everybody met so far, with their aligned face in this picture or the code that says why there is none."""
        region, time_s = self.region(picture), picture.time_s
        cut = self._cut(picture, region)
        if cut:
            for person in self.people:
                person.lose()
        for person in self.people:
            self._follow(person, picture, region)
            self._correct(person, picture, region)
            if person.now is not None and self._changed(person, picture):
                person.lose(place=False)
                person.doubted = True
        self._part_doubles(time_s)
        missed = any(p.now is None and time_s - p.seen_s <= FORGET_S for p in self.people)
        if cut or missed or time_s - self._searched_s >= LOOK_EVERY_S:
            self._searched_s = time_s
            detections = self.detector.find(picture, region, thorough=True)
            self._search([p for p in self.people if p.now is None], detections, picture, region)
            self._part_doubles(time_s)
        self._forget(time_s, cut)
        missing = OTHER_FACE if any(p.now is not None for p in self.people) else NO_FACE
        return [(p, missing if p.now is None else self._seen(p, picture, lasts_s)) for p in self.people]

    @staticmethod
    def _changed(person: Somebody, picture: Picture) -> bool:
        """Whether a face looks different from that in the last picture, as where a conference shows whoever speaks."""
        look = look_of(align(person.now, picture).crop)
        lately = picture.time_s - person.seen_s <= LOOK_EVERY_S
        return lately and person.look is not None and float(look @ person.look) < SUDDENLY

    @staticmethod
    def _seen(person: Somebody, picture: Picture, lasts_s: float) -> AlignedFace:
        face, time_s = align(person.now, picture), picture.time_s
        person.saw(person.now, time_s)
        person.total_s += lasts_s
        person.look, person.doubted = look_of(face.crop), False
        if time_s - person.looked_s >= LOOK_EVERY_S:
            person.resembled(person.look, again=False)
            person.looked_s = time_s
        return face

    def _assign(self, lost: list[Person], free: list[Detection], picture: Picture) -> list[tuple[Person, Detection]]:
        """Pairs of a lost person and the free face that is theirs, surest first; a face left over is a new person."""
        looks = [look_at(detection, picture) for detection in free]
        claims = [
            (sure, person, detection)
            for person in lost
            for detection, look in zip(free, looks)
            if (sure := _claim(person, detection, look, picture.time_s))
        ]
        pairs: list[tuple[Person, Detection]] = []
        for _, person, detection in sorted(claims, key=lambda claim: claim[0], reverse=True):
            if all(person is not one and detection is not other for one, other in pairs):
                pairs.append((person, detection))
        for detection in sorted(free, key=lambda s: s.centre.real):
            if all(detection is not other for _, other in pairs):
                self.people.append(Somebody("whole", IDLE))
                pairs.append((self.people[-1], detection))
        for person in (person for person, _ in pairs if person.tracker is IDLE):
            person.tracker = self._spare.pop() if self._spare else Tracker()
        return pairs

    def _forget(self, time_s: float, cut: bool) -> None:
        """Put aside the trackers of people out of view, and forget those who were not seen for long."""
        kept = []
        for person in self.people:
            if person.now is None and person.tracker is not IDLE:
                person.tracker.release()
                self._spare.append(person.tracker)
                person.tracker = IDLE
            gone = person.now is None and (cut or time_s - person.seen_s > FORGET_S)
            if gone and person.total_s < self.least_s:
                self.forgotten += person.total_s > 0  # else the mesh found no face where the detector did
            else:
                kept.append(person)
        self.people = kept

    def close(self) -> None:
        """Free the models, and forget those who were not seen for long."""
        for person in self.people:
            person.now = None
        self._forget(np.inf, cut=True)
        for tracker in self._spare:
            tracker.close()


def _claim(person: Person, detection: Detection, look: np.ndarray, time_s: float) -> tuple[bool, float] | None:
    """How surely a face is this person's: whether by place, and how alike; None where it is not."""
    like, gone_s = person.likeness(look), time_s - person.seen_s
    if person.place is not None and person.near(detection, time_s if gone_s <= FORGET_S else person.seen_s):
        at_once = not person.doubted and gone_s <= LOOK_EVERY_S and person.distance(detection.centre, time_s) < REACH
        if like >= ALIKE or at_once:
            return True, like
    return (False, like) if like >= SAME else None


def write_everybody(
    path: Path, spans: Sequence[Segment], out: Path, sample_rate_hz: float | None = None
) -> tuple[list[Segment], int]:
    """Write the face file of everybody seen in a video; returns their segments, and how many were seen too shortly.

    Each person has a segment for each of ``spans``, ordered by person, which are a dialog of their own: before a turn
    stands each earlier turn once. Where there is nobody the spans themselves are written, without a face. Of a video
    that breaks, what was read before counts.
    """
    video = Video(path)
    plan = plan_frames(video.time_s, spans, sample_rate_hz)
    looked_s = sum(float(np.ptp(time_s, axis=1).sum()) for time_s, _ in plan.values())
    detector = Detector()
    crowd = Crowd(detector, min(MIN_SEEN_S, looked_s / 2))
    with FaceWriter(out, {}, {"picture": "face"}) as writer:
        known: list[Somebody] = []
        failure = []
        code = np.full(len(video.time_s), DAMAGED, np.uint8)  # of each frame for whoever is not met yet
        try:
            _track(video, plan, crowd, writer, known, code)
        except MediaError as error:
            log.warning("%s", error)
            failure = [f"video unreadable from somewhere on: {error.reason}"]
        finally:
            crowd.close()
            detector.close()
        if not known:
            writer.add(plan, code)
        for span in spans:
            own = [_own(span.segment_id, person.number) for person in known] or [span.segment_id]
            for segment_id in own:
                writer.remark(segment_id, *failure, *lacking(span, video, plan))
    if not known:
        return list(spans), crowd.forgotten
    digits = len(str(len(known)))
    people = [(person.number, f"person {person.number:0{digits}d}") for person in known]
    found = [
        replace(s, segment_id=_own(s.segment_id, k), speaker=name, dialog=name) for k, name in people for s in spans
    ]
    return found, crowd.forgotten


def _own(segment_id: str, number: int) -> str:
    """The id of a person's own segment, which sorts behind those of the people met before."""
    return f"{number:05d}-{segment_id}"


def _track(video: Video, plan: Plan, crowd: Crowd, writer: FaceWriter, known: list[Somebody], code: np.ndarray) -> None:
    """Write the rows of everybody, add to ``known`` who is seen for long enough, and to ``code`` what was seen."""
    for picture, rows in wanted_pictures(video, plan):
        segment_id, row = rows[0]
        try:
            seen = crowd.see(picture, float(np.ptp(plan[segment_id][0][row])))
        except Unconvertible:
            continue
        code[picture.index] = NO_FACE
        for person, face in seen:
            if isinstance(face, int):
                for segment_id, row in rows if person.number else ():
                    writer.absent(_own(segment_id, person.number), row, face)
                continue
            person.waiting.append((rows, face))
            if person.total_s < crowd.least_s:
                continue
            if not person.number:
                known.append(person)
                person.number = len(known)
                writer.add({_own(segment_id, person.number): frames for segment_id, frames in plan.items()}, code)
            for waiting, shown in person.waiting:
                jpeg = jpeg_of(shown.crop)
                for segment_id, row in waiting:
                    own = _own(segment_id, person.number)
                    writer.found(own, row, jpeg, shown.score, shown.landmarks, shown.mesh)
            person.waiting.clear()
