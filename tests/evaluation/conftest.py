"""Truth and probabilities as they come, and as they should not: every test of a figure runs over all of them."""

from __future__ import annotations

import numpy as np
import pytest


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def drawn(n: int, n_classes: int, seed: int = 0, skill: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, n_classes, n)
    logits = generator.normal(size=(n, n_classes))
    logits[np.arange(n), truth] += skill
    return truth, softmax(1.5 * logits)


def _cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    truth, probabilities = drawn(300, 7)
    never = probabilities.copy()
    never[:, 2] = 0
    never /= never.sum(axis=1, keepdims=True)
    hard = np.eye(7)[probabilities.argmax(axis=1)]
    ties = np.round(probabilities * 4) + 0.5
    ties /= ties.sum(axis=1, keepdims=True)
    return {
        "random": (truth, probabilities),
        "unbalanced": (np.where(np.arange(300) < 250, 0, truth), probabilities),
        "class missing in truth": (np.where(truth == 3, 4, truth), probabilities),
        "class never predicted": (truth, never),
        "class in neither": (np.where(truth == 2, 1, truth), never),
        "one class only": (np.full(300, 5), probabilities),
        "one track, right": (np.array([1]), np.array([[0.1, 0.7, 0.2]])),
        "one track, wrong": (np.array([2]), np.array([[0.1, 0.7, 0.2]])),
        "all right": (probabilities.argmax(axis=1), probabilities),
        "all wrong": ((probabilities.argmax(axis=1) + 1) % 7, probabilities),
        "zeros and ones": (truth, hard),
        "zeros and ones, all right": (hard.argmax(axis=1), hard),
        "zeros and ones, all wrong": ((hard.argmax(axis=1) + 1) % 7, hard),
        "ties": (truth, ties),
        "no opinion": (truth, np.full((300, 7), 1 / 7)),
        "two classes": drawn(120, 2, seed=3),
    }


CASES = _cases()


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Truth indices (n,) and probabilities (n, classes)."""
    return CASES[request.param]


@pytest.fixture
def draw():
    """Predictions of some skill: draw(n, n_classes, seed, skill) -> truth, probabilities."""
    return drawn
