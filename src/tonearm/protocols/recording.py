"""Recordings whole: copies and other cuts of a recording stay together."""

from functools import partial

from tonearm.protocols._protocol import Protocol, add, deal_tracks

add(
    Protocol(
        name="recording",
        summary="Recordings dealt whole: copies and other cuts of one recording stay together.",
        keeps_apart=("track", "recording"),
        lets_leak="songs of one artist or album are in training and in test",
        used_by="who has no artists' names: duplicates that tonearm finds can stand in for the column `recording`",
        deal=partial(deal_tracks, by=["recording"]),
    )
)
