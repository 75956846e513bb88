"""ASF, WMA: the attribute WM/Genre in the header in front; the first among the extended content, more in the library.

By hand because mutagen renders the whole header anew: what ffmpeg wrote twice moves from one object to another. Where
the values go is mutagen's way (and that of most readers): one of a name among the extended content descriptors, any
further ones in the metadata library.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from tonearm.tags.errors import TagError
from tonearm.tags.formats import Format, Layout, registry
from tonearm.tags.patch import Splice

HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
CONTENT = bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850")
EXTENSION = bytes.fromhex("b503bf5f2ea9cf118ee300c00c205365")
METADATA = bytes.fromhex("eacbf8c5af5b77488467aa8c44fa4cca")
LIBRARY = bytes.fromhex("941c23449894d149a1411d134e457054")
RESERVED = bytes.fromhex("11d2d3abbaa9cf118ee600c00c205365") + struct.pack("<H", 6)
KEY = "WM/Genre"
NAME = (KEY + "\0").encode("utf-16-le")
TEXT = 0


class Part(NamedTuple):
    """An object of the header: `start` is that of its 24 bytes of GUID and size."""

    guid: bytes
    start: int
    end: int


class Attribute(NamedTuple):
    name: str
    kind: int
    start: int
    end: int
    value: bytes


def _parts(data: bytes, start: int, stop: int) -> Iterator[Part]:
    while start + 24 <= stop:
        size = int.from_bytes(data[start + 16 : start + 24], "little")
        if size < 24 or start + size > stop:
            raise TagError("", "damaged", "an object of its header is longer than the header")
        yield Part(data[start : start + 16], start, start + size)
        start += size


def _attributes(data: bytes, part: Part) -> Iterator[Attribute]:
    at = part.start + 26
    for _ in range(int.from_bytes(data[part.start + 24 : at], "little")):
        if part.guid == CONTENT:
            (length,) = struct.unpack_from("<H", data, at)
            name, kind_at = at + 2, at + 2 + length
            kind, size = struct.unpack_from("<HH", data, kind_at)
            value = kind_at + 4
        else:
            length, kind, size = struct.unpack_from("<HHI", data, at + 4)
            name, value = at + 12, at + 12 + length
        if value + size > part.end:
            raise TagError("", "damaged", "an attribute of its header is longer than its place")
        text = data[name : name + length].decode("utf-16-le", "replace").rstrip("\0")
        yield Attribute(text, kind, at, value + size, data[value : value + size])
        at = value + size


def _header(file: BinaryIO) -> bytes:
    end = file.seek(0, 2)
    file.seek(16)
    size = int.from_bytes(file.read(8), "little")
    if size < 30 or size >= end:
        raise TagError("", "damaged", "its header is longer than the file")
    file.seek(0)
    return file.read(size)


def _read(file: BinaryIO) -> Layout:
    from mutagen.asf import ASF

    data = _header(file)
    parts = list(_parts(data, 30, len(data)))
    extension = next((part for part in parts if part.guid == EXTENSION), None)
    if extension is not None:
        parts += _parts(data, extension.start + 46, extension.end)
    holders = [part for part in parts if part.guid in (CONTENT, METADATA, LIBRARY)]
    old = [(part, a) for part in holders for a in _attributes(data, part) if a.name == KEY and a.kind == TEXT]
    end = file.seek(0, 2)
    file.seek(0)
    genres = [str(value) for value in ASF(file).tags.get(KEY, []) if str(value).strip()]
    found = {"data": data, "parts": parts, "extension": extension, "old": old, "end": end}
    return Layout("ASF", ["ASF"], genres, [(len(data), end - len(data))], found)


def _splices(file: BinaryIO, layout: Layout, genres: list[str]) -> list[Splice]:
    data, parts, old = layout.parts["data"], layout.parts["parts"], layout.parts["old"]
    extension = layout.parts["extension"]
    by_guid = {part.guid: part for part in reversed(parts)}
    changes = [Splice(a.start, a.end - a.start, b"") for _, a in old]
    counts = {part: -sum(holder is part for holder, _ in old) for part in parts}
    growth = {part: -sum(a.end - a.start for holder, a in old if holder is part) for part in parts}
    inside = 0  # bytes and objects that the header gets new
    new_objects = 0
    values = [(genre + "\0").encode("utf-16-le") for genre in genres]
    first = [struct.pack("<H", len(NAME)) + NAME + struct.pack("<HH", TEXT, len(v)) + v for v in values[:1]]
    more = [struct.pack("<HHHHI", 0, 0, len(NAME), TEXT, len(v)) + NAME + v for v in values[1:]]
    for guid, rendered in ((CONTENT, first), (LIBRARY, more)):
        body = b"".join(rendered)
        part = by_guid.get(guid)
        if not rendered:
            continue
        if part is not None:
            place = min((a.start for holder, a in old if holder is part), default=part.end)
            changes.append(Splice(place, 0, body))
            counts[part] += len(rendered)
            growth[part] += len(body)
            continue
        fresh = _object(guid, struct.pack("<H", len(rendered)) + body)
        if guid == LIBRARY and extension is not None:
            changes.append(Splice(extension.end, 0, fresh))
            growth[extension] += len(fresh)
        else:
            fresh = fresh if guid == CONTENT else _object(EXTENSION, RESERVED + struct.pack("<I", len(fresh)) + fresh)
            changes.append(Splice(len(data), 0, fresh))
            inside += len(fresh)
            new_objects += 1
    if extension is not None:
        growth[extension] += sum(growth[part] for part in parts if extension.start < part.start < extension.end)
    return [*changes, *_sizes(layout, growth, counts, inside, new_objects)]


def _object(guid: bytes, body: bytes) -> bytes:
    return guid + struct.pack("<Q", len(body) + 24) + body


def _sizes(
    layout: Layout, growth: dict[Part, int], counts: dict[Part, int], inside: int, new_objects: int
) -> Iterator[Splice]:
    """The numbers in the header that say how long things are, and how many."""
    data, extension, end = layout.parts["data"], layout.parts["extension"], layout.parts["end"]
    for part in growth:
        if growth[part]:
            yield Splice(part.start + 16, 8, struct.pack("<Q", part.end - part.start + growth[part]))
        if part.guid in (CONTENT, METADATA, LIBRARY) and counts[part]:
            (count,) = struct.unpack_from("<H", data, part.start + 24)
            yield Splice(part.start + 24, 2, struct.pack("<H", count + counts[part]))
    if extension is not None and growth[extension]:
        (size,) = struct.unpack_from("<I", data, extension.start + 42)
        yield Splice(extension.start + 42, 4, struct.pack("<I", size + growth[extension]))
    below = [part for part in growth if extension is None or not extension.start < part.start < extension.end]
    total = sum(growth[part] for part in below) + inside
    (objects,) = struct.unpack_from("<I", data, 24)
    yield Splice(16, 12, struct.pack("<QI", len(data) + total, objects + new_objects))
    about = next((part for part in growth if part.guid == FILE), None)
    # The size of the whole file, where it was right.
    if about is not None and data[about.start + 40 : about.start + 48] == struct.pack("<Q", end):
        yield Splice(about.start + 40, 8, struct.pack("<Q", end + total))


def _others(file: BinaryIO, layout: Layout) -> Any:
    """Every other attribute, where it stands, as it is read here and by mutagen; the other objects by their bytes."""
    from mutagen.asf import ASF

    data, parts = layout.parts["data"], layout.parts["parts"]
    kept = []
    for part in parts:
        if part.guid in (CONTENT, METADATA, LIBRARY):
            attributes = [data[a.start : a.end] for a in _attributes(data, part) if a.name != KEY]
            kept += [(part.guid, attributes)] if attributes else []
        elif part.guid == FILE:
            kept.append((part.guid, data[part.start + 24 : part.start + 40], data[part.start + 48 : part.end]))
        elif part.guid != EXTENSION:
            kept.append((part.guid, data[part.start : part.end]))
    file.seek(0)
    # As text: of two values of one name, one may have a language and the other None.
    seen = sorted(repr((key, value, value.language, value.stream)) for key, value in ASF(file).tags if key != KEY)
    return kept, seen


registry.add("asf")(Format(lambda head: head.startswith(HEADER), _read, _others, _splices))
