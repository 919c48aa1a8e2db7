"""ONNX model files, which may be anything; their weights may lie in files of their own."""

import re
from pathlib import Path

import onnx
from onnx import external_data_helper as beside

from tsp.compiler.onnx_import import Imported, import_model
from tsp.errors import InputError

MAX_BYTES = 1 << 31
"""Of a model file, protobuf's own limit; and of all weights that lie beside it."""


def load(path: Path) -> Imported:
    """Read a model file. InputError for a foreign or broken one, and for what cannot be compiled, naming the node."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: {path.stat().st_size} bytes are more than an ONNX model has ({MAX_BYTES})")
        model = onnx.load_model(str(path), load_external_data=False)
        _fetch(model, path)
        onnx.checker.check_model(model, full_check=True)  # also of what nodes say of their shapes
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # protobuf and the checker raise what they like
        text = re.sub(r"\[\w+\] |Inference error\(s\): ", "", str(error).strip())
        first = (text or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} is no ONNX model: {first}") from None
    return import_model(model)


def _fetch(model: onnx.ModelProto, path: Path) -> None:
    """Read the weights that lie in files beside the model, which the onnx package opens only below its folder."""
    held = 0
    for tensor in filter(beside.uses_external_data, model.graph.initializer):
        info = beside.ExternalDataInfo(tensor)
        file = path.parent / info.location
        try:
            size = file.stat().st_size
        except OSError as error:
            raise InputError(f"{path}: weights {tensor.name!r} lie in {file}: {error.strerror}") from None
        held += info.length or size
    if held > MAX_BYTES:
        raise InputError(f"{path}: the weights beside it have {held} bytes; at most {MAX_BYTES} are read")
    beside.load_external_data_for_model(model, str(path.parent))
