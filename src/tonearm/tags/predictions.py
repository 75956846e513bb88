"""Predictions as they come (`tonearm predict --json`, a CSV, any iterable), and a person's own names for genres."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tonearm.errors import UsageError
from tonearm.tags.errors import shown


class Prediction(NamedTuple):
    """What was predicted for one file: (genre, probability or None), likeliest first."""

    path: str
    genres: list[tuple[str, float | None]]
    sure: bool = True
    error: dict[str, str] | None = None


def read(source: str | os.PathLike | Iterable[Any]) -> Iterator[Prediction]:
    """Predictions from a JSON Lines or CSV file, from standard input (`-`), or from an iterable of dicts."""
    if isinstance(source, str | os.PathLike):
        text, name = _text(source)
        stripped = text.lstrip("\ufeff \t\r\n")
        rows = _json_lines(text, name) if stripped.startswith("{") or not stripped else _csv(text, name)
    else:
        rows = (
            item if isinstance(item, Prediction) else _from_dict(item, f"item {n}") for n, item in enumerate(source)
        )
    yield from rows


def _text(source: str | os.PathLike) -> tuple[str, str]:
    # Names of files need not be UTF-8: their bytes come through as surrogates.
    if str(source) == "-":
        return sys.stdin.buffer.read().decode("utf-8", "surrogateescape"), "standard input"
    try:
        return Path(source).read_bytes().decode("utf-8", "surrogateescape"), shown(source)
    except OSError as error:
        raise UsageError(f"{shown(source)}: the predictions cannot be read ({error.strerror})") from error


def _json_lines(text: str, name: str) -> Iterator[Prediction]:
    # Not splitlines(): it would split at characters that may stand inside a JSON string.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                raise UsageError(f"{name}: line {number} is not JSON", hint=SHAPE) from None
            yield _from_dict(row, f"{name}: line {number}")


SHAPE = 'a line looks like {"path": "song.mp3", "genres": [{"genre": "Jazz", "probability": 0.9}]}'


def _from_dict(row: Any, where: str) -> Prediction:
    if isinstance(row, dict) and isinstance(row.get("path"), os.PathLike):
        row = {**row, "path": os.fspath(row["path"])}
    if not isinstance(row, dict) or not isinstance(row.get("path"), str) or not row["path"]:
        raise UsageError(f"{where} names no path", hint=SHAPE)
    genres = []
    for item in row.get("genres") or []:
        genre, probability = (item.get("genre"), item.get("probability")) if isinstance(item, dict) else (item, None)
        genres.append((_clean(genre, where), _probability(probability, where)))
    error = row.get("error") or None
    if error is not None:
        error = error if isinstance(error, dict) else {"code": "failed", "message": str(error)}
    return Prediction(row["path"], _best_first(genres), row.get("sure", True) is not False, error)


def _csv(text: str, name: str) -> Iterator[Prediction]:
    """`path,genre[,probability]`; a file with several genres has several rows."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    columns = reader.fieldnames or []
    if "path" not in columns or "genre" not in columns:
        raise UsageError(f"{name}: a CSV of predictions starts with the line path,genre or path,genre,probability")
    found: dict[str, list[tuple[str, float | None]]] = {}
    for row in reader:
        where = f"{name}: line {reader.line_num}"
        if not row["path"]:
            raise UsageError(f"{where} names no path")
        genres = found.setdefault(row["path"], [])
        if (row["genre"] or "").strip():
            genres.append((_clean(row["genre"], where), _probability(row.get("probability") or None, where)))
    for path, genres in found.items():
        yield Prediction(path, _best_first(genres))


def _clean(genre: Any, where: str) -> str:
    if not isinstance(genre, str):
        raise UsageError(f"{where}: {genre!r} is not a genre", hint=SHAPE)
    # A tag is one line of printable text: a zero would end it early, a newline would make two of it.
    printable = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in genre)
    text = " ".join(printable.split())
    if not text or len(text) > 200:
        raise UsageError(f"{where}: {genre[:40]!r} is not a genre")
    return text


def _probability(value: Any, where: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise UsageError(f"{where}: {value!r} is not a probability from 0 to 1")
    return number


def _best_first(genres: list[tuple[str, float | None]]) -> list[tuple[str, float | None]]:
    return sorted(genres, key=lambda pair: -1.0 if pair[1] is None else -pair[1])


def read_map(path: str | os.PathLike) -> dict[str, str | None]:
    """A YAML file from predicted genres to one's own names; null drops a genre."""
    try:
        read = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown(path)}: the map cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{shown(path)}: is not YAML ({' '.join(str(error).split())})") from error
    if read is None:
        return {}
    hint = "a line looks like `Hip-Hop: Rap`, or `Spoken: null` to drop a genre"
    if not isinstance(read, dict):
        raise UsageError(f"{shown(path)}: is not a map of genres", hint=hint)
    for key, value in read.items():
        if not isinstance(key, str) or not (value is None or (isinstance(value, str) and value.strip())):
            # YAML reads bare no, yes, 2000 as something else than text.
            raise UsageError(f"{shown(path)}: {key!r}: {value!r} is not text to text; quote it", hint=hint)
    return {key: value if value is None else _clean(value, shown(path)) for key, value in read.items()}


def renamed(genres: list[tuple[str, float | None]], names: dict[str, str | None]) -> list[tuple[str, float | None]]:
    """Genres under one's own names. Those that become one share their probabilities.

    Classes that exclude each other (together no more than 1) add up; independent ones count by the largest.
    """
    exclusive = sum(probability or 0 for _, probability in genres) <= 1.001
    merged: dict[str, float | None] = {}
    for genre, probability in genres:
        name = names.get(genre, genre)
        if name is None:
            continue
        known = merged.get(name)
        if name not in merged or probability is None or known is None:
            merged[name] = probability if name not in merged else None
        else:
            merged[name] = min(1.0, known + probability) if exclusive else max(known, probability)
    return _best_first(list(merged.items()))


def unknown_keys(names: dict[str, str | None], seen: set[str]) -> list[str]:
    """A sentence for each key of the map that no prediction has: probably a slip of the pen."""
    sentences = []
    for key in names:
        if key not in seen:
            close = get_close_matches(key, seen, n=1, cutoff=0.6)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            sentences.append(f"the map names {key!r}, which no prediction has{meant}")
    return sentences
