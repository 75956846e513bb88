"""A drawing as PNG. Text needs a renderer of letters: Pillow, which brings a font, and nothing else here needs it."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np

from tonearm.errors import TonearmError
from tonearm.reports._draw import Drawing
from tonearm.reports._palette import LIGHT, rgb

SCALE = 2.5  # pixels per unit: a picture of 480 units is 1,200 pixels wide


def png(drawing: Drawing, *, scale: float = SCALE) -> bytes:
    """The drawing on white, `scale` pixels per unit."""
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise TonearmError(
            "pictures as PNG need Pillow",
            hint='pip install "tonearm[plot]", or write SVG (-o picture.svg), which needs nothing',
            code="needs-extra",
        ) from None
    size = (round(drawing.width * scale), round(drawing.height * scale))
    canvas = Image.new("RGB", size, rgb(LIGHT["paper"]))
    pen = ImageDraw.Draw(canvas, "RGBA")
    for kind, values in drawing.marks:
        _PAINTERS[kind](canvas, pen, scale, **values)
    out = io.BytesIO()
    canvas.save(out, "PNG", optimize=True)
    return out.getvalue()


def _color(name: str, opacity: float = 1.0) -> tuple[int, ...]:
    return (*rgb(LIGHT[name.removeprefix("--")]), round(255 * opacity))


def _line(canvas: Any, pen: Any, scale: float, points: np.ndarray, color: str, width: float, dashed: bool, group: str):
    broken = np.isnan(points).any(axis=1)
    for piece in np.split(points, np.flatnonzero(broken)):
        piece = piece[~np.isnan(piece).any(axis=1)] * scale
        if dashed:
            for start, end in pairwise(piece):
                _dash(pen, start, end, 3 * scale, _color(color), width * scale)
        elif len(piece) > 1:
            pen.line([tuple(p) for p in piece.tolist()], _color(color), max(1, round(width * scale)), joint="curve")


def _dash(pen: Any, start: np.ndarray, end: np.ndarray, step: float, color: tuple[int, ...], width: float) -> None:
    length = float(np.hypot(*(end - start)))
    for at in np.arange(0.0, length, 2 * step):
        a, b = (start + (end - start) * min(1.0, place / length) for place in (at, at + step))
        pen.line([tuple(a), tuple(b)], color, max(1, round(width)))


def _area(canvas: Any, pen: Any, scale: float, points: np.ndarray, color: str, opacity: float) -> None:
    pen.polygon([tuple(p) for p in (points * scale).tolist()], _color(color, opacity))


def _rect(canvas: Any, pen: Any, scale: float, x: float, y: float, width: float, height: float, color: str, opacity):
    corners = [x * scale, y * scale, (x + width) * scale, (y + height) * scale]
    pen.rectangle(corners, _color(color, opacity))


def _dots(canvas: Any, pen: Any, scale: float, points: np.ndarray, color: str, radius: float, hollow: bool, group: str):
    for x, y in (points[~np.isnan(points).any(axis=1)] * scale).tolist():
        r = radius * scale
        fill, edge = (_color("--paper"), _color(color)) if hollow else (_color(color), None)
        pen.ellipse([x - r, y - r, x + r, y + r], fill, edge, max(1, round(1.5 * scale)) if hollow else 1)


def _text(
    canvas: Any, pen: Any, scale: float, x: float, y: float, words: str, size: float, anchor: str, color: str,
    bold: bool, turned: bool, halo: bool,
) -> None:  # fmt: skip
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size * scale)
    words = words.replace("\u2212", "-")  # the font that comes with Pillow has no minus sign
    weight = {"stroke_width": 0.2 * scale} if bold else {}
    across = {"start": "l", "middle": "m", "end": "r"}[anchor]
    if not turned:
        pen.text((x * scale, y * scale), words, _color(color), font, anchor=f"{across}s", **weight)
        return
    left, top, right, bottom = font.getbbox(words, anchor="ls")
    stamp = Image.new("L", (right - left + 4, bottom - top + 4))
    ImageDraw.Draw(stamp).text((2 - left, 2 - top), words, 255, font, anchor="ls", **weight)
    stamp = stamp.rotate(90, expand=True)
    shift = {"start": stamp.height - 2, "middle": stamp.height / 2, "end": 2}[anchor]
    place = (round(x * scale - 2 + top), round(y * scale - shift))
    canvas.paste(Image.new("RGB", stamp.size, _color(color)[:3]), place, stamp)


def _image(
    canvas: Any, pen: Any, scale: float, x: float, y: float, width: float, height: float, pixels: np.ndarray,
    palette: np.ndarray,
) -> None:  # fmt: skip
    from PIL import Image

    picture = Image.fromarray(palette[pixels])
    size = (round(width * scale), round(height * scale))
    how = Image.Resampling.BOX if size[0] < picture.width else Image.Resampling.BILINEAR
    canvas.paste(picture.resize(size, how), (round(x * scale), round(y * scale)))


_PAINTERS = {"line": _line, "area": _area, "rect": _rect, "dots": _dots, "text": _text, "image": _image}
