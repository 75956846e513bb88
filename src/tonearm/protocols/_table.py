"""What a protocol needs to know of a dataset: one row per track, whatever the dataset is kept as."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tonearm.errors import TonearmError
from tonearm.packs import Pack, Track

if TYPE_CHECKING:
    Source = Pack | Sequence[Track] | "TrackTable"


@dataclass(frozen=True)
class TrackTable:
    """Tracks as columns of text, shape (tracks,) each; empty text means unknown.

    `row_ids` and `row_track` (shape (rows,)) say which rows of the array belong to which track: where a row is a
    segment there are more rows than tracks. `extra` holds every further column, per track.
    """

    name: str
    ids: np.ndarray
    genre: np.ndarray
    split: np.ndarray
    artist: np.ndarray
    recording: np.ndarray
    row_ids: np.ndarray
    row_track: np.ndarray
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_segments(self) -> bool:
        return len(self.row_ids) > len(self.ids)

    def column(self, name: str) -> np.ndarray:
        """One column by name, empty where there is none of that name."""
        if name in ("id", "track"):
            return self.ids
        if name in ("genre", "split", "artist", "recording"):
            return getattr(self, name)
        return self.extra.get(name, np.full(len(self), "", dtype=np.str_))

    @property
    def column_names(self) -> list[str]:
        known = [name for name in ("genre", "split", "artist", "recording") if (getattr(self, name) != "").any()]
        return ["id", *known, *self.extra]


def table_of(source: Source, *, name: str = "") -> TrackTable:
    """The table of a pack (rows that are segments are gathered to tracks), of a list of Track, or itself."""
    if isinstance(source, TrackTable):
        return source
    if isinstance(source, Pack):
        return _from_pack(source)
    return _from_tracks(list(source), name or "tracks")


def _from_pack(pack: Pack) -> TrackTable:
    rows = pack.tracks
    if not len(rows):
        raise TonearmError(f"{pack.folder}: no tracks in this pack", code="empty")
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    # np.unique sorts by name; the order of the pack is the order people know.
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    first = first[order]
    known = {"id", "track", "genre", "split", "artist", "recording"}
    return TrackTable(
        name=pack.name,
        ids=rows[first],
        genre=pack.column("genre")[first],
        split=pack.column("split")[first],
        artist=pack.column("artist")[first],
        recording=pack.column("recording")[first],
        row_ids=pack.ids,
        row_track=place[inverse],
        extra={column: values[first] for column, values in pack.columns.items() if column not in known},
    )


def _from_tracks(tracks: Sequence[Track], name: str) -> TrackTable:
    if not tracks:
        raise TonearmError(f"{name}: no tracks", code="empty")

    def text(values: Iterable[str]) -> np.ndarray:
        return np.array(list(values), dtype=np.str_)

    ids = text(track.id for track in tracks)
    if len(set(ids.tolist())) < len(ids):
        values, counts = np.unique(ids, return_counts=True)
        twice = ", ".join(values[counts > 1][:5])
        raise TonearmError(f"{name}: ids that occur twice: {twice}", hint="give every track its own id", code="ids")
    extra_names = list(dict.fromkeys(column for track in tracks for column in track.extra))
    extra = {column: text(str(track.extra.get(column, "")) for track in tracks) for column in extra_names}
    if any(track.path for track in tracks):
        extra["path"] = text(str(track.path or "") for track in tracks)
    return TrackTable(
        name=name,
        ids=ids,
        genre=text(track.genre for track in tracks),
        split=text(track.split for track in tracks),
        artist=text(track.artist for track in tracks),
        recording=text(track.recording for track in tracks),
        row_ids=ids,
        row_track=np.arange(len(ids)),
        extra=extra,
    )
