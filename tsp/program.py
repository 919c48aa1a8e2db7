"""A program: what is loaded into a chip before it starts, with the names and lines it came from."""

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsp.config import LANES_PER_SUPERLANE, ChipConfig
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.isa import WORD_BITS, Type

NARROW = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}
"""Types that numpy has not: the least and the greatest number. They are held in bytes."""


@dataclasses.dataclass(frozen=True)
class Image:
    """Words of one MEM slice that are defined before the start.

    Attributes:
        addresses: int64 [n], ascending, each once.
        words: uint8 [n, 16·S], byte i of a row belongs to lane i.
    """

    addresses: NDArray[np.int64]
    words: NDArray[np.uint8]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Image):
            return NotImplemented
        return np.array_equal(self.addresses, other.addresses) and np.array_equal(self.words, other.words)

    def put(self, words: NDArray[np.uint8], asked: NDArray[np.int64]) -> None:
        """Put the words at addresses [n] over ``words`` uint8 [n, 16·S], where they are defined."""
        if len(self.addresses):
            row = np.minimum(np.searchsorted(self.addresses, asked), len(self.addresses) - 1)
            here = self.addresses[row] == asked
            words[here] = self.words[row[here]]

    @classmethod
    def of(cls, words: dict[int, NDArray[np.uint8]], lanes: int) -> "Image":
        """The image of a mapping from address to uint8 [lanes]."""
        addresses = np.array(sorted(words), np.int64)
        rows = np.zeros((len(words), lanes), np.uint8)
        for i, address in enumerate(addresses):
            rows[i] = words[int(address)]
        return cls(addresses, rows)


@dataclasses.dataclass(frozen=True)
class Symbol:
    """Named memory: ``count`` vectors of ``type``. Byte plane p of vector i lies at ``address + i`` of the MEM slice
    p numbers further out than ``slice`` (a place number of the floorplan)."""

    slice: int
    address: int
    count: int
    type: Type = Type.INT8


@dataclasses.dataclass(frozen=True)
class Window:
    """Memory holds what windows of an image cover, a window in each row: its lines, columns and features in order.

    Attributes:
        image: images, lines and columns of the tensor.
        size, strides: down and across.
        pads: above, left, below and right, of ``fill`` as memory holds it.
        dilation: from one line of a window to the next.
    """

    image: tuple[int, int, int]
    size: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilation: int
    fill: int

    @property
    def places(self) -> tuple[int, int]:
        """How many stand below and beside each other."""
        spans = (self.size[0] - 1) * self.dilation + 1, self.size[1]
        room = self.image[1] + self.pads[0] + self.pads[2], self.image[2] + self.pads[1] + self.pads[3]
        down, across = ((room[i] - spans[i]) // self.strides[i] + 1 for i in (0, 1))
        return down, across


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What a program takes or gives: [rows, width] in memory, a block of 16·S numbers of a row in each symbol.

    Attributes:
        given: it is taken, not given.
        shape, dtype: as the user has it.
        offset: what memory holds less: 128 for uint8, which is held as int8.
        channels_first: features are its second axis, else its last.
        blocks: names of symbols; an empty one for a block of an input that nothing reads.
        fold: a row holds the features of so many pixels of a line.
        window: a row holds those of a window instead.
        table: they are numbers of rows of a table that has so many, each in a row of its own, as GATHER takes them; one
            below zero counts from the end. 0: they are not.
    """

    given: bool
    shape: tuple[int, ...]
    dtype: str
    offset: int
    channels_first: bool
    blocks: tuple[str, ...]
    fold: int = 1
    window: Window | None = None
    table: int = 0

    @property
    def features(self) -> int:
        return self.shape[1 if self.channels_first else -1] if self.shape else 1

    @property
    def rows(self) -> int:
        """In memory."""
        if self.window is not None:
            return self.window.image[0] * math.prod(self.window.places)
        if self.table:
            return math.prod(self.shape)
        return math.prod(self.shape) // self.features // self.fold

    @property
    def width(self) -> int:
        """Numbers in a row of memory."""
        if self.table:
            return 1
        return self.features * (self.fold if self.window is None else math.prod(self.window.size))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclasses.dataclass
class Source:
    """Where words came from: ``lines`` maps (queue, index in the queue) to a line number, ``text`` that to the line.

    Words that IFETCHes are to bring have the indices after those that are in the queue from the start."""

    name: str = ""
    lines: dict[tuple[int, int], int] = dataclasses.field(default_factory=dict)
    text: dict[int, str] = dataclasses.field(default_factory=dict)

    def place(self, queue: int, index: int) -> str | None:
        """``vector_add.tsp:12`` for a word with a known line."""
        line = self.lines.get((queue, index))
        return None if line is None else f"{self.name}:{line}"


@dataclasses.dataclass
class Program:
    """What a chip is loaded with.

    Attributes:
        config: the chip it is for.
        queues: queue index → its 128-bit words in order. A queue that is absent or empty does nothing.
        memory: place number of a MEM slice → the words it holds at the start; all others are undefined.
        symbols: names of memory, for dumps and messages; no effect on the machine.
        source: lines for messages; no effect on the machine.
        tensors: names of what it takes and gives, see :mod:`tsp.tensors`; no effect on the machine.
    """

    config: ChipConfig
    queues: dict[int, list[int]] = dataclasses.field(default_factory=dict)
    memory: dict[int, Image] = dataclasses.field(default_factory=dict)
    symbols: dict[str, Symbol] = dataclasses.field(default_factory=dict)
    source: Source = dataclasses.field(default_factory=Source)
    tensors: dict[str, Tensor] = dataclasses.field(default_factory=dict)

    def validate(self) -> "Program":
        """Return self in normal form (queues and slices in order, none empty), or raise InputError.

        Checks what makes it a program at all: queues, words, slices and addresses exist. Whether it is a *legal*
        program is the checker's business.
        """
        plan = floorplan(self.config)
        for index, words in self.queues.items():
            if not 0 <= index < len(plan.queues):
                last = len(plan.queues) - 1
                raise InputError(f"queue {index} does not exist; config {self.config.name} has 0…{last}")
            for i, word in enumerate(words):
                if not 0 <= word < 1 << WORD_BITS:
                    raise InputError(f"queue {plan.queues[index].name}: word {i} does not fit {WORD_BITS} bits")
        for place, image in self.memory.items():
            self._check_slice(place)
            self._check_image(plan.slices[place].name, image)
        for name, symbol in self.symbols.items():
            self._check_slice(symbol.slice)
            end = symbol.address + symbol.count - 1
            if symbol.address < 0 or symbol.count < 1 or end >= self.config.mem_words:
                last = self.config.mem_words - 1
                raise InputError(f"symbol {name!r} takes words {symbol.address}…{end}, but memory ends at {last}")
        self.queues = {index: list(words) for index, words in sorted(self.queues.items()) if len(words)}
        self.memory = {place: image for place, image in sorted(self.memory.items()) if len(image.addresses)}
        return self

    def _check_slice(self, place: int) -> None:
        slices = floorplan(self.config).slices
        if not 0 <= place < len(slices) or slices[place].unit != "mem":
            raise InputError(f"place {place} is no MEM slice of config {self.config.name}")

    def _check_image(self, name: str, image: Image) -> None:
        lanes = LANES_PER_SUPERLANE * self.config.superlanes
        if image.words.dtype != np.uint8 or image.words.shape != (len(image.addresses), lanes):
            shape = f"{image.words.dtype} {list(image.words.shape)}"
            raise InputError(f"{name}: its image is {shape}, must be uint8 [{len(image.addresses)}, {lanes}]")
        if np.any(np.diff(image.addresses) <= 0):
            raise InputError(f"{name}: the addresses of its image do not ascend")
        if len(image.addresses) and not 0 <= image.addresses[0] <= image.addresses[-1] < self.config.mem_words:
            raise InputError(f"{name}: its image goes beyond the last word, {self.config.mem_words - 1}")

    def where(self, queue: int, index: int) -> str:
        """``vector_add.tsp:12`` for a word with a known line, otherwise ``mem.e0 word 3``."""
        return self.source.place(queue, index) or f"{floorplan(self.config).queues[queue].name} word {index}"

    def require(self, config: ChipConfig) -> None:
        """Raise InputError, naming the first field that differs, unless the program is for ``config`` (of any name)."""
        mine, asked = self.config.as_dict(), config.as_dict()
        differs = [name for name in mine if name != "name" and mine[name] != asked[name]]
        if differs:
            name = differs[0]
            raise InputError(
                f"the program is for config {self.config.name} with {name}={mine[name]}, not for {config.name} with "
                f"{name}={asked[name]}"
            )

    def initial(self, place: int, addresses: Iterable[int]) -> NDArray[np.uint8]:
        """uint8 [n, 16·S]: words of a slice as they are before the start; undefined ones read as zero."""
        asked = np.fromiter(addresses, np.int64)
        words = np.zeros((len(asked), self.config.lanes), np.uint8)
        if place in self.memory:
            self.memory[place].put(words, asked)
        return words

    def save(self, path: str | Path) -> None:
        """Write the program as ``.npz``, whole or not at all; equal programs give equal bytes. Raises InputError."""
        from tsp.program_file import save

        save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path, config: ChipConfig | None = None) -> "Program":
        """Read a program, for ``config`` if one is given; InputError for anything but a whole program file."""
        from tsp.program_file import load

        program = load(Path(path))
        if config is not None:
            program.require(config)
        return program
