"""On what a prediction rests, drawn over the spectrogram, with seconds along and hertz up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tonearm import features
from tonearm.features._mel import to_mel
from tonearm.reports import _draw, _views
from tonearm.reports._draw import Axes, Drawing

if TYPE_CHECKING:
    from tonearm.judging.explain import Explanation

WIDTH = 560.0
HEIGHT, STRIP, SIDE = 190.0, 46.0, 70.0
LEFT, TOP = 62.0, 62.0
FOR, AGAINST = "--c2", "--c3"
_HERTZ = (200, 500, 1000, 2000, 4000, 8000, 16000)
# Below this share of the largest weight a cell says nothing.
_LEAST = 0.05


def picture(found: Explanation, name: str, *, weights: np.ndarray | None = None, how: str = "") -> Drawing:
    """Spectrogram in grey, cells that speak for the genre or against it in colour, the named ones outlined.

    Beside it what each band weighs, below it what each stretch does. `weights` (bands, columns) replaces the cells.
    """
    weights = found.cells if weights is None else weights
    draw = Drawing(f"What makes {name} {found.genre} to {found.model}", WIDTH)
    whole = f", of the whole file {100 * found.whole:.0f} %" if abs(found.whole - found.probability) > 0.005 else ""
    draw.text(8, 18, _cut(f"{name}: {found.genre}, {100 * found.probability:.0f} %{whole}"), size=13, bold=True)
    draw.text(8, 34, _words(found, how), size=10.5, color="--soft")
    wide = WIDTH - LEFT - SIDE - 16
    times = (found.start_seconds, found.start_seconds + found.waveform.seconds)
    top = float(to_mel(np.array(found.grid.hertz[-1]), "slaney"))
    axes = Axes(draw, LEFT, TOP, wide, HEIGHT, times, (0.0, top))
    _legend(draw, LEFT, TOP - 8)
    _spectrogram(found, axes)
    _cells(found, axes, weights)
    marks = [hertz for hertz in _HERTZ if hertz < 0.95 * found.grid.hertz[-1]]
    ticks = {float(to_mel(np.array(float(hertz)), "slaney")): hertz for hertz in marks}
    _views.frame(axes, "frequency", grid=False, y_ticks=list(ticks), y_words=lambda mel: _draw.hertz(ticks[mel]))
    _side(found, draw, axes, top)
    _below(found, draw, axes, times)
    draw.height = TOP + HEIGHT + 40 + STRIP + 36
    return draw


def _words(found: Explanation, how: str) -> str:
    check = found.check
    told = f"{how or 'turned down by 30 dB'}: log-odds lost where coloured; "
    return told + f"all named at once {check.named:.1f}, as many at random {check.random.mean():.1f}"


def _legend(draw: Drawing, x: float, y: float) -> None:
    for words, color in (("speaks for it", FOR), ("against it", AGAINST)):
        draw.rect(x, y - 8, 9, 9, color, 0.75)
        draw.text(x + 13, y, words, size=10, color="--soft")
        x += 90
    _outline(draw, x, y - 8, 9, 9)
    draw.text(x + 13, y, "named: weighs most", size=10, color="--soft")


def _spectrogram(found: Explanation, axes: Axes) -> None:
    """Mel bands in dB, as grey as they are loud."""
    columns = min(600, 1 + len(found.waveform.samples) // 512)
    feature = features.create("logmel", sample_rate=None, n_mels=96, frames=columns)
    levels = feature(found.waveform)
    shares = np.clip(1 + levels / 70, 0, 1)
    pixels = np.rint(255 * shares).astype(np.uint8)[::-1]
    grey = np.repeat(np.linspace(255, 40, 256).astype(np.uint8)[:, None], 3, axis=1)
    axes.picture(np.ascontiguousarray(pixels), grey)


def _cells(found: Explanation, axes: Axes, weights: np.ndarray) -> None:
    from tonearm.judging.explain import top

    draw, named = axes.drawing, top(weights, found.named.mean())
    most = float(np.abs(weights).max()) or 1.0
    mels = to_mel(found.grid.hertz, "slaney")
    for band, row in enumerate(weights):
        low, high = float(axes.y(mels[band])), float(axes.y(mels[band + 1]))
        for column, weight in enumerate(row.tolist()):
            left, right = (float(axes.x(found.grid.seconds[i] + found.start_seconds)) for i in (column, column + 1))
            if abs(weight) >= _LEAST * most:
                color = FOR if weight > 0 else AGAINST
                draw.rect(left, high, right - left, low - high, color, 0.75 * abs(weight) / most)
            if named[band, column] and weight > 0:
                _outline(draw, left, high, right - left, low - high)


def _outline(draw: Drawing, x: float, y: float, width: float, height: float) -> None:
    draw.line([x, x + width, x + width, x, x], [y, y, y + height, y + height, y], "--ink", 0.9)


def _side(found: Explanation, draw: Drawing, axes: Axes, top: float) -> None:
    left = axes.left + axes.width + 12
    most = float(np.abs(found.bands).max()) or 1.0
    mels = to_mel(found.hertz, "slaney")
    half = SIDE / 2
    draw.text(left, axes.top - 6, "each band", size=10, color="--soft")
    for low, high, weight in zip(mels, mels[1:], found.bands.tolist(), strict=False):
        y, bottom = float(axes.y(high)), float(axes.y(low))
        width = half * abs(weight) / most
        x = left + half if weight > 0 else left + half - width
        draw.rect(x, y + 0.5, max(width, 0.3), max(0.5, bottom - y - 1), FOR if weight > 0 else AGAINST)
    draw.line([left + half] * 2, [axes.top, axes.top + axes.height], "--soft", 0.8)


def _below(found: Explanation, draw: Drawing, axes: Axes, times: tuple[float, float]) -> None:
    most = float(np.abs(found.stretches).max()) or 1.0
    strip = Axes(draw, axes.left, axes.top + axes.height + 40, axes.width, STRIP, times, (-1.0, 1.0))
    draw.text(axes.left, strip.top - 6, "each stretch, all bands", size=10, color="--soft")
    middle = float(strip.y(0.0))
    for start, end, weight in zip(found.seconds, found.seconds[1:], found.stretches.tolist(), strict=False):
        left, right = (float(strip.x(value + found.start_seconds)) for value in (start, end))
        high = float(strip.y(weight / most))
        color = FOR if weight > 0 else AGAINST
        draw.rect(left + 0.5, min(high, middle), max(0.5, right - left - 1), max(abs(high - middle), 0.3), color)
    draw.line([strip.left, strip.left + strip.width], [middle] * 2, "--soft", 0.8)
    first, last = found.telling
    for at in (first, last):
        x = float(strip.x(at + found.start_seconds))
        draw.line([x, x], [strip.top, strip.top + STRIP], "--ink", 0.9, dashed=True)
    words = f"dashed: the excerpt, {_draw.seconds(round(first + found.start_seconds, 1))} to "
    words += _draw.seconds(round(last + found.start_seconds, 1))
    draw.text(axes.left, strip.top + STRIP + 16, words, size=10, color="--soft")


def _cut(words: str, most: int = 74) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"
