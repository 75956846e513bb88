"""A user's own table of tracks: CSV, TSV or the semicolons of a spreadsheet."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from pathlib import Path
from typing import Any

from tonearm.datasets import _files
from tonearm.datasets._dataset import PARTS, DatasetError, Problem
from tonearm.errors import UsageError
from tonearm.packs import Track

REQUIRED = ("path", "genre")
KNOWN = ("path", "genre", "artist", "recording", "split", "id")
_PART_NAMES = {
    "training": "train", "validation": "valid", "val": "valid", "dev": "valid", "testing": "test", "evaluation": "test",
}  # fmt: skip


def read(path: Path) -> tuple[list[Track], list[Problem]]:
    """Tracks and what is wrong with the table; paths in it are relative to the table. A missing file stays a track."""
    path = Path(os.path.abspath(path))
    header, rows = _rows(path)
    problems: list[Problem] = []
    tracks: list[tuple[str, dict[str, Any]]] = []
    seen: dict[str, int] = {}
    for line, row in rows:
        values = {name: row[i].strip() if i < len(row) else "" for i, name in enumerate(header)}
        if not any(values.values()):
            continue
        where = f"row {line}"
        if not values["path"]:
            problems.append(Problem("no-path", os.fspath(path), f"{where}: no path, left out"))
            continue
        file = _locate(path.parent, row[header.index("path")])
        if file in seen:
            problems.append(Problem("listed-twice", file, f"{where}: the same file as row {seen[file]}, left out"))
            continue
        seen[file] = line
        part = values.get("split", "").lower()
        part = _PART_NAMES.get(part, part)
        if part and part not in PARTS:
            text = f"{where}: split {values['split']!r} is none of {', '.join(PARTS)}: read as empty"
            problems.append(Problem("unknown-split", file, text))
            part = ""
        if not values["genre"]:
            problems.append(Problem("no-genre", file, f"{where}: no genre"))
        extra = {name: value for name, value in values.items() if name and name not in KNOWN}
        known = {name: values.get(name, "") for name in ("genre", "artist", "recording")}
        tracks.append((values.get("id", ""), {**known, "split": part, "path": file, "extra": extra}))
    made = _files.unique_ids([_short(path.parent, fields["path"]) for _, fields in tracks])
    wanted = [given or own for (given, _), own in zip(tracks, made, strict=True)]
    names = _files.numbered(wanted)
    for (given, fields), name in zip(tracks, names, strict=True):
        if given and name != given:
            problems.append(
                Problem("id-twice", fields["path"], f"id {given!r} occurs twice: renamed to {name!r}", name)
            )
    return [Track(id=name, **fields) for name, (_, fields) in zip(names, tracks, strict=True)], problems


def _rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    text = _decode(path)
    first = text.lstrip().split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DatasetError(f"{path}: row {reader.line_num}: not a table: {error}") from None
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        found = ", ".join(header) or "nothing"
        raise UsageError(
            f"{path}: the column {' and the column '.join(missing)} is missing; found: {found[:200]}",
            hint=f"the first row names the columns: {','.join(REQUIRED)}, and if known artist,recording,split,id",
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UsageError(f"{path}: the column {', '.join(twice)} stands there twice")
    return header, rows


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}", code="unreadable") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # "Unicode text" of a spreadsheet
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _short(folder: Path, file: str) -> Path:
    """A path below the table's folder from there on, so that ids do not change when the folder moves."""
    path = Path(file)
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _locate(folder: Path, written: str) -> str:
    """The absolute path that a row means: relative to the table, `~` allowed, backslashes where they are folders."""
    candidates = [written, written.strip()]
    if os.sep == "/" and "\\" in written and not re.match(r"[A-Za-z]:", written):
        candidates.append(written.strip().replace("\\", "/"))
    paths = [os.path.normpath(os.path.join(folder, os.path.expanduser(name))) for name in candidates]
    return next((path for path in paths if os.path.lexists(path)), paths[1])
