"""Files of a library as plain data: what a query finds, in the shape of `tonearm predict --json` and more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from tonearm.errors import UsageError, unknown_name
from tonearm.library import language
from tonearm.library.errors import translated
from tonearm.library.listing import batches
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
    "c.seconds, p.sure, p.genre, p.probability, p.genres, p.warnings"
)


class Row(NamedTuple):
    """A file as the library holds it; `tagged` a line per genre, `genres` and `warnings` as JSON."""

    id: int
    path: str
    title: str | None
    artist: str | None
    album: str | None
    year: int | None
    tagged: str
    size: int | None
    missing_at: int | None
    error_code: str | None
    error_message: str | None
    seconds: float | None
    sure: int | None
    genre: str | None
    probability: float | None
    genres: str | None
    warnings: str | None


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
    return (to_dict(row, chosen) for row in find(library, text, chosen, order=order, limit=limit))


def find(
    library: Library, text: str | Iterable[str], model: ModelRow, *, order: str = "path", limit: int | None = None
) -> Iterator[Row]:
    """The same as rows, for those who do not need all of each."""
    where, values = _where(library, text, model)
    # With + SQLite sorts what it found, which for many rows is faster than to go through them by an index.
    sql = f"SELECT {_COLUMNS} FROM {FROM} WHERE {where} ORDER BY +{_order(order)}"
    if limit is not None:
        sql += f" LIMIT {int(limit)}"
    return map(Row._make, library.stream(sql, values))


def page(
    library: Library, text: str | Iterable[str], model: ModelRow, *, order: str = "path", limit: int
) -> tuple[int, list[Row]]:
    """How many files fit, and the first of them: the condition is worked out once."""
    where, values = _where(library, text, model)
    found = library.read(f"SELECT f.id FROM {FROM} WHERE {where} ORDER BY +{_order(order)}", values)
    ids = [id_ for (id_,) in found[:limit]]
    first = {row.id: row for row in by_id(library, model, ids)}
    return len(found), [first[id_] for id_ in ids]


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


def by_id(library: Library, model: ModelRow, ids: list[int]) -> list[Row]:
    """The rows of some files, in no order."""
    found = []
    for some in batches(ids, 500):
        sql = f"SELECT {_COLUMNS} FROM {FROM} WHERE f.id IN ({','.join('?' * len(some))})"
        found += map(Row._make, library.read(sql, [model.id, *some]))
    return found


def count(library: Library, text: str | Iterable[str] = "", *, model: str | None = None) -> int:
    """How many files fit."""
    where, values = _where(library, text, model_of(library, model))
    return library.read(f"SELECT count(*) FROM {FROM} WHERE {where}", values)[0][0]


def to_dict(row: Row, model: ModelRow) -> dict[str, Any]:
    """A row as plain data."""
    heard = row.genres is not None
    return {
        "id": row.id,
        "path": row.path,
        "model": model.name if heard else None,
        "version": model.version if heard else None,
        "sure": bool(row.sure),
        "genres": json.loads(row.genres) if heard else [],
        "seconds": None if row.seconds is None else round(row.seconds, 3),
        "error": None if row.error_code is None else {"code": row.error_code, "message": row.error_message},
        "warnings": json.loads(row.warnings) if row.warnings else [],
        "title": row.title,
        "artist": row.artist,
        "album": row.album,
        "year": row.year,
        "tagged": row.tagged.split("\n") if row.tagged else [],
        "size": row.size,
        "missing": row.missing_at is not None,
    }


def to_json(row: Row, model: ModelRow) -> str:
    """`json.dumps(to_dict(row))`, four times as fast: what is stored as JSON is not taken apart for it.

    ASCII only: names that are not UTF-8 come through as escapes and can be read back to the same bytes.
    """
    heard = row.genres is not None
    name, version = (_quoted(model.name), _quoted(model.version)) if heard else ("null", "null")
    error = "null"
    if row.error_code is not None:
        error = f'{{"code": {_quoted(row.error_code)}, "message": {_quoted(row.error_message)}}}'
    tagged = ", ".join(map(_quoted, row.tagged.split("\n"))) if row.tagged else ""
    seconds = "null" if row.seconds is None else round(row.seconds, 3)
    return (
        f'{{"id": {row.id}, "path": {_quoted(row.path)}, "model": {name}, "version": {version}, '
        f'"sure": {"true" if row.sure else "false"}, "genres": {row.genres if heard else "[]"}, '
        f'"seconds": {seconds}, "error": {error}, "warnings": {row.warnings or "[]"}, '
        f'"title": {_quoted(row.title)}, "artist": {_quoted(row.artist)}, "album": {_quoted(row.album)}, '
        f'"year": {"null" if row.year is None else row.year}, "tagged": [{tagged}], '
        f'"size": {"null" if row.size is None else row.size}, '
        f'"missing": {"true" if row.missing_at is not None else "false"}}}'
    )


def _quoted(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)
