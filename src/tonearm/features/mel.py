"""Energy in mel bands."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

from tonearm.errors import UsageError
from tonearm.features import _fields, _ops
from tonearm.features._mel import SCALES, Mel
from tonearm.features._spectra import Spectra
from tonearm.features.base import Spectral, feature


def _norm(value: Any) -> str | None:
    if value not in (None, "slaney"):
        raise _fields.Refused("slaney or null")
    return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class MelBands(Spectral):
    """What all features of mel bands are configured by."""

    n_mels: int = _fields.whole(128, "mel bands", most=10_000)
    fmin: float = _fields.real(0.0, "lower end of the lowest band in Hz", least=0)
    fmax: float | None = _fields.real(
        None, "upper end of the highest band in Hz; null is half the rate", above=0, optional=True
    )
    power: float = _fields.real(2.0, "power of the magnitudes that the bands add up", above=0)
    mel_scale: str = _fields.choice("slaney", "formula of the mel scale", SCALES)
    mel_norm: str | None = _fields.checked("slaney", "bands of equal area (slaney) or of equal height (null)", _norm)

    def check(self) -> None:
        super().check()
        if self.n_mels * self.n_fft > 1 << 26:
            raise UsageError(f"{self.n_mels} mel bands of windows of {self.n_fft} samples are more than memory holds")
        top = self.fmax or (self.sample_rate or 0) / 2
        if top and top <= self.fmin:
            raise UsageError(f"mel bands from {self.fmin:g} to {top:g} Hz: the upper end must lie above the lower")

    @cached_property
    def mel(self) -> Mel:
        return Mel(self.n_mels, self.fmin, self.fmax, self.mel_scale, self.mel_norm)

    @property
    def rows(self) -> int:
        return self.n_mels

    def columns(self) -> list[str]:
        return [f"mel{band}" for band in range(self.n_mels)]


@feature("mel")
class MelEnergies(MelBands):
    """Energy in mel bands, shape (n_mels, frames)."""

    def compute(self, spectra: Spectra) -> Any:
        return _ops.swap(spectra.mel(self.grid, self.mel, self.power))
