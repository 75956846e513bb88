"""FLAC: a Vorbis comment block; an ID3v2 tag in front, where some program put one, is kept and told the same."""

from __future__ import annotations

from typing import Any, BinaryIO

from tonearm.tags.errors import TagError
from tonearm.tags.formats import Format, Layout, _id3, _vorbis, registry
from tonearm.tags.formats.mpeg import part
from tonearm.tags.patch import Splice, shifted

COMMENT, PADDING, LARGEST = 4, 1, (1 << 24) - 1


def _blocks(file: BinaryIO, start: int) -> tuple[list[tuple[int, int, int]], int]:
    """Metadata blocks as (kind, offset of the header, length of the body), and where the frames start."""
    file.seek(0, 2)
    end, position, blocks, last = file.tell(), start + 4, [], False
    while not last:
        file.seek(position)
        head = file.read(4)
        length = int.from_bytes(head[1:4], "big")
        if len(head) < 4 or position + 4 + length > end:
            raise TagError("", "damaged", "a metadata block is longer than the file")
        blocks.append((head[0] & 0x7F, position, length))
        last = bool(head[0] & 0x80)
        position += 4 + length
    if blocks[0][0] != 0:
        raise TagError("", "damaged", "the first block is not the stream's description")
    return blocks, position


def _read(file: BinaryIO) -> Layout:
    file.seek(0)
    start = _id3.size_in_front(file.read(10))
    blocks, frames = _blocks(file, start)
    end = file.seek(0, 2)
    places: dict[str, Any] = {"blocks": blocks, "ID3v2": (0, start) if start else None}
    comment = next(((offset + 4, length) for kind, offset, length in blocks if kind == COMMENT), None)
    places["comment"] = comment
    tags = (["Vorbis comments"] if comment else []) + ([_id3.version(part(file, (0, start)))] if start else [])
    genres = _vorbis.genres(part(file, comment)) if comment else []
    if not genres and start:
        genres = _id3.genres(part(file, (0, start)))
    info = blocks[0]
    return Layout("FLAC", tags, genres, [(info[1] + 4, info[2]), (frames, end - frames)], places)


def _splices(file: BinaryIO, layout: Layout, genres: list[str]) -> list[Splice]:
    changes: list[Splice] = []
    front = part(file, layout.parts["ID3v2"])
    if front and _id3.genres(front):
        changes += _id3.splices(front, genres)
    comment = layout.parts["comment"]
    if comment is None:
        return changes + (_new_block(file, layout, genres) if genres else [])
    offset, length = comment
    own = shifted(_vorbis.splices(part(file, comment), genres), offset)
    growth = sum(len(change.data) - change.length for change in own)
    if length + growth > LARGEST:
        raise TagError("", "unsupported", "its comments are as long as FLAC allows")
    changes += [*own, Splice(offset - 3, 3, (length + growth).to_bytes(3, "big"))]
    padding = next(((at, size) for kind, at, size in layout.parts["blocks"] if kind == PADDING), None)
    if padding and 0 <= padding[1] - growth <= LARGEST and growth:
        at, size = padding
        changes.append(Splice(at + 1, 3, (size - growth).to_bytes(3, "big")))
        changes.append(Splice(at + 4, growth, b"") if growth > 0 else Splice(at + 4, 0, bytes(-growth)))
    return changes


def _new_block(file: BinaryIO, layout: Layout, genres: list[str]) -> list[Splice]:
    """A comment block behind the stream's description; the last block is marked as such."""
    _, at, length = layout.parts["blocks"][0]
    only = len(layout.parts["blocks"]) == 1
    body = _vorbis.new(genres)
    block = bytes([COMMENT | (0x80 if only else 0)]) + len(body).to_bytes(3, "big") + body
    return [Splice(at + 4 + length, 0, block), *([Splice(at, 1, b"\0")] if only else [])]


def _others(file: BinaryIO, layout: Layout) -> Any:
    """Blocks but comments and padding by their bytes, comments by mutagen and by their bytes, the tag in front."""
    from mutagen.flac import FLAC

    file.seek(0)
    tags = [pair for pair in FLAC(file).tags or [] if pair[0].lower() != "genre"]
    comment = layout.parts["comment"]
    entries = _vorbis.others(part(file, comment))[1:] if comment else []
    blocks = [
        (kind, part(file, (at + 4, size)))
        for kind, at, size in layout.parts["blocks"]
        if kind not in (COMMENT, PADDING)
    ]
    front = part(file, layout.parts["ID3v2"])
    return tags, entries, blocks, _id3.others(front) if front else None


registry.add("flac")(Format(lambda head: head.startswith(b"fLaC"), _read, _others, _splices))
