import errno
import os
import pickle
import random
import subprocess
import sys

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sources import GridRows, StoredRows
from pipeline.audio_file import AudioFile, AudioWriter
from pipeline.records import InputError
from pipeline.store import FeatureStore, Rows, StoreWriter, kept, merge

ATTRIBUTES = {
    "corpus": "iemocap", "name": "toy", "modality": "audio", "extractor": "toy", "extractor_version": "1",
    "config": {"hop_s": 0.01}, "weights": {}, "software": {}, "inputs": "abc", "demonstration": True,
}  # fmt: skip


def rows(n, dim=3, seed=0):
    rng = np.random.default_rng(seed)
    start = np.arange(n) * 0.01
    return Rows(rng.normal(size=(n, dim)).astype(np.float32), np.stack([start, start + 0.025], 1), rng.random(n) < 0.7)


def full(n, value):
    return Rows(np.full((n, 3), value, np.float32), np.zeros((n, 2)), np.ones(n, bool))


def write(path, segments, **changes):
    with StoreWriter(path, {**ATTRIBUTES, **changes}, dim=3) as writer:
        for segment_id, n in segments.items():
            writer.append(segment_id, rows(n, seed=n))


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text("abcF0_", min_size=1, max_size=6), st.integers(0, 40), min_size=1, max_size=8))
def test_what_is_written_is_read(tmp_path_factory, lengths):
    path = tmp_path_factory.mktemp("store") / "toy.h5"
    segments = dict(sorted(lengths.items()))
    write(path, segments)
    store = FeatureStore(path)
    assert list(store) == sorted(segments)
    for found in (dict(store), dict(store.read()), dict(store.read(block_rows=7))):
        for segment_id, n in segments.items():
            given_ = rows(n, seed=n)
            assert np.array_equal(found[segment_id].valid, given_.valid)
            assert np.array_equal(found[segment_id].time_s, given_.time_s)
            assert np.array_equal(found[segment_id].values, np.where(given_.valid[:, None], given_.values, 0))


def test_the_file_is_schema_1_for_any_hdf5_reader(tmp_path):
    write(tmp_path / "toy.h5", {"a": 3, "b": 0, "c": 2})
    with h5py.File(tmp_path / "toy.h5") as file:
        assert [s.decode() for s in file["segment_id"]] == ["a", "b", "c"]
        assert file["offset"][:].tolist() == [0, 3, 3, 5]
        assert file["values"].dtype == np.float32
        assert file["values"].chunks is not None
        assert file["time_s"].dtype == np.float64
        assert file["valid"].dtype == bool
        assert file.attrs["schema"] == 1
        assert file.attrs["config"] == '{"hop_s": 0.01}'


def test_a_store_is_lazy_and_cheap_to_pickle(tmp_path):
    write(tmp_path / "toy.h5", {f"s{i:04d}": 50 for i in range(200)})
    store = FeatureStore(tmp_path / "toy.h5")
    assert store._file is None
    assert len(store["s0007"]) == 50
    copy = pickle.loads(pickle.dumps(store))
    assert copy._file is None
    assert np.array_equal(copy["s0007"].values, store["s0007"].values)
    store.close()
    assert np.array_equal(copy["s0009"].values, store["s0009"].values)
    assert [s for s, _ in store.read(["s0009", "s0003"])] == ["s0003", "s0009"]


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([("b", rows(2)), ("a", rows(2))], "segments come sorted"),
        ([("a", rows(2)), ("a", rows(2))], "segments come sorted"),
        ([("a", rows(2)), ("b", rows(2, dim=4))], "width 4"),
        ([("a", full(2, np.nan))], "NaN or infinity in 2 of 2"),
        ([], "no segment was written"),
    ],
)  # fmt: skip
def test_wrong_rows_are_refused_and_leave_nothing(tmp_path, segments, message):
    with pytest.raises(InputError, match=message), StoreWriter(tmp_path / "toy.h5", ATTRIBUTES) as writer:
        for segment_id, row in segments:
            writer.append(segment_id, row)
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_observed_is_zero_whatever_stands_there(tmp_path):
    with StoreWriter(tmp_path / "toy.h5", ATTRIBUTES) as writer:
        writer.append(
            "a", Rows(np.array([[1.0], [np.nan], [np.inf]]), np.zeros((3, 2)), np.array([True, False, False]))
        )
    assert FeatureStore(tmp_path / "toy.h5")["a"].values.tolist() == [[1.0], [0.0], [0.0]]


def test_half_precision_says_when_a_value_does_not_fit(tmp_path):
    with (
        pytest.raises(InputError, match="too large for float16"),
        StoreWriter(tmp_path / "toy.h5", ATTRIBUTES, dtype="float16") as writer,
    ):
        writer.append("a", full(1, 1e6))


def test_files_that_are_no_store_are_named(tmp_path):
    (tmp_path / "text.h5").write_text("not hdf5")
    with pytest.raises(InputError, match=r"text.h5: not a feature store"):
        FeatureStore(tmp_path / "text.h5")
    with pytest.raises(InputError, match="no such feature store"):
        FeatureStore(tmp_path / "none.h5")
    write(tmp_path / "toy.h5", {"a": 3})
    with h5py.File(tmp_path / "toy.h5", "a") as file:
        file.attrs["schema"] = 2
    with pytest.raises(InputError, match="schema 2, this version reads schema 1"):
        FeatureStore(tmp_path / "toy.h5")
    with h5py.File(tmp_path / "toy.h5", "a") as file:
        file.attrs["schema"] = 1
        file["offset"][-1] = 9
    with pytest.raises(InputError, match="do not fit together"):
        FeatureStore(tmp_path / "toy.h5")


def test_shards_join_in_sorted_order(tmp_path):
    write(tmp_path / "0.h5", {"a": 2, "d": 3}, inputs="x")
    write(tmp_path / "1.h5", {"b": 4, "c": 0}, inputs="y")
    merge([tmp_path / "0.h5", tmp_path / "1.h5"], tmp_path / "all.h5")
    joined = FeatureStore(tmp_path / "all.h5")
    assert {s: len(joined[s]) for s in joined} == {"a": 2, "b": 4, "c": 0, "d": 3}
    assert np.array_equal(joined["d"].values, FeatureStore(tmp_path / "0.h5")["d"].values)


def test_long_segments_join_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.store.BLOCK_BYTES", 40)  # three rows
    write(tmp_path / "0.h5", {"a": 8, "d": 3}, inputs="x")
    write(tmp_path / "1.h5", {"b": 4, "c": 0}, inputs="y")
    merge([tmp_path / "0.h5", tmp_path / "1.h5"], tmp_path / "all.h5")
    parts, joined = (
        {**FeatureStore(tmp_path / "0.h5"), **FeatureStore(tmp_path / "1.h5")},
        FeatureStore(tmp_path / "all.h5"),
    )
    assert list(joined) == sorted(parts)
    for name, whole in parts.items():
        assert np.array_equal(joined[name].values, whole.values)
        assert np.array_equal(joined[name].time_s, whole.time_s)
    assert [len(rows) for rows in joined.blocks(*joined.row_range("a"))] == [3, 3, 2]


def test_shards_made_differently_are_not_joined(tmp_path):
    write(tmp_path / "0.h5", {"a": 2})
    write(tmp_path / "1.h5", {"b": 4}, config={"hop_s": 0.02})
    with pytest.raises(InputError, match=r"config is .*0.02.*, but .*0.01.* in .*0\.h5; delete all 2 parts"):
        merge([tmp_path / "0.h5", tmp_path / "1.h5"], tmp_path / "all.h5")
    assert not (tmp_path / "all.h5").exists()


def test_shards_of_unlike_processors_are_joined_by_the_least_that_holds(tmp_path):
    """Numbers of half the length come out a little otherwise on each; another version of a package is no such thing."""
    made = [{"torch": "2", "arithmetic": "bfloat16", "least cosine to float32": least} for least in ("0.999", "0.998")]
    for name, software in zip("ab", made, strict=True):
        write(tmp_path / f"{name}.h5", {name: 2}, software=software, inputs=name)
    merge([tmp_path / "a.h5", tmp_path / "b.h5"], tmp_path / "all.h5")
    joined = FeatureStore(tmp_path / "all.h5")
    assert joined.attributes["software"] == made[1]
    assert list(joined) == ["a", "b"]
    asked = {**ATTRIBUTES, "layers": [], "software": made[0], "inputs": "b"}
    assert kept(tmp_path / "all.h5", asked) is not None
    other = {**made[0], "torch": "3"}
    assert kept(tmp_path / "all.h5", {**asked, "software": other}) is None
    write(tmp_path / "b.h5", {"b": 2}, software=other)
    unlike = r"software is .*'torch': '3'.*, but .*'torch': '2'.* in .*a\.h5; delete all 2 parts"
    with pytest.raises(InputError, match=unlike):
        merge([tmp_path / "a.h5", tmp_path / "b.h5"], tmp_path / "all.h5")


@pytest.mark.parametrize("kind", ["one bit", "some bytes", "cut"])
def test_a_damaged_store_is_never_read_without_a_word(tmp_path, kind):
    write(tmp_path / "toy.h5", {f"s{k:02d}": 3 * k for k in range(20)})

    def everything(path):
        store = FeatureStore(path)
        found = [(k, r.values.tobytes(), r.time_s.tobytes(), r.valid.tobytes()) for k, r in store.read()]
        return store.attributes, found, store["s07"].values.tobytes()

    whole, good = (tmp_path / "toy.h5").read_bytes(), everything(tmp_path / "toy.h5")
    noticed = 0
    for seed in range(120):
        draw = random.Random(seed)
        spot, data = draw.randrange(len(whole)), bytearray(whole)
        if kind == "one bit":
            data[spot] ^= 1 << draw.randrange(8)
        elif kind == "some bytes":
            data[spot : spot + 16] = draw.randbytes(16)
        else:
            del data[spot:]
        (tmp_path / "hurt.h5").write_bytes(data)
        try:
            assert everything(tmp_path / "hurt.h5") == good
        except InputError as error:
            noticed += str(tmp_path / "hurt.h5") in str(error)
    assert noticed > 100


def spoil(path, name):
    """Flip a bit in the first chunk of a dataset."""
    with h5py.File(path) as file:
        chunk = file[name].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 3] ^= 4
    path.write_bytes(data)


READERS = {
    "values": lambda store: StoredRows(store, ["a"]).read(0, 0, 2),
    "valid": lambda store: StoredRows(store, ["a"]).observed,
    "time_s": lambda store: GridRows(store, ["a"], [np.array([[0.0, 0.1]])]),
}


@pytest.mark.parametrize("name", READERS)
def test_training_names_the_store_that_is_damaged(tmp_path, name):
    write(tmp_path / "toy.h5", {"a": 9})
    spoil(tmp_path / "toy.h5", name)
    with pytest.raises(InputError, match=r"toy\.h5: not a feature store of schema 1, or damaged .* delete it"):
        READERS[name](FeatureStore(tmp_path / "toy.h5"))


def test_damaged_sound_is_named(tmp_path):
    with AudioWriter(tmp_path / "unit.h5", {"a": (0.0, 900)}) as writer:
        writer.write("a", 0, np.linspace(-1, 1, 900))
    spoil(tmp_path / "unit.h5", "samples")
    with pytest.raises(InputError, match=r"unit\.h5: not an audio file of schema 3, or damaged .* delete it"):
        AudioFile(tmp_path / "unit.h5")["a"].samples()


def test_a_locked_store_is_not_to_be_deleted(tmp_path):
    write(tmp_path / "toy.h5", {"a": 3})
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path / "toy.h5")]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "open\n"
    with pytest.raises(InputError, match="another program has it open for writing") as caught:
        FeatureStore(tmp_path / "toy.h5")
    assert "delete" not in str(caught.value)
    other.communicate("\n")
    assert len(FeatureStore(tmp_path / "toy.h5")) == 1


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 7 GiB"), OSError(errno.EIO, "Input/output error")])
def test_what_the_machine_cannot_do_now_is_no_damage(tmp_path, monkeypatch, error):
    write(tmp_path / "toy.h5", {"a": 3})
    store = FeatureStore(tmp_path / "toy.h5")

    def fails(name):
        raise error

    monkeypatch.setattr(store, "dataset", fails)
    with pytest.raises(InputError, match=r"cannot be read now .* the file may be whole") as caught:
        store["a"]
    assert "delete" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "run git lfs pull"),
        ("<html>404</html>", "a web page"),
        ("", "an empty file"),
    ],
)
def test_what_lies_in_place_of_a_store_is_named(tmp_path, text, says):
    (tmp_path / "toy.h5").write_text(text)
    with pytest.raises(InputError, match=says):
        FeatureStore(tmp_path / "toy.h5")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "toy.h5")
    with pytest.raises(InputError, match="a pipe or device, not a file"):
        FeatureStore(tmp_path / "toy.h5")
    with pytest.raises(InputError, match="a folder, not a file"):
        FeatureStore(tmp_path)
