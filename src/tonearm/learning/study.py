"""From vectors with labels to a head and all that is to be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm.evaluation import checked_predictions, summary, threshold_for_accuracy
from tonearm.evaluation.calibration import Threshold
from tonearm.learning.curve import Curve, learning_curve
from tonearm.learning.doubt import Doubt, doubtful
from tonearm.learning.fit import Head, HeldOut, Progress, cross_validated, fit_head
from tonearm.learning.material import Material

SURE = 0.9


@dataclass(frozen=True, eq=False)
class Study:
    """A head with the answers to songs of unheard artists that its figures rest on."""

    material: Material
    answers: HeldOut
    head: Head
    threshold: Threshold
    figures: dict[str, Any]
    doubts: list[Doubt]
    no_doubts: str
    curve: Curve


def study(
    material: Material, *, sure: float = SURE, seed: int = 0, over: str = "artists", progress: Progress = None
) -> Study:
    """Cross-validate with artists apart, calibrate, look for doubtful labels, and fit the head on everything.

    `over` is what the groups of the material are: artists, or songs where no artist is known.
    """
    say = progress or (lambda words: None)
    say(f"learning with {over} apart")
    answers = cross_validated(material, seed=seed)
    threshold = threshold_at(material, answers, sure, over, seed)
    doubts, why = doubtful(material, answers, seed=seed, progress=progress)
    curve = learning_curve(material, answers, over=over, seed=seed, progress=progress)
    say("learning from everything")
    head = fit_head(material.values, material.truth, len(material.classes), answers.strength)
    return Study(material, answers, head, threshold, figures(material, answers, over, seed), doubts, why, curve)


def figures(material: Material, answers: HeldOut, over: str, seed: int) -> dict[str, Any]:
    """All figures, as `tonearm evaluate --json` has them; intervals over artists."""
    predictions = checked_predictions(
        material.table.ids.tolist(), material.truth, answers.probabilities, material.classes,
        groups=[str(number) for number in material.groups],
    )  # fmt: skip
    # Where nobody knows an artist, songs are apart and nothing more: the figure must not claim otherwise.
    protocol = "track" if over == "songs" else "artist"
    found = summary(predictions, split=f"{len(answers.parts)} folds", protocol=protocol, seed=seed)
    for number, genre in enumerate(material.classes):
        found["per_genre"][genre]["artists"] = len(np.unique(material.groups[material.truth == number]))
    return {**found, "interval_over": over}


def threshold_at(material: Material, answers: HeldOut, sure: float, over: str, seed: int) -> Threshold:
    """From which probability on answers are right as often as `sure`; where none is, as often as can be had."""
    share = np.bincount(material.truth).max() / len(material)
    wanted = sure
    while True:
        found = threshold_for_accuracy(
            material.truth, answers.probabilities, wanted, groups=material.groups, over=over, seed=seed
        )
        # What the commonest genre alone would reach is no achievement.
        if found.value is not None or wanted - 0.1 <= max(share, 0.3):
            return found
        wanted = round(wanted - 0.1, 6)
