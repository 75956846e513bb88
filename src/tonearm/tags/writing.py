"""Writing the genres of one file, and of a plan: copy, edit the copy, prove it, journal it, put it in place."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tonearm.errors import TonearmError
from tonearm.tags import formats, patch, planning, swap, walking
from tonearm.tags.errors import TagError, from_os
from tonearm.tags.journal import Journal, JournalError, folder, last_record, listing, lock, records


@dataclass
class Report:
    """What an apply or undo did. `count` files were written or restored; the rest is in `skipped`, each with why."""

    count: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    journal: str | None = None
    details: list[dict[str, Any]] = field(default_factory=list)

    def skip(self, path: str, error: TagError | JournalError) -> None:
        self.skipped.append(walking.problem(path, error))


Progress = Callable[[int, int], None]


def apply(
    plan: planning.Plan | str | os.PathLike,
    *,
    journal_folder: str | os.PathLike | None = None,
    keep_times: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Write what a plan says; files that are not as they were are skipped and named. Returns what was done.

    With `dry_run` everything is checked and nothing is touched: `details` says what would be written.
    """
    name = "" if isinstance(plan, planning.Plan) else os.path.abspath(plan)
    if not isinstance(plan, planning.Plan):
        plan = planning.read_plan(plan)
    report = Report()
    if dry_run:
        for n, entry in enumerate(plan.entries):
            _tell(progress, n, plan)
            try:
                with swap.opened(os.path.realpath(entry["path"])) as file:
                    _checked(entry, os.path.realpath(entry["path"]), file)
                report.details.append({key: entry[key] for key in ("path", "before", "after")})
            except TagError as error:
                report.skip(entry["path"], error)
        return report
    where = folder(journal_folder)
    with lock(where):
        clear_up(where, report)
        if not plan.entries:
            return report
        journal = Journal.create(where, name)
        report.journal = str(journal.path)
        try:
            _apply_all(plan, journal, report, keep_times, progress)
            with contextlib.suppress(JournalError):  # what was written is written; only the word "end" is missing
                journal.write(sync=True, step="end", open=journal.unfinished)
        finally:
            journal.close()
    return report


def _apply_all(
    plan: planning.Plan, journal: Journal, report: Report, keep_times: bool, progress: Progress | None
) -> None:
    for n, entry in enumerate(plan.entries):
        _tell(progress, n, plan)
        path = entry["path"]
        try:
            target = os.path.realpath(path)
            with swap.opened(target) as file:
                format, layout = _checked(entry, target, file)
                if layout.genres == entry["after"]:
                    continue  # it would be written anew for nothing
                write_genres(journal, n, path, target, file, (format, layout), entry["after"], keep_times=keep_times)
        except TagError as error:
            report.skip(path, error)
        except JournalError as error:
            # Without a journal nothing may be touched: this file and those behind it stay as they are.
            for rest in plan.entries[n:]:
                report.skip(rest["path"], error)
            return
        else:
            report.count += 1
            report.details.append({key: entry[key] for key in ("path", "before", "after")})
    _tell(progress, len(plan.entries), plan)


def _tell(progress: Progress | None, done: int, plan: planning.Plan) -> None:
    if progress:
        progress(done, len(plan.entries))


def _checked(entry: dict[str, Any], target: str, file: BinaryIO) -> tuple[formats.Format, formats.Layout]:
    """The file's layout, if the file is the one that was planned for and may be written."""
    path = entry["path"]
    if {key: entry[key] for key in ("size", "mtime_ns")} != swap.fingerprint(os.fstat(file.fileno())):
        raise TagError(path, "changed", "its size or time changed since the plan")
    try:
        format, layout = formats.read(file, path)
        if planning.tags_digest(file, layout) != entry["tags_sha256"]:
            raise TagError(path, "changed", "its tags changed since the plan")
    except OSError as error:
        raise from_os(path, error) from error
    swap.check_writable(target, file)
    return format, layout


def write_genres(
    journal: Journal,
    number: int,
    path: str,
    target: str,
    file: BinaryIO,
    found: tuple[formats.Format, formats.Layout],
    genres: list[str],
    *,
    keep_times: bool = False,
    undo: bool = False,
) -> None:
    """Give one open file these genres, and prove that nothing else is different, before it takes the file's place."""
    format, layout = found
    status = os.fstat(file.fileno())

    def make(temp: str) -> dict[str, Any]:
        try:
            with formats.telling(path, "damaged", "the genre cannot be written into these tags"):
                before, splices = _fill(file, temp, format, layout, genres)
            with open(temp, "rb") as new, formats.telling(path, "verify", "the copy cannot be checked"):
                after = patch.sha256_of(new)
                _prove(path, file, new, format, layout, genres)
        except OSError as error:
            raise from_os(path, error, writing=True) from error
        return {
            "before": before,
            "after": after,
            "patches": patch.pack(patch.inverse(file, splices)),
            "genres": {"before": layout.genres, "after": genres},
            "times": [status.st_atime_ns, status.st_mtime_ns],
        }

    times = (status.st_atime_ns, status.st_mtime_ns) if keep_times else None
    swap.replace(journal, number, path, target, file, make, undo=undo, times=times)


def _fill(
    file: BinaryIO, temp: str, format: formats.Format, layout: formats.Layout, genres: list[str]
) -> tuple[str, list[patch.Splice]]:
    """Write the new content; returns the old content's sha256 and the splices from old to new."""
    if format.splices is not None:
        splices = patch.ordered(format.splices(file, layout, genres))
        _write(temp, patch.patched(file, splices))
        return patch.sha256_of(file), splices
    digest = hashlib.sha256()
    with open(temp, "wb") as new:
        for piece in patch.patched(file, []):
            digest.update(piece)
            new.write(piece)
    format.edit(temp, layout, genres)
    with open(temp, "rb") as new:
        return digest.hexdigest(), patch.difference(file, new)


def _write(path: str, pieces: Any) -> None:
    with open(path, "wb") as new:
        for piece in pieces:
            new.write(piece)


def _prove(
    path: str,
    old: BinaryIO,
    new: BinaryIO,
    format: formats.Format,
    layout: formats.Layout,
    genres: list[str],
) -> None:
    """Read the copy as a stranger would: the sound equal to the bit, every other tag equal, the genres as wanted."""
    written_format, written = formats.read(new, path)
    if written_format is not format or written.container != layout.container:
        raise TagError(path, "verify", "the copy is not the kind of file it was; it was thrown away")
    if stream_digest(old, format, layout) != stream_digest(new, format, written):
        raise TagError(path, "verify", "the sound of the copy is not the same; it was thrown away")
    if format.others(old, layout) != format.others(new, written):
        raise TagError(path, "verify", "other tags of the copy are not the same; it was thrown away")
    if written.genres != genres:
        raise TagError(path, "verify", f"the genres read back as {written.genres}; the copy was thrown away")


def stream_digest(file: BinaryIO, format: formats.Format, layout: formats.Layout) -> Any:
    """What stands for the sound itself: equal before and after, or the write is taken back."""
    if format.digest is not None:
        return format.digest(file, layout)
    return patch.sha256(patch.spans(file, layout.audio))


def clear_up(where: Path, report: Report) -> None:
    """What runs that were killed left behind: temporary files, and writes in place that want finishing."""
    for path in listing(where):
        last = last_record(path)
        if last.get("step") in ("end", "undone", "partly", "cleared") and not last.get("open"):
            continue
        open_steps: dict[tuple[int, bool], dict[str, Any]] = {}
        with contextlib.suppress(TonearmError):  # one damaged journal must not stand in the way of all work
            for record in records(path):
                key = (record.get("n", -1), record.get("undo", False))
                if record.get("step") in ("start", "ready"):
                    open_steps[key] = record
                elif record.get("step") in ("done", "failed"):
                    open_steps.pop(key, None)
        if not open_steps:
            continue
        journal = Journal(path, set(open_steps))
        try:
            for error in swap.recover(journal, open_steps):
                report.skip(error.path, error)
            if not journal.unfinished:
                journal.write(step="cleared")
        finally:
            journal.close()
