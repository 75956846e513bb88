"""Files as people name them: paths, folders, names on standard input; and how names are shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Unread(NamedTuple):
    """A folder that could not be listed."""

    path: str
    code: str
    message: str


class Left(NamedTuple):
    """Sub-folders of a folder that were not looked into."""

    path: str
    count: int
    found: int


def tell_what_to_install(codes: Iterable[str]) -> None:
    """Once, below the lines of files that were left because nothing here reads their format."""
    if "needs-extra" in codes:
        print('  to read them too: pip install "tonearm[av]"', file=sys.stderr)


def names(given: Iterable[str], *, null: bool = False) -> Iterator[str]:
    """The names given, with `-` replaced by those on standard input: a line each, or ended by a zero byte."""
    for name in given:
        if name == "-":
            yield from _from_stdin(b"\0" if null else b"\n")
        else:
            yield name


def _from_stdin(end: bytes) -> Iterator[str]:
    rest = b""
    # Not by readline: names that end in zero bytes may hold newlines. As they come, so that a slow producer is no wait.
    while data := sys.stdin.buffer.read1(1 << 16):
        *whole, rest = (rest + data).split(end)
        yield from (_decoded(name, end) for name in whole if _decoded(name, end))
    if name := _decoded(rest, end):
        yield name


def _decoded(name: bytes, end: bytes) -> str:
    return os.fsdecode(name.removesuffix(b"\r") if end == b"\n" else name)


def sounds(given: Iterable[str], *, recursive: bool = False) -> Iterator[str | Unread | Left]:
    """Files named, and files in folders named that end like sound; a folder's own, or with `recursive` all below."""
    for name in given:
        if os.path.isdir(name):
            yield from _in_folder(name, recursive)
        else:
            yield name


def _in_folder(folder: str, recursive: bool) -> Iterator[str | Unread | Left]:
    from tonearm.audio import SUFFIXES

    waiting = [folder]  # no recursion: folders may be nested deeper than Python goes
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield Unread(folder, "unreadable", error.strerror or str(error))
            continue
        below = [entry.path for entry in entries if not entry.name.startswith(".") and _is_folder(entry, links=False)]
        found = 0
        for entry in entries:
            # Hidden files are what macOS and editors leave beside the real ones ("._song.mp3").
            ends_like_sound = os.path.splitext(entry.name)[1].lower() in SUFFIXES
            if ends_like_sound and not entry.name.startswith(".") and not _is_folder(entry, links=True):
                found += 1
                yield entry.path
        if recursive:
            waiting += reversed(below)
        elif below or not found:
            yield Left(folder, len(below), found)


def _is_folder(entry: os.DirEntry, *, links: bool) -> bool:
    """A folder; `links`: or a link to one, which nobody goes down into, because it may lead in circles."""
    try:
        return entry.is_dir(follow_symlinks=links)
    except OSError:  # a link in a circle, or to where one may not look: who reads it as a file says so
        return False


def shown(text: object) -> str:
    """A name as one printable line: newlines, control characters and bytes that are not UTF-8 are spelt out."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def short(path: str) -> str:
    """A path as `shown`, without the folder where one is."""
    return shorten()(path)


def shorten() -> Callable[[str], str]:
    """`short` for many paths: where one is, is asked once."""
    here = os.path.join(os.getcwd(), "")
    return lambda path: shown(path.removeprefix(here))


class Status:
    """One line on standard error that says how far it is, only where a person watches; `clear` before printing."""

    def __init__(self) -> None:
        self._on = sys.stderr is not None and sys.stderr.isatty()
        self._there = False

    def show(self, words: str) -> None:
        if self._on:
            sys.stderr.write(f"\r\x1b[K{words}")
            sys.stderr.flush()
            self._there = True

    def clear(self) -> None:
        if self._there:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._there = False
