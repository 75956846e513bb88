"""What cannot be evaluated is refused and named; segments become tracks in one way only."""

from __future__ import annotations

import numpy as np
import pytest

from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation import Predictions, PredictionsError, checked_predictions, join_segments, match_classes
from tonearm.evaluation.predictions import JOINS, as_indices, as_probabilities, group_codes

CLASSES = ("blues", "jazz", "rock")
ROWS = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5]])


def made(**changes) -> Predictions:
    values = {"ids": ["a", "b", "c"], "truth": ["blues", "jazz", "jazz"], "probabilities": ROWS, "classes": CLASSES}
    return checked_predictions(**{**values, **changes})


def with_row(row) -> np.ndarray:
    rows = ROWS.copy()
    rows[1] = row
    return rows


def test_labels_become_indices():
    assert made().truth.tolist() == [0, 1, 1]
    assert made(truth=np.array([0, 1, 1])).truth.tolist() == [0, 1, 1]
    assert len(made()) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"probabilities": with_row([0.5, np.nan, 0.5])}, "b: a probability is not a number"),
        ({"probabilities": with_row([np.inf, 0, 0])}, "b: a probability is not a number"),
        ({"probabilities": with_row([-0.2, 0.7, 0.5])}, "b: a probability is below 0"),
        ({"probabilities": with_row([1.2, -0.1, -0.1])}, "b: a probability is below 0 or above 1"),
        ({"probabilities": with_row([0.5, 0.2, 0.1])}, r"b: probabilities sum to 0\.8"),
        ({"probabilities": ROWS[:2]}, "lengths differ: ids 3, truth 3, probabilities 2"),
        ({"truth": ["jazz"]}, "lengths differ"),
        ({"groups": ["x"]}, "lengths differ: ids 3, groups 1"),
        ({"probabilities": ROWS[:, :2]}, "2 columns for 3 classes"),
        ({"probabilities": ROWS[0]}, "shape"),
        ({"probabilities": [["a", "b", "c"]] * 3}, "not an array of numbers"),
        ({"truth": ["blues", "polka", "jazz"]}, "does not know: polka"),
        ({"truth": np.array([0, 1, 3])}, "row 2: class index 3"),
        ({"truth": np.array([0, -1, 2])}, "row 1: class index -1"),
        ({"classes": ()}, "no class names"),
        ({"classes": ("jazz", "jazz", "rock")}, "stand twice: jazz"),
        ({"ids": ["a", "a", "c"]}, "name a more than once"),
        ({"unit": "album"}, "album"),
    ],
)
def test_rubbish_is_refused_by_name(changes, words):
    with pytest.raises(TonearmError, match=words):
        made(**changes)


def test_nothing_is_refused():
    with pytest.raises(PredictionsError, match="nothing to evaluate"):
        checked_predictions([], [], np.empty((0, 3)), CLASSES)
    with pytest.raises(PredictionsError, match="nothing to evaluate"):
        as_indices([], CLASSES)


def test_rounding_is_no_fault():
    assert as_probabilities([[0.3333, 0.3333, 0.3333]]).shape == (1, 3)
    softmax = np.exp(np.random.default_rng(0).normal(size=(50, 161))).astype(np.float32)
    as_probabilities(softmax / softmax.sum(axis=1, keepdims=True))


def test_many_bad_rows_are_counted():
    with pytest.raises(PredictionsError, match="row 0 and 8 more"):
        as_probabilities(np.full((9, 3), 0.5))


def test_foreign_classes_are_named_and_missing_ones_are_no_fault():
    match_classes(CLASSES, ["jazz", "jazz"])
    with pytest.raises(UsageError, match=r"pack x has classes that the model does not know: polka, ska \(.*blues"):
        match_classes(CLASSES, ["ska", "polka", "jazz"], data_name="pack x")


def test_unknown_groups_stand_alone():
    codes, n_groups = group_codes(["x", "", "x", "", "y"], 5)
    assert n_groups == 4
    assert codes[0] == codes[2]
    assert len(set(codes.tolist())) == 4
    assert made(groups=["", "", ""]).groups is None
    with pytest.raises(PredictionsError, match="lengths differ"):
        group_codes(["x"], 2)


def segments(generator, n_tracks=20, n_classes=4) -> Predictions:
    track = np.repeat(np.arange(n_tracks), generator.integers(1, 8, n_tracks))
    track = track[generator.permutation(len(track))]
    probabilities = generator.dirichlet(np.ones(n_classes), len(track))
    truth = np.arange(n_tracks) % n_classes
    return checked_predictions(
        [f"t{index}" for index in track],
        truth[track],
        probabilities,
        [f"g{index}" for index in range(n_classes)],
        groups=[f"artist {index // 3}" for index in track],
        unit="segment",
    )


@pytest.mark.parametrize("how", JOINS)
def test_join_equals_a_loop_over_tracks(how):
    parts = segments(np.random.default_rng(0))
    joined = join_segments(parts, how=how)
    assert joined.unit == "track"
    assert list(joined.ids) == list(dict.fromkeys(parts.ids))
    for row, name in enumerate(joined.ids):
        chosen = np.array(parts.ids) == name
        rows = parts.probabilities[chosen]
        assert joined.truth[row] == parts.truth[chosen][0]
        assert joined.groups[row] == np.array(parts.groups)[chosen][0]
        if how == "majority":
            votes = np.bincount(rows.argmax(axis=1), minlength=4)
            np.testing.assert_allclose(joined.probabilities[row], votes / len(rows), atol=2e-6)
            tied = np.flatnonzero(votes == votes.max())
            assert joined.probabilities[row].argmax() == tied[rows.mean(axis=0)[tied].argmax()]
        elif how == "log-mean":
            expected = np.prod(rows, axis=0) ** (1 / len(rows))
            np.testing.assert_allclose(joined.probabilities[row], expected / expected.sum())
        else:
            np.testing.assert_allclose(joined.probabilities[row], rows.sum(axis=0) / rows.sum())
    as_probabilities(joined.probabilities)


def test_log_mean_survives_zeros():
    parts = made(ids=["a"] * 3, truth=["jazz"] * 3, probabilities=np.eye(3), unit="segment")
    np.testing.assert_allclose(join_segments(parts, how="log-mean").probabilities, np.full((1, 3), 1 / 3))


def test_join_refuses_what_is_no_set_of_segments():
    with pytest.raises(UsageError, match="per track already"):
        join_segments(made())
    parts = made(ids=["a", "a", "b"], truth=["jazz", "rock", "rock"], unit="segment")
    with pytest.raises(PredictionsError, match="track a have more than one genre"):
        join_segments(parts)
    parts = made(ids=["a", "a", "b"], truth=["jazz"] * 3, groups=["x", "y", "x"], unit="segment")
    with pytest.raises(PredictionsError, match="track a have more than one artist"):
        join_segments(parts)
    with pytest.raises(UsageError, match="did you mean 'mean'"):
        join_segments(parts, how="means")
