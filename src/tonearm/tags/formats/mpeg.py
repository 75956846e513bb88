"""MP3 and AAC streams, and True Audio: ID3v2 in front; APEv2, Lyrics3 and ID3v1 behind."""

from __future__ import annotations

import contextlib
import io
from typing import Any, BinaryIO

from tonearm.tags.errors import TagError
from tonearm.tags.formats import Format, Layout, _ape, _id3, registry
from tonearm.tags.patch import Splice, shifted


def _sniff(head: bytes) -> bool:
    return head[:3] in (b"TTA",) or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def _container(file: BinaryIO, start: int, end: int) -> str:
    from mutagen.mp3 import MP3, HeaderNotFoundError

    file.seek(start)
    head = file.read(4)
    if head[:3] == b"TTA":
        return "TTA"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "AAC"
    try:
        # mutagen looks for several frames in a row, also behind junk: one sync word alone proves nothing.
        file.seek(0)
        MP3(file)
    except HeaderNotFoundError:
        raise TagError("", "not-audio", "no MP3 frames were found in it") from None
    return "MP3"


def tail(file: BinaryIO, end: int) -> dict[str, tuple[int, int]]:
    """The tags behind the stream, from the end of the file inwards: name to (offset, length)."""
    found: dict[str, tuple[int, int]] = {}
    if end >= 128:
        file.seek(end - 128)
        if file.read(3) == b"TAG":
            end -= 128
            found["ID3v1"] = (end, 128)
    while True:
        size = _ape.size_at(file, end)
        name = "APEv2"
        if not size:
            size, name = _lyrics_size(file, end), "Lyrics3"
        if not size or name in found:
            return found
        end -= size
        found[name] = (end, size)


def _lyrics_size(file: BinaryIO, end: int) -> int:
    if end < 26:
        return 0
    file.seek(end - 15)
    foot = file.read(15)
    size = int(foot[:6]) + 15 if foot[6:] == b"LYRICS200" and foot[:6].isdigit() else 0
    return size if size <= end else 0


def part(file: BinaryIO, place: tuple[int, int] | None) -> bytes:
    """The bytes of an (offset, length) place; none where there is none."""
    if place is None:
        return b""
    file.seek(place[0])
    return file.read(place[1])


def _read(file: BinaryIO) -> Layout:
    end = file.seek(0, 2)
    file.seek(0)
    start = _id3.size_in_front(file.read(10))
    if start > end:
        raise TagError("", "damaged", "the ID3 tag is longer than the file")
    places = tail(file, end)
    stop = min([end, *(offset for offset, _ in places.values())])
    if stop <= start:
        raise TagError("", "damaged", "there are tags but no sound in it")
    container = _container(file, start, stop)
    if container == "AAC" and not start and "APEv2" not in places:
        # With an ID3 tag in front several readers, mutagen among them, take it for an MP3 and fail.
        raise TagError("", "unsupported", "a bare AAC stream has no tags of its own; in an M4A it would have")
    if start:
        places["ID3v2"] = (0, start)
    two, ape, one = (part(file, places.get(name)) for name in ("ID3v2", "APEv2", "ID3v1"))
    tags = ([_id3.version(two)] if two else []) + [name for name in ("APEv2", "ID3v1") if name in places]
    # The richest tag speaks for the file; ID3v1 knows one genre of a fixed list.
    genres = (two and _id3.genres(two)) or (ape and _ape.genres(ape)) or (one and _id3.genre_one(one)) or []
    return Layout(container, tags, genres, [(start, stop - start)], places)


def _splices(file: BinaryIO, layout: Layout, genres: list[str]) -> list[Splice]:
    """The genre goes into each kind of tag the file has, so that no reader is left with the old one."""
    two, ape, one = (part(file, layout.parts.get(name)) for name in ("ID3v2", "APEv2", "ID3v1"))
    changes = []
    if two:
        changes += _id3.splices(two, genres)
    elif not ape and genres:
        changes.append(Splice(0, 0, _id3.new_tag(genres, one)))
    if ape and (not two or _ape.genres(ape)):
        changes += shifted(_ape.splices(ape, genres), layout.parts["APEv2"][0])
    if one:
        changes.append(Splice(layout.parts["ID3v1"][0] + 127, 1, _id3.byte_one(genres)))
    return changes


def _others(file: BinaryIO, layout: Layout) -> Any:
    two, ape, lyrics, one = (part(file, layout.parts.get(n)) for n in ("ID3v2", "APEv2", "Lyrics3", "ID3v1"))
    # A file with ID3v1 alone gets its fields in the new ID3v2 tag too: seen through both, nothing is different.
    from mutagen.id3 import ID3, ID3NoHeaderError

    both = {}
    if one:
        with contextlib.suppress(ID3NoHeaderError):
            both = {key: repr(value) for key, value in ID3(io.BytesIO(one)).items() if key != "TCON"}
    frames = _id3.others(two) if two else {"unknown": []}
    if layout.parts.get("ID3v2") is None or set(frames) - {"unknown"} == set(both):
        frames = {"unknown": frames["unknown"]}
    return frames, _ape.others(ape) if ape else {}, lyrics, one[:127], both


registry.add("mpeg")(Format(_sniff, _read, _others, _splices))
