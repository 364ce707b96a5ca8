"""What a stage depends on of the raw files: contents and rows that it reads, and nothing else."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.corpora import raw
from pipeline.corpora.raw import BLOCK_BYTES, SAMPLES, STAGES, WHOLE_BYTES, Fingerprints, content, files_read
from pipeline.records import Segment, Unit

UNIT = Unit("u", "u.mp4", "u.wav", "u.srt", shard="0")
SEGMENT = Segment(
    "s", "u", "who", "1", "train", 0.5, 2.0, text="hello", audio="s.wav", alignment="s.wdseg", crops="crops",
    annotation="s.txt", shard="0",
)  # fmt: skip
FILES = {  # what reads a file; of a picture that cannot be read, sound says how long it lasts, which labels follow
    "u.mp4": {"faces", "audio", "labels"}, "u.wav": {"audio", "labels"}, "u.srt": {"words"}, "s.wdseg": {"words"},
    "s.wav": {"audio", "labels"}, "s.txt": {"labels"}, "crops/00001.jpg": {"faces"},
}  # fmt: skip
ROWS = {  # what a change of a segment's row concerns
    "start_s": (0.6, set(STAGES)), "end_s": (2.1, set(STAGES)), "segment_id": ("t", set(STAGES)),
    "unit_id": ("v", set(STAGES)),
    "side": ("left", {"faces"}), "picture": ("left_half", {"faces"}), "text": ("bye", {"words"}),
    "speaker": ("other", set()), "session": ("2", set()), "part": ("test", set()), "scenario": ("x", set()),
    "dialog": ("x", set()), "style": ("x", set()), "group": ("x", set()), "shard": ("1", set()),
}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    (tmp_path / "crops").mkdir()
    for name in FILES:
        (tmp_path / name).write_text(name)
    return tmp_path


def digests(root, segment=SEGMENT, unit=UNIT):
    return {stage: Fingerprints(root).stage(stage, [unit], [segment]) for stage in STAGES}


def changed(before, after):
    return {stage for stage in STAGES if before[stage] != after[stage]}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", ["other", "absent"])
def test_a_file_concerns_the_stages_that_read_it(root, name, what):
    before = digests(root)
    (root / name).unlink()
    if what == "other":
        (root / name).write_text(f"not {name}")
    assert changed(before, digests(root)) == FILES[name]


@pytest.mark.parametrize("column", ROWS)
def test_a_row_concerns_the_stages_that_read_the_column(root, column):
    value, stages = ROWS[column]
    assert changed(digests(root), digests(root, replace(SEGMENT, **{column: value}))) == stages


def test_the_place_of_a_corpus_and_the_times_of_its_files_do_not_count(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "corpus"
    before = digests(root)
    for name in FILES:
        os.utime(root / name, (1, 1))
    root.rename(elsewhere)
    assert digests(elsewhere) == before
    renamed = replace(UNIT, video="videos/v.mp4")
    (elsewhere / "videos").mkdir()
    (elsewhere / "u.mp4").rename(elsewhere / "videos/v.mp4")
    assert digests(elsewhere, unit=renamed) == before, "what is in a file counts, not its name"


def test_of_a_long_video_the_size_and_samples_of_its_contents_count(tmp_path):
    assert (WHOLE_BYTES, SAMPLES) == (2**20, 16), "as README.md says"
    path = tmp_path / "long.mp4"
    data = np.random.default_rng(0).integers(0, 256, 4 * WHOLE_BYTES, np.uint8)
    path.write_bytes(data.tobytes())
    first = content(path)
    starts = [k * (len(data) - BLOCK_BYTES) // (SAMPLES - 1) for k in range(SAMPLES)]
    assert (starts[0], starts[-1] + BLOCK_BYTES) == (0, len(data)), "the beginning and the end are among the samples"
    for at in (0, starts[3], starts[3] - 1, starts[7] + BLOCK_BYTES - 1, starts[7] + BLOCK_BYTES, len(data) - 1):
        other = data.copy()
        other[at] ^= 1
        sampled = any(start <= at < start + BLOCK_BYTES for start in starts)
        path.write_bytes(other.tobytes())
        assert (content(path) != first) == sampled
    path.write_bytes(data[:-1].tobytes())
    assert content(path) != first
    small = data[:WHOLE_BYTES]
    path.write_bytes(small.tobytes())
    first = content(path)
    for at in np.random.default_rng(1).integers(0, WHOLE_BYTES, 20):  # of a short file every byte
        other = small.copy()
        other[at] ^= 1
        path.write_bytes(other.tobytes())
        assert content(path) != first


@pytest.mark.parametrize("name", ["s.txt", "u.srt", "s.wdseg"])
def test_of_a_long_text_every_byte_counts(root, name):
    """A label corrected in 4 MiB of them leaves the size as it was."""
    lines = [f"{k:06d},0.5\n" for k in range(400_000)]
    (root / name).write_text("".join(lines))
    assert (root / name).stat().st_size > 4 * WHOLE_BYTES
    before = digests(root)
    lines[190_000] = lines[190_000].replace("0.5", "0.6")
    (root / name).write_text("".join(lines))
    assert changed(before, digests(root)) == FILES[name]


def test_what_is_not_there_or_cannot_be_read_is_said(tmp_path, monkeypatch):
    assert Fingerprints(tmp_path).of(None) == "none"
    assert Fingerprints(tmp_path).of("x.mp4") == content(tmp_path / "x.mp4") == "absent"
    os.mkfifo(tmp_path / "pipe")
    assert content(tmp_path / "pipe") == "absent", "a pipe would never end"
    (tmp_path / "x.mp4").write_text("x")

    def refuse(self, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "open", refuse)
    assert content(tmp_path / "x.mp4") == "unreadable: Permission denied"


def test_digests_are_remembered_until_a_file_changes(root, tmp_path_factory, monkeypatch):
    memory = tmp_path_factory.mktemp("memory") / "prints.json"
    read = []
    monkeypatch.setattr(raw, "content", lambda path, whole: read.append(path.name) or content(path, whole))

    def again():
        read.clear()
        prints = Fingerprints(root, memory)
        found = prints.stage("audio", [UNIT], [SEGMENT])
        prints.save()
        return found

    first = again()
    assert read == ["u.mp4", "u.wav", "s.wav"]
    assert (again(), read) == (first, [])
    (root / "s.wav").write_text("later")
    assert again() != first
    assert read == ["s.wav"]
    os.utime(root / "u.wav", (1, 1))
    again()
    assert read == ["u.wav"], "a file that may have changed is read"
    assert set(json.loads(memory.read_text())) == {"u.mp4", "u.wav", "s.wav"}
    memory.write_text("cut sho")
    again()
    assert len(read) == 3


def test_a_file_is_looked_at_once_for_all_stages(root, monkeypatch):
    prints, looked, stat = Fingerprints(root), [], os.stat

    def every_digest():
        table = files_read(SimpleNamespace(text_files={}), [UNIT], [SEGMENT], prints)
        return table, [prints.stage(stage, [UNIT], [SEGMENT]) for stage in STAGES]

    first = every_digest()
    monkeypatch.setattr(os, "stat", lambda path, **how: looked.append(path) or stat(path, **how))
    assert (every_digest(), looked) == (first, [])


@pytest.mark.parametrize("count", [3, 400])
def test_crops_that_are_written_over_are_noticed(root, tmp_path_factory, count):
    """The folder itself stays as old as it was."""
    memory = tmp_path_factory.mktemp("memory") / "prints.json"

    def crops(size):
        for k in range(count):
            (root / "crops" / f"{k:05d}.jpg").write_bytes(bytes(size))
        prints = Fingerprints(root, memory)
        found = prints.stage("faces", [UNIT], [SEGMENT])
        prints.save()
        return found

    first, aged = crops(10), (root / "crops").stat().st_mtime_ns
    assert crops(10) == first
    assert crops(11) != first
    assert (root / "crops").stat().st_mtime_ns == aged
    assert crops(10) == first


def test_a_folder_that_cannot_be_written_costs_only_time(root, tmp_path_factory):
    memory = tmp_path_factory.mktemp("memory") / "file" / "prints.json"
    memory.parent.write_text("no folder")
    prints = Fingerprints(root, memory)
    prints.stage("audio", [UNIT], [SEGMENT])
    prints.save()
