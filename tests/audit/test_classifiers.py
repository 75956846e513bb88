"""Inflation, neighbours, doubt and the horse test on arrays of which the answer is known, and on GTZAN."""

from dataclasses import replace

import numpy as np
import pytest

from tonearm.audit import doubt, horse, inflation, integrity
from tonearm.audit import quick as q
from tonearm.packs import Track, open_pack
from tonearm.protocols import TrackTable, table_of

pytest.importorskip("sklearn")


def made(per_artist=6, artists=24, genres=4, segments=3, leak=3.0, seed=0):
    """Rows = genre + artist (genre by chance the same for its tracks) + track + noise."""
    random = np.random.default_rng(seed)
    n = per_artist * artists
    genre = np.repeat(np.arange(artists) % genres, per_artist)
    artist = np.repeat(np.arange(artists), per_artist)
    centre = random.normal(size=(genres, 30))[genre] * 0.7
    centre += leak * random.normal(size=(artists, 30))[artist] / 2 + leak * random.normal(size=(n, 30)) / 2
    values = np.repeat(centre, segments, axis=0) + 0.5 * random.normal(size=(n * segments, 30))

    def text(numbers, letter):
        return np.array([f"{letter}{i}" for i in numbers])

    ids = text(range(n), "t")
    table = TrackTable(
        name="made",
        ids=ids,
        genre=text(genre, "g"),
        split=np.full(n, ""),
        artist=text(artist, "a"),
        recording=np.full(n, ""),
        row_ids=np.array([f"{track}#{i}" for track in ids for i in range(segments)]),
        row_track=np.repeat(np.arange(n), segments),
    )
    return q.Quick(table, values.astype(np.float32), "made")


def test_each_leak_is_worth_points_and_none_is_where_there_is_none():
    rows = {row["protocol"]: row for row in inflation.inflation(made(), repeats=1)}
    assert list(rows) == ["segment", "track", "artist"]
    assert rows["segment"]["accuracy"] > 0.95
    assert rows["segment"]["accuracy"] - rows["track"]["accuracy"] > 0.05
    assert rows["track"]["accuracy"] - rows["artist"]["accuracy"] > 0.15
    assert rows["track"]["worth"]["interval"][0] > 0
    assert rows["segment"]["label"] == "segment (leaky)"
    assert rows["segment"]["neighbour"]["track"] > 0.9
    assert rows["artist"]["neighbour"] == {
        "track": 0,
        "recording": 0,
        "artist": 0,
        "right": rows["artist"]["neighbour"]["right"],
    }
    clean = {row["protocol"]: row for row in inflation.inflation(made(leak=0.0), repeats=1)}
    assert abs(clean["segment"]["accuracy"] - clean["artist"]["accuracy"]) < 0.05


def test_no_artists_no_segments_no_recordings():
    data = made(segments=1)
    nobody = replace(data, table=replace(data.table, artist=np.full(len(data.table), "")))
    assert [row["protocol"] for row in inflation.inflation(nobody, repeats=1)] == ["track"]
    twins = [(f"t{i}", f"t{i + 1}") for i in range(0, 40, 2)]
    with_copies = inflation.inflation(nobody, repeats=1, duplicates=twins)
    assert [row["protocol"] for row in with_copies] == ["track", "recording"]


def test_intervals_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(0)
    rows = random.integers(1, 5, 200).astype(float)
    right = random.binomial(rows.astype(int), 0.6).astype(float)
    share, interval, draws = q.share_interval(right, rows, draws=4000)
    assert share == pytest.approx(right.sum() / rows.sum())
    assert len(draws) == 4000
    reference = stats.bootstrap(
        (right, rows), lambda a, b: a.sum() / b.sum(), paired=True, vectorized=False, method="percentile",
        n_resamples=4000, rng=1,
    ).confidence_interval  # fmt: skip
    assert interval == pytest.approx(list(reference), abs=0.006)


def test_confident_learning_by_hand():
    probability = np.array([[0.9, 0.1], [0.8, 0.2], [0.05, 0.95], [0.1, 0.9], [0.3, 0.7], [0.02, 0.98]])
    label = np.array([0, 0, 0, 1, 1, 1])
    # Only the third: 0.95 for the other genre is above that genre's threshold, and its own label is ruled out.
    assert doubt.confident(probability, label).tolist() == [False, False, True, False, False, False]


def test_flipped_labels_are_found_and_the_list_is_short():
    data = made(leak=0.4, segments=2)
    genre = data.table.genre.copy()
    flipped = np.random.default_rng(1).choice(len(genre), 6, replace=False)
    for i in flipped:
        genre[i] = f"g{(int(genre[i][1:]) + 1) % 4}"
    assert doubt.doubtful(data) == []
    found = doubt.doubtful(replace(data, table=replace(data.table, genre=genre)))
    assert {row["id"] for row in found} == set(data.table.ids[flipped].tolist())
    assert all(row["suggested"] == data.table.genre[int(row["id"][1:])] for row in found)


def test_a_change_that_hides_what_was_learned_is_a_fall():
    data = made(leak=0.3)
    blind = data.values.copy()
    blind[:] = blind.mean(axis=0)
    rows = {row["change"]: row for row in horse._compare(data, {"gain": data.values, "start": blind}, (), 0)}
    assert rows["gain"]["survives"]
    assert rows["gain"]["fall"]["points"] == 0
    assert not rows["start"]["survives"]


def test_a_sample_keeps_artists_whole():
    data = made()
    small = q.at_most(data, 150)
    assert 100 < len(small.values) <= 150
    for artist in np.unique(small.table.artist):
        assert (small.table.artist == artist).sum() == (data.table.artist == artist).sum()
    first = np.flatnonzero(data.table.ids == small.table.ids[0])[0]
    assert np.array_equal(small.values[:3], data.values[3 * first : 3 * first + 3])


def test_broken_columns_and_tracks_are_left_out():
    data = made()
    data.values[:, 4] = np.nan
    data.values[:, 5] = 7.0
    data.values[9, 6] = np.inf
    genre = data.table.genre.copy()
    genre[0], genre[1] = "", "alone"
    kept = q.usable(replace(data, table=replace(data.table, genre=genre)))
    assert kept.values.shape[1] == 28
    assert set(data.table.ids) - set(kept.table.ids) == {"t0", "t1", "t3"}
    assert np.isfinite(kept.values).all()


@pytest.mark.slow
def test_the_known_figures_of_gtzan(shared_data):
    """One SVM, one set of features: 90.5 % by segment, 73.5 % by track, 53.3 % by artist."""
    pack = open_pack(shared_data / "gtzan-stats-10s")
    rows = {row["protocol"]: row for row in inflation.inflation(q.from_pack(pack, table_of(pack)), repeats=3)}
    accuracy = {name: 100 * row["accuracy"] for name, row in rows.items()}
    assert accuracy["segment"] == pytest.approx(90.5, abs=2)
    assert accuracy["track"] == pytest.approx(73.5, abs=2)
    assert accuracy["artist"] == pytest.approx(53.3, abs=2)
    assert accuracy["segment"] > accuracy["track"] >= accuracy["recording"] > accuracy["artist"]
    assert accuracy["official"] > accuracy["filtered-clean"]
    assert rows["segment"]["n"] == 1000


def test_an_imbalance_is_told_in_plain_names():
    tracks = [Track(id=f"t{i}", genre="rock" if i < 30 else "polka") for i in range(31)]
    (once, imbalance) = integrity.of_labels(table_of(tracks))
    assert once["code"] == "label-once"
    assert imbalance["message"].startswith("30 tracks of 'rock', 1 of 'polka': accuracy flatters who says 'rock'")


def test_the_doubts_of_models_that_guess_are_not_told():
    data = made()
    noise = replace(data, values=np.random.default_rng(0).normal(size=data.values.shape).astype(np.float32))
    assert doubt.doubtful(noise) == []


def test_all_right_and_all_wrong_have_an_interval():
    stats = pytest.importorskip("scipy.stats")
    share, interval, _ = q.share_interval(np.zeros(8), np.ones(8))
    assert share == 0
    assert interval == pytest.approx(list(stats.binomtest(0, 8).proportion_ci(method="wilson")), abs=1e-3)
    assert q.share_interval(np.full(8, 3.0), np.full(8, 3.0))[1][1] == 1
