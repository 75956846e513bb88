"""A timeline as a picture: the answer as a strip, and below it how likely each genre was, one above the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tonearm.cli import _letters
from tonearm.cli._strip import clock, ticks

if TYPE_CHECKING:
    from tonearm.runtime import Timeline

MARGIN, STRIP, SHARES, LINE, SIZE = 24, 40, 260, 26, 2
PAPER, INK, GREY, FIRST = 0, 1, 2, 3  # places in the palette; genres from FIRST on, and pale behind them
# A genre that never reaches this is in the picture, but not worth a word of the legend.
WORTH_NAMING = 0.1


def picture(timeline: Timeline, colours: Sequence[str], *, width: int = 1200) -> bytes:
    """The bytes of a PNG; `colours` are #rrggbb, one per genre."""
    from tonearm import png

    inner = width - 2 * MARGIN
    edges = np.arange(inner + 1) * timeline.seconds / inner
    windows = timeline.at((edges[:-1] + edges[1:]) / 2)
    named = np.flatnonzero(timeline.probabilities.max(axis=0) >= WORTH_NAMING).tolist()
    rows = _wrapped([timeline.genres[genre] for genre in named], inner)
    canvas = np.full((2 * MARGIN + (4 + len(rows)) * LINE + STRIP + SHARES, width), PAPER, np.uint8)

    y = MARGIN
    about = f"  {clock(timeline.seconds)}  model {timeline.model}"
    room = inner // _letters.width_of("x", SIZE) - len(about)
    name = os.path.basename(timeline.path or "")
    _write(canvas, MARGIN, y, (name if len(name) <= room else f"{name[: room - 2]}..") + about)
    y += LINE + LINE // 2
    canvas[y : y + STRIP, MARGIN : MARGIN + inner] = _answers(timeline)[windows]
    y += STRIP + LINE // 2
    canvas[y : y + SHARES, MARGIN : MARGIN + inner] = _shares(timeline)[:, windows]
    y += SHARES
    _axis(canvas, y, inner, timeline.seconds)
    y += LINE + LINE // 2
    for row in rows:
        x = MARGIN
        for name in row:
            canvas[y : y + 14, x : x + 14] = FIRST + timeline.genres.index(name)
            _write(canvas, x + 20, y, name)
            x += _entry(name)
        y += LINE
    _write(canvas, MARGIN, y, "strip: the likeliest genre, pale where not sure; below: how likely each is")
    return png.encode(canvas, palette=_palette(colours))


def _palette(colours: Sequence[str]) -> np.ndarray:
    named = ("#ffffff", "#1c1e21", "#d9dde2", *colours)
    full = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in named])
    return np.concatenate([full, (full[FIRST:] + 2 * 255) // 3]).astype(np.uint8)


def _answers(timeline: Timeline) -> np.ndarray:
    """The colour of each window in the strip, (windows,)."""
    best = timeline.probabilities.argmax(axis=1)
    pale = np.where(timeline.sure, 0, len(timeline.genres))
    return np.where(timeline.music, FIRST + best + pale, GREY).astype(np.uint8)


def _shares(timeline: Timeline) -> np.ndarray:
    """The probabilities of each window as a column of colours, (SHARES, windows), the first genre at the bottom."""
    tops = np.cumsum(timeline.probabilities, axis=1)
    heights = (np.arange(SHARES) + 0.5) / SHARES
    genre = (heights[:, None, None] > tops[None]).sum(axis=2).clip(max=len(timeline.genres) - 1)
    return np.where(timeline.music, FIRST + genre[::-1], GREY).astype(np.uint8)


def _axis(canvas: np.ndarray, y: int, inner: int, seconds: float) -> None:
    for moment in ticks(seconds, 12):
        x = MARGIN + min(inner - 1, round(moment / max(seconds, 1e-9) * inner))
        canvas[y : y + 6, x : x + 2] = INK
        words = clock(moment)
        _write(canvas, min(x, MARGIN + inner - _letters.width_of(words, SIZE)), y + 10, words)


def _wrapped(names: Sequence[str], inner: int) -> list[list[str]]:
    """The legend in rows that fit."""
    rows: list[list[str]] = [[]]
    left = inner
    for name in names:
        if rows[-1] and left < _entry(name):
            rows.append([])
            left = inner
        rows[-1].append(name)
        left -= _entry(name)
    return rows


def _entry(name: str) -> int:
    return 20 + _letters.width_of(name, SIZE) + 24


def _write(canvas: np.ndarray, x: int, y: int, words: str) -> None:
    mask = _letters.drawn(words, SIZE)[:, : canvas.shape[1] - x]
    canvas[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = INK
