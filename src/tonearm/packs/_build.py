"""From tracks to a pack: over all cores, resumable, and one bad file is one line."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import UsageError
from tonearm.packs import _journal
from tonearm.packs._clips import MISSING, Job, make_rows, stamp_of
from tonearm.packs._edit import difference
from tonearm.packs._finish import State, finish
from tonearm.packs._journal import Done, Journal
from tonearm.packs._lock import locked
from tonearm.packs._plan import Plan
from tonearm.packs._progress import Progress
from tonearm.packs._write import BUILD_RECORD, clear, commit, make_folder
from tonearm.packs.pack import PackError, open_array, read_json
from tonearm.packs.track import Track

# Failures that a second try may end otherwise though the file is the same: what was missing was not in the file.
OUTSIDE = ("needs-extra", "unreadable", "missing", "crashed", "timeout", "bug")
SYNC_SECONDS = 20.0


@dataclass(kw_only=True)
class Report:
    """What a build did: tracks computed now, tracks that were there already, files that could not be used."""

    pack: str
    built: int = 0
    reused: int = 0
    dropped: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0
    unchanged: bool = False


def build(
    tracks: Sequence[Track],
    folder: str | Path,
    plan: Plan,
    *,
    root: str | Path | None = None,
    workers: int | None = None,
    timeout_seconds: float | None = None,
    strict: bool = False,
    restart: bool = False,
    quiet: bool = True,
) -> Report:
    """Make the pack of these tracks in `folder`, going on with what is there.

    Interrupted anywhere, even by kill -9, it goes on when called again, and the pack is byte for byte that of a build
    that nothing disturbed. A file that cannot be used is a row of `failed`, not a stop; with `strict` there is then no
    pack, and what was computed is kept. `root` is the folder that paths are written down relative to.
    """
    began = time.monotonic()
    folder = Path(folder)
    _check_tracks(tracks)
    if timeout_seconds is not None and timeout_seconds <= 0:
        raise UsageError(f"a timeout of {timeout_seconds} s leaves no time for any file")
    make_folder(folder, force=True)
    rows = _journal.rows_file(folder / ".build", plan.shape, plan.dtype, np.dtype(plan.dtype).itemsize)
    state = State(tracks, plan, plan.config(), rows, folder, Paths(root), quiet)
    with locked(folder):
        try:
            report = _build(state, workers, timeout_seconds, strict, restart)
        except OSError as error:
            raise _stopped(folder, error.strerror or str(error)) from None
    report.seconds = round(time.monotonic() - began, 3)
    return report


class Paths:
    """Paths as a pack names them: relative to the root of the dataset, so that the pack can be given away."""

    def __init__(self, root: str | Path | None) -> None:
        self.root = os.path.abspath(root) if root else None

    def __call__(self, path: str | None) -> str:
        if not path or not self.root:
            return path or ""
        try:
            shown = os.path.relpath(path, self.root)
        except ValueError:  # another drive of Windows
            return path
        return path if shown.startswith("..") else Path(shown).as_posix()


def _check_tracks(tracks: Sequence[Track]) -> None:
    if not tracks:
        raise PackError("there are no tracks to build a pack of", code="empty")
    seen: set[str] = set()
    doubled = [t.id for t in tracks if t.id in seen or seen.add(t.id)]
    if doubled:
        raise PackError(f"the dataset gives ids twice: {', '.join(doubled[:5])}", code="duplicate-id")


def _build(state: State, workers: int | None, timeout_seconds: float | None, strict: bool, restart: bool) -> Report:
    commit(state.folder)
    if restart:
        clear(state.working)
    old = {} if restart else _old_entries(state)
    ids = [track.id for track in state.tracks]
    if old and old.keys().isdisjoint(ids):
        raise PackError(
            f"{state.folder}: holds a pack of other tracks",
            hint="give another folder, or --restart to replace it",
            code="output",
        )
    stamps = {track.id: stamp_of(track.path) for track in state.tracks}
    state.reused.update(_valid(state, old, stamps))
    if state.working.is_dir():
        resumed = _resume(state, stamps)
        state.done.update((name, entry) for name, entry in resumed.items() if name not in state.reused)
    todo = [i for i, name in enumerate(ids) if name not in state.reused and name not in state.done]
    if todo or state.done:
        _journal.open_working_folder(state.working, state.config)
        with contextlib.closing(Journal(state.working / _journal.JOURNAL)) as journal:
            _fill(state, todo, journal, workers, timeout_seconds)
    report = _report(state, todo, dropped=len(old.keys() - set(ids)))
    if not (strict and report.failed):
        report.unchanged = finish(state) is None
    return report


def _report(state: State, todo: list[int], dropped: int) -> Report:
    failed = state.failed()
    n_new = sum(state.done[state.tracks[i].id].failed is None for i in todo)
    n_rows = len(state.sources())
    if not n_rows:
        raise PackError(
            f"{state.folder}: not one of {len(state.tracks)} files could be used",
            hint=f"the first: {failed[0]['path']}: {failed[0]['message']}",
            code=failed[0]["code"],
        )
    n_reused = len(state.tracks) - len(failed) - n_new
    return Report(pack=str(state.folder), built=n_new, reused=n_reused, dropped=dropped, failed=failed, rows=n_rows)


def _old_entries(state: State) -> dict[str, Done]:
    """What the finished pack in the folder was made from, by track; empty where there is none."""
    folder = state.folder
    if not (folder / "pack.json").exists():
        return {}
    if not (folder / BUILD_RECORD).exists():
        raise PackError(
            f"{folder}: holds a pack that no build made, or whose {BUILD_RECORD} was deleted",
            hint="give another folder, or --restart to replace it",
            code="output",
        )
    record = read_json(folder / BUILD_RECORD)
    try:
        _same_config(folder, "a pack", record["config"], state.config)
        entries = [Done.from_json(content) for content in record["inputs"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise PackError(
            f"{folder / BUILD_RECORD}: damaged", hint="--restart builds the pack afresh", code="unreadable-json"
        ) from None
    n_rows = sum(len(entry.rows) for entry in entries)
    if len(open_array(folder / "features.npy")) != n_rows:
        raise PackError(f"{folder}: features.npy is not of this build", hint="--restart builds it afresh", code="shape")
    return {entry.id: entry for entry in entries}


def _same_config(folder: Path, what: str, there: dict, asked: dict) -> None:
    if different := list(difference("", there, asked)):
        raise PackError(
            f"{folder}: holds {what} with other settings (there and asked for): "
            + "; ".join(text.removeprefix(".") for text in different),
            hint="give another folder, or --restart to begin again",
            code="different",
        )


def _valid(state: State, entries: dict[str, Done], stamps: dict[str, tuple[int, int]]) -> dict[str, Done]:
    """The entries whose files are as they were, in the order of the dataset."""
    valid = {}
    for track in state.tracks:
        entry, stamp = entries.get(track.id), stamps[track.id]
        if entry is None or entry.path != state.paths(track.path) or entry.stamp != stamp:
            continue
        code = entry.failed["code"] if entry.failed else ""
        if code not in OUTSIDE or (code == "missing" and stamp == MISSING):
            valid[track.id] = entry
    return valid


def _resume(state: State, stamps: dict[str, tuple[int, int]]) -> dict[str, Done]:
    """What a stopped build has done that still holds; the journal is written anew with just that."""
    working, rows = state.working, state.rows
    if not (working / "config.json").is_file():
        return {}
    found, arranging = _journal.read_journal(working)
    if not found:
        clear(working)
        return {}
    _same_config(state.folder, "an unfinished build", read_json(working / "config.json"), state.config)
    if not rows.path.exists() and (working / "features.npy").exists():
        # Killed between giving the array its name and moving the pack into place.
        os.replace(working / "features.npy", rows.path)
    if not rows.path.exists():
        found = {}
    valid = _valid(state, found, stamps)
    if valid and not state.quiet:
        print(f"going on with an earlier build: {len(valid)} of {len(state.tracks)} tracks are done", file=sys.stderr)
    fine = _journal.trusted(valid.values(), arranging, rows) if valid else []
    _journal.rewrite_journal(working, fine)
    return {entry.id: entry for entry in fine}


def _fill(state: State, todo: list[int], journal: Journal, workers: int | None, timeout_seconds: float | None) -> None:
    """Compute what is missing, telling the journal of every track as it is done."""
    from tonearm.engines import local

    plan, rows, per_track = state.plan, state.rows, state.plan.clips.per_track
    _warn_of_size(state, len(todo) * max(1, per_track) * rows.row_bytes)
    rows.grow(len(state.tracks) * per_track)
    taken = {row.slot for entry in state.done.values() for row in entry.rows}

    def place(i: int) -> int | None:
        """The slot that needs no moving later, unless an earlier build of other tracks has put something there."""
        slots = range(i * per_track, (i + 1) * per_track)
        return slots.start if per_track and taken.isdisjoint(slots) else None

    job = Job(rows=rows, clips=plan.clips, feature=plan.feature, prepare=plan.prepare, scale=plan.scale, pad=plan.pad)
    items = [(state.tracks[i].path or "", place(i)) for i in todo]
    outcomes = local.run(partial(make_rows, job), items, workers=workers, timeout_seconds=timeout_seconds)
    progress = Progress(len(state.tracks), "tracks", done=len(state.tracks) - len(todo), quiet=state.quiet)
    synced = time.monotonic()
    try:
        for outcome in outcomes:
            entry = _entry(state.tracks[todo[outcome.index]], outcome, state.paths)
            if entry.failed and entry.failed["code"] == "cannot-write":
                raise _stopped(state.folder, entry.failed["message"])
            journal.add(entry)
            state.done[entry.id] = entry
            progress.step(failed=entry.failed is not None)
            if time.monotonic() - synced > SYNC_SECONDS:
                _sync(state, journal)
                synced = time.monotonic()
    finally:
        outcomes.close()
        progress.close()


def _warn_of_size(state: State, needed: int) -> None:
    # A warning only: short tracks have fewer clips than they might, and room may be made while it runs.
    free = shutil.disk_usage(state.folder).free
    if needed > free and not state.quiet:
        print(f"{state.folder}: up to {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free", file=sys.stderr)


def _entry(track: Track, outcome: Any, paths: Paths) -> Done:
    """What the journal says of one track."""
    path = paths(track.path)
    error = outcome.error
    if error is None:
        stamp, rows = outcome.value
        return Done(track.id, path, stamp, rows)
    # The reason alone, without the absolute path that the message names: the pack may be given to others.
    message = getattr(error, "reason", "") or error.message.removeprefix(f"{track.path}: ")
    if error.hint:
        message += f" ({error.hint})"
    return Done(track.id, path, stamp_of(track.path), failed={"code": error.code, "message": message})


def _sync(state: State, journal: Journal) -> None:
    """Now and then to the disk itself, so that a power cut costs seconds of work and not hours."""
    with open(state.rows.path, "rb") as file:
        os.fsync(file.fileno())
    journal.sync()


def _stopped(folder: Path, reason: str) -> PackError:
    return PackError(
        f"{folder}: the build had to stop: {reason[0].lower()}{reason[1:]}",
        hint="what is done is kept: make room and run the same command again",
        code="cannot-write",
    )
