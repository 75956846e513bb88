"""Scan folders into the library: list them, then hear what is not known yet. Stopped anywhere, it goes on there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

from tonearm.engines import local
from tonearm.errors import TonearmError
from tonearm.library import folders, listing, prints, sound, store
from tonearm.library.claims import Claims
from tonearm.library.copies import TRANSIENT
from tonearm.library.listing import below
from tonearm.library.look import Job, Look, Wanted, look
from tonearm.library.store import Library

# Files that a scan holds for itself at a time: few, so that two scans end at about the same moment.
CLAIMED = 8
TIMEOUT_SECONDS = 300.0

Progress = Callable[[int, int | None], None]


@dataclass
class Report:
    """What a scan did. `found` files lie in the folders; `heard` were decoded, `known` were recognised by their sound.

    `away`: folders and drives that are not there; `busy`: files that another scan has in hand; `failed_before`: files
    that failed in an earlier scan and are the same.
    """

    library: str
    model: str | None
    found: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    returned: int = 0
    missing: int = 0
    unchanged: int = 0
    heard: int = 0
    known: int = 0
    busy: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    failed_before: int = 0
    away: list[dict[str, str | int]] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def scan(
    paths: Iterable[str | os.PathLike] = (),
    *,
    library: str | os.PathLike | None = None,
    model: str | os.PathLike | None = "fma",
    workers: int | None = None,
    retry: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
    progress: Progress | None = None,
) -> Report:
    """Bring the library up to date with folders (default: those scanned before), and hear what is new in them.

    `model`: a name or path for `runtime.load`; None hears no genres, only tags, lengths and fingerprints. `retry`:
    also files that failed before. `workers` as in `engines.local.run`. `progress(done, total)`: while folders are
    listed, total is None.
    """
    began = time.monotonic()
    chosen = None
    if model is not None:
        from tonearm import runtime

        chosen = runtime.load(model)
    with store.open(library, create=True) as lib:
        roots = listing.roots_of(lib, paths)
        report = Report(str(lib.path), chosen and f"{chosen.name} {chosen.version}")
        claims = Claims(lib)
        try:
            gone = _list(lib, roots, report, progress)
            _work(lib, roots, claims, chosen, report, workers, retry, timeout_seconds, progress)
            report.missing = _still_missing(lib, gone)
            report.seconds = round(time.monotonic() - began, 3)
        except BaseException:
            with suppress(TonearmError):  # what stopped the scan is what has to be told
                claims.end(_summary(report))
            raise
        claims.end(_summary(report))
    return report


def _summary(report: Report) -> str:
    return json.dumps({key: value for key, value in asdict(report).items() if isinstance(value, int | float)})


def _list(lib: Library, roots: list[str], report: Report, progress: Progress | None) -> list[int]:
    """The first half: what lies there is what the library says, or it is noted what has to be looked at.

    Returns the numbers of files that are no more where they were.
    """
    rows = listing.known(lib, roots)
    here = folders.walk([root for root in roots if os.path.lexists(root)], progress and (lambda n: progress(n, None)))
    found = listing.compare(rows, here, roots)
    report.moved = listing.apply(lib, here, found)
    folder_roots = [(store.raw(root), int(time.time())) for root in roots if root in here.folders]
    lib.write_many("INSERT OR REPLACE INTO roots VALUES (CAST(? AS TEXT), ?)", folder_roots)
    report.found, report.new = len(here.files), len(found.new) - report.moved + found.waiting
    report.changed, report.unchanged = len(found.changed), found.unchanged
    report.returned, report.missing, report.away = len(found.returned), len(found.missing), found.away
    report.failed += here.problems
    return [row.id for _, row in found.missing]


def _still_missing(lib: Library, gone: list[int]) -> int:
    """How many of them were not found again under another name, by their number or by their sound."""
    return sum(
        lib.one(
            f"SELECT count(*) FROM files WHERE missing_at IS NOT NULL AND id IN ({','.join('?' * len(batch))})", batch
        )[0]
        for batch in listing.batches(gone, listing.BATCH)
    )


def _work(
    lib: Library, roots: list[str], claims: Claims, model: Any, report: Report, workers: int | None, retry: bool,
    timeout_seconds: float, progress: Progress | None,
) -> None:  # fmt: skip
    """The second half: look at what is new or changed, and hear what no prediction of this model is there for."""
    model_id = None if model is None else _model_id(lib, model)
    claims.others()  # gives back what scans that died had claimed
    _try_again(lib, roots, retry)
    wanted = Wanted(str(lib.path), model and str(model.path), model_id)
    ids, failed_before = _waiting(lib, roots, model_id)
    report.failed_before = failed_before
    if not ids:
        return
    under_way: dict[int, Job] = {}
    items = _claimed(lib, claims, ids, model_id, under_way)
    workers = min(local.default_workers() if workers is None else workers, len(ids))
    patience = timeout_seconds if workers else None  # without a process nobody can end it
    outcomes = local.run(partial(look, wanted), items, workers=workers, timeout_seconds=patience)
    for done, outcome in enumerate(outcomes, 1):
        job = under_way.pop(outcome.index)
        found = outcome.value if outcome.error is None else _lost(job, outcome.error)
        _keep(lib, found, wanted, report)
        if progress:
            progress(done, len(ids))
    where, values = below(roots)
    busy = lib.one(
        f"SELECT count(*) FROM files WHERE claim IS NOT NULL AND claim <> ? AND {where}", [claims.id, *values]
    )
    report.busy = busy[0]


def _model_id(lib: Library, model: Any) -> int:
    name, version = model.name, model.version
    with lib.write() as connection:
        path = store.raw(os.path.abspath(model.path))
        (last,) = connection.execute("SELECT coalesce(max(used_at), 0) FROM models").fetchone()
        connection.execute(
            "INSERT INTO models (name, version, genres, path, used_at) VALUES (?, ?, ?, CAST(? AS TEXT), ?) "
            "ON CONFLICT (name, version) DO UPDATE SET used_at = excluded.used_at, path = excluded.path",
            # Two scans within a second: the later one is the later one all the same.
            (name, version, "\n".join(model.genres), path, max(int(time.time()), last + 1)),
        )
        return connection.execute(
            "SELECT id FROM models WHERE name = ? AND version = ?", (name, version)
        ).fetchone()[0]  # fmt: skip


def _try_again(lib: Library, roots: list[str], retry: bool) -> None:
    where, values = below(roots)
    codes = "error_code IS NOT NULL" if retry else "error_code = 'needs-extra'"
    if retry or find_spec("av") is not None:
        with lib.write() as connection:
            connection.execute(f"UPDATE files SET pending = 1 WHERE {codes} AND {where}", values)


def _waiting(lib: Library, roots: list[str], model_id: int | None) -> tuple[list[int], int]:
    """Files to look at, then one for each sound that has no prediction; and how many are left alone as failed."""
    where, values = below(roots)
    ids = lib.read(f"SELECT id FROM files WHERE pending AND missing_at IS NULL AND {where} ORDER BY path", values)
    if model_id is not None:
        ids += lib.read(
            f"SELECT min(id) FROM files WHERE content_id IS NOT NULL AND NOT pending AND missing_at IS NULL "
            f"AND error_code IS NULL AND {where} AND NOT EXISTS (SELECT 1 FROM predictions p "
            f"WHERE p.content_id = files.content_id AND p.model_id = ?) GROUP BY content_id ORDER BY 1",
            [*values, model_id],
        )
    failed = lib.read(
        f"SELECT count(*) FROM files WHERE error_code IS NOT NULL AND NOT pending AND missing_at IS NULL AND {where}",
        values,
    )
    return [id_ for (id_,) in ids], failed[0][0]


def _claimed(
    lib: Library, claims: Claims, ids: list[int], model_id: int | None, under_way: dict[int, Job]
) -> Iterator[Job]:
    """Jobs, claimed a few at a time as workers need them; what another scan has in hand or has done is passed over."""
    index = 0
    for batch in listing.batches(ids, CLAIMED):
        alive = ",".join(map(str, claims.others())) or "0"
        marks = ",".join("?" * len(batch))
        with lib.write() as connection:
            free = f"id IN ({marks}) AND missing_at IS NULL AND (claim IS NULL OR claim NOT IN ({alive}))"
            # What was needed when the list was made may have been done by another scan since.
            needed = (
                "(pending OR (? IS NOT NULL AND content_id IS NOT NULL AND error_code IS NULL AND NOT EXISTS "
                "(SELECT 1 FROM predictions p WHERE p.content_id = files.content_id AND p.model_id = ?)))"
            )
            connection.execute(
                f"UPDATE files SET claim = ? WHERE {free} AND {needed}", [claims.id, *batch, model_id, model_id]
            )
            rows = connection.execute(
                "SELECT f.id, f.path, f.pending, c.hash FROM files f LEFT JOIN contents c ON c.id = f.content_id "
                f"WHERE f.claim = ? AND f.id IN ({marks}) ORDER BY f.path",
                [claims.id, *batch],
            ).fetchall()
        for id_, path, pending, digest in rows:
            under_way[index] = job = Job(path, id_, None if pending else digest)
            index += 1
            yield job


def _lost(job: Job, error: TonearmError) -> Look:
    """What is known of a file whose worker died on it: what it is, so that the next scan does not die on it again."""
    message = getattr(error, "reason", "") or error.message
    found = Look(job, hash=job.hash, error={"code": error.code, "message": message})
    with suppress(OSError):
        found.status = folders.status_of(os.stat(job.path))
    return found


def _keep(lib: Library, found: Look, wanted: Wanted, report: Report) -> None:
    """Write one result, whole or not at all."""
    now = int(time.time())
    if found.error:
        report.failed.append({"path": found.job.path, **found.error})
    elif found.decoded:
        report.heard += 1
    else:
        report.known += 1
    with lib.write() as connection:
        id_ = found.job.file_id
        row = connection.execute("SELECT path, content_id FROM files WHERE id = ?", (id_,)).fetchone()
        if row is None or row[0] != found.job.path:
            return  # another scan has found meanwhile that it was moved, or it was forgotten
        content_id = None if found.hash is None else _keep_content(connection, found, wanted, now)
        code, message = (found.error["code"], found.error["message"]) if found.error else (None, None)
        connection.execute(
            "UPDATE files SET claim = NULL, error_code = ?, error_message = ?, pending = ? WHERE id = ?",
            (code, message, code in TRANSIENT, id_),
        )
        if found.status is None:
            return
        connection.execute(
            "UPDATE files SET size = ?, mtime_ns = ?, device = ?, inode = ?, content_id = ?, looked_at = ? "
            "WHERE id = ?",
            (*found.status, content_id, now, id_),
        )
        if content_id is not None:
            moved_to = _join_moved(connection, id_, content_id, new=row[1] is None)
            report.moved += moved_to is not None
            report.new -= moved_to is not None and row[1] is None  # it was only new until it was heard
            id_ = moved_to or id_
        if found.tags is not None:
            _keep_tags(connection, id_, found.tags)


def _keep_content(connection: Any, found: Look, wanted: Wanted, now: int) -> int:
    """The sound's row, with whatever was found out about it."""
    connection.execute("INSERT OR IGNORE INTO contents (hash) VALUES (?)", (found.hash,))
    (content_id,) = connection.execute("SELECT id FROM contents WHERE hash = ?", (found.hash,)).fetchone()
    if found.seconds is not None:
        connection.execute(
            "UPDATE contents SET seconds = ? WHERE id = ? AND seconds IS NULL", (found.seconds, content_id)
        )
    if found.sketch is not None:
        prints.insert(connection, content_id, found.sketch)
    if found.heard is not None:
        said = found.heard
        values = (said.genre, said.probability, said.sure, said.genres, said.warnings, said.probabilities, now)
        connection.execute(
            "INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (content_id, wanted.model_id, *values),
        )
        for kind, vector in said.vectors.items():
            connection.execute(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", (wanted.model_id, kind, content_id, vector)
            )
    return content_id


def _keep_tags(connection: Any, id_: int, tags: sound.Tags) -> None:
    connection.execute(
        "UPDATE files SET title = ?, artist = ?, album = ?, year = ?, genres = ?, words = ? WHERE id = ?",
        (*tags[:4], "\n".join(tags.genres), sound.words(tags), id_),
    )
    connection.execute("DELETE FROM file_genres WHERE file_id = ?", (id_,))
    rows = [(each, id_) for each in sound.folded_genres(tags.genres)]
    connection.executemany("INSERT INTO file_genres VALUES (?, ?)", rows)


def _join_moved(connection: Any, id_: int, content_id: int, *, new: bool) -> int | None:
    """If a file of the same sound is missing, this is it, moved: they become one, whose number is returned.

    A new file takes the number by which others know the song; one that was there before keeps its own.
    """
    row = connection.execute(
        "SELECT id, added_at FROM files WHERE content_id = ? AND missing_at IS NOT NULL AND id <> ? LIMIT 1",
        (content_id, id_),
    ).fetchone()
    if row is None:
        return None
    old, added_at = row
    connection.execute("DELETE FROM files WHERE id = ?", (old,))
    if not new:
        return id_
    connection.execute("UPDATE files SET id = ?, added_at = ? WHERE id = ?", (old, added_at, id_))
    return old
