"""What features are computed from: a clip (or a batch) with every view of it made once and shared."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tonearm.features import _ops, _stft
from tonearm.features._grid import Grid
from tonearm.features._mel import Mel

if TYPE_CHECKING:
    from tonearm.features.base import Feature

Array = Any


@lru_cache(maxsize=32)
def bin_frequencies(n_fft: int, sample_rate: int) -> np.ndarray:
    """The middle of each bin in Hz, float64, shape (1 + n_fft // 2,). Read-only: it is shared."""
    frequencies = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    frequencies.setflags(write=False)
    return frequencies


class Spectra:
    """One clip (n,), or clips (..., n) of one length, float32, numpy or torch, and what was asked of them so far.

    Views have the frame before the bin, (..., frames, bins): that is how they are computed. They are shared: do not
    write to them. `total_samples` is the length of the whole clip where `samples` is only its beginning; the rest
    counts as silence.
    """

    def __init__(self, samples: Array, sample_rate: int, *, total_samples: int | None = None) -> None:
        self.samples = samples
        self.sample_rate = int(sample_rate)
        self.n_samples = max(samples.shape[-1], total_samples or 0)
        self.numpy = _ops.is_numpy(samples)
        self._known: dict[Hashable, Any] = {}

    def share(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` returns, made once per key; start the key with the name of what it is."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def of(self, feature: Feature) -> Array:
        """A feature of this clip, (..., rows, frames), computed once."""
        return self.share(("feature", feature), lambda: feature.compute(self))

    def frequencies(self, grid: Grid) -> Array:
        """The middle of each bin in Hz, float64, shape (bins,)."""
        return _ops.constant(bin_frequencies(grid.n_fft, self.sample_rate), self.samples)

    def windows(self, grid: Grid) -> Array:
        """The samples in each window, zeros outside the clip, without the taper, shape (..., frames, n_fft).

        A view where all frames are taken: squares of it, say, are many times the clip.
        """
        return self.share(("windows", grid), lambda: _stft.windows(self.samples, grid, self.n_samples))

    def magnitude(self, grid: Grid) -> Array:
        """Magnitudes of the STFT, float32, shape (..., frames, bins)."""
        return self.share(("magnitude", grid), lambda: self._magnitude(grid))

    def _magnitude(self, grid: Grid) -> Array:
        compute = _stft.numpy_magnitude if self.numpy else _stft.torch_magnitude
        return compute(self.samples, grid, self.n_samples)

    def mel(self, grid: Grid, mel: Mel, power: float = 2.0) -> Array:
        """Mel bands of the magnitudes raised to `power`, float32, shape (..., frames, n_mels)."""
        return self.share(("mel", grid, mel, power), lambda: self._mel(grid, mel, power))

    def _mel(self, grid: Grid, mel: Mel, power: float) -> Array:
        if ("magnitude", grid) not in self._known:
            compute = _stft.numpy_mel if self.numpy else _stft.torch_mel
            return compute(self.samples, grid, self.n_samples, mel, self.sample_rate, power)
        return _stft.mel_of(self.magnitude(grid), grid, mel, self.sample_rate, power)
