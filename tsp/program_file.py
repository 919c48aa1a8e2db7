"""Programs as ``.npz`` files (version 1).

Members: ``header.npy`` (UTF-8 JSON: format, version, config, queues as [index, words], memory as [place, words],
symbols, source, lines of words to be fetched as [queue, index, line]), ``words.npy`` (uint64 [n, 2], low half first,
queue after queue), ``lines.npy`` (int32 [n], 0 for none), ``addresses.npy`` (int32 [m], slice after slice),
``image.npy`` (uint8 [m, 16·S]). The reader never unpickles and never allocates more than the configuration allows.
"""

import dataclasses
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.files import parse_npy, read_bounded, write_atomic
from tsp.floorplan import floorplan
from tsp.isa import Type
from tsp.program import Image, Program, Source, Symbol
from tsp.program_tensors import parse_tensors
from tsp.tensors import check_layout

FORMAT = "open-tsp program"
VERSION = 1
MEMBERS = ("header.npy", "words.npy", "lines.npy", "addresses.npy", "image.npy")

_HEADER_LIMIT = 1 << 26
_NPY_HEADER = 1 << 12
FILE_LIMIT = 1 << 30
"""Larger than the full memory and all queues of the published chip (220 MiB and 3 MiB)."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MASK64 = (1 << 64) - 1


def save(program: Program, path: Path) -> None:
    """Write ``program`` to ``path``; equal programs give equal bytes. InputError if it cannot be written."""
    write_atomic(path, to_bytes(program))


def to_bytes(program: Program) -> bytes:
    """What a file of ``program`` holds."""
    program.validate()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in zip(MEMBERS, _arrays(program), strict=True):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.compress_type, member.create_system, member.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            data = io.BytesIO()
            np.lib.format.write_array(data, array, (1, 0), allow_pickle=False)
            archive.writestr(member, data.getvalue(), compresslevel=6)
    return buffer.getvalue()


def _arrays(program: Program) -> tuple[NDArray[Any], ...]:
    words = [(w & _MASK64, w >> 64) for queue in program.queues.values() for w in queue]
    lines = [program.source.lines.get((queue, i), 0) for queue, ws in program.queues.items() for i in range(len(ws))]
    images = list(program.memory.values())
    return (
        np.frombuffer(json.dumps(_header(program), sort_keys=True).encode(), np.uint8),
        np.array(words, "<u8").reshape(-1, 2),
        np.array(lines, "<i4"),
        np.concatenate([np.zeros(0, "<i4"), *(image.addresses.astype("<i4") for image in images)]),
        np.concatenate([np.zeros((0, program.config.lanes), np.uint8), *(image.words for image in images)]),
    )


def _held(program: Program, queue: int, index: int) -> bool:
    """Whether the word is in its queue from the start, so that ``lines.npy`` has its line."""
    return index < len(program.queues.get(queue, ()))


def _header(program: Program) -> dict[str, Any]:
    used = set(program.source.lines.values())
    return {
        "format": FORMAT,
        "version": VERSION,
        "config": program.config.as_dict(),
        "queues": [[index, len(words)] for index, words in program.queues.items()],
        "memory": [[place, len(image.addresses)] for place, image in program.memory.items()],
        "symbols": {name: [s.slice, s.address, s.count, int(s.type)] for name, s in program.symbols.items()},
        "source": program.source.name,
        "tensors": {name: dataclasses.asdict(tensor) for name, tensor in program.tensors.items()},
        "fetched": [[*word, line] for word, line in sorted(program.source.lines.items()) if not _held(program, *word)],
        "text": {str(line): text for line, text in program.source.text.items() if line in used},
    }


def load(path: Path) -> Program:
    """The program in ``path``; InputError when the file is missing, damaged, foreign or of another version."""
    return from_bytes(read_bounded(path, FILE_LIMIT), str(path))


def from_bytes(data: bytes, path: str) -> Program:
    """The program in the bytes of a file; ``path`` is what messages call it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, path)
    # What zipfile and zlib raise for damaged files (found by flipping and cutting bytes).
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, NotImplementedError, OSError, RuntimeError):
        raise InputError(f"{path}: is not a program file, or is damaged; write it again with 'tsp asm'") from None


def _read(archive: zipfile.ZipFile, path: str) -> Program:
    names = archive.namelist()
    if names and all(name.endswith(".npz") for name in names):
        raise InputError(f"{path}: holds the programs of a system; run them with tsp run --system")
    if sorted(names) != sorted(MEMBERS):
        raise InputError(f"{path}: is not a program file; it must hold {', '.join(MEMBERS)}")
    try:
        header = json.loads(_member(archive, path, "header.npy", np.uint8, 1, _HEADER_LIMIT).tobytes())
        # Half a surrogate pair is legal JSON, but no text that could be printed.
        json.dumps(header, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise InputError(f"{path}: its header is damaged") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InputError(f"{path}: is not a program file; its header does not say '{FORMAT}'")
    if header.get("version") != VERSION:
        raise InputError(f"{path}: has version {header.get('version')!r}, only version {VERSION} can be read")
    try:
        config = ChipConfig.from_dict(_table(header, "config", dict))
        return _assemble(archive, path, header, config).validate()
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(path) else f"{path}: {text}") from None


def _assemble(archive: zipfile.ZipFile, path: str, header: dict[str, Any], config: ChipConfig) -> Program:
    queues = _pairs(header, "queues", len(floorplan(config).queues), 1 << 16)
    memory = _pairs(header, "memory", len(floorplan(config).slices), config.mem_words)
    n, m = sum(count for _, count in queues), sum(count for _, count in memory)
    words = _member(archive, path, "words.npy", np.dtype("<u8"), 2, 16 * n, (n, 2))
    lines = _member(archive, path, "lines.npy", np.dtype("<i4"), 1, 4 * n, (n,))
    addresses = _member(archive, path, "addresses.npy", np.dtype("<i4"), 1, 4 * m, (m,)).astype(np.int64)
    image = _member(archive, path, "image.npy", np.uint8, 2, config.lanes * m, (m, config.lanes))
    tensors = parse_tensors(header.get("tensors", {}))
    program = Program(config, symbols=_symbols(header), source=_source(header), tensors=tensors)
    check_layout(program)
    first = 0
    for index, count in queues:
        rows = words[first : first + count].tolist()
        program.queues[index] = [low | high << 64 for low, high in rows]
        for i, line in enumerate(lines[first : first + count].tolist()):
            if line:
                program.source.lines[index, i] = line
        first += count
    program.source.lines |= _fetched(header, program)
    first = 0
    for place, count in memory:
        program.memory[place] = Image(addresses[first : first + count], image[first : first + count])
        first += count
    return program


def _member(
    archive: zipfile.ZipFile,
    path: str,
    name: str,
    dtype: Any,
    dims: int,
    limit: int,
    shape: tuple[int, ...] | None = None,
) -> NDArray[Any]:
    info = archive.getinfo(name)
    if info.file_size > limit + _NPY_HEADER:
        most = limit + _NPY_HEADER
        raise InputError(f"{path}: {name} has {info.file_size} bytes, at most {most} fit what the header says")
    array = parse_npy(archive.read(info), f"{path}: {name}")
    if array.dtype != dtype or array.ndim != dims or (shape is not None and array.shape != shape):
        wanted = f"{np.dtype(dtype)} {list(shape) if shape is not None else ''}"
        raise InputError(f"{path}: {name} is {array.dtype} {list(array.shape)}, must be {wanted.rstrip()}")
    return array


def _table(header: dict[str, Any], key: str, kind: type) -> Any:
    value = header.get(key)
    if type(value) is not kind:
        raise InputError(f"its header has no '{key}'")
    return value


def _integers(value: Any, count: int) -> bool:
    return type(value) is list and len(value) == count and all(type(x) is int for x in value)


def _pairs(header: dict[str, Any], key: str, indices: int, most: int) -> list[tuple[int, int]]:
    """[index, count] pairs with ascending indices below ``indices`` and counts of 1…most."""
    pairs = _table(header, key, list)
    previous = -1
    for pair in pairs:
        if not _integers(pair, 2) or not previous < pair[0] < indices or not 1 <= pair[1] <= most:
            raise InputError(f"the header's '{key}' are damaged")
        previous = pair[0]
    return [(index, count) for index, count in pairs]


def _fetched(header: dict[str, Any], program: Program) -> dict[tuple[int, int], int]:
    """Lines of words that IFETCHes bring; files of earlier releases have none."""
    rows = header.get("fetched", [])
    last = len(floorplan(program.config).queues) - 1

    def fits(row: Any) -> bool:
        return _integers(row, 3) and 0 <= row[0] <= last and not _held(program, *row[:2]) and row[2] > 0

    if type(rows) is not list or not all(map(fits, rows)):
        raise InputError("the header's 'fetched' are damaged")
    return {(queue, index): line for queue, index, line in rows}


def _symbols(header: dict[str, Any]) -> dict[str, Symbol]:
    symbols = {}
    for name, value in _table(header, "symbols", dict).items():
        if not _integers(value, 4) or value[3] not in list(Type):
            raise InputError("the header's 'symbols' are damaged")
        symbols[name] = Symbol(value[0], value[1], value[2], Type(value[3]))
    return symbols


def _source(header: dict[str, Any]) -> Source:
    text = _table(header, "text", dict)
    if not all(line.isdecimal() and len(line) < 10 and type(content) is str for line, content in text.items()):
        raise InputError("the header's 'text' is damaged")
    return Source(_table(header, "source", str), {}, {int(line): content for line, content in text.items()})
