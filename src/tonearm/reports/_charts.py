"""The charts that pages share: curves, intervals, matrices, calibration, boxes, bars. Each returns a Drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tonearm.reports import _draw
from tonearm.reports._draw import WIDTH, Axes, Drawing

_CHARACTER = 6.2  # width of a letter at size 11, a little more than most fonts need


class Line(NamedTuple):
    """A named line; lines of one name share a colour and one entry of the legend."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str
    dashed: bool = False
    width: float = 1.6


class Dot(NamedTuple):
    """A figure with its interval; `note` stands beside its name."""

    label: str
    value: float | None
    interval: Sequence[float | None] | None = None
    note: str = ""
    color: str = "--g2"


def curves(
    title: str, lines: Sequence[Line], *, x_name: str, y_name: str, share: bool = False, height: float = 150,
    mark: tuple[float, str] | None = None,
) -> Drawing:  # fmt: skip
    """Lines over whole numbers such as epochs; `mark` is a line upwards at one of them, with its name."""
    draw = Drawing(title)
    draw.height = legend(draw, list(dict.fromkeys((line.name, line.color, line.dashed) for line in lines)))
    x = np.concatenate([np.asarray(line.x, float) for line in lines])
    y = np.concatenate([np.asarray(line.y, float) for line in lines])
    y = y[np.isfinite(y)]
    low, high = (float(y.min()), float(y.max())) if y.size else (0.0, 1.0)
    margin = 0.06 * ((high - low) or abs(high) or 1.0)
    y_range = (max(0.0, low - margin), min(1.0, high + margin) if share else high + margin)
    x_range = (float(x.min()), max(float(x.max()), float(x.min()) + 1))
    axes = Axes(draw, 48, draw.height + 18, WIDTH - 60, height, x_range, y_range)
    axes.frame(
        x_name=x_name, y_name=y_name, y_words=_draw.percent if share else None,
        x_ticks=[tick for tick in _draw.ticks(*x_range, 7) if tick == round(tick)],
    )  # fmt: skip
    if mark:
        at = float(axes.x(mark[0]))
        draw.line([at, at], [axes.top, axes.top + height], "--soft", 1, dashed=True)
        left = at > axes.left + axes.width / 2
        draw.text(at + (-4 if left else 4), axes.top + 10, mark[1], size=10, color="--soft", halo=True,
                  anchor="end" if left else "start")  # fmt: skip
    for line in lines:
        if len(line.x) == 1:
            draw.dots(axes.x(line.x), axes.y(line.y), line.color, 3)
        draw.line(axes.x(line.x), axes.y(line.y), line.color, line.width, dashed=line.dashed)
    draw.height = axes.top + height + 32
    return draw


def legend(draw: Drawing, entries: Sequence[tuple[str, str, bool]], top: float = 2.0) -> float:
    """Swatches with names in rows; the height that they take."""
    x, y = 4.0, top + 10
    for name, color, dashed in entries:
        name = _cut(name, 52)
        width = 26 + _CHARACTER * len(name)
        if x + width > draw.width and x > 4:
            x, y = 4.0, y + 16
        draw.line([x, x + 16], [y - 4, y - 4], color, 3, dashed=dashed)
        draw.text(x + 20, y, name)
        x += width + 6
    return y + 4


def intervals(
    title: str, rows: Sequence[Dot], *, ends: tuple[float, float] = (0.0, 1.0), words: Callable = _draw.percent,
    mark: tuple[float, str] | None = None,
) -> Drawing:  # fmt: skip
    """A dot and a line of its interval per row, the name above it; `mark` is a value with a name, such as chance."""
    draw = Drawing(title)
    step, top = 30.0, 4.0
    axes = Axes(draw, 6, top, WIDTH - 66, step * len(rows), ends, (0, 1))
    for tick in (found := _draw.ticks(*ends, 5)):
        x = float(axes.x(tick))
        draw.line([x, x], [top, top + axes.height], "--line", 0.8)
        anchor = "start" if tick == found[0] == ends[0] else "middle"
        draw.text(x, top + axes.height + 13, words(tick), size=10, anchor=anchor, color="--soft")
    if mark:
        x = float(axes.x(mark[0]))
        draw.line([x, x], [top, top + axes.height], "--ink", 1, dashed=True)
    for number, row in enumerate(rows):
        y = top + step * number
        room = (WIDTH - 10 - 5.8 * len(row.note)) / _CHARACTER
        draw.text(6, y + 11, _cut(row.label, max(12, int(room))), halo=True)
        if row.note:
            draw.text(WIDTH, y + 11, row.note, size=10, anchor="end", color="--soft", halo=True)
        if row.value is None:
            draw.text(WIDTH, y + 24, "none", anchor="end", color="--soft")
            continue
        low, high = row.interval or (None, None)
        if low is not None and high is not None:
            ends_x = axes.x(np.clip([low, high], *ends))
            draw.line(ends_x, [y + 20, y + 20], row.color, 2)
            for end in ends_x.tolist():
                draw.line([end, end], [y + 16.5, y + 23.5], row.color, 1.5)
        draw.dots(axes.x(row.value), y + 20, row.color, 4.5)
        draw.text(WIDTH, y + 24, _figure(row.value, words), anchor="end", bold=True)
    draw.height = top + axes.height + 20
    if mark:
        draw.text(6, draw.height + 10, f"dashed: {mark[1]} ({_figure(mark[0], words)})", size=10.5, color="--soft")
        draw.height += 16
    return draw


def _figure(value: float, words: Callable) -> str:
    return f"{100 * value:.1f} %" if words is _draw.percent else words(value)


def matrix(title: str, classes: Sequence[str], values: np.ndarray, *, shares: np.ndarray, percent: bool) -> Drawing:
    """True genres down, answers along; `values` are written, the ground is as strong as `shares` of the row."""
    n = len(classes)
    left = min(130.0, 12 + 6.0 * max(map(len, classes)))
    top = min(110.0, 16 + 5.6 * max(map(len, classes)))
    cell = max(21.0, (WIDTH - left - 2) / n)
    draw = Drawing(title, max(WIDTH, left + cell * n + 2))
    size = 11 if cell >= 27 else 9
    draw.text(0, 12, "answer", size=10, color="--soft", anchor="start")
    draw.text(0, top - 4, "genre", size=10, color="--soft")
    for i, name in enumerate(classes):
        draw.text(left + cell * (i + 0.5) + 4, top - 5, _cut(name, 17), size=10.5, turned=True)
        draw.text(left - 6, top + cell * (i + 0.5) + 4, _cut(name, 20), size=10.5, anchor="end")
    for row in range(n):
        for column in range(n):
            x, y = left + cell * column, top + cell * row
            share = shares[row, column]
            draw.rect(x + 0.5, y + 0.5, cell - 1, cell - 1, "--box")
            if share > 0:
                color = "--right" if row == column else "--wrong"
                draw.rect(x + 0.5, y + 0.5, cell - 1, cell - 1, color, min(1.0, 0.12 + 0.95 * float(share)))
            value = values[row, column]
            if value > 0:
                words = f"{100 * value:.0f}" if percent else f"{value:.0f}"
                fitted = size if len(words) < 4 else size - 2
                draw.text(x + cell / 2, y + cell / 2 + 4, words, size=fitted, anchor="middle", bold=row == column)
    draw.height = top + cell * n + 4
    return draw


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def reliability(title: str, bins: Sequence[tuple[float, float, int, float, float]]) -> Drawing:
    """Bars of accuracy over confidence from (low, high, n, confidence, accuracy) per bin, with the line of truth."""
    draw = Drawing(title)
    axes = Axes(draw, 48, 20, WIDTH - 70, 200, (0, 1), (0, 1))
    axes.frame(x_name="how sure the model is", y_name="how often it is right", x_words=_draw.percent,
               y_words=_draw.percent)  # fmt: skip
    most = max((n for _, _, n, _, _ in bins), default=1)
    for low, high, n, confidence, accuracy in bins:
        x, y = float(axes.x(low)), float(axes.y(accuracy))
        width = float(axes.x(high)) - x - 1
        draw.rect(x + 0.5, y, width, float(axes.y(0)) - y, "--g2", 0.25 + 0.75 * n / most)
        middle = float(axes.x(confidence))
        draw.line([middle, middle], [y, float(axes.y(confidence))], "--c1", 1.6)
    draw.line(axes.x([0, 1]), axes.y([0, 1]), "--ink", 1, dashed=True)
    draw.text(axes.left + 8, axes.top + 14, "stronger bars: more tracks", size=10, color="--soft", halo=True)
    draw.text(axes.left + 8, axes.top + 28, "red: distance to the truth", size=10, color="--soft", halo=True)
    draw.height = axes.top + axes.height + 32
    return draw


def coverage(title: str, share: np.ndarray, accuracy: np.ndarray, low: np.ndarray, high: np.ndarray) -> Drawing:
    """Accuracy of the answers given against the share answered, with a band where it is likely to lie."""
    draw = Drawing(title)
    floor = max(0.0, float(np.floor(10 * low.min()) / 10))
    axes = Axes(draw, 48, 20, WIDTH - 70, 200, (0, 1), (min(floor, 0.9), 1.0))
    axes.frame(x_name="tracks that are answered", y_name="of these right", x_words=_draw.percent,
               y_words=_draw.percent)  # fmt: skip
    x = np.concatenate([share, share[::-1]])
    draw.area(axes.x(x), axes.y(np.concatenate([low, high[::-1]])), "--g2", 0.2)
    draw.line(axes.x(share), axes.y(accuracy), "--g2", 1.8)
    draw.height = axes.top + axes.height + 32
    return draw


def bars(
    title: str, rows: Sequence[tuple[str, float]], *, color: str = "--g2", words: Callable = _draw.number,
    unit: str = "",
) -> Drawing:  # fmt: skip
    """A bar per row from nought, its name before it and its value behind it."""
    draw = Drawing(title)
    left = min(150.0, 10 + 6.2 * max((len(name) for name, _ in rows), default=1))
    axes = Axes(
        draw, left, 2, WIDTH - left - 46, 18.0 * len(rows), (0, max((v for _, v in rows), default=1) or 1), (0, 1)
    )
    for number, (name, value) in enumerate(rows):
        y = axes.top + 18 * number
        draw.text(left - 6, y + 12, _cut(name, 24), anchor="end")
        draw.rect(left, y + 2, max(0.5, float(axes.x(value)) - left), 13, color)
        draw.text(float(axes.x(value)) + 4, y + 12, words(value), size=10, color="--soft")
    draw.height = axes.top + axes.height + (16 if unit else 2)
    if unit:
        draw.text(WIDTH, draw.height - 4, unit, size=10, color="--soft", anchor="end")
    return draw


def histogram(
    title: str, values: np.ndarray, *, x_name: str, words: Callable = _draw.number, bins: int = 30
) -> Drawing:
    """How many values lie where."""
    draw = Drawing(title)
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-3 * max(abs(high), 1e-9):
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    axes = Axes(draw, 44, 20, WIDTH - 58, 110, (low, high), (0, float(counts.max()) * 1.05))
    axes.frame(x_name=x_name, y_name="tracks", x_words=words, x_ticks=_draw.ticks(low, high, 6))
    for count, a, b in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            x, y = float(axes.x(a)), float(axes.y(count))
            draw.rect(x + 0.3, y, float(axes.x(b)) - x - 0.6, float(axes.y(0)) - y, "--g2")
    draw.height = axes.top + axes.height + 32
    return draw


def boxes(title: str, groups: Sequence[tuple[str, np.ndarray, str]], *, unit: str) -> Drawing:
    """The middle half of each group as a box with its median, 5 to 95 % as a line, from (name, values, colour)."""
    draw = Drawing(title)
    left = min(110.0, 10 + 6.2 * max(len(name) for name, _, _ in groups))
    every = np.concatenate([values for _, values, _ in groups])
    low, high = (float(edge) for edge in np.quantile(every, [0.01, 0.99]))
    margin = 0.03 * ((high - low) or 1.0)
    ends = (low - margin, high + margin)
    axes = Axes(draw, left, 6, WIDTH - left - 10, 20.0 * len(groups), ends, (0, 1))
    axes.frame(x_name=unit, y_ticks=[])
    for number, (name, values, color) in enumerate(groups):
        y = axes.top + 20 * number + 10
        draw.text(left - 6, y + 4, _cut(name, 17), size=10.5, anchor="end")
        if not values.size:
            continue
        p5, p25, p50, p75, p95 = axes.x(np.clip(np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]), *ends)).tolist()
        draw.line([p5, p95], [y, y], color, 1.5)
        draw.rect(p25, y - 6, max(1.0, p75 - p25), 12, color)
        draw.line([p50, p50], [y - 7, y + 7], "--paper", 2.5)
    draw.height = axes.top + axes.height + 32
    return draw


def correlations(title: str, names: Sequence[str], values: np.ndarray) -> Drawing:
    """A matrix from -1 to 1: green together, red against each other, the number in each cell that can hold it."""
    n = len(names)
    longest = max(map(len, names))
    left, top = min(120.0, 10 + 6 * longest), min(110.0, 12 + 5.8 * longest)
    cell = max(4.0 if n > 24 else 21.0, (WIDTH - left - 2) / n)
    draw = Drawing(title, max(WIDTH, left + cell * n + 2))
    for i, name in enumerate(names):
        if cell >= 9:
            draw.text(left + cell * (i + 0.5) + 4, top - 5, _cut(name, 18), size=min(10.5, cell), turned=True)
            draw.text(left - 5, top + cell * (i + 0.5) + 4, _cut(name, 19), size=min(10.5, cell), anchor="end")
    for row in range(n):
        for column in range(n):
            value = float(values[row, column])
            x, y = left + cell * column, top + cell * row
            draw.rect(x + 0.4, y + 0.4, cell - 0.8, cell - 0.8, "--box")
            if np.isnan(value):
                continue
            draw.rect(x + 0.4, y + 0.4, cell - 0.8, cell - 0.8, "--right" if value > 0 else "--wrong", abs(value))
            if cell >= 18 and row != column:
                words = f"{value:.1f}".replace("-", "\u2212").replace("0.", ".").replace("\u2212.0", ".0")
                draw.text(x + cell / 2, y + cell / 2 + 3.5, words, size=min(10, cell / 2.1), anchor="middle")
    draw.height = top + cell * n + 4
    return draw
