"""Packs from packs: merge and select. Rows pass through in blocks, so size does not matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import UsageError, unknown_name
from tonearm.packs._write import write_pack
from tonearm.packs.pack import Pack, PackError, blocks

# What must be equal for rows of two packs to mean the same thing.
_ALIKE = ("feature", "scale", "clip", "prepare", "columns")
# What is said of one build and not of what was made from it.
_OWN = ("format", "name", "title", "feature", "axes", "scale", "array", "tracks", "classes", "sha256", "failed",
        "missing", "tonearm")  # fmt: skip
DUPLICATES = ("error", "first", "rename")


def merge(packs: Sequence[Pack], out: str | Path, *, duplicates: str = "error", force: bool = False) -> Pack:
    """One pack from several that hold the same feature in the same scale.

    An id that occurs again with an equal row and genre is taken once. Where the rows differ, `duplicates` decides:
    refuse ("error"), keep the row of the pack named first ("first"), or put the pack's name before it ("rename").
    """
    if len(packs) < 2:
        raise UsageError("merging takes two packs or more")
    if duplicates not in DUPLICATES:
        raise unknown_name("way to treat duplicates", duplicates, DUPLICATES)
    first = packs[0]
    for other in packs[1:]:
        if different := list(differences(first, other)):
            raise PackError(
                f"{first.folder} and {other.folder} cannot be merged: {'; '.join(different)}",
                hint="build both with the same options",
                code="different",
            )
    _not_onto(out, packs)
    taken, ids = _take(packs, duplicates)
    names = list(dict.fromkeys(name for pack in packs for name in pack.columns))
    columns = {
        name: np.concatenate([p.column(name)[rows] for p, rows in zip(packs, taken, strict=True)]) for name in names
    }
    columns["id"] = np.array(ids)
    if duplicates == "rename" and "track" in columns:
        columns["track"] = np.array([_track_of(new, p, i) for new, p, i in _origins(packs, taken, ids)])
    classes = list(dict.fromkeys(name for pack in packs for name in pack.classes))
    further = {key: value for key, value in first.meta.items() if key not in _OWN}
    for key in ("licence", "citation", "split", "source", "dataset"):
        values = _distinct(pack.meta.get(key) for pack in packs)
        if values:
            further[key] = values if key == "citation" else "; ".join(map(str, values))
    further["merged"] = [pack.name for pack in packs]
    return write_pack(
        out,
        (block for pack, rows in zip(packs, taken, strict=True) for block in _chosen(pack, rows)),
        columns,
        feature=first.feature_config,
        axes=first.axes,
        scale=first.meta.get("scale"),
        classes=classes,
        further=further,
        shape=(len(ids), *first.features.shape[1:]),
        dtype=first.features.dtype,
        force=force,
    )


def differences(a: Pack, b: Pack) -> Iterator[str]:
    """What keeps the rows of two packs from meaning the same, as pieces of a sentence."""
    if a.features.dtype != b.features.dtype:
        yield f"dtype {a.features.dtype} and {b.features.dtype}"
    if a.features.shape[1:] != b.features.shape[1:]:
        yield f"rows of shape {a.features.shape[1:]} and {b.features.shape[1:]}"
    for key in _ALIKE:
        yield from difference(key, a.meta.get(key), b.meta.get(key))


def difference(name: str, a: Any, b: Any) -> Iterator[str]:
    """Where two settings differ, down to the key."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            yield from difference(f"{name}.{key}", a.get(key), b.get(key))
    elif a != b:
        shown = [text if len(text := repr(value)) < 60 else f"{text[:57]}…" for value in (a, b)]
        yield f"{name} is {shown[0]} and {shown[1]}"


def _take(packs: Sequence[Pack], duplicates: str) -> tuple[list[np.ndarray], list[str]]:
    """Which rows of each pack go into the merged one, and the ids of all of them in order."""
    seen: dict[str, tuple[Pack, int]] = {}
    taken, ids, clashes = [], [], []
    for pack in packs:
        rows = []
        for i, name in enumerate(pack.ids.tolist()):
            if name in seen:
                if _same(*seen[name], pack, i) or duplicates == "first":
                    continue
                if duplicates == "error":
                    clashes.append(name)
                    continue
                name = f"{pack.name}/{name}"
                if name in seen:
                    clashes.append(name)
                    continue
            seen[name] = (pack, i)
            rows.append(i)
            ids.append(name)
        taken.append(np.array(rows, dtype=np.int64))
    if clashes:
        raise PackError(
            f"{len(clashes)} ids stand for different rows: {', '.join(clashes[:5])}",
            hint="--duplicates first keeps the row of the pack named first, --duplicates rename keeps both",
            code="duplicate-id",
        )
    return taken, ids


def _same(a: Pack, i: int, b: Pack, j: int) -> bool:
    return a.column("genre")[i] == b.column("genre")[j] and np.array_equal(a.features[i], b.features[j])


def _origins(packs: Sequence[Pack], taken: list[np.ndarray], ids: list[str]) -> Iterator[tuple[str, Pack, int]]:
    rows = ((pack, i) for pack, chosen in zip(packs, taken, strict=True) for i in chosen)
    for name, (pack, i) in zip(ids, rows, strict=True):
        yield name, pack, i


def _track_of(new_id: str, pack: Pack, i: int) -> str:
    track = str(pack.tracks[i])
    return track if new_id == pack.ids[i] else f"{pack.name}/{track}"


def _distinct(values: Any) -> list:
    """Values in order, each once, lists opened."""
    flat = [item for value in values if value for item in (value if isinstance(value, list) else [value])]
    return list({str(value): value for value in flat}.values())


def select(
    pack: Pack,
    out: str | Path,
    *,
    split: Sequence[str] = (),
    genre: Sequence[str] = (),
    ids: Sequence[str] | None = None,
    where: Sequence[tuple[str, str]] = (),
    force: bool = False,
) -> Pack:
    """The rows that meet every condition, as a pack of their own; within one condition any of the values will do.

    `ids` are ids of rows or of tracks. The classes stay those of the pack, so that labels keep their numbers, unless
    genres are chosen.
    """
    keep = np.ones(len(pack), dtype=bool)
    for name, values in (("split", split), ("genre", genre)):
        if values:
            valid = sorted(set(pack.column(name).tolist()))
            for value in values:
                if value not in valid:
                    raise unknown_name(f"{name} of {pack.name}", value, valid)
            keep &= np.isin(pack.column(name), list(values))
    if ids is not None:
        known = set(pack.ids.tolist()) | set(pack.tracks.tolist())
        if missing := [name for name in ids if name not in known]:
            raise PackError(f"{pack.folder}: no such ids: {', '.join(missing[:5])} ({len(missing)} in all)", code="ids")
        keep &= np.isin(pack.ids, list(ids)) | np.isin(pack.tracks, list(ids))
    for name, value in where:
        if name not in pack.columns:
            raise unknown_name(f"column of {pack.name}", name, pack.columns)
        keep &= pack.column(name) == value
    rows = np.flatnonzero(keep)
    if not len(rows):
        raise PackError(f"{pack.folder}: no row meets these conditions", hint=f"tonearm pack info {pack.folder}")
    _not_onto(out, [pack])
    further = {key: value for key, value in pack.meta.items() if key not in _OWN}
    return write_pack(
        out,
        _chosen(pack, rows),
        {name: column[rows] for name, column in pack.columns.items()},
        feature=pack.feature_config,
        axes=pack.axes,
        scale=pack.meta.get("scale"),
        classes=[name for name in pack.classes if name in genre] if genre else pack.classes,
        further={**further, "selected_from": pack.name},
        shape=(len(rows), *pack.features.shape[1:]),
        dtype=pack.features.dtype,
        force=force,
    )


def _not_onto(out: str | Path, packs: Sequence[Pack]) -> None:
    for pack in packs:
        if Path(out).exists() and Path(out).samefile(pack.folder):
            raise UsageError(f"{out}: is read from, so it cannot be written to")


def _chosen(pack: Pack, rows: np.ndarray) -> Iterator[np.ndarray]:
    row_bytes = pack.features.nbytes // max(1, len(pack.features))
    for part in blocks(len(rows), row_bytes):
        yield pack.features[rows[part]]
