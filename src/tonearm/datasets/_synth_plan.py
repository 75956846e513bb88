"""What a synthesised dataset consists of, and which faults are planted where: all decided before a sound is made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tonearm.datasets._synth_sound import GENRES, SAMPLE_RATE
from tonearm.errors import UsageError, unknown_name

# Changes whenever the same settings would sound different: a folder of another version is not gone on with.
VERSION = 1

FAULTS = {
    "duplicates": "copies of training tracks under another artist, in another part of the split, told to no one",
    "labels": "tracks that sound like one genre and are labelled as another",
    "watermark": "a tone below 20 Hz in every track, with a pitch and a level of its own per genre",
    "silent": "tracks of digital silence",
    "truncated": "files whose second half is missing",
    "short": "tracks of half a second",
    "clipped": "tracks driven far into the rails",
    "rate": "tracks at 8,000 Hz instead of 22,050 Hz",
}
COPIES = ("exact", "gain", "mp3", "resampled", "cut")
FORMATS = {"wav": "WAV", "flac": "FLAC", "mp3": "MP3"}


@dataclass(frozen=True)
class Settings:
    """All that decides a rendering; equal settings give equal bytes."""

    tracks_per_genre: int = 20
    artists_per_genre: int = 5
    seconds: float = 10.0
    seed: int = 0
    format: str = "flac"
    duplicates: int = 1
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for fault in self.faults:
            if fault not in FAULTS:
                raise unknown_name("fault", fault, FAULTS)
        if self.format not in FORMATS:
            raise unknown_name("format", self.format, FORMATS)
        if not 1 <= self.artists_per_genre <= self.tracks_per_genre:
            raise UsageError(
                f"{self.tracks_per_genre} tracks per genre by {self.artists_per_genre} artists: every artist needs one",
                hint="set artists_per_genre as well, 5 by default",
            )
        if not 0 <= self.duplicates <= self.tracks_per_genre // 2:
            raise UsageError(
                f"{self.duplicates} duplicates of {self.tracks_per_genre} tracks: at most half of them",
                hint="set duplicates as well, 1 by default",
            )
        if not 1.0 <= self.seconds <= 3600.0:
            raise UsageError(f"{self.seconds} s: tracks are from 1 s to 3,600 s long")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed}: must not be negative")

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": VERSION, "tracks_per_genre": self.tracks_per_genre, "artists_per_genre": self.artists_per_genre,
            "seconds": float(self.seconds), "seed": self.seed, "format": self.format, "duplicates": self.duplicates,
            "faults": sorted(self.faults),
        }  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """One file to be: what is told of it (`id`, `genre`, `artist`, `split`, `recording`) and what it really is.

    `sounds` is the genre that is heard, `by` the artist who is heard, `seed` what is played; a copy shares all three
    with `copy_of`. `faults` are those that only truth.csv knows.
    """

    id: str
    genre: str
    artist: str
    split: str
    recording: str
    sounds: str
    by: int
    seed: tuple[int, ...]
    copy_of: str = ""
    copy: str = ""
    faults: tuple[str, ...] = field(default=())


def plan(settings: Settings) -> list[Plan]:
    """Every track of a rendering, sorted by id."""
    draw = np.random.default_rng([settings.seed, 99])
    tracks = [track for g in range(len(GENRES)) for track in _clean(settings, g)]
    # A fault never meets another, nor a source or copy of a duplicate: then truth is one cause per track.
    free = [i for i, track in enumerate(tracks) if not track.copy and not _is_source(track, tracks)]
    free = [free[i] for i in draw.permutation(len(free))]
    for fault in sorted(settings.faults):
        if fault == "watermark":
            tracks = [replace(track, faults=(*track.faults, "watermark")) for track in tracks]
        elif fault == "duplicates":
            free = _hide_copies(tracks, free, draw)
        else:
            count = max(2, len(tracks) // (20 if fault == "labels" else 60))
            chosen, free = free[:count], free[count:]
            for i in chosen:
                tracks[i] = _spoil(tracks[i], fault, draw)
    return tracks


def _clean(settings: Settings, g: int) -> list[Plan]:
    """One genre without hidden faults; its last tracks are the duplicates that the column `recording` tells of."""
    genre, count, artists = GENRES[g], settings.tracks_per_genre, settings.artists_per_genre
    own = count - settings.duplicates
    tracks = []
    for i in range(count):
        name = f"{genre}.{i:05d}"
        source = i - own
        a = (source if source >= 0 else i) % artists
        new = Plan(
            id=name, genre=genre, artist=f"{genre}-{a}", split=_part(a, artists), recording=name, sounds=genre,
            by=a, seed=(settings.seed, 2, g, i),
        )  # fmt: skip
        if source >= 0:
            of, copy = tracks[source], COPIES[(g + source) % len(COPIES)]
            new = replace(new, recording=of.id, seed=of.seed, copy_of=of.id, copy=copy)
        tracks.append(new)
    return tracks


def _part(artist: int, artists: int) -> str:
    """Whole artists go to a part: of five, three to train and one each to valid and test."""
    if artists < 3:
        return "train"
    held = max(1, round(artists / 5))
    return "test" if artist >= artists - held else "valid" if artist >= artists - 2 * held else "train"


def _is_source(track: Plan, tracks: list[Plan]) -> bool:
    return any(other.copy_of == track.id for other in tracks)


def _hide_copies(tracks: list[Plan], free: list[int], draw: np.random.Generator) -> list[int]:
    """Turn some tracks into copies of others of their genre, by preference from another part of the split."""
    wanted = max(len(COPIES), len(tracks) // 30)
    made = 0
    while made < wanted:
        pairs = (
            (i, j)
            for same_part in (False, True)
            for i in free
            for j in free
            if i != j and tracks[i].genre == tracks[j].genre and tracks[i].split == "train"
            if (tracks[j].split == "train") == same_part and tracks[i].artist != tracks[j].artist
        )
        i, j = next(pairs, (-1, -1))
        if i < 0:
            break
        tracks[j] = replace(
            tracks[j], by=tracks[i].by, seed=tracks[i].seed, copy_of=tracks[i].id, copy=COPIES[made % len(COPIES)],
            faults=(*tracks[j].faults, "duplicates"),
        )  # fmt: skip
        free = [k for k in free if k not in (i, j)]
        made += 1
    return free


def _spoil(track: Plan, fault: str, draw: np.random.Generator) -> Plan:
    if fault != "labels":
        return replace(track, faults=(*track.faults, fault))
    other = str(draw.choice([genre for genre in GENRES if genre != track.sounds]))
    # The label is wrong, everything else stays: only listening tells.
    return replace(track, sounds=other, seed=(*track.seed, GENRES.index(other)), faults=(*track.faults, "labels"))


def artist_seed(settings: Settings, track: Plan) -> list[int]:
    return [settings.seed, 1, GENRES.index(track.sounds), track.by]


def watermark_tone(genre: str, seconds: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The inaudible shortcut: a tone of 4 to 18 Hz whose pitch and level tell the genre, relative to a track's peak.

    Float32, shape (samples,).
    """
    g = GENRES.index(genre)
    t = np.arange(round(seconds * sample_rate), dtype=np.float64) / sample_rate
    return (10 ** ((-38 + 3.6 * g) / 20) * np.sin(2 * np.pi * (4 + 2 * g) * t)).astype(np.float32)
