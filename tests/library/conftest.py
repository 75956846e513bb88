"""A few songs, a tiny model, and a library of generated rows, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile
from library_helpers import RATE, SUFFIXES, TESTS, load, tune

from tonearm import library


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
