"""A change of a file as a list of splices: small enough to keep for ever, exact enough to go back to the byte."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import BinaryIO, NamedTuple

BLOCK = 1 << 18


class Splice(NamedTuple):
    """At `offset` of the old file, `length` bytes give way to `data`."""

    offset: int
    length: int
    data: bytes


def ordered(splices: Iterable[Splice]) -> list[Splice]:
    """Sorted, without empty ones; overlaps are a bug of the format's code, so they are refused."""
    kept = sorted((s for s in splices if s.length or s.data), key=lambda s: (s.offset, s.length))
    for before, after in pairwise(kept):
        if before.offset + before.length > after.offset:
            raise ValueError(f"splices overlap at {after.offset}")
    return kept


def shifted(splices: Iterable[Splice], by: int) -> list[Splice]:
    return [Splice(s.offset + by, s.length, s.data) for s in splices]


def apply_bytes(data: bytes, splices: Iterable[Splice]) -> bytes:
    parts, position = [], 0
    for splice in ordered(splices):
        parts += [data[position : splice.offset], splice.data]
        position = splice.offset + splice.length
    return b"".join([*parts, data[position:]])


def inverse(file: BinaryIO, splices: Iterable[Splice]) -> list[Splice]:
    """The splices that lead from the new file back to the old one, which `file` still is."""
    back, shift = [], 0
    for splice in ordered(splices):
        file.seek(splice.offset)
        back.append(Splice(splice.offset + shift, len(splice.data), file.read(splice.length)))
        shift += len(splice.data) - splice.length
    return back


def patched(file: BinaryIO, splices: Iterable[Splice]) -> Iterator[bytes]:
    """The content of `file` with the splices in it, piece by piece: memory does not grow with the file."""
    position = 0
    file.seek(0)
    for splice in ordered(splices):
        yield from _span(file, splice.offset - position)
        if splice.data:
            yield splice.data
        position = splice.offset + splice.length
        file.seek(position)
    yield from _span(file, None)


def _span(file: BinaryIO, length: int | None) -> Iterator[bytes]:
    while length is None or length > 0:
        piece = file.read(BLOCK if length is None else min(BLOCK, length))
        if not piece:
            return
        length = None if length is None else length - len(piece)
        yield piece


def spans(file: BinaryIO, ranges: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """The bytes of several (offset, length) ranges, one after the other."""
    for offset, length in ranges:
        file.seek(offset)
        yield from _span(file, length)


def sha256(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def sha256_of(file: BinaryIO) -> str:
    file.seek(0)
    return sha256(_span(file, None))


def pack(splices: Iterable[Splice]) -> str:
    """Splices as text for a JSON line."""
    raw = b"".join(struct.pack("<QQQ", s.offset, s.length, len(s.data)) + s.data for s in splices)
    return base64.b85encode(zlib.compress(raw, 6)).decode("ascii")


def unpack(text: str) -> list[Splice]:
    raw, position, splices = zlib.decompress(base64.b85decode(text)), 0, []
    while position < len(raw):
        offset, length, size = struct.unpack_from("<QQQ", raw, position)
        position += 24
        splices.append(Splice(offset, length, raw[position : position + size]))
        position += size
    return splices


def difference(old: BinaryIO, new: BinaryIO) -> list[Splice]:
    """Splices that lead from `old` to `new`, for the formats whose tags a library edits in place.

    Head and tail are compared in blocks; what lies between (an MP4's `moov`, an ASF's header) is small enough for
    memory and is aligned by searching for its next equal stretch, so that a picture that only moved is not kept.
    """
    old_size, new_size = old.seek(0, 2), new.seek(0, 2)
    shorter = min(old_size, new_size)
    head = 0
    while head < shorter:
        a, b = _at(old, head, shorter), _at(new, head, shorter)
        same = equal_prefix(a, b)
        head += same
        if same < len(a):
            break
    tail = 0
    while tail < shorter - head:
        size = min(BLOCK, shorter - head - tail)
        a, b = (_read(f, end - tail - size, size) for f, end in ((old, old_size), (new, new_size)))
        same = equal_prefix(a[::-1], b[::-1])
        tail += same
        if same < size:
            break
    a = _read(old, head, old_size - tail - head)
    b = _read(new, head, new_size - tail - head)
    return shifted(_align(a, b), head)


def _at(file: BinaryIO, offset: int, end: int) -> bytes:
    return _read(file, offset, min(BLOCK, end - offset))


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def equal_prefix(a: bytes, b: bytes) -> int:
    size = min(len(a), len(b))
    if a[:size] == b[:size]:
        return size
    low, high = 0, size  # the first difference lies in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if a[low:middle] == b[low:middle] else (low, middle)
    return low


def _align(a: bytes, b: bytes, probe: int = 32) -> list[Splice]:
    """A greedy alignment: where the two part, the next 32 old bytes found again in the new ones end the splice."""
    splices, i, j = [], 0, 0
    reach = abs(len(a) - len(b)) + 4096
    while i < len(a) or j < len(b):
        same = equal_prefix(a[i:], b[j:])
        i, j = i + same, j + same
        if i == len(a) or j == len(b):
            break
        for k in range(i, len(a) - probe + 1, probe):
            # Only near where it would be: a long table of shifted offsets would be searched for hours.
            found = b.find(a[k : k + probe], max(j, j + k - i - reach), j + k - i + reach + probe)
            # A stretch of one repeated byte (padding) is found anywhere and aligns nothing.
            if found >= 0 and len(set(a[k : k + probe])) > 1:
                splices.append(Splice(i, k - i, b[j:found]))
                i, j = k, found
                break
        else:
            break
    splices.append(Splice(i, len(a) - i, b[j:]))
    return ordered(splices)
