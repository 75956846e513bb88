"""What a difference between two trained systems is worth: paired over tracks and seeds, each chance for itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm.evaluation.intervals import LEVEL, RESAMPLES, Groups, exact_at_edges
from tonearm.evaluation.paired import (
    holm,
    mcnemar,
    paired_difference,
    sign_flip,
    tracks_to_tell_apart,
)
from tonearm.evaluation.student import student_quantile


@dataclass(frozen=True)
class Answers:
    """Right or wrong of one system: `hits` (seeds, tracks) from 0 to 1, in the order of `ids`."""

    hits: np.ndarray
    seeds: tuple[int, ...]
    ids: tuple[str, ...]
    groups: Groups = None
    over: str = "tracks"


def effect(a: Answers, b: Answers, *, resamples: int = RESAMPLES, level: float = LEVEL) -> dict[str, Any]:
    """Accuracy of `a` minus that of `b` on the same tracks, as plain values; `a` is in the order of `b`.

    `interval_over_tracks` is what other tracks would do to these trained models, `interval_over_seeds` what other
    seeds would (paired where both have the same seeds; None for one seed, which says nothing of others). `interval`
    knows of both: the variances are added, with degrees of freedom as by Satterthwaite (Biometrics 2, 1946).
    """
    ours, theirs = a.hits.mean(axis=0), b.hits.mean(axis=0)
    tracks = paired_difference(ours, theirs, groups=b.groups, resamples=resamples, level=level, over=b.over)
    low, high = tracks.low, tracks.high
    if math.isnan(low):
        low, high = -1.0, 1.0  # one artist alone says nothing of others
    elif low == high:
        # Artists in whom gains and losses cancel out, each for itself: chance, and no certainty.
        tracks = paired_difference(ours, theirs, resamples=resamples, level=level, over=b.over)
        edge = exact_at_edges(0.0, tracks.n, level)[1]
        low, high = min(tracks.low, tracks.value - edge), max(tracks.high, tracks.value + edge)
    value, over_tracks = tracks.value, [low, high]
    variance, degrees, by_seed = _over_seeds(a, b)
    half = student_quantile((1 + level) / 2, degrees) * math.sqrt(variance) if degrees else None
    if degrees:
        wider = _wider((high - low) / 2, tracks.groups - 1, variance, degrees, level)
        low, high = value - wider * (value - low), value + wider * (high - value)
    single = len(a.hits) == len(b.hits) == 1 and np.isin([ours, theirs], (0, 1)).all()
    found: dict[str, Any] = {
        "difference": value,
        "interval": [max(-1.0, low), min(1.0, high)],
        "interval_over_tracks": over_tracks,
        "interval_over": b.over,
        "interval_over_seeds": None if half is None else [value - half, value + half],
        "by_seed": by_seed,
        "n": len(b.ids),
        "mcnemar": None,
        "tracks_needed": None,
    }
    if single:
        counts = mcnemar(ours, theirs)
        found["mcnemar"] = {"only_this": counts.only_a, "only_other": counts.only_b, "p_value": counts.p_value}
        disagreement = (counts.only_a + counts.only_b) / len(b.ids)
        found["tracks_needed"] = tracks_to_tell_apart(disagreement, value)
    if single and b.groups is None:
        found |= {"test": "McNemar exact", "p_value": found["mcnemar"]["p_value"]}
    else:
        found |= {"test": f"sign flip over {b.over}", "p_value": sign_flip(ours, theirs, groups=b.groups)}
    return found


def corrected(effects: Sequence[dict[str, Any]]) -> None:
    """Put Holm's correction over all of them into each, and whether it is told from nothing.

    That asks for both: a small p-value, which is about tracks, and an interval without 0, which knows of seeds too.
    """
    for one, p_holm in zip(effects, holm([one["p_value"] for one in effects]), strict=True):
        low, high = one["interval"]
        one["p_holm"] = p_holm
        one["told_apart"] = p_holm < 1 - LEVEL and not low <= 0 <= high


def in_order(a: Answers, ids: Sequence[str]) -> Answers:
    """The same answers in the order of other ids, which are checked to be the same tracks."""
    from tonearm.evaluation.paired import align

    if a.ids == tuple(ids):
        return a
    rows = align(ids, a.ids, names=("the first", "another"))
    groups = None if a.groups is None else [a.groups[row] for row in rows.tolist()]
    return Answers(a.hits[:, rows], a.seeds, tuple(ids), groups, a.over)


def _over_seeds(a: Answers, b: Answers) -> tuple[float, int, list[float] | None]:
    """Variance of the difference over seeds with its degrees of freedom, 0 where there is no telling; and the
    difference per seed where the seeds are the same."""
    mine, others = a.hits.mean(axis=1), b.hits.mean(axis=1)
    if a.seeds == b.seeds:
        by_seed = (mine - others).tolist()
        return (
            (float(np.var(by_seed, ddof=1)) / len(mine), len(mine) - 1, by_seed) if len(mine) > 1 else (0, 0, by_seed)
        )
    several = [values for values in (mine, others) if len(values) > 1]
    if not several:
        return 0.0, 0, None
    # Careful: Welch's degrees of freedom are never fewer.
    return sum(float(np.var(some, ddof=1)) / len(some) for some in several), min(map(len, several)) - 1, None


def _wider(half: float, track_degrees: int, variance: float, degrees: int, level: float) -> float:
    """How many times as wide an interval over tracks of that half-width is when it knows of seeds too."""
    of_tracks = (half / student_quantile((1 + level) / 2, max(1, track_degrees))) ** 2
    both = of_tracks + variance
    if not of_tracks or not variance:
        return 1.0
    joint = both**2 / (of_tracks**2 / max(1, track_degrees) + variance**2 / degrees)
    return student_quantile((1 + level) / 2, max(1, int(joint))) * math.sqrt(both) / half
