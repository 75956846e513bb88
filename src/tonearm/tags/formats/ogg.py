"""Ogg: Vorbis, Opus, Speex and FLAC streams; the comments are the second packet, spread over pages."""

from __future__ import annotations

import hashlib
from typing import Any, BinaryIO

from mutagen.ogg import OggPage

from tonearm.tags.errors import TagError
from tonearm.tags.formats import Format, Layout, _vorbis, registry
from tonearm.tags.patch import Splice, apply_bytes

# Codec: how the first packet starts, its name, and what stands before the comments in the second.
CODECS = {
    b"\x01vorbis": ("Ogg Vorbis", 7),
    b"OpusHead": ("Opus", 8),
    b"Speex   ": ("Speex", 0),
    b"\x7fFLAC": ("Ogg FLAC", 4),
}
PAGE_SIZES = (4096, 8192, 2048, 16384, 32768, 51000)
HEADERS = {"Ogg Vorbis": 3, "Opus": 2}  # packets before the sound; for the others one behind the comments is left out


def _stream(file: BinaryIO) -> tuple[OggPage, str]:
    """The first page of the first stream that holds sound: a picture may be a stream of its own (Theora), in front."""
    file.seek(0)
    while (page := OggPage(file)).first:
        if not page.packets:
            raise TagError("", "damaged", "the first page is empty")
        codec = next((name for magic, (name, _) in CODECS.items() if page.packets[0].startswith(magic)), None)
        if codec is not None:
            return page, codec
    if not page.offset:
        raise TagError("", "damaged", "its beginning is missing")
    raise TagError("", "unsupported", "the Ogg file holds neither Vorbis, Opus, Speex nor FLAC")


def _header_pages(file: BinaryIO) -> list[OggPage]:
    """The pages of the sound's stream from the comments on, until the header packets are complete."""
    first, codec = _stream(file)
    pages: list[OggPage] = []
    wanted = HEADERS.get(codec, 2) - 1
    # The pages of the headers end where a packet ends (RFC 3533 and the codecs' own rules).
    while not pages or not (pages[-1].complete and len(OggPage.to_packets(pages)) >= wanted):
        page = OggPage(file)
        if page.serial == first.serial:
            pages.append(page)
        if len(pages) > 4096:
            raise TagError("", "damaged", "its headers do not end")
    if len(first.packets) > 1 or pages[0].continued:
        raise TagError("", "damaged", "its headers share a page with the stream's description")
    return pages


def _read(file: BinaryIO) -> Layout:
    pages = _header_pages(file)
    name = _stream(file)[1]
    prefix = dict(CODECS.values())[name]
    comment = OggPage.to_packets(pages)[0][prefix:]
    end = file.seek(0, 2)
    last = pages[-1]
    start = last.offset + last.size
    parts = {"pages": pages, "prefix": prefix}
    return Layout(name, ["Vorbis comments"], _vorbis.genres(comment), [(start, end - start)], parts)


def _splices(file: BinaryIO, layout: Layout, genres: list[str]) -> list[Splice]:
    pages, prefix = layout.parts["pages"], layout.parts["prefix"]
    packets = OggPage.to_packets(pages)
    comment = packets[0][prefix:]
    new = apply_bytes(comment, _vorbis.splices(comment, genres))
    head = packets[0][:prefix]
    if layout.container == "Ogg FLAC":
        head = head[:1] + len(new).to_bytes(3, "big")
    packets[0] = head + new
    # As many pages as before, if it can be done by fuller or emptier ones: then none behind has to be renumbered.
    tries = (OggPage.from_packets(packets, pages[0].sequence, default_size=size) for size in PAGE_SIZES)
    made = list(tries)
    fresh = next((fresh for fresh in made if len(fresh) == len(pages)), made[0])
    fresh[-1].last = pages[-1].last
    for page in fresh:
        page.serial = pages[0].serial
        page.position = 0 if page.complete or len(page.packets) > 1 else -1
    # One page of the old ones gives way to each of the new ones; of other streams' pages between them none is touched.
    count = min(len(pages), len(fresh))
    changes = [
        Splice(old.offset, old.size, page.write())
        for old, page in zip(pages[: count - 1], fresh[: count - 1], strict=True)
    ]
    rest = b"".join(page.write() for page in fresh[count - 1 :])
    changes.append(Splice(pages[count - 1].offset, pages[count - 1].size, rest))
    changes += [Splice(page.offset, page.size, b"") for page in pages[count:]]
    if len(fresh) != len(pages):
        changes += _renumbered(file, layout, len(fresh) - len(pages))
    return changes


def _renumbered(file: BinaryIO, layout: Layout, by: int) -> list[Splice]:
    """New numbers and checksums for the later pages of the stream."""
    file.seek(layout.audio[0][0])
    serial, changes = layout.parts["pages"][0].serial, []
    while True:
        try:
            page = OggPage(file)
        except EOFError:
            return changes
        if page.serial == serial and page.first:
            return changes  # another song behind this one, numbered for itself
        if page.serial == serial:
            page.sequence += by
            changes.append(Splice(page.offset + 18, 8, page.write()[18:26]))


def _reader(container: str) -> Any:
    """mutagen's own reader of that codec; left to choose, it may take the stream of a picture."""
    from mutagen import oggflac, oggopus, oggspeex, oggvorbis

    readers = (oggvorbis.OggVorbis, oggopus.OggOpus, oggspeex.OggSpeex, oggflac.OggFLAC)
    return dict(zip((name for name, _ in CODECS.values()), readers, strict=True))[container]


def _others(file: BinaryIO, layout: Layout) -> Any:
    packets = OggPage.to_packets(layout.parts["pages"])
    file.seek(0)
    read = _reader(layout.container)(file)
    seen = [pair for pair in read.tags or [] if pair[0].lower() != "genre"]
    comment = packets[0][layout.parts["prefix"] :]
    return seen, _vorbis.others(comment), comment[_vorbis.parse(comment)[2] :], packets[1:]


def _digest(file: BinaryIO, layout: Layout) -> Any:
    """Every packet but the comments, with the positions in time: page by page, whatever the pages' numbers are.

    The pages are read by hand, not by mutagen, whose code wrote them.
    """
    digest = hashlib.sha256()
    header = {page.offset for page in layout.parts["pages"]}
    for packet in OggPage.to_packets(layout.parts["pages"])[1:]:
        digest.update(packet)
    serial = layout.parts["pages"][0].serial.to_bytes(4, "little")
    position, previous, gaps = 0, -1, []
    end = file.seek(0, 2)
    while position < end:
        file.seek(position)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            digest.update(head + file.read())  # what follows the last page belongs to the file as well
            break
        lacing = file.read(head[26])
        body = file.read(sum(lacing))
        if position not in header:
            digest.update(head[5:18] + lacing + body)
        number = int.from_bytes(head[18:22], "little")
        if head[5] & 2:
            digest.update(head[18:22])  # each stream has numbers of its own
        if head[14:18] == serial:
            if not head[5] & 2 and number != previous + 1:
                gaps.append(number - previous)
            previous = number
        position += 27 + len(lacing) + len(body)
    return digest.hexdigest(), gaps


registry.add("ogg")(Format(lambda head: head.startswith(b"OggS"), _read, _others, _splices, digest=_digest))
