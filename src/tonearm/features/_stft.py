"""The short-time Fourier transform below all features, in numpy and in torch.

In numpy the windows are transformed in blocks of 64 into buffers that are kept: fresh arrays for each block cost four
times as much, in page faults. scipy's FFT would gain 2.6 ms a clip and cost 170 ms at every start, so it is not used.
Double precision costs no more than single in numpy's FFT, and agrees with librosa to the last bit but one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from tonearm.features import _ops
from tonearm.features._grid import Grid, taper
from tonearm.features._mel import Mel, blocks

Array = Any

BLOCK = 64  # windows at once, fewer of very long ones
BLOCK_SAMPLES = 1 << 19

_scratch = threading.local()


def _rows(n_fft: int) -> int:
    return max(1, min(BLOCK, BLOCK_SAMPLES // n_fft))


def _buffers(n_fft: int) -> tuple[np.ndarray, ...]:
    """Windowed samples, spectrum in double and single precision, magnitude; one set per thread and n_fft."""
    kept = _scratch.__dict__.setdefault("kept", {})
    if n_fft not in kept:
        if len(kept) >= 4:
            kept.clear()
        rows = _rows(n_fft)
        shape = (rows, n_fft // 2 + 1)
        kept[n_fft] = (
            np.empty((rows, n_fft)),
            np.empty(shape, np.complex128),
            np.empty(shape, np.complex64),
            np.empty(shape, np.float32),
        )
    return kept[n_fft]


def _numpy_windows(samples: np.ndarray, grid: Grid, total_samples: int) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of windows of one clip (n,), zeros outside: (number of the first column, array (some, n_fft))."""
    rows = _rows(grid.n_fft)
    indices = grid.indices(total_samples)
    starts = np.arange(grid.total(total_samples)) if indices is None else indices
    starts = starts * grid.hop_length - grid.pad
    inside = (starts >= 0) & (starts + grid.n_fft <= len(samples))
    # Starts ascend, so what lies inside is one stretch, and its windows are views of the samples.
    first = int(np.argmax(inside)) if inside.any() else len(starts)
    last = first + int(inside.sum())
    view = np.lib.stride_tricks.sliding_window_view(samples, grid.n_fft) if last > first else None
    for begin, end, within in ((0, first, False), (first, last, True), (last, len(starts), False)):
        for at in range(begin, end, rows):
            block = starts[at : min(at + rows, end)]
            if not within:
                yield at, _edge_windows(samples, block, grid.n_fft)
            elif indices is None:
                yield at, view[block[0] : block[-1] + 1 : grid.hop_length]
            else:
                yield at, view[block]


def _edge_windows(samples: np.ndarray, starts: np.ndarray, n_fft: int) -> np.ndarray:
    windows = np.zeros((len(starts), n_fft), samples.dtype)
    for window, start in zip(windows, starts, strict=True):
        piece = samples[max(0, start) : max(0, start + n_fft)]
        at = max(0, -start)
        window[at : at + len(piece)] = piece
    return windows


def _numpy_magnitudes(samples: np.ndarray, grid: Grid, total_samples: int) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of magnitudes of one clip; each is overwritten by the next."""
    window = taper(grid.window, grid.win_length or grid.n_fft, grid.n_fft)
    tapered, spectrum, single, magnitude = _buffers(grid.n_fft)
    for at, frames in _numpy_windows(samples, grid, total_samples):
        n = len(frames)
        np.multiply(frames, window, out=tapered[:n])
        np.fft.rfft(tapered[:n], out=spectrum[:n])
        single[:n] = spectrum[:n]
        yield at, np.abs(single[:n], out=magnitude[:n])


def numpy_magnitude(samples: np.ndarray, grid: Grid, total_samples: int) -> np.ndarray:
    """Magnitudes of clips (..., n), float32, shape (..., frames, bins)."""
    result = np.empty((*samples.shape[:-1], grid.count(total_samples), grid.bins), np.float32)
    for clip in np.ndindex(samples.shape[:-1]):
        for at, magnitude in _numpy_magnitudes(samples[clip], grid, total_samples):
            result[(*clip, slice(at, at + len(magnitude)))] = magnitude
    return result


def numpy_mel(
    samples: np.ndarray, grid: Grid, total_samples: int, mel: Mel, sample_rate: int, power: float
) -> np.ndarray:
    """Mel bands of clips (..., n), float32, shape (..., frames, n_mels), without keeping the spectrum."""
    result = np.empty((*samples.shape[:-1], grid.count(total_samples), mel.n_mels), np.float32)
    pieces = blocks(mel, sample_rate, grid.n_fft)
    for clip in np.ndindex(samples.shape[:-1]):
        for at, magnitude in _numpy_magnitudes(samples[clip], grid, total_samples):
            raise_to(magnitude, power, out=magnitude)
            bands = result[(*clip, slice(at, at + len(magnitude)))]
            for first, last, start, stop, weights in pieces:
                np.matmul(magnitude[:, start:stop], weights, out=bands[:, first:last])
    return result


def mel_of(magnitude: Array, grid: Grid, mel: Mel, sample_rate: int, power: float) -> Array:
    """Mel bands of magnitudes that are there already, (..., frames, bins) to (..., frames, n_mels)."""
    raised = raise_to(magnitude, power)
    parts = [
        _ops.product(raised[..., start:stop], weights)
        for _, _, start, stop, weights in blocks(mel, sample_rate, grid.n_fft)
    ]
    return _ops.concat(parts, -1)


def raise_to(magnitude: Array, power: float, out: np.ndarray | None = None) -> Array:
    if out is not None:
        if power == 2.0:
            return np.multiply(magnitude, magnitude, out=out)
        return np.power(magnitude, np.float32(power), out=out) if power != 1.0 else magnitude
    return magnitude * magnitude if power == 2.0 else magnitude if power == 1.0 else magnitude**power


def windows(samples: Array, grid: Grid, total_samples: int) -> Array:
    """Windows of clips (..., n), zeros outside, shape (..., frames, n_fft); a view where all are taken."""
    missing = max(0, grid.n_fft - total_samples - 2 * grid.pad)
    padded = _ops.padded(samples, grid.pad, grid.pad + total_samples - samples.shape[-1] + missing)
    if _ops.is_numpy(padded):
        view = np.lib.stride_tricks.sliding_window_view(padded, grid.n_fft, axis=-1)[..., :: grid.hop_length, :]
    else:
        view = padded.unfold(-1, grid.n_fft, grid.hop_length)
    indices = grid.indices(total_samples)
    return view if indices is None else view[..., _ops.constant(indices, samples), :]


def _torch_magnitudes(samples: Array, grid: Grid, total_samples: int) -> Iterator[tuple[int, Array]]:
    """Blocks of magnitudes of clips (..., n): (number of the first column, tensor (..., columns, bins)).

    In double precision too, where the device has it: in single, a band 80 dB below the peak is off by 0.01 dB.
    """
    torch = _ops.module(samples)
    frames = windows(samples, grid, total_samples)
    window = _ops.constant(taper(grid.window, grid.win_length or grid.n_fft, grid.n_fft), samples)
    step = _ops.frames_per_step(frames)
    for at in range(0, frames.shape[-2], step):
        spectrum = torch.fft.rfft(frames[..., at : at + step, :] * window)
        yield at, spectrum.to(torch.complex64).abs()


def torch_magnitude(samples: Array, grid: Grid, total_samples: int) -> Array:
    """Magnitudes of clips (..., n), float32, shape (..., frames, bins), on the device of the samples."""
    result = samples.new_empty((*samples.shape[:-1], grid.count(total_samples), grid.bins))
    for at, magnitude in _torch_magnitudes(samples, grid, total_samples):
        result[..., at : at + magnitude.shape[-2], :] = magnitude
    return result


def torch_mel(samples: Array, grid: Grid, total_samples: int, mel: Mel, sample_rate: int, power: float) -> Array:
    """Mel bands of clips (..., n), float32, shape (..., frames, n_mels), without keeping the spectrum."""
    result = samples.new_empty((*samples.shape[:-1], grid.count(total_samples), mel.n_mels))
    for at, magnitude in _torch_magnitudes(samples, grid, total_samples):
        result[..., at : at + magnitude.shape[-2], :] = mel_of(magnitude, grid, mel, sample_rate, power)
    return result
