"""The end of a build: rows in the order of the dataset, the three files, and the step into place."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tonearm.packs._journal import JOURNAL, Done, Journal, Row, RowsFile, checksum
from tonearm.packs._write import (
    BUILD_RECORD,
    STAGING,
    array_header,
    clear,
    commit,
    describe,
    flush,
    hash_file,
    write_bytes,
    write_json,
    write_table,
)
from tonearm.packs.pack import PackError, open_array, read_json
from tonearm.packs.track import Track

if TYPE_CHECKING:
    from pathlib import Path

    from tonearm.packs._plan import Plan

# Columns of tracks.csv that a build writes itself; a dataset's own column of the same name gives way.
OWN = ("id", "track", "genre", "split", "artist", "recording", "path", "sample_rate", "samples", "seconds",
       "start_seconds", "silent", "warning")  # fmt: skip


@dataclass(frozen=True)
class State:
    """Where a build stands: what is asked for, and the rows there are.

    `reused` tracks have theirs in the finished pack of the folder, `done` ones in the working file.
    """

    tracks: Sequence[Track]
    plan: Plan
    config: dict[str, Any]
    rows: RowsFile
    folder: Path
    paths: Callable[[str | None], str]
    quiet: bool
    reused: dict[str, Done] = field(default_factory=dict)
    done: dict[str, Done] = field(default_factory=dict)

    @property
    def working(self) -> Path:
        return self.folder / ".build"

    def entries(self) -> Iterator[tuple[Track, Done, bool]]:
        """Track, what became of it, and whether that lies in the finished pack; in the order of the dataset."""
        for track in self.tracks:
            old = track.id in self.reused
            yield track, (self.reused if old else self.done)[track.id], old

    def sources(self) -> list[tuple[bool, Row]]:
        """Where each row of the pack is to come from."""
        return [(old, row) for _, entry, old in self.entries() for row in entry.rows]

    def failed(self) -> list[dict[str, str]]:
        return [{"path": entry.path, **entry.failed} for _, entry, _ in self.entries() if entry.failed]


def finish(state: State) -> int | None:
    """Make the pack; the number of its rows, or None where the pack in the folder is already just that.

    Can be killed anywhere: the next build finds either the working folder, still good, or the finished files.
    """
    working = state.working
    sources = state.sources()
    old_meta = read_json(state.folder / "pack.json") if state.reused else {}
    unchanged = bool(state.reused) and _is_old_array(sources, old_meta)
    working.mkdir(exist_ok=True)
    # What a build that was killed just here had arranged may be of other tracks: it must not come along.
    (working / "features.npy").unlink(missing_ok=True)
    shape = (len(sources), *state.rows.shape)
    if unchanged:
        array_sha = old_meta["sha256"]["features.npy"]
    else:
        array_sha = _arrange(state, sources, shape)
    columns = _columns(state)
    table_sha = write_table(working / "tracks.csv", columns)
    meta = _meta(state, columns, shape, {"features.npy": array_sha, "tracks.csv": table_sha})
    if unchanged and meta == old_meta and _is_file(state.folder / "tracks.csv", table_sha):
        clear(working)
        return None
    _write_record(working / BUILD_RECORD, state)
    write_json(working / "pack.json", meta)
    if not unchanged and state.rows.path.exists() and not (working / "features.npy").exists():
        os.replace(state.rows.path, working / "features.npy")
    clear(state.folder / STAGING)
    os.replace(working, state.folder / STAGING)
    commit(state.folder)
    return len(sources)


def _is_old_array(sources: list[tuple[bool, Row]], old_meta: dict[str, Any]) -> bool:
    rows = old_meta.get("tracks", {}).get("rows")
    return len(sources) == rows and all(old and row.slot == j for j, (old, row) in enumerate(sources))


def _is_file(path: Path, sha256: str) -> bool:
    return path.is_file() and hash_file(path) == sha256


def _arrange(state: State, sources: list[tuple[bool, Row]], shape: tuple[int, ...]) -> str:
    """Bring the rows into the order of the dataset and return the sha256 of the array's file."""
    slots = [row.slot for _, row in sources]
    ascending = all(a < b for a, b in pairwise(slots))
    if any(old for old, _ in sources) or not ascending:
        return _copy(state, sources, shape)
    if slots != list(range(len(slots))):
        _close_gaps(state, slots)
    with open(state.rows.path, "r+b") as file:
        file.truncate(state.rows.start + len(slots) * state.rows.row_bytes)
        file.write(array_header(shape, state.rows.dtype))
        file.flush()
        with ThreadPoolExecutor(1) as beside:  # the disk writes while the processor hashes
            flushed = beside.submit(flush, file)
            digest = hash_file(state.rows.path)
            flushed.result()
    return digest


def _close_gaps(state: State, slots: list[int]) -> None:
    """Move rows down over the gaps that failed files left, in place: a second copy of the array may not fit the disk.

    Slots ascend, so a row never lands on one that has still to move, and a torn one is still whole where it came from.
    """
    journal = Journal(state.working / JOURNAL)
    journal.arranging(slots)
    journal.close()
    rows = state.rows
    with open(rows.path, "r+b", buffering=0) as file:
        for j, slot in enumerate(slots):
            if slot != j:
                file.seek(rows.start + slot * rows.row_bytes)
                data = file.read(rows.row_bytes)
                rows.write(j, data)


def _copy(state: State, sources: list[tuple[bool, Row]], shape: tuple[int, ...]) -> str:
    """Write the rows in order into a new file: where some come from the old pack, or lie out of order."""
    old = open_array(state.folder / "features.npy") if state.reused else None
    digest = hashlib.sha256()
    rows = state.rows
    # No name that the pack's own array has: a half-written one must not be taken for it after a kill.
    target = state.working / "arranged.npy"
    with open(target, "wb") as out, open(rows.path, "rb") if rows.path.exists() else open(os.devnull, "rb") as file:
        for data in _pieces(state, sources, old, file, shape):
            digest.update(data)
            out.write(data)
        flush(out)
    os.replace(target, state.working / "features.npy")
    return digest.hexdigest()


def _pieces(
    state: State, sources: list[tuple[bool, Row]], old: Any, file: Any, shape: tuple[int, ...]
) -> Iterator[Any]:
    yield array_header(shape, state.rows.dtype)
    for from_old, row in sources:
        if from_old:
            data = np.ascontiguousarray(old[row.slot]).reshape(-1).view(np.uint8).data
        else:
            file.seek(state.rows.start + row.slot * state.rows.row_bytes)
            data = file.read(state.rows.row_bytes)
        if checksum(data) != row.crc:
            where = state.folder / "features.npy" if from_old else state.rows.path
            raise PackError(
                f"{where}: row {row.slot} is damaged",
                hint="--restart builds the pack afresh" if from_old else "run the same command again",
                code="hash",
            )
        yield data


def _columns(state: State) -> dict[str, list[str]]:
    segments = state.plan.clips.segments
    names = [name for name in OWN if segments or name != "track"]
    extra = dict.fromkeys(name for track in state.tracks for name in track.extra if name not in OWN)
    columns: dict[str, list[str]] = {name: [] for name in [*names, *extra]}
    for track, entry, _ in state.entries():
        for number, row in enumerate(entry.rows):
            values = {
                **{name: str(value) for name, value in track.extra.items() if name in extra},
                **row.columns,
                "id": f"{track.id}#{number}" if segments else track.id,
                "track": track.id,
                "genre": track.genre,
                "split": track.split,
                "artist": track.artist,
                "recording": track.recording,
                "path": entry.path,
            }
            for name, column in columns.items():
                column.append(values.get(name, ""))
    return columns


def _meta(state: State, columns: dict, shape: tuple[int, ...], sha256: dict[str, str]) -> dict[str, Any]:
    plan = state.plan
    further = {key: value for key, value in plan.further.items() if key not in ("name", "classes") and value}
    further["clip"] = state.config["clip"]
    if plan.prepare:
        further["prepare"] = state.config["prepare"]
    # The rows of a feature of frames are named by its axes; a table wants a name for each of its numbers.
    if len(shape) == 2 and (names := plan.feature.columns()):
        further["columns"] = list(names)
    further["failed"] = state.failed()
    further["tonearm"] = state.config["tonearm"]
    genres = {genre for genre in columns["genre"] if genre}
    classes = [name for name in plan.further.get("classes", ()) if name in genres]
    return describe(
        name=plan.name,
        feature=state.config["feature"],
        axes=["segment" if plan.clips.segments else "track", *plan.feature.axes],
        scale=state.config["scale"],
        further=further,
        shape=shape,
        dtype=plan.dtype,
        columns=columns,
        classes=classes + sorted(genres - set(classes)),
        sha256=sha256,
    )


def _write_record(path: Path, state: State) -> None:
    """What the pack was made from, for the next build: rows by their number in the pack."""
    inputs, at = [], 0
    for _, entry, _ in state.entries():
        rows = [replace(row, slot=at + k) for k, row in enumerate(entry.rows)]
        at += len(rows)
        inputs.append(asdict(replace(entry, rows=rows)))
    content = {"config": state.config, "inputs": inputs}
    write_bytes(path, json.dumps(content, separators=(",", ":")).encode() + b"\n")
