"""Which songs there are, and what each is labelled: by tags, by folders, or by a table."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tonearm.errors import UsageError
from tonearm.library.sound import folded
from tonearm.packs import Track

LABELS = ("tags", "folders")
# Artists of compilations and of nobody: songs that share them share nothing.
_NO_ARTIST = {"", "various artists", "various", "va", "v a", "diverse", "unknown artist", "unknown", "artist",
              "soundtrack", "ost", "traditional", "anonymous"}  # fmt: skip
_GUEST = re.compile(r"\s+[(\[]?(?:feat|ft|featuring)\b\.?.*$|\s*[;/]\s.*$|;.*$", re.IGNORECASE)
_PART = re.compile(r"(?:cd|disc|disk|side|vol|volume|part)\s*\.?\s*[0-9a-d]{1,3}", re.IGNORECASE)
_NO_GENRE = {"unknown", "none", "other", "undefined", "no genre", "genre", "various"}


@dataclass(frozen=True, kw_only=True)
class Song:
    """A file (or a row of a pack) before its label is decided. `genres`, `artist` as tags say; `sound` its hash."""

    path: str
    genres: tuple[str, ...] = ()
    artist: str = ""
    sound: str = ""
    label: str = ""  # of a table


@dataclass
class Labelled:
    """Songs with a label as tracks; those without; and what has to be said of how labels and artists were found."""

    tracks: list[Track]
    unlabelled: list[str]
    by: str
    notes: list[str] = field(default_factory=list)
    over: str = "artists"


def label(songs: Sequence[Song], root: str, labels: str | None) -> Labelled:
    """Give each song its genre and artist. `labels` None: from tags where most songs have one, else from folders.

    Artists come from tags, else from the folder that the song lies in, if that is one below the root or below the
    genre's own; else a song stands alone.
    """
    by = labels or _guessed(songs, root)
    notes = [] if labels or any(song.label for song in songs) else [_told(by, songs)]
    several = spelt = 0
    tracks, unlabelled = [], []
    for song in songs:
        names = (song.label,) if by == "table" else song.genres if by == "tags" else (_folder_genre(song.path, root),)
        several += len([name for name in names if name]) > 1
        # What a program writes that knows no genre is none; a person who names a folder so means it.
        genre = next((line for line in map(one_line, names) if line and not (by == "tags" and _is_none(line))), "")
        if not genre:
            unlabelled.append(song.path)
            continue
        artist = artist_key(song.artist) or _folder_artist(song.path, root, by, genre)
        tracks.append(Track(id=song.path, genre=genre, artist=artist, recording=song.sound, path=song.path))
    tracks, spelt = _one_spelling(tracks)
    if several:
        notes.append(f"{several} songs have several genres: the first counts")
    if spelt:
        notes.append(f"genres that differ only in case, accents or dashes are one: {spelt}")
    notes += _about_artists(tracks, songs)
    known = any(track.artist for track in tracks)
    return Labelled(tracks, unlabelled, by, notes, "artists" if known else "songs")


def _guessed(songs: Sequence[Song], root: str) -> str:
    if any(song.label for song in songs):
        return "table"
    tagged = sum(any(not _is_none(name) for name in song.genres) for song in songs)
    folders = any(_folder_genre(song.path, root) for song in songs)
    return "tags" if 2 * tagged >= len(songs) or not folders else "folders"


def _is_none(name: str) -> bool:
    return not name.strip() or folded(name) in _NO_GENRE


def _told(by: str, songs: Sequence[Song]) -> str:
    tagged = sum(bool(song.genres) for song in songs)
    if by == "tags":
        return f"labels are the genres of the tags, which {tagged} of {len(songs)} songs have (or: --labels folders)"
    return f"labels are the names of the folders; only {tagged} of {len(songs)} songs have a genre in their tags"


def one_line(text: str) -> str:
    """A genre as one line of composed, printable text; of several in one text the first."""
    first = next((part for part in re.split(r"[;\0]", text or "") if part.strip()), "")
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cf") else c for c in first)
    return " ".join(unicodedata.normalize("NFC", plain).split())[:80]


def artist_key(text: str) -> str:
    """An artist for comparing: without guests, case and accents; empty where nobody is meant."""
    main = _GUEST.sub("", text or "").strip() or (text or "")
    key = folded(main) or " ".join(main.casefold().split())
    key = key.removeprefix("the ")
    return "" if key in _NO_ARTIST else key


def _below(path: str, root: str) -> list[str]:
    """Folders between the root and a file."""
    if not root:
        return []
    relative = os.path.relpath(os.path.dirname(path), root)
    parts = [] if relative == os.curdir else relative.split(os.sep)
    return [] if parts[:1] == [os.pardir] else parts


def _folder_genre(path: str, root: str) -> str:
    parts = _below(path, root)
    return os.fsencode(parts[0]).decode("utf-8", "backslashreplace") if parts else ""


def _folder_artist(path: str, root: str, by: str, genre: str) -> str:
    """The folder of a song, parts of an album as one; not the root, and no folder that is but the genre."""
    parts = _below(path, root)
    while parts and _PART.fullmatch(parts[-1]):
        parts = parts[:-1]
    least = 1 if by == "folders" else 0
    if len(parts) <= least or folded(parts[-1]) == folded(genre):
        return ""
    return "folder " + os.fsencode("/".join(parts)).decode("utf-8", "backslashreplace")


def _one_spelling(tracks: list[Track]) -> tuple[list[Track], str]:
    """Genres under the spelling that is used most; and which were joined."""
    spellings: dict[str, Counter] = {}
    for track in tracks:
        key = folded(track.genre).replace(" ", "") or track.genre
        spellings.setdefault(key, Counter())[track.genre] += 1
    chosen = {name: max(used, key=lambda name: (used[name], name)) for used in spellings.values() for name in used}
    joined = [" = ".join(name for name, _ in used.most_common()) for used in spellings.values() if len(used) > 1]
    return [replace(track, genre=chosen[track.genre]) for track in tracks], "; ".join(joined[:5])


def _about_artists(tracks: Sequence[Track], songs: Sequence[Song]) -> list[str]:
    notes = []
    tagged = {song.path for song in songs if artist_key(song.artist)}
    by_folder = sum(bool(track.artist) and track.path not in tagged for track in tracks)
    alone = sum(not track.artist for track in tracks)
    if by_folder:
        notes.append(f"{by_folder} songs have no artist in their tags: their folder stands for the artist")
    if alone:
        flatter = "the figures may flatter" if 10 * alone > len(tracks) else "the figures hardly suffer"
        of_all = f"{alone} of the {len(tracks)} songs with a label"
        notes.append(f"the artist of {of_all} is not known: each counts as an artist of its own, {flatter}")
    labels: dict[str, set[str]] = {}
    for track in tracks:
        if track.recording:
            labels.setdefault(track.recording, set()).add(track.genre)
    twofold = sum(len(genres) > 1 for genres in labels.values())
    if twofold:
        notes.append(f"{twofold} recordings are there under two genres")
    return notes


def from_table(path: Path) -> list[Song]:
    """The songs of a CSV with the columns path, genre and, if known, artist, recording; paths relative to the table."""
    from tonearm.datasets import _table

    tracks, _ = _table.read(path)
    return [
        Song(path=str(track.path), label=track.genre, artist=track.artist, sound=track.recording) for track in tracks
    ]


def joined_with_table(songs: Iterable[Song], table: Path) -> tuple[list[Song], list[str]]:
    """Songs of a folder with the labels of a table; and the paths of the table that are not among them."""
    rows = {os.path.realpath(song.path): song for song in from_table(table)}
    if not any(row.label for row in rows.values()):
        what = f"none of its {len(rows)} rows has a genre" if rows else "it has no rows"
        raise UsageError(f"{table}: {what}", hint="genres stand in the column genre")
    songs, found = list(songs), []
    for song in songs:
        row = rows.pop(os.path.realpath(song.path), None)
        found.append(
            replace(song, label=row.label, artist=row.artist or song.artist, sound=song.sound or row.sound)
            if row
            else replace(song, label="")
        )
    if songs and not any(song.label for song in found):
        raise UsageError(
            f"{table}: none of its {len(rows)} paths is one of the {len(songs)} songs",
            hint="paths in a table are relative to the table, or absolute",
        )
    return found, [row.path for row in rows.values()]
