"""Putting new content in the place of old, so that a kill at any moment leaves one or the other, or a way back.

A file with one name gets a temporary file beside it, flushed and renamed over it. A file with several names (hard
links) is written in place, because a rename would part the names: there the temporary file, whole and flushed, stands
by until the last byte is in, and `recover` finishes from it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from tonearm.tags import patch
from tonearm.tags.errors import TagError, from_os
from tonearm.tags.journal import Journal, JournalError, sync_folder


class InterruptedSwap(TagError):
    """A write in place broke off and could not be taken back at once: the temporary file must stay."""


def fingerprint(status: os.stat_result) -> dict[str, int]:
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A regular file to read, not one that another program has locked."""
    try:
        # Opening a pipe would wait for ever: look first.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise TagError(path, "not-a-file")
        file = open(path, "rb")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise from_os(path, error) from error
    except ValueError as error:  # a zero byte in the name
        raise TagError(path, "missing", str(error)) from error
    with file:
        yield file


def check_writable(path: str, file: BinaryIO) -> None:
    """Refuse what the owner has protected, though a rename (or root) would get around it; and what is in use."""
    if not os.fstat(file.fileno()).st_mode & 0o222 or not os.access(path, os.W_OK):
        raise TagError(path, "read-only")
    if not os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK):
        raise TagError(path, "read-only", "its folder does not allow writing")
    if os.name == "nt":
        return
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The other kind of lock, which flock does not see; a shared one is enough to meet a writer.
        fcntl.lockf(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TagError(path, "in-use") from error
    except OSError as error:  # drives without locks
        if error.errno in (11, 13):
            raise TagError(path, "in-use") from error


def replace(
    journal: Journal,
    number: int,
    path: str,
    target: str,
    file: BinaryIO,
    make: Callable[[str], dict[str, Any]],
    *,
    undo: bool = False,
    times: tuple[int, int] | None = None,
) -> None:
    """Make the new content in a temporary file with `make`, then put it in the place of `target`.

    `file` is `target`, open to read. `make` gets the name of the empty temporary file, fills and checks it, and gives
    what the journal keeps: at least `before` and `after` (sha256 of the content) and `patches` (from after to before).
    """
    status = os.fstat(file.fileno())
    in_place = status.st_nlink > 1
    mark = "u" if undo else "a"
    temp = os.path.join(os.path.dirname(target), f".tonearm-{journal.name}-{mark}{number}.tmp")
    about = {"n": number, **({"undo": True} if undo else {})}
    kept: dict[str, Any] = {}
    journal.write(step="start", path=path, target=target, temp=temp, **about)
    try:
        os.close(os.open(temp, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        kept = make(temp)
        _dress(file, status, temp, times)
        with open(temp, "r+b") as made:
            os.fsync(made.fileno())
        how = "in-place" if in_place else "rename"
        places = {"path": path, "target": target, "temp": temp}
        journal.write(sync=True, step="ready", how=how, set_times=times, **places, **about, **kept)
        if _identity(os.stat(target)) != _identity(status):
            raise TagError(path, "changed", "it changed while it was worked on")
        if in_place:
            _overwrite(path, target, temp, patch.unpack(kept["patches"]), times)
        else:
            if os.name == "nt":
                file.close()  # Windows renames over no file that is open
            os.replace(temp, target)
            sync_folder(os.path.dirname(target))
    except InterruptedSwap as error:
        if isinstance(error.__cause__, OSError):
            raise
        raise error.__cause__ from None  # Ctrl-C, twice: `recover` finishes from the temporary file
    except OSError as error:
        _give_up(journal, about, temp, target, kept)
        raise from_os(path, error, writing=True) from error
    except BaseException:
        _give_up(journal, about, temp, target, kept)
        raise
    if in_place:
        remove(temp)
    with contextlib.suppress(JournalError):  # it is done all the same; the next file will meet the full disk
        journal.write(step="done", **about)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_dev, *fingerprint(status).values()


def _give_up(journal: Journal, about: dict[str, Any], temp: str, target: str, kept: dict[str, Any]) -> None:
    """Clear up. What counts is what the disk says: Ctrl-C may come after the deed and before the word for it."""
    done = False
    with contextlib.suppress(OSError), open(target, "rb") as file:
        done = bool(kept) and patch.sha256_of(file) == kept["after"]
    try:
        os.unlink(temp)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(temp)):
            return  # the drive is away: the step stays open, and the next run that sees the drive clears up
        done = bool(kept)
    except OSError:
        return
    with contextlib.suppress(JournalError):  # the reason why it failed is more worth telling
        journal.write(step="done" if done else "failed", **about)


def remove(temp: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(temp)


def _dress(file: BinaryIO, status: os.stat_result, temp: str, times: tuple[int, int] | None) -> None:
    """Owner, mode, extended attributes and times of the old file for the new one, as far as the system lets us."""
    if os.name != "nt":
        made = os.stat(temp)
        if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
            try:
                os.chown(temp, status.st_uid, status.st_gid)
            except OSError:
                # Another owner's file in one's own folder: the group may still be ours to give.
                with contextlib.suppress(OSError):
                    os.chown(temp, -1, status.st_gid)
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(file.fileno()):
                with contextlib.suppress(OSError):
                    os.setxattr(temp, name, os.getxattr(file.fileno(), name))
    os.chmod(temp, stat.S_IMODE(status.st_mode))
    if times:
        os.utime(temp, ns=times)


def _overwrite(path: str, target: str, temp: str, back: list[patch.Splice], times: tuple[int, int] | None) -> None:
    """Write the temporary file's content into `target`, from the first byte that differs on."""
    start = min((splice.offset for splice in back), default=0)
    status = os.stat(target)
    try:
        with open(temp, "rb") as new, open(target, "r+b") as old:
            size, former = new.seek(0, 2), old.seek(0, 2)
            if size > former and hasattr(os, "posix_fallocate"):
                # Room first: a disk that is full says so before anything is overwritten.
                os.posix_fallocate(old.fileno(), former, size - former)
            _pour(patch.spans(new, [(start, size - start)]), old, start)
        if times:
            os.utime(target, ns=times)
    except BaseException as error:
        try:
            with open(temp, "rb") as new, open(target, "r+b") as old:
                _pour(patch.patched(new, back), old, 0)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))  # the plan still holds
        except BaseException:
            raise InterruptedSwap(path, "torn", hint="`tonearm tag undo` finishes it") from error
        raise


def _pour(pieces: Iterable[bytes], file: BinaryIO, start: int) -> None:
    file.seek(start)
    for piece in pieces:
        file.write(piece)
    file.truncate()
    file.flush()
    os.fsync(file.fileno())


def recover(journal: Journal, open_steps: dict[tuple[int, bool], dict[str, Any]]) -> list[TagError]:
    """Clear up after a kill: finish what was being written in place, remove what lies about. Returns the troubles."""
    trouble = []
    for (number, undo), record in open_steps.items():
        temp, target = record["temp"], record["target"]
        if not os.path.isdir(os.path.dirname(temp)):
            continue  # the drive is away; there is another day
        if record["step"] == "ready" and record["how"] == "in-place" and os.path.exists(temp):
            try:
                if not _finish(record):
                    trouble.append(TagError(record["path"], "torn", f"its new content is kept in {temp!r}"))
                    continue
            except OSError as error:
                trouble.append(from_os(target, error, writing=True))
                continue
        remove(temp)
        about = {"n": number, **({"undo": True} if undo else {})}
        # Whether a rename took place, the file itself will tell by its digest.
        journal.write(step="done" if record["step"] == "ready" else "failed", recovered=True, **about)
    return trouble


def _finish(record: dict[str, Any]) -> bool:
    """Take a write in place to its end. False where the file is neither old nor new nor a mixture of both."""
    back = patch.unpack(record["patches"])
    with open(record["temp"], "rb") as new:
        if patch.sha256_of(new) != record["after"]:
            return False
        with open(record["target"], "r+b") as file:
            now = patch.sha256_of(file)
            if now == record["before"]:
                # Not begun: it is whole. But systems give a file a new time before the first byte is in.
                if record.get("times"):
                    os.utime(record["target"], ns=tuple(record["times"]))
                return True
            if now != record["after"]:
                if not _is_mixture(file, new, back):
                    return False
                _pour(patch.patched(new, []), file, 0)
    if record.get("set_times"):
        os.utime(record["target"], ns=tuple(record["set_times"]))
    return True


def _is_mixture(file: BinaryIO, new: BinaryIO, back: list[patch.Splice]) -> bool:
    """Whether each page of the file is that of the old or of the new content, or still zeros: else it is not ours."""
    size, page = file.seek(0, 2), 4096
    with open(new.name, "rb") as again:
        old_pages, new_pages = _pages(patch.patched(again, back), page), _pages(patch.patched(new, []), page)
        for offset in range(0, size, page):
            file.seek(offset)
            here, old, fresh = file.read(page), next(old_pages, b""), next(new_pages, b"")
            if not _mixed(here, fresh, old):
                return False
    return True


def _mixed(here: bytes, a: bytes, b: bytes) -> bool:
    """Whether `here` begins as `a` and goes on as `b`; room made beyond the end of either is zeros."""
    a, b = (side.ljust(len(here), b"\0")[: len(here)] for side in (a, b))
    same = patch.equal_prefix(here, a)
    return here[same:] == b[same:]


def _pages(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        held += piece
        whole = len(held) // size * size
        for start in range(0, whole, size):
            yield held[start : start + size]
        held = held[whole:]
    if held:
        yield held
