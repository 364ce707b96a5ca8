"""Where a model runs: a GPU that PyTorch can use, one for each job, or the processor, and never in silence."""

import os
import re
from pathlib import Path
from tempfile import gettempdir

from pipeline.log import log
from pipeline.records import InputError

DEVICES, DRIVER = Path("/dev"), Path("/proc/driver/nvidia/version")
WINDOWS_DRIVER = Path("/usr/lib/wsl/lib/libcuda.so.1")  # NVIDIA's, where Linux runs under Windows
OLDEST_DRIVER = 580  # that runs the CUDA of the locked PyTorch
_locks: list = []  # locks of this process's GPU, until it ends


def choose_device(wanted: str, setting: str = "--device") -> str:
    """Resolve "auto" to "cuda" or "cpu"; raises InputError where a GPU is asked for and none can be used.

    With several GPUs it selects one that no other job of this user on this machine holds.
    """
    if wanted == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        if torch.cuda.device_count() > 1 and not _locks:
            torch.cuda.set_device(_free_gpu(torch.cuda.device_count()))
        return "cuda"
    why = _unusable(torch)
    if wanted == "cuda":
        raise InputError(f"{setting} cuda: {why or 'PyTorch sees no GPU here'}; use auto or cpu")
    if why:
        log.warning("RUNNING ON THE PROCESSOR: %s; this takes many times as long", why)
    return "cpu"


def _free_gpu(count: int) -> int:
    """The first GPU whose lock nobody holds; where all are taken, any."""
    from filelock import FileLock, Timeout

    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    for index in range(count):
        name = visible[index].strip().replace("/", "-") if index < len(visible) else str(index)
        lock = FileLock(Path(gettempdir()) / f"affectflow-{os.getuid()}-gpu-{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _locks.append(lock)
        return index
    return os.getpid() % count


def _unusable(torch) -> str | None:
    """Why PyTorch cannot use the GPU that is here; None where none is here, or it is hidden on purpose."""
    if not gpu_is_here() or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return None
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()
        return f"there is an NVIDIA GPU, but PyTorch cannot use it ({reason[0] if reason else type(error).__name__})"
    return "there is an NVIDIA GPU, but PyTorch cannot use it"


def gpu_is_here() -> bool:
    """Whether this machine has an NVIDIA GPU with a driver, whatever its version."""
    return DRIVER.exists() or count_gpus() > 0


def count_gpus() -> int:
    """How many NVIDIA GPUs jobs of this machine can share out, without asking PyTorch; none of too old a driver."""
    driver = re.search(r" (\d+)\.\d", DRIVER.read_text()) if DRIVER.exists() else None
    if driver and int(driver[1]) < OLDEST_DRIVER:
        return 0
    here = len(list(DEVICES.glob("nvidia[0-9]*"))) or int((DEVICES / "dxg").exists() and WINDOWS_DRIVER.exists())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return here
    return min(here, len([name for name in visible.split(",") if name.strip() not in ("", "-1")]))
