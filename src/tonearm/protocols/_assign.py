"""Deal groups of tracks to parts so that every genre is shared out in the wanted proportions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def assign(groups: np.ndarray, labels: np.ndarray, fractions: Sequence[float], seed: int) -> np.ndarray:
    """The part of every track: int array (tracks,), whole groups in one part, genres balanced.

    The greedy way of scikit-learn's StratifiedGroupKFold, written out because a split must be possible on the light
    install, and because that one knows equal folds only: here the parts may have any fractions. Groups that bend the
    balance most come first; each goes where the shares of the genres then differ least.
    """
    fractions = np.asarray(fractions, dtype=float)
    fractions = fractions / fractions.sum()
    _, label = np.unique(labels, return_inverse=True)
    _, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((group.max() + 1, label.max() + 1))
    np.add.at(counts, (group, label), 1)
    random = np.random.default_rng(seed)
    order = random.permutation(len(counts))
    # Large before small, but only roughly: where all groups differ in size, a strict order would make one split of
    # all seeds, and repeated folds that do not differ say nothing of how far a figure moves.
    weight = counts[order].std(axis=1) * random.uniform(0.85, 1.15, len(counts))
    order = order[np.argsort(-weight, kind="stable")]
    # Share of each genre that each part has got, over the share that it should have: all ones would be perfect.
    wanted = fractions[:, None] * counts.sum(axis=0)
    held = np.zeros((len(fractions), counts.shape[1]))
    size = np.zeros(len(fractions))
    part = np.empty(len(counts), dtype=int)
    parts = np.arange(len(fractions))
    for g in order:
        trial = np.repeat(held[None], len(fractions), axis=0)
        trial[parts, parts] += counts[g] / wanted
        unevenness = trial.std(axis=1).mean(axis=1)
        near = np.flatnonzero(unevenness <= unevenness.min() + 1e-12)
        best = near[np.argmin(size[near] / fractions[near])]
        part[g] = best
        held[best] += counts[g] / wanted[best]
        size[best] += counts[g].sum()
    return part[group]
