"""Seven statistics of each row of an array."""

from __future__ import annotations

import numpy as np

# A deviation smaller than this share of the mean is rounding: the row counts as constant.
ROUNDING = 1e-6


def seven_statistics(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, std, skew, kurtosis, median, min and max over the frames of (rows, frames), each float64 (rows,).

    Skew and kurtosis are the biased ones, kurtosis is 0 for a normal distribution. Of a constant row, whose moments
    are undefined, they are 0 and -3: what scipy gave when FMA's table was made, and finite.
    """
    rows = np.asarray(rows, np.float64)
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    squared = centred * centred
    variance = squared.mean(axis=1)
    third = np.einsum("ij,ij->i", squared, centred) / rows.shape[1]
    fourth = np.einsum("ij,ij->i", squared, squared) / rows.shape[1]
    constant = variance <= (ROUNDING * mean) ** 2
    scale = np.where(constant, 1.0, variance)
    return {
        "mean": mean,
        "std": np.sqrt(variance),
        "skew": np.where(constant, 0.0, third / scale**1.5),
        "kurtosis": np.where(constant, 0.0, fourth / scale**2) - 3.0,
        "median": np.median(rows, axis=1),
        "min": rows.min(axis=1),
        "max": rows.max(axis=1),
    }
