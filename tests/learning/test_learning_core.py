"""The core on arrays: against scikit-learn, with artists apart, with planted wrong labels, and on too little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tonearm.learning import curve, doubt, fit, study
from tonearm.learning.material import LearnError, Material, groups_of, learnable, scarce
from tonearm.packs import Track
from tonearm.runtime import personal

sklearn = pytest.importorskip("sklearn")

GENRES = ("ambient", "blues", "choral", "disco")


def material(
    *, tracks_per_artist: int = 3, artists: int = 12, genres: int = 4, columns: int = 12, apart: float = 1.6,
    by_artist: float = 1.0, seed: int = 0,
) -> Material:  # fmt: skip
    """Songs around a place per genre, artists around places near it: both can be told, artists much the easier."""
    draw = np.random.default_rng(seed)
    places = draw.normal(scale=apart, size=(genres, columns)) * (np.arange(columns) < 6)
    tracks, values = [], []
    for genre in range(genres):
        for artist in range(artists):
            place = places[genre] + draw.normal(scale=by_artist, size=columns)
            for number in range(tracks_per_artist):
                name = f"{GENRES[genre]} {artist} {number}"
                tracks.append(Track(id=name, genre=GENRES[genre], artist=f"{genre} {artist}", path=f"{name}.mp3"))
                values.append(place + draw.normal(scale=0.4, size=columns))
    return Material(tuple(tracks), np.array(values))


def test_the_head_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    some = material()
    head = fit.fit_head(some.values, some.truth, 4, 10.0)
    x = np.clip(StandardScaler().fit_transform(some.values), -fit.CUT, fit.CUT)
    model = LogisticRegression(C=10.0 / len(some), tol=1e-8, max_iter=10_000).fit(x, some.truth)
    shares = np.exp(head.logits(some.values))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, model.predict_proba(x), atol=2e-4)
    assert fit.CUT == personal.CUT


def test_two_genres_are_two_columns():
    some = material(genres=2)
    head = fit.fit_head(some.values, some.truth, 2, 10.0)
    assert head.weights.shape == (12, 2)
    assert (head.logits(some.values).argmax(axis=1) == some.truth).mean() > 0.9


def test_no_artist_and_no_recording_is_on_both_sides_of_a_fold():
    some = material(artists=7)
    copied = [replace(track, recording="same" if i in (0, 40) else "") for i, track in enumerate(some.tracks)]
    some = Material(tuple(copied), some.values)
    assert some.groups[0] == some.groups[40]
    parts = fit.folds(some, seed=3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(some)))
    for part in parts:
        others = np.setdiff1d(np.arange(len(some)), part)
        assert not set(some.groups[part].tolist()) & set(some.groups[others].tolist())


def test_figures_are_those_of_unheard_artists():
    """Songs of one artist lie together: a split by song would find nearly all of them."""
    some = material(apart=0.7, by_artist=1.2)
    answers = fit.cross_validated(some)
    honest = (answers.probabilities.argmax(axis=1) == some.truth).mean()
    parts = fit.folds(some, "recording")
    leaky = (fit.held_out(some, parts, [answers.strength])[0].argmax(axis=1) == some.truth).mean()
    assert honest < leaky - 0.1
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1)


def test_noise_is_called_noise():
    draw = np.random.default_rng(0)
    some = replace_values(material(), draw.normal(size=(144, 12)))
    done = study(some)
    low, _ = done.figures["interval"]
    assert low < 0.27
    assert done.doubts == []
    assert "hardly better than by guessing" in done.no_doubts
    assert done.answers.probabilities.max() < 0.6, "of noise nobody is sure"


def replace_values(some: Material, values: np.ndarray) -> Material:
    return Material(some.tracks, values)


def test_probabilities_are_calibrated_without_seeing_the_fold():
    some = material(artists=40, apart=0.9)
    done = study(some)
    assert done.figures["ece"] < 1.3 * done.figures["ece_by_chance"]["limit"]
    given = done.answers.probabilities.max(axis=1) >= done.threshold.value
    right = (done.answers.probabilities.argmax(axis=1) == some.truth)[given]
    assert right.mean() >= done.threshold.wanted


def test_a_genre_that_a_fold_cannot_learn_is_wrong_there_and_breaks_nothing():
    some = material(artists=4)
    rows = [i for i, track in enumerate(some.tracks) if track.genre != "blues" or track.artist in ("1 0", "1 1")]
    some = some.some(np.array(rows))
    parts = [np.flatnonzero(some.groups == number) for number in np.unique(some.groups)]
    both = np.concatenate([part for part in parts if some.tracks[part[0]].genre == "blues"])
    parts = [both, np.setdiff1d(np.arange(len(some)), both)]
    found = fit.held_out(some, parts, [10.0])[0]
    assert np.isfinite(np.log(found)).all()
    assert (found[both].argmax(axis=1) != 1).all()


def test_planted_wrong_labels_are_listed_first():
    some = material(artists=25, apart=2.0)
    draw = np.random.default_rng(1)
    wrong = set(draw.choice(len(some), len(some) // 20, replace=False).tolist())
    tracks = [
        replace(track, genre=GENRES[(GENRES.index(track.genre) + 1 + draw.integers(3)) % 4]) if i in wrong else track
        for i, track in enumerate(some.tracks)
    ]
    planted = Material(tuple(tracks), some.values)
    doubts, why = doubt.doubtful(planted, fit.cross_validated(planted))
    ids = planted.table.ids.tolist()
    listed = [ids.index(found.track.id) for found in doubts]
    assert not why
    assert len(wrong & set(listed)) >= 0.7 * len(wrong)
    assert len(wrong & set(listed[:10])) >= 8
    for found in doubts:
        assert found.suggestion != found.track.genre
        assert found.likelier > doubt.LIKELIER
    right = [found.suggestion == some.tracks[ids.index(found.track.id)].genre for found in doubts[:10]]
    assert sum(right) >= 8


def test_the_curve_says_whether_more_artists_would_help():
    few = material(artists=8, columns=60, apart=0.9, seed=2)
    found = curve.learning_curve(few, fit.cross_validated(few))
    assert [point.share for point in found.points] == [0.25, 0.5, 0.75, 1.0]
    sizes = [point.artists for point in found.points]
    assert sizes == sorted(sizes)
    assert sizes[-1] == pytest.approx(4 * 8 * 4 / 5, rel=0.02)
    assert found.gain.value == pytest.approx(found.points[3].accuracy.value - found.points[1].accuracy.value, abs=1e-9)
    many = material(artists=60, columns=8, apart=4.0, tracks_per_artist=1)
    found = curve.learning_curve(many, fit.cross_validated(many))
    assert found.verdict == "enough"
    assert "hardly help" in found.words


def test_a_share_of_artists_is_whole_artists_of_every_genre_and_nested():
    some = material()
    rows = np.arange(len(some))
    quarter = curve.some_groups(some.groups, some.truth, rows, 0.25, 7)
    half = curve.some_groups(some.groups, some.truth, rows, 0.5, 7)
    assert set(quarter.tolist()) < set(half.tolist())
    assert np.bincount(some.truth[quarter]).tolist() == [9] * 4
    assert len(curve.some_groups(some.groups, some.truth, rows, 0.001, 7)) == 12


@pytest.mark.parametrize(
    ("gain", "low", "high", "accuracy", "verdict"),
    [
        (0.05, 0.02, 0.08, 0.6, "more"),
        (0.05, 0.02, 0.08, 1.0, "enough"),
        (0.005, -0.01, 0.015, 0.7, "enough"),
        (0.03, -0.02, 0.08, 0.7, "unclear"),
    ],
)
def test_verdicts(gain, low, high, accuracy, verdict):
    from tonearm.evaluation import Interval

    found, words = curve.judged(Interval(value=gain, low=low, high=high, n=9, groups=9), accuracy, "artists")
    assert found == verdict
    assert "artists" in words


def test_equal_seeds_give_equal_heads():
    some = material(artists=6)
    one, two = study(some, seed=4), study(some, seed=4)
    np.testing.assert_array_equal(one.head.weights, two.head.weights)
    assert one.figures == two.figures


def test_many_songs_are_searched_by_a_sample_and_say_the_same(monkeypatch):
    some = material(artists=20)
    whole = fit.cross_validated(some)
    monkeypatch.setattr(fit, "MOST_SEARCHED", 180)
    sampled = fit.cross_validated(some)
    assert abs(np.log10(sampled.strength / whole.strength)) < 1.1
    agreed = (sampled.probabilities.argmax(axis=1) == whole.probabilities.argmax(axis=1)).mean()
    assert agreed > 0.9


def tracks(**counts: int) -> list[Track]:
    return [Track(id=f"{g} {i}", genre=g, artist=f"{g} {i % 4}") for g, n in counts.items() for i in range(n)]


def test_genres_with_too_little_are_left_out_and_those_with_little_named():
    some = tracks(jazz=40, rock=12, folk=4, noise=1)
    some += [Track(id=f"solo {i}", genre="solo", artist="one") for i in range(20)]
    rows, told = learnable(some)
    assert {some[i].genre for i in rows.tolist()} == {"jazz", "rock"}
    assert [(row.genre, row.kept) for row in told] == [
        ("noise", False), ("folk", False), ("solo", False), ("rock", True), ("jazz", True),
    ]  # fmt: skip
    assert "all by one artist" in next(row.reason for row in told if row.genre == "solo")
    assert next(row.reason for row in told if row.genre == "jazz") == "only 4 artists"
    assert len(learnable(some, min_tracks=4)[0]) == 56


@pytest.mark.parametrize(
    ("some", "words"),
    [
        ([], "no labelled song"),
        (tracks(jazz=40), "all 40 songs are jazz"),
        (tracks(jazz=1, rock=1), "no genre has enough"),
        (tracks(jazz=40, rock=3), "only jazz has enough"),
        ([Track(id=str(i), genre="ab"[i % 2], artist="one") for i in range(40)], "all by one artist"),
    ],
)
def test_too_little_is_an_error_that_says_what_is_missing(some, words):
    assert scarce(some) is not None
    with pytest.raises(LearnError, match=words) as caught:
        learnable(some)
    assert caught.value.code == "too-few"


def test_songs_without_an_artist_stand_alone():
    some = [Track(id=str(i), genre="a") for i in range(5)]
    assert len(set(groups_of(some).tolist())) == 5


@pytest.mark.slow
def test_wrong_labels_in_real_music_are_found(shared_data):
    """gtzan-mel by its statistics alone: 5 % of the labels changed; most are on a list of less than a tenth."""
    from tonearm.packs import open_pack
    from tonearm.runtime.statistics import statistics_of_rows

    pack = open_pack(shared_data / "gtzan-mel")
    columns = [pack.column(name).tolist() for name in ("id", "genre", "artist", "recording")]
    rows = [Track(id=i, genre=g, artist=a, recording=r) for i, g, a, r in zip(*columns, strict=True)]
    draw = np.random.default_rng(0)
    genres = sorted({row.genre for row in rows})
    wrong = set(draw.choice(len(rows), len(rows) // 20, replace=False).tolist())
    for i in wrong:
        rows[i] = replace(rows[i], genre=genres[(genres.index(rows[i].genre) + 1 + draw.integers(9)) % 10])
    planted = Material(tuple(rows), statistics_of_rows(pack.features).astype(np.float64))
    answers = fit.cross_validated(planted)
    doubts, _ = doubt.doubtful(planted, answers)
    ids = {row.id: i for i, row in enumerate(rows)}
    caught = len(wrong & {ids[found.track.id] for found in doubts})
    assert 0.55 < (answers.probabilities.argmax(axis=1) == planted.truth).mean() < 0.70
    assert caught >= 0.6 * len(wrong)
    assert len(doubts) <= 0.1 * len(rows)
