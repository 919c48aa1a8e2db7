"""Floating point of the VXM (docs/float.md): one lane, and all lanes of an ALU as a module."""

from collections.abc import Callable
from dataclasses import replace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Member, Out

from rtl.float.add import add_exact
from rtl.float.compare import Order, compare
from rtl.float.convert import from_integer, narrowed, to_integer, widened
from rtl.float.functions import (
    exp_argument,
    exp_exact,
    rsqrt_argument,
    rsqrt_exact,
    tanh_argument,
    tanh_exact,
)
from rtl.float.multiply import multiply_exact
from rtl.float.number import FP16, FP32, Number, Unrounded, named, rounded, unpack
from rtl.float.quadratic import quadratic
from rtl.lanes import Lanes
from rtl.vxm.float_decode import CONTROLS

NUMBER_BITS, HALF_BITS = FP32.bits, FP16.bits
EXACT_BITS = 52
"""Of the widest exact result, TANH's."""


class FloatLane(Component):
    """One lane; no latency.

    Ports:
        x, y: fp32 numbers; integers or fp16 numbers where a control says so. z: the condition of MASK and SELECT.
        every name of :class:`rtl.vxm.float_decode.FloatControls`.
        result: an fp32 number or an int32. half: that number as fp16.
    """

    module_name = "vxm_float_lane"

    def __init__(self) -> None:
        ports: dict[str, Member] = {name: In(1) for name in CONTROLS}
        ports |= {"x": In(NUMBER_BITS), "y": In(NUMBER_BITS), "z": In(1)}
        super().__init__(ports | {"result": Out(NUMBER_BITS), "half": Out(HALF_BITS)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        x_bits, y_bits = self._operand(m, "x"), self._operand(m, "y")
        x, y = unpack(m, "x", FP32, x_bits), unpack(m, "y", FP32, y_bits)
        order = compare(m, "order", x_bits, x, y_bits, y)
        number = rounded(m, "number", FP32, self._exact(m, x, y))
        whole = self._integer(m, x)
        answer = ((self.by_less & order.less) | (self.by_equal & order.equal)) ^ self.complement
        # Whatever is asked of the order, the answer about a NaN is no.
        result = Mux(self.compare, answer & ~(self.by_less & order.unordered), number)
        result = Mux(self.to_integer, whole, Mux(self.choose, self._chosen(m, x_bits, y_bits, x, y, order), result))
        m.d.comb += self.result.eq(result)
        back = unpack(m, "back", FP32, self.result)
        m.d.comb += self.half.eq(narrowed(m, "narrow", back, FP32, FP16))
        return m

    def _operand(self, m: Module, name: str) -> Value:
        bits = getattr(self, name)
        half = unpack(m, f"{name}_narrow", FP16, bits[:HALF_BITS])
        wide = widened(m, f"{name}_wide", half, FP16, FP32)
        return named(m, f"{name}_bits", Mux(getattr(self, f"{name}_half"), wide, bits))

    def _exact(self, m: Module, x: Number, y: Number) -> Unrounded:
        """The exact result of whatever is rounded to fp32."""
        total = add_exact(m, "sum", FP32, x, replace(y, sign=named(m, "addend_sign", y.sign ^ self.subtract)))
        arguments = [exp_argument(m, "exp", x), rsqrt_argument(m, "rsqrt", x), tanh_argument(m, "tanh", x)]
        uses = [self.exp, self.rsqrt, self.tanh]
        value = quadratic(
            m,
            "quadratic",
            named(m, "index", one_of(uses, [argument.index for argument in arguments])),
            named(m, "offset", one_of(uses, [argument.offset for argument in arguments])),
        )
        # One multiplier for MUL and for TANH, which multiplies its x by the quadratic's value.
        product = named(m, "product", x.significand * Mux(self.tanh, value, y.significand))
        results = [
            (self.add, total),
            (self.multiply, multiply_exact(m, "multiply", FP32, x, y, product)),
            (self.from_integer, from_integer(m, "integer", FP32, self.x)),
            (self.exp, exp_exact(x, arguments[0], value)),
            (self.rsqrt, rsqrt_exact(x, arguments[1], value)),
            (self.tanh, tanh_exact(m, "tanh", x, arguments[2], value, product)),
        ]

        def choice(name: str, of: Callable[[Unrounded], Value]) -> Signal:
            return named(m, f"exact_{name}", one_of([use for use, _ in results], [of(exact) for _, exact in results]))

        return Unrounded(
            sign=choice("sign", lambda exact: exact.sign),
            exponent=choice("exponent", lambda exact: resized(exact.exponent, 11)).as_signed(),
            significand=choice("significand", lambda exact: at_top(exact.significand, EXACT_BITS)),
            nan=choice("nan", lambda exact: exact.nan),
            infinite=choice("infinite", lambda exact: exact.infinite),
        )

    def _chosen(self, m: Module, x_bits: Value, y_bits: Value, x: Number, y: Number, order: Order) -> Value:
        """x or y, perhaps with another sign."""
        take_x = named(
            m, "takes_x", Mux(self.by_z, self.z, Mux(self.by_order, order.below ^ self.maximum, self.take_x))
        )
        taken = named(m, "taken", Mux(take_x, x_bits, y_bits))
        # What a choice by order does not take matters too.
        nan = Mux(self.by_order, order.unordered, Mux(take_x, x.nan, y.nan))
        sign = (taken[-1] ^ self.negate) & ~self.absolute
        return named(m, "chosen", Mux(nan, Const(FP32.nan, NUMBER_BITS), Cat(taken[:-1], sign)))

    def _integer(self, m: Module, x: Number) -> Value:
        """x as an int32, by the instruction's mode."""
        integer = to_integer(m, "whole", FP32, x, NUMBER_BITS)
        highest = 1 << (NUMBER_BITS - 1)
        limit = Mux(x.sign, Const(highest, NUMBER_BITS), Const(highest - 1, NUMBER_BITS))
        return Mux(self.saturate & integer.beyond & ~x.nan, limit, integer.low)


class FloatLanes(Lanes):
    """The lanes of an ALU, as many as work in one clock.

    Ports: those of :class:`FloatLane`, of which x, y, z, result and half hold those of all lanes, the lowest first.
    """

    module_name = "vxm_float"
    lane = FloatLane

    def __init__(self, count: int):
        super().__init__(count, CONTROLS)


def one_of(uses: list[Signal], values: list[Value]) -> Value:
    """The value whose use holds; the first if none does."""
    chosen = values[0]
    for use, value in zip(uses[1:], values[1:], strict=True):
        chosen = Mux(use, value, chosen)
    return chosen


def resized(value: Value, width: int) -> Value:
    """A number, signed or not, in that many bits."""
    return (value + Const(0, signed(width)))[:width]


def at_top(value: Value, width: int) -> Value:
    """``value`` with zeros below it."""
    return Cat(Const(0, width - len(value)), value)
