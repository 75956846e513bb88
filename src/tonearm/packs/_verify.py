"""Does a pack hold together? Everything that is wrong with it, in one list."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tonearm.packs._write import read_blocks
from tonearm.packs.pack import DTYPES, FORMAT, PackError, blocks, open_array, read_json, read_table

COLUMNS = ("id", "genre", "split", "artist")
KEYS = ("name", "feature", "axes", "array", "tracks", "classes", "sha256")


class Finding(NamedTuple):
    """One thing that is wrong: `code` is for programs and stable, `message` for people."""

    code: str
    message: str


def verify(folder: str | Path) -> list[Finding]:
    """Look at everything a pack promises and return what does not hold; never stops at the first.

    Reads every byte of the array once, in blocks. Codes: missing-file, unreadable-json, format, missing-key,
    unreadable-array, pickled-array, truncated-array, dtype, shape, scale, not-finite, unreadable-tracks, ragged-row,
    missing-column, columns, duplicate-id, empty-id, unknown-class, row-count, hash.
    """
    folder = Path(folder)
    found: list[Finding] = []

    def tell(code: str, message: str) -> None:
        found.append(Finding(code, message))

    if not folder.is_dir():
        tell("missing-file", f"{folder}: no such folder")
        return found
    meta = _check_meta(folder, tell)
    n_array = _check_array(folder / "features.npy", meta, tell)
    n_tracks = _check_tracks(folder / "tracks.csv", meta, tell)
    if n_array is not None and n_tracks is not None and n_array != n_tracks:
        tell("row-count", f"features.npy has {n_array} rows, tracks.csv {n_tracks}")
    return found


Tell = Callable[[str, str], None]


def _check_meta(folder: Path, tell: Tell) -> dict[str, Any]:
    try:
        meta = read_json(folder / "pack.json")
    except PackError as error:
        tell(error.code, error.message)
        return {}
    if not isinstance(meta, dict):
        tell("unreadable-json", f"pack.json holds a {type(meta).__name__}, not an object")
        return {}
    if meta.get("format") != FORMAT:
        tell("format", f"pack.json says format {meta.get('format')!r}, not {FORMAT!r}")
    for key in KEYS:
        if key not in meta:
            tell("missing-key", f"pack.json lacks {key!r}")
    for key, kind in (("feature", dict), ("array", dict), ("tracks", dict), ("sha256", dict), ("classes", list)):
        if key in meta and not isinstance(meta[key], kind):
            tell("missing-key", f"pack.json: {key!r} is a {type(meta[key]).__name__}, not a {kind.__name__}")
            meta[key] = kind()
    if "feature" in meta and "kind" not in meta["feature"]:
        tell("missing-key", "pack.json: 'feature' lacks 'kind'")
    if doubled := _doubled(map(str, meta.get("classes", []))):
        tell("unknown-class", f"pack.json names classes twice: {_some(doubled)}")
    return meta


def _check_array(path: Path, meta: dict[str, Any], tell: Tell) -> int | None:
    _check_hash(path, meta, tell)
    try:
        array = open_array(path)
    except PackError as error:
        tell(error.code, error.message)
        return None
    said = meta.get("array", {})
    if array.dtype.name not in DTYPES:
        tell("dtype", f"features.npy is {array.dtype.name}; packs hold {', '.join(DTYPES)}")
    if "dtype" in said and said["dtype"] != array.dtype.name:
        tell("dtype", f"pack.json says {said['dtype']}, features.npy is {array.dtype.name}")
    if "shape" in said and said["shape"] != list(array.shape):
        tell("shape", f"pack.json says {json.dumps(said['shape'])}, features.npy is {list(array.shape)}")
    if array.ndim < 1:
        tell("shape", "features.npy has no axes: the track must come first")
        return None
    if isinstance(axes := meta.get("axes"), list) and len(axes) != array.ndim:
        tell("shape", f"pack.json names {len(axes)} axes, features.npy has {array.ndim}")
    if array.dtype == np.uint8 and not meta.get("scale"):
        tell("scale", "the array is uint8, but pack.json has no scale: its values mean nothing")
    if array.dtype.kind in "fc" and len(array):
        bad = _rows_not_finite(array)
        if bad:
            tell("not-finite", f"features.npy holds NaN or infinite values in {len(bad)} rows: {_some(bad)}")
    return len(array)


def _rows_not_finite(array: np.ndarray) -> list[int]:
    bad: list[int] = []
    for part in blocks(len(array), array.nbytes // len(array)):
        fine = np.isfinite(array[part]).reshape(part.stop - part.start, -1).all(axis=1)
        bad += (part.start + np.flatnonzero(~fine)).tolist()
    return bad


def _check_tracks(path: Path, meta: dict[str, Any], tell: Tell) -> int | None:
    _check_hash(path, meta, tell)
    try:
        header, rows = read_table(path)
    except PackError as error:
        tell(error.code, error.message)
        return None
    for name in COLUMNS:
        if name not in header:
            tell("missing-column", f"tracks.csv has no column {name!r}")
    said = meta.get("tracks", {})
    if "columns" in said and said["columns"] != header:
        tell("columns", f"pack.json says the columns are {said['columns']}, tracks.csv has {header}")
    if "rows" in said and said["rows"] != len(rows):
        tell("row-count", f"pack.json says {said['rows']} tracks, tracks.csv has {len(rows)}")
    if doubled := _doubled(header):
        tell("columns", f"tracks.csv has columns twice: {_some(doubled)}")
    ragged = [number for number, row in enumerate(rows, start=2) if len(row) != len(header)]
    if ragged:
        tell("ragged-row", f"tracks.csv: rows with another number of fields than the header: {_some(ragged)}")
    if "id" in header:
        ids = _values(header, rows, "id")
        if empty := sum(not i for i in ids):
            tell("empty-id", f"tracks.csv: {empty} rows without an id")
        if doubled := _doubled(i for i in ids if i):
            tell("duplicate-id", f"tracks.csv: ids that occur twice: {_some(doubled)}")
    if "genre" in header and "classes" in meta:
        # An empty genre is a track that nobody labelled, which is no fault.
        unknown = sorted(set(_values(header, rows, "genre")) - set(map(str, meta["classes"])) - {""})
        if unknown:
            tell("unknown-class", f"tracks.csv: genres that pack.json does not name: {_some(unknown)}")
    return len(rows)


def _check_hash(path: Path, meta: dict[str, Any], tell: Tell) -> None:
    said = meta.get("sha256", {})
    if path.name not in said:
        if "sha256" in meta:
            tell("missing-key", f"pack.json has no sha256 of {path.name}")
        return
    digest = hashlib.sha256()
    try:
        for block in read_blocks(path):
            digest.update(block)
    except OSError:
        return  # Told as a missing file by the one who opens it.
    if digest.hexdigest() != said[path.name]:
        tell("hash", f"{path.name} is not the file that pack.json was written for (sha256 differs)")


def _values(header: list[str], rows: list[list[str]], name: str) -> list[str]:
    at = header.index(name)
    return [row[at] if at < len(row) else "" for row in rows]


def _doubled(values: Any) -> list[str]:
    return [value for value, n in Counter(values).items() if n > 1]


def _some(values: list) -> str:
    return ", ".join(map(str, values[:5])) + (f" … ({len(values)} in all)" if len(values) > 5 else "")
