"""How features change from frame to frame."""

from __future__ import annotations

from functools import lru_cache
from math import factorial
from typing import Any

import numpy as np

from tonearm.errors import UsageError
from tonearm.features import _fields, _ops
from tonearm.features._nested import description, inner
from tonearm.features._spectra import Spectra
from tonearm.features.base import Feature, feature


@lru_cache(maxsize=32)
def slopes(width: int, order: int) -> np.ndarray:
    """Weights that give the derivative of the polynomial of degree `order` fitted to `width` frames.

    Of degree `order`, the derivative of that order is the same everywhere in the window: one row of weights does for
    the middle and for both ends. Float64, shape (width,). Savitzky & Golay 1964.
    """
    positions = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(positions, order + 1, increasing=True))
    result = fit[order] * factorial(order)
    result.setflags(write=False)
    return result


@feature("delta")
class Delta(Feature):
    """The derivative over time of another feature, shape (rows, frames) of that feature.

    A clip with fewer frames than `width` is continued by its first and last frame.
    """

    of: Feature = _fields.checked("mfcc", "the feature: its kind, its config or a feature", description)
    order: int = _fields.whole(1, "1 is the slope, 2 the curvature", most=10)
    width: int = _fields.whole(9, "frames that one value is made of, an odd number", least=3, most=9999)

    def check(self) -> None:
        object.__setattr__(self, "of", inner(self.of, self.sample_rate))
        if self.width % 2 == 0:
            raise UsageError(f"width must be odd, not {self.width}", hint=f"take {self.width + 1}")
        if self.order >= self.width:
            raise UsageError(f"order {self.order} needs a width above {self.order}, not {self.width}")

    @property
    def has_batch(self) -> bool:
        return self.of.has_batch

    @property
    def rows(self) -> int:
        return self.of.rows

    def columns(self) -> list[str]:
        suffix = "_delta" if self.order == 1 else f"_delta{self.order}"
        return [name + suffix for name in self.of.columns()]

    def frame_count(self, n_samples: int) -> int:
        return self.of.frame_count(n_samples)

    def compute(self, spectra: Spectra) -> Any:
        values = _ops.float64(spectra.of(self.of))
        half = self.width // 2
        short = values.shape[-1] < self.width
        if short:
            first, last = values[..., :1], values[..., -1:]
            values = _ops.concat([first] * half + [values] + [last] * half, -1)
        count = values.shape[-1] - 2 * half
        weights = slopes(self.width, self.order)
        middle = sum(float(weight) * values[..., at : at + count] for at, weight in enumerate(weights))
        if short:
            return _ops.float32(middle)
        # At the ends: of the polynomial fitted to the first and last `width` frames, whose derivative is constant.
        return _ops.float32(_ops.concat([middle[..., :1]] * half + [middle] + [middle[..., -1:]] * half, -1))
