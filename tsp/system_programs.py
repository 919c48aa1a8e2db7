"""The programs of a system's chips in one file: a zip archive that holds the program file of each, ``NAME.npz``."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from tsp.errors import InputError
from tsp.files import read_bounded, write_atomic
from tsp.program import Program
from tsp.program_file import FILE_LIMIT, from_bytes, to_bytes
from tsp.system_file import CHIP_NAME, MOST_CHIPS

_SUFFIX = ".npz"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def save_programs(programs: Mapping[str, Program], path: Path) -> None:
    """Write the programs of chips by name; equal programs give equal bytes. InputError if it cannot be."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(programs):
            member = zipfile.ZipInfo(name + _SUFFIX, _EPOCH)
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, to_bytes(programs[name]))
    write_atomic(path, buffer.getvalue())


def load_programs(path: Path) -> dict[str, Program]:
    """The programs in a file. InputError for anything but a whole one."""
    data = read_bounded(path, FILE_LIMIT)
    wrong = f"{path}: is not a file of a system's programs"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = [member.filename.removesuffix(_SUFFIX) for member in members]
            strange = [n for n, m in zip(names, members, strict=True) if n == m.filename or not CHIP_NAME.fullmatch(n)]
            if strange or not 1 <= len(set(names)) == len(names) <= MOST_CHIPS:
                raise InputError(f"{wrong}; it must hold NAME.npz for each chip, as 'tsp system asm' writes it")
            # Members are stored as they are, so all together are no more than the file.
            if any(m.compress_type != zipfile.ZIP_STORED or m.file_size > len(data) for m in members):
                raise InputError(f"{wrong}; its members must not be compressed; write it with 'tsp system asm'")
            return {n: from_bytes(archive.read(m), f"{path}: {n}") for n, m in zip(names, members, strict=True)}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, NotImplementedError, OSError, RuntimeError):
        raise InputError(f"{wrong}, or is damaged; write it again with 'tsp system asm'") from None
