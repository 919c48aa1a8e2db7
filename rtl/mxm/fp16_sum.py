"""fp16 products summed exactly in fixed point, and the one rounding to fp32 (docs/architecture.md, section 4).

A sum is two signed numbers side by side, ``low`` in units of 2^-48 and ``high`` in units of 2^-16, and two flags. Each
product, of 22 bits, is shifted by at most 31 and added to one of the two, so that no carry runs through all of a sum
until it is rounded. A product +∞ sets the first flag, -∞ the second, a NaN both.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.float.add import add_exact
from rtl.float.number import FP16, FP32, Unrounded, named, normalised, packed, rounded, unpack
from rtl.lanes import Lanes
from rtl.stream import WORD_BITS
from tsp.config import LANES_PER_SUPERLANE as LANES

UNIT = 2 * (1 - FP16.bias - FP16.fraction_bits)
"""Products are multiples of 2^UNIT."""
HIGH = 32
"""``high`` is in units of 2^(UNIT + HIGH)."""
PRODUCT_BITS = 2 * (FP16.fraction_bits + 1)
MOST_SHIFT = 2 * (FP16.top - 2)
"""The shift of a product of two numbers with the largest exponent."""
FLAGS = 2


def low_bits(superlanes: int) -> int:
    """Width of ``low`` on a chip of that many superlanes, its sign among them."""
    return PRODUCT_BITS + HIGH + _growth(superlanes)


def high_bits(superlanes: int) -> int:
    """Width of ``high``."""
    return PRODUCT_BITS + MOST_SHIFT - HIGH + 1 + _growth(superlanes)


def sum_bits(superlanes: int) -> int:
    """Width of a sum: ``low``, ``high``, flags."""
    return low_bits(superlanes) + high_bits(superlanes) + FLAGS


def _growth(superlanes: int) -> int:
    return (LANES * superlanes - 1).bit_length()


class Dot(Component):
    """What one supercell adds to one output's sum; no latency.

    Ports:
        weights_low, weights_high, activations_low, activations_high (128): low and high bytes of sixteen fp16 numbers.
        psum_in, psum_out: the sum from the south, and with the sixteen products.
    """

    module_name = "mxm_fp16_dot_lane"

    def __init__(self, superlanes: int):
        self.superlanes = superlanes
        ports = {f"{kind}_{half}": In(WORD_BITS) for kind in ("weights", "activations") for half in ("low", "high")}
        bits = sum_bits(superlanes)
        super().__init__(ports | {"psum_in": In(bits), "psum_out": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low, high, flags = split(self.psum_in, self.superlanes)
        for i in range(LANES):
            low, high, flags = self._add(m, i, low, high, flags)
        m.d.comb += self.psum_out.eq(Cat(low, high, flags))
        return m

    def _add(self, m: Module, i: int, low: Value, high: Value, flags: Value) -> tuple[Value, Value, Value]:
        factors = []
        for kind in ("weights", "activations"):
            halves = (getattr(self, f"{kind}_{half}").word_select(i, 8) for half in ("low", "high"))
            factors.append(unpack(m, f"{kind}_{i}", FP16, named(m, f"{kind}_{i}", Cat(halves))))
        w, a = factors
        negative = named(m, f"negative_{i}", w.sign ^ a.sign)
        product = named(m, f"product_{i}", w.significand * a.significand)
        # Exponents are 1 … 30, but of infinities and NaNs, whose products do not matter.
        scale = named(m, f"scale_{i}", (w.exponent + a.exponent - 2)[: HIGH.bit_length()])
        large = scale[-1]
        shifted = named(m, f"shifted_{i}", product << scale[:-1])
        term = named(m, f"term_{i}", Mux(negative, -shifted, shifted).as_signed())
        low = named(m, f"low_{i}", (low + Mux(large, 0, term))[: len(low)].as_signed())
        high = named(m, f"high_{i}", (high + Mux(large, term, 0))[: len(high)].as_signed())
        nan = named(m, f"nan_{i}", w.nan | a.nan | (w.infinite & a.zero) | (a.infinite & w.zero))
        special = named(m, f"special_{i}", w.infinite | a.infinite | nan)
        flags = flags | Cat(special & (~negative | nan), special & (negative | nan))
        return low, high, named(m, f"flags_{i}", flags)


class Dots(Lanes):
    """What one supercell adds to the sums of its sixteen outputs.

    Ports: those of :class:`Dot`, of which weights and sums hold those of all outputs, the lowest first.
    """

    module_name = "mxm_fp16_dots"

    def __init__(self, superlanes: int):
        self.superlanes = superlanes
        super().__init__(LANES, ("activations_low", "activations_high"))

    def lane(self) -> Dot:
        return Dot(self.superlanes)


class Round(Component):
    """A sum rounded to fp32; no latency. Ports: psum; result (32)."""

    module_name = "mxm_fp16_round_lane"

    def __init__(self, superlanes: int):
        self.superlanes = superlanes
        super().__init__({"psum": In(sum_bits(superlanes)), "result": Out(FP32.bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low, high, flags = split(self.psum, self.superlanes)
        width = PRODUCT_BITS + MOST_SHIFT + 1 + _growth(self.superlanes)
        total = named(m, "total", (low + (high << HIGH))[:width].as_signed())
        negative = total[-1]
        magnitude = named(m, "magnitude", Mux(negative, -total, total)[: width - 1])
        # No sum is so small or so large that fp32 would not have its exponent; only zero never gets a top bit.
        top = FP32.bias + UNIT + len(magnitude) - 1
        aligned, exponent = normalised(m, "aligned", magnitude, Const(top, FP32.exponent_bits))
        plus, minus = flags
        exact = Unrounded(
            sign=Mux(flags.any(), minus, negative),
            exponent=exponent,
            significand=magnitude,
            nan=plus & minus,
            infinite=flags.any(),
        )
        m.d.comb += self.result.eq(packed(m, "sum", FP32, aligned, exponent, exact))
        return m


class Rounds(Lanes):
    """The sums of sixteen outputs rounded."""

    module_name = "mxm_fp16_rounds"

    def __init__(self, superlanes: int):
        self.superlanes = superlanes
        super().__init__(LANES)

    def lane(self) -> Round:
        return Round(self.superlanes)


class Add(Component):
    """fp32 addition; no latency. Ports: x, y, result (32)."""

    module_name = "mxm_fp16_add_lane"

    def __init__(self) -> None:
        super().__init__({"x": In(FP32.bits), "y": In(FP32.bits), "result": Out(FP32.bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        x, y = (unpack(m, name, FP32, getattr(self, name)) for name in ("x", "y"))
        m.d.comb += self.result.eq(rounded(m, "sum", FP32, add_exact(m, "exact", FP32, x, y)))
        return m


class Adds(Lanes):
    """Sixteen fp32 additions."""

    module_name = "mxm_fp16_adds"
    lane = Add

    def __init__(self) -> None:
        super().__init__(LANES)


def split(psum: Value, superlanes: int) -> tuple[Value, Value, Value]:
    """``low``, ``high`` and the flags of a sum."""
    low = low_bits(superlanes)
    return psum[:low].as_signed(), psum[low:-FLAGS].as_signed(), psum[-FLAGS:]
