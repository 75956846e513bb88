"""Whether more music would help: accuracy when models learn from a quarter, half and three quarters of the artists."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tonearm.evaluation.intervals import Interval, mean_interval, rate_interval
from tonearm.learning.fit import HeldOut, Progress, held_out
from tonearm.learning.material import Material

SHARES = (0.25, 0.5, 0.75)
DRAWS = 2  # which artists are in the quarter is chance
# Points that a doubling must surely bring, or surely not bring, to be called so.
SURELY_MORE, HARDLY_ANY = 0.005, 0.02


@dataclass(frozen=True)
class Point:
    """Accuracy on songs of unheard artists when so many artists (mean over folds) were learnt from."""

    share: float
    artists: float
    tracks: float
    accuracy: Interval


@dataclass(frozen=True)
class Curve:
    """The points, what the last doubling of artists brought, and what to make of it."""

    points: tuple[Point, ...]
    gain: Interval
    verdict: str
    words: str


def learning_curve(
    material: Material, answers: HeldOut, *, over: str = "artists", seed: int = 0, progress: Progress = None
) -> Curve:
    """Every point is measured on all songs, each by models that heard a share of the other artists of its genres."""
    truth, groups = material.truth, material.groups
    measured: dict[float, np.ndarray] = {}
    points = []
    for share in (*SHARES, 1.0):
        sizes: list[tuple[int, int]] = []
        right = np.zeros(len(material))
        draws = DRAWS if share < 1 else 1
        for draw in range(draws):
            if progress:
                progress(f"would more music help: {100 * share:.0f} % of the {over}")

            def keep(rows: np.ndarray, share=share, draw=draw, sizes=sizes) -> np.ndarray:
                chosen = some_groups(groups, truth, rows, share, seed + draw)
                sizes.append((len(np.unique(groups[chosen])), len(chosen)))
                return chosen

            found = held_out(material, answers.parts, [answers.strength], keep)[0]
            right += (found.argmax(axis=1) == truth) / draws
        measured[share] = right
        artists, tracks = np.mean(sizes, axis=0).tolist()
        points.append(Point(share, artists, tracks, rate_interval(right, groups=groups, over=over, seed=seed)))
    gain = mean_interval(measured[1.0] - measured[0.5], groups=groups, over=over, seed=seed)
    return Curve(tuple(points), gain, *judged(gain, points[-1].accuracy.value, over))


def some_groups(groups: np.ndarray, truth: np.ndarray, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Rows of a share of the artists of each genre, at least one of each; larger shares hold the smaller ones."""
    order = np.random.default_rng(seed).permutation(int(groups.max()) + 1)
    kept = set()
    for genre in np.unique(truth[rows]):
        own = np.unique(groups[rows[truth[rows] == genre]])
        own = own[np.argsort(order[own])]
        kept.update(own[: max(1, math.ceil(share * len(own)))].tolist())
    return rows[np.isin(groups[rows], list(kept))]


def judged(gain: Interval, accuracy: float, over: str) -> tuple[str, str]:
    """more, enough or unclear; and the sentence."""
    points = f"{100 * gain.value:+.1f} points [{100 * gain.low:.1f}, {100 * gain.high:.1f}]"
    brought = f"twice as many {over} brought {points}"
    left = min(gain.value, 1 - accuracy)  # gains shrink from doubling to doubling, and end where all is right
    if gain.low > SURELY_MORE and left > SURELY_MORE:
        return "more", f"more music would help: {brought}, and as many again may bring up to {100 * left:.1f}"
    if gain.high < HARDLY_ANY or left <= SURELY_MORE:
        return "enough", f"more of the same music would hardly help: {brought}"
    return "unclear", f"whether more music would help cannot be told from so few: {brought}"
