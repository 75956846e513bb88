"""Several scans of one library at once: which file is in whose hands, and who of them is still alive."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

from tonearm.library.store import Library

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


class Claims:
    """The claims of one scan. It holds a lock on the byte of its own number, in a small file beside the library.

    The system's lock and not a time or a process id: it is free at the moment in which the process dies, however it
    dies, so that the next scan waits for nobody, and no other process is ever taken for it.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._file = os.open(f"{library.path}-scans", os.O_RDWR | os.O_CREAT, 0o644)
        with library.write() as connection:
            values = (socket.gethostname(), os.getpid(), int(time.time()))
            started = connection.execute("INSERT INTO scans (host, pid, started_at) VALUES (?, ?, ?)", values)
            self.id = started.lastrowid
            # Before anybody can see the row.
            self._lock(self.id)
        _OWN.add((str(library.path), self.id))

    def others(self) -> list[int]:
        """The scans that are under way in other processes; of those that died, what they held is given back."""
        rows = self._library.read("SELECT id FROM scans WHERE ended_at IS NULL AND id <> ?", (self.id,))
        alive = [number for (number,) in rows if self._is_alive(number)]
        dead = [number for (number,) in rows if number not in alive]
        if dead:
            with self._library.write() as connection:
                for number in dead:
                    connection.execute("UPDATE files SET claim = NULL WHERE claim = ?", (number,))
                    connection.execute("UPDATE scans SET ended_at = started_at WHERE id = ?", (number,))
        return alive

    def end(self, summary: str) -> None:
        """Give back what is still claimed, and be gone."""
        try:
            with self._library.write() as connection:
                connection.execute("UPDATE files SET claim = NULL WHERE claim = ?", (self.id,))
                values = (int(time.time()), summary, self.id)
                connection.execute("UPDATE scans SET ended_at = ?, summary = ? WHERE id = ?", values)
                # What was told long ago nobody asks for.
                connection.execute("DELETE FROM scans WHERE ended_at IS NOT NULL AND id < ?", (self.id - 1000,))
        finally:
            _OWN.discard((str(self._library.path), self.id))
            os.close(self._file)

    def _is_alive(self, number: int) -> bool:
        if (str(self._library.path), number) in _OWN:
            return True  # of this very process, for which its own locks are no hindrance
        try:
            self._lock(number)
        except BlockingIOError:
            return True
        except OSError:
            return False  # a drive without locks: a file that two scans hear is only heard twice
        self._unlock(number)
        return False

    def _lock(self, number: int) -> None:
        if fcntl:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except PermissionError:  # what some systems say for "somebody else has it"
                raise BlockingIOError from None
            return
        os.lseek(self._file, number, os.SEEK_SET)
        try:
            msvcrt.locking(self._file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None

    def _unlock(self, number: int) -> None:
        with suppress(OSError):
            if fcntl:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)
            else:
                os.lseek(self._file, number, os.SEEK_SET)
                msvcrt.locking(self._file, msvcrt.LK_UNLCK, 1)


# The scans of this process, by library.
_OWN: set[tuple[str, int]] = set()
