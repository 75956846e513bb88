"""The constant-Q transform: octave by octave, each at half the rate of the one above.

One octave is one matrix product of the frames with twelve (or 36) kernels in time. The usual way, an FFT of every
frame and a sparse product, is the same linear map and costs several times as much.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import soxr

from tonearm.errors import UsageError

C1_HZ = 440.0 * 2.0 ** ((24 - 69) / 12)
# Equivalent noise bandwidth of the Hann window, in bins: how far a filter reaches above its centre.
HANN_BANDWIDTH = 1.50018310546875
# Share of each kernel's spectrum (by summed magnitude) that is dropped as too small.
DROPPED_SHARE = 0.01
_BLOCK_FRAMES = 512


def relative_bandwidth(bins_per_octave: int) -> float:
    step = 2.0 ** (2.0 / bins_per_octave)
    return (step - 1) / (step + 1)


def lowest_rate(n_bins: int = 84, bins_per_octave: int = 12, tuning: float = 0.0) -> float:
    """The sample rate below which the highest filter would reach above the Nyquist frequency."""
    top_hz = C1_HZ * 2.0 ** ((n_bins - 1 + tuning) / bins_per_octave)
    return 2 * top_hz * (1 + 0.5 * HANN_BANDWIDTH * relative_bandwidth(bins_per_octave))


def check_rate(sample_rate: float, n_bins: int = 84, bins_per_octave: int = 12, tuning: float = 0.0) -> float:
    """The lowest rate, if `sample_rate` is not below it."""
    lowest = lowest_rate(n_bins, bins_per_octave, tuning)
    if sample_rate < lowest:
        raise UsageError(
            f"the constant-Q transform reaches up to {lowest / 2:,.0f} Hz, more than half of {sample_rate:,.0f} Hz",
            hint=f"use a sample_rate of {lowest:,.0f} or more; 22050 is usual",
            code="too-low-rate",
        )
    return lowest


def cqt_magnitude(
    samples: np.ndarray,
    sample_rate: float,
    *,
    tuning: float = 0.0,
    hop_length: int = 512,
    n_bins: int = 84,
    bins_per_octave: int = 12,
) -> np.ndarray:
    """Magnitude of the constant-Q transform from C1 upwards, float32, shape (frames, n_bins).

    Schörkhuber & Klapuri 2010, Constant-Q transform toolbox for music processing.
    """
    n_octaves = -(-n_bins // bins_per_octave)
    cutoff_rate = check_rate(sample_rate, n_bins, bins_per_octave, tuning)
    samples, sample_rate, hop_length = _early_downsample(samples, sample_rate, hop_length, n_octaves, cutoff_rate)
    lowest_hz = C1_HZ * 2.0 ** (tuning / bins_per_octave)
    n_filters = min(bins_per_octave, n_bins)
    octaves: list[np.ndarray] = []
    rate, hop = float(sample_rate), hop_length
    for octave in range(n_octaves):
        top = n_bins - octave * n_filters
        first = max(0, top - n_filters)
        first_hz = lowest_hz * 2.0 ** (first / bins_per_octave)
        # Rounded, so that octaves at halved rates share one entry of the cache.
        kernels = _kernels(round(first_hz / rate, 12), top - first, bins_per_octave)
        octaves.append(_response(samples, kernels, hop))
        if hop % 2 == 0 and octave + 1 < n_octaves:
            samples, rate, hop = _halve(samples), rate / 2, hop // 2
    n_frames = min(len(response) for response in octaves)
    return np.concatenate([response[:n_frames] for response in reversed(octaves)], axis=1)


def _early_downsample(
    samples: np.ndarray, sample_rate: float, hop_length: int, n_octaves: int, cutoff_rate: float
) -> tuple[np.ndarray, float, int]:
    """Leave out whole octaves above the highest filter, as far as the hop can be halved for the octaves below."""
    spare = int(np.ceil(np.log2(sample_rate / cutoff_rate))) - 2
    twos = (hop_length & -hop_length).bit_length() - 1
    halvings = max(0, min(spare, twos - n_octaves + 1))
    if halvings:
        samples = _downsample(samples, 2**halvings)
    return samples, sample_rate / 2**halvings, hop_length >> halvings


def _halve(samples: np.ndarray) -> np.ndarray:
    return _downsample(samples, 2)


def _downsample(samples: np.ndarray, factor: int) -> np.ndarray:
    """Every `factor`-th sample of the band below, scaled so that energy stays what it was."""
    n_samples = -(-len(samples) // factor)
    out = np.zeros(n_samples, np.float32)
    found = soxr.resample(np.ascontiguousarray(samples, np.float32), factor, 1, quality="soxr_hq")[:n_samples]
    np.multiply(found, np.float32(np.sqrt(factor)), out=out[: len(found)])
    return out


@lru_cache(maxsize=256)
def _kernels(first_cycles: float, n_filters: int, bins_per_octave: int) -> np.ndarray:
    """Kernels in time of one octave, float32, shape (n_fft, 2 * n_filters): real parts, then imaginary parts.

    `first_cycles` is the lowest centre frequency in cycles per sample. Cached because the tuning, on which the
    kernels depend, takes a hundred values and the octaves share them.
    """
    cycles = first_cycles * 2.0 ** (np.arange(n_filters) / bins_per_octave)
    lengths = 1.0 / (relative_bandwidth(bins_per_octave) * cycles)
    n_fft = int(2.0 ** np.ceil(np.log2(lengths.max())))
    padded = np.zeros((n_filters, n_fft), np.complex64)
    for row, (length, cycle) in enumerate(zip(lengths, cycles, strict=True)):
        at = np.arange(-length // 2, length // 2)
        wave = np.exp(2j * np.pi * cycle * at) * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(at)) / len(at)))
        start = (n_fft - len(at)) // 2
        padded[row, start : start + len(at)] = wave / np.abs(wave).sum()
    padded *= (lengths / n_fft).astype(np.float32)[:, None]
    spectra = np.zeros((n_filters, n_fft), np.complex128)
    positive = np.fft.fft(padded, axis=1)[:, : n_fft // 2 + 1]
    spectra[:, : n_fft // 2 + 1] = np.where(_kept(positive), positive, 0)
    # The product of these spectra with the FFT of a frame is the product of their own FFT with the frame itself.
    # Dividing by the root of the length makes a bin's height independent of how long its filter is.
    in_time = np.fft.fft(spectra, axis=1) / np.sqrt(lengths)[:, None]
    return np.ascontiguousarray(np.concatenate([in_time.real, in_time.imag]).T, dtype=np.float32)


def _kept(spectra: np.ndarray) -> np.ndarray:
    """Which entries of each row remain when the smallest, that make up the dropped share, are left out."""
    size = np.abs(spectra)
    ordered = np.sort(size, axis=1)
    cumulative = np.cumsum(ordered / size.sum(axis=1, keepdims=True), axis=1)
    at = np.argmin(cumulative < DROPPED_SHARE, axis=1)
    return size >= np.take_along_axis(ordered, at[:, None], axis=1)


def _response(samples: np.ndarray, kernels: np.ndarray, hop_length: int) -> np.ndarray:
    """Magnitudes of all centred frames against the kernels, shape (frames, n_filters)."""
    n_fft, n_filters = kernels.shape[0], kernels.shape[1] // 2
    padded = np.zeros(len(samples) + n_fft, np.float32)
    padded[n_fft // 2 : n_fft // 2 + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    out = np.empty((len(frames), n_filters), np.float32)
    block = np.empty((min(_BLOCK_FRAMES, len(frames)), n_fft), np.float32)
    for start in range(0, len(frames), len(block)):
        part = frames[start : start + len(block)]
        np.copyto(block[: len(part)], part)
        both = block[: len(part)] @ kernels
        np.square(both, out=both)
        np.add(both[:, :n_filters], both[:, n_filters:], out=out[start : start + len(part)])
    return np.sqrt(out, out=out)
