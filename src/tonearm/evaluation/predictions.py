"""What a model said about tracks or segments, checked once, so that the numbers made of it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tonearm.errors import TonearmError, UsageError, unknown_name

Unit = Literal["track", "segment"]

JOINS = ("mean", "sum", "majority", "log-mean")

# A softmax in float32 misses one by 1e-6, a table rounded to four decimals by some 1e-4; a row that misses by more
# is not a distribution (logits, scores of a multi-label model, a lost column), and rescaling it would hide that.
SUM_TOLERANCE = 1e-3

# The log-mean of a probability of exactly 0 would let one segment forbid a genre for the whole track.
_SMALLEST = 1e-12


class PredictionsError(TonearmError):
    """Predictions that cannot be evaluated: of no length or of two, not probabilities, or not one row per track."""

    code = "bad-predictions"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """What one model said of the rows of one part, with the truth; made by `checked_predictions`.

    `truth` (n,) indices into `classes`; `probabilities` (n, classes). `unit` says what a row is: segments carry the id
    of their track, so an id may repeat there and nowhere else. `groups` (artists) is None where not one is known.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    truth: np.ndarray
    probabilities: np.ndarray
    groups: tuple[str, ...] | None = None
    unit: Unit = "track"

    def __len__(self) -> int:
        return len(self.ids)


def checked_predictions(
    ids: Sequence[str],
    truth: Sequence[str] | np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    unit: Unit = "track",
) -> Predictions:
    """Check and keep predictions. `truth` is labels or indices (n,), `probabilities` (n, classes) in class order."""
    if unit not in ("track", "segment"):
        raise unknown_name("unit of predictions", unit, ("track", "segment"))
    ids = tuple(str(name) for name in ids)
    classes = as_classes(classes)
    probabilities = as_probabilities(probabilities, n_classes=len(classes), ids=ids)
    truth = as_indices(truth, classes)
    _same_length(ids=len(ids), truth=len(truth), probabilities=len(probabilities))
    if unit == "track" and len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = [name for name in ids if name in seen or seen.add(name)]
        raise PredictionsError(
            f"predictions per track name {some_of(twice)} more than once",
            hint="rows per segment are joined into tracks first: tonearm.evaluation.join_segments",
        )
    if groups is not None:
        groups = tuple(str(name) for name in groups)
        _same_length(ids=len(ids), groups=len(groups))
        groups = groups if any(groups) else None
    return Predictions(classes=classes, ids=ids, truth=truth, probabilities=probabilities, groups=groups, unit=unit)


def as_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Class names as a tuple: at least one, each once."""
    names = tuple(str(name) for name in classes)
    if not names:
        raise UsageError("there are no class names", hint="give the classes of the model, in its order", code="classes")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"class names stand twice: {some_of(twice)}", code="classes")
    return names


def match_classes(model: Sequence[str], data: Sequence[str], *, data_name: str = "the data") -> None:
    """Refuse data with classes that the model cannot answer. Classes that the data lacks are no fault."""
    foreign = sorted(set(data) - set(model))
    if foreign:
        raise UsageError(
            f"{data_name} has classes that the model does not know: {some_of(foreign)}",
            hint=f"the model knows: {', '.join(model)}",
            code="classes",
        )


def as_indices(labels: Sequence[str] | np.ndarray, classes: Sequence[str] | int) -> np.ndarray:
    """Labels (n,) as int64 indices into `classes`; indices are checked and kept. `classes` may be their number."""
    array = np.asarray(labels)
    if array.ndim != 1:
        raise PredictionsError(f"truth must be one label per row, not an array of shape {array.shape}")
    if array.size == 0:
        raise PredictionsError("there is nothing to evaluate: no rows", hint="is the part of the split empty?")
    n_classes = classes if isinstance(classes, int) else len(classes)
    if np.issubdtype(array.dtype, np.integer):
        outside = np.flatnonzero((array < 0) | (array >= n_classes))
        if outside.size:
            row = int(outside[0])
            raise PredictionsError(f"row {row}: class index {int(array[row])} is not one of 0 to {n_classes - 1}")
        return array.astype(np.int64)
    if isinstance(classes, int):
        raise PredictionsError(f"truth must be class indices here, not {array.dtype}", hint="or give the class names")
    index = {name: position for position, name in enumerate(classes)}
    names = [str(name) for name in array.tolist()]
    match_classes(tuple(classes), names, data_name="the truth")
    return np.array([index[name] for name in names], dtype=np.int64)


def as_probabilities(
    probabilities: np.ndarray, *, n_classes: int | None = None, ids: Sequence[str] | None = None
) -> np.ndarray:
    """Probabilities (n, classes) as float64, refused where a row is no distribution; `ids` name rows in messages."""
    try:
        array = np.asarray(probabilities, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PredictionsError(f"probabilities are not an array of numbers: {error}") from None
    if array.ndim != 2:
        raise PredictionsError(f"probabilities must have the shape (rows, classes), not {array.shape}")
    if len(array) == 0:
        raise PredictionsError("there is nothing to evaluate: no rows", hint="is the part of the split empty?")
    if n_classes is not None and array.shape[1] != n_classes:
        raise UsageError(
            f"probabilities have {array.shape[1]} columns for {n_classes} classes",
            hint="the columns must be the classes of the model, in its order",
            code="classes",
        )
    for wrong, what in (
        (~np.isfinite(array).all(axis=1), "is not a number or infinite"),
        (((array < -1e-6) | (array > 1 + 1e-6)).any(axis=1), "is below 0 or above 1"),
    ):
        if wrong.any():
            raise PredictionsError(f"{_rows(wrong, ids)}: a probability {what}", hint=_ARE_THEY_PROBABILITIES)
    sums = array.sum(axis=1)
    wrong = np.abs(sums - 1) > SUM_TOLERANCE
    if wrong.any():
        found = float(sums[np.flatnonzero(wrong)[0]])
        raise PredictionsError(
            f"{_rows(wrong, ids)}: probabilities sum to {found:.4g}, not to 1", hint=_ARE_THEY_PROBABILITIES
        )
    return np.clip(array, 0.0, 1.0)


_ARE_THEY_PROBABILITIES = "logits need a softmax first; nothing is rescaled here, because that would hide a fault"


def checked(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth indices (n,) and probabilities (n, classes), each checked, of one length."""
    probabilities = as_probabilities(probabilities)
    truth = as_indices(truth, probabilities.shape[1])
    _same_length(truth=len(truth), probabilities=len(probabilities))
    return truth, probabilities


def join_segments(segments: Predictions, *, how: str = "mean") -> Predictions:
    """Predictions per segment into predictions per track, in order of first appearance.

    `mean` of the probabilities; `sum` is the rule some papers name and, brought back to a distribution, the same;
    `majority` is the share of segments that vote for a class, equal shares decided by the mean; `log-mean` is the
    geometric mean (product of experts), brought back to a distribution.
    """
    if segments.unit != "segment":
        raise UsageError("these predictions are per track already", hint="join only predictions per segment")
    if how not in JOINS:
        raise unknown_name("way to join segments", how, JOINS)
    index: dict[str, int] = {}
    track = np.array([index.setdefault(name, len(index)) for name in segments.ids])
    first = np.unique(track, return_index=True)[1]
    _one_value_per_track(segments.ids, track, segments.truth, segments.truth[first], "genre")
    groups = None
    if segments.groups is not None:
        named = np.array(segments.groups)
        _one_value_per_track(segments.ids, track, named, named[first], "artist")
        groups = tuple(named[first].tolist())
    return Predictions(
        classes=segments.classes,
        ids=tuple(index),
        truth=segments.truth[first],
        probabilities=join_rows(track, segments.probabilities, how),
        groups=groups,
        unit="track",
    )


def join_rows(track: np.ndarray, probabilities: np.ndarray, how: str) -> np.ndarray:
    """Probabilities of clips (m, classes) as those of tracks (n, classes); `track` (m,) numbers them 0 to n - 1."""
    if how not in JOINS:
        raise unknown_name("way to join segments", how, JOINS)
    n_tracks, n_classes = int(track.max()) + 1, probabilities.shape[1]
    counts = np.bincount(track, minlength=n_tracks)[:, None]

    def mean(rows: np.ndarray) -> np.ndarray:
        sums = [np.bincount(track, weights=rows[:, column], minlength=n_tracks) for column in range(n_classes)]
        return np.stack(sums, axis=1) / counts

    if how == "log-mean":
        logs = mean(np.log(np.maximum(probabilities, _SMALLEST)))
        joined = np.exp(logs - logs.max(axis=1, keepdims=True))
        return joined / joined.sum(axis=1, keepdims=True)
    if how == "majority":
        votes = np.eye(n_classes)[probabilities.argmax(axis=1)]
        # The mean decides only between equal shares, which differ by nothing; other shares differ by 1 / segments.
        weight = 1e-6 / counts
        return (mean(votes) + weight * mean(probabilities)) / (1 + weight)
    return mean(probabilities)


def group_codes(groups: Sequence[str] | np.ndarray | None, n: int) -> tuple[np.ndarray, int]:
    """Group of each row as a number 0 to groups - 1. An unknown group (empty text) stands for itself alone."""
    if groups is None:
        return np.arange(n), n
    if len(groups) != n:
        _same_length(rows=n, groups=len(groups))
    index: dict[object, int] = {}
    codes = np.array(
        [
            index.setdefault(row if group == "" else ("group", group), len(index))
            for row, group in enumerate(np.asarray(groups).tolist())
        ]
    )
    return codes, len(index)


def _one_value_per_track(
    ids: tuple[str, ...], track: np.ndarray, values: np.ndarray, firsts: np.ndarray, what: str
) -> None:
    differs = np.flatnonzero(values != firsts[track])
    if differs.size:
        raise PredictionsError(f"segments of track {ids[int(differs[0])]} have more than one {what}")


def _same_length(**lengths: int) -> None:
    if len(set(lengths.values())) > 1:
        parts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise PredictionsError(f"lengths differ: {parts}", hint="one row for each")


def _rows(wrong: np.ndarray, ids: Sequence[str] | None) -> str:
    rows = np.flatnonzero(wrong)
    if ids is not None and len(ids) == len(wrong):
        return some_of([ids[row] for row in rows.tolist()])
    return f"row {int(rows[0])}" + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")


def some_of(names: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(list(names)[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
