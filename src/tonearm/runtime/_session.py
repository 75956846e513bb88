"""ONNX Runtime, started for one small graph on one core."""

from __future__ import annotations

from typing import Any

from tonearm.runtime._file import ModelError


def open_session(content: bytes, path: object) -> Any:
    """A session for any graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Work is spread over files: threads within one small graph only wait for each other.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no base class for what it raises
        reason = str(error).splitlines()[0][:200]
        raise ModelError(f"{path}: ONNX Runtime does not take the graph: {reason}") from None


def start(content: bytes, path: object, rows: int | None, n_classes: int | None) -> Any:
    """A session for the graph in `content`, checked to be one that takes features and gives logits and embedding."""
    session = open_session(content, path)
    inputs, outputs = session.get_inputs(), {output.name: output.shape for output in session.get_outputs()}
    if len(inputs) != 1 or inputs[0].name != "features" or len(inputs[0].shape) != 3:
        raise ModelError(f"{path}: the graph takes no `features` (batch, rows, frames)")
    if not {"logits", "embedding"} <= set(outputs):
        raise ModelError(f"{path}: the graph gives no `logits` and `embedding`")
    for what, told, wanted in (("rows", inputs[0].shape[1], rows), ("classes", outputs["logits"][-1], n_classes)):
        if isinstance(told, int) and wanted is not None and told != wanted:
            raise ModelError(f"{path}: the graph has {told} {what}, its description {wanted}")
    return session
