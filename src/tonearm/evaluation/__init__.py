"""Numbers that can be trusted: metrics, intervals, paired tests, calibration. Numpy only."""

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
    "feature_differences",
    "fit_temperature",
    "join_segments",
    "match_classes",
    "over_seeds",
    "rate_interval",
    "summary",
    "threshold_for_accuracy",
]
