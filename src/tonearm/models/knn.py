"""k nearest neighbours by Euclidean distance."""

from __future__ import annotations

import numpy as np

from tonearm.errors import UsageError
from tonearm.models._classical import Arrays, classical

_BLOCK = 512


@classical("knn")
class NearestNeighbours:
    """The share of each genre among the `neighbours` nearest rows of training."""

    neighbours: int = 7
    distance_weights: bool = False

    def fit(self, x: np.ndarray, y: np.ndarray, n_classes: int, *, seed: int, weights: np.ndarray | None) -> Arrays:
        if weights is not None:
            raise UsageError("nearest neighbours know no weights")
        if not 1 <= self.neighbours <= len(x):
            raise UsageError(f"{self.neighbours} neighbours of {len(x)} rows", hint="ask for fewer")
        return {"rows": x.astype(np.float32), "votes": np.eye(n_classes)[y]}

    def probabilities(self, learnt: Arrays, x: np.ndarray) -> np.ndarray:
        rows, votes = learnt["rows"].astype(np.float64), learnt["votes"]
        result = np.empty((len(x), votes.shape[1]))
        squares = (rows * rows).sum(axis=1)
        for at in range(0, len(x), _BLOCK):
            block = x[at : at + _BLOCK].astype(np.float32).astype(np.float64)
            # Distances by one product, less exact than a difference, then exactly for the few that matter.
            rough = squares - 2.0 * block @ rows.T
            few = min(len(rows), 2 * self.neighbours + 8)
            near = np.sort(np.argpartition(rough, few - 1, axis=1)[:, :few], axis=1)
            distance = np.linalg.norm(block[:, None, :] - rows[near], axis=2)
            nearest = np.argsort(distance, axis=1, kind="stable")[:, : self.neighbours]
            chosen = np.take_along_axis(near, nearest, axis=1)
            weight = self._weights(np.take_along_axis(distance, nearest, axis=1))
            total = (votes[chosen] * weight[:, :, None]).sum(axis=1)
            result[at : at + _BLOCK] = total / total.sum(axis=1, keepdims=True)
        return result

    def _weights(self, distance: np.ndarray) -> np.ndarray:
        if not self.distance_weights:
            return np.ones_like(distance)
        same = distance == 0
        inverse = 1.0 / np.where(same, 1.0, distance)
        # A row that was seen in training is answered by itself alone.
        return np.where(same.any(axis=1, keepdims=True), same, inverse)
