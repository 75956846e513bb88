"""A few hundred numbers of spectra that a net's embedding does not keep: timbre, how it varies, and its rhythm.

A linear head on embedding and statistics together is better than on either (see docs/learn.md). The columns are fixed
(`VERSION`): a personal model keeps weights for each of them.
"""

from __future__ import annotations

import numpy as np

VERSION = "spectra/1"
PROFILE = 64  # bands of the profile; finer ones are so alike that they only cost
GROUPS = 16  # bands whose swing is measured
CEPSTRA = 16
WINDOW = 64  # frames of a stretch in which swing is measured: 5 s of the shipped models' 12.9 frames a second
# Swings per window, roughly doubling: slow swells, bars, beats, eighths.
SWINGS = (1, 2, 3, 4, 6, 9, 13, 20, 33)


def count(rows: int) -> int:
    """How many statistics a feature of so many rows has."""
    cepstra = min(CEPSTRA, rows)
    profile, groups = min(PROFILE, rows), min(GROUPS, rows)
    return 3 * profile + groups * (len(SWINGS) - 1) + 2 * cepstra + cepstra * (cepstra - 1) // 2


def statistics(excerpts: np.ndarray, *, span: float = 255.0) -> np.ndarray:
    """Statistics (columns,) of one track's excerpts (n, rows, frames), whose values go from 0 to `span`.

    Each excerpt counts the same; they may be of any length from one frame on, which changes no column's meaning.
    """
    return statistics_of_rows(excerpts, span=span).mean(axis=0, dtype=np.float64).astype(np.float32)


def statistics_of_rows(spectra: np.ndarray, *, span: float = 255.0, block: int = 64) -> np.ndarray:
    """The same for many tracks of one excerpt each: (n, rows, frames) to (n, columns), float32."""
    parts = [_block(np.asarray(spectra[i : i + block], np.float32) / span) for i in range(0, len(spectra), block)]
    return np.concatenate(parts) if parts else np.empty((0, count(spectra.shape[1])), np.float32)


def _block(x: np.ndarray) -> np.ndarray:
    moves = np.diff(x, axis=2) if x.shape[2] > 1 else np.zeros_like(x)
    profile = [x.mean(axis=2), _log(x.std(axis=2)), _log(np.abs(moves).mean(axis=2))]
    parts = [_grouped(values, PROFILE) for values in profile]
    return np.concatenate([*parts, _swing(x), *_cepstra(x)], axis=1).astype(np.float32)


def _log(values: np.ndarray) -> np.ndarray:
    # Deviations are spread like powers; 1 % of the range is where quantisation to one byte begins to show.
    return np.log(values + 0.01)


def _grouped(values: np.ndarray, most: int) -> np.ndarray:
    """Means of neighbouring bands: (n, bands, ...) to (n, at most `most`, ...)."""
    bands = values.shape[1]
    edges = np.linspace(0, bands, min(most, bands) + 1).astype(int)
    widths = np.diff(edges).reshape(-1, *[1] * (values.ndim - 2))
    return np.add.reduceat(values, edges[:-1], axis=1) / widths


def _swing(x: np.ndarray) -> np.ndarray:
    """How much each group of bands swings at how many times a window: log power, (n, groups * swings)."""
    bands = _grouped(x, GROUPS)
    missing = WINDOW - bands.shape[2]
    if missing > 0:  # a shorter excerpt goes on as its mean, which does not swing
        bands = np.concatenate([bands, np.repeat(bands.mean(axis=2, keepdims=True), missing, axis=2)], axis=2)
    taper = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    starts = range(0, bands.shape[2] - WINDOW + 1, WINDOW // 2)
    power = 0.0
    for start in starts:
        piece = bands[:, :, start : start + WINDOW]
        piece = (piece - piece.mean(axis=2, keepdims=True)) * taper
        power = power + np.abs(np.fft.rfft(piece, axis=2)) ** 2
    power = power / (len(starts) * WINDOW)
    swing = np.add.reduceat(power[:, :, : SWINGS[-1]], SWINGS[:-1], axis=2) / np.diff(SWINGS)
    return np.log(swing + 1e-4).reshape(len(x), -1)


def _cepstra(x: np.ndarray) -> list[np.ndarray]:
    """Spread of cepstra, of their movement, and which go together."""
    bands = x.shape[1]
    number = min(CEPSTRA, bands)
    # The cosine transform as one small product: scipy is not on the light install.
    basis = np.cos(np.pi / bands * np.outer(np.arange(number), np.arange(bands) + 0.5)) * np.sqrt(2 / bands)
    cepstra = np.matmul(basis.astype(np.float32), x)
    moves = np.diff(cepstra, axis=2) if x.shape[2] > 1 else np.zeros_like(cepstra)
    cepstra = cepstra - cepstra.mean(axis=2, keepdims=True)
    spread = cepstra.std(axis=2)
    together = np.matmul(cepstra, cepstra.transpose(0, 2, 1)) / x.shape[2]
    # Silence has no correlations: the constant makes them 0 and not noise.
    together = together / (spread[:, :, None] * spread[:, None, :] + 1e-3)
    upper = np.triu_indices(number, 1)
    return [_log(spread), _log(moves.std(axis=2)), together[:, upper[0], upper[1]]]
