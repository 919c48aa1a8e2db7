"""Drives one ALU in amaranth.sim, and says in plain Python what docs/architecture.md section 4 makes of numbers."""

import dataclasses
from collections.abc import Iterable, Sequence
from functools import lru_cache

from amaranth.sim import Simulator

from rtl.vxm import VxmAlu
from tsp import isa
from tsp.config import ChipConfig
from tsp.isa import OperandKind, Type

LANES = 16
INT_MIN, INT_MAX = -(2**31), 2**31 - 1
BITS = {Type.INT8: 8, Type.INT16: 16, Type.INT32: 32}
Vector = Sequence[int]


def wrap(value: int, bits: int) -> int:
    """The low bits of a number, as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def clamp(value: int, bits: int) -> int:
    """The nearest signed number of so many bits."""
    return min(max(value, -(1 << (bits - 1))), (1 << (bits - 1)) - 1)


def half_to_even(a: int, shift: int) -> int:
    """a / 2^shift, rounded half to even."""
    if shift == 0:
        return a
    quotient, rest = a >> shift, a & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    return quotient + (rest > half or (rest == half and quotient % 2 == 1))


def exact(mnemonic: str, a: int, b: int, c: int, mul_bits: int) -> int:
    """The mathematical result of an operation on int32 numbers; shifts take b as unsigned."""
    amount = b & 0xFFFFFFFF
    far = amount >= 32
    results = {
        "ADD": lambda: a + b,
        "SUB": lambda: a - b,
        "MUL": lambda: wrap(a, mul_bits) * wrap(b, mul_bits),
        "MIN": lambda: min(a, b),
        "MAX": lambda: max(a, b),
        "ABS": lambda: abs(a),
        "NEG": lambda: -a,
        "AND": lambda: a & b,
        "OR": lambda: a | b,
        "XOR": lambda: a ^ b,
        "NOT": lambda: ~a,
        # 2^32 or more takes every number but 0 beyond int32, and leaves no low bits.
        "SHL": lambda: a << min(amount, 64),
        "SRA": lambda: 0 if far else half_to_even(a, amount),
        "SRL": lambda: 0 if far else wrap((a & 0xFFFFFFFF) >> amount, 32),
        "EQ": lambda: int(a == b),
        "NE": lambda: int(a != b),
        "LT": lambda: int(a < b),
        "LE": lambda: int(a <= b),
        "GT": lambda: int(a > b),
        "GE": lambda: int(a >= b),
        "MASK": lambda: a if b != 0 else 0,
        "SELECT": lambda: a if c != 0 else b,
        "CONVERT": lambda: a,
        "RELU": lambda: max(a, 0),
    }
    return results[mnemonic]()


def expected(mnemonic: str, a: int, b: int, c: int, saturate: bool, type_: Type, mul_bits: int) -> tuple[int, int]:
    """(what the next stage gets, what the stream gets)."""
    bring = clamp if saturate else wrap
    value = bring(exact(mnemonic, a, b, c, mul_bits), 32)
    return value, bring(value, BITS[type_])


def planes_of(values: Vector, count: int) -> list[int]:
    """Byte planes of 16 numbers, as 128-bit words."""
    return [sum((value >> 8 * plane & 0xFF) << 8 * lane for lane, value in enumerate(values)) for plane in range(count)]


def numbers_of(planes: Sequence[int]) -> list[int]:
    """The inverse of :func:`planes_of`, sign-extended."""
    bits = 8 * len(planes)
    raw = [sum((word >> 8 * lane & 0xFF) << 8 * plane for plane, word in enumerate(planes)) for lane in range(LANES)]
    return [wrap(value, bits) for value in raw]


@dataclasses.dataclass(frozen=True)
class Operand:
    """Where an operand is, and its 16 numbers. ``stream``: the 8-bit stream operand; ``row``: of the stage before."""

    values: Vector
    kind: OperandKind = OperandKind.STREAM
    stream: int = 0
    type: Type = Type.INT32
    row: int = 0
    absent_planes: tuple[int, ...] = ()

    @property
    def source(self) -> int:
        """The source field of the instruction."""
        return self.row if self.kind == OperandKind.ALU else self.stream


@dataclasses.dataclass(frozen=True)
class Step:
    """One cycle: an instruction (or none) with its operands."""

    mnemonic: str | None
    operands: tuple[Operand, ...] = ()
    stream: int = 0
    type: Type = Type.INT32
    saturate: bool = False
    to_stream: bool = True
    to_next: bool = True
    stray: int = 0
    """Bits of the word outside the operation's fields."""

    def word(self) -> int:
        """The encoded instruction, of which an ALU gets the low bits."""
        assert self.mnemonic is not None
        values = {"stream": self.stream, "type": self.type, "to_stream": self.to_stream, "to_next": self.to_next}
        values["saturate"] = self.saturate
        for name, operand in zip(isa.OPERAND_NAMES, self.operands, strict=False):
            values |= {f"{name}_kind": operand.kind, f"{name}_source": operand.source, f"{name}_type": operand.type}
            if operand.kind == OperandKind.IMMEDIATE:
                values["immediate"] = operand.values[0]
        numbers = {name: int(value) for name, value in values.items()}
        return isa.instruction(self.mnemonic, **numbers).encode() | self.stray


@dataclasses.dataclass
class Output:
    """What the ALU shows in one cycle."""

    mask: int
    words: list[int]
    drive_valid: int
    result: list[int] | None
    """Numbers for the next stage, or None."""
    fault: int | None
    north: tuple[int, int]

    def stream_numbers(self, operand: int, type_: Type, streams: int) -> list[int]:
        """The numbers driven on a group of streams; fails if the mask is not exactly that group."""
        index = operand & 31
        first = index + (streams if operand >> 5 & 1 else 0)
        assert self.mask == ((1 << type_.planes) - 1) << first, f"mask {self.mask:#x} for stream {operand:#x} {type_}"
        return numbers_of([self.words[(index + plane) % 4] for plane in range(type_.planes)])


class AluBench:
    """Runs steps through an ALU, one a cycle. Each run starts from reset."""

    def __init__(self, config: ChipConfig):
        self.config = config
        self.event_sum = 0
        """Of the last run, at its end."""
        self._alu = VxmAlu(config)
        self._simulator = Simulator(self._alu)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._process)
        self._cycles: list[dict[str, int]] = []
        self._outputs: list[Output] = []
        self._used = False

    def run(
        self, steps: Iterable[Step], idle: int = 2, time: int = 0, place: int = 0, noise: dict[str, int] | None = None
    ) -> list[Output]:
        """``outputs[t]`` is what is visible in cycle t; step t is at the inputs in cycle t, whose time is time + t.

        Args:
            idle: cycles after the last step.
            noise: words of ports in cycles in which the step does not set them; 0 for the rest.
        """
        rest = (noise or {}) | {"place": place}
        cycles = [*steps, *[Step(None)] * idle]
        self._cycles = [rest | self._inputs(step) | {"time": (time + t) % 2**32} for t, step in enumerate(cycles)]
        self._outputs = []
        if self._used:
            self._simulator.reset()
        self._used = True
        self._simulator.run()
        return self._outputs

    async def _process(self, ctx) -> None:
        held: dict[str, int] = {}
        for wanted in self._cycles:
            for name in held.keys() - wanted.keys():
                _set(ctx, self._alu, name, 0)
            for name, value in wanted.items():
                if held.get(name) != value:
                    _set(ctx, self._alu, name, value)
            held = wanted
            self._outputs.append(self._sample(ctx, self._alu))
            await ctx.tick()
        if self.config.trace:
            self.event_sum = ctx.get(self._alu.event_sum)

    def _inputs(self, step: Step) -> dict[str, int]:
        if step.mnemonic is None:
            return {}
        found = {"instr_valid": 1, "instr": step.word(), "e_present": 0, "w_present": 0, "previous_valid": 0}
        for operand in step.operands:
            if operand.kind == OperandKind.STREAM:
                side, first = "ew"[operand.stream >> 5], operand.stream & 31
                for plane, word in enumerate(planes_of(operand.values, operand.type.planes)):
                    found[f"{side}_{first + plane}"] = word
                    found[f"{side}_present"] |= (plane not in operand.absent_planes) << first + plane
            elif operand.kind == OperandKind.ALU:
                joined = sum(word << 128 * plane for plane, word in enumerate(planes_of(operand.values, 4)))
                found[f"previous_{operand.row}"] = joined
                found["previous_valid"] |= (not operand.absent_planes) << operand.row
        return found

    def _sample(self, ctx, alu: VxmAlu) -> Output:
        result = ctx.get(alu.result)
        planes = [result >> 128 * plane & (1 << 128) - 1 for plane in range(4)]
        return Output(
            mask=ctx.get(alu.drive_mask),
            words=[ctx.get(getattr(alu, f"drive_word_{i}")).data for i in range(4)],
            drive_valid=ctx.get(alu.drive_valid),
            result=numbers_of(planes) if ctx.get(alu.result_valid) else None,
            fault=ctx.get(alu.fault_kind) if ctx.get(alu.fault_valid) else None,
            north=(ctx.get(alu.north_valid), ctx.get(alu.north)),
        )


@lru_cache(maxsize=2)
def bench(config: ChipConfig) -> AluBench:
    """The bench of a configuration; building one takes longer than most tests."""
    return AluBench(config)


def _set(ctx, alu: VxmAlu, name: str, value: int) -> None:
    port = getattr(alu, name)
    ctx.set(port.as_value() if hasattr(port, "as_value") else port, value)
