"""Is one model better than another? Tests on the same tracks, and what may be compared at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

import numpy as np

from tonearm.errors import UsageError
from tonearm.evaluation.intervals import (
    LEVEL,
    RESAMPLES,
    Groups,
    Interval,
    exact_at_edges,
    mean_interval,
)
from tonearm.evaluation.metrics import right
from tonearm.evaluation.predictions import Predictions, PredictionsError, group_codes, some_of

_BLOCK = 1_000_000
_FLIPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a figure comes from, as far as comparing it goes. Empty text: not known, which is no excuse."""

    dataset: str
    split_hash: str
    part: str
    unit: str = "track"


def differences(a: Origin, b: Origin) -> list[str]:
    """Why two figures may not be compared, in words; nothing where they may."""
    reasons = []
    if a.unit != b.unit:
        reasons.append(f"one is per {a.unit}, the other per {b.unit}")
    if a.dataset != b.dataset:
        reasons.append(f"different datasets: {a.dataset or 'unknown'} and {b.dataset or 'unknown'}")
    if a.part != b.part:
        reasons.append(f"different parts: {a.part or 'unknown'} and {b.part or 'unknown'}")
    if a.split_hash != b.split_hash or not a.split_hash:
        known = bool(a.split_hash and b.split_hash)
        reasons.append("different splits" if known else "the split of one or both is not known")
    return reasons


def comparable(a: Origin, b: Origin, *, names: tuple[str, str] = ("a", "b")) -> None:
    """Refuse to compare figures of different splits, parts, datasets or units. To mark them: `differences`."""
    reasons = differences(a, b)
    if reasons:
        raise UsageError(
            f"{names[0]} and {names[1]} cannot be compared: {'; '.join(reasons)}",
            hint="evaluate both on the same part of the same split file",
            code="not-comparable",
        )


def align(ids: Sequence[str], other_ids: Sequence[str], *, names: tuple[str, str] = ("a", "b")) -> np.ndarray:
    """Rows of `other_ids` in the order of `ids` (n,), refused unless both are the same set."""
    row = {name: index for index, name in enumerate(other_ids)}
    if len(row) < len(other_ids) or len(set(ids)) < len(ids):
        raise PredictionsError("ids stand more than once: a paired test needs one row per track")
    missing = [name for name in ids if name not in row]
    known = set(ids)
    extra = [name for name in other_ids if name not in known]
    if missing or extra:
        parts = [
            f"{len(names_missing)} tracks are in {has} and not in {lacks}: {some_of(names_missing)}"
            for names_missing, has, lacks in ((missing, *names), (extra, *reversed(names)))
            if names_missing
        ]
        raise PredictionsError(
            "; ".join(parts), hint="evaluate both on the same part of the same split", code="differing-tracks"
        )
    return np.array([row[name] for name in ids], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """How two models agree on n tracks; `p_value` is exact, `mid_p` less careful and nearer to the named level."""

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    p_value: float
    mid_p: float


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> McNemar:
    """Exact McNemar test on the tracks that one model has right and the other wrong, from (n,) bool each.

    McNemar, Psychometrika 12, 1947; mid-p: Fagerland et al., BMC Medical Research Methodology 13, 2013.
    """
    a, b = _same_tracks(right_a, right_b)
    if not np.isin([a, b], (0, 1)).all():
        raise PredictionsError("McNemar's test needs right or wrong per track, not a mean over seeds or segments")
    a, b = a > 0, b > 0
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    discordant, fewer = only_a + only_b, min(only_a, only_b)
    # Sums of binomial terms as logs: 2 ** -n leaves the range of floats from 1,075 tracks on.
    log_terms = [
        math.lgamma(discordant + 1) - math.lgamma(k + 1) - math.lgamma(discordant - k + 1) - discordant * math.log(2)
        for k in range(fewer + 1)
    ]
    tail = math.fsum(math.exp(term) for term in log_terms)
    p_value = 1.0 if only_a == only_b else min(1.0, 2 * tail)
    mid_p = 1.0 if only_a == only_b else 2 * tail - math.exp(log_terms[-1])
    both = int((a & b).sum())
    return McNemar(
        both_right=both,
        only_a=only_a,
        only_b=only_b,
        both_wrong=len(a) - both - discordant,
        p_value=p_value,
        mid_p=mid_p,
    )


def sign_flip(values_a: np.ndarray, values_b: np.ndarray, *, groups: Groups = None, seed: int = 0) -> float:
    """p-value of equal means over groups of tracks, by exchanging the two models in whole groups.

    With one track per group and right/wrong this is McNemar's exact test by chance; an artist of many tracks counts
    once, which McNemar's test cannot. All exchanges where there are at most 13 groups, else 10,000 drawn.
    """
    a, b = _same_tracks(values_a, values_b)
    codes, n_groups = group_codes(groups, len(a))
    totals = np.bincount(codes, weights=a - b, minlength=n_groups)
    totals = totals[np.abs(totals) > 1e-12]  # equal groups add nothing under any exchange
    if not totals.size:
        return 1.0
    found = abs(totals.sum()) * (1 - 1e-9)
    if len(totals) <= 13:
        bits = (np.arange(2 ** len(totals))[:, None] >> np.arange(len(totals))) & 1
        return float((np.abs((2 * bits - 1) @ totals) >= found).mean())
    generator = np.random.default_rng(seed)
    reached, block = 0, max(1, _BLOCK // len(totals))
    for start in range(0, _FLIPS, block):
        rows = min(block, _FLIPS - start)
        signs = generator.integers(0, 2, size=(rows, len(totals)), dtype=np.int8) * np.float64(2) - 1
        reached += int((np.abs(signs @ totals) >= found).sum())
    return (reached + 1) / (_FLIPS + 1)


def paired_difference(
    values_a: np.ndarray,
    values_b: np.ndarray,
    *,
    groups: Groups = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    over: str | None = None,
) -> Interval:
    """Mean of a - b over the same tracks (n,), with its paired bootstrap interval: right/wrong, or any number."""
    a, b = _same_tracks(values_a, values_b)
    found = mean_interval(a - b, groups=groups, resamples=resamples, level=level, seed=seed, over=over)
    if np.ptp(a - b) > 0 or not np.isin([a, b], (0, 1)).all():
        return found
    # Never apart, or always the same way: what a bootstrap takes for certainty is a rate of 0 or 1.
    low, high = exact_at_edges(abs(found.value), found.groups, level)
    edges = {0.0: (-high, high), 1.0: (low, high), -1.0: (-high, -low)}[found.value]
    return replace(found, low=edges[0], high=edges[1], method="exact")


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979), in the given order."""
    array = np.asarray(p_values, dtype=np.float64)
    if not ((array >= 0) & (array <= 1)).all():
        raise UsageError("p-values must be between 0 and 1")
    order = np.argsort(array, kind="stable")
    corrected = np.empty(len(array))
    corrected[order] = np.maximum.accumulate(array[order] * np.arange(len(array), 0, -1))
    return np.minimum(corrected, 1.0).tolist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models on the same tracks: `difference` is accuracy of `a` minus that of `b`.

    `p_value` is McNemar's where tracks are independent and the sign-flip test's over artists where they are known;
    `p_holm` is corrected for all pairs compared. `tracks_needed` would tell them apart as they are, None: never.
    """

    a: str
    b: str
    difference: Interval
    counts: McNemar
    p_value: float
    p_holm: float
    test: str
    tracks_needed: int | None


def compare(
    models: Mapping[str, Predictions],
    *,
    against: str | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Pair]:
    """Every pair of models, or each against one, on the same tracks, with Holm's correction over all of them."""
    if len(models) < 2:
        raise UsageError("a comparison needs two models or more")
    if against is not None and against not in models:
        raise UsageError(f"{against!r} is not among the models compared", hint=", ".join(models))
    first_name, first = next(iter(models.items()))
    correct = {name: _right_in_order(first_name, first, name, model) for name, model in models.items()}
    if against is None:
        pairs = list(combinations(models, 2))
    else:
        pairs = [(name, against) for name in models if name != against]
    groups, over = _artists(first, models), "artists"
    if groups is None:
        over = "tracks"
    found = []
    for a, b in pairs:
        counts = mcnemar(correct[a], correct[b])
        difference = paired_difference(
            correct[a], correct[b], groups=groups, resamples=resamples, level=level, seed=seed, over=over
        )
        p_value = sign_flip(correct[a], correct[b], groups=groups, seed=seed) if over == "artists" else counts.p_value
        disagreement = (counts.only_a + counts.only_b) / len(first)
        found.append((a, b, difference, counts, p_value, tracks_to_tell_apart(disagreement, difference.value)))
    corrected = holm([p_value for *_, p_value, _ in found])
    test = "sign flip over artists" if over == "artists" else "McNemar exact"
    return [
        Pair(a=a, b=b, difference=difference, counts=counts, p_value=p, p_holm=p_holm, test=test, tracks_needed=needed)
        for (a, b, difference, counts, p, needed), p_holm in zip(found, corrected, strict=True)
    ]


def tracks_to_tell_apart(
    disagreement: float, difference: float, *, power: float = 0.8, level: float = LEVEL
) -> int | None:
    """How many tracks tell two models apart by McNemar's test; None where they do not differ.

    `disagreement` is the share of tracks that just one of them has right, `difference` that of their accuracies
    (Connor, Biometrics 43, 1987), with the tracks that the exact test asks for on top.
    """
    distance = abs(difference)
    if not 0 <= disagreement <= 1 or distance > disagreement + 1e-9:
        raise UsageError(
            f"a difference of {difference:g} with a disagreement of {disagreement:g} cannot be",
            hint="disagreement is a share from 0 to 1 and at least the difference",
        )
    if not 0 < power < 1:
        raise UsageError(f"power {power} is not between 0 and 1", hint="0.8 as a rule")
    if distance == 0:
        return None
    z_level, z_power = (NormalDist().inv_cdf(p) for p in ((1 + level) / 2, power))
    spread = math.sqrt(max(0.0, disagreement - distance**2))
    tracks = ((z_level * math.sqrt(disagreement) + z_power * spread) / distance) ** 2
    return math.ceil(tracks + 1 / distance)


def smallest_difference(
    n_tracks: int, disagreement: float, *, power: float = 0.8, level: float = LEVEL
) -> float | None:
    """The difference of accuracies that `n_tracks` tell apart at this disagreement; None where not even all of it."""
    if disagreement <= 0:
        return None
    low, high = 0.0, disagreement
    if (tracks_to_tell_apart(disagreement, high, power=power, level=level) or math.inf) > n_tracks:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        needed = tracks_to_tell_apart(disagreement, middle, power=power, level=level) if middle else None
        low, high = (low, middle) if needed is not None and needed <= n_tracks else (middle, high)
    return high


def _right_in_order(first_name: str, first: Predictions, name: str, model: Predictions) -> np.ndarray:
    """Right or wrong (n,) in the order of the first model's tracks, refused where the two are not the same test."""
    if model.unit != "track":
        raise UsageError(f"{name} is per segment", hint="join segments into tracks first", code="not-comparable")
    rows = align(first.ids, model.ids, names=(first_name, name))
    labels = np.array(model.classes)[model.truth][rows]
    differs = np.flatnonzero(labels != np.array(first.classes)[first.truth])
    if differs.size:
        named = some_of([first.ids[row] for row in differs.tolist()])
        raise PredictionsError(f"{first_name} and {name} were given different genres for: {named}")
    return right(model.truth, model.probabilities)[rows]


def _artists(first: Predictions, models: Mapping[str, Predictions]) -> np.ndarray | None:
    """Artists in the order of the first model's tracks, from whichever model names them."""
    for model in models.values():
        if model.groups is not None:
            return np.array(model.groups)[align(first.ids, model.ids)]
    return None


def _same_tracks(values_a: np.ndarray, values_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = (np.asarray(values, dtype=np.float64) for values in (values_a, values_b))
    if a.shape != b.shape or a.ndim != 1:
        raise PredictionsError(f"a paired test needs two equally long rows, not {a.shape} and {b.shape}")
    if not a.size:
        raise PredictionsError("there is nothing to compare: no tracks")
    if not (np.isfinite(a) & np.isfinite(b)).all():
        raise PredictionsError("a paired test needs a number for every track")
    return a, b
