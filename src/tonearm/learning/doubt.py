"""Labels that models who never heard the artist speak against: a list to listen to, not a verdict.

In the way of confident learning (Northcutt, Jiang and Chuang 2021): out-of-fold probabilities tell which labels are
wrong. Its thresholds per genre were tried against the plain ratio of suggestion to label on gtzan-mel with 5 % of the
labels changed: at lists of the same length the ratio finds a fifth more of them, so the ratio it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tonearm.evaluation import apply_temperature, fit_temperature
from tonearm.learning.fit import HeldOut, Progress, folds, held_out
from tonearm.learning.material import Material
from tonearm.packs import Track

# How many times likelier than the label the suggestion must be.
LIKELIER = 10.0
# The models must know genres better than by guessing (Cohen's kappa): the doubts of one who guesses are worth nothing.
LEAST_KAPPA = 0.2


@dataclass(frozen=True)
class Doubt:
    """A song whose label the models speak against: `likelier` says how many times likelier `suggestion` is."""

    track: Track
    suggestion: str
    probability: float
    probability_of_label: float

    @property
    def likelier(self) -> float:
        return self.probability / self.probability_of_label


def doubtful(
    material: Material, answers: HeldOut, *, seed: int = 0, progress: Progress = None
) -> tuple[list[Doubt], str]:
    """Doubtful songs, most doubtful first; where none can be told, the sentence that says why.

    Models that never heard the artist take an unusual artist for another genre, song by song. So a song must also be
    doubted by models that heard the artist's other songs: what then still sounds of another genre is a song apart.
    """
    if kappa(answers.probabilities, material.truth) < LEAST_KAPPA:
        return [], "the models know these genres hardly better than by guessing: their doubts are worth nothing"
    both = answers.probabilities
    if any(track.artist for track in material.tracks):
        if progress:
            progress("looking for doubtful labels")
        parts = folds(material, "recording", seed=seed)
        heard = held_out(material, parts, [answers.strength])[0]
        heard = apply_temperature(heard, fit_temperature(material.truth, heard).value)
        both = (answers.probabilities + heard) / 2
        against = (answers.probabilities.argmax(axis=1) != material.truth) & (heard.argmax(axis=1) != material.truth)
    else:
        against = both.argmax(axis=1) != material.truth
    rows = np.arange(len(material))
    best, of_label = both.argmax(axis=1), both[rows, material.truth]
    ratio = both[rows, best] / np.maximum(of_label, 1e-9)
    listed = np.flatnonzero(against & (ratio > LIKELIER))
    return [
        Doubt(material.tracks[i], material.classes[best[i]], float(both[i, best[i]]), float(max(of_label[i], 1e-9)))
        for i in listed[np.argsort(-ratio[listed], kind="stable")].tolist()
    ], ""


def kappa(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Agreement of answers and labels beyond chance: 0 for guessing, 1 for all right."""
    answer, count = probabilities.argmax(axis=1), probabilities.shape[1]
    agreed = float((answer == truth).mean())
    chance = float(np.bincount(answer, minlength=count) @ np.bincount(truth, minlength=count)) / len(truth) ** 2
    return (agreed - chance) / (1 - chance) if chance < 1 else 0.0
