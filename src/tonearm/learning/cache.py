"""What was heard, kept: so that a run that was stopped goes on, and learning again with other labels hears nothing.

One SQLite file in the cache folder. A sound is known by the hash of the sound alone, as in the library, a file by its
size and time: tags may change, files may move.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tonearm.paths import cache_folder

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sound BLOB NOT NULL,
  genres TEXT NOT NULL, artist TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vectors (ear TEXT, sound BLOB, vector BLOB NOT NULL, PRIMARY KEY (ear, sound)) WITHOUT ROWID
"""


class Known(NamedTuple):
    """What a file is: its sound, and what its tags say."""

    sound: bytes
    genres: tuple[str, ...]
    artist: str


class Cache:
    """Files as they were looked at, and vectors (float32) by ear and sound.

    A cache that cannot be written is not kept, which stops nobody: `broken` says why.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / "heard.sqlite"
        self.broken = ""
        self._connection: sqlite3.Connection | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()
        except (OSError, sqlite3.Error) as error:
            self.broken = str(getattr(error, "strerror", None) or error)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last songs, a kill nothing
            connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            connection.close()
            if getattr(error, "sqlite_errorname", "") not in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
                raise
            # It can be made again: a damaged one is thrown away and not complained of.
            for end in ("", "-wal", "-shm"):
                Path(f"{self.path}{end}").unlink(missing_ok=True)
            return self._open()
        return connection

    def file(self, path: str, size: int, mtime_ns: int) -> Known | None:
        """What is known of a file, if it is as it was."""
        sql = "SELECT sound, genres, artist FROM files WHERE path = ? AND size = ? AND mtime_ns = ?"
        row = self._ask(sql, (os.fsencode(path), size, mtime_ns))
        return Known(row[0], tuple(row[1].split("\n")) if row[1] else (), row[2]) if row else None

    def keep_file(self, path: str, size: int, mtime_ns: int, known: Known) -> None:
        values = (os.fsencode(path), size, mtime_ns, known.sound, "\n".join(known.genres), known.artist)
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", values)

    def vector(self, ear: str, sound: bytes) -> np.ndarray | None:
        row = self._ask("SELECT vector FROM vectors WHERE ear = ? AND sound = ?", (ear, sound))
        return np.frombuffer(row[0], "<f4") if row else None

    def keep_vector(self, ear: str, sound: bytes, vector: np.ndarray) -> None:
        blob = np.asarray(vector, "<f4").tobytes()
        self._write("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", (ear, sound, blob))

    def close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()

    def _ask(self, sql: str, values: tuple) -> tuple | None:
        if self._connection is None:
            return None
        try:
            return self._connection.execute(sql, values).fetchone()
        except sqlite3.Error as error:
            self.broken = str(error)
            return None

    def _write(self, sql: str, values: tuple) -> None:
        if self._connection is None:
            return
        try:
            self._connection.execute(sql, values)
        except sqlite3.Error as error:  # a full disk: what is heard is learnt from all the same, it is not kept
            self.broken = str(error)
