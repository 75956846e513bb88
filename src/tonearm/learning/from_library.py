"""Songs of a scanned library: tags, copies and vectors are there already, only what is missing is heard."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tonearm.learning import hearing
from tonearm.learning.cache import Cache
from tonearm.learning.material import LearnError, learnable
from tonearm.learning.songs import Song

if TYPE_CHECKING:
    from tonearm.learning.learn import Gathered, Options, Progress

WORD = "library"
_SQLITE = b"SQLite format 3\0"


def is_meant(text: str) -> bool:
    """`library` is the usual one, `library:FILE` another; a database file is one too."""
    if text.startswith(f"{WORD}:") or (text == WORD and not os.path.exists(text)):
        return True
    try:
        with open(os.path.expanduser(text), "rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def gather(text: str, name: str, ear: Any, options: Options, say: Progress) -> Gathered:
    """Labels of all files that are there, and the vector of each; a sound that this model never heard is heard now."""
    from tonearm.learning.learn import Gathered, labelled_by
    from tonearm.library import store

    file = text.removeprefix(WORD).removeprefix(":") if text == WORD or text.startswith(f"{WORD}:") else text
    problems: hearing.Problems = []
    with store.open(file or None) as library:
        say("reading the library")
        songs = _songs(library, problems)
        root = os.path.commonpath([os.path.dirname(song.path) for song in songs]) if songs else ""
        labelled = labelled_by(songs, root, options.labels)
        if not songs:
            raise LearnError(f"{library.path}: no song is in this library", hint="tonearm scan FOLDER", code="empty")
        kept, _ = learnable(labelled.tracks, min_tracks=options.min_tracks)
        wanted = {labelled.tracks[i].id for i in kept.tolist()}
        vectors = {path: vector for path, vector in _vectors(library, ear).items() if path in wanted}
    missing = [song for song in songs if song.path in wanted and song.path not in vectors]
    if missing:
        labelled.notes.append(f"{len(missing)} songs were not heard by {ear.name} {ear.version} yet: heard now")
        vectors |= _heard(missing, name, ear, options, problems, say)
    return Gathered(labelled, vectors, problems)


def _songs(library: Any, problems: hearing.Problems) -> list[Song]:
    """Files that are there and readable, with their tags; copies of one recording have one `sound`."""
    from tonearm.library.copies import recordings

    same = recordings(library)
    rows = library.read(
        "SELECT path, content_id, genres, artist, error_code, error_message FROM files "
        "WHERE missing_at IS NULL ORDER BY path"
    )
    songs = []
    for path, content, genres, artist, code, message in rows:
        if code:
            problems.append({"path": path, "code": code, "message": message or ""})
        elif content is not None:
            named = tuple(genre for genre in genres.split("\n") if genre)
            recording = f"recording {same.get(content, content)}"
            songs.append(Song(path=path, genres=named, artist=artist or "", sound=recording))
    return songs


def _vectors(library: Any, ear: Any) -> dict[str, np.ndarray]:
    """What a scan with this very model kept, float32 by path; nothing where it was another one."""
    from tonearm.runtime import personal, statistics

    found: dict[str, list[np.ndarray]] = {}
    kinds = [statistics.VERSION if name == "statistics" else name for name in personal.inputs_of(ear)]
    if len(kinds) > 1 and personal.span_of(ear) != 255:
        return {}  # a scan takes the statistics of features of one byte a value
    for kind in kinds:
        rows = library.read(
            "SELECT f.path, v.vector FROM vectors v JOIN models m ON m.id = v.model_id "
            "JOIN files f ON f.content_id = v.content_id WHERE m.name = ? AND m.version = ? AND v.kind = ? "
            "AND f.missing_at IS NULL",
            (ear.name, ear.version, kind),
        )
        for path, vector in rows:
            found.setdefault(path, []).append(np.frombuffer(vector, "<f2").astype(np.float32))
    return {path: np.concatenate(parts) for path, parts in found.items() if len(parts) == len(kinds)}


def _heard(
    songs: list[Song], name: str, ear: Any, options: Options, problems: hearing.Problems, say: Progress
) -> dict[str, np.ndarray]:
    from tonearm.learning.learn import ear_key

    def counted(word: str, done: int, total: int) -> None:
        say(f"{word} {done} of {total} songs")

    there = [Song(path=song.path) for song in songs if Path(song.path).exists()]
    gone = {song.path for song in songs} - {song.path for song in there}
    problems += [{"path": path, "code": "missing", "message": "it is in the library, but not there"} for path in gone]
    with closing(Cache()) as cache:
        looked = hearing.look(there, cache, problems, workers=options.workers, progress=counted)
        vectors = hearing.hear(
            looked, name, ear_key(ear), cache, problems, workers=options.workers, progress=counted
        )  # fmt: skip
    return {song.path: vectors[song.sound] for song in looked if song.sound in vectors}
