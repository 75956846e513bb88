"""The dataset's own split, freed of the artists that stand on two sides."""

import numpy as np

from tonearm.protocols._groups import group
from tonearm.protocols._official import official
from tonearm.protocols._protocol import Dealt, Protocol, Request, add
from tonearm.protocols._table import TrackTable


def deal(table: TrackTable, request: Request) -> Dealt:
    """Training stays as it is; test loses what shares an artist with it; valid what shares one with either.

    Computed from the artists and not from a list of ids, so that it also serves a corrected table of artists.
    """
    groups = group(table, ["artist", "recording"], request.duplicates)
    parts = official(table)
    seen = np.empty(0, dtype=int)
    for part in ("train", "test", "valid"):
        if part in parts:
            kept = parts[part][~np.isin(groups.of_track[parts[part]], seen)]
            parts[part] = kept
            seen = np.concatenate([seen, groups.of_track[kept]])
    return Dealt(parts, groups)


add(
    Protocol(
        name="filtered-clean",
        summary="The dataset's own split without the test tracks whose artist is in training.",
        lets_leak="nothing that is known; validation also loses the tracks whose artist is in training or in test",
        used_by="who wants GTZAN-filtered without the 23 (by other artist tables 24) tracks that leak by artist",
        takes=("duplicates",),
        needs=("split", "artist"),
        deal=deal,
    )
)
