"""Predicting without torch: models as ONNX files that know their feature, their genres and how good they are."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tonearm.runtime._export import export_run, write_graph
    from tonearm.runtime._file import ModelError, read_info, write_info
    from tonearm.runtime._find import describe, find, load, shipped
    from tonearm.runtime._model import Model
    from tonearm.runtime._prediction import Genre, Prediction, Problem
    from tonearm.runtime._timeline import Timeline

# Listing models costs neither numpy nor ONNX Runtime.
_LATER = {
    "Genre": "_prediction",
    "Model": "_model",
    "ModelError": "_file",
    "Prediction": "_prediction",
    "Problem": "_prediction",
    "Timeline": "_timeline",
    "describe": "_find",
    "export_run": "_export",
    "find": "_find",
    "load": "_find",
    "read_info": "_file",
    "shipped": "_find",
    "write_graph": "_export",
    "write_info": "_file",
}

__all__ = [
    "Genre",
    "Model",
    "ModelError",
    "Prediction",
    "Problem",
    "Timeline",
    "describe",
    "export_run",
    "find",
    "load",
    "read_info",
    "shipped",
    "write_graph",
    "write_info",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
