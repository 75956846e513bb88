"""Models that are one matrix: logistic regression and linear discriminant analysis with shrinkage."""

from __future__ import annotations

import numpy as np

from tonearm.errors import UsageError
from tonearm.models._classical import Arrays, classical, sklearn_module, softmax, spread


def _kept(model: object, n_classes: int) -> Arrays:
    """Weights and biases of a fitted linear model, two classes as two columns."""
    weights, bias = model.coef_.T, model.intercept_
    if weights.shape[1] == 1:  # scikit-learn keeps one column for two classes
        weights, bias = np.hstack([np.zeros_like(weights), weights]), np.array([0.0, bias[0]])
    return {"weights": weights, "bias": bias, "present": model.classes_, "n_classes": np.array(n_classes)}


def _linear(learnt: Arrays, x: np.ndarray) -> np.ndarray:
    some = softmax(x @ learnt["weights"] + learnt["bias"])
    return spread(some, learnt["present"], int(learnt["n_classes"]))


@classical("logistic")
class Logistic:
    """Multinomial logistic regression with an L2 penalty; `strength` is the inverse of the penalty (C)."""

    strength: float = 1.0
    iterations: int = 2000

    def fit(self, x: np.ndarray, y: np.ndarray, n_classes: int, *, seed: int, weights: np.ndarray | None) -> Arrays:
        cls = sklearn_module("linear_model").LogisticRegression
        model = cls(C=self.strength, max_iter=self.iterations, random_state=seed)
        return _kept(model.fit(x, y, sample_weight=weights), n_classes)

    def probabilities(self, learnt: Arrays, x: np.ndarray) -> np.ndarray:
        return _linear(learnt, x)


@classical("lda")
class Discriminant:
    """Linear discriminant analysis; the covariance is shrunk as Ledoit and Wolf (2004) do, or by a given share."""

    shrinkage: float | None = None

    def fit(self, x: np.ndarray, y: np.ndarray, n_classes: int, *, seed: int, weights: np.ndarray | None) -> Arrays:
        if weights is not None:
            raise UsageError("discriminant analysis knows no weights")
        cls = sklearn_module("discriminant_analysis").LinearDiscriminantAnalysis
        shrinkage = "auto" if self.shrinkage is None else self.shrinkage
        return _kept(cls(solver="lsqr", shrinkage=shrinkage).fit(x, y), n_classes)

    def probabilities(self, learnt: Arrays, x: np.ndarray) -> np.ndarray:
        return _linear(learnt, x)
