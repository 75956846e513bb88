"""Paired tests against scipy and statsmodels, and against what they promise in simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation import checked_predictions
from tonearm.evaluation.paired import (
    Origin,
    align,
    comparable,
    compare,
    differences,
    holm,
    mcnemar,
    paired_difference,
    sign_flip,
    smallest_difference,
    tracks_to_tell_apart,
)


def rows(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = [1] * both + [1] * only_a + [0] * only_b + [0] * neither
    b = [1] * both + [0] * only_a + [1] * only_b + [0] * neither
    return np.array(a, dtype=bool), np.array(b, dtype=bool)


COUNTS = [
    (10, 3, 8, 5),
    (0, 0, 0, 1),
    (1, 0, 0, 0),
    (0, 1, 0, 0),
    (5, 0, 7, 0),
    (100, 20, 20, 3),
    (40, 21, 20, 1),
    (3, 700, 640, 8),
    (0, 2000, 1850, 0),
]


@pytest.mark.parametrize("counts", COUNTS)
def test_mcnemar_equals_scipy_and_statsmodels(counts):
    found = mcnemar(*rows(*counts))
    assert (found.both_right, found.only_a, found.only_b, found.both_wrong) == counts
    both, only_a, only_b, neither = counts
    expected = reference_mcnemar([[both, only_a], [only_b, neither]], exact=True).pvalue
    assert found.p_value == pytest.approx(1.0 if np.isnan(expected) else expected, rel=1e-9)
    if only_a + only_b:
        assert found.p_value == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-9)
        fewer = min(only_a, only_b)
        mid = expected - stats.binom.pmf(fewer, only_a + only_b, 0.5)
        assert found.mid_p == pytest.approx(1.0 if only_a == only_b else mid, rel=1e-9)


def equal_models(generator, n=290, disagreement=0.2):
    """Two models of one skill that disagree on some tracks."""
    easy = generator.random(n) < 0.55
    apart = generator.random(n) < disagreement
    first = generator.random(n) < 0.5
    return np.where(apart, first, easy), np.where(apart, ~first, easy)


def test_equal_models_are_told_apart_in_five_of_a_hundred():
    generator = np.random.default_rng(1)
    pairs = [equal_models(generator) for _ in range(200)]
    exact = sum(mcnemar(a, b).p_value < 0.05 for a, b in pairs)
    mid = sum(mcnemar(a, b).mid_p < 0.05 for a, b in pairs)
    boot = sum(not d.low <= 0 <= d.high for d in (paired_difference(a, b, resamples=1000) for a, b in pairs))
    for rejected in (exact, mid, boot):
        assert 0.01 <= rejected / 200 <= 0.09
    assert exact <= mid


def artist_models(generator, n_artists=40):
    """Two models of one skill, each with artists that it likes: their tracks do not disagree independently."""
    artist = np.repeat(np.arange(n_artists), 1 + generator.geometric(0.25, n_artists))
    shared = generator.normal(size=len(artist))
    taste = generator.normal(size=(2, n_artists))[:, artist] + 0.5 * generator.normal(size=(2, len(artist)))
    return shared + taste[0] > 0, shared + taste[1] > 0, artist


def test_artists_are_flipped_whole():
    generator = np.random.default_rng(2)
    flipped = tracks = boot = 0
    for index in range(200):
        a, b, artist = artist_models(generator)
        flipped += sign_flip(a, b, groups=artist, seed=index) < 0.05
        tracks += mcnemar(a, b).p_value < 0.05
        difference = paired_difference(a, b, groups=artist, resamples=500, seed=index)
        boot += not difference.low <= 0 <= difference.high
    assert 0.01 <= flipped / 200 <= 0.09
    assert 0.01 <= boot / 200 <= 0.10
    assert tracks / 200 > 0.12  # McNemar's test takes tracks of one artist for independent


@pytest.mark.parametrize("counts", [(10, 3, 8, 5), (5, 0, 7, 0), (4, 6, 6, 1), (40, 30, 12, 9), (9, 0, 0, 9)])
def test_sign_flip_of_single_tracks_is_mcnemar(counts):
    a, b = rows(*counts)
    assert sign_flip(a, b) == pytest.approx(mcnemar(a, b).p_value, abs=0.012 if sum(counts[1:3]) > 13 else 1e-12)


def test_sign_flip_equals_scipy_permutation_test():
    generator = np.random.default_rng(0)
    a, b = generator.normal(loc=[[0.5], [0.0]], size=(2, 11))
    expected = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert sign_flip(a, b) == pytest.approx(expected)


def test_paired_difference_is_of_pairs():
    generator = np.random.default_rng(0)
    a, b = equal_models(generator, n=500, disagreement=0.1)
    found = paired_difference(a, b)
    delta = a.astype(float) - b
    half = 1.96 * delta.std() / np.sqrt(500)
    assert found.value == pytest.approx(delta.mean())
    assert found.low == pytest.approx(delta.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(delta.mean() + half, abs=0.1 * half)
    turned = paired_difference(b, a)
    assert turned.value == -found.value


def test_paired_difference_of_models_never_or_always_apart():
    a, b = rows(10, 0, 0, 10)
    found = paired_difference(a, b)
    edge = 1 - 0.025 ** (1 / 20)
    assert (found.value, found.low, found.high) == (0.0, pytest.approx(-edge), pytest.approx(edge))
    always, never = np.ones(20), np.zeros(20)
    found = paired_difference(always, never)
    assert (found.value, found.low, found.high) == (1.0, pytest.approx(1 - edge), 1.0)
    found = paired_difference(never, always)
    assert (found.value, found.low, found.high) == (-1.0, -1.0, pytest.approx(edge - 1))
    assert paired_difference([2.5, 3.0], [1.5, 2.0]).value == 1.0


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_holm_equals_statsmodels(n):
    p_values = np.random.default_rng(n).random(n) ** 3
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])


def test_holm_with_ties_and_edges():
    p_values = [0.0, 1.0, 0.02, 0.02, 0.5, 0.02]
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])
    assert holm([]) == []
    with pytest.raises(UsageError):
        holm([0.5, np.nan])


@pytest.mark.parametrize(("disagreement", "difference"), [(0.2, 0.05), (0.2, 0.1), (0.1, 0.04), (0.4, 0.2)])
def test_so_many_tracks_give_the_power_named(disagreement, difference):
    n = tracks_to_tell_apart(disagreement, difference)
    generator = np.random.default_rng(0)
    a_first = (disagreement + difference) / 2
    found = 0
    for _ in range(1000):
        only_a, only_b, _ = generator.multinomial(n, [a_first, disagreement - a_first, 1 - disagreement])
        found += stats.binomtest(only_a, only_a + only_b).pvalue < 0.05 if only_a + only_b else 0
    assert 0.76 <= found / 1000 <= 0.85
    assert tracks_to_tell_apart(disagreement, -difference) == n
    assert smallest_difference(n, disagreement) == pytest.approx(difference, rel=0.01)


def test_no_number_of_tracks_tells_equal_models_apart():
    assert tracks_to_tell_apart(0.2, 0.0) is None
    assert tracks_to_tell_apart(0.0, 0.0) is None
    assert tracks_to_tell_apart(1.0, 1.0) is not None
    assert smallest_difference(10, 0.0) is None
    assert smallest_difference(5, 0.1) is None
    with pytest.raises(UsageError, match="cannot be"):
        tracks_to_tell_apart(0.1, 0.2)
    with pytest.raises(UsageError, match="power"):
        tracks_to_tell_apart(0.2, 0.1, power=1)


def test_align_finds_the_rows():
    assert align(["a", "b", "c"], ["c", "a", "b"]).tolist() == [1, 2, 0]


def test_align_names_what_differs():
    with pytest.raises(TonearmError) as caught:
        align(["a", "b", "x1", "x2"], ["b", "a", "y"], names=("cnn", "svm"))
    assert "2 tracks are in cnn and not in svm: x1, x2" in str(caught.value)
    assert "1 tracks are in svm and not in cnn: y" in str(caught.value)
    assert caught.value.code == "differing-tracks"
    with pytest.raises(TonearmError, match="more than once"):
        align(["a", "b"], ["a", "a"])


def models(draw, n=200, groups=None):
    truth, first = draw(n, 5, 0, 1.5)
    names = [f"g{index}" for index in range(5)]
    ids = np.array([f"t{index}" for index in range(n)])
    found = {"cnn": checked_predictions(ids, truth, first, names, groups=groups)}
    generator = np.random.default_rng(1)
    for name, noise in (("svm", 0.3), ("knn", 3.0)):
        blurred = first * np.exp(noise * generator.normal(size=first.shape))
        blurred /= blurred.sum(axis=1, keepdims=True)
        order = generator.permutation(n)
        found[name] = checked_predictions(ids[order], truth[order], blurred[order], names)
    return found


def test_compare_all_pairs(draw):
    found = compare(models(draw))
    assert [(pair.a, pair.b) for pair in found] == [("cnn", "svm"), ("cnn", "knn"), ("svm", "knn")]
    np.testing.assert_allclose([p.p_holm for p in found], multipletests([p.p_value for p in found], method="holm")[1])
    assert {pair.test for pair in found} == {"McNemar exact"}
    by_name = {(pair.a, pair.b): pair for pair in found}
    assert by_name["cnn", "knn"].p_holm < 0.05 < by_name["cnn", "svm"].p_value
    assert by_name["cnn", "knn"].difference.low > 0
    assert by_name["cnn", "knn"].tracks_needed < 200
    assert [(pair.a, pair.b) for pair in compare(models(draw), against="svm")] == [("cnn", "svm"), ("knn", "svm")]


def test_compare_over_artists(draw):
    groups = [f"artist {index // 4}" for index in range(200)]
    found = compare(models(draw, groups=groups))
    assert found[0].test == "sign flip over artists"
    assert (found[0].difference.over, found[0].difference.groups) == ("artists", 50)
    two = models(draw, groups=groups)
    turned = compare({"knn": two["knn"], "cnn": two["cnn"]})[0]  # only the second names its artists
    assert turned.difference.groups == 50
    assert turned.p_value == pytest.approx(found[1].p_value, abs=0.01)


def test_compare_refuses_what_is_no_comparison(draw):
    two = models(draw)
    with pytest.raises(UsageError, match="two models"):
        compare({"cnn": two["cnn"]})
    with pytest.raises(UsageError, match="not among"):
        compare(two, against="lda")
    truth, probabilities = draw(200, 5)
    names = two["cnn"].classes
    two["other"] = checked_predictions(two["cnn"].ids, (truth + 1) % 5, probabilities, names)
    with pytest.raises(TonearmError, match="different genres for: t0, t1, t2, t3, t4 and 195 more"):
        compare(two)
    two["other"] = checked_predictions(two["cnn"].ids, truth, probabilities, names, unit="segment")
    with pytest.raises(UsageError, match="other is per segment"):
        compare(two)


def test_compare_takes_classes_in_another_order(draw):
    two = models(draw)
    cnn = two["cnn"]
    turned = checked_predictions(
        cnn.ids, [cnn.classes[index] for index in cnn.truth], cnn.probabilities[:, ::-1], cnn.classes[::-1]
    )
    pair = compare({"cnn": cnn, "turned": turned})[0]
    assert (pair.counts.only_a, pair.counts.only_b, pair.p_value) == (0, 0, 1.0)


def test_only_one_test_is_comparable():
    a = Origin(dataset="gtzan", split_hash="1f", part="test")
    comparable(a, Origin(dataset="gtzan", split_hash="1f", part="test"))
    for other, words in (
        (Origin(dataset="gtzan", split_hash="2e", part="test"), "different splits"),
        (Origin(dataset="gtzan", split_hash="1f", part="valid"), "different parts: test and valid"),
        (Origin(dataset="fma", split_hash="1f", part="test"), "different datasets: gtzan and fma"),
        (Origin(dataset="gtzan", split_hash="", part="test"), "split of one or both is not known"),
        (Origin(dataset="gtzan", split_hash="1f", part="test", unit="segment"), "per track, the other per segment"),
    ):
        assert words in " ".join(differences(a, other))
        with pytest.raises(UsageError, match=words) as caught:
            comparable(a, other, names=("cnn", "svm"))
        assert caught.value.code == "not-comparable"
        assert "cnn and svm" in str(caught.value)
    assert differences(Origin(dataset="x", split_hash="", part=""), Origin(dataset="x", split_hash="", part=""))


def test_mcnemar_is_of_right_and_wrong():
    with pytest.raises(TonearmError, match="mean over seeds"):
        mcnemar([0.5, 1], [1, 0])


@pytest.mark.parametrize("function", [mcnemar, sign_flip, paired_difference])
def test_rubbish_is_refused(function):
    for a, b in (([1, 0], [1]), ([], []), ([1, np.nan], [0, 1])):
        with pytest.raises(TonearmError):
            function(a, b)
