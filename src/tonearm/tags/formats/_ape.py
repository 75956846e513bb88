"""APEv2 tags as bytes: the genre item is exchanged, every other item keeps its bytes, flags and place.

By hand because mutagen renders the whole tag anew (items sorted, their read-only flags and the tag's gone).
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO, NamedTuple

from mutagen.apev2 import APENoHeaderError, APEv2

from tonearm.tags.errors import TagError
from tonearm.tags.patch import Splice

MAGIC = b"APETAGEX"
HEAD = struct.Struct("<8sIIII8x")  # magic, version, size with footer, items, flags
HAS_HEADER, IS_HEADER = 1 << 31, 1 << 29


class Item(NamedTuple):
    key: bytes
    start: int
    value: int
    end: int
    kind: int  # 0 text, 1 binary, 2 link


def size_at(file: BinaryIO, end: int) -> int:
    """Bytes of the APE tag that ends at `end` of the file; 0 where there is none."""
    if end < 32:
        return 0
    file.seek(end - 32)
    magic, _, size, _, flags = HEAD.unpack(file.read(32))
    if magic != MAGIC:
        return 0
    if flags & IS_HEADER:
        raise TagError("", "damaged", "an APE tag stands at the end that has no end")
    size += 32 if flags & HAS_HEADER else 0
    if size < 32 or size > end:
        raise TagError("", "damaged", "the APE tag is longer than the file")
    return size


def items(data: bytes) -> list[Item]:
    """The items of a whole tag; positions count from its start."""
    _, _, _, count, flags = HEAD.unpack(data[-32:])
    position, found = 32 if flags & HAS_HEADER else 0, []
    for _ in range(count):
        zero = data.find(b"\0", position + 8, len(data) - 32)
        if zero < 0:
            raise TagError("", "damaged", "the APE tag ends before its last item")
        size, item_flags = struct.unpack_from("<II", data, position)
        end = zero + 1 + size
        if end > len(data) - 32:
            raise TagError("", "damaged", "an item of the APE tag is longer than the tag")
        found.append(Item(data[position + 8 : zero], position, zero + 1, end, item_flags >> 1 & 3))
        position = end
    return found


def genres(data: bytes) -> list[str]:
    values = [data[item.value : item.end] for item in items(data) if _is_genre(item)]
    return [text for value in values for text in value.decode("utf-8", "replace").split("\0") if text.strip()]


def _is_genre(item: Item) -> bool:
    return item.key.lower() == b"genre" and item.kind == 0


def _render(genres: list[str], key: bytes = b"Genre") -> bytes:
    value = "\0".join(genres).encode()
    return struct.pack("<II", len(value), 0) + key + b"\0" + value if genres else b""


def splices(data: bytes, genres: list[str]) -> list[Splice]:
    """From a whole tag to the same tag with these genres: splices that count from its start."""
    found = items(data)
    old = [item for item in found if _is_genre(item)]
    new = _render(genres, old[0].key if old else b"Genre")
    place = old[0].start if old else (found[-1].end if found else len(data) - 32 if data[:8] != MAGIC else 32)
    changes = [Splice(place, old[0].end - place if old else 0, new)]
    changes += [Splice(item.start, item.end - item.start, b"") for item in old[1:]]
    growth = sum(len(change.data) - change.length for change in changes)
    _, _, size, count, flags = HEAD.unpack(data[-32:])
    sizes = struct.pack("<II", size + growth, count - len(old) + bool(genres))
    return [
        *changes,
        *([Splice(12, 8, sizes)] if flags & HAS_HEADER else []),
        Splice(len(data) - 20, 8, sizes),
    ]


def new_tag(genres: list[str]) -> bytes:
    item = _render(genres)
    if not item:
        return b""
    head, foot = (
        struct.pack("<8sIIII8x", MAGIC, 2000, len(item) + 32, 1, HAS_HEADER | extra) for extra in (IS_HEADER, 0)
    )
    return head + item + foot


def others(data: bytes) -> dict[str, str]:
    """Every item but the genre, as mutagen reads it."""
    try:
        tags = APEv2(io.BytesIO(data))
    except APENoHeaderError:
        return {}
    return {key: f"{value.kind} {value!r}" for key, value in tags.items() if key.lower() != "genre"}
