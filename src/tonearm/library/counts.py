"""A library in numbers."""

from __future__ import annotations

import os
from typing import Any

from tonearm.library import language, rows
from tonearm.library.errors import translated
from tonearm.library.store import Library

TAGS_SHOWN = 50


def stats(library: Library, *, model: str | None = None) -> dict[str, Any]:
    """How much there is, of which genres by model and by tags, and how far the two agree; what failed, what is gone."""
    chosen = rows.model_of(library, model)
    files, missing, failed, pending, size, untagged = library.read(
        "SELECT count(*), count(missing_at), count(error_code), "
        "total(pending AND missing_at IS NULL AND error_code IS NULL), total(size), "
        "total(genres = '' AND missing_at IS NULL) FROM files"
    )[0]
    (seconds,) = library.read(
        "SELECT total(c.seconds) FROM files f JOIN contents c ON c.id = f.content_id WHERE f.missing_at IS NULL"
    )[0]
    genres = library.read(
        "SELECT p.genre, count(*), total(p.sure) FROM files f JOIN predictions p ON p.content_id = f.content_id "
        "WHERE p.model_id = ? AND f.missing_at IS NULL GROUP BY p.genre ORDER BY 2 DESC",
        (chosen.id,),
    )
    return {
        "library": str(library.path),
        "bytes": os.path.getsize(library.path),
        "files": files - missing,
        "missing": missing,
        "failed": failed,
        "pending": int(pending),
        "size": int(size),
        "seconds": round(seconds, 1),
        "model": f"{chosen.name} {chosen.version}" if chosen.id is not None else None,
        "predicted": sum(n for _, n, _ in genres),
        "sure": int(sum(sure for _, _, sure in genres)),
        "genres": {genre: {"files": n, "sure": int(sure)} for genre, n, sure in genres if genre is not None},
        "no_music": sum(n for genre, n, _ in genres if genre is None),
        "untagged": int(untagged),
        "tags": dict(library.read(
            "SELECT g.folded, count(*) FROM file_genres g JOIN files f ON f.id = g.file_id "
            f"WHERE f.missing_at IS NULL GROUP BY g.folded ORDER BY 2 DESC, 1 LIMIT {TAGS_SHOWN}"
        )),
        **_agreement(library, chosen),
        "errors": dict(library.read(
            "SELECT error_code, count(*) FROM files WHERE error_code IS NOT NULL AND missing_at IS NULL "
            "GROUP BY error_code ORDER BY 2 DESC"
        )),
        "models": [
            {"name": each.name, "version": each.version, "predicted": n}
            for each in rows.models_of(library)
            for (n,) in library.read("SELECT count(*) FROM predictions WHERE model_id = ?", (each.id,))
        ],
        "roots": [path for (path,) in library.read("SELECT path FROM roots ORDER BY path")],
    }  # fmt: skip


def _agreement(library: Library, model: rows.ModelRow) -> dict[str, int]:
    with translated(library.path):
        language.make_spoken(library, model.genres)
    sql = f"SELECT ({language.AGREEMENT}) AS agreed FROM {rows.FROM} WHERE p.sure = 1 AND f.genres <> ''"
    counts = dict(
        library.read(f"SELECT agreed, count(*) FROM ({sql} AND f.missing_at IS NULL) GROUP BY agreed", (model.id,))
    )
    return {"agree": counts.get(1, 0), "disagree": counts.get(0, 0)}
