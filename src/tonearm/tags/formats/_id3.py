"""ID3v2 tags as bytes: find the frames, put the genre in, leave every other byte alone. And ID3v1's one byte.

By hand because mutagen rewrites the whole tag: frames with flags, doubled frames, short unknown frames and an ID3v2.2
tag would not survive it. mutagen still reads the genres and renders the new frame.
"""

from __future__ import annotations

import io
import re
from typing import NamedTuple

from mutagen._constants import GENRES
from mutagen.id3 import ID3, TCON, ID3NoHeaderError

from tonearm.tags.errors import TagError
from tonearm.tags.patch import Splice, apply_bytes

UNSYNC, EXTENDED, FOOTER = 0x80, 0x40, 0x10


class Frame(NamedTuple):
    id: bytes
    start: int
    end: int


class Tag(NamedTuple):
    """`data` is the tag without whole-tag unsynchronisation; positions count from the start of the tag."""

    major: int
    data: bytes
    frames: list[Frame]
    first: int  # where the frames start, behind an extended header
    end: int  # where they end
    limit: int  # where the tag ends, without a footer
    padded: bool  # nothing but zeros from `end` to `limit`
    unsync: bool


def _syncsafe(raw: bytes) -> int:
    value = 0
    for byte in raw:
        value = value << 7 | byte & 0x7F
    return value


def _to_syncsafe(value: int) -> bytes:
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))


def size_in_front(head: bytes) -> int:
    """Bytes that an ID3v2 tag takes, from the first ten; 0 where there is none."""
    if len(head) < 10 or head[:3] != b"ID3" or head[3] == 0xFF or any(byte & 0x80 for byte in head[6:10]):
        return 0
    return 10 + _syncsafe(head[6:10]) + (10 if head[3] >= 4 and head[5] & FOOTER else 0)


def parse(data: bytes) -> Tag:
    """The frames of a whole tag."""
    major, flags = data[3], data[5]
    if major not in (2, 3, 4):
        raise TagError("", "unsupported", f"ID3v2.{major} tags are not known")
    if major == 2 and flags & EXTENDED:
        raise TagError("", "unsupported", "compressed ID3v2.2 tags are not known")
    limit = 10 + _syncsafe(data[6:10])
    if len(data) < limit:
        raise TagError("", "damaged", "the ID3 tag is longer than the file")
    # Up to 2.3 unsynchronisation covers the tag as a whole; in 2.4 each frame has its own.
    unsync = bool(flags & UNSYNC) and major < 4
    if unsync:
        data = data[:10] + data[10:limit].replace(b"\xff\x00", b"\xff")
        limit = len(data)
    first = 10
    if flags & EXTENDED and major == 3:
        first += 4 + int.from_bytes(data[10:14], "big")
    elif flags & EXTENDED and major == 4:
        first += _syncsafe(data[10:14])
    walks = [_walk(data, major, first, limit, plain) for plain in ((False, True) if major == 4 else (True,))]
    # iTunes once wrote 2.4 sizes as plain numbers: whichever reading comes out at the end is right.
    found = next((walk for walk in walks if walk and walk[2]), None) or next((walk for walk in walks if walk), None)
    if found is None:
        raise TagError("", "damaged", "a frame of the ID3 tag is longer than the tag")
    frames, end, padded = found
    return Tag(major, data, frames, first, end, limit, padded, unsync)


def _walk(data: bytes, major: int, first: int, limit: int, plain: bool) -> tuple[list[Frame], int, bool] | None:
    name, head = (3, 6) if major == 2 else (4, 10)
    known = re.compile(rb"[A-Z0-9 ]{%d}" % name if major == 2 else rb"[A-Z0-9]{3}[A-Z0-9 \0]")
    frames, position = [], first
    while position + head <= limit and known.fullmatch(data, position, position + name):
        raw = data[position + name : position + 2 * name]
        size = int.from_bytes(raw, "big") if plain else _syncsafe(raw)
        if position + head + size > limit or (not plain and any(byte & 0x80 for byte in raw)):
            return None
        frames.append(Frame(data[position : position + name], position, position + head + size))
        position += head + size
    return frames, position, not data[position:limit].strip(b"\0")


def genres(data: bytes) -> list[str]:
    """The genres of a whole tag; numbers and `(17)` are given their names."""
    tags = load(data)
    return [genre for frame in tags.getall("TCON") for genre in frame.genres if genre.strip()]


def load(data: bytes) -> ID3:
    try:
        return ID3(io.BytesIO(data), translate=False, load_v1=False)
    except ID3NoHeaderError:
        return ID3()


def others(data: bytes) -> dict[str, list[str]]:
    """Every frame but the genre as mutagen reads it, unknown ones by their bytes."""
    tags = load(data)
    known = {key: [repr(frame)] for key, frame in tags.items() if frame.FrameID != "TCON"}
    return known | {"unknown": [repr(bytes(raw)) for raw in tags.unknown_frames if not raw.startswith(b"TCO")]}


def frame(genres: list[str], major: int) -> bytes:
    """One genre frame, rendered by mutagen. Values are separated by a zero in every version.

    ID3v2.3 says that what follows a zero is to be ignored: an old reader sees the first, likeliest genre; readers that
    know several values (mutagen, beets) see all. A slash would show every old reader one genre that nobody has.
    """
    if not genres:
        return b""
    ascii_only = all(genre.isascii() for genre in genres)
    encoding = 0 if ascii_only else 3 if major == 4 else 1
    # In 2.2 and 2.3 a genre that opens with a parenthesis would be taken for a number.
    text = ["(" + genre if genre.startswith("(") and major < 4 else genre for genre in genres]
    tags = ID3()
    tags.add(TCON(encoding=encoding, text=text))
    out = io.BytesIO()
    tags.save(out, v1=0, v2_version=max(major, 3), v23_sep=None, padding=lambda info: 0)
    rendered = out.getvalue()[10:]
    return rendered if major > 2 else b"TCO" + (len(rendered) - 10).to_bytes(3, "big") + rendered[10:]


def new_tag(genres: list[str], version_one: bytes = b"") -> bytes:
    """A tag for a file that has none; the fields of an ID3v1 tag come along, since it hides them from many players."""
    tags = ID3()
    if version_one:
        tags.load(io.BytesIO(version_one))
        tags.delall("TCON")
    if genres:
        tags.add(TCON(encoding=3, text=genres))
    out = io.BytesIO()
    tags.save(out, v1=0, v2_version=4, padding=lambda info: 0)
    return out.getvalue()


def splices(data: bytes, genres: list[str]) -> list[Splice]:
    """From a whole tag to the same tag with these genres: splices that count from its start."""
    tag = parse(data)
    old = [frame for frame in tag.frames if frame.id in (b"TCON", b"TCO")]
    new = frame(genres, tag.major)
    place = old[0].start if old else tag.end
    changes = [Splice(place, old[0].end - place if old else 0, new)]
    changes += [Splice(frame.start, frame.end - frame.start, b"") for frame in old[1:]]
    # An extended header holds a checksum and the padding's size, both wrong from now on; a footer repeats the header.
    changes.append(Splice(10, tag.first - 10, b""))
    flags = data[5] & ~(EXTENDED | FOOTER)
    growth = sum(len(change.data) - change.length for change in changes)
    room = tag.limit - tag.end if tag.padded and not tag.unsync else 0
    if 0 < growth <= room:
        changes.append(Splice(tag.limit - growth, growth, b""))
        growth = 0
    elif growth < 0 and room:
        changes.append(Splice(tag.limit, 0, bytes(-growth)))
        growth = 0
    if tag.unsync:
        # The tag is stored with zeros stuffed in: it has to be stuffed anew as a whole.
        body = apply_bytes(tag.data, changes)[10:]
        body = re.sub(rb"\xff(?=[\xe0-\xff\x00]|\Z)", b"\xff\x00", body)
        head = bytes([flags]) + _to_syncsafe(len(body))
        return [Splice(5, 5, head), Splice(10, size_in_front(data[:10]) - 10, body)]
    if data[5] & FOOTER and tag.major >= 4:
        changes.append(Splice(tag.limit, 10, b""))
    head = bytes([flags]) + _to_syncsafe(tag.limit - 10 + growth)
    return [*changes, *([Splice(5, 5, head)] if head != data[5:10] else [])]


def version(data: bytes) -> str:
    return f"ID3v2.{data[3]}"


def genre_one(tag: bytes) -> list[str]:
    """The genre of an ID3v1 tag of 128 bytes."""
    return [GENRES[tag[127]]] if tag[127] < len(GENRES) else []


def byte_one(genres: list[str]) -> bytes:
    """ID3v1's byte for the first of these genres that its fixed list knows; 255 for none."""
    known = {genre.casefold(): number for number, genre in enumerate(GENRES)}
    return bytes([next((known[g.casefold()] for g in genres if g.casefold() in known), 255)])
