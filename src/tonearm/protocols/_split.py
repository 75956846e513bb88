"""A split: which tracks are in which part, under which protocol, in one small file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tonearm.errors import TonearmError, UsageError
from tonearm.protocols._table import table_of

if TYPE_CHECKING:
    from tonearm.protocols._table import Source

FORMAT = "split/1"


class SplitError(TonearmError):
    """A split that cannot be read, or that does not fit the data."""

    code = "split"


@dataclass(frozen=True)
class Split:
    """Ids by part. With `folds`, the parts fold-1 to fold-k are each the test part in turn (see `fold`).

    `seed` is None where the protocol draws nothing. `unit` is "track", or "row" for the leaky segment protocol, whose
    ids are rows (segments) of the array. `keeps_apart` is what must not stand on two sides, of track, recording and
    artist; `groups` says by what tracks were grouped, how many groups there were, and of how many it was unknown.
    """

    protocol: str
    parts: Mapping[str, tuple[str, ...]]
    seed: int | None = 0
    folds: int = 0
    unit: str = "track"
    keeps_apart: tuple[str, ...] = ("track", "recording", "artist")
    leaky: bool = False
    source: str = ""
    groups: Mapping[str, Any] = field(default_factory=dict)
    left_out: int = 0

    @cached_property
    def hash(self) -> str:
        """sha256 over the sorted ids of every part: equal hashes, equal splits, whatever made them."""
        digest = hashlib.sha256()
        for part in sorted(self.parts):
            for track in sorted(self.parts[part]):
                digest.update(f"{part}\t{track}\n".encode())
        return digest.hexdigest()

    @property
    def name(self) -> str:
        """A short name for files and tables. A leaky split says so wherever it is named."""
        folds = f"-{self.folds}fold" if self.folds else ""
        seed = f"-seed{self.seed}" if self.seed is not None else ""
        return f"{'leaky-' if self.leaky else ''}{self.protocol}{folds}{seed}-{self.hash[:8]}"

    def fold(self, number: int, *, valid: bool = False) -> Split:
        """Fold `number` (from 1) as a split of its own: that fold is test, the others are train.

        With `valid`, the fold after it (the first after the last) is the validation part.
        """
        if not 1 <= number <= self.folds:
            raise UsageError(f"fold {number} of {self.folds}", hint="folds are counted from 1", code="fold")
        if valid and self.folds < 3:
            raise UsageError("a validation fold needs at least three folds", code="fold")
        parts: dict[str, tuple[str, ...]] = {"train": ()}
        for i in range(1, self.folds + 1):
            ids = self.parts[f"fold-{i}"]
            if i == number:
                parts["test"] = ids
            elif valid and i == number % self.folds + 1:
                parts["valid"] = ids
            else:
                parts["train"] += ids
        return replace(self, parts=parts, folds=0)

    def rows(self, source: Source) -> dict[str, np.ndarray]:
        """Indices of the array's rows per part: int arrays. Every id of the split must be in the data."""
        table = table_of(source)
        if self.unit == "row":
            place = {row: i for i, row in enumerate(table.row_ids.tolist())}
        else:
            place = {track: i for i, track in enumerate(table.ids.tolist())}
        found = {}
        for part, ids in self.parts.items():
            missing = [track for track in ids if track not in place]
            if missing:
                raise SplitError(
                    f"{table.name}: {len(missing)} of the {len(ids)} ids of part {part!r} are not in the data: "
                    f"{shorten(missing)}",
                    hint="this split was made for other data; make one for this with `tonearm split make`",
                    code="missing-ids",
                )
            members = np.array([place[track] for track in ids], dtype=int)
            if self.unit == "track":
                members = np.flatnonzero(np.isin(table.row_track, members))
            found[part] = np.sort(members)
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "name": self.name,
            "protocol": self.protocol,
            "leaky": self.leaky,
            "unit": self.unit,
            "keeps_apart": list(self.keeps_apart),
            "seed": self.seed,
            "folds": self.folds,
            "source": self.source,
            "groups": dict(self.groups),
            "left_out": self.left_out,
            "hash": self.hash,
            "parts": {part: list(ids) for part, ids in self.parts.items()},
        }


def shorten(ids: Sequence[str], most: int = 10) -> str:
    """The first few of many ids, for a message."""
    listed = ", ".join(str(track) for track in list(ids)[:most])
    return listed if len(ids) <= most else f"{listed} and {len(ids) - most} more"


def write_split(split: Split, path: str | Path) -> Path:
    """Write a split file whole or not at all."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # ids one below the other, so that a difference between two splits can be read
        temporary.write_text(json.dumps(split.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SplitError(f"{path}: cannot be written: {error.strerror or error}", code="write") from None
    return path


def read_split(path: str | Path) -> Split:
    """Read a split file; the ids must still have the hash that they were written with."""
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SplitError(f"{path}: no such file", hint="make one with `tonearm split make`", code="missing") from None
    except OSError as error:
        raise SplitError(f"{path}: cannot be read: {error.strerror or error}", code="unreadable") from None
    except ValueError as error:
        raise SplitError(f"{path}: not readable as JSON: {error}", code="not-a-split") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise SplitError(f"{path}: format is {found!r}, not {FORMAT!r}", code="not-a-split")
    try:
        parts = {str(part): tuple(map(str, ids)) for part, ids in data["parts"].items()}
        split = Split(
            protocol=str(data["protocol"]),
            parts=parts,
            seed=None if data["seed"] is None else int(data["seed"]),
            folds=int(data["folds"]),
            unit=str(data["unit"]),
            keeps_apart=tuple(data["keeps_apart"]),
            leaky=bool(data["leaky"]),
            source=str(data.get("source", "")),
            groups=dict(data.get("groups", {})),
            left_out=int(data.get("left_out", 0)),
        )
        written = data["hash"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SplitError(f"{path}: not a whole split file: {error!r}", code="not-a-split") from None
    if split.unit not in ("track", "row"):
        raise SplitError(f"{path}: unit is {split.unit!r}, not 'track' or 'row'", code="not-a-split")
    if set(split.parts) != {f"fold-{i}" for i in range(1, split.folds + 1)} and split.folds:
        raise SplitError(f"{path}: {split.folds} folds are named but not all are there", code="not-a-split")
    if split.hash != written:
        raise SplitError(
            f"{path}: the ids are not those that the hash was made of",
            hint="the file was changed after it was made; make it again with `tonearm split make`",
            code="hash",
        )
    return split


def same_split(a: Split, b: Split) -> bool:
    """Whether two splits put the same ids into the same parts: only then may two figures be compared."""
    return a.hash == b.hash


def difference(a: Split, b: Split) -> str:
    """One sentence on how two splits differ, empty where they are the same."""
    if same_split(a, b):
        return ""
    words = [f"different splits: {a.name} and {b.name}"]
    for part in sorted({*a.parts, *b.parts}):
        one, other = set(a.parts.get(part, ())), set(b.parts.get(part, ()))
        if one != other:
            words.append(
                f"{part}: {len(one & other)} ids in both, {len(one - other)} and {len(other - one)} in one only"
            )
    return "; ".join(words)
