"""Crops show the right person, aligned, at the right frames; what cannot be shown is said."""

from collections import Counter
from dataclasses import replace
from functools import cache

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from models.dialog import turns_before
from pipeline.crops import BAD_CROP, DAMAGED, NO_FACE, OK, OTHER_FACE, FaceFile
from pipeline.faces.align import TEMPLATE as COMPLEX_TEMPLATE
from pipeline.faces.align import Face, align, five_points, similarity_transform, warp
from pipeline.faces.everybody import write_everybody
from pipeline.faces.mesh import Detection, Detector, Tracker
from pipeline.faces.plan import plan_frames
from pipeline.faces.stage import faces, write_faces
from pipeline.media import Video
from pipeline.records import InputError, Segment, Unit, write_table
from pipeline.timebase import frame_ranges_s
from tests.clips import ffmpeg, grid_face, painted, paste, read_frames, to_and_fro, write_clip

A, B, C = "bbaf2n", "brbk7n", "swiz3n"
FPS = 25
TEMPLATE = np.array([(p.real, p.imag) for p in COMPLEX_TEMPLATE])


def segment(name="a", start_s=0.0, end_s=1.0, side="whole", unit="u"):
    return Segment(name, unit, name, None, "train", start_s, end_s, side)


def track(path, segments, tmp_path, **options):
    write_faces([(path, segments)], tmp_path / "faces.h5", **options)
    return FaceFile(tmp_path / "faces.h5")


def look(crop):
    """A small grey picture of the inner face; its products are correlations."""
    grey = Image.fromarray(crop[14:100, 14:98]).convert("L").resize((24, 24), Image.Resampling.BOX)
    values = np.asarray(grey, float).ravel()
    values -= values.mean()
    return values / np.linalg.norm(values)


@pytest.fixture(scope="session")
def gallery(shared, tmp_path_factory):
    """Looks of every person of GRID, aligned by MediaPipe's own solution and scikit-image, not by our code."""
    import mediapipe as mp
    from skimage.transform import SimilarityTransform
    from skimage.transform import warp as skimage_warp

    looks = {}
    for path in sorted((shared / "media" / "grid").glob("*.mpg")):
        if path.stem == "pwij3p":  # the same man as in swwp2s
            continue
        with mp.solutions.face_mesh.FaceMesh(static_image_mode=True) as mesh:
            found = []
            for _, _, rgb in read_frames(path, range(0, 75, 5)):
                points = mesh.process(rgb).multi_face_landmarks[0].landmark
                xy = np.array([(p.x * rgb.shape[1], p.y * rgb.shape[0]) for p in points])
                five = np.stack([xy[[33, 133]].mean(0), xy[[362, 263]].mean(0), xy[4], xy[61], xy[291]])
                transform = SimilarityTransform()
                assert transform.estimate(five, TEMPLATE)
                crop = skimage_warp(rgb, transform.inverse, output_shape=(112, 112), preserve_range=True)
                found.append(look(crop.astype(np.uint8)))
        looks[path.stem] = np.array(found)
    return looks


@pytest.fixture
def shown(gallery):
    """Who is in each valid crop of a track: the person of the most similar picture."""

    def nearest(crop):
        seen = look(crop)
        return max(gallery, key=lambda name: (gallery[name] @ seen).max())

    def who(track):
        each = zip(track.crops(), track.valid, track.code)
        return [nearest(crop) if valid else int(code) for crop, valid, code in each]

    return who


@pytest.fixture
def stage(shared, tmp_path):
    """Film a scene: ``place(k)`` gives (person, centre x, scale) for each person in frame k, those behind first."""
    people = {name: grid_face(shared, name) for name in (A, B, C)}

    def film(place, count, width=720, levels=None):
        frames = []
        for k in range(count):
            canvas = np.full((288, width, 3), (60, 120, 140) if levels is None else levels(k), np.uint8)
            for name, centre_x, scale in place(k):
                paste(canvas, to_and_fro(people[name], k), centre_x, scale)
            frames.append(canvas)
        write_clip(tmp_path / "scene.mp4", frames, [k / FPS for k in range(count)])
        return tmp_path / "scene.mp4"

    return film


@pytest.fixture
def models(monkeypatch):
    """The detectors and trackers that are opened from now on, and those that are closed."""
    opened, closed = [], []
    for model in (Detector, Tracker):
        opens, closes = model.__init__, model.close
        monkeypatch.setattr(model, "__init__", lambda self, opens=opens: (opened.append(self), opens(self))[1])
        monkeypatch.setattr(model, "close", lambda self, closes=closes: (closed.append(self), closes(self))[1])
    return opened, closed


# --- alignment -----------------------------------------------------------------------


def test_similarity_transform_is_the_one_of_scikit_image():
    from skimage.transform import SimilarityTransform

    rng = np.random.default_rng(0)
    for _ in range(20):
        source = rng.normal(300, 80, (5, 2))
        turn, shift = similarity_transform((source @ (1, 1j)).tolist(), COMPLEX_TEMPLATE)
        theirs = SimilarityTransform()
        assert theirs.estimate(source, TEMPLATE)
        ours = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
        assert np.allclose(ours, theirs.params[:2], atol=1e-9)


@pytest.mark.parametrize("scale", [0.7, 1.0, 0.4, 0.21])
def test_warp_puts_pixels_where_the_transform_says(scale):
    size = int(160 / scale)
    y, x = np.mgrid[:size, :size]
    picture = np.repeat((60 + 120 * np.hypot(x - size * 0.4, y - size * 0.55)[..., None] / size), 3, axis=2).astype(
        np.uint8
    )
    turn, shift = scale * np.exp(0.2j), 5 - 20j
    crop = warp(picture, turn, shift)
    v, u = np.mgrid[10:100:7, 10:100:7]
    spot = (u + 1j * v - shift) / turn
    truth = 60 + 120 * np.hypot(spot.real - size * 0.4, spot.imag - size * 0.55) / size
    inside = (spot.real > 2) & (spot.real < size - 3) & (spot.imag > 2) & (spot.imag < size - 3)
    assert inside.sum() > 50
    assert np.abs(crop[v, u, 0] - truth)[inside].max() < 2.5


def test_mesh_and_landmarks_follow_the_crop():
    rng = np.random.default_rng(1)
    points = rng.normal(200, 60, (468, 3))
    five = TEMPLATE * 2.5 + (40, 70)
    points[[33, 133], :2], points[[362, 263], :2] = five[0], five[1]
    points[[4, 61, 291], :2] = five[2:]
    black = np.zeros((400, 400, 3), np.uint8)
    face = align(Face(points[:, :2] @ (1, 1j), points[:, 2], 1.0, black, (0, 0)))
    assert np.allclose(face.landmarks, five)
    assert np.allclose(face.mesh[[4, 61, 291], :2], TEMPLATE[2:], atol=1e-9)
    assert np.allclose(face.mesh[:, 2], points[:, 2] / 2.5)
    assert face.score == pytest.approx(1.0)
    points[4, :2] += (50, 0)
    assert align(Face(points[:, :2] @ (1, 1j), points[:, 2], 1.0, black, (0, 0))).score < 0.8


def test_points_are_those_of_mediapipes_own_solution(shared):
    import mediapipe as mp

    video = Video(shared / "media" / "clips" / "single_face.mp4")
    tracker, detector = Tracker(), Detector()
    with mp.solutions.face_mesh.FaceMesh() as mesh:
        for picture in video.pictures(range(0, 20)):
            region = picture.half("whole")
            if not tracker.locked:
                spot = detector.find(picture, region)[0]
                tracker.lock(spot.centre, spot.width, region)
                left, top, right, _ = window = tracker._window
            face = tracker.follow(picture, region)
            theirs = mesh.process(picture.rgb(window)).multi_face_landmarks[0].landmark
            xyz = np.array([(p.x, p.y, p.z) for p in theirs]) * (right - left) + (left, top, 0)
            assert np.allclose(face.plane, xyz[:, :2] @ (1, 1j), atol=1e-4)
            assert np.allclose(face.depth, xyz[:, 2], atol=1e-4)
            assert face.presence > 0.9
    tracker.close()
    detector.close()


def test_eyes_nose_and_mouth_of_a_real_face_are_where_they_are(shared, tmp_path):
    """Marks set by hand on the first picture of one clip, in pixels."""
    file = track(shared / "media" / "grid" / f"{A}.mpg", [segment(end_s=0.1)], tmp_path)
    by_hand = [(133, 160.5), (178.75, 158.75), (159, 189), (137.5, 219.5), (180, 217.5)]
    assert np.abs(file["a"].landmarks[0] - by_hand).max() < 5


# --- which frames --------------------------------------------------------------------


def test_frames_are_chosen_by_time_stamps():
    time_s = np.cumsum(np.r_[0, np.tile([0.03, 0.05], 100)])
    plan = plan_frames(time_s, [segment("all", 1.0, 2.0), segment("thin", 1.0, 2.0), segment("late", 9.0, 10.0)], None)
    ranges_s, index = plan["all"]
    assert ((time_s[index] >= 1 - 1e-9) & (time_s[index] < 2)).all()
    assert index[0] > 0
    assert time_s[index[0] - 1] < 1
    assert np.allclose(ranges_s[:-1, 1], ranges_s[1:, 0])
    assert len(plan["late"][1]) == 0
    thin_s, thin = plan_frames(time_s, [segment("thin", 1.0, 2.0)], 5.0)["thin"]
    assert len(thin) == 5
    assert np.allclose(thin_s[:-1, 1], thin_s[1:, 0]), "a row lasts until the next"


FILM_S = np.r_[np.arange(25), np.arange(45, 80)] / FPS  # ends at 3.2 s; no picture from 1.0 to 1.8 s


@pytest.mark.parametrize(("rate_hz", "span_s", "edges_s"), [
    (10, (0.5, 2.15), [[0.52, 0.6, 0.72, 0.8, 0.92, 1.0], [1.8, 1.92, 2.0, 2.12, 2.15]]),
    (5, (2.0, 3.0), [[2.0, 2.2, 2.4, 2.6, 2.8, 3.0]]),
    (5, (2.6, 9.0), [[2.6, 2.8, 3.0, 3.2]]),
    (1, (2.0, 2.5), [[2.0, 2.5]]),
    (1, (0.1, 2.05), [[0.12, 1.0], [1.8, 2.05]]),
    (None, (0.95, 1.83), [[0.96, 1.0], [1.8, 1.83]]),
    (None, (2.0, 2.1), [[2.0, 2.04, 2.08, 2.1]]),
])  # fmt: skip
def test_a_row_lasts_until_the_next_look_but_through_no_hole_and_not_beyond_its_segment(rate_hz, span_s, edges_s):
    """Edges of the rows by hand: those of one list follow each other."""
    rows_s, index = plan_frames(FILM_S, [segment("a", *span_s)], rate_hz)["a"]
    assert rows_s == pytest.approx(np.concatenate([np.stack([e[:-1], e[1:]], axis=1) for e in edges_s]))
    assert np.array_equal(FILM_S[index], rows_s[:, 0])


def test_a_film_is_measured_once_however_many_segments_it_has(shared, tmp_path, monkeypatch):
    measured = []
    for name in ("pipeline.faces.plan.frame_ranges_s", "pipeline.media.frame_ranges_s"):
        monkeypatch.setattr(name, lambda time_s: measured.append(1) or frame_ranges_s(time_s))
    turns = [segment(f"{k}", k / 10, k / 10 + 0.1) for k in range(20)]
    track(shared / "media" / "grid" / f"{A}.mpg", turns, tmp_path, picture="half")
    assert len(measured) <= 2


def test_crops_belong_to_their_frames(shared, tmp_path):
    """The mouth of each crop moves as it does in the frame of that time: thinning does not shift anything."""
    path = shared / "media" / "grid" / f"{A}.mpg"
    every = track(path, [segment(end_s=3.0)], tmp_path)["a"]
    crops, points = every.crops(), every.landmarks
    thin = track(path, [segment(start_s=0.5, end_s=2.9)], tmp_path, sample_rate_hz=5.0)["a"]
    assert list(thin.frame_index) == [13, 18, 23, 28, 33, 38, 43, 48, 53, 58, 63, 68]
    off = []
    for row, frame in enumerate(thin.frame_index):
        assert np.abs(thin.landmarks[row] - points[frame]).max() < 3
        likeness = [look(thin.crops(row, row + 1)[0]) @ look(c) for c in crops]
        off.append(abs(int(np.argmax(likeness)) - int(frame)))
    assert np.median(off) == 0, off


# --- the real corpora ----------------------------------------------------------------


@pytest.mark.parametrize("dialog", ["Ses01F_impro01", "Ses02M_script01_1b"])
def test_turns_show_their_speaker(real_corpora, truth, shown, tmp_path, dialog):
    turns = {k: v for k, v in truth["iemocap"].items() if v["dialog"] == dialog}
    segments = [
        Segment(k, dialog, k, None, None, v["start_s"], v["end_s"], picture=f"{v['side']}_half")
        for k, v in turns.items()
    ]
    video = real_corpora / "IEMOCAP_full_release" / f"Session{dialog[4]}" / "dialog" / "avi" / "DivX" / f"{dialog}.avi"
    file = track(video, segments, tmp_path, sample_rate_hz=10.0)
    for name, turn in turns.items():
        who = Counter(shown(file[name]))
        assert who[turn["clip"]] >= 0.95 * len(file[name]), (name, who)
        assert file[name].reason == ""
        x = file[name].landmarks[:, :, 0]
        assert (x < 360).all() if turn["side"] == "left" else (x >= 360).all()


@pytest.mark.parametrize("video", ["video74", "video93", "117", "late-audio"])
def test_subjects_are_told_apart_in_every_frame(real_corpora, truth, shown, tmp_path, video):
    subjects = {k: v for k, v in truth["affwild2"].items() if v["video"].rsplit(".", 1)[0] == video}
    path = next((real_corpora / "AffWild2" / "videos").rglob(f"{video}.*"))
    segments = [segment(k, 0.0, 4.0, v["side"] or "whole", video) for k, v in subjects.items()]
    file = track(path, segments, tmp_path)
    for name, subject in subjects.items():
        assert len(file[name]) == 4 * subject["fps"]
        assert Counter(shown(file[name])) == {subject["clip"]: len(file[name])}


def test_a_face_that_comes_or_goes(shared, tmp_path):
    for name, part in (("face_noface.mov", slice(0, 72)), ("noface_face.mov", slice(97, 169))):
        got = track(shared / "media" / "clips" / name, [segment(end_s=7.0)], tmp_path)["a"]
        expected = np.zeros(169, bool)
        expected[part] = True
        assert (got.valid != expected).sum() <= 2
        assert set(got.code[~got.valid]) == {NO_FACE}
        assert not got.crops()[~got.valid].any()
        assert "no face found in 97 of 169 frames" in got.reason


def test_no_face_at_all(shared, tmp_path):
    got = track(shared / "media" / "clips" / "no_face.mp4", [segment(end_s=4.0)], tmp_path)["a"]
    assert len(got) == 95
    assert not got.valid.any()
    assert got.reason.startswith("no face found in 95 of 95 frames")


# --- scenes with known people --------------------------------------------------------


def people_of(stage, shown, tmp_path, place, count, sides, **options):
    file = track(stage(place, count, **options), [segment(s, 0, count / FPS, s) for s in sides], tmp_path)
    return {s: shown(file[s]) for s in sides}, file


@pytest.mark.parametrize("front", [A, B])
def test_people_who_cross_stay_who_they_are(stage, shown, tmp_path, front):
    def place(k):
        step = min(max((k - 15) / 60, 0), 1) * 420
        both = [(A, 150 + step, 1), (B, 570 - step, 1)]
        return both if front == B else both[::-1]

    who, file = people_of(stage, shown, tmp_path, place, 95, ("left", "right"))
    for side, name, other in (("left", A, B), ("right", B, A)):
        assert other not in who[side], "nobody is taken for the other"
        assert who[side][:30] == who[side][-15:] + who[side][:15] == [name] * 30
        if name == front:
            assert who[side].count(name) >= 94
        else:
            assert 8 <= who[side].count(OTHER_FACE) <= 40
            assert "only the face of somebody else" in file[side].reason


def test_cuts_do_not_exchange_people(stage, shown, tmp_path):
    def place(k):
        if k < 20:
            return [(A, 150, 1), (B, 570, 1)]
        return [(A, 300, 0.8), (B, 600, 0.8)] if k < 40 else [(B, 300, 1)] if k < 60 else [(A, 200, 1), (B, 420, 1)]

    def levels(k):
        return ((60, 120, 140), (15, 20, 10), (220, 180, 150), (30, 60, 30))[k // 20]

    who, _ = people_of(stage, shown, tmp_path, place, 80, ("left", "right"), levels=levels)
    assert who["left"] == [A] * 40 + [OTHER_FACE] * 20 + [A] * 20
    assert who["right"] == [B] * 80


def test_short_losses(stage, shown, tmp_path):
    def place(k):
        return [(A, 150, 1)] * (not 20 <= k < 32) + [(B, 570, 1)] * (not 50 <= k < 54)

    who, _ = people_of(stage, shown, tmp_path, place, 70, ("left", "right"))
    assert who["left"] == [A] * 20 + [OTHER_FACE] * 12 + [A] * 38
    assert who["right"] == [B] * 50 + [OTHER_FACE] * 4 + [B] * 16


def test_the_second_person_settles_who_is_left(stage, shown, tmp_path):
    who, _ = people_of(
        stage, shown, tmp_path, lambda k: [(B, 300, 1)] + [(A, 100, 1)] * (k >= 20), 40, ("left", "right")
    )
    assert who["left"][20:] == [A] * 20
    assert who["right"][20:] == [B] * 20


@pytest.mark.parametrize("at", [0, 5])
def test_a_detection_that_is_no_face_is_not_the_second_person(stage, shown, tmp_path, monkeypatch, at):
    """Once the detector sees a face where the wall is, beside the only one of two who is in view."""
    find = Detector.find

    def seeing_things(self, picture, region, thorough=False):
        more = picture.index == at and thorough == (at == 0)  # as the scene asks then
        wall = Detection(570 + 144j, 70.0, [550 + 130j, 590 + 130j, 570 + 150j, 570 + 165j])
        return find(self, picture, region, thorough) + [wall] * more

    monkeypatch.setattr(Detector, "find", seeing_things)
    who, _ = people_of(
        stage, shown, tmp_path, lambda k: [(B, 300, 1)] + [(A, 100, 1)] * (k >= 20), 40, ("left", "right")
    )
    assert who["left"][20:] == [A] * 20
    assert who["right"][20:] == [B] * 20


def test_three_people_where_two_are_annotated(stage, shown, tmp_path):
    def place(k):
        return [(C, 360, 0.6), (A, 120, 1), (B, 600, 1)]

    who, file = people_of(stage, shown, tmp_path, place, 20, ("left", "right"))
    assert who == {"left": [A] * 20, "right": [B] * 20}
    assert "up to 3 faces in view" in file["left"].reason


def test_how_many_are_in_view_is_said_of_each_segment(stage, tmp_path):
    path = stage(lambda k: [(A, 150, 1)] + [(B, 570, 0.8)] * (k >= 25), 50)
    file = track(path, [segment("alone", 0, 1), segment("with her", 1, 2), segment("all of it", 0, 2)], tmp_path)
    seen = {name: "faces in view" in (file[name].reason or "") for name in file}
    assert seen == {"alone": False, "with her": True, "all of it": True}
    assert "up to 2 faces in view" in file["with her"].reason


def test_one_person_is_the_largest_and_no_passer_by(stage, shown, tmp_path):
    def place(k):
        return [(A, 200, 1)] * (not 20 <= k < 35) + [(C, 600, 0.6)]

    who, file = people_of(stage, shown, tmp_path, place, 60, ("whole",))
    assert who["whole"] == [A] * 20 + [OTHER_FACE] * 15 + [A] * 25
    assert "up to 2 faces in view" in file["whole"].reason


def test_whole_is_the_largest_face_also_where_others_name_a_side(stage, shown, tmp_path):
    who, _ = people_of(stage, shown, tmp_path, lambda k: [(A, 150, 0.7), (B, 570, 1)], 10, ("whole", "right"))
    assert who == {"whole": [B] * 10, "right": [B] * 10}


def test_segments_do_not_remember_those_before(stage, shown, tmp_path):
    """Somebody else sits there from the second segment on; a tracker that remembered would call her a stranger."""
    path = stage(lambda k: [(A if k < 20 else C, 300, 1)], 40)
    segments = [segment("first", 0, 0.8), segment("second", 0.8, 1.6)]
    file = track(path, segments, tmp_path)
    assert (shown(file["first"]), shown(file["second"])) == ([A] * 20, [C] * 20)
    second = file["second"].landmarks
    write_faces([(path, segments[1:])], tmp_path / "alone.h5")
    assert np.array_equal(FaceFile(tmp_path / "alone.h5")["second"].landmarks, second)


@pytest.mark.parametrize("rate_hz", [None, 10.0])
def test_segments_that_overlap_do_not_change_each_others_person(stage, shown, tmp_path, monkeypatch, rate_hz):
    """A is the larger face at first, B from the second segment's beginning on: each follows whom it began with."""
    asked, find_in = [], Detector.find_in
    monkeypatch.setattr(Detector, "find_in", lambda self, *given: asked.append(1) or find_in(self, *given))
    path = stage(lambda k: [(A, 150, 0.9), (B, 570, 0.7 if k < 10 else 1)], 45)
    times_s = [(0, 1), (0.52, 1.5), (0, 0.6), (1.04, 1.8), (0.5, 0.7)]
    segments = [segment(f"{number}", *own_s) for number, own_s in enumerate(times_s)]
    file = track(path, segments, tmp_path, sample_rate_hz=rate_hz)
    assert len(asked) == 3, "once in each picture in which segments begin"
    assert [set(shown(file[s.segment_id])) for s in segments] == [{A}, {B}, {A}, {B}, {B}]
    for s in segments:
        write_faces([(path, [s])], tmp_path / "alone.h5", rate_hz)
        alone, beside = FaceFile(tmp_path / "alone.h5")[s.segment_id], file[s.segment_id]
        for name in ("valid", "code", "score", "landmarks"):
            assert np.array_equal(getattr(alone, name), getattr(beside, name)), (s.segment_id, name)
        assert np.array_equal(alone.crops(), beside.crops())


def test_a_turn_of_the_one_does_not_exchange_the_other_within_hers(stage, shown, tmp_path):
    """They change places in her turn; who is right when the second turn begins is she herself."""

    def place(k):
        step = min(max((k - 5) / 60, 0), 1) * 420
        return [(B, 570 - step, 1), (A, 150 + step, 1)]

    file = track(stage(place, 85), [segment("a", 0, 3.4, "left"), segment("b", 2.8, 3.4, "right")], tmp_path)
    assert [Counter(shown(file[name])) for name in "ab"] == [{A: 85}, {A: 15}]


def test_small_faces_are_found(stage, shown, tmp_path):
    who, _ = people_of(stage, shown, tmp_path, lambda k: [(A, 1000, 0.35)], 5, ("whole",), width=1280)
    assert who["whole"] == [A] * 5


# --- everybody ----------------------------------------------------------------------


def follow(path, tmp_path, spans=((0.0, 100.0),), **options):
    """The segments of everybody, the face file, and how many were seen too shortly."""
    given = [segment(f"{k:08d}", *span) for k, span in enumerate(spans)]
    found, forgotten = write_everybody(path, given, tmp_path / "faces.h5", **options)
    return found, FaceFile(tmp_path / "faces.h5"), forgotten


def test_three_people_and_who_comes_and_goes(stage, shown, tmp_path):
    """A and B stay, C comes late and is lost for a moment; B leaves for three seconds and sits down again."""

    def place(k):
        third = [(C, 360, 0.8)] * (25 <= k < 60 or k >= 70)
        return [(A, 120, 0.8), *third, *[(B, 600, 0.8)] * (k < 30 or k >= 105)]

    found, file, forgotten = follow(stage(place, 140), tmp_path)
    assert [s.speaker for s in found] == ["person 1", "person 2", "person 3"]
    assert forgotten == 0
    who = [shown(file[s.segment_id]) for s in found]
    assert who[0] == [A] * 140
    assert (who[1][:30], who[1][30:105], who[1][-20:]) == ([B] * 30, [OTHER_FACE] * 75, [B] * 20)
    assert set(who[2][:25]) == {NO_FACE}
    assert set(who[2][38:60]) == {C}, "within half a second of her coming"
    assert set(who[2][25:38]) <= {C, NO_FACE}
    assert who[2][-50:] == [C] * 50


def test_cuts_and_short_looks(stage, shown, tmp_path):
    """Three shots: A and B; C for less than a second; B alone, elsewhere in the picture, who is known by her looks."""

    def place(k):
        return [(A, 150, 0.8), (B, 570, 0.8)] if k < 40 else [(C, 300, 1)] if k < 58 else [(B, 200, 0.9)]

    def levels(k):
        return (60, 120, 140) if k < 40 else (15, 20, 10) if k < 58 else (220, 180, 150)

    found, file, forgotten = follow(stage(place, 100, levels=levels), tmp_path)
    assert len(found) == 2
    assert forgotten == 1
    assert shown(file[found[0].segment_id]) == [A] * 40 + [OTHER_FACE] * 60
    assert shown(file[found[1].segment_id]) == [B] * 40 + [OTHER_FACE] * 18 + [B] * 42


def test_a_person_is_the_same_in_every_stretch_and_stretches_may_overlap(stage, shown, tmp_path):
    path = stage(lambda k: [(A, 120, 0.8), (C, 360, 0.8), (B, 600, 0.8)], 100)
    found, file, _ = follow(path, tmp_path, spans=[(0.0, 1.0), (0.5, 1.5), (3.0, 4.0)], sample_rate_hz=12.5)
    assert [s.speaker for s in found] == [f"person {k}" for k in (1, 1, 1, 2, 2, 2, 3, 3, 3)]
    assert [(s.start_s, s.end_s) for s in found[:3]] == [(0.0, 1.0), (0.5, 1.5), (3.0, 4.0)]
    for s, name in zip(found, [A] * 3 + [C] * 3 + [B] * 3, strict=True):
        assert set(shown(file[s.segment_id])) == {name}
    x = [file[s.segment_id].landmarks[:, 2, 0].mean() for s in found[::3]]
    assert x == pytest.approx([120, 360, 600], abs=40)
    before = turns_before(found, 5)  # as a model with dialog context hears a person: each stretch once, and only theirs
    for own in (found[:3], found[3:6], found[6:]):
        assert [before[s.segment_id] for s in own] == [[], own[:1], [own[1], own[0]]]


def test_every_model_is_closed(stage, tmp_path, models):
    """At each cut people are lost, and some are known again in the same picture."""
    path = stage(lambda k: [(A, 150, 0.8), (B, 570, 0.8)], 150, levels=lambda k: (60, 15, 220, 30, 120)[k // 30])
    found, _, _ = follow(path, tmp_path)
    opened, closed = models
    assert len(opened) > 1
    assert len(found) > 1
    assert (len(closed), set(closed)) == (len(opened), set(opened))


def test_nobody(tmp_path):
    write_clip(tmp_path / "grey.mp4", [np.full((96, 160, 3), 90 + k % 9, np.uint8) for k in range(30)],
               [k / FPS for k in range(30)])  # fmt: skip
    found, file, forgotten = follow(tmp_path / "grey.mp4", tmp_path)
    assert ([s.speaker for s in found], forgotten) == (["00000000"], 0)
    assert not file["00000000"].valid.any()
    assert len(file["00000000"]) == 30


@pytest.mark.parametrize("seen", [True, False])
def test_everybody_is_told_what_the_film_lacks(shared, tmp_path, seen):
    """Four pictures lost their bytes before anybody was seen for long enough, and for a second there are none."""
    wall = [np.full((288, 200, 3), 90 + k % 9, np.uint8) for k in range(75)]
    pictures = grid_face(shared, A) if seen else wall
    times_s = np.r_[np.arange(50), np.arange(75, 100)] / FPS
    write_clip(tmp_path / "x.mp4", pictures, times_s)
    data = bytearray((tmp_path / "x.mp4").read_bytes())
    with av.open(str(tmp_path / "x.mp4")) as container:
        lost = [p for p in container.demux(video=0) if p.size][4:8]
        lost_s = [float(packet.pts * packet.time_base) for packet in lost]
    for packet in lost:
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    (tmp_path / "x.mp4").write_bytes(data)
    found, file, _ = follow(tmp_path / "x.mp4", tmp_path, spans=[(0.0, 1.98), (1.98, 4.0)])
    assert [s.speaker for s in found] == (["person 1"] * 2 if seen else ["00000000", "00000001"])
    early, late = (file[s.segment_id] for s in found)
    assert (early.remarks, late.remarks) == ((), ("no picture for 1.0 s in 1 hole",))
    at = early.time_s[:, 0]
    hurt = (at >= lost_s[0] - 0.01) & (at < 12 / FPS - 0.01)  # each twelfth picture needs no other
    assert (early.code[np.abs(at[:, None] - lost_s).min(axis=1) < 0.01] == DAMAGED).all()
    assert (early.code[~hurt] == (OK if seen else NO_FACE)).all()
    assert (late.code == (OK if seen else NO_FACE)).all()


# --- bad input -----------------------------------------------------------------------


def test_a_file_that_is_no_video(tmp_path):
    (tmp_path / "x.avi").write_text("not a video")
    for name, reason in (("x.avi", "video unreadable: not a media file"), ("y.avi", "video unreadable: no such file")):
        got = track(tmp_path / name, [segment("a"), segment("b")], tmp_path)
        assert len(got["a"]) == len(got["b"]) == 0
        assert got["a"].reason.startswith(reason)


def test_turns_around_the_end_of_the_video(shared, tmp_path):
    path = shared / "media" / "grid" / f"{A}.mpg"
    ends = [
        segment("over", 2.5, 4.2),
        segment("after", 5.0, 6.0),
        segment("between", 1.001, 1.03),
        segment("fine", 2, 3.04),
    ]
    got = track(path, ends, tmp_path)
    assert len(got["over"]) == 12
    assert got["over"].valid.all()
    assert got["over"].reason == "ends 1.2 s after the last frame"
    assert (len(got["after"]), len(got["between"])) == (0, 0)
    assert got["after"].reason.startswith("starts 2.0 s after the last frame")
    assert got["between"].reason == "no frame lies inside"
    assert got["fine"].reason == ""


def test_pictures_without_a_place_in_time_are_said(shared, tmp_path, monkeypatch):
    """They show while the film is decoded."""
    whole = Video.pictures

    def pictures(self, *arguments, **options):
        yield from whole(self, *arguments, **options)
        self.dropped = 3

    monkeypatch.setattr(Video, "pictures", pictures)
    clip = shared / "media" / "clips" / "single_face.mp4"
    got = track(clip, [segment(end_s=0.5)], tmp_path, sample_rate_hz=4)["a"]
    assert "3 pictures of the video have no place in time" in got.remarks


def test_frames_that_do_not_decode(shared, tmp_path):
    data = bytearray((shared / "media" / "clips" / "single_face.mp4").read_bytes())
    with av.open(str(shared / "media" / "clips" / "single_face.mp4")) as container:
        for packet in [p for p in container.demux(video=0) if p.size][40:50]:
            data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    (tmp_path / "damaged.mp4").write_bytes(data)
    got = track(tmp_path / "damaged.mp4", [segment(end_s=3.0)], tmp_path)["a"]
    assert len(got) == 72
    assert got.valid[:35].all()
    damaged = int((got.code == DAMAGED).sum())
    assert damaged > 0
    assert f"frame damaged in {damaged}" in got.reason


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pictures_that_show_damage_are_no_faces(shared, tmp_path, seed):
    import random

    ffmpeg("-t", 2, "-i", shared / "media/clips/WolfgangLanger_Pexels.mp4", "-c:v", "libx264", "-g", 24, "-an",
           "-pix_fmt", "yuv420p", tmp_path / "x.mp4")  # fmt: skip
    data, draw = bytearray((tmp_path / "x.mp4").read_bytes()), random.Random(seed)
    for _ in range(4):
        spot = draw.randrange(len(data) * 3 // 10, len(data) * 6 // 10)
        data[spot : spot + 40] = draw.randbytes(40)
    (tmp_path / "x.mp4").write_bytes(data)
    got = track(tmp_path / "x.mp4", [segment(end_s=2.0)], tmp_path)["a"]
    with av.open(str(tmp_path / "x.mp4")) as container:
        time_s = np.array([float(f.pts * f.time_base) for f in container.decode(video=0) if f.is_corrupt])
    flagged = np.isin(got.time_s[:, 0].round(3), time_s.round(3))
    assert flagged.any()
    assert not got.valid[flagged].any()
    assert (got.code[flagged] == DAMAGED).all()
    assert got.valid.mean() > 0.2, "what was not hurt is there"
    assert "frame damaged in" in got.reason


def test_a_film_that_was_cut_off_or_has_a_hole_says_so(shared, tmp_path):
    clip = shared / "media/clips/WolfgangLanger_Pexels.mp4"
    for name in ("x.avi", "x.ts"):
        ffmpeg("-t", 4, "-i", clip, "-c:v", "mpeg4" if name == "x.avi" else "libx264", "-g", 24, "-an", tmp_path / name)
    data = (tmp_path / "x.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) * 4 // 10])
    data = (tmp_path / "x.ts").read_bytes()
    first, last = (len(data) // 188 * n // 10 * 188 for n in (4, 7))
    (tmp_path / "hole.ts").write_bytes(data[:first] + data[last:])
    ends = [segment("early", 0.0, 0.5), segment("over", 0.5, 4.0)]
    cut = track(tmp_path / "cut.avi", ends, tmp_path)
    assert cut["early"].reason == ""
    assert "truncated: " in cut["over"].reason
    assert "of 4.0 s of pictures are there" in cut["over"].reason
    hole = track(tmp_path / "hole.ts", ends, tmp_path)
    assert hole["early"].reason == ""
    assert "no picture for" in hole["over"].reason
    assert hole["over"].time_s[:, 1].max() <= 4.01
    assert np.ptp(hole["over"].time_s, axis=1).max() < 0.1, "no frame lasts through the hole"


def test_oblong_pixels_show_the_same_face(shared, tmp_path):
    clip = shared / "media/clips/WolfgangLanger_Pexels.mp4"
    ffmpeg("-t", 1, "-i", clip, "-c:v", "libx264", "-crf", 12, "-an", tmp_path / "square.mp4")
    ffmpeg(
        "-t", 1, "-i", clip, "-vf", "scale=480:360,setsar=4/3", "-c:v", "libx264", "-crf", 12, "-an", tmp_path / "a.mp4"
    )
    ffmpeg(
        "-t", 1, "-i", clip, "-vf", "scale=640:270,setsar=3/4", "-c:v", "libx264", "-crf", 12, "-an", tmp_path / "b.mp4"
    )
    square, wide, high = (
        track(tmp_path / f"{n}.mp4", [segment()], tmp_path)["a"].crops() for n in ("square", "a", "b")
    )
    for crops in (wide, high):
        assert min(look(a) @ look(b) for a, b in zip(square, crops)) > 0.97


def test_another_size_of_picture_is_a_cut(shared, tmp_path):
    size = {"large.ts": ("720:576", 0), "small.ts": ("360:288", 3.08), "again.ts": ("720:576", 6.16)}
    for name, (scale, at_s) in size.items():
        ffmpeg("-i", shared / f"media/grid/{A}.mpg", "-an", "-vf", f"scale={scale},setsar=1", "-c:v", "mpeg2video",
               "-q:v", 2, "-output_ts_offset", at_s, tmp_path / name)  # fmt: skip
    (tmp_path / "x.ts").write_bytes(b"".join((tmp_path / name).read_bytes() for name in size))
    got = track(tmp_path / "x.ts", [segment(end_s=9.3)], tmp_path)["a"]
    assert len(got) == 225
    assert got.valid.mean() > 0.97
    widths = np.ptp(got.landmarks[got.valid][:, :, 0], axis=1)
    assert np.median(widths[:70]) == pytest.approx(2 * np.median(widths[80:140]), rel=0.05)
    assert np.median(widths[-70:]) == pytest.approx(np.median(widths[:70]), rel=0.05)


# --- the organisers' crops -----------------------------------------------------------


def test_the_middle_of_the_persons_half_is_taken_whatever_it_shows(tmp_path):
    ys, xs = np.mgrid[:480, :720]
    frames = [
        np.stack([xs * 255 / 719, ys * 255 / 479, np.full_like(xs, 9 * k)], -1).astype(np.uint8) for k in range(25)
    ]
    write_clip(tmp_path / "film.mp4", frames, np.arange(25) / FPS, pixels="yuv444p")
    write_clip(tmp_path / "small.mp4", [f[:96, :160] for f in frames], np.arange(25) / FPS, pixels="yuv444p")
    turns = [replace(segment(part, side="whole"), picture=part) for part in ("left_half", "right_half", "whole")]
    got = track(tmp_path / "film.mp4", turns, tmp_path, picture="half", sample_rate_hz=5)
    for part, left in (("left_half", 68), ("right_half", 428), ("whole", 248)):
        assert got[part].frame_index.tolist() == [0, 5, 10, 15, 20]
        assert got[part].valid.all()
        expected = np.stack([frames[k][128:352, left : left + 224] for k in (0, 5, 10, 15, 20)])
        assert np.abs(got[part].crops().astype(int) - expected).mean() < 3
    got = track(tmp_path / "small.mp4", turns[:1], tmp_path, picture="half")
    assert got["left_half"].crops().shape == (25, 224, 224, 3)


def test_organisers_crops_are_joined_by_number(tmp_path):
    write_clip(tmp_path / "v.mp4", [painted(k % 1000) for k in range(1010)], [k / FPS for k in range(1010)])
    folder = tmp_path / "cropped_aligned" / "v_left"
    folder.mkdir(parents=True)
    for frame in (0, 1, 5, 998, 999, 1000, 1009):
        picture = Image.fromarray(np.full((112, 112, 3), frame % 200, np.uint8))
        picture.save(folder / f"{frame + 1:05d}.jpg", quality=95)
    Image.fromarray(np.full((200, 224, 3), 77, np.uint8)).save(folder / "00008.jpg")
    (folder / "00010.jpg").write_text("no picture")
    (folder / ".DS_Store").write_text("litter")
    Image.fromarray(np.zeros((112, 112, 3), np.uint8)).save(folder / "02000.jpg")
    segments = [
        replace(segment(f"v_{side}", 0, 40.4, side), crops=f"cropped_aligned/v_{side}") for side in ("left", "right")
    ]
    got = track(tmp_path / "v.mp4", segments, tmp_path, root=tmp_path)
    left = got["v_left"]
    assert list(np.flatnonzero(left.valid)) == [0, 1, 5, 7, 998, 999, 1000, 1009]
    crops = left.crops()
    assert [int(crops[k, 50, 50, 0]) for k in (0, 1, 5, 7, 998, 1000)] == pytest.approx([0, 1, 5, 77, 198, 0], abs=2)
    assert left.code[9] == BAD_CROP
    assert "no crop supplied in 1001 of 1010 frames" in left.reason
    assert "crop unreadable in 1 of 1010 frames" in left.reason
    assert "1 crops have numbers beyond" in left.reason
    assert not got["v_right"].valid.any()
    assert len(got["v_right"]) == 1010
    assert got["v_right"].remarks == ("no folder cropped_aligned/v_right",)
    assert got["v_right"].reason == "no folder cropped_aligned/v_right; no crop supplied in 1010 of 1010 frames"


def test_command(shared, tmp_path):
    units = [Unit("c", f"media/grid/{A}.mpg"), Unit("s", f"media/grid/{B}.mpg")]
    half = Segment("s_M000", "s", "s", "1", None, 0, 0.4, picture="right_half")
    write_table(tmp_path / "units.tsv", units, Unit)
    write_table(tmp_path / "segments.tsv", [segment("c", 0, 0.4, unit="c"), half], Segment)

    def run(shard):
        out = tmp_path / f"{shard}.h5"
        arguments = ["--root", shared, "--tables", tmp_path, "--shard", shard, "--out", out]
        return CliRunner().invoke(faces, [str(a) for a in arguments]), out

    result, out = run("c")
    assert result.exit_code == 0
    assert FaceFile(out)["c"].valid.all()
    result, out = run("s")
    assert not FaceFile(out)["s_M000"].valid.any(), "half of a face in the right half of the picture"
    result, _ = run("nobody")
    assert isinstance(result.exception, InputError)


def test_five_points_ignore_blinks():
    plane = np.zeros(468, complex)
    plane[[33, 133]] = 0, 10 + 2j
    plane[[159, 145]] = 5 - 9j, 5 + 99j
    assert five_points(plane)[0] == 5 + 1j


# --- quick movements ------------------------------------------------------------------


MOVES = {  # pixels to the right and down in frame k of 50, of a face 140 pixels wide
    "a nod": lambda k: (0, 20 * (k % 4) * (1 if k % 8 < 4 else -1) if 15 <= k < 40 else 0),
    "a deep nod": lambda k: (0, 30 * (k % 4) * (1 if k % 8 < 4 else -1) if 15 <= k < 40 else 0),
    "a jump": lambda k: (0, -80 if k >= 25 else 0),
    "to the side": lambda k: (40 * (min(k - 15, 39 - k) if 15 <= k < 40 else 0) // 2, 0),
}


@pytest.fixture(scope="module")
def moving(shared, tmp_path_factory):
    """The landmarks of a person whose picture moves."""
    folder, background = tmp_path_factory.mktemp("moving"), np.full((576, 720, 3), (60, 120, 140), np.uint8)

    @cache
    def landmarks(person, move):
        frames = []
        for k in range(50):
            frames.append(background.copy())
            x, y = move(k)
            frames[-1][144 + y : 432 + y, 260 + x : 460 + x] = to_and_fro(grid_face(shared, person), k // 3)
        write_clip(folder / "film.mp4", frames, [k / FPS for k in range(50)])
        return track(folder / "film.mp4", [segment(end_s=2.0)], folder)["a"].landmarks

    return landmarks


def unmoved(k):
    return 0, 0


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("person", [A, C])
def test_the_mesh_does_not_slide_off_in_quick_movements(moving, name, person):
    """Truth: the same pictures without the movement, whose points are then shifted by it."""
    moved = moving(person, MOVES[name]) - np.array([MOVES[name](k) for k in range(50)])[:, None]
    off = np.linalg.norm(moved - moving(person, unmoved), axis=2).mean(axis=1) / 140
    assert (off > 0.1).sum() <= 1, off.round(2)
    assert off.max() < 0.2, "before, a quarter of the frames were off by half a face"


def test_a_still_face_is_not_searched_again(shared, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        Detector, "find_in", lambda self, rgb, origin, run=Detector.find_in: asked.append(1) or run(self, rgb, origin)
    )
    track(shared / "media" / "grid" / f"{A}.mpg", [segment(end_s=3.0)], tmp_path)
    assert len(asked) <= 2, "of 75 frames: the detector costs as much as the mesh"


@pytest.mark.parametrize("where", ["a picture", "the file"])
def test_a_video_that_breaks_while_it_is_read_costs_only_itself(shared, tmp_path, monkeypatch, models, where):
    import av

    from pipeline import media
    from pipeline.picture import Converter

    good, bad = shared / "media" / "grid" / f"{A}.mpg", shared / "media" / "grid" / f"{B}.mpg"
    count, convert, order = [], Converter.rgb, media.in_order

    def failing(run, *given):
        count.append(1)
        if len(count) == 20:
            raise av.error.InvalidDataError(1, "Invalid argument")
        return run(*given)

    if where == "a picture":
        monkeypatch.setattr(Converter, "rgb", lambda *given: failing(convert, *given))
    else:
        monkeypatch.setattr(media, "in_order", lambda *given: (failing(lambda x: x, pair) for pair in order(*given)))
    write_faces([(bad, [segment("b", unit="b")]), (good, [segment("a", unit="a")])], tmp_path / "faces.h5")
    got = FaceFile(tmp_path / "faces.h5")
    assert got["a"].valid.all()
    if where == "a picture":
        assert got["b"].reason == "frame damaged in 1 of 25 frames"
    else:
        assert got["b"].valid.sum() == 19
        assert "video unreadable from somewhere on: cannot be decoded (Invalid argument)" in got["b"].reason
    opened, closed = models
    assert (len(opened), len(closed), set(closed)) == (3, 3, set(opened)), "one detector, and a tracker for each"
