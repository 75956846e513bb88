"""A few songs, a tiny model, and a library of generated rows, made once."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonearm import library

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


@pytest.fixture(scope="session")
def _songs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tunes")
    for number in range(4):
        soundfile.write(folder / f"song{number}.{SUFFIXES[number]}", tune(number), RATE)
    return folder


@pytest.fixture
def music(_songs, tmp_path) -> Path:
    """Four songs, one of each kind."""
    return Path(shutil.copytree(_songs, tmp_path / "music"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    pytest.importorskip("onnx")
    return load(TESTS / "runtime" / "tiny_model.py").write_tiny(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def other(tmp_path_factory) -> Path:
    pytest.importorskip("onnx")
    maker = load(TESTS / "runtime" / "tiny_model.py")
    return maker.write_tiny(tmp_path_factory.mktemp("model") / "other.onnx", ("low", "high"), name="other")


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "library.sqlite"


@pytest.fixture
def scan(place):
    """Scan into the test's library, in this process."""

    def run(*paths, **keywords):
        keywords = {"model": None, "workers": 0, "library": place, **keywords}
        return library.scan(paths, **keywords)

    return run


@pytest.fixture
def opened(place):
    def run(**keywords):
        return library.open(place, **keywords)

    return run


ROWS = 1200


@pytest.fixture(scope="session")
def benchmark():
    return load(TESTS.parent / "benchmarks" / "library.py")


@pytest.fixture(scope="session")
def _filled(tmp_path_factory, benchmark) -> Path:
    path = tmp_path_factory.mktemp("filled") / "library.sqlite"
    benchmark.fill(path, ROWS, dimensions=16)
    return path


@pytest.fixture
def filled(_filled, tmp_path) -> Path:
    """1,200 generated rows."""
    return Path(shutil.copy(_filled, tmp_path / "filled.sqlite"))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("TONEARM_DATA", str(folder / "data"))
    monkeypatch.setenv("TONEARM_CACHE", str(folder / "cache"))
    monkeypatch.delenv("TONEARM_LIBRARY", raising=False)
