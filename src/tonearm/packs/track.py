"""One recording with a label."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A row of a dataset. Empty text means unknown; `path` is None where only features exist.

    `recording` is equal for duplicates of one recording (empty: known to no one, so its own). `artist` is a group
    that must not stand on both sides of a split. `split` is the dataset's own part: train, valid, test or empty.
    `extra` holds further columns of tracks.csv, by name.
    """

    id: str
    genre: str = ""
    split: str = ""
    artist: str = ""
    recording: str = ""
    path: str | None = None
    extra: dict[str, str] = field(default_factory=dict)
