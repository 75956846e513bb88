"""From a log-mel spectrogram to one figure in beats per minute."""

from __future__ import annotations

import numpy as np

from tonearm.errors import UsageError

_BLOCK_FRAMES = 256


def onset_strength(decibels: np.ndarray, *, n_fft: int, hop_length: int, aggregate: str = "mean") -> np.ndarray:
    """How much louder each frame is than the one before, over the bands of (n_mels, frames) dB; shape (frames,).

    Böck & Widmer 2013, Maximum filter vibrato suppression for onset detection (here without the filter).
    """
    n_frames = decibels.shape[1]
    rise = np.maximum(np.float32(0), decibels[:, 1:] - decibels[:, :-1])
    # A frame hears an onset half a window before its centre reaches it: later by one for the difference, and by that.
    delay = 1 + n_fft // (2 * hop_length)
    strength = np.zeros(delay + n_frames - 1, np.float32)
    strength[delay:] = rise.mean(axis=0) if aggregate == "mean" else np.median(rise, axis=0)
    return strength[:n_frames]


def mean_autocorrelation(envelope: np.ndarray, n_lags: int) -> np.ndarray:
    """Autocorrelation of an onset envelope in windows of `n_lags`, each relative to its maximum; shape (n_lags,).

    Grosche, Müller & Kurth 2010, Cyclic tempogram.
    """
    n_frames = len(envelope)
    half = n_lags // 2
    ramped = np.pad(envelope, half, mode="linear_ramp", end_values=0)
    windows = np.lib.stride_tricks.sliding_window_view(ramped, n_lags)[:n_frames]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_lags) / n_lags)
    size = 1 << (2 * n_lags - 2).bit_length()
    # Every window's autocorrelation is greatest at lag 0, where it is its energy: windows can be normalised and
    # averaged as power spectra, and only the mean is transformed back.
    power = np.zeros(size // 2 + 1)
    block = np.empty((_BLOCK_FRAMES, n_lags))
    spectra = np.empty((_BLOCK_FRAMES, size // 2 + 1), np.complex128)
    for start in range(0, n_frames, _BLOCK_FRAMES):
        part = windows[start : start + _BLOCK_FRAMES]
        windowed = np.multiply(part, window, out=block[: len(part)])
        energy = np.einsum("ij,ij->i", windowed, windowed)
        energy[energy < np.finfo(np.float64).tiny] = 1
        found = np.fft.rfft(windowed, n=size, axis=1, out=spectra[: len(part)])
        power += (1 / energy) @ (found.real**2 + found.imag**2)
    return np.fft.irfft(power / n_frames, n=size)[:n_lags]


def tempo_bpm(
    envelope: np.ndarray,
    frame_rate: float,
    *,
    start_bpm: float = 120.0,
    std_bpm: float = 1.0,
    max_bpm: float = 320.0,
    window_seconds: float = 8.0,
) -> float:
    """Beats per minute of an onset envelope (frames,) with so many frames a second.

    The lag with the greatest autocorrelation under a log-normal prior around `start_bpm`, `std_bpm` octaves wide.
    Ellis 2007, Beat tracking by dynamic programming.
    """
    n_lags = max(2, int(window_seconds * frame_rate))
    bpm = np.full(n_lags, np.inf)
    bpm[1:] = 60.0 * frame_rate / np.arange(1, n_lags)
    log_prior = np.full(n_lags, -np.inf)
    slow = bpm < max_bpm
    if not slow.any():
        raise UsageError(
            f"no tempo below max_bpm {max_bpm:g} repeats within {window_seconds:g} s at {frame_rate:g} frames a second",
            hint="use longer window_seconds, a greater max_bpm or a shorter hop_length",
        )
    log_prior[slow] = -0.5 * ((np.log2(bpm[slow]) - np.log2(start_bpm)) / std_bpm) ** 2
    strength = np.log1p(1e6 * np.maximum(mean_autocorrelation(envelope, n_lags), -0.999e-6))
    return float(bpm[np.argmax(strength + log_prior)])
