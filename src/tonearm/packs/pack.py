"""A dataset as features on disk: `pack.json`, `features.npy`, `tracks.csv` (format feature-pack/1)."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import TonearmError

FORMAT = "feature-pack/1"


class PackError(TonearmError):
    """A folder that is not a pack, or a pack that does not hold together."""

    code = "pack"


@dataclass(frozen=True)
class Pack:
    """An open pack. `meta` is pack.json as it stands; the array is memory-mapped and never written through.

    `features` has the track first: shape (rows, ...). `columns` maps each column of tracks.csv to an array of str,
    in row order; a column that is missing reads as empty text (`column`).
    """

    folder: Path
    meta: dict[str, Any]

    @property
    def name(self) -> str:
        return self.meta.get("name", self.folder.name)

    @property
    def classes(self) -> list[str]:
        return list(self.meta["classes"])

    @property
    def feature_config(self) -> dict[str, Any]:
        return dict(self.meta["feature"])

    @cached_property
    def features(self) -> np.ndarray:
        return np.load(self.folder / "features.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        with open(self.folder / "tracks.csv", encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            rows = list(reader)
        return {name: np.array([row[i] for row in rows], dtype=np.str_) for i, name in enumerate(header)}

    def column(self, name: str) -> np.ndarray:
        """One column as text, empty where the pack has none of that name."""
        return self.columns[name] if name in self.columns else np.full(len(self), "", dtype=np.str_)

    @property
    def ids(self) -> np.ndarray:
        return self.column("id")

    @property
    def tracks(self) -> np.ndarray:
        """The track of each row: the `track` column where rows are segments, else the row's own id."""
        return self.column("track") if "track" in self.columns else self.ids

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def open_pack(folder: str | Path) -> Pack:
    """Open a pack for reading. Cheap: arrays and tables are read at first use."""
    folder = Path(folder)
    path = folder / "pack.json"
    if not path.is_file():
        raise PackError(f"{folder}: no pack here", hint="a pack is a folder with pack.json, features.npy, tracks.csv")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise PackError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else type(meta).__name__
        raise PackError(f"{folder}: format is {found!r}, not {FORMAT!r}")
    return Pack(folder, meta)
