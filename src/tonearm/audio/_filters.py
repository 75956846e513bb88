"""Filters by their response, loudness by EBU R128, and spectral gating, in numpy.

By hand because scipy, and pyloudnorm which needs it, would double what a light install weighs. The tests hold each
against scipy or librosa.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np


def apply_response(
    samples: np.ndarray,
    sample_rate: int,
    response: Callable[[np.ndarray], np.ndarray],
    tail_seconds: float,
    edges: str,
) -> np.ndarray:
    """Filter samples (n,) by a frequency response: `response(hertz)` gives the factor at each frequency.

    Overlap-save, so that an hour costs no more memory than a minute. `tail_seconds` is how long the filter rings.
    `edges` is numpy's mode of padding: how the sound is thought to go on beyond them.
    """
    n, tail = len(samples), int(np.ceil(tail_seconds * sample_rate))
    size = 1 << max(17, int(np.ceil(np.log2(4 * tail))))
    size = min(size, 1 << int(np.ceil(np.log2(n + 2 * tail + 1))))
    step = size - 2 * tail
    factor = response(np.fft.rfftfreq(size, 1 / sample_rate))
    factor = factor.astype(np.complex64 if np.iscomplexobj(factor) else np.float32)
    extended = np.pad(np.pad(np.asarray(samples, np.float32), tail, edges), (0, size))
    out = np.empty(n, np.float32)
    for begin in range(0, n, step):
        block = np.fft.irfft(np.fft.rfft(extended[begin : begin + size]) * factor, size)
        out[begin : begin + step] = block[tail : tail + min(step, n - begin)]
    return out


def high_pass(samples: np.ndarray, sample_rate: int, cutoff_hz: float, order: int) -> np.ndarray:
    """Remove what lies below `cutoff_hz`, without shifting anything: a Butterworth magnitude with no phase, (n,)."""

    def response(hertz: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", over="ignore"):
            return 1 / np.sqrt(1 + (cutoff_hz / hertz) ** (2 * order))

    # The slowest pole rings with this damping; by then it is down by 120 dB. Mirrored edges keep an offset going, so
    # that it does not begin and end with a step.
    damping = 2 * np.pi * cutoff_hz * np.sin(np.pi / (2 * order))
    return apply_response(samples, sample_rate, response, 14 / damping, edges="symmetric")


def k_weight(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """The head and the low-frequency filter of ITU-R BS.1770, (n,).

    The recommendation tabulates them for 48 kHz; these are the analogue prototypes behind the tables, so that any
    rate gives the same curve (the form is that of Brecht De Man's and libebur128's derivation).
    """
    k = np.tan(np.pi * 1681.974450955533 / sample_rate)
    high, quality = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    band = high**0.4996667741545416
    shelf_b = np.array([high + band * k / quality + k * k, 2 * (k * k - high), high - band * k / quality + k * k])
    shelf_a = np.array([1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k])
    k, quality = np.tan(np.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    pass_a = np.array([1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k])
    pass_b = np.array([1.0, -2.0, 1.0]) * pass_a[0]  # the tables leave its gain in the passband uncorrected

    def response(hertz: np.ndarray) -> np.ndarray:
        z = np.exp(-2j * np.pi * hertz / sample_rate)
        shelf = np.polyval(shelf_b[::-1], z) / np.polyval(shelf_a[::-1], z)
        return shelf * np.polyval(pass_b[::-1], z) / np.polyval(pass_a[::-1], z)

    return apply_response(samples, sample_rate, response, 0.25, edges="constant")


def loudness_lufs(samples: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness in LUFS of samples (n,) or (n, channels), by EBU R 128 (ITU-R BS.1770-4) with its two gates.

    One channel counts once, as in the recommendation: a sine at -23 dBFS in mono reads -26, in both of two channels
    -23. Channels beyond the second are not weighted as surround. Less than 400 ms is measured as one block, without
    gates; -inf where nothing passes the absolute gate.
    """
    samples = np.asarray(samples, np.float32)
    channels = samples[:, None] if samples.ndim == 1 else samples
    power = np.zeros(len(channels))
    for channel in channels.T:
        power += np.square(k_weight(np.ascontiguousarray(channel), sample_rate), dtype=np.float64)
    # Blocks of 400 ms every 100 ms: sums over tenths, four at a time.
    tenths = np.round(np.arange(int(len(power) / sample_rate * 10 + 1e-9) + 1) * sample_rate / 10).astype(int)
    if len(tenths) < 5:
        return _lufs(power.mean())
    total = np.concatenate([[0.0], np.cumsum(power)])[np.minimum(tenths, len(power))]
    blocks = (total[4:] - total[:-4]) / (tenths[4:] - tenths[:-4])
    blocks = blocks[blocks > 10 ** ((-70 + 0.691) / 10)]
    if not len(blocks):
        return -np.inf
    return _lufs(blocks[blocks > blocks.mean() / 10].mean())


def _lufs(power: float) -> float:
    with np.errstate(divide="ignore"):
        return float(-0.691 + 10 * np.log10(power))


_GATE_FFT, _GATE_HOP = 2048, 512


def spectral_gate(samples: np.ndarray, reduction_db: float, threshold_db: float, noise_quantile: float) -> np.ndarray:
    """Turn down, by up to `reduction_db`, what does not stand `threshold_db` above the noise floor of its band, (n,).

    The floor of a band is the `noise_quantile` of its levels over time, so no sample of pure noise is needed. Levels
    are means over neighbouring bins, else the gate would open at random and chirp (Sainburg et al. 2020 for the
    scheme).
    """
    if not len(samples):
        return samples
    pad = _GATE_FFT
    n_frames = -(-(len(samples) + pad) // _GATE_HOP)
    padded = np.zeros(n_frames * _GATE_HOP + _GATE_FFT, np.float32)
    padded[pad : pad + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, _GATE_FFT)[::_GATE_HOP][:n_frames]
    edge = pad // _GATE_HOP
    inside = frames[edge : max(edge + 1, len(samples) // _GATE_HOP)]
    every = -(-len(inside) // 2000)  # a quantile needs no more, and an hour would not fit into memory
    levels = [level[-first % every :: every] for first, _, level in _spectra(inside)]
    floor = np.quantile(np.concatenate(levels), noise_quantile, axis=0)
    out = np.zeros_like(padded)
    lowest = 10 ** (-reduction_db / 20)
    for first, spectrum, level in _spectra(frames):
        is_open = 1 / (1 + np.exp(-np.clip(level - floor - threshold_db, -60, 60)))
        gain = (lowest + (1 - lowest) * is_open).astype(np.float32)
        for at, frame in enumerate(np.fft.irfft(spectrum * gain, _GATE_FFT) * _WINDOW, first):
            out[at * _GATE_HOP : at * _GATE_HOP + _GATE_FFT] += frame
    # Four squared Hann windows at a time add up to 3/2.
    return out[pad : pad + len(samples)] / np.float32(1.5)


_GATE_FFT, _GATE_HOP = 2048, 512
_WINDOW = np.hanning(_GATE_FFT + 1)[:-1].astype(np.float32)


def _spectra(frames: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Blocks of (first frame, spectra (f, bins), levels in dB (f, bins) averaged over three frames and five bins)."""
    for first in range(0, len(frames), 64):
        last = min(first + 64, len(frames))
        before, after = min(first, 1), min(len(frames) - last, 1)
        spectrum = np.fft.rfft(frames[first - before : last + after] * _WINDOW)
        power = spectrum.real**2 + spectrum.imag**2
        # Outside of all frames the outermost ones are repeated.
        power = np.pad(power, ((1 - before, 1 - after), (2, 2)), mode="edge")
        power = power[:-2] + power[1:-1] + power[2:]
        power = sum(power[:, k : k + spectrum.shape[1]] for k in range(5)) / 15
        yield first, spectrum[before : before + last - first], 10 * np.log10(np.maximum(power, 1e-20))
