"""Twelve pitch classes from a spectrum, and what is made of them. Arrays are (..., frames, rows), numpy or torch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tonearm.features import _ops

Array = Any

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
TONNETZ = ("fifth_x", "fifth_y", "minor_third_x", "minor_third_y", "major_third_x", "major_third_y")
# Where the weight of the bins has its middle, in octaves above A0, and how many octaves wide it is.
CENTRE_OCTAVE, OCTAVE_WIDTH = 5.0, 2.0
_N = len(PITCH_CLASSES)


@lru_cache(maxsize=256)
def chroma_filters(sample_rate: float, n_fft: int, tuning: float) -> np.ndarray:
    """From bins to pitch classes, float32, shape (12, 1 + n_fft // 2). Read-only: it is shared.

    Ellis 2007, Chroma feature analysis and synthesis.
    """
    a0_hz = 440.0 * 2.0 ** (tuning / _N) / 16
    hertz = np.arange(1, n_fft // 2 + 2) * (sample_rate / n_fft)
    semitones = _N * np.log2(hertz / a0_hz)
    # Bin 0 has no pitch: put an octave and a half below bin 1, so that it is as far from it as can be, and broad.
    semitones = np.concatenate([[semitones[0] - 1.5 * _N], semitones])
    width = np.maximum(np.diff(semitones), 1.0)
    semitones = semitones[:-1]
    distance = np.mod(semitones - np.arange(_N)[:, None] + _N / 2 + 10 * _N, _N) - _N / 2
    weights = np.exp(-0.5 * (2 * distance / width) ** 2)
    weights /= np.sqrt((weights**2).sum(axis=0))
    weights *= np.exp(-0.5 * ((semitones / _N - CENTRE_OCTAVE) / OCTAVE_WIDTH) ** 2)
    # From A first to C first.
    weights = np.roll(weights, -3, axis=0).astype(np.float32)
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=16)
def fold(n_bins: int, bins_per_octave: int) -> np.ndarray:
    """From constant-Q bins, C1 first, to pitch classes, float32, shape (n_bins, 12)."""
    merged = bins_per_octave // _N
    # A pitch class takes the bins around its centre, so half of those below C belong to the C above.
    folded = np.roll(np.repeat(np.eye(_N, dtype=np.float32), merged, axis=1), -(merged // 2), axis=1)
    folded = np.tile(folded, -(-n_bins // bins_per_octave))[:, :n_bins].T.copy()
    folded.setflags(write=False)
    return folded


def normalize(x: Array, norm: str) -> Array:
    """Each frame of (..., frames, rows) relative to its "max", its "sum" or its "length"; silence stays as it is."""
    if norm == "max":
        size = abs(x).max(axis=-1, keepdims=True) if _ops.is_numpy(x) else x.abs().amax(dim=-1, keepdim=True)
        size = _ops.float64(size)
    elif norm == "sum":
        size = _ops.float64(abs(x)).sum(-1)[..., None]
    else:
        size = (_ops.float64(x) ** 2).sum(-1)[..., None] ** 0.5
    size[size < float(np.finfo(np.float32).tiny)] = 1.0
    return _ops.float32(_ops.float64(x) / size)


def cens(chroma: Array, smooth_frames: int = 41) -> Array:
    """Energy-normalised statistics of (frames, 12) chroma: coarse steps, smoothed over time; numpy only.

    Müller & Ewert 2011, Chroma Toolbox.
    """
    shares = normalize(chroma, "sum")
    steps = np.zeros_like(shares)
    for threshold in (0.4, 0.2, 0.1, 0.05):
        steps += (shares > threshold) * np.float32(0.25)
    n_taps = smooth_frames + 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_taps) / (n_taps - 1))
    window /= window.sum()
    half = n_taps // 2
    smooth = [np.convolve(row, window)[half : half + len(row)] for row in steps.T]
    return normalize(np.stack(smooth, axis=1).astype(np.float32), "length")


@lru_cache(maxsize=1)
def _tonnetz_basis() -> np.ndarray:
    """Six axes of the tonal space for twelve pitch classes, float32, shape (12, 6)."""
    turns = np.repeat([7 / 6, 3 / 2, 2 / 3], 2)
    radius = np.repeat([1.0, 1.0, 0.5], 2)
    angle = np.arange(_N)[:, None] * turns
    angle[:, ::2] -= 0.5  # a quarter turn makes the cosine a sine
    return (radius * np.cos(np.pi * angle)).astype(np.float32)


def tonnetz(chroma: Array) -> Array:
    """Tonal centroids, (..., frames, 12) to (..., frames, 6).

    Harte, Sandler & Gasser 2006, Detecting harmonic change in musical audio.
    """
    shares = normalize(chroma, "sum")
    return shares @ _ops.constant(_tonnetz_basis(), shares)
