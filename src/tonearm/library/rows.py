"""Files of a library as plain data: what a query finds, in the shape of `tonearm predict --json` and more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tonearm.errors import UsageError, unknown_name
from tonearm.library import language
from tonearm.library.errors import translated
from tonearm.library.store import Library

ORDERS = {
    "path": "f.path",
    "artist": "f.artist IS NULL, f.artist, f.year, f.album, f.path",
    "confidence": "p.probability IS NULL, p.probability DESC, f.path",
    "genre": "p.genre IS NULL, p.genre, p.probability DESC, f.path",
    "year": "f.year IS NULL, f.year, f.path",
    "added": "f.added_at DESC, f.id DESC",
}
FROM = (
    "files f LEFT JOIN contents c ON c.id = f.content_id "
    "LEFT JOIN predictions p ON p.content_id = f.content_id AND p.model_id = ?"
)
_COLUMNS = (
    "f.id, f.path, f.title, f.artist, f.album, f.year, f.genres, f.size, f.missing_at, f.error_code, f.error_message, "
    "c.seconds, p.sure, p.genres, p.warnings"
)


class ModelRow(NamedTuple):
    """A model whose predictions the library holds; `id` is None where nothing is predicted."""

    id: int | None
    name: str = ""
    version: str = ""
    genres: tuple[str, ...] = ()
    path: str = ""


def models_of(library: Library) -> list[ModelRow]:
    """All models that were asked, the last one first."""
    rows = library.read("SELECT id, name, version, genres, path FROM models ORDER BY used_at DESC, id DESC")
    return [
        ModelRow(id_, name, version, tuple(genres.split("\n")), path or "") for id_, name, version, genres, path in rows
    ]


def model_of(library: Library, name: str | None = None) -> ModelRow:
    """The model by its name, or name and version ("fma 0123456789ab"); without one, that of the last scan."""
    models = models_of(library)
    if name is None:
        return models[0] if models else ModelRow(None)
    wanted = name.replace("@", " ")
    for model in models:
        if wanted in (model.name, f"{model.name} {model.version}", model.version):
            return model
    there = ", ".join(f"{model.name} {model.version}" for model in models) or "none yet"
    raise UsageError(f"nothing here is predicted by {name!r}", hint=f"models in this library: {there}")


def query(
    library: Library,
    text: str | Iterable[str] = "",
    *,
    model: str | None = None,
    order: str = "path",
    limit: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The files that fit all words of a query (see `language`), each a dict as `tonearm library list --json` has it.

    The keys `path`, `model`, `sure`, `genres`, `seconds` and `error` are those of `tonearm predict --json`, so that
    rows can be planned for with `tonearm.tags.plan`.
    """
    chosen = model_of(library, model)
    where, values = _where(library, text, chosen)
    sql = f"SELECT {_COLUMNS} FROM {FROM} WHERE {where} ORDER BY {_order(order)}"
    if limit is not None:
        sql += f" LIMIT {int(limit)}"
    return (_row(row, chosen) for row in library.stream(sql, values))


def _order(order: str) -> str:
    if order not in ORDERS:
        raise unknown_name("order", order, ORDERS)
    return ORDERS[order]


def _where(library: Library, text: str | Iterable[str], model: ModelRow) -> tuple[str, list[Any]]:
    """Condition on FROM for a query, and the values of both."""
    terms = language.parse(text)
    with translated(library.path):
        language.prepare(library, model.genres)
    where, values = language.condition(library, terms, model.genres)
    return where, [model.id, *values]  # the model stands in FROM, in front of the condition


def by_id(library: Library, model: ModelRow, ids: list[int]) -> list[dict[str, Any]]:
    """The rows of some files, in no order."""
    sql = f"SELECT {_COLUMNS} FROM {FROM} WHERE f.id IN ({','.join('?' * len(ids))})"
    return [_row(row, model) for row in library.read(sql, [model.id, *ids])]


def count(library: Library, text: str | Iterable[str] = "", *, model: str | None = None) -> int:
    """How many files fit."""
    where, values = _where(library, text, model_of(library, model))
    return library.read(f"SELECT count(*) FROM {FROM} WHERE {where}", values)[0][0]


def _row(values: tuple, model: ModelRow) -> dict[str, Any]:
    id_, path, title, artist, album, year, tagged, size, missing, code, message, seconds, sure, genres, warnings = (
        values
    )
    heard = genres is not None
    return {
        "id": id_,
        "path": path,
        "model": model.name if heard else None,
        "version": model.version if heard else None,
        "sure": bool(sure),
        "genres": [{"genre": name, "probability": share} for name, share in json.loads(genres)] if heard else [],
        "seconds": None if seconds is None else round(seconds, 3),
        "error": None if code is None else {"code": code, "message": message},
        "warnings": json.loads(warnings) if warnings else [],
        "title": title,
        "artist": artist,
        "album": album,
        "year": year,
        "tagged": tagged.split("\n") if tagged else [],
        "size": size,
        "missing": missing is not None,
    }
