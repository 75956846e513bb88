"""What the audit hears in a file: a few numbers per stretch, enough for a quick classifier and no more."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tonearm.audio import Waveform

SAMPLE_RATE = 22050
SEGMENTS = 3
LONGEST_SECONDS = 30.0  # of a longer file its middle: a quick look must not take an hour for an hour of music
LEAST_SECONDS = 1.5
N_MELS, CEPSTRA = 64, 20
MODULATION_EDGES = np.array([0.4, 0.8, 1.3, 1.8, 2.4, 3.2, 4.5, 6.5, 10.0])  # times a second
# Below hearing: rooms, turntables and converters leave their mark there, and a classifier may live on it alone.
DEEP_RATE = 100
DEEP_EDGES = (1.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0)
DEEP_FLOOR_DB = -45.0  # relative to the whole sound; what is less is in every recording


def excerpt(waveform: Waveform) -> Waveform:
    """The middle 30 s, or all of a shorter one."""
    most = round(LONGEST_SECONDS * waveform.sample_rate)
    start = max(0, (len(waveform.samples) - most) // 2)
    return Waveform(waveform.samples[start : start + most], waveform.sample_rate)


def listen(waveform: Waveform) -> np.ndarray:
    """Numbers of each third of the excerpt, float32 (segments, columns): timbre, its movement, and the deep."""
    from tonearm import audio
    from tonearm.features._grid import Grid
    from tonearm.features._mel import Mel
    from tonearm.features._stft import numpy_mel

    waveform = excerpt(waveform)
    samples = np.ascontiguousarray(waveform.samples, np.float32)
    if waveform.sample_rate != SAMPLE_RATE:
        samples = np.ascontiguousarray(audio.resample(samples, waveform.sample_rate, SAMPLE_RATE), np.float32)
    pieces = np.array_split(samples, SEGMENTS)
    grid, mel = Grid(), Mel(n_mels=N_MELS)
    rows = []
    for piece in pieces:
        bands = numpy_mel(piece, grid, len(piece), mel, SAMPLE_RATE, 2.0).T
        level = 10 * np.log10(np.maximum(bands, 1e-10))
        level = np.maximum(level, level.max() - 80)
        rate = SAMPLE_RATE / grid.hop_length
        rows.append(np.concatenate([statistics(level[None], rate)[0], deep(piece, SAMPLE_RATE)]))
    return np.array(rows, np.float32)


def statistics(level: np.ndarray, frame_rate: float) -> np.ndarray:
    """Timbre, spread and movement of 20 cepstra, rhythm of 4 bands: dB (n, bands, frames) to (n, columns)."""
    bands = level.shape[1]
    count = min(CEPSTRA, bands)
    level = level.astype(np.float32, copy=False)
    # The cosine transform as one small product: scipy is not on the light install.
    basis = np.cos(np.pi / bands * np.outer(np.arange(count), np.arange(bands) + 0.5)) * np.sqrt(2 / bands)
    values = np.matmul(basis.astype(np.float32), level)
    moves = np.diff(values, axis=2) if values.shape[2] > 1 else np.zeros_like(values)
    parts = [values.mean(axis=2), values.std(axis=2), moves.std(axis=2)]
    return np.concatenate([*parts, rhythm(level, frame_rate)], axis=1)


def rhythm(level: np.ndarray, frame_rate: float) -> np.ndarray:
    """How much each of 4 groups of bands swings at how many times a second: log power, (n, 4 * bands of modulation)."""
    n, bands, frames = level.shape
    edges = MODULATION_EDGES[frame_rate >= 2 * MODULATION_EDGES]
    if len(edges) < 2 or frames < 16:
        return np.empty((n, 0), np.float32)
    groups = np.add.reduceat(level, np.linspace(0, bands, 5).astype(int)[:-1], axis=1) * (4 / bands)
    window = np.hanning(frames).astype(np.float32)
    power = np.abs(np.fft.rfft((groups - groups.mean(axis=2, keepdims=True)) * window, axis=2)) ** 2
    frequency = np.fft.rfftfreq(frames, 1 / frame_rate)
    # A short stretch has no bin between two narrow edges: then the nearest one.
    starts = np.minimum(np.searchsorted(frequency, edges), len(frequency) - 1)
    ends = np.maximum(starts[1:], starts[:-1] + 1)
    swing = [power[:, :, a:b].mean(axis=2) for a, b in zip(starts[:-1], ends, strict=True)]
    return np.log(np.concatenate(swing, axis=1) / frames**2 + 1e-3).astype(np.float32)


def deep(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Level of bands below 20 Hz relative to the whole sound in dB, floored: (9,)."""
    from tonearm import audio

    total = float(np.mean(np.square(samples, dtype=np.float64)))
    slow = audio.resample(samples, sample_rate, DEEP_RATE)
    if total <= 0 or len(slow) < DEEP_RATE // 2:
        return np.full(len(DEEP_EDGES) - 1, DEEP_FLOOR_DB)
    window = np.hanning(len(slow))
    power = np.abs(np.fft.rfft(slow * window)) ** 2 * 2 / (len(slow) * np.sum(window**2))
    frequency = np.fft.rfftfreq(len(slow), 1 / DEEP_RATE)
    edges = np.searchsorted(frequency, DEEP_EDGES)
    bands = np.array([power[a:b].sum() for a, b in pairwise(edges)])
    return np.maximum(10 * np.log10(bands / total + 1e-12), DEEP_FLOOR_DB)
