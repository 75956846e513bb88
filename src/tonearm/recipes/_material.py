"""What a recipe learns from: rows of numbers with their tracks, from a pack or made from audio."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import features
from tonearm.errors import TonearmError
from tonearm.packs import Pack, open_pack
from tonearm.protocols import TrackTable, table_of
from tonearm.recipes._schema import Recipe


@dataclass(frozen=True)
class Material:
    """Rows of `values` with their tracks.

    `values` is (any rows, rows of a feature, frames) or (any rows, columns); `rows` says which row of it belongs to
    each row of `table`. `adapted` says in sentences what is not as the recipe wants it; `pool` replaces the recipe's.
    """

    name: str
    table: TrackTable
    values: np.ndarray
    rows: np.ndarray
    classes: tuple[str, ...]
    feature: Mapping[str, Any]
    stored: Mapping[str, Any]
    frame_rate: float | None = None
    columns: tuple[str, ...] | None = None
    pool: str | None = None
    adapted: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    @property
    def labels(self) -> np.ndarray:
        """Class indices per row, int64."""
        place = {name: i for i, name in enumerate(self.classes)}
        of_track = np.array([place[name] for name in self.table.genre.tolist()], dtype=np.int64)
        return of_track[self.table.row_track]

    @property
    def tracks(self) -> np.ndarray:
        """The id of each row's track."""
        return self.table.ids[self.table.row_track]

    def noted(self, *sentences: str) -> Material:
        return replace(self, adapted=(*self.adapted, *(s for s in sentences if s and s not in self.adapted)))


def open_material(
    recipe: Recipe, data: str | os.PathLike, *, adapt: bool = False, quiet: bool = False, workers: int | None = None,
    only: Collection[str] | None = None,
) -> Material:  # fmt: skip
    """What `recipe` learns from in `data`: a pack, or a dataset of audio of which its feature is computed first.

    What does not fit is an error that names every difference, or, with `adapt`, the nearest that can be had. Of `only`
    some tracks, by id, the rows of the others are not read at all.
    """
    from tonearm.recipes._audio import pack_of_audio
    from tonearm.recipes._fits import fitted

    folder = Path(os.path.expanduser(os.fspath(data)))
    if (folder / "pack.json").is_file():
        return fitted(recipe, _some(from_pack(open_pack(folder)), only), adapt=adapt)
    pack, short, note = pack_of_audio(recipe, os.fspath(data), adapt=adapt, quiet=quiet, workers=workers)
    material = replace(_some(from_pack(pack), only), source=os.fspath(data)).noted(short, note)
    return fitted(recipe, material, adapt=adapt or bool(note))


def from_pack(pack: Pack) -> Material:
    """The labelled rows of a pack."""
    table = table_of(pack)
    labelled = np.flatnonzero(table.genre[table.row_track] != "")
    if not len(labelled):
        raise TonearmError(f"{pack.folder}: no track has a genre", hint="there is nothing to learn", code="no-labels")
    genres = set(table.genre.tolist()) - {""}
    classes = [name for name in pack.classes if name in genres]
    classes += sorted(genres - set(classes))
    if len(classes) < 2:
        raise TonearmError(f"{pack.folder}: all tracks are of one genre ({classes[0]})", code="one-class")
    if pack.features.ndim not in (2, 3):
        raise TonearmError(f"{pack.folder}: an array of {pack.features.ndim} axes is not known to any recipe")
    return Material(
        name=pack.name,
        table=rows_of(table, labelled),
        values=pack.features,
        rows=labelled,
        classes=tuple(classes),
        feature=pack.feature_config,
        stored={"dtype": str(pack.features.dtype), "scale": pack.meta.get("scale")},
        frame_rate=_frame_rate(pack),
        columns=tuple(pack.feature_columns) if pack.feature_columns else None,
        hashes=dict(pack.meta.get("sha256", {})),
        source=os.path.abspath(pack.folder),
    )


def _some(material: Material, only: Collection[str] | None) -> Material:
    if only is None:
        return material
    rows = np.flatnonzero(np.isin(material.tracks, list(only)))
    return replace(material, table=rows_of(material.table, rows), rows=material.rows[rows])


def rows_of(table: TrackTable, rows: np.ndarray) -> TrackTable:
    """Some rows of a table, with just their tracks."""
    tracks, row_track = np.unique(table.row_track[rows], return_inverse=True)
    return replace(
        table,
        ids=table.ids[tracks],
        genre=table.genre[tracks],
        split=table.split[tracks],
        artist=table.artist[tracks],
        recording=table.recording[tracks],
        row_ids=table.row_ids[rows],
        row_track=row_track,
        extra={name: values[tracks] for name, values in table.extra.items()},
    )


def _frame_rate(pack: Pack) -> float | None:
    """Frames a second along the last axis; None where there are none."""
    feature = pack.feature_config
    if pack.features.ndim != 3:
        return None
    seconds = feature.get("clip_seconds") or (pack.meta.get("clip") or {}).get("clip_seconds")
    if seconds:
        return pack.features.shape[2] / float(seconds)
    try:
        return float(feature["sample_rate"]) / float(feature.get("hop_length") or 512)
    except (KeyError, TypeError, ValueError):
        return None


def decoded(material: Material, rows: np.ndarray) -> np.ndarray:
    """Rows of the values as float32; dB where the pack has them in bytes (from -80 to 0 where the range is lost)."""
    block = np.asarray(material.values[rows])
    if block.dtype != np.uint8:
        return block.astype(np.float32)
    values = features.restore(block, material.stored["scale"])
    if "min-max" in str(material.stored["scale"]):
        values = (values - 1.0) * np.float32(80.0)
    return values
