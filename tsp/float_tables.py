"""The constants of TANH, EXP and RSQRT: contract data, read by golden model and RTL alike.

Each row of :func:`segments` is a quadratic that is close to a function over one segment, as ``docs/float.md`` says. The
numbers come from correctly rounded decimal arithmetic, so they are the same on every machine; a test holds their sum.
"""

from collections.abc import Callable, Iterator
from decimal import Context, Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

SEGMENT_BITS = 6
"""A function's interval has 2^6 segments."""
OFFSET_BITS = 20
"""r: how far into its segment an argument lies, in 2^-20 of the segment."""
FRACTION_BITS = 28
"""Coefficients and values are in units of 2^-28."""
INDEX_BITS = 9

EXP, RSQRT_EVEN, RSQRT_ODD, TANH_NEAR, TANH_FAR = 0, 64, 128, 192, 256
"""First segment of: 2^f for f in [0, 1); 1/sqrt(m) and 1/sqrt(2·m) for m in [1, 2); tanh(x)/x for x in [0, 1);
tanh(x) for x in [2^k, 2^(k+1)), k = 0, 1, 2, 3."""

LOG2_E = 0x171547653
"""log2(e) in units of 2^-32, rounded to the nearest."""

_CONTEXT = Context(prec=60)
_Function = Callable[[Decimal], Decimal]


class Segment(NamedTuple):
    """``c0 + c1·t + c2·t²`` over 0 ≤ t < 1 of a segment, each in units of 2^-28."""

    c0: int
    c1: int
    c2: int


@lru_cache(maxsize=1)
def segments() -> tuple[Segment, ...]:
    """All 512 segments, by index."""
    with localcontext(_CONTEXT):
        return tuple(_quadratic(f, start, width) for f, start, width in _intervals())


def _intervals() -> Iterator[tuple[_Function, Decimal, Decimal]]:
    """Function, start and width of every segment."""
    log_2 = Decimal(2).ln()
    count = 1 << SEGMENT_BITS
    unit: list[tuple[_Function, Decimal, Decimal]] = [
        (lambda x: (x * log_2).exp(), Decimal(0), Decimal(1)),
        (lambda x: 1 / x.sqrt(), Decimal(1), Decimal(1)),
        (lambda x: 1 / x.sqrt(), Decimal(2), Decimal(2)),
        (lambda x: _tanh(x) / x if x else Decimal(1), Decimal(0), Decimal(1)),
        *((_tanh, Decimal(2**k), Decimal(2**k)) for k in range(4)),
    ]
    for f, start, length in unit:
        for i in range(count):
            yield f, start + length * i / count, length / count


def _tanh(x: Decimal) -> Decimal:
    small = (-2 * x).exp()
    return (1 - small) / (1 + small)


def _quadratic(f: _Function, start: Decimal, width: Decimal) -> Segment:
    """The parabola through f at t = 0, 15/32 and 15/16: exact at the segment's start, and nearly the closest."""
    step = Decimal(15) / 32
    f0, f1, f2 = (f(start + width * step * j) for j in range(3))
    c2 = (f0 - 2 * f1 + f2) / (2 * step * step)
    c1 = (f1 - f0) / step - c2 * step
    return Segment(*(int((c * 2**FRACTION_BITS).to_integral_value()) for c in (f0, c1, c2)))
