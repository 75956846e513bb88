"""What a library knows of its songs for learning from them."""

from __future__ import annotations

from collections.abc import Iterable

from tonearm.library import rows
from tonearm.library.copies import recordings
from tonearm.library.store import Library
from tonearm.packs.track import Track


def labels(library: Library, query: str | Iterable[str] = "") -> list[Track]:
    """A Track for each file whose tags name a genre: `id` is its number in the library, `genre` the first in the tags.

    `recording` is equal for copies of one recording, `artist` is as the tags have it; both must stay on one side of a
    split. The other genres are in `extra["genres"]`, a line each.
    """
    same = recordings(library)
    contents = dict(library.read("SELECT id, content_id FROM files WHERE content_id IS NOT NULL"))
    found = []
    for row in rows.query(library, query):
        if row["tagged"] and row["id"] in contents:
            content = contents[row["id"]]
            extra = {"title": row["title"] or "", "album": row["album"] or "", "genres": "\n".join(row["tagged"])}
            track = Track(
                id=str(row["id"]),
                genre=row["tagged"][0],
                artist=row["artist"] or "",
                recording=str(same.get(content, content)),
                path=row["path"],
                extra=extra,
            )
            found.append(track)
    return found
