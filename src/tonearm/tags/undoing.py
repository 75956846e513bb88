"""Taking an apply back: to the byte where the file is as it was left, the genre alone where others changed the file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, BinaryIO

from tonearm.errors import TonearmError
from tonearm.tags import formats, patch, swap
from tonearm.tags.errors import TagError, from_os
from tonearm.tags.journal import Journal, JournalError, folder, listing, lock, records, resolve, summary
from tonearm.tags.writing import Progress, Report, clear_up, write_genres


def history(*, journal_folder: str | os.PathLike | None = None) -> list[dict[str, Any]]:
    """Every apply that can be taken back, the latest first."""
    found = []
    for path in reversed(listing(folder(journal_folder))):
        try:
            found.append(summary(path))
        except TonearmError as error:
            found.append({"journal": path.name, "path": str(path), "state": "damaged", "message": error.message})
    return found


def undo(
    journal: str | os.PathLike | None = None,
    *,
    journal_folder: str | os.PathLike | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Restore what an apply changed: the latest that was not taken back yet, or the journal named.

    A file that is as the apply left it becomes what it was, to the byte, its time included. In one that another
    program changed since only the genre goes back; where that has been changed too it stays, unless `force`.
    """
    where = folder(journal_folder)
    report = Report()
    with lock(where):
        path = resolve(journal, where) if journal is not None else _latest(where)
        clear_up(where, report)
        if path is None:
            return report
        report.journal = str(path)
        written = _written(path)
        book = Journal(path)
        try:
            for done, (number, offset) in enumerate(reversed(written)):
                if progress:
                    progress(done, len(written))
                record = _at(path, offset)
                try:
                    with swap.opened(record["target"]) as file:
                        restored = _restore(book, number, record, file, force)
                except (TagError, JournalError) as error:
                    report.skip(record["path"], error)
                else:
                    if restored:
                        report.count += 1
                        report.details.append({"path": record["path"], "how": restored})
            if progress:
                progress(len(written), len(written))
            with contextlib.suppress(JournalError):  # everything is restored; only the word "undone" is missing
                book.write(sync=True, step="partly" if report.skipped else "undone", open=book.unfinished)
        finally:
            book.close()
    return report


def _latest(where: Path) -> Path | None:
    for path in reversed(listing(where)):
        with contextlib.suppress(TonearmError):
            told = summary(path)
            if told["state"] != "undone" and told["written"]:
                return path
    return None


def _written(path: Path) -> list[tuple[int, int]]:
    """Number and place in the journal of each file that was, or may have been, written: one line is read at a time."""
    found: dict[int, int] = {}
    offset = 0
    for record, length in _with_lengths(path):
        if record.get("step") == "ready" and not record.get("undo"):
            found[record["n"]] = offset
        elif record.get("step") == "failed" and not record.get("undo"):
            found.pop(record["n"], None)  # it never came to the file
        offset += length
    return sorted(found.items())


def _with_lengths(path: Path) -> Any:
    with open(path, "rb") as file:
        for record in records(path):
            yield record, len(file.readline())


def _at(path: Path, offset: int) -> dict[str, Any]:
    import json

    with open(path, "rb") as file:
        file.seek(offset)
        return json.loads(file.readline())


def _restore(book: Journal, number: int, record: dict[str, Any], file: BinaryIO, force: bool) -> str:
    """Returns how the file was restored: `bytes`, `genre`, or nothing where there was nothing to do."""
    path, target = record["path"], record["target"]
    try:
        now = patch.sha256_of(file)
    except OSError as error:
        raise from_os(path, error) from error
    if now == record["before"]:
        return ""
    if now == record["after"]:
        swap.check_writable(target, file)
        _restore_bytes(book, number, record, file)
        return "bytes"
    format, layout = formats.read(file, path)
    before, after = record["genres"]["before"], record["genres"]["after"]
    if layout.genres == before:
        return ""
    if layout.genres != after and not force:
        now = ", ".join(layout.genres) or "none"
        raise TagError(path, "changed", f"its genre has been changed since to {now} (--force restores it all the same)")
    swap.check_writable(target, file)
    write_genres(book, number, path, target, file, (format, layout), before, keep_times=True, undo=True)
    return "genre"


def _restore_bytes(book: Journal, number: int, record: dict[str, Any], file: BinaryIO) -> None:
    path, back = record["path"], patch.unpack(record["patches"])

    def make(temp: str) -> dict[str, Any]:
        try:
            with open(temp, "wb") as new:
                for piece in patch.patched(file, back):
                    new.write(piece)
            with open(temp, "rb") as new:
                after = patch.sha256_of(new)
        except OSError as error:
            raise from_os(path, error, writing=True) from error
        if after != record["before"]:
            raise TagError(path, "verify", "the journal does not lead back to what the file was")
        forth = patch.pack(patch.inverse(file, back))
        return {"before": record["after"], "after": after, "patches": forth}

    atime, mtime = record["times"]
    swap.replace(book, number, path, record["target"], file, make, undo=True, times=(atime, mtime))
