"""Pictures as a list of marks with axes, written as SVG for a page or a file, or as PNG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tonearm import png
from tonearm.reports._html import Safe, html
from tonearm.reports._palette import LIGHT

WIDTH = 360.0


@dataclass
class Drawing:
    """Marks in units of a phone's pixels, the origin at the upper left. Colours are names of the palette, as `--ink`.

    `title` is what a screen reader says of it.
    """

    title: str
    width: float = WIDTH
    height: float = 0.0
    marks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def line(self, x: Any, y: Any, color: str = "--ink", width: float = 1.4, *, dashed: bool = False, group="") -> None:
        """A line through points; it breaks where a coordinate is NaN."""
        points = np.stack(np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float)), axis=1)
        self._add("line", points=points, color=color, width=width, dashed=dashed, group=group)

    def area(self, x: Any, y: Any, color: str, opacity: float = 1.0) -> None:
        """A filled outline."""
        self._add("area", points=np.stack([np.asarray(x, float), np.asarray(y, float)], axis=1), color=color,
                  opacity=opacity)  # fmt: skip

    def rect(self, x: float, y: float, width: float, height: float, color: str, opacity: float = 1.0) -> None:
        self._add("rect", x=x, y=y, width=width, height=height, color=color, opacity=opacity)

    def dots(self, x: Any, y: Any, color: str, radius: float = 2.0, *, hollow: bool = False, group: str = "") -> None:
        points = np.stack([np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))], axis=1)
        self._add("dots", points=points, color=color, radius=radius, hollow=hollow, group=group)

    def text(
        self, x: float, y: float, words: object, *, size: float = 11, anchor: str = "start", color: str = "--ink",
        bold: bool = False, turned: bool = False, halo: bool = False,
    ) -> None:  # fmt: skip
        """Words on the line y; `turned` reads upwards, `halo` keeps them apart from what lies below."""
        self._add("text", x=x, y=y, words=str(words), size=size, anchor=anchor, color=color, bold=bold, turned=turned,
                  halo=halo)  # fmt: skip

    def image(self, x: float, y: float, width: float, height: float, pixels: np.ndarray, palette: np.ndarray) -> None:
        """Pixels uint8 (rows, columns), top row first, as colours of a palette."""
        self._add("image", x=x, y=y, width=width, height=height, pixels=pixels, palette=palette)

    def _add(self, kind: str, **values: Any) -> None:
        self.marks.append((kind, values))

    def svg(self, *, alone: bool = False) -> Safe:
        """The picture as SVG; `alone` for a file of its own, with a ground, colours and a size in pixels."""
        parts = [_WRITERS[kind](**values) for kind, values in self.marks]
        size = f' width="{2 * self.width:.0f}" height="{2 * self.height:.0f}"' if alone else ""
        ground = ""
        if alone:
            colors = " ".join(f"--{name}: {value};" for name, value in LIGHT.items())
            ground = (
                f"<style>svg {{ {colors} font-family: system-ui, sans-serif; }}</style>"
                '<rect width="100%" height="100%" fill="var(--paper)"/>'
            )
        wide = f' style="min-width: {self.width:.0f}px"' if self.width > WIDTH and not alone else ""
        return Safe(
            f'<svg viewBox="0 0 {self.width:.0f} {self.height:.0f}"{size}{wide} role="img" '
            f'xmlns="http://www.w3.org/2000/svg"><title>{html(self.title)}</title>{ground}{"".join(parts)}</svg>'
        )


@dataclass
class Axes:
    """A rectangle of a drawing with a scale on each side; `x` and `y` take values to places in it."""

    drawing: Drawing
    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_log: bool = False
    y_log: bool = False

    def x(self, values: Any) -> Any:
        return self.left + self.width * _share(values, self.x_range, self.x_log)

    def y(self, values: Any) -> Any:
        return self.top + self.height * (1 - _share(values, self.y_range, self.y_log))

    def frame(
        self, *, x_name: str = "", y_name: str = "", x_ticks: Sequence[float] | None = None,
        y_ticks: Sequence[float] | None = None, x_words: Callable[[float], str] | None = None,
        y_words: Callable[[float], str] | None = None, grid: bool = True,
    ) -> None:  # fmt: skip
        """Ticks, their words, and what the axes are. Draw it first: it lies below the marks."""
        draw = self.drawing
        bottom, right = self.top + self.height, self.left + self.width
        y_ticks = ticks(*self.y_range, self.height / 22, log=self.y_log) if y_ticks is None else y_ticks
        x_ticks = ticks(*self.x_range, self.width / 42, log=self.x_log) if x_ticks is None else x_ticks
        for value in y_ticks:
            y = float(self.y(value))
            if grid:
                draw.line([self.left, right], [y, y], "--line", 0.8)
            draw.text(self.left - 4, y + 3.5, (y_words or number)(value), size=10, anchor="end", color="--soft")
        for value in x_ticks:
            x = float(self.x(value))
            draw.line([x, x], [bottom, bottom + 3], "--soft", 0.8)
            draw.text(x, bottom + 13, (x_words or number)(value), size=10, anchor="middle", color="--soft")
        draw.line([self.left, self.left, right], [self.top, bottom, bottom], "--soft", 0.8)
        if x_name:
            draw.text(right, bottom + 26, x_name, size=10.5, anchor="end", color="--soft")
        if y_name:
            # The word of a tick at the top stands half above it.
            up = 9 if y_ticks and float(self.y(max(y_ticks))) < self.top + 5 else 6
            draw.text(0, self.top - up, y_name, size=10.5, color="--soft")

    def picture(self, pixels: np.ndarray, palette: np.ndarray) -> None:
        self.drawing.image(self.left, self.top, self.width, self.height, pixels, palette)


def _share(values: Any, ends: tuple[float, float], log: bool) -> Any:
    low, high = ends
    values = np.asarray(values, dtype=float)
    if log:
        low, high, values = math.log(low), math.log(high), np.log(np.maximum(values, 1e-300))
    return (values - low) / ((high - low) or 1.0)


def ticks(low: float, high: float, most: float, *, log: bool = False) -> list[float]:
    """Round numbers from low to high, at most so many (and two at least, where there are)."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    if log:
        steps = ((1, 2, 5), (1, 3), (1,))
        for factors in steps:
            exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            found = [f * 10.0**e for e in exponents for f in factors if low <= f * 10.0**e <= high]
            if len(found) <= max(2, most):
                break
        return found
    rough = (high - low) / max(1.0, most)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(low: float, high: float, most: float) -> list[float]:
    """Round times from low to high: whole minutes and their parts where seconds are many."""
    steps = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000)
    step = next((step for step in steps if step * most >= high - low), None)
    if high - low <= 60 or step is None:
        return ticks(low, high, most)
    if (high - low) / step < 2.5:
        step /= 2
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def number(value: float) -> str:
    """A tick's number, short: 12,000 as 12k."""
    if abs(value) >= 10_000 or (abs(value) >= 1000 and value % 100 == 0):
        return f"{value / 1000:g}k"
    return f"{value:.4g}".replace("-", "\u2212")


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def hertz(value: float) -> str:
    return f"{value / 1000:g} kHz" if value >= 1000 else f"{value:g} Hz"


def seconds(value: float) -> str:
    """A place in a file: 12 s, 1:05, 1:01:05."""
    if value < 60:
        return f"{value:g} s"
    whole = int(value)
    rest = f"{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{rest}" if whole >= 3600 else rest


def _path(points: np.ndarray, closed: bool = False) -> str:
    parts, pen = [], "M"
    for x, y in points.tolist():
        if x != x or y != y:  # NaN
            pen = "M"
            continue
        parts.append(f"{pen}{_short(x)} {_short(y)}")
        pen = "L"
    return "".join(parts) + ("Z" if closed else "")


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _group(name: str) -> str:
    return f' class="{html(name)}"' if name else ""


def _line(points: np.ndarray, color: str, width: float, dashed: bool, group: str) -> str:
    dash = ' stroke-dasharray="3 3"' if dashed else ""
    return (
        f'<path d="{_path(points)}" fill="none" stroke="var({color})" stroke-width="{width:g}" '
        f'stroke-linejoin="round"{dash}{_group(group)}/>'
    )


def _area(points: np.ndarray, color: str, opacity: float) -> str:
    return f'<path d="{_path(points, True)}" fill="var({color})"{_see_through(opacity)}/>'


def _rect(x: float, y: float, width: float, height: float, color: str, opacity: float) -> str:
    size = f'x="{_short(x)}" y="{_short(y)}" width="{_short(width)}" height="{_short(height)}"'
    return f'<rect {size} fill="var({color})"{_see_through(opacity)}/>'


def _dots(points: np.ndarray, color: str, radius: float, hollow: bool, group: str) -> str:
    """One path of dots of no length with round ends: a tenth of the size of as many circles."""
    if hollow:
        circles = "".join(f'<circle cx="{_short(x)}" cy="{_short(y)}" r="{radius:g}"/>' for x, y in points.tolist())
        return f'<g fill="var(--paper)" stroke="var({color})" stroke-width="1.5"{_group(group)}>{circles}</g>'
    path = "".join(f"M{_short(x)} {_short(y)}h0" for x, y in points.tolist() if x == x and y == y)
    return (
        f'<path d="{path}" fill="none" stroke="var({color})" stroke-width="{2 * radius:g}" '
        f'stroke-linecap="round"{_group(group)}/>'
    )


def _text(
    x: float, y: float, words: str, size: float, anchor: str, color: str, bold: bool, turned: bool, halo: bool
) -> str:
    more = "" if anchor == "start" else f' text-anchor="{anchor}"'
    more += ' font-weight="600"' if bold else ""
    more += f' transform="rotate(-90 {_short(x)} {_short(y)})"' if turned else ""
    more += ' paint-order="stroke" stroke="var(--paper)" stroke-width="3" stroke-linejoin="round"' if halo else ""
    # As a style: the page's own rule for text would win over an attribute.
    more += "" if color == "--ink" else f' style="fill: var({color})"'
    return f'<text x="{_short(x)}" y="{_short(y)}" font-size="{size:g}"{more}>{html(words)}</text>'


def _image(x: float, y: float, width: float, height: float, pixels: np.ndarray, palette: np.ndarray) -> str:
    source = png.data_uri(png.encode(pixels, palette=palette))
    size = f'x="{_short(x)}" y="{_short(y)}" width="{_short(width)}" height="{_short(height)}"'
    return f'<image {size} preserveAspectRatio="none" href="{source}"/>'


def _see_through(opacity: float) -> str:
    return "" if opacity >= 1 else f' fill-opacity="{opacity:.3g}"'


_WRITERS = {"line": _line, "area": _area, "rect": _rect, "dots": _dots, "text": _text, "image": _image}
