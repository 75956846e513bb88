"""Vorbis comments as bytes: the GENRE entries are exchanged, every other entry keeps its bytes.

By hand because mutagen replaces what is not UTF-8 and drops entries whose key it does not like.
"""

from __future__ import annotations

from typing import NamedTuple

from tonearm import __version__
from tonearm.tags.errors import TagError
from tonearm.tags.patch import Splice


class Entry(NamedTuple):
    start: int
    end: int
    key: bytes
    value: bytes


def parse(data: bytes) -> tuple[int, list[Entry], int]:
    """Where the count stands, the entries, and where they end. `data` starts with the vendor's length."""
    count_at = 4 + int.from_bytes(data[:4], "little")
    if count_at + 4 > len(data):
        raise TagError("", "damaged", "the comments are cut off")
    position, entries = count_at + 4, []
    for _ in range(int.from_bytes(data[count_at : count_at + 4], "little")):
        end = position + 4 + int.from_bytes(data[position : position + 4], "little")
        if position + 4 > len(data) or end > len(data):
            raise TagError("", "damaged", "the comments are cut off")
        key, _, value = data[position + 4 : end].partition(b"=")
        entries.append(Entry(position, end, key, value))
        position = end
    return count_at, entries, position


def _is_genre(entry: Entry) -> bool:
    return entry.key.lower() == b"genre"


def genres(data: bytes) -> list[str]:
    values = [entry.value.decode("utf-8", "replace") for entry in parse(data)[1] if _is_genre(entry)]
    return [value for value in values if value.strip()]


def others(data: bytes) -> list[bytes]:
    return [data[: parse(data)[0]]] + [data[e.start : e.end] for e in parse(data)[1] if not _is_genre(e)]


def splices(data: bytes, genres: list[str]) -> list[Splice]:
    """From comments to the same comments with these genres: splices that count from their start."""
    count_at, entries, end = parse(data)
    old = [entry for entry in entries if _is_genre(entry)]
    key = old[0].key if old else b"GENRE"
    new = b""
    for genre in genres:
        raw = key + b"=" + genre.encode()
        new += len(raw).to_bytes(4, "little") + raw
    place = old[0].start if old else end
    changes = [Splice(entry.start, entry.end - entry.start, b"") for entry in old[1:]]
    count = (len(entries) - len(old) + len(genres)).to_bytes(4, "little")
    return [
        Splice(count_at, 4, count),
        Splice(place, old[0].end - place if old else 0, new),
        *changes,
    ]


def new(genres: list[str]) -> bytes:
    vendor = f"tonearm {__version__}".encode()
    empty = len(vendor).to_bytes(4, "little") + vendor + bytes(4)
    from tonearm.tags.patch import apply_bytes

    return apply_bytes(empty, splices(empty, genres))
