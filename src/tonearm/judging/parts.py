"""Which tracks of some data a model is judged on: a part of its own split, of a file, of a protocol, or all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tonearm.errors import TonearmError, UsageError, unknown_name

if TYPE_CHECKING:
    from tonearm.judging.predictor import Predictor
    from tonearm.protocols import Split, TrackTable

EVERYTHING = "all"
# What is judged unless a part is named: the part that nothing was chosen by, then the others.
PREFERRED = ("test", "valid", EVERYTHING)


@dataclass(frozen=True)
class Part:
    """Tracks to be judged: `tracks` are indices into the table, `protocol` and `split` say where they come from.

    `segments` are ids of clips, where the split deals those and not tracks: then only these are judged.
    """

    name: str
    tracks: np.ndarray
    protocol: str = ""
    split: str = ""
    split_hash: str = ""
    leaky: bool = False
    segments: frozenset[str] | None = None


def choose(
    predictor: Predictor,
    table: TrackTable,
    *,
    part: str | None = None,
    split_file: str | Path | None = None,
    protocol: str | None = None,
) -> Part:
    """The part to be judged. A run on its own data means its own split, everything else the data's own."""
    split = _split(predictor, table, split_file, protocol)
    names = [*(split.parts if split else ()), EVERYTHING]
    if part is None:
        part = next(name for name in PREFERRED if name in names)
    if part not in names:
        raise unknown_name(f"part of {split.name if split else table.name}:", part, names)
    about = {"protocol": split.protocol, "split": split.name, "split_hash": split.hash} if split else {}
    if part == EVERYTHING:
        return Part(EVERYTHING, np.flatnonzero(table.genre != ""), **about)
    found = Part(part, np.empty(0, int), **about, leaky=split.leaky)
    if split.unit == "row":
        return _of_clips(found, split, table)
    place = {name: i for i, name in enumerate(table.ids.tolist())}
    missing = [name for name in split.parts[part] if name not in place]
    if missing:
        raise TonearmError(
            f"{table.name}: {len(missing)} of {len(split.parts[part])} tracks of {part} are not in it: "
            + ", ".join(missing[:5]),
            hint="this split was made for other data",
            code="missing-ids",
        )
    tracks = np.sort(np.array([place[name] for name in split.parts[part]], dtype=int))
    tracks = tracks[table.genre[tracks] != ""]
    if not len(tracks):
        raise TonearmError(f"{table.name}: no track of {part} has a genre", code="no-labels")
    return Part(part, tracks, **about, leaky=split.leaky)


def _of_clips(part: Part, split: Split, table: TrackTable) -> Part:
    wanted = frozenset(split.parts[part.name])
    owners = {name.rsplit("#", 1)[0] for name in wanted}
    tracks = np.flatnonzero(np.isin(table.ids, sorted(owners)) & (table.genre != ""))
    return Part(part.name, tracks, part.protocol, part.split, part.split_hash, split.leaky, wanted)


def _split(
    predictor: Predictor, table: TrackTable, split_file: str | Path | None, protocol: str | None
) -> Split | None:
    from tonearm import protocols
    from tonearm.protocols._official import official

    if split_file and protocol:
        raise UsageError("a split file or a protocol, not both")
    if split_file:
        split = protocols.read_split(split_file)
        if split.folds:
            raise UsageError(f"{split_file}: a split of {split.folds} folds", hint="name a split of one test part")
        return split
    if protocol and protocol != "official":
        return _by_protocol(table, protocol)
    if not protocol and predictor.kind == "run":
        own = protocols.read_split(predictor.folder / "split.json")
        if _is_of(own, table):
            return own
    found = official(table)
    if not found:
        if protocol:
            raise UsageError(f"{table.name} has no split of its own", hint="its column `split` is empty", code="column")
        return None
    # Not through make_split, which refuses what leaks: here nothing is fitted, and the part is what it is.
    return protocols.Split(
        protocol="official",
        parts={name: tuple(table.ids[members].tolist()) for name, members in found.items()},
        seed=None,
        source=table.name,
    )


def _by_protocol(table: TrackTable, name: str) -> Split:
    from tonearm import protocols

    chosen = protocols.registry.get(name)
    if chosen.unit == "row":
        raise UsageError(
            f"protocol {name!r} deals clips and would judge a model on the tracks that it learnt",
            hint="a run that was made with it is judged by it: leave --protocol out",
        )
    options = {"ratio": (0.7, 0.1, 0.2)} if "ratio" in chosen.takes else {}
    return protocols.make_split(table, name, **options)


def _is_of(split: Split, table: TrackTable) -> bool:
    """Whether a split was made for these tracks: each of its ids is one of theirs."""
    names = {name for ids in split.parts.values() for name in ids}
    known = set(table.ids.tolist())
    if names <= known or names <= set(table.row_ids.tolist()):
        return True
    return split.unit == "row" and {name.rsplit("#", 1)[0] for name in names} <= known
