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
from typing import IO, Any, NamedTuple

from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.library.listing import batches
from tonearm.library.rows import ModelRow, Row, to_json
from tonearm.library.store import raw

COLUMNS = (
    "path", "genre", "probability", "sure", "genres", "model", "version", "title", "artist", "album", "year", "tagged",
    "seconds", "size", "missing", "error", "warnings", "id",
)  # fmt: skip


_TRUTHS = (COLUMNS.index("sure"), COLUMNS.index("missing"))


class Found(NamedTuple):
    """What is written: rows, and the model whose predictions they have."""

    rows: Iterable[Row]
    model: ModelRow


def flat(row: Row, model: ModelRow) -> tuple:
    """The cells of a table, in the order of COLUMNS; lists are joined by semicolons."""
    heard = row.genres is not None
    several = _several(row.genres) if heard else ""
    warnings = " ".join(warning["code"] for warning in json.loads(row.warnings)) if row.warnings else ""
    return (
        row.path, row.genre, None if row.probability is None else round(row.probability, 4), bool(row.sure), several,
        model.name if heard else None, model.version if heard else None, row.title, row.artist, row.album, row.year,
        row.tagged.replace("\n", "; "), None if row.seconds is None else round(row.seconds, 3), row.size,
        row.missing_at is not None, row.error_code, warnings, row.id,
    )  # fmt: skip


def _several(genres: str) -> str:
    """`Jazz 0.81; Blues 0.12` from what the library stores, as JSON only where it has to be."""
    if "\\" in genres:
        return "; ".join(f"{genre['genre']} {genre['probability']}" for genre in json.loads(genres))
    plain = genres[1:-1].replace('{"genre": "', "").replace('", "probability": ', " ")
    return plain.replace("}, ", "; ").replace("}", "")


def write_csv(found: Found, out: IO[bytes]) -> int:
    # Names that are not UTF-8 come out as the bytes they are, so that they lead to the file.
    text = io.TextIOWrapper(out, "utf-8", errors="surrogateescape", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for some in batches(found.rows, 1000):
        writer.writerows([_in_words(flat(row, found.model)) for row in some])
        count += len(some)
    text.flush()
    text.detach()
    return count


def _in_words(values: tuple) -> list[Any]:
    cells = list(values)
    for place in _TRUTHS:
        cells[place] = "true" if cells[place] else "false"
    return cells


def write_json(found: Found, out: IO[bytes]) -> int:
    """One array, an object per line."""
    count = 0
    out.write(b"[")
    for row in found.rows:
        out.write(f"{',' if count else ''}\n{to_json(row, found.model)}".encode())
        count += 1
    out.write(b"\n]\n")
    return count


def write_jsonl(found: Found, out: IO[bytes]) -> int:
    """An object per line: what `tonearm tag plan --from` reads."""
    count = 0
    for row in found.rows:
        out.write(f"{to_json(row, found.model)}\n".encode())
        count += 1
    return count


def write_parquet(found: Found, out: IO[bytes]) -> int:
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
        for some in batches(found.rows, 10_000):
            columns = list(zip(*(flat(row, found.model) for row in some), strict=True))
            # Text has to be UTF-8 there; a name that is not stands in a column of its own as it is.
            names = [raw(path) for path in columns[0]]
            columns[0] = [name.decode("utf-8", "backslashreplace") for name in names]
            arrays = [pa.array(values, field.type) for values, field in zip([*columns, names], schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(some)
    return count


def write_playlist(found: Found, out: IO[bytes], folder: Path | None = None) -> int:
    """Extended M3U in UTF-8; paths relative to `folder` where it is given and on the same drive."""
    count = 0
    out.write(b"#EXTM3U\n")
    for row in found.rows:
        named = " - ".join(text for text in (row.artist, row.title) if text)
        label = named or os.path.splitext(os.path.basename(row.path))[0]
        seconds = -1 if row.seconds is None else round(row.seconds)
        out.write(f"#EXTINF:{seconds},{_one_line(label)}\n{_place(row.path, folder)}\n".encode())
        count += 1
    return count


def _one_line(text: str) -> str:
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
    folder = path.parent.absolute() if relative and format == "m3u8" else None
    with _replaced(path) as out:
        return WRITERS[format](found, out, folder) if folder else WRITERS[format](found, out)


def per_genre(found: Found, folder: Path, *, relative: bool = False) -> dict[str, int]:
    """A playlist for each predicted genre in a folder; returns how many songs are in each."""
    by_genre: dict[str, list[Row]] = {}
    for row in found.rows:
        if row.genre is not None:
            by_genre.setdefault(row.genre, []).append(row)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TonearmError(f"{folder}: cannot be made ({error.strerror})", code="write") from None
    counts = {}
    for genre, some in sorted(by_genre.items()):
        path = folder / f"{_file_name(genre)}.m3u8"
        counts[genre] = to_file(Found(some, found.model), path, "m3u8", relative=relative)
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
