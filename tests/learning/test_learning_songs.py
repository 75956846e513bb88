"""Which label and which artist a song gets, and what is said of it."""

from __future__ import annotations

import os

import pytest

from tonearm.errors import UsageError
from tonearm.learning.songs import Song, artist_key, from_table, joined_with_table, label, one_line

ROOT = os.path.join(os.sep, "music")


def at(*parts: str, **known) -> Song:
    return Song(path=os.path.join(ROOT, *parts), **known)


def genres(songs, labels=None):
    return [track.genre for track in label(songs, ROOT, labels).tracks]


def test_the_first_genre_of_several_counts_and_that_is_said():
    found = label([at("a.mp3", genres=("Jazz", "Blues")), at("b.mp3", genres=("Rock; Pop",))], ROOT, "tags")
    assert [track.genre for track in found.tracks] == ["Jazz", "Rock"]
    assert any("1 songs have several genres" in note for note in found.notes)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Rock", "Rock"), ("  Hip\tHop \n", "Hip Hop"), ("Größe/ß", "Größe/ß"), ("Ro\u0301ck", "R\u00f3ck"),
        ("\x00Rock", "Rock"), ("; Rock", "Rock"), ("R\u200bock", "R ock"), ("音楽", "音楽"), ("🎸", "🎸"), ("", ""),
        ("\udcff", ""), ("x" * 300, "x" * 80),
    ],
)  # fmt: skip
def test_a_genre_is_one_line_of_plain_text(written, read):
    assert one_line(written) == read


def test_what_programs_write_that_know_no_genre_is_no_label_but_a_folder_called_so_is():
    songs = [at("Other", "a.mp3", genres=("Other",)), at("Other", "b.mp3", genres=("unknown", "Jazz"))]
    assert genres(songs, "tags") == ["Jazz"]
    assert genres(songs, "folders") == ["Other", "Other"]


def test_spellings_of_one_genre_are_joined_to_the_most_common():
    songs = [
        at(f"{i}.mp3", genres=(name,)) for i, name in enumerate(["hip hop", "Hip-Hop", "Hip-Hop", "HipHop", "Rap"])
    ]
    found = label(songs, ROOT, "tags")
    assert [track.genre for track in found.tracks] == ["Hip-Hop"] * 4 + ["Rap"]
    assert any("Hip-Hop = " in note for note in found.notes)


def test_genres_without_letters_of_any_alphabet_stay_apart():
    songs = [at(f"{i}.mp3", genres=(name,)) for i, name in enumerate(["🎸", "🎹", "???"])]
    assert genres(songs, "tags") == ["🎸", "🎹", "???"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Björk", "BJORK"), ("The Beatles", "beatles"), ("Jay-Z", "Jay-Z feat. Rihanna"), ("Queen", "Queen & Co"),
        ("A", "A (ft. B)"), ("Simon", "Simon; Garfunkel"), ("AC/DC", "ac/dc"), ("椎名林檎", "椎名林檎"),
    ],
)  # fmt: skip
def test_artists_are_compared_by_who_is_meant(one, other):
    assert (artist_key(one) == artist_key(other)) is (other != "Queen & Co")
    assert artist_key(one)


@pytest.mark.parametrize("nobody", ["", "Various Artists", "VA", "unknown artist", "  "])
def test_compilations_have_no_artist(nobody):
    assert artist_key(nobody) == ""


def test_the_folder_stands_for_an_artist_that_tags_do_not_name():
    songs = [
        at("Miles", "Kind of Blue", "CD1", "1.mp3", genres=("Jazz",)),
        at("Miles", "Kind of Blue", "CD 2", "1.mp3", genres=("Jazz",)),
        at("loose.mp3", genres=("Jazz",)),
        at("Jazz", "2.mp3", genres=("Jazz",)),
        at("Nina", "3.mp3", genres=("Jazz",), artist="Nina Simone"),
    ]
    found = label(songs, ROOT, "tags")
    artists = [track.artist for track in found.tracks]
    assert artists[0] == artists[1] != ""
    assert artists[2:] == ["", "", "nina simone"]
    assert any("2 songs have no artist in their tags: their folder" in note for note in found.notes)
    assert any("the artist of 2 of the 5 songs with a label is not known" in note for note in found.notes)
    assert found.over == "artists"


def test_a_genre_folder_is_no_artist_and_one_below_it_is():
    songs = [at("Jazz", "a.mp3"), at("Jazz", "Miles", "b.mp3"), at("Rock", "c.mp3"), at("stray.mp3")]
    found = label(songs, ROOT, "folders")
    assert [(track.genre, bool(track.artist)) for track in found.tracks] == [
        ("Jazz", False), ("Jazz", True), ("Rock", False),
    ]  # fmt: skip
    assert found.unlabelled == [songs[3].path]


def test_where_labels_stand_is_looked_for_and_said():
    folders = [at("Jazz", "a.mp3"), at("Rock", "b.mp3", genres=("Rock",)), at("Pop", "c.mp3")]
    assert label(folders, ROOT, None).by == "folders"
    tagged = [at("Miles", "a.mp3", genres=("Jazz",)), at("Nina", "b.mp3", genres=("Soul",)), at("X", "c.mp3")]
    found = label(tagged, ROOT, None)
    assert (found.by, len(found.unlabelled)) == ("tags", 1)
    assert "labels are the genres of the tags, which 2 of 3 songs have" in found.notes[0]


def test_copies_under_two_genres_are_told():
    songs = [at("a.mp3", genres=("Rock",), sound="1"), at("b.mp3", genres=("Pop",), sound="1")]
    assert any("1 recordings are there under two genres" in note for note in label(songs, ROOT, "tags").notes)


def test_a_table_labels_songs_by_path(tmp_path):
    (tmp_path / "genres.csv").write_text("path,genre,artist\nsub/a.mp3,Jazz,Nina\nb.mp3,Rock,\ngone.mp3,Rock,\n")
    songs = [Song(path=str(tmp_path / "sub" / "a.mp3"), artist="other"), Song(path=str(tmp_path / "c.mp3"))]
    found, strangers = joined_with_table(songs, tmp_path / "genres.csv")
    assert [(song.label, song.artist) for song in found] == [("Jazz", "Nina"), ("", "")]
    assert [os.path.basename(path) for path in strangers] == ["b.mp3", "gone.mp3"]
    assert [song.label for song in from_table(tmp_path / "genres.csv")] == ["Jazz", "Rock", "Rock"]
    with pytest.raises(UsageError, match="none of its 3 paths"):
        joined_with_table([Song(path="/elsewhere.mp3")], tmp_path / "genres.csv")


def test_a_table_without_the_columns_says_which(tmp_path):
    (tmp_path / "genres.csv").write_text("file;style\na.mp3;Jazz\n")
    with pytest.raises(UsageError, match="the column path and the column genre is missing"):
        from_table(tmp_path / "genres.csv")
