"""A linear head, and how well it does on artists it never heard: multinomial logistic regression by scikit-learn.

The strength of its penalty, the temperature and the answers themselves are all taken from models that did not hear the
song's artist: what is chosen for a fold is chosen on the others, so that no figure profits from its own choice.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.errors import TonearmError
from tonearm.evaluation import apply_temperature, fit_temperature
from tonearm.learning.material import Material
from tonearm.protocols import make_split

FOLDS = 5
# C of scikit-learn times the number of songs: so the best of them hardly depends on how many there are.
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
# Standardised values beyond this many deviations are cut off: a song unlike all that was heard is no certainty.
CUT = 5.0
# The strength is searched on at most so many songs, of whole artists; the optimum is wide.
MOST_SEARCHED = 6000

Progress = Callable[[str], None] | None


def need_sklearn() -> None:
    """Say what is missing before any music is heard."""
    from importlib.util import find_spec

    if find_spec("sklearn") is None:
        raise TonearmError(
            "learning needs scikit-learn (running what was learnt does not)",
            hint='pip install "tonearm[audit]"',
            code="needs-extra",
        )


@dataclass(frozen=True, eq=False)
class Head:
    """What is learnt: weights (columns, classes), bias (classes,), and the scaler before them, each (columns,)."""

    weights: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    def logits(self, values: np.ndarray) -> np.ndarray:
        return scaled(values, self.mean, self.deviation) @ self.weights + self.bias


def scaled(values: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    return np.clip((values - mean) / deviation, -CUT, CUT)


def scaler(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    deviation[deviation < 1e-9] = 1.0  # a column that never changes says nothing; do not divide by it
    return mean, deviation


def fit_head(values: np.ndarray, truth: np.ndarray, n_classes: int, strength: float) -> Head:
    """The head of all songs: values (n, columns), truth (n,) of which every class occurs."""
    mean, deviation = scaler(values)
    model = _regression(strength, len(values), 1e-5, 2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged to the last digit: the held-out figures tell what that costs
        model.fit(scaled(values, mean, deviation), truth)
    weights, bias = _columns(model)
    return Head(weights, bias, mean, deviation)


def _regression(strength: float, n: int, tolerance: float, iterations: int):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength / n, tol=tolerance, max_iter=iterations, warm_start=True)


def _columns(model) -> tuple[np.ndarray, np.ndarray]:
    weights, bias = model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
    if weights.shape[1] == 1:  # scikit-learn keeps one column for two classes
        weights, bias = np.hstack([np.zeros_like(weights), weights]), np.array([0.0, bias[0]])
    return weights, bias


def folds(material: Material, protocol: str = "artist", *, count: int = FOLDS, seed: int = 0) -> list[np.ndarray]:
    """Rows of each fold; by `artist`, artists and recordings are whole, by `recording` only the latter."""
    groups = len(np.unique(material.groups))
    # make_split asserts that nothing stands on two sides.
    split = make_split(material.table, protocol, folds=min(count, groups), seed=seed)
    return [rows for rows in split.rows(material.table).values() if len(rows)]


def held_out(
    material: Material, parts: Sequence[np.ndarray], strengths: Sequence[float], keep: Callable | None = None
) -> np.ndarray:
    """Probabilities (strengths, tracks, classes) of each fold by models that learnt from the others.

    `keep(rows)` may thin out what a fold learns from. A genre that a fold cannot learn gets the share of one song.
    """
    from tonearm.audit.quick import over_folds

    everything, n_classes = np.arange(len(material)), len(material.classes)
    found = np.empty((len(strengths), len(material), n_classes))
    searched = sorted(strengths)  # from smooth to sharp: each starts where the last one ended

    def fold(i: int) -> None:
        train = np.setdiff1d(everything, parts[i])
        train = keep(train) if keep else train
        mean, deviation = scaler(material.values[train])
        x = scaled(material.values[train], mean, deviation).astype(np.float32)
        asked = scaled(material.values[parts[i]], mean, deviation).astype(np.float32)
        present = np.unique(material.truth[train])
        shares = np.full((len(parts[i]), n_classes), 1 / (len(train) + 1))
        if len(present) > 1:
            model = _regression(searched[0], len(train), 1e-3, 300)
        for strength in searched:
            if len(present) > 1:
                model.set_params(C=strength / len(train)).fit(x, material.truth[train])
                shares[:, present] = np.maximum(model.predict_proba(asked), 1e-12)
            else:
                shares[:, present] = 1.0
            found[strengths.index(strength), parts[i]] = shares / shares.sum(axis=1, keepdims=True)

    strengths = list(strengths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        over_folds(fold, len(parts))
    return found


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Answers (tracks, classes) for songs whose artist was not heard, calibrated; and what the final head is to use."""

    probabilities: np.ndarray
    parts: list[np.ndarray]
    strength: float
    temperature: float


def cross_validated(material: Material, *, seed: int = 0, strengths: Sequence[float] = STRENGTHS) -> HeldOut:
    """Grouped cross-validation that also chooses the strength (by log-loss) and fits the temperature.

    A fold's strength and temperature come from the answers to the other folds; the final ones from all.
    """
    strengths = list(strengths)
    if len(material) > MOST_SEARCHED:
        strengths = _worth_trying(material, strengths, seed)
    parts = folds(material, seed=seed)
    found = held_out(material, parts, strengths)
    calibrated = np.empty(found.shape[1:])
    for part in parts:
        others = np.setdiff1d(np.arange(len(material)), part)
        best, temperature = _best(found, material.truth, others if len(others) else part)
        calibrated[part] = apply_temperature(found[best, part], temperature)
    best, temperature = _best(found, material.truth, np.arange(len(material)))
    return HeldOut(calibrated, parts, strengths[best], temperature)


def _best(found: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> tuple[int, float]:
    """Which strength has the least log-loss on some rows, and its temperature.

    With each strength's own temperature: a strong penalty makes answers too modest, which the temperature mends.
    """
    fitted = [fit_temperature(truth[rows], probabilities[rows]) for probabilities in found]
    best = min(range(len(fitted)), key=lambda i: fitted[i].log_loss_after)
    return best, fitted[best].value


def _worth_trying(material: Material, strengths: list[float], seed: int) -> list[float]:
    """The best strength on a sample of whole artists, and its neighbours: many songs would be fitted for nothing."""
    order = np.random.default_rng(seed).permutation(int(material.groups.max()) + 1)
    chosen = order[np.cumsum(np.bincount(material.groups)[order]) <= MOST_SEARCHED]
    sample = material.some(np.flatnonzero(np.isin(material.groups, chosen)))
    if len(sample.classes) < 2:
        return strengths
    found = held_out(sample, folds(sample, seed=seed), strengths)
    best, _ = _best(found, sample.truth, np.arange(len(sample)))
    return strengths[max(0, best - 1) : best + 2]
