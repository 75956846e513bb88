"""Fetching an archive: resumed where it was cut, checked against the published sum, whole or not there.

By urllib of the standard library: ranges and conditions are three headers, and a client library for them would be a
dependency of everybody for what most do once.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tonearm import __version__
from tonearm.datasets._dataset import Archive
from tonearm.errors import TonearmError

BLOCK = 1 << 20
# Left free beside what is fetched: a file system that is full to the last byte stops other programs, too.
SPARE_BYTES = 200 * 2**20
# Worth another try: the server is busy or was restarted.
_PASSING = (408, 425, 429, 500, 502, 503, 504)

Progress = Callable[[int, int], Any]


class FetchError(TonearmError):
    """An archive that could not be fetched. Codes: not-found, refused, network, checksum, disk-full, unwritable."""

    code = "network"


class _Answer(NamedTuple):
    """What the server sends from `start` on; `total` is the size of the whole file, 0 where it does not say."""

    body: http.client.HTTPResponse
    start: int
    total: int
    version: str


def fetch(
    archive: Archive,
    folder: str | Path,
    *,
    progress: Progress | None = None,
    timeout_seconds: float = 60.0,
    attempts: int = 8,
    wait_seconds: float = 1.0,
) -> Path:
    """Fetch an archive into a folder and return its path. What is there of it already is kept and gone on with.

    `progress(done, total)` is told the bytes. After `attempts` cuts in a row without a byte in between it gives up;
    called again, it goes on.
    """
    folder = Path(folder)
    path = folder / (Path(urlsplit(archive.url).path).name or archive.name)
    part = path.with_name(path.name + ".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if _is_right(archive, path):
                return path
            path.unlink()
        _download(archive, part, progress, timeout_seconds, attempts, wait_seconds)
        if not _is_right(archive, part):
            _forget(part)
            raise FetchError(
                f"{archive.url}: what came is not what was published (its checksum differs); it is deleted",
                hint="fetch it again; if it happens twice, the file at that address has changed",
                code="checksum",
            )
        os.replace(part, path)
        _note(part).unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, path) from None
    return path


def require_space(folder: Path, bytes_needed: int) -> None:
    """Stop before the disk is full, not after hours of loading."""
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(place).free
    if free < bytes_needed + SPARE_BYTES:
        raise FetchError(
            f"{folder}: {size_text(bytes_needed)} are needed, {size_text(free)} are free",
            hint="choose a folder on a larger disk, or make room",
            code="disk-full",
        )


def _download(
    archive: Archive, part: Path, progress: Progress | None, timeout_seconds: float, attempts: int, wait_seconds: float
) -> None:
    """Ask until the whole file is there. Every cut costs one attempt, every byte that comes gives them back."""
    left = attempts
    while True:
        had = part.stat().st_size if part.exists() else 0
        try:
            answer = _ask(archive.url, part, timeout_seconds)
            if answer is None:
                return
            with answer.body:
                require_space(part.parent, max(0, (answer.total or archive.bytes) - answer.start))
                done = _receive(answer, part, progress)
            if not answer.total or done == answer.total:
                return
            reason = f"cut after {size_text(done)} of {size_text(answer.total)}"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _PASSING:
                raise _refused(archive.url, error) from None
            reason = f"the server answers {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        now = part.stat().st_size if part.exists() else 0
        left = attempts if now > had else left - 1
        if left <= 0:
            raise FetchError(
                f"{archive.url}: {reason}", hint=f"the same command goes on from {size_text(now)}", code="network"
            )
        time.sleep(wait_seconds * 2 ** min(5, attempts - left))


def _ask(url: str, part: Path, timeout_seconds: float) -> _Answer | None:
    """Ask for what is missing; None where nothing is. A file that has changed meanwhile comes from its beginning."""
    had = part.stat().st_size if part.exists() else 0
    noted = _read_note(part)
    headers = {"User-Agent": f"tonearm/{__version__}", "Accept-Encoding": "identity"}
    # Without a version to compare, parts of two different files could end up in one.
    if had and noted.get("version") and noted.get("url") == url:
        headers |= {"Range": f"bytes={had}-", "If-Range": noted["version"]}
    try:
        body = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_seconds)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # Nothing lies behind what is there: it is whole, or longer than the file is now.
        error.close()
        if had == noted.get("total"):
            return None
        _forget(part)
        return _ask(url, part, timeout_seconds)
    tag = body.headers.get("ETag", "")
    # A weak tag (W/…) does not promise equal bytes, so it must not be used to go on.
    version = body.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
    length = int(body.headers.get("Content-Length") or 0)
    if body.status == 206:
        start, total = _range(body.headers.get("Content-Range", ""))
        # Some servers send a part of the new file, whatever the condition says.
        if start == had and total == noted.get("total"):
            return _Answer(body, start, total, version)
        body.close()
        _forget(part)
        return _ask(url, part, timeout_seconds)
    _write_note(part, {"url": url, "version": version, "total": length})
    return _Answer(body, 0, length, version)


def _receive(answer: _Answer, part: Path, progress: Progress | None) -> int:
    """Append what comes to the part and return its size, also when the connection ends too early."""
    done = answer.start
    with open(part, "r+b" if answer.start else "wb") as file:
        file.seek(answer.start)
        file.truncate()
        while True:
            try:
                block = answer.body.read1(BLOCK)
            except (http.client.HTTPException, TimeoutError, ConnectionError):
                if done == answer.start:
                    raise
                return done
            if not block:
                return done
            file.write(block)
            done += len(block)
            if progress:
                progress(done, answer.total)


def _range(text: str) -> tuple[int, int]:
    """`bytes 100-199/200` as (100, 200); (-1, 0) where it is not understood."""
    try:
        unit, _, rest = text.partition(" ")
        span, _, total = rest.partition("/")
        return (int(span.split("-")[0]), int(total)) if unit == "bytes" else (-1, 0)
    except ValueError:
        return -1, 0


def _is_right(archive: Archive, path: Path) -> bool:
    published = archive.sha256 or archive.sha1
    if not published:
        return True
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256" if archive.sha256 else "sha1").hexdigest()
    return found == published.lower()


def _note(part: Path) -> Path:
    """Which version of which file a part belongs to."""
    return part.with_name(part.name + ".json")


def _read_note(part: Path) -> dict[str, Any]:
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write_note(part: Path, note: dict[str, Any]) -> None:
    # The part first: a note of a new version beside bytes of an old one would join the two.
    part.unlink(missing_ok=True)
    _note(part).write_text(json.dumps(note), encoding="utf-8")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _refused(url: str, error: urllib.error.HTTPError) -> FetchError:
    if error.code in (404, 410):
        return FetchError(f"{url}: is not there any more ({error.code})", hint="look at the dataset's home page: "
                          "`tonearm data show` names it", code="not-found")  # fmt: skip
    return FetchError(f"{url}: the server refuses: {error.code} {error.reason}", code="refused")


def disk_error(error: OSError, path: Path) -> FetchError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FetchError(
            f"{path}: no space is left on the disk",
            hint="make room and give the same command again: it goes on where it stopped",
            code="disk-full",
        )
    return FetchError(f"{path}: cannot be written: {error.strerror or error}", code="unwritable")


def size_text(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
