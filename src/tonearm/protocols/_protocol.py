"""The contract of a protocol, and the one way to make a split by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tonearm.errors import UsageError
from tonearm.protocols._assign import assign
from tonearm.protocols._groups import Groups, group
from tonearm.protocols._leaks import assert_disjoint
from tonearm.protocols._split import Split
from tonearm.protocols._table import TrackTable, table_of
from tonearm.registry import Registry

if TYPE_CHECKING:
    from tonearm.protocols._table import Source

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Request:
    """What was asked for, beside the protocol's name. `ratio` is the shares of train, valid and test."""

    folds: int = 0
    ratio: tuple[float, float, float] | None = None
    seed: int = 0
    column: str = ""
    per_genre: int = 0
    duplicates: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Dealt:
    """What a protocol returns: indices of tracks (or rows) by part, and how they were grouped."""

    parts: dict[str, np.ndarray]
    groups: Groups | None = None


@dataclass(frozen=True)
class Protocol:
    """A named way to split, with its card. `deal` turns tracks and a request into parts.

    `takes` are the fields of Request that mean something to it: others, if given, are an error and not ignored.
    """

    name: str
    summary: str
    lets_leak: str
    used_by: str
    deal: Callable[[TrackTable, Request], Dealt]
    keeps_apart: tuple[str, ...] = ("track", "recording", "artist")
    takes: tuple[str, ...] = ("folds", "ratio", "seed", "duplicates")
    unit: str = "track"
    leaky: bool = False
    needs: tuple[str, ...] = field(default=())

    def card(self) -> dict[str, object]:
        """What it keeps apart, what it lets leak, who uses it."""
        return {
            "protocol": self.name,
            "summary": self.summary,
            "keeps_apart": list(self.keeps_apart),
            "lets_leak": self.lets_leak,
            "used_by": self.used_by,
            "leaky": self.leaky,
            "takes": list(self.takes),
        }


registry: Registry[Protocol] = Registry("protocol", "tonearm.protocols")


def add(protocol: Protocol) -> Protocol:
    return registry.add(protocol.name)(protocol)


def make_split(
    source: Source,
    protocol: str,
    *,
    folds: int = 0,
    ratio: Sequence[float] | None = None,
    seed: int = 0,
    column: str = "",
    per_genre: int = 0,
    duplicates: Iterable[Sequence[str]] = (),
    leaky_on_purpose: bool = False,
) -> Split:
    """Split the tracks of a pack, a list of Track or a table by a named protocol.

    `folds` gives k parts that are each test in turn; else `ratio` (train, valid, test) gives one split. `duplicates`
    are sets of ids found to be of one recording (see tonearm.audit): where tracks are grouped they stay together.
    """
    table = table_of(source)
    chosen = registry.get(protocol)
    given = {"folds": folds, "ratio": ratio, "column": column, "per_genre": per_genre}
    for name, value in given.items():
        if value and name not in chosen.takes:
            raise UsageError(f"protocol {protocol!r} takes no {name.replace('_', ' ')}", hint=f"see {chosen.summary}")
    if chosen.leaky and not leaky_on_purpose:
        raise UsageError(
            f"protocol {protocol!r} is leaky: {chosen.lets_leak}",
            hint="only to show how much it flatters: say so with --leaky-on-purpose (leaky_on_purpose=True)",
            code="leaky",
        )
    if folds and ratio:
        raise UsageError("either folds or a ratio, not both")
    if folds < 0 or folds == 1 or folds > len(table):
        raise UsageError(f"{folds} folds of {len(table)} tracks", hint="at least 2 folds, at most one per track")
    for name in chosen.needs:
        if not (table.column(name) != "").any():
            raise UsageError(
                f"{table.name}: protocol {protocol!r} needs the column {name!r}, and it is empty or missing",
                hint=f"columns with values: {', '.join(table.column_names)}",
                code="column",
            )
    request = Request(
        folds=folds,
        ratio=_ratio(ratio) if ratio else None,
        seed=seed,
        column=column,
        per_genre=per_genre,
        duplicates=tuple(tuple(ids) for ids in duplicates) if "duplicates" in chosen.takes else (),
    )
    dealt = chosen.deal(table, request)
    ids = table.ids if chosen.unit == "track" else table.row_ids
    if not dealt.parts or not any(len(members) for members in dealt.parts.values()):
        raise UsageError(f"{table.name}: protocol {protocol!r} puts no track into any part", code="empty")
    split = Split(
        protocol=protocol,
        parts={part: tuple(ids[np.sort(members)].tolist()) for part, members in dealt.parts.items()},
        seed=seed if "seed" in chosen.takes else None,
        folds=folds,
        unit=chosen.unit,
        keeps_apart=chosen.keeps_apart,
        leaky=chosen.leaky,
        source=table.name,
        groups=_describe(dealt.groups),
        left_out=len(ids) - sum(len(members) for members in dealt.parts.values()),
    )
    # No protocol is trusted to do what its card says.
    assert_disjoint(split, table, duplicates=request.duplicates)
    return split


def _ratio(ratio: Sequence[float]) -> tuple[float, float, float]:
    shares = [float(share) for share in ratio]
    if len(shares) == 2:
        shares.insert(1, 0.0)
    if len(shares) != 3 or not all(0 <= share < float("inf") for share in shares) or not (shares[0] and shares[2]):
        raise UsageError(f"ratio {list(ratio)}", hint="train, valid and test, for example 80/10/10 or 80/20")
    total = sum(shares)
    return shares[0] / total, shares[1] / total, shares[2] / total


def _describe(groups: Groups | None) -> dict[str, object]:
    if groups is None:
        return {}
    return {"by": list(groups.by), "count": len(groups), "unknown": groups.unknown}


def deal_groups(
    groups: np.ndarray, labels: np.ndarray, request: Request, *, ratio: tuple[float, float, float] = (0.8, 0.0, 0.2)
) -> dict[str, np.ndarray]:
    """Deal whole groups to folds, or to train, valid and test, genres balanced."""
    if request.folds:
        fractions, names = [1.0] * request.folds, [f"fold-{i + 1}" for i in range(request.folds)]
    else:
        shares = dict(zip(PARTS, request.ratio or ratio, strict=True))
        names = [part for part in PARTS if shares[part] > 0]
        fractions = [shares[part] for part in names]
    count = len(np.unique(groups))
    if count < len(names):
        raise UsageError(
            f"{count} group{'s' if count != 1 else ''} of tracks for {len(names)} parts",
            hint="each part needs at least one group that stays whole; ask for fewer parts",
            code="too-few-groups",
        )
    part = assign(groups, labels, fractions, request.seed)
    parts = {name: np.flatnonzero(part == i) for i, name in enumerate(names)}
    empty = [name for name, members in parts.items() if not len(members)]
    if empty:
        raise UsageError(
            f"nothing is left for {', '.join(empty)}: too few groups, or one that is too large",
            hint="ask for fewer parts or another ratio",
            code="too-few-groups",
        )
    return parts


def deal_tracks(table: TrackTable, request: Request, by: Sequence[str], **keywords) -> Dealt:
    """Group the tracks by the columns `by`, then deal."""
    groups = group(table, by, request.duplicates)
    return Dealt(deal_groups(groups.of_track, table.genre, request, **keywords), groups)
