"""What an instruction with ``float``, or a conversion from integers, asks of the floating point (docs/float.md)."""

from dataclasses import dataclass, fields

from amaranth.hdl import Value

from rtl.tile import is_any
from rtl.vxm.decode import Decoded, Source, operand_bits
from tsp.isa import Type


@dataclass(frozen=True)
class FloatControls:
    """What all lanes do, in T + 1; zero without such an instruction.

    One of ``add``, ``multiply``, ``choose``, ``compare``, ``from_integer``, ``to_integer``, ``exp``, ``rsqrt`` and
    ``tanh`` says what the result is. The operands go to x, y and z as in :mod:`rtl.vxm.decode`.
    """

    x_half: Value
    """x is an fp16 number, in its low bits"""
    y_half: Value
    add: Value
    """x + y"""
    subtract: Value
    """... of which y is subtracted"""
    multiply: Value
    """x · y"""
    choose: Value
    """x or y"""
    by_z: Value
    """... x if z holds"""
    by_order: Value
    """... x if it is below y"""
    maximum: Value
    """... x if it is above y"""
    take_x: Value
    """... x in any case; without any of these, y"""
    negate: Value
    """... with the other sign"""
    absolute: Value
    """... without its sign"""
    compare: Value
    """an integer, 1 or 0"""
    by_less: Value
    """... x < y counts"""
    by_equal: Value
    """... x = y counts"""
    complement: Value
    """... the comparison is the opposite"""
    from_integer: Value
    """x, an integer, as a number"""
    to_integer: Value
    """x as an integer"""
    saturate: Value
    """... the nearest one if it has more than 32 bits"""
    exp: Value
    rsqrt: Value
    tanh: Value


CONTROLS = tuple(field.name for field in fields(FloatControls))
OPERATIONS_OF = {
    "add": ("ADD", "SUB"),
    "choose": ("MASK", "SELECT", "MIN", "MAX", "RELU", "NEG", "ABS"),
    "by_order": ("MIN", "MAX", "RELU"),
    "take_x": ("CONVERT",),
    "negate": ("NEG",),
    "absolute": ("ABS",),
    "exp": ("EXP",),
    "rsqrt": ("RSQRT",),
    "tanh": ("TANH",),
}
"""Operations that set each control, with ``float``."""
OF_INTEGERS = ("subtract", "multiply", "by_z", "maximum", "compare", "by_less", "by_equal", "complement")
"""Controls that are those of the integers."""


def float_lines(word: Value, ports: tuple[Source, Source, Source]) -> dict[str, Value]:
    """The controls of an instruction word that are not those of the integers, and ``float_valid``."""
    float_, convert = operand_bits(word, "float"), is_any(word, "CONVERT")
    to_float = operand_bits(word, "type").matches(Type.FP16, Type.FP32)
    lines = {name: float_ & is_any(word, *operations) for name, operations in OPERATIONS_OF.items()}
    lines["choose"] = lines["choose"] | (float_ & convert & to_float)
    lines["from_integer"] = ~float_ & convert & to_float
    lines["to_integer"] = float_ & convert & ~to_float
    lines["saturate"] = operand_bits(word, "saturate")
    lines["valid"] = float_ | lines["from_integer"]
    for name, port in zip("xy", ports, strict=False):
        lines[f"{name}_half"] = port.stream & (port.type == Type.FP16)
    return {f"float_{name}": line for name, line in lines.items()}


def float_controls(decoded: Decoded) -> FloatControls:
    """The controls in T + 1."""
    shared = {name: getattr(decoded.do, name) for name in OF_INTEGERS}
    own = {name: decoded.more[f"float_{name}"] for name in CONTROLS if name not in OF_INTEGERS}
    return FloatControls(**shared, **own)
