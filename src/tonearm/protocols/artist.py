"""Artists whole: the one to use where the artists are known."""

from functools import partial

from tonearm.protocols._protocol import Protocol, add, deal_tracks

add(
    Protocol(
        name="artist",
        summary="Artists dealt whole, genres balanced: no artist and no recording stands on two sides.",
        lets_leak="what lies above the artist: label, producer, the studio's sound; and artists who are not known",
        used_by="the artist filter of Pampalk, Flexer and Widmer (2005); the official split of FMA; this project",
        deal=partial(deal_tracks, by=["artist", "recording"]),
    )
)
