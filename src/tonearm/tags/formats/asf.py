"""ASF, WMA: the attribute WM/Genre, once per genre, in the header object in front. mutagen writes it."""

from __future__ import annotations

from typing import Any, BinaryIO

from tonearm.tags.errors import TagError
from tonearm.tags.formats import Format, Layout, registry

HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
KEY = "WM/Genre"


def _read(file: BinaryIO) -> Layout:
    from mutagen.asf import ASF

    end = file.seek(0, 2)
    file.seek(16)
    size = int.from_bytes(file.read(8), "little")
    if size < 30 or size >= end:
        raise TagError("", "damaged", "its header is longer than the file")
    file.seek(0)
    read = ASF(file)
    genres = [str(value) for value in read.tags.get(KEY, []) if str(value).strip()]
    return Layout("ASF", ["ASF"], genres, [(size, end - size)], {})


def _edit(path: str, layout: Layout, genres: list[str]) -> None:
    from mutagen.asf import ASF

    with open(path, "r+b") as file:
        read = ASF(file)
        if genres:
            read.tags[KEY] = genres
        else:
            read.tags.pop(KEY, None)
        file.seek(0)
        read.save(file, padding=lambda info: max(info.padding, 0))


def _others(file: BinaryIO, layout: Layout) -> Any:
    """Every other attribute, and the objects of the header that hold none, by their bytes."""
    from mutagen.asf import ASF

    file.seek(0)
    read = ASF(file)
    # As text: of two values of one name, one may have a language and the other None.
    tags = sorted(repr((key, value, value.language, value.stream)) for key, value in read.tags if key != KEY)
    known = ("ContentDescription", "ExtendedContentDescription", "HeaderExtension", "Padding")
    objects = [
        (bytes(child.GUID), bytes(child.data))
        for child in read._header.objects
        if not type(child).__name__.startswith(known) and getattr(child, "data", None) is not None
    ]
    return tags, objects


registry.add("asf")(Format(lambda head: head.startswith(HEADER), _read, _others, edit=_edit))
