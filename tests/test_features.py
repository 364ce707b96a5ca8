"""The driver: pieces, batches, order, masks, checks, provenance, and the two command lines around it."""

import json
import weakref
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline import weights
from pipeline.audio_file import AudioWriter
from pipeline.crops import FaceWriter
from pipeline.features import command, pieces, run
from pipeline.features.base import Cut, Extractor
from pipeline.features.command import build
from pipeline.features.pieces import Job, read_pieces
from pipeline.features.run import length_batches, write_store
from pipeline.records import InputError, Segment, Word, write_table
from pipeline.store import FeatureStore, Rows

RATE = 16_000
SEGMENTS = {"u1": {"u1_b": (2.0, 5.3), "u1_a": (0.5, 1.25)}, "u2": {"u2_a": (10.0, 10.4), "u2_silent": (1.0, 2.0)}}


def sound(seconds, seed):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


@pytest.fixture
def results(tmp_path):
    """Two units with sound, faces and words; u2_silent has none of them, u1_b sound in its first second only."""
    table = []
    for unit, segments in SEGMENTS.items():
        spans = {s: (start, round((end - start) * RATE)) for s, (start, end) in segments.items()}
        with AudioWriter(tmp_path / "audio" / f"{unit}.h5", spans) as writer:
            for s, (start, count) in spans.items():
                if s != "u2_silent":
                    writer.write(s, 0, sound(count / RATE, len(s)))
                    end = start + (1.0 if s == "u1_b" else count / RATE)
                    writer.describe(s, "video", (start, end))
        frames = {s: np.arange(start, end, 0.1) for s, (start, end) in segments.items()}
        plan = {s: (np.stack([t, t + 0.1], axis=1), np.arange(len(t))) for s, t in frames.items()}
        with FaceWriter(tmp_path / "faces" / f"{unit}.h5", plan) as writer:
            for s, times in frames.items():
                for row in range(0 if s == "u2_silent" else len(times)):
                    if row % 3 != 2:
                        writer.found(s, row, picture(row), mesh=np.full((468, 3), row))
        words = [
            Word(f"w{i}", start + 0.1 * i, start + 0.1 * i + 0.08, "test", s)
            for s, (start, _) in segments.items()
            if s != "u2_silent"
            for i in range(3)
        ]
        write_table(tmp_path / "words" / f"{unit}.tsv", words, Word)
        table += [Segment(s, unit, "who", "1", None, *span) for s, span in segments.items()]
    write_table(tmp_path / "segments.tsv", table, Segment)
    return tmp_path


def picture(row):
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.full((112, 112, 3), 10 * row, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def features(results, *options, name="mfcc", kind="mfcc", shards=("u1", "u2"), out="shards/0.h5", **table):
    arguments = ["--corpus", "test", "--name", name, "--extractor", kind, "--options", json.dumps(table)]
    arguments += ["--results", str(results), "--device", "cpu", "--out", str(results / out), *options]
    for shard in shards:
        arguments += ["--shard", shard]
    CliRunner().invoke(command.features, arguments, catch_exceptions=False, standalone_mode=False)
    return FeatureStore(results / out)


class Mean(Extractor):
    """One row of mean and deviation for each tenth of a second of sound, frame, or word."""

    modality = "audio"

    def extract(self, batch):
        found = []
        for piece in batch:
            windows = piece.windows(0.1, 0.1)
            found.append(piece.rows(np.stack([windows.mean(axis=1), windows.std(axis=1)], axis=1), 0.1, 0.1))
        return found


def attributes(**changed):
    base = {
        "corpus": "test", "name": "x", "modality": "audio", "extractor": "x", "extractor_version": "1", "config": {},
        "weights": {}, "software": {}, "inputs": "", "demonstration": False,
    }  # fmt: skip
    return {**base, **changed}


def segments_of(results, *ids):
    from pipeline.records import read_table

    return sorted(
        (s for s in read_table(results / "segments.tsv", Segment) if not ids or s.segment_id in ids),
        key=lambda s: s.segment_id,
    )


def test_store_holds_every_segment_in_order_with_its_rows(results, librosa):
    store = features(results)
    assert store.segment_ids == ["u1_a", "u1_b", "u2_a", "u2_silent"]
    assert len(store["u2_silent"]) == 0
    power = librosa.feature.melspectrogram(
        y=sound(0.75, 4), sr=RATE, n_fft=400, hop_length=160, center=False, n_mels=64, htk=True, norm=None, fmax=8000
    )
    expected = librosa.feature.mfcc(S=np.log(power + 1e-6), n_mfcc=40, norm="ortho").T
    np.testing.assert_allclose(store["u1_a"].values[:, :40], expected, atol=2e-3)
    np.testing.assert_allclose(store["u1_a"].time_s[:, 0], 0.5 + 0.01 * np.arange(73))


def test_rows_beyond_what_was_recorded_are_invalid(results):
    rows = features(results)["u1_b"]
    centre = rows.time_s.mean(axis=1)
    assert np.array_equal(rows.valid, centre < 3.0)
    assert not rows.values[~rows.valid].any()


def test_store_says_how_to_make_it_again(results):
    store = features(results, "--demonstration", coefficients=13)
    told = store.attributes
    assert (told["corpus"], told["name"]) == ("test", "mfcc")
    assert told["modality"] == "audio"
    assert told["demonstration"] is True
    assert told["config"] == {
        "dtype": "float32", "coefficients": 13, "mel_bands": 64, "window_s": 0.025, "hop_s": 0.01, "deltas": True
    }  # fmt: skip
    assert set(told["software"]) == {"python", "torch", "torchaudio"}
    assert told["weights"] == {}
    again = features(results, "--demonstration", out="again.h5", **told["config"])
    assert again.attributes == told
    assert np.array_equal(again["u1_a"].values, store["u1_a"].values)
    (results / "audio" / "u2.h5").write_bytes((results / "audio" / "u2.h5").read_bytes() + b"x")
    assert features(results, out="third.h5").attributes["inputs"] != told["inputs"]


def test_shards_join_into_what_one_run_gives(results):
    for k, unit in enumerate(("u1", "u2")):
        features(results, shards=[unit], out=f"shards/{k}.h5")
    call = [str(results / "shards/0.h5"), str(results / "shards/1.h5"), "--out", str(results / "all.h5")]
    CliRunner().invoke(command.merge, call, catch_exceptions=False, standalone_mode=False)
    joined, whole = FeatureStore(results / "all.h5"), features(results, out="whole.h5")
    assert joined.segment_ids == whole.segment_ids
    for segment_id in whole:
        assert np.array_equal(joined[segment_id].values, whole[segment_id].values)


@pytest.mark.parametrize("kind", ["mfcc", "onnx_image"])
def test_only_what_changed_is_extracted_again(results, kind, monkeypatch):
    (results / "network").mkdir()
    save_mean_colour(results / "network")
    given = ["--weights", str(results / "network")] if kind == "onnx_image" else []
    shards = [features(results, *given, kind=kind, shards=[unit], out=f"shards/{unit}.h5") for unit in ("u1", "u2")]
    previous = results / "all.h5"
    call = [*(str(store.path) for store in shards), "--out", str(previous)]
    CliRunner().invoke(command.merge, call, catch_exceptions=False, standalone_mode=False)
    for prepared in ("audio", "faces"):
        (results / prepared / "u2.h5").write_bytes((results / prepared / "u2.h5").read_bytes() + b"x")
    asked = []
    extractor = type(build(kind, {}, results / "network", "cpu")[0])
    extract = extractor.extract
    monkeypatch.setattr(extractor, "extract", lambda self, batch: asked.extend(batch) or extract(self, batch))
    for unit, before in zip(("u1", "u2"), shards):
        own = {s.segment_id for s in segments_of(results) if s.unit_id == unit}
        after = features(results, *given, "--previous", str(previous), kind=kind, shards=[unit], out=f"new/{unit}.h5")
        for segment_id in own:
            assert np.array_equal(after[segment_id].values, before[segment_id].values)
    tried = {"clip"}  # to learn how wide rows are
    assert {piece.segment_id for piece in asked} - tried == own - {"u2_silent"}, "of the recording that changed"


def save_mean_colour(folder) -> None:
    """An ONNX network that gives the mean of each channel."""
    from onnx import TensorProto, helper, save

    picture, colour = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("picture", ["n", 3, 112, 112]), ("colour", ["n", 3, 1, 1]))
    )
    mean = helper.make_node("GlobalAveragePool", ["picture"], ["colour"])
    graph = helper.make_graph([mean], "mean", [picture], [colour])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "net.onnx")
    weights.seal(folder, "mine")


def test_half_precision_store(results):
    assert features(results, dtype="float16").dtype == np.float16


UNEVEN = {"hop_s": 1 / 30, "window_s": 0.02503125}  # 533.3 and 400.5 samples


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mfcc", {}), ("mfcc", UNEVEN), ("log_mel", {}), ("log_mel", UNEVEN), ("prosody", {}),
        ("vggish_log_mel", {"patch_hop_s": 0.32, "summary": True}),
    ],
)  # fmt: skip
def test_cutting_into_pieces_changes_nothing(results, kind, options, monkeypatch):
    whole = features(results, kind=kind, out="whole.h5", **options)
    extractor, _ = build(kind, options, None, "cpu")
    cut = extractor.cut
    monkeypatch.setattr(type(extractor), "cut", property(lambda self: replace(cut, length=0.77)))
    pieces_ = list(read_pieces(segments_of(results), results, extractor))
    assert len(pieces_) > 6
    write_store(results / "cut.h5", attributes(), extractor, pieces_)
    assert list(FeatureStore(results / "cut.h5")) == list(whole) != []
    for segment_id, rows in FeatureStore(results / "cut.h5").items():
        np.testing.assert_allclose(rows.time_s, whole[segment_id].time_s, atol=1e-9)
        assert np.array_equal(rows.valid, whole[segment_id].valid)
        # The pitch tracker follows the whole of what it hears; the rest sees only its own window.
        columns = slice(3, None) if kind == "prosody" else slice(None)
        np.testing.assert_allclose(rows.values[:, columns], whole[segment_id].values[:, columns], atol=2e-2)


class Colour(Extractor):
    """The mean colour of each crop."""

    modality = "video"

    def extract(self, batch):
        return [piece.rows(piece.crops.mean(axis=(1, 2))) for piece in batch]

    @property
    def cut(self):
        return Cut(length=4, context=2, batch=8)


def test_faces_are_cut_and_put_together(results):
    made = Colour()
    write_store(results / "c.h5", attributes(modality="video"), made, read_pieces(segments_of(results), results, made))
    store = FeatureStore(results / "c.h5")
    rows = store["u1_b"]
    n = 33
    assert len(rows) == n
    assert np.array_equal(rows.valid, np.arange(n) % 3 != 2)
    shown = np.clip(10 * np.arange(n) % 256, 0, 255)  # uint8 arithmetic of picture()
    np.testing.assert_allclose(rows.values[rows.valid][:, 0], shown[rows.valid], atol=1.5)
    np.testing.assert_allclose(rows.time_s[:, 0], 2.0 + 0.1 * np.arange(n))
    assert len(store["u2_silent"]) == 0  # not one face


def test_faces_without_pictures_are_left_undecoded(results, monkeypatch):
    from pipeline.crops import FaceTrack

    monkeypatch.setattr(FaceTrack, "crops", None)
    store = features(results, kind="face_geometry", points="none")
    assert store["u1_a"].values.shape[1] == 11


class Letters(Extractor):
    """How long each word is."""

    modality = "text"

    def extract(self, batch):
        return [piece.rows([[len(w), float(w[1:]) if w[1:].isdigit() else 0] for w in piece.words]) for piece in batch]


def test_words_of_each_segment(results):
    made = Letters()
    write_store(results / "t.h5", attributes(modality="text"), made, read_pieces(segments_of(results), results, made))
    rows = FeatureStore(results / "t.h5")["u2_a"]
    assert rows.values.tolist() == [[2, 0], [2, 1], [2, 2]]
    np.testing.assert_allclose(rows.time_s, [[10, 10.08], [10.1, 10.18], [10.2, 10.28]])


def test_words_without_a_segment_belong_to_all_they_overlap(results):
    words = [Word("w5", 0.4, 0.6, "asr"), Word("w6", 1.2, 2.1, "asr"), Word("w7", 30, 31, "asr")]
    write_table(results / "words" / "u1.tsv", words, Word)
    made = Letters()
    jobs = list(read_pieces(segments_of(results, "u1_a", "u1_b"), results, made))
    assert [job.piece.words for job in jobs] == [["w5", "w6"], ["w6"]]


def test_words_of_one_recording_never_reach_another_in_its_file(results):
    """Both recordings of a file count from zero, and nothing but its unit tells whose word is whose."""
    segments = [replace(s, shard="0", start_s=1.0, end_s=2.0) for s in segments_of(results)]
    words = [Word(f"w{k}", 1.1, 1.5, "asr", None, unit) for k, unit in enumerate(("u1", "u2", "u1"))]
    write_table(results / "words" / "0.tsv", [*words, Word("w9", 1.2, 1.4, "asr", "u1_b", "u1")], Word)
    made = Letters()
    jobs = {job.segment_id: job.piece.words for job in read_pieces(segments, results, made)}
    assert jobs == {"u1_a": ["w0", "w2"], "u1_b": ["w0", "w2", "w9"], "u2_a": ["w1"], "u2_silent": ["w1"]}


def test_a_file_is_opened_once_while_it_is_in_use_and_few_are_held(tmp_path, monkeypatch):
    """Segments come by id, which may lead back to one recording after each of 29 others."""
    opened, held = [], weakref.WeakSet()

    class Watched(pieces.SpokenWords):
        def __init__(self, words):
            super().__init__(words)
            opened.append(len(held))
            held.add(self)

    monkeypatch.setattr(pieces, "SpokenWords", Watched)
    order = [unit for k in range(29) for unit in ("often", f"u{k}")]
    for unit in set(order):
        write_table(tmp_path / "words" / f"{unit}.tsv", [Word("w1", 0.0, 1.0, "asr")], Word)
    jobs = read_pieces([Segment(f"{k:02}", unit, "who") for k, unit in enumerate(order)], tmp_path, Letters())
    assert [job.piece.words for job in jobs] == [["w1"]] * 58
    assert len(opened) == 30
    assert max(opened) <= 8


def test_batches_hold_pieces_of_similar_length():
    lengths = list(np.random.default_rng(0).uniform(0.2, 30, 200)) + [0, 0]
    batches = length_batches(lengths, 120)
    assert sorted(i for b in batches for i in b) == list(range(200))
    padded = sum(len(b) * max(lengths[i] for i in b) for b in batches)
    assert all(len(b) * max(lengths[i] for i in b) <= 120 for b in batches)
    assert padded < 1.15 * sum(lengths)
    assert [len(b) for b in length_batches([5, 3, 4], 0)] == [1, 1, 1]


class Odd(Mean):
    """Mean, but wrong in the way named by ``what``."""

    what = ""

    def extract(self, batch):
        good = super().extract(batch)
        if batch[0].segment_id != "u1_b":
            return good
        first = good[0]
        values, time_s, valid = first.values.copy(), first.time_s, first.valid
        if self.what == "nan":
            values[3] = np.nan
        if self.what == "width":
            values = values[:, :1]
        if self.what == "times":
            time_s = time_s[::-1]
        if self.what == "count":
            return []
        if self.what == "type":
            return [values for _ in batch]
        return [Rows(values, time_s, valid), *good[1:]]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nan", r"segment u1_b: NaN or infinity in 1 of 33 rows, the first at 2\.30 s"),
        ("width", "segment u1_b: rows of width 1, but 2 elsewhere"),
        ("times", "segment u1_b: row times must"),
        ("count", "rows of 0 pieces for a batch of"),
        ("type", "give Rows"),
    ],
)
def test_extractor_that_does_wrong_leaves_no_file(results, what, said, monkeypatch):
    monkeypatch.setattr(Odd, "what", what)
    made = Odd()
    with pytest.raises(InputError, match=f"extractor Odd: .*{said}"):
        write_store(results / "x" / "o.h5", attributes(), made, read_pieces(segments_of(results), results, made))
    assert list((results / "x").iterdir()) == []


def test_pieces_whose_rows_overlap_are_refused(results):
    class Overlapping(Mean):
        cut = Cut(length=0.97, context=1.0, grid=0.01, batch=100)

    made = Overlapping()
    jobs = [replace(job, keep_s=(-np.inf, np.inf)) for job in read_pieces(segments_of(results), results, made)]
    with pytest.raises(InputError, match="neighbouring pieces overlap"):
        write_store(results / "o.h5", attributes(), made, jobs)


def test_input_that_is_missing(results):
    (results / "audio" / "u2.h5").unlink()
    with pytest.raises(InputError, match=r"audio/u2\.h5: no such file; let the workflow make it"):
        features(results)
    segments = segments_of(results, "u1_a")
    with pytest.raises(InputError, match=r"u1\.h5: lacks segment u1_new"):
        list(read_pieces([replace(segments[0], segment_id="u1_new")], results, Mean()))
    with pytest.raises(InputError, match="not JSON"):
        bad = ["--corpus", "c", "--name", "n", "--extractor", "mfcc", "--options", "{x", "--results", str(results)]
        CliRunner().invoke(
            command.features, [*bad, "--shard", "u1", "--out", "o"], catch_exceptions=False, standalone_mode=False
        )


def test_shard_without_segments_is_a_store_of_none(results):
    store = features(results, shards=["other"])
    assert len(store) == 0
    assert store.dim == 120


def test_memory_does_not_grow_with_the_length_of_a_segment(results, monkeypatch):
    """Two hours of sound, 460 MB, through the driver in less than a third of that."""
    import tracemalloc

    hours, handed = 2, []

    class Long:
        sample_rate_hz, start_s, observed_s = RATE, 0.0, (0.0, hours * 3600.0)

        def __len__(self):
            return hours * 3600 * RATE

        def samples(self, a, b):
            handed.append(b - a)
            return np.full(min(b, len(self)) - a, 0.1, np.float32)

    made = Mean()
    jobs = pieces._audio_jobs("long", Long(), made.cut)
    tracemalloc.start()
    write_store(results / "long.h5", attributes(), made, jobs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(handed) > len(Long())
    assert len(FeatureStore(results / "long.h5")["long"]) == hours * 36_000
    assert peak < 150e6


def test_error_while_reading_ahead_arrives():
    def jobs():
        yield Job("a")
        raise InputError("the disk is gone")

    with pytest.raises(InputError, match="the disk is gone"):
        list(run.extract_all(Mean(), jobs()))
