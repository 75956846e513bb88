"""Mel bands in decibels, the usual input of a network."""

from __future__ import annotations

from typing import Any

from tonearm.features import _fields, _ops
from tonearm.features._spectra import Spectra
from tonearm.features.base import feature
from tonearm.features.mel import MelBands


def reference(value: Any) -> float | str:
    """A keyword that is "max" or a number above 0."""
    if value == "max":
        return "max"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise _fields.Refused('"max" or a number above 0')


@feature("logmel")
class LogMel(MelBands):
    """Mel bands in dB relative to the clip's peak or to a fixed power, shape (n_mels, frames)."""

    ref: float | str = _fields.checked(
        "max", 'the power that is 0 dB: a number, or "max", the peak of the clip', reference
    )
    top_db: float | None = _fields.real(
        80.0, "floor below the peak of the clip in dB; null is none", least=0, optional=True
    )

    @property
    def value_range(self) -> tuple[float, float] | None:
        return (-self.top_db, 0.0) if self.ref == "max" and self.top_db else None

    def compute(self, spectra: Spectra) -> Any:
        bands = spectra.mel(self.grid, self.mel, self.power)
        return _ops.swap(_ops.power_to_db(bands, ref=self.ref, top_db=self.top_db))
