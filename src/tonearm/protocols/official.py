"""The split that came with the dataset."""

from tonearm.protocols._official import official
from tonearm.protocols._protocol import Dealt, Protocol, Request, add
from tonearm.protocols._table import TrackTable


def deal(table: TrackTable, request: Request) -> Dealt:
    return Dealt(official(table))


add(
    Protocol(
        name="official",
        summary="The dataset's own split, from its column `split`; tracks that it leaves out are left out.",
        keeps_apart=("track", "recording"),
        lets_leak="what its authors let through: no artist in FMA, those of 23 of 290 test tracks in GTZAN-filtered",
        used_by="FMA (Defferrard et al. 2017); GTZAN-filtered (Kereliuk, Sturm and Larsen 2015)",
        takes=(),
        needs=("split",),
        deal=deal,
    )
)
