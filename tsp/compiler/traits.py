"""What lowering asks of a graph and its tensors."""

from collections import defaultdict

import numpy as np

from tsp.compiler.graph import INTEGERS, Graph, Tensor
from tsp.compiler.passes import TYPES
from tsp.compiler.tensor import is_map, table_of
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.isa import Type

PRODUCTS = ("matmul", "sum_pool")
"""What the MXM does."""
ROUNDED = ("shift", "convert", "add_saturated", "wrap", "relu")
VIEWS = ("rows", "columns")
"""Where another tensor is read."""


def immediate(x: Tensor) -> int | float | None:
    """The one number of a constant, which an instruction may hold; None for what must lie in memory."""
    return x.value.item() if x.value is not None and x.value.size == 1 else None


def narrows(x: Tensor) -> bool:
    """Whether a number is brought to its type only on its way to memory: between ALUs pass 32 bits."""
    return x.op == "map" or (x.op in ROUNDED and x.dtype not in ("int32", "float32"))


def distinct(x: Tensor) -> list[Tensor]:
    """The inputs of an operation, each once: it is read once."""
    return list({y.name: y for y in x.inputs}.values())


def may_follow(x: Tensor, y: Tensor) -> bool:
    """Whether an operation takes a number as well before it is brought to its type: a relu of what does not wrap, or
    the same rounding."""
    return (x.op == "relu" and y.op != "wrap") or (x.op in ("convert", "keep") and x.dtype == y.dtype == "float16")


def gaps(x: Tensor, lanes: int) -> tuple[tuple[int, int], ...]:
    """First and behind the last rows that no piece fills, up to whole blocks of outputs."""
    taken = sorted((offset, offset + y.rows) for offset, y in zip(x.attribute("offsets"), x.inputs, strict=True))
    edges = [0, *(edge for piece in taken for edge in piece), -(-x.rows // lanes) * lanes]
    return tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)


def wild(graph: Graph) -> set[str]:
    """Tensors with lanes that are no features and may hold infinities: made of 1 / √0. Products and what is rounded for
    them have none."""
    found: set[str] = set()
    for x in graph.tensors.values():
        made = x.op == "rsqrt" or any(y.name in found for y in x.inputs)
        if made and not x.is_column and x.dtype != "float16" and x.op not in PRODUCTS:
            found.add(x.name)
    return found | {x.name for x in graph.tensors.values() if any(y.name in found for y in x.inputs)}


def leaves(x: Tensor) -> bool:
    """Whether an operation takes rows from nowhere."""
    lists = x.attribute("taps") if x.op in PRODUCTS else (x.attribute("rows"),) if x.op == "rows" else ()
    return any(rows is not None and min(rows) < 0 for rows in lists)


def fills(graph: Graph) -> dict[str, tuple[float, ...]]:
    """Tensor → what pads it."""
    found: dict[str, dict[float, None]] = defaultdict(dict)
    for x in graph.tensors.values():
        if leaves(x):
            found[base(x.inputs[0]).name][x.attribute("fill")] = None
    return {name: tuple(fills) for name, fills in found.items()}


def base(x: Tensor) -> Tensor:
    """The tensor that is in memory, of which another names rows."""
    return base(x.inputs[0]) if x.op in VIEWS else x


def check(x: Tensor, config: ChipConfig) -> None:
    # Said at once, as the passes of so many rows take minutes to make.
    words = 2 * config.mem_slices * config.mem_words
    if x.value is None and x.op != "rows" and x.rows > words:
        raise InputError(
            f"{x} does not fit: it takes {x.rows} words, but config {config.name} has {words};"
            f" {(x.rows - words) * config.lanes} bytes are missing; take fewer rows"
        )
    if x.op in PRODUCTS and not config.mxm_planes_w + config.mxm_planes_e:
        raise InputError(f"{x} is a {x.op}, but config {config.name} has no MXM; set mxm_planes_e=1")
    if x.op == "matmul" and x.dtype == "float32" and not config.mxm_fp16:
        raise InputError(f"{x} multiplies float16, but config {config.name} has mxm_fp16=False; set mxm_fp16=True")
    if x.op != "look_up" and any(table_of(y) for y in x.inputs):
        raise InputError(f"{x} is {x.op} of numbers of a table's rows, with which only look_up is possible")
    if x.op == "look_up" and not config.gather:
        raise InputError(f"{x} takes rows by their numbers, but config {config.name} has gather=False; set gather=True")
    if x.op == "columns" and x.attribute("first") % config.lanes:
        raise InputError(f"{x} begins inside a block of {config.lanes} lanes; give that number as the width")
    if x.op and x.dtype not in INTEGERS and not config.vxm_float:
        raise InputError(f"{x} is a float, but config {config.name} has vxm_float=False; set vxm_float=True")
    if x.op == "mul" and x.dtype in INTEGERS and config.vxm_mul_bits < 32:
        raise InputError(
            f"{x} multiplies int32, but config {config.name} has vxm_mul_bits={config.vxm_mul_bits};"
            " set vxm_mul_bits=32"
        )


def narrowest(x: Tensor) -> Type:
    """The type with the fewest byte planes that holds a constant; ALUs compute in int32 anyway. Maps are bytes."""
    if is_map(x):
        return Type.INT8
    if x.value is None or x.dtype not in INTEGERS:
        return TYPES[x.dtype]
    kinds = [dtype for dtype in INTEGERS if np.array_equal(x.value.astype(dtype), x.value)]
    return TYPES[kinds[0]]


def blocks_of(x: Tensor, config: ChipConfig) -> int:
    """How many blocks a tensor has."""
    return -(-x.features // config.lanes)
