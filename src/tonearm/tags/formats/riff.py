"""WAV and AIFF: chunks, one of which is an ID3v2 tag; WAV may name the genre in its INFO list as well."""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple

from tonearm.tags.errors import TagError
from tonearm.tags.formats import Format, Layout, _id3, registry
from tonearm.tags.formats.mpeg import part
from tonearm.tags.patch import Splice, shifted


class Chunk(NamedTuple):
    id: bytes
    offset: int  # of the header
    size: int  # of the body, which starts eight bytes on


def _sniff(head: bytes) -> bool:
    return head[:4] in (b"RIFF", b"FORM", b"RF64", b"BW64") and head[8:12] in (b"WAVE", b"AIFF", b"AIFC")


def _chunks(file: BinaryIO, offset: int, stop: int, order: str) -> list[Chunk]:
    chunks = []
    while offset + 8 <= stop:
        file.seek(offset)
        head = file.read(8)
        size = int.from_bytes(head[4:], order)
        if offset + 8 + size > stop:
            raise TagError("", "damaged", f"its chunk {head[:4]!r} is longer than the file")
        chunks.append(Chunk(head[:4], offset, size))
        offset += 8 + size + size % 2
    return chunks


def _read(file: BinaryIO) -> Layout:
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if head[:4] in (b"RF64", b"BW64"):
        raise TagError("", "unsupported", "WAV files of more than 4 GB have no place for an ID3 tag")
    if head[:4] not in (b"RIFF", b"FORM"):
        raise TagError("", "damaged", "there is an ID3 tag in front of its chunks")
    wave = head[:4] == b"RIFF"
    order = "little" if wave else "big"
    # A writer that was cut off leaves a size of 0 or of the whole 4 GB: nothing in there can be moved safely.
    stop = 8 + int.from_bytes(head[4:8], order)
    if stop > end + 1:
        raise TagError("", "damaged", "it is shorter than its header says")
    stop = min(stop, end)
    chunks = _chunks(file, 12, stop, order)
    sound = [c for c in chunks if c.id in ((b"data", b"fmt ") if wave else (b"SSND", b"COMM"))]
    if not any(c.id in (b"data", b"SSND") for c in sound):
        raise TagError("", "damaged", "there is no sound in it")
    tag = next((c for c in chunks if c.id in (b"ID3 ", b"id3 ") and c.size), None)
    parts: dict[str, Any] = {"order": order, "stop": stop, "chunks": chunks, "tag": tag}
    data = part(file, (tag.offset + 8, tag.size)) if tag else b""
    if tag and not _id3.size_in_front(data[:10]):
        raise TagError("", "damaged", "its ID3 chunk is not an ID3 tag")
    info = _info_genre(file, chunks) if wave else None
    parts["info"] = info
    genres = _id3.genres(data) if data else []
    if not genres and info:
        text = part(file, (info[1].offset + 8, info[1].size)).split(b"\0")[0].decode("utf-8", "replace")
        genres = [text] if text.strip() else []
    tags = ([_id3.version(data)] if data else []) + (["INFO"] if info else [])
    audio = [(c.offset + 8, c.size) for c in sound]
    return Layout("WAV" if wave else "AIFF", tags, genres, audio, parts)


def _info_genre(file: BinaryIO, chunks: list[Chunk]) -> tuple[Chunk, Chunk] | None:
    """The INFO list and its genre, where it has one."""
    for chunk in chunks:
        if chunk.id == b"LIST" and part(file, (chunk.offset + 8, 4)) == b"INFO":
            for inner in _chunks(file, chunk.offset + 12, chunk.offset + 8 + chunk.size, "little"):
                if inner.id == b"IGNR":
                    return chunk, inner
    return None


def _splices(file: BinaryIO, layout: Layout, genres: list[str]) -> list[Splice]:
    order, tag, info = layout.parts["order"], layout.parts["tag"], layout.parts["info"]
    changes: list[Splice] = []
    if tag:
        data = part(file, (tag.offset + 8, tag.size))
        changes += _resized(tag, shifted(_id3.splices(data, genres), tag.offset + 8), order)
    elif genres:
        body = _id3.new_tag(genres)
        stop = layout.parts["stop"]
        name = b"id3 " if order == "little" else b"ID3 "
        chunk = name + len(body).to_bytes(4, order) + body + bytes(len(body) % 2)
        changes.append(Splice(stop, 0, bytes(stop % 2) + chunk))
    if info:
        outer, inner = info
        # The list knows one genre. An INFO text ends with a zero; its chunk goes when there is no genre any more.
        body = genres[0].encode() + b"\0" if genres else b""
        padded = inner.size + inner.size % 2
        padded = min(padded, outer.offset + 8 + outer.size - inner.offset - 8)
        new = b"IGNR" + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2) if genres else b""
        changes += _resized(outer, [Splice(inner.offset, 8 + padded, new)], order)
    growth = sum(len(change.data) - change.length for change in changes)
    size = (layout.parts["stop"] - 8 + growth).to_bytes(4, order)
    return [*changes, Splice(4, 4, size)]


def _resized(chunk: Chunk, changes: list[Splice], order: str) -> list[Splice]:
    """Changes inside a chunk, with its size and its padding to an even length."""
    growth = sum(len(change.data) - change.length for change in changes)
    size = chunk.size + growth
    result = [*changes, Splice(chunk.offset + 4, 4, size.to_bytes(4, order))]
    if size % 2 != chunk.size % 2:
        end = chunk.offset + 8 + chunk.size
        result.append(Splice(end, 0, b"\0") if size % 2 else Splice(end, 1, b""))
    return result


def _others(file: BinaryIO, layout: Layout) -> Any:
    """Every chunk but the tag and the INFO list by its digest, the tag's other frames, the list's other texts."""
    from tonearm.tags.patch import sha256, spans

    tag, info = layout.parts["tag"], layout.parts["info"]
    outer = info[0] if info else None
    chunks = []
    for chunk in layout.parts["chunks"]:
        if chunk is outer:
            inner = _chunks(file, chunk.offset + 12, chunk.offset + 8 + chunk.size, "little")
            texts = [(c.id, part(file, (c.offset + 8, c.size))) for c in inner if c.id != b"IGNR"]
            chunks.append((chunk.id, texts))
        elif chunk is not tag:
            chunks.append((chunk.id, sha256(spans(file, [(chunk.offset + 8, chunk.size)]))))
    end = file.seek(0, 2)
    behind = part(file, (layout.parts["stop"], end - layout.parts["stop"])).lstrip(b"\0")
    data = part(file, (tag.offset + 8, tag.size)) if tag else b""
    return chunks, _id3.others(data) if data else {"unknown": []}, behind


registry.add("riff")(Format(_sniff, _read, _others, _splices))
