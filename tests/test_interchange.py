"""Every export is opened by the library it is for, and values and times arrive intact."""

import pickle

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.interchange.command import export, import_
from pipeline.records import Assignment, InputError, Label, Segment, write_labels, write_table
from pipeline.store import FeatureStore, Rows, StoreWriter

ATTRIBUTES = {
    "corpus": "iemocap", "extractor": "toy", "extractor_version": "1", "config": {}, "weights": {}, "software": {},
    "inputs": "abc", "demonstration": True,
}  # fmt: skip
LENGTHS = {"a_F000": 4, "b_M000": 0, "c_F001": 7, "d_M001": 2}
PARTS = {"a_F000": "training", "b_M000": "development", "c_F001": "test", "d_M001": "training"}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for k, (name, modality) in enumerate([("mfcc", "audio"), ("faces", "video"), ("bert", "text")]):
        with StoreWriter(tmp_path / f"{name}.h5", {**ATTRIBUTES, "name": name, "modality": modality}, dim=3 + k) as out:
            for segment_id, n in LENGTHS.items():
                start = np.arange(n) * 0.02
                values = rng.normal(size=(n, 3 + k)).astype(np.float32)
                out.append(segment_id, Rows(values, np.stack([start, start + 0.02], 1), np.arange(n) != 1))
    turns = {"c_F001": 3}
    segments = [
        Segment(s, s[0], "Ses01F", "1", None, 0.0, 1.0, text=f"words of {s}", turn=turns.get(s)) for s in LENGTHS
    ]
    write_table(tmp_path / "segments.tsv", segments, Segment)
    dominance = {"a_F000": {"dominance": 4.0}}
    numbers = {s: {"valence": 2.5, "arousal": 3.0, **dominance.get(s, {})} for s in LENGTHS}
    write_labels(tmp_path / "labels.tsv", [Label(s, "ang", of) for s, of in numbers.items()])
    lines = ["segment_id\tfold\tpart\tlabel"] + [
        f"{s}\t0\t{p}\t{'ang' if p == 'test' else 'sad'}" for s, p in PARTS.items()
    ]
    (tmp_path / "session.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(command, *arguments):
    CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False)


def same(rows: Rows, other: Rows) -> bool:
    return all(np.array_equal(getattr(rows, key), getattr(other, key)) for key in ("values", "time_s", "valid"))


def test_csd_opens_in_the_multimodal_sdk(folder):
    mmdatasdk = pytest.importorskip("mmsdk.mmdatasdk")
    run(export, folder / "mfcc.h5", "--format", "csd", "--out", folder / "mfcc.csd")
    sequence = mmdatasdk.computational_sequence(str(folder / "mfcc.csd"))
    store = FeatureStore(folder / "mfcc.h5")
    assert sorted(sequence.data) == list(store)
    for segment_id in store:
        assert np.array_equal(sequence.data[segment_id]["features"][:], store[segment_id].values)
        assert np.array_equal(sequence.data[segment_id]["intervals"][:], store[segment_id].time_s)
    needed = ["root name", "computational sequence description", "alignment compatible", "dataset name", "creator"]
    assert all(key in sequence.metadata for key in needed)


def test_npz_opens_in_numpy(folder):
    run(export, folder / "mfcc.h5", "--format", "npz", "--out", folder / "mfcc.npz")
    store = FeatureStore(folder / "mfcc.h5")
    with np.load(folder / "mfcc.npz") as file:
        assert file["segment_id"].tolist() == list(store) != []
        for i, segment_id in enumerate(file["segment_id"]):
            a, b = file["offset"][i : i + 2]
            assert same(store[segment_id], Rows(file["values"][a:b], file["time_s"][a:b], file["valid"][a:b]))


@pytest.mark.parametrize("block_bytes", [1 << 26, 1])
def test_parquet_opens_in_pandas(folder, monkeypatch, block_bytes):
    import pandas as pd

    monkeypatch.setattr("pipeline.store.BLOCK_BYTES", block_bytes)
    run(export, folder / "bert.h5", "--format", "parquet", "--out", folder / "bert.parquet")
    table, store = pd.read_parquet(folder / "bert.parquet"), FeatureStore(folder / "bert.h5")
    assert len(table) == store.shape[0] > 0
    for segment_id, rows in table.groupby("segment_id"):
        found = Rows(np.stack(rows["values"]), rows[["start_s", "end_s"]].to_numpy(), rows["valid"].to_numpy())
        assert same(store[segment_id], found)


def test_datasets_opens_in_hugging_face_datasets(folder):
    datasets = pytest.importorskip("datasets")
    arguments = ["--segments", folder / "segments.tsv", "--split", folder / "session.tsv"]
    run(export, folder / "faces.h5", "--format", "datasets", "--out", folder / "hub", *arguments)
    found = datasets.load_dataset(str(folder / "hub"), cache_dir=str(folder / "cache"))
    assert {part: sorted(rows["segment_id"]) for part, rows in found.items()} == {
        "train": ["a_F000", "d_M001"], "validation": ["b_M000"], "test": ["c_F001"],
    }  # fmt: skip
    row, store = found["test"][0], FeatureStore(folder / "faces.h5")
    assert np.array_equal(np.array(row["values"], np.float32), store["c_F001"].values)
    assert row["row_end_s"] == store["c_F001"].time_s[:, 1].tolist()
    assert row["text"] == "words of c_F001"
    assert [row[name] for name in ("label", "valence", "arousal", "dominance")] == ["ang", 2.5, 3.0, None]
    assert (row["session"], row["unit_id"], row["start_s"], row["picture"]) == ("1", "c", 0.0, "whole")
    assert [row["turn"], found["train"][0]["turn"]] == [3, None]


def test_datasets_are_of_known_segments(folder):
    lines = (folder / "segments.tsv").read_text().splitlines(keepends=True)
    (folder / "fewer.tsv").write_text("".join(line for line in lines if not line.startswith("c_F001")))
    with pytest.raises(InputError, match=r"faces.h5: segment 'c_F001' is not in --segments"):
        run(
            export,
            folder / "faces.h5",
            "--format",
            "datasets",
            "--out",
            folder / "hub",
            "--segments",
            folder / "fewer.tsv",
        )


def test_datasets_of_a_split_of_other_segments_are_refused(folder):
    write_table(folder / "other.tsv", [Assignment("z_F000", 0, "training", "ang")], Assignment)
    arguments = ["--segments", folder / "segments.tsv", "--split", folder / "other.tsv", "--out", folder / "hub"]
    with pytest.raises(InputError, match=r"faces.h5: none of its 4 segments is in the fold; give a split"):
        run(export, folder / "faces.h5", "--format", "datasets", *arguments)
    assert not (folder / "hub").exists()


def test_mmsa_has_its_documented_fields(folder):
    stores = [folder / "mfcc.h5", folder / "faces.h5", folder / "bert.h5"]
    arguments = ["--segments", folder / "segments.tsv", "--split", folder / "session.tsv"]
    run(export, *stores, "--format", "mmsa", "--out", folder / "iemocap.pkl", *arguments)
    found = pickle.loads((folder / "iemocap.pkl").read_bytes())
    assert set(found) == {"train", "valid", "test"}
    train = found["train"]
    assert train["id"] == ["a_F000", "d_M001"]
    assert train["audio"].shape == (2, 4, 3)
    assert train["vision"].shape == (2, 4, 4)
    assert train["text"].shape == (2, 4, 5)
    assert train["audio_lengths"] == [4, 2]
    assert np.array_equal(train["vision"][1, :2], FeatureStore(folder / "faces.h5")["d_M001"].values)
    assert not train["vision"][1, 2:].any()
    assert found["test"]["classification_labels"].tolist() == [0]  # ang before sad
    assert train["classification_labels"].tolist() == [1, 1]
    assert train["regression_labels"].tolist() == [2.5, 2.5]
    assert train["raw_text"][0] == "words of a_F000"


def test_the_first_number_of_a_corpus_is_what_mmsa_learns(folder):
    of = {"a_F000": {"sentiment": -1.5, "arousal": 1.0}, "d_M001": {"arousal": 0.5}, "c_F001": {"sentiment": 3.0}}
    write_labels(folder / "labels.tsv", [Label(s, None, of.get(s, {})) for s in LENGTHS])
    arguments = ["--segments", folder / "segments.tsv", "--split", folder / "session.tsv"]
    run(export, folder / "mfcc.h5", "--format", "mmsa", "--out", folder / "mosei.pkl", *arguments)
    found = pickle.loads((folder / "mosei.pkl").read_bytes())
    learned = {part: dict(zip(rows["id"], rows["regression_labels"])) for part, rows in found.items()}
    assert np.isnan(learned["train"].pop("d_M001"))
    assert np.isnan(learned["valid"].pop("b_M000"))
    assert learned == {"train": {"a_F000": -1.5}, "valid": {}, "test": {"c_F001": 3.0}}


@pytest.mark.parametrize("form", ["csd", "npz"])
def test_what_is_exported_can_be_imported(folder, form):
    run(export, folder / "mfcc.h5", "--format", form, "--out", folder / f"mfcc.{form}")
    arguments = [
        "--corpus",
        "iemocap",
        "--name",
        "theirs",
        "--modality",
        "audio",
        "--segments",
        folder / "segments.tsv",
    ]
    run(import_, folder / f"mfcc.{form}", *arguments, "--out", folder / "theirs.h5")
    before, after = FeatureStore(folder / "mfcc.h5"), FeatureStore(folder / "theirs.h5")
    assert list(before) == list(after)
    assert all(same(before[s], after[s]) for s in before)
    assert after.attributes["extractor"] == "import"


def test_an_unknown_segment_is_refused_and_nothing_is_left(folder):
    run(export, folder / "mfcc.h5", "--format", "npz", "--out", folder / "mfcc.npz")
    others = [Segment("z", "z", "s", None, None, 0.0, 1.0)]
    write_table(folder / "others.tsv", others, Segment)
    arguments = ["--corpus", "iemocap", "--name", "t", "--modality", "audio", "--segments", folder / "others.tsv"]
    with pytest.raises(InputError, match="holds a_F000, which is not a segment of this corpus"):
        run(import_, folder / "mfcc.npz", *arguments, "--out", folder / "theirs.h5")
    assert not (folder / "theirs.h5").exists()


def test_segments_that_their_file_lacks_stay_as_empty_ones(folder):
    run(export, folder / "mfcc.h5", "--format", "npz", "--out", folder / "mfcc.npz")
    ids = ["Z", "a_F000", "a_F000x", "b_M000", "c_F001", "d_M001", "z"]
    write_table(folder / "more.tsv", [Segment(s, "u", "s", None, None, 0.0, 1.0) for s in ids], Segment)
    arguments = ["--corpus", "iemocap", "--name", "t", "--modality", "audio", "--segments", folder / "more.tsv"]
    run(import_, folder / "mfcc.npz", *arguments, "--out", folder / "theirs.h5")
    assert {s: len(r) for s, r in FeatureStore(folder / "theirs.h5").items()} == {**dict.fromkeys(ids, 0), **LENGTHS}


def test_a_store_without_segments_is_a_table_with_columns(folder):
    import pyarrow.parquet as pq

    attributes = FeatureStore(folder / "mfcc.h5").attributes
    with StoreWriter(folder / "none.h5", attributes, 3):
        pass
    run(export, folder / "none.h5", "--format", "parquet", "--out", folder / "none.parquet")
    table = pq.read_table(folder / "none.parquet")
    assert (table.column_names, len(table)) == (["segment_id", "start_s", "end_s", "valid", "values"], 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npz", b"not a zip", "not a whole NumPy .npz file"),
        ("x.csd", b"not hdf5", "not a computational sequence"),
        ("x.pkl", b"", "only files that end with .csd or .npz"),
    ],
)
def test_other_files_are_named(folder, name, content, message):
    (folder / name).write_bytes(content)
    arguments = ["--corpus", "iemocap", "--name", "t", "--modality", "audio", "--segments", folder / "segments.tsv"]
    with pytest.raises(InputError, match=message):
        run(import_, folder / name, *arguments, "--out", folder / "theirs.h5")


@pytest.mark.parametrize("form", ["mmsa", "npz", "csd", "parquet", "datasets"])
def test_a_full_disk_is_said_and_nothing_stays(folder, tmp_path, form):
    """MMSA's array is written through a map of memory, which ends a process where the disk has no room."""
    import subprocess
    import sys

    small = tmp_path / "small"
    small.mkdir()
    rng, time_s = np.random.default_rng(0), np.arange(20000)[:, None] * 0.02 + [0, 0.02]
    with StoreWriter(folder / "long.h5", {**ATTRIBUTES, "name": "long", "modality": "audio"}, dim=3) as out:
        for segment_id in LENGTHS:
            out.append(segment_id, Rows(rng.normal(size=(20000, 3)).astype(np.float32), time_s, time_s[:, 0] >= 0))
    command = [sys.executable, "-m", "pipeline", "export", folder / "long.h5", "--format", form, "--out", small / "x",
               "--segments", folder / "segments.tsv", "--split", folder / "session.tsv"]  # fmt: skip
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    inside = f'mount -t tmpfs -o size=256k tmpfs {small} || exit 77; "$@"; code=$?; find {small} -type f; exit $code'
    done = subprocess.run([*mounted, inside, "sh", *map(str, command)], capture_output=True, text=True)
    if done.returncode in (77, 127) or "unshare" in done.stderr:
        pytest.skip("no file system can be mounted here")
    assert done.returncode == 1, done.stderr
    assert "error: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "", "no file of it is left"


def test_who_selects_and_is_tested_is_in_both_parts(folder):
    """As in the protocols of papers whose development part is their test part."""
    import pandas as pd

    fold = [("a_F000", "training"), ("b_M000", "training")]
    fold += [(s, part) for s in ("c_F001", "d_M001") for part in ("development", "test")]
    rows = [Assignment(s, 0, part, "ang") for s, part in fold]
    write_table(folder / "paper.tsv", rows, Assignment)
    arguments = ["--segments", folder / "segments.tsv", "--split", folder / "paper.tsv"]
    run(export, folder / "faces.h5", "--format", "mmsa", "--out", folder / "paper.pkl", *arguments)
    found = pickle.loads((folder / "paper.pkl").read_bytes())
    expected = {"train": ["a_F000", "b_M000"], "valid": ["c_F001", "d_M001"], "test": ["c_F001", "d_M001"]}
    assert {part: table["id"] for part, table in found.items()} == expected
    run(export, folder / "faces.h5", "--format", "datasets", "--out", folder / "hub", *arguments)
    files = sorted((folder / "hub" / "data").iterdir())
    assert {path.name.split("-")[0]: pd.read_parquet(path)["segment_id"].tolist() for path in files} == {
        "validation" if part == "valid" else part: ids for part, ids in expected.items()
    }


def test_datasets_of_another_split_replace_those_of_before(folder):
    """Parts of the former split would be read as well, and a test part would train."""
    import pandas as pd

    arguments = ["--format", "datasets", "--out", folder / "hub", "--segments", folder / "segments.tsv"]
    (folder / "hub" / "data").mkdir(parents=True)
    (folder / "hub" / "data" / "mine.txt").touch()
    run(export, folder / "faces.h5", *arguments, "--split", folder / "session.tsv")
    run(export, folder / "faces.h5", *arguments)
    names = sorted(path.name for path in (folder / "hub" / "data").iterdir())
    assert names == ["mine.txt", "train-00000-of-00001.parquet"]
    assert len(pd.read_parquet(folder / "hub" / "data" / names[1])) == len(LENGTHS)
