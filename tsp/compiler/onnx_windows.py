"""Where an ONNX node's windows stand on images."""

from typing import TYPE_CHECKING

from tsp.compiler.onnx_values import Value
from tsp.compiler.windows import Windows

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer


def windows_of(i: "Importer", x: Value, size: tuple[int, ...]) -> Windows:
    """Where the windows of a node at hand stand on images. Refused if its attributes make no sense."""
    strides = tuple(i.attribute("strides", [1, 1]))
    dilations = tuple(i.attribute("dilations", [1, 1]))
    pads = tuple(i.attribute("pads", [0, 0, 0, 0]))
    auto = i.attribute("auto_pad", b"NOTSET").decode()
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER") or (auto == "VALID" and any(pads)):
        raise i.refused(f"has auto_pad={auto} and pads={list(pads)}; give one of NOTSET, VALID, SAME_UPPER")
    Windows(strides, pads, dilations)  # refuses what makes no sense
    if auto.startswith("SAME"):
        assert x.tensor.image is not None
        missing = []
        for axis in (0, 1):
            span, length = (size[axis] - 1) * dilations[axis] + 1, x.tensor.image[1 + axis]
            missing.append(max(0, (-(-length // strides[axis]) - 1) * strides[axis] + span - length))
        small = [m // 2 if auto == "SAME_UPPER" else -(-m // 2) for m in missing]
        pads = (*small, *(m - s for m, s in zip(missing, small, strict=True)))
    if i.attribute("ceil_mode", 0):
        assert x.tensor.image is not None
        spans = [(length - 1) * wide + 1 for length, wide in zip(size, dilations, strict=True)]
        behind = [_beyond(x.tensor.image[1 + n], spans[n], strides[n], pads[n], pads[2 + n]) for n in (0, 1)]
        pads = (*pads[:2], *behind)
    return Windows(strides, pads, dilations)


def _beyond(length: int, span: int, stride: int, before: int, behind: int) -> int:
    """Padding behind an axis so that a last window, cut by the edge, is one too; it begins before the edge."""
    count = -(-(length + before + behind - span) // stride) + 1
    if (count - 1) * stride >= length + before:
        count -= 1
    return max(behind, (count - 1) * stride + span - length - before)
