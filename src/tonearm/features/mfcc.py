"""Mel-frequency cepstral coefficients."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tonearm.errors import UsageError
from tonearm.features import _fields, _ops
from tonearm.features._spectra import Spectra
from tonearm.features.base import feature
from tonearm.features.mel import MelBands


@lru_cache(maxsize=32)
def cosines(n_mels: int, n_mfcc: int, lifter: float) -> np.ndarray:
    """The orthonormal DCT-II of n_mels values, its first n_mfcc rows, liftered: float64, shape (n_mels, n_mfcc)."""
    order = np.arange(n_mfcc)
    basis = np.cos(np.pi / n_mels * (np.arange(n_mels)[:, None] + 0.5) * order) * np.sqrt(2.0 / n_mels)
    basis[:, 0] /= np.sqrt(2.0)
    if lifter:
        basis *= 1 + lifter / 2 * np.sin(np.pi * (order + 1) / lifter)
    basis.setflags(write=False)
    return basis


@feature("mfcc")
class Mfcc(MelBands):
    """Cepstral coefficients of the mel bands in dB, shape (n_mfcc, frames).

    The dB are relative to a power of 1, so that the first coefficient holds the loudness.
    Davis & Mermelstein 1980, Comparison of parametric representations for monosyllabic word recognition.
    """

    n_mfcc: int = _fields.whole(20, "coefficients, of at most n_mels")
    lifter: float = _fields.real(0.0, "weight the higher coefficients by a sine of this period; 0 is off", least=0)
    top_db: float | None = _fields.real(
        80.0, "floor below the peak of the clip in dB; null is none", least=0, optional=True
    )

    def check(self) -> None:
        super().check()
        if self.n_mfcc > self.n_mels:
            raise UsageError(f"{self.n_mfcc} coefficients (n_mfcc) cannot come from {self.n_mels} bands (n_mels)")

    @property
    def rows(self) -> int:
        return self.n_mfcc

    def columns(self) -> list[str]:
        return [f"mfcc{order + 1}" for order in range(self.n_mfcc)]

    def compute(self, spectra: Spectra) -> Any:
        decibels = _ops.power_to_db(spectra.mel(self.grid, self.mel, self.power), top_db=self.top_db)
        # In double: the first coefficient is a sum of over a hundred like values.
        coefficients = _ops.product(_ops.float64(decibels), cosines(self.n_mels, self.n_mfcc, self.lifter))
        return _ops.swap(_ops.float32(coefficients))
