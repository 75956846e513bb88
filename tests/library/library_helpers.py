"""What the tests of the library share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1]
RATE = 22050
SUFFIXES = ("flac", "mp3", "ogg", "wav")


def load(path: Path):
    """A module by its file: the model's maker of another room, the benchmark's maker of rows."""
    spec = importlib.util.spec_from_file_location(f"_{path.stem}_for_library", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def tune(seed: int, seconds: float = 5.0) -> np.ndarray:
    """Chords that change twice a second: enough peaks to recognise."""
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(round(2 * seconds)):
        times = np.arange(RATE // 2) / RATE
        tone = sum(np.sin(2 * np.pi * hertz * times) for hertz in rng.uniform(120, 3500, 5))
        pieces.append(tone * np.exp(-2 * times))
    return 0.1 * np.concatenate(pieces) + 0.002 * rng.normal(size=len(pieces) * (RATE // 2))
