"""Formats whose own tag is APEv2 at the end: WavPack, Monkey's Audio, Musepack, OptimFROG, TAK."""

from __future__ import annotations

from typing import Any, BinaryIO

from tonearm.tags.formats import Format, Layout, _ape, registry
from tonearm.tags.formats.mpeg import part, tail
from tonearm.tags.patch import Splice, shifted

NAMES = {
    b"wvpk": "WavPack",
    b"MAC ": "Monkey's Audio",
    b"MPCK": "Musepack",
    b"MP+": "Musepack",
    b"OFR ": "OptimFROG",
    b"tBaK": "TAK",
}


def _sniff(head: bytes) -> bool:
    return head.startswith(tuple(NAMES))


def _read(file: BinaryIO) -> Layout:
    from tonearm.tags.formats import _id3

    end = file.seek(0, 2)
    file.seek(0)
    start = _id3.size_in_front(file.read(10))
    file.seek(start)
    head = file.read(4)
    name = next(name for magic, name in NAMES.items() if head.startswith(magic))
    places = tail(file, end)
    stop = min([end, *(offset for offset, _ in places.values())])
    ape = part(file, places.get("APEv2"))
    one = part(file, places.get("ID3v1"))
    genres = (ape and _ape.genres(ape)) or (one and _id3.genre_one(one)) or []
    return Layout(name, [n for n in ("APEv2", "ID3v1") if n in places], genres, [(0, stop)], places)


def _splices(file: BinaryIO, layout: Layout, genres: list[str]) -> list[Splice]:
    from tonearm.tags.formats import _id3

    changes = []
    if "APEv2" in layout.parts:
        ape = part(file, layout.parts["APEv2"])
        changes += shifted(_ape.splices(ape, genres), layout.parts["APEv2"][0])
    elif genres:
        changes.append(Splice(sum(layout.audio[0]), 0, _ape.new_tag(genres)))
    if "ID3v1" in layout.parts:
        changes.append(Splice(layout.parts["ID3v1"][0] + 127, 1, _id3.byte_one(genres)))
    return changes


def _others(file: BinaryIO, layout: Layout) -> Any:
    ape = part(file, layout.parts.get("APEv2"))
    rest = [part(file, layout.parts.get(name)) for name in ("Lyrics3", "ID3v1")]
    return _ape.others(ape) if ape else {}, rest[0], rest[1][:127]


registry.add("apev2")(Format(_sniff, _read, _others, _splices))
