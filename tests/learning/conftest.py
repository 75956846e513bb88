"""Small music that can be told apart, and a small model that hears it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "runtime"))

RATE = 22050
BANDS = {"Bass": (80, 300), "Middle": (500, 1200), "Treble": (2500, 6000)}


def song(genre: str, seed: int, seconds: float = 3.2) -> np.ndarray:
    """Plucked tones of the genre's register, float32."""
    low, high = BANDS[genre]
    draw = np.random.default_rng([seed, *map(ord, genre)])
    t = np.arange(round(RATE * seconds)) / RATE
    samples = draw.normal(0, 0.003, len(t))
    for start in np.arange(0, seconds, draw.uniform(0.2, 0.4)):
        frequency = draw.uniform(low, high)
        after = np.clip(t - start, 0, None)
        samples += (t >= start) * np.exp(-after * 6) * np.sin(2 * np.pi * frequency * after) * draw.uniform(0.1, 0.3)
    return samples.astype(np.float32)


def write_song(path: Path, genre: str, seed: int, *, tag: str | None = None, artist: str | None = None) -> Path:
    import mutagen
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, song(genre, seed), RATE, subtype="PCM_16")
    if tag or artist:
        tags = mutagen.File(path)
        if tag:
            tags["genre"] = tag.split("|")
        if artist:
            tags["artist"] = artist
        tags.save()
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder of models, with one called fma that hears 24 bands."""
    pytest.importorskip("onnx", reason="onnx, which makes the tests' model, is not installed")
    from tiny_model import write_tiny

    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "fma.onnx", name="fma")
    return folder


@pytest.fixture(scope="session")
def collection(tmp_path_factory) -> Path:
    """Three genres by tags, nine songs each by three artists, in folders of artists; names and labels of all kinds."""
    root = tmp_path_factory.mktemp("collection") / "müsic 🎶"
    spelt = {"Bass": ["Bass", "bass", "Bass|Dub"], "Middle": ["Größe/Mitte"], "Treble": ["Treble"]}
    for genre, tags in spelt.items():
        for number in range(9):
            artist = f"{genre} artist {number % 3}"
            path = root / artist / f"{genre} {number}.flac"
            write_song(path, genre, number, tag=tags[number % len(tags)], artist=artist)
    return root


@pytest.fixture
def own(tmp_path, models, monkeypatch) -> Path:
    """A place of its own for cache, data and models, and where the test works."""
    monkeypatch.setenv("TONEARM_MODELS", str(models))
    monkeypatch.setenv("TONEARM_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("TONEARM_DATA", str(tmp_path / ".data"))
    monkeypatch.delenv("TONEARM_LIBRARY", raising=False)
    return tmp_path
