"""Files of a library as plain data: what a query finds, in the shape of `tonearm predict --json` and more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from tonearm.errors import UsageError, unknown_name
from tonearm.library import language
from tonearm.library.errors import translated
from tonearm.library.listing import batches
from tonearm.library.store import Library
from tonearm.library.store import text as as_text

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


# By name, and for many rows at once: what costs time is to touch each row by itself.
Table = dict[str, Sequence[Any]]
BATCH = 250  # few enough to stay in the cache of the processor
# Names of files need not be UTF-8.
_SQL = {
    "id": "f.id", "path": "CAST(f.path AS BLOB)", "title": "f.title", "artist": "f.artist", "album": "f.album",
    "year": "f.year", "tagged": "f.genres", "size": "f.size", "missing_at": "f.missing_at",
    "error_code": "f.error_code", "error_message": "f.error_message", "seconds": "c.seconds", "sure": "p.sure",
    "genre": "p.genre", "probability": "p.probability", "genres": "p.genres", "warnings": "p.warnings",
}  # fmt: skip


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
    for table in tables(library, text, model, order=order, limit=limit):
        yield from rows_of(table)


def tables(
    library: Library, text: str | Iterable[str], model: ModelRow, *, order: str = "path", limit: int | None = None,
    columns: Sequence[str] = Row._fields, size: int = BATCH,
) -> Iterator[Table]:  # fmt: skip
    """The same for those who want some columns of very many rows: tables of `size` rows."""
    where, values = _where(library, text, model)
    # With + SQLite sorts what it found, which for many rows is faster than to go through them by an index.
    sql = f"SELECT {', '.join(map(_SQL.get, columns))} FROM {FROM} WHERE {where} ORDER BY +{_order(order)}"
    if limit is not None:
        sql += f" LIMIT {int(limit)}"
    for batch in library.batches(sql, values, size):
        yield _table(columns, batch)


def _table(columns: Sequence[str], batch: list[tuple]) -> Table:
    table: Table = dict(zip(columns, zip(*batch, strict=True), strict=True))
    if "path" in table:
        table["path"] = _texts(table["path"])
    return table


def _texts(names: Sequence[bytes]) -> list[str]:
    """Paths as text: all in one, since no path holds a zero byte (a library that somebody else wrote to may)."""
    texts = as_text(b"\0".join(names)).split("\0")
    return texts if len(texts) == len(names) else list(map(as_text, names))


def rows_of(table: Table) -> Iterator[Row]:
    """The rows of a table that has all columns."""
    return map(Row._make, zip(*map(table.get, Row._fields), strict=True))


def page(
    library: Library, text: str | Iterable[str], model: ModelRow, *, order: str = "path", limit: int
) -> tuple[int, Table]:
    """How many files fit, and the first of them: the condition is worked out once."""
    where, values = _where(library, text, model)
    found = library.read(f"SELECT f.id FROM {FROM} WHERE {where} ORDER BY +{_order(order)}", values)
    ids = [id_ for (id_,) in found[:limit]]
    first = {row.id: row for row in by_id(library, model, ids)}
    columns = zip(*(first[id_] for id_ in ids), strict=True) if ids else [()] * len(Row._fields)
    return len(found), dict(zip(Row._fields, columns, strict=True))


def _order(order: str) -> str:
    if order not in ORDERS:
        raise unknown_name("order", order, ORDERS)
    return ORDERS[order]


def _where(library: Library, text: str | Iterable[str], model: ModelRow) -> tuple[str, list[Any]]:
    """Condition on FROM for a query, and the values of both."""
    terms = language.parse(text)
    with translated(library.path):
        language.prepare(library, terms, model.genres)
    where, values = language.condition(library, terms, model.genres)
    return where, [model.id, *values]  # the model stands in FROM, in front of the condition


def by_id(library: Library, model: ModelRow, ids: list[int]) -> list[Row]:
    """The rows of some files, in no order."""
    found = []
    for some in batches(ids, 500):
        sql = f"SELECT {', '.join(_SQL.values())} FROM {FROM} WHERE f.id IN ({','.join('?' * len(some))})"
        for batch in library.batches(sql, [model.id, *some], BATCH):
            found += rows_of(_table(Row._fields, batch))
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


# What `json_text` reads of a table.
JSON_COLUMNS = tuple(name for name in Row._fields if name not in ("genre", "probability"))


def json_text(table: Table, model: ModelRow, between: str = "\n") -> str:
    """`json.dumps(to_dict(row))` of each row, ten times as fast: what is stored as JSON is not taken apart for it.

    ASCII only: names that are not UTF-8 come through as escapes and can be read back to the same bytes.
    """
    said = f'"model": {_quoted(model.name)}, "version": {_quoted(model.version)}'
    unsaid = ', "model": null, "version": null, "sure": false, "genres": '
    sure, unsure = (f', {said}, "sure": {word}, "genres": ' for word in ("true", "false"))
    tagged = {text: ", ".join(map(_quoted, text.split("\n"))) if text else "" for text in set(table["tagged"])}
    text = interleaved(
        '{"id": ', map(str, table["id"]),
        ', "path": ', map(encode_basestring_ascii, table["path"]),
        "", [unsaid if genres is None else sure if yes else unsure
             for genres, yes in zip(table["genres"], table["sure"], strict=True)],
        "", [genres or "[]" for genres in table["genres"]],
        ', "seconds": ', ["null" if seconds is None else repr(round(seconds, 3)) for seconds in table["seconds"]],
        ', "error": ', _errors(table),
        ', "warnings": ', [warnings or "[]" for warnings in table["warnings"]],
        ', "title": ', map(_quoted, table["title"]),
        ', "artist": ', each(table["artist"], _quoted),
        ', "album": ', each(table["album"], _quoted),
        ', "year": ', ["null" if year is None else str(year) for year in table["year"]],
        ', "tagged": [', map(tagged.get, table["tagged"]),
        '], "size": ', ["null" if size is None else str(size) for size in table["size"]],
        "", [', "missing": false}' if at is None else ', "missing": true}' for at in table["missing_at"]],
        between, [""] * len(table["id"]),
    )  # fmt: skip
    return text.removesuffix(between)


def _errors(table: Table) -> list[str]:
    return [
        "null" if code is None else f'{{"code": {_quoted(code)}, "message": {_quoted(message)}}}'
        for code, message in zip(table["error_code"], table["error_message"], strict=True)
    ]


def interleaved(*parts: str | Iterable[str]) -> str:
    """Rows of text from a word, a column, a word, a column …: a fifth of the time of formatting row by row."""
    columns = list(map(list, parts[1::2]))
    pieces = [piece for word in parts[::2] for piece in (word, "")] * len(columns[0])
    for place, column in enumerate(columns):
        pieces[2 * place + 1 :: len(parts)] = column
    return "".join(pieces)


def each(values: Sequence[Any], function: Callable[[Any], Any]) -> list[Any]:
    """A function of values of which many are equal, as in what is sorted by them."""
    return list(map({value: function(value) for value in set(values)}.get, values))


def _quoted(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)
