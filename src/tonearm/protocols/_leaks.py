"""Does anything stand on two sides of a split that must not?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from tonearm.errors import TonearmError
from tonearm.protocols._split import Split, SplitError, shorten
from tonearm.protocols._table import TrackTable, table_of

if TYPE_CHECKING:
    from tonearm.protocols._table import Source

KEPT_APART = ("track", "recording", "artist")
KINDS = ("segment", "track", "recording", "artist", "album")
ORDER = {"train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True)
class Leak:
    """Something that stands in two parts. `ids` are the tracks of the second part that have a counterpart in the
    first, `counterparts` those of the first; `shared` the values (artists, albums ...) that both have.
    """

    kind: str
    parts: tuple[str, str]
    ids: tuple[str, ...]
    counterparts: tuple[str, ...]
    shared: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.ids)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "parts": list(self.parts),
            "ids": list(self.ids),
            "count": self.count,
            "counterparts": list(self.counterparts),
            "shared": list(self.shared),
        }

    def __str__(self) -> str:
        plural = "" if self.count == 1 else "s"
        what = "is also" if self.count == 1 else "are also"
        if self.kind in ("track", "segment"):
            return f"{self.count} {self.kind}{plural} of {self.parts[1]} {what} in {self.parts[0]}: {shorten(self.ids)}"
        return (
            f"{self.count} track{plural} of {self.parts[1]} share{'s' if self.count == 1 else ''} "
            f"{'an' if self.kind[0] == 'a' else 'a'} {self.kind} with {self.parts[0]}: {shorten(self.ids)}"
        )


class LeakError(TonearmError):
    """The same track, recording or artist stands on two sides of a split. `leaks` holds them all."""

    code = "leak"

    def __init__(self, leaks: Sequence[Leak], name: str) -> None:
        hint = {
            "track": "a track may be in one part only",
            "recording": "keep copies together with `tonearm split make … --protocol recording` or `artist`",
            "artist": "keep artists together with `tonearm split make … --protocol artist`",
        }
        super().__init__(f"{name}: " + "; ".join(map(str, leaks)), hint=hint.get(leaks[0].kind, ""))
        self.leaks = list(leaks)


def leaks(
    split: Split | Mapping[str, Iterable[str]], source: Source, *, duplicates: Iterable[Sequence[str]] = ()
) -> list[Leak]:
    """Everything that stands in two parts of a split, by kind: segments, tracks, recordings, artists, albums.

    `duplicates` are sets of ids that were found to be of one recording; they count as such.
    """
    table = table_of(source)
    place = {track: i for i, track in enumerate(table.ids.tolist())}
    parts, found = _tracks_by_part(split, table, place)
    keys = {"recording": _recordings(table, place, duplicates), "artist": table.artist, "album": _albums(table)}
    names = sorted(parts, key=lambda part: (ORDER.get(part, 3), len(part), part))
    for first, second in combinations(names, 2):
        one, other = parts[first], parts[second]
        both = np.intersect1d(one, other)
        if len(both):
            ids = tuple(table.ids[both].tolist())
            found.append(Leak("track", (first, second), ids, ids, ids))
        for kind, values in keys.items():
            shared = np.intersect1d(values[one], values[other])
            shared = shared[shared != ""]
            if not len(shared):
                continue
            # What is the same track is told above; here only what is another track of the same recording or artist.
            late = np.setdiff1d(other[np.isin(values[other], shared)], both)
            early = np.setdiff1d(one[np.isin(values[one], shared)], both)
            if len(late):
                ids, counterparts = tuple(table.ids[late].tolist()), tuple(table.ids[early].tolist())
                found.append(Leak(kind, (first, second), ids, counterparts, tuple(shared.tolist())))
    return sorted(found, key=lambda leak: KINDS.index(leak.kind))


def _tracks_by_part(
    split: Split | Mapping[str, Iterable[str]], table: TrackTable, place: Mapping[str, int]
) -> tuple[dict[str, np.ndarray], list[Leak]]:
    """Track indices per part; and rows that stand in two parts, where the split is of rows."""
    if isinstance(split, Split) and split.unit == "row":
        rows = split.rows(table)
        found = []
        for first, second in combinations(rows, 2):
            both = table.row_ids[np.intersect1d(rows[first], rows[second])].tolist()
            if both:
                found.append(Leak("segment", (first, second), tuple(both), tuple(both), tuple(both)))
        return {part: np.unique(table.row_track[members]) for part, members in rows.items()}, found
    parts = {}
    for part, ids in (split.parts if isinstance(split, Split) else split).items():
        ids = list(ids)
        missing = [track for track in ids if track not in place]
        if missing:
            raise SplitError(
                f"{table.name}: {len(missing)} of the {len(ids)} ids of part {part!r} are not in the data: "
                f"{shorten(missing)}",
                hint="this split was made for other data",
                code="missing-ids",
            )
        parts[part] = np.unique(np.array([place[track] for track in ids], dtype=int))
    return parts, []


def _recordings(table: TrackTable, place: Mapping[str, int], duplicates: Iterable[Sequence[str]]) -> np.ndarray:
    """The recording of every track as text, found duplicates joined, empty where it is alone."""
    duplicates = [[track for track in ids if track in place] for ids in duplicates]
    if not duplicates:
        return table.recording
    from tonearm.protocols._groups import group

    together = group(table, ["recording"], duplicates).of_track
    sizes = np.bincount(together)
    names = np.full(len(sizes), "", dtype=object)
    # The name of a joined recording is that of its first track: numbers would mean nothing to a reader.
    for i in range(len(table) - 1, -1, -1):
        names[together[i]] = table.recording[i] or table.ids[i]
    return np.where(sizes[together] > 1, names[together], "").astype(np.str_)


def _albums(table: TrackTable) -> np.ndarray:
    """Albums by artist: "Greatest Hits" of two artists are two albums."""
    column = "album_id" if "album_id" in table.extra else "album"
    album = table.column(column)
    if column == "album_id":
        return album
    return np.array([f"{a}: {b}" if b else "" for a, b in zip(table.artist, album, strict=True)], dtype=np.str_)


def assert_disjoint(
    split: Split | Mapping[str, Iterable[str]],
    source: Source,
    *,
    keeps_apart: Sequence[str] | None = None,
    duplicates: Iterable[Sequence[str]] = (),
) -> list[Leak]:
    """Raise LeakError, naming the ids, if a split lets stand on two sides what it must keep apart.

    `split` is a Split, or ids by part; the latter must keep tracks, recordings and artists apart unless `keeps_apart`
    says otherwise. Returns the leaks that the protocol allows: who prints a figure must print them too.
    """
    if keeps_apart is None:
        keeps_apart = split.keeps_apart if isinstance(split, Split) else KEPT_APART
    found = leaks(split, source, duplicates=duplicates)
    forbidden = {*keeps_apart, "segment"}
    bad = [leak for leak in found if leak.kind in forbidden]
    if bad:
        raise LeakError(bad, split.name if isinstance(split, Split) else "this split")
    return found
