"""Songs as vectors: all of them as one array, and those that are nearest to one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import TonearmError, UsageError
from tonearm.library import rows
from tonearm.library.rows import ModelRow
from tonearm.library.store import Library

# Up to so many songs every one is compared, in a third of a second; beyond, an index is kept that finds most of them.
EXACT_SONGS = 100_000
BLOCK = 16384


def matrix(library: Library, model: ModelRow, kind: str = "embedding") -> tuple[np.ndarray, np.ndarray]:
    """Numbers of sounds (n,) and their vectors (n, d) float16, as they are stored."""
    stored = library.read(
        "SELECT content_id, vector FROM vectors WHERE model_id = ? AND kind = ? ORDER BY content_id", (model.id, kind)
    )
    if not stored:
        return np.empty(0, np.int64), np.empty((0, 0), np.float16)
    data = b"".join([vector for _, vector in stored])
    ids = np.fromiter((content for content, _ in stored), np.int64, len(stored))
    return ids, np.frombuffer(data, "<f2").reshape(len(stored), -1)


def of_files(library: Library, model: str | None = None, kind: str = "embedding") -> tuple[np.ndarray, np.ndarray]:
    """Numbers of files that are there (n,) and the vectors of their sounds (n, d) float16."""
    contents, vectors = matrix(library, rows.model_of(library, model), kind)
    pairs = library.read(
        "SELECT id, content_id FROM files WHERE content_id IS NOT NULL AND missing_at IS NULL ORDER BY id"
    )
    table = np.array(pairs, np.int64).reshape(-1, 2)
    places = np.searchsorted(contents, table[:, 1])
    have = places < len(contents)
    have[have] = contents[places[have]] == table[have, 1]
    return table[have, 0], vectors[places[have]]


def similar(
    library: Library,
    song: str | os.PathLike,
    *,
    model: str | None = None,
    count: int = 10,
    exact: bool | None = None,
) -> list[dict[str, Any]]:
    """The files that sound most like a song, likest first: rows of `query` with `similarity` (cosine, to 1).

    `song` is in the library, or any file: then it is heard now. Copies of one sound count once. `exact`: compare
    all, or ask the index; None: whichever fits the library's size.
    """
    chosen = rows.model_of(library, model)
    if chosen.id is None:
        raise UsageError("nothing is predicted in this library", hint="tonearm scan FOLDER hears what is in it")
    own, vector = _vector_of(library, song, chosen)
    total = library.read("SELECT count(*) FROM vectors WHERE model_id = ? AND kind = 'embedding'", (chosen.id,))[0][0]
    if exact is None:
        exact = total <= EXACT_SONGS
    # Some of the nearest may be missing by now.
    wanted = min(total, 2 * count + 20)
    if exact:
        nearest = _exact(*matrix(library, chosen), vector, wanted)
    else:
        from tonearm.library import index

        nearest = index.nearest(library, chosen, vector, wanted)
    found = []
    for content, similarity in nearest:
        row = None if content == own else _first_file(library, content)
        if row is not None:
            found.append((row, round(similarity, 4)))
    by_id = _rows(library, chosen, [id_ for id_, _ in found[:count]])
    return [{**by_id[id_], "similarity": similarity} for id_, similarity in found[:count]]


def _vector_of(library: Library, song: str | os.PathLike, model: ModelRow) -> tuple[int | None, np.ndarray]:
    from tonearm.library.store import raw

    path = os.path.abspath(os.path.expanduser(os.fspath(song)))
    row = library.one(
        "SELECT v.content_id, v.vector FROM files f JOIN vectors v ON v.content_id = f.content_id "
        "WHERE f.path = CAST(? AS TEXT) AND v.model_id = ? AND v.kind = 'embedding'",
        (raw(path), model.id),
    )
    if row is not None:
        return row[0], np.frombuffer(row[1], "<f2").astype(np.float32)
    from tonearm import runtime

    try:
        chosen = runtime.load(_file_of(model))
    except UsageError as error:
        hint = f"it is not in the library: scan its folder ({error.message})"
        raise UsageError(f"{path}: the model {model.name} is not here to hear it", hint=hint) from None
    if chosen.version != model.version:
        raise UsageError(
            f"{path}: not in the library, whose songs were heard by {model.name} {model.version}",
            hint=f"{chosen.version} is here now: tonearm scan brings the library up to it",
        )
    said = chosen.predict(path)
    if said.embedding is None:
        raise TonearmError(f"{path}: the model finds nothing in it to compare", code="no-embedding")
    return None, np.asarray(said.embedding, np.float32)


def _file_of(model: ModelRow) -> str | Path:
    return model.path if model.path and Path(model.path).exists() else model.name


def _exact(contents: np.ndarray, vectors: np.ndarray, vector: np.ndarray, count: int) -> list[tuple[int, float]]:
    """By comparing every one, in blocks: float32 of all at once would be twice the memory."""
    scores = np.empty(len(vectors), np.float32)
    own = vector / max(float(np.linalg.norm(vector)), 1e-12)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK].astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
        scores[start : start + BLOCK] = block @ own / np.maximum(lengths, 1e-12)
    best = np.argpartition(-scores, min(count, len(scores) - 1))[:count] if len(scores) else np.empty(0, int)
    best = best[np.argsort(-scores[best], kind="stable")]
    return [(int(contents[i]), float(scores[i])) for i in best]


def _first_file(library: Library, content: int) -> int | None:
    row = library.one(
        "SELECT id FROM files WHERE content_id = ? AND missing_at IS NULL ORDER BY path LIMIT 1", (content,)
    )
    return row and row[0]


def _rows(library: Library, model: ModelRow, ids: list[int]) -> dict[int, dict[str, Any]]:
    return {row.id: rows.to_dict(row, model) for row in rows.by_id(library, model, ids)}
