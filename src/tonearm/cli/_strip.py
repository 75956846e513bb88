"""A timeline as a strip of colour for a terminal; as letters where there is no colour or no such sign."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tonearm.runtime import Timeline

SURE, UNSURE = "█", "▒"
NO_MUSIC = "no music"
PARTS = 1000  # that shares of the time are counted in
# Whole minutes and parts of them that a person counts in.
_TICKS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000, 86400)


def strip(timeline: Timeline, *, width: int = 80, colours: Sequence[str] = (), blocks: bool = True) -> list[str]:
    """Lines for a terminal of `width` columns: the strip, the time below it, and what each sign means.

    `colours` are #rrggbb, one per genre, or none for no colour; without `blocks` (or colour) genres are letters.
    """
    width = max(20, width)
    best, sure, music = _cells(timeline, width)
    signs = _signs(timeline.genres, colours, blocks)
    row = ""
    for (genre, is_sure, is_music), run in groupby(zip(best, sure, music, strict=True)):
        sign, colour = signs[genre][0 if is_sure else 1] if is_music else (".", "")
        row += _painted(sign * len(list(run)), colour)
    rows = [row, row] if blocks and colours else [row]
    return [*rows, *_axis(timeline.seconds, width), "", *_legend(timeline, signs)]


def _cells(timeline: Timeline, count: int) -> tuple[list[int], list[bool], list[bool]]:
    """For so many equal parts of the time: the likeliest genre, whether that is sure, whether there is music."""
    edges = np.arange(count + 1) * timeline.seconds / count
    windows = timeline.at((edges[:-1] + edges[1:]) / 2)
    best = timeline.probabilities.argmax(axis=1)
    return best[windows].tolist(), timeline.sure[windows].tolist(), timeline.music[windows].tolist()


def _signs(genres: Sequence[str], colours: Sequence[str], blocks: bool) -> list[tuple[tuple[str, str], ...]]:
    """For each genre how it looks where sure and where not: (sign, colour)."""
    if blocks and colours:
        return [((SURE, colour), (UNSURE, colour)) for colour in colours]
    paints = colours or [""] * len(genres)
    found = zip(letters(genres), paints, strict=True)
    return [((letter, colour), (letter.lower(), colour)) for letter, colour in found]


def letters(genres: Sequence[str]) -> list[str]:
    """A capital letter or digit for each genre, its own first letter where that is free."""
    taken: list[str] = []
    spare = [chr(code) for code in (*range(65, 91), *range(48, 58))]
    for genre in genres:
        own = [c for c in genre.upper() if c in spare]
        free = [c for c in (*own, *spare) if c not in taken] or ["?"]
        taken.append(free[0])
    return taken


def _painted(signs: str, colour: str) -> str:
    if not colour:
        return signs
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"\x1b[38;2;{red};{green};{blue}m{signs}\x1b[0m"


def ticks(seconds: float, most: int) -> list[float]:
    """Round moments from 0 to the end, at most so many."""
    step = next((tick for tick in _TICKS if seconds / tick <= most), math.ceil(seconds / most))
    return [i * float(step) for i in range(int(seconds // step) + 1)]


def clock(seconds: float) -> str:
    """3:05, or 1:02:07 from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _axis(seconds: float, width: int) -> list[str]:
    marks, times = [" "] * width, [" "] * (width + 10)
    for moment in ticks(seconds, max(2, width // 12)):
        at = min(width - 1, int(moment / seconds * width)) if seconds else 0
        marks[at] = "|"
        times[at : at + len(clock(moment))] = clock(moment)
    return ["".join(marks).rstrip(), "".join(times).rstrip()]


def _legend(timeline: Timeline, signs: Sequence[tuple[tuple[str, str], ...]]) -> list[str]:
    """A line per genre that is the likeliest somewhere, with its share of the time, the greatest first."""
    shares: dict[tuple[int, bool], float] = {}
    nothing = 0.0
    for genre, sure, music in zip(*_cells(timeline, PARTS), strict=True):
        if music:
            shares[genre, sure] = shares.get((genre, sure), 0.0) + 1 / PARTS
        else:
            nothing += 1 / PARTS
    genres = sorted({genre for genre, _ in shares}, key=lambda g: -shares.get((g, True), 0) - shares.get((g, False), 0))
    wide = max([len(timeline.genres[genre]) for genre in genres] + [len(NO_MUSIC)] * (nothing > 0))
    lines = []
    for genre in genres:
        line = f"{timeline.genres[genre]:<{wide}}"
        for sure, words in ((True, ""), (False, " not sure")):
            if share := shares.get((genre, sure)):
                line += f"  {_painted(*signs[genre][0 if sure else 1])} {100 * share:.0f} %{words}"
        lines.append(line)
    return [*lines, f"{NO_MUSIC:<{wide}}  . {100 * nothing:.0f} %"] if nothing else lines
