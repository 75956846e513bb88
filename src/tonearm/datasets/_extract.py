"""Unpacking archives of strangers: nothing leaves the folder, no link is made, a kill leaves no half file."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from tonearm.datasets._fetch import FetchError, disk_error, require_space

# NotImplementedError: a compression that Python does not know. RuntimeError: a password.
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
)  # fmt: skip


class _Member(NamedTuple):
    """One file of an archive: its name inside, its size, and how to open it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def extract(
    archive: str | Path, folder: str | Path, *, progress: Callable[[int, int], Any] | None = None
) -> list[Path]:
    """Unpack a zip or tar into a folder and return what is there now. Files that are there in full size are kept.

    `progress(done, total)` is told the bytes.
    """
    archive, folder = Path(archive), Path(folder)
    written = []
    done = 0
    try:
        with ExitStack() as stack:
            members = list(_members(archive, stack))
            targets = [_target(archive, folder, member.name) for member in members]
            total = sum(member.size for member in members)
            missing = [m for m, t in zip(members, targets, strict=True) if not _is_there(t, m.size)]
            require_space(folder, sum(member.size for member in missing))
            for member, target in zip(members, targets, strict=True):
                if not _is_there(target, member.size):
                    _unpack(member, target)
                written.append(target)
                done += member.size
                if progress:
                    progress(done, total)
    except _BROKEN as error:
        raise _unreadable(archive, error) from None
    except OSError as error:
        # The decompressors raise OSError, too, but only the system's have a number.
        raise (_unreadable(archive, error) if error.errno is None else disk_error(error, folder)) from None
    return written


def _unreadable(archive: Path, error: Exception) -> FetchError:
    hint = "delete it and fetch it again, or unpack it with 7-Zip"
    return FetchError(f"{archive}: cannot be unpacked: {error}", hint=hint, code="archive")


def _members(archive: Path, stack: ExitStack) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        packed = stack.enter_context(zipfile.ZipFile(archive))
        for info in packed.infolist():
            # The upper half holds Unix permissions and kind: links are not followed and not made.
            if not info.is_dir() and (info.external_attr >> 16) & 0o170000 not in (0o120000,):
                yield _Member(info.filename, info.file_size, lambda info=info: packed.open(info))
    elif tarfile.is_tarfile(archive):
        tar = tarfile.open(archive)  # noqa: SIM115 – the stack closes it
        stack.enter_context(tar)
        for entry in tar:
            if entry.isreg():
                yield _Member(entry.name, entry.size, lambda entry=entry: tar.extractfile(entry))
        # A tar has no sums; the packing around it has one, which only reading to the very end compares.
        while tar.fileobj.read(1 << 20):
            pass
    else:
        raise FetchError(f"{archive}: neither zip nor tar", hint="delete it and fetch it again", code="archive")


def _target(archive: Path, folder: Path, name: str) -> Path:
    """Where a member goes; a name that leads out of the folder refuses the whole archive: it is hostile or broken."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or re.match(r"[A-Za-z]:", parts[0]) or "\0" in name:
        raise FetchError(
            f"{archive}: the file {name!r} in it leads out of the folder: nothing was unpacked",
            hint="do not trust this archive",
            code="archive",
        )
    target = folder.joinpath(*parts)
    # A link that is already in the folder leads out of it as well as a name does.
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise FetchError(f"{archive}: {target.parent} is a link that leads out of {folder}", code="archive")
    return target


def _is_there(target: Path, size: int) -> bool:
    return target.is_file() and target.stat().st_size == size


def _unpack(member: _Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        # Reading to the end checks the member's own sum.
        with member.open() as source, open(part, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
