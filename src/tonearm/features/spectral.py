"""The form of the spectrum of each frame in one number, or in one number per octave."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from tonearm.errors import UsageError
from tonearm.features import _fields, _ops
from tonearm.features._grid import Grid
from tonearm.features._spectra import Spectra, bin_frequencies
from tonearm.features.base import Spectral, feature

Array = Any


def moments(spectra: Spectra, grid: Grid) -> tuple[Array, Array]:
    """Mean frequency and its deviation under the magnitudes as weights, float64, each shape (..., frames).

    Of silence both are 0. One product with (1, f, f squared) gives both; in double precision, because the variance is
    the small difference of two large numbers.
    """

    def compute() -> tuple[Array, Array]:
        f = bin_frequencies(grid.n_fft, spectra.sample_rate)
        powers = np.stack([f**0, f, f**2], axis=1)
        magnitude = spectra.magnitude(grid)

        def sums(part: Array) -> Array:
            summed = _ops.product(_ops.float64(part), powers)
            weight, first, second = (summed[..., k] for k in range(3))
            # librosa does not divide by a sum that is no normal number in single precision.
            weight = _ops.module(part).where(weight < np.finfo(np.float32).tiny, 1.0, weight)
            mean = first / weight
            variance = second / weight - mean * mean
            return _ops.module(part).stack([mean, _ops.at_least(variance, 0.0) ** 0.5], -2)

        both = _ops.per_frame(magnitude, sums)
        return both[..., 0, :], both[..., 1, :]

    return spectra.share(("moments", grid), compute)


class _OneRow(Spectral):
    """One number per frame, named as the feature."""

    @property
    def rows(self) -> int:
        return 1

    def columns(self) -> list[str]:
        return [self.kind]


@feature("centroid")
class Centroid(_OneRow):
    """Mean frequency of the spectrum in Hz, shape (1, frames)."""

    def compute(self, spectra: Spectra) -> Array:
        return moments(spectra, self.grid)[0][..., None, :]


@feature("bandwidth")
class Bandwidth(_OneRow):
    """Standard deviation of the spectrum around its mean frequency in Hz, shape (1, frames)."""

    def compute(self, spectra: Spectra) -> Array:
        return moments(spectra, self.grid)[1][..., None, :]


@feature("rolloff")
class Rolloff(_OneRow):
    """The frequency in Hz below which a share of the magnitudes lies, shape (1, frames)."""

    roll_percent: float = _fields.real(0.85, "the share", above=0, below=1)

    def compute(self, spectra: Spectra) -> Array:
        frequencies = spectra.frequencies(self.grid)
        magnitude = spectra.magnitude(self.grid)

        def first_above(part: Array) -> Array:
            sums = _ops.running_sum(part)
            return frequencies[_ops.first_true(sums >= self.roll_percent * sums[..., -1:])]

        # The running sum of torch is a step per bin: few large ones.
        result = _ops.per_frame(magnitude, first_above) if spectra.numpy else first_above(magnitude)
        return result[..., None, :]


@feature("flatness")
class Flatness(_OneRow):
    """Geometric over arithmetic mean of the power spectrum: 1 for white noise, near 0 for a tone, shape (1, frames)."""

    power: float = _fields.real(2.0, "power of the magnitudes", above=0)
    amin: float = _fields.real(1e-10, "smaller powers count as this", above=0)

    def compute(self, spectra: Spectra) -> Array:
        def ratio(part: Array) -> Array:
            part = part * part if self.power == 2.0 else part**self.power
            part = _ops.at_least(part, self.amin)
            xp = _ops.module(part)
            return xp.exp(xp.log(part).mean(-1)) / part.mean(-1)

        return _ops.per_frame(spectra.magnitude(self.grid), ratio)[..., None, :]


@feature("contrast")
class Contrast(Spectral):
    """Peak over valley of each octave in dB, shape (n_bands + 1, frames); the first row is what lies below fmin.

    Jiang, Lu, Zhang, Tao & Cai 2002, Music type classification by spectral contrast feature.
    """

    n_bands: int = _fields.whole(6, "octaves", most=32)
    fmin: float = _fields.real(200.0, "lower end of the first octave in Hz", above=0)
    quantile: float = _fields.real(0.02, "share of the bins that peak and valley are the mean of", above=0, below=1)
    linear: bool = _fields.flag(False, "the difference of magnitudes instead of dB")

    def check(self) -> None:
        super().check()
        if self.sample_rate is not None:
            self._bands(self.sample_rate)

    @property
    def rows(self) -> int:
        return self.n_bands + 1

    def columns(self) -> list[str]:
        return [f"contrast{band}" for band in range(self.n_bands + 1)]

    def _bands(self, sample_rate: int) -> list[tuple[int, int, int]]:
        """Per band the first bin, the one behind the last, and how many of them peak and valley are the mean of.

        The conventions are librosa's: a band begins one bin below its octave; all but the last leave out their last
        bin, which is counted for the share nonetheless.
        """
        edges = [0.0, *(self.fmin * 2.0**octave for octave in range(self.n_bands + 1))]
        if edges[-2] >= sample_rate / 2:
            raise UsageError(
                f"octave {self.n_bands} of the contrast begins at {edges[-2]:g} Hz, beyond half of {sample_rate} Hz",
                hint="use fewer n_bands or a lower fmin",
            )
        frequencies = bin_frequencies(self.n_fft, sample_rate)
        bands = []
        for number, (low, high) in enumerate(pairwise(edges)):
            inside = np.flatnonzero((frequencies >= low) & (frequencies <= high))
            last_band = number == self.n_bands
            if not len(inside) or (number < self.n_bands and len(inside) + (number > 0) < 2):
                raise UsageError(
                    f"too few bins lie between {low:g} and {high:g} Hz at {sample_rate} Hz",
                    hint="use a longer n_fft or a higher fmin",
                )
            first = int(inside[0]) - (number > 0)
            stop = len(frequencies) if last_band else int(inside[-1]) + 1
            share = max(1, int(np.rint(self.quantile * (stop - first))))
            bands.append((first, stop if last_band else stop - 1, share))
        return bands

    def compute(self, spectra: Spectra) -> Array:
        bands = self._bands(spectra.sample_rate)

        def ends(part: Array) -> Array:
            valleys, peaks = [], []
            for first, stop, share in bands:
                low, high = _ops.lowest_and_highest(part[..., first:stop], share)
                valleys.append(low.mean(-1))
                peaks.append(high.mean(-1))
            return _ops.module(part).stack([*valleys, *peaks], -2)

        both = _ops.per_frame(spectra.magnitude(self.grid), ends)
        valley, peak = both[..., : self.rows, :], both[..., self.rows :, :]
        if self.linear:
            return peak - valley
        return _ops.power_to_db(peak) - _ops.power_to_db(valley)
