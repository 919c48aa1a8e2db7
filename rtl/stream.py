"""Stream words, the registers they hop through, and how a slice reads one.

The registers of a site are its own output ports. Everything here works on plain lists of words, one port per stream:
bundles of all streams would be 4,096 bits wide, which costs simulators and Amaranth dearly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import beats
from rtl.ecc import CHECK_BITS
from rtl.stamp import stamp
from tsp.config import LANES_PER_SUPERLANE, ChipConfig
from tsp.isa import STREAM_DIRECTION_BIT, STREAM_INDEX_BITS

WORD_BITS = 8 * LANES_PER_SUPERLANE
RESIDUES = 4
"""A drive's words by stream number modulo 4: enough for an int32 result, whose streams start at a multiple of 4."""


def stream_word(config: ChipConfig) -> StructLayout:
    """What one stream carries through one superlane, in one beat: its bytes, the lowest lane first. With feature
    ``ecc`` their check bits (:mod:`rtl.ecc`) beside them."""
    check = {"check": CHECK_BITS} if config.ecc else {}
    return StructLayout({"data": WORD_BITS // config.beats} | check)


FLIP_STREAM_BITS = STREAM_INDEX_BITS + 1


def flip_ports(config: ChipConfig, flow: Any = In) -> dict[str, Member]:
    """The test port of feature ``ecc``: while ``flip_valid``, the site's register of stream ``flip_stream`` loads its
    word with the bits of ``flip_mask`` turned over. Nothing happens if it does not load."""
    widths = {"flip_valid": 1, "flip_stream": FLIP_STREAM_BITS, "flip_mask": stream_word(config).size}
    return {name: flow(width) for name, width in widths.items()} if config.ecc else {}


@dataclass(frozen=True)
class Drive:
    """What one slice (or ALU) puts on the streams of its site; all of it valid in T + 1 for func 2.

    Attributes:
        mask: 2·streams bits: bit i eastward stream i, bit streams + i westward stream i; zero without a drive.
        words: one word for all streams, or four: stream s takes word s mod 4.
        queue: number of the queue at this site whose instruction drives; drives are listed in that order.
    """

    mask: Value
    words: Sequence[Any]
    queue: int


@dataclass(frozen=True)
class Flips:
    """A site's :func:`flip_ports`: ``streams``, one bit for each as in a drive's mask, and ``bits`` of a word."""

    streams: Value
    bits: Value


@dataclass(frozen=True)
class Fault:
    """A fault pulse, valid in T_f + 1: ``queue`` counts from the first of the site."""

    valid: Value
    queue: Value
    kind: Value


COLLISION = 1


def site_stream_ports(config: ChipConfig) -> dict[str, Member]:
    """``e_in_<i>``, ``e_present_in``, ``w_…``, and the same with ``out``: see docs/rtl.md."""
    ports: dict[str, Member] = {}
    for side in "ew":
        for flow, name in ((In, "in"), (Out, "out")):
            ports |= {f"{side}_{name}_{i}": flow(stream_word(config)) for i in range(config.streams)}
            ports[f"{side}_present_{name}"] = flow(config.streams)
    return ports | flip_ports(config)


def edge_stream_ports(config: ChipConfig) -> dict[str, Member]:
    """``in_<i>``, ``in_present``, ``out_<i>``, ``out_present`` of an edge site."""
    ports: dict[str, Member] = {}
    for flow, name in ((In, "in"), (Out, "out")):
        ports |= {f"{name}_{i}": flow(stream_word(config)) for i in range(config.streams)}
        ports[f"{name}_present"] = flow(config.streams)
    return ports | flip_ports(config)


def words(site: Any, prefix: str, config: ChipConfig) -> list[Any]:
    """The ports ``<prefix>_<i>`` of a site, such as ``words(site, "e_in", config)``."""
    return [getattr(site, f"{prefix}_{i}") for i in range(config.streams)]


def hop(
    m: Module, words_in: Sequence[Any] | None, present_in: Value, words_out: Sequence[Any], present_out: Signal,
    drives: Sequence[Drive], first_bit: int, flips: Flips | None = None,
) -> None:
    """The registers of one direction: each stream takes what a slice drives, else what arrives, else keeps its word.

    Args:
        words_in: the SR the streams come from, or None at an edge where none arrive.
        present_in: its presence, one bit per stream.
        words_out, present_out: the ports that the registers drive; only presence is reset.
        first_bit: of the drives' masks and of ``flips``: 0 eastward, ``streams`` westward.
    """
    count = len(words_out)
    masks = [drive.mask[first_bit : first_bit + count] for drive in drives]
    load = Signal(count, name=f"{present_out.name}_load")
    m.d.comb += load.eq(_any_of(masks, count) | present_in)
    m.d.sync += present_out.eq(load)
    for i, word_out in enumerate(words_out):
        drivers = [(mask[i], drive.words[i % len(drive.words)]) for mask, drive in zip(masks, drives, strict=True)]
        if words_in is None:
            *drivers, (_, source) = drivers
            source = Value.cast(source)
        else:
            source = Value.cast(words_in[i])
        for driven, word in reversed(drivers):
            source = Mux(driven, Value.cast(word), source)
        if flips is not None:
            # With one use of it, simulators choose a source only where the register loads.
            source = source ^ Mux(flips.streams[first_bit + i], flips.bits, 0)
        _word_register(m, word_out, load[i], source, load[i] | present_out[i])


def _word_register(m: Module, port: Any, load: Value, source: Value, moves: Value) -> None:
    """A register that drives an output port: in T + 1 what was at ``source`` in T, if ``load`` held then.

    ``moves``: whether a word comes or goes; otherwise no register of a word that passes in beats is loaded.
    """
    target = Value.cast(port)
    count = max(1, WORD_BITS // len(target))  # with check bits it never passes in beats
    register = Signal(len(target), name=f"{target.name}_register", reset_less=True)
    with m.If(load):
        m.d[beats.domain(count)] += register.eq(source)
    m.d.comb += target.eq(beats.in_next_cycle(m, register.name, count, register, moves))


def unreset_register(m: Module, port: Any) -> Signal:
    """A register without reset that drives an output port: a reset of every data word costs time and logic."""
    target = Value.cast(port)
    register = Signal(len(target), name=f"{target.name}_register", reset_less=True)
    m.d.comb += target.eq(register)
    return register


def site_registers(m: Module, site: Any, config: ChipConfig, drives: Sequence[Drive]) -> list[Fault]:
    """Both directions of a site with :func:`site_stream_ports`; returns its collisions, see :func:`collisions`."""
    flips = flips_of(site, config)
    for side, first_bit in (("e", 0), ("w", config.streams)):
        words_in, words_out = words(site, f"{side}_in", config), words(site, f"{side}_out", config)
        present_in, present_out = getattr(site, f"{side}_present_in"), getattr(site, f"{side}_present_out")
        hop(m, words_in, present_in, words_out, present_out, drives, first_bit, flips)
    return collisions(m, drives)


def flips_of(site: Any, config: ChipConfig) -> Flips | None:
    """What a site's :func:`flip_ports` ask for; None without them."""
    if not config.ecc:
        return None
    streams = drive_mask(site.flip_stream, site.flip_valid, config)
    # Gated, because a shift by what is undefined is undefined in a 4-state simulator.
    return Flips(gated(site.flip_valid, streams), site.flip_mask)


def collisions(m: Module, drives: Sequence[Drive]) -> list[Fault]:
    """One pulse per drive that shares a stream with another, two cycles after the masks: T + 3 = T_f + 1."""
    if len(drives) < 2:
        return []
    count = len(drives)
    below, above = [Const(0)], [Const(0)]
    for drive in drives[:-1]:
        below.append(below[-1] | drive.mask)
    for drive in reversed(drives[1:]):
        above.append(above[-1] | drive.mask)
    others = [low | high for low, high in zip(below, reversed(above), strict=True)]
    collided, pulse = Signal(count, name="collided"), Signal(count, name="collision")
    m.d.sync += [collided.eq(0), pulse.eq(collided)]
    # Two drives in one cycle at one site are rare enough that comparing them may wait for this.
    with m.If(_several([drive.mask.any() for drive in drives])):
        m.d.sync += collided.eq(Cat((drive.mask & other).any() for drive, other in zip(drives, others, strict=True)))
    return [Fault(pulse[i], Const(drive.queue, 5), Const(COLLISION, 4)) for i, drive in enumerate(drives)]


def _several(bits: Sequence[Value]) -> Value:
    seen, several = Value.cast(0), Value.cast(0)
    for bit in bits:
        several, seen = several | (seen & bit), seen | bit
    return several


def _any_of(masks: Sequence[Value], width: int) -> Value:
    result: Value = Const(0, width)
    for mask in masks:
        result = result | mask
    return result


def select(choices: Sequence[Any], index: Value) -> Value:
    """``choices[index]`` as a tree of two-way muxes on the bits of ``index``, which costs no comparisons.

    A power of two of choices; higher bits of ``index`` are ignored.
    """
    level = [Value.cast(choice) for choice in choices]
    for bit in range(len(level).bit_length() - 1):
        level = [Mux(index[bit], high, low) for low, high in zip(level[::2], level[1::2], strict=True)]
    return level[0]


class Select(Component):
    """One of many words: ``chosen`` is ``choice_<index>`` while ``valid``, else zero. No latency.

    A module of its own because its Verilog stays a tree of ``if``: a simulator walks down to the one word. The same
    tree as an expression (:func:`select`) is evaluated leaf by leaf in every cycle when its words are wide. In
    ``amaranth.sim`` it is elaborated in place.

    Args:
        count: number of words, a power of two; ``index`` has the bits for it.
        width: bits of a word.
    """

    structural = True
    in_place = True

    def __init__(self, count: int, width: int):
        self.count = count
        self.width = width
        self.module_name = f"select_{count}x{width}"
        choices = {f"choice_{i}": In(width) for i in range(count)}
        bits = count.bit_length() - 1
        super().__init__(choices | {"index": In(bits), "valid": In(1), "chosen": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.valid):
            self._choose(m, 0, self.count)
        return m

    def _choose(self, m: Module, low: int, high: int) -> None:
        if high - low == 1:
            m.d.comb += self.chosen.eq(getattr(self, f"choice_{low}"))
            return
        middle = (low + high) // 2
        with m.If(self.index[(middle - low).bit_length() - 1]):
            self._choose(m, middle, high)
        with m.Else():
            self._choose(m, low, middle)


def choose(m: Module, name: str, valid: Value, index: Value, choices: Sequence[Any]) -> Value:
    """``choices[index]`` while ``valid``, else zero, through a :class:`Select` placed as submodule ``name``."""
    words = [Value.cast(choice) for choice in choices]
    m.submodules[name] = placed = stamp(Select(len(words), len(words[0])), name)
    m.d.comb += [placed.valid.eq(valid), placed.index.eq(index)]
    for i, word in enumerate(words):
        placed.bind(f"choice_{i}", word)
    return placed.chosen


def gated(valid: Value, value: Value) -> Value:
    """``value`` while ``valid``, else zero. A simulator evaluates ``value`` only then, if nothing else uses it."""
    return Mux(valid, value, Const(0, len(value)))


def stream_index(operand: Value, streams: int, group: int = 1) -> Value:
    """The place of a stream operand's group among all eastward and then all westward groups."""
    shift, bits = group.bit_length() - 1, (streams - 1).bit_length()
    return Cat(operand[shift:bits], operand[STREAM_DIRECTION_BIT])


def read_word(
    operand: Value, eastward: Sequence[Any], westward: Sequence[Any], group: int = 1, member: int = 0
) -> Value:
    """The word on stream ``operand`` + ``member``, for an 8-bit stream operand whose index is a multiple of ``group``.

    An expression over all streams: for narrow words only, see :class:`Select`.
    """
    return select([*eastward[member::group], *westward[member::group]], stream_index(operand, len(eastward), group))


def read_present(operand: Value, eastward: Value, westward: Value, group: int = 1) -> Value:
    """Whether all ``group`` streams from ``operand`` on hold a value."""
    side = Mux(operand[STREAM_DIRECTION_BIT], westward, eastward)
    return side.bit_select(operand[:STREAM_INDEX_BITS], group).all()


def drive_mask(operand: Value, driven: Value, config: ChipConfig) -> Value:
    """The mask of a drive from an 8-bit stream operand on: bit i of ``driven`` says whether the i-th stream is."""
    shift = Cat(operand[: (config.streams - 1).bit_length()], operand[STREAM_DIRECTION_BIT])
    return (driven << shift)[: 2 * config.streams]
