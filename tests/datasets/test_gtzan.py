"""GTZAN in the layouts people have, and the facts about its clips."""

from __future__ import annotations

import csv

import pytest

from tonearm import datasets
from tonearm.datasets import DatasetError
from tonearm.datasets._facts import table

gtzan = datasets.get("gtzan")


@pytest.mark.parametrize(
    "pattern",
    ["genres/{genre}/{id}.wav", "{genre}/{id}.au", "genres_original/{genre}/{id}.wav", "{id}.flac",
     "Data/genres_original/{genre}/{id}.WAV", "gtzan/genres/genres/{genre}/{id}.mp3", "{genre}/{id}"],
)  # fmt: skip
def test_every_published_layout_is_read_and_recognised(gtzan_copy, pattern):
    root = gtzan_copy(pattern)
    found = gtzan.tracks(root)
    assert [(t.id, t.genre, t.split) for t in found] == [
        ("blues.00000", "blues", "valid"),
        ("blues.00001", "blues", "valid"),
        ("rock.00016", "rock", "train"),
    ]
    assert found[2].recording == "metal.00058"
    assert datasets.resolve(root).dataset.name == "gtzan"


def test_what_lies_beside_the_clips_is_passed_over(gtzan_copy):
    root = gtzan_copy("Data/genres_original/{genre}/{id}.wav")
    data = root / "Data"
    (data / "images_original" / "blues").mkdir(parents=True)
    (data / "images_original" / "blues" / "blues00000.png").write_bytes(b"\x89PNG")
    (data / "features_30_sec.csv").write_text("filename,length\n")
    (data / "genres_original" / "blues" / "._blues.00002.wav").write_bytes(b"\0\5\x16\7")
    (root / "__MACOSX" / "blues").mkdir(parents=True)
    (root / "__MACOSX" / "blues" / "blues.00003.wav").touch()
    assert len(gtzan.tracks(root)) == 3


def test_upper_case_and_several_formats_of_a_clip(gtzan_copy):
    root = gtzan_copy("{genre}/{id}.MP3")
    gtzan_copy("wav/{genre}/{id}.WAV", ids=["blues.00001"])
    (root / "blues" / "BLUES.00005.AU").touch()
    found = {track.id: track.path for track in gtzan.tracks(root)}
    assert set(found) == {"blues.00000", "blues.00001", "blues.00005", "rock.00016"}
    assert found["blues.00001"].endswith("wav/blues/blues.00001.WAV")
    assert [p.id for p in gtzan.problems(root) if p.code == "several-files"] == ["blues.00001"]


def test_what_is_missing_is_named(gtzan_copy):
    missing = [p.id for p in gtzan.problems(gtzan_copy()) if p.code == "missing"]
    assert len(missing) == 997
    assert "jazz.00054" in missing


def test_an_archive_is_not_a_folder(tmp_path):
    (tmp_path / "genres.tar.gz").touch()
    with pytest.raises(DatasetError, match="unpack it first"):
        gtzan.tracks(tmp_path / "genres.tar.gz")


def test_other_music_is_not_taken_for_gtzan(tmp_path, gtzan_copy):
    root = gtzan_copy("{genre}/{genre} song {id}.wav")
    assert datasets.resolve(root).dataset.name == "folder"


def test_the_table_holds_together():
    rows = table("gtzan.tsv")
    assert len(rows) == 1000
    parts = [row["split"] for row in rows.values()]
    assert [parts.count(part) for part in ("train", "valid", "test", "")] == [443, 197, 290, 70]
    assert all(row["recording"] in rows for row in rows.values() if row["recording"])
    assert sum(row["overlap"] == "1" for row in rows.values()) == 23
    in_train = {row["group"] for row in rows.values() if row["split"] == "train"}
    assert all(row["split"] == "test" and row["group"] in in_train for row in rows.values() if row["overlap"])
    assert gtzan.known_bad.keys() == {"jazz.00054", "reggae.00086"}


def test_the_facts_agree_with_the_packs(shared_data, tmp_path):
    for name in ("gtzan-mel", "gtzan-stats"):
        with open(shared_data / name / "tracks.csv", encoding="utf-8", newline="") as file:
            rows = {row["id"]: row for row in csv.DictReader(file)}
        for row in rows.values():
            (tmp_path / row["genre"]).mkdir(exist_ok=True)
            (tmp_path / row["genre"] / f"{row['id']}.wav").touch()
        fields = ("genre", "split", "artist", "recording")
        found = {track.id: [getattr(track, field) for field in fields] for track in gtzan.tracks(tmp_path)}
        assert {name: [row[field] for field in fields] for name, row in rows.items()} == {k: found[k] for k in rows}
    assert len(found) == 1000


def test_real_clips(shared_data):
    found = gtzan.tracks(shared_data / "audio" / "gtzan")
    assert len(found) == 50
    assert {track.genre for track in found} == set(gtzan.about.genres)
