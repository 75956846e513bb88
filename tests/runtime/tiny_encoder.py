"""A small encoder as somebody might have one: an ONNX graph whose vectors can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper


def write_encoder(
    folder: Path, shape: tuple, *, weights: np.ndarray, name: str = "encoder", kind: int = TensorProto.FLOAT,
    out_frames: bool = False, **config: Any,
) -> Path:  # fmt: skip
    """A graph that flattens each window and multiplies it by `weights` (values, d); its YAML beside it, returned.

    `shape` is that of its input, None where it is free. `out_frames` gives vectors (batch, 1, d).
    """
    dims = [f"axis{i}" if size is None else size for i, size in enumerate(shape)]
    values, d = weights.shape
    target = [-1, 1, values] if out_frames else [-1, values]
    nodes = [
        helper.make_node("Cast", ["sound"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["whole", "target"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["vector"]),
        helper.make_node("Neg", ["vector"], ["other"]),
    ]
    out = ["batch", 1, d] if out_frames else ["batch", d]
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("sound", kind, dims)],
        [helper.make_tensor_value_info("other", TensorProto.FLOAT, out),
         helper.make_tensor_value_info("vector", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(weights.astype(np.float32), "weights"),
         numpy_helper.from_array(np.array(target), "target")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    path = folder / f"{name}.yaml"
    described = {"sample_rate": 8000, "window_seconds": 0.5, "output": "vector", **config}
    path.write_text(yaml.safe_dump({key: value for key, value in described.items() if value != "leave"}))
    return path
