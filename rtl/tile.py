"""The common part of a tile: its instruction moves north, its faults pulse, the host looks in.

Everything here is a dictionary of ports for a component's signature, or adds logic to a module.
"""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Member, Out

from rtl import beats
from rtl.ecc import CHECK_BITS
from rtl.stream import WORD_BITS, Fault, gated, unreset_register
from tsp import isa
from tsp.config import ChipConfig

TIME_BITS = 32
PLACE_BITS = 16
SIGNATURE_BITS = 64
HOST_PLACE_BITS = 9
HOST_ADDRESS_BITS = 13
QUEUE_BITS = 5
SUPERLANE_BITS = 6
KIND_BITS = 4

BANK_CONFLICT, OPERAND_ABSENT, GATHER_ADDRESS, PERMUTE_MAP, ECC_UNCORRECTABLE = 2, 3, 6, 7, 8
CORRECTED_BITS = 8
"""For the words that one site corrects in a cycle: an ALU reads 12 streams, a plane 17, an SXM 51."""


def instruction_ports(kind: str, prefix: str = "") -> dict[str, Member]:
    """``instr_valid``, ``instr``, ``north_valid``, ``north`` of one queue; ``prefix`` "0_" makes ``instr_0_valid`` …"""
    bits = isa.PAYLOAD_BITS[kind]
    number = f"_{prefix}" if prefix != "" else ""
    return {
        f"instr{number}_valid": In(1),
        f"instr{number}": In(bits),
        f"north{number}_valid": Out(1),
        f"north{number}": Out(bits),
    }


def site_instruction_ports(kinds: Sequence[str]) -> dict[str, Member]:
    """``instr_<n>_valid`` … of every queue of a site, given their kinds in queue order."""
    ports: dict[str, Member] = {}
    for number, kind in enumerate(kinds):
        ports |= instruction_ports(kind, str(number))
    return ports


def move_north(m: Module, component: Any, prefix: str = "") -> None:
    """Hand the instruction on in T + 1; the register loads only when there is one."""
    number = f"_{prefix}" if prefix != "" else ""
    valid, instr = getattr(component, f"instr{number}_valid"), getattr(component, f"instr{number}")
    north = unreset_register(m, getattr(component, f"north{number}"))
    m.d.sync += getattr(component, f"north{number}_valid").eq(valid)
    with m.If(valid):
        m.d.sync += north.eq(instr)


def connect_instruction(
    m: Module, site: Any, tile: Any, site_prefix: str, tile_prefix: str = "", powered: Value | None = None
) -> None:
    """Hand queue ``site_prefix`` of a site to one of its tiles, and on north from there.

    While not ``powered`` the tile sees no instruction. Nor do those north of it, which are not powered either.
    """
    inner, outer = (f"_{tile_prefix}" if tile_prefix != "" else ""), f"_{site_prefix}"
    valid = getattr(site, f"instr{outer}_valid")
    m.d.comb += [
        getattr(tile, f"instr{inner}_valid").eq(valid if powered is None else valid & powered),
        getattr(tile, f"instr{inner}").eq(getattr(site, f"instr{outer}")),
        getattr(site, f"north{outer}_valid").eq(getattr(tile, f"north{inner}_valid")),
        getattr(site, f"north{outer}").eq(getattr(tile, f"north{inner}")),
    ]


def operand(instr: Value, mnemonic: str, field: str) -> Value:
    """The bits of an operand, such as ``operand(instr, "READ", "read_address")``."""
    found = isa.BY_MNEMONIC[mnemonic].field(field)
    return instr[found.lo : found.lo + found.width]


def is_any(instr: Value, *mnemonics: str) -> Value:
    """Whether the opcode is one of these."""
    opcode = instr[isa.OPCODE.lo : isa.OPCODE.lo + isa.OPCODE.width]
    return opcode.matches(*(isa.BY_MNEMONIC[mnemonic].opcode for mnemonic in mnemonics))


def fault_ports() -> dict[str, Member]:
    """``fault_valid``, ``fault_kind`` of a tile: valid in T_f + 1."""
    return {"fault_valid": Out(1), "fault_kind": Out(KIND_BITS)}


def pulse_fault(m: Module, valid: Signal, kind: Signal, conditions: Sequence[tuple[Value, int]]) -> None:
    """Register the lowest kind whose condition holds in T_f; ``kind`` keeps its value between pulses.

    Args:
        conditions: (holds in T_f, kind), in ascending order of kind.
    """
    raised: Value = Const(0)
    lowest: Value = Const(0, KIND_BITS)
    for condition, number in reversed(conditions):
        raised, lowest = raised | condition, Mux(condition, Const(number, KIND_BITS), lowest)
    m.d.sync += valid.eq(raised)
    register = unreset_register(m, kind)
    with m.If(raised):
        m.d.sync += register.eq(lowest)


def first_fault(faults: Sequence[Fault], queue_bits: int = QUEUE_BITS) -> Fault:
    """Of the faults of one cycle, listed by queue and then by kind, the first."""
    valid: Value = Const(0)
    queue: Value = Const(0, queue_bits)
    kind: Value = Const(0, KIND_BITS)
    for fault in reversed(faults):
        valid = valid | fault.valid
        queue, kind = Mux(fault.valid, fault.queue, queue), Mux(fault.valid, fault.kind, kind)
    return Fault(valid, queue, kind)


def report_first(m: Module, component: Any, own: Fault, other: Fault) -> None:
    """Drive ``fault_valid``, ``_queue``, ``_kind`` of a component with the first of two faults, by queue and kind."""
    mine, order, others = Signal(name="own_fault_first"), Cat(own.kind, own.queue), Cat(other.kind, other.queue)
    m.d.comb += [
        mine.eq(own.valid & (~other.valid | (order < others))),
        component.fault_valid.eq(own.valid | other.valid),
        Cat(component.fault_kind, component.fault_queue).eq(Mux(mine, order, others)),
    ]


def site_fault_ports() -> dict[str, Member]:
    """``fault_valid``, ``fault_queue``, ``fault_kind`` of a site: valid in T_f + 1."""
    return {"fault_valid": Out(1), "fault_queue": Out(QUEUE_BITS), "fault_kind": Out(KIND_BITS)}


def report_fault(m: Module, site: Any, faults: Sequence[Fault]) -> None:
    """Drive a site's fault ports with the lowest queue's lowest kind, in whatever order ``faults`` come by kind.

    Raises:
        ValueError: ``faults`` of constant queue and kind are not in that order.
    """
    keys = [(f.queue.value, f.kind.value) for f in faults if isinstance(f.queue, Const) and isinstance(f.kind, Const)]
    if keys != sorted(keys):
        raise ValueError(f"faults are not in the order of queue and kind: {keys}")
    fault = first_fault(faults)
    m.d.comb += [site.fault_valid.eq(fault.valid), site.fault_queue.eq(fault.queue), site.fault_kind.eq(fault.kind)]


def corrected_ports(config: ChipConfig) -> dict[str, Member]:
    """``corrected`` of a tile or site, with feature ``ecc``: in T + 1, how many words it corrected in T."""
    return {"corrected": Out(CORRECTED_BITS)} if config.ecc else {}


def sum_corrected(m: Module, site: Any, tiles: Sequence[Any]) -> None:
    """``corrected`` of a site: all its tiles'."""
    total: Value = Const(0, CORRECTED_BITS)
    for tile in tiles:
        total = (total + tile.corrected)[:CORRECTED_BITS]
    m.d.comb += site.corrected.eq(total)


def place_ports() -> dict[str, Member]:
    """``time`` (this superlane's schedule time in this cycle) and ``place`` (index of the slice)."""
    return {"time": In(TIME_BITS), "place": In(PLACE_BITS)}


def host_request(config: ChipConfig) -> dict[str, int]:
    """Names and widths of what the host asks; without ``trace`` there is no signature to ask for.

    With ``ecc`` a write brings the check bits, and ``host_flip`` makes of a write one that turns over the bits set in
    ``host_wdata`` and ``host_check``, in two cycles, and of a read one that is not corrected.
    """
    signature = {"host_signature": 1} if config.trace else {}
    places = {"host_place": HOST_PLACE_BITS, "host_address": HOST_ADDRESS_BITS, "host_wdata": WORD_BITS}
    flip = {"host_flip": 1, "host_check": CHECK_BITS} if config.ecc else {}
    return {"host_select": 1, "host_write": 1, **signature, **places, **flip}


def answer_bits(config: ChipConfig) -> int:
    """Bits of an answer to the host, in one beat. With ``ecc`` a word's check bits follow, and a bit that says that it
    is to be corrected by them."""
    return WORD_BITS // config.beats + (CHECK_BITS + 1 if config.ecc else 0)


def host_ports(config: ChipConfig) -> dict[str, Member]:
    """What the host asks (one cycle) and the answer (one cycle later, in beats; zero when not valid)."""
    ports = {name: In(width) for name, width in host_request(config).items()}
    return ports | {"host_rvalid": Out(1), "host_rdata": Out(answer_bits(config))}


def host_addressed(m: Module, tile: Any) -> Signal:
    """High in the cycle in which the host addresses this tile, by its ``place``."""
    addressed = Signal(name="host_addressed")
    m.d.comb += addressed.eq(tile.host_select & (tile.host_place == tile.place))
    return addressed


def answer_signature(m: Module, tile: Any, signature: Value) -> None:
    """The host port of a tile that has nothing but a signature to show (feature ``trace``)."""
    m.d.sync += tile.host_rvalid.eq(host_addressed(m, tile) & ~tile.host_write & tile.host_signature)
    m.d.comb += tile.host_rdata.eq(gated(tile.host_rvalid, signature_part(signature, tile.config)))


def signature_part(signature: Value, config: ChipConfig) -> Value:
    """The beats of an answer with a signature."""
    return signature if config.beats == 1 else beats.part(config.beats, Cat(signature, Const(0, SIGNATURE_BITS)))


def host_to_tiles(m: Module, site: Any, tiles: Sequence[Any], config: ChipConfig) -> None:
    """Hand the host's request to every tile of a site and gather their answers."""
    for tile in tiles:
        m.d.comb += [getattr(tile, name).eq(getattr(site, name)) for name in host_request(config)]
    answers: Value = Const(0, answer_bits(config))
    valid: Value = Const(0)
    for tile in tiles:
        valid, answers = valid | tile.host_rvalid, answers | tile.host_rdata
    m.d.comb += site.host_rvalid.eq(valid)
    # Without the mux every tile's answer would be gathered in every cycle of a simulation.
    m.d.comb += site.host_rdata.eq(gated(site.host_rvalid, answers))
