"""What lies in folders: every file with a music ending, with what the system knows of it. Nothing is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple


@cache
def suffixes() -> frozenset[str]:
    """Endings of files that are decoded or tagged here."""
    # Asking a library imports this module too, and has no use for the decoders.
    from tonearm.audio import SUFFIXES as DECODED
    from tonearm.tags.formats import SUFFIXES as TAGGED

    return DECODED | {f".{ending}" for ending in TAGGED}


class Status(NamedTuple):
    """What shows that a file is the one it was."""

    size: int
    mtime_ns: int
    device: int
    inode: int


def status_of(found: os.stat_result) -> Status:
    # Some systems number beyond what SQLite holds; what is cut off tells nothing more.
    top = (1 << 63) - 1
    return Status(found.st_size, found.st_mtime_ns, found.st_dev & top, found.st_ino & top)


@dataclass
class Listing:
    """`files` by path; `folders` that could be listed, with their device; `problems` with those that could not."""

    files: dict[str, Status] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)


def walk(roots: Iterable[str], progress: Callable[[int], None] | None = None) -> Listing:
    """List folders and all below them, links followed, each real folder once; a root may also be a file.

    Folders are listed under their own names before any link is followed, so that a file keeps its path when a link
    to it appears. Pipes, devices and sockets are no music; hidden files and folders
    are what other programs keep for themselves.
    """
    listing = Listing()
    visited: set[tuple[int, int]] = set()
    links: list[str] = []
    waiting = []
    for root in reversed(list(roots)):
        if os.path.isdir(root):
            waiting.append(root)
        else:
            _add_named(root, listing)
    while waiting or links:
        here = waiting.pop() if waiting else links.pop(0)
        try:
            _list(here, listing, visited, waiting, links)
        except OSError as error:
            listing.problems.append(_problem(here, error))
        if progress:
            progress(len(listing.files))
    return listing


def _list(here: str, listing: Listing, visited: set, waiting: list[str], links: list[str]) -> None:
    own = os.stat(here)
    if (own.st_dev, own.st_ino) in visited:
        return  # a link back up: the folder would have no end
    visited.add((own.st_dev, own.st_ino))
    below, endings = [], suffixes()
    with os.scandir(here) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in endings:
                _add(entry, listing)
            elif entry.is_symlink() and _is_folder(entry):
                links.append(entry.path)
    listing.folders[here] = own.st_dev
    waiting += reversed(below)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # links in a circle


def _add(entry: os.DirEntry, listing: Listing) -> None:
    try:
        found = entry.stat()
        if found.st_ino == 0:  # Windows does not tell it here
            found = os.stat(entry.path)
    except FileNotFoundError:
        return  # gone since, or a link to nothing
    except OSError as error:
        listing.problems.append(_problem(entry.path, error))
        return
    if stat.S_ISREG(found.st_mode):
        listing.files[entry.path] = status_of(found)


def _add_named(path: str, listing: Listing) -> None:
    """A file that was named itself: its ending does not matter, and that it is missing has to be said."""
    try:
        found = os.stat(path)
    except OSError as error:
        listing.problems.append(_problem(path, error))
        return
    if stat.S_ISREG(found.st_mode):
        listing.files[path] = status_of(found)
    else:
        listing.problems.append({"path": path, "code": "not-a-file", "message": "it is a pipe or a device"})


def _problem(path: str, error: OSError) -> dict[str, str]:
    from tonearm.tags.errors import from_os

    told = from_os(path, error)
    return {"path": path, "code": told.code, "message": told.reason}
