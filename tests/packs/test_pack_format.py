"""Packs on disk: writing, opening, and that `verify` finds each fault that was put in."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tonearm import features, packs
from tonearm.packs import PackError, open_pack, verify, write_pack

SHARED = ("gtzan-mel", "gtzan-stats", "gtzan-stats-10s", "fma-small-mel", "fma-small-vggish")


def columns(n: int) -> dict[str, list[str]]:
    return {
        "id": [f"t{i}" for i in range(n)],
        "genre": [("rock", "jazz")[i % 2] for i in range(n)],
        "split": [("train", "test", "")[i % 3] for i in range(n)],
        "artist": [f"a{i // 2}" for i in range(n)],
        "title": ['He said: "No,\nnever"', "Ænima", "", "a,b"] * (n // 4),
    }


@pytest.fixture
def pack(tmp_path) -> packs.Pack:
    array = np.random.default_rng(1).normal(size=(8, 5, 3)).astype(np.float32)
    return write_pack(tmp_path / "p", array, columns(8), feature={"kind": "mel", "n_mels": 5}, name="mine")


def test_what_is_written_comes_back(pack):
    expected = np.random.default_rng(1).normal(size=(8, 5, 3)).astype(np.float32)
    assert isinstance(pack.features, np.memmap)
    np.testing.assert_array_equal(pack.features, expected)
    assert {name: values.tolist() for name, values in pack.columns.items()} == columns(8)
    assert pack.classes == ["jazz", "rock"]
    assert pack.feature_config == {"kind": "mel", "n_mels": 5}
    assert (pack.name, len(pack), pack.ids[3]) == ("mine", 8, "t3")
    assert verify(pack.folder) == []
    assert sorted(p.name for p in pack.folder.iterdir()) == ["features.npy", "pack.json", "tracks.csv"]


def test_blocks_give_the_same_file_as_the_whole(pack, tmp_path):
    blocks = (pack.features[i : i + 3] for i in range(0, 8, 3))
    other = write_pack(
        tmp_path / "q", blocks, columns(8), feature=pack.feature_config, name="mine", shape=(8, 5, 3), dtype="float32"
    )
    assert (other.folder / "features.npy").read_bytes() == (pack.folder / "features.npy").read_bytes()
    np.testing.assert_array_equal(np.load(other.folder / "features.npy"), pack.features)


@pytest.mark.parametrize(
    ("array", "code"),
    [(np.array([[1.0, np.nan]], np.float32), "not-finite"), (np.array([[1.0, np.inf]], np.float16), "not-finite"),
     (np.ones((1, 2)), "dtype"), (np.array([["a"]], object), "dtype")],
)  # fmt: skip
def test_bad_arrays_are_not_written(tmp_path, array, code):
    with pytest.raises(PackError) as caught:
        write_pack(tmp_path / "p", array, {"id": ["a"]}, feature={"kind": "x"})
    assert caught.value.code == code
    assert not (tmp_path / "p" / "pack.json").exists()


def test_an_existing_pack_is_replaced_only_by_force_and_survives_a_failure(pack):
    before = (pack.folder / "pack.json").read_bytes()
    one = np.ones((1, 2), np.float32)
    with pytest.raises(PackError, match="holds a pack already"):
        write_pack(pack.folder, one, {"id": ["a"]}, feature={"kind": "x"})
    with pytest.raises(PackError, match="NaN"):
        write_pack(pack.folder, one * np.nan, {"id": ["a"]}, feature={"kind": "x"}, force=True)
    assert (pack.folder / "pack.json").read_bytes() == before
    assert verify(pack.folder) == []
    assert len(write_pack(pack.folder, one, {"id": ["a"]}, feature={"kind": "x"}, force=True)) == 1


def test_places_that_cannot_hold_a_pack(tmp_path):
    one, table = np.ones((1, 2), np.float32), {"id": ["a"]}
    (tmp_path / "file").write_text("x")
    with pytest.raises(PackError, match="is a file"):
        write_pack(tmp_path / "file", one, table, feature={"kind": "x"})
    with pytest.raises(PackError, match="cannot be made"):
        write_pack(tmp_path / "file" / "below", one, table, feature={"kind": "x"})
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("x")
    with pytest.raises(PackError, match=r"other things \(cat.jpg\)"):
        write_pack(tmp_path / "photos", one, table, feature={"kind": "x"})


def test_decoded_gives_the_units_of_the_feature(tmp_path):
    levels = np.random.default_rng(2).uniform(-80, 0, (4, 6, 7)).astype(np.float32)
    scale = {"kind": "range", "low": -80.0, "high": 0.0}
    stored = np.stack([features.quantise(row, "uint8", scale) for row in levels])
    pack = write_pack(tmp_path / "u", stored, columns(4), feature={"kind": "logmel"}, scale=scale)
    assert np.abs(pack.decoded() - levels).max() <= 80 / 255 / 2 + 1e-4
    half = write_pack(tmp_path / "h", levels.astype(np.float16), columns(4), feature={"kind": "logmel"})
    assert half.decoded([1, 3]).dtype == np.float32
    assert np.abs(half.decoded([1, 3]) - levels[[1, 3]]).max() < 0.04


@pytest.mark.parametrize("name", SHARED)
def test_packs_of_real_data_open_and_verify(shared_data, name):
    assert verify(shared_data / name) == []
    pack = open_pack(shared_data / name)
    facts = packs.info(pack)
    assert facts["shape"][0] == len(pack) == sum(facts["splits"].values()) == sum(facts["rows_per_class"].values())
    decoded = pack.decoded(slice(0, 3))
    assert decoded.dtype == np.float32
    assert np.isfinite(decoded).all()
    if "stats-10s" in name:
        assert facts["tracks"] == len({i.split("#")[0] for i in pack.ids}) < len(pack)
    if "stats" in name:
        assert len(pack.feature_columns) == 57


# ---- faults ----


def edit_json(folder: Path, change) -> None:
    meta = json.loads((folder / "pack.json").read_text())
    change(meta)
    (folder / "pack.json").write_text(json.dumps(meta))


def rehash(folder: Path) -> None:
    """So that the planted fault alone shows, and not that the file is another one."""
    sums = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in ("features.npy", "tracks.csv")}
    edit_json(folder, lambda meta: meta.update(sha256=sums))


def edit_table(folder: Path, change) -> None:
    with open(folder / "tracks.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    rows = change(rows) or rows
    with open(folder / "tracks.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    rehash(folder)


def edit_array(folder: Path, change) -> None:
    array = np.load(folder / "features.npy")
    array = change(array)
    np.save(folder / "features.npy", array, allow_pickle=array.dtype == object)
    rehash(folder)


def put(row: int, column: int, value: str):
    def change(rows):
        rows[row][column] = value

    return change


def with_nan(array):
    array[2, 0, 0] = np.nan
    return array


def flip_byte(folder: Path) -> None:
    data = bytearray((folder / "features.npy").read_bytes())
    data[-9] ^= 1
    (folder / "features.npy").write_bytes(data)


FAULTS = {
    "hash": flip_byte,
    "not-finite": lambda f: edit_array(f, with_nan),
    "shape": lambda f: edit_array(f, lambda a: a[:, :, :2]),
    "dtype": lambda f: edit_array(f, lambda a: a.astype(np.float64)),
    "row-count": lambda f: edit_array(f, lambda a: a[:5]),
    "pickled-array": lambda f: edit_array(f, lambda a: np.array([{"x": 1}] * 8, dtype=object)),
    "scale": lambda f: edit_array(f, lambda a: a.astype(np.uint8)),
    "unreadable-array": lambda f: (f / "features.npy").write_bytes(b"PK\x03\x04 not an array"),
    "truncated-array": lambda f: (f / "features.npy").write_bytes((f / "features.npy").read_bytes()[:300]),
    "unknown-class": lambda f: edit_table(f, put(3, 1, "polka")),
    "duplicate-id": lambda f: edit_table(f, put(3, 0, "t0")),
    "empty-id": lambda f: edit_table(f, put(3, 0, "")),
    "missing-column": lambda f: edit_table(f, lambda rows: [row[:1] + row[2:] for row in rows]),
    "columns": lambda f: edit_table(f, lambda rows: [[*row, "more"] for row in rows]),
    "ragged-row": lambda f: edit_table(f, lambda rows: rows[4].clear()),
    "unreadable-tracks": lambda f: (f / "tracks.csv").write_bytes(b"id,genre\n\xff\xfe\x00\n"),
    "unreadable-json": lambda f: (f / "pack.json").write_text('{"format": "feature-pa'),
    "format": lambda f: edit_json(f, lambda meta: meta.update(format="other/9")),
    "missing-key": lambda f: edit_json(f, lambda meta: meta.pop("classes")),
    "missing-file": lambda f: (f / "tracks.csv").unlink(),
}


@pytest.mark.parametrize("code", FAULTS)
def test_verify_finds_each_fault(pack, code):
    FAULTS[code](pack.folder)
    findings = verify(pack.folder)
    assert code in {finding.code for finding in findings}
    assert all(finding.message for finding in findings)


def test_verify_does_not_stop_at_the_first_fault(pack):
    edit_table(pack.folder, put(3, 1, "polka"))
    edit_table(pack.folder, put(4, 0, "t0"))
    edit_array(pack.folder, with_nan)
    flip_byte(pack.folder)
    edit_json(pack.folder, lambda meta: meta.pop("axes"))
    assert {f.code for f in verify(pack.folder)} == {
        "unknown-class",
        "duplicate-id",
        "not-finite",
        "hash",
        "missing-key",
    }


@pytest.mark.parametrize(
    "content", ["[]", "null", "3", '"x"', "[" * 100000, '{"format": "feature-pack/1", "classes": 3}']
)
def test_verify_survives_any_json(pack, content):
    (pack.folder / "pack.json").write_text(content)
    assert verify(pack.folder)


@pytest.mark.parametrize("code", ["pickled-array", "unreadable-array", "truncated-array"])
def test_opening_a_broken_array_is_one_error(pack, code):
    FAULTS[code](pack.folder)
    with pytest.raises(PackError) as caught:
        _ = open_pack(pack.folder).features
    assert caught.value.code == code


def test_opening_what_is_no_pack(tmp_path, pack):
    with pytest.raises(PackError, match="no pack here"):
        open_pack(tmp_path / "nowhere")
    FAULTS["format"](pack.folder)
    with pytest.raises(PackError, match="other/9"):
        open_pack(pack.folder)
