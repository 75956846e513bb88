"""A recording taken apart into what sounds on and what strikes."""

from __future__ import annotations

import numpy as np

from tonearm.features._grid import taper
from tonearm.features._median import running_median

_BLOCK_FRAMES = 64
# Frames that are worked on at once: memory does not grow with the clip, and stays in use instead of being handed back.
_CHUNK_FRAMES = 1024


def harmonic_percussive(
    samples: np.ndarray, *, n_fft: int = 2048, kernel_size: int = 31, pad_mode: str = "constant"
) -> tuple[np.ndarray, np.ndarray]:
    """The harmonic and the percussive part of (n_samples,) float32, each of the same length.

    A steady tone is a ridge in time, a stroke is a ridge in frequency: medians along each give soft masks.
    Fitzgerald 2010, Harmonic/percussive separation using median filtering.
    """
    hop_length = n_fft // 4
    padded = np.pad(np.asarray(samples, np.float32), n_fft // 2, mode=pad_mode)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    summed = np.zeros((len(frames) + n_fft // hop_length - 1, hop_length), np.float32)
    margin = kernel_size // 2
    for first in range(0, len(frames), _CHUNK_FRAMES):
        last = min(first + _CHUNK_FRAMES, len(frames))
        # The median over time looks a margin to either side; at the ends of the clip it mirrors.
        left = max(0, first - margin)
        spectra, magnitude = _spectra(frames[left : last + margin])
        here = slice(first - left, last - left)
        in_time = running_median(magnitude, kernel_size)[here]
        in_frequency = running_median(np.ascontiguousarray(magnitude[here].T), kernel_size)
        spectra[here] *= _share(in_time, np.ascontiguousarray(in_frequency.T))
        _overlap_add(spectra[here], summed[first:])
    harmonic = _unwindow(summed, len(frames))[n_fft // 2 : n_fft // 2 + len(samples)]
    harmonic = np.pad(harmonic, (0, len(samples) - len(harmonic)))
    # The masks add up to one, so that the rest is the other part and needs no inverse transform of its own.
    return harmonic, samples - harmonic


def _spectra(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The complex spectra, complex64, and the magnitudes, float32, of (frames, n_fft), both (frames, bins)."""
    n_fft = frames.shape[1]
    window = taper("hann", n_fft, n_fft)
    spectra = np.empty((len(frames), n_fft // 2 + 1), np.complex64)
    windowed = np.empty((_BLOCK_FRAMES, n_fft))
    exact = np.empty((_BLOCK_FRAMES, n_fft // 2 + 1), np.complex128)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        part = frames[start : start + _BLOCK_FRAMES]
        np.multiply(part, window, out=windowed[: len(part)])
        np.fft.rfft(windowed[: len(part)], axis=1, out=exact[: len(part)])
        spectra[start : start + len(part)] = exact[: len(part)]
    return spectra, np.abs(spectra)


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


def _overlap_add(spectra: np.ndarray, summed: np.ndarray) -> None:
    """Add the windowed inverse transforms of (frames, bins) to `summed`, whose rows are hops."""
    hop_length = summed.shape[1]
    n_fft = 2 * (spectra.shape[1] - 1)
    overlap = n_fft // hop_length
    window = taper("hann", n_fft, n_fft)
    in_time = np.empty((_BLOCK_FRAMES, n_fft))
    for start in range(0, len(spectra), _BLOCK_FRAMES):
        part = spectra[start : start + _BLOCK_FRAMES]
        block = np.fft.irfft(part.astype(np.complex128), n=n_fft, axis=1, out=in_time[: len(part)])
        block *= window
        hops = block.reshape(len(part), overlap, hop_length)
        for shift in range(overlap):
            summed[start + shift : start + shift + len(part)] += hops[:, shift]


def _unwindow(summed: np.ndarray, n_frames: int) -> np.ndarray:
    """Samples from sums of windowed frames: divided by the sum of the squared windows that lie on each."""
    overlap = len(summed) - n_frames + 1
    n_fft = overlap * summed.shape[1]
    squared = (taper("hann", n_fft, n_fft) ** 2).reshape(overlap, -1)
    weight = np.zeros(summed.shape)
    for shift in range(overlap):
        weight[shift : shift + n_frames] += squared[shift]
    weight[weight < np.finfo(np.float32).tiny] = 1
    return (summed / weight).astype(np.float32).reshape(-1)
