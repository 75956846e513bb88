"""The working folder of a build: rows that are written, and the journal that says which may be trusted.

A row is written first and told in the journal after, with its checksum. So a kill between the two costs that row and
nothing else, and what a power cut tore shows when the build goes on. No fsync stands in the way of the work.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tonearm.packs._lock import alone
from tonearm.packs._write import array_header, clear, write_json
from tonearm.packs.pack import read_json

JOURNAL = "journal.jsonl"


@dataclass(slots=True)
class Row:
    """One row of the array: where it lies in the working file (`slot`), its checksum, its own columns of tracks.csv."""

    slot: int
    crc: int
    columns: dict[str, str]


@dataclass(slots=True)
class Done:
    """What became of one track: rows, or `failed` with code and message. `stamp` is (size, mtime_ns) of the file."""

    id: str
    path: str
    stamp: tuple[int, int]
    rows: list[Row] = field(default_factory=list)
    failed: dict[str, str] | None = None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Done:
        size, mtime_ns = content["stamp"]
        rows = [Row(int(row["slot"]), int(row["crc"]), dict(row["columns"])) for row in content["rows"]]
        return cls(str(content["id"]), str(content["path"]), (size, mtime_ns), rows, content["failed"])


@dataclass(frozen=True, slots=True)
class RowsFile:
    """The working array: rows of one shape at numbered slots behind room for the header. Picklable for workers."""

    path: Path
    shape: tuple[int, ...]
    dtype: str
    row_bytes: int
    start: int

    def write(self, slot: int, data: Any) -> None:
        """Write one row. Not through a memory map: on a full disk that is a signal that kills, this is an error."""
        with open(self.path, "r+b", buffering=0) as file:
            file.seek(self.start + slot * self.row_bytes)
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]

    def extend(self, n_rows: int) -> int:
        """Room for more rows at the end, for one worker at a time; returns the first slot."""
        with open(self.path, "r+b", buffering=0) as file, alone(file):
            first = max(0, os.fstat(file.fileno()).st_size - self.start) // self.row_bytes
            file.truncate(self.start + (first + n_rows) * self.row_bytes)
        return first

    def grow(self, n_rows: int) -> None:
        """Make the file hold at least so many slots; unwritten ones take no disk where the system knows holes."""
        # "ab" makes the file where it is not there, and does not empty it where it is.
        with open(self.path, "ab") as file:
            if os.fstat(file.fileno()).st_size < (size := self.start + n_rows * self.row_bytes):
                file.truncate(size)


def checksum(data: Any) -> int:
    # To notice what was torn, not to tell contents apart: CRC-32 is enough, at half the time of the next.
    return zlib.crc32(data)


def rows_file(folder: Path, shape: Sequence[int], dtype: str, itemsize: int) -> RowsFile:
    n_values = 1
    for n in shape:
        n_values *= n
    start = len(array_header((0, *shape), dtype))
    return RowsFile(folder / "rows.npy", tuple(shape), dtype, n_values * itemsize, start)


class Journal:
    """The journal of one build, open for appending: one line of JSON per track."""

    def __init__(self, path: Path) -> None:
        self.handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, done: Done) -> None:
        self._write(asdict(done))

    def arranging(self, slots: list[int]) -> None:
        """From here on row j may lie at slot j or still at slots[j]."""
        self._write({"arranging": slots})

    def sync(self) -> None:
        os.fsync(self.handle)

    def close(self) -> None:
        os.close(self.handle)

    def _write(self, content: dict[str, Any]) -> None:
        data = memoryview(json.dumps(content, separators=(",", ":")).encode() + b"\n")
        while data:
            data = data[os.write(self.handle, data) :]


def read_journal(folder: Path) -> tuple[dict[str, Done], list[int]]:
    """What a stopped build had done, by track id, and the slots of an arrangement that was under way (or none).

    Lines that are torn or damaged are left out: their tracks are computed again.
    """
    found: dict[str, Done] = {}
    arranging: list[int] = []
    try:
        lines = (folder / JOURNAL).read_bytes().split(b"\n")
    except FileNotFoundError:
        return found, arranging
    for line in lines:
        try:
            content = json.loads(line)
            if "arranging" in content:
                arranging = [int(slot) for slot in content["arranging"]]
            else:
                done = Done.from_json(content)
                found[done.id] = done
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found, arranging


def rewrite_journal(folder: Path, entries: Iterable[Done]) -> None:
    """Replace the journal by one that holds these entries, in one step."""
    new = folder / "journal.tmp"
    new.unlink(missing_ok=True)
    journal = Journal(new)
    for entry in entries:
        journal.add(entry)
    journal.sync()
    journal.close()
    os.replace(new, folder / JOURNAL)


def trusted(entries: Iterable[Done], arranging: list[int], rows: RowsFile) -> list[Done]:
    """The entries whose rows are on disk as they were told, with their slots corrected where rows were being moved."""
    moved = {slot: j for j, slot in enumerate(arranging)}
    fine = []
    with open(rows.path, "rb", buffering=0) as file:
        for entry in entries:
            for row in entry.rows:
                places = dict.fromkeys((moved.get(row.slot, row.slot), row.slot))
                row.slot = next((slot for slot in places if _crc_at(file, rows, slot) == row.crc), -1)
            if all(row.slot >= 0 for row in entry.rows):
                fine.append(entry)
    return fine


def _crc_at(file: Any, rows: RowsFile, slot: int) -> int | None:
    file.seek(rows.start + slot * rows.row_bytes)
    data = file.read(rows.row_bytes)
    return checksum(data) if len(data) == rows.row_bytes else None


def open_working_folder(folder: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """Make the working folder, or return the config of the build that lies in it."""
    if (folder / "config.json").is_file():
        return read_json(folder / "config.json")
    clear(folder)  # It was killed before it had anything.
    folder.mkdir()
    write_json(folder / "config.tmp", config)
    os.replace(folder / "config.tmp", folder / "config.json")
    return None
