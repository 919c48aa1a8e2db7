"""Floating-point numbers in programs: values to bits, bits to text that gives the same bits again."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp.errors import InputError
from tsp.isa import Type

NAN = {Type.FP16: 0x7E00, Type.FP32: 0x7FC00000}
"""The canonical NaNs."""
_NUMPY: dict[Type, Any] = {Type.FP16: np.float16, Type.FP32: np.float32}
_BITS: dict[Type, Any] = {Type.FP16: np.uint16, Type.FP32: np.uint32}


def bits_of(values: NDArray[Any], type_: Type, name: str) -> NDArray[np.int64]:
    """The bits of numbers in a floating-point type, rounded half to even; every NaN becomes the canonical one.

    Raises InputError for a finite number that would become an infinity; ``name`` says whose it is.
    """
    wide = np.asarray(values, np.float64)
    with np.errstate(all="ignore"):
        narrow = wide.astype(_NUMPY[type_])
    too_large = np.isinf(narrow) & np.isfinite(wide)
    if too_large.any():
        most = np.finfo(_NUMPY[type_]).max
        limit = f"{type_.name.lower()} ends at ±{float(most):.7g}"
        raise InputError(f"'{name}' holds {float(wide[too_large][0]):.7g}, but {limit}; write inf for infinity")
    bits = narrow.view(_BITS[type_]).astype(np.int64)
    return np.asarray(np.where(np.isnan(narrow), NAN[type_], bits), np.int64)


def numbers_of(bits: NDArray[np.int64], type_: Type) -> NDArray[Any]:
    """float16 or float32 of the same bits."""
    return bits.astype(_BITS[type_]).view(_NUMPY[type_])


def single(number: float) -> int:
    """The fp32 bits of a number, as a signed 32-bit number; InputError beyond fp32."""
    bits = int(bits_of(np.array([number]), Type.FP32, "immediate")[0])
    return bits - (bits >> 31 << 32)


def text_of(bits: int, type_: Type = Type.FP32) -> str | None:
    """A number with a point or an exponent, ``inf`` or ``nan``, that gives the same bits; None for another NaN."""
    bits &= (1 << 8 * type_.planes) - 1
    number = numbers_of(np.array([bits]), type_)[0]
    if np.isnan(number):
        return "nan" if bits == NAN[type_] else None
    if np.isinf(number):
        return "inf" if number > 0 else "-inf"
    short = str(number)
    exact = repr(float(number))
    text = short if struct.pack("<d", float(_NUMPY[type_](float(short)))) == struct.pack("<d", float(number)) else exact
    return text if any(mark in text for mark in ".e") else f"{text}.0"
