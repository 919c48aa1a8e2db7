"""ONNX operators that only move numbers, of any type.

Nothing is done at once: what such a node makes is known by the tensors whose numbers it takes, and by which of them is
where. So a chain of these operators is one move, and what ends where it began is none. Whoever computes with the
numbers has them brought to rows and lanes first (:func:`arranged`).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx

from tsp.compiler import floats, moves
from tsp.compiler.graph import Tensor
from tsp.compiler.onnx_operands import Make
from tsp.compiler.onnx_values import Array, Constant, Value

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

Node = onnx.NodeProto
Move = Callable[["Importer", Node, Sequence[Array]], Array | list[Array]]
"""What an operator makes of arrays: one, or one for each output."""


def _numbers(i: "Importer", node: Node, number: int, name: str) -> list[int] | None:
    """Whole numbers that are an input, or an attribute as in older models; None if they are left out."""
    if len(node.input) > number and node.input[number]:
        found: list[int] = i.constant(node, number).value.reshape(-1).tolist()
        return found
    given = i.attribute(name, None)
    return None if given is None else list(given)


def transpose(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    return np.transpose(arrays[0], i.attribute("perm", None))


def reshape(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    shape, before = _numbers(i, node, 1, "shape") or [], arrays[0].shape
    if not i.attribute("allowzero", 0):
        shape = [before[n] if size == 0 and n < len(before) else size for n, size in enumerate(shape)]
    return arrays[0].reshape(shape)


def flatten(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    axis = i.attribute("axis", 1)
    return arrays[0].reshape(int(np.prod(arrays[0].shape[:axis])), -1)


def squeeze(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    axes = _numbers(i, node, 1, "axes")
    return np.squeeze(arrays[0], None if axes is None else tuple(axes))


def unsqueeze(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    return np.expand_dims(arrays[0], tuple(_numbers(i, node, 1, "axes") or []))


def concat(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    if (total := sum(array.size for array in arrays)) > moves.MOST_NUMBERS:
        raise i.refused(f"makes {total} numbers; at most {moves.MOST_NUMBERS} can be moved")
    return np.concatenate(arrays, i.attribute("axis", 1 if i.opset < 4 else 0))


def gather(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    """By constant numbers."""
    axis, wanted = i.attribute("axis", 0), i.constant(node, 1).value
    size = arrays[0].shape[axis]
    if wanted.size and (wanted.min() < -size or wanted.max() >= size):
        raise i.refused(f"takes numbers {wanted.min()}…{wanted.max()} of an axis of {size}")
    if wanted.size * (arrays[0].size // size) > moves.MOST_NUMBERS:
        raise i.refused(f"takes {wanted.size} of {list(arrays[0].shape)}; at most {moves.MOST_NUMBERS} can be moved")
    return arrays[0].take(wanted, axis)


def slice_(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    starts, ends = (_numbers(i, node, n, name) or [] for n, name in ((1, "starts"), (2, "ends")))
    axes = _numbers(i, node, 3, "axes") or list(range(len(starts)))
    steps = _numbers(i, node, 4, "steps") or [1] * len(starts)
    found = arrays[0]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # Going backward, an end before the first element is no number from the end.
        stop = None if step < 0 and end < -found.shape[axis] else end
        found = np.moveaxis(np.moveaxis(found, axis, 0)[start:stop:step], 0, axis)
    return found


def split(i: "Importer", node: Node, arrays: Sequence[Array]) -> list[Array]:
    axis, sizes = i.attribute("axis", 0), _numbers(i, node, 1, "split")
    size, count = arrays[0].shape[axis], len(node.output)
    if sizes is None:
        each = -(-size // count)
        sizes = [min(each, size - each * n) for n in range(count)]
    if sum(sizes) != size or min(sizes) < 1 or len(sizes) != count:
        raise i.refused(f"splits an axis of {size} into {sizes} for {count} outputs")
    return np.split(arrays[0], np.cumsum(sizes)[:-1].tolist(), axis)


def depth_to_space(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    (n, c, h, w), b = arrays[0].shape, i.attribute("blocksize", 1)
    if i.attribute("mode", b"DCR") == b"DCR":
        blocks = arrays[0].reshape(n, b, b, -1, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        blocks = arrays[0].reshape(n, -1, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, c // (b * b), h * b, w * b)


def space_to_depth(i: "Importer", node: Node, arrays: Sequence[Array]) -> Array:
    (n, c, h, w), b = arrays[0].shape, i.attribute("blocksize", 1)
    order = (0, 3, 5, 1, 2, 4) if i.attribute("mode", b"DCR") == b"DCR" else (0, 1, 3, 5, 2, 4)
    blocks = arrays[0].reshape(n, c, h // b, b, w // b, b).transpose(order)
    return blocks.reshape(n, c * b * b, h // b, w // b)


def _made(move: Move) -> Make:
    def make(i: "Importer", node: Node) -> Value | Constant:
        names = node.input if node.op_type == "Concat" else node.input[:1]
        found = [i.known[name] for name in names]
        constants = [part for part in found if isinstance(part, Constant)]
        if len(constants) == len(found):
            if any(part.scale is not None and part.scale.size > 1 for part in constants):
                raise i.refused("moves a constant with several scales; move it before it is quantised")
            values = _moved(i, node, move, [part.value for part in constants])
            return _first(i, node, [dataclasses.replace(constants[0], value=value) for value in values])
        like = next(part for part in found if isinstance(part, Value))
        whole = [part if isinstance(part, Value) else _computed(i, part, like) for part in found]
        parts, sources = _sources(whole)
        return _first(i, node, [_pending(like, parts, source) for source in _moved(i, node, move, sources)])

    return make


def _moved(i: "Importer", node: Node, move: Move, arrays: Sequence[Array]) -> list[Array]:
    try:
        found = move(i, node, arrays)
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        shapes = " and ".join(str(list(array.shape)) for array in arrays)
        reason = "there is no such axis" if "tuple index" in str(error) else str(error).splitlines()[0]
        raise i.refused(f"of {shapes}: {reason}") from None
    found = found if isinstance(found, list) else [found]
    if not all(array.size for array in found):
        raise i.refused(f"makes an empty tensor, {list(found[0].shape)}; leave it out")
    return found


def _first(i: "Importer", node: Node, found: Sequence[Value | Constant]) -> Value | Constant:
    i.known |= {name: value for name, value in zip(node.output, found, strict=False) if name}
    return found[0]


def _sources(values: Sequence[Value]) -> tuple[tuple[Value, ...], list[Array]]:
    """All tensors whose numbers are taken, and for each value which numbers it has, counted as
    :func:`tsp.compiler.moves.numbers_of` does."""
    parts = {id(part): part for value in values for part in value.parts or (value,)}
    numbers = dict(zip(parts, moves.numbers_of([part.tensor for part in parts.values()]), strict=True))
    sources = []
    for value in values:
        if value.source is None:
            sources.append(placed(value, numbers[id(value)]))
        else:
            own = [numbers[id(part)].reshape(-1) for part in value.parts]
            sources.append(np.concatenate(own)[value.source])
    return tuple(parts.values()), sources


def placed(x: Value, rows: Array) -> Array:
    """Rows of features in the shape that the model says."""
    if x.tensor.image is None:
        return rows.reshape(x.shape)
    return np.moveaxis(rows.reshape(*x.tensor.image, -1), -1, 1).reshape(x.shape)


def _pending(like: Value, parts: tuple[Value, ...], source: Array) -> Value:
    """What is not moved yet. Alone, and where it was, it is the tensor itself."""
    if len(parts) == 1 and source.shape == parts[0].shape:
        (numbers,) = moves.numbers_of([parts[0].tensor])
        if np.array_equal(source, placed(parts[0], numbers)):
            return parts[0]
    return dataclasses.replace(like, shape=source.shape, parts=parts, source=source)


def _computed(i: "Importer", x: Constant, like: Value) -> Value:
    """A constant among computed tensors."""
    if x.dtype != like.dtype and not (like.scale is not None and x.scale is not None):
        raise i.refused(f"takes {x.dtype} and {like.dtype} together; convert one of them")
    if x.scale is not None and x.scale.size > 1:
        raise i.refused("takes a constant with several scales; give it one for all")
    offset = 128 if x.dtype == "uint8" else 0
    held = x.value.astype(np.int64) - offset if x.value.dtype.kind in "iub" else x.value
    kind = like.tensor.dtype if x.value.dtype.kind == "f" else "int32" if x.dtype == "int32" else "int8"
    features = x.shape[-1] if x.shape else 1
    tensor = i.graph.constant(held.reshape(-1, features).astype(kind))
    zero = int(np.asarray(x.zero).reshape(-1)[0])
    return Value(tensor, x.dtype, x.shape, offset, None if x.scale is None else x.scale.reshape(()), zero)


def arranged(i: "Importer", name: str, layout: str = "", move: Callable[[Array], Array] | None = None) -> Value:
    """A computed tensor with its numbers in rows and lanes: as ``image``, a row for each pixel; ``plain``, all axes but
    the last as rows; ``any``, whichever moves less; else as one computes with such a tensor. With ``move``, not the
    tensor itself but what that makes of an array."""
    x = i.known[name]
    assert isinstance(x, Value)
    if move is not None:
        name, x = f"{name} moved", moved(x, move)
    kinds = ["image", "plain"] if len(x.shape) == 4 else ["plain"]
    usual = "plain" if x.dtype == "float16" else kinds[0]
    wanted = kinds if layout == "any" else [layout if layout in kinds else usual]
    if x.source is None and ("plain" if x.tensor.image is None else "image") in wanted:
        return x
    parts, (source,) = _sources([x])
    parts = tuple(i.complete(name, part) for part in parts)
    if any(part.is_mean or (part.scale is not None and part.scale.size > 1) for part in parts):
        raise i.refused(f"takes {name!r}, which moves sums that are not quantised yet; quantise them first")
    if len({(part.dtype, part.zero, None if part.scale is None else float(part.scale)) for part in parts}) > 1:
        raise i.refused(f"takes {name!r}, which puts tensors of different scales together; quantise it first")
    tensor = min((_laid(parts, source, kind) for kind in wanted), key=lambda plan: plan.products).made(i)
    found = dataclasses.replace(parts[0], tensor=tensor, shape=x.shape, bound=max(part.bound for part in parts))
    i.known[name] = found
    return found


@dataclasses.dataclass(frozen=True)
class _Plan:
    """A tensor in rows and lanes, still to be made."""

    parts: tuple[Value, ...]
    source: Array
    image: tuple[int, int, int] | None
    groups: list[moves.Group]
    products: int

    def made(self, i: "Importer") -> Tensor:
        tensors = [part.tensor for part in self.parts]
        if self.parts[0].dtype == "float16" and (self.products or len({x.dtype for x in tensors}) > 1):
            tensors = [floats.half(i.graph, x) for x in tensors]
        return moves.arranged(i.graph, tensors, self.source, self.image, self.groups)


def _laid(parts: tuple[Value, ...], source: Array, kind: str) -> _Plan:
    image = (source.shape[0], *source.shape[2:]) if kind == "image" else None
    laid = np.moveaxis(source, 1, -1) if image else source
    rows, tensors = laid.reshape(-1, laid.shape[-1] if laid.ndim else 1), [part.tensor for part in parts]
    groups = moves.groups(tensors, rows)
    return _Plan(parts, rows, image, groups, moves.products(tensors, groups))


def channels_last(model: onnx.GraphProto, name: str) -> bool:
    """Whether all that happens to an input of four axes is that its last one becomes the second."""
    names, outputs = [name], {output.name for output in model.output}
    for found in names:
        takers = [node for node in model.node if found in node.input]
        first = [node for node in takers if node.op_type == "Transpose"]
        perms = [list(a.ints) for node in first for a in node.attribute if a.name == "perm"]
        others = [node for node in takers if node.op_type != "Transpose"]
        known = all(node.op_type in ("QuantizeLinear", "DequantizeLinear", "Identity") for node in others)
        if not takers or found in outputs or not known or perms != [[0, 3, 1, 2]] * len(first):
            return False
        names += [node.output[0] for node in others]
    return True


def moved(x: Value, move: Callable[[Array], Array]) -> Value:
    """A computed tensor whose numbers are elsewhere, as ``move`` does it with an array; nothing is moved yet."""
    parts, (source,) = _sources([x])
    return _pending(x, parts, move(source))


def flattened(x: Value) -> Tensor | None:
    """The images int8 whose channels and pixels are the rows of a matrix, if that is what these are."""
    if x.source is None or x.source.ndim != 2 or len(x.parts) != 1:
        return None
    tensor = x.parts[0].tensor
    if tensor.image is None or len(x.source) != tensor.image[0]:
        return None
    (numbers,) = moves.numbers_of([tensor])
    order = placed(x.parts[0], numbers).reshape(len(x.source), -1)
    return tensor if tensor.dtype == "int8" and np.array_equal(order, x.source) else None


def shape(i: "Importer", node: Node) -> Constant:
    """Of a tensor, which is known."""
    sizes = np.array(i.known[node.input[0]].shape, np.int64)
    return Constant(sizes[i.attribute("start", 0) : i.attribute("end", None)])


def identity(i: "Importer", node: Node) -> Value | Constant:
    return i.known[node.input[0]]


MOVES: dict[str, Make] = {
    "Transpose": _made(transpose), "Reshape": _made(reshape), "Flatten": _made(flatten), "Squeeze": _made(squeeze),
    "Unsqueeze": _made(unsqueeze), "Concat": _made(concat), "Gather": _made(gather), "Slice": _made(slice_),
    "Split": _made(split), "DepthToSpace": _made(depth_to_space), "SpaceToDepth": _made(space_to_depth),
    "Shape": shape, "Identity": identity,
}  # fmt: skip
"""Operator → what makes it, of tensors and of constants."""
