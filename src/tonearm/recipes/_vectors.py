"""From frames to one row of numbers per clip, for classical models."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import pairwise

import numpy as np

from tonearm.errors import UsageError
from tonearm.features._moments import seven_statistics
from tonearm.features.mfcc import cosines
from tonearm.recipes._material import Material, decoded

# The order of FMA's table.
MOMENTS = ("kurtosis", "max", "mean", "median", "min", "skew", "std")
CEPSTRA = 20
# Below this a deviation in dB says only that the pack counts in steps.
_LEAST_DEVIATION = 1e-3
MODULATION_EDGES = (0.1, 0.3, 0.6, 1.0, 1.5, 2.2, 3.2, 4.5, 6.4)  # times a second


def pooled(clips: np.ndarray, how: str | None, frame_rate: float | None) -> tuple[np.ndarray, list[str]]:
    """Clips (n, rows, frames) or (n, columns) as (n, numbers), float32, and a name for each number."""
    if clips.ndim == 2 or how in (None, "none"):
        flat = clips.reshape(len(clips), -1)
        return flat.astype(np.float32), [f"value{i}" for i in range(flat.shape[1])]
    if how == "mean-variance":
        return np.concatenate([clips.mean(axis=2), clips.var(axis=2)], axis=1), _named(("mean", "var"), clips.shape[1])
    if how == "moments":
        rows = seven_statistics(clips.reshape(-1, clips.shape[2]))
        values = np.stack([rows[name].reshape(clips.shape[:2]) for name in MOMENTS], axis=1)
        return values.reshape(len(clips), -1).astype(np.float32), _named(MOMENTS, clips.shape[1])
    if how == "spectral":
        return spectral(clips, frame_rate or 43.0)
    raise UsageError(f"pool {how!r} is not known", hint="mean-variance, moments or spectral")


def spectral(level: np.ndarray, frame_rate: float) -> tuple[np.ndarray, list[str]]:
    """Statistics of dB bands (n, bands, frames): means, log deviations, cepstra, how they move together, and rhythm."""
    bands = level.shape[1]
    count = min(CEPSTRA, bands)
    cepstra = np.matmul(cosines(bands, count, 0.0).T.astype(np.float32), level)
    moves = np.diff(cepstra, axis=2) if level.shape[2] > 1 else np.zeros_like(cepstra)
    parts = {
        "mean": level.mean(axis=2),
        "logstd": _log_deviation(level),
        "cepstrum_mean": cepstra.mean(axis=2),
        "cepstrum_logstd": _log_deviation(cepstra),
        "move_logstd": _log_deviation(moves),
        "together": _correlations(cepstra),
        "rhythm": _modulation(level, frame_rate),
    }
    names = [f"{name}_{i + 1}" for name, values in parts.items() for i in range(values.shape[1])]
    return np.concatenate(list(parts.values()), axis=1).astype(np.float32), names


def _log_deviation(values: np.ndarray) -> np.ndarray:
    return np.log(values.std(axis=2) + _LEAST_DEVIATION)


def _correlations(values: np.ndarray) -> np.ndarray:
    """Correlations of the rows over time, (n, pairs)."""
    centred = values - values.mean(axis=2, keepdims=True)
    scaled = centred / (np.sqrt((centred**2).sum(axis=2, keepdims=True)) + 1e-6)
    upper = np.triu_indices(values.shape[1], 1)
    return np.matmul(scaled, scaled.transpose(0, 2, 1))[:, upper[0], upper[1]]


def _modulation(level: np.ndarray, frame_rate: float) -> np.ndarray:
    """How strongly eight groups of bands swing at how many times a second, as log power."""
    n, bands, frames = level.shape
    edges = np.array([edge for edge in MODULATION_EDGES if edge <= frame_rate / 2])
    if len(edges) < 2 or frames < 16:
        return np.empty((n, 0), np.float32)
    groups = min(8, bands)
    starts = np.linspace(0, bands, groups + 1).astype(int)[:-1]
    mean = np.add.reduceat(level, starts, axis=1) / np.diff([*starts, bands])[None, :, None]
    window = np.hanning(frames).astype(np.float32)
    power = np.abs(np.fft.rfft((mean - mean.mean(axis=2, keepdims=True)) * window, axis=2)) ** 2
    at = np.minimum(np.searchsorted(np.fft.rfftfreq(frames, 1 / frame_rate), edges), power.shape[2] - 1)
    swing = [power[:, :, a : max(b, a + 1)].mean(axis=2) for a, b in pairwise(at)]
    return np.log(np.concatenate(swing, axis=1) / frames + 1e-3).astype(np.float32)


def _named(statistics: Sequence[str], rows: int) -> list[str]:
    return [f"{name}_{row + 1}" for name in statistics for row in range(rows)]


def vectors(
    material: Material, positions: np.ndarray, starts: np.ndarray, frames: int | None, pool: str | None
) -> tuple[np.ndarray, list[str]]:
    """The numbers of clips: `positions` are rows of the material's table, `starts` their first frames."""
    if material.values.ndim == 2:
        values, names = pooled(decoded(material, material.rows[positions]), None, None)
        return values, list(material.columns) if material.columns else names
    blocks, names = [], []
    for at in range(0, len(positions), 64):
        some = slice(at, at + 64)
        whole = decoded(material, material.rows[positions[some]])
        cut = np.stack([row[:, start : start + frames] for row, start in zip(whole, starts[some], strict=True)])
        values, names = pooled(cut, pool, material.frame_rate)
        blocks.append(values)
    return np.concatenate(blocks), names


def chosen(names: Sequence[str], patterns: Sequence[str]) -> np.ndarray:
    """Which of the names one of the patterns fits; all where there are no patterns."""
    if not patterns:
        return np.arange(len(names))
    return np.array([i for i, name in enumerate(names) if any(fnmatchcase(name, p) for p in patterns)], dtype=int)
