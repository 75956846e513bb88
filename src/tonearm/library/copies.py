"""Which files are the same sound (by hash), and which the same recording in another encoding (by fingerprint)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tonearm.audio import AudioError
from tonearm.engines import local
from tonearm.errors import TonearmError
from tonearm.library import prints
from tonearm.library.listing import batches
from tonearm.library.store import Library

# Lengths this close are one version of a recording; of a radio edit and an album version the beginnings are the same.
CLOSE_SECONDS, CLOSE_SHARE = 3.0, 0.02


# What may be otherwise the next time, though the file is the same.
TRANSIENT = ("missing", "unreadable", "vanished", "in-use", "loop", "failed", "disk-full")
# A file that takes longer than this hangs.
TIMEOUT_SECONDS = 300.0


class Unheard(NamedTuple):
    """A sound without a fingerprint, and a file of it as it was scanned."""

    content_id: int
    path: str
    size: int
    mtime_ns: int


def unheard(library: Library) -> list[Unheard]:
    """The sounds that nobody listened to for copies yet: a scan that predicts leaves that out."""
    sql = (
        "SELECT f.content_id, f.path, f.size, f.mtime_ns FROM files f WHERE f.content_id IS NOT NULL "
        "AND f.missing_at IS NULL AND f.error_code IS NULL AND NOT f.pending "
        "AND NOT EXISTS (SELECT 1 FROM sketches k WHERE k.content_id = f.content_id) "
        "GROUP BY f.content_id ORDER BY f.path"
    )
    return list(map(Unheard._make, library.read(sql)))


def complete(
    library: Library, *, workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, str]]:
    """Listen to the beginning of each sound that has no fingerprint yet, and keep it at once; returns what failed.

    Stopped anywhere, the next call goes on there. In a library that cannot be written nothing is listened to.
    """
    jobs = unheard(library) if library.writable else []
    problems: list[dict[str, str]] = []
    if not jobs:
        return problems
    count = min(local.default_workers() if workers is None else workers, -(-len(jobs) // 8))
    outcomes = local.run(_sketch, jobs, workers=count, timeout_seconds=TIMEOUT_SECONDS if count else None)
    for done, outcome in enumerate(outcomes, 1):
        job, sketch = jobs[outcome.index], outcome.value
        if (error := outcome.error) is not None:
            problems.append({"path": job.path, "code": error.code, "message": getattr(error, "reason", error.message)})
            # Bytes that cannot be decoded will not be decoded the next time either.
            sketch = b"" if isinstance(error, AudioError) and error.code not in TRANSIENT else None
        if sketch is not None:
            with library.write() as connection:
                if connection.execute("SELECT 1 FROM contents WHERE id = ?", (job.content_id,)).fetchone():
                    prints.insert(connection, job.content_id, sketch)
        if progress:
            progress(done, len(jobs))
    return problems


def _sketch(job: Unheard) -> bytes:
    from tonearm.tags.errors import from_os

    try:
        now = os.stat(job.path)
    except OSError as error:
        told = from_os(job.path, error)
        raise AudioError(job.path, told.code, told.reason) from error
    if (now.st_size, now.st_mtime_ns) != (job.size, job.mtime_ns):
        raise TonearmError(f"{job.path}: it changed since it was scanned: scan its folder again", code="changed")
    return prints.of_file(job.path)


def recordings(library: Library) -> dict[int, int]:
    """For each sound that is a copy of another: the smallest number among all that are copies of each other."""
    parent: dict[int, int] = {}

    def root(of: int) -> int:
        while parent.setdefault(of, of) != of:
            parent[of] = parent[parent[of]]
            of = parent[of]
        return of

    for a, b in library.read("SELECT a, b FROM copies"):
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return {content: root(content) for content in parent}


def duplicates(library: Library, *, listen: bool = True, workers: int | None = None) -> list[dict[str, Any]]:
    """Sets of files that are one, the largest waste first: `kind` exact, near or same-recording, as in the audit.

    Links to one file on the disk count once. With `listen`, sounds without a fingerprint get one first (`complete`).
    """
    if listen:
        complete(library, workers=workers)
    groups: dict[int, list[int]] = {}
    for content, recording in recordings(library).items():
        groups.setdefault(recording, []).append(content)
    found = []
    alone = library.read(
        "SELECT content_id FROM files WHERE content_id IS NOT NULL AND missing_at IS NULL AND error_code IS NULL "
        "GROUP BY content_id HAVING count(*) > 1"
    )
    grouped = {content for contents in groups.values() for content in contents}
    sets = [*groups.values(), *([content] for (content,) in alone if content not in grouped)]
    for some in batches(sets, 200):
        files = _files(library, [content for contents in some for content in contents])
        for contents in some:
            group = _group(library, contents, [file for content in contents for file in files.get(content, ())])
            found += [group] if group else []
    return sorted(found, key=lambda group: (-group["wasted_bytes"], group["files"][0]["path"]))


def _files(library: Library, contents: list[int]) -> dict[int, list[dict[str, Any]]]:
    sql = (
        "SELECT f.content_id, f.id, f.path, f.size, c.seconds, f.device, f.inode FROM files f "
        f"JOIN contents c ON c.id = f.content_id WHERE f.content_id IN ({','.join('?' * len(contents))}) "
        "AND f.missing_at IS NULL ORDER BY f.path"
    )
    found: dict[int, list[dict[str, Any]]] = {}
    seen: set[tuple[int, int]] = set()
    for content, id_, path, size, seconds, device, inode in library.read(sql, contents):
        if inode and (device, inode) in seen:
            continue  # another name of the same file: deleting it would free nothing
        seen.add((device, inode))
        file = {"id": id_, "path": path, "size": size, "seconds": seconds, "content": content}
        found.setdefault(content, []).append(file)
    return found


def _group(library: Library, contents: list[int], files: list[dict[str, Any]]) -> dict[str, Any] | None:
    if len(files) < 2:
        return None
    distinct = {file["content"] for file in files}
    lengths = [file["seconds"] for file in files if file["seconds"] is not None]
    share = None
    kind = "exact"
    if len(distinct) > 1:
        close = max(lengths, default=0) - min(lengths, default=0) <= max(
            CLOSE_SECONDS, CLOSE_SHARE * max(lengths, default=0)
        )
        kind = "near" if close else "same-recording"
        marks = ",".join("?" * len(distinct))
        sql = f"SELECT min(share) FROM copies WHERE a IN ({marks}) AND b IN ({marks})"
        share = library.read(sql, [*distinct, *distinct])[0][0]
    largest = max(file["size"] or 0 for file in files)
    return {
        "kind": kind,
        "share": None if share is None else round(share, 3),
        "wasted_bytes": sum(file["size"] or 0 for file in files) - largest,
        "files": files,
    }


def show_content(groups: Iterable[dict[str, Any]], library: Library) -> list[dict[str, Any]]:
    """The same groups with each sound's hash in place of its number, which means something to other programs."""
    groups = list(groups)
    contents = list({file["content"] for group in groups for file in group["files"]})
    hashes: dict[int, str] = {}
    for some in batches(contents, 500):
        sql = f"SELECT id, hash FROM contents WHERE id IN ({','.join('?' * len(some))})"
        hashes |= {id_: digest.hex() for id_, digest in library.read(sql, some)}
    return [
        {**group, "files": [{**file, "content": hashes[file["content"]]} for file in group["files"]]}
        for group in groups
    ]
