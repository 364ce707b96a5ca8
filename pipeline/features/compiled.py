"""What numba compiles, for librosa too, is kept on disk for later processes, of which one at a time may compile."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = frozenset({"librosa", "numba"})
"""Packages of an extractor with which something is compiled."""


@contextmanager
def one_compiler() -> Iterator[None]:
    """Only one process at a time compiles, or loads compiled code, in this block; the code lies in a folder of our own.

    Two processes that compile the same at once can leave a cache with which every later one crashes: numba numbers its
    files without a lock. What was loaded in here no longer needs the disk.
    """
    import numba
    from filelock import FileLock

    cache = _folder()
    with FileLock(cache / "affectflow.lock"):
        numba.config.CACHE_DIR = str(cache)
        yield


def _folder() -> Path:
    """Where it is kept: as ``NUMBA_CACHE_DIR`` says, or below the user's cache, or for this process alone."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    cache = Path(os.environ.get("NUMBA_CACHE_DIR") or home / "affectflow" / "numba")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        writable = os.access(cache, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        cache = Path(tempfile.mkdtemp(prefix="affectflow-"))
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
    return cache
