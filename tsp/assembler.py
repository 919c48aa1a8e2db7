"""The assembler: text to :class:`tsp.program.Program`. ``docs/programming.md`` describes the language.

The text is taken line by line (a line that ends in a comma goes on), directives first, so that a name may be used
before the line that defines it, and every mistake is reported at its line and column.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from lark import Token, Tree
from lark.exceptions import VisitError
from numpy.typing import NDArray

from tsp import isa
from tsp.assembler_forms import Forms
from tsp.assembler_lines import Line, logical_lines, parse, start
from tsp.assembler_nodes import (
    RESERVED,
    LineError,
    Nodes,
    Real,
    Value,
    Written,
    element_type,
    located,
    mnemonics,
    whole,
    whole_value,
)
from tsp.config import ChipConfig, preset
from tsp.encoding import operation
from tsp.errors import InputError, nearest
from tsp.fetched import vectors
from tsp.files import parse_npy, read_bounded
from tsp.floorplan import floorplan
from tsp.isa import WORD_BITS, Type
from tsp.memory_map import MemoryMap
from tsp.program import Program, Source
from tsp.track import Track

SOURCE_LIMIT = 1 << 24
MOST_ERRORS = 20
_CYCLE_LIMIT = 1 << 31
_CODE_DIRECTIVES = (".queue", ".word", ".fetched")
_DIRECTIVES = (".config", ".const", ".data", ".space", *_CODE_DIRECTIVES)


class AssemblyError(InputError):
    """Everything wrong with a source, one sentence a line: ``name:line:column: what``. ``errors`` is a list of them."""

    def __init__(self, errors: list[str]):
        super().__init__("\n".join(errors))
        self.errors = errors


def assemble_file(path: str | Path, config: ChipConfig | None = None) -> Program:
    """The program in a source file. ``.npy`` files are looked for beside it. InputError as :func:`assemble`."""
    path = Path(path)
    data = read_bounded(path, SOURCE_LIMIT)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8 text; is this a source file?") from None
    return assemble(text, str(path), config, path.parent)


def assemble(
    text: str, name: str = "<text>", config: ChipConfig | None = None, directory: Path | None = None
) -> Program:
    """The program a text describes, for ``config`` or the configuration it names. ``directory`` is where ``.npy`` files
    are looked for. Raises AssemblyError with at most ``MOST_ERRORS`` mistakes."""
    text = text.removeprefix("\ufeff")  # the byte-order mark some editors begin a file with
    assembler = _Assembler(name, config, directory or Path())
    lines = list(logical_lines(text))
    # A line that is wrong here leaves names undefined, so the code is looked at only when all of these are right.
    assembler.run(line for line in lines if line.word[0] == "." and line.word not in _CODE_DIRECTIVES)
    assembler.run(line for line in lines if line.word[0] != "." or line.word in _CODE_DIRECTIVES)
    return assembler.program(text)


class _Assembler:
    def __init__(self, name: str, config: ChipConfig | None, directory: Path):
        self._name, self._given, self._directory = name, config, directory
        self._named: ChipConfig | None = None
        self._memory: MemoryMap | None = None
        self._names: dict[str, tuple[int | float, str]] = {}
        self._tracks: dict[int, Track] = {}
        self._fetched_at: dict[str, str] = {}
        self._track: Track | None = None
        self._homeless = False  # there is no queue for what follows, and that has been said
        self._nodes = Nodes(self._names)
        self._line = 0
        self._errors: list[str] = []

    def run(self, lines: Iterator[Line]) -> None:
        """Take lines, collecting mistakes; AssemblyError after the last line or too many."""
        for line in lines:
            self._line = line.number
            try:
                self._take(line)
            except LineError as error:
                self._mark(line)
                self._errors.append(f"{self._name}:{line.number + error.line - 1}:{error.column}: {error}")
                # Without a configuration, or with another than was meant, all that follows would be wrong.
                if len(self._errors) >= MOST_ERRORS or line.word == ".config" or self._chosen is None:
                    break
        if self._errors:
            raise AssemblyError(self._errors)

    def _mark(self, line: Line) -> None:
        """Note that a line was wrong, so that the next ones are not blamed for it."""
        if line.word == ".queue":
            self._track, self._homeless = None, True
        if self._track is not None:
            self._track.lost = True

    def program(self, text: str) -> Program:
        """The finished program."""
        if self._memory is None:
            self._begin(None)
        assert self._memory is not None
        source = Source(Path(self._name).name)
        rows = text.split("\n")
        for index, track in self._tracks.items():
            for i, line in enumerate(track.lines):
                if line:
                    source.lines[index, i] = line
                    source.text[line] = rows[line - 1].strip()
        queues = {index: self._lay_out(track) for index, track in self._tracks.items()}
        program = Program(self._memory.config, queues, self._memory.images(), self._memory.symbols, source)
        return program.validate()

    def _lay_out(self, track: Track) -> list[int]:
        """The words that are in the queue from the start; the others go to memory."""
        words, parts = track.split()
        for name, part in parts.items():
            data = np.array([np.frombuffer(vector, np.uint8) for vector in vectors(part, self._memory_map.config)])
            try:
                self._memory_map.define(name, data)
            except InputError as error:
                what = f"the words of {track.queue.name} after .fetched {name}"
                raise AssemblyError([f"{self._fetched_at[name]}: {what}: {error}"]) from None
        return words

    def _take(self, line: Line) -> None:
        if line.word[0] == "." and line.word not in _DIRECTIVES:
            raise LineError(f"unknown directive '{line.word}'{nearest(line.word, _DIRECTIVES)}", start(line))
        tree = parse(line)
        if tree.data == "config":
            tokens: list[Any] = tree.children
            self._config(*tokens)
            return
        if self._homeless and tree.data in ("code", "raw"):
            return
        if self._memory is None:
            self._begin(start(line))
        # Before names are looked up: an instruction that does not exist yet would have operands that do not, either.
        self._nodes.operations = [self._operation(token) for token in mnemonics(tree)]
        try:
            tree = self._nodes.transform(tree)
        except VisitError as error:
            raise error.orig_exc if isinstance(error.orig_exc, LineError) else error from None
        _ACTIONS[tree.data](self, *tree.children)

    def _operation(self, token: Token) -> isa.Operation:
        name = token.partition(".")[0].upper()
        return located(token, operation, name, self._queue(token).queue, self._memory_map.config)

    @property
    def _memory_map(self) -> MemoryMap:
        assert self._memory is not None
        return self._memory

    @property
    def _chosen(self) -> ChipConfig | None:
        """The configuration the source names or the caller gave, if there is one yet."""
        return self._named or self._given

    def _begin(self, token: Token | None) -> None:
        config = self._chosen
        if config is None:
            message = "no configuration: begin with '.config tiny' or give --config tiny"
            raise LineError(message, token) if token else AssemblyError([f"{self._name}: {message}"])
        self._memory = MemoryMap(config)
        self._forms = Forms(config, self._memory.symbols)

    def _config(self, name: Token, *settings: Token) -> None:
        if self._memory is not None or self._named is not None:
            raise LineError(".config must come once, before all else", name)
        config = located(name, preset, str(name))
        config = located(name, config.override, [str(setting) for setting in settings], "")
        if self._given is not None:
            located(name, Program(config).require, self._given)
        self._named = config

    def _define(self, name: Token, number: int | float, symbol: str) -> None:
        for pattern, meaning in RESERVED.items():
            if re.fullmatch(pattern, str(name)):
                raise LineError(f"'{name}' means {meaning}; choose another name, such as '{name}_'", name)
        if name in self._names:
            raise LineError(f"'{name}' is defined twice; choose another name", name)
        self._names[str(name)] = (number, symbol)

    def _const(self, name: Token, value: Value | Real) -> None:
        self._define(name, value.number, value.symbol if isinstance(value, Value) else "")

    def _data(self, label: Token | None, place: Token, index: Value | None, type_: Token, values: Any) -> None:
        array = self._array(values)
        kind, address = element_type(type_), index.number if index else None
        symbol = located(place, self._memory_map.place, str(label or ""), str(place), array, kind, address)
        if label is not None:
            self._define(label, symbol.address, str(label))

    def _space(
        self, label: Token | None, place: Token, index: Value | None, type_: Token | None, words: Value | Real
    ) -> None:
        count = whole_value(words)
        kind, address = element_type(type_) if type_ else Type.INT8, index.number if index else None
        symbol = located(place, self._memory_map.reserve, str(label or ""), str(place), count.number, kind, address)
        if label is not None:
            self._define(label, symbol.address, str(label))

    def _array(self, values: Tree[Any]) -> Any:
        if values.data == "file":
            token: Any = values.children[0]
            path = self._directory / str(token)[1:-1]
            limit = 8 * self._memory_map.config.mem_words * self._memory_map.config.lanes + 4096
            return located(token, lambda: parse_npy(read_bounded(path, limit), str(path)))
        rows = [row.children for row in values.children] if values.data == "rows" else [values.children]
        width = max(len(row) for row in rows)
        real = any(isinstance(value, Real) for row in rows for value in row)
        array: NDArray[Any] = np.zeros((len(rows), width), np.float64 if real else np.int64)
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                if isinstance(value, Value) and not -(1 << 63) <= value.number < 1 << 63:
                    raise LineError(f"{value.number} is no element of any type", value.token)
                array[i, j] = value.number
        return array if values.data == "rows" else array[0]

    def _queue(self, token: Token) -> Track:
        if self._track is None:
            self._homeless = True
            raise LineError("an instruction stands in no queue; begin with a line such as '.queue mem.e0'", token)
        return self._track

    def _open(self, name: Token) -> None:
        queue = located(name, floorplan(self._memory_map.config).queue, str(name))
        self._track = self._tracks.setdefault(queue.index, Track(queue, self._memory_map.config))
        self._homeless = False

    def _fetched(self, name: Token) -> None:
        track = self._queue(name)
        located(name, self._memory_map.symbol, str(name))
        if any(name == used for other in self._tracks.values() for _, used in other.parts):
            raise LineError(f"'{name}' already holds words after another .fetched; reserve others with .space", name)
        located(name, operation, "IFETCH", track.queue, self._memory_map.config)
        track.fetched(str(name))
        self._fetched_at[str(name)] = f"{self._name}:{self._row(name)}:{name.column}"

    def _raw(self, at: Value | None, token: Token) -> None:
        word = whole(token, most=(1 << WORD_BITS) - 1, large=f".word does not fit {WORD_BITS} bits")
        self._append(word, at, token, True)

    def _code(self, at: Value | None, *written: Written) -> None:
        first = written[0].token
        self._append(self._forms.word(written, self._queue(first).queue), at, first)

    def _row(self, token: Token) -> int:
        return self._line + (token.line or 1) - 1

    def _append(self, word: int, at: Value | None, token: Token, raw: bool = False) -> None:
        if at is not None and not 0 <= at.number < _CYCLE_LIMIT:
            raise LineError(f"cycle {at.number} is out of range; cycles are 0…{_CYCLE_LIMIT - 1}", at.token)
        track = self._queue(token)
        if track.full:
            return  # said once
        line = self._row(token)
        cycle = at.number if at else None
        located(at.token if at else token, track.append, word, line, cycle, raw)


_ACTIONS: dict[str, Callable[..., None]] = {
    "const": _Assembler._const,
    "data": _Assembler._data,
    "space": _Assembler._space,
    "queue": _Assembler._open,
    "fetched": _Assembler._fetched,
    "raw": _Assembler._raw,
    "code": _Assembler._code,
}
