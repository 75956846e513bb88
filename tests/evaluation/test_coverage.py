"""Coverage against accuracy, worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tonearm.evaluation import checked_predictions
from tonearm.evaluation.coverage import coverage


def made(confidence: list[float], right: list[bool], groups=None):
    """Two classes; the answer is always the first, and the truth says whether that is right."""
    shares = np.array([[value, 1 - value] for value in confidence])
    return checked_predictions(
        [str(i) for i in range(len(right))], [0 if yes else 1 for yes in right], shares, ["a", "b"], groups=groups
    )


def test_the_curve_half_of_it_and_the_model_s_own_threshold():
    said = made([0.95, 0.9, 0.85, 0.8, 0.7, 0.65, 0.6, 0.55], [True, True, True, False, True, False, False, True])
    found = coverage(said, threshold=0.82, wanted=[0.75, 1.0], resamples=200)
    assert found["half"] == {**found["half"], "threshold": 0.8, "coverage": 0.5, "n": 4, "accuracy": 0.75}
    assert found["sure"] == {**found["sure"], "coverage": 0.375, "n": 3, "accuracy": 1.0}
    assert found["sure"]["interval"][0] < 1  # three right ones are no certainty
    last = found["curve"][-1]
    assert (last["coverage"], last["accuracy"], last["n"]) == (1.0, 5 / 8, 8)
    errors = np.array([0, 0, 0, 1 / 4, 1 / 5, 2 / 6, 3 / 7, 3 / 8])
    assert found["risk_area"] == pytest.approx(errors.mean())
    assert found["wanted"][1]["threshold"] is None  # the three surest alone prove nothing
    json.dumps(found, allow_nan=False)


def test_equal_confidences_are_answered_together_and_none_at_all_is_said():
    said = made([0.9] * 6, [True] * 3 + [False] * 3, groups=["x", "x", "y", "y", "", ""])
    found = coverage(said, threshold=0.95, resamples=200)
    assert [point["coverage"] for point in found["curve"]] == [1.0]
    assert found["half"]["coverage"] == 1.0
    assert found["sure"] == {"threshold": 0.95, "coverage": 0.0, "n": 0, "accuracy": None, "interval": [None, None]}
    assert found["risk_area"] == pytest.approx(0.5)
