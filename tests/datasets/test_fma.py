"""FMA by its own tables: subsets, splits, the tree of genres, precomputed features."""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pytest
from miniatures import write_numbers, write_tracks

from tonearm import datasets
from tonearm.datasets import DatasetError, _fma_pack, _fma_tables
from tonearm.errors import UsageError

fma = datasets.get("fma")


def ids(root, **options):
    return [track.id for track in fma.tracks(root, **options)]


def test_subsets_lie_within_each_other(fma_copy):
    assert ids(fma_copy, subset="small") == ["000002", "000005", "098565"]
    assert ids(fma_copy, subset="medium") == ["000002", "000005", "000140", "000141", "098565"]
    assert ids(fma_copy, subset="large") == ids(fma_copy, subset="full") == [
        "000002", "000005", "000140", "000141", "000200", "098565",
    ]  # fmt: skip
    assert ids(fma_copy) == ids(fma_copy, subset="small"), "the audio that is here decides"


def test_what_a_track_is_told_to_be(fma_copy):
    found = {track.id: track for track in fma.tracks(fma_copy, subset="large")}
    first = found["000002"]
    assert (first.genre, first.split, first.artist) == ("Hip-Hop", "train", "1")
    assert first.path == str(fma_copy / "fma_small" / "000" / "000002.mp3")
    assert first.extra == {"artist_name": "AWOL", "title": "Food", "album": "An album", "genres": "Hip-Hop"}
    rock = found["000140"]
    assert (rock.split, rock.extra["genres"], rock.extra["title"]) == ("test", "Rock|Rock > Punk", "Two\nlines")
    assert found["000005"].split == "valid"
    assert found["000200"].genre == ""
    missing = fma.tracks(fma_copy)[1].path
    assert missing == str(fma_copy / "fma_small" / "000" / "000005.mp3"), "where it should be"
    assert not os.path.exists(missing)


def test_missing_clips_are_problems_and_no_audio_is_one(fma_copy):
    assert [(p.code, p.id) for p in fma.problems(fma_copy)] == [("missing", "000005")]
    shutil.rmtree(fma_copy / "fma_small")
    assert [p.code for p in fma.problems(fma_copy)] == ["no-audio"]
    assert len(fma.tracks(fma_copy)) == 3


def test_layouts(fma_copy, tmp_path):
    assert datasets.resolve(fma_copy).dataset.name == "fma"
    assert datasets.resolve(f"fma:{fma_copy}?subset=medium-8").defaults["dataset"] == "fma?subset=medium-8"
    assert ids(fma_copy / "fma_small") == ids(fma_copy)
    assert ids(fma_copy / "fma_metadata") == ids(fma_copy)
    nested = fma_copy / "fma_small" / "fma_small"
    nested.mkdir()
    for folder in ("000", "098"):
        (fma_copy / "fma_small" / folder).rename(nested / folder)
    assert all(os.path.exists(t.path) for t in fma.tracks(fma_copy) if t.id != "000005")
    (fma_copy / "fma_small").rename(fma_copy / "fma_medium")
    (fma_copy / "fma_medium" / "fma_small").rename(fma_copy / "fma_medium" / "fma_medium")
    small = {track.id: track.path for track in fma.tracks(fma_copy, subset="small")}
    assert "fma_medium" in small["000002"], "the clips of small are in medium, too"


def test_eight_most_frequent_genres_of_medium(tmp_path):
    genres = [f"G{i}" for i in range(11)]
    counted = [(i, k, genre) for i, genre in enumerate(genres) for k in range(i + 1)]
    rows = [(1000 * i + k, genre, [], "training", "medium", i, "A", "T") for i, k, genre in counted]
    (tmp_path / "fma_metadata").mkdir()
    write_tracks(tmp_path / "fma_metadata" / "tracks.csv", rows)
    found = fma.tracks(tmp_path, subset="medium-8")
    assert {track.genre for track in found} == set(genres[3:])
    assert len(found) == sum(range(4, 12))


def test_the_tree_of_genres(fma_copy):
    tree = _fma_tables.genres(fma_copy / "fma_metadata")
    assert tree["109"] == _fma_tables.Genre("Hardcore", "25", "12", 2)
    assert _fma_tables.lineage(tree, "109") == ["Rock", "Punk", "Hardcore"]
    assert _fma_tables.lineage(tree, "21") == ["Hip-Hop"]
    loop = {"1": _fma_tables.Genre("a", "2", "1", 0), "2": _fma_tables.Genre("b", "1", "1", 0)}
    assert _fma_tables.lineage(loop, "1") == ["b", "a"]


def test_known_bad_clips():
    assert len(fma.known_bad) == 21
    assert fma.known_bad["098565"] == "the clip holds 1.6 s of sound"
    assert fma.known_bad["133297"] == "the clip is empty"


@pytest.mark.parametrize(
    ("change", "named"),
    [(lambda text: text.replace("genre_top", "genre"), "track.genre_top is missing"),
     (lambda text: text.replace("track_id,", "track_id,,", 1), "first 3 rows"),
     (lambda text: text + "77,too,short\n", "3 columns instead of 53"), (lambda text: "", "first 3 rows")],
    ids=["column", "header", "row", "empty"],
)  # fmt: skip
def test_other_tables_are_refused_with_the_reason(fma_copy, change, named):
    path = fma_copy / "fma_metadata" / "tracks.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(DatasetError, match=named):
        fma.tracks(fma_copy, subset="small")


def test_without_metadata_the_way_to_it_is_told(fma_copy):
    shutil.rmtree(fma_copy / "fma_metadata")
    with pytest.raises(DatasetError, match="tonearm data fetch fma --archive metadata"):
        fma.tracks(fma_copy)


def published_columns():
    """The columns of features.csv by its documentation: 7 statistics of 11 features, sorted."""
    sizes = {"chroma_stft": 12, "chroma_cqt": 12, "chroma_cens": 12, "tonnetz": 6, "mfcc": 20, "rmse": 1, "zcr": 1,
             "spectral_centroid": 1, "spectral_bandwidth": 1, "spectral_contrast": 7,
             "spectral_rolloff": 1}  # fmt: skip
    moments = ("mean", "std", "skew", "kurtosis", "median", "min", "max")
    return sorted((name, m, f"{i + 1:02d}") for name, size in sizes.items() for m in moments for i in range(size))


def test_features_csv_as_a_pack(fma_copy, tmp_path):
    columns = published_columns()
    values = np.random.default_rng(0).standard_normal((4, 518)).astype(np.float32)
    rows = [[2, *values[0]], [5, *values[1]], [140, *values[2]], [200, *values[3]], [98565, *[""] * 518]]
    write_numbers(fma_copy / "fma_metadata" / "features.csv", columns, ("feature", "statistics", "number"), rows)
    pack, incomplete = _fma_pack.table_pack(fma_copy, "features", tmp_path / "pack")
    np.testing.assert_array_equal(pack.features, values[:3])
    assert list(pack.ids) == ["000002", "000005", "000140"]
    assert list(pack.column("split")) == ["train", "valid", "test"]
    assert incomplete == ["098565"]
    names = pack.feature_config["columns"]
    assert len(names) == 518
    assert "chroma_cens_kurtosis_01" in names
    small, _ = _fma_pack.table_pack(fma_copy, "features", tmp_path / "small", subset="small")
    assert list(small.ids) == ["000002", "000005"]
    assert small.classes == ["Hip-Hop"]


def test_echonest_csv_as_a_pack(fma_copy, tmp_path):
    columns = [("echonest", "audio_features", name) for name in ("acousticness", "tempo")]
    columns += [("echonest", "metadata", "album_name"), ("echonest", "ranks", "song_currency_rank")]
    columns += [("echonest", "social_features", "song_currency")]
    columns += [("echonest", "temporal_features", f"{i:03d}") for i in range(3)]
    rows = [[2, 0.5, 120, "Album, one", "", 0.1, 1, 2, 3], [141, 0.25, 90, "", 7, "", 4, 5, 6]]
    write_numbers(fma_copy / "fma_metadata" / "echonest.csv", columns, ("", "", ""), rows)
    pack, incomplete = _fma_pack.table_pack(fma_copy, "echonest", tmp_path / "pack")
    assert pack.feature_config["columns"] == [
        "audio_acousticness", "audio_tempo", "temporal_000", "temporal_001", "temporal_002",
    ]  # fmt: skip
    np.testing.assert_array_equal(pack.features, [[0.5, 120, 1, 2, 3], [0.25, 90, 4, 5, 6]])
    assert incomplete == []


def test_tables_that_are_not_there_or_broken(fma_copy, tmp_path):
    with pytest.raises(UsageError):
        _fma_pack.table_pack(fma_copy, "mfcc", tmp_path / "pack")
    with pytest.raises(UsageError):
        _fma_pack.table_pack(fma_copy, "features", tmp_path / "pack", subset="tiny")
    with pytest.raises(DatasetError, match=r"fma_metadata\.zip"):
        _fma_pack.table_pack(fma_copy, "features", tmp_path / "pack")
    path = fma_copy / "fma_metadata" / "features.csv"
    write_numbers(path, [("zcr", "mean", "01")], ("feature", "statistics", "number"), [[2, "0.5"], [5, "many"]])
    with pytest.raises(DatasetError, match="row 6: could not convert"):
        _fma_pack.table_pack(fma_copy, "features", tmp_path / "pack")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match="not FMA's header"):
        _fma_pack.table_pack(fma_copy, "features", tmp_path / "pack")


def test_the_whole_table_is_read_in_seconds(tmp_path):
    n = 106_574
    (tmp_path / "fma_metadata").mkdir()
    rows = ((i, "Rock", [12], "training", "large", i % 999, "Artist", "Title") for i in range(n))
    write_tracks(tmp_path / "fma_metadata" / "tracks.csv", rows)
    start = time.process_time()
    found = _fma_tables.tracks(tmp_path / "fma_metadata")
    assert len(found) == n
    assert time.process_time() - start < 8


def test_real_clips_with_a_table_made_from_their_pack(shared_data, tmp_path):
    from tonearm.packs import open_pack

    pack = open_pack(shared_data / "fma-small-mel")
    clips = sorted((shared_data / "audio" / "fma").glob("*.mp3"))
    at = {name: i for i, name in enumerate(pack.ids)}
    rows = []
    for clip in clips:
        i = at[clip.stem]
        split = {"train": "training", "valid": "validation"}[str(pack.column("split")[i])]
        genre, artist = str(pack.column("genre")[i]), str(pack.column("artist")[i])
        rows.append((int(clip.stem), genre, [], split, "small", artist, "", ""))
        target = tmp_path / "fma_small" / clip.stem[:3] / clip.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(clip)
    (tmp_path / "fma_metadata").mkdir()
    write_tracks(tmp_path / "fma_metadata" / "tracks.csv", rows)
    for track in fma.tracks(tmp_path):
        i = at[track.id]
        expected = (str(pack.column("genre")[i]), str(pack.column("split")[i]), str(pack.column("artist")[i]))
        assert (track.genre, track.split, track.artist) == expected
        assert os.path.exists(track.path)
