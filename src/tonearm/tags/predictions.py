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

# From a predicted genre to one's own name for it, to several, or to none.
Names = dict[str, str | list[str] | None]


class Prediction(NamedTuple):
    """What was predicted for one file: (genre, probability or None), likeliest first.

    `sure` is what the model said of its best genre, None where nobody said. `threshold` is known where the model was
    asked here and nothing but its probabilities speaks: from there on it is sure.
    """

    path: str
    genres: list[tuple[str, float | None]]
    sure: bool | None = None
    error: dict[str, str] | None = None
    threshold: float | None = None


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


def heard(model: Any, paths: list[str], *, threshold: float | None = None, **more: Any) -> Iterator[Prediction]:
    """What `model` says of each file, in their order; a bad one has an error. More keywords: `Model.predict_many`."""
    for found in model.predict_many(paths, threshold=threshold, **more):
        yield of_model(found, model.genres, model.threshold if threshold is None else threshold)


def of_model(found: Any, genres: Iterable[str], threshold: float) -> Prediction:
    """One `runtime.Prediction` with all its probabilities: under a person's own names, small ones may add up."""
    if found.error is not None:
        return Prediction(found.path, [], False, found.error._asdict())
    if not found.genres:
        return Prediction(found.path, [], found.sure)
    pairs = zip(genres, (float(p) for p in found.probabilities), strict=True)
    return Prediction(found.path, best_first(list(pairs)), found.sure, None, None if found.warnings else threshold)


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
    sure = row.get("sure")
    return Prediction(row["path"], best_first(genres), sure if isinstance(sure, bool) else None, error)


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
        yield Prediction(path, best_first(genres))


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


def best_first(genres: list[tuple[str, float | None]]) -> list[tuple[str, float | None]]:
    """Likeliest first; those without a probability, which somebody just said, before all."""
    return sorted(genres, key=lambda pair: -1.0 if pair[1] is None else -pair[1])


def read_map(path: str | os.PathLike) -> Names:
    """A YAML file from predicted genres to one's own names: one name, a list of names, or null to drop the genre."""
    try:
        read = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown(path)}: the map cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{shown(path)}: is not YAML ({' '.join(str(error).split())})") from error
    return checked_map(read, shown(path))


def checked_map(read: Any, where: str = "the map") -> Names:
    """A map as it was read, or one given from Python."""
    if read is None:
        return {}
    hint = "lines look like `Hip-Hop: Rap`, `Folk: [Folk, Acoustic]`, or `Spoken: null` to drop a genre"
    if not isinstance(read, dict):
        raise UsageError(f"{where}: is not a map of genres", hint=hint)
    names: Names = {}
    for key, value in read.items():
        several = value if isinstance(value, list) else [value]
        texts = [item for item in several if isinstance(item, str) and item.strip()]
        if not isinstance(key, str) or (value is not None and (len(texts) < len(several) or not texts)):
            # YAML reads bare no, yes, 2000 as something else than text.
            raise UsageError(f"{where}: {key!r}: {value!r} is not text to text; quote it", hint=hint)
        if isinstance(value, list):
            names[key] = list(dict.fromkeys(_clean(item, where) for item in value))
        else:
            names[key] = None if value is None else _clean(value, where)
    return names


def targets(genre: str, names: Names) -> list[str]:
    """One's own names for a predicted genre."""
    value = names.get(genre, genre)
    return [] if value is None else [value] if isinstance(value, str) else value


def renamed(genres: list[tuple[str, float | None]], names: Names) -> list[tuple[str, float | None]]:
    """Genres under one's own names. Those that become one share their probabilities.

    Classes that exclude each other (together no more than 1) add up; independent ones count by the largest.
    """
    exclusive = sum(probability or 0 for _, probability in genres) <= 1.001
    merged: dict[str, float | None] = {}
    for genre, probability in genres:
        for name in targets(genre, names):
            known = merged.get(name)
            if name not in merged or probability is None or known is None:
                merged[name] = probability if name not in merged else None
            else:
                merged[name] = min(1.0, known + probability) if exclusive else max(known, probability)
    return best_first(list(merged.items()))


def unknown_keys(names: Names, known: Iterable[str], who: str) -> list[str]:
    """A sentence for each key of the map that cannot be met: probably a slip of the pen."""
    known, sentences = sorted(known), []
    for key in names:
        if key not in known:
            close = get_close_matches(key, known, n=1, cutoff=0.6)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            sentences.append(f"the map names {key!r}, which {who}{meant}")
    return sentences
