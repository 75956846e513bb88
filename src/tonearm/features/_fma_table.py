"""The 518 columns of FMA's features.csv."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tonearm.errors import UsageError
from tonearm.features import _chroma
from tonearm.features._grid import Grid
from tonearm.features._moments import seven_statistics
from tonearm.features._spectra import Spectra
from tonearm.features.mfcc import Mfcc
from tonearm.features.spectral import Bandwidth, Centroid, Contrast, Rolloff
from tonearm.features.tonal import Chroma, constant_q
from tonearm.features.zcr import ZeroCrossingRate

# Rows of each feature. Columns are sorted by feature, statistic and number, as in the published table.
SIZES = {
    "chroma_cens": 12,
    "chroma_cqt": 12,
    "chroma_stft": 12,
    "mfcc": 20,
    "rmse": 1,
    "spectral_bandwidth": 1,
    "spectral_centroid": 1,
    "spectral_contrast": 7,
    "spectral_rolloff": 1,
    "tonnetz": 6,
    "zcr": 1,
}
STATISTICS = ("kurtosis", "max", "mean", "median", "min", "skew", "std")
# What librosa's functions take for granted when they are not told the rate.
ASSUMED_RATE = 22050
# The last band of the contrast begins at 6,400 Hz; the constant-Q transform is content with less.
LOWEST_RATE = 12801
_GRID = Grid()


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return tuple(
        f"{name}_{statistic}_{number + 1:02d}"
        for name, size in SIZES.items()
        for statistic in STATISTICS
        for number in range(size)
    )


def columns() -> list[str]:
    return list(_names())


def check_rate(sample_rate: int) -> None:
    if sample_rate < LOWEST_RATE:
        raise UsageError(
            f"FMA's table needs sound up to 6,400 Hz, which {sample_rate:,} samples a second do not hold",
            hint=f"use a sample_rate of {LOWEST_RATE} or more; 22050 and 44100 are usual",
            code="too-low-rate",
        )


def compute(spectra: Spectra, *, sample_rate_forgotten: bool) -> np.ndarray:
    """The row of one clip, float32, shape (518,)."""
    check_rate(spectra.sample_rate)
    rows = feature_rows(spectra, sample_rate_forgotten=sample_rate_forgotten)
    # All features of one length in one go: numpy's cost per call is more than the work on a row.
    found: dict[str, dict[str, np.ndarray]] = {}
    for length in {values.shape[1] for values in rows.values()}:
        names = [name for name in SIZES if rows[name].shape[1] == length]
        together = seven_statistics(np.concatenate([rows[name] for name in names], dtype=np.float64))
        start = 0
        for name in names:
            stop = start + SIZES[name]
            found[name] = {statistic: values[start:stop] for statistic, values in together.items()}
            start = stop
    return np.concatenate([found[name][statistic] for name in SIZES for statistic in STATISTICS]).astype(np.float32)


def feature_rows(spectra: Spectra, *, sample_rate_forgotten: bool) -> dict[str, np.ndarray]:
    """The eleven features, each (rows, frames), from one STFT and one constant-Q transform."""
    magnitude = spectra.magnitude(_GRID)
    assumed = spectra
    if sample_rate_forgotten and spectra.sample_rate != ASSUMED_RATE:
        assumed = Spectra(spectra.samples, ASSUMED_RATE, total_samples=spectra.n_samples)
        assumed.share(("magnitude", _GRID), lambda: magnitude)
    folded = constant_q(spectra, _GRID) @ _chroma.fold(84, 12)
    cens = _chroma.cens(folded)
    own_rate = {"sample_rate": None}
    return {
        "chroma_cens": cens.T,
        "chroma_cqt": _chroma.normalize(folded, "max").T,
        "chroma_stft": Chroma(**own_rate).compute(assumed),
        "mfcc": Mfcc(**own_rate).compute(spectra),
        "rmse": spectral_rms(magnitude, _GRID.n_fft)[None],
        "spectral_bandwidth": Bandwidth(**own_rate).compute(assumed),
        "spectral_centroid": Centroid(**own_rate).compute(assumed),
        "spectral_contrast": Contrast(**own_rate).compute(assumed),
        "spectral_rolloff": Rolloff(**own_rate).compute(assumed),
        # Of the smoothed pitch classes: so the authors' script does it.
        "tonnetz": _chroma.tonnetz(cens).T,
        "zcr": ZeroCrossingRate(**own_rate).compute(spectra),
    }


def spectral_rms(magnitude: np.ndarray, n_fft: int) -> np.ndarray:
    """Root mean square of the tapered samples of each frame, from (frames, bins) magnitudes; shape (frames,)."""
    squares = np.einsum("ij,ij->i", magnitude, magnitude)
    # All bins but the first and the last stand for two of the whole transform.
    squares -= 0.5 * (magnitude[:, 0] ** 2 + magnitude[:, -1] ** 2)
    return np.sqrt(2 * squares) / np.float32(n_fft)
