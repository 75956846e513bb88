"""Small music, and ways to look at packs and start builds, for the tests of this folder."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np

from tonearm import features
from tonearm.packs import Clips, Plan, Track

FILES = ("features.npy", "tracks.csv", "pack.json")


def tone(seconds: float, *, seed: int = 0, sample_rate: int = 22050) -> np.ndarray:
    """A chord with a little noise, different for each seed, float32 (n,)."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(100, 3000, 3))
    return (0.1 * chord + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


def tracks_of(root: Path) -> list[Track]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return [Track(id=path.stem, genre=path.parent.name, path=str(path)) for path in files]


def small_plan(kind: str = "rms", *, clip_seconds: float = 1.0, dtype: str = "float32", **keywords) -> Plan:
    clips = Clips(clip_seconds=clip_seconds, **{k: keywords.pop(k) for k in list(keywords) if k in Clips.__slots__})
    return Plan(
        name="p", feature=features.create(kind, clip_seconds=clip_seconds, **keywords), clips=clips, dtype=dtype
    )


def hashes(pack: Path) -> dict[str, str]:
    return {name: hashlib.sha256((pack / name).read_bytes()).hexdigest() for name in FILES}


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tonearm", *map(os.fspath, map(str, arguments))]
