"""The split of a run: by a named protocol or from a file, always with a part to choose by that is not judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tonearm.errors import TonearmError, UsageError
from tonearm.protocols import Split, TrackTable, assert_disjoint, group, make_split
from tonearm.protocols._assign import assign
from tonearm.protocols._leaks import Leak

RATIO = (0.7, 0.1, 0.2)
SELECT = "select"
# A small train has no eighth with whole artists of every genre: then more is held back.
SELECT_SHARES = (0.12, 0.2, 0.34, 0.5)


def default_protocol(table: TrackTable) -> str:
    """The most honest protocol that the data allows: the dataset's own split, else by artist, else by track."""
    parts = set(table.split.tolist())
    if {"train", "training"} & parts and len(parts - {""}) > 1:
        return "official"
    return "artist" if (table.artist != "").any() else "track"


def split_by(
    table: TrackTable, protocol: str | Mapping[str, Any], *, fold: int = 0, leaky_on_purpose: bool = False
) -> Split:
    """A split of the table by a protocol's name, or by a mapping of its name and options; of `folds`, one fold."""
    options = {"name": protocol} if isinstance(protocol, str) else dict(protocol)
    name, folds = options.pop("name"), int(options.pop("folds", 0))
    if not folds and "ratio" not in options and name in ("track", "artist", "recording", "segment", "ratio"):
        options["ratio"] = RATIO
    split = make_split(table, name, folds=folds, leaky_on_purpose=leaky_on_purpose, **options)
    return split.fold(fold or 1, valid=folds > 2) if folds else split


def ready(split: Split, table: TrackTable) -> tuple[Split, list[Leak]]:
    """The split with a part to choose by, checked: the leaks that its protocol allows are returned.

    A split without `valid`, or without `test`, gets a part `select`, taken from train (whole artists, as far as the
    protocol keeps them apart), so that the best epoch is never chosen on what is reported.
    """
    if split.folds:
        raise UsageError("a split of several folds is used fold by fold", hint="--fold N names one of them")
    parts = {part: ids for part, ids in split.parts.items() if ids}
    empty = sorted({"train", *split.parts} - set(parts))
    if "train" in empty or not set(parts) & {"valid", "test"}:
        raise TonearmError(
            f"{split.name}: nothing in {', '.join(empty) or 'valid and test'}",
            hint="a run needs train, and valid or test; `tonearm split show` says what is in a split",
            code="empty-part",
        )
    if empty:
        raise TonearmError(f"{split.name}: the part {empty[0]} is empty", hint="make another split", code="empty-part")
    split.rows(table)  # says which ids the data does not have
    if SELECT not in parts and not {"valid", "test"} <= set(parts):
        split = _with_select(split, table)
    return split, assert_disjoint(split, table)


def _with_select(split: Split, table: TrackTable) -> Split:
    ids = table.row_ids if split.unit == "row" else table.ids
    genre = table.genre[table.row_track] if split.unit == "row" else table.genre
    members = np.flatnonzero(np.isin(ids, split.parts["train"]))
    if split.unit == "row":
        groups = np.arange(len(members))
    else:
        by = [column for column in ("artist", "recording") if column in split.keeps_apart] or ["track"]
        _, groups = np.unique(group(table, by).of_track[members], return_inverse=True)
    if len(np.unique(groups)) < 2:
        raise TonearmError(f"{split.name}: train is one group, of which nothing can be held back", code="empty-part")
    for share in SELECT_SHARES:
        part = assign(groups, genre[members], [1 - share, share], 0)
        if 0 < part.sum() < len(part) and set(genre[members][part == 0]) == set(genre[members]):
            break
    else:
        raise TonearmError(f"{split.name}: too few tracks to hold some back for choosing", code="empty-part")
    train, held = ids[members[part == 0]].tolist(), ids[members[part == 1]].tolist()
    parts = {**split.parts, "train": tuple(train), SELECT: tuple(held)}
    return replace(split, parts=parts)


def choosing_part(split: Split) -> str:
    """The part by which epochs and temperatures are chosen."""
    return SELECT if SELECT in split.parts else "valid"


def judged_parts(split: Split) -> list[str]:
    """The parts that figures are for, validation first."""
    return [part for part in ("valid", "test") if part in split.parts]
