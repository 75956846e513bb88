""" "Not sure" as an answer: how right a model is about the tracks that it is surest of, as plain JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tonearm.evaluation.calibration import coverage_accuracy, threshold_for_accuracy
from tonearm.evaluation.figures import independent_groups
from tonearm.evaluation.intervals import LEVEL, RESAMPLES, rate_interval
from tonearm.evaluation.metrics import right
from tonearm.evaluation.predictions import Predictions

# A band that is drawn needs no third digit, and there are twenty points.
CURVE_RESAMPLES = 300
POINTS = tuple(round(0.05 * i, 2) for i in range(1, 21))


def coverage(
    predictions: Predictions,
    *,
    threshold: float | None = None,
    wanted: Sequence[float] = (),
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Any]:
    """Coverage against accuracy of calibrated predictions: the curve, half of the tracks, the model's own threshold.

    `wanted` are accuracies to find a threshold for. It is found on these very tracks: on a test part it says what
    would have been enough, and a threshold to live with is chosen on validation.
    """
    curve = coverage_accuracy(predictions.truth, predictions.probabilities)
    confidence = predictions.probabilities.max(axis=1)
    keywords = {"resamples": resamples, "level": level, "seed": seed}

    def at(value: float, keywords: dict[str, Any] = keywords) -> dict[str, Any]:
        given = confidence >= value
        found = {"threshold": float(value), "coverage": float(given.mean()), "n": int(given.sum())}
        if not given.any():
            return {**found, "accuracy": None, "interval": [None, None]}
        own = _some(predictions, given)
        groups, over = independent_groups(own)
        rate = rate_interval(right(own.truth, own.probabilities), groups=groups, over=over, **keywords)
        return {**found, "accuracy": rate.value, "interval": rate.pair()}

    def first(share: float) -> int:
        """The point of the curve from which on so many are answered; equal confidences come together."""
        return int(np.searchsorted(curve.coverage, share - 1e-9))

    groups, over = independent_groups(predictions)
    thresholds = []
    for accuracy in wanted:
        found = threshold_for_accuracy(
            predictions.truth, predictions.probabilities, accuracy, groups=groups, over=over, **keywords
        )
        thresholds.append(
            {
                "wanted": found.wanted, "threshold": found.value, "coverage": found.coverage,
                "accuracy": found.accuracy.value if found.accuracy else None,
                "interval": found.accuracy.pair() if found.accuracy else [None, None],
                "n": found.accuracy.n if found.accuracy else 0,
            }
        )  # fmt: skip
    return {
        "half": at(float(curve.threshold[first(0.5)])),
        "sure": at(threshold) if threshold is not None else None,
        "wanted": thresholds,
        # Mean error over all coverages: 0 is right wherever it is surest (Geifman and El-Yaniv, NeurIPS 2017).
        "risk_area": float((1 - curve.accuracy) @ np.diff(curve.n, prepend=0) / len(predictions)),
        "curve": [
            at(float(curve.threshold[i]), {**keywords, "resamples": min(resamples, CURVE_RESAMPLES)})
            for i in dict.fromkeys(first(share) for share in POINTS)
        ],
    }  # fmt: skip


def _some(predictions: Predictions, chosen: np.ndarray) -> Predictions:
    rows = np.flatnonzero(chosen).tolist()
    groups = tuple(predictions.groups[i] for i in rows) if predictions.groups is not None else None
    return replace(
        predictions,
        ids=tuple(predictions.ids[i] for i in rows),
        truth=predictions.truth[rows],
        probabilities=predictions.probabilities[rows],
        groups=groups if groups and any(groups) else None,
    )
