"""HDF5 files that notice damage, and what is wrong with one in words."""

import errno
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pipeline.files import replacing, what_lies_at
from pipeline.records import InputError
from pipeline.stand_in import stand_in

FORMAT = {"libver": ("v110", "v110")}  # its headers carry checksums, as ``fletcher32`` gives them to the data
BROKEN = (
    OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError, OverflowError, MemoryError
)  # fmt: skip
"""What h5py raises for damaged files."""
NOT_NOW = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE)
"""Errors of the machine or the disk, which say nothing about the file."""


def explained(path: Path, error: Exception, called: str, remedy: str) -> InputError:
    """The error to raise where a file that should be ``called`` so cannot be opened or read."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file; let the workflow make it")
    if isinstance(error, BlockingIOError):
        return InputError(f"{path}: another program has it open for writing; wait for it or close it, then run again")
    if isinstance(error, PermissionError):
        return InputError(f"{path}: cannot be read (permission denied); correct its permissions, then run again")
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in NOT_NOW:
        what = str(error) or "out of memory"
        return InputError(f"{path}: cannot be read now ({what}); the file may be whole: mend that, then run again")
    return InputError(f"{path}: not {called}, or damaged ({'; '.join(stand_in(path) or [str(error)])}); {remedy}")


def open_to_read(path: Path, **options):
    """An open h5py file; raises InputError for anything but a plain file, which might never answer."""
    import h5py

    if path.exists() and not path.is_file():
        raise InputError(f"{path}: {what_lies_at(path)}, not a file; name the file")
    return h5py.File(path, "r", **options)


class LazyFile:
    """An HDF5 file opened at the first read, in each process anew, and kept open; what is pickled is its path."""

    called: ClassVar[str]  # in words
    options: ClassVar[dict[str, int]] = {}  # to open it with

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file: Any = None
        self._datasets: dict[str, Any] = {}

    def dataset(self, name: str):
        """The h5py dataset of that name."""
        if self._file is None:
            self._file = open_to_read(self.path, **self.options)
        if name not in self._datasets:
            self._datasets[name] = self._file[name]
        return self._datasets[name]

    def array(self, name: str, first: int = 0, last: int | None = None) -> np.ndarray:
        """Rows ``first`` to ``last`` (not included) of a dataset; raises InputError where the file is damaged there."""
        try:
            return self.dataset(name)[first:last]
        except BROKEN as error:
            raise self.unreadable(error) from None

    def unreadable(self, error: Exception) -> InputError:
        """The error to raise where reading ends in one."""
        return explained(self.path, error, self.called, "delete it and let the workflow make it again")

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        if self._file is not None:
            self._file.close()
            self._file, self._datasets = None, {}

    def __getstate__(self):
        return {**self.__dict__, "_file": None, "_datasets": {}}


class Writer(ABC):
    """Write an HDF5 file under a temporary name; it is moved into place when the block ends well, else removed."""

    path: Path

    def __enter__(self):
        import h5py

        self._opened = ExitStack()  # closes the file, then moves it into place or removes it, whatever goes wrong
        temporary = self._opened.enter_context(replacing(self.path))
        self._file = self._opened.enter_context(h5py.File(temporary, "w", **FORMAT))
        self._begin()
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            return self._opened.__exit__(kind, value, trace)
        with self._opened:
            self._finish()

    @abstractmethod
    def _begin(self) -> None:
        """Make what is known beforehand."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what has been held back."""


def write_checked(file, name: str, data: np.ndarray) -> None:
    """Write an array with a checksum; texts get the length of the longest, because others have none."""
    import h5py

    data = np.asarray(data)
    if data.dtype.kind in "OU":
        texts = [str(text).encode(errors="surrogateescape") for text in data]
        kind = h5py.string_dtype("utf-8", max(map(len, texts), default=0) or 1)
        data = np.array(texts, kind)
    chunks = data.shape if data.size else None
    file.create_dataset(name, data=data, chunks=chunks, fletcher32=True if chunks else None)
