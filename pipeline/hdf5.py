"""HDF5 files that notice damage, and what is wrong with one in words."""

from pathlib import Path

import numpy as np

from pipeline.impostor import impostor
from pipeline.records import InputError

FORMAT = {"libver": ("v110", "v110")}  # its headers carry checksums, as ``fletcher32`` gives them to the data
BROKEN = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
)
"""What h5py raises for damaged files."""


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
    return InputError(f"{path}: not {called}, or damaged ({impostor(path) or error}); {remedy}")


def open_to_read(path: Path, **options):
    """An open h5py file; raises InputError for what is no plain file, which may never answer."""
    import h5py

    if path.exists() and not path.is_file():
        raise InputError(f"{path}: {'a folder' if path.is_dir() else 'a pipe or device'}, not a file; name the file")
    return h5py.File(path, "r", **options)


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
