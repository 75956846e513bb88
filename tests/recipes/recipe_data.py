"""Small packs of which everything is known, for the tests of recipes and runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tonearm.packs import Pack, write_pack

GENRES = ("blues", "disco", "metal")


def columns(n: int, *, artists: int = 6) -> dict[str, list[str]]:
    """`n` tracks of three genres; each genre has `artists` artists of its own."""
    genre = [GENRES[i % 3] for i in range(n)]
    return {
        "id": [f"t{i:03}" for i in range(n)],
        "genre": genre,
        "artist": [f"{genre[i]}-{(i // 3) % artists}" for i in range(n)],
        "split": ["train" if (i // 3) % artists < artists - 2 else "valid" for i in range(n)],
    }


def table_pack(folder: Path, *, n: int = 72, noise: float = 0.5, seed: int = 0, **changed: list[str]) -> Pack:
    """57 statistics of which the first three tell the genre, each on a scale of its own."""
    from tonearm import features

    draw = np.random.default_rng(seed)
    values = draw.normal(size=(n, 57)).astype(np.float32)
    for i in range(n):
        values[i, i % 3] += 3 / noise
    names = features.create("statistics", table="gtzan").columns()
    values[:, [i for i, name in enumerate(names) if name.endswith("_var")]] **= 2
    values = values * np.logspace(-2, 4, 57).astype(np.float32) + np.float32(1e-3)
    feature = {"kind": "table", "columns": names}
    return write_pack(folder, values, {**columns(n), **changed}, feature=feature, further={"columns": names})


def mel_pack(folder: Path, *, n: int = 48, bands: int = 128, frames: int = 60, seed: int = 0) -> Pack:
    """Log-mel in bytes with the lowest, middle or highest third loud, 30 s as `frames` frames."""
    draw = np.random.default_rng(seed)
    values = draw.integers(0, 60, size=(n, bands, frames))
    third = bands // 3
    for i in range(n):
        values[i, (i % 3) * third : (i % 3 + 1) * third] += 120
    feature = {"kind": "logmel", "sample_rate": 22050, "n_mels": bands, "frames": frames, "clip_seconds": 30.0}
    scale = {"kind": "range", "low": -80.0, "high": 0.0}
    return write_pack(
        folder, values.astype(np.uint8), columns(n), feature=feature, axes=["track", "band", "frame"], scale=scale
    )
