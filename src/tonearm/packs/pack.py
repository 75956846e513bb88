"""A dataset as features on disk: `pack.json`, `features.npy`, `tracks.csv` (format feature-pack/1)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import TonearmError

FORMAT = "feature-pack/1"
DTYPES = ("uint8", "float16", "float32")
FILES = ("features.npy", "tracks.csv", "pack.json")


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
        return list(self.meta.get("classes", []))

    @property
    def feature_config(self) -> dict[str, Any]:
        return dict(self.meta.get("feature", {}))

    @property
    def axes(self) -> list[str]:
        """Names of the axes, the track's included, as pack.json words them."""
        return list(self.meta.get("axes", []))

    @cached_property
    def features(self) -> np.ndarray:
        """The array as it is stored, shape (rows, ...); `decoded` gives it in the feature's own units."""
        return open_array(self.folder / "features.npy")

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        header, rows = read_table(self.folder / "tracks.csv")
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise PackError(
                    f"{self.folder / 'tracks.csv'}: row {number} has {len(row)} fields, the header {len(header)}",
                    hint=f"tonearm pack verify {self.folder}",
                    code="ragged-row",
                )
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

    @property
    def feature_columns(self) -> list[str] | None:
        """Names along the first axis after the track, where the feature gives names to them."""
        names = self.meta.get("columns") or self.feature_config.get("columns")
        return [str(name) for name in names] if isinstance(names, list) else None

    def decoded(self, rows: Any = slice(None)) -> np.ndarray:
        """Rows as float32 in the feature's own units, shape (rows chosen, ...); `rows` is what numpy takes as an index.

        Only the chosen rows are read. Where the scale of a uint8 pack is min-max per clip, the units are lost, and
        values go from 0 to 1.
        """
        stored = np.asarray(self.features[rows])
        if stored.dtype != np.uint8:
            return stored.astype(np.float32)
        from tonearm.features import restore

        return restore(stored, self.meta.get("scale"))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def open_pack(folder: str | Path) -> Pack:
    """Open a pack for reading. Cheap: arrays and tables are read at first use."""
    folder = Path(folder)
    path = folder / "pack.json"
    if not path.is_file():
        unfinished = "an unfinished build lies there: the same build command goes on with it. "
        raise PackError(
            f"{folder}: no pack here",
            hint=(unfinished if (folder / ".build").is_dir() else "")
            + "a pack is a folder with pack.json, features.npy, tracks.csv",
            code="missing-file",
        )
    meta = read_json(path)
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else type(meta).__name__
        raise PackError(f"{folder}: format is {found!r}, not {FORMAT!r}", code="format")
    return Pack(folder, meta)


def read_json(path: Path) -> Any:
    """The content of a JSON file, or the one error."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {error.strerror}", code="missing-file") from None
    except (ValueError, RecursionError) as error:
        raise PackError(f"{path}: not readable as JSON: {error}", code="unreadable-json") from None


def open_array(path: Path) -> np.ndarray:
    """A .npy file memory-mapped for reading. What would need pickle, or is shorter than it says, is refused."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(file)
            start = file.tell()
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {error.strerror}", code="missing-file") from None
    except (ValueError, EOFError) as error:
        # numpy's own words for a file that is no array speak of pickles, which would mislead.
        reason = "not a .npy file" if "magic" in str(error) else f"its header cannot be read: {error}"
        raise PackError(f"{path}: {reason}", code="unreadable-array") from None
    if dtype.hasobject:
        raise PackError(f"{path}: holds pickled Python objects, which are never loaded", code="pickled-array")
    needed, there = start + int(np.prod(shape, dtype=object)) * dtype.itemsize, path.stat().st_size
    if there < needed:
        raise PackError(f"{path}: {there:,} bytes, its header promises {needed:,}", code="truncated-array")
    if needed == start:
        return np.zeros(shape, dtype)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file, as text, without a judgement on the length of the rows."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            return next(reader, []), list(reader)
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {error.strerror}", code="missing-file") from None
    except (csv.Error, ValueError) as error:
        raise PackError(f"{path}: not readable as CSV in UTF-8: {error}", code="unreadable-tracks") from None


def blocks(n_rows: int, row_bytes: int, block_bytes: int = 16 << 20) -> Iterator[slice]:
    """Slices over the rows of an array that hold about `block_bytes` each: how every pass over a pack stays small."""
    step = max(1, block_bytes // max(1, row_bytes))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
