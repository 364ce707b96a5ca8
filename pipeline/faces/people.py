"""Who is who: keep the face of each wanted person apart from every other face in the picture.

While a face is tracked, it belongs to its person. A face that was lost for a short time is looked for near the place
where it should be by now. After a cut, or a long loss, place means nothing: then two people are told apart by who is
further left, unless they look clearly exchanged, and one person alone is the largest face.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from pipeline.crops import NO_FACE, OTHER_FACE
from pipeline.faces.align import TEMPLATE, AlignedFace, Face, align, apart, footprint, similarity_transform, warp
from pipeline.faces.mesh import Detection, Detector, Tracker
from pipeline.picture import Box, Picture
from pipeline.records import Side

CUT_LEVELS = 25.0  # mean change of brightness (of 255) between looked-at pictures that only a cut makes
QUICK = 0.03  # widths from one looked-at picture to the next, beyond which the mesh may have lost its face ...
SLID_OFF = 0.1  # ... which it has if its points differ from the detector's by this many widths
FORGET_S = 2.0  # after such a loss a person may be anywhere
REACH = 1.0  # widths from the expected place within which a lost face is the same person's, at once ...
REACH_PER_S = 1.5  # ... and more for every second of loss
LOOK_EVERY_S = 0.5
LOOKS_KEPT = 8
CLEARLY = 0.15  # difference of correlations beyond which likeness overrules place
ALIKE = 0.5  # correlation below which a face that was found again may be somebody else's
_LOOK_PX = 16


@dataclass(slots=True)
class Person:
    """One wanted person: the tracker that follows them, where they were last, and what they looked like."""

    side: Side
    tracker: Tracker
    now: Face | None = None
    place: complex | None = None  # centre when last seen; None: unknown since a cut or from the start
    speed: complex = 0j  # pixels per second
    width: float = 0.0
    seen_s: float = -np.inf
    looks: list[np.ndarray] = field(default_factory=list)
    looked_s: float = -np.inf
    moving: bool = False  # quickly, in the picture before
    doubted: bool = False  # found again, and unlike before: a better face is still looked for

    def expected(self, time_s: float) -> complex:
        """Where the face should be by now."""
        return self.place + self.speed * min(time_s - self.seen_s, FORGET_S / 4)

    def distance(self, centre: complex, time_s: float) -> float:
        """Distance of a face from where this person's should be, in widths; 0 where the place is unknown."""
        if self.place is None:
            return 0.0
        return abs(centre - self.expected(time_s)) / self.width

    def near(self, detection: Detection | Face, time_s: float) -> bool:
        """Whether a face can be this person's, by place and size."""
        if self.place is None:
            return True
        reach = REACH + REACH_PER_S * (time_s - self.seen_s)
        return self.distance(detection.centre, time_s) < reach and 0.4 < detection.width / self.width < 2.5

    def saw(self, face: Face, time_s: float) -> None:
        """Remember where the face is and how it moves."""
        step_s = time_s - self.seen_s
        if self.place is not None and 0 < step_s < 0.5:
            self.speed = 0.7 * self.speed + 0.3 * (face.centre - self.place) / step_s
        else:
            self.speed = 0j
        self.place, self.width, self.seen_s = face.centre, face.width, time_s

    def resembled(self, look: np.ndarray, again: bool) -> None:
        """Remember this look, unless the face was found ``again`` and may be somebody else's."""
        alike = not self.looks or self.likeness(look) >= ALIKE
        self.doubted = not alike and (again or self.doubted)
        if not self.doubted:
            self.looks = [*self.looks[-LOOKS_KEPT + 1 :], look]

    def likeness(self, look: np.ndarray) -> float:
        """Correlation with the most similar remembered look; 0 where none is remembered."""
        return max((float(look @ known) for known in self.looks), default=0.0)

    def exchange(self, other: "Person") -> None:
        """Trade trackers and places: each had the other's face."""
        for name in ("tracker", "now", "place", "speed", "width", "seen_s"):
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, theirs)
            setattr(other, name, mine)

    def lose(self, place: bool = True, looks: bool = False) -> None:
        """Stop following; forget the place and, for a new segment, the looks too."""
        self.now = None
        self.tracker.release()
        if place:
            self.place = None
        if looks:
            self.looks, self.looked_s, self.seen_s, self.doubted, self.moving = [], -np.inf, -np.inf, False, False


class Scene:
    """The people wanted in one part of the picture, frame after frame.

    ``sides`` are ("whole",) for one person, or "left" and "right" for two people told apart by their places.
    ``region`` maps a picture to the part to look at. ``faces`` is the number of faces seen in the last picture.
    """

    def __init__(self, sides: tuple[Side, ...], region, detector: Detector):
        self.people: Sequence[Person] = [Person(side, Tracker()) for side in sides]
        self.region, self.detector = region, detector
        self.faces = 0
        self._met = False  # whether two people have been seen together since the last cut, so that their order is known
        self._searched_s = -np.inf  # when small faces were looked for
        self._thumbnail: np.ndarray | None = None
        self._size = (0, 0)

    def look(self, picture: Picture, fresh: bool) -> dict[Side, AlignedFace | int]:
        """Each person's aligned face in this picture, or the code that says why there is none.

        ``fresh``: a segment begins here, and nothing from before may matter.
        """
        region, time_s = self.region(picture), picture.time_s
        if self._cut(picture, region) or fresh:
            self._met, self._searched_s = False, -np.inf
            for person in self.people:
                person.lose(looks=fresh)
        for person in self.people:
            if person.doubted and len(self.people) == 1 and time_s - person.looked_s >= LOOK_EVERY_S:
                person.lose()  # choose anew among all faces in view
            self._follow(person, picture, region)
            self._correct(person, picture, region)
        self._part_doubles(time_s)
        detections, tried = list[Detection](), 0
        lost = [p for p in self.people if p.now is None]
        if lost:
            for person in lost:
                if time_s - person.seen_s > FORGET_S:
                    person.place = None
            thorough = time_s - self._searched_s >= LOOK_EVERY_S
            self._searched_s = time_s if thorough else self._searched_s
            detections = self.detector.find(picture, region, thorough)
            tried = self._search(lost, detections, picture, region)
        taken = [p.now for p in self.people if p.now is not None]
        self._met = self._met or len(taken) == 2
        self.faces = max(len(detections), len(taken))
        out: dict[Side, AlignedFace | int] = {}
        for person in self.people:
            if person.now is None:
                out[person.side] = OTHER_FACE if taken or len(detections) > tried else NO_FACE
                continue
            out[person.side] = aligned = align(person.now, picture)
            again = any(p is person for p in lost)
            person.saw(person.now, time_s)
            # While one of two is out of sight, it is not certain whose face the other one is.
            if len(taken) == len(self.people) and (again or time_s - person.looked_s >= LOOK_EVERY_S):
                person.resembled(look_of(aligned.crop), again)
                person.looked_s = time_s
        return out

    def close(self) -> None:
        """Free the models of the trackers."""
        for person in self.people:
            person.tracker.close()

    def _cut(self, picture: Picture, region: Box) -> bool:
        import cv2

        before, self._thumbnail = self._thumbnail, picture.thumbnail(region)
        size, self._size = self._size, (picture.width, picture.height)
        if before is None or size != self._size:
            return True
        return cv2.norm(before, self._thumbnail, cv2.NORM_L1) > CUT_LEVELS * before.size

    def _follow(self, person: Person, picture: Picture, region: Box) -> None:
        person.now = person.tracker.follow(picture, region) if person.tracker.locked else None
        if person.now is None or not person.near(person.now, picture.time_s):
            person.now = None
            person.tracker.release()

    def _correct(self, person: Person, picture: Picture, region: Box) -> None:
        """After a quick movement, go where the detector sees the face if the mesh has slid off it.

        The mesh looks where the face was in the picture before, and is sure of itself on hair or neck.
        """
        face, moving = person.now, person.moving
        if face is None or person.place is None:
            return
        person.moving = abs(face.centre - person.place) > QUICK * face.width
        if not person.moving and not moving:  # a movement goes on, whatever the mesh makes of it
            return
        detections = self.detector.find_in(face.rgb, face.origin) or self.detector.find(picture, region)
        if any(detection.differs(face) < SLID_OFF for detection in detections):
            return
        others = [p.now for p in self.people if p is not person and p.now is not None]
        near = [s for s in detections if person.near(s, picture.time_s) and all(apart(s, other) for other in others)]
        if near:
            detection = min(near, key=lambda s: person.distance(s.centre, picture.time_s))
            person.tracker.lock(detection.centre, detection.width, region)
            self._follow(person, picture, region)
            person.moving = True

    def _part_doubles(self, time_s: float) -> None:
        """Where two trackers hold one face, leave it to the person who should be there."""
        for a, b in combinations(self.people, 2):
            if a.now is not None and b.now is not None and not apart(a.now, b.now):
                loser = max((a, b), key=lambda p: p.distance(p.now.centre, time_s))
                loser.lose(place=False)

    def _search(self, lost: list[Person], detections: list[Detection], picture: Picture, region: Box) -> int:
        """Follow whom the detections show, as far as the mesh sees a face there, too; returns how many were tried."""
        taken = [p.now for p in self.people if p.now is not None]
        free = [detection for detection in detections if all(apart(detection, face) for face in taken)]
        pairs = self._assign(lost, free, picture)
        for person, detection in pairs:
            person.tracker.lock(detection.centre, detection.width, region)
            self._follow(person, picture, region)
            # Someone else's face may lie in the window too, and be the one that the mesh took.
            if person.now is not None and (
                apart(person.now, detection) or any(not apart(person.now, face) for face in taken)
            ):
                person.lose(place=False)
        return len(pairs)

    def _assign(self, lost: list[Person], free: list[Detection], picture: Picture) -> list[tuple[Person, Detection]]:
        """Pairs of a lost person and the free face that is theirs."""
        if not free:
            return []
        if len(self.people) == 1:
            return self._assign_one(lost[0], free, picture)
        if len(lost) == 2:
            return self._assign_both(lost, free, picture)
        (person,), time_s = lost, picture.time_s
        other = next(p for p in self.people if p is not person)
        detection = min(free, key=lambda s: (not person.near(s, time_s), person.distance(s.centre, time_s), -s.width))
        if not person.near(detection, time_s):
            return []
        if self._met:  # one was hidden: is the face that stayed in view really the other's?
            gain = self._likeness_gain(person, other, detection, picture)
            exchanged = gain < -CLEARLY and self._likeness_gain(person, other, other.now, picture) > CLEARLY
        else:  # only now is there someone to compare with: who is further left is the left one
            exchanged = (detection.centre.real < other.now.centre.real) != (person.side == "left")
        if exchanged:
            person.exchange(other)
            person = other
        return [(person, detection)]

    def _assign_one(self, person: Person, free: list[Detection], picture: Picture) -> list[tuple[Person, Detection]]:
        time_s = picture.time_s
        if person.place is not None:
            detection = min(free, key=lambda s: person.distance(s.centre, time_s))
            return [(person, detection)] if person.near(detection, time_s) else []
        if person.side != "whole":  # nobody asked for the other one, who may be there all the same
            left, _, right, _ = self.region(picture)
            direction = -1 if person.side == "left" else 1
            detection = max(free[:2], key=lambda s: direction * s.centre.real)
            beyond = -direction * (detection.centre.real - (left + right) / 2)
            return [] if len(free) == 1 and beyond > detection.width else [(person, detection)]
        if person.looks and len(free) > 1:
            likeness = [person.likeness(look_at(detection, picture)) for detection in free[:4]]
            best, second = np.argsort(likeness)[::-1][:2]
            if likeness[best] - likeness[second] > CLEARLY:
                return [(person, free[best])]
        return [(person, free[0])]

    def _assign_both(
        self, lost: list[Person], free: list[Detection], picture: Picture
    ) -> list[tuple[Person, Detection]]:
        time_s = picture.time_s
        left, right = sorted(lost, key=lambda p: p.side != "left")
        placed = left.place is not None and right.place is not None
        if len(free) == 1:
            detection = free[0]
            if placed:
                nearer = min(lost, key=lambda p: p.distance(detection.centre, time_s))
                return [(nearer, detection)] if nearer.near(detection, time_s) else []
            gain = self._likeness_gain(left, right, detection, picture)
            box = self.region(picture)
            is_left = gain > 0 if abs(gain) > CLEARLY else detection.centre.real < (box[0] + box[2]) / 2
            return [(left if is_left else right, detection)]
        first, second = sorted(free[:2], key=lambda s: s.centre.real)
        straight, crossed = [(left, first), (right, second)], [(left, second), (right, first)]
        if placed:
            costs = [sum(p.distance(s.centre, time_s) for p, s in pairs) for pairs in (straight, crossed)]
            return straight if costs[0] <= costs[1] else crossed
        gain = self._likeness_gain(left, right, first, picture) - self._likeness_gain(left, right, second, picture)
        return crossed if gain < -2 * CLEARLY else straight

    @staticmethod
    def _likeness_gain(one: Person, another: Person, face: Detection | Face, picture: Picture) -> float:
        """By how much a face looks more like one person than like another; 0 where looks are not known."""
        if not one.looks or not another.looks:
            return 0.0
        look = look_at(face, picture) if isinstance(face, Detection) else look_of(align(face, picture).crop)
        return one.likeness(look) - another.likeness(look)


def look_of(crop: np.ndarray) -> np.ndarray:
    """A small grey picture of the inner face with mean 0 and norm 1: its products are correlations."""
    import cv2

    grey = cv2.cvtColor(crop[16:100, 16:96], cv2.COLOR_RGB2GRAY)
    look = cv2.resize(grey, (_LOOK_PX, _LOOK_PX), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
    look -= look.mean()
    return look / max(float(np.linalg.norm(look)), 1e-9)


def look_at(detection: Detection, picture: Picture) -> np.ndarray:
    """The look of a face that has no mesh yet, aligned by the detector's four points."""
    target = (*TEMPLATE[:3], sum(TEMPLATE[3:]) / 2)
    turn, shift = similarity_transform(detection.points, target)
    box = footprint(turn, shift, picture)
    return look_of(warp(picture.rgb(box), turn, shift, box[:2]))
