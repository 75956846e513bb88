"""The library's file: opened, checked, read and written. All that touches SQLite goes through here."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tonearm.library import schema
from tonearm.library.errors import LibraryError, translated
from tonearm.paths import library_file

# A writer holds the file for milliseconds; this long only a program that hangs does.
PATIENCE_SECONDS = 30.0
_ERRORS = sys.getfilesystemencodeerrors()


def raw(path: str | os.PathLike) -> bytes:
    """A path as SQL takes it, in `CAST(? AS TEXT)`: its very bytes, for names that are not UTF-8."""
    return os.fspath(path).encode("utf-8", _ERRORS)


def text(value: bytes) -> str:
    """The reverse of `raw`."""
    return value.decode("utf-8", _ERRORS)


class Library:
    """An open library. Not for several threads; a process of its own opens it for itself."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, writable: bool) -> None:
        self.path = path
        self.connection = connection
        self.writable = writable

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        # What cannot be tidied up on leaving (a full disk, a drive that is gone) is tidied up by the next one.
        with suppress(sqlite3.Error):
            self.connection.close()

    def read(self, sql: str, values: Any = ()) -> list[tuple]:
        with translated(self.path):
            return self.connection.execute(sql, values).fetchall()

    def stream(self, sql: str, values: Any = ()) -> Iterator[tuple]:
        """The rows one by one: for results that need not fit into memory."""
        with translated(self.path):
            yield from self.connection.execute(sql, values)

    def batches(self, sql: str, values: Any, size: int) -> Iterator[list[tuple]]:
        """The rows so many at a time, where there are very many. Text that may not be UTF-8 is asked for as a BLOB."""
        with translated(self.path):
            cursor = self.connection.execute(sql, values)
            while True:
                # Python's own way to text is three times as fast as ours; nobody else reads in between.
                self.connection.text_factory = str
                try:
                    rows = cursor.fetchmany(size)
                finally:
                    self.connection.text_factory = text
                if not rows:
                    return
                yield rows

    def one(self, sql: str, values: Any = ()) -> tuple | None:
        rows = self.read(sql, values)
        return rows[0] if rows else None

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that is done within it or, if anything happens, nothing."""
        if not self.writable:
            raise LibraryError(self.path, "read-only")
        with translated(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def write_many(self, sql: str, values: Iterable[Any]) -> None:
        with self.write() as connection:
            connection.executemany(sql, values)

    # ---- what other rooms read

    def files(self, query: str | Iterable[str] = "", **keywords: Any) -> Iterator[dict[str, Any]]:
        """The files that a query finds, as plain data; see `tonearm.library.query`."""
        from tonearm.library.rows import query as find

        return find(self, query, **keywords)

    def labels(self, query: str | Iterable[str] = "") -> list[Any]:
        """Genre by the tags of each file that names one, with what must stay together when files are split."""
        from tonearm.library.labels import labels

        return labels(self, query)

    def embeddings(self, model: str | None = None, *, kind: str = "embedding") -> tuple[Any, Any]:
        """Ids of files (n,) and their vectors (n, d) float16 by a model (default: the one used last)."""
        from tonearm.library.vectors import of_files

        return of_files(self, model, kind)


def where(path: str | os.PathLike | None = None) -> Path:
    """The library that is meant: the one named, that of TONEARM_LIBRARY, or the one in tonearm's data."""
    return Path(os.path.abspath(os.path.expanduser(os.fspath(path)))) if path else library_file()


def open(path: str | os.PathLike | None = None, *, create: bool = False, write: bool = False) -> Library:
    """Open the library, brought to this version's form. `create` makes one where none is; `write` insists on writing.

    A library that cannot be written (a read-only drive) is opened for reading.
    """
    file = where(path)
    try:
        is_folder, exists = file.is_dir(), file.exists()
    except OSError as error:  # a folder above it that may not be entered, a name that cannot be one
        raise LibraryError(file, "unreadable", error.strerror or str(error)) from None
    if is_folder:
        raise LibraryError(file, "not-a-library", "it is a folder")
    if not exists:
        if not create:
            raise LibraryError(file, "no-library")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(file, "unreadable", f"its folder cannot be made ({error.strerror})") from None
    with translated(file):
        opened = _open(file, create)
    if (write or create) and not opened.writable:
        opened.close()
        raise LibraryError(file, "read-only")
    return opened


def _open(file: Path, create: bool) -> Library:
    if file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        return _open_for_reading(file)
    connection = _connect(file, "rwc" if create else "rw")
    try:
        _check(file, connection, new=create)
        _prepare(connection)
        schema.migrate(connection)
    except BaseException:
        connection.close()
        raise
    return Library(file, connection, writable=True)


def _open_for_reading(file: Path) -> Library:
    """Where SQLite cannot make its own small files beside it, a library is read as if nobody ever wrote to it."""
    # While somebody else scans, the newest rows lie in a log, which can be read if its owner lets us.
    log = Path(f"{file}-wal")
    busy = log.exists() and log.stat().st_size > 0
    connection = _connect(file, "ro", "" if busy else "&immutable=1")
    try:
        _check(file, connection, new=False)
        if schema.version_of(connection) < len(schema.MIGRATIONS):
            raise LibraryError(file, "read-only", "it is of an older version and cannot be brought up to date")
    except BaseException:
        connection.close()
        raise
    return Library(file, connection, writable=False)


def _connect(file: Path, mode: str, more: str = "") -> sqlite3.Connection:
    address = f"file:{quote(os.fsencode(file))}?mode={mode}{more}"
    connection = sqlite3.connect(address, uri=True, timeout=PATIENCE_SECONDS, isolation_level=None)
    connection.text_factory = text
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA mmap_size = 1073741824")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _check(file: Path, connection: sqlite3.Connection, *, new: bool) -> None:
    """Refuse what is no library before anything is changed in it; `new`: an empty file may become one."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner != schema.APPLICATION_ID and (tables or owner):
        raise LibraryError(file, "not-a-library", "it is a database of another program")
    if not tables and not new:
        raise LibraryError(file, "not-a-library", "it is empty")
    version = schema.version_of(connection)
    if version > len(schema.MIGRATIONS):
        raise LibraryError(file, "newer", f"it has version {version}, this tonearm knows {len(schema.MIGRATIONS)}")


def _prepare(connection: sqlite3.Connection) -> None:
    # Only for a new file: rows with a vector fit into larger pages.
    connection.execute("PRAGMA page_size = 8192")
    give_up = time.monotonic() + PATIENCE_SECONDS
    # With the log a reader never waits for a writer. NORMAL: a power cut may cost the last moments, never the file;
    # a killed process costs nothing.
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # Two processes make one library: SQLite does not wait here by itself.
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")
