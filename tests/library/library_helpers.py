"""What the tests of the library share."""

from __future__ import annotations

import importlib.util
import sqlite3
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


KEPT = {
    "contents": "SELECT hash FROM contents",
    "files": "SELECT f.path, c.hash FROM files f JOIN contents c ON c.id = f.content_id",
    "predictions": "SELECT c.hash, p.model_id, p.genres FROM predictions p JOIN contents c ON c.id = p.content_id",
    "vectors": "SELECT c.hash, v.model_id, v.kind, v.vector FROM vectors v JOIN contents c ON c.id = v.content_id",
    "sketches": "SELECT c.hash, s.sketch FROM sketches s JOIN contents c ON c.id = s.content_id",
}


def held(path: Path) -> dict[str, set[tuple]]:
    """What a library holds, by what it is about and not by numbers; a file without tables holds nothing."""
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    try:
        whole = connection.execute("PRAGMA integrity_check").fetchall()
        assert whole == [(b"ok",)], whole
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            return {name: set() for name in KEPT}
        return {name: set(connection.execute(sql)) for name, sql in KEPT.items()}
    finally:
        connection.close()


def remove(path: Path) -> None:
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}-scans")):
        name.unlink(missing_ok=True)
