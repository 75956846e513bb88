"""A small whole model file, as `tonearm export` writes them: its answers can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tonearm.runtime import write_info

CLASSES = ("bass", "middle", "treble")
FEATURE = {"kind": "logmel", "sample_rate": 22050, "n_mels": 24, "frames": 60, "clip_seconds": 6.0}


def tiny_info(classes: tuple[str, ...] = CLASSES, **changes: Any) -> dict[str, Any]:
    """What a tiny model says about itself."""
    info = {
        "format": "tonearm-model/1",
        "name": "tiny",
        "version": "1",
        "classes": list(classes),
        "feature": dict(FEATURE),
        "stored": {"dtype": "uint8", "scale": "clip-minmax"},
        "listen": {"excerpts": 3, "clip_seconds": 6.0, "places": "spread"},
        "clips": {"frames": 20, "overlap": 0.5, "join": "log-mean"},
        "temperature": 1.0,
        "threshold": 0.5,
        "figures": [
            {"dataset": "made", "protocol": "artist", "split": "none", "part": "test", "n": 30, "accuracy": 0.9,
             "interval": [0.75, 0.97], "seeds": [0], "per_genre": {name: {"recall": 0.9, "n": 10} for name in classes}}
        ],
        "training": {"recipe": "none", "data": "made", "seeds": [0]},
        "licence": "Apache-2.0",
        "card": {"must_not": ["anything but tests"], "known_failures": ["everything else"]},
    }  # fmt: skip
    return {**info, **changes}


def write_tiny(path: str | Path, classes: tuple[str, ...] = CLASSES, **changes: Any) -> Path:
    """A model that answers which part of the bands is the brightest: bands are cut into a part per class.

    `logits` are the mean of each part over bands and frames, over 10; `embedding` is the mean of each band. Any number
    of frames goes in. `changes` replace keys of the description.
    """
    info = tiny_info(classes, **changes)
    rows = int(info["feature"].get("n_mels", 128))
    parts = np.array_split(np.arange(rows), len(classes))
    weights = np.zeros((rows, len(classes)), np.float32)
    for column, part in enumerate(parts):
        weights[part, column] = 0.1 / len(part)
    nodes = [
        helper.make_node("ReduceMean", ["features", "frame_axis"], ["embedding"], keepdims=0),
        helper.make_node("MatMul", ["embedding", "weights"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", rows, "frames"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(classes)]),
         helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", rows])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([2]), "frame_axis")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path = Path(path)
    path.write_bytes(write_info(model.SerializeToString(), info))
    return path
