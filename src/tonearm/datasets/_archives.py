"""An archive from its address to a folder on disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tonearm.datasets._dataset import Archive
from tonearm.datasets._extract import extract
from tonearm.datasets._fetch import FetchError, Progress, fetch, require_space
from tonearm.packs import PackError
from tonearm.packs._lock import locked

MARKER = ".fetched"


def obtain(
    archive: Archive,
    folder: str | Path,
    *,
    keep: bool = False,
    timeout_seconds: float = 60.0,
    show: Callable[[str], AbstractContextManager[Progress | None]] | None = None,
) -> Path:
    """Fetch and unpack an archive below a folder and return the folder that it makes; nothing is done twice.

    The archive is deleted when all of it is unpacked, unless `keep`. `show(text)` is entered around each of the two
    steps and gives the function that is told the bytes.
    """
    folder = Path(folder)
    made = folder / archive.folder
    if (made / MARKER).is_file():
        return made
    show = show or (lambda text: nullcontext())
    # Packed and unpacked lie side by side for a while, and music does not get smaller by packing.
    require_space(folder, 2 * archive.bytes - _bytes_in(folder, archive))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(f"{folder}: cannot be made: {error.strerror}", code="unwritable") from None
    try:
        with locked(folder, patience_seconds=0.0):
            with show(f"{archive.name}: fetching") as progress:
                path = fetch(archive, folder, progress=progress, timeout_seconds=timeout_seconds)
            with show(f"{archive.name}: unpacking") as progress:
                extract(path, folder, progress=progress)
            made.mkdir(exist_ok=True)
            # Says that all of it was unpacked, so that the archive need not stay to prove it.
            (made / MARKER).write_text(f"{archive.url}\n{archive.sha256 or archive.sha1}\n", encoding="utf-8")
            if not keep:
                path.unlink()
    except PackError as error:
        if error.code != "locked":
            raise FetchError(error.message, hint=error.hint, code="unwritable") from None
        raise FetchError(f"{folder}: another process is fetching here", hint="wait for it", code="locked") from None
    return made


def _bytes_in(folder: Path, archive: Archive) -> int:
    """What is there already of the packed and of the unpacked, so that going on is not refused for want of space."""
    files = [*folder.glob(Path(archive.url).name + "*"), *(folder / archive.folder).rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())
