"""The files of a run folder, each written whole or not at all."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import _csv
from tonearm.errors import TonearmError
from tonearm.evaluation import Predictions, checked_predictions

CURVES = "curves.csv"
TRACKS, SEGMENTS = "predictions-tracks.csv", "predictions-segments.csv"
# Columns that are no class; a genre of the same name still works, because it comes after them.
_FIXED = ("id", "part", "truth", "predicted", "artist")


def write_text(path: Path, text: str) -> None:
    """Write a text file; what stood there before stays whole until the new one is.

    Not forced to the disk: a kill cannot tear it, and after a power cut a run is made again. Forcing costs a busy disk
    a tenth of a second per file, which is more than most classical models take to fit.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise TonearmError(
            f"{path}: cannot be written: {error.strerror or error}",
            hint="make room or choose another folder; the same command goes on with what is there",
            code="write",
        ) from None


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TonearmError(
            f"{path}: there is no such file", hint="is this the folder of a run?", code="missing"
        ) from None
    except (OSError, ValueError) as error:
        raise TonearmError(f"{path}: cannot be read: {error}", code="unreadable") from None


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    write_text(path, "".join(_csv.lines([header, *rows])))


def write_curves(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """One row per epoch; floats in full, so that equal runs have equal files but for the seconds."""
    names = list(rows[0]) if rows else ["epoch"]
    write_table(path, names, ([_number(row.get(name, "")) for name in names] for row in rows))


def read_curves(folder: Path) -> list[dict[str, float]]:
    """The curves of a run, a row per epoch; empty where nothing is learnt in epochs."""
    path = folder / CURVES
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _number(value: Any) -> str:
    return repr(float(value)) if isinstance(value, float) else str(value)


def write_predictions(path: Path, parts: Mapping[str, Predictions]) -> None:
    """All parts in one table: id, part, truth, predicted, artist, and the probability of each class."""
    classes = next(iter(parts.values())).classes
    rows = []
    for part, some in parts.items():
        answers = some.probabilities.argmax(axis=1)
        for i, name in enumerate(some.ids):
            artist = some.groups[i] if some.groups is not None else ""
            shares = [f"{share:.9g}" for share in some.probabilities[i]]
            rows.append([name, part, classes[some.truth[i]], classes[answers[i]], artist, *shares])
    write_table(path, [*_FIXED, *classes], rows)


def read_predictions(folder: str | Path, part: str, *, unit: str = "track") -> Predictions:
    """What a run said of one part, per track or per segment."""
    path = Path(folder) / (TRACKS if unit == "track" else SEGMENTS)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header, rows = next(reader), list(reader)
    except FileNotFoundError:
        raise TonearmError(f"{path}: there is no such file", hint="is the run finished?", code="missing") from None
    except (OSError, ValueError, StopIteration) as error:
        raise TonearmError(f"{path}: cannot be read: {error}", code="unreadable") from None
    if tuple(header[: len(_FIXED)]) != _FIXED or any(len(row) != len(header) for row in rows):
        raise TonearmError(f"{path}: not a table of predictions", code="unreadable")
    rows = [row for row in rows if row[1] == part]
    if not rows:
        raise TonearmError(f"{path}: no predictions of the part {part!r}", code="missing")
    shares = np.array([[float(value) for value in row[len(_FIXED) :]] for row in rows])
    return checked_predictions(
        [row[0] for row in rows], [row[2] for row in rows], shares, header[len(_FIXED) :],
        groups=[row[4] for row in rows], unit=unit,
    )  # fmt: skip
