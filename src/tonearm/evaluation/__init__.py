"""Numbers that can be trusted: metrics, intervals, paired tests, calibration. Numpy only.

Asking a model (`evaluate`, `open_predictor`, the modules `robustness` and `explain`) is imported when it is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tonearm.evaluation.calibration import apply_temperature, fit_temperature, threshold_for_accuracy
from tonearm.evaluation.figures import accuracy_by, summary
from tonearm.evaluation.intervals import Interval, over_seeds, rate_interval
from tonearm.evaluation.matching import feature_differences
from tonearm.evaluation.paired import Origin, comparable, compare
from tonearm.evaluation.predictions import (
    Predictions,
    PredictionsError,
    checked_predictions,
    join_segments,
    match_classes,
)

if TYPE_CHECKING:
    from tonearm.evaluation.judge import evaluate
    from tonearm.evaluation.predictor import open_predictor

_LATER = {"evaluate": "judge", "open_predictor": "predictor"}

__all__ = [
    "Interval",
    "Origin",
    "Predictions",
    "PredictionsError",
    "accuracy_by",
    "apply_temperature",
    "checked_predictions",
    "comparable",
    "compare",
    "evaluate",
    "feature_differences",
    "fit_temperature",
    "join_segments",
    "match_classes",
    "open_predictor",
    "over_seeds",
    "rate_interval",
    "summary",
    "threshold_for_accuracy",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
