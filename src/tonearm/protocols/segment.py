"""Segments at random: for comparison only."""

import numpy as np

from tonearm.errors import UsageError
from tonearm.protocols._protocol import Dealt, Protocol, Request, add, deal_groups
from tonearm.protocols._table import TrackTable


def deal(table: TrackTable, request: Request) -> Dealt:
    if not table.has_segments:
        raise UsageError(
            f"{table.name}: one row per track, so there are no segments to split at random",
            hint="a pack of segments has a column `track` beside `id`",
            code="no-segments",
        )
    return Dealt(deal_groups(np.arange(len(table.row_ids)), table.genre[table.row_track], request))


add(
    Protocol(
        name="segment",
        summary="Segments of tracks dealt at random: pieces of one track stand on both sides.",
        keeps_apart=(),
        lets_leak="pieces of the same track are in training and in test, so a model need only recognise the track",
        used_by="most notebooks on GTZAN cut into 3 s or 10 s pieces; figures above 85 % are usually of this kind",
        takes=("folds", "ratio", "seed"),
        unit="row",
        leaky=True,
        deal=deal,
    )
)
