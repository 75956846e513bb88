"""Small files that start soon: weights in 16 bits, of which the figures are, and nothing left to be computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import fusion

LEAST = 1024  # smaller arrays are not worth a node


def round_weights(module: torch.nn.Module) -> torch.nn.Module:
    """Every large parameter rounded to what float16 can hold, each batch normalisation first taken into its layer."""
    module.eval()
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, nn.Sequential):
                _fuse(child)
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point() and tensor.numel() >= LEAST:
                tensor.copy_(tensor.half().float())
    return module


def _fuse(layers: nn.Sequential) -> None:
    """As the exporter does it; here, so that what is rounded is what stands in the file."""
    for i, norm in enumerate(layers):
        if not isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)) or i == 0:
            continue
        # A maximum taken between the two changes nothing, as long as no channel is turned upside down.
        between = isinstance(layers[i - 1], nn.MaxPool2d) and bool((norm.weight > 0).all())
        at = i - 2 if between else i - 1
        if isinstance(layers[at], (nn.Linear, nn.Conv1d, nn.Conv2d)):
            linear = isinstance(layers[at], nn.Linear)
            layers[at] = (fusion.fuse_linear_bn_eval if linear else fusion.fuse_conv_bn_eval)(layers[at], norm)
            layers[i] = nn.Identity()


def fold_file(path: Path) -> None:
    """What does not hang on the input is computed here and not at each start: half of the nodes are gone then.

    By the rules of ONNX Runtime that hold on any machine; what it does for the one it runs on is left to the start.
    """
    import onnx
    import onnxruntime

    beside = path.with_suffix(".folded")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(beside)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    model = onnx.load(beside)
    beside.unlink()
    needed = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in needed]
    del model.opset_import[:]  # it names every family of operators that it knows
    model.opset_import.extend(kept)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def halve_file(path: Path) -> None:
    """Keep large weights of an ONNX file that float16 holds without loss as float16, and turn them back when loaded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    nodes = []
    for initializer in model.graph.initializer:
        if initializer.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(initializer)
        with np.errstate(over="ignore"):
            halved = values.astype(np.float16)
        if values.size < LEAST or not np.array_equal(halved.astype(np.float32), values):
            continue  # a convolution that took its batch normalisation in is not of 16 bits any more
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(halved, f"{name}.half"))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *kept])
    onnx.checker.check_model(model)
    onnx.save(model, path)
