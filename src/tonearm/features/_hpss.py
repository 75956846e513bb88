"""A recording taken apart into what sounds on and what strikes."""

from __future__ import annotations

import numpy as np

from tonearm.features._grid import taper
from tonearm.features._median import running_median

_BLOCK_FRAMES = 64


def harmonic_percussive(
    samples: np.ndarray, *, n_fft: int = 2048, kernel_size: int = 31, pad_mode: str = "constant"
) -> tuple[np.ndarray, np.ndarray]:
    """The harmonic and the percussive part of (n_samples,) float32, each of the same length.

    A steady tone is a ridge in time, a stroke is a ridge in frequency: medians along each give soft masks.
    Fitzgerald 2010, Harmonic/percussive separation using median filtering.
    """
    hop_length = n_fft // 4
    spectra, magnitude = _spectra(samples, n_fft, hop_length, pad_mode)
    in_time = running_median(magnitude, kernel_size)
    in_frequency = np.ascontiguousarray(running_median(np.ascontiguousarray(magnitude.T), kernel_size).T)
    spectra *= _share(in_time, in_frequency)
    harmonic = _overlap_add(spectra, len(samples), n_fft, hop_length)
    # The masks add up to one, so that the rest is the other part and needs no inverse transform of its own.
    return harmonic, samples - harmonic


def _spectra(samples: np.ndarray, n_fft: int, hop_length: int, pad_mode: str) -> tuple[np.ndarray, np.ndarray]:
    """The complex STFT, complex64, and its magnitude, float32, both (frames, bins)."""
    padded = np.pad(np.asarray(samples, np.float32), n_fft // 2, mode=pad_mode)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    window = taper("hann", n_fft, n_fft)
    spectra = np.empty((len(frames), n_fft // 2 + 1), np.complex64)
    magnitude = np.empty(spectra.shape, np.float32)
    windowed = np.empty((_BLOCK_FRAMES, n_fft))
    exact = np.empty((_BLOCK_FRAMES, n_fft // 2 + 1), np.complex128)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        part = slice(start, min(start + _BLOCK_FRAMES, len(frames)))
        n = part.stop - start
        np.multiply(frames[part], window, out=windowed[:n])
        np.fft.rfft(windowed[:n], axis=1, out=exact[:n])
        spectra[part] = exact[:n]
        np.abs(spectra[part], out=magnitude[part])
    return spectra, magnitude


def _share(part: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Soft mask part² / (part² + other²), a half where both are nothing; `part` and `other` are overwritten."""
    larger = np.maximum(part, other)
    nothing = larger < np.finfo(np.float32).tiny
    larger[nothing] = 1
    # Relative to the larger, so that squares of quiet bins do not vanish.
    part /= larger
    other /= larger
    np.square(part, out=part)
    np.square(other, out=other)
    other += part
    other[nothing] = 1
    part[nothing] = 0.5
    return np.divide(part, other, out=part)


def _overlap_add(spectra: np.ndarray, n_samples: int, n_fft: int, hop_length: int) -> np.ndarray:
    """Inverse STFT of (frames, bins) centred frames, float32, shape (n_samples,)."""
    window = taper("hann", n_fft, n_fft)
    overlap = n_fft // hop_length
    summed = np.zeros((len(spectra) + overlap - 1, hop_length), np.float32)
    weight = np.zeros_like(summed, dtype=np.float64)
    squared = (window**2).reshape(overlap, hop_length)
    in_time = np.empty((_BLOCK_FRAMES, n_fft))
    for start in range(0, len(spectra), _BLOCK_FRAMES):
        part = spectra[start : start + _BLOCK_FRAMES]
        block = np.fft.irfft(part.astype(np.complex128), n=n_fft, axis=1, out=in_time[: len(part)])
        block *= window
        quarters = block.reshape(len(part), overlap, hop_length)
        for shift in range(overlap):
            summed[start + shift : start + shift + len(part)] += quarters[:, shift]
    for shift in range(overlap):
        weight[shift : shift + len(spectra)] += squared[shift]
    weight[weight < np.finfo(np.float32).tiny] = 1
    out = (summed / weight).astype(np.float32).reshape(-1)[n_fft // 2 : n_fft // 2 + n_samples]
    return np.pad(out, (0, n_samples - len(out)))
