"""MP4, M4A, M4B: the atom ©gen with one `data` per genre. mutagen writes, a walk of our own over the atoms checks."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from tonearm.tags.errors import TagError
from tonearm.tags.formats import Format, Layout, registry

KEY = "\xa9gen"
TREE = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")


def _atoms(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset of the body and its length, for the atoms from `start` to `stop`."""
    while start + 8 <= stop:
        file.seek(start)
        head = file.read(16)
        size, name, skip = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, skip = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = stop - start  # the last atom may run to the end of the file
        if size < skip or start + size > stop:
            raise TagError("", "damaged", f"its atom {name!r} is longer than what holds it")
        yield name, start + skip, size - skip
        start += size


def _read(file: BinaryIO) -> Layout:
    from mutagen.mp4 import MP4

    end = file.seek(0, 2)
    top = list(_atoms(file, 0, end))
    audio = [(offset, length) for name, offset, length in top if name == b"mdat"]
    if not audio:
        raise TagError("", "damaged", "there is no sound in it")
    file.seek(0)
    read = MP4(file)
    genres = [str(genre) for genre in (read.tags or {}).get(KEY, []) if str(genre).strip()]
    return Layout("MP4", ["MP4"] if read.tags is not None else [], genres, audio, {})


def _edit(path: str, layout: Layout, genres: list[str]) -> None:
    from mutagen.mp4 import MP4

    with open(path, "r+b") as file:
        read = MP4(file)
        if read.tags is None:
            read.add_tags()
        if genres:
            read.tags[KEY] = genres
        else:
            read.tags.pop(KEY, None)
        file.seek(0)
        read.save(file, padding=lambda info: max(info.padding, 0))


def _offsets(file: BinaryIO, start: int, stop: int) -> Iterator[int]:
    """Where each chunk of sound is said to lie: offsets into the file, from every table in there."""
    for name, offset, length in _atoms(file, start, stop):
        if name in TREE:
            yield from _offsets(file, offset, offset + length)
        elif name in (b"stco", b"co64"):
            file.seek(offset + 4)
            count = int.from_bytes(file.read(4), "big")
            letter, size = ("I", 4) if name == b"stco" else ("Q", 8)
            raw = file.read(count * size)
            yield from struct.unpack(f">{len(raw) // size}{letter}", raw[: len(raw) // size * size])
        elif name == b"tfhd":
            file.seek(offset)
            flags = file.read(16)
            if flags[3] & 1:
                yield int.from_bytes(flags[8:16], "big")


def _digest(file: BinaryIO, layout: Layout) -> Any:
    """The sound, and that each table still points at the same place of it."""
    from tonearm.tags.patch import sha256, spans

    end = file.seek(0, 2)
    places = []
    for offset in _offsets(file, 0, end):
        inside = next((n for n, (start, size) in enumerate(layout.audio) if start <= offset <= start + size), None)
        places.append((inside, offset - layout.audio[inside][0]) if inside is not None else (None, 0))
    return sha256(spans(file, layout.audio)), [length for _, length in layout.audio], places


def _others(file: BinaryIO, layout: Layout) -> Any:
    from mutagen.mp4 import MP4

    file.seek(0)
    tags = MP4(file).tags
    kept = {key: repr(value) for key, value in (tags or {}).items() if key != KEY}
    failed = {key: value for key, value in getattr(tags, "_failed_atoms", {}).items() if key not in (KEY, "gnre")}
    return kept, failed


registry.add("mp4")(Format(lambda head: head[4:8] == b"ftyp", _read, _others, edit=_edit, digest=_digest))
