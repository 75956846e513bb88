"""The journal: what each file was, written down and flushed before the file is touched.

One file per apply, JSON Lines, only ever appended to; a line that a kill cut off is not a line. Records:

    {"format", "created", "tonearm", "plan"}              the head
    {"step": "start", "n", "path", "target", "temp"}      a temporary file may lie there from now on
    {"step": "ready", "n", …}                             it is whole, with digests and patches; the file is next
    {"step": "done" | "failed", "n"}                      nothing of it is left lying about
    {"step": "end" | "undone" | "partly", "open"}         the apply, or an undo, ran through; `open`: not quite
    {"step": "cleared"}                                   what a kill had left was cleared up

An undo appends to the same file, with `"undo": true` in its records.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tonearm import __version__, paths
from tonearm.errors import TonearmError, UsageError
from tonearm.tags.errors import shown

FORMAT = "tonearm-journal/1"
SUFFIX = ".journal"


class JournalError(TonearmError):
    """The journal cannot be written or read. Without it no file is touched."""

    code = "journal"


def folder(given: str | os.PathLike | None = None) -> Path:
    """Where the journals lie."""
    return Path(given) if given else paths.data_folder() / "journals"


class Journal:
    """An open journal, to append to."""

    def __init__(self, path: Path, open_steps: set[tuple[int, bool]] | None = None) -> None:
        self.path = path
        self._open = open_steps or set()
        self.name = path.name.removesuffix(SUFFIX)
        try:
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115  (it lives as long as the journal)
        except OSError as error:
            raise JournalError(f"{shown(path)}: the journal cannot be opened ({error.strerror})") from error
        self._size = _whole_lines(path)
        self._file.truncate(self._size)

    @classmethod
    def create(cls, where: Path, plan: str) -> Journal:
        name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        try:
            where.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"{shown(where)}: cannot keep journals here ({error.strerror})") from error
        earlier = [path.name.removesuffix(SUFFIX) for path in listing(where)]
        if earlier and earlier[-1] >= name:
            name = earlier[-1] + "+"  # a clock that was set back must not make the latest journal an old one
        journal = cls(where / f"{name}{SUFFIX}")
        with contextlib.suppress(OSError):
            os.chmod(journal.path, 0o600)  # it names a person's files
        created = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            journal.write(sync=True, format=FORMAT, created=created, tonearm=__version__, plan=plan)
        except JournalError:
            journal.close()
            with contextlib.suppress(OSError):
                os.unlink(journal.path)
            raise
        sync_folder(where)
        return journal

    def write(self, *, sync: bool = False, **record: Any) -> None:
        """Append one record; with `sync` it is on the disk when this returns."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            # Half a line would swallow the next record.
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise JournalError(
                f"{shown(self.path)}: the journal cannot be written ({error.strerror}), so nothing more is touched",
                hint="make room, or keep the journals elsewhere with --journal FOLDER",
            ) from error
        self._size += len(line)
        key = (record.get("n", -1), record.get("undo", False))
        if record.get("step") == "start":
            self._open.add(key)
        elif record.get("step") in ("done", "failed"):
            self._open.discard(key)

    @property
    def unfinished(self) -> bool:
        """Whether some step was begun and has no end: the next run will look after it."""
        return bool(self._open)

    def close(self) -> None:
        self._file.close()


def _whole_lines(path: Path) -> int:
    """Bytes up to the last line's end."""
    with open(path, "rb") as file:
        end = position = file.seek(0, 2)
        while position > 0:
            step = min(1 << 16, position)
            position -= step
            file.seek(position)
            found = file.read(step).rfind(b"\n")
            if found >= 0:
                return position + found + 1
    return 0 if end else end


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The whole records of a journal, one by one (a journal can be larger than memory)."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    record = json.loads(line)
                except ValueError:
                    raise JournalError(f"{shown(path)}: line {number} of the journal is damaged") from None
                if number == 1 and record.get("format") != FORMAT:
                    raise UsageError(f"{shown(path)}: is not a journal of `tonearm tag apply`")
                yield record
    except OSError as error:
        raise JournalError(f"{shown(path)}: the journal cannot be read ({error.strerror})") from error


def last_record(path: Path) -> dict[str, Any]:
    """The last whole record; nothing where it cannot be read."""
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        end, held = file.seek(0, 2), b""
        while end > 0 and held.count(b"\n") < 2:
            step = min(1 << 12, end)
            end -= step
            file.seek(end)
            held = file.read(step) + held
        return json.loads(held[: held.rfind(b"\n")].rpartition(b"\n")[2])
    return {}


def listing(where: Path) -> list[Path]:
    """All journals of a folder, oldest first."""
    try:
        found = [path for path in where.iterdir() if path.name.endswith(SUFFIX)]
        return sorted(found, key=lambda path: path.name.removesuffix(SUFFIX))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(f"{shown(where)}: cannot be read ({error.strerror})") from error


def resolve(name: str | os.PathLike, where: Path) -> Path:
    """A journal by its path or by its name."""
    for path in (Path(name), where / f"{name}{SUFFIX}", where / str(name)):
        if path.is_file():
            return path
    raise UsageError(f"there is no journal {str(name)!r}", hint="`tonearm tag history` lists them")


def summary(path: Path) -> dict[str, Any]:
    """What a journal tells at a glance."""
    head: dict[str, Any] = {}
    started, ready, failed, restored, state = set(), set(), set(), set(), "unfinished"
    for record in records(path):
        head = head or record
        step, n, undo = record.get("step"), record.get("n"), record.get("undo", False)
        if step == "start" and not undo:
            started.add(n)
        elif step == "ready" and not undo:
            ready.add(n)
        elif step == "failed" and not undo:
            failed.add(n)
        elif step == "done" and undo:
            restored.add(n)
        elif step in ("end", "undone", "partly"):
            state = {"end": "applied", "undone": "undone", "partly": "partly undone"}[step]
    return {
        "journal": path.name.removesuffix(SUFFIX),
        "path": str(path),
        "created": head.get("created", ""),
        "plan": head.get("plan", ""),
        "written": len(ready - failed),
        "restored": len(restored),
        "state": state,
    }


@contextlib.contextmanager
def lock(where: Path) -> Iterator[None]:
    """One apply or undo at a time for a folder of journals; the system lets go of it when a process dies."""
    try:
        where.mkdir(parents=True, exist_ok=True)
        file = open(where / "lock", "a+b")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise JournalError(f"{shown(where)}: cannot keep journals here ({error.strerror})") from error
    try:
        try:
            _lock_file(file.fileno())
        except OSError:
            raise JournalError(
                "another `tonearm tag apply` or `undo` is at work", hint="wait until it is done", code="busy"
            ) from None
        yield
    finally:
        file.close()


def _lock_file(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sync_folder(where: str | os.PathLike) -> None:
    """A new name in a folder is on the disk only when the folder is."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):  # some network drives cannot
        descriptor = os.open(where, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
