"""Small music for the tests of packs, and ways to start builds as processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

FILES = ("features.npy", "tracks.csv", "pack.json")


def tone(seconds: float, *, seed: int = 0, sample_rate: int = 22050) -> np.ndarray:
    """A chord with a little noise, different for each seed, float32 (n,)."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(100, 3000, 3))
    return (0.1 * chord + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="session")
def music(tmp_path_factory) -> Path:
    """24 short WAV files in two genre folders; nobody writes here."""
    root = tmp_path_factory.mktemp("music")
    for number in range(24):
        folder = root / ("blues" if number % 2 else "rock")
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"song{number:02}.wav", tone(1 + number % 3 * 0.25, seed=number), 22050)
    return root


def hashes(pack: Path) -> dict[str, str]:
    return {name: hashlib.sha256((pack / name).read_bytes()).hexdigest() for name in FILES}


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def tonearm() -> Callable[..., subprocess.CompletedProcess]:
    """Run the command line as a process of its own."""

    def run(*arguments: object, **keywords) -> subprocess.CompletedProcess:
        return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, **keywords)

    return run


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tonearm", *map(os.fspath, map(str, arguments))]
