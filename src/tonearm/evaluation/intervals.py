"""95 % intervals by bootstrap over tracks, or over artists where they are known; seeds kept apart from sampling.

Everything here is a function of sums over tracks: accuracy is (tracks that are right) / (tracks), F1 comes from three
counts per class. So a resample is a vector of counts, all resamples are one matrix product, and many figures share
the same resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation.predictions import PredictionsError, group_codes
from tonearm.evaluation.student import student_quantile

RESAMPLES = 2000
LEVEL = 0.95

_BLOCK = 1_000_000  # counts held at once: some 25 MB, whatever the number of tracks

Groups = Sequence[str] | np.ndarray | None
Combine = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with what sampling other tracks would do to it.

    `groups` independent things were resampled, named by `over`; `method` is bootstrap, exact (all right or all wrong,
    where a bootstrap would claim certainty) or none (a single group says nothing of others).
    """

    value: float
    low: float
    high: float
    n: int
    groups: int
    over: str = "tracks"
    method: str = "bootstrap"
    level: float = LEVEL

    def pair(self) -> list[float | None]:
        """[low, high] for JSON; null where there is none."""
        return [None if math.isnan(edge) else edge for edge in (self.low, self.high)]


def resample_sums(parts: np.ndarray, *, groups: Groups = None, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Sums over resampled groups (resamples, columns) of `parts` (n, columns), drawn with replacement, seeded."""
    totals = _group_totals(parts, groups)
    n_groups = len(totals)
    generator = np.random.default_rng(seed)
    sums = np.empty((resamples, totals.shape[1]))
    block = max(1, _BLOCK // n_groups)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = generator.integers(0, n_groups, size=(rows, n_groups))
        drawn += np.arange(rows)[:, None] * n_groups
        counts = np.bincount(drawn.ravel(), minlength=rows * n_groups).reshape(rows, n_groups)
        sums[start : start + rows] = counts.astype(np.float64) @ totals
    return sums


def bootstrap(
    parts: np.ndarray,
    combine: Combine,
    *,
    groups: Groups = None,
    accelerated: bool = False,
    rest_on: Sequence[int] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Figures with their intervals: (values, low, high), each (figures,), NaN where there is none.

    `parts` (n, columns) is what each row adds; `combine` makes figures (resamples, figures) of sums (resamples,
    columns), NaN where a resample has none. Percentiles, a little wider where groups are few (Hesterberg, The American
    Statistician 69, 2015). `accelerated` is BCa (Efron, JASA 82, 1987): for figures that are no means and so biased,
    above all macro F1, whose percentiles cover 80 to 91 % where genres have few tracks; means gain nothing from it.
    `rest_on` (figures,) is how many groups each figure rests on, where that is not all: three artists of a genre.
    """
    _check(resamples, level)
    totals = _group_totals(parts, groups)
    sums = totals.sum(axis=0, keepdims=True)
    values = combine(sums)[0]
    n_groups = len(totals)
    if n_groups < 2:
        return values, np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    drawn = combine(resample_sums(totals, resamples=resamples, seed=seed))
    counts = [n_groups] * len(values) if rest_on is None else [max(2, count) for count in rest_on]
    lower = np.array([expanded_tail(count, level) for count in counts])
    tails = np.stack([lower, 1 - lower])
    if accelerated:
        tails = _accelerated_tails(values, drawn, combine(sums - totals), tails)
    low, high = np.array([_quantiles(*column) for column in zip(drawn.T, tails.T, strict=True)]).T
    if accelerated:  # where the bias is strong it may read both ends on one side of the figure itself
        low, high = np.minimum(low, values), np.maximum(high, values)
    undefined = np.isnan(values)
    return values, np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def mean_interval(
    values: np.ndarray,
    *,
    groups: Groups = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    over: str | None = None,
) -> Interval:
    """Interval of the mean of `values` (n,), any number per track."""
    values = _checked_values(values)
    parts = np.stack([values, np.ones(len(values))], axis=1)
    found, low, high = bootstrap(parts, ratio, groups=groups, resamples=resamples, level=level, seed=seed)
    _, n_groups = group_codes(groups, len(values))
    return Interval(
        value=float(found[0]),
        low=float(low[0]),
        high=float(high[0]),
        n=len(values),
        groups=n_groups,
        over=over or ("tracks" if groups is None else "groups"),
        method="bootstrap" if n_groups > 1 else "none",
        level=level,
    )


def rate_interval(
    right: np.ndarray,
    *,
    groups: Groups = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    over: str | None = None,
) -> Interval:
    """Interval of a share of tracks, from `right` (n,) of bool, or of 0 to 1 where seeds were averaged."""
    values = _checked_values(right)
    if values.min() < 0 or values.max() > 1:
        raise PredictionsError("a share needs values from 0 to 1 per track")
    found = mean_interval(values, groups=groups, resamples=resamples, level=level, seed=seed, over=over)
    low, high = exact_at_edges(found.value, found.groups, level)
    if not math.isnan(low):
        return replace(found, low=low, high=high, method="exact")
    if found.method == "none":
        return replace(found, low=0.0, high=1.0)
    if found.low == found.high and groups is not None:
        # Two artists with one of two tracks right each: equal groups are chance, and not certainty.
        return rate_interval(values, resamples=resamples, level=level, seed=seed)
    return found


def exact_at_edges(rate: float, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of a rate of exactly 0 or 1 in `trials` independent trials (Clopper and Pearson 1934), else NaN.

    All resamples of tracks that are all right are all right: the bootstrap would say [1, 1] of three tracks.
    """
    if trials < 1 or rate not in (0.0, 1.0):
        return math.nan, math.nan
    edge = ((1 - level) / 2) ** (1 / trials)
    return (edge, 1.0) if rate == 1.0 else (0.0, 1 - edge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """A figure over seeds: `sampling` is what other tracks would do to their mean, the rest what other seeds do.

    `sd` and the interval of the mean over seeds (Student's t) are NaN for one seed: it says nothing of others.
    """

    values: tuple[float, ...]
    mean: float
    sd: float
    low: float
    high: float
    sampling: Interval


def over_seeds(
    right: np.ndarray,
    *,
    groups: Groups = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    over: str | None = None,
) -> Seeds:
    """Accuracy of one system trained with several seeds, from `right` (seeds, tracks), the same tracks in each row."""
    right = np.asarray(right, dtype=np.float64)
    if right.ndim != 2 or right.size == 0:
        raise PredictionsError(f"over seeds needs the shape (seeds, tracks), not {right.shape}")
    values = right.mean(axis=1)
    mean, n_seeds = float(values.mean()), len(values)
    sd = low = high = math.nan
    if n_seeds > 1:
        sd = float(values.std(ddof=1))
        half = student_quantile((1 + level) / 2, n_seeds - 1) * sd / math.sqrt(n_seeds)
        low, high = mean - half, mean + half
    sampling = rate_interval(right.mean(axis=0), groups=groups, resamples=resamples, level=level, seed=seed, over=over)
    return Seeds(values=tuple(values.tolist()), mean=mean, sd=sd, low=low, high=high, sampling=sampling)


def ratio(sums: np.ndarray) -> np.ndarray:
    """First column over second, as one figure: the mean where the second counts tracks."""
    return sums[:, :1] / sums[:, 1:2]


@lru_cache(maxsize=4096)
def expanded_tail(n_groups: int, level: float = LEVEL) -> float:
    """The percentile to read so that few groups do not give too narrow an interval (Hesterberg 2015)."""
    quantile = student_quantile((1 - level) / 2, n_groups - 1)
    return NormalDist().cdf(quantile * math.sqrt(n_groups / (n_groups - 1)))


def _group_totals(parts: np.ndarray, groups: Groups) -> np.ndarray:
    parts = _columns(parts)
    if groups is None:
        return parts
    codes, n_groups = group_codes(groups, len(parts))
    columns = [np.bincount(codes, weights=column, minlength=n_groups) for column in parts.T]
    return np.stack(columns, axis=1)


def _quantiles(drawn: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Quantiles of one figure (resamples,); a genre that some resamples lack has its figures from the others."""
    defined = drawn[~np.isnan(drawn)]
    return np.quantile(defined, tails) if defined.size else np.full(2, np.nan)


def _accelerated_tails(values: np.ndarray, drawn: np.ndarray, left_out: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """The percentiles (2, figures) that BCa reads, from figures with each group left out (groups, figures)."""
    normal = NormalDist()
    adjusted = np.empty_like(tails)
    for index, value in enumerate(values.tolist()):
        column, others = drawn[:, index], left_out[:, index]
        column, others = column[~np.isnan(column)], others[~np.isnan(others)]
        if math.isnan(value) or not column.size or not others.size:
            adjusted[:, index] = tails[:, index]
            continue
        below = ((column < value).mean() + (column <= value).mean()) / 2
        bias = normal.inv_cdf(min(max(below, 0.5 / len(column)), 1 - 0.5 / len(column)))
        influence = others.mean() - others
        spread = (influence**2).sum() ** 1.5
        acceleration = (influence**3).sum() / (6 * spread) if spread > 0 else 0.0
        for end in (0, 1):
            z = bias + normal.inv_cdf(min(max(tails[end, index], 1e-12), 1 - 1e-12))
            adjusted[end, index] = normal.cdf(bias + z / (1 - acceleration * z))
    return adjusted


def _columns(parts: np.ndarray) -> np.ndarray:
    parts = np.asarray(parts, dtype=np.float64)
    if parts.ndim == 1:
        parts = parts[:, None]
    if len(parts) == 0:
        raise PredictionsError("there is nothing to resample: no rows", hint="is the part of the split empty?")
    return parts


def _checked_values(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise PredictionsError(f"an interval needs one number per track, not the shape {values.shape}")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise PredictionsError(f"row {row} is not a number: there is no interval over it")
    return values


def _check(resamples: int, level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level {level} is not between 0 and 1", hint="0.95 for a 95 % interval")
    if resamples < 100:
        raise TonearmError(f"{resamples} resamples give no interval", hint=f"at least 100, {RESAMPLES} as a rule")
