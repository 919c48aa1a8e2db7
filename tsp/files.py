"""Reading files that may be anything, and writing files that are never half there."""

import contextlib
import errno
import io
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp.errors import InputError


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a file of at most ``limit`` bytes; InputError if it cannot be read or is larger."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from None
    if len(data) > limit:
        raise InputError(f"{path}: is larger than {limit} bytes, the most that is read")
    return data


def write_atomic(path: Path, data: bytes) -> None:
    """Write the file as a whole or not at all: a reader sees the old one or the new one. InputError if it cannot be.

    A symbolic link stays, and so does what is no file, such as a pipe, which is written as it is.
    """
    with _beside(path) as (temporary, place):
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        temporary.write_bytes(data)
        if place.exists():
            shutil.copymode(place, temporary)
        os.replace(temporary, place)


def refuse_unwritable(path: Path) -> None:
    """InputError where :func:`write_atomic` could not write: asked before work that takes long. Nothing changes."""
    with _beside(path) as (temporary, _):
        if not path.exists() or path.is_file():
            temporary.touch()


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[tuple[Path, Path]]:
    """A temporary file, gone in the end, beside the one that a path leads to, and that one. Errors name the path."""
    try:
        if not path.name or path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        place = Path(os.path.realpath(path))
        temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
        try:
            yield temporary, place
        finally:
            with contextlib.suppress(OSError, ValueError):
                temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be written: {reason(error)}") from None


def refuse_same(output: Path, source: Path) -> None:
    """InputError if both are one file, which would be overwritten by what is made of it."""
    if output.exists() and source.exists() and os.path.samefile(output, source):
        raise InputError(f"{output}: is what is read, must be another file")


def refuse_ending(output: Path, ending: str = ".npz") -> None:
    """InputError unless the name of a file ends so: by it the other commands know what it is. A pipe has any name."""
    if output.suffix != ending and (output.is_file() or not output.exists()):
        raise InputError(f"{output}: must end in {ending}; try {output}{ending}")


def reason(error: BaseException) -> str:
    """The sentence inside an exception: ``No such file or directory`` and the like."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def parse_npy(data: bytes, name: str) -> NDArray[Any]:
    """The array in the bytes of a ``.npy`` file: never unpickles, never allocates more than ``data`` holds.

    Raises InputError when the bytes are no such file, are cut short, or hold Python objects.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = header(stream)
    except (ValueError, KeyError, SyntaxError, TypeError, EOFError, RecursionError, MemoryError):
        raise InputError(f"{name}: is not a .npy array") from None
    if dtype.hasobject or dtype.itemsize == 0 or any(size < 0 for size in shape):
        raise InputError(f"{name}: holds {dtype} elements, must hold numbers")
    held = len(data) - stream.tell()
    claimed = math.prod(shape) * dtype.itemsize
    if held != claimed:
        raise InputError(f"{name}: holds {held} bytes of data where its header says {claimed}")
    array = np.frombuffer(data, dtype, offset=stream.tell())
    return array.reshape(shape, order="F" if fortran else "C")
