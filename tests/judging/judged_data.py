"""Music that a tiny model answers right: noise in low, middle or high bands; and runs that take a second."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

from tonearm import recipes

for room in ("recipes", "runtime"):
    sys.path.append(str(Path(__file__).parents[1] / room))

RATE = 22050
HERTZ = {"bass": (150, 900), "middle": (1400, 3300), "treble": (4500, 9500)}


def noise(low: float, high: float, seconds: float = 6.0, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Noise between two frequencies, float32 (n,), about a tenth of full scale."""
    draw = np.random.default_rng(seed)
    count = round(seconds * rate)
    spectrum = np.fft.rfft(draw.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    spectrum[(hertz < low) | (hertz > high)] *= 1e-3
    samples = np.fft.irfft(spectrum, count)
    return (0.1 * samples / samples.std()).astype(np.float32)


def music(folder: Path, *, per_genre: int = 2, seconds: float = 6.0, genres: bool = True) -> Path:
    """Files of noise in the bands of their genre, in a folder per genre (or all in one)."""
    for genre, (low, high) in HERTZ.items():
        for number in range(per_genre):
            path = folder / (genre if genres else "") / f"{genre}{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, noise(low, high, seconds, seed=number), RATE)
    return folder


def options(**keywords: object) -> recipes.Options:
    return recipes.Options(**{"quiet": True, "threads": 1, "resamples": 100, **keywords})


def small_net(**settings: object) -> recipes.Recipe:
    """A small net that learns in a second."""
    small = {
        "model.filters": [4, 8], "model.pools": [4, 4], "model.hidden": [8], "clip.frames": 30, "training.epochs": 2,
        "training.batch_size": 8, "training.precision": "float32", "training.learning_rate": 0.01,
    }  # fmt: skip
    return recipes.changed(recipes.get("njupt-cnn2d"), {**small, **settings})
