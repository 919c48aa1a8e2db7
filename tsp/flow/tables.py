"""Who accesses which word, weight, accumulator row and ALU result: the tables of :class:`tsp.flow.analysis.Flow`."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from tsp.flow.issues import Ints
from tsp.flow.state import NONE
from tsp.isa import AccMode

Bools = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Loads:
    """READs: ``issue``, the word's ``place`` and ``address``, the ``store`` (row of :class:`Stores`) it sees or NONE,
    whether the ``initial`` image defines it (when there is no store), and ``whole``, whether it is defined in every
    superlane that reads: the store may have been made with fewer of them powered."""

    issue: Ints
    place: Ints
    address: Ints
    store: Ints
    initial: Bools
    whole: Bools


@dataclasses.dataclass(frozen=True)
class Stores:
    """WRITEs: ``issue``, ``place``, ``address``, and ``read``, the row of :attr:`Flow.reads` of the operand."""

    issue: Ints
    place: Ints
    address: Ints
    read: Ints


@dataclasses.dataclass(frozen=True)
class Indirect:
    """GATHERs and SCATTERs, whose addresses only running tells: ``issue``, ``place``, ``map`` and ``data``, the rows of
    :attr:`Flow.reads` of the operands; ``data`` is NONE for a GATHER."""

    issue: Ints
    place: Ints
    map: Ints
    data: Ints

    @property
    def writes(self) -> Bools:
        """Which are SCATTERs."""
        return np.not_equal(self.data, NONE)


@dataclasses.dataclass(frozen=True)
class Chains:
    """ALU operands that come from an ALU: the reading ``issue``, its ``operand`` (0, 1, 2), the ``alu`` named, and the
    ``source`` issue or NONE."""

    issue: Ints
    operand: Ints
    alu: Ints
    source: Ints


@dataclasses.dataclass(frozen=True)
class Installs:
    """IWs: ``issue`` and ``loads`` [n, S], per supercell column the row of :attr:`Flow.reads` where the sixteen vectors
    of the LW it installs begin, or NONE."""

    issue: Ints
    loads: Ints


@dataclasses.dataclass(frozen=True)
class Products:
    """ABCs: ``issue``, ``read`` (row of :attr:`Flow.reads`; of fp16 the low bytes, the high ones are the next),
    ``install``, the row of :class:`Installs` or NONE, whether it is of ``fp16``, and ``partner``, then the install of
    the pair's plane 1, or NONE."""

    issue: Ints
    read: Ints
    install: Ints
    fp16: Bools
    partner: Ints


@dataclasses.dataclass(frozen=True)
class Accumulations:
    """ACCs: ``issue``, ``row``, ``mode``, ``out``; ``product``, the row of :class:`Products` it takes or NONE;
    ``previous``, the accumulation that wrote the row last or NONE."""

    issue: Ints
    row: Ints
    mode: Ints
    out: Ints
    product: Ints
    previous: Ints

    @property
    def writes(self) -> Bools:
        """Which change their row."""
        return np.less_equal(self.mode, AccMode.ADD)

    @property
    def uses_row(self) -> Bools:
        """Which need the row's old value."""
        return np.equal(self.mode, AccMode.ADD) | np.equal(self.mode, AccMode.PEEK)
