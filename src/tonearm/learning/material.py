"""What is learnt from: songs with a genre, an artist and a vector; and which genres have too few of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tonearm.errors import TonearmError
from tonearm.packs import Track
from tonearm.protocols import TrackTable, group, table_of

MIN_TRACKS = 10
# With two artists each fold that has one of them learns from the other alone: below that there is no fold at all.
MIN_ARTISTS = 2
# Below these a genre is kept, and its figure called weak.
FEW_TRACKS, FEW_ARTISTS = 30, 8


class LearnError(TonearmError):
    """Music that cannot be learnt from: too few songs, genres or artists."""

    code = "learn"


@dataclass(frozen=True, eq=False)
class Material:
    """Songs that are labelled and heard: `tracks` and `values` (tracks, columns) in one order."""

    tracks: tuple[Track, ...]
    values: np.ndarray

    @cached_property
    def table(self) -> TrackTable:
        return table_of(list(self.tracks))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({track.genre for track in self.tracks}))

    @cached_property
    def truth(self) -> np.ndarray:
        """Class indices (tracks,)."""
        index = {name: i for i, name in enumerate(self.classes)}
        return np.array([index[track.genre] for track in self.tracks], dtype=np.int64)

    @cached_property
    def groups(self) -> np.ndarray:
        """What must stay together, as numbers (tracks,): songs of one artist, copies of one recording."""
        return groups_of(self.tracks)

    def __len__(self) -> int:
        return len(self.tracks)

    def some(self, rows: np.ndarray) -> Material:
        return Material(tuple(self.tracks[i] for i in rows.tolist()), self.values[rows])


def groups_of(tracks: Sequence[Track]) -> np.ndarray:
    return group(table_of(list(tracks)), ["artist", "recording"]).of_track


@dataclass(frozen=True)
class Scarce:
    """A genre with few songs or artists; `kept` says whether it is learnt all the same."""

    genre: str
    tracks: int
    artists: int
    kept: bool
    reason: str


def scarce(tracks: Sequence[Track], *, min_tracks: int = MIN_TRACKS) -> list[Scarce]:
    """Genres that have too little to be learnt, then those whose figures will be weak."""
    groups = groups_of(tracks).tolist() if tracks else []
    songs = Counter(track.genre for track in tracks)
    artists = Counter(
        genre for genre, _ in {(track.genre, number) for track, number in zip(tracks, groups, strict=True)}
    )
    found = []
    for genre in sorted(songs):
        n, of = songs[genre], artists[genre]
        if n < min_tracks:
            found.append(Scarce(genre, n, of, False, f"{_songs(n)}, {min_tracks} are the least"))
        elif of < MIN_ARTISTS:
            found.append(Scarce(genre, n, of, False, "all by one artist: it cannot be told from the artist"))
        elif n < FEW_TRACKS or of < FEW_ARTISTS:
            what = _songs(n) if n < FEW_TRACKS else f"{of} artists"
            found.append(Scarce(genre, n, of, True, f"only {what}"))
    return sorted(found, key=lambda row: (row.kept, row.tracks, row.genre))


def learnable(tracks: Sequence[Track], *, min_tracks: int = MIN_TRACKS) -> tuple[np.ndarray, list[Scarce]]:
    """Rows of the tracks whose genre has enough, (kept,), and what is to be said of genres; LearnError if none has."""
    rows = scarce(tracks, min_tracks=min_tracks)
    out = {row.genre for row in rows if not row.kept}
    kept = np.array([i for i, track in enumerate(tracks) if track.genre not in out], dtype=int)
    genres = {tracks[i].genre for i in kept.tolist()}
    if len(genres) < 2:
        message, hint = _too_little(tracks, rows, genres, min_tracks)
        raise LearnError(message, hint=hint, code="too-few")
    return kept, rows


def _too_little(tracks: Sequence[Track], rows: list[Scarce], genres: set[str], min_tracks: int) -> tuple[str, str]:
    there = {track.genre for track in tracks}
    if not tracks:
        return "there is no labelled song to learn from", "--labels tags, folders or a CSV says where genres stand"
    if len(there) == 1:
        return f"all {_songs(len(tracks))} are {there.pop()}: a model tells at least two genres apart", ""
    told = "; ".join(f"{row.genre}: {row.reason}" for row in rows if not row.kept)
    what = f"only {genres.pop()} has" if genres else "no genre has"
    hint = "more music" if min_tracks <= 2 else f"more music, or --min-tracks {max(2, min_tracks // 2)}"
    return f"{what} enough songs and artists to learn from ({told[:500]})", hint


def _songs(n: int) -> str:
    return "1 song" if n == 1 else f"{n} songs"
