import json
import re

import av
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.audio_file import AudioWriter
from pipeline.crops import FaceWriter
from pipeline.inspect.info import Statistics, diff, info
from pipeline.inspect.show import draw, source_frames
from pipeline.interchange.command import import_
from pipeline.records import Segment, Unit, write_table
from pipeline.store import Rows, StoreWriter
from tests.clips import number_in, painted, write_clip
from workflow.entries import ExtractorEntry

ATTRIBUTES = {
    "corpus": "iemocap", "name": "toy", "modality": "audio", "extractor": "mfcc", "extractor_version": "1",
    "config": {"n_mfcc": 4}, "weights": {}, "software": {"numpy": "1"}, "inputs": "abc", "demonstration": True,
}  # fmt: skip


def write(path, segments, **changes):
    with StoreWriter(path, {**ATTRIBUTES, **changes}, dim=4) as out:
        for segment_id, values in segments.items():
            start = np.arange(len(values)) * 0.01
            out.append(segment_id, Rows(values, np.stack([start, start + 0.01], 1), np.ones(len(values), bool)))


def said(command, *paths):
    done = CliRunner().invoke(command, [str(p) for p in paths], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_statistics_in_blocks_equal_numpy_on_the_whole():
    rng = np.random.default_rng(0)
    blocks = [rng.normal(3, 2, size=(n, 5)).astype(np.float32) for n in (1, 40, 0, 7)]
    found = Statistics(5)
    for block in blocks:
        found.add(Rows(block, np.zeros((len(block), 2)), np.ones(len(block), bool)))
    whole = np.concatenate(blocks).astype(float)
    np.testing.assert_allclose(found.mean, whole.mean(0))
    np.testing.assert_allclose(found.sd, whole.std(0))
    assert found.low == pytest.approx(whole.min(0))


def test_info_calls_out_constant_columns_and_empty_segments(tmp_path):
    values = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    values[:, 2] = 7
    write(tmp_path / "toy.h5", {"a": values, "b": values[:0], "c": values + 1})
    text = said(info, tmp_path / "toy.h5")
    assert "DEMONSTRATION" in text
    assert "segments   3, 1 of them without a valid row (b)" in text
    assert "rows       60 of 4 float32 numbers, 100.0 % valid" in text
    assert '{"extractor": "mfcc", "n_mfcc": 4}' in text
    weights = {"source": "org/name", "revision": "1f", "sha256": {"model.safetensors": "ab" * 32}}
    write(tmp_path / "weighty.h5", {"a": values}, weights=weights)
    text = said(info, tmp_path / "weighty.h5")
    assert "weights: org/name at 1f" in text
    assert f"model.safetensors  sha256 {'ab' * 32}" in text
    write(tmp_path / "constant.h5", {"a": values})
    assert "constant columns: 2" in said(info, tmp_path / "constant.h5")


def test_what_info_says_of_an_imported_store_goes_into_config_yaml(tmp_path):
    source, segments = tmp_path / "öffnung.npz", tmp_path / "segments.tsv"
    write_table(segments, [Segment("a", "a", "who", None, None, 0.0, 1.0)], Segment)
    np.savez(source, segment_id=["a"], offset=[0, 2], values=np.ones((2, 3)), time_s=[[0, 0.5], [0.5, 1]])
    arguments = ["--corpus", "mine", "--name", "theirs", "--modality", "video", "--segments", segments]
    said(import_, source, *arguments, "--out", tmp_path / "theirs.h5")
    text = said(info, tmp_path / "theirs.h5")
    entry = json.loads(re.search(r"extractors.theirs: (\{.*\})", text)[1])
    assert entry == {"extractor": "import", "path": ".../öffnung.npz", "modality": "video"}
    assert ExtractorEntry(**entry).imported
    assert "times: seconds from the first video frame" in text
    assert str(tmp_path) not in text


def test_a_segment_that_its_files_do_not_hold_is_drawn_without(tmp_path):
    """As after an edit of the table of segments, before faces and sound are made again."""
    segment = Segment("new", "a", "who", None, None, 0.0, 1.0)
    write_table(tmp_path / "units.tsv", [Unit("a", None)], Unit)
    for writer, path in ((FaceWriter, "faces/a.h5"), (AudioWriter, "audio/a.h5")):
        with writer(tmp_path / path, {}):
            pass
    said = " ".join(text.get_text() for axis in draw(segment, tmp_path, [], None).axes for text in axis.texts)
    assert "no face: no file holds it" in said
    assert "no sound: a.h5 does not hold it" in said


def test_diff_tells_segments_masks_and_distances_apart(tmp_path):
    values = np.zeros((5, 4), np.float32)
    write(tmp_path / "a.h5", {"a": values, "b": values, "c": values})
    write(tmp_path / "b.h5", {"a": values + 0.5, "b": values[:3], "d": values}, config={"n_mfcc": 5})
    text = said(diff, tmp_path / "a.h5", tmp_path / "b.h5")
    assert 'config: {"n_mfcc": 4} | {"n_mfcc": 5}' in text
    assert f"segments only in {tmp_path}/a.h5: 1 (c)" in text
    assert "segments in both: 2; other number of rows in 1, other mask in 0" in text
    assert "values: up to 0.5 apart, root mean square 0.5" in text
    assert "values: up to 0 apart" in said(diff, tmp_path / "a.h5", tmp_path / "a.h5")


def test_pictures_stand_at_their_times_beside_one_that_does_not_decode(tmp_path):
    frames = 12
    path = tmp_path / "a.mp4"
    write_clip(path, [painted(n) for n in range(frames)], np.arange(frames) * 0.04, gop=1)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        broken = [packet for packet in container.demux(video=0) if packet.size][4]
    data[broken.pos : broken.pos + broken.size] = bytes(broken.size)
    path.write_bytes(data)
    segment = Segment("s", "a", "who", None, None, 0.0, frames * 0.04)
    write_table(tmp_path / "units.tsv", [Unit("a", "a.mp4")], Unit)
    middles_s = (np.arange(frames) + 0.5) * 0.04
    shown = source_frames(tmp_path, tmp_path, segment, middles_s)
    assert [None if picture is None else number_in(picture) for picture in shown] == [
        None if n == 4 else n for n in range(frames)
    ]
    drawn = draw(segment, tmp_path, [], tmp_path).axes[0].child_axes
    places = [np.mean(axis.get_position().intervalx) for axis in drawn]
    expected = np.delete(middles_s, 4) / segment.duration_s
    assert (np.array(places) - places[0]) / (places[-1] - places[0]) == pytest.approx(
        (expected - expected[0]) / (expected[-1] - expected[0]), abs=0.01
    )
