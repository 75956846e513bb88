"""The audit finds each fault that the synth dataset plants, and none in the clean version."""

import csv
import json

import pytest

from tonearm.audit import Options, audit
from tonearm.datasets import synth
from tonearm.packs import Track
from tonearm.protocols import Split

pytest.importorskip("sklearn")

SETTINGS = {"seconds": 7.0, "tracks_per_genre": 10, "artists_per_genre": 5}
CODES = {"silent": "silent", "truncated": "truncated", "short": "too-short", "clipped": "clipped", "rate": "rate"}


def rendered(folder, **options):
    synth.render_to(folder, **options)
    with open(folder / "truth.csv", encoding="utf-8") as file:
        truth = list(csv.DictReader(file))
    return truth


def planted(truth, fault):
    return {row["id"] for row in truth if fault in row["faults"].split("+")}


def copies(truth):
    return {frozenset((row["id"], row["copy_of"])) for row in truth if row["copy_of"]}


def found_copies(report):
    return {frozenset(duplicate["ids"]) for duplicate in report["duplicates"]}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    truth = rendered(folder, **SETTINGS)
    return truth, audit(f"synth:{folder}")


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    truth = rendered(folder, **SETTINGS, faults=("duplicates", *CODES))
    return truth, audit(f"synth:{folder}", options=Options(classifiers=False))


@pytest.mark.slow
def test_the_clean_version_is_clean(clean):
    truth, report = clean
    assert report["integrity"] == []
    assert report["leakage"] == []
    assert report["doubtful"] == []
    # The clean version has copies too, but it says so.
    assert found_copies(report) == copies(truth)
    assert all(duplicate["known"] for duplicate in report["duplicates"])
    assert not any(duplicate["labels_differ"] for duplicate in report["duplicates"])
    by = {row["change"]: row for row in report["horse"]}
    assert all(row["survives"] for row in by.values() if row["inaudible"]), by
    assert by["only-below-20-hz"]["accuracy"] < by["only-below-20-hz"]["chance"] + 0.1


@pytest.mark.slow
def test_shared_artists_are_worth_points(clean):
    _, report = clean
    rows = {row["protocol"]: row for row in report["inflation"]}
    assert list(rows)[:4] == ["segment", "track", "recording", "artist"]
    assert rows["segment"]["leaky"]
    assert not rows["artist"]["leaky"]
    assert rows["segment"]["accuracy"] > rows["track"]["accuracy"] >= rows["recording"]["accuracy"] - 0.01
    assert rows["recording"]["accuracy"] > rows["artist"]["accuracy"] + 0.05
    assert rows["segment"]["neighbour"]["track"] > 0.3
    assert rows["recording"]["neighbour"]["artist"] > 0.3
    assert rows["artist"]["neighbour"]["artist"] == 0
    json.dumps(report, allow_nan=False)


@pytest.mark.slow
def test_planted_copies_and_broken_files_are_found(broken):
    truth, report = broken
    assert found_copies(report) == copies(truth)
    new = {frozenset(d["ids"]) for d in report["duplicates"] if not d["known"]}
    assert new == {frozenset((row["id"], row["copy_of"])) for row in truth if "duplicates" in row["faults"].split("+")}
    for fault, code in CODES.items():
        found = {finding["id"] for finding in report["integrity"] if finding["code"] == code}
        # Half a file is also short.
        also = planted(truth, "truncated") if fault == "short" else set()
        assert planted(truth, fault) <= found <= planted(truth, fault) | also, fault
    # Its own split has copies of training tracks in the other parts, told to no one.
    leaked = {track for leak in report["leakage"] if leak["kind"] == "recording" for track in leak["ids"]}
    assert leaked
    assert leaked <= {track for pair in new for track in pair}
    assert report["inflation"] == []
    assert "left out" in report["skipped"]


def test_a_split_that_shares_artists_and_recordings_is_told_by_id():
    made = [Track(id=f"t{i}", genre="xy"[i % 2], artist=f"a{i // 3}", recording=f"r{i // 2}") for i in range(60)]
    split = Split("column", {"train": ("t0", "t3", "t9"), "test": ("t1", "t5", "t9", "t30")})
    report = audit(made, split=split, options=Options(classifiers=False))
    leaks = {leak["kind"]: leak for leak in report["leakage"]}
    assert leaks["track"]["ids"] == ["t9"]
    assert leaks["recording"]["ids"] == ["t1"]
    assert leaks["artist"]["ids"] == ["t1", "t5"]
    assert leaks["artist"]["count"] == 2
    assert leaks["artist"]["parts"] == ["train", "test"]


@pytest.mark.slow
def test_every_wrong_label_is_doubted_and_no_other(tmp_path):
    truth = rendered(tmp_path, seconds=8.0, faults=("labels",))
    report = audit(f"synth:{tmp_path}", options=Options(quick=True))
    wrong = {row["id"]: row["sounds_like"] for row in truth if "labels" in row["faults"].split("+")}
    assert {row["id"] for row in report["doubtful"]} == set(wrong)
    assert all(row["suggested"] == wrong[row["id"]] for row in report["doubtful"])
    assert all(row["path"].endswith(f"{row['id']}.flac") for row in report["doubtful"])


@pytest.mark.slow
def test_a_watermark_below_hearing_is_a_horse(tmp_path):
    rendered(tmp_path, seconds=6.0, tracks_per_genre=6, artists_per_genre=3, faults=("watermark",))
    report = audit(f"synth:{tmp_path}")
    by = {row["change"]: row for row in report["horse"]}
    assert not by["below-20-hz"]["survives"]
    assert by["below-20-hz"]["fall"]["interval"][0] > 5
    assert not by["only-below-20-hz"]["survives"]
    assert by["only-below-20-hz"]["accuracy"] > 0.9
    assert by["gain"]["survives"]
    assert by["start"]["survives"]
