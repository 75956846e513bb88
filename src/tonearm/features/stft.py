"""The spectrogram itself."""

from __future__ import annotations

from typing import Any

from tonearm.features import _fields, _ops
from tonearm.features._spectra import Spectra
from tonearm.features.base import Spectral, feature
from tonearm.features.logmel import reference


@feature("stft")
class Stft(Spectral):
    """Magnitudes of the STFT, as they are or in dB, shape (1 + n_fft // 2, frames)."""

    scale: str = _fields.choice("magnitude", "what is returned", ("magnitude", "power", "db"))
    ref: float | str = _fields.checked(
        "max", 'with scale db: the magnitude that is 0 dB: a number, or "max", the peak of the clip', reference
    )
    top_db: float | None = _fields.real(
        80.0, "with scale db: floor below the peak of the clip; null is none", least=0, optional=True
    )

    @property
    def rows(self) -> int:
        return self.grid.bins

    def columns(self) -> list[str]:
        return [f"bin{number}" for number in range(self.grid.bins)]

    @property
    def value_range(self) -> tuple[float, float] | None:
        return (-self.top_db, 0.0) if self.scale == "db" and self.ref == "max" and self.top_db else None

    def compute(self, spectra: Spectra) -> Any:
        magnitude = spectra.magnitude(self.grid)
        if self.scale == "magnitude":
            return _ops.swapped(magnitude)
        power = magnitude * magnitude
        if self.scale == "db":
            ref = self.ref if self.ref == "max" else self.ref**2
            power = _ops.power_to_db(power, ref=ref, top_db=self.top_db)
        return _ops.swapped(power)
