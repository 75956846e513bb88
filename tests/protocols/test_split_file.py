"""The split file: written, read, compared; and what assert_disjoint says."""

import json

import numpy as np
import pytest

from tonearm.packs import Track
from tonearm.protocols import (
    LeakError,
    Split,
    SplitError,
    assert_disjoint,
    difference,
    leaks,
    make_split,
    read_split,
    same_split,
    table_of,
    write_split,
)


def made(n=60):
    return [
        Track(
            id=f"t{i}",
            genre="xy"[i % 2],
            artist=f"a{i // 4}",
            recording=f"r{i // 2}",
            extra={"album": f"album {i // 3}"},
        )
        for i in range(n)
    ]


def test_a_split_survives_its_file(tmp_path):
    split = make_split(made(), "artist", folds=3, seed=4)
    path = write_split(split, tmp_path / "new folder" / "split.json")
    again = read_split(path)
    assert again == split
    assert same_split(again, split)
    assert again.hash == json.loads(path.read_text())["hash"]
    assert [p.name for p in path.parent.iterdir()] == ["split.json"]


def test_the_hash_is_of_the_ids_alone():
    a = Split("artist", {"train": ("1", "2"), "test": ("3",)}, seed=0)
    b = Split("column", {"test": ("3",), "train": ("2", "1")}, seed=9)
    c = Split("artist", {"train": ("1",), "test": ("2", "3")}, seed=0)
    assert same_split(a, b)
    assert difference(a, b) == ""
    assert not same_split(a, c)
    assert "train: 1 ids in both, 1 and 0 in one" in difference(a, c)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not-a-split"),
        ("[]", "not-a-split"),
        ('{"format": "split/9"}', "not-a-split"),
        ('{"format": "split/1", "parts": 3}', "not-a-split"),
        ("\x00\xff", "not-a-split"),
    ],
)
def test_rubbish_is_not_a_split(tmp_path, text, code):
    path = tmp_path / "split.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SplitError) as caught:
        read_split(path)
    assert caught.value.code == code
    assert str(path) in caught.value.message


def test_a_missing_file_and_a_changed_one_are_named(tmp_path):
    with pytest.raises(SplitError) as caught:
        read_split(tmp_path / "none.json")
    assert caught.value.code == "missing"
    path = write_split(make_split(made(), "artist"), tmp_path / "split.json")
    data = json.loads(path.read_text())
    data["parts"]["train"].append(data["parts"]["test"].pop())
    path.write_text(json.dumps(data))
    with pytest.raises(SplitError) as caught:
        read_split(path)
    assert caught.value.code == "hash"


def test_folds_are_test_in_turn():
    split = make_split(made(), "artist", folds=4)
    seen = []
    for number in range(1, 5):
        fold = split.fold(number, valid=True)
        assert set(fold.parts) == {"train", "valid", "test"}
        assert sum(map(len, fold.parts.values())) == 60
        assert assert_disjoint(fold, made()) == []
        seen += fold.parts["test"]
    assert sorted(seen) == sorted(track.id for track in made())


def test_rows_of_a_split():
    split = Split("artist", {"train": ("t0", "t3"), "test": ("t1",)})
    rows = split.rows(made())
    assert rows["train"].tolist() == [0, 3]
    assert rows["test"].tolist() == [1]
    with pytest.raises(SplitError, match="t99"):
        Split("artist", {"train": ("t0", "t99")}).rows(made())


def test_each_leak_is_named_with_its_ids():
    parts = {"train": ["t0", "t4", "t8", "t20"], "valid": ["t9"], "test": ["t1", "t7", "t20"]}
    found = {(leak.kind, leak.parts): leak for leak in leaks(parts, made())}
    assert found["track", ("train", "test")].ids == ("t20",)
    assert found["recording", ("train", "test")].ids == ("t1",)
    assert found["recording", ("train", "valid")].ids == ("t9",)
    assert found["artist", ("train", "test")].ids == ("t1", "t7")
    assert found["artist", ("train", "test")].counterparts == ("t0", "t4")
    assert found["artist", ("train", "test")].shared == ("a0", "a1", "a5")
    # albums are told apart by artist: t4 and t5 would share one, t7 and t8 do not
    assert ("album", ("train", "test")) in found
    with pytest.raises(LeakError, match="t20") as caught:
        assert_disjoint(parts, made())
    assert caught.value.code == "leak"
    assert {leak.kind for leak in caught.value.leaks} == {"track", "recording", "artist"}


def test_what_the_protocol_allows_is_returned_and_not_raised():
    parts = {"train": ("t0",), "test": ("t2",)}
    allowed = assert_disjoint(Split("track", parts, keeps_apart=("track",)), made())
    assert [leak.kind for leak in allowed] == ["artist", "album"]
    with pytest.raises(LeakError, match=r"share.* an artist"):
        assert_disjoint(Split("artist", parts), made())


def test_found_duplicates_count_as_one_recording():
    parts = {"train": ["t0"], "test": ["t41"]}
    assert leaks(parts, made()) == []
    with pytest.raises(LeakError, match=r"recording.*t41"):
        assert_disjoint(parts, made(), duplicates=[("t0", "t41")])


def test_one_id_of_many_bad_ones_is_not_a_wall_of_text():
    everyone = [track.id for track in made()]
    with pytest.raises(LeakError, match="and 50 more"):
        assert_disjoint({"train": everyone, "test": everyone}, made())


def test_two_tracks_of_one_id_are_refused():
    with pytest.raises(Exception, match="occur twice: a"):
        table_of([Track(id="a"), Track(id="a")])


def test_segment_rows_in_two_parts_are_a_leak():
    table = table_of(made(4))
    both = Split("segment", {"train": ("t0", "t1"), "test": ("t1",)}, unit="row", keeps_apart=(), leaky=True)
    with pytest.raises(LeakError, match="segment"):
        assert_disjoint(both, table)
    assert np.array_equal(both.rows(table)["test"], [1])
