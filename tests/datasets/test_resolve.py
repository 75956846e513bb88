"""From what a user types to tracks."""

from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile

from tonearm import datasets
from tonearm.datasets import DatasetError
from tonearm.errors import UsageError


@pytest.fixture
def music(tmp_path):
    for genre in ("rock", "jazz"):
        (tmp_path / "music" / genre).mkdir(parents=True)
        soundfile.write(tmp_path / "music" / genre / "a.wav", np.zeros(800), 8000)
    return tmp_path / "music"


def test_a_named_folder(music, monkeypatch, capsys):
    dataset, tracks, defaults = datasets.resolve(f"folder:{music}")
    assert dataset.name == "folder"
    assert [track.id for track in tracks] == ["jazz/a", "rock/a"]
    assert defaults["classes"] == ["jazz", "rock"]
    assert defaults["name"] == "music"
    monkeypatch.setenv("HOME", str(music.parent))
    assert datasets.resolve("folder:~/music").tracks == tracks
    monkeypatch.chdir(music.parent)
    assert datasets.resolve("folder:music").tracks == tracks
    assert capsys.readouterr() == ("", "")


def test_a_path_alone_is_guessed_and_the_guess_is_told(music, capsys):
    assert datasets.resolve(music).dataset.name == "folder"
    out, err = capsys.readouterr()
    assert out == ""
    assert "read as folder" in err
    table = music.parent / "list.csv"
    table.write_text("path,genre\nmusic/rock/a.wav,rock\n")
    assert [track.genre for track in datasets.resolve(table).tracks] == ["rock"]


def test_options_in_the_text_and_as_keywords(music):
    (music / "rock" / "a.wav").rename(music / "rock" / "b.wav")
    dataset, root, options = datasets.parse(f"folder:{music}?levels=genre,artist")
    assert (dataset.name, root, options) == ("folder", music, {"levels": ("genre", "artist")})
    assert datasets.parse(f"folder:{music}", levels=("genre", "artist"))[2] == options
    assert datasets.parse("synth?seconds=3&faults=labels,silent")[1:] == (
        None,
        {"seconds": 3.0, "faults": ("labels", "silent")},
    )
    assert datasets.resolve(f"folder:{music}?levels=genre,artist").defaults["dataset"] == "folder?levels=genre,artist"


def test_a_question_mark_may_stand_in_a_name(tmp_path):
    (tmp_path / "who?a=b" / "rock").mkdir(parents=True)
    soundfile.write(tmp_path / "who?a=b" / "rock" / "a.wav", np.zeros(800), 8000)
    assert len(datasets.resolve(tmp_path / "who?a=b").tracks) == 1
    (track,) = datasets.resolve(f"folder:{tmp_path}/who?a=b").tracks
    assert track.id == "rock/a"
    (track,) = datasets.resolve(f"folder:{tmp_path}/who?a=b?levels=genre,artist").tracks
    assert track.id == "rock/a"
    with pytest.raises(DatasetError, match="no such file or folder"):
        datasets.resolve(f"folder:{tmp_path}/what?")


def test_synth_alone_is_rendered_into_the_cache_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TONEARM_CACHE", str(tmp_path / "cache"))
    spec = "synth?tracks_per_genre=2&artists_per_genre=1&seconds=1"
    first = datasets.resolve(spec)
    assert len(first.tracks) == 16
    assert all(track.path.startswith(str(tmp_path / "cache")) for track in first.tracks)
    before = os.stat(first.tracks[0].path).st_mtime_ns
    assert datasets.resolve(spec).tracks == first.tracks
    assert os.stat(first.tracks[0].path).st_mtime_ns == before
    assert datasets.resolve(f"synth:{tmp_path}/here?tracks_per_genre=2&artists_per_genre=1&seconds=1").tracks
    assert datasets.resolve(tmp_path / "here").dataset.name == "synth"


@pytest.mark.parametrize(
    ("spec", "error", "named"),
    [
        ("foldr:/nowhere", UsageError, "did you mean 'folder'"),
        ("/no/such/place", DatasetError, "no such file or folder"),
        ("folder:/no/such/place", DatasetError, "no such file or folder"),
        ("gtzan", UsageError, "gtzan:PATH"),
        ("fma?subset=small", UsageError, "fma:PATH"),
        ("fma:.?subset=tiny", UsageError, "not one of small"),
        ("folder:", UsageError, "folder:PATH"),
        ("", UsageError, "no dataset was named"),
        ("synth?secnds=3", UsageError, "did you mean 'seconds'"),
        ("synth?seconds=long", UsageError, "seconds=long"),
        ("folder:.?levels=band", UsageError, "genre must be among them"),
    ],
)
def test_mistakes_are_answered(spec, error, named):
    with pytest.raises(error) as caught:
        datasets.resolve(spec)
    assert named in str(caught.value)


def test_an_empty_folder_and_a_pack_are_told_apart(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="not the layout"):
        datasets.resolve(tmp_path / "empty")
    with pytest.raises(DatasetError, match="no tracks"):
        datasets.resolve(f"folder:{tmp_path}/empty")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack.json").write_text("{}")
    with pytest.raises(UsageError, match="this is a pack"):
        datasets.resolve(tmp_path / "pack")
