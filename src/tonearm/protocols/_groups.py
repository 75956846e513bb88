"""Which tracks belong together: tracks that share an artist or a recording, or were found to be duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.protocols._table import TrackTable


@dataclass(frozen=True)
class Groups:
    """`of_track` has one group number per track; tracks with the same number must stay in one part.

    `unknown` counts, per kind, the tracks of which that kind is not known: they stand alone, which is a hope and not
    a fact, so every report says how many they are.
    """

    by: tuple[str, ...]
    of_track: np.ndarray
    unknown: dict[str, int]

    def __len__(self) -> int:
        return int(self.of_track.max()) + 1 if len(self.of_track) else 0


def group(table: TrackTable, by: Sequence[str], duplicates: Iterable[Sequence[str]] = ()) -> Groups:
    """Join tracks that share a value in any of the columns `by`, and those of each set of duplicates.

    Joined over several columns, because two cuts of one recording can be filed under two artists: a split by artist
    alone would tear them apart.
    """
    parent = np.arange(len(table))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return int(i)

    def join(members: Iterable[int]) -> None:
        first, *others = (root(int(i)) for i in members)
        for other in others:
            parent[root(other)] = root(first)

    unknown = {}
    for column in by:
        if column == "track":
            continue
        values = table.column(column)
        unknown[column] = int((values == "").sum())
        for members in members_by_value(values).values():
            if len(members) > 1:
                join(members)
    place = {track: i for i, track in enumerate(table.ids.tolist())}
    for ids in duplicates:
        members = [place[track] for track in ids if track in place]
        if len(members) > 1:
            join(members)
    roots = [root(i) for i in range(len(table))]
    _, numbers = np.unique(roots, return_inverse=True)
    return Groups(tuple(by), numbers, unknown)


def members_by_value(values: np.ndarray) -> dict[str, list[int]]:
    """Indices by value, empty text left out."""
    members: dict[str, list[int]] = {}
    for i, value in enumerate(values.tolist()):
        if value != "":
            members.setdefault(value, []).append(i)
    return members
