"""What runs again after a change of raw files: a corpus of sounds by a table, run to its splits and features."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import yaml

from pipeline.store import FeatureStore
from tests.workflow_runs import planned, snakemake

NAMES = [f"clip{k}" for k in range(6)]
SETTINGS = {
    "corpora": {
        "iemocap": None,
        "affwild2": None,
        "mine": {
            "reader": "table", "segments": "labels.csv", "media_units": 1, "shard_units": 2, "protocol": "speaker",
            "extractors": {
                "mfcc": {"extractor": "mfcc"}, "words": {"extractor": "transformers_text", "weights": "demo:bert"},
            },
            "inputs": {"audio": "mfcc", "text": "words"}, "runs": {"self": ["A", "T"]},
        },
    },
}  # fmt: skip
TARGETS = [
    "results/mine/features/mfcc.h5", "results/mine/features/words.h5", "results/mine/splits/speaker.tsv",
    "results/mine/raw_files.tsv",
]  # fmt: skip


def write_sound(path, pitch_hz):
    time_s = np.arange(16_000) / 16_000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch_hz * time_s), 16_000)


def write_table(root, labels):
    rows = [f"{name}.wav,{name},{'ab'[k % 2]},{label},word {k}" for k, (name, label) in enumerate(zip(NAMES, labels))]
    (root / "labels.csv").write_text("\n".join(["audio,segment_id,speaker,label,text", *rows]) + "\n")


LABELS = ["glad", "glad", "sad", "sad", "glad", "sad"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reruns")
    root = folder / "corpus"
    root.mkdir()
    for k, name in enumerate(NAMES):
        write_sound(root / f"{name}.wav", 200 + 50 * k)
    write_table(root, LABELS)
    run(folder, root)
    known, table = folder / ".snakemake/fingerprints/mine.json", folder / "results/mine/raw_files.tsv"
    assert known.stat().st_mtime_ns < table.stat().st_mtime_ns, "jobs need not read again what planning has read"
    return folder, root


def settings(folder, root):
    own = {**SETTINGS["corpora"]["mine"], "root": str(root)}
    (folder / "mine.yaml").write_text(yaml.safe_dump({"corpora": {**SETTINGS["corpora"], "mine": own}}))
    return [*TARGETS, "--configfile", str(folder / "mine.yaml")]


def run(folder, root):
    return snakemake(folder, *settings(folder, root))


def jobs(folder, root):
    return dict(planned(folder, *settings(folder, root)))


@pytest.mark.slow
def test_nothing_changed(finished):
    """Planning remembers the digest of each raw file, for the planning after it."""
    folder, root = finished
    memory = folder / ".snakemake" / "fingerprints" / "mine.json"
    memory.unlink()
    assert jobs(folder, root) == {}
    assert json.loads(memory.read_text()).keys() >= {f"{name}.wav" for name in NAMES}


@pytest.mark.slow
def test_a_default_that_is_written_out_and_another_order_rerun_nothing(finished):
    folder, root = finished
    asked = settings(folder, root)
    own = yaml.safe_load((folder / "mine.yaml").read_text())
    mine = own["corpora"]["mine"]
    mine["extractors"]["mfcc"] = {"weights": None, "hop_s": 0.01, "coefficients": 40, "extractor": "mfcc"}
    mine["columns"] = {}
    (folder / "mine.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    assert dict(planned(folder, *asked)) == {}


@pytest.mark.slow
def test_a_corrected_label_reaches_the_split_and_no_sound(finished):
    folder, root = finished
    write_table(root, ["sad", *LABELS[1:]])
    try:
        assert jobs(folder, root) == {"index": 1, "split": 1, "raw_files": 1}
    finally:
        write_table(root, LABELS)
    assert jobs(folder, root) == {}


@pytest.mark.slow
def test_joined_stores_are_made_again_in_another_order_and_vectors_of_one_s_own_with_their_file(finished):
    """The first store gives the time; a file of vectors counts by what it holds."""
    folder, root = finished
    (folder / "own.vec").write_text("2 3\nword 1 0 0\nsad 0 1 0\n")
    before = settings(folder, root)

    def given(*stores):
        own = yaml.safe_load((folder / "mine.yaml").read_text())
        extractors = own["corpora"]["mine"]["extractors"]
        extractors["bands"] = {"extractor": "log_mel"}
        extractors["both"] = {"extractor": "join", "stores": list(stores), "modality": "audio"}
        extractors["vectors"] = {"extractor": "static_vectors", "weights": str(folder / "own.vec")}
        (folder / "joined.yaml").write_text(yaml.safe_dump(own))
        targets = [f"results/mine/features/{name}.h5" for name in ("both", "vectors")]
        return [*targets, "--configfile", str(folder / "joined.yaml")]

    snakemake(folder, *given("mfcc", "bands"))
    assert not planned(folder, *given("mfcc", "bands"))
    assert planned(folder, *given("bands", "mfcc")) == {"joined": 1}
    (folder / "own.vec").write_text("2 3\nword 1 0 0\nsad 0 0 1\n")
    assert planned(folder, *given("mfcc", "bands")) == {"weights": 1, "shard": 3, "merge": 1}
    snakemake(folder, *given("mfcc", "bands"))  # which copies it, held to no lock
    assert not planned(folder, *before)
    (folder / "own.vec").unlink()
    assert not planned(folder, *given("mfcc", "bands")), "the copy stands for a file that is gone"


@pytest.mark.slow
def test_a_file_to_import_counts_by_what_it_holds_and_may_be_gone_once_its_store_is_made(finished):
    folder, root = finished

    def given(name):
        settings(folder, root)
        own = yaml.safe_load((folder / "mine.yaml").read_text())
        own["corpora"]["mine"]["extractors"]["theirs"] = {"extractor": "import", "path": name, "modality": "audio"}
        (folder / "imported.yaml").write_text(yaml.safe_dump(own))
        return ["results/mine/features/theirs.h5", "--configfile", str(folder / "imported.yaml")]

    def write(name, value):
        rows, times = len(NAMES), np.array([[0.0, 1.0]] * len(NAMES))
        arrays = {"values": np.full((rows, 3), value, np.float32), "time_s": times, "valid": np.ones(rows, bool)}
        np.savez(folder / name, segment_id=np.array(NAMES), offset=np.arange(rows + 1), **arrays)

    write("theirs.npz", 1)
    snakemake(folder, *given("theirs.npz"))
    shutil.copy(folder / "theirs.npz", folder / "elsewhere.npz")
    assert not planned(folder, *given("elsewhere.npz"))
    write("elsewhere.npz", 2)
    assert planned(folder, *given("elsewhere.npz")) == {"imported": 1}
    (folder / "elsewhere.npz").unlink()
    assert not planned(folder, *given("elsewhere.npz")), "the store stands for a file that is gone"


@pytest.mark.slow
def test_a_replaced_recording_reruns_its_own_sound_and_features(finished):
    folder, root = finished
    kept = (root / "clip3.wav").read_bytes()
    write_sound(root / "clip3.wav", 777)
    try:
        found = jobs(folder, root)
        assert (found["audio"], found["merge"]) == (1, 1)
        assert found["raw_files"] == 1
        assert "words" not in found
        noted = (folder / TARGETS[3]).read_text()
        before = FeatureStore(folder / TARGETS[0])
        rows = {name: before[name].values for name in NAMES}
        before.close()
        run(folder, root)
        assert (folder / TARGETS[3]).read_text() != noted, "the report says what was read"
        logs = [(folder / f"results/mine/logs/features/mfcc/{part}.log").read_text() for part in range(3)]
        assert ["their rows are kept" in log for log in logs] == [True, False, True]
        after = FeatureStore(folder / TARGETS[0])
        assert [np.array_equal(after[name].values, rows[name]) for name in NAMES] == [
            True,
            True,
            True,
            False,
            True,
            True,
        ]
        after.close()
    finally:
        (root / "clip3.wav").write_bytes(kept)
        run(folder, root)
    assert jobs(folder, root) == {}, "the same bytes at another time"


@pytest.mark.slow
def test_a_corrected_text_reruns_words_and_what_is_made_of_them(finished):
    folder, root = finished
    text = (root / "labels.csv").read_text()
    (root / "labels.csv").write_text(text.replace("word 2", "other words"))
    try:
        found = jobs(folder, root)
        assert (found["words"], found["merge"]) == (1, 1)
        assert "audio" not in found
    finally:
        (root / "labels.csv").write_text(text)


@pytest.mark.slow
def test_a_transcript_laid_beside_a_recording_reruns_its_words(finished):
    folder, root = finished
    (root / "clip1.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nwritten later\n")
    try:
        found = jobs(folder, root)
        assert (found["words"], found["merge"]) == (1, 1)
        assert "audio" not in found
    finally:
        (root / "clip1.srt").unlink()
    assert jobs(folder, root) == {}


@pytest.mark.slow
def test_a_corpus_that_moved_reruns_nothing(finished, tmp_path):
    folder, root = finished
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(root, elsewhere, copy_function=shutil.copy)  # new files of the same contents
    try:
        assert jobs(folder, elsewhere) == {}
    finally:
        assert jobs(folder, root) == {}


@pytest.mark.slow
def test_a_corpus_that_is_not_there_is_said_in_a_sentence(finished, tmp_path):
    folder, _ = finished
    said = snakemake(folder, *settings(folder, tmp_path / "nowhere"), fails=True)
    assert "corpora.mine.root" in said
    assert "nowhere" in said
    assert "Traceback" not in said
