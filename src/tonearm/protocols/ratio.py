"""One split of 80/10/10, grouped."""

from tonearm.protocols._protocol import Dealt, Protocol, Request, add, deal_tracks
from tonearm.protocols._table import TrackTable


def deal(table: TrackTable, request: Request) -> Dealt:
    return deal_tracks(table, request, by=["artist", "recording"], ratio=(0.8, 0.1, 0.1))


add(
    Protocol(
        name="ratio",
        summary="One split into train, valid and test (80/10/10 unless said), artists and recordings whole.",
        lets_leak="as artist; and a test part of a tenth has few artists, so its figure moves from seed to seed",
        used_by="student reports and papers with one 80/10/10 split; theirs is mostly not grouped",
        takes=("ratio", "seed", "duplicates"),
        deal=deal,
    )
)
