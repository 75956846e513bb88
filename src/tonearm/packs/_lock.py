"""One build per folder at a time. The lock belongs to the process: when that dies, however it dies, it is free."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tonearm.packs.pack import PackError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


@contextmanager
def locked(folder: Path, *, patience_seconds: float = 20.0) -> Iterator[None]:
    """Hold the lock of a folder, or say who holds it.

    By hand: thirty lines do not ask for a dependency. The system's own lock is used and not the existence of a file,
    which a killed process would leave behind. Worker processes inherit it: while one of a killed build still writes,
    the next build waits for it, up to `patience_seconds`.
    """
    path = folder / ".lock"
    give_up = time.monotonic() + patience_seconds
    while (handle := _try(path)) is None:
        pid = _holder(path)
        if pid is None or _alive(pid) or time.monotonic() > give_up:
            who = f"process {pid}" if pid else "another process"
            raise PackError(
                f"{folder}: {who} is building here",
                hint="wait for it, or stop it: what it has done is kept",
                code="locked",
            )
        time.sleep(0.02)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        # Removed while it is still held: whoever opened it meanwhile sees that it is no longer the file of that name.
        with suppress(OSError):
            path.unlink()
        os.close(handle)


@contextmanager
def alone(file: BinaryIO) -> Iterator[None]:
    """A lock among the workers of one build, on a file that they all have open, each by itself."""
    if fcntl:
        fcntl.lockf(file, fcntl.LOCK_EX)
    else:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
    try:
        yield
    finally:
        if fcntl:
            fcntl.lockf(file, fcntl.LOCK_UN)
        else:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)


def _try(path: Path) -> int | None:
    """The handle of the locked file, or None while somebody else has it."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise PackError(
            f"{path.parent}: not writable: {error.strerror}", hint="give another folder", code="output"
        ) from None
    try:
        if fcntl:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            # Behind the text: on Windows a locked byte cannot be read by others, and they want to read the pid.
            os.lseek(handle, 1 << 20, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _holder(path: Path) -> int | None:
    for _ in range(5):
        with suppress(OSError, ValueError):
            return int(path.read_text())
        time.sleep(0.02)  # Between its locking and its writing.
    return None


def _alive(pid: int) -> bool:
    if fcntl is None:
        return True  # On Windows no worker inherits the lock, so whoever has it is alive.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """A killed process whose parent has not asked for it yet still answers to kill(pid, 0)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return False
