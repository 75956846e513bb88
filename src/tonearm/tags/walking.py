"""From files and folders that a person names to the files that are meant."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from tonearm.errors import TonearmError
from tonearm.tags import formats
from tonearm.tags.errors import from_os


def problem(path: str, error: TonearmError) -> dict[str, str]:
    """A line of `skipped`."""
    return {"path": path, "code": error.code, "message": getattr(error, "reason", "") or error.message}


def walk(files: Iterable[str | os.PathLike], skipped: list[dict[str, str]]) -> Iterator[str]:
    """The files of folders (those with a music ending) and the files named, absolute; each real folder once."""
    visited: set[tuple[int, int]] = set()
    for given in files:
        path = os.path.abspath(os.fspath(given))
        if os.path.isdir(path):
            yield from _walk_folder(path, visited, skipped)
        else:
            yield path


def _walk_folder(folder: str, visited: set[tuple[int, int]], skipped: list[dict[str, str]]) -> Iterator[str]:
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in visited:
                continue  # a link back up: the folder would have no end
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(here) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(problem(here, from_os(here, error)))
            continue
        below = []
        for entry in entries:
            with contextlib.suppress(OSError):  # a link in a circle is no folder; opening it will say so
                if entry.is_dir():
                    below.append(entry.path)
                    continue
            ending = os.path.splitext(entry.name)[1][1:].lower()
            if ending in formats.SUFFIXES and not entry.name.startswith("."):
                yield entry.path
        waiting += reversed(below)
