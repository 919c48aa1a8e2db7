"""Every ONNX operator that can be compiled, and what makes it."""

from tsp.compiler import onnx_nodes, onnx_qdq, onnx_real, onnx_whole
from tsp.compiler.onnx_moves import MOVES
from tsp.compiler.onnx_operands import Make
from tsp.compiler.onnx_real import by_type

_ELEMENTWISE = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "Min": "minimum", "Max": "maximum", "Equal": "equal", "Less": "less",
    "LessOrEqual": "less_equal", "Greater": "greater", "GreaterOrEqual": "greater_equal",
}  # fmt: skip
_BITS = ("BitwiseAnd", "BitwiseOr", "BitwiseXor")
_LOGIC = {"And": "bit_and", "Or": "bit_or", "Xor": "bit_xor"}

OPERATORS: dict[str, Make] = {
    **MOVES, **onnx_whole.NODES,
    **{name: by_type(onnx_whole.either_way(name), onnx_real.binary(op)) for name, op in _ELEMENTWISE.items()},
    **{name: onnx_whole.either_way(name) for name in _BITS},
    **{name: onnx_whole.logical(op) for name, op in _LOGIC.items()},
    "Not": onnx_whole.logical_not, "Where": onnx_whole.where, "BitCast": onnx_whole.bitcast, "Mod": onnx_whole.mod,
    "Div": by_type(onnx_whole.div, onnx_real.binary("div")),
    "Clip": by_type(onnx_nodes.clip, onnx_real.clip), "Relu": by_type(onnx_qdq.relu, onnx_real.relu),
    "ReduceMin": onnx_whole.reduce("minimum"), "ReduceMax": onnx_whole.reduce("maximum"),
    "Round": onnx_real.round_, "Cast": onnx_real.cast, "CastLike": onnx_real.cast_like,
    "Constant": onnx_real.constant, "QuantizeLinear": by_type(onnx_qdq.quantize, onnx_real.quantize),
    "DequantizeLinear": onnx_real.dequantize, "DynamicQuantizeLinear": onnx_real.dynamic_quantize,
}  # fmt: skip
