"""From tracks to a pack: over all cores, resumable, and one bad file is one line."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import __version__
from tonearm.audio.prepare import Preparation
from tonearm.errors import UsageError
from tonearm.packs import _journal
from tonearm.packs._clips import Clips, Job, make_rows, stamp_of
from tonearm.packs._edit import difference
from tonearm.packs._finish import Built, finish
from tonearm.packs._journal import Done, Journal, RowsFile
from tonearm.packs._lock import locked
from tonearm.packs._progress import Progress
from tonearm.packs._write import BUILD_RECORD, clear, commit, make_folder
from tonearm.packs.pack import DTYPES, PackError, open_array, read_json
from tonearm.packs.track import Track

# Failures that a second try may end otherwise though the file is the same: what was missing was not in the file.
OUTSIDE = ("needs-extra", "unreadable", "missing", "crashed", "timeout", "bug")
SYNC_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to build: everything that decides the bytes of the pack, and nothing that does not."""

    name: str
    feature: Any
    clips: Clips = field(default_factory=Clips)
    dtype: str = "float32"
    scale: Any = None
    prepare: Preparation = field(default_factory=Preparation)
    further: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(f"dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")
        if self.dtype == "uint8":
            object.__setattr__(self, "scale", scale_of(self.feature, self.scale))
        elif self.scale is not None:
            raise UsageError(f"a scale is for uint8; {self.dtype} keeps the values as they are")
        if self.pad and self.feature.sample_rate is None:
            raise UsageError(
                f"at each file's own sample rate, {self.feature.kind!r} has as many shapes as there are rates",
                hint="set its sample_rate, or its frames",
            )
        if self.pad and self.clips.clip_seconds is None:
            raise UsageError(
                f"the feature {self.feature.kind!r} grows with the clip, so whole tracks do not fit into one array",
                hint="give --clip-seconds, or set its frames",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        rate = self.feature.sample_rate or 44100
        return tuple(self.feature.shape(round((self.clips.clip_seconds or 30.0) * rate), rate))

    @property
    def pad(self) -> bool:
        """Whether the feature grows with the clip, so that shorter ones must be filled up to make one array."""
        rate = self.feature.sample_rate or 44100
        samples = round((self.clips.clip_seconds or 30.0) * rate)
        return self.feature.shape(samples, rate) != self.feature.shape(2 * samples, rate)

    def config(self) -> dict[str, Any]:
        """What must be equal for rows to be of the same build, as plain data."""
        clips = {("clips_per_track" if k == "per_track" else k): v for k, v in asdict(self.clips).items()}
        return {
            "tonearm": __version__,
            "feature": self.feature.config(),
            "dtype": self.dtype,
            "scale": self.scale,
            "clip": clips,
            "prepare": self.prepare.config(),
        }


def scale_of(feature: Any, asked: Any = None) -> dict[str, Any]:
    """How a feature is brought into one byte: as asked for ("clip-minmax" or (low, high)), or the best that fits it."""
    top_db = getattr(feature, "top_db", None)
    if asked is None and top_db and getattr(feature, "ref", None) == "max":
        asked = (-top_db, 0.0)
    if asked is None or asked == "clip-minmax":
        return {"kind": "clip-minmax", "text": "per clip: min-max to 0..255; absolute level is lost"}
    try:
        low, high = (float(end) for end in asked)
    except (TypeError, ValueError):
        low = high = 0.0
    if not low < high:
        raise UsageError(f"a scale is clip-minmax or LOW,HIGH with low below high, not {asked!r}")
    return {
        "kind": "range",
        "low": low,
        "high": high,
        "text": f"{low:g} to {high:g} linearly to 0..255, cut off outside",
    }


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
    with locked(folder):
        try:
            report = _build(tracks, folder, plan, Paths(root), workers, timeout_seconds, strict, restart, quiet)
        except OSError as error:
            raise _full(folder, error.strerror or str(error)) from None
    report.seconds = round(time.monotonic() - began, 3)
    return report


class Paths:
    """Paths as a pack names them: relative to the root of the dataset, so that the pack can be given away."""

    def __init__(self, root: str | Path | None) -> None:
        self.root = os.path.abspath(root) if root else None

    def __call__(self, path: str | None) -> str:
        if not path or not self.root:
            return path or ""
        shown = (
            os.path.relpath(path, self.root)
            if os.path.splitdrive(path)[0] == os.path.splitdrive(self.root)[0]
            else path
        )
        return path if shown.startswith("..") else Path(shown).as_posix()


def _check_tracks(tracks: Sequence[Track]) -> None:
    if not tracks:
        raise PackError("there are no tracks to build a pack of", code="empty")
    seen: set[str] = set()
    doubled = [t.id for t in tracks if t.id in seen or seen.add(t.id)]
    if doubled:
        raise PackError(f"the dataset gives ids twice: {', '.join(doubled[:5])}", code="duplicate-id")


def _build(
    tracks: Sequence[Track], folder: Path, plan: Plan, paths: Paths, workers: int | None,
    timeout_seconds: float | None, strict: bool, restart: bool, quiet: bool,
) -> Report:  # fmt: skip
    commit(folder)
    config = plan.config()
    old = _old_entries(folder, config, restart)
    working = folder / ".build"
    if restart:
        clear(working)
    stamps = {track.id: stamp_of(track.path) for track in tracks}
    reused = {t.id: old[t.id] for t in tracks if _still_valid(old.get(t.id), t, stamps[t.id], paths)}
    if old and not set(old) & {t.id for t in tracks}:
        raise PackError(
            f"{folder}: holds a pack of other tracks",
            hint="give another folder, or --restart to replace it",
            code="output",
        )
    rows = _journal.rows_file(working, plan.shape, plan.dtype, np.dtype(plan.dtype).itemsize)
    done = _resume(working, config, rows, tracks, stamps, paths, quiet) if working.is_dir() else {}
    done = {name: entry for name, entry in done.items() if name not in reused}
    todo = [i for i, t in enumerate(tracks) if t.id not in reused and t.id not in done]
    kept = len(reused) + len(done)
    if todo or done:
        _journal.open_working_folder(working, config)
        with contextlib.closing(Journal(working / _journal.JOURNAL)) as journal:
            _fill(tracks, todo, done, rows, plan, paths, journal, folder, workers, timeout_seconds, quiet, kept)
    built = Built(tracks, plan, config, rows, folder, reused, done)
    return _report(built, todo, len(set(old) - {t.id for t in tracks}), strict)


def _report(built: Built, todo: list[int], dropped: int, strict: bool) -> Report:
    failed = built.failed()
    new = [built.done[built.tracks[i].id] for i in todo]
    n_new = sum(entry.failed is None for entry in new)
    report = Report(
        pack=str(built.folder),
        built=n_new,
        reused=len(built.tracks) - len(failed) - n_new,
        dropped=dropped,
        failed=failed,
        rows=len(built.sources()),
    )
    if not report.rows:
        raise PackError(
            f"{built.folder}: not one of {len(built.tracks)} files could be used",
            hint=f"the first: {failed[0]['path']}: {failed[0]['message']}",
            code=failed[0]["code"],
        )
    if not (strict and failed):
        report.unchanged = finish(built) is None
    return report


def _old_entries(folder: Path, config: dict, restart: bool) -> dict[str, Done]:
    """What the finished pack in the folder was made from, by track, or nothing where it cannot be told."""
    if restart or not (folder / "pack.json").exists():
        return {}
    if not (folder / BUILD_RECORD).exists():
        raise PackError(
            f"{folder}: holds a pack that no build made, or whose {BUILD_RECORD} was deleted",
            hint="give another folder, or --restart to replace it",
            code="output",
        )
    record = read_json(folder / BUILD_RECORD)
    _same_config(folder, "a pack", record.get("config", {}), config)
    try:
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


def _still_valid(entry: Done | None, track: Track, stamp: tuple[int, int], paths: Paths) -> bool:
    if entry is None or entry.path != paths(track.path) or entry.stamp != stamp:
        return False
    return (
        entry.failed is None
        or entry.failed["code"] not in OUTSIDE
        or (entry.failed["code"] == "missing" and stamp == (-1, -1))
    )


def _resume(
    working: Path, config: dict, rows: RowsFile, tracks: Sequence[Track], stamps: dict, paths: Paths, quiet: bool
) -> dict[str, Done]:
    """What a stopped build has done that still holds; the journal is written anew with just that."""
    if not (working / "config.json").is_file():
        return {}
    found, arranging = _journal.read_journal(working)
    if not found:
        clear(working)
        return {}
    _same_config(working.parent, "an unfinished build", read_json(working / "config.json"), config)
    if not rows.path.exists() and (working / "features.npy").exists():
        # Killed between giving the array its name and moving the pack into place.
        os.replace(working / "features.npy", rows.path)
    if not rows.path.exists():
        found = {}
    valid = [found[t.id] for t in tracks if _still_valid(found.get(t.id), t, stamps[t.id], paths)]
    if valid and not quiet:
        print(f"going on with an earlier build: {len(valid)} of {len(tracks)} tracks are done", file=sys.stderr)
    fine = _journal.trusted(valid, arranging, rows) if valid else []
    _journal.rewrite_journal(working, fine)
    return {entry.id: entry for entry in fine}


def _fill(
    tracks: Sequence[Track], todo: list[int], done: dict[str, Done], rows: RowsFile, plan: Plan, paths: Paths,
    journal: Journal, folder: Path, workers: int | None, timeout_seconds: float | None, quiet: bool, kept: int,
) -> None:  # fmt: skip
    """Compute what is missing, telling the journal of every track as it is done."""
    from tonearm.engines import local

    with open(rows.path, "ab"):
        pass
    per_track = plan.clips.per_track
    _warn_of_size(folder, len(todo) * max(1, per_track) * rows.row_bytes, quiet)
    rows.grow(len(tracks) * per_track)
    taken = {row.slot for entry in done.values() for row in entry.rows}
    job = Job(rows=rows, clips=plan.clips, feature=plan.feature, prepare=plan.prepare, scale=plan.scale, pad=plan.pad)

    def place(i: int) -> int | None:
        """The slot that needs no moving later, unless an earlier build of other tracks has put something there."""
        slots = range(i * per_track, (i + 1) * per_track)
        return slots.start if per_track and taken.isdisjoint(slots) else None

    items = [(tracks[i].path or "", place(i)) for i in todo]
    outcomes = local.run(partial(make_rows, job), items, workers=workers, timeout_seconds=timeout_seconds)
    progress = Progress(len(tracks), "tracks", done=kept, quiet=quiet)
    synced = time.monotonic()
    try:
        for outcome in outcomes:
            track = tracks[todo[outcome.index]]
            entry = _entry(track, outcome, paths)
            if entry.failed and entry.failed["code"] == "cannot-write":
                raise _full(folder, entry.failed["message"])
            journal.add(entry)
            done[track.id] = entry
            progress.step(failed=entry.failed is not None)
            if time.monotonic() - synced > SYNC_SECONDS:
                _sync(rows, journal)
                synced = time.monotonic()
    finally:
        outcomes.close()
        progress.close()


def _warn_of_size(folder: Path, needed: int, quiet: bool) -> None:
    # A warning only: short tracks have fewer clips than they might, and room may be made while it runs.
    free = shutil.disk_usage(folder).free
    if needed > free and not quiet:
        print(f"{folder}: up to {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free", file=sys.stderr)


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


def _sync(rows: RowsFile, journal: Journal) -> None:
    """Now and then to the disk itself, so that a power cut costs seconds of work and not hours."""
    with open(rows.path, "rb") as file:
        os.fsync(file.fileno())
    journal.sync()


def _full(folder: Path, reason: str) -> PackError:
    return PackError(
        f"{folder}: the build had to stop: {reason[0].lower()}{reason[1:]}",
        hint="what is done is kept: make room and run the same command again",
        code="cannot-write",
    )
