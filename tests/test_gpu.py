"""What runs on a GPU, against the same on the CPU.

    python -m pytest tests/test_gpu.py

needs torch, transformers, h5py, numpy, click, pydantic, pytest and hypothesis; no mediapipe, no OpenCV. What
transformers or we need beyond that for pictures (pillow) and for the frame-wise task (pyarrow, scipy) is skipped,
visibly, where it is absent.
"""

import json
import math

import pytest
import torch

from models.attention import Stream, observed
from models.encoders import GatedRecurrence
from pipeline.features.command import build
from tests.checkpoint_families import ALL, make_checkpoint, pieces_of
from tests.network_material import TASKS, THREE, VARIANTS, check_device, small
from tests.training_material import contents, job_of, run_of, start, task_job, write_material

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _exact(monkeypatch):
    """As in training: torch alone lets cuDNN round to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def need_tables():
    """Skip where a training cannot write or read what it must."""
    pytest.importorskip("pyarrow", reason="predictions are Parquet files")
    pytest.importorskip("scipy", reason="features are brought to the frames by a sparse matrix")


@pytest.fixture(params=TASKS, ids=str)
def job(request, tmp_path):
    """Arguments of a small training of each task."""
    need_tables()
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
    start(job("together", device="cuda"))
    for seed in (1, 2):
        start(job(f"seed{seed}", device="cuda", seeds=[seed]))
        alone = contents(tmp_path / f"seed{seed}" / f"seed{seed}")
        assert contents(tmp_path / "together" / f"seed{seed}") == alone


def finish(steps):
    """Run a training to its end; returns what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return ended.value


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("task", TASKS, ids=str)
def test_steps_as_graphs_are_the_steps(tmp_path, variant, task):
    need_tables()
    network = small(variant).model_dump(exclude_none=True)
    changes = {"loss": "mse"} if variant == "late" else {"class_weights": variant == "rcma"}
    one, other = (run_of(job_of(tmp_path, task, network, **changes), "cuda") for _ in range(2))
    other.graphs = None
    for _ in range(2):
        row, expected = finish(one.epoch()), finish(other.epoch())
        assert math.isclose(row["training_loss"], expected["training_loss"], rel_tol=1e-3)
        assert math.isclose(row["development_loss"], expected["development_loss"], rel_tol=0.02)
    assert one.graphs.made


@pytest.mark.parametrize("fusion", ["self_attention", "cross_attention", "cross_self_attention", "rjcma"])
def test_steps_of_published_models_as_graphs_are_the_steps(tmp_path, fusion):
    need_tables()
    network = {"fusion": fusion, "faithful": True}
    task = TASKS[0]
    if fusion == "rjcma":
        network, task = network | {"combine": "concatenation", "share_recursions": False}, TASKS[3]
    job = job_of(tmp_path, task, network, batch_size=12)
    one, other = (run_of(job, "cuda") for _ in range(2))
    for run in (one, other):
        for module in run.network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    other.graphs = None
    for _ in range(2):
        row, expected = finish(one.epoch()), finish(other.epoch())
        assert math.isclose(row["training_loss"], expected["training_loss"], rel_tol=1e-6)
    assert one.graphs.made


@pytest.mark.parametrize("changes", [{}, {"modality_dropout": 0.5}, {"mixed_precision": True}], ids=str)
def test_a_run_that_was_stopped_ends_in_the_same_bits(tmp_path, changes):
    need_tables()
    job = job_of(tmp_path, TASKS[0], warmup_epochs=3, plateau_patience=0, **changes)
    unbroken, stopped, resumed = (run_of(job, "cuda") for _ in range(3))
    rows = [finish(unbroken.epoch()) for _ in range(4)]
    for _ in range(2):
        finish(stopped.epoch())
    stopped.save(tmp_path / "state.pt", "same")
    assert resumed.resume(tmp_path / "state.pt", "same")
    for _ in range(2):
        finish(resumed.epoch())
    assert resumed.progress.history == rows
    for name, tensor in unbroken.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor)
    assert unbroken.graphs.made
    assert rows[0]["learning_rate"] == pytest.approx(job.training.learning_rates[0] / 3)


def test_a_network_that_asks_for_numbers_trains_without_graphs(tmp_path, caplog):
    need_tables()
    run = run_of(job_of(tmp_path, TASKS[0]), "cuda")
    run.network.register_forward_hook(lambda network, given, output: output * (1.0 if output.sum().item() else 2.0))
    expected = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    run._make_graphs([run.items[:16]])
    assert run.graphs is None
    assert "no CUDA graph can be made" in caplog.text
    assert all(torch.equal(run.network.state_dict()[name], tensor) for name, tensor in expected.items())
    rows = [finish(run.epoch()) for _ in range(3)]
    assert rows[-1]["training_loss"] < rows[0]["training_loss"]


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
