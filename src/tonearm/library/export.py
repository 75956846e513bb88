"""What a query finds as a file for other programs: CSV, JSON, Parquet, playlists."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.library.listing import batches

COLUMNS = (
    "path", "genre", "probability", "sure", "genres", "model", "version", "title", "artist", "album", "year", "tagged",
    "seconds", "size", "missing", "error", "warnings", "id",
)  # fmt: skip

Rows = Iterable[dict[str, Any]]


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table: the best genre and its probability, lists joined by semicolons."""
    best = row["genres"][0] if row["genres"] else {"genre": None, "probability": None}
    return {
        **row,
        "genre": best["genre"],
        "probability": best["probability"],
        "genres": "; ".join(f"{genre['genre']} {genre['probability']:g}" for genre in row["genres"]),
        "tagged": "; ".join(row["tagged"]),
        "error": row["error"]["code"] if row["error"] else None,
        "warnings": " ".join(warning["code"] for warning in row["warnings"]),
    }


def write_csv(rows: Rows, out: IO[bytes]) -> int:
    # Names that are not UTF-8 come out as the bytes they are, so that they lead to the file.
    text = io.TextIOWrapper(out, "utf-8", errors="surrogateescape", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in map(flat, rows):
        writer.writerow([_cell(row[name]) for name in COLUMNS])
        count += 1
    text.flush()
    text.detach()
    return count


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def write_json(rows: Rows, out: IO[bytes]) -> int:
    """One array, an object per line; ASCII, so that any name comes through."""
    count = 0
    out.write(b"[")
    for row in rows:
        out.write((",\n" if count else "\n").encode() + json.dumps(row).encode())
        count += 1
    out.write(b"\n]\n")
    return count


def write_jsonl(rows: Rows, out: IO[bytes]) -> int:
    """An object per line: what `tonearm tag plan --from` reads."""
    count = 0
    for row in rows:
        out.write(json.dumps(row).encode() + b"\n")
        count += 1
    return count


def write_parquet(rows: Rows, out: IO[bytes]) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        hint = 'pip install "tonearm[library]"'
        raise TonearmError("Parquet is written by pyarrow, which is missing", hint=hint, code="needs-extra") from None
    kinds = {"probability": pa.float32(), "seconds": pa.float64(), "sure": pa.bool_(), "missing": pa.bool_(),
             "year": pa.int16(), "size": pa.int64(), "id": pa.int64(), "path_bytes": pa.binary()}  # fmt: skip
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in (*COLUMNS, "path_bytes")])
    count = 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for some in batches(map(flat, rows), 10_000):
            for row in some:
                # Text has to be UTF-8 there; a name that is not stands in the other column as it is.
                row["path_bytes"] = os.fsencode(row["path"])
                row["path"] = row["path_bytes"].decode("utf-8", "backslashreplace")
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
            count += len(some)
    return count


def write_playlist(rows: Rows, out: IO[bytes], folder: Path | None = None) -> int:
    """Extended M3U in UTF-8; paths relative to `folder` where it is given and on the same drive."""
    count = 0
    out.write(b"#EXTM3U\n")
    for row in rows:
        named = " - ".join(text for text in (row["artist"], row["title"]) if text)
        label = named or os.path.splitext(os.path.basename(row["path"]))[0]
        seconds = -1 if row["seconds"] is None else round(row["seconds"])
        out.write(f"#EXTINF:{seconds},{_one_line(label)}\n{_place(row['path'], folder)}\n".encode())
        count += 1
    return count


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _place(path: str, folder: Path | None) -> str:
    """A path as a line of a playlist; as an address where it could not be one line of UTF-8."""
    if any(c in "\n\r" or "\ud800" <= c <= "\udfff" for c in path) or path != path.strip():
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


def to_file(rows: Rows, path: Path, format: str, *, relative: bool = False) -> int:
    """Write rows to a file, whole or not at all; returns how many there were."""
    folder = path.parent.absolute() if relative and format == "m3u8" else None
    with _replaced(path) as out:
        return WRITERS[format](rows, out, folder) if folder else WRITERS[format](rows, out)


def per_genre(rows: Rows, folder: Path, *, relative: bool = False) -> dict[str, int]:
    """A playlist for each predicted genre in a folder; returns how many songs are in each."""
    by_genre: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["genres"]:
            by_genre.setdefault(row["genres"][0]["genre"], []).append(row)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TonearmError(f"{folder}: cannot be made ({error.strerror})", code="write") from None
    counts = {}
    for genre, some in sorted(by_genre.items()):
        counts[genre] = to_file(some, folder / f"{_file_name(genre)}.m3u8", "m3u8", relative=relative)
    return counts


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
