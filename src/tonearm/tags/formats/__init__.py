"""Where the genre stands in each kind of file: one module per family, each registers one `Format`.

A format reads a `Layout` and turns new genres into splices of the file. The splices touch the genre and the sizes
around it and nothing else: every other frame, comment, picture and unknown block keeps its very bytes. mutagen, which
rewrites whole tags (it drops frame flags, merges doubled frames and replaces text that is not UTF-8), is used to read,
to check, to render single frames and pages, and for MP4, whose tag tree it keeps as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from tonearm.registry import Registry
from tonearm.tags.errors import TagError
from tonearm.tags.patch import Splice


@dataclass
class Layout:
    """What a file holds: `audio` are the (offset, length) ranges of the stream itself, the rest is tags."""

    container: str
    tags: list[str]
    genres: list[str]
    audio: list[tuple[int, int]]
    parts: dict[str, Any] = field(default_factory=dict)


class Format(NamedTuple):
    """`splices` or `edit` writes: `edit` changes a copy by its path, where a library does the work.

    `digest` stands for the stream where its bytes alone do not tell (pages renumbered, offsets moved); None: the bytes
    of `Layout.audio`. `others` gives everything in the tags but the genre, as a library that had no part in the writing
    reads it, in a form that can be compared.
    """

    sniff: Callable[[bytes], bool]
    read: Callable[[BinaryIO], Layout]
    others: Callable[[BinaryIO, Layout], Any]
    splices: Callable[[BinaryIO, Layout, list[str]], list[Splice]] | None = None
    edit: Callable[[str, Layout, list[str]], None] | None = None
    digest: Callable[[BinaryIO, Layout], Any] | None = None


registry: Registry[Format] = Registry("tag format", "tonearm.tags.formats")

# File endings worth opening when a folder is walked; what a file is, its content says.
SUFFIXES = frozenset(
    [
        *("mp3", "mp2", "aac", "tta", "flac", "ogg", "oga", "opus", "spx", "m4a", "m4b", "m4p", "mp4"),
        *("aif", "aiff", "aifc", "wav", "wave", "wma", "asf", "wv", "ape", "mpc", "mp+", "ofr", "tak"),
    ]
)


def find(file: BinaryIO, path: str) -> tuple[Format, int]:
    """The format of a file by its content, and where that content starts behind an ID3 tag in front."""
    from tonearm.tags.formats import _id3

    file.seek(0)
    start = _id3.size_in_front(file.read(10))
    file.seek(start)
    head = file.read(64)
    if not head:
        what = "there is nothing behind its ID3 tag" if start else "the file is empty"
        raise TagError(path, "not-audio" if not start else "damaged", what)
    # MP3 frames start with eleven set bits only: asked last, when no name matched.
    for name in sorted(registry, key=lambda name: name == "mpeg"):
        if registry.get(name).sniff(head):
            return registry.get(name), start
    if start or path.lower().endswith((".mp3", ".mp2")):
        # Many MP3s have junk before the first frame; the MP3 reader looks further.
        return registry.get("mpeg"), start
    raise TagError(path, "not-audio")


def read(file: BinaryIO, path: str) -> tuple[Format, Layout]:
    """The format and layout of an open file; every way a broken file can fail becomes a `TagError`."""
    format, _ = find(file, path)
    with telling(path, "damaged", "the tags are broken"):
        return format, format.read(file)


@contextlib.contextmanager
def telling(path: str, code: str, words: str) -> Iterator[None]:
    """Whatever a format's code or mutagen stumbles over in this file becomes one `TagError`: one file, one line."""
    import struct

    from mutagen import MutagenError

    try:
        yield
    except TagError as error:
        raise TagError(path, error.code, error.reason) from error
    except (MutagenError, struct.error, ValueError, TypeError, LookupError, AttributeError, EOFError) as error:
        raise TagError(path, code, f"{words} ({error or type(error).__name__})") from error
