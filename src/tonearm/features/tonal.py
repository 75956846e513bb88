"""Pitch classes, the constant-Q spectrum and the tonal centroids."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tonearm.errors import UsageError
from tonearm.features import _chroma, _fields, _ops
from tonearm.features._cqt import check_rate, cqt_magnitude
from tonearm.features._grid import Grid
from tonearm.features._spectra import Spectra
from tonearm.features._tuning import estimate_tuning
from tonearm.features.base import Feature, Spectral, feature

Array = Any

SOURCES = ("stft", "cqt", "cens")
N_OCTAVES = 7


def _whole_semitones(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in range(12, 12 * 20 + 1, 12):
        raise _fields.Refused("a multiple of 12, up to 240")
    return int(value)


def _tuning_field(default: float | None) -> Any:
    return _fields.real(
        default, "deviation from A = 440 Hz in bins; null estimates it from the clip", least=-1, below=1, optional=True
    )


def constant_q(
    spectra: Spectra,
    tuning_grid: Grid,
    *,
    hop_length: int = 512,
    bins_per_octave: int = 12,
    tuning: float | None = None,
) -> np.ndarray:
    """Seven octaves of constant-Q magnitudes of one numpy clip, shape (frames, 7 * bins_per_octave); shared.

    As in librosa there may be one frame more than 1 + n // hop_length, centred behind the end, where the clip's length
    was rounded up in halving its rate.
    """

    def make() -> np.ndarray:
        deviation = tuning
        if deviation is None:
            magnitude = spectra.magnitude(tuning_grid)
            deviation = estimate_tuning(
                magnitude, spectra.sample_rate, tuning_grid.n_fft, bins_per_octave=bins_per_octave
            )
        return cqt_magnitude(
            np.pad(spectra.samples, (0, spectra.n_samples - spectra.samples.shape[-1])),
            spectra.sample_rate,
            tuning=deviation,
            hop_length=hop_length,
            n_bins=N_OCTAVES * bins_per_octave,
            bins_per_octave=bins_per_octave,
        )

    return spectra.share(("cqt", tuning_grid, hop_length, bins_per_octave, tuning), make)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PitchClasses(Spectral):
    """What all features of the twelve pitch classes are configured by.

    `source` is the spectrum that is folded: "stft", "cqt" (constant-Q, seven octaves from C1), or "cens" (constant-Q,
    then coarse steps smoothed over 41 frames). Only "stft" has a torch way.
    """

    source: str = _fields.choice("stft", "the spectrum that is folded into pitch classes", SOURCES)
    tuning: float | None = _tuning_field(None)
    bins_per_octave: int = _fields.checked(36, "constant-Q bins in an octave", _whole_semitones)

    @property
    def has_batch(self) -> bool:
        return self.source == "stft"

    def check(self) -> None:
        super().check()
        if self.source == "stft" and self.bins_per_octave != 36:
            raise UsageError("bins_per_octave says nothing with source 'stft'", hint="source='cqt' has constant-Q bins")
        if self.source != "stft" and not self.center:
            raise UsageError("constant-Q frames are always centred", hint="leave out center=False")
        if self.source != "stft" and self.sample_rate is not None:
            check_rate(self.sample_rate, N_OCTAVES * self.bins_per_octave, self.bins_per_octave, self.tuning or 0.0)

    def chroma(self, spectra: Spectra) -> Array:
        """Pitch classes of each frame, float32, shape (..., frames, 12)."""
        if self.source == "stft":
            return self._folded_stft(spectra)
        # The tuning is estimated from windows that overlap by three quarters, whatever the hop.
        near = dataclasses.replace(self.grid, hop_length=max(1, self.n_fft // 4), frames=None, frame_divisor=None)
        bins = constant_q(
            spectra, near, hop_length=self.hop_length, bins_per_octave=self.bins_per_octave, tuning=self.tuning
        )[: self.grid.total(spectra.n_samples)]
        folded = bins @ _chroma.fold(bins.shape[1], self.bins_per_octave)
        folded = _chroma.cens(folded) if self.source == "cens" else _chroma.normalize(folded, "max")
        indices = self.grid.indices(spectra.n_samples)
        return folded if indices is None else folded[indices]

    def _folded_stft(self, spectra: Spectra) -> Array:
        magnitude = spectra.magnitude(self.grid)
        rate, n_fft = spectra.sample_rate, self.n_fft
        if self.tuning is not None:
            filters = _ops.constant(_chroma.chroma_filters(rate, n_fft, self.tuning).T, magnitude)
            return _chroma.normalize((magnitude * magnitude) @ filters, "max")
        clips = magnitude.reshape(-1, *magnitude.shape[-2:])
        # The tuning is the fullest bin of a histogram, which the last digit of a magnitude can tip (a lone click has no
        # peak but rounding): it is always taken from numpy's magnitudes, so that both ways agree on any sound.
        heard = magnitude if spectra.numpy else self._numpy_magnitude(spectra)
        folded = []
        for clip, here in zip(clips, heard.reshape(-1, *heard.shape[-2:]), strict=True):
            # Each clip has its own tuning, and with it its own filters.
            filters = _chroma.chroma_filters(rate, n_fft, estimate_tuning(here, rate, n_fft, power=2))
            folded.append(((clip * clip) @ _ops.constant(filters.T, clip))[None])
        folded = _ops.concat(folded, 0).reshape(*magnitude.shape[:-1], -1)
        return _chroma.normalize(folded, "max")

    def _numpy_magnitude(self, spectra: Spectra) -> np.ndarray:
        here = Spectra(spectra.samples.detach().cpu().numpy(), spectra.sample_rate, total_samples=spectra.n_samples)
        return here.magnitude(self.grid)


@feature("chroma")
class Chroma(PitchClasses):
    """How strong each of the twelve pitch classes is, C first, shape (12, frames)."""

    def compute(self, spectra: Spectra) -> Array:
        return _ops.swap(self.chroma(spectra))

    def columns(self) -> list[str]:
        return list(_chroma.PITCH_CLASSES)


@feature("tonnetz")
class Tonnetz(PitchClasses):
    """Tonal centroids: where the harmony lies on the circles of fifths and of thirds, shape (6, frames)."""

    source: str = _fields.choice("cqt", "the spectrum that is folded into pitch classes", SOURCES)

    def compute(self, spectra: Spectra) -> Array:
        return _ops.swap(_chroma.tonnetz(self.chroma(spectra)))

    def columns(self) -> list[str]:
        return list(_chroma.TONNETZ)


@feature("cqt")
class ConstantQ(Feature):
    """Magnitudes of the constant-Q transform, seven octaves from C1 up, shape (7 * bins_per_octave, frames)."""

    has_batch = False

    hop_length: int = _fields.whole(512, "samples from one frame to the next")
    bins_per_octave: int = _fields.checked(12, "constant-Q bins in an octave", _whole_semitones)
    tuning: float | None = _tuning_field(0.0)

    def check(self) -> None:
        if self.sample_rate is not None:
            check_rate(self.sample_rate, N_OCTAVES * self.bins_per_octave, self.bins_per_octave, self.tuning or 0.0)

    def compute(self, spectra: Spectra) -> Array:
        bins = constant_q(
            spectra, Grid(), hop_length=self.hop_length, bins_per_octave=self.bins_per_octave, tuning=self.tuning
        )
        return _ops.swap(bins[: self.frame_count(spectra.n_samples)])

    def columns(self) -> list[str]:
        steps = self.bins_per_octave // 12
        names = []
        for number in range(N_OCTAVES * self.bins_per_octave):
            semitone, step = divmod(number, steps)
            name = f"{_chroma.PITCH_CLASSES[semitone % 12]}{semitone // 12 + 1}"
            names.append(f"{name}+{step}/{steps}" if step else name)
        return names

    def frame_count(self, n_samples: int) -> int:
        return 1 + n_samples // self.hop_length
