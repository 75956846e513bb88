"""The tables of fma_metadata, as they were published: CSV with several header rows.

By hand with the csv module: pandas would be the largest dependency of the light tool, for four files.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tonearm.datasets._dataset import DatasetError


class Row(NamedTuple):
    """A row of tracks.csv, as far as it is used. `genres` holds genre numbers, `split` the authors' word for it."""

    id: str
    genre: str
    genres: tuple[str, ...]
    split: str
    subset: str
    artist: str
    artist_name: str
    title: str
    album: str


class Genre(NamedTuple):
    title: str
    parent: str
    top: str
    tracks: int


_COLUMNS = {
    "genre": ("track", "genre_top"), "genres": ("track", "genres"), "split": ("set", "split"),
    "subset": ("set", "subset"), "artist": ("artist", "id"), "artist_name": ("artist", "name"),
    "title": ("track", "title"), "album": ("album", "title"),
}  # fmt: skip


def tracks(metadata: Path) -> list[Row]:
    """Every row of tracks.csv, which has two rows of column names and one with the name of the index."""
    path = metadata / "tracks.csv"
    with _reader(path) as reader:
        names = list(zip(*_header(path, reader, 3)[:2], strict=True))
        at = {}
        for field, name in _COLUMNS.items():
            if name not in names:
                raise DatasetError(f"{path}: the column {'.'.join(name)} is missing: not FMA's tracks.csv")
            at[field] = names.index(name)
        rows = []
        for row in reader:
            # Tracks that are removed from the table by hand may leave an empty line.
            if not row or not row[0]:
                continue
            if len(row) != len(names):
                raise DatasetError(f"{path}: row {reader.line_num} has {len(row)} columns instead of {len(names)}")
            values = {field: row[i].strip() for field, i in at.items()}
            rows.append(Row(id=track_id(row[0]), **{**values, "genres": _numbers(values["genres"])}))
    return rows


def genres(metadata: Path) -> dict[str, Genre]:
    """The tree of genres by number: title, parent (0: none), top genre, and how many tracks have it."""
    path = metadata / "genres.csv"
    if not path.is_file():
        return {}
    with _reader(path) as reader:
        header = _header(path, reader, 1)[0]
        try:
            at = [header.index(name) for name in ("genre_id", "title", "parent", "top_level", "#tracks")]
        except ValueError as error:
            raise DatasetError(f"{path}: {error}: not FMA's genres.csv") from None
        rows = [[row[i] for i in at] for row in reader if row]
    return {number: Genre(title, parent, top, int(count or 0)) for number, title, parent, top, count in rows}


def lineage(tree: dict[str, Genre], number: str) -> list[str]:
    """Titles from the top genre down to this one."""
    titles: list[str] = []
    seen: set[str] = set()
    while number in tree and number not in seen:
        seen.add(number)
        titles.insert(0, tree[number].title)
        number = tree[number].parent
    return titles


def numbers(metadata: Path, name: str) -> tuple[list[str], Iterator[tuple[str, np.ndarray]]]:
    """Column names of `features` or `echonest`, and its rows one by one: id and float32 (columns,), NaN where empty.

    Columns are called as the three header rows say it, for example chroma_cens_kurtosis_01. Of echonest, what
    describes the sound is taken: audio_features and temporal_features; names, ranks and fame are not.
    """
    path = metadata / f"{name}.csv"
    with _reader(path) as reader:
        columns = list(zip(*_header(path, reader, 4)[:3], strict=True))
    if name == "features":
        chosen = list(range(1, len(columns)))
        names = ["_".join(columns[i]) for i in chosen]
    else:
        chosen = [i for i, column in enumerate(columns) if column[1] in ("audio_features", "temporal_features")]
        names = [f"{columns[i][1].removesuffix('_features')}_{columns[i][2]}" for i in chosen]
    if not chosen or columns[0] not in (("feature", "statistics", "number"), ("", "", "")):
        raise DatasetError(f"{path}: not FMA's {name}.csv")
    return names, _values(path, chosen)


def _values(path: Path, chosen: list[int]) -> Iterator[tuple[str, np.ndarray]]:
    with _reader(path) as reader:
        _header(path, reader, 4)
        for row in reader:
            if not row or not row[0]:
                continue
            try:
                values = [float(row[i]) if row[i] else np.nan for i in chosen]
            except (ValueError, IndexError) as error:
                raise DatasetError(f"{path}: row {reader.line_num}: {error}") from None
            yield track_id(row[0]), np.array(values, np.float32)


def is_tracks(path: Path) -> bool:
    """Whether a tracks.csv is FMA's: a pack and a rendering of synth have files of that name, too."""
    try:
        with _reader(path) as reader:
            first, second, third = _header(path, reader, 3)
    except (DatasetError, ValueError):
        return False
    return ("set", "split") in set(zip(first, second, strict=False)) and third[:1] == ["track_id"]


def track_id(number: str) -> str:
    """2 as 000002: how the files are called."""
    return number.strip().zfill(6)


def _numbers(text: str) -> tuple[str, ...]:
    """`[21, 45]` as ("21", "45")."""
    try:
        return tuple(str(number) for number in json.loads(text)) if text else ()
    except (ValueError, TypeError):
        return ()


@contextmanager
def _reader(path: Path) -> Iterator:
    # Biographies are longer than the csv module's limit allows; the limit is one for the whole process.
    limit = csv.field_size_limit(1 << 24)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            yield csv.reader(file)
    except FileNotFoundError:
        raise DatasetError(f"{path}: there is no such file", hint="it is part of fma_metadata.zip") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}", code="unreadable") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not readable as CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _header(path: Path, reader: Iterator[list[str]], count: int) -> list[list[str]]:
    rows = [row for _, row in zip(range(count), reader, strict=False)]
    if len(rows) < count or len({len(row) for row in rows}) != 1:
        raise DatasetError(f"{path}: its first {count} rows are not FMA's header")
    return rows
