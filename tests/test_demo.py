"""The demonstration corpora: layout, truth of what is written, and how much of the labels can be learned."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import signal

from pipeline.corpora.registry import make
from pipeline.corpora.resolve import frame_labels, with_ends
from pipeline.records import InputError
from workflow.demo import affwild2, command, iemocap, plan
from workflow.demo.affect import EMOTIONS, vocabulary
from workflow.demo.face import ACTIONS, Actor, weights_of
from workflow.demo.voice import Prosody, draw_voice, place, speak

ALL_FILMS = plan.FILMS
EYES = ((203.5, 101.0), (247.0, 102.8))  # of the portrait, in its pixels
SHORT = dict.fromkeys((*EMOTIONS, "xxx"), 1)  # eight turns in a session, four in a dialog


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    import cv2

    cv2.setNumThreads(1)


@pytest.fixture(scope="module")
def short():
    """Dialogs of four turns instead of 23."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(iemocap, "DECK", SHORT)
        yield patch


@pytest.fixture(scope="module")
def dialog(short, tmp_path_factory):
    """A tree with one short dialog, and its plan."""
    root = tmp_path_factory.mktemp("demo") / "IEMOCAP_full_release"
    name = "Ses03M_script01_1"
    iemocap.write_dialog(root, 0, name)
    return root, name, iemocap.plan_dialog(0, name)


@pytest.fixture(scope="module")
def mesh():
    """Landmarks (468, 2) in pixels of the face in an RGB picture, or None."""
    import mediapipe

    found = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True)

    def look(picture):
        faces = found.process(np.ascontiguousarray(picture)).multi_face_landmarks
        size = picture.shape[1::-1]
        return np.array([(p.x, p.y) for p in faces[0].landmark[:468]]) * size if faces else None

    yield look
    found.close()


def frames_of(path, step=1):
    import av

    with av.open(str(path)) as container:
        for n, frame in enumerate(container.decode(video=0)):
            if n % step == 0:
                yield frame.time, frame.to_ndarray(format="rgb24")


def files_below(root, *suffixes):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.suffix in suffixes}


# --- what is planned


def test_names_are_known_without_heavy_libraries():
    heavy = "numpy|cv2|av|torch|scipy|skimage|mediapipe|pandas"
    code = "import sys; from workflow.demo import plan; plan.UNITS['iemocap']; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not [m for m in loaded if re.fullmatch(heavy, m)]


def test_turns_and_labels():
    turns = {name: iemocap.plan_dialog(0, name) for name in plan.UNITS["iemocap"]}
    labels = Counter(t.label for those in turns.values() for t in those)
    assert sum(labels[e] for e in EMOTIONS) >= 140
    assert min(labels[e] for e in EMOTIONS) >= 20
    assert labels["xxx"] == 5
    assert labels["oth"] == 1
    for session in plan.SESSIONS:
        inside = {t.label for name in plan.dialogs(session) for t in turns[name]}
        assert inside >= set(EMOTIONS)
    for those in turns.values():
        assert {t.letter for t in those} == {"F", "M"}
        assert all(0.8 < t.end_s - t.start_s < 4 for t in those)
        assert those[-1].end_s < 40
    pairs = [(a, b) for those in turns.values() for a, b in pairwise(those)]
    overlapping = [(a, b) for a, b in pairs if b.start_s < a.end_s]
    assert 5 <= len(overlapping) <= 50
    assert all(a.letter != b.letter for a, b in overlapping)


def test_another_seed_is_another_corpus():
    name = "Ses01F_impro01"
    assert iemocap.plan_dialog(0, name) == iemocap.plan_dialog(0, name)
    assert iemocap.plan_dialog(0, name) != iemocap.plan_dialog(1, name)


# --- IEMOCAP on disk


def test_the_reader_finds_what_was_planned(dialog):
    root, name, turns = dialog
    found = make("iemocap", "iemocap", root).index()
    segments, labels = ({row.segment_id: row for row in rows} for rows in (found.segments, found.labels))
    assert [u.unit_id for u in found.units] == [name]
    assert set(segments) == set(labels) == {t.turn_id for t in turns}
    for turn in turns:
        segment, label = segments[turn.turn_id], labels[turn.turn_id]
        assert (label.label, segment.text, segment.session) == (turn.label, turn.text, "3")
        assert segment.speaker == f"Ses03{turn.letter}"
        assert (segment.picture, segment.side) == ("left_half" if turn.letter == "M" else "right_half", "whole")
        assert (segment.start_s, segment.end_s) == pytest.approx((turn.start_s, turn.end_s), abs=1e-4)
        assert label.numbers == dict(zip(("valence", "arousal", "dominance"), turn.dimensions))
        assert (root / segment.audio).is_file()
        assert (root / segment.alignment).is_file()


def test_evaluation_has_header_and_rater_lines(dialog):
    root, name, turns = dialog
    text = (root / f"Session3/dialog/EmoEvaluation/{name}.txt").read_text()
    header = r"^\[\d+\.\d{4} - \d+\.\d{4}\]\t\S+\t[a-z]{3}\t\[\d\.\d{4}, \d\.\d{4}, \d\.\d{4}\]$"
    assert len(re.findall(header, text, re.M)) == len(turns)
    assert len(re.findall(r"^C-E[124]:\t[A-Z][\w ]+;.*\t\(\)$", text, re.M)) == 3 * len(turns)
    assert len(re.findall(r"^C-[FM]1:\t", text, re.M)) == len(turns)
    assert len(re.findall(r"^A-(?:E1|E2|F1|M1):\tval [1-5]; act [1-5]; dom  [1-5];\t\(\)$", text, re.M)) == 3 * len(
        turns
    )


def test_the_film_is_that_of_the_corpus(dialog):
    import av

    root, name, turns = dialog
    with av.open(str(root / f"Session3/dialog/avi/DivX/{name}.avi")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.average_rate == Fraction(30_000, 1001)
        assert (video.codec_context.name, video.width, video.height) == ("mpeg4", 720, 480)
        assert audio.codec_context.name == "pcm_s16le"
        times_s = [frame.time for frame in container.decode(video=0)]
    assert np.allclose(times_s, np.arange(len(times_s)) * 1001 / 30_000, atol=1e-4)
    assert times_s[-1] > max(t.end_s for t in turns)


def test_alignment_agrees_with_times_and_with_what_is_heard(dialog):
    import soundfile

    root, name, turns = dialog
    for turn in turns:
        sound, rate_hz = soundfile.read(root / f"Session3/sentences/wav/{name}/{turn.turn_id}.wav")
        assert rate_hz == 16_000
        assert len(sound) / rate_hz == pytest.approx(turn.end_s - turn.start_s, abs=1e-6)
        lines = (root / f"Session3/sentences/ForcedAlignment/{name}/{turn.turn_id}.wdseg").read_text().splitlines()
        assert lines[0].split() == ["SFrm", "EFrm", "SegAScr", "Word"]
        assert lines[-1].startswith(" Total score:")
        rows = [(int(a), int(b), word) for a, b, _, word in map(str.split, lines[1:-1])]
        assert (rows[0][2], rows[-1][2]) == ("<s>", "</s>")
        assert rows[0][0] == 0
        assert all(b[0] == a[1] + 1 for a, b in pairwise(rows))  # no gap, no overlap
        assert (rows[-1][1] + 1) * 0.01 == pytest.approx(len(sound) / rate_hz, abs=0.011)
        spoken = " ".join(word for *_, word in rows if word not in ("<s>", "<sil>", "</s>"))
        assert spoken == turn.text.rstrip(".").upper()

        def level(first, last, sound=sound):
            return np.sqrt(np.mean(sound[first * 160 + 320 : (last + 1) * 160 - 320] ** 2))  # without the edges

        words = [level(a, b) for a, b, word in rows if not word.startswith("<")]
        silences = [level(a, b) for a, b, word in rows if word in ("<s>", "</s>")]
        assert min(words) > 3 * max(silences)


def test_the_dialog_holds_the_turns_at_their_times(dialog):
    import av
    import soundfile

    root, name, turns = dialog
    whole, _ = soundfile.read(root / f"Session3/dialog/wav/{name}.wav")
    with av.open(str(root / f"Session3/dialog/avi/DivX/{name}.avi")) as container:
        film = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)]) / 32768
    for turn in turns:
        own, _ = soundfile.read(root / f"Session3/sentences/wav/{name}/{turn.turn_id}.wav")
        begin = round(turn.start_s * 16_000)
        for track in (whole, film):
            assert np.corrcoef(track[begin : begin + len(own)], own)[0, 1] > 0.7  # others may speak at the same time


def test_faces_are_found_in_both_halves(dialog):
    import mediapipe

    root, name, _ = dialog
    found = [0, 0]
    trackers = [mediapipe.solutions.face_mesh.FaceMesh() for _ in range(2)]
    pictures = [p for _, p in frames_of(root / f"Session3/dialog/avi/DivX/{name}.avi", step=3)]
    for picture in pictures:
        for side, tracker in enumerate(trackers):
            half = np.ascontiguousarray(picture[:, 360 * side : 360 * (side + 1)])
            found[side] += tracker.process(half).multi_face_landmarks is not None
    for tracker in trackers:
        tracker.close()
    assert min(found) > 0.95 * len(pictures)


def test_who_speaks_moves_the_lips_on_the_right_side(dialog):
    root, name, turns = dialog
    times_s, pictures = zip(*frames_of(root / f"Session3/dialog/avi/DivX/{name}.avi", step=2))
    mouths = np.stack([p[200:300].reshape(100, 2, 360, 3)[:, :, 90:280].mean(-1) for p in pictures])
    motion = np.abs(np.diff(mouths.astype(float), axis=0)).mean((1, 3))  # (N - 1, left and right)
    middle_s = (np.array(times_s[1:]) + times_s[:-1]) / 2
    speaking = {x: np.zeros(len(middle_s), bool) for x in "FM"}
    for turn in turns:
        speaking[turn.letter] |= (middle_s >= turn.start_s) & (middle_s < turn.end_s)
    for side, letter in enumerate("MF"):  # the dialog is named after the man: he sits left
        partner = "F" if letter == "M" else "M"
        own, other = speaking[letter] & ~speaking[partner], speaking[partner] & ~speaking[letter]
        assert motion[own, side].mean() > 1.3 * motion[other, side].mean()


def test_same_seed_same_bytes(short, tmp_path):
    short.setattr(iemocap, "write_film", lambda *args, **kwargs: None)
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        iemocap.write_dialog(tmp_path / folder, seed, "Ses01F_impro01")
    a, b, c = (files_below(tmp_path / x, ".txt", ".wav", ".wdseg") for x in "abc")
    assert len(a) >= 3 + 2 * 4
    assert a == b
    of_both = a.keys() & c.keys()
    assert of_both
    assert not [name for name in of_both if a[name] == c[name]]


def test_same_film_same_bytes(tmp_path):
    from workflow.demo.film import write_film

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (12, 48, 64, 3), dtype=np.uint8)
    sound = 0.1 * rng.normal(size=8000)
    for suffix in (".avi", ".mp4"):
        for name in "ab":
            write_film(tmp_path / f"{name}{suffix}", pictures, np.arange(12), Fraction(25), sound)
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


# --- faces and voices


@pytest.mark.parametrize("letter", ["F", "M"])
def test_actions_move_the_landmarks_they_name(letter, mesh):
    actor = Actor(np.random.default_rng(5), iemocap.HALF, letter)

    def points(**expression):
        found = mesh(actor.frame(weights_of(expression))[..., ::-1])
        return found / np.linalg.norm(found[33] - found[263])  # in distances between the outer corners of the eyes

    def width(p):
        return np.linalg.norm(p[61] - p[291])

    def corners(p):  # how far the corners of the mouth are above its middle
        return p[13, 1] - p[[61, 291], 1].mean()

    def opening(p):
        return np.linalg.norm(p[13] - p[14])

    def brows(p):  # how far their inner ends are above the inner corners of the eyes
        return p[[133, 362], 1].mean() - p[[55, 285], 1].mean()

    rest = points()
    assert width(points(smile=0.8, stretch=0.6)) > 1.08 * width(rest)
    assert corners(points(smile=0.8)) - 0.02 > corners(rest) > corners(points(smile=-0.8)) + 0.02
    assert opening(points(jaw=0.7)) > opening(rest) + 0.08
    assert brows(points(brow_inner=0.9)) - 0.01 > brows(rest) > brows(points(brow_lower=0.9)) + 0.01
    turned = points(turn=1.0)
    assert not np.allclose(turned[1] - turned[33], rest[1] - rest[33], atol=0.02)


def test_people_differ_and_eyes_are_where_they_should_be(mesh):
    actors = [Actor(plan.random(0, "face", s, x), iemocap.HALF, x) for s in plan.SESSIONS for x in "FM"]
    faces = [a.frame(np.zeros(len(ACTIONS), np.float32))[..., ::-1] for a in actors]
    small = [f[::8, ::8].astype(float).ravel() for f in faces]
    distance = [np.abs(a - b).mean() for n, a in enumerate(small) for b in small[:n]]
    assert min(distance) > 4
    scale = iemocap.HALF.scale
    want = [(np.array(eye) - (iemocap.HALF.x, iemocap.HALF.y)) * scale for eye in EYES]
    for face in faces:
        found = mesh(face)
        eyes = [found[[33, 133]].mean(0), found[[362, 263]].mean(0)]
        assert np.linalg.norm(np.subtract(eyes, want), axis=1).max() < 12


@pytest.mark.parametrize("letter", ["F", "M"])
def test_the_voice_does_what_the_prosody_says(letter):
    rng = np.random.default_rng(3)
    voice = draw_voice(rng, letter)
    words = ["i", "never", "wanted", "any", "of", "this", "you", "know"]

    def say(prosody):
        return speak(*place(words, prosody.tempo, np.random.default_rng(1)), voice, prosody, np.random.default_rng(2))

    def pitch_hz(sound):
        """Of most 64 ms that are loud: the period after which each is most like itself."""
        frames = np.lib.stride_tricks.sliding_window_view(sound, 1024)[::160]
        frames = frames[frames.std(1) > frames.std(1).max() / 4]
        alike = np.fft.irfft(np.abs(np.fft.rfft(frames - frames.mean(1, keepdims=True), 2048)) ** 2)
        shortest, longest = 16_000 // 600, 16_000 // 60
        return 16_000 / np.median(shortest + alike[:, shortest:longest].argmax(1))

    def tilt_db(sound):
        hz, power = signal.welch(sound, 16_000, nperseg=512)
        return 10 * np.log10(power[(hz > 1000) & (hz < 4000)].sum() / power[hz < 1000].sum())

    calm, roused = say(Prosody()), say(Prosody(pitch=4, level=6, brightness=0.9, tempo=1.2))
    assert pitch_hz(calm) == pytest.approx(voice.pitch_hz, rel=0.15)
    assert pitch_hz(roused) / pitch_hz(calm) == pytest.approx(2 ** (4 / 12), rel=0.06)
    assert 20 * np.log10(np.std(roused) / np.std(calm)) == pytest.approx(6, abs=1)
    assert tilt_db(say(Prosody(brightness=0.9))) > tilt_db(calm) + 3 > tilt_db(say(Prosody(brightness=-0.9))) + 6
    assert len(roused) < 0.9 * len(calm)
    assert max(np.abs(calm).max(), np.abs(roused).max()) < 0.99
    assert {"F": 165, "M": 90}[letter] < voice.pitch_hz < {"F": 240, "M": 140}[letter]


# --- how much can be learned


@pytest.fixture(scope="module")
def probes(tmp_path_factory):
    """Log-probabilities of a linear probe for each modality, leave one session out, and the labels."""
    import cv2
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer

    from pipeline.features.command import build
    from pipeline.features.piece import FacePiece
    from workflow.demo.checkpoints import write_checkpoint

    folder = tmp_path_factory.mktemp("weights")
    for kind in ("wav2vec2", "bert", "onnx"):
        write_checkpoint(kind, folder / kind)
    nets = {kind: AutoModel.from_pretrained(folder / kind).eval() for kind in ("wav2vec2", "bert")}
    hear = AutoFeatureExtractor.from_pretrained(folder / "wav2vec2")
    read = AutoTokenizer.from_pretrained(folder / "bert")
    see, _ = build("onnx_image", {"output": "penultimate"}, folder / "onnx", "cpu")
    eyes = np.float32(EYES)
    turns = [(int(n[3:5]), t) for n in plan.UNITS["iemocap"] for t in iemocap.plan_dialog(0, n) if t.label in EMOTIONS]
    actors = {(s, x): Actor(plan.random(0, "face", s, x), iemocap.HALF, x) for s in plan.SESSIONS for x in "FM"}
    voices = {(s, x): draw_voice(plan.random(0, "voice", s, x), x) for s in plan.SESSIONS for x in "FM"}
    rows = {"audio": [], "video": [], "text": []}
    with torch.inference_mode():
        for session, turn in turns:
            sound = speak(
                turn.words, turn.frames, voices[session, turn.letter], turn.prosody, plan.random(0, turn.turn_id)
            )
            heard = nets["wav2vec2"](**hear(sound.astype(np.float32), sampling_rate=16_000, return_tensors="pt"))
            rows["audio"].append(torch.cat(torch.std_mean(heard.last_hidden_state[0], 0)).numpy())
            text = nets["bert"](**read(turn.text, return_tensors="pt"), output_hidden_states=True)
            rows["text"].append(sum(text.hidden_states[-4:])[0, 1:-1].mean(0).numpy())
            actor = actors[session, turn.letter]
            picture = actor.frame(weights_of(turn.expression))[..., ::-1]
            places = (eyes - (iemocap.HALF.x, iemocap.HALF.y)) * iemocap.HALF.scale
            to_crop = cv2.getAffineTransform(
                np.float32([*places, places.mean(0) + (0, 80)]), np.float32([(38, 52), (74, 52), (56, 89)])
            )
            crop = cv2.warpAffine(np.ascontiguousarray(picture), to_crop, (112, 112))
            face = FacePiece("", crop[None], np.array([[0.0, 0.1]]), np.ones(1, bool), np.zeros((1, 5, 2)), None)
            rows["video"].append(see.extract([face])[0].values[0])
    labels, sessions = np.array([t.label for _, t in turns]), np.array([s for s, _ in turns])
    scores = {}
    for modality, values in rows.items():
        values, scores[modality] = np.array(values), np.zeros((len(labels), len(EMOTIONS)))
        for session in plan.SESSIONS:
            test = sessions == session
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000, class_weight="balanced"))
            probe.fit(values[~test], labels[~test])
            scores[modality][test] = probe.predict_log_proba(values[test])
    return scores, labels


def test_words_tell_the_emotion_and_voice_and_face_a_part_of_it(probes):
    from sklearn.metrics import balanced_accuracy_score

    scores, labels = probes
    classes = np.unique(labels)

    def accuracy(*modalities):
        return balanced_accuracy_score(labels, classes[sum(scores[m] for m in modalities).argmax(1)])

    alone = {m: accuracy(m) for m in scores}
    assert alone["text"] > 0.95
    assert all(0.28 < alone[m] < 0.75 for m in ("audio", "video")), alone  # chance is 0.14
    assert accuracy("audio", "video") < 0.75, "who does not read the words is worse"


# --- checkpoints


def test_checkpoints_are_small_and_repeat_byte_for_byte(tmp_path):
    from workflow.demo.checkpoints import KINDS, write_checkpoint

    for kind in KINDS:
        for name in "ab":
            write_checkpoint(kind, tmp_path / name / kind)
    a, b = (files_below(tmp_path / x, ".safetensors", ".json", ".txt", ".onnx") for x in "ab")
    assert a == b
    assert {name.split("/")[1] for name in a} >= {"model.safetensors", "config.json", "weights.json"}
    assert max(map(len, a.values())) < 2_000_000


def test_the_tokenizer_spells_every_word(tmp_path):
    from transformers import AutoTokenizer

    from workflow.demo.checkpoints import write_checkpoint

    write_checkpoint("bert", tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert all(tokenizer.tokenize(word) == [word] for word in vocabulary())
    for text in (
        "Xylophones, quizzically!",
        "don't you've 3.14159",
        "naïve Café",
        "pneumonoultramicroscopic?",
        "a@b #7",
    ):
        assert tokenizer.unk_token not in tokenizer.tokenize(text), text
    assert tokenizer.tokenize("walking") == ["w", *(f"##{letter}" for letter in "alking")]


# --- Aff-Wild2


@pytest.fixture(scope="module")
def films():
    """The same films, eight seconds each."""
    with pytest.MonkeyPatch.context() as patch:
        cut = {n: replace(f, seconds=8, away_s=f.away_s and (3.0, 4.0)) for n, f in ALL_FILMS.items()}
        patch.setattr(affwild2, "FILMS", cut)
        yield cut


@pytest.fixture(scope="module")
def wild(films, tmp_path_factory):
    """A tree with one of each kind: two people, late and early sound, variable rate, a row fewer, a cut, no labels."""
    root = tmp_path_factory.mktemp("demo") / "AffWild2"
    for name in ("video7", "16-30-320x240", "257", "233", "131", "12-24-320x240", "301", "199"):
        affwild2.write_video(root, 0, name)
    return root


def test_films_are_many_and_various():
    films = ALL_FILMS.values()
    assert len(films) >= 24
    assert all(8 <= f.seconds <= 30 for f in films)
    assert sum(f.seconds for f in films) < 4 * 60
    assert {f.frame_rate for f in films} == {24, 25, 30}
    assert {len(f.people) for f in films} == {1, 2}
    assert {f.transcript for f in films} == {None, ".tsv", ".vtt", ".srt"}
    assert plan.UNITS["affwild2"] == sorted(f.name for f in films)


def test_the_reader_finds_people_parts_and_rows(wild, films):
    corpus = make("affwild2", "affwild2", wild)
    found = with_ends(wild, corpus.index())
    segments = {s.segment_id: s for s in found.segments}
    assert {s: segments[s].side for s in ("video7_left", "video7_right", "131")} == {
        "video7_left": "left", "video7_right": "right", "131": "whole"
    }  # fmt: skip
    assert (segments["257"].part, segments["131"].part, segments["301"].part) == ("validation", "train", "test")
    assert found.findings == []
    labels = dict(frame_labels(corpus, found.units, found.segments, found.findings))
    assert set(labels) == set(segments)
    reasons = {f.segment: f.reason for f in found.findings}
    assert set(reasons) == {"131", "301"}
    assert "199 rows for 200 frames" in reasons["131"]


GROUPS = ("unit_id", "speaker", "session", "part", "dialog", "scenario", "style")


def grouped(segments, units):
    return {tuple(getattr(s, name) for name in GROUPS) for s in segments if s.unit_id in units}


def test_what_is_planned_has_the_groups_that_are_read(dialog, wild):
    """Folds are counted on the plan, before there is a corpus to read."""
    for corpus, root in (("iemocap", dialog[0]), ("affwild2", wild)):
        read, planned = make(corpus, corpus, root).index(), plan.planned(corpus)
        units = {u.unit_id for u in read.units}
        assert [u.unit_id for u in planned.units] == plan.UNITS[corpus]
        assert {s.unit_id for s in planned.segments} == set(plan.UNITS[corpus])
        assert grouped(read.segments, units) == grouped(planned.segments, units)


def test_rows_of_frames_with_nobody_are_unlabelled(wild, films):
    film = films["12-24-320x240"]
    lines = (wild / f"annotations/VA_Estimation_Challenge/Train_Set/{film.name}.txt").read_text().split()
    assert lines[0] == "valence,arousal"
    rows = np.array([[float(v) for v in line.split(",")] for line in lines[1:]])
    assert len(rows) == film.seconds * film.frame_rate
    bad = (rows == -5).any(1)
    assert bad[3 * 24 : 4 * 24].all()
    assert {line for line, b in zip(lines[1:], bad) if b} == set(affwild2.UNLABELLED)
    assert np.abs(rows[~bad]).max() <= 1


def test_time_stamps_of_pictures_and_sound(wild, films):
    import av

    def stamps(name):
        film = films[name]
        with av.open(str(wild / "videos" / film.folder / f"{name}{film.suffix}")) as container:
            video = np.array([f.time for f in container.decode(video=0)])
        with av.open(str(wild / "videos" / film.folder / f"{name}{film.suffix}")) as container:
            heard = [(f.time, np.abs(f.to_ndarray()).max()) for f in container.decode(audio=0)]
        return video, heard

    video, heard = stamps("257")
    assert (video[0], heard[0][0]) == pytest.approx((0.4, 0.0), abs=0.001)
    video, heard = stamps("16-30-320x240")
    assert video[0] == 0
    assert min(time for time, level in heard if level > 0.005) == pytest.approx(0.7, abs=0.2)
    assert len(np.unique(np.diff(video).round(3))) == 1
    video, _ = stamps("233")
    rows = (wild / "annotations/VA_Estimation_Challenge/Validation_Set/233.txt").read_text().split()[1:]
    assert len(rows) == len(video) < 8 * 30
    assert np.ptp(np.diff(video)) > 0.03


def test_transcripts_are_read_and_hold_what_is_said(wild, films):
    from pipeline.corpora.transcripts import find_transcript
    from pipeline.words.place import read_transcript

    for name in ("video7", "199"):
        film = films[name]
        people = affwild2.plan_people(0, film)
        said = [word for line in affwild2.plan_lines(0, film, people) for word, _, _ in line.words]
        words = read_transcript(find_transcript(wild, f"videos/{film.folder}/{name}{film.suffix}"))
        assert [w.word.lower() for w in words] == said
        assert all(0 <= w.start_s < w.end_s <= film.seconds for w in words)
        if name == "video7":
            assert {w.segment_id for w in words} <= {"video7_left", "video7_right"}


def test_valence_is_seen(mesh):
    film = ALL_FILMS["199"]
    subject = affwild2.plan_people(0, film)[0]
    time_s = np.arange(0, 28, 0.5)
    corners = []
    for picture in affwild2.pictures(0, film, [subject], np.zeros((1, 30 * 16_000)), time_s):
        p = mesh(picture[..., ::-1])
        corners.append((p[13, 1] - p[[61, 291], 1].mean()) / np.linalg.norm(p[33] - p[263]))
    assert np.corrcoef(corners, subject.valence[(time_s * 100).astype(int)])[0, 1] > 0.6


def test_arousal_is_heard():
    level_db, arousal = [], []
    for name in ("105", "131", "199", "211", "226-24-320x240", "268-30-320x240"):
        film = ALL_FILMS[name]
        people = affwild2.plan_people(0, film)
        lines = affwild2.plan_lines(0, film, people)
        voice = affwild2.voice_tracks(0, film, people, lines)[0]
        for line in lines:
            begin, end = round(line.start_s * 16_000), round((line.start_s + line.frames * 0.01) * 16_000)
            level_db.append(20 * np.log10(np.std(voice[begin:end])))
            arousal.append(people[0].arousal[begin // 160 : end // 160].mean())
    assert np.corrcoef(level_db, arousal)[0, 1] > 0.5


# --- the commands


@pytest.fixture
def quick(monkeypatch):
    """Two units that take no time."""
    monkeypatch.setattr(command, "UNITS", {"iemocap": ["a", "b"]})
    monkeypatch.setattr(command, "write_unit", lambda corpus, root, seed, unit: (root / unit).write_text(str(seed)))
    return monkeypatch


def invoke(*args):
    return CliRunner().invoke(command.demo_corpus, [str(a) for a in args], catch_exceptions=True)


def test_the_command_leaves_what_is_there_alone(quick, tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    assert invoke("--corpus", "iemocap", "--out", own, "--seed", 1, "--workers", 1).exit_code == 0
    assert (own / "a").read_text() == (own / "b").read_text() == "1"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    for folder in (own, other):
        result = invoke("--corpus", "iemocap", "--out", folder, "--workers", 1)
        assert isinstance(result.exception, InputError)
        assert "is there already" in str(result.exception)
    assert (other / "thesis.tex").read_text() == "years of work"


def test_a_failed_run_leaves_nothing_behind(quick, tmp_path):
    def fail(corpus, root, seed, unit):
        (root / unit).write_text("half")
        raise OSError("disk full")

    quick.setattr(command, "write_unit", fail)
    assert invoke("--corpus", "iemocap", "--out", tmp_path / "x", "--workers", 1).exception
    assert list(tmp_path.iterdir()) == []
