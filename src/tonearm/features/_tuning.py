"""How far a recording is tuned away from A = 440 Hz, in fractions of a semitone.

The estimate is the fullest bin of a histogram, so two implementations either agree exactly or differ by a whole
bin: arithmetic is kept in the precision that librosa uses, step by step.
"""

from __future__ import annotations

import numpy as np

LOWEST_HZ = 150.0
HIGHEST_HZ = 4000.0
# A peak counts when it stands above this share of the loudest bin of its frame.
PEAK_SHARE = 0.1
_BLOCK_FRAMES = 128


def spectral_peaks(
    magnitude: np.ndarray, sample_rate: float, n_fft: int, *, power: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolated local maxima of magnitudes (frames, bins) raised to `power`: their Hz and heights, both (peaks,).

    Smith & Serra 1987, PARSHL: a program for the analysis of inharmonic sounds based on a sinusoidal representation.
    """
    first, last = _bin_range(sample_rate, n_fft, magnitude.shape[1])
    width = last - first
    if width <= 0:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    found: list[tuple[np.ndarray, ...]] = []
    is_peak, rises = np.empty((2, _BLOCK_FRAMES, width), bool)
    for start in range(0, len(magnitude), _BLOCK_FRAMES):
        block = magnitude[start : start + _BLOCK_FRAMES]
        n = len(block)
        peak = block.max(axis=1, keepdims=True)
        near = block[:, first - 1 : last + 1]
        if power == 2:
            near, peak = near * near, peak * peak
        middle = near[:, 1:-1]
        np.greater(middle, np.float32(PEAK_SHARE) * peak, out=is_peak[:n])
        is_peak[:n] &= np.greater(middle, near[:, :-2], out=rises[:n])
        is_peak[:n] &= np.greater_equal(middle, near[:, 2:], out=rises[:n])
        frame, bin_ = np.divmod(np.flatnonzero(is_peak[:n]), width)
        found.append((near[frame, bin_], near[frame, bin_ + 1], near[frame, bin_ + 2], bin_ + first))
    return _interpolate(*(np.concatenate(parts) for parts in zip(*found, strict=True)), sample_rate, n_fft)


def _bin_range(sample_rate: float, n_fft: int, bins: int) -> tuple[int, int]:
    """First bin at or above the lowest frequency, and the one after the last below the highest: all have neighbours."""
    hz = np.arange(bins - 1) * (float(sample_rate) / n_fft)
    inside = np.flatnonzero((hz >= LOWEST_HZ) & (hz < min(HIGHEST_HZ, sample_rate / 2)))
    return (int(inside[0]), int(inside[-1]) + 1) if inside.size else (0, 0)


def _interpolate(
    below: np.ndarray, here: np.ndarray, above: np.ndarray, bin_: np.ndarray, sample_rate: float, n_fft: int
) -> tuple[np.ndarray, np.ndarray]:
    curve = (above + below) - 2.0 * here.astype(np.float64)
    slope = (above - below).astype(np.float64) / 2
    shift = np.zeros_like(here)
    # A shift by a bin or more is not a peak between the neighbours.
    np.divide(-slope, curve, out=shift, where=np.abs(slope) < np.abs(curve), casting="same_kind")
    heights = here + np.float32(0.5) * ((above - below) / np.float32(2)) * shift
    pitches = ((bin_ + shift.astype(np.float64)) * float(sample_rate) / n_fft).astype(np.float32)
    return pitches, heights


def tuning_of_peaks(
    pitches: np.ndarray, heights: np.ndarray, *, bins_per_octave: int = 12, resolution: float = 0.01
) -> float:
    """The deviation from equal temperament on which most of the upper half of the peaks agree; 0 without peaks."""
    heard = pitches > 0
    if not heard.any():
        return 0.0
    pitches, heights = pitches[heard], heights[heard]
    pitches = pitches[heights >= np.median(heights)]
    residual = np.mod(bins_per_octave * np.log2(pitches / np.float32(440.0 / 16)), np.float32(1))
    residual[residual >= 0.5] -= 1
    edges = np.linspace(-0.5, 0.5, int(np.ceil(1.0 / resolution)) + 1)
    counts, _ = np.histogram(residual, edges)
    return float(edges[np.argmax(counts)])


def estimate_tuning(
    magnitude: np.ndarray, sample_rate: float, n_fft: int, *, power: int = 1, bins_per_octave: int = 12
) -> float:
    """Tuning in fractions of a bin, -0.5 to 0.5, from the magnitudes (frames, bins) of an STFT raised to `power`."""
    pitches, heights = spectral_peaks(magnitude, sample_rate, n_fft, power=power)
    return tuning_of_peaks(pitches, heights, bins_per_octave=bins_per_octave)
