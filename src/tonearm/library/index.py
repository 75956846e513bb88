"""An index of vectors for libraries of more than a hundred thousand songs: nearly as good as comparing all, and fast.

usearch (Malkov and Yashunin 2018, Hierarchical Navigable Small World graphs) comes with the extra `library`. The index
is a thing that can be made again: it lies in tonearm's cache and is brought up to date when it is asked.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import TonearmError
from tonearm.library import vectors
from tonearm.library.rows import ModelRow
from tonearm.library.store import Library
from tonearm.paths import cache_folder


def _usearch() -> Any:
    try:
        from usearch.index import Index
    except ImportError:
        raise TonearmError(
            "finding what is similar among more than 100,000 songs takes an index, and its package is missing",
            hint='pip install "tonearm[library]", or --exact, which takes some seconds and as much memory',
            code="needs-extra",
        ) from None
    return Index


def _place(library: Library, model: ModelRow) -> Path:
    name = hashlib.sha256(f"{library.path}\n{model.name}\n{model.version}".encode("utf-8", "replace")).hexdigest()[:20]
    return cache_folder() / "similar" / f"{name}.usearch"


def nearest(library: Library, model: ModelRow, vector: np.ndarray, count: int) -> list[tuple[int, float]]:
    """Numbers of the nearest sounds and their cosine, nearest first."""
    index = _up_to_date(library, model, len(vector))
    found = index.search(np.asarray(vector, np.float32), count)
    keys, distances = np.asarray(found.keys).ravel(), np.asarray(found.distances).ravel()
    return [(int(key), 1.0 - float(distance)) for key, distance in zip(keys, distances, strict=True)]


def _up_to_date(library: Library, model: ModelRow, width: int) -> Any:
    make = _usearch()
    path = _place(library, model)
    index = make(ndim=width, metric="cos", dtype="f16")
    try:
        if path.exists():
            index.load(str(path))
    except (RuntimeError, ValueError, OSError):
        index = make(ndim=width, metric="cos", dtype="f16")  # cut off or of another version: made again
    there = np.sort(np.asarray(index.keys, np.int64)) if len(index) else np.empty(0, np.int64)
    ids = library.read("SELECT content_id FROM vectors WHERE model_id = ? AND kind = 'embedding'", (model.id,))
    wanted = np.array(ids, np.int64).ravel()
    gone = np.setdiff1d(there, wanted)
    if len(there) == len(wanted) and not len(gone):
        return index
    if len(gone) > len(there) // 4:
        index, there = make(ndim=width, metric="cos", dtype="f16"), np.empty(0, np.int64)
    elif len(gone):
        index.remove(gone)
    contents, values = vectors.matrix(library, model)
    fresh = ~np.isin(contents, there)
    if fresh.any():
        index.add(contents[fresh], values[fresh].astype(np.float32))
    _save(index, path)
    return index


def _save(index: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        index.save(str(temp))
        os.replace(temp, path)
    except (OSError, RuntimeError):
        temp.unlink(missing_ok=True)  # it is only a cache: it answers all the same
