"""Calibration against scikit-learn and scipy, and against models whose calibration is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize
from sklearn.calibration import calibration_curve

from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation.calibration import (
    TEMPERATURES,
    apply_temperature,
    calibration_error_by_chance,
    coverage_accuracy,
    expected_calibration_error,
    fit_temperature,
    reliability,
    threshold_for_accuracy,
)
from tonearm.evaluation.metrics import accuracy, log_loss


def calibrated(n: int, seed: int = 0, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Truth drawn from the probabilities themselves."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(6, 0.4 / sharpness), n)
    return (generator.random((n, 1)) > np.cumsum(probabilities, axis=1)).sum(axis=1).clip(0, 5), probabilities


@pytest.mark.parametrize(("equal", "strategy"), [("width", "uniform"), ("mass", "quantile")])
@pytest.mark.parametrize("bins", [1, 5, 15])
def test_reliability_equals_scikit_learn(case, equal, strategy, bins):
    truth, probabilities = case
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    table = reliability(truth, probabilities, bins=bins, equal=equal)
    assert sum(row.n for row in table) == len(truth)
    accuracies, confidences = calibration_curve(correct, confidence, n_bins=bins, strategy=strategy)
    np.testing.assert_allclose([row.accuracy for row in table], accuracies)
    np.testing.assert_allclose([row.confidence for row in table], confidences)
    expected = sum(row.n * abs(row.accuracy - row.confidence) for row in table) / len(truth)
    assert expected_calibration_error(truth, probabilities, bins=bins, equal=equal) == pytest.approx(expected)
    assert all(row.low <= row.confidence + 1e-9 and row.confidence <= row.high + 1e-9 for row in table)


def test_bins_of_equal_mass_hold_equally_many(draw):
    assert [row.n for row in reliability(*draw(300, 5), bins=10, equal="mass")] == [30] * 10


def test_error_of_known_models():
    sure = np.eye(3)[[0] * 10]
    assert expected_calibration_error(np.zeros(10, dtype=int), sure) == 0
    assert expected_calibration_error(np.ones(10, dtype=int), sure) == 1
    assert expected_calibration_error(np.arange(10) % 2, sure) == pytest.approx(0.5)
    assert expected_calibration_error(*calibrated(200_000)) < 0.005


def test_error_by_chance_is_that_of_calibrated_models():
    probabilities = calibrated(300)[1]
    mean, limit = calibration_error_by_chance(probabilities)
    generator = np.random.default_rng(1)
    drawn = []
    for _ in range(400):
        truth = (generator.random((300, 1)) > np.cumsum(probabilities, axis=1)).sum(axis=1).clip(0, 5)
        drawn.append(expected_calibration_error(truth, probabilities))
    assert mean == pytest.approx(np.mean(drawn), rel=0.05)
    assert 0.92 <= np.mean(np.array(drawn) <= limit) <= 0.98


@pytest.mark.parametrize("options", [{"bins": 0}, {"equal": "length"}])
def test_bins_are_checked(draw, options):
    with pytest.raises(UsageError):
        reliability(*draw(10, 3), **options)


def reference_temperature(truth, probabilities) -> float:
    logits = np.log(np.maximum(probabilities, np.finfo(float).eps))

    def loss(log_temperature: float) -> float:
        scaled = logits / math.exp(log_temperature)
        highest = scaled.max(axis=1)
        sums = highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))
        return float((sums - scaled[np.arange(len(truth)), truth]).mean())

    bounds = tuple(math.log(edge) for edge in TEMPERATURES)
    return math.exp(optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x)


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 3.0])
def test_temperature_is_found_and_equals_scipy(true_temperature):
    truth, probabilities = calibrated(4000, seed=3)
    spoilt = apply_temperature(probabilities, 1 / true_temperature)
    found = fit_temperature(truth, spoilt)
    assert found.value == pytest.approx(reference_temperature(truth, spoilt), rel=1e-5)
    assert found.value == pytest.approx(true_temperature, rel=0.06)
    assert not found.bounded
    assert found.log_loss_before == pytest.approx(log_loss(truth, spoilt))
    assert found.log_loss_after <= found.log_loss_before
    before = expected_calibration_error(truth, spoilt)
    after = expected_calibration_error(truth, apply_temperature(spoilt, found.value))
    assert after < 0.03
    assert true_temperature == 1.0 or after < before


def test_temperature_on_every_case(case):
    truth, probabilities = case
    found = fit_temperature(truth, probabilities)
    assert TEMPERATURES[0] <= found.value <= TEMPERATURES[1] * (1 + 1e-9)
    if not found.bounded and np.ptp(probabilities, axis=1).max() > 1e-9:
        assert found.value == pytest.approx(reference_temperature(truth, probabilities), rel=1e-4)
    assert found.log_loss_after <= found.log_loss_before + 1e-9
    warmed = apply_temperature(probabilities, found.value)
    np.testing.assert_allclose(warmed.sum(axis=1), 1)
    assert accuracy(truth, warmed) == accuracy(truth, probabilities)


def test_all_right_is_no_reason_to_be_certain(draw):
    probabilities = draw(50, 4)[1]
    found = fit_temperature(probabilities.argmax(axis=1), probabilities)
    assert (found.value, found.bounded) == (1.0, True)
    found = fit_temperature((probabilities.argmax(axis=1) + 1) % 4, probabilities)
    assert found.bounded
    assert found.value == pytest.approx(TEMPERATURES[1])


def test_temperature_of_logits_is_that_of_probabilities():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(40, 8)) * 4
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(apply_temperature(softmax, 2.5), expected, rtol=1e-6)
    np.testing.assert_allclose(apply_temperature(softmax, 1.0), softmax)


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_no_such_temperature(temperature):
    with pytest.raises(UsageError, match="above 0"):
        apply_temperature(np.array([[0.5, 0.5]]), temperature)


def test_coverage_curve_equals_a_loop(case):
    truth, probabilities = case
    curve = coverage_accuracy(truth, probabilities)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    np.testing.assert_array_equal(curve.threshold, np.unique(confidence)[::-1])
    for point, threshold in enumerate(curve.threshold):
        given = confidence >= threshold
        assert curve.n[point] == given.sum()
        assert curve.coverage[point] == pytest.approx(given.mean())
        assert curve.accuracy[point] == pytest.approx(correct[given].mean())
    assert curve.coverage[-1] == 1
    assert curve.accuracy[-1] == pytest.approx(accuracy(truth, probabilities))


def test_threshold_is_the_lowest_that_reaches_the_accuracy(draw):
    truth, probabilities = draw(800, 5)
    found = threshold_for_accuracy(truth, probabilities, 0.85)
    given = probabilities.max(axis=1) >= found.value
    correct = probabilities.argmax(axis=1) == truth
    assert found.accuracy.value == correct[given].mean() >= 0.85
    assert found.accuracy.n == given.sum()
    assert found.coverage == given.mean()
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high
    lower = [value for value in probabilities.max(axis=1) if value < found.value]
    assert all(correct[probabilities.max(axis=1) >= value].mean() < 0.85 for value in lower)


def test_threshold_holds_on_new_tracks(draw):
    reached = []
    for seed in range(60):
        found = threshold_for_accuracy(*draw(600, 5, seed), 0.85, resamples=100)
        truth, probabilities = draw(4000, 5, seed + 1000)
        given = probabilities.max(axis=1) >= found.value
        reached.append((probabilities.argmax(axis=1) == truth)[given].mean())
    assert np.mean(reached) == pytest.approx(0.85, abs=0.015)


def test_threshold_that_nothing_reaches(draw):
    truth, probabilities = draw(200, 5, skill=0.0)
    found = threshold_for_accuracy(truth, probabilities, 0.99)
    assert (found.value, found.coverage, found.accuracy) == (None, 0.0, None)


def test_threshold_of_few_and_of_artists(draw):
    one = np.array([0]), np.array([[0.9, 0.1]])
    found = threshold_for_accuracy(*one, 0.9)
    assert (found.value, found.coverage) == (0.9, 1.0)
    assert found.accuracy.low == pytest.approx(0.025)
    truth, probabilities = draw(200, 5)
    groups = [f"artist {index // 5}" for index in range(200)]
    found = threshold_for_accuracy(truth, probabilities, 0.7, groups=groups, over="artists")
    assert found.accuracy.over == "artists"
    assert found.accuracy.groups <= 40


@pytest.mark.parametrize("wanted", [0, -0.5, 1.01, 90, math.nan])
def test_wanted_accuracy_is_a_share(draw, wanted):
    with pytest.raises(UsageError, match="wanted"):
        threshold_for_accuracy(*draw(50, 3), wanted)


@pytest.mark.parametrize("function", [reliability, fit_temperature, coverage_accuracy, expected_calibration_error])
def test_rubbish_is_refused(function):
    for truth, probabilities in (
        ([0], [[0.5, np.nan]]),
        ([0, 1], [[0.5, 0.5]]),
        ([], np.empty((0, 2))),
        ([0], [[2.0, -1.0]]),
        ([2], [[0.5, 0.5]]),
    ):
        with pytest.raises(TonearmError):
            function(np.array(truth, dtype=int), np.array(probabilities))
