"""Folders and tables as people have them: odd names, nesting, loops, broken rows."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
import soundfile

from tonearm import datasets
from tonearm.datasets import DatasetError
from tonearm.errors import UsageError

folder = datasets.get("folder")


def sound(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.sin(np.arange(4000) / 9).astype(np.float32), 8000, format="WAV")
    return path


def ids(root, **options):
    return [track.id for track in folder.tracks(root, **options)]


def test_genre_is_the_first_folder_and_the_rest_may_nest(tmp_path):
    sound(tmp_path / "rock" / "a.wav")
    sound(tmp_path / "rock" / "Band" / "Album" / "CD1" / "01.WAV")
    sound(tmp_path / "jazz" / "b.wav")
    found = {track.id: track for track in folder.tracks(tmp_path)}
    assert {name: track.genre for name, track in found.items()} == {
        "jazz/b": "jazz",
        "rock/Band/Album/CD1/01": "rock",
        "rock/a": "rock",
    }
    assert all(os.path.isabs(track.path) and os.path.isfile(track.path) for track in found.values())
    assert {track.artist for track in found.values()} == {""}
    deep = {t.id: t for t in folder.tracks(tmp_path, levels=("genre", "artist", "album"))}["rock/Band/Album/CD1/01"]
    assert (deep.artist, deep.extra) == ("Band", {"album": "Album"})


def test_equal_names_with_other_endings_stay_apart(tmp_path):
    for name in ("song.wav", "song.flac", "song.v2.mp3", "song.v2.ogg", "other.wav"):
        sound(tmp_path / "rock" / name)
    assert ids(tmp_path) == ["rock/other", "rock/song.flac", "rock/song.v2.mp3", "rock/song.v2.ogg", "rock/song.wav"]


def test_what_is_no_music_is_passed_over_and_an_ending_is_not_needed(tmp_path):
    sound(tmp_path / "rock" / "no ending")
    sound(tmp_path / "rock" / "01. Vol. 2")
    for name in ("cover.jpg", "list.m3u8", "notes.txt", ".hidden.wav", "._song.wav", "Thumbs.db", "readme"):
        (tmp_path / "rock" / name).write_bytes(b"RIFF....WAVEfmt " if name.startswith(".") else b"hello, world")
    sound(tmp_path / ".trash" / "old.wav")
    sound(tmp_path / "__MACOSX" / "rock" / "x.wav")
    assert ids(tmp_path) == ["rock/01. Vol. 2", "rock/no ending"]


def test_broken_music_is_still_listed_so_that_it_can_be_named(tmp_path):
    sound(tmp_path / "rock" / "good.wav")
    (tmp_path / "rock" / "empty.mp3").touch()
    (tmp_path / "rock" / "text.flac").write_text("not sound")
    (tmp_path / "rock" / "folder.wav").mkdir()
    (tmp_path / "rock" / "gone.ogg").symlink_to(tmp_path / "nowhere.ogg")
    assert ids(tmp_path) == ["rock/empty", "rock/folder", "rock/gone", "rock/good", "rock/text"]


def test_loops_of_links_end(tmp_path):
    sound(tmp_path / "rock" / "a.wav")
    (tmp_path / "rock" / "again").symlink_to(tmp_path / "rock")
    (tmp_path / "rock" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert ids(tmp_path) == ["rock/a"]


def test_a_linked_folder_is_followed(tmp_path):
    sound(tmp_path / "elsewhere" / "a.wav")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "rock").symlink_to(tmp_path / "elsewhere")
    assert ids(tmp_path / "root") == ["rock/a"]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8 exist on Linux only")
def test_odd_names_become_ids_that_can_be_written(tmp_path):
    (tmp_path / "rock").mkdir()
    names = [
        b"caf\xe9.wav",
        "café.wav".encode(),
        "cafe\u0301.wav".encode(),
        b"two\nlines.wav",
        "🎷.wav".encode(),
        b'a,b".wav',
    ]
    for name in names:
        sound(tmp_path / "rock" / "x.wav").rename(
            os.path.join(os.fsencode(tmp_path / "rock"), name).decode("utf-8", "surrogateescape")
        )
    found = folder.tracks(tmp_path)
    assert len({track.id for track in found}) == 6
    for track in found:
        assert os.path.exists(track.path)
        assert track.id.encode("utf-8").decode() == track.id
        assert "\n" not in track.id
    assert {"rock/🎷", "rock/two\\nlines", "rock/caf\\xe9", 'rock/a,b"'} <= {track.id for track in found}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_reported(tmp_path):
    sound(tmp_path / "rock" / "a.wav")
    closed = tmp_path / "rock" / "closed"
    closed.mkdir(mode=0)
    try:
        assert ids(tmp_path) == ["rock/a"]
        assert [p.code for p in folder.problems(tmp_path)] == ["unreadable"]
    finally:
        closed.chmod(0o700)


def test_a_folder_that_vanishes_is_reported(tmp_path, monkeypatch):
    sound(tmp_path / "rock" / "a.wav")
    sound(tmp_path / "jazz" / "b.wav")
    real = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("jazz"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert ids(tmp_path) == ["rock/a"]
    assert [(p.code, os.path.basename(p.path)) for p in folder.problems(tmp_path)] == [("unreadable", "jazz")]


def test_songs_beside_the_genre_folders_are_named_and_left_out(tmp_path, caplog):
    sound(tmp_path / "rock" / "a.wav")
    sound(tmp_path / "stray.wav")
    assert ids(tmp_path) == ["rock/a"]
    assert "stray" in caplog.text


def test_a_flat_folder_has_tracks_without_genre(tmp_path, caplog):
    sound(tmp_path / "a.wav")
    (track,) = folder.tracks(tmp_path)
    assert (track.id, track.genre) == ("a", "")
    assert "no folder per genre" in caplog.text


def table(tmp_path, text, name="list.csv", encoding="utf-8"):
    sound(tmp_path / "music" / "a.wav")
    sound(tmp_path / "music" / "b.wav")
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_of_every_spreadsheet(tmp_path, delimiter, encoding):
    rows = [
        ["Path", " genre ", "artist", "split", "mood"],
        ["music/a.wav", "Chanson française", "Édith", "training", "sad"],
        [str(tmp_path / "music" / "b.wav"), "rock", "", "val", ""],
    ]
    path = table(tmp_path, "\r\n".join(delimiter.join(row) for row in rows), encoding=encoding)
    a, b = folder.tracks(path)
    assert (a.id, a.genre, a.artist, a.split, a.extra) == (
        "music/a",
        "Chanson française",
        "Édith",
        "train",
        {"mood": "sad"},
    )
    assert (b.id, b.genre, b.split, b.path) == ("music/b", "rock", "valid", str(tmp_path / "music" / "b.wav"))
    assert folder.problems(path) == []


def test_a_table_with_faults_is_read_and_every_fault_is_named(tmp_path):
    path = table(
        tmp_path,
        "id,path,genre,split\n"
        "x,music/a.wav,rock,train\n"
        "x,music\\b.wav,jazz,holdout\n"
        ",music/gone.mp3,jazz,\n"
        ",,rock,test\n"
        ",music/./a.wav,rock,test\n"
        "\n"
        "short,music/other.wav\n",
    )
    found = folder.tracks(path)
    assert [(t.id, t.genre, t.split) for t in found] == [
        ("x", "rock", "train"),
        ("x~2", "jazz", ""),
        ("music/gone", "jazz", ""),
        ("short", "", ""),
    ]
    assert found[1].path == str(tmp_path / "music" / "b.wav")
    assert sorted(p.code for p in folder.problems(path)) == [
        "id-twice", "listed-twice", "no-genre", "no-path", "unknown-split",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "named"),
    [("file,label\na,b\n", "column path and the column genre"), ("path\na\n", "column genre"), ("", "nothing"),
     ("path,genre,path\n1,2,3\n", "path stands there twice"), ("path,genre\n\"" + "x" * 200_000 + "\",b\n", "row")],
    ids=["other names", "no genre", "empty", "twice", "endless field"],
)  # fmt: skip
def test_what_is_no_table_of_tracks_is_refused_with_the_reason(tmp_path, text, named):
    with pytest.raises((UsageError, DatasetError), match=named):
        folder.tracks(table(tmp_path, text))
