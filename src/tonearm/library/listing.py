"""What lies in folders against what the library says: new, changed, moved, missing, or away with its drive."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from tonearm.errors import UsageError
from tonearm.library.folders import Listing, Status
from tonearm.library.sound import folded
from tonearm.library.store import Library, raw

# Rows per transaction: short enough that another scan never waits long.
BATCH = 500


class Known(NamedTuple):
    id: int
    status: Status
    pending: int
    missing_at: int | None


@dataclass
class Difference:
    """What a listing and the library disagree on. `away`: roots and drives that are not there, with what is on them."""

    new: list[str] = field(default_factory=list)
    changed: list[tuple[str, Known]] = field(default_factory=list)
    returned: list[Known] = field(default_factory=list)
    renumbered: list[tuple[str, Known]] = field(default_factory=list)
    missing: list[tuple[str, Known]] = field(default_factory=list)
    away: list[dict[str, str | int]] = field(default_factory=list)
    unchanged: int = 0
    waiting: int = 0  # listed by a scan that was stopped before it came to them


def roots_of(library: Library, given: Iterable[str | os.PathLike]) -> list[str]:
    """Absolute roots, none inside another; without any given, those that were scanned before."""
    paths = [os.path.abspath(os.path.expanduser(os.fspath(path))) for path in given]
    if not paths:
        paths = [path for (path,) in library.read("SELECT path FROM roots")]
        if not paths:
            raise UsageError("which folder should be scanned?", hint="tonearm scan ~/Music")
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda path: (len(path), path)):
        if not any(path.startswith(_inside(root)) for root in kept):
            kept.append(path)
    for path in kept:
        if not os.path.lexists(path) and not known(library, [path]):
            raise UsageError(f"{path}: there is no such folder or file", hint="check the spelling of the path")
    return kept


def _inside(root: str) -> str:
    return root if root.endswith(os.sep) else root + os.sep


def below(roots: list[str], column: str = "path") -> tuple[str, list[bytes]]:
    """SQL for "in one of these folders, or one of these files", by the index of paths; and its values."""
    parts, values = [], []
    for root in roots:
        start = raw(_inside(root))
        # The first text behind all that start so: the last character, one further.
        stop = start[:-1] + bytes([start[-1] + 1])
        parts.append(f"({column} >= CAST(? AS TEXT) AND {column} < CAST(? AS TEXT)) OR {column} = CAST(? AS TEXT)")
        values += [start, stop, raw(root)]
    return f"({' OR '.join(parts)})", values


def known(library: Library, roots: list[str]) -> dict[str, Known]:
    """What the library has under the roots, by path."""
    where, values = below(roots)
    sql = f"SELECT path, id, size, mtime_ns, device, inode, pending, missing_at FROM files WHERE {where}"
    return {
        path: Known(id_, Status(size, mtime_ns, device, inode), pending, missing_at)
        for path, id_, size, mtime_ns, device, inode, pending, missing_at in library.stream(sql, values)
    }


def compare(rows: dict[str, Known], listing: Listing, roots: list[str]) -> Difference:
    """What is different. Nothing is written, and only paths that are not listed any more are looked for."""
    found = Difference()
    fickle = _fickle_devices(rows, listing)
    for path, status in listing.files.items():
        row = rows.get(path)
        if row is None:
            found.new.append(path)
            continue
        if row.status.size is None:
            found.waiting += 1
            continue
        same = row.status[:2] == status[:2] and (row.status.inode == status.inode or status.device in fickle)
        if not same:
            found.changed.append((path, row))
            continue
        found.unchanged += 1
        if row.missing_at is not None:
            found.returned.append(row)
        if row.status != status:
            found.renumbered.append((path, row))
    _find_missing(rows, listing, roots, found)
    return found


def _fickle_devices(rows: dict[str, Known], listing: Listing) -> set[int]:
    """Drives that number their files anew each time they are mounted (FAT, some network drives).

    There another number says nothing. Elsewhere it says that a file was replaced by one of the same size and time, as
    programs do that write tags and keep the time.
    """
    same, other = Counter(), Counter()
    for path, status in listing.files.items():
        row = rows.get(path)
        if row is not None and row.status[:2] == status[:2]:
            (same if row.status.inode == status.inode else other)[status.device] += 1
    return {device for device, count in other.items() if count > max(2, same[device])}


def _find_missing(rows: dict[str, Known], listing: Listing, roots: list[str], found: Difference) -> None:
    """Files that were there and are not. Those of a folder or drive that is not there as a whole are only away.

    To mark them missing would cost nothing that cannot be had back, but it would be wrong: a drive that is not plugged
    in has lost no song.
    """
    gone = [(path, row) for path, row in rows.items() if path not in listing.files and row.missing_at is None]
    if not gone:
        return
    absent = _absent_roots(gone, listing, roots, found)
    unlisted = tuple(_inside(item["path"]) for item in listing.problems)
    seen = {rows[path].status.device for path in listing.files if path in rows}
    elsewhere: Counter[str] = Counter()
    for path, row in gone:
        if path.startswith(absent + unlisted) or os.path.lexists(path):
            continue
        folder = _nearest(path, listing)
        # The folder is on another drive than the file was, and of that drive nothing was seen.
        if folder and row.status.device not in (None, listing.folders[folder]) and row.status.device not in seen:
            elsewhere[folder] += 1
        else:
            found.missing.append((path, row))
    for folder, count in elsewhere.items():
        found.away.append({"path": folder, "files": count, "reason": "the drive that was there is not mounted"})


def _absent_roots(
    gone: list[tuple[str, Known]], listing: Listing, roots: list[str], found: Difference
) -> tuple[str, ...]:
    absent = []
    for root in roots:
        inside = _inside(root)
        count = sum(path.startswith(inside) for path, _ in gone)
        if not count:
            continue
        if root not in listing.folders:
            if os.path.isdir(root):
                continue  # it could not be listed, which is told elsewhere
            reason = "the folder is not there"
        elif not any(path.startswith(inside) for path in listing.files):
            reason = "the folder is empty"
        else:
            continue
        found.away.append({"path": root, "files": count, "reason": reason})
        absent.append(inside)
    return tuple(absent)


def _nearest(path: str, listing: Listing) -> str | None:
    """The innermost folder above a path that was listed."""
    while (above := os.path.dirname(path)) != path:
        if above in listing.folders:
            return above
        path = above
    return None


def apply(library: Library, listing: Listing, found: Difference) -> int:
    """Write the difference, in small transactions; returns how many of the new are old ones under another name."""
    now = int(time.time())
    missing = [(now, row.id, raw(path)) for path, row in found.missing if row.status.size is not None]
    _each(library, missing, "UPDATE files SET missing_at = ? WHERE id = ? AND path = CAST(? AS TEXT)")
    # What was never looked at and is gone leaves nothing behind.
    never = [(row.id,) for _, row in found.missing if row.status.size is None]
    _each(library, never, "DELETE FROM files WHERE id = ? AND size IS NULL AND pending")
    _each(library, [(row.id,) for row in found.returned], "UPDATE files SET missing_at = NULL WHERE id = ?")
    numbers = [(listing.files[path].device, listing.files[path].inode, row.id) for path, row in found.renumbered]
    _each(library, numbers, "UPDATE files SET device = ?, inode = ? WHERE id = ?")
    changed = [(row.id,) for _, row in found.changed]
    _each(library, changed, "UPDATE files SET pending = 1, missing_at = NULL WHERE id = ?")
    renamed = _renamed(library, listing, found.new)
    moved = ((raw(path), folded(path), id_) for path, id_ in renamed.items())
    _each(
        library,
        moved,
        "UPDATE OR IGNORE files SET path = CAST(? AS TEXT), path_words = ?, missing_at = NULL WHERE id = ?",
    )
    fresh = ((raw(path), folded(path), now) for path in found.new if path not in renamed)
    _each(library, fresh, "INSERT OR IGNORE INTO files (path, path_words, added_at) VALUES (CAST(? AS TEXT), ?, ?)")
    return len(renamed)


def _renamed(library: Library, listing: Listing, new: list[str]) -> dict[str, int]:
    """New paths of files that the library has under a path that is gone: the same file by number, size and time."""
    if not library.one("SELECT 1 FROM files WHERE inode IS NOT NULL LIMIT 1"):
        return {}
    found: dict[str, int] = {}
    taken: set[int] = set()
    sql = "SELECT id, path FROM files WHERE inode = ? AND device = ? AND size = ? AND mtime_ns = ? AND NOT pending"
    for path in new:
        status = listing.files[path]
        for id_, old in library.read(sql, (status.inode, status.device, status.size, status.mtime_ns)):
            if status.inode and id_ not in taken and not os.path.lexists(old):
                found[path] = id_
                taken.add(id_)
                break
    return found


def _each(library: Library, values: Iterable[tuple], sql: str) -> None:
    for batch in batches(values, BATCH):
        library.write_many(sql, batch)


def batches(values: Iterable, size: int) -> Iterator[list]:
    """Lists of at most `size` (itertools.batched came after Python 3.11)."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch
