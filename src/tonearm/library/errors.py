"""What can be wrong with a library, and SQLite's own errors in these words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tonearm.errors import TonearmError

CODES = {
    "no-library": "there is no library yet",
    "not-a-library": "the file is not a library of tonearm",
    "newer": "the library was written by a newer tonearm",
    "read-only": "the library cannot be written",
    "unreadable": "the library cannot be opened",
    "disk-full": "the disk is full",
    "busy": "another program holds the library",
    "damaged": "the library's file is damaged",
    "failed": "the drive of the library failed",
}
_HINTS = {
    "no-library": "tonearm scan FOLDER makes one; --library names another file",
    "not-a-library": "name another file with --library; nothing was changed in this one",
    "newer": "update tonearm, or scan into another file with --library",
    "read-only": "check its permissions and those of its folder, or copy it elsewhere",
    "unreadable": "check its permissions and those of its folder",
    "disk-full": "make room and run the command again: what was done is kept",
    "busy": "wait for it, and run the command again",
    "damaged": "the music is untouched: move the file away and scan again",
    "failed": "see that the drive is connected, then run the command again: what was done is kept",
}
# SQLite's names of errors begin with these.
_BY_NAME = {
    "SQLITE_FULL": "disk-full",
    "SQLITE_BUSY": "busy",
    "SQLITE_LOCKED": "busy",
    "SQLITE_READONLY": "read-only",
    "SQLITE_CANTOPEN": "unreadable",
    "SQLITE_PERM": "unreadable",
    "SQLITE_NOTADB": "not-a-library",
    "SQLITE_CORRUPT": "damaged",
    "SQLITE_IOERR": "failed",
}


class LibraryError(TonearmError):
    """A library that cannot be used: which file, why (`code`, one of `CODES`)."""

    code = "failed"

    def __init__(self, path: object, code: str, reason: str = "") -> None:
        super().__init__(f"{path}: {reason or CODES[code]}", hint=_HINTS[code], code=code)
        self.path = str(path)


@contextmanager
def translated(path: object) -> Iterator[None]:
    """SQLite's errors about the file come out as LibraryError; a mistake of this program stays what it is."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None) or ""
        code = next((code for start, code in _BY_NAME.items() if name.startswith(start)), None)
        if code is None:
            raise
        raise LibraryError(path, code) from error
