"""All figures of one model on one part, as `tonearm evaluate --json` gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from tonearm.evaluation import calibration, metrics
from tonearm.evaluation.intervals import (
    LEVEL,
    RESAMPLES,
    Groups,
    bootstrap,
    exact_at_edges,
    rate_interval,
)
from tonearm.evaluation.predictions import Predictions, PredictionsError, group_codes

# The order of the figures that share their resamples; precision, recall and F1 of each class follow.
_FIGURES = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "log_loss")


def summary(
    predictions: Predictions,
    *,
    model: str = "",
    data: str = "",
    split: str = "",
    protocol: str = "",
    top_k: Sequence[int] = (3, 5),
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, object]:
    """Figures with intervals as plain JSON values, null where one is not defined; rows per track or per segment.

    Intervals are over artists where one is known, else over tracks; segments never count as independent.
    """
    truth, probabilities = predictions.truth, predictions.probabilities
    groups, over = independent_groups(predictions)
    table = metrics.per_class(truth, probabilities)
    intervals = _intervals(predictions, groups, resamples=resamples, level=level, seed=seed)
    correct = metrics.right(truth, probabilities)
    accuracy = rate_interval(correct, groups=groups, resamples=resamples, level=level, seed=seed, over=over)
    chance, limit = calibration.calibration_error_by_chance(probabilities, seed=seed)
    counts = metrics.confusion(truth, probabilities)
    n_classes = len(predictions.classes)
    return {
        "model": model,
        "data": data,
        "split": split,
        "protocol": protocol,
        "unit": predictions.unit,
        "n": len(predictions),
        "accuracy": accuracy.value,
        "interval": accuracy.pair(),
        "interval_over": accuracy.over,
        "interval_groups": accuracy.groups,
        "interval_method": accuracy.method,
        "balanced_accuracy": _plain(metrics.balanced_accuracy(truth, probabilities)),
        **{f"{name}_macro": value for name, value in metrics.macro(table).items()},
        **{f"{name}_weighted": value for name, value in metrics.weighted(table).items()},
        "top_k": {str(k): metrics.top_k_accuracy(truth, probabilities, k) for k in top_k if k < n_classes},
        "roc_auc_macro": _plain(metrics.mean_defined(metrics.roc_auc(truth, probabilities))),
        "average_precision_macro": _plain(metrics.mean_defined(metrics.average_precision(truth, probabilities))),
        "log_loss": metrics.log_loss(truth, probabilities),
        "ece": calibration.expected_calibration_error(truth, probabilities),
        "ece_equal_mass": calibration.expected_calibration_error(truth, probabilities, equal="mass"),
        "ece_by_chance": {"mean": chance, "limit": limit},
        "intervals": {name: intervals[name] for name in _FIGURES[1:]},
        "per_genre": _per_genre(predictions, table, intervals),
        "confusion": {"classes": list(predictions.classes), "counts": counts.tolist()},
    }


def accuracy_by(
    predictions: Predictions,
    values: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> list[dict[str, object]]:
    """Accuracy for each of `values` (n,) (genre, artist, any column), the worst first, equals by name."""
    if len(values) != len(predictions):
        raise PredictionsError(f"lengths differ: predictions {len(predictions)}, values {len(values)}")
    correct = metrics.right(predictions.truth, predictions.probabilities)
    groups, over = independent_groups(predictions)
    names = np.array([str(value) for value in values])
    rows = []
    for name in np.unique(names).tolist():
        chosen = names == name
        own, own_over = (None if groups is None else np.asarray(groups)[chosen]), over
        if over == "artists" and own is not None and len(set(own.tolist())) == 1 and own[0]:
            # One artist alone: there is no other artist to sample, so the interval is over tracks of this one.
            own, own_over = None, "tracks"
            if predictions.unit == "segment":
                own = np.array(predictions.ids)[chosen]
        found = rate_interval(correct[chosen], groups=own, resamples=resamples, level=level, seed=seed, over=own_over)
        rows.append({"value": name, "n": found.n, "accuracy": found.value, "interval": found.pair()})
    return sorted(rows, key=lambda row: (row["accuracy"], row["value"]))


def independent_groups(predictions: Predictions) -> tuple[Groups, str]:
    """What may be resampled, and its name: artists where known; else tracks, which own their segments."""
    if predictions.groups is not None:
        if predictions.unit == "track":
            return predictions.groups, "artists"
        pairs = zip(predictions.groups, predictions.ids, strict=True)
        return [f"artist:{artist}" if artist else f"track:{name}" for artist, name in pairs], "artists"
    return (predictions.ids if predictions.unit == "segment" else None), "tracks"


def _intervals(
    predictions: Predictions, groups: Groups, *, resamples: int, level: float, seed: int
) -> dict[str, object]:
    """Intervals of `_FIGURES` as pairs, and of precision, recall and f1 as lists of pairs by class."""
    truth, probabilities = predictions.truth, predictions.probabilities
    n_classes = len(predictions.classes)
    one_hot = np.eye(n_classes)
    answer = metrics.predicted(probabilities)
    is_class, is_answer = one_hot[truth], one_hot[answer]
    losses = metrics.log_losses(truth, probabilities)
    parts = np.concatenate([is_class * is_answer, is_class, is_answer, losses[:, None]], axis=1)
    codes, n_groups = group_codes(groups, len(truth))
    rest_on = [n_groups] * len(_FIGURES)
    for concerned in (is_answer > 0, is_class > 0, (is_class + is_answer) > 0):
        rest_on += [len(np.unique(codes[concerned[:, column]])) for column in range(n_classes)]
    values, low, high = bootstrap(
        parts,
        partial(_combine, known=is_class.any(axis=0)),
        groups=groups,
        accelerated=True,
        rest_on=rest_on,
        resamples=resamples,
        level=level,
        seed=seed,
    )
    for index, count in enumerate(rest_on):
        if _FIGURES[index : index + 1] == ("log_loss",):
            continue  # no rate: nothing is known of its edges
        edges = exact_at_edges(float(values[index]), count, level)
        if not math.isnan(edges[0]):
            # Where all tracks of a genre are right (or wrong), so are those of every resample. F1 is 2 J / (1 + J) of
            # the share J of right ones among tracks that have the genre or were given it: J is a rate as the others.
            is_f1 = index >= len(_FIGURES) + 2 * n_classes
            low[index], high[index] = (2 * edge / (1 + edge) if is_f1 else edge for edge in edges)
        elif count == 0:
            low[index] = high[index] = math.nan  # precision of a genre never answered: 0 by agreement, not by count
        elif not low[index] < high[index]:
            low[index], high[index] = 0.0, 1.0  # one artist, or equal ones: says nothing of others
    pairs = [[_plain(a), _plain(b)] for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    found: dict[str, object] = dict(zip(_FIGURES, pairs, strict=False))
    for position, name in enumerate(("precision", "recall", "f1")):
        start = len(_FIGURES) + position * n_classes
        found[name] = pairs[start : start + n_classes]
    return found


def _combine(sums: np.ndarray, *, known: np.ndarray) -> np.ndarray:
    """Figures (resamples, figures) from sums (resamples, 3 classes + 1) of hits, true, answered and losses.

    `known` (classes,) have tracks in the data: a resample without them says nothing of their F1, and not 0, which would
    pull macro F1 down by the genres that chance left out.
    """
    hits, n, given = np.split(sums[:, :-1], 3, axis=1)
    total = n.sum(axis=1)
    precision, recall, f1 = metrics.precision_recall_f1(hits, n, given)
    f1 = np.where(known & (n == 0), np.nan, f1)
    figures = (
        hits.sum(axis=1) / total,
        _row_means(recall),
        _row_means(f1),
        (np.nan_to_num(f1) * n).sum(axis=1) / total,
        sums[:, -1] / total,
    )
    return np.concatenate([np.stack(figures, axis=1), precision, recall, f1], axis=1)


def _row_means(values: np.ndarray) -> np.ndarray:
    """Mean of each row over what is defined; every resample holds a track, so something is."""
    defined = ~np.isnan(values)
    return np.where(defined, values, 0).sum(axis=1) / defined.sum(axis=1)


def _per_genre(
    predictions: Predictions, table: metrics.PerClass, intervals: dict[str, object]
) -> dict[str, dict[str, object]]:
    auc = metrics.roc_auc(predictions.truth, predictions.probabilities)
    average = metrics.average_precision(predictions.truth, predictions.probabilities)
    return {
        genre: {
            "precision": _plain(table.precision[index]),
            "recall": _plain(table.recall[index]),
            "f1": _plain(table.f1[index]),
            "n": int(table.n[index]),
            "predicted": int(table.predicted[index]),
            "roc_auc": _plain(auc[index]),
            "average_precision": _plain(average[index]),
            **{f"{name}_interval": intervals[name][index] for name in ("precision", "recall", "f1")},
        }
        for index, genre in enumerate(predictions.classes)
    }


def _plain(value: float) -> float | None:
    """A float that JSON can hold: not defined is null."""
    return None if math.isnan(value) else float(value)
