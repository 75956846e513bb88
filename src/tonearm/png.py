"""Arrays as PNG files. By hand because it is a page of zlib, and Pillow would be a dependency of every page."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from tonearm.errors import TonearmError


def encode(pixels: np.ndarray, *, palette: np.ndarray | None = None) -> bytes:
    """A PNG of `pixels` uint8, top row first: (rows, columns, 3) RGB, (rows, columns, 4) RGBA, or (rows, columns) grey.

    With `palette` (up to 256, 3) uint8, `pixels` (rows, columns) are indices into it: a third of the size.
    W3C PNG, third edition.
    """
    pixels = np.ascontiguousarray(pixels)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or not pixels.size:
        raise TonearmError(
            f"a picture is uint8 of (rows, columns), (…, 3) or (…, 4), not {pixels.dtype} {pixels.shape}", code="shape"
        )
    kind = {1: 0, 3: 2, 4: 6}[channels]
    extra = b""
    if palette is not None:
        palette = np.ascontiguousarray(palette)
        wrong = palette.dtype != np.uint8 or palette.ndim != 2 or palette.shape[1] != 3 or not 1 <= len(palette) <= 256
        if channels != 1 or wrong:
            raise TonearmError("a palette is (1 to 256, 3) of uint8, for pixels (rows, columns)", code="shape")
        if int(pixels.max()) >= len(palette):
            raise TonearmError(f"pixel {int(pixels.max())} is not in a palette of {len(palette)}", code="shape")
        kind, extra = 3, _chunk(b"PLTE", palette.tobytes())
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    lines = pixels.reshape(height, width * channels)
    # Which filter packs best depends on the picture; three tries are cheaper than guessing per line.
    data = min((zlib.compress(_filtered(lines, channels, how), 9) for how in (0, 1, 2)), key=len)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def data_uri(png: bytes) -> str:
    """The picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _filtered(lines: np.ndarray, step: int, how: int) -> bytes:
    """Lines (rows, bytes) with the filter's number before each: 0 as they are, 1 less the left, 2 less the upper."""
    rows = np.empty((len(lines), lines.shape[1] + 1), np.uint8)
    rows[:, 0] = how
    rows[:, 1:] = lines
    if how == 1:
        rows[:, 1 + step :] -= lines[:, :-step]
    elif how == 2:
        rows[1:, 1:] -= lines[:-1]
    return rows.tobytes()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
