"""Where a model runs is chosen aloud, and jobs beside each other take different GPUs."""

import subprocess
import sys

import pytest
import torch

from pipeline import devices
from pipeline.features.command import build
from pipeline.records import InputError
from pipeline.words.registry import make

OLD = "The NVIDIA driver on your system is too old (found version 11040).\nPlease update your GPU driver"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with so many GPUs, of which PyTorch can use all or none."""
    monkeypatch.setattr(devices, "_locks", [])
    monkeypatch.setattr(devices, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    chosen = []

    def init():
        raise RuntimeError(OLD)

    def make(count, usable=True):
        monkeypatch.setattr(devices, "gpu_is_here", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: usable and count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count if usable else 0)
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        monkeypatch.setattr(torch.cuda, "init", init)
        return chosen

    return make


def test_the_processor_where_there_is_no_gpu(machine, caplog):
    machine(0)
    assert devices.choose_device("auto") == "cpu"
    assert caplog.text == ""
    with pytest.raises(InputError, match="--device cuda: PyTorch sees no GPU here; use auto or cpu"):
        devices.choose_device("cuda")


def test_a_driver_that_is_too_old_is_said_aloud(machine, caplog):
    machine(1, usable=False)
    assert devices.choose_device("auto") == "cpu"
    assert "RUNNING ON THE PROCESSOR" in caplog.text
    assert "driver on your system is too old (found version 11040)" in caplog.text
    with pytest.raises(InputError, match="too old"):
        devices.choose_device("cuda", "training.device")


def test_who_wants_the_processor_or_hides_the_gpu_hears_nothing(machine, caplog, monkeypatch):
    machine(1, usable=False)
    assert devices.choose_device("cpu") == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.choose_device("auto") == "cpu"
    assert caplog.text == ""


def read_off(monkeypatch, folder, *files):
    """A machine on which only these files tell of GPUs."""
    for name in files:
        (folder / name).touch()
    monkeypatch.setattr(devices, "DEVICES", folder)
    monkeypatch.setattr(devices, "DRIVER", folder / "version")
    monkeypatch.setattr(devices, "WINDOWS_DRIVER", folder / "libcuda.so.1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("visible", "expected"), [(None, 3), ("0,2", 2), ("GPU-a/b", 1), ("0,1,2,3", 3), ("-1", 0), ("", 0)]
)
def test_every_gpu_that_is_not_hidden_is_shared_out(monkeypatch, tmp_path, visible, expected):
    read_off(monkeypatch, tmp_path, "nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.count_gpus() == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 2024\nGCC version:  gcc 12.3", 0),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  570.124.06  Release Build  (builder)\n", 0),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (builder)\n", 2),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  1005.10  Fri\n", 2),
        ("words that nobody knows", 2),
    ],
    ids=["old", "old and open", "new and open", "newer", "unknown"],
)
def test_of_a_driver_that_is_too_old_no_gpu_is_shared_out_and_one_is_here_all_the_same(
    monkeypatch, tmp_path, version, expected
):
    """As the file reads under drivers of these versions."""
    read_off(monkeypatch, tmp_path, "nvidia0", "nvidia1", "nvidiactl")
    (tmp_path / "version").write_text(version)
    assert devices.count_gpus() == expected
    assert devices.gpu_is_here()


def test_under_windows_a_gpu_counts_where_nvidia_has_a_driver_for_it(monkeypatch, tmp_path):
    """/dev/dxg is there whatever the maker."""
    read_off(monkeypatch, tmp_path, "dxg")
    assert (devices.count_gpus(), devices.gpu_is_here()) == (0, False)
    (tmp_path / "libcuda.so.1").touch()
    assert (devices.count_gpus(), devices.gpu_is_here()) == (1, True)


@pytest.mark.parametrize("visible", [None, "4,7,GPU-a/b"])
def test_each_job_takes_a_gpu_of_its_own(machine, monkeypatch, visible):
    chosen = machine(3)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    kept = []
    for _ in range(3):
        assert devices.choose_device("auto") == "cuda"
        assert devices.choose_device("cuda") == "cuda", "the second time nothing is chosen anew"
        kept.append(devices._locks)
        monkeypatch.setattr(devices, "_locks", [])
    assert chosen == [0, 1, 2]
    devices.choose_device("auto")
    assert chosen[3] in (0, 1, 2), "more jobs than GPUs share them"
    for lock in kept[1]:
        lock.release()
    monkeypatch.setattr(devices, "_locks", [])
    devices.choose_device("auto")
    assert chosen[4] == 1


def test_what_cannot_use_a_gpu_takes_none(machine, tmp_path):
    """Neither an extractor without weights, nor a recogniser that runs on the processor, whatever predict was asked."""
    chosen, own = machine(2), tmp_path / "words.py"
    own.write_text(
        "from affectflow import Recogniser\n\n\nclass Slow(Recogniser):\n    def transcribe(self, samples, rate):\n"
        "        return []\n\n\nclass Fast(Slow):\n    uses_gpu = True\n"
    )
    assert build("mfcc", {}, None, "auto")[0].device == "cpu"
    assert [make(f"{own}:Slow", {}, None, asked).device for asked in ("auto", "cuda")] == ["cpu", "cpu"]
    assert chosen == []
    assert make(f"{own}:Fast", {}, None, "auto").device == "cuda"
    assert chosen == [0]


def test_a_job_that_has_ended_holds_nothing(tmp_path):
    code = (
        "import sys; from pipeline import devices; devices.gettempdir = lambda: sys.argv[1]; "
        "print(devices._free_gpu(2), flush=True); sys.argv[2:] and input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    first = subprocess.Popen([*command, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "0\n"
    assert subprocess.run(command, capture_output=True, text=True).stdout == "1\n"
    first.communicate("\n")
    assert subprocess.run(command, capture_output=True, text=True).stdout == "0\n"
