"""Features in one byte per value, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tonearm.errors import UsageError

KINDS = ("clip-minmax", "range")


def scale_kind(scale: Any) -> str:
    """Which of `KINDS` a pack.json means: a mapping with `kind`, or a sentence, as older packs have it."""
    if isinstance(scale, Mapping) and scale.get("kind") in KINDS:
        return scale["kind"]
    if isinstance(scale, str) and (scale == "clip-minmax" or "min-max to 0..255" in scale):
        return "clip-minmax"
    raise UsageError(f"the scale is not understood: {scale!r}", hint=f"valid kinds: {', '.join(KINDS)}")


def quantise(array: np.ndarray, dtype: Any, scale: Any = None) -> np.ndarray:
    """The feature of one clip as `dtype`: float16 or float32 as it is, uint8 by `scale`.

    "clip-minmax" takes the lowest value of the clip to 0 and the highest to 255, so that its level is lost;
    {"kind": "range", "low": ..., "high": ...} is the same for all clips, and what lies outside is cut off.
    """
    dtype = np.dtype(dtype)
    if dtype in (np.float16, np.float32):
        limit = np.finfo(dtype).max
        return np.clip(array, -limit, limit).astype(dtype)
    if dtype != np.uint8:
        raise UsageError(f"features are kept as uint8, float16 or float32, not {dtype.name}")
    if scale_kind(scale) == "range":
        low, high = _ends(scale)
    else:
        low, high = float(array.min()), float(array.max())
    if high <= low:
        return np.zeros(array.shape, np.uint8)
    # In double, so that a value in the middle between two steps goes the same way on every machine.
    steps = (array.astype(np.float64) - low) * (255.0 / (high - low))
    return np.rint(np.clip(steps, 0.0, 255.0)).astype(np.uint8)


def restore(array: np.ndarray, scale: Any = None) -> np.ndarray:
    """What was quantised, as float32: in the feature's unit, or from 0 to 1 where "clip-minmax" lost it."""
    if array.dtype != np.uint8:
        return np.asarray(array, np.float32)
    if scale_kind(scale) == "range":
        low, high = _ends(scale)
        return array * np.float32((high - low) / 255.0) + np.float32(low)
    return array * np.float32(1 / 255.0)


def _ends(scale: Mapping[str, Any]) -> tuple[float, float]:
    try:
        low, high = float(scale["low"]), float(scale["high"])
    except (KeyError, TypeError, ValueError):
        low = high = 0.0
    if not low < high:
        raise UsageError(f"a range needs low and high, low below high, not {dict(scale)!r}")
    return low, high
