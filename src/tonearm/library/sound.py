"""Which sound a file holds, and what its tags say: what a look at a file tells without decoding it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Any, BinaryIO, NamedTuple

# Up to here every byte of the sound counts. Of more (a mix of hours, an uncompressed disc) the length and samples:
# nobody wants a network drive read from end to end to be told that a file was moved.
WHOLE_BYTES = 64 << 20
SAMPLES, SAMPLE_BYTES = 64, 1 << 20


class Tags(NamedTuple):
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    year: int | None = None
    genres: tuple[str, ...] = ()


def examine(file: BinaryIO, path: str) -> tuple[bytes, Tags]:
    """Hash of the sound alone (32 bytes), and the tags.

    Alone, because writing a tag must not make another song of it: then nothing would have to be heard again, and a
    copy with other tags is still a copy. What has tags that are not understood is hashed as a whole.
    """
    from tonearm.tags import formats
    from tonearm.tags.errors import TagError

    try:
        format, layout = formats.read(file, path)
        if layout.container.startswith(("Ogg", "Opus", "Speex")):
            # Pages are numbered through: behind a longer comment every one has another number.
            digest = hashlib.sha256(str(format.digest(file, layout)[0]).encode()).digest()
        else:
            digest = _hash(file, layout.audio)
        genres = layout.genres
    except (TagError, OSError, EOFError, ValueError) as error:
        if isinstance(error, OSError):
            raise
        file.seek(0, 2)
        digest, genres = _hash(file, [(0, file.tell())]), []
    return digest, _tags(file, genres)


def _hash(file: BinaryIO, ranges: list[tuple[int, int]]) -> bytes:
    total = sum(length for _, length in ranges)
    digest = hashlib.sha256()
    if total > WHOLE_BYTES:
        digest.update(b"sampled %d" % total)
        steps = (i * (total - SAMPLE_BYTES) // (SAMPLES - 1) for i in range(SAMPLES))
        ranges = [piece for step in steps for piece in _cut(ranges, step, SAMPLE_BYTES)]
    from tonearm.tags.patch import spans

    for data in spans(file, ranges):
        digest.update(data)
    return digest.digest()


def _cut(ranges: list[tuple[int, int]], start: int, length: int) -> list[tuple[int, int]]:
    """The part from `start` on of ranges that are thought to follow each other."""
    pieces = []
    for offset, size in ranges:
        skip = min(start, size)
        take = min(size - skip, length)
        if take:
            pieces.append((offset + skip, take))
        start, length = start - skip, length - take
    return pieces


# The names of a field in ID3, MP4, Vorbis and APE comments, ASF; looked for without regard to case.
_FIELDS = {
    "title": ("TIT2", "\xa9nam", "title", "WM/Title"),
    "artist": ("TPE1", "\xa9ART", "artist", "Author", "TPE2", "aART", "albumartist", "album artist", "WM/AlbumArtist"),
    "album": ("TALB", "\xa9alb", "album", "WM/AlbumTitle"),
    "year": ("TDRC", "TYER", "\xa9day", "date", "year", "WM/Year", "TDOR", "originaldate"),
}  # fmt: skip


def _tags(file: BinaryIO, genres: list[str]) -> Tags:
    found = _mutagen(file)
    texts = {name: _first(found, keys) for name, keys in _FIELDS.items()}
    year = re.search(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)", texts.pop("year") or "")
    genres = genres or list(map(str, found.get("genre", [])))
    clean = [line for line in (_line(genre) for genre in genres) if line]
    return Tags(**texts, year=int(year[0]) if year else None, genres=tuple(dict.fromkeys(clean)))


def _mutagen(file: BinaryIO) -> dict[str, Any]:
    """All tags by their names in small letters; none where mutagen knows no tags in such a file."""
    import mutagen
    from mutagen.id3 import ID3

    try:
        file.seek(0)
        read = mutagen.File(file)
        tags = None if read is None else read.tags
        if tags is None:
            file.seek(0)
            tags = ID3(file) if file.read(3) == b"ID3" and not file.seek(0) else {}
        return {str(key).lower(): value for key, value in tags.items()}
    except OSError:
        raise
    except Exception:  # broken tags fail in any way there is, and cost the tags, not the file
        return {}


def _first(found: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = found.get(key.lower())
        values = getattr(value, "text", value)
        several = values if isinstance(values, list | tuple) else [values]
        # APE keeps several values with zeros between them.
        texts = [_line(text) for each in several if each for text in str(each).split("\0")]
        if any(texts):
            return "; ".join(text for text in texts if text)
    return None


def _line(text: str) -> str:
    """One line of text that any program can store."""
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    return " ".join(plain.split())[:1000]


def folded(text: str) -> str:
    """Words in small letters without accents, for comparing: "Hip-Hop" is "hip hop", "Électro" is "electro"."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def words(tags: Tags) -> str:
    """Title, artist and album folded, a line each: what is searched for words."""
    return "\n".join(folded(text or "") for text in (tags.title, tags.artist, tags.album))


def folded_genres(genres: tuple[str, ...] | list[str]) -> list[str]:
    """Each genre that tags name; "Rock/Pop" in one tag is two to a person."""
    parts = [part for genre in genres for part in (genre, *re.split(r"[;/,|]", genre))]
    return [each for each in dict.fromkeys(map(folded, parts)) if each]


def same_genre(tagged: str, genre: str) -> bool:
    """Whether a genre in tags (folded) is one of a model's (folded) or a kind of it: "indie rock" is "rock"."""
    if tagged.replace(" ", "") == genre.replace(" ", ""):
        return True
    return f" {genre} " in f" {tagged} "
