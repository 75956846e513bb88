"""Labels that models who never heard the artist agree against: a list to listen to, not a verdict.

Confident learning (Northcutt, Jiang and Chuang 2021, Confident learning: estimating uncertainty in dataset labels):
a track is doubtful when its out-of-fold probability of another genre reaches what tracks of that genre usually get.
Written out because it is a dozen lines. Folds are grouped by artist: a model that knows the artist repeats the label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tonearm.audit import quick as q
from tonearm.protocols import group, make_split

FOLDS = 5
# The mean confidence of a genre, kept within these: where genres are told apart with ease it would ask for near
# certainty and miss wrong labels, where they are not it would doubt every third track.
LEAST_CONFIDENCE, MOST_CONFIDENCE = 0.5, 0.6
LEAST_KAPPA = 0.25
UNLIKELY = 0.1  # and the label that is given must be all but ruled out


def doubtful(
    quick: q.Quick,
    *,
    duplicates: Sequence[Sequence[str]] = (),
    repeats: int = 2,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Tracks whose label the models agree against, most doubtful first.

    Models that never heard the artist take an unusual artist for another genre, track by track. So a track must also
    be doubted by models that did hear the artist's other tracks: what then still sounds of another genre is a track
    apart, not an artist apart.
    """
    q.need_sklearn()
    table = quick.table
    genres, label = np.unique(table.genre, return_inverse=True)
    if len(genres) < 2 or not _enough_groups(table, duplicates):
        return []
    models = {"logistic regression": q.make_logistic, "discriminant analysis": q.make_discriminant}
    protocols = ["artist", "recording"] if (table.artist != "").any() else ["recording"]
    mean = {protocol: np.zeros((len(table), len(genres))) for protocol in protocols}
    votes = np.zeros((len(table), len(genres)), int)
    for protocol in protocols:
        for repeat in range(repeats):
            split = make_split(table, protocol, folds=FOLDS, seed=seed + repeat, duplicates=duplicates)
            parts = list(split.rows(table).values())
            for name, make in models.items():
                if progress:
                    progress(f"label doubt: {name}, {protocol}s apart, {repeat + 1} of {repeats}")
                probability = _out_of_fold(quick, parts, make, genres)
                votes[np.arange(len(table)), probability.argmax(axis=1)] += 1
                mean[protocol] += probability / (repeats * len(models))
    if not all(_knows_genres(values, label) for values in mean.values()):
        return []
    against = np.all([values.argmax(axis=1) != label for values in mean.values()], axis=0)
    both = np.mean(list(mean.values()), axis=0)
    return _listed(table, genres, label, both, against & confident(both, label), votes)


def _knows_genres(probability: np.ndarray, label: np.ndarray) -> bool:
    """Whether the models are well above chance (Cohen's kappa): the doubts of one who guesses are worth nothing."""
    heard = probability.argmax(axis=1)
    agreed = float((heard == label).mean())
    count = probability.shape[1]
    chance = float(np.bincount(heard, minlength=count) @ np.bincount(label, minlength=count)) / len(label) ** 2
    return agreed - chance >= LEAST_KAPPA * (1 - chance)


def _enough_groups(table, duplicates: Sequence[Sequence[str]]) -> bool:
    return len(group(table, ["artist", "recording"], duplicates)) >= 2 * FOLDS


def _out_of_fold(quick: q.Quick, parts: list[np.ndarray], make: Callable[[], object], genres: np.ndarray) -> np.ndarray:
    """Probabilities of each track by models that did not see its artist: (tracks, genres), rows of a track averaged."""
    labels = quick.labels
    everything = np.arange(len(labels))
    probability = np.zeros((len(labels), len(genres)))

    def fold(i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        train = np.setdiff1d(everything, parts[i])
        model = make().fit(quick.values[train], labels[train])
        # Sorted classes of the training part, which may lack a genre that has one artist only.
        return parts[i], np.searchsorted(genres, model.classes_), model.predict_proba(quick.values[parts[i]])

    for test, columns, values in q.over_folds(fold, len(parts)):
        probability[np.ix_(test, columns)] = values
    per_track = np.zeros((len(quick.table), len(genres)))
    np.add.at(per_track, quick.table.row_track, probability)
    return per_track / np.bincount(quick.table.row_track, minlength=len(per_track))[:, None]


def confident(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Off-diagonal tracks of the confident joint: bool (tracks,).

    The threshold of a genre is the mean probability that tracks labelled with it get for it; a track counts for the
    likeliest of the genres whose threshold it reaches, and is doubtful when that is not its label.
    """
    count = probability.shape[1]
    threshold = np.array([probability[label == j, j].mean() if (label == j).any() else 1.0 for j in range(count)])
    reached = np.where(probability >= np.clip(threshold, LEAST_CONFIDENCE, MOST_CONFIDENCE), probability, -1.0)
    unlikely = probability[np.arange(len(label)), label] < UNLIKELY
    return (reached.max(axis=1) >= 0) & (reached.argmax(axis=1) != label) & unlikely


def _listed(
    table, genres: np.ndarray, label: np.ndarray, mean: np.ndarray, against: np.ndarray, votes: np.ndarray
) -> list[dict[str, Any]]:
    heard = mean.argmax(axis=1)
    rows = np.arange(len(table))
    margin = mean[rows, heard] - mean[rows, label]
    chosen = np.flatnonzero(against & (heard != label))
    listed = []
    for i in chosen[np.argsort(-margin[chosen], kind="stable")]:
        listed.append(
            {
                "id": str(table.ids[i]),
                "label": str(genres[label[i]]),
                "suggested": str(genres[heard[i]]),
                "probability": float(mean[i, heard[i]]),
                "probability_of_label": float(mean[i, label[i]]),
                "votes": f"{votes[i, heard[i]]} of {votes[i].sum()}",
                "artist": str(table.column("artist_name")[i] or table.artist[i]),
                "title": str(table.column("title")[i]),
                "path": str(table.column("path")[i]),
            }
        )
    return listed
