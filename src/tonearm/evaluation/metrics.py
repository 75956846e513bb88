"""How good predictions are: every figure from truth (n,) class indices and probabilities (n, classes).

Equal to scikit-learn's functions of the same name, which the tests hold them against; by hand because evaluating must
not need scikit-learn. Where a figure is not defined (recall of a genre without tracks), scikit-learn warns and writes
0; here it is NaN, except where said, and macro means go over the genres that have a value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tonearm.errors import UsageError
from tonearm.evaluation.predictions import checked


@dataclass(frozen=True, slots=True, eq=False)
class PerClass:
    """Precision, recall and F1 (classes,), `n` tracks that have the class, `predicted` tracks that were given it."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    n: np.ndarray
    predicted: np.ndarray


def predicted(probabilities: np.ndarray) -> np.ndarray:
    """The answer of each row (n,): the most probable class, the first of equals."""
    return probabilities.argmax(axis=1)


def right(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Whether each row is right (n,), bool."""
    truth, probabilities = checked(truth, probabilities)
    return predicted(probabilities) == truth


def accuracy(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of rows that are right."""
    return float(right(truth, probabilities).mean())


def top_k_accuracy(truth: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """Share of rows whose class is among the `k` most probable; of equals the first counts, as in `predicted`."""
    truth, probabilities = checked(truth, probabilities)
    n_classes = probabilities.shape[1]
    if not 1 <= k <= n_classes:
        raise UsageError(f"top {k} of {n_classes} classes is not defined", hint=f"k is 1 to {n_classes}")
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((best == truth[:, None]).any(axis=1).mean())


def confusion(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Counts (true class, predicted class)."""
    truth, probabilities = checked(truth, probabilities)
    n_classes = probabilities.shape[1]
    cells = np.bincount(truth * n_classes + predicted(probabilities), minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes)


def confusion_rows(counts: np.ndarray) -> np.ndarray:
    """Counts as the share of each true class; the row of a class without tracks is NaN."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def per_class(truth: np.ndarray, probabilities: np.ndarray) -> PerClass:
    """Precision, recall, F1 and n of every class."""
    counts = confusion(truth, probabilities)
    hits, n, given = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    precision, recall, f1 = precision_recall_f1(hits, n, given)
    return PerClass(precision, recall, f1, n, given)


def precision_recall_f1(hits: np.ndarray, n: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, ...]:
    """From counts (..., classes) of hits, of true and of predicted tracks.

    A class that has tracks and was never predicted has precision 0, as in scikit-learn. A class without tracks has no
    recall (NaN); one that was not predicted either has no precision and no F1.
    """
    hits, n, given = (np.asarray(counts, dtype=np.float64) for counts in (hits, n, given))
    present = (n + given) > 0
    precision = np.where(present, hits / np.maximum(given, 1), np.nan)
    recall = np.where(n > 0, hits / np.maximum(n, 1), np.nan)
    f1 = np.where(present, 2 * hits / np.maximum(n + given, 1), np.nan)
    return precision, recall, f1


def balanced_accuracy(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean recall of the classes that have tracks."""
    return float(np.nanmean(per_class(truth, probabilities).recall))


def macro(table: PerClass) -> dict[str, float]:
    """Unweighted means over the classes that occur in truth or in predictions (recall of none counts 0 there)."""
    present = (table.n + table.predicted) > 0
    return {name: float(np.nan_to_num(getattr(table, name)[present]).mean()) for name in ("precision", "recall", "f1")}


def weighted(table: PerClass) -> dict[str, float]:
    """Means weighted by the tracks of each class."""
    share = table.n / table.n.sum()
    return {name: float((np.nan_to_num(getattr(table, name)) * share).sum()) for name in ("precision", "recall", "f1")}


def roc_auc(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each class against the rest (classes,); NaN where a side has no tracks.

    The probability that a track of the class gets more of it than another one; equals count half (Hanley and McNeil,
    Radiology 143, 1982).
    """
    truth, probabilities = checked(truth, probabilities)
    areas = np.full(probabilities.shape[1], np.nan)
    for index in range(probabilities.shape[1]):
        positive = truth == index
        n_positive = int(positive.sum())
        n_negative = len(truth) - n_positive
        if n_positive and n_negative:
            rank_sum = _average_ranks(probabilities[:, index])[positive].sum()
            areas[index] = (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)
    return areas


def average_precision(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Average precision of each class against the rest (classes,), without interpolation; NaN without tracks."""
    truth, probabilities = checked(truth, probabilities)
    scores = np.full(probabilities.shape[1], np.nan)
    for index in range(probabilities.shape[1]):
        positive = truth == index
        if not positive.any():
            continue
        order = np.argsort(-probabilities[:, index], kind="stable")
        score = probabilities[order, index]
        last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # equal scores enter together
        hits = np.cumsum(positive[order])[last]
        scores[index] = (np.diff(hits, prepend=0) * hits / (last + 1)).sum() / hits[-1]
    return scores


def mean_defined(values: np.ndarray) -> float:
    """Mean over the classes that have a value; NaN where none has."""
    values = np.asarray(values)[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def log_losses(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Minus the log of the probability given to the true class (n,); a 0 counts as the smallest step of float64."""
    truth, probabilities = checked(truth, probabilities)
    step = np.finfo(np.float64).eps
    return -np.log(np.clip(probabilities[np.arange(len(truth)), truth], step, 1 - step))


def log_loss(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of `log_losses`."""
    return float(log_losses(truth, probabilities).mean())


def _average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
