"""Intervals against scipy, and against the truth they promise to cover."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation.intervals import (
    bootstrap,
    exact_at_edges,
    expanded_tail,
    mean_interval,
    over_seeds,
    rate_interval,
    resample_sums,
)
from tonearm.evaluation.student import student_quantile


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 13, 29, 30, 31, 100, 2000])
def test_student_quantile_equals_scipy(degrees):
    for probability in (0.005, 0.025, 0.3, 0.5, 0.6, 0.9, 0.975, 0.999):
        expected = stats.t.ppf(probability, degrees)
        assert student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_student_quantile_needs_a_degree():
    with pytest.raises(UsageError):
        student_quantile(0.9, 0)


def test_mean_equals_scipy_bootstrap():
    values = np.random.default_rng(0).exponential(size=120)
    ours = mean_interval(values, resamples=20_000)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=20_000,
        method="percentile",
        confidence_level=1 - 2 * expanded_tail(120),
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    width = ours.high - ours.low
    assert ours.low == pytest.approx(theirs.low, abs=0.02 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.02 * width)


def test_accelerated_equals_scipy_bca():
    generator = np.random.default_rng(2)
    x, y = generator.exponential(size=(2, 60))

    def correlation_like(sums):
        return (sums[:, 0] / np.sqrt(sums[:, 1] * sums[:, 2]))[:, None]

    parts = np.stack([x * y, x * x, y * y], axis=1)
    _, low, high = bootstrap(parts, correlation_like, accelerated=True, resamples=20_000)
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b, axis: (a * b).sum(axis) / np.sqrt((a * a).sum(axis) * (b * b).sum(axis)),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="BCa",
        confidence_level=1 - 2 * expanded_tail(60),
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = float(high[0] - low[0])
    assert low[0] == pytest.approx(theirs.low, abs=0.03 * width)
    assert high[0] == pytest.approx(theirs.high, abs=0.03 * width)


def test_sums_are_those_of_resampled_groups():
    """Each resample holds as many groups as there are, each whole: sums of a one per row and of sizes agree."""
    generator = np.random.default_rng(0)
    groups = [f"artist {index}" for index in generator.integers(0, 30, 200)]
    sizes = np.array([groups.count(name) for name in dict.fromkeys(groups)], dtype=float)
    per_group = np.array([1 / groups.count(name) for name in groups])
    sums = resample_sums(np.stack([np.ones(200), per_group], axis=1), groups=groups, resamples=4000, seed=3)
    np.testing.assert_allclose(sums[:, 1], len(sizes))
    assert sums[:, 0].mean() == pytest.approx(200, rel=0.01)
    expected = math.sqrt(len(sizes)) * sizes.std()
    assert sums[:, 0].std() == pytest.approx(expected, rel=0.05)


def test_one_seed_one_answer():
    values = np.random.default_rng(0).random(50) < 0.6
    assert rate_interval(values, seed=4) == rate_interval(values, seed=4)
    assert rate_interval(values, seed=4) != rate_interval(values, seed=5)
    groups = np.arange(50).astype(str)
    assert rate_interval(values, groups=groups, over="tracks") == rate_interval(values)


def test_blocks_change_nothing_but_memory(monkeypatch):
    values = np.random.default_rng(0).random(40)
    whole = resample_sums(values, resamples=500)
    assert whole.shape == (500, 1)
    monkeypatch.setattr("tonearm.evaluation.intervals._BLOCK", 1000)
    np.testing.assert_allclose(resample_sums(values, resamples=500), whole)


@pytest.mark.parametrize("n", [1, 3, 20, 800])
def test_all_right_and_all_wrong_are_not_certain(n):
    expected = stats.binomtest(n, n).proportion_ci(method="exact")
    found = rate_interval(np.ones(n, dtype=bool))
    assert (found.low, found.high, found.method) == (pytest.approx(expected.low), 1.0, "exact")
    found = rate_interval(np.zeros(n))
    assert (found.low, found.high, found.method) == (0.0, pytest.approx(1 - expected.low), "exact")


def test_groups_and_not_tracks_make_all_right():
    found = rate_interval(np.ones(30), groups=["a"] * 15 + ["b"] * 15)
    assert found.low == pytest.approx(0.025**0.5)
    assert (found.n, found.groups) == (30, 2)


def test_one_group_says_nothing_of_others():
    found = rate_interval([1, 0, 1], groups=["a"] * 3)
    assert (found.low, found.high, found.method) == (0.0, 1.0, "none")
    found = mean_interval([2.5, 1.0], groups=["a", "a"])
    assert found.pair() == [None, None]
    assert mean_interval([3.0]).pair() == [None, None]


def test_equal_groups_are_not_certain():
    found = rate_interval([1, 0, 1, 0, 1, 0], groups=list("aabbcc"))
    assert found.low < 0.5 < found.high


def test_exact_only_at_the_edges():
    assert math.isnan(exact_at_edges(0.5, 10)[0])
    assert math.isnan(exact_at_edges(1.0, 0)[0])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "one number per track"),
        ([[1, 0]], "one number per track"),
        ([1, np.nan], "row 1"),
        ([0.5, 2], "from 0 to 1"),
    ],
)
def test_rubbish_is_refused(values, words):
    with pytest.raises(TonearmError, match=words):
        rate_interval(values)


def test_levels_and_resamples_are_checked():
    with pytest.raises(UsageError, match="level"):
        rate_interval([1, 0], level=95)
    with pytest.raises(TonearmError, match="10 resamples"):
        rate_interval([1, 0], resamples=10)
    assert rate_interval([1, 0] * 50, level=0.5).low > rate_interval([1, 0] * 50).low


def covered(make, truth: float, simulations: int = 500) -> float:
    hits = 0
    for index in range(simulations):
        values, groups = make(np.random.default_rng(index))
        found = rate_interval(values, groups=groups, resamples=1000, seed=index)
        hits += found.low <= truth <= found.high
    return hits / simulations


@pytest.mark.parametrize(("n", "rate"), [(100, 0.6), (290, 0.6), (290, 0.9), (800, 0.46)])
def test_interval_over_tracks_covers_the_truth(n, rate):
    assert 0.93 <= covered(lambda generator: (generator.random(n) < rate, None), rate) <= 0.97


def artists(generator, n_artists=80, rate=0.6):
    """Tracks of artists of which some are hard and some easy; 3 or so each."""
    artist = np.repeat(np.arange(n_artists), 1 + generator.geometric(0.4, n_artists))
    ease = generator.beta(2 * rate, 2 * (1 - rate), n_artists)
    return generator.random(len(artist)) < ease[artist], artist


def test_interval_over_artists_covers_the_truth():
    assert 0.93 <= covered(lambda generator: artists(generator), 0.6) <= 0.97


def test_interval_over_tracks_does_not_where_artists_matter():
    assert covered(lambda generator: (artists(generator)[0], None), 0.6) < 0.91


def test_few_artists_are_covered():
    assert covered(lambda generator: artists(generator, n_artists=12), 0.6) >= 0.91


def test_macro_f1_covers_the_truth():
    """Ten genres of ten tracks: percentiles fail there (macro F1 of few is biased), accelerated ones do not."""

    def combine(sums):
        hits, n, given = np.split(sums, 3, axis=1)
        return (2 * hits / np.maximum(n + given, 1)).mean(axis=1, keepdims=True)

    def draw(generator, n):
        truth = generator.integers(0, 10, n)
        return truth, np.where(generator.random(n) < 0.45, truth, generator.integers(0, 10, n))

    goal = f1_score(*draw(np.random.default_rng(9), 500_000), average="macro")
    hits = {False: 0, True: 0}
    one_hot = np.eye(10)
    for index in range(500):
        truth, answer = draw(np.random.default_rng(index), 100)
        parts = np.concatenate([one_hot[truth] * one_hot[answer], one_hot[truth], one_hot[answer]], axis=1)
        for accelerated in hits:
            _, low, high = bootstrap(parts, combine, accelerated=accelerated, resamples=1000, seed=index)
            hits[accelerated] += low[0] <= goal <= high[0]
    assert hits[False] < hits[True]
    assert 0.93 <= hits[True] / 500 <= 0.97


def test_eight_thousand_tracks_take_under_a_second():
    right = np.random.default_rng(0).random(8000) < 0.6
    groups = np.random.default_rng(1).integers(0, 2500, 8000)
    for chosen in (None, groups):
        start = time.process_time()
        rate_interval(right, groups=chosen)
        assert time.process_time() - start < 1


def test_seeds_and_sampling_are_apart():
    generator = np.random.default_rng(0)
    right = generator.random((5, 400)) < 0.6
    found = over_seeds(right)
    values = right.mean(axis=1)
    assert found.values == tuple(values)
    assert (found.mean, found.sd) == (pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)))
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    assert found.sampling == rate_interval(right.mean(axis=0))
    # The same answers from every seed: no spread of seeds, all of the sampling.
    same = over_seeds(np.repeat(right[:1], 3, axis=0))
    assert same.sd == pytest.approx(0)
    assert same.sampling == rate_interval(right[0])


def test_one_seed_has_no_spread():
    found = over_seeds(np.array([[1, 0, 1]]))
    assert math.isnan(found.sd)
    assert math.isnan(found.low)
    assert found.sampling.low < found.sampling.high
    with pytest.raises(TonearmError, match="seeds, tracks"):
        over_seeds(np.array([1, 0, 1]))
