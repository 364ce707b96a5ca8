"""Face files give back what was written, in any order of writing, and say what is missing."""

import io
import pickle
import tracemalloc

import h5py
import numpy as np
import pytest
from PIL import Image

from pipeline.crops import CROP_PX, DAMAGED, NO_FACE, OTHER_FACE, FaceFile, FaceWriter
from pipeline.records import InputError


def jpeg(level, size=CROP_PX):
    data = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), level, np.uint8)).save(data, "JPEG", quality=95)
    return data.getvalue()


def rows(count, first=0):
    time_s = np.stack([np.arange(count), np.arange(count) + 1], axis=1) / 25
    return time_s, np.arange(count) + first


@pytest.fixture
def path(tmp_path):
    """Two people of 300 frames written frame by frame, one segment without any row, one never written."""
    path = tmp_path / "faces.h5"
    rng = np.random.default_rng(0)
    with FaceWriter(path, {"b": rows(300), "a": rows(300), "none": rows(0), "unread": rows(5, 7)}, {"unit": "x"}) as w:
        for k in range(300):
            for name, shift in (("b", 0), ("a", 100)):
                if k % 7 == 3:
                    w.absent(name, k, OTHER_FACE if name == "b" else NO_FACE)
                else:
                    mesh = rng.normal(56, 20, (468, 3))
                    w.found(name, k, jpeg(shift + k % 100), 0.5, np.full((5, 2), 1000.0 + k), mesh)
        w.remark("none", "no frame lies inside")
    return path


def test_everything_comes_back(path):
    file = pickle.loads(pickle.dumps(FaceFile(path)))
    assert list(file) == ["a", "b", "none", "unread"]
    assert file.attributes == {"unit": "x"}
    for name, shift, code in (("b", 0, OTHER_FACE), ("a", 100, NO_FACE)):
        track = file[name]
        seen = np.arange(300) % 7 != 3
        assert np.array_equal(track.valid, seen)
        assert np.array_equal(track.code, np.where(seen, 0, code))
        assert np.array_equal(track.time_s, rows(300)[0])
        assert np.allclose(track.landmarks[:, 0, 0], np.where(seen, 1000 + np.arange(300), 0))
        assert np.allclose(track.score, np.where(seen, 0.5, 0))
        crops = track.crops()
        assert crops.shape == (300, CROP_PX, CROP_PX, 3)
        assert np.allclose(crops[:, 5, 5, 0], np.where(seen, shift + np.arange(300) % 100, 0), atol=2)
        assert np.array_equal(track.crops(250, 400), crops[250:])
        assert track.mesh(10, 12).shape == (2, 468, 3)
        assert np.abs(track.mesh().astype(float)[seen]).max() > 1
        assert not track.mesh()[~seen].any()
    assert len(file["none"]) == 0
    assert file["none"].crops().shape == (0, CROP_PX, CROP_PX, 3)
    assert file["none"].reason == "no frame lies inside"
    assert (file["unread"].code == DAMAGED).all()
    assert list(file["unread"].frame_index) == [7, 8, 9, 10, 11]


def test_layout_is_the_documented_one(path):
    with h5py.File(path) as file:
        assert file["mesh"].dtype == np.float16
        assert file["landmarks"].dtype == np.float32
        assert list(file["offset"][:]) == [0, 300, 600, 600, 605]
        assert "somebody else" in file["code"].attrs["names"]
        (begin, end), (after, _) = file["jpeg_range"][300], file["jpeg_range"][0]
        assert bytes(file["jpeg"][begin : begin + 2]) == b"\xff\xd8"
        assert after == end, "frames of different people lie one after the other"


def test_memory_does_not_grow_with_the_number_of_short_segments(tmp_path):
    plan, picture = {f"{k:03d}": rows(60) for k in range(200)}, jpeg(9)
    mesh = np.ones((468, 3))
    tracemalloc.start()
    with FaceWriter(tmp_path / "faces.h5", plan) as writer:
        for name in plan:
            for k in range(60):
                writer.found(name, k, picture, mesh=mesh)
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert peak_mb < 20, "12,000 meshes are 34 MB in the file"
    assert (FaceFile(tmp_path / "faces.h5")["199"].mesh() == 1).all()


def test_rows_outside_of_the_plan_are_refused(tmp_path):
    with pytest.raises(IndexError), FaceWriter(tmp_path / "x.h5", {"a": rows(3)}) as writer:
        writer.found("a", 3, jpeg(0))
    assert not list(tmp_path.iterdir()), "a file that was not finished is not left behind"


@pytest.mark.parametrize(("given", "read"), [("caf\udce9", r"caf\udce9"), ("\ud800", r"\ud800")])
def test_a_remark_that_names_what_is_no_text_can_be_read(tmp_path, given, read):
    with FaceWriter(tmp_path / "x.h5", {"a": rows(0)}) as writer:
        writer.remark("a", f"no folder {given}")
    assert FaceFile(tmp_path / "x.h5")["a"].remarks == (f"no folder {read}",)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("text")
    h5py.File(tmp_path / "other.h5", "w").close()
    for name in ("text.h5", "other.h5", "absent.h5"):
        with pytest.raises(InputError, match="no such file" if name == "absent.h5" else "not a face file"):
            FaceFile(tmp_path / name)
