"""Tracks whole, nothing more."""

from functools import partial

from tonearm.protocols._protocol import Protocol, add, deal_tracks

add(
    Protocol(
        name="track",
        summary="Whole tracks dealt at random: the pieces of a track stay together.",
        keeps_apart=("track",),
        lets_leak="copies of one recording, and songs of one artist or album, are in training and in test",
        used_by="most published figures on GTZAN: random or stratified cross-validation over its 1,000 clips",
        takes=("folds", "ratio", "seed"),
        deal=partial(deal_tracks, by=["track"]),
    )
)
