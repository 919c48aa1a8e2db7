"""What the C2C queues of one hemisphere ask of its links, in the south: who sends, who takes a vector, and faults."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value

from rtl import tile
from rtl.c2c.bundle import RECEIVE
from rtl.stream import Fault
from tsp.floorplan import C2C_QUEUES

COLLISION, LINK_UNCORRECTABLE, LINK_UNDERRUN = 1, 11, 13


@dataclass(frozen=True)
class Issue:
    """A C2C queue in the cycle T in which it dispatches: what, and that it does."""

    valid: Value
    instr: Value

    def names(self, mnemonic: str, link: int) -> Value:
        """Whether it is that instruction, of that link."""
        named = tile.is_any(self.instr, mnemonic) & (tile.operand(self.instr, mnemonic, "link") == link)
        return self.valid & named


def sends(m: Module, name: str, superlanes: int, issues: Sequence[Issue], link: int) -> tuple[Value, list[Value]]:
    """(a SEND of this cycle goes, whose it is): the words of two must not meet on their way south, nor their packets
    on the wire. Of two in one cycle none goes."""
    asks = [issue.names("SEND", link) for issue in issues]
    reach = max(superlanes, 2 * superlanes - 2)
    before = Signal(reach, name=f"{name}_before")
    near = sum(1 << d - 1 for d in range(1, reach + 1) if d <= superlanes or d % 2 == 0)
    several, asked = Const(0), Const(0)
    for ask in asks:
        several, asked = several | (asked & ask), asked | ask
    goes = Signal(name=f"{name}_goes")
    m.d.comb += goes.eq(asked & ~several & ~(before & near).any())
    m.d.sync += before.eq(Cat(goes, before))
    return goes, asks


def takes(m: Module, name: str, issues: Sequence[Issue], link: int) -> tuple[Value, list[Value]]:
    """(a RECEIVE of this cycle takes a vector, a bit for each queue that asks)."""
    asks = [issue.names("RECEIVE", link) for issue in issues]
    taken = Signal(name=f"{name}_taken")
    m.d.comb += taken.eq(Cat(asks).any())
    return taken, asks


def first_only(asks: Sequence[Value]) -> list[Value]:
    """The lowest of those that ask."""
    found: list[Value] = []
    before: Value = Const(0)
    for ask in asks:
        found.append(ask & ~before)
        before = before | ask
    return found


@dataclass(frozen=True)
class Taken:
    """What a link's receive buffer gives in T + 1 of a RECEIVE: a vector or none, and where it is."""

    valid: Value
    good: Value
    slot: Value
    flips: Value


class Hemisphere:
    """The C2C queues of one hemisphere and its links.

    Args:
        issues: of its queues, in order.
    """

    def __init__(self, m: Module, name: str, superlanes: int, issues: Sequence[Issue], links: int):
        assert len(issues) == C2C_QUEUES
        self._m, self._name, self.issues = m, name, issues
        self.send: list[Value] = []
        """For each link, that a vector goes: in T."""
        self.take: list[Value] = []
        """For each link, that a RECEIVE takes one: in T."""
        self._refused: list[Value] = [Const(0)] * len(issues)
        self._second: list[Value] = [Const(0)] * len(issues)
        self._takers: list[list[Value]] = []
        for link in range(links):
            goes, asks = sends(m, f"{name}_send_{link}", superlanes, issues, link)
            self.send.append(goes)
            self._refused = [r | (ask & ~goes) for r, ask in zip(self._refused, asks, strict=True)]
            taken, asks = takes(m, f"{name}_receive_{link}", issues, link)
            self.take.append(taken)
            takers = first_only(asks)
            self._takers.append(takers)
            pairs = zip(self._second, asks, takers, strict=True)
            self._second = [s | (ask & ~taker) for s, ask, taker in pairs]

    def sends_of(self, queue: int) -> Value:
        """Whether a queue's SEND goes to its tile, in T."""
        return self.issues[queue].valid & tile.is_any(self.issues[queue].instr, "SEND") & ~self._refused[queue]

    def receive(self, queue: int, given: Sequence[Taken]) -> tuple[Value, Value, list[Fault]]:
        """(goes north, the command, the queue's faults), in T + 1 of its RECEIVE or SEND; ``given`` by its links."""
        m, name, issue = self._m, f"{self._name}_{queue}", self.issues[queue]
        stream = Signal(len(tile.operand(issue.instr, "RECEIVE", "stream")), name=f"{name}_stream", reset_less=True)
        number = Signal(len(tile.operand(issue.instr, "RECEIVE", "link")), name=f"{name}_link", reset_less=True)
        goes = Signal(len(given), name=f"{name}_takes")
        collides = Signal(name=f"{name}_collides")
        m.d.sync += [
            goes.eq(Cat(takers[queue] for takers in self._takers)),
            collides.eq(self._refused[queue] | self._second[queue]),
        ]
        with m.If(issue.valid):
            m.d.sync += [
                stream.eq(tile.operand(issue.instr, "RECEIVE", "stream")),
                number.eq(tile.operand(issue.instr, "RECEIVE", "link")),
            ]
        command = Signal(RECEIVE, name=f"{name}_command")
        found, bad = Const(0), Const(0)
        m.d.comb += [command.stream.eq(stream), command.link.eq(number)]
        for link, taken in enumerate(given):
            here = goes[link]
            found, bad = found | (here & taken.valid), bad | (here & taken.valid & ~taken.good)
            with m.If(here):
                m.d.comb += [
                    command.slot.eq(taken.slot),
                    command.good.eq(taken.valid & taken.good),
                    Value.cast(command.flips).eq(Value.cast(taken.flips)),
                ]
        faults = [(collides, COLLISION), (bad, LINK_UNCORRECTABLE), (goes.any() & ~found, LINK_UNDERRUN)]
        of_queue = [Fault(valid, Const(0), Const(kind, tile.KIND_BITS)) for valid, kind in faults]
        return goes.any(), command, of_queue
