"""Equally many tracks of each genre in test."""

import numpy as np

from tonearm.errors import UsageError
from tonearm.protocols._groups import group
from tonearm.protocols._protocol import Dealt, Protocol, Request, add
from tonearm.protocols._table import TrackTable


def deal(table: TrackTable, request: Request) -> Dealt:
    """Take whole artists in random order until each genre has its number; what is over of an artist is left out.

    The rest is training. Artists with few tracks come first: taking one with thirty for the last three places would
    leave twenty-seven tracks that may go nowhere.
    """
    genres, label, counts = np.unique(table.genre, return_inverse=True, return_counts=True)
    wanted = request.per_genre or min(100, int(counts.min()) // 5)
    if wanted < 1:
        few = genres[counts.argmin()]
        raise UsageError(f"{table.name}: too few tracks of {few!r} for a test part", hint="say how many: --per-genre")
    short = [f"{genre} ({n})" for genre, n in zip(genres, counts, strict=True) if n <= wanted]
    if short:
        raise UsageError(
            f"{table.name}: {wanted} tracks per genre in test leave nothing for training of {', '.join(short)}",
            hint="ask for fewer with --per-genre",
            code="too-few",
        )
    groups = group(table, ["artist", "recording"], request.duplicates)
    random = np.random.default_rng(request.seed)
    size = np.bincount(groups.of_track)
    shuffled = random.permutation(len(size))
    # Sizes in coarse steps (1, 2, 3-4, 5-8 ...): random within a step, so that the seed still means something.
    order = shuffled[np.argsort(np.ceil(np.log2(size[shuffled])), kind="stable")]
    test, missing = _take(order, groups.of_track, label, np.full(len(genres), wanted))
    if missing.any():
        names = ", ".join(f"{genre} ({n} missing)" for genre, n in zip(genres, missing, strict=True) if n)
        raise UsageError(f"{table.name}: not {wanted} tracks each without emptying training: {names}", code="too-few")
    train = np.flatnonzero(~np.isin(groups.of_track, groups.of_track[test]))
    lost = [genre for i, genre in enumerate(genres) if not (label[train] == i).any()]
    if lost:
        raise UsageError(
            f"{table.name}: with {wanted} tracks per genre in test, all artists of {', '.join(lost)} are in test",
            hint="ask for fewer with --per-genre",
            code="too-few",
        )
    return Dealt({"train": train, "test": test}, groups)


def _take(
    order: np.ndarray, of_track: np.ndarray, label: np.ndarray, missing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Walk through the groups and take what is still missing per genre: indices, and what is missing at the end."""
    members = np.split(np.argsort(of_track, kind="stable"), np.cumsum(np.bincount(of_track))[:-1])
    missing = missing.copy()
    taken: list[int] = []
    for g in order:
        # A group of which only another genre is wanted would lose its main genre to nobody's use.
        if np.all(missing[label[members[g]]] == 0):
            continue
        for i in members[g]:
            if missing[label[i]]:
                taken.append(int(i))
                missing[label[i]] -= 1
    return np.array(taken, dtype=int), missing


add(
    Protocol(
        name="balanced",
        summary="Equally many tracks of every genre in test (--per-genre), the rest in training; artists whole.",
        lets_leak="as artist; tracks of an artist that are over when a genre is full are in neither part",
        used_by="reports with a test part of 100 tracks per genre; theirs is mostly not grouped",
        takes=("per_genre", "seed", "duplicates"),
        deal=deal,
    )
)
