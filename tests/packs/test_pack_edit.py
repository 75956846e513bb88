"""Merge, select and export: rows arrive unchanged, and what does not fit is said."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from tonearm.errors import UsageError
from tonearm.packs import PackError, export, merge, select, verify, write_pack


def make(folder, ids, *, seed=0, shape=(4, 3), dtype="float32", feature=None, **columns):
    array = np.random.default_rng(seed).uniform(0, 200, (len(ids), *shape)).astype(dtype)
    table = {
        "id": ids,
        "genre": columns.pop("genre", ["rock"] * len(ids)),
        "split": columns.pop("split", ["train"] * len(ids)),
        "artist": [""] * len(ids),
        **columns,
    }
    scale = {"kind": "range", "low": 0.0, "high": 1.0} if dtype == "uint8" else None
    config = feature or {"kind": "mel", "n_mels": shape[0]}
    return write_pack(folder, array, table, feature=config, scale=scale, further={"licence": f"by {folder.name}"})


def test_merged_rows_are_those_of_the_parts(tmp_path):
    a = make(tmp_path / "a", ["a1", "a2"], title=["x", "y"])
    b = make(tmp_path / "b", ["b1", "b2", "b3"], seed=1, genre=["jazz", "rock", "pop"], mood=["m", "", "n"])
    both = merge([a, b], tmp_path / "both")
    np.testing.assert_array_equal(both.features, np.concatenate([a.features, b.features]))
    assert both.ids.tolist() == ["a1", "a2", "b1", "b2", "b3"]
    assert both.column("title").tolist() == ["x", "y", "", "", ""]
    assert both.column("mood").tolist() == ["", "", "m", "", "n"]
    assert both.classes == ["rock", "jazz", "pop"]
    assert both.meta["licence"] == "by a; by b"
    assert both.meta["merged"] == ["a", "b"]
    assert verify(both.folder) == []


def test_packs_that_differ_are_not_merged_and_it_says_in_what(tmp_path):
    a = make(tmp_path / "a", ["a1"])
    for name, keywords, said in (
        ("c", {"feature": {"kind": "mel", "n_mels": 4, "fmax": 8000}}, "feature.fmax is None and 8000"),
        ("d", {"dtype": "float16"}, "dtype float32 and float16"),
        ("e", {"shape": (4, 5)}, r"rows of shape \(4, 3\) and \(4, 5\)"),
    ):
        with pytest.raises(PackError, match=said):
            merge([a, make(tmp_path / name, ["x"], **keywords)], tmp_path / "out")
    with pytest.raises(UsageError, match="two packs"):
        merge([a], tmp_path / "out")
    with pytest.raises(UsageError, match="read from"):
        merge([a, make(tmp_path / "f", ["x"])], tmp_path / "a", force=True)


def test_duplicate_ids(tmp_path):
    a = make(tmp_path / "a", ["x", "y"])
    same = make(tmp_path / "same", ["x", "y"])
    assert merge([a, same], tmp_path / "m1").ids.tolist() == ["x", "y"]
    other = make(tmp_path / "other", ["y", "z"], seed=5)
    with pytest.raises(PackError, match="1 ids stand for different rows: y"):
        merge([a, other], tmp_path / "m2")
    first = merge([a, other], tmp_path / "m2", duplicates="first")
    assert first.ids.tolist() == ["x", "y", "z"]
    np.testing.assert_array_equal(first.features[1:], np.stack([a.features[1], other.features[1]]))
    renamed = merge([a, other], tmp_path / "m3", duplicates="rename")
    assert renamed.ids.tolist() == ["x", "y", "other/y", "z"]
    np.testing.assert_array_equal(renamed.features[2], other.features[0])
    with pytest.raises(UsageError, match="did you mean 'first'"):
        merge([a, other], tmp_path / "m4", duplicates="frist")


def test_select(tmp_path):
    pack = make(
        tmp_path / "p", ["s#0", "s#1", "t#0", "u#0"], track=["s", "s", "t", "u"],
        genre=["rock", "rock", "jazz", ""], split=["train", "train", "test", ""], artist_name=["A", "A", "B", "C"],
    )  # fmt: skip

    def rows(name, **conditions):
        chosen = select(pack, tmp_path / name, **conditions)
        assert verify(chosen.folder) == []
        np.testing.assert_array_equal(chosen.features, pack.features[np.isin(pack.ids, chosen.ids)])
        return chosen.ids.tolist(), chosen.classes

    assert rows("1", split=["train"]) == (["s#0", "s#1"], ["jazz", "rock"])
    assert rows("2", genre=["jazz"]) == (["t#0"], ["jazz"])
    assert rows("3", ids=["s", "u#0"])[0] == ["s#0", "s#1", "u#0"]
    assert rows("4", where=[("artist_name", "A")], ids=["s#1", "t"])[0] == ["s#1"]
    for conditions, said in (
        ({"split": ["tset"]}, "did you mean 'test'"),
        ({"where": [("artst", "A")]}, "unknown column"),
        ({"ids": ["nobody"]}, "no such ids: nobody"),
        ({"split": ["test"], "genre": ["rock"]}, "no row meets"),
    ):
        with pytest.raises((PackError, UsageError)) as caught:
            select(pack, tmp_path / "none", **conditions)
        assert said in str(caught.value)
        assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("decoded", [False, True])
def test_npz_loads_without_pickle(tmp_path, decoded):
    pack = make(tmp_path / "p", ["a", "b", "c"], dtype="uint8", genre=["rock", "", "jazz"], y=["1", "2", "3"])
    path = export(pack, tmp_path / "p.npz", decoded=decoded)
    with np.load(path, allow_pickle=False) as archive:
        loaded = {name: archive[name] for name in archive.files}
    np.testing.assert_array_equal(loaded["features"], pack.decoded() if decoded else pack.features)
    assert loaded["y"].tolist() == [1, -1, 0]
    assert loaded["column_y"].tolist() == ["1", "2", "3"]
    assert loaded["classes"].tolist() == ["jazz", "rock"]
    assert loaded["id"].tolist() == ["a", "b", "c"]
    assert json.loads(str(loaded["pack"])) == pack.meta
    again = export(pack, tmp_path / "q.npz", decoded=decoded)
    assert again.read_bytes() == path.read_bytes()
    with pytest.raises(PackError, match="exists already"):
        export(pack, path)


def test_csv_brings_every_number_back(tmp_path):
    pack = make(
        tmp_path / "p",
        ["a", "b"],
        shape=(3,),
        feature={"kind": "table", "columns": ["x", "y", "z"]},
        title=["1,2", '"'],
    )
    path = export(pack, tmp_path / "p.csv")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "genre", "split", "artist", "title", "x", "y", "z"]
    values = np.array([[float(row[name]) for name in "xyz"] for row in rows], dtype=np.float32)
    np.testing.assert_array_equal(values, pack.features)
    assert [row["title"] for row in rows] == ["1,2", '"']


def test_what_cannot_be_exported_is_said(tmp_path):
    pack = make(tmp_path / "p", ["a"])
    with pytest.raises(UsageError, match="NPZ is the format"):
        export(pack, tmp_path / "p.csv")
    with pytest.raises(UsageError, match=r"\.npz or \.csv"):
        export(pack, tmp_path / "p.parquet")
    with pytest.raises(PackError, match="cannot be written"):
        export(pack, tmp_path / "nowhere" / "p.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_a_large_pack_passes_through_little_memory(tmp_path):
    """200 MB go through select, merge and export; the peak of Python's allocations stays far below."""
    import tracemalloc

    n, shape = 400, (128, 1000)
    block = np.ones((20, *shape), np.float32)
    ids = [f"t{i}" for i in range(n)]
    pack = write_pack(
        tmp_path / "big", (block for _ in range(n // 20)), {"id": ids, "genre": ["rock"] * n},
        feature={"kind": "mel"}, shape=(n, *shape), dtype="float32",
    )  # fmt: skip
    del block
    tracemalloc.start()
    part = select(pack, tmp_path / "part", ids=ids[::2])
    rest = select(pack, tmp_path / "rest", ids=ids[1::2])
    merge([part, rest], tmp_path / "merged")
    export(part, tmp_path / "part.npz", decoded=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6
