"""Run folders and packs of which everything is known, for the tests of experiments."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tonearm import evaluation, recipes, runs
from tonearm.experiments._effects import Answers
from tonearm.packs import Pack, write_pack

GENRES = ("blues", "disco", "metal")


def answered(hits: np.ndarray) -> Answers:
    return Answers(hits.astype(float), tuple(range(len(hits))), tuple(f"t{i}" for i in range(hits.shape[1])))


def run_folder(
    folder: Path, *, recipe: str, hits: np.ndarray, seed: int = 0, split: str = "x", data: str = "d",
    part: str = "test", ids: Sequence[str] = (), artists: Sequence[str] = (),
) -> Path:  # fmt: skip
    """A finished run whose answers are right where `hits` (n,) says so."""
    n = len(hits)
    ids = list(ids) or [f"t{i:03}" for i in range(n)]
    truth = np.array([int(name[1:]) % 3 for name in ids])
    shares = np.full((n, 3), 0.1)
    shares[np.arange(n), np.where(hits, truth, (truth + 1) % 3)] = 0.8
    told = evaluation.checked_predictions(ids, truth, shares, GENRES, groups=list(artists) or None)
    runs.write_predictions(folder / "predictions-tracks.csv", {part: told})
    config = {**recipes.get("baseline-lda").config(), "name": recipe}
    import yaml

    runs.write_text(folder / "recipe.yaml", yaml.safe_dump(config))
    summary = evaluation.summary(told, resamples=100)
    metrics = {"chosen_on": None, "leaky": False, "adapted": [], "quick": False, "parts": {part: {"tracks": summary}}}
    runs.write_json(folder / "metrics.json", metrics)
    about = {
        "recipe": recipe, "seed": seed, "fold": 0, "quick": False, "protocol": "artist", "leaky": False, "adapted": [],
        "data": {"name": data, "sha256": {"features.npy": data}, "classes": list(GENRES)}, "status": "finished",
        "split": {"name": split, "hash": hashlib.sha256(split.encode()).hexdigest(), "sizes": {part: n}},
    }  # fmt: skip
    runs.write_json(folder / "run.json", about)
    return folder


def columns(n: int, *, artists: int = 6) -> dict[str, list[str]]:
    """`n` tracks of three genres, four artists in six for training, one each for validation and test."""
    genre = [GENRES[i % 3] for i in range(n)]
    parts = {artists - 2: "valid", artists - 1: "test"}
    return {
        "id": [f"t{i:03}" for i in range(n)],
        "genre": genre,
        "artist": [f"{genre[i]}-{(i // 3) % artists}" for i in range(n)],
        "split": [parts.get((i // 3) % artists, "train") for i in range(n)],
    }


def table_pack(folder: Path, *, n: int = 72, noise: float = 0.5, seed: int = 0, broken: str = "") -> Pack:
    """57 statistics of which the first three tell the genre; those of the part `broken` are not numbers."""
    from tonearm import features

    draw = np.random.default_rng(seed)
    values = draw.normal(size=(n, 57)).astype(np.float32)
    for i in range(n):
        values[i, i % 3] += 3 / noise
    told = columns(n)
    names = features.create("statistics", table="gtzan").columns()
    feature = {"kind": "table", "columns": names}
    pack = write_pack(folder, values, told, feature=feature, further={"columns": names})
    if broken:
        stored = np.load(folder / "features.npy", mmap_mode="r+")
        stored[np.array(told["split"]) == broken] = np.nan
        stored.flush()
    return pack


def mel_pack(folder: Path, *, n: int = 54, bands: int = 32, frames: int = 40, seed: int = 0) -> Pack:
    """Log-mel in bytes with the lowest, middle or highest third a little louder, 30 s as `frames` frames."""
    draw = np.random.default_rng(seed)
    values = draw.integers(0, 160, size=(n, bands, frames))
    third = bands // 3
    for i in range(n):
        values[i, (i % 3) * third : (i % 3 + 1) * third] += 25
    feature = {"kind": "logmel", "sample_rate": 22050, "n_mels": bands, "frames": frames, "clip_seconds": 30.0}
    scale = {"kind": "range", "low": -80.0, "high": 0.0}
    return write_pack(
        folder, values.astype(np.uint8), columns(n), feature=feature, axes=["track", "band", "frame"], scale=scale
    )


def small_net(**settings):
    """A net that learns in a second."""
    small = {
        "model.filters": [4, 8], "model.pools": [4, 4], "model.hidden": [8], "clip.frames": 20, "training.epochs": 3,
        "training.batch_size": 8, "training.precision": "float32", "training.learning_rate": 0.01,
    }  # fmt: skip
    return recipes.changed(recipes.get("njupt-cnn2d"), {**small, **settings})
