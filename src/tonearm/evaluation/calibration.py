"""Whether a probability of 80 % is right in 80 of 100 cases: reliability, temperature, and "not sure" as an answer.

`confidence` is the probability of the answer given, the largest of a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tonearm.errors import UsageError, unknown_name
from tonearm.evaluation.intervals import LEVEL, RESAMPLES, Groups, Interval, rate_interval
from tonearm.evaluation.metrics import log_loss, predicted
from tonearm.evaluation.predictions import as_probabilities, checked

BINS = 15
BIN_KINDS = ("width", "mass")

TEMPERATURES = (0.05, 20.0)

_SMALLEST = np.finfo(np.float64).eps  # a 0 counts here as it counts in log_loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows with a confidence above `low` up to `high`: how sure the model was, and how often right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(truth: np.ndarray, probabilities: np.ndarray, *, bins: int = BINS, equal: str = "width") -> list[Bin]:
    """Confidence against accuracy in bins of equal `width` or equal `mass`; empty bins are left out."""
    confidence, correct = _answers(truth, probabilities)
    edges = _edges(confidence, bins, equal)
    index = np.searchsorted(edges[1:-1], confidence)
    n = np.bincount(index, minlength=bins)
    sure = np.bincount(index, weights=confidence, minlength=bins)
    hits = np.bincount(index, weights=correct, minlength=bins)
    return [
        Bin(
            low=float(edges[number]),
            high=float(edges[number + 1]),
            n=int(n[number]),
            confidence=float(sure[number] / n[number]),
            accuracy=float(hits[number] / n[number]),
        )
        for number in np.flatnonzero(n).tolist()
    ]


def expected_calibration_error(
    truth: np.ndarray, probabilities: np.ndarray, *, bins: int = BINS, equal: str = "width"
) -> float:
    """Mean distance of confidence and accuracy over bins, weighted by rows (Naeini et al., AAAI 2015)."""
    table = reliability(truth, probabilities, bins=bins, equal=equal)
    return sum(row.n * abs(row.confidence - row.accuracy) for row in table) / sum(row.n for row in table)


def calibration_error_by_chance(
    probabilities: np.ndarray,
    *,
    bins: int = BINS,
    equal: str = "width",
    draws: int = 500,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float]:
    """The error that a perfectly calibrated model with these confidences shows by chance: mean, and upper limit.

    The error is never 0 on few tracks, and a bootstrap interval of it is biased; this is what to hold it against.
    """
    confidence = as_probabilities(probabilities).max(axis=1)
    index = np.searchsorted(_edges(confidence, bins, equal)[1:-1], confidence)
    members = np.eye(bins)[index]
    generator = np.random.default_rng(seed)
    errors = np.empty(draws)
    block = max(1, 2_000_000 // len(confidence))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        correct = generator.random((rows, len(confidence))) < confidence
        errors[start : start + rows] = np.abs((confidence - correct) @ members).sum(axis=1) / len(confidence)
    return float(errors.mean()), float(np.quantile(errors, level))


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """A temperature fitted by log-loss. `bounded`: these rows have no best temperature within the bounds.

    Rows that are all right ask for certainty, which is no reason to promise it: the temperature stays 1. A model that
    knows less than nothing gets the highest temperature.
    """

    value: float
    log_loss_before: float
    log_loss_after: float
    n: int
    bounded: bool


def fit_temperature(truth: np.ndarray, probabilities: np.ndarray) -> Temperature:
    """The temperature that minimises log-loss of validation rows (n, classes) (Guo et al., ICML 2017).

    Log-loss is convex in 1 / temperature, and its slope there is what the mean true log-probability lacks to the
    expected one: one rising function of one number, so halving finds the zero whatever the start.
    """
    truth, probabilities = checked(truth, probabilities)
    logits = _logits(probabilities)
    true_logits = logits[np.arange(len(truth)), truth]

    def slope(log_inverse: float) -> float:
        scaled = logits * math.exp(log_inverse)
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        expected = (weights * logits).sum(axis=1) / weights.sum(axis=1)
        return float((expected - true_logits).mean())

    low, high = -math.log(TEMPERATURES[1]), -math.log(TEMPERATURES[0])
    flat = np.ptp(logits, axis=1).max() < 1e-9  # nothing to cool or to heat: every temperature is as good
    too_bad = not flat and slope(low) >= 0
    too_good = not flat and slope(high) <= 0
    if flat or too_good:
        low = high = 0.0
    elif too_bad:
        high = low
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    value = math.exp(-(low + high) / 2)
    return Temperature(
        value=value,
        log_loss_before=log_loss(truth, probabilities),
        log_loss_after=log_loss(truth, apply_temperature(probabilities, value)),
        n=len(truth),
        bounded=too_bad or too_good,
    )


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (n, classes) as the softmax of their logits / temperature: the answers stay, the doubt changes."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise UsageError(f"temperature {temperature} is not a number above 0")
    scaled = _logits(as_probabilities(probabilities)) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


@dataclass(frozen=True, slots=True, eq=False)
class CoverageCurve:
    """What is left when the model answers from a confidence of `threshold` on: each (points,), most confident first."""

    threshold: np.ndarray
    coverage: np.ndarray
    accuracy: np.ndarray
    n: np.ndarray


def coverage_accuracy(truth: np.ndarray, probabilities: np.ndarray) -> CoverageCurve:
    """Accuracy of the answers given against the share of rows answered, one point per confidence that occurs."""
    confidence, correct = _answers(truth, probabilities)
    order = np.argsort(-confidence, kind="stable")
    last = np.append(np.flatnonzero(np.diff(confidence[order])), len(order) - 1)  # equal ones are answered together
    n = last + 1
    return CoverageCurve(
        threshold=confidence[order][last],
        coverage=n / len(order),
        accuracy=np.cumsum(correct[order])[last] / n,
        n=n,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Answer from a confidence of `value` on. None: no threshold reaches the wanted accuracy on this data.

    `accuracy` is that of the answers given on the rows it was chosen on, with its interval; None where there are none.
    """

    wanted: float
    value: float | None
    coverage: float
    accuracy: Interval | None


def threshold_for_accuracy(
    truth: np.ndarray,
    probabilities: np.ndarray,
    wanted: float,
    *,
    groups: Groups = None,
    at_least: int = 20,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    over: str | None = None,
) -> Threshold:
    """The lowest confidence from which on answers are `wanted` right on validation rows, at least so many answered.

    Fewer than `at_least` answers prove nothing: the three surest may all be right in any model.
    """
    if not 0 < wanted <= 1:
        raise UsageError(f"a wanted accuracy of {wanted:g} is not above 0 and up to 1", hint="0.9 for 90 %")
    curve = coverage_accuracy(truth, probabilities)
    good = np.flatnonzero((curve.accuracy >= wanted) & (curve.n >= min(at_least, curve.n[-1])))
    if not good.size:
        return Threshold(wanted=wanted, value=None, coverage=0.0, accuracy=None)
    point = int(good[-1])
    value = float(curve.threshold[point])
    confidence, correct = _answers(truth, probabilities)
    given = confidence >= value
    accuracy = rate_interval(
        correct[given],
        groups=None if groups is None else np.asarray(groups)[given],
        resamples=resamples,
        level=level,
        seed=seed,
        over=over,
    )
    return Threshold(wanted=wanted, value=value, coverage=float(curve.coverage[point]), accuracy=accuracy)


def _answers(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, probabilities = checked(truth, probabilities)
    return probabilities.max(axis=1), (predicted(probabilities) == truth).astype(np.float64)


def _edges(confidence: np.ndarray, bins: int, equal: str) -> np.ndarray:
    if equal not in BIN_KINDS:
        raise unknown_name("kind of bins", equal, BIN_KINDS)
    if bins < 1:
        raise UsageError(f"{bins} bins cannot be", hint=f"{BINS} as a rule")
    if equal == "width":
        return np.linspace(0.0, 1.0, bins + 1)
    return np.quantile(confidence, np.linspace(0.0, 1.0, bins + 1))


def _logits(probabilities: np.ndarray) -> np.ndarray:
    logs = np.log(np.maximum(probabilities, _SMALLEST))
    return logs - logs.max(axis=1, keepdims=True)
