"""What runs on a GPU, against the same on the CPU.

    python -m pytest tests/test_gpu.py

needs torch, transformers, h5py, numpy and pytest; no mediapipe, no OpenCV. What transformers or we need beyond that for
pictures (pillow) and for the frame-wise task (pyarrow, scipy) is skipped, visibly, where it is absent.
"""

import json
import math

import pytest
import torch

from models.attention import Stream, observed
from models.encoders import GatedRecurrence
from pipeline.features.command import build
from tests.checkpoint_families import ALL, make_checkpoint, pieces_of
from tests.network_material import TASKS, THREE, check_device
from tests.training_material import contents, start, task_job, write_material

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _exact(monkeypatch):
    """As in training: torch alone lets cuDNN round to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture(params=TASKS, ids=str)
def job(request, tmp_path):
    """Arguments of a small training of each task."""
    pytest.importorskip("pyarrow", reason="predictions are Parquet files")
    pytest.importorskip("scipy", reason="features are brought to the frames by a sparse matrix")
    task = request.param
    material = write_material(tmp_path, task)

    def arguments(out, cores=1, **changes):
        return ["--cores", str(cores), *task_job(tmp_path, task, *material, out, **changes)]

    return arguments


def test_cudnn_gives_the_same_gru():
    generator = torch.Generator().manual_seed(2)
    values, mask = torch.randn(3, 20, 8, generator=generator), torch.rand(3, 20, generator=generator) > 0.3
    stream, module = observed(values, mask), GatedRecurrence(8)
    expected = module(stream).values
    found = module.cuda()(Stream(stream.values.cuda(), stream.mask.cuda())).values
    torch.testing.assert_close(found.cpu(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("fusion", "task", "modalities"), THREE)
def test_networks_agree_with_the_cpu(fusion, task, modalities):
    check_device(fusion, task, "cuda")


def test_training_repeats_itself_and_agrees_with_the_cpu(tmp_path, job):
    start(job("one", device="cuda"))
    start(job("two", device="cuda"))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    losses = []
    for device in ("cpu", "cuda"):
        start(job(device, device=device, seeds=[1], epochs=1))
        header, row = (tmp_path / device / "seed1" / "history.csv").read_text().splitlines()
        losses.append(float(dict(zip(header.split(","), row.split(",")))["training_loss"]))
    assert math.isclose(*losses, rel_tol=0.2)  # dropout draws differ


def test_seeds_side_by_side_are_seeds_one_after_another(tmp_path, job):
    start(job("one", device="cuda"))
    start(job("together", cores=2, device="cuda"))
    assert contents(tmp_path / "together") == contents(tmp_path / "one")


def test_mixed_precision_is_told(tmp_path, job):
    start(job("fast", device="cuda", mixed_precision=True, seeds=[1]))
    assert json.loads((tmp_path / "fast" / "seed1" / "run.json").read_text())["exact"] is False


@pytest.mark.parametrize(("kind", "family"), ALL)
def test_extractors_agree_with_the_cpu(tmp_path, kind, family):
    if kind == "transformers_image":
        pytest.importorskip("PIL", reason="transformers prepares pictures with pillow")
    options = {"layers": [0, 1, 2], "combine": "concat"} if family not in ("whisper",) else {}
    folder, results = make_checkpoint(kind, family, tmp_path), []
    for device in ("cpu", "cuda"):
        made, _ = build(kind, options, folder, device)
        results.append(made.extract(pieces_of(made.modality)))
    for one, other in zip(*results, strict=True):
        assert abs(one.values - other.values).max() <= 1e-4 * abs(one.values).max()
