"""Extractors of faces: geometry of turned heads, and networks in ONNX files."""

import numpy as np
import pytest

from pipeline import weights
from pipeline.features.command import build
from pipeline.features.face_geometry import EXPRESSIVE, MEASURES
from pipeline.features.piece import FacePiece
from pipeline.features.synthetic import clip
from pipeline.records import InputError
from tests.checkpoint_families import onnx_mean_of_channels


def turned(piece, yaw=0.0, pitch=0.0, roll=0.0, scale=1.0, shift=(0, 0, 0)):
    """The head rotated about its own centre: first roll, then pitch, then yaw, by SciPy."""
    from scipy.spatial.transform import Rotation

    # x right, y down, z away: looking up is a negative turn about x, to the right of the picture one about y.
    rotation = Rotation.from_euler("zxy", [roll, -pitch, -yaw]).as_matrix()
    centre = np.array([56, 60, 0])
    mesh = (piece.mesh.astype(float) - centre) @ rotation.T * scale + centre + shift
    mesh[~piece.valid] = 0
    return FacePiece(piece.segment_id, piece.crops, piece.time_s, piece.valid, piece.landmarks * 0, mesh)


@pytest.fixture
def straight():
    """A face that looks straight into the camera: its axes are the picture's."""
    face = clip("video", 1.0)
    mesh = face.mesh.astype(float)
    mesh[:, [10, 152], 0], mesh[:, [10, 152], 2] = 56, 3
    mesh[~face.valid] = 0
    return FacePiece(face.segment_id, face.crops, face.time_s, face.valid, face.landmarks * 0, mesh)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (0.4, 0, 0), (0, 0.3, 0), (0, 0, 0.2), (-0.5, 0.2, 0)])
def test_head_pose_of_a_turned_head(straight, yaw, pitch, roll):
    still = FacePiece("s", straight.crops, straight.time_s, straight.valid, straight.landmarks, straight.mesh)
    mesh = still.mesh
    mesh[straight.valid] = mesh[0]
    made = build("face_geometry", {"points": "none"}, None, "cpu")[0]
    rows = made.extract([turned(still, yaw, pitch, roll)])[0]
    got = rows.values[rows.valid][:, :3]
    np.testing.assert_allclose(got[:, :2], [[yaw, pitch]] * len(got), atol=0.02)
    if not yaw:
        np.testing.assert_allclose(got[:, 2], roll, atol=0.02)


def test_points_and_measures_do_not_depend_on_pose_place_and_size(straight):
    made = build("face_geometry", {"pose": False}, None, "cpu")[0]
    one = made.extract([straight])[0]
    other = made.extract([turned(straight, 0.3, -0.2, 0.1, scale=0.7, shift=(5, -9, 2))])[0]
    np.testing.assert_allclose(one.values, other.values, atol=1e-4)
    assert one.values.shape[1] == made.dim == len(MEASURES) + 3 * len(EXPRESSIVE)
    assert len(set(EXPRESSIVE)) == len(EXPRESSIVE) == 100
    mouth = one.values[one.valid][:, MEASURES.index("mouth_opening")]
    assert np.ptp(mouth) > 0.05  # the clip opens its mouth
    assert np.array_equal(one.valid, straight.valid)


def test_roll_is_that_of_the_full_frame():
    face = clip("video", 1.0)
    angle = 0.25
    line = np.array([[0, 0], [np.cos(angle), np.sin(angle)]]) * 30 + 200
    landmarks = face.landmarks.copy()
    landmarks[:, :2] = line
    tilted = FacePiece("s", face.crops, face.time_s, face.valid, landmarks, face.mesh)
    rows = build("face_geometry", {}, None, "cpu")[0].extract([tilted])[0]
    np.testing.assert_allclose(rows.values[rows.valid][:, 2], angle, atol=1e-3)


def test_frames_without_a_mesh_are_invalid():
    face = clip("video", 1.0)
    mesh = face.mesh.copy()
    mesh[3] = 0
    rows = build("face_geometry", {}, None, "cpu")[0].extract(
        [FacePiece("s", face.crops, face.time_s, face.valid, face.landmarks, mesh)]
    )[0]
    assert not rows.valid[3]
    assert rows.valid.sum() == face.valid.sum() - 1


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("channels_last", [False, True])
def test_onnx_network_from_a_file(tmp_path, batch, channels_last):
    onnx_mean_of_channels(tmp_path / "net.onnx", batch, channels_last)
    weights.seal(tmp_path, "mine")
    face = clip("video", 1.0)
    made, known = build("onnx_image", {"mean": [0, 0, 0], "std": [255, 255, 255]}, tmp_path, "cpu")
    assert list(known["sha256"]) == ["net.onnx"]
    rows = made.extract([face, face])[1]
    expected = face.crops.mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(rows.values[rows.valid], expected[face.valid], atol=0.01)
    assert np.array_equal(rows.valid, face.valid)
    swapped, _ = build("onnx_image", {"mean": [0] * 3, "std": [255] * 3, "channels": "bgr"}, tmp_path, "cpu")
    np.testing.assert_allclose(swapped.extract([face])[0].values[:, ::-1], rows.values, atol=1e-6)


def test_onnx_files_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="there are: none"):
        build("onnx_image", {}, make_folder(tmp_path / "a", {"x": b""}), "cpu")
    with pytest.raises(InputError, match="cannot be read as an ONNX model"):
        build("onnx_image", {}, make_folder(tmp_path / "b", {"net.onnx": b"no"}), "cpu")
    folder = make_folder(tmp_path / "c", {"two.onnx": b"no"})
    onnx_mean_of_channels(folder / "one.onnx")
    with pytest.raises(InputError, match=r"one\.onnx, two\.onnx"):
        build("onnx_image", {}, folder, "cpu")
    with pytest.raises(InputError, match="no tensor 'embedding'; its outputs are colour"):
        build("onnx_image", {"file": "one.onnx", "output": "embedding"}, folder, "cpu")


def make_folder(path, files):
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path
