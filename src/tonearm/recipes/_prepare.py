"""Material cut as a recipe and its protocol want it: segments as rows, tables instead of frames, quick versions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tonearm.recipes._fits import clip_frames
from tonearm.recipes._load import _merged
from tonearm.recipes._material import Material, rows_of
from tonearm.recipes._schema import Recipe, from_config
from tonearm.recipes._vectors import chosen, vectors

LEAST_LOG = 1e-10


def quicker(recipe: Recipe) -> Recipe:
    """The same system, only tried: one epoch, no overlap, and what the recipe itself says under `quick`."""
    config = recipe.config()
    # Tiny layers in bf16 are several times slower than in float32.
    config["training"] = {**config["training"], "epochs": 1, "precision": "float32"}
    config["clip"] = {**config["clip"], "overlap": 0.0}
    return from_config(_merged(config, config["quick"]))


def is_classical(kind: str) -> bool:
    from tonearm import models

    return kind in models.registry


def starts_of(length: int, frames: int, overlap: float) -> np.ndarray:
    """First frames of the clips that cover a row of `length` frames: as training.Clips.fixed, without torch."""
    room = length - frames
    count = 1 + int(np.ceil(room / (frames * (1 - overlap)))) if room else 1
    return np.unique(np.linspace(0, room, count).round().astype(int))


def frames_for(recipe: Recipe, material: Material) -> tuple[int, Material]:
    """Frames of a clip; where a row has fewer it is the whole row, and the material says so."""
    if material.values.ndim == 2:
        return 1, material
    there = material.values.shape[2]
    wanted = clip_frames(recipe, material.frame_rate)
    if wanted is None or wanted == there:
        return there, material
    if wanted > there:
        return there, material.noted(f"clips of {there} frames instead of {wanted}")
    if recipe.clip.frames and material.adapted and material.frame_rate:
        return wanted, material.noted(f"clips of {wanted} frames, here {wanted / material.frame_rate:.1f} s")
    return wanted, material


def segmented(recipe: Recipe, material: Material) -> Material:
    """Every clip of every track as a row of its own, for protocols that deal segments."""
    if material.table.has_segments:
        return material
    if material.values.ndim == 2:
        return material  # the protocol itself says that there are no segments
    frames, material = frames_for(recipe, material)
    starts = starts_of(material.values.shape[2], frames, recipe.clip.overlap)
    cut = np.empty((len(material.rows) * len(starts), material.values.shape[1], frames), material.values.dtype)
    for i, row in enumerate(material.rows):
        whole = material.values[row]
        for k, start in enumerate(starts):
            cut[i * len(starts) + k] = whole[:, start : start + frames]
    tracks = material.tracks
    table = replace(
        material.table,
        row_ids=np.array([f"{name}#{k}" for name in tracks.tolist() for k in range(len(starts))]),
        row_track=np.repeat(material.table.row_track, len(starts)),
    )
    return replace(material, table=table, values=cut, rows=np.arange(len(cut)))


def tabulated(recipe: Recipe, material: Material) -> Material:
    """Whole rows as vectors, with the columns and logarithms of the recipe: for nets that learn from a table."""
    pool = material.pool or recipe.vector.pool
    wanted = recipe.vector.columns or recipe.vector.log
    if material.values.ndim == 3 and not pool:
        return material
    if material.values.ndim == 2 and not wanted:
        return material
    positions = np.arange(len(material.rows))
    length = material.values.shape[2] if material.values.ndim == 3 else 1
    values, names = vectors(material, positions, np.zeros_like(positions), length, pool)
    values, names = narrowed(recipe, values, names)
    for column in chosen(names, recipe.vector.log) if recipe.vector.log else ():
        values[:, column] = np.log(np.maximum(values[:, column], LEAST_LOG))
    return replace(
        material, values=values, rows=positions, columns=tuple(names), pool="none",
        stored={"dtype": "float32", "scale": None},
    )  # fmt: skip


def narrowed(recipe: Recipe, values: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str]]:
    """Only the columns that the recipe names; all where it names none, or where none of these is called so."""
    keep = chosen(names, recipe.vector.columns)
    if not len(keep):
        return values, names
    return values[:, keep], [names[i] for i in keep]


def only_rows(material: Material, rows: np.ndarray) -> Material:
    """Some rows of the table."""
    return replace(material, table=rows_of(material.table, rows), rows=material.rows[rows])
