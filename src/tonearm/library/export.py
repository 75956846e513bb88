"""What a query finds as a file for other programs: CSV, JSON, Parquet, playlists."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.library import rows
from tonearm.library.rows import BATCH, ModelRow, Row, Table
from tonearm.library.store import Library, raw

COLUMNS = (
    "path", "genre", "probability", "sure", "genres", "model", "version", "title", "artist", "album", "year", "tagged",
    "seconds", "size", "missing", "error", "warnings", "id",
)  # fmt: skip


class Found(NamedTuple):
    """What is written: the files that a query finds, with what a model says of them."""

    library: Library
    query: str | Iterable[str]
    model: ModelRow
    order: str = "path"

    def tables(self, columns: Sequence[str] = Row._fields, size: int = BATCH) -> Iterator[Table]:
        return rows.tables(self.library, self.query, self.model, order=self.order, columns=columns, size=size)


CELL_COLUMNS = tuple(name for name in Row._fields if name != "error_message")


def cells(table: Table, model: ModelRow) -> dict[str, Sequence[Any]]:
    """The columns of a table for other programs, in the order of COLUMNS; lists are joined by semicolons."""
    heard = [genres is not None for genres in table["genres"]]
    return {
        "path": table["path"],
        "genre": table["genre"],
        "probability": [None if share is None else round(share, 4) for share in table["probability"]],
        "sure": list(map(bool, table["sure"])),
        "genres": _several(table["genres"]),
        "model": [model.name if each else None for each in heard],
        "version": [model.version if each else None for each in heard],
        "title": table["title"],
        "artist": table["artist"],
        "album": table["album"],
        "year": table["year"],
        "tagged": rows.each(table["tagged"], lambda text: text.replace("\n", "; ")),
        "seconds": [None if seconds is None else round(seconds, 3) for seconds in table["seconds"]],
        "size": table["size"],
        "missing": [missing_at is not None for missing_at in table["missing_at"]],
        "error": table["error_code"],
        "warnings": rows.each(
            table["warnings"], lambda text: " ".join(each["code"] for each in json.loads(text or "[]"))
        ),
        "id": table["id"],
    }


def _several(genres: Sequence[str | None]) -> list[str]:
    """`Jazz 0.81; Blues 0.12` from what the library stores, as JSON only where it has to be."""
    together = "\0".join(text or "[]" for text in genres)
    if "\\" in together:
        listed = (json.loads(text or "[]") for text in genres)
        return ["; ".join(f"{genre['genre']} {genre['probability']}" for genre in each) for each in listed]
    plain = together.replace('}, {"genre": "', "; ").replace('[{"genre": "', "").replace('", "probability": ', " ")
    return plain.replace("}]", "").replace("[]", "").split("\0")


_TEXTS = ("path", "genre", "genres", "model", "version", "title", "artist", "album", "tagged", "error", "warnings")
_FLAGS = {True: "true", False: "false"}


def write_csv(found: Found, out: IO[bytes]) -> int:
    """Lines as the csv module writes them, in a third of its time: it looks at every letter of every cell."""
    out.write((",".join(COLUMNS) + "\n").encode())
    count = 0
    for table in found.tables(CELL_COLUMNS):
        parts: list[Any] = []
        for name, values in cells(table, found.model).items():
            if name in _TEXTS:
                values = _csv(values)
            elif name in ("sure", "missing"):
                values = map(_FLAGS.get, values)
            else:
                values = ["" if value is None else str(value) for value in values]
            parts += [",", values]
        text = rows.interleaved("", *parts[1:], "\n", [""] * len(table["id"]))
        # Names that are not UTF-8 come out as the bytes they are, so that they lead to the file.
        out.write(text.encode("utf-8", "surrogateescape"))
        count += len(table["id"])
    return count


def _csv(texts: Sequence[str | None]) -> Sequence[str]:
    """Cells with quotes where they need them, which is looked for in all of them together."""
    plain = texts if None not in texts else [text or "" for text in texts]
    together = "".join(plain)
    if not any(sign in together for sign in ',"\n\r'):
        return plain
    return ['"' + text.replace('"', '""') + '"' if _SIGNS(text) else text for text in plain]


_SIGNS = re.compile(r'[,"\n\r]').search


def write_json(found: Found, out: IO[bytes]) -> int:
    """One array, an object per line."""
    count = 0
    out.write(b"[")
    for table in found.tables(rows.JSON_COLUMNS):
        out.write(b",\n" if count else b"\n")
        out.write(rows.json_text(table, found.model, ",\n").encode())
        count += len(table["id"])
    out.write(b"\n]\n")
    return count


def write_jsonl(found: Found, out: IO[bytes]) -> int:
    """An object per line: what `tonearm tag plan --from` reads."""
    count = 0
    for table in found.tables(rows.JSON_COLUMNS):
        out.write(rows.json_text(table, found.model).encode() + b"\n")
        count += len(table["id"])
    return count


_KINDS = {"probability": "float", "seconds": "double", "sure": "bool", "missing": "bool", "year": "int16",
          "size": "int64", "id": "int64", "path_bytes": "binary"}  # fmt: skip


def write_parquet(found: Found, out: IO[bytes]) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        hint = 'pip install "tonearm[library]"'
        raise TonearmError("Parquet is written by pyarrow, which is missing", hint=hint, code="needs-extra") from None
    schema = pa.schema([(name, _KINDS.get(name, "string")) for name in (*COLUMNS, "path_bytes")])
    count, group = 0, []
    # What is another text in every row gains nothing from a dictionary, and costs one.
    repeated = ["genre", "model", "version", "artist", "album", "tagged", "error", "warnings"]
    with pq.ParquetWriter(out, schema, compression="zstd", use_dictionary=repeated, write_statistics=False) as writer:
        for table in found.tables(CELL_COLUMNS, size=1000):
            columns = cells(table, found.model)
            columns["path"], columns["path_bytes"] = _names(columns["path"])
            arrays = [pa.array(columns[field.name], field.type) for field in schema]
            group.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
            count += len(table["id"])
            if len(group) == 20:
                writer.write_table(pa.Table.from_batches(group))
                group = []
        if group:
            writer.write_table(pa.Table.from_batches(group))
    return count


def _names(paths: Sequence[str]) -> tuple[Sequence[str], Sequence[str | bytes]]:
    """Paths as text, which has to be UTF-8 there, and as the bytes they are."""
    try:
        "".join(paths).encode()
    except UnicodeEncodeError:
        names = list(map(raw, paths))
        return [name.decode("utf-8", "backslashreplace") for name in names], names
    return paths, paths


_SONG = ("path", "artist", "title", "seconds")


def write_playlist(found: Found, out: IO[bytes], folder: Path | None = None) -> int:
    """Extended M3U in UTF-8; paths relative to `folder` where it is given and on the same drive."""
    count = 0
    out.write(b"#EXTM3U\n")
    for table in found.tables(_SONG):
        entries = [_entry(*song, folder) for song in zip(*map(table.get, _SONG), strict=True)]
        out.write("".join(entries).encode())
        count += len(entries)
    return count


def _entry(path: str, artist: str | None, title: str | None, seconds: float | None, folder: Path | None) -> str:
    """A song of a playlist: what a player shows, and where it lies."""
    named = f"{artist} - {title}" if artist and title else artist or title
    label = _one_line(named or os.path.splitext(os.path.basename(path))[0])
    return f"#EXTINF:{-1 if seconds is None else round(seconds)},{label}\n{_place(path, folder)}\n"


def _one_line(text: str) -> str:
    if text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _place(path: str, folder: Path | None) -> str:
    """A path as a line of a playlist; as an address where it could not be one line of UTF-8."""
    unfit = not path.isprintable() and any(c in "\n\r" or "\ud800" <= c <= "\udfff" for c in path)
    if unfit or path != path.strip():
        return Path(path).as_uri()
    if folder is not None:
        with suppress(ValueError):  # another drive
            path = os.path.relpath(path, folder)
    return f".{os.sep}{path}" if path.startswith("#") else path


WRITERS: dict[str, Callable[..., int]] = {
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "m3u8": write_playlist,
}


def format_of(name: str | None, path: Path | None) -> str:
    """The format that is asked for, or that the ending of the file names."""
    if name is None and path is not None:
        name = {"m3u": "m3u8", "pq": "parquet", "ndjson": "jsonl"}.get(path.suffix[1:].lower(), path.suffix[1:].lower())
    if name not in WRITERS:
        if name:
            raise unknown_name("format", name, WRITERS)
        raise UsageError("which format?", hint=f"--format {'|'.join(WRITERS)}, or a file that ends so")
    return name


def to_file(found: Found, path: Path, format: str, *, relative: bool = False) -> int:
    """Write rows to a file, whole or not at all; returns how many there were."""
    if path.exists() and _is_sound(path):
        raise UsageError(f"{path}: that is a sound, and stays one", hint="-o songs.csv")
    folder = path.parent.absolute() if relative and format == "m3u8" else None
    with _replaced(path) as out:
        return WRITERS[format](found, out, folder) if folder else WRITERS[format](found, out)


def _is_sound(path: Path) -> bool:
    from tonearm.audio import SUFFIXES  # here: it brings numpy, which questions do without

    return path.suffix.lower() in SUFFIXES


def per_genre(found: Found, folder: Path, *, relative: bool = False) -> dict[str, int]:
    """A playlist for each predicted genre in a folder; returns how many songs are in each."""
    base = folder.absolute() if relative else None
    by_genre: dict[str, list[str]] = {}
    for table in found.tables((*_SONG, "genre")):
        for genre, *song in zip(table["genre"], *map(table.get, _SONG), strict=True):
            if genre is not None:
                by_genre.setdefault(genre, []).append(_entry(*song, base))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TonearmError(f"{folder}: cannot be made ({error.strerror})", code="write") from None
    for genre, entries in sorted(by_genre.items()):
        with _replaced(folder / f"{_file_name(genre)}.m3u8") as out:
            out.write("".join(["#EXTM3U\n", *entries]).encode())
    return {genre: len(entries) for genre, entries in sorted(by_genre.items())}


def _file_name(genre: str) -> str:
    """A genre as a name that every system takes."""
    name = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "-", genre).strip(" .")
    return name[:100] or "unnamed"


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, suffix=".tmp", delete=False) as out:
            try:
                yield out
                out.flush()
                os.chmod(out.name, 0o644)
                os.replace(out.name, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(out.name)
                raise
    except OSError as error:
        raise TonearmError(f"{path}: cannot be written ({error.strerror or error})", code="write") from None
